//! Rules and the export of all resources as one JSON document.

use serde::Serialize;
use serde_json::{Value, json};

use crate::catalogue::widgets::SECTIONS;
use crate::catalogue::{ALARMS, BY_DIMENSION, EXTERNAL, METRICS};
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
    /// Which events it takes.
    pub scope: Scope,
    /// JSONPath of the Kinesis partition key; without it EventBridge uses the event's id.
    pub partition_key_path: Option<&'static str>,
}

/// Which events of IVS a rule takes. Together they take every one, and none twice.
///
/// The two are apart because EventBridge does not say what happens to an event in which the
/// partition key path leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// Events that name a resource: a channel, stage or composition.
    Resource,
    /// Events of the account as a whole. EventBridge takes an empty list for an absent one.
    Account,
}

impl Rule {
    /// Returns the event pattern for events of IVS itself, as `PutRule` takes it (serialized).
    #[must_use]
    pub fn pattern(&self) -> Value {
        self.pattern_for(&[names::IVS_SOURCE])
    }

    /// Returns the event pattern for events of these sources, for example
    /// [`names::STAND_IN_SOURCE`] too.
    #[must_use]
    pub fn pattern_for(&self, sources: &[&str]) -> Value {
        let resources = match self.scope {
            Scope::Resource => json!([{ "prefix": "arn:" }]),
            Scope::Account => json!([{ "exists": false }]),
        };
        json!({
            "source": sources,
            "detail-type": [{ "prefix": names::DETAIL_TYPE_PREFIX }],
            "resources": resources,
        })
    }
}

/// Every rule on [`names::SERVICE_BUS`]; the target of each is [`names::STREAM`].
pub const RULES: &[Rule] = &[
    Rule {
        name: names::RESOURCE_RULE,
        description: "IVS events of a channel, stage or composition, keyed by its ARN.",
        scope: Scope::Resource,
        partition_key_path: Some(names::PARTITION_KEY_PATH),
    },
    Rule {
        name: names::ACCOUNT_RULE,
        description: "IVS events of the account, such as its limits, which name no resource.",
        scope: Scope::Account,
        partition_key_path: None,
    },
];

/// Returns everything a deployment creates, as `schemas/json/resources.json` holds it.
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
    let alarms: Vec<Value> = ALARMS
        .iter()
        .map(|alarm| {
            let mut object = json!(alarm);
            object["query"] = json!(alarm.query());
            object
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
        "alarms": alarms,
        "dashboardSections": SECTIONS,
    })
}

/// Returns the metric catalogue, as `schemas/json/catalogue.json` holds it.
#[must_use]
pub fn catalogue() -> Value {
    json!({ "metrics": METRICS, "external": EXTERNAL, "byDimension": BY_DIMENSION })
}
