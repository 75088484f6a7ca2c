//! The duplicate rule for sources without arrival times: event time stands in for them.
//!
//! A repeat carries the event time of the original, so one set of ids for each minute of event
//! time finds it. A set is dropped when the watermark, the latest minute seen, has passed it by
//! [`LATENESS_S`]; an id that comes later than that is not looked for. One record with a time far
//! ahead of all others must not end the search for everybody: a leap of more than [`LATENESS_S`]
//! counts only once the next record confirms it.

use hashbrown::HashSet;
use ivs_core::epoch::EventId;

/// How far event times may fall behind the latest. Players send within seconds; a retry within the
/// default horizon of 60 s, of a report that was a minute late, is still found.
pub(super) const LATENESS_S: i64 = 180;

/// Keyed anew for each set, since ids come from outside.
type Ids = HashSet<EventId>;

/// The latest minute of event time, in epoch seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watermark {
    at_s: Option<i64>,
    /// A leap ahead that waits for the next record.
    leap_s: Option<i64>,
    /// Leaps that the next record did not confirm.
    outliers: u64,
    /// The latest minute of all, outliers included.
    latest_s: Option<i64>,
}

impl Watermark {
    /// Takes note of a record's minute; whether the watermark moved.
    pub(super) fn see(&mut self, minute_s: i64) -> bool {
        let before = self.at_s;
        self.latest_s = self.latest_s.max(Some(minute_s));
        if let Some(leap_s) = self.leap_s.take() {
            if minute_s >= leap_s - LATENESS_S {
                self.at_s = Some(leap_s);
            } else {
                self.outliers += 1;
            }
        }
        match self.at_s {
            Some(at_s) if minute_s <= at_s => {}
            Some(at_s) if minute_s <= at_s + LATENESS_S => self.at_s = Some(minute_s),
            _ => self.leap_s = Some(minute_s),
        }
        self.at_s != before
    }

    /// Returns whether a minute lies too far back to be looked at.
    pub(super) fn has_passed(&self, minute_s: i64) -> bool {
        self.at_s.is_some_and(|at_s| at_s > minute_s + LATENESS_S)
    }

    /// Leaps that the next record did not confirm.
    pub(super) fn outliers(&self) -> u64 {
        self.outliers
    }

    /// Returns the latest minute of all.
    pub(super) fn latest_s(&self) -> Option<i64> {
        self.latest_s
    }
}

/// The ids of the minutes that the watermark has not passed.
#[derive(Debug, Default)]
pub(super) struct MinuteIds {
    /// How far the source has come.
    pub(super) watermark: Watermark,
    sets: Vec<(i64, Ids)>,
    /// Emptied sets, to be filled again.
    spare: Vec<Ids>,
}

impl MinuteIds {
    /// Takes note of a record's minute.
    pub(super) fn see(&mut self, minute_s: i64) {
        if !self.watermark.see(minute_s) {
            return;
        }
        let mut at = 0;
        while at < self.sets.len() {
            if self.watermark.has_passed(self.sets[at].0) {
                let (_, mut ids) = self.sets.swap_remove(at);
                ids.clear();
                self.spare.push(ids);
            } else {
                at += 1;
            }
        }
    }

    /// Returns whether an earlier record of this minute had this id; notes this one.
    pub(super) fn repeats(&mut self, id: EventId, minute_s: i64) -> bool {
        if self.watermark.has_passed(minute_s) {
            return false;
        }
        let found = self.sets.iter().position(|(minute, _)| *minute == minute_s);
        let at = found.unwrap_or_else(|| {
            self.sets.push((minute_s, self.spare.pop().unwrap_or_default()));
            self.sets.len() - 1
        });
        !self.sets[at].1.insert(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(minutes_and_ids: &[(i64, &str)]) -> (Vec<bool>, MinuteIds) {
        let mut ids = MinuteIds::default();
        let repeats = minutes_and_ids.iter().map(|(minute, id)| {
            ids.see(minute * 60);
            ids.repeats(EventId::of(id), minute * 60)
        });
        (repeats.collect(), ids)
    }

    #[test]
    fn a_repeat_has_the_minute_of_its_original() {
        let (repeats, _) = ids(&[(0, "a"), (1, "a"), (0, "a"), (1, "b"), (1, "a")]);
        assert_eq!(repeats, [false, false, true, false, true]);
    }

    #[test]
    fn sets_are_dropped_when_the_watermark_has_passed() {
        let steps: Vec<(i64, &str)> = (0..100).map(|minute| (minute, "x")).collect();
        let (_, mut ids) = ids(&steps);
        assert!(ids.sets.len() <= 5, "{}", ids.sets.len());
        assert!(!ids.repeats(EventId::of("x"), 0), "not looked for any more");
        assert!(ids.repeats(EventId::of("x"), 96 * 60));
    }

    #[test]
    fn a_single_time_far_ahead_does_not_end_the_search() {
        let (repeats, ids) = ids(&[(0, "a"), (0, "b"), (9_000, "z"), (0, "a"), (1, "b"), (0, "b")]);
        assert_eq!(repeats, [false, false, false, true, false, true]);
        assert_eq!(ids.watermark.outliers(), 1);
        assert_eq!(ids.watermark.latest_s(), Some(9_000 * 60));
    }

    #[test]
    fn a_pause_of_the_source_is_no_outlier() {
        let (repeats, ids) = ids(&[(0, "a"), (0, "b"), (500, "c"), (500, "c"), (0, "a")]);
        assert_eq!(repeats, [false, false, false, true, false]);
        assert_eq!(ids.watermark.outliers(), 0);
    }
}
