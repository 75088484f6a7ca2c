//! A fact in the timeline of a session, in `StreamingSessions`.

use aws_sdk_dynamodb::types::AttributeValue;
use ivs_core::session::{self, TimelineItem, attribute_names};
use ivs_schemas::items::sessions as names;
use kinesis_model::{Position, ShardId};

use super::codec::{Item, Writer};

/// Attributes that every fact has, or that keep the program's books; the others tell what happened.
pub(crate) const OF_EVERY_FACT: [&str; 10] = [
    names::SESSION_ID,
    names::CHANNEL_ID,
    names::TIMESTAMP,
    names::EVENT_TYPE,
    names::EVENT_TIME_MS,
    names::EVENT_ID,
    names::ORIGIN,
    names::SCHEMA_VERSION,
    names::EXPIRES_AT,
    attribute_names::FINGERPRINT,
];

/// Names the epoch that wrote a fact: tells a write that is repeated from a fact that is.
#[must_use]
pub fn origin(shard: &ShardId, to: Position) -> String {
    format!("{shard}:{to}")
}

/// Returns whether a stored fact was written by the epoch that `origin` names.
#[must_use]
pub fn is_from(item: &Item, origin: &str) -> bool {
    item.get(names::ORIGIN).and_then(|value| value.as_s().ok()).is_some_and(|text| text == origin)
}

/// Returns the item of a fact. `expires_at_s` sets its time to live.
#[must_use]
pub fn encode(fact: &TimelineItem, origin: &str, expires_at_s: Option<i64>) -> Item {
    let mut item = Writer::default();
    item.text(names::SESSION_ID, &fact.session_id)
        .number(names::TIMESTAMP, sort_key(fact.sort_key_ms))
        .text(names::CHANNEL_ID, fact.channel_id.as_deref().unwrap_or_default())
        .text(names::EVENT_TYPE, fact.event_type)
        .text(names::ORIGIN, origin)
        .number(attribute_names::FINGERPRINT, fact.fingerprint)
        .number(names::SCHEMA_VERSION, ivs_schemas::items::SCHEMA_VERSION)
        .number_if(names::EXPIRES_AT, expires_at_s);
    for (name, value) in &fact.attributes {
        item.put(name, to_dynamodb(value));
    }
    item.finish()
}

/// Epoch seconds with as many decimals as needed, at most three.
fn sort_key(key_ms: i64) -> String {
    let text = format!("{}.{:03}", key_ms.div_euclid(1_000), key_ms.rem_euclid(1_000));
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Returns a core attribute as DynamoDB has it.
#[must_use]
pub fn to_dynamodb(value: &session::AttributeValue) -> AttributeValue {
    use session::AttributeValue as Core;
    match value {
        Core::Text(text) => AttributeValue::S(text.to_string()),
        Core::Number(number) => AttributeValue::N(number.to_string()),
        Core::List(members) => AttributeValue::L(members.iter().map(to_dynamodb).collect()),
        Core::Map(members) => AttributeValue::M(
            members.iter().map(|(name, value)| ((*name).to_owned(), to_dynamodb(value))).collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sort_keys_are_seconds_with_a_rank() {
        assert_eq!(sort_key(1_750_000_000_020), "1750000000.02");
        assert_eq!(sort_key(1_750_000_000_000), "1750000000");
        assert_eq!(sort_key(1), "0.001");
    }
}
