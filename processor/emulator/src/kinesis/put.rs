//! PutRecord and PutRecords.

use std::borrow::Cow;
use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest as _, Md5};
use serde::Deserialize;
use serde_json::json;

use super::frame::Stored;
use super::ids;
use super::stream::{Stream, StreamState};
use super::wire;
use super::{Kinesis, Settings};
use crate::service::AwsError;

const MAX_RECORDS: usize = 500;
const MAX_REQUEST_BYTES: usize = 10 << 20;
const MAX_KEY_CHARS: usize = 256;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecord<'a> {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(borrow)]
    partition_key: Cow<'a, str>,
    explicit_hash_key: Option<String>,
    sequence_number_for_ordering: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecords<'a> {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    #[serde(borrow)]
    records: Vec<PutEntry<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEntry<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(borrow)]
    partition_key: Cow<'a, str>,
    explicit_hash_key: Option<String>,
}

/// A record on its way into a stream.
pub(super) struct Incoming<'a> {
    key: Cow<'a, str>,
    hash: u128,
    data: Cow<'a, [u8]>,
}

/// The outcome of one record.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// It is in the stream.
    Stored { counter: u64, shard: u32 },
    /// The shard has taken all it may in this second.
    Throttled { shard: u32 },
    /// Its shard's file could not be written.
    Failed,
}

impl Kinesis {
    /// Puts one record into a stream, given its name or ARN; for services in this process.
    /// Returns the shard's id and the sequence number.
    pub(crate) fn put(
        &self,
        stream: &str,
        partition_key: &str,
        data: &[u8],
    ) -> Result<(String, String), AwsError> {
        let name = if stream.starts_with("arn:") {
            wire::stream_name(None, Some(stream))?
        } else {
            wire::stream_name(Some(stream), None)?
        };
        let record = Incoming::new(Cow::Borrowed(partition_key), None, Cow::Borrowed(data), None)?;
        self.put_one(name, record)
    }

    pub(super) fn put_record(&self, body: &[u8]) -> Result<String, AwsError> {
        let request: PutRecord<'_> = wire::parse(body)?;
        let name =
            wire::stream_name(request.stream_name.as_deref(), request.stream_arn.as_deref())?;
        if let Some(after) = &request.sequence_number_for_ordering
            && ids::parse_sequence(after).is_none()
        {
            return Err(wire::invalid_argument(format!(
                "ExclusiveMinimumSequenceNumber {after} used in PutRecord on stream {name} under \
                 account {} is invalid.",
                self.shared.account
            )));
        }
        let entry = PutEntry {
            data: request.data,
            partition_key: request.partition_key,
            explicit_hash_key: request.explicit_hash_key,
        };
        let record = entry.decode(None)?;
        let (shard, sequence) = self.put_one(name, record)?;
        Ok(json!({"ShardId": shard, "SequenceNumber": sequence}).to_string())
    }

    pub(super) fn put_one(
        &self,
        name: &str,
        record: Incoming<'_>,
    ) -> Result<(String, String), AwsError> {
        let stream = self.stream(name)?;
        let outcomes = self.append(&stream, &[record])?;
        match outcomes.first() {
            Some(&Outcome::Stored { counter, shard }) => {
                Ok((ids::shard_id(shard), ids::sequence(counter, shard)))
            }
            Some(&Outcome::Throttled { shard }) => Err(stream.rate_exceeded(shard)),
            Some(Outcome::Failed) | None => Err(wire::internal("the record could not be written")),
        }
    }

    pub(super) fn put_records(&self, body: &[u8]) -> Result<String, AwsError> {
        let request: PutRecords<'_> = wire::parse(body)?;
        let name =
            wire::stream_name(request.stream_name.as_deref(), request.stream_arn.as_deref())?;
        let count = request.records.len();
        if !(1..=MAX_RECORDS).contains(&count) {
            let bound =
                if count == 0 { "greater than or equal to 1" } else { "less than or equal to 500" };
            let constraint = format!("Member must have length {bound}");
            return Err(wire::invalid_value("records", &format!("[{count} records]"), &constraint));
        }
        let mut records = Vec::with_capacity(count);
        for (at, entry) in request.records.into_iter().enumerate() {
            records.push(entry.decode(Some(at))?);
        }
        let bytes: usize = records.iter().map(Incoming::bytes).sum();
        if bytes > MAX_REQUEST_BYTES {
            return Err(wire::invalid_argument("Records size exceeds 10 MB limit"));
        }
        let stream = self.stream(name)?;
        let outcomes = self.append(&stream, &records)?;
        Ok(answer(&stream, &outcomes))
    }

