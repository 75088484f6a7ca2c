//! The epoch that is being read: which lines a record has, and what becomes of each.

use std::collections::BTreeMap;
use std::convert::Infallible;

use bytes::Bytes;

use super::{Counts, Dedupe, ElapsedMs, EventId, Objects, Rejected, Rows, ShardConfig};
use crate::decode::{Context, Decoder, Event, Rejection};
use crate::fold::Fold;
use crate::window::{WindowAgg, WindowKey};
use kinesis_model::{EpochMs, Gap, Position, Record};

/// The memory of a rejected record beside its bytes.
const REJECTED_BYTES: u64 = 300;
/// The memory of a kept record beside its payload.
const RECORD_BYTES: u64 = 150;
/// A row is held twice while it is written: as the epoch's part, and as the row with that part in it.
const COPIES: u64 = 2;

/// The open epoch.
#[derive(Debug)]
pub(super) struct OpenEpoch {
    from: Option<Position>,
    to: Option<Position>,
    opened: ElapsedMs,
    first_arrival: EpochMs,
    keep_records: bool,
    bytes: u64,
    fold: Fold,
    gaps: Vec<Gap>,
    rejected: Vec<Rejected>,
    segment: Vec<Record>,
    /// Payload that is kept: of rejected records, and of all if there is an archive.
    kept_bytes: u64,
}

impl OpenEpoch {
    /// Creates an empty epoch that begins after `from`.
    pub(super) fn after(from: Option<Position>, config: &ShardConfig) -> Self {
        Self {
            from,
            to: None,
            opened: ElapsedMs(0),
            first_arrival: EpochMs(0),
            keep_records: config.archive,
            bytes: 0,
            fold: Fold::new(true, config.dimensions.clone()),
            gaps: Vec::new(),
            rejected: Vec::new(),
            segment: Vec::new(),
            kept_bytes: 0,
        }
    }

    /// Returns about what it takes in memory, once it is written at the latest.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.kept_bytes + COPIES * self.fold.memory_bytes() as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.to.is_none()
    }

    /// Returns what is folded so far, in no order.
    pub(super) fn windows(&self) -> impl Iterator<Item = &(WindowKey, WindowAgg)> {
        self.fold.windows()
    }

    /// Returns the position before the first record.
    pub(super) fn from(&self) -> Option<Position> {
        self.from
    }

    /// Returns the last position folded.
    pub(super) fn to(&self) -> Option<Position> {
        self.to
    }

    /// Returns when its first record was folded.
    pub(super) fn opened(&self) -> ElapsedMs {
        self.opened
    }

    /// Returns the arrival of its first record.
    pub(super) fn first_arrival(&self) -> Option<EpochMs> {
        self.to.map(|_| self.first_arrival)
    }

    pub(super) fn counts(&self) -> &Counts {
        self.fold.counts()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the rows that it touches, less the summaries of sessions that have windows only.
    pub(super) fn rows(&self) -> usize {
        self.fold.rows()
    }

    /// Counts a gap.
    pub(super) fn note_gap(&mut self, gap: Gap) {
        self.fold.note_gap();
        self.gaps.push(gap);
    }

    /// Makes an epoch without records begin after `from`.
    pub(super) fn begin_after(&mut self, from: Position) {
        debug_assert!(self.is_empty(), "an epoch has no hole inside");
        self.from = Some(from);
    }

    /// Classifies and folds every event of one user record.
    pub(super) fn fold(
        &mut self,
        position: Position,
        record: &Record,
        data: &Bytes,
        (decoder, dedupe): (&mut Decoder, &mut Dedupe),
        now: ElapsedMs,
    ) {
        self.touch(position, record, now);
        let (mut number, mut refused) = (0, None::<Rejected>);
        let context = Context::from(record.arrival);
        let Ok(()) = decoder.read(data, &context, |_, decoded| {
            match decoded {
                Ok(event) => {
                    self.fold.accept(event, Some(record.arrival), |id| {
                        dedupe.is_on() && dedupe.repeats(EventId::of(id))
                    });
                }
                Err(rejection) => {
                    self.fold.reject(rejection.reason);
                    let first = || rejected(position, number, record, data, rejection);
                    let kept = refused.get_or_insert_with(first);
                    *kept.refused.entry(rejection.reason).or_default() += 1;
                }
            }
            number += 1;
            Ok::<(), Infallible>(())
        });
        if let Some(kept) = refused {
            self.keep(kept);
        }
    }

    /// Refuses a record that could not even be taken apart.
    pub(super) fn reject(
        &mut self,
        position: Position,
        record: &Record,
        rejection: &Rejection,
        now: ElapsedMs,
    ) {
        self.touch(position, record, now);
        self.fold.reject(rejection.reason);
        let mut kept = rejected(position, 0, record, &record.data, rejection);
        kept.refused.insert(rejection.reason, 1);
        self.keep(kept);
    }

    fn keep(&mut self, kept: Rejected) {
        self.kept_bytes += kept.data.len() as u64 + REJECTED_BYTES;
        self.rejected.push(kept);
    }

    fn touch(&mut self, position: Position, record: &Record, now: ElapsedMs) {
        let new_record = self.to.is_none_or(|to| to.sequence != record.sequence);
        if self.to.is_none() {
            self.opened = now;
            self.first_arrival = record.arrival;
        }
        if new_record {
            self.bytes += record.data.len() as u64;
            if self.keep_records {
                self.kept_bytes += record.data.len() as u64 + RECORD_BYTES;
                self.segment.push(record.clone());
            }
        }
        self.to = Some(position);
    }

    /// Ends the epoch at `to`.
    pub(super) fn close(mut self, to: Position) -> ((Rows, Counts), Objects, Vec<Gap>) {
        let objects = Objects {
            from: self.from,
            to,
            first_arrival: self.first_arrival,
            rejected: self.rejected,
            segment: self.segment,
            hash_range: None,
            end_is_lost: self.gaps.iter().any(|gap| gap.first_seen.is_none()),
        };
        (self.fold.drain(), objects, self.gaps)
    }
}

/// Begins to keep a record; its lines are to be counted. Its bytes are copied, because those that came
/// share a buffer with all other records of an answer, which would stay as long.
fn rejected(
    position: Position,
    line: u64,
    record: &Record,
    data: &Bytes,
    rejection: &Rejection,
) -> Rejected {
    Rejected {
        position,
        partition_key: record.partition_key.clone(),
        arrival: record.arrival,
        line,
        rejection: rejection.clone(),
        refused: BTreeMap::new(),
        data: Bytes::copy_from_slice(data),
    }
}

/// Notes the event ids of a record that was committed before, and folds nothing.
pub(super) fn warm_up(dedupe: &mut Dedupe, data: &[u8], arrival: EpochMs, decoder: &mut Decoder) {
    let read = decoder.read(data, &Context::from(arrival), |_, decoded| {
        if let Some(id) = decoded.ok().and_then(Event::event_id) {
            dedupe.repeats(EventId::of(id));
        }
        Ok::<(), Infallible>(())
    });
    let Ok(()) = read;
}
