//! The one place that decides on a record: the worker's epochs and `replay` fold through here.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::decode::{Event, Fact, Reason};
use crate::experience::Dimensions;
use crate::session::{SessionFold, SummaryAgg, TimelineItem};
use crate::window::{WindowAgg, WindowFold, WindowKey};
use kinesis_model::EpochMs;

/// About what a session's summary takes in memory, with its facts and its places in maps.
const SESSION_BYTES: usize = size_of::<SummaryAgg>() + 1_000;

/// CloudWatch takes points up to two weeks old; older ones are counted, not emitted.
const LATE_AFTER_MS: i64 = 14 * 24 * 3_600_000;

/// The outcome of records: read = accepted + duplicate + rejected (E6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records read, each event and each refusal of a record with several counted.
    pub read: u64,
    /// Records folded.
    pub accepted: u64,
    /// Records that repeat an earlier one of the shard.
    pub duplicate: u64,
    /// Records refused, by reason.
    pub rejected: BTreeMap<Reason, u64>,
    /// Accepted records too old for CloudWatch: in the rows, not in the metrics.
    pub late: u64,
    /// Accepted events of IVS or of the QoS sample of a type this version does not know.
    pub unknown: u64,
    /// Accepted records of players whose latency was below zero and left out: a clock is ahead.
    pub negative_latency: u64,
    /// Times that records were gone from the stream before they were read.
    pub retention_gaps: u64,
}

impl Counts {
    /// Returns the records refused for any reason.
    #[must_use]
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Adds the counts of other records.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.accepted += other.accepted;
        self.duplicate += other.duplicate;
        self.late += other.late;
        self.unknown += other.unknown;
        self.negative_latency += other.negative_latency;
        self.retention_gaps += other.retention_gaps;
        for (&reason, count) in &other.rejected {
            *self.rejected.entry(reason).or_default() += count;
        }
    }
}

/// Partial aggregates, one per row, sorted by key.
#[derive(Debug, Default)]
pub struct Rows {
    /// Per (session, minute).
    pub metrics: Vec<(WindowKey, WindowAgg)>,
    /// Per session.
    pub summaries: Vec<(Arc<str>, SummaryAgg)>,
    /// Immutable facts.
    pub timeline: Vec<TimelineItem>,
    /// Facts that belong to no session, and so to no row: metrics and domain events only.
    pub account_facts: Vec<Fact>,
}

impl Rows {
    /// Returns how many rows are touched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.metrics.len() + self.summaries.len() + self.timeline.len()
    }

    /// Returns whether no row is touched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The fold of some records: partial rows, and what became of each record.
#[derive(Debug)]
pub struct Fold {
    windows: WindowFold,
    sessions: SessionFold,
    wants_sessions: bool,
    counts: Counts,
}

impl Default for Fold {
    fn default() -> Self {
        Self::new(true, Some(Dimensions::shared()))
    }
}

impl Fold {
    /// Returns the windows as they are, in no order; their sketches may lack the latest values.
    pub fn windows(&self) -> impl Iterator<Item = &(WindowKey, WindowAgg)> {
        self.windows.iter()
    }

    /// Creates a fold of nothing; without sessions it gives metric rows alone, without dimensions
    /// neither views nor breakdowns.
    #[must_use]
    pub fn new(wants_sessions: bool, dimensions: Option<Arc<Dimensions>>) -> Self {
        Self {
            windows: WindowFold::with(dimensions),
            sessions: SessionFold::default(),
            wants_sessions,
            counts: Counts::default(),
        }
    }

