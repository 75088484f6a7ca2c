//! The state of one shard's task, for the status page and for knowing when all is committed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ivs_core::epoch::{Commit, Counts};
use ivs_core::window::{WindowAgg, WindowKey};
use kinesis_fleet::source::Batch;
use kinesis_model::{EpochMs, Position};
use serde::{Deserialize, Serialize};

use super::backlog::Backlog;
use crate::clock::{Instant, now};

/// A live reader has an answer at least this often: a poll at the tip each second, an event of a
/// subscription every five.
const ANSWER_DUE: Duration = Duration::from_secs(15);

/// Shared between a shard's task and who looks at it.
#[derive(Debug)]
pub struct ShardStatus(Mutex<TaskState>);

#[derive(Debug)]
struct TaskState {
    view: View,
    has_read: bool,
    /// The last turn of the task's loop.
    turned: Instant,
    /// The last commit; at first the start.
    committed: Instant,
    /// The counts of the last epoch, and how long it was after the one before.
    last: (Counts, Duration),
    backlog: Backlog,
    /// When the task began.
    began: Instant,
    /// The last answer of the stream.
    answered: Option<(Instant, EpochMs)>,
    failing: Option<Failing>,
    open: Open,
}

/// A shard whose tasks fail, since its last commit.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Failing {
    /// Tasks that failed.
    pub times: u32,
    /// Why the last one did.
    pub error: String,
}

/// The content of the open epoch, kept only while somebody asks for it.
#[derive(Debug, Default)]
struct Open {
    windows: Arc<[OpenWindow]>,
    shown: Option<Instant>,
    asked: Option<Instant>,
}

/// Minutes of an open epoch that are shown at most.
const MAX_OPEN: usize = 2_000;
/// Whoever looks on asks more often than this.
const ASKED_LASTS: Duration = Duration::from_secs(10);
/// Between two looks at the open epoch.
const SHOW_EVERY: Duration = Duration::from_millis(700);

/// A minute of a session as far as an open epoch holds it.
#[derive(Clone, Debug)]
pub struct OpenWindow {
    /// The session.
    pub session_id: Arc<str>,
    /// Its channel; empty if no record named it.
    pub channel_id: Arc<str>,
    /// The minute's start, epoch seconds.
    pub start_s: i64,
    /// The fold; its sketches may lack the latest values.
    pub agg: Arc<WindowAgg>,
}

/// Where the epoch in flight stands.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// None is in flight; records are being read.
    #[default]
    Reading,
    /// Its end is being stored on the lease.
    Preparing,
    /// Its rows are being written.
    Writing,
    /// Its rejects and archive segment are being stored.
    Storing,
    /// Its metrics and domain events are being sent.
    Emitting,
    /// The checkpoint is being moved.
    Committing,
}

impl Stage {
    /// Returns the name as it is serialized.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Preparing => "preparing",
            Self::Writing => "writing",
            Self::Storing => "storing",
            Self::Emitting => "emitting",
            Self::Committing => "committing",
        }
    }
}

/// A shard at one moment.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// Records read by this task, those before the checkpoint included.
    pub read: u64,
    /// Records committed by this task.
    pub committed_records: u64,
    /// Epochs committed by this task.
    pub epochs: u64,
    /// The last committed position of this task.
    #[serde(serialize_with = "as_text")]
    pub committed: Option<Position>,
    /// Where the epoch in flight stands.
    pub stage: Stage,
    /// How far reading is behind the tip, in milliseconds.
    pub millis_behind: u64,
    /// Answers without records right at the tip.
    pub empty_reads: u64,
    /// Whether nothing that was read is uncommitted.
    pub idle: bool,
    /// How the task ended, once it has.
    pub ended: Option<String>,
}

fn as_text<S: serde::Serializer>(at: &Option<Position>, out: S) -> Result<S::Ok, S::Error> {
    at.map(|at| at.to_string()).serialize(out)
}

/// Committed records a second.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Rates {
    /// All of them.
    pub read_per_s: f64,
    /// Those that are in the rows.
    pub accepted_per_s: f64,
    /// Repeats.
    pub duplicate_per_s: f64,
    /// Refused ones.
    pub rejected_per_s: f64,
}

impl Rates {
    /// Returns the `counts` of the last epoch over the time it `took` to come, or over the time
    /// `since` it came if that is longer: steady while records flow, and on the way to nothing once
    /// they stop.
    #[must_use]
    pub fn of(counts: &Counts, took: Duration, since: Duration) -> Self {
        let seconds = took.max(since).as_secs_f64();
        // Counts of one epoch are far below 2^52, so nothing is lost; a thousandth is enough.
        let rate = |count: u64| {
            if seconds > 0.0 { (count as f64 / seconds * 1_000.0).round() / 1_000.0 } else { 0.0 }
        };
        Self {
            read_per_s: rate(counts.read),
            accepted_per_s: rate(counts.accepted),
            duplicate_per_s: rate(counts.duplicate),
            rejected_per_s: rate(counts.rejected_total()),
        }
    }

