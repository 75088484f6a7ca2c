//! Lease rows to [`Lease`] and back, attribute by attribute.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use kinesis_model::{EpochMs, HashRange, Position, ShardId};

use super::attributes as name;
use crate::lease::{Checkpoint, Lease, WorkerId};

/// The key of the row in which KCL 3.x notes how far it has come from 2.x; it has no `entityType`.
const MIGRATION: &str = "Migration3.0";

/// A row as the SDK gives it.
pub type Item = HashMap<String, AttributeValue>;

/// A row that is not a lease that this crate can read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lease row `{key}`: attribute `{attribute}` {problem}")]
pub struct CodecError {
    /// The row's key, empty if that is what is missing.
    pub key: String,
    /// The attribute.
    pub attribute: &'static str,
    /// The problem with it.
    pub problem: &'static str,
}

/// A row of a lease table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A lease. Boxed: it is large.
    Lease(Box<Lease>),
    /// A row of another kind, as KCL 3.5 keeps them in the same table.
    Other,
    /// A lease of a KCL application that reads several streams: its key names the stream too.
    MultiStream {
        /// The key.
        key: String,
    },
}

/// Reads a row of any kind.
///
/// # Errors
/// It is neither; see [`CodecError`].
pub fn read(item: &Item) -> Result<Row, CodecError> {
    let key = item.get(name::LEASE_KEY).and_then(|value| value.as_s().ok());
    if key.is_some_and(|key| key == MIGRATION) {
        return Ok(Row::Other);
    }
    let names_stream = item.contains_key(name::STREAM_NAME);
    if let Some(key) = key.filter(|key| names_stream && key.contains(':')) {
        return Ok(Row::MultiStream { key: key.clone() });
    }
    Ok(decode(item)?.map_or(Row::Other, |lease| Row::Lease(Box::new(lease))))
}

/// Reads a row. `Ok(None)` is a row of another kind (`entityType` is neither absent nor `LEASE`),
/// as KCL 3.5 keeps them in the same table. Unknown attributes are ignored.
///
/// # Errors
/// A required attribute is missing or an attribute has the wrong type or form.
pub fn decode(item: &Item) -> Result<Option<Lease>, CodecError> {
    let row = Attributes { item, key: item.get(name::LEASE_KEY).and_then(|v| v.as_s().ok()) };
    if row.text(name::ENTITY_TYPE)?.is_some_and(|kind| kind != name::ENTITY_LEASE) {
        return Ok(None);
    }
    let key = row.required(name::LEASE_KEY)?;
    let checkpoint = row.checkpoint(name::CHECKPOINT, name::CHECKPOINT_SUB)?;
    let lease = Lease {
        key: ShardId::new(key),
        owner: row.worker(name::LEASE_OWNER)?,
        counter: row
            .number(name::LEASE_COUNTER)?
            .ok_or_else(|| row.error(name::LEASE_COUNTER, "is missing"))?,
        checkpoint: checkpoint.ok_or_else(|| row.error(name::CHECKPOINT, "is missing"))?,
        pending: row.checkpoint(name::PENDING, name::PENDING_SUB)?,
        pending_state: row.bytes(name::PENDING_STATE),
        owner_switches: row.number(name::OWNER_SWITCHES)?.unwrap_or(0),
        parents: row.shards(name::PARENTS)?,
        children: row.shards(name::CHILDREN)?,
        hash_range: row.hash_range()?,
        checkpoint_owner: row.worker(name::CHECKPOINT_OWNER)?,
        checkpoint_arrival: row.number(name::CHECKPOINT_ARRIVAL_MS)?.map(EpochMs),
        initial_time: row.number(name::INITIAL_TIMESTAMP_MS)?.map(EpochMs),
        stream_created: row.number(name::STREAM_CREATED_MS)?.map(EpochMs),
        cooperative_owner: row.worker(name::COOPERATIVE_OWNER)?,
        hand_over_to: row.worker(name::HAND_OVER_TO)?,
        incarnation: row.text(name::INCARNATION)?.map(Arc::from),
        tip_seen: row.number(name::TIP_SEEN_MS)?.map(EpochMs),
        failures: row.number(name::FAILED_TASKS)?.unwrap_or(0),
        last_error: row.text(name::LAST_ERROR)?.map(Arc::from),
    };
    Ok(Some(lease))
}

struct Attributes<'a> {
    item: &'a Item,
    key: Option<&'a String>,
}

impl<'a> Attributes<'a> {
    fn error(&self, attribute: &'static str, problem: &'static str) -> CodecError {
        CodecError { key: self.key.cloned().unwrap_or_default(), attribute, problem }
    }

