//! Sends files so that every line is in the stream exactly once, whatever is killed meanwhile.
//!
//! A producer that retries makes duplicates, and a `metrics_update` has no id by which they could
//! be told. So sending keeps a journal: which file, which batches were begun, which were
//! acknowledged. A later run skips what was acknowledged, reads the stream back to learn what
//! arrived of the batches in between, and sends the rest.

mod journal;
mod stored;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use futures::stream::{self, StreamExt, TryStreamExt};
use ivs_core::decode::{DecodeLimits, Event, FactScope, decode};

use super::send::{MAX_BYTES, MAX_RECORDS, Outgoing, put_records};
use crate::archive::lines;
use crate::clock::now;
use crate::cloud::Clients;
use journal::{Journal, Past};
use stored::Stored;

/// Calls in flight. The order of lines does not matter to any row.
const CONCURRENCY: usize = 8;
/// Kinesis's default limit of a record, its partition key included.
const MAX_RECORD_BYTES: usize = 1 << 20;

/// What became of a file's lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Lines sent by this run.
    pub lines: u64,
    /// Lines that earlier runs had sent.
    pub earlier: u64,
    /// Lines larger than a Kinesis record may be; each was named on standard error.
    pub too_large: u64,
}

/// A batch of lines, the same in every run over the same files.
struct Batch {
    number: u64,
    lines: Vec<Vec<u8>>,
}

/// Sends every line of the files that is not in the stream yet.
///
/// # Errors
/// When a file cannot be read, the journal cannot be written or Kinesis refuses.
pub async fn send(
    clients: &Clients,
    stream_name: &str,
    files: &[PathBuf],
    journal: Option<&Path>,
) -> anyhow::Result<Sent> {
    let (journal, past) = Journal::open(journal, files)?;
    let stored = if past.has_unknown() {
        let mut stored = Stored::read(&clients.kinesis, stream_name, past.started).await?;
        for batch in Batches::open(files)? {
            let batch = batch?;
            if past.is_acknowledged(batch.number) {
                for line in &batch.lines {
                    stored.take(line);
                }
            }
        }
        stored
    } else {
        Stored::default()
    };
    let mut plan = Plan { past, stored, sent: Sent::default() };
    let mut to_send = Vec::new();
    let mut batches = Batches::open(files)?;
    loop {
        // A window of batches at a time: the file is read while nothing is in flight, which costs
        // little, and memory holds no more than the window.
        to_send.clear();
        for batch in batches.by_ref().take(CONCURRENCY * 4) {
            plan.add(batch?, &mut to_send);
        }
        if to_send.is_empty() && batches.is_done() {
            break;
        }
        stream::iter(&to_send)
            .map(|(number, records)| send_batch(clients, stream_name, &journal, *number, records))
            .buffer_unordered(CONCURRENCY)
            .try_collect::<()>()
            .await?;
    }
    journal.done()?;
    Ok(plan.sent)
}

async fn send_batch(
    clients: &Clients,
    stream_name: &str,
    journal: &Journal,
    number: u64,
    records: &[Outgoing],
) -> anyhow::Result<()> {
    journal.begin(number)?;
    for records in records.chunks(MAX_RECORDS) {
        put_records(&clients.kinesis, stream_name, records).await?;
    }
    journal.acknowledge(number)
}

/// Decides line by line what is still to be sent.
struct Plan {
    past: Past,
    stored: Stored,
    sent: Sent,
}

impl Plan {
    fn add(&mut self, batch: Batch, to_send: &mut Vec<(u64, Vec<Outgoing>)>) {
        let known = self.past.is_acknowledged(batch.number);
        let mut records = Vec::new();
        for line in batch.lines {
            if line.len() + 256 > MAX_RECORD_BYTES {
                eprintln!(
                    "batch {}: a line of {} bytes is no Kinesis record",
                    batch.number,
                    line.len()
                );
                self.sent.too_large += 1;
            } else if known || self.past.is_unknown(batch.number) && self.stored.take(&line) {
                self.sent.earlier += 1;
            } else {
                records.push(Outgoing { partition_key: partition_key(&line), data: line });
            }
        }
        self.sent.lines += records.len() as u64;
        if !known {
            to_send.push((batch.number, records));
        }
    }
}

/// The key that keeps a session's records in one shard, as its producers would choose it.
pub(crate) fn partition_key(line: &[u8]) -> String {
    // Records without a time have that of their arrival, which is now.
    let limits = DecodeLimits { max_ahead_ms: i64::MAX, ..DecodeLimits::default() };
    match decode(line, now(), &limits) {
        Ok(Event::Gauge(gauge)) => gauge.session_id.into_owned(),
        Ok(Event::Player(sample)) => sample.session_id.into_owned(),
        Ok(Event::Fact(fact)) => match fact.scope {
            FactScope::Session { channel_id, .. } if !channel_id.is_empty() => channel_id,
            FactScope::Session { session_id, .. } => session_id,
            _ => "other".to_owned(),
        },
        Ok(Event::Chat(_)) => "chat".to_owned(),
        Err(_) => "malformed".to_owned(),
    }
}

/// The batches of some files, one after the other; a batch ends with its file.
struct Batches<'a> {
    files: std::slice::Iter<'a, PathBuf>,
    current: Option<(&'a Path, Box<dyn std::io::BufRead + Send>)>,
    next: u64,
}

impl<'a> Batches<'a> {
    fn open(files: &'a [PathBuf]) -> anyhow::Result<Self> {
        let mut batches = Self { files: files.iter(), current: None, next: 0 };
        batches.next_file()?;
        Ok(batches)
    }

    fn is_done(&self) -> bool {
        self.current.is_none()
    }

    fn next_file(&mut self) -> anyhow::Result<()> {
        self.current = match self.files.next() {
            None => None,
            Some(path) => {
                let reader =
                    lines::open(path).with_context(|| format!("cannot read {}", path.display()))?;
                Some((path, reader))
            }
        };
        Ok(())
    }

    fn read(&mut self) -> anyhow::Result<Option<Batch>> {
        while let Some((path, reader)) = &mut self.current {
            let (mut lines, mut bytes, mut line) = (Vec::new(), 0, Vec::new());
            while lines.len() < MAX_RECORDS && bytes < MAX_BYTES - MAX_RECORD_BYTES {
                let read = lines::next_line(&mut **reader, &mut line);
                let read = read.with_context(|| format!("cannot read {}", path.display()))?;
                if read.is_none() {
                    break;
                }
                bytes += line.len();
                if !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                }
            }
            if !lines.is_empty() {
                self.next += 1;
                return Ok(Some(Batch { number: self.next, lines }));
            }
            self.next_file()?;
        }
        Ok(None)
    }
}

impl Iterator for Batches<'_> {
    type Item = anyhow::Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
