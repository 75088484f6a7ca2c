//! Rules and the export of all resources as one JSON document.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::catalogue::{ALARMS, EXTERNAL, METRICS};
use crate::names;
use crate::tables::TABLES;

/// An EventBridge rule that sends matching events to the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Rule name.
    pub name: &'static str,
    /// One line for people.
    pub description: &'static str,
    /// The `detail-type` values it takes.
    pub detail_types: &'static [&'static str],
    /// Which of these it takes.
    pub scope: Scope,
    /// JSONPath of the Kinesis partition key; without it EventBridge uses the event's id.
    pub partition_key_path: Option<&'static str>,
}

/// Which events of its detail types a rule takes.
///
/// The two never match one event: breaches of the account have no resource and no channel name,
/// and a partition key path that leads nowhere is better not asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// Events that name a resource: a channel, stage or composition.
    Resource,
    /// Events of the account as a whole.
    Account,
}

impl Rule {
    /// The event pattern for events of IVS itself, as `PutRule` takes it (serialized).
    #[must_use]
    pub fn pattern(&self) -> Value {
        self.pattern_for(&[names::IVS_SOURCE])
    }

    /// The event pattern for events of these sources, for example [`names::STAND_IN_SOURCE`] too.
    #[must_use]
    pub fn pattern_for(&self, sources: &[&str]) -> Value {
        let mut pattern = Map::new();
        pattern.insert("source".into(), json!(sources));
        pattern.insert("detail-type".into(), json!(self.detail_types));
        match self.scope {
            Scope::Resource => {
                pattern.insert("resources".into(), json!([{ "prefix": "arn:" }]));
            }
            Scope::Account => {
                pattern.insert("detail".into(), json!({ "channel_name": [{ "exists": false }] }));
            }
        }
        Value::Object(pattern)
    }
}

/// Every rule on [`names::SERVICE_BUS`]; the target of each is [`names::STREAM`].
pub const RULES: &[Rule] = &[
    Rule {
        name: names::CHANNEL_RULE,
        description: "IVS events of a channel, keyed by the channel's ARN.",
        detail_types: names::CHANNEL_DETAIL_TYPES,
        scope: Scope::Resource,
        partition_key_path: Some(names::PARTITION_KEY_PATH),
    },
    Rule {
        name: names::ACCOUNT_RULE,
        description: "IVS limit breaches of the account, which name no resource.",
        detail_types: &[names::LIMIT_BREACH],
        scope: Scope::Account,
        partition_key_path: None,
    },
    Rule {
        name: names::STAGE_RULE,
        description: "IVS events of a stage or composition, keyed by its ARN.",
        detail_types: names::STAGE_DETAIL_TYPES,
        scope: Scope::Resource,
        partition_key_path: Some(names::PARTITION_KEY_PATH),
    },
];

/// Everything a deployment creates, as `schemas/json/resources.json` holds it.
#[must_use]
pub fn resources() -> Value {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            json!({
                "name": rule.name,
                "description": rule.description,
                "pattern": rule.pattern(),
                "partitionKeyPath": rule.partition_key_path,
            })
        })
        .collect();
    json!({
        "tables": TABLES,
        "leaseOwnerIndex": names::LEASE_OWNER_INDEX,
        "stream": names::STREAM,
        "serviceBus": names::SERVICE_BUS,
        "domainBus": names::DOMAIN_BUS,
        "domainSource": names::DOMAIN_SOURCE,
        "eventArchive": names::EVENT_ARCHIVE,
        "rules": rules,
        "topic": names::TOPIC,
        "dashboard": names::DASHBOARD,
        "alarms": ALARMS,
    })
}

/// The metric catalogue, as `schemas/json/catalogue.json` holds it.
#[must_use]
pub fn catalogue() -> Value {
    json!({ "metrics": METRICS, "external": EXTERNAL })
}
