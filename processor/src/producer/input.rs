//! Sends objects so that every record is in the stream exactly once, whatever is killed meanwhile.
//!
//! A producer that retries makes duplicates, and a `metrics_update` has no id by which they could
//! be told. So sending keeps a journal: which file, which batches were begun, which were
//! acknowledged. A later run skips what was acknowledged, reads the stream back to learn what
//! arrived of the batches in between, and sends the rest.

mod journal;
mod stored;

use std::future::ready;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use aws_calls::explain;
use futures::stream::{StreamExt as _, TryStreamExt as _};
use ivs_core::decode::frame::room_of;
use ivs_core::decode::{DecodeLimits, Event, FactScope, decode};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;

use super::member::with_member;
use super::send::{MAX_BYTES, MAX_RECORDS, Outgoing, put_records};
use crate::archive::find::{self, Found};
use crate::archive::object::{Damage, Object};
use crate::archive::records::{each_record, unwrapped};
use crate::clock::now;
use crate::cloud::Clients;
use crate::config::Config;
use crate::printable::OneLine;
use journal::{Journal, Past};
use stored::Stored;

/// Calls in flight. The order of lines does not matter to any row.
const CONCURRENCY: usize = 8;
/// Batches that wait to be sent.
const BATCHES_AHEAD: usize = 4;
/// The limit of a record, its partition key included, of a stream that tells none: Kinesis's default.
const DEFAULT_RECORD_BYTES: usize = 1 << 20;
/// A batch is sent once it has more than this; with a record of the default size it stays below
/// [`MAX_BYTES`].
const BATCH_BYTES: usize = MAX_BYTES - DEFAULT_RECORD_BYTES;

/// Kinesis takes keys of up to 256 characters.
const MAX_KEY_BYTES: usize = 256;

/// The outcome of the records of some objects.
#[derive(Debug, Default)]
pub struct Sent {
    /// Records sent by this run.
    pub records: u64,
    /// Records that earlier runs had sent.
    pub earlier: u64,
    /// Records larger than the stream takes; each was named on standard error.
    pub too_large: u64,
    /// The problems of reading, each in words.
    pub problems: Vec<String>,
}

/// A batch of records, the same in every run over the same objects.
struct LineBatch {
    number: u64,
    object: Arc<str>,
    /// Each with the line on which it begins.
    records: Vec<(u64, Vec<u8>)>,
}

/// Sends every record of the sources that is not in the stream yet: files, folders, URLs, `-` for
/// standard input.
///
/// # Errors
/// When a source cannot be found, the journal cannot be written or Kinesis refuses. What is damaged
/// is sent up to there and named in the result.
pub async fn send(
    clients: &Clients,
    config: &Config,
    sources: &[String],
    journal: Option<&Path>,
) -> anyhow::Result<Sent> {
    let stream_name = config.stream.name.as_str();
    let Found { mut objects, left_out } = find::find(sources, &config.aws).await?;
    left_out.iter().for_each(|one| eprintln!("ivs-processor: {one}"));
    // Batches are read again by a later run, and by this one after a run that was cut off.
    objects.iter_mut().try_for_each(Object::keep).context("cannot read standard input")?;
    let objects: Arc<[Object]> = objects.into();
    let (journal, past) = Journal::open(journal, &objects).await?;
    let mut stored = Stored::default();
    if past.has_unknown() {
        stored = Stored::read(&clients.kinesis, stream_name, past.started).await?;
        let (mut batches, reading) = read_batches(&objects);
        while let Some(batch) = batches.recv().await {
            if past.is_acknowledged(batch.number) {
                batch.records.iter().for_each(|(_, record)| {
                    stored.take(record);
                });
            }
        }
        reading.await?;
    }
    let most_bytes = record_limit(&clients.kinesis, stream_name).await?;
    let mut plan = Plan { past, stored, most_bytes, sent: Sent::default() };
    let (batches, reading) = read_batches(&objects);
    let planned = ReceiverStream::new(batches).filter_map(|batch| ready(plan.add(batch)));
    planned
        .map(|(number, records)| send_batch(clients, stream_name, &journal, number, records))
        .buffer_unordered(CONCURRENCY)
        .try_collect::<()>()
        .await?;
    let mut sent = plan.sent;
    sent.problems = reading.await?.iter().map(ToString::to_string).collect();
    journal.done()?;
    Ok(sent)
}

