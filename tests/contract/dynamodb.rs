//! DynamoDB: rows, summaries and leases.
//!
//! `API_…` is a page of <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/>, `Guide` one of
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/>.

mod batches;
mod conditions;
mod reads;
mod tables;
mod values;

use std::fmt::Display;

use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement,
    KeyType, Projection, ProjectionType, ScalarAttributeType,
};

use super::answers::{Failed, Item};
use super::{Case, World};

/// The table of most cases: key `id` and `at`, index by `channel` and `at`.
pub(super) const TABLE: &str = "Contract";
const INDEX: &str = "ByChannel";
/// A table that is not there.
const ABSENT: &str = "Absent";

/// Returns the cases.
pub(super) fn cases() -> Vec<&'static Case> {
    [tables::CASES, conditions::CASES, batches::CASES, values::CASES, reads::CASES]
        .into_iter()
        .flatten()
        .collect()
}

/// Creates a table with an index.
pub(super) async fn create_table(world: &World, name: &str) -> Result<(), Failed> {
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind);
    let attribute = |name: &str, kind| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build()
    };
    let index = GlobalSecondaryIndex::builder()
        .index_name(INDEX)
        .key_schema(key("channel", KeyType::Hash).build()?)
        .key_schema(key("at", KeyType::Range).build()?)
        .projection(Projection::builder().projection_type(ProjectionType::All).build())
        .build()?;
    let create = world.dynamodb.create_table().table_name(name);
    create
        .key_schema(key("id", KeyType::Hash).build()?)
        .key_schema(key("at", KeyType::Range).build()?)
        .attribute_definitions(attribute("id", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("at", ScalarAttributeType::N)?)
        .attribute_definitions(attribute("channel", ScalarAttributeType::S)?)
        .global_secondary_indexes(index)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await?;
    Ok(())
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: impl Display + Copy) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn key(id: &str, at: u32) -> Item {
    Item::from([("id".to_owned(), text(id)), ("at".to_owned(), number(at))])
}

impl World {
    fn put(&self, id: &str, at: u32) -> PutItemFluentBuilder {
        self.dynamodb.put_item().table_name(TABLE).set_item(Some(key(id, at)))
    }

    /// Puts items of one partition, at 0, 1, 2, …
    async fn put_some(&self, id: &str, count: u32) -> Result<(), Failed> {
        for at in 0..count {
            self.put(id, at).send().await?;
        }
        Ok(())
    }

    /// Returns an item as a strongly consistent read sees it.
    async fn item(&self, id: &str, at: u32) -> Result<Option<Item>, Failed> {
        let get = self.dynamodb.get_item().table_name(TABLE).set_key(Some(key(id, at)));
        Ok(get.consistent_read(true).send().await?.item)
    }

    fn query(&self, id: &str) -> QueryFluentBuilder {
        let query = self.dynamodb.query().table_name(TABLE).key_condition_expression("id = :id");
        query.expression_attribute_values(":id", text(id))
    }
}
