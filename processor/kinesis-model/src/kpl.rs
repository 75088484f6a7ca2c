//! Aggregated records of the Kinesis Producer Library.
//!
//! A KPL aggregate is [`MAGIC`], a protobuf message and the MD5 of that message. Its messages
//! (proto2), from the KPL's `aggregation-format.md`:
//!
//! ```text
//! AggregatedRecord { repeated string partition_key_table = 1;
//!                    repeated string explicit_hash_key_table = 2;
//!                    repeated Record records = 3; }
//! Record           { required uint64 partition_key_index = 1;
//!                    optional uint64 explicit_hash_key_index = 2;
//!                    required bytes data = 3;
//!                    repeated Tag tags = 4; }
//! ```
//!
//! Differences from the KCL, on purpose: what it logs and loses (a bad index, a record of another
//! shard), and what it delivers as garbage (a message that does not parse), is rejected here with a
//! reason, so that no record vanishes.

mod encode;
mod wire;

use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};

pub use encode::aggregate;
use wire::{Value, Wire};

use crate::HashRange;

/// The first bytes of every aggregate.
pub const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
/// Length of the MD5 at the end.
const DIGEST_BYTES: usize = 16;
/// The most user records taken from one aggregate. A full record of 10 MiB holds a quarter million
/// of 40 bytes, less than any event; the bound keeps a hostile one from filling the memory.
const MAX_USER_RECORDS: usize = 1 << 18;

/// The data of a Kinesis record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// No aggregate: to be read as it is.
    Plain,
    /// An aggregate, as its user records in order.
    Records(Vec<UserRecord>),
    /// An aggregate whose checksum is right and whose content is not: none of it can be trusted.
    Broken(BrokenAggregate),
}

/// Why an aggregate whose checksum is right cannot be taken apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BrokenAggregate(String);

/// A user record whose hash key belongs to another shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("user record {sub} belongs to another shard")]
pub struct ForeignRecord {
    /// Its place in the aggregate, from 0.
    pub sub: u64,
}

/// One record inside an aggregate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// Its place in the aggregate, from 0: the sub-sequence number.
    pub sub: u64,
    /// The partition key its producer gave.
    pub partition_key: Arc<str>,
    /// The explicit hash key, if its producer gave one.
    pub explicit_hash_key: Option<u128>,
    /// The key that decides on the shard: the explicit one, or the MD5 of the partition key.
    pub hash_key: u128,
    /// The payload, shared with the aggregate.
    pub data: Bytes,
}

/// Takes an aggregate apart, without copying payloads.
///
/// ```
/// use kinesis_model::kpl::{Aggregate, aggregate, deaggregate};
///
/// let data = aggregate(&[("a", None, b"first"), ("b", None, b"second")]).into();
/// let Aggregate::Records(records) = deaggregate(&data) else { panic!("it is an aggregate") };
/// assert_eq!((records[1].sub, &records[1].data[..]), (1, &b"second"[..]));
/// assert_eq!(deaggregate(&"{}".into()), Aggregate::Plain);
/// ```
#[must_use]
pub fn deaggregate(data: &Bytes) -> Aggregate {
    let Some(message) = message(data) else {
        return Aggregate::Plain;
    };
    match records(&message) {
        Ok(records) => Aggregate::Records(records),
        Err(detail) => Aggregate::Broken(BrokenAggregate(detail)),
    }
}

/// Checks that each user record belongs to the shard with the given range.
///
/// The KPL re-sends all records of an aggregate that it learns it sent to the wrong shard, so one
/// record out of range condemns the aggregate.
///
/// # Errors
/// The first record out of range.
pub fn check_range(records: &[UserRecord], range: &HashRange) -> Result<(), ForeignRecord> {
    match records.iter().find(|record| !range.contains(record.hash_key)) {
        None => Ok(()),
        Some(record) => Err(ForeignRecord { sub: record.sub }),
    }
}

/// Returns the hash key that Kinesis derives from a partition key.
#[must_use]
pub fn hash_key(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key).into())
}

