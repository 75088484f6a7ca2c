//! GetShardIterator and GetRecords, and the reading that SubscribeToShard shares.

use std::fmt::Write as _;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::json;

use super::Kinesis;
use super::frame::{self, Stored};
use super::ids::{self, Cursor, Iterator, TOKEN_LIFE_MS};
use super::stream::{Stream, StreamState};
use super::wire::{self, Target};
use crate::service::AwsError;

const MAX_RECORDS: u32 = 10_000;
const MAX_BYTES: usize = 10 << 20;

/// How often a read starts over because the file it wanted expired in between.
const EXPIRY_TRIES: u32 = 3;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetShardIterator {
    #[serde(flatten)]
    target: Target,
    shard_id: String,
    shard_iterator_type: String,
    starting_sequence_number: Option<String>,
    timestamp: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetRecords {
    shard_iterator: String,
    limit: Option<i64>,
}

/// Some records as JSON, and what lies behind them.
#[derive(Debug)]
pub(super) struct Page {
    /// The records, separated by commas.
    pub(super) json: String,
    pub(super) count: usize,
    /// Data and partition keys.
    pub(super) bytes: usize,
    pub(super) next: Cursor,
    pub(super) reach: Reach,
}

/// The place behind a page.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reach {
    /// More records, the next of them this old.
    More { behind_ms: u64 },
    /// Nothing yet.
    Tip,
    /// Nothing ever: the shard is closed and read to its end.
    ShardEnd {
        /// `ChildShards`.
        children: Vec<serde_json::Value>,
    },
}

impl Kinesis {
    pub(super) fn get_shard_iterator(&self, body: &[u8]) -> Result<String, AwsError> {
        let request: GetShardIterator = wire::parse(body)?;
        let now_ms = self.shared.clock.now_ms();
        let stream = self.stream(request.target.name()?)?;
        let mut state = stream.lock_usable(now_ms)?;
        let shard = stream.shard(&state, &request.shard_id, now_ms)?;
        let start = Start {
            kind: &request.shard_iterator_type,
            field: "StartingSequenceNumber",
            sequence: request.starting_sequence_number.as_deref(),
            timestamp: request.timestamp,
        };
        let cursor = start.resolve(&stream, &state, shard, now_ms)?;
        if self.settings.limits && !state.paces.entry(shard).or_default().read_iterator(now_ms) {
            return Err(stream.rate_exceeded(shard));
        }
        let (name, stream_id) = (stream.name.clone(), stream.id);
        let iterator = Iterator { stream: name, stream_id, shard, cursor, issued_ms: now_ms };
        Ok(json!({"ShardIterator": ids::token(&iterator)}).to_string())
    }

