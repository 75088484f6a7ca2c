//! The windows of a session, and what became better or worse at the end of one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Excess, Figure, Rule, largest_excess};
use crate::channel::SaidBy;
use crate::emit::{GRACE_MS, WINDOW_MS};
use crate::experience::{Breakdown, Evidence, Score};
use crate::fixed::FixedSum;
use crate::merge::{Merge, Total};
use crate::window::{WindowAgg, WindowKey};
use kinesis_model::EpochMs;

/// The figures of a session in a window, or in several.
#[derive(Clone, Debug, Default)]
struct Span {
    viewers: Total,
    views: Total,
    players: Total,
    bitrate: Total,
    frame_rate: Total,
    seen: Evidence,
    breakdown: Breakdown,
    /// A minute was touched by which the window before can be judged.
    is_past_grace: bool,
}

impl Span {
    fn add(&mut self, minute: EpochMs, row: &WindowAgg) {
        let one = |total: &mut Total, count: Option<u64>| {
            if let Some(count) = count {
                let sum = FixedSum(i128::from(count) * 1_000_000);
                total.merge(&Total { sum, count: 1 });
            }
        };
        self.viewers.merge(&row.viewers.stat.total);
        one(&mut self.views, row.concurrent_views());
        one(&mut self.players, (row.player_records > 0).then(|| row.active_players()));
        self.bitrate.merge(&row.bitrate.total);
        self.frame_rate.merge(&row.frame_rate.total);
        self.seen.merge(&row.evidence());
        self.breakdown.merge(&row.breakdown);
        self.is_past_grace |= minute.0.rem_euclid(WINDOW_MS) >= GRACE_MS;
    }

    fn merge(&mut self, other: &Self) {
        self.viewers.merge(&other.viewers);
        self.views.merge(&other.views);
        self.players.merge(&other.players);
        self.bitrate.merge(&other.bitrate);
        self.frame_rate.merge(&other.frame_rate);
        self.seen.merge(&other.seen);
        self.breakdown.merge(&other.breakdown);
    }

    /// Mean viewers as the backend reports them, else views, else players; 0 of nobody.
    fn audience(&self) -> FixedSum {
        let known = [&self.viewers, &self.views, &self.players];
        known.into_iter().find_map(Total::mean).unwrap_or_default()
    }

    fn value(&self, figure: Figure) -> Option<FixedSum> {
        let views = &self.seen.views;
        let percent = |part: u64, whole: u64| {
            (whole > 0).then(|| FixedSum(i128::from(part) * 100_000_000 / i128::from(whole)))
        };
        match figure {
            Figure::FrameRate => self.frame_rate.mean(),
            Figure::Bitrate => self.bitrate.mean(),
            Figure::Rebuffering => {
                let stalled = self.seen.stalled_ms.0;
                let watched = self.seen.playing_ms.0.saturating_add(stalled);
                (watched > 0).then(|| FixedSum(stalled.saturating_mul(100_000_000) / watched))
            }
            Figure::StartFailures => percent(views.start_failures_technical, views.judged()),
            Figure::ExitsBeforeStart => percent(views.unstarted()?, views.attempts),
            Figure::PlaybackFailures => percent(views.playback_failures, views.starts),
            Figure::StartupTime => {
                let sum = FixedSum(i128::from(self.seen.startup_sum_ms) * 1_000_000);
                sum.mean_fixed(self.seen.startups)
            }
            Figure::ExperienceScore => Score::of(&self.seen).map(|score| score.score),
        }
    }
}

/// Which way a stream went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It got worse.
    Degraded,
    /// It is good again.
    Recovered,
}

/// A change, at the end of a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// Which way.
    pub change: Change,
    /// The figure over the rule's minutes, if it is known.
    pub value: Option<FixedSum>,
    /// Who suffers most.
    pub excess: Option<Excess>,
}

/// The windows of one session, by their start.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    /// The channel, and who says so.
    channel: (Arc<str>, SaidBy),
    spans: BTreeMap<i64, Span>,
}

impl Spans {
    /// Returns the windows of these rows; those of other sessions are passed over.
    #[must_use]
    pub fn of<'a>(
        session_id: &str,
        rows: impl IntoIterator<Item = (&'a WindowKey, &'a WindowAgg)>,
    ) -> Self {
        let mut all = Self::default();
        for (key, row) in rows.into_iter().filter(|(key, _)| *key.session_id == *session_id) {
            let minute = key.minute.start();
            let (channel, said_by) = &mut all.channel;
            said_by.note(channel, &row.channel_id, row.channel_said_by);
            all.spans.entry(number(minute)).or_default().add(minute, row);
        }
        all
    }

    /// Returns the channel; empty if no row names it.
    #[must_use]
    pub fn channel_id(&self) -> &Arc<str> {
        &self.channel.0
    }

    /// Returns what a rule says changed at the end of the window that starts at `start`.
    #[must_use]
    pub fn transition(&self, rule: &Rule, start: EpochMs) -> Option<Transition> {
        let at = number(start);
        let (now, before) = (self.is_degraded(rule, at), self.was_degraded(rule, at));
        let change = match (before, now) {
            (false, true) => Change::Degraded,
            (true, false) => Change::Recovered,
            (true, true) | (false, false) => return None,
        };
        let span = self.span(rule, at);
        let excess = (change == Change::Degraded)
            .then(|| largest_excess(rule.figure, &span.breakdown))
            .flatten();
        Some(Transition { change, value: span.value(rule.figure), excess })
    }

    /// Whether it was degraded at the end of the last window that was judged before: one is judged
    /// when the next one is past its grace, which a silent one never is.
    fn was_degraded(&self, rule: &Rule, at: i64) -> bool {
        let judged = |before: &i64| self.spans.get(&(before + 1)).is_some_and(|s| s.is_past_grace);
        let mut earlier = (1..=i64::from(rule.memory())).map(|back| at - back);
        earlier.find(judged).is_some_and(|before| self.is_degraded(rule, before))
    }

    fn is_degraded(&self, rule: &Rule, at: i64) -> bool {
        let verdict = |back: u32| self.persistent(rule, at - i64::from(back));
        let still_suppressed = (0..rule.suppression()).any(|back| verdict(back) == Some(true));
        still_suppressed || (0..=rule.hold()).find_map(verdict).unwrap_or(false)
    }

    /// The verdict of the latest judgments up to a window.
    fn persistent(&self, rule: &Rule, at: i64) -> Option<bool> {
        let judgments = (0..rule.of).map(|back| self.judgment(rule, at - i64::from(back)));
        let (mut bad, mut good) = (0, 0);
        for judgment in judgments {
            bad += u32::from(judgment == Some(true));
            good += u32::from(judgment == Some(false));
        }
        if bad >= rule.bad { Some(true) } else { (good >= rule.bad).then_some(false) }
    }

    fn judgment(&self, rule: &Rule, at: i64) -> Option<bool> {
        // What was silent has nothing new to say, whatever wider windows still hold.
        self.spans.get(&at)?;
        let span = self.span(rule, at);
        if span.audience() < rule.audience_floor() {
            return None;
        }
        rule.verdict(span.value(rule.figure)?)
    }

    /// The windows that are judged together, up to one.
    fn span(&self, rule: &Rule, at: i64) -> Span {
        let first = at - i64::from(rule.width()) + 1;
        let mut span = Span::default();
        for (_, one) in self.spans.range(first..=at) {
            span.merge(one);
        }
        span
    }
}

/// Returns the number of the window that holds a time, counted from 1970.
fn number(time: EpochMs) -> i64 {
    time.0.div_euclid(WINDOW_MS)
}