/// Reads batches on a thread of its own, a few ahead of who takes them; a batch ends with its
/// object. The handle gives what was damaged.
fn read_batches(objects: &Arc<[Object]>) -> (mpsc::Receiver<LineBatch>, JoinHandle<Vec<Damage>>) {
    let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
    let (objects, handle) = (Arc::clone(objects), Handle::current());
    let reading = tokio::task::spawn_blocking(move || {
        let (mut damages, total, mut next) = (Vec::new(), Arc::default(), 0);
        for object in &*objects {
            let (mut records, mut bytes, room) = (Vec::new(), 0, room_of(&object.name));
            let mut hand_over = |records: Vec<(u64, Vec<u8>)>| {
                next += 1;
                let batch = LineBatch { number: next, object: Arc::clone(&object.label), records };
                // A receiver that is gone has met an error, and tells it.
                match sender.blocking_send(batch) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            };
            let read = each_record(object, &handle, &total, |line, record| {
                if !records.is_empty() && bytes + record.len() > MAX_BYTES {
                    bytes = 0;
                    hand_over(std::mem::take(&mut records))?;
                }
                bytes += record.len();
                records.push((line, to_send(record, room)));
                if records.len() < MAX_RECORDS && bytes < BATCH_BYTES {
                    return ControlFlow::Continue(());
                }
                bytes = 0;
                hand_over(std::mem::take(&mut records))
            });
            damages.extend(read.err());
            if !records.is_empty() && hand_over(records).is_break() {
                break;
            }
        }
        damages
    });
    (batches, reading)
}

/// Returns what is sent of a record of a file: itself with its room, or what a line of a rejects object
/// holds.
fn to_send(record: &[u8], room: Option<&str>) -> Vec<u8> {
    let record = unwrapped(record).map_or_else(|| record.to_vec(), |(data, _)| data);
    with_room(record, room)
}

async fn send_batch(
    clients: &Clients,
    stream_name: &str,
    journal: &Journal,
    number: u64,
    records: Vec<Outgoing>,
) -> anyhow::Result<()> {
    journal.begin(number)?;
    for records in records.chunks(MAX_RECORDS) {
        put_records(&clients.kinesis, stream_name, records).await?;
    }
    journal.acknowledge(number)
}

/// The plan that decides record by record what is still to be sent.
struct Plan {
    past: Past,
    stored: Stored,
    /// The most that a record of the stream may have, its key included.
    most_bytes: usize,
    sent: Sent,
}

impl Plan {
    /// Returns what is to be sent of a batch; `None` if it was acknowledged.
    fn add(&mut self, batch: LineBatch) -> Option<(u64, Vec<Outgoing>)> {
        let known = self.past.is_acknowledged(batch.number);
        let mut records = Vec::new();
        for (line, data) in batch.records {
            if data.len() + MAX_KEY_BYTES > self.most_bytes {
                let (object, bytes) = (OneLine(&batch.object), data.len());
                let most = self.most_bytes >> 10;
                eprintln!(
                    "ivs-processor: {object}:{line}: a record of {bytes} bytes was left out: the stream \
                     takes {most} KiB (UpdateMaxRecordSize allows up to 10240)"
                );
                self.sent.too_large += 1;
            } else if known || self.past.is_unknown(batch.number) && self.stored.take(&data) {
                self.sent.earlier += 1;
            } else {
                let partition_key = partition_key(&data);
                records.push(Outgoing { partition_key, explicit_hash_key: None, data });
            }
        }
        self.sent.records += records.len() as u64;
        (!known).then_some((batch.number, records))
    }
}