    /// Adds another shard's.
    pub fn add(&mut self, other: &Self) {
        self.read_per_s += other.read_per_s;
        self.accepted_per_s += other.accepted_per_s;
        self.duplicate_per_s += other.duplicate_per_s;
        self.rejected_per_s += other.rejected_per_s;
    }
}

impl Default for ShardStatus {
    fn default() -> Self {
        Self::new(Backlog::default(), None)
    }
}

impl ShardStatus {
    fn new(backlog: Backlog, failing: Option<Failing>) -> Self {
        let now = crate::clock::instant();
        let last = (Counts::default(), Duration::ZERO);
        Self(Mutex::new(TaskState {
            view: View::default(),
            has_read: false,
            turned: now,
            committed: now,
            last,
            backlog,
            began: now,
            answered: None,
            failing,
            open: Open::default(),
        }))
    }

    /// Begins the status of a task that goes on after `done`. What the task before it left
    /// uncommitted is still that old, and what failed is not mended by trying again.
    #[must_use]
    pub fn after(before: Option<&Self>, done: Option<Position>) -> Self {
        let (failing, oldest) = before.map_or((None, None), |before| {
            let before = before.state();
            (before.failing.clone(), before.backlog.oldest())
        });
        Self::new(Backlog::after(done, oldest), failing)
    }

    fn state(&self) -> MutexGuard<'_, TaskState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a batch; `true` if it is the first.
    pub fn read(&self, batch: &Batch) -> bool {
        let state = &mut *self.state();
        let view = &mut state.view;
        view.read += batch.records.len() as u64;
        view.millis_behind = batch.millis_behind;
        view.empty_reads += u64::from(batch.millis_behind == 0 && batch.records.is_empty());
        view.idle &= batch.records.is_empty();
        state.answered = Some((crate::clock::instant(), now()));
        state.backlog.read(&batch.records, batch.millis_behind == 0);
        !std::mem::replace(&mut state.has_read, true)
    }

    /// Notes how far the epoch in flight is.
    pub fn stage(&self, stage: Stage) {
        self.state().view.stage = stage;
    }

    /// Notes a commit.
    pub fn committed(&self, commit: &Commit) {
        let state = &mut *self.state();
        state.view.epochs += 1;
        state.view.committed_records += commit.counts.read;
        state.view.committed = Some(commit.to);
        state.view.stage = Stage::Reading;
        state.backlog.committed(commit.to);
        state.failing = None;
        let now = crate::clock::instant();
        state.last = (commit.counts.clone(), now - state.committed);
        state.committed = now;
    }

    /// Notes a turn of the task's loop, and whether anything read is uncommitted.
    pub fn turned(&self, idle: bool) {
        let state = &mut *self.state();
        state.view.idle = idle;
        state.turned = crate::clock::instant();
        if idle && state.backlog.is_at_tip() {
            state.failing = None;
        }
    }

    /// Returns the time of the last answer, if everything that was in the shard then is committed.
    #[must_use]
    pub fn tip_seen(&self) -> Option<EpochMs> {
        let state = self.state();
        let is_complete = state.view.idle && state.backlog.is_at_tip();
        state.answered.filter(|_| is_complete).map(|(_, time)| time)
    }

