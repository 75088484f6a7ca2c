//! Sessions: the timeline and the summary of a stream, from facts and windows.
//!
//! A lifecycle event becomes an immutable [`TimelineItem`] and a part of the session's
//! [`SummaryAgg`]; a window's partial adds to the same summary. Nothing here depends on the order
//! of arrival: events are best effort, may be late by hours and are replayed.
//!
//! An event that must happen once per session, whoever reports it and however often, hangs on a
//! [`Milestone`]: an item with a fixed key, which only one epoch inserts.

mod attribute;
mod derived;
mod item;
mod lattice;
mod milestone;
mod on_air;
mod starvation;
mod summary;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod timeline;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

pub(crate) use attribute::Fingerprint;
pub use attribute::{Attribute, AttributeValue};
pub use derived::{LONGEST_STREAM_MS, STALE_MS, SessionStatus};
pub use lattice::{Bounded, First, Latest};
pub use milestone::{Milestone, milestones};
pub use on_air::{Seen, Signs, lost, over_from};
pub use starvation::{Interval, Starvation};
pub use summary::{
    AdBreakFact, BreachFact, Lifecycle, MAX_AD_BREAKS, MAX_INCIDENTS, MAX_STARVATIONS,
    MAX_TEXT_BYTES, RecordingFact, Reported, Span, SummaryAgg, Telemetry,
};
pub use timeline::{TimelineItem, attribute_names};

use crate::channel::SaidBy;
use crate::decode::{self, Fact, FactOrigin, FactScope};
use crate::window::{WindowAgg, WindowKey};
use kinesis_model::EpochMs;

/// The open epoch's partials of sessions.
#[derive(Debug, Default)]
pub struct SessionFold {
    summaries: BTreeMap<Arc<str>, SummaryAgg>,
    timeline: BTreeMap<(Arc<str>, i64), TimelineItem>,
    account_facts: BTreeMap<(EpochMs, u64), Fact>,
}

/// An epoch's partials of sessions, one per row, and the facts without a row.
#[derive(Debug, Default)]
pub struct SessionDeltas {
    /// Per session, ascending by id.
    pub summaries: Vec<(Arc<str>, SummaryAgg)>,
    /// Ascending by session and sort key; no two have the same key.
    pub timeline: Vec<TimelineItem>,
    /// Facts of an account or a channel: ascending by time, each once.
    pub account_facts: Vec<Fact>,
}

impl SessionFold {
    /// Folds a fact. One that is to be counted only is left out.
    pub fn add_fact(&mut self, fact: &Fact) {
        if fact.kind.is_counted_only() {
            return;
        }
        let (session_id, channel_id) = match &fact.scope {
            FactScope::Session { session_id, channel_id } => (session_id, channel_id),
            FactScope::Stage { .. } | FactScope::Composition { .. } => {
                // A timeline without a summary: nobody watches a stage here.
                if let Some(item) = TimelineItem::of(fact) {
                    self.add_item(item);
                }
                return;
            }
            FactScope::Channel { .. } | FactScope::Account { .. } => {
                let key = (fact.time, fact_fingerprint(fact));
                self.account_facts.entry(key).or_insert_with(|| fact.clone());
                return;
            }
        };
        let summary = self.summary(session_id);
        let by = match fact.origin {
            FactOrigin::Ivs => SaidBy::Ivs,
            FactOrigin::Application => SaidBy::Backend,
        };
        summary.see_channel(&Arc::from(channel_id.as_str()), by);
        summary.add(fact.time, &fact.kind, fact.origin);
        if let Some(item) = TimelineItem::of(fact) {
            self.add_item(item);
        }
    }

    fn add_item(&mut self, item: TimelineItem) {
        match self.timeline.entry((Arc::clone(&item.session_id), item.sort_key_ms)) {
            Entry::Vacant(free) => {
                free.insert(item);
            }
            Entry::Occupied(mut taken) => {
                if item.replaces(taken.get().fingerprint) {
                    taken.insert(item);
                }
            }
        }
    }

    /// Adds the partial of one window, once, when the epoch closes. A session that was made up for
    /// records without one gets no summary: it would be live for ever.
    pub fn absorb_window(&mut self, key: &WindowKey, window: &WindowAgg) {
        if decode::is_made_up(&key.session_id) {
            return;
        }
        let summary = self.summary(&key.session_id);
        summary.see_channel(&window.channel_id, window.channel_said_by);
        summary.absorb(key.minute, window);
    }

    fn summary(&mut self, session_id: &str) -> &mut SummaryAgg {
        if !self.summaries.contains_key(session_id) {
            self.summaries.insert(Arc::from(session_id), SummaryAgg::default());
        }
        self.summaries.get_mut(session_id).expect("inserted above if it was absent")
    }

    /// Returns how many rows the partials touch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.summaries.len() + self.timeline.len()
    }

    /// Returns whether nothing was folded that touches a row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Hands out everything folded and begins anew.
    pub fn drain(&mut self) -> SessionDeltas {
        SessionDeltas {
            summaries: std::mem::take(&mut self.summaries).into_iter().collect(),
            timeline: std::mem::take(&mut self.timeline).into_values().collect(),
            account_facts: std::mem::take(&mut self.account_facts).into_values().collect(),
        }
    }
}

/// Names a fact by scope, time and content; its event id does not count.
pub(crate) fn fact_fingerprint(fact: &Fact) -> u64 {
    let print = Fingerprint::of("fact").number(fact.time.0);
    let scope = match &fact.scope {
        FactScope::Session { session_id, channel_id } => {
            print.text("session").text(session_id).text(channel_id)
        }
        FactScope::Channel { channel_id } => print.text("channel").text(channel_id),
        FactScope::Account { account, region } => print.text("account").text(account).text(region),
        FactScope::Stage { stage_id, session_id } => {
            print.text("stage").text(stage_id).text(session_id.as_deref().unwrap_or_default())
        }
        FactScope::Composition { composition_id } => print.text("composition").text(composition_id),
    };
    let kind = scope.text(fact.kind.event_type().unwrap_or_default());
    kind.attributes(&timeline::attributes(fact)).short()
}
