//! The outcomes of views: from a play request to its end.

use serde::{Deserialize, Serialize};

use crate::decode::ViewEvent;
use crate::fixed::FixedSum;
use crate::merge::Merge;

/// Counts of what players told about their views. `docs/metrics.md` defines each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Views {
    /// Records that tell something below.
    pub events: u64,
    /// Play requests.
    pub attempts: u64,
    /// First frames.
    pub starts: u64,
    /// Views that could not start because something broke.
    pub start_failures_technical: u64,
    /// Views that could not start and should not.
    pub start_failures_business: u64,
    /// Ends told of views that had not started.
    pub exits_before_start: u64,
    /// Views that broke off after their start.
    pub playback_failures: u64,
    /// Other ends.
    pub ended: u64,
}

impl Views {
    /// Counts an event.
    pub fn add(&mut self, event: ViewEvent) {
        let count = match event {
            ViewEvent::Attempt => &mut self.attempts,
            ViewEvent::Start => &mut self.starts,
            ViewEvent::StartFailureTechnical => &mut self.start_failures_technical,
            ViewEvent::StartFailureBusiness => &mut self.start_failures_business,
            ViewEvent::PlaybackFailure => &mut self.playback_failures,
            ViewEvent::End => &mut self.ended,
            ViewEvent::ExitBeforeStart => &mut self.exits_before_start,
        };
        *count = count.saturating_add(1);
        self.events = self.events.saturating_add(1);
    }

    /// Returns a count as far as it is known: none if no record told of views.
    #[must_use]
    pub fn known(&self, count: u64) -> Option<u64> {
        (self.events > 0).then_some(count)
    }

    /// Returns the play requests; `None` if none was told, since some players tell starts alone.
    #[must_use]
    pub fn known_attempts(&self) -> Option<u64> {
        (self.attempts > 0).then_some(self.attempts)
    }

    /// Returns the views that could not start, for either reason.
    #[must_use]
    pub fn start_failures(&self) -> u64 {
        self.start_failures_technical.saturating_add(self.start_failures_business)
    }

    /// Returns the views that failed for a technical reason, before or after their start.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.start_failures_technical.saturating_add(self.playback_failures)
    }

    /// Returns how many views `failures` are to be compared with: the play requests, or where they
    /// are not told or fewer than their outcomes, the views of which an outcome is.
    #[must_use]
    pub fn judged(&self) -> u64 {
        let outcomes = self.starts.saturating_add(self.start_failures());
        self.attempts.max(outcomes).max(self.failures())
    }

    /// Returns the play requests of a whole session that came to nothing: neither start nor failure,
    /// whether or not the exit was told. `None` without play requests.
    #[must_use]
    pub fn unstarted(&self) -> Option<u64> {
        let outcomes = self.starts.saturating_add(self.start_failures());
        self.known_attempts().map(|attempts| attempts.saturating_sub(outcomes))
    }
}

impl Merge for Views {
    fn merge(&mut self, other: &Self) {
        let Self {
            events,
            attempts,
            starts,
            start_failures_technical,
            start_failures_business,
            exits_before_start,
            playback_failures,
            ended,
        } = other;
        self.events.merge(events);
        self.attempts.merge(attempts);
        self.starts.merge(starts);
        self.start_failures_technical.merge(start_failures_technical);
        self.start_failures_business.merge(start_failures_business);
        self.exits_before_start.merge(exits_before_start);
        self.playback_failures.merge(playback_failures);
        self.ended.merge(ended);
    }
}

/// The views of a session, and what its score needs besides its other sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ViewTotals {
    /// The counts.
    #[serde(flatten)]
    pub views: Views,
    /// Times to the first frame that are in the sum.
    pub startups: u64,
    /// Their sum, whole milliseconds.
    pub startup_sum_ms: u64,
}

impl Merge for ViewTotals {
    fn merge(&mut self, other: &Self) {
        let Self { views, startups, startup_sum_ms } = other;
        self.views.merge(views);
        self.startups.merge(startups);
        self.startup_sum_ms.merge(startup_sum_ms);
    }
}

/// Returns the time that viewers spent with the picture: played and stalled. `None` without any.
#[must_use]
pub fn view_time_ms(playing_ms: FixedSum, stalled_ms: FixedSum) -> Option<FixedSum> {
    let mut sum = playing_ms;
    sum += stalled_ms;
    (!sum.is_zero()).then_some(sum)
}