    /// Returns whether the task has not ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state().view.ended.is_none()
    }

    /// Returns the arrival of the oldest record that was read and is not committed.
    #[must_use]
    pub fn oldest(&self) -> Option<EpochMs> {
        self.state().backlog.oldest()
    }

    /// Notes that the task failed.
    pub fn failed(&self, error: String) {
        let state = &mut *self.state();
        let times = state.failing.as_ref().map_or(0, |failing| failing.times) + 1;
        state.view.ended = Some(error.clone());
        state.failing = Some(Failing { times, error });
    }

    /// Returns whether tasks of the shard have failed since its last commit.
    #[must_use]
    pub fn failing(&self) -> Option<Failing> {
        self.state().failing.clone()
    }

    /// Returns how long ago the last commit was; at first the start of the task.
    #[must_use]
    pub fn since_commit(&self) -> Duration {
        self.state().committed.elapsed()
    }

    /// Returns the age of the oldest record that is not committed, as far as it was read, or how
    /// far reading is behind, whichever is more; in milliseconds.
    #[must_use]
    pub fn lag_ms(&self, now: EpochMs) -> u64 {
        let state = self.state();
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let unread_ms = match state.answered {
            None => ms(state.began.elapsed()),
            Some((at, _)) => {
                // Nobody knows what came since an answer that is old.
                let silent = at.elapsed();
                let silent_ms = if silent > ANSWER_DUE { ms(silent) } else { 0 };
                state.view.millis_behind.saturating_add(silent_ms)
            }
        };
        let age_ms = |at: EpochMs| u64::try_from(now.0.saturating_sub(at.0)).unwrap_or(0);
        state.backlog.oldest().map_or(0, age_ms).max(unread_ms)
    }

    /// Returns whether somebody looks at the open epoch and what was shown is old.
    #[must_use]
    pub fn wants_open(&self) -> bool {
        let open = &self.state().open;
        open.asked.is_some_and(|at| at.elapsed() < ASKED_LASTS)
            && open.shown.is_none_or(|at| at.elapsed() >= SHOW_EVERY)
    }

    /// Shows the open epoch to who looks on.
    pub fn show_open<'a>(&self, windows: impl Iterator<Item = &'a (WindowKey, WindowAgg)>) {
        let windows = windows.take(MAX_OPEN).map(|(key, agg)| OpenWindow {
            session_id: Arc::clone(&key.session_id),
            channel_id: Arc::clone(&agg.channel_id),
            start_s: key.minute.start_s(),
            agg: Arc::new(agg.clone()),
        });
        let windows = windows.collect();
        let open = &mut self.state().open;
        open.windows = windows;
        open.shown = Some(crate::clock::instant());
    }

    /// Returns the open epoch as it was shown last, at most about a second ago after the first
    /// time.
    #[must_use]
    pub fn open_windows(&self) -> Arc<[OpenWindow]> {
        let state = &mut *self.state();
        state.open.asked = Some(crate::clock::instant());
        if state.view.ended.is_some() {
            state.open.windows = Arc::default();
        }
        Arc::clone(&state.open.windows)
    }

    /// Notes the end of the task.
    pub fn ended(&self, how: String) {
        self.state().view.ended = Some(how);
    }

    /// Returns the shard now.
    #[must_use]
    pub fn view(&self) -> View {
        self.state().view.clone()
    }

    /// Returns how long ago the task's loop last turned.
    #[must_use]
    pub fn since_turn(&self) -> Duration {
        self.state().turned.elapsed()
    }

    /// Records a second; see [`Rates::of`].
    #[must_use]
    pub fn rates(&self) -> Rates {
        let state = self.state();
        let (counts, took) = &state.last;
        Rates::of(counts, *took, state.committed.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_hold_between_epochs_and_fade_when_no_more_come() {
        let counts = Counts { read: 300, accepted: 200, duplicate: 100, ..Counts::default() };
        let after = |since_s| {
            Rates::of(&counts, Duration::from_secs(10), Duration::from_secs(since_s)).read_per_s
        };
        assert_eq!([after(0), after(10), after(300)], [30.0, 30.0, 1.0]);
    }

    fn batch(records: &[(u128, i64)], millis_behind: u64) -> Batch {
        let record = |(n, arrival): &(u128, i64)| kinesis_model::Record {
            sequence: (*n).into(),
            partition_key: std::sync::Arc::from("k"),
            arrival: EpochMs(*arrival),
            data: bytes::Bytes::new(),
        };
        Batch { records: records.iter().map(record).collect(), millis_behind, ..Batch::default() }
    }

    #[test]
    fn a_task_that_fails_leaves_its_lag_and_its_failure_to_the_next_try() {
        let first = ShardStatus::default();
        first.read(&batch(&[(7, 1_000)], 0));
        assert!(first.lag_ms(EpochMs(61_000)) >= 60_000);
        first.failed("the table is gone".to_owned());
        let second = ShardStatus::after(Some(&first), None);
        assert!(second.lag_ms(EpochMs(61_000)) >= 60_000);
        second.failed("the table is gone".to_owned());
        assert_eq!(second.failing().unwrap().times, 2);
        // The third is read to the tip with nothing to commit: somebody else has done it.
        let third = ShardStatus::after(Some(&second), Some("7".parse().unwrap()));
        third.read(&batch(&[(7, 1_000)], 0));
        third.read(&batch(&[], 0));
        third.turned(true);
        assert_eq!((third.lag_ms(EpochMs(61_000)), third.failing()), (0, None));
        assert!(third.tip_seen().is_some());
    }

    #[test]
    fn reading_far_behind_is_a_lag_before_anything_is_read() {
        let status = ShardStatus::default();
        status.read(&batch(&[], 90_000));
        assert!(status.lag_ms(EpochMs(0)) >= 90_000);
        assert_eq!(status.tip_seen(), None);
    }

    #[test]
    fn before_the_first_epoch_there_are_no_rates() {
        assert_eq!(ShardStatus::default().rates(), Rates::default());
        assert_eq!(Rates::of(&Counts::default(), Duration::ZERO, Duration::ZERO), Rates::default());
    }
}
