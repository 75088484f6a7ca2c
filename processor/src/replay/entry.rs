//! The entries that a replay sorts: partial metric rows, partial summaries and timeline items, each
//! with where it comes from.

use std::sync::Arc;

use ivs_core::merge::Merge as _;
use ivs_core::minute::Minute;
use ivs_core::session::SummaryAgg;
use ivs_core::sketch::{Distinct, Sketch as _};
use ivs_core::window::{WindowAgg, WindowKey};
use kinesis_model::EpochMs;

use super::bytes::{Reader, put_bytes, put_u64, read_window, write_window};
use super::sorter::SortEntry;

/// A part of the source: an epoch of a shard, or an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp {
    /// Index of the shard.
    pub(crate) unit: u32,
    /// Index of the epoch in it, 0 for an object.
    pub(crate) part: u32,
}

/// The last part of each shard that a row holds, ascending by shard.
pub(crate) type Stamps = Vec<Stamp>;

fn absorb_stamps(stamps: &mut Stamps, others: Stamps) {
    for other in others {
        match stamps.binary_search_by_key(&other.unit, |stamp| stamp.unit) {
            Ok(at) => stamps[at].part = stamps[at].part.max(other.part),
            Err(at) => stamps.insert(at, other),
        }
    }
}

fn write_stamps(out: &mut Vec<u8>, stamps: &[Stamp]) {
    put_u64(out, stamps.len() as u64);
    for stamp in stamps {
        put_u64(out, u64::from(stamp.unit) << 32 | u64::from(stamp.part));
    }
}

fn read_stamps(from: &mut Reader<'_>) -> Option<Stamps> {
    let count = from.u64()?;
    let stamp = |both: u64| {
        let [unit, part] = [both >> 32, both & u64::from(u32::MAX)].map(u32::try_from);
        Some(Stamp { unit: unit.ok()?, part: part.ok()? })
    };
    (0..count).map(|_| stamp(from.u64()?)).collect()
}

/// A part of a metric row.
#[derive(Debug)]
pub(crate) struct MetricPart {
    /// Which row.
    pub(crate) key: WindowKey,
    /// The fold.
    pub(crate) agg: WindowAgg,
    /// Of what.
    pub(crate) stamps: Stamps,
}

impl SortEntry for MetricPart {
    type Key = WindowKey;

    fn key(&self) -> &WindowKey {
        &self.key
    }

    fn absorb(&mut self, other: Self) {
        self.agg.merge(&other.agg);
        absorb_stamps(&mut self.stamps, other.stamps);
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.key.session_id.as_bytes());
        put_u64(out, self.key.minute.start().0.cast_unsigned());
        write_stamps(out, &self.stamps);
        write_window(out, &self.agg);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let session_id = Arc::from(from.text()?);
        let minute = Minute::of(EpochMs(from.u64()?.cast_signed()));
        let stamps = read_stamps(&mut from)?;
        let agg = read_window(&mut from)?;
        Some(Self { key: WindowKey { session_id, minute }, agg, stamps })
    }

    fn memory_bytes(&self) -> usize {
        let sketches = self.agg.players.heap_bytes()
            + self.agg.latency.heap_bytes()
            + self.agg.startup.heap_bytes()
            + self.agg.playing.heap_bytes()
            + self.agg.breakdown.heap_bytes();
        size_of::<Self>() + sketches + self.stamps.len() * size_of::<Stamp>()
    }
}

/// A part of a session's summary.
#[derive(Debug)]
pub(crate) struct SummaryPart {
    /// Which session.
    pub(crate) session_id: Arc<str>,
    /// The fold.
    pub(crate) agg: SummaryAgg,
    /// Of what.
    pub(crate) stamps: Stamps,
}

impl SortEntry for SummaryPart {
    type Key = Arc<str>;

    fn key(&self) -> &Arc<str> {
        &self.session_id
    }

    fn absorb(&mut self, other: Self) {
        self.agg.merge(&other.agg);
        absorb_stamps(&mut self.stamps, other.stamps);
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.session_id.as_bytes());
        write_stamps(out, &self.stamps);
        put_bytes(out, &self.agg.telemetry.players.to_bytes().unwrap_or_default());
        let state = serde_json::to_vec(&self.agg).expect("sums are texts and keys are names");
        put_bytes(out, &state);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let session_id = Arc::from(from.text()?);
        let stamps = read_stamps(&mut from)?;
        let players = from.bytes()?;
        let mut agg: SummaryAgg = serde_json::from_slice(from.bytes()?).ok()?;
        if !players.is_empty() {
            agg.telemetry.players = Distinct::from_bytes(players).ok()?;
        }
        Some(Self { session_id, agg, stamps })
    }

    fn memory_bytes(&self) -> usize {
        // The sets of facts are small, and few sessions have any.
        size_of::<Self>() + self.agg.telemetry.players.heap_bytes() + 256
    }
}

/// A timeline item.
#[derive(Debug)]
pub(crate) struct FactPart {
    /// Session and sort key × 1,000.
    pub(crate) key: (Arc<str>, i64),
    /// Of two facts with one key the smaller stays, as in the table.
    pub(crate) fingerprint: u64,
    /// Where it was found first.
    pub(crate) stamp: Stamp,
    /// The item without its origin, as JSON.
    pub(crate) item: String,
}

impl SortEntry for FactPart {
    type Key = (Arc<str>, i64);

    fn key(&self) -> &(Arc<str>, i64) {
        &self.key
    }

    fn absorb(&mut self, other: Self) {
        if (other.fingerprint, other.stamp) < (self.fingerprint, self.stamp) {
            *self = other;
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.key.0.as_bytes());
        put_u64(out, self.key.1.cast_unsigned());
        put_u64(out, self.fingerprint);
        write_stamps(out, &[self.stamp]);
        put_bytes(out, self.item.as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let session_id = Arc::from(from.text()?);
        let key = (session_id, from.u64()?.cast_signed());
        let fingerprint = from.u64()?;
        let stamp = read_stamps(&mut from)?.pop()?;
        Some(Self { key, fingerprint, stamp, item: from.text()?.to_owned() })
    }

    fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.item.len()
    }
}