    /// Counts an event, and folds it unless `repeats` says that its id came before.
    ///
    /// `arrival` is by what lateness is judged; `None` where the source knows no arrival times.
    #[inline]
    pub fn accept(
        &mut self,
        event: &Event<'_>,
        arrival: Option<EpochMs>,
        repeats: impl FnOnce(&str) -> bool,
    ) {
        self.counts.read += 1;
        if event.event_id().is_some_and(repeats) {
            self.counts.duplicate += 1;
            return;
        }
        self.counts.accepted += 1;
        let is_late = arrival.is_some_and(|at| event.time().0 < at.0 - LATE_AFTER_MS);
        self.counts.late += u64::from(is_late);
        match event {
            Event::Gauge(gauge) => self.windows.add_gauge(gauge),
            Event::Player(sample) => {
                self.counts.negative_latency += u64::from(sample.latency_below_zero);
                self.windows.add_player(sample);
            }
            Event::Chat(message) => self.windows.add_chat(message),
            Event::Fact(fact) => {
                self.counts.unknown += u64::from(fact.kind.is_unknown());
                if self.wants_sessions {
                    self.sessions.add_fact(fact);
                }
            }
        }
    }

    /// Counts a record that was refused.
    pub fn reject(&mut self, reason: Reason) {
        self.counts.read += 1;
        *self.counts.rejected.entry(reason).or_default() += 1;
    }

    /// Counts records that the stream no longer held.
    pub fn note_gap(&mut self) {
        self.counts.retention_gaps += 1;
    }

    /// Returns what became of the records so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Returns how many rows are touched, less the summaries of sessions that have windows only.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.windows.len() + self.sessions.len()
    }

    /// Returns about how much memory windows and sessions take, and the summaries that
    /// [`Fold::drain`] makes of windows.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let made = if self.wants_sessions { self.windows.sessions() } else { 0 };
        self.windows.memory_bytes() + (self.sessions.len() + made) * SESSION_BYTES
    }

    /// Takes out the partial rows and the counts, and starts anew.
    pub fn drain(&mut self) -> (Rows, Counts) {
        let metrics = self.windows.drain();
        if self.wants_sessions {
            for (key, partial) in &metrics {
                self.sessions.absorb_window(key, partial);
            }
        }
        let sessions = self.sessions.drain();
        let rows = Rows {
            metrics,
            summaries: sessions.summaries,
            timeline: sessions.timeline,
            account_facts: sessions.account_facts,
        };
        (rows, std::mem::take(&mut self.counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{DecodeLimits, decode};

    const ARRIVAL: EpochMs = EpochMs(1_772_366_407_000);

    #[test]
    fn late_unknown_repeated_and_refused_records_are_counted_wherever_they_are_folded() {
        let fact = r#"{"detail-type":"IVS Brand New Thing","source":"aws.ivs","id":"1","account":"1","time":"2026-01-01T12:00:00Z","region":"eu-west-1","resources":["arn:aws:ivs:eu-west-1:1:channel/c"],"detail":{"stream_id":"st-1"}}"#;
        let event = decode(fact.as_bytes(), ARRIVAL, &DecodeLimits::default()).unwrap();
        let mut fold = Fold::default();
        fold.accept(&event, Some(ARRIVAL), |_| false);
        fold.accept(&event, None, |_| false);
        fold.accept(&event, Some(ARRIVAL), |_| true);
        fold.reject(Reason::NotJson);
        let (_, counts) = fold.drain();
        assert_eq!((counts.read, counts.accepted, counts.duplicate), (4, 2, 1));
        assert_eq!((counts.late, counts.unknown, counts.rejected_total()), (1, 2, 1));
        assert_eq!(fold.counts(), &Counts::default(), "it starts anew");
    }

    #[test]
    fn without_sessions_there_are_metric_rows_alone() {
        let gauge = r#"{"eventType":"metrics_update","sessionId":"s","channelId":"c","timestamp":1772366407000,"currentViewers":1}"#;
        let event = decode(gauge.as_bytes(), ARRIVAL, &DecodeLimits::default()).unwrap();
        let rows = |wants_sessions| {
            let mut fold = Fold::new(wants_sessions, None);
            fold.accept(&event, Some(ARRIVAL), |_| false);
            fold.drain().0
        };
        assert_eq!((rows(false).metrics.len(), rows(false).summaries.len()), (1, 0));
        assert_eq!((rows(true).metrics.len(), rows(true).summaries.len()), (1, 1));
    }
}
