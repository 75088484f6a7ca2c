//! The epoch that is being read: classification and folding.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Dedupe, EventId, Objects, Rows};
use crate::decode::{self, Decoder, Event, FactKind, Reason, Rejection};
use crate::session::SessionFold;
use crate::window::{WindowAgg, WindowFold, WindowKey};
use kinesis_model::{EpochMs, Position, Record};

/// CloudWatch takes points up to two weeks old; older ones are counted, not emitted.
const LATE_AFTER_MS: i64 = 14 * 24 * 3_600_000;

/// What became of an epoch's records: read = accepted + duplicate + rejected (E6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records read, each line of a record with several counted.
    pub read: u64,
    /// Records folded.
    pub accepted: u64,
    /// Records that repeat an earlier one of the shard.
    pub duplicate: u64,
    /// Records refused, by reason.
    pub rejected: BTreeMap<Reason, u64>,
    /// Accepted records too old for CloudWatch: in the rows, not in the metrics.
    pub late: u64,
    /// Accepted IVS events of a type this version does not know.
    pub unknown: u64,
    /// Times the end of a prepared epoch was gone from the stream when it was to be recovered.
    pub retention_gaps: u64,
}

impl Counts {
    /// Records refused for any reason.
    #[must_use]
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Adds another epoch's counts.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.accepted += other.accepted;
        self.duplicate += other.duplicate;
        self.late += other.late;
        self.unknown += other.unknown;
        self.retention_gaps += other.retention_gaps;
        for (&reason, count) in &other.rejected {
            *self.rejected.entry(reason).or_default() += count;
        }
    }
}

/// A record that was refused, whole, with the reason: nothing is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Where it stands in the shard.
    pub position: Position,
    /// The line inside the record, from 0.
    pub line: u64,
    /// The producer's partition key.
    pub partition_key: std::sync::Arc<str>,
    /// When it arrived.
    pub arrival: EpochMs,
    /// Why it was refused.
    pub rejection: Rejection,
    /// Its bytes.
    pub data: Bytes,
}

/// The open epoch.
#[derive(Debug)]
pub(super) struct OpenEpoch {
    from: Option<Position>,
    to: Option<Position>,
    opened: EpochMs,
    first_arrival: EpochMs,
    keep_records: bool,
    counts: Counts,
    bytes: u64,
    windows: WindowFold,
    sessions: SessionFold,
    rejected: Vec<Rejected>,
    segment: Vec<Record>,
}

impl OpenEpoch {
    /// An empty epoch that begins after `from`.
    pub(super) fn after(from: Option<Position>, keep_records: bool) -> Self {
        Self {
            from,
            to: None,
            opened: EpochMs(0),
            first_arrival: EpochMs(0),
            keep_records,
            counts: Counts::default(),
            bytes: 0,
            windows: WindowFold::default(),
            sessions: SessionFold::default(),
            rejected: Vec::new(),
            segment: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.to.is_none()
    }

    /// What is folded so far, in no order.
    pub(super) fn windows(&self) -> impl Iterator<Item = &(WindowKey, WindowAgg)> {
        self.windows.iter()
    }

    /// The last position folded.
    pub(super) fn to(&self) -> Option<Position> {
        self.to
    }

    /// When its first record was read, by the driver's clock.
    pub(super) fn opened(&self) -> EpochMs {
        self.opened
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Rows the epoch will touch, less the summaries of sessions of which it has windows only.
    pub(super) fn rows(&self) -> usize {
        self.windows.len() + self.sessions.len()
    }

    pub(super) fn note_gap(&mut self) {
        self.counts.retention_gaps += 1;
    }

    /// Classifies and folds every line of one user record.
    pub(super) fn fold(
        &mut self,
        position: Position,
        record: &Record,
        data: &Bytes,
        decoder: &mut Decoder,
        dedupe: &mut Dedupe,
        now: EpochMs,
    ) {
        self.touch(position, record, now);
        for (number, line) in (0..).zip(decode::lines(data)) {
            self.counts.read += 1;
            let decoded = decoder.decode(line, record.arrival);
            // Borrowed where it stands: an event is large.
            let event = match &decoded {
                Ok(event) => event,
                Err(rejection) => {
                    let data = data.slice_ref(line);
                    self.push_rejected(position, number, record, data, rejection.clone());
                    continue;
                }
            };
            if event.event_id().is_some_and(|id| dedupe.repeats(EventId::of(id))) {
                self.counts.duplicate += 1;
                continue;
            }
            self.counts.accepted += 1;
            self.counts.late += u64::from(event.time().0 < record.arrival.0 - LATE_AFTER_MS);
            match event {
                Event::Gauge(gauge) => self.windows.add_gauge(gauge),
                Event::Player(sample) => self.windows.add_player(sample),
                Event::Chat(message) => self.windows.add_chat(message),
                Event::Fact(fact) => {
                    let unknown = matches!(fact.kind, FactKind::Unknown { .. });
                    self.counts.unknown += u64::from(unknown);
                    self.sessions.add_fact(fact);
                }
            }
        }
    }

    /// Refuses a user record that could not even be taken out of its aggregate.
    pub(super) fn reject(
        &mut self,
        position: Position,
        record: &Record,
        rejection: &Rejection,
        now: EpochMs,
    ) {
        self.touch(position, record, now);
        self.counts.read += 1;
        self.push_rejected(position, 0, record, record.data.clone(), rejection.clone());
    }

    fn push_rejected(
        &mut self,
        position: Position,
        line: u64,
        record: &Record,
        data: Bytes,
        rejection: Rejection,
    ) {
        *self.counts.rejected.entry(rejection.reason).or_default() += 1;
        self.rejected.push(Rejected {
            position,
            line,
            partition_key: record.partition_key.clone(),
            arrival: record.arrival,
            rejection,
            data,
        });
    }

    fn touch(&mut self, position: Position, record: &Record, now: EpochMs) {
        let new_record = self.to.is_none_or(|to| to.sequence != record.sequence);
        if self.to.is_none() {
            self.opened = now;
            self.first_arrival = record.arrival;
        }
        if new_record {
            self.bytes += record.data.len() as u64;
            if self.keep_records {
                self.segment.push(record.clone());
            }
        }
        self.to = Some(position);
    }

    /// Ends the epoch at `to`.
    pub(super) fn close(mut self, to: Position) -> (Rows, Objects) {
        let metrics = self.windows.drain();
        for (key, partial) in &metrics {
            self.sessions.absorb_window(key, partial);
        }
        let sessions = self.sessions.drain();
        let rows = Rows {
            metrics,
            summaries: sessions.summaries,
            timeline: sessions.timeline,
            account_facts: sessions.account_facts,
        };
        let objects = Objects {
            from: self.from,
            to,
            first_arrival: self.first_arrival,
            rejected: self.rejected,
            segment: self.segment,
            hash_range: None,
        };
        (rows, objects)
    }
}

/// Notes the event ids of a record that was committed before, and folds nothing.
pub(super) fn warm_up(dedupe: &mut Dedupe, data: &[u8], arrival: EpochMs, decoder: &mut Decoder) {
    for line in decode::lines(data) {
        if let Ok(event) = decoder.decode(line, arrival)
            && let Some(id) = event.event_id()
        {
            dedupe.repeats(EventId::of(id));
        }
    }
}
