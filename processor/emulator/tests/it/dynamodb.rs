//! The processor's requests to DynamoDB, through the real SDK, at both URLs of the endpoint.

use crate::clients::{self, code};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement,
    KeyType, Projection, ProjectionType, ReturnValuesOnConditionCheckFailure, ScalarAttributeType,
    TimeToLiveSpecification,
};
use ivs_emulator::{Config, Endpoint, State};

const TABLE: &str = "Sessions";

fn key(name: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
}

fn attribute(name: &str, kind: ScalarAttributeType) -> AttributeDefinition {
    AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
}

async fn create_table(client: &Client) {
    let index = GlobalSecondaryIndex::builder()
        .index_name("ChannelIdIndex")
        .key_schema(key("channelId", KeyType::Hash))
        .key_schema(key("startedAt", KeyType::Range))
        .projection(Projection::builder().projection_type(ProjectionType::All).build());
    let request = client
        .create_table()
        .table_name(TABLE)
        .key_schema(key("id", KeyType::Hash))
        .attribute_definitions(attribute("id", ScalarAttributeType::S))
        .attribute_definitions(attribute("channelId", ScalarAttributeType::S))
        .attribute_definitions(attribute("startedAt", ScalarAttributeType::N))
        .global_secondary_indexes(index.build().unwrap())
        .billing_mode(BillingMode::PayPerRequest);
    request.send().await.unwrap();
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Puts an item unless it exists.
async fn claim(client: &Client, id: &str, owner: u64) -> bool {
    let request = client.put_item().table_name(TABLE).item("id", text(id));
    let request =
        request.item("owner", number(owner)).condition_expression("attribute_not_exists(id)");
    let answer = request.send().await;
    if answer.is_err() {
        assert_eq!(code(answer), "ConditionalCheckFailedException");
        return false;
    }
    true
}

#[tokio::test]
async fn one_url_serves_dynamodb_beside_the_other_services() {
    let endpoint = Endpoint::start(Config::default()).await.unwrap();
    let (one, other) =
        (clients::dynamodb(endpoint.url()), clients::dynamodb(endpoint.dynamodb_url()));
    create_table(&one).await;
    assert!(claim(&other, "a", 1).await);
    assert!(!claim(&one, "a", 2).await);
    let item = one.get_item().table_name(TABLE).key("id", text("a")).send().await.unwrap();
    assert_eq!(item.item.unwrap()["owner"], number(1));
    let missing = one.get_item().table_name("none").key("id", text("a")).send().await;
    assert_eq!(code(missing), "ResourceNotFoundException");
    let kinesis = clients::kinesis(endpoint.url());
    assert!(kinesis.list_streams().send().await.unwrap().stream_names.is_empty());
}

#[tokio::test]
async fn a_failed_condition_returns_the_item_that_stands() {
    let endpoint = Endpoint::start(Config::default()).await.unwrap();
    let client = clients::dynamodb(endpoint.url());
    create_table(&client).await;
    claim(&client, "a", 7).await;
    let request = client.put_item().table_name(TABLE).item("id", text("a"));
    let request =
        request.condition_expression("version = :v").expression_attribute_values(":v", number(3));
    let request = request
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let error = request.send().await.unwrap_err().into_service_error();
    let aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(error) =
        error
    else {
        panic!("{error:?}")
    };
    assert_eq!(error.item.unwrap()["owner"], number(7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_writers_exactly_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::Dir(folder.path().to_owned());
    let endpoint = Endpoint::start(Config { state, ..Config::default() }).await.unwrap();
    let client = clients::dynamodb(endpoint.dynamodb_url());
    create_table(&client).await;
    for round in 0..5 {
        let claims = (0..32).map(|owner| {
            let (client, id) = (client.clone(), format!("round-{round}"));
            tokio::spawn(async move { claim(&client, &id, owner).await })
        });
        let mut winners = 0;
        for claim in claims.collect::<Vec<_>>() {
            winners += u32::from(claim.await.unwrap());
        }
        assert_eq!(winners, 1);
    }
}

#[tokio::test]
async fn acknowledged_items_and_their_index_outlive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config { state: State::Dir(folder.path().to_owned()), ..Config::default() };
    let endpoint = Endpoint::start(config()).await.unwrap();
    let client = clients::dynamodb(endpoint.url());
    create_table(&client).await;
    for started in 0..20 {
        let request = client.put_item().table_name(TABLE).item("id", text(&format!("{started}")));
        let request = request.item("channelId", text("c")).item("startedAt", number(started));
        request.send().await.unwrap();
    }
    drop(endpoint);
    let endpoint = Endpoint::start(config()).await.unwrap();
    let client = clients::dynamodb(endpoint.url());
    let query = client.query().table_name(TABLE).index_name("ChannelIdIndex");
    let query = query.key_condition_expression("channelId = :c AND startedAt BETWEEN :a AND :b");
    let query = query.expression_attribute_values(":c", text("c"));
    let query = query.expression_attribute_values(":a", number(5));
    let query = query.expression_attribute_values(":b", number(7));
    let items = query.send().await.unwrap().items.unwrap();
    let ids: Vec<_> = items.iter().map(|item| item["id"].clone()).collect();
    assert_eq!(ids, [text("5"), text("6"), text("7")]);
}

#[tokio::test]
async fn time_to_live_is_switched_only_to_where_it_is_not() {
    let endpoint = Endpoint::start(Config::default()).await.unwrap();
    let client = clients::dynamodb(endpoint.url());
    create_table(&client).await;
    let switch = |enabled: bool| {
        let to = TimeToLiveSpecification::builder().enabled(enabled).attribute_name("expiresAt");
        let update = client.update_time_to_live().table_name(TABLE);
        update.time_to_live_specification(to.build().unwrap()).send()
    };
    assert_eq!(code(switch(false).await), "ValidationException");
    switch(true).await.unwrap();
    assert_eq!(code(switch(true).await), "ValidationException");
    switch(false).await.unwrap();
}

#[tokio::test]
async fn faults_reach_dynamodb_through_the_common_url() {
    let rule = r#"{"service":"dynamodb","operation":"GetItem","kind":"throttle","count":1}"#;
    let faults = vec![serde_json::from_str(rule).unwrap()];
    let endpoint = Endpoint::start(Config { faults, ..Config::default() }).await.unwrap();
    let client = clients::dynamodb(endpoint.url());
    create_table(&client).await;
    let get = || client.get_item().table_name(TABLE).key("id", text("a")).send();
    assert_eq!(code(get().await), "ProvisionedThroughputExceededException");
    get().await.unwrap();
}
