//! The events that happen to a session once, whoever reports it and however often.
//!
//! A start is stated by IVS and by the application, perhaps several times and on several shards;
//! it must be counted once. A milestone is an item of the session with a fixed key and no content
//! of its own: every epoch that brings facts of a session derives the milestones from the merged
//! summary and tries to insert them, and the one epoch that succeeds emits them. As for every
//! timeline item, `origin` tells the retry of that epoch from another epoch, so that nothing is
//! lost in a crash.

use std::sync::Arc;

use ivs_schemas::items::sessions::event_type;

use super::derived::SessionStatus;
use super::summary::SummaryAgg;
use super::timeline::TimelineItem;

/// A step of a session that is taken once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Milestone {
    /// An event stated that the stream is watchable.
    Started,
    /// The session has ended.
    Ended,
    /// The session has failed. One that was given up for a lost start may still end later.
    Failed,
}

impl Milestone {
    const ALL: [Self; 3] = [Self::Started, Self::Ended, Self::Failed];

    /// Returns the sort key × 1,000: between the summary (0) and the timeline, whose items lie
    /// after 1970.
    #[must_use]
    pub const fn sort_key_ms(self) -> i64 {
        match self {
            Self::Started => 1,
            Self::Ended => 2,
            Self::Failed => 3,
        }
    }

    /// Returns the item's `eventType`.
    #[must_use]
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::Started => event_type::MILESTONE_STARTED,
            Self::Ended => event_type::MILESTONE_ENDED,
            Self::Failed => event_type::MILESTONE_FAILED,
        }
    }

    /// Returns the milestone that an item is, if it is one.
    #[must_use]
    pub fn of(item: &TimelineItem) -> Option<Self> {
        Self::ALL.into_iter().find(|milestone| milestone.event_type() == item.event_type)
    }

    /// Returns whether a session has come this far.
    #[must_use]
    pub fn is_reached(self, summary: &SummaryAgg) -> bool {
        match self {
            Self::Started => summary.lifecycle.started.0.is_some(),
            Self::Ended => summary.status() == SessionStatus::Ended,
            Self::Failed => summary.status() == SessionStatus::Failed,
        }
    }

    /// Returns the item, the same for every epoch. Without a channel it stays out of the index.
    #[must_use]
    pub fn item(self, session_id: &Arc<str>) -> TimelineItem {
        TimelineItem {
            session_id: Arc::clone(session_id),
            channel_id: None,
            sort_key_ms: self.sort_key_ms(),
            event_type: self.event_type(),
            attributes: Vec::new(),
            fingerprint: 0,
        }
    }
}

/// Returns the milestones to insert after an epoch's `delta` was merged into the stored summary.
///
/// To be called for a row that already held the epoch, too: a crash may have come between the
/// summary and its milestones. A delta without facts inserts none, so telemetry costs no writes;
/// unless the session ended without a stated start, where it is telemetry that tells an end from a
/// failure.
#[must_use]
pub fn milestones(
    session_id: &Arc<str>,
    delta: &SummaryAgg,
    merged: &SummaryAgg,
) -> Vec<TimelineItem> {
    let facts = &merged.lifecycle;
    let needs_life = facts.session_ended.0.is_some() && facts.started.0.is_none();
    if delta.lifecycle.is_empty() && !needs_life {
        return Vec::new();
    }
    let reached = Milestone::ALL.into_iter().filter(|milestone| milestone.is_reached(merged));
    reached.map(|milestone| milestone.item(session_id)).collect()
}
