//! The events of closed windows once more, from rows in their order.

use std::collections::VecDeque;
use std::sync::Arc;

use ivs_schemas::domain::DomainEvent;

use super::closed_window::{ComparedSpan, minutes_needed, windows_to_judge};
use super::events::{closed_window_events, rule_events};
use crate::quality::Rule;
use crate::session::SummaryAgg;
use crate::window::{WindowAgg, WindowKey};
use kinesis_model::EpochMs;

/// A judge of all rows of a replay. It holds those of one session that rules look back to.
#[derive(Debug)]
pub struct RowJudge<'r> {
    rules: &'r [Rule],
    held: VecDeque<(WindowKey, WindowAgg)>,
    /// The window that was judged last.
    judged: Option<(Arc<str>, EpochMs)>,
}

impl<'r> RowJudge<'r> {
    /// Returns a judge by these rules that has seen nothing yet.
    #[must_use]
    pub const fn new(rules: &'r [Rule]) -> Self {
        Self { rules, held: VecDeque::new(), judged: None }
    }

    /// Takes the next row, ascending by session and minute, and returns the events of the window that it
    /// closes, as a worker tells them that has read everything before. `summary` is the session's; a
    /// session without one has no events.
    pub fn add(
        &mut self,
        key: WindowKey,
        row: WindowAgg,
        summary: Option<&SummaryAgg>,
    ) -> Vec<DomainEvent> {
        if self.held.back().is_some_and(|(last, _)| last.session_id != key.session_id) {
            self.held.clear();
        }
        let window = windows_to_judge([&key]).pop_first();
        let new = window.filter(|window| self.judged.as_ref() != Some(window));
        let events = match (new, summary) {
            (Some(window), Some(summary)) => self.judge(window, summary),
            _ => Vec::new(),
        };
        self.held.push_back((key, row));
        events
    }

    fn judge(
        &mut self,
        (session_id, start): (Arc<str>, EpochMs),
        summary: &SummaryAgg,
    ) -> Vec<DomainEvent> {
        let needed = minutes_needed(start, self.rules);
        while self.held.front().is_some_and(|(key, _)| key.minute < needed.start) {
            self.held.pop_front();
        }
        let held = self.held.iter().filter(|(key, _)| needed.contains(&key.minute));
        let rows = || held.clone().map(|(key, row)| (key, row));
        let (previous, current) = ComparedSpan::pair(&session_id, start, rows());
        let mut events = closed_window_events(&previous, &current, summary);
        events.extend(rule_events(self.rules, &session_id, start, rows(), summary));
        self.judged = Some((session_id, start));
        events
    }
}
