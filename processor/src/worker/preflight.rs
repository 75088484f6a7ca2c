//! Whether everything that a worker writes to is there, before it takes a shard: tables with their
//! keys and indexes, the bus, and where rejects and archive go. (Its fleet looks at stream and lease
//! table.) Otherwise it would read records, fail to write them, and try again for ever.

use std::fmt;
use std::time::Duration;

use aws_calls::{code, explain};
use aws_sdk_dynamodb::types::{
    KeySchemaElement, KeyType, ScalarAttributeType, TableDescription, TableStatus,
};
use ivs_schemas::tables::{self, Key, METRICS, SESSIONS, Table};
use object_store::path::Path;
use object_store::{MultipartUpload as _, ObjectStoreExt as _};

use crate::cloud::Clients;
use crate::cloud::store_error::in_words;
use crate::cloud::store_url::StoreUrl;
use crate::config::Config;

/// A service that does not answer by then is looked at by those who need it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The things that a worker needs and does not find, each in one sentence.
#[derive(Debug, thiserror::Error)]
pub struct Missing(Vec<String>);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

/// The result of looking at one thing.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// It is as it has to be.
    Fine,
    /// It is not; in words.
    Wrong(String),
    /// It did not let itself be looked at: not allowed, or no answer.
    Unseen(String),
}

/// Looks at everything at once.
///
/// # Errors
/// Names all that is missing or wrong. What cannot be looked at is logged and taken to be right.
pub(super) async fn check(config: &Config, clients: &Clients) -> Result<(), Missing> {
    let looks = async {
        tokio::join!(
            table(clients, &SESSIONS, &config.tables.sessions, "tables.sessions"),
            table(clients, &METRICS, &config.tables.metrics, "tables.metrics"),
            bus(clients, config),
            store(config, &config.objects.rejects, "objects.rejects"),
            store(config, &config.objects.archive, "objects.archive"),
        )
    };
    let Ok((sessions, metrics, bus, rejects, archive)) =
        tokio::time::timeout(PATIENCE, looks).await
    else {
        tracing::warn!("tables, bus and stores were not looked at: no answer within {PATIENCE:?}");
        return Ok(());
    };
    let mut wrong = Vec::new();
    for look in [sessions, metrics, bus, rejects, archive] {
        match look {
            Look::Fine => {}
            Look::Wrong(what) => wrong.push(what),
            Look::Unseen(what) => tracing::info!(what, "could not be looked at"),
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Missing(wrong)) }
}

async fn table(clients: &Clients, wanted: &Table, name: &str, setting: &str) -> Look {
    match clients.dynamodb.describe_table().table_name(name).send().await {
        Ok(output) => match output.table {
            Some(found) => compare(wanted, &found, name),
            None => Look::Unseen(format!("table `{name}`: no description")),
        },
        Err(error) if code(&error) == Some("ResourceNotFoundException") => Look::Wrong(format!(
            "there is no table `{name}`; create it (CDK does), or check {setting} and the region"
        )),
        Err(error) => Look::Unseen(format!("table `{name}`: {}", explain(&error))),
    }
}

/// Returns whether a table has the keys and indexes that rows are written and read by.
fn compare(wanted: &Table, found: &TableDescription, name: &str) -> Look {
    if found.table_status == Some(TableStatus::Deleting) {
        return Look::Wrong(format!("table `{name}` is being deleted"));
    }
    let key = |partition: Key, sort: Option<Key>| {
        let mut all = vec![(KeyType::Hash, partition)];
        all.extend(sort.map(|sort| (KeyType::Range, sort)));
        all
    };
    let has = |schema: &[KeySchemaElement], wanted: &[(KeyType, Key)]| {
        schema.len() == wanted.len()
            && wanted.iter().all(|(kind, key)| {
                let in_key =
                    schema.iter().any(|e| e.key_type == *kind && e.attribute_name == key.name);
                let typed = found.attribute_definitions().iter().any(|definition| {
                    definition.attribute_name == key.name
                        && definition.attribute_type == scalar(key.kind)
                });
                in_key && typed
            })
    };
    let words = |wanted: &[(KeyType, Key)]| {
        let one =
            |(_, key): &(KeyType, Key)| format!("`{}` ({})", key.name, scalar(key.kind).as_str());
        wanted.iter().map(one).collect::<Vec<_>>().join(" and ")
    };
    let own = key(wanted.partition_key, wanted.sort_key);
    if !has(found.key_schema(), &own) {
        return Look::Wrong(format!("table `{name}` must have the key {}", words(&own)));
    }
    for index in wanted.indexes {
        let own = key(index.partition_key, Some(index.sort_key));
        let there = found
            .global_secondary_indexes()
            .iter()
            .any(|i| i.index_name() == Some(index.name) && has(i.key_schema(), &own));
        if !there {
            let (index, key) = (index.name, words(&own));
            return Look::Wrong(format!("table `{name}` must have an index `{index}` by {key}"));
        }
    }
    Look::Fine
}

fn scalar(kind: tables::KeyType) -> ScalarAttributeType {
    match kind {
        tables::KeyType::S => ScalarAttributeType::S,
        tables::KeyType::N => ScalarAttributeType::N,
    }
}