/// Returns how large a record of the stream may be.
async fn record_limit(kinesis: &aws_sdk_kinesis::Client, stream: &str) -> anyhow::Result<usize> {
    let described = kinesis.describe_stream_summary().stream_name(stream).send().await;
    let described =
        described.map_err(|error| anyhow::anyhow!("stream {stream}: {}", explain(&error)))?;
    let kib = described.stream_description_summary.and_then(|stream| stream.max_record_size_in_kib);
    let bytes = kib.and_then(|kib| usize::try_from(kib).ok()).map(|kib| kib << 10);
    Ok(bytes.unwrap_or(DEFAULT_RECORD_BYTES))
}

/// Returns the key of a record, as its producers should choose it: players apart, so that a popular
/// session does not heat one shard, and what repeats a record in the shard of that record.
pub(crate) fn partition_key(line: &[u8]) -> String {
    // Records without a time have that of their arrival, which is now.
    let limits = DecodeLimits { max_ahead_ms: i64::MAX, ..DecodeLimits::default() };
    match decode(line, now(), &limits) {
        Ok(Event::Gauge(gauge)) => gauge.session_id.into_owned(),
        Ok(Event::Player(sample)) => {
            shortened(format!("{}:{}", sample.session_id, sample.player_id))
        }
        Ok(Event::Fact(fact)) => match fact.scope {
            FactScope::Session { channel_id, .. } if !channel_id.is_empty() => channel_id,
            FactScope::Session { session_id, .. } => session_id,
            _ => "other".to_owned(),
        },
        Ok(Event::Chat(message)) => message.event_id.unwrap_or(message.room_id).into_owned(),
        Err(_) => "malformed".to_owned(),
    }
}

/// Returns a record of a chat log with its room, which IVS writes into the name of the log's object
/// alone.
pub(crate) fn with_room(record: Vec<u8>, room: Option<&str>) -> Vec<u8> {
    let limits = DecodeLimits { max_ahead_ms: i64::MAX, ..DecodeLimits::default() };
    let is_chat = |line: &[u8]| matches!(decode(line, now(), &limits), Ok(Event::Chat(_)));
    let Some(room) = room.filter(|_| !is_chat(&record)) else { return record };
    with_member(&record, "room_id", room).filter(|with| is_chat(with)).unwrap_or(record)
}

/// Returns a key that Kinesis takes.
fn shortened(mut key: String) -> String {
    key.truncate(key.floor_char_boundary(MAX_KEY_BYTES));
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_log_gets_the_room_of_its_object_and_nothing_else_does() {
        let chat =
            br#"{"event_timestamp":"2026-03-31T12:00:00Z","type":"MESSAGE","payload":{"Id":"m"}}"#;
        let text = |record: &[u8], room| {
            String::from_utf8(with_room(record.to_vec(), room)).expect("text")
        };
        assert!(text(chat, Some("r")).starts_with(r#"{"room_id":"r","event_timestamp""#));
        assert_eq!(text(chat, None).as_bytes(), chat);
        let named = text(chat, Some("own"));
        assert_eq!(text(named.as_bytes(), Some("other")), named);
        assert_eq!(text(b"{\"a\":1}", Some("r")), "{\"a\":1}");
    }

    #[test]
    fn a_line_of_a_rejects_object_is_sent_as_the_record_in_it() {
        let line = br#"{"sequenceNumber":"7","arrivalMs":1772366407089,"reason":"no_kind","data":"{\"a\":1}"}"#;
        assert_eq!(to_send(line, None), b"{\"a\":1}");
    }

    #[test]
    fn players_of_one_session_have_keys_of_their_own() {
        let key = |player: &str| {
            partition_key(
                format!(
                    r#"{{"type":"player_telemetry","sessionId":"s","channelId":"c","playerId":"{player}","timestamp":1772366407089,"state":"PLAYING"}}"#
                )
                .as_bytes(),
            )
        };
        assert_eq!(key("p1"), "s:p1");
        assert_ne!(key("p1"), key("p2"));
        assert!(shortened("é".repeat(200)).len() <= MAX_KEY_BYTES);
    }
}