    fn text(&self, attribute: &'static str) -> Result<Option<&'a str>, CodecError> {
        self.item
            .get(attribute)
            .map(|value| value.as_s().map(String::as_str))
            .transpose()
            .map_err(|_| self.error(attribute, "is not a string"))
    }

    /// KCL writes a number in place of bytes when it creates a lease with a state.
    fn bytes(&self, attribute: &'static str) -> Option<Bytes> {
        let blob = self.item.get(attribute)?.as_b().ok()?;
        Some(Bytes::copy_from_slice(blob.as_ref()))
    }

    fn required(&self, attribute: &'static str) -> Result<&'a str, CodecError> {
        self.text(attribute)?.ok_or_else(|| self.error(attribute, "is missing"))
    }

    fn number<T: FromStr>(&self, attribute: &'static str) -> Result<Option<T>, CodecError> {
        let Some(value) = self.item.get(attribute) else { return Ok(None) };
        let digits = value.as_n().map_err(|_| self.error(attribute, "is not a number"))?;
        digits.parse().map(Some).map_err(|_| self.error(attribute, "is not a whole number"))
    }

    fn worker(&self, attribute: &'static str) -> Result<Option<WorkerId>, CodecError> {
        Ok(self.text(attribute)?.map(WorkerId::new))
    }

    /// Sorted, since a set has no order of its own.
    fn shards(&self, attribute: &'static str) -> Result<Vec<ShardId>, CodecError> {
        let Some(value) = self.item.get(attribute) else { return Ok(Vec::new()) };
        let set = value.as_ss().map_err(|_| self.error(attribute, "is not a string set"))?;
        let mut shards: Vec<_> = set.iter().map(|id| ShardId::new(id)).collect();
        shards.sort_unstable();
        Ok(shards)
    }

    fn checkpoint(
        &self,
        attribute: &'static str,
        sub: &'static str,
    ) -> Result<Option<Checkpoint>, CodecError> {
        let checkpoint = match self.text(attribute)? {
            None => return Ok(None),
            Some("AT_TIMESTAMP") => Checkpoint::AtTimestamp,
            Some("TRIM_HORIZON") => Checkpoint::TrimHorizon,
            Some("LATEST") => Checkpoint::Latest,
            Some("SHARD_END") => Checkpoint::ShardEnd,
            Some(digits) => {
                let sequence =
                    digits.parse().map_err(|_| self.error(attribute, "is not a checkpoint"))?;
                Checkpoint::Sequence(Position {
                    sequence,
                    sub: self.number(sub)?.unwrap_or_default(),
                })
            }
        };
        Ok(Some(checkpoint))
    }

    fn hash_range(&self) -> Result<Option<HashRange>, CodecError> {
        let key = |attribute| match self.text(attribute)? {
            None => Ok(None),
            Some(digits) => digits
                .parse()
                .map(Some)
                .map_err(|_| self.error(attribute, "is not a 128-bit decimal")),
        };
        match (key(name::HASH_START)?, key(name::HASH_END)?) {
            (Some(start), Some(end)) => Ok(Some(HashRange { start, end })),
            _ => Ok(None),
        }
    }
}

/// Returns the stored text of a checkpoint.
#[must_use]
pub fn checkpoint_text(checkpoint: &Checkpoint) -> AttributeValue {
    AttributeValue::S(match checkpoint {
        Checkpoint::Sequence(position) => position.sequence.to_string(),
        sentinel => sentinel.to_string(),
    })
}

/// Returns the stored sub-sequence number of a checkpoint: 0 for sentinels.
#[must_use]
pub fn checkpoint_sub(checkpoint: &Checkpoint) -> AttributeValue {
    let sub = if let Checkpoint::Sequence(position) = checkpoint { position.sub } else { 0 };
    AttributeValue::N(sub.to_string())
}

/// Returns a string set; DynamoDB refuses empty ones, so none is absent.
#[must_use]
pub fn shard_set(shards: &[ShardId]) -> Option<AttributeValue> {
    let set: Vec<_> = shards.iter().map(ToString::to_string).collect();
    (!set.is_empty()).then_some(AttributeValue::Ss(set))
}

/// Returns a worker id.
#[must_use]
pub fn worker(id: &WorkerId) -> AttributeValue {
    AttributeValue::S(id.to_string())
}

/// Returns a time in epoch milliseconds.
#[must_use]
pub fn time(time: EpochMs) -> AttributeValue {
    AttributeValue::N(time.0.to_string())
}

/// Returns a whole number.
#[must_use]
pub fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