async fn bus(clients: &Clients, config: &Config) -> Look {
    let name = &config.events.bus;
    if !config.events.enabled {
        return Look::Fine;
    }
    match clients.eventbridge.describe_event_bus().name(name).send().await {
        Ok(_) => Look::Fine,
        Err(error) if code(&error) == Some("ResourceNotFoundException") => Look::Wrong(format!(
            "there is no event bus `{name}`; create it (CDK does), check events.bus, or turn \
             domain events off with events.enabled = false"
        )),
        Err(error) => Look::Unseen(format!("event bus `{name}`: {}", explain(&error))),
    }
}

/// Begins to write an object and gives it up: that needs the right to write, and leaves nothing.
async fn store(config: &Config, url: &str, setting: &str) -> Look {
    if url.is_empty() {
        return Look::Fine;
    }
    let place = match StoreUrl::open(url, &config.aws) {
        Ok(place) => place,
        Err(error) => return Look::Wrong(format!("{setting}: {error}")),
    };
    let name: Path = place.path("writable");
    match place.store().put_multipart(&name).await {
        Ok(mut upload) => {
            if let Err(error) = upload.abort().await {
                tracing::debug!(url, %error, "the trial upload stays unfinished");
            }
            Look::Fine
        }
        Err(
            error @ (object_store::Error::NotFound { .. }
            | object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. }),
        ) => {
            Look::Wrong(format!("{setting}: nothing can be written to {url}: {}", in_words(&error)))
        }
        Err(error) => Look::Unseen(format!("{setting}: {url}: {}", in_words(&error))),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, GlobalSecondaryIndexDescription, Projection,
    };
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    use super::*;
    use crate::cloud;
    use crate::testing::Embedded;

    fn description(sort: ScalarAttributeType, with_index: bool) -> TableDescription {
        let part = |name: &str, kind| {
            KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
        };
        let typed = |name: &str, kind| {
            let definition = AttributeDefinition::builder().attribute_name(name);
            definition.attribute_type(kind).build().unwrap()
        };
        let index = GlobalSecondaryIndexDescription::builder()
            .index_name("ChannelIdIndex")
            .projection(Projection::builder().build())
            .key_schema(part("channelId", KeyType::Hash))
            .key_schema(part("metricTimestamp", KeyType::Range))
            .build();
        TableDescription::builder()
            .key_schema(part("sessionId", KeyType::Hash))
            .key_schema(part("metricTimestamp", KeyType::Range))
            .attribute_definitions(typed("sessionId", ScalarAttributeType::S))
            .attribute_definitions(typed("channelId", ScalarAttributeType::S))
            .attribute_definitions(typed("metricTimestamp", sort))
            .set_global_secondary_indexes(with_index.then(|| vec![index]))
            .build()
    }

    #[test]
    fn keys_their_types_and_indexes_are_compared() {
        let compare = |found| compare(&METRICS, &found, "t");
        assert_eq!(compare(description(ScalarAttributeType::N, true)), Look::Fine);
        let Look::Wrong(text) = compare(description(ScalarAttributeType::S, true)) else {
            panic!("a sort key of the wrong type")
        };
        assert!(text.contains("`metricTimestamp` (N)"), "{text}");
        let Look::Wrong(text) = compare(description(ScalarAttributeType::N, false)) else {
            panic!("an index that is not there")
        };
        assert!(text.contains("`ChannelIdIndex`"), "{text}");
    }

    #[tokio::test]
    async fn all_that_is_missing_is_named_at_once() {
        let Embedded { endpoint, mut config, clients } = Embedded::start().await;
        let file = tempfile::NamedTempFile::new().unwrap();
        config.objects.rejects = format!("file://{}/inside", file.path().display());
        config.tables.metrics = "no-metrics".to_owned();
        config.events.bus = "no-bus".to_owned();
        let text = check(&config, &clients).await.unwrap_err().to_string();
        for name in ["no-metrics", "no-bus", "objects.rejects"] {
            assert!(text.contains(name), "{name}: {text}");
        }
        assert!(!text.contains(&config.tables.sessions), "{text}");
        endpoint.shutdown().await;
    }

    /// Services that let nobody look.
    #[derive(Clone, Debug)]
    struct Closed;

    impl HttpConnector for Closed {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            let body = r#"{"__type":"AccessDeniedException","message":"no"}"#;
            let denied = StatusCode::try_from(400).unwrap();
            HttpConnectorFuture::ready(Ok(HttpResponse::new(denied, SdkBody::from(body))))
        }
    }

    #[tokio::test]
    async fn what_may_not_be_looked_at_is_taken_to_be_right() {
        let connector = SharedHttpConnector::new(Closed);
        let http = SharedHttpClient::new(http_client_fn(move |_, _| connector.clone()));
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.aws.endpoint_url = "http://localhost:1".to_owned();
        config.objects.rejects = format!("file://{}", folder.path().display());
        let clients = cloud::build(&config.aws, http).await;
        let seen = table(&clients, &METRICS, "t", "tables.metrics").await;
        assert!(matches!(seen, Look::Unseen(_)), "{seen:?}");
        assert!(check(&config, &clients).await.is_ok());
    }

    #[tokio::test]
    async fn a_folder_that_takes_files_is_fine_and_keeps_none() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}", folder.path().display());
        assert_eq!(store(&Config::default(), &url, "objects.rejects").await, Look::Fine);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let url = format!("file://{}/inside", file.display());
        let Look::Wrong(text) = store(&Config::default(), &url, "objects.rejects").await else {
            panic!("a folder inside a file")
        };
        assert!(text.starts_with("objects.rejects: "), "{text}");
    }
}