    /// Appends records, each to the shard of its hash key, and has them written before returning.
    fn append(&self, stream: &Stream, records: &[Incoming<'_>]) -> Result<Vec<Outcome>, AwsError> {
        let Settings { limits, .. } = self.settings;
        let now_ms = self.shared.clock.now_ms();
        let mut state = stream.lock_usable(now_ms)?;
        let most_bytes = usize::try_from(state.meta.max_record_kib).unwrap_or(usize::MAX) << 10;
        if records.iter().any(|record| record.bytes() > most_bytes) {
            return Err(wire::validation(format!(
                "1 validation error detected: Value at 'data' failed to satisfy constraint: Member \
                 must have length less than or equal to {most_bytes}"
            )));
        }
        if self.root.is_none() && !self.memory.has_room() {
            return Err(wire::limit_exceeded(
                "the memory for records is used up and there is no state folder to spill to",
            ));
        }
        let mut outcomes = Vec::with_capacity(records.len());
        let mut touched = BTreeSet::new();
        for record in records {
            outcomes.push(state.stage(record, now_ms, limits));
            if let Some(Outcome::Stored { shard, .. }) = outcomes.last() {
                touched.insert(*shard);
            }
        }
        for shard in touched {
            let Some(log) = state.logs.get_mut(&shard) else { continue };
            if let Err(error) = log.commit() {
                tracing::error!(stream = stream.name, shard, %error, "records cannot be written");
                for outcome in &mut outcomes {
                    if matches!(outcome, Outcome::Stored { shard: of, .. } if *of == shard) {
                        *outcome = Outcome::Failed;
                    }
                }
            }
        }
        while !self.memory.has_room() {
            if !state.logs.values_mut().any(super::log::ShardLog::spill) {
                break;
            }
        }
        drop(state);
        stream.bell.send_replace(());
        Ok(outcomes)
    }
}

impl StreamState {
    fn stage(&mut self, record: &Incoming<'_>, now_ms: u64, limits: bool) -> Outcome {
        let Some(shard) = self.route(record.hash) else { return Outcome::Failed };
        if limits && !self.paces.entry(shard).or_default().write(now_ms, record.bytes()) {
            return Outcome::Throttled { shard };
        }
        let counter = self.meta.count();
        let Some(log) = self.logs.get_mut(&shard) else { return Outcome::Failed };
        // Arrival times never step back in a shard, whatever the clock does: reading relies on it.
        let arrival_ms = now_ms.max(log.newest().1);
        log.stage(&Stored { counter, arrival_ms, key: &record.key, data: &record.data });
        Outcome::Stored { counter, shard }
    }
}

impl<'a> PutEntry<'a> {
    /// Checks and decodes; `at` is the place in PutRecords, for the error.
    fn decode(self, at: Option<usize>) -> Result<Incoming<'a>, AwsError> {
        let data = BASE64.decode(self.data.as_bytes()).map_err(|error| {
            AwsError::bad_request("SerializationException", format!("Data is not base64: {error}"))
        })?;
        Incoming::new(self.partition_key, self.explicit_hash_key.as_deref(), data.into(), at)
    }
}

impl<'a> Incoming<'a> {
    pub(super) fn new(
        key: Cow<'a, str>,
        explicit_hash: Option<&str>,
        data: Cow<'a, [u8]>,
        at: Option<usize>,
    ) -> Result<Self, AwsError> {
        let chars = key.chars().count();
        if !(1..=MAX_KEY_CHARS).contains(&chars) {
            let field = at.map_or_else(
                || "partitionKey".to_owned(),
                |at| format!("records.{}.member.partitionKey", at + 1),
            );
            let bound =
                if chars == 0 { "greater than or equal to 1" } else { "less than or equal to 256" };
            let constraint = format!("Member must have length {bound}");
            return Err(wire::invalid_value(&field, &key, &constraint));
        }
        let hash = match explicit_hash {
            None => u128::from_be_bytes(Md5::digest(key.as_bytes()).into()),
            Some(text) => hash_key(text).ok_or_else(|| {
                wire::invalid_argument(format!(
                    "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. \
                     Specified value was {text}"
                ))
            })?,
        };
        Ok(Self { key, hash, data })
    }

    /// Returns what counts against the limits: data and partition key.
    fn bytes(&self) -> usize {
        self.data.len() + self.key.len()
    }
}

/// Returns a hash key in decimal, without leading zeros.
pub(super) fn hash_key(text: &str) -> Option<u128> {
    let plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
    text.parse().ok().filter(|_| plain)
}

fn answer(stream: &Stream, outcomes: &[Outcome]) -> String {
    let mut failed = 0_usize;
    let mut entries = String::with_capacity(outcomes.len() * 120);
    for outcome in outcomes {
        if !entries.is_empty() {
            entries.push(',');
        }
        let entry = match *outcome {
            Outcome::Stored { counter, shard } => format!(
                r#"{{"SequenceNumber":"{}","ShardId":"{}"}}"#,
                ids::sequence(counter, shard),
                ids::shard_id(shard)
            ),
            Outcome::Throttled { shard } => {
                failed += 1;
                let AwsError { code, message, .. } = stream.rate_exceeded(shard);
                format!(r#"{{"ErrorCode":"{code}","ErrorMessage":"{message}"}}"#)
            }
            Outcome::Failed => {
                failed += 1;
                r#"{"ErrorCode":"InternalFailure","ErrorMessage":"Internal Service Failure"}"#
                    .to_owned()
            }
        };
        entries.push_str(&entry);
    }
    format!(r#"{{"FailedRecordCount":{failed},"Records":[{entries}]}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_keys_are_plain_decimals_of_128_bits() {
        assert_eq!(hash_key("0"), Some(0));
        assert_eq!(hash_key("340282366920938463463374607431768211455"), Some(u128::MAX));
        for bad in ["", "00", "01", "-1", "+1", "1e3", "340282366920938463463374607431768211456"] {
            assert_eq!(hash_key(bad), None, "{bad}");
        }
    }
}
