//! The period cut into hours of the clock, and into equal steps for charts.

use ivs_schemas::report::{Hour, Point, ReportType, Series};

use super::bucket::Bucket;
use super::period::Period;
use crate::merge::Merge as _;
use kinesis_model::EpochMs;

/// Milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;

/// Length of a chart's steps: some 300 to 400 points, what a chart as wide as a page can show.
const fn step_s(kind: ReportType) -> u32 {
    match kind {
        ReportType::Daily => 300,
        ReportType::Weekly => 1_800,
        ReportType::Monthly => 7_200,
    }
}

/// A stretch of the period with what its rows add up to.
#[derive(Debug)]
struct Slot {
    start: EpochMs,
    bucket: Bucket,
}

/// Consecutive slots from the start of a period to its end, at most some 750.
#[derive(Debug)]
pub(super) struct Slots(Vec<Slot>);

impl Slots {
    /// Divides the period into hours by the zone's clock. A change of offset begins a new one, so
    /// an hour that the clock shows twice is two.
    pub(super) fn hours(period: &Period) -> Self {
        Self::cut(period, |at| {
            let zoned = period.zoned(at);
            let into_hour_ms =
                i64::from(zoned.minute()) * 60_000 + i64::from(zoned.second()) * 1_000;
            let next = EpochMs(at.0 + HOUR_MS - into_hour_ms);
            period.next_change(at).map_or(next, |change| next.min(change))
        })
    }

    /// Divides the period into equal steps.
    pub(super) fn steps(period: &Period) -> Self {
        let step_ms = i64::from(step_s(period.kind())) * 1_000;
        Self::cut(period, |at| EpochMs(at.0 + step_ms))
    }

    fn cut(period: &Period, next: impl Fn(EpochMs) -> EpochMs) -> Self {
        let starts = std::iter::successors(Some(period.start()), |at| Some(next(*at)));
        let slots = starts
            .take_while(|start| *start < period.end())
            .map(|start| Slot { start, bucket: Bucket::default() });
        Self(slots.collect())
    }

    /// Adds a row of the period to the slot that its minute begins in.
    pub(super) fn add(&mut self, minute: EpochMs, row: &Bucket) {
        let after = self.0.partition_point(|slot| slot.start <= minute);
        if let Some(slot) = after.checked_sub(1).and_then(|at| self.0.get_mut(at)) {
            slot.bucket.merge(row);
        }
    }

    /// Returns the hours with rows.
    pub(super) fn breakdown(&self, period: &Period, has_chat_log: bool) -> Vec<Hour> {
        let hour = |slot: &Slot| Hour {
            hour: period.zoned(slot.start).strftime("%Y-%m-%d %H:00").to_string(),
            start: period.rfc3339(slot.start),
            figures: slot.bucket.figures(has_chat_log),
        };
        self.0.iter().filter(|slot| slot.bucket.rows > 0).map(hour).collect()
    }

    /// Returns the figures of all steps.
    pub(super) fn series(&self, period: &Period, has_chat_log: bool) -> Series {
        let point = |slot: &Slot| Point {
            start: period.rfc3339(slot.start),
            figures: slot.bucket.figures(has_chat_log),
        };
        Series { step_seconds: step_s(period.kind()), points: self.0.iter().map(point).collect() }
    }
}