    pub(super) fn get_records(&self, body: &[u8]) -> Result<String, AwsError> {
        let request: GetRecords = wire::parse(body)?;
        let limit = wire::bounded("limit", request.limit, 1..=MAX_RECORDS, MAX_RECORDS)?;
        let iterator: Iterator = ids::parse_token(&request.shard_iterator)
            .ok_or_else(|| wire::invalid_argument("Invalid ShardIterator."))?;
        let now_ms = self.shared.clock.now_ms();
        if now_ms.saturating_sub(iterator.issued_ms) > TOKEN_LIFE_MS {
            return Err(AwsError::bad_request(
                "ExpiredIteratorException",
                format!(
                    "Iterator expired. The iterator was created at time {} while right now it is \
                     {now_ms} which is further in the future than the tolerated delay of \
                     {TOKEN_LIFE_MS} milliseconds.",
                    iterator.issued_ms
                ),
            ));
        }
        let stream = self.stream(&iterator.stream)?;
        if stream.id != iterator.stream_id {
            return Err(wire::invalid_argument("Invalid ShardIterator."));
        }
        let shard = iterator.shard;
        if self.settings.limits {
            let mut state = stream.lock_usable(now_ms)?;
            if !state.paces.entry(shard).or_default().read(now_ms) {
                return Err(stream.rate_exceeded(shard));
            }
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let page = read(&stream, shard, iterator.cursor, limit, MAX_BYTES, now_ms)?;
        if self.settings.limits {
            let mut state = stream.lock_usable(now_ms)?;
            state.paces.entry(shard).or_default().gave(now_ms, page.bytes);
        }
        let next = Iterator { cursor: page.next, issued_ms: now_ms, ..iterator };
        Ok(answer(&page, &next))
    }
}

fn answer(page: &Page, next: &Iterator) -> String {
    let records = &page.json;
    match &page.reach {
        Reach::ShardEnd { children } => {
            let children = json!(children);
            format!(r#"{{"Records":[{records}],"MillisBehindLatest":0,"ChildShards":{children}}}"#)
        }
        Reach::More { .. } | Reach::Tip => {
            let (behind_ms, next) = (page.reach.behind_ms(), ids::token(next));
            format!(
                r#"{{"Records":[{records}],"MillisBehindLatest":{behind_ms},"NextShardIterator":"{next}"}}"#
            )
        }
    }
}

impl Reach {
    pub(super) fn behind_ms(&self) -> u64 {
        match self {
            Self::More { behind_ms } => *behind_ms,
            Self::Tip | Self::ShardEnd { .. } => 0,
        }
    }
}

/// A starting position as GetShardIterator and SubscribeToShard have it.
pub(super) struct Start<'a> {
    /// `TRIM_HORIZON`, `LATEST`, `AT_SEQUENCE_NUMBER`, `AFTER_SEQUENCE_NUMBER`, `AT_TIMESTAMP`.
    pub(super) kind: &'a str,
    /// The name of the sequence number's field, for errors.
    pub(super) field: &'static str,
    pub(super) sequence: Option<&'a str>,
    pub(super) timestamp: Option<f64>,
}

impl Start<'_> {
    pub(super) fn resolve(
        &self,
        stream: &Stream,
        state: &StreamState,
        shard: u32,
        now_ms: u64,
    ) -> Result<Cursor, AwsError> {
        match self.kind {
            "TRIM_HORIZON" => self.without_sequence(Cursor::default()),
            "LATEST" => {
                self.without_sequence(Cursor { counter: state.meta.counter + 1, from_ms: 0 })
            }
            "AT_SEQUENCE_NUMBER" => {
                Ok(Cursor { counter: self.counter(stream, state, shard)?, from_ms: 0 })
            }
            "AFTER_SEQUENCE_NUMBER" => {
                Ok(Cursor { counter: self.counter(stream, state, shard)? + 1, from_ms: 0 })
            }
            "AT_TIMESTAMP" => {
                let Some(timestamp) = self.timestamp else {
                    return Err(wire::invalid_argument(
                        "Must specify timestampInMillis parameter for iterator of type \
                         AT_TIMESTAMP. Current request has no timestamp parameter.",
                    ));
                };
                let from_ms = wire::timestamp_ms(timestamp);
                if from_ms > now_ms {
                    return Err(wire::invalid_argument(format!(
                        "The timestampInMillis parameter cannot be greater than the \
                         currentTimestampInMillis. timestampInMillis: {from_ms}, \
                         currentTimestampInMillis: {now_ms}"
                    )));
                }
                Ok(Cursor { counter: 0, from_ms })
            }
            other => Err(wire::invalid_value(
                "shardIteratorType",
                other,
                "Member must satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, \
                 AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]",
            )),
        }
    }

    fn without_sequence(&self, cursor: Cursor) -> Result<Cursor, AwsError> {
        if self.sequence.is_none() {
            return Ok(cursor);
        }
        Err(self.mismatch("also a"))
    }

    fn mismatch(&self, has: &str) -> AwsError {
        let (kind, field) = (self.kind, self.field);
        wire::invalid_argument(format!(
            "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and {field} or \
             (2) TRIM_HORIZON or LATEST and no {field}. Request specified {kind} and {has} {field}."
        ))
    }

