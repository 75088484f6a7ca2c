//! Rejected records and archive segments, as objects with deterministic names.
//!
//! A second write of an epoch has the same name and the same bytes, so it is the same write.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ivs_core::archive;
use ivs_core::epoch::{Objects, Rejected};
use kinesis_model::{EpochMs, HashRange, Position, Record, ShardId};
use md5::{Digest as _, Md5};
use object_store::path::Path;
use serde_json::json;

use super::patience::Refused;
use super::retry::persist_object;
use super::upload::{self, Body};
use super::{SetAside, SinkError, set_aside};
use crate::archive::segment::LOST_END;
use crate::cloud::store_url::StoreUrl;
use crate::sink::stats::Stats;

/// About the size of the object that says what is lost: ids and positions.
const LOST_BYTES: usize = 256;
/// Archive compression: level 3 is zstd's own default, 7 times smaller than telemetry in JSON.
const ZSTD_LEVEL: i32 = 3;

/// Where rejects and archive go. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ObjectSink {
    stream: Arc<str>,
    rejects: StoreUrl,
    archive: Option<StoreUrl>,
    stats: Arc<Stats>,
}

impl ObjectSink {
    /// Returns a sink that keeps rejects, and segments if there is an archive.
    #[must_use]
    pub fn new(
        rejects: StoreUrl,
        archive: Option<StoreUrl>,
        stream: &str,
        stats: Arc<Stats>,
    ) -> Self {
        Self { stream: Arc::from(stream), rejects, archive, stats }
    }

    /// Stores what an epoch leaves beside its rows. Each object is made while it is stored.
    ///
    /// # Errors
    /// When an object is not acknowledged in all tries.
    pub async fn store(&self, shard: &ShardId, objects: &Arc<Objects>) -> Result<(), SinkError> {
        let name = epoch_name(&self.stream, shard, objects.first_arrival, objects.from, objects.to);
        if !objects.rejected.is_empty() {
            self.stats.note_rejects(shard, &objects.rejected);
            let bytes = objects.rejected.iter().map(|record| record.data.len()).sum();
            let (shard, objects) = (shard.clone(), Arc::clone(objects));
            let body: Body = Arc::new(move |out| write_rejects(out, &shard, &objects.rejected));
            self.put(&self.rejects, &format!("{name}.rejects.ndjson"), &body, bytes).await?;
        }
        if let Some(archive) = &self.archive
            && !objects.segment.is_empty()
        {
            let bytes = objects.segment.iter().map(|record| record.data.len()).sum();
            let objects = Arc::clone(objects);
            let body: Body =
                Arc::new(move |out| write_segment(out, &objects.segment, objects.hash_range));
            self.put(archive, &format!("{name}.ndjson.zst"), &body, bytes).await?;
        }
        if let Some(archive) = &self.archive
            && objects.end_is_lost
        {
            let name = lost_end_name(&self.stream, shard, objects.first_arrival, objects.to);
            let line = json!({ "shardId": shard.as_str(), "lostAfter": objects.to.to_string() });
            let body: Body = Arc::new(move |out| writeln!(out, "{line}"));
            self.put(archive, &name, &body, LOST_BYTES).await?;
        }
        Ok(())
    }

    /// Stores what an epoch could not write, before it is committed.
    ///
    /// # Errors
    /// As [`ObjectSink::store`].
    pub async fn store_set_aside(
        &self,
        shard: &ShardId,
        objects: &Objects,
        rows: &[SetAside],
    ) -> Result<(), SinkError> {
        if rows.is_empty() {
            return Ok(());
        }
        let name = epoch_name(&self.stream, shard, objects.first_arrival, objects.from, objects.to);
        let body = set_aside::body(shard, objects.to, rows);
        let bytes = body.len();
        let body: Body = Arc::new(move |out| out.write_all(&body));
        self.put(&self.rejects, &format!("{name}.rows.ndjson"), &body, bytes).await
    }

    /// Keeps what a service will never take, of the epoch that ends at `epoch`.
    ///
    /// # Errors
    /// As [`ObjectSink::store`].
    pub async fn store_refused(
        &self,
        shard: &ShardId,
        epoch: &str,
        at: EpochMs,
        refused: &[Refused],
    ) -> Result<(), SinkError> {
        let line = |each: &Refused| {
            let line = json!({
                "shardId": shard.as_str(),
                "to": epoch,
                "reason": each.reason,
                "refused": each.what,
            });
            format!("{line}\n")
        };
        let lines: String = refused.iter().map(line).collect();
        // By its content: another part of the epoch may be refused at another time.
        let print: [u8; 16] = Md5::digest(&lines).into();
        let print = u128::from_be_bytes(print);
        let hour = hour(at);
        let name = format!("{}/{shard}/{hour}/{epoch}.{print:032x}.refused.ndjson", self.stream);
        let bytes = lines.len();
        let body: Body = Arc::new(move |out| out.write_all(lines.as_bytes()));
        self.put(&self.rejects, &name, &body, bytes).await
    }