/// Returns the protobuf message of an aggregate whose checksum is right.
fn message(data: &Bytes) -> Option<Bytes> {
    let end = data.len().checked_sub(DIGEST_BYTES).filter(|end| *end >= MAGIC.len())?;
    let whole = data.starts_with(&MAGIC) && Md5::digest(&data[MAGIC.len()..end])[..] == data[end..];
    whole.then(|| data.slice(MAGIC.len()..end))
}

/// A record as the message has it, before its indices are looked up.
#[derive(Default)]
struct KeyedRecord {
    partition_key: Option<u64>,
    explicit_hash_key: Option<u64>,
    data: Option<Bytes>,
}

/// A partition key of the table, and the hash key it makes.
struct Key {
    text: Arc<str>,
    hash: u128,
}

fn records(message: &Bytes) -> Result<Vec<UserRecord>, String> {
    let (mut keys, mut explicit, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    let mut wire = Wire::new(message.clone());
    while let Some((field, value)) = wire.next().map_err(str::to_owned)? {
        match (field, value) {
            (1, Value::Bytes(key)) => keys.push(partition_key(&key)?),
            (2, Value::Bytes(key)) => explicit.push(explicit_hash_key(&key)?),
            (3, Value::Bytes(_)) if entries.len() == MAX_USER_RECORDS => {
                return Err(format!("more than {MAX_USER_RECORDS} user records"));
            }
            (3, Value::Bytes(record)) => entries.push(entry(record)?),
            (1..=3, _) => return Err(format!("field {field} has the wrong wire type")),
            _ => {}
        }
    }
    if entries.is_empty() {
        return Err("no user records".to_owned());
    }
    // The tables may follow the records, so indices are looked up at the end.
    let resolve = |(at, entry)| user_record(at, entry, &keys, &explicit);
    entries.into_iter().enumerate().map(resolve).collect()
}

fn partition_key(bytes: &[u8]) -> Result<Key, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "a partition key is not UTF-8")?;
    Ok(Key { text: Arc::from(text), hash: hash_key(text) })
}

fn explicit_hash_key(bytes: &[u8]) -> Result<u128, String> {
    let digits = bytes.iter().all(u8::is_ascii_digit);
    let key = std::str::from_utf8(bytes).ok().filter(|_| digits).and_then(|t| t.parse().ok());
    key.ok_or_else(|| "an explicit hash key is no 128-bit number".to_owned())
}

fn entry(record: Bytes) -> Result<KeyedRecord, String> {
    let mut entry = KeyedRecord::default();
    let mut wire = Wire::new(record);
    while let Some((field, value)) = wire.next().map_err(str::to_owned)? {
        match (field, value) {
            (1, Value::Varint(index)) => entry.partition_key = Some(index),
            (2, Value::Varint(index)) => entry.explicit_hash_key = Some(index),
            (3, Value::Bytes(data)) => entry.data = Some(data),
            (1..=3, _) => return Err(format!("record field {field} has the wrong wire type")),
            _ => {}
        }
    }
    Ok(entry)
}

fn user_record(
    at: usize,
    entry: KeyedRecord,
    keys: &[Key],
    explicit: &[u128],
) -> Result<UserRecord, String> {
    let missing = |what: &str| format!("user record {at} has no {what}");
    let Some(key) = entry
        .partition_key
        .ok_or_else(|| missing("partition key"))
        .map(|index| usize::try_from(index).ok().and_then(|index| keys.get(index)))?
    else {
        return Err(format!("user record {at} refers to a partition key that does not exist"));
    };
    let explicit_hash_key = match entry.explicit_hash_key {
        None => None,
        Some(index) => {
            let key = usize::try_from(index).ok().and_then(|index| explicit.get(index));
            let none = || format!("user record {at} refers to a hash key that does not exist");
            Some(*key.ok_or_else(none)?)
        }
    };
    Ok(UserRecord {
        sub: at as u64,
        partition_key: key.text.clone(),
        explicit_hash_key,
        hash_key: explicit_hash_key.unwrap_or(key.hash),
        data: entry.data.ok_or_else(|| missing("data"))?,
    })
}

#[cfg(test)]
mod tests;