    /// Returns the counter of the sequence number, which must be one of this shard's.
    fn counter(&self, stream: &Stream, state: &StreamState, shard: u32) -> Result<u64, AwsError> {
        let Some(text) = self.sequence else { return Err(self.mismatch("no")) };
        let (id, field) = (ids::shard_id(shard), self.field);
        let invalid = |why: &str| {
            let (name, account) = (&stream.name, &stream.account);
            wire::invalid_argument(format!(
                "{field} {text} used in GetShardIterator on shard {id} in stream {name} under \
                 account {account} is invalid{why}."
            ))
        };
        let (counter, of_shard) = ids::parse_sequence(text).ok_or_else(|| invalid(""))?;
        if of_shard != shard {
            return Err(wire::invalid_argument(format!(
                "Invalid {field}. It encodes {}, while it was used in a call to a shard with {id}",
                ids::shard_id(of_shard)
            )));
        }
        let known = state.meta.shards.get(&shard).is_some_and(|shard| {
            let last = shard.closed.map_or(state.meta.counter, |closed| closed.last);
            (shard.first..=last).contains(&counter)
        });
        if !known {
            return Err(invalid(" because it did not come from this stream"));
        }
        Ok(counter)
    }
}

/// Reads from the cursor on: at most `limit` records, and no more than `max_bytes` unless the
/// first alone exceeds them. The lock is held only while a run of frames is looked up.
pub(super) fn read(
    stream: &Stream,
    shard: u32,
    from: Cursor,
    limit: usize,
    max_bytes: usize,
    now_ms: u64,
) -> Result<Page, AwsError> {
    let mut page = Page { json: String::new(), count: 0, bytes: 0, next: from, reach: Reach::Tip };
    let mut tries = EXPIRY_TRIES;
    loop {
        let piece = {
            let state = stream.lock_usable(now_ms)?;
            let Some(log) = state.logs.get(&shard) else {
                let id = ids::shard_id(shard);
                return Err(wire::not_found(format!("Shard {id} does not exist")));
            };
            page.next.from_ms = page.next.from_ms.max(state.meta.horizon_ms(now_ms));
            let Some(piece) = log.find(page.next) else {
                let closed = state.meta.shards.get(&shard).is_some_and(|s| s.closed.is_some());
                if closed {
                    page.reach = Reach::ShardEnd { children: state.meta.children(shard) };
                }
                return Ok(page);
            };
            piece
        };
        let frames = match piece.fetch() {
            Ok(frames) => frames,
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries > 0 => {
                tries -= 1;
                continue;
            }
            Err(error) => return Err(wire::internal(format!("cannot read the records: {error}"))),
        };
        for record in frame::records(&frames) {
            if record.counter < page.next.counter || record.arrival_ms < page.next.from_ms {
                continue;
            }
            let bytes = record.data.len() + record.key.len();
            let full = page.count >= limit || (page.count > 0 && page.bytes + bytes > max_bytes);
            if full {
                let behind_ms = now_ms.saturating_sub(record.arrival_ms);
                page.reach = Reach::More { behind_ms };
                return Ok(page);
            }
            page.push(&record, shard, bytes);
        }
    }
}

impl Page {
    fn push(&mut self, record: &Stored<'_>, shard: u32, bytes: usize) {
        let json = &mut self.json;
        if self.count > 0 {
            json.push(',');
        }
        json.push_str(r#"{"SequenceNumber":""#);
        json.push_str(&ids::sequence(record.counter, shard));
        let (seconds, millis) = (record.arrival_ms / 1_000, record.arrival_ms % 1_000);
        write!(json, r#"","ApproximateArrivalTimestamp":{seconds}.{millis:03},"Data":""#)
            .expect("writing to a string cannot fail");
        BASE64.encode_string(record.data, json);
        json.push_str(r#"","PartitionKey":"#);
        json.push_str(&json!(record.key).to_string());
        json.push('}');
        self.count += 1;
        self.bytes += bytes;
        self.next.counter = record.counter + 1;
    }
}