    async fn put(
        &self,
        url: &StoreUrl,
        name: &str,
        body: &Body,
        about_bytes: usize,
    ) -> Result<(), SinkError> {
        let path: Path = url.path(name);
        let stored =
            persist_object(&self.stats, || upload::put(url.store(), &path, body, about_bytes));
        stored.await.map_err(|error| {
            let (path, reason) = (path.to_string(), error.to_string());
            SinkError::Object { path, reason }
        })?;
        self.stats.objects.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// Names an epoch's objects: `<stream>/<shard>/YYYY/MM/DD/HH/<from>-<to>`, the hour that of its
/// first arrival. `from` is exclusive and `start` at the beginning of a shard.
#[must_use]
pub fn epoch_name(
    stream: &str,
    shard: &ShardId,
    first_arrival: EpochMs,
    from: Option<Position>,
    to: Position,
) -> String {
    let hour = hour(first_arrival);
    let flat = |position: Position| position.to_string().replace('/', ".");
    let from = from.map_or_else(|| "start".to_owned(), flat);
    format!("{stream}/{shard}/{hour}/{from}-{}", flat(to))
}

/// `<stream>/<shard>/YYYY/MM/DD/HH/<to>-end.gap.json`: what the shard held behind `to` is lost.
fn lost_end_name(stream: &str, shard: &ShardId, at: EpochMs, to: Position) -> String {
    let to = to.to_string().replace('/', ".");
    format!("{stream}/{shard}/{}/{to}{LOST_END}", hour(at))
}

/// `YYYY/MM/DD/HH` of a time, UTC.
fn hour(at: EpochMs) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.strftime("%Y/%m/%d/%H").to_string()
}

/// Writes one JSON object a record: where it stands, why its first refused line was refused, how
/// many were by which reason, and the record itself, whole and once.
fn write_rejects(
    out: &mut dyn Write,
    shard: &ShardId,
    rejected: &[Rejected],
) -> std::io::Result<()> {
    for record in rejected {
        let refused = record.refused.iter().map(|(reason, lines)| (reason.as_str(), *lines));
        let mut line = json!({
            "shardId": shard.as_str(),
            "sequenceNumber": record.position.sequence.to_string(),
            "subSequenceNumber": record.position.sub,
            "line": record.line,
            "partitionKey": &*record.partition_key,
            "arrivalMs": record.arrival.0,
            "reason": record.rejection.reason.as_str(),
            "error": record.rejection.to_string(),
            "refused": refused.collect::<BTreeMap<_, _>>(),
        });
        archive::put_data(&mut line, &record.data);
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Writes one JSON object a line, compressed: what `replay` needs to do it all again.
///
/// The first line also tells the shard's hash keys, by which records of an aggregate are refused
/// that belong to another shard. The checksum lets a reader find every damage.
fn write_segment(
    out: &mut dyn Write,
    records: &[Record],
    range: Option<HashRange>,
) -> std::io::Result<()> {
    let mut encoder = zstd::Encoder::new(out, ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    let mut range = range;
    for record in records {
        writeln!(encoder, "{}", archive::object(record, range.take()))?;
    }
    encoder.finish().map(drop)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use ivs_core::decode::{DecodeLimits, decode};
    use serde_json::Value;

    use super::*;
    use crate::config::Aws;

    fn at(sequence: u128, sub: u64) -> Position {
        Position { sequence: sequence.into(), sub }
    }

    #[test]
    fn names_tell_stream_shard_hour_and_range() {
        let shard = ShardId::new("shardId-000000000003");
        let first = EpochMs(1_772_366_407_000);
        assert_eq!(
            epoch_name("ivs-events", &shard, first, None, at(9, 0)),
            "ivs-events/shardId-000000000003/2026/03/01/12/start-9"
        );
        assert_eq!(
            epoch_name("s", &shard, first, Some(at(9, 0)), at(12, 4)),
            "s/shardId-000000000003/2026/03/01/12/9-12.4"
        );
    }

    /// The reader of archives knows it as such.
    #[tokio::test]
    async fn the_lost_end_of_a_shard_is_an_object_of_the_archive() {
        let dir = tempfile::tempdir().unwrap();
        let url = |name: &str| format!("file://{}/{name}", dir.path().display());
        let open = |name: &str| StoreUrl::open(&url(name), &Aws::default()).unwrap();
        let sink = ObjectSink::new(open("r"), Some(open("a")), "s", Arc::default());
        let first_arrival = EpochMs(1_772_366_407_000);
        let objects =
            Objects { to: at(9, 4), first_arrival, end_is_lost: true, ..Objects::default() };
        sink.store(&ShardId::new("shardId-0"), &Arc::new(objects)).await.unwrap();
        let found = crate::archive::find::find(&[url("a")], &Aws::default()).await.unwrap();
        let (chains, foreign) = crate::archive::segment::chains(found.objects);
        assert!(foreign.is_empty(), "{foreign:?}");
        let [chain] = &chains[..] else { panic!("{chains:?}") };
        assert!(chain.end_is_lost && chain.segments.is_empty());
        let path = "a/s/shardId-0/2026/03/01/12/9.4-end.gap.json";
        assert!(dir.path().join(path).exists());
    }

    #[test]
    fn a_reject_is_kept_whole_even_when_it_is_not_text() {
        let data = bytes::Bytes::from_static(b"\xff{");
        let rejection = decode(&data, EpochMs(5), &DecodeLimits::default()).unwrap_err();
        let rejected = Rejected {
            position: at(7, 1),
            partition_key: Arc::from("k"),
            arrival: EpochMs(5),
            line: 2,
            refused: BTreeMap::from([(rejection.reason, 500)]),
            rejection,
            data,
        };
        let mut body = Vec::new();
        write_rejects(&mut body, &ShardId::new("s"), &[rejected]).unwrap();
        let line: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(line["sequenceNumber"], "7");
        assert_eq!(line["subSequenceNumber"], 1);
        assert_eq!(line["reason"], "not_json");
        assert_eq!(line["refused"], json!({ "not_json": 500 }));
        assert_eq!(STANDARD.decode(line["dataBase64"].as_str().unwrap()).unwrap(), b"\xff{");
    }
}
