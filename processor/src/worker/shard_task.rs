//! The shell of one shard: a loop that answers the core's effects.

mod early;
mod execute;
mod outcome;
mod reading;
mod trace;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use ivs_core::epoch::{Effect, Ending, Input, ReadFrom, Resume, Shard, ShardConfig};
use kinesis_fleet::source::ShardReader;
use kinesis_fleet::{Checkpoint, ChildShard, LeaseOutcome, ResumePoint, ShardLease, StartAt};
use kinesis_model::HashRange;
use tokio::time::{Interval, MissedTickBehavior};

use crate::clock::{Instant, elapsed};
use crate::sink::Sinks;
use crate::sink::rows::TICK_MS;
use crate::worker::memory::{Budget, Share};
use crate::worker::shard_status::ShardStatus;
use early::{Due, Early};
use execute::{Answer, Executor};
pub use outcome::{Ended, TaskError};
use reading::{Read, Reading, bytes_of};

/// How often the machine is told the time, by which epochs close: the shortest interval allowed.
const TICK: Duration = Duration::from_millis(TICK_MS);

/// Returns where the machine goes on, from what the lease says.
#[must_use]
pub fn resume_of(point: &ResumePoint) -> Resume {
    let checkpoint = match point.checkpoint {
        Checkpoint::Sequence(position) => Some(position),
        _ => None,
    };
    Resume {
        checkpoint,
        pending: point.pending,
        pending_rules: point.pending_state.clone(),
        checkpoint_arrival: checkpoint.and(point.checkpoint_arrival),
        is_complete: point.is_complete,
    }
}

/// Returns where the reader starts, from what the machine wants.
#[must_use]
pub fn start_of(point: &ResumePoint, from: ReadFrom) -> StartAt {
    match from {
        ReadFrom::Beginning => point.start(),
        ReadFrom::Arrival(at) => StartAt::AtTimestamp(at),
        ReadFrom::At(position) => StartAt::At(position),
    }
}

/// Processes a shard until it ends, is handed over or is lost. Once it is to be handed over, epochs
/// may be closed for `hand_over` long.
///
/// # Errors
/// See [`TaskError`].
pub async fn run(
    lease: ShardLease,
    open: impl Fn(StartAt) -> ShardReader,
    (config, hand_over): (ShardConfig, Duration),
    memory: &Budget,
    sinks: &Sinks,
    status: Arc<ShardStatus>,
) -> Result<Ended, TaskError> {
    if let Err(error) = sinks.outbox.adopt(lease.shard()).await {
        tracing::warn!(shard = %lease.shard(), %error, "what waits in the outbox is not known");
        sinks.stats.note_error(format!("outbox of {}: {error}", lease.shard()));
    }
    let executor = Executor::new(&lease, sinks, &status);
    let ended = process(&lease, open, (&config, hand_over), memory, &executor).await;
    sinks.judged.free(lease.shard());
    // Nobody takes a shard that is finished, so this worker goes on with what it left in the outbox until
    // the fleet's first worker does.
    if !matches!(ended, Ok(Ended::ShardEnd)) {
        sinks.outbox.release(lease.shard()).await;
    }
    match ended? {
        ended @ (Ended::HandedOver | Ended::LeftOpen) => {
            drop(executor);
            let outcome = lease.release().await?;
            Ok(if outcome == LeaseOutcome::Done { ended } else { Ended::LeaseLost })
        }
        ended => Ok(ended),
    }
}

/// Drives one machine after the other: a second one only after an epoch of other rules.
async fn process(
    lease: &ShardLease,
    open: impl Fn(StartAt) -> ShardReader,
    (config, hand_over): (&ShardConfig, Duration),
    memory: &Budget,
    executor: &Executor<'_>,
) -> Result<Ended, TaskError> {
    let point = lease.resume_point();
    let range = lease.hash_range().unwrap_or(HashRange::ALL);
    let mut resume = resume_of(&point);
    if let (Some(pending), None) = (resume.pending, &resume.pending_rules) {
        tracing::warn!(
            shard = %lease.shard(), %pending,
            "the epoch to be closed does not say by which rules it was prepared; ours are taken"
        );
    }
    loop {
        executor.trace().started(&resume);
        let to_be_met = resume.checkpoint.filter(|_| !resume.is_complete);
        let shard = Shard::resume(lease.shard().clone(), range, resume, config)?;
        let start = start_of(&point, shard.read_from());
        tracing::info!(shard = %lease.shard(), ?start, pending = ?point.pending, "shard started");
        let share = Arc::new(memory.share());
        let reader = open(start).continuing(to_be_met);
        let reading = Reading::start(reader, Arc::clone(&share));
        let interval = Duration::from_millis(u64::try_from(config.interval_ms).unwrap_or_default());
        let early = Early::new(interval, config.phase_ms);
        let task = ShardTask::new(shard, executor, (reading, share), (early, hand_over));
        match task.drive().await? {
            Stop::Ended(ended) => return Ok(ended),
            Stop::Reopen => resume = executor.committed().await,
        }
    }
}

/// Why a machine needs no more driving.
enum Stop {
    Ended(Ended),
    /// The machine's rules are done with: another one goes on.
    Reopen,
}

/// The event that woke the loop.
enum Event {
    /// Tell the machine.
    Input(Input),
    /// The stream gave something.
    Read(Read),
    /// The lease is lost.
    Lost,
}

/// The loop around one machine: one effect at a time, while reading and folding go on.
///
/// A shard that is to be handed over is left as it is when its epochs take too long to close: a
/// prepared one is closed at the same place by the next owner, which finds the rows that hold it
/// already, and one that was not prepared has written nothing. Only between emission and commit it
/// goes on, or the next owner would emit again (E7).
struct ShardTask<'a> {
    shard: Shard,
    executor: &'a Executor<'a>,
    reading: Reading,
    share: Arc<Share>,
    /// Of the batches that the machine was given and has not folded whole.
    unfolded_bytes: u64,
    /// Effects that are to be carried out, in order.
    effects: Vec<Effect>,
    waiting: VecDeque<Effect>,
    running: Option<BoxFuture<'a, Result<Answer, TaskError>>>,
    writing_rows: bool,
    tick: Interval,
    early: Early,
    hand_over_takes: Duration,
    leave_at: Option<Instant>,
    children: Vec<ChildShard>,
}

impl<'a> ShardTask<'a> {
    fn new(
        shard: Shard,
        executor: &'a Executor<'a>,
        (reading, share): (Reading, Arc<Share>),
        (early, hand_over_takes): (Early, Duration),
    ) -> Self {
        let mut tick = common_tick();
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self {
            shard,
            executor,
            reading,
            share,
            unfolded_bytes: 0,
            effects: Vec::new(),
            waiting: VecDeque::new(),
            running: None,
            writing_rows: false,
            tick,
            early,
            hand_over_takes,
            leave_at: None,
            children: Vec::new(),
        }
    }

    async fn drive(mut self) -> Result<Stop, TaskError> {
        self.shard.step(Input::Tick(self.executor.time()), &mut self.effects);
        loop {
            if let Some(stop) = self.begin_next().await? {
                return Ok(stop);
            }
            match self.next_event().await? {
                Event::Lost => return Ok(Stop::Ended(Ended::LeaseLost)),
                Event::Input(input) => self.shard.step(input, &mut self.effects),
                Event::Read(read) => self.take(read)?,
            }
            self.account();
            self.executor.status.turned(self.shard.is_idle());
            if self.executor.status.wants_open() {
                self.executor.status.show_open(self.shard.open_windows());
            }
        }
    }

    /// Tells the budget what the machine holds, and closes its epoch if memory is short, if its rows
    /// are wanted now, or with that of another shard, since rows in common then cost one put. One that may
    /// wait for others is told to be full.
    fn account(&mut self) {
        let all_folded = self.shard.waiting() == 0;
        let folded = if all_folded { std::mem::take(&mut self.unfolded_bytes) } else { 0 };
        let footprint = self.shard.footprint();
        self.share.folded(folded, footprint);
        let due = self.early.due(all_folded, elapsed());
        let joins_others = (self.early.is_first_open() || self.shard.is_half_full())
            && self.executor.is_another_closing();
        // With many shards some epoch is always in flight, and no memory for all to wait.
        let may_wait = self.share.has_room_for_company();
        let waits = may_wait && due == Some(Due::Backlog);
        let is_due = due.is_some() && !waits;
        let is_wanted = (is_due || joins_others) && footprint.open_bytes > 0;
        if is_wanted {
            self.early.closes();
        }
        let has_company = may_wait && self.executor.has_company();
        self.shard.step(Input::Company(has_company), &mut self.effects);
        if waits || self.share.has_its_part() {
            self.shard.step(Input::Enough, &mut self.effects);
        }
        if is_wanted || self.share.is_to_close() {
            self.shard.step(Input::Close, &mut self.effects);
        }
    }

    /// Starts the next effect if none runs; says how the loop ends, if it does.
    async fn begin_next(&mut self) -> Result<Option<Stop>, TaskError> {
        self.waiting.extend(self.effects.drain(..));
        let is_late = self.leave_at.is_some_and(|at| crate::clock::instant() >= at);
        if self.running.is_some() {
            let leaves = is_late && self.writing_rows;
            return Ok(leaves.then_some(Stop::Ended(Ended::LeftOpen)));
        }
        match self.waiting.pop_front() {
            None => {}
            Some(Effect::Finish(Ending::Reopen)) => return Ok(Some(Stop::Reopen)),
            Some(Effect::Finish(ending)) => {
                let ended = self.executor.finish(ending, &self.children).await?;
                return Ok(Some(Stop::Ended(ended)));
            }
            Some(effect) if is_late && !matches!(effect, Effect::Commit(_)) => {
                return Ok(Some(Stop::Ended(Ended::LeftOpen)));
            }
            Some(effect) => {
                if matches!(effect, Effect::Prepare(_)) {
                    self.early.closes();
                }
                self.writing_rows = matches!(effect, Effect::PutRows(_));
                self.running = Some(self.executor.execute(effect).boxed());
            }
        }
        Ok(None)
    }

    /// Waits for the next thing to happen. Lost first: nothing may follow it. Then finished work,
    /// then time, then records that wait to be folded, and new ones last.
    async fn next_event(&mut self) -> Result<Event, TaskError> {
        let lease = self.executor.lease;
        let (lost, hand_over) = (lease.lost(), lease.hand_over());
        Ok(tokio::select! {
            biased;
            () = lost.cancelled() => Event::Lost,
            answer = answer_of(&mut self.running) => {
                self.running = None;
                match answer? {
                    Answer::Lost => Event::Lost,
                    Answer::Input(input) => Event::Input(input),
                }
            }
            () = hand_over.cancelled(), if self.leave_at.is_none() => {
                self.leave_at = Some(crate::clock::instant() + self.hand_over_takes);
                self.reading.stop();
                Event::Input(Input::HandOver)
            }
            _ = self.tick.tick() => Event::Input(Input::Tick(self.executor.time())),
            // Between two slices the thread is somebody else's, a heartbeat's for example.
            () = tokio::task::yield_now(), if self.shard.has_backlog() => {
                Event::Input(Input::Turn)
            }
            read = self.reading.next(), if self.shard.wants_records() => Event::Read(read?),
        })
    }

    /// Gives the machine what the stream gave.
    fn take(&mut self, read: Read) -> Result<(), TaskError> {
        let batch = match read {
            Read::Batch(batch) => batch,
            Read::Gone(children) => {
                self.children = children;
                self.shard.step(Input::Gone, &mut self.effects);
                return Ok(());
            }
            Read::Failed(error) => return self.executor.passing(error),
        };
        if self.executor.status.read(&batch) {
            tracing::debug!(shard = %self.shard.id(), "first read");
        }
        if batch.gap.is_some() {
            self.shard.step(Input::Hole, &mut self.effects);
        }
        let behind = Duration::from_millis(batch.millis_behind);
        self.early.read(!batch.records.is_empty(), behind, elapsed());
        self.unfolded_bytes += bytes_of(&batch);
        self.shard.step(Input::Records(batch.records), &mut self.effects);
        if let Some(end) = batch.end {
            self.children = end;
            self.shard.step(Input::ShardEnd, &mut self.effects);
        }
        Ok(())
    }
}

/// Ticks at the same moments as those of every other shard of this process, so that epochs close
/// together.
fn common_tick() -> Interval {
    let to_next_ms = TICK_MS - elapsed().0 % TICK_MS;
    tokio::time::interval_at(crate::clock::instant() + Duration::from_millis(to_next_ms), TICK)
}

/// Returns the running effect's answer; never ready while none runs.
async fn answer_of<T>(running: &mut Option<BoxFuture<'_, T>>) -> T {
    match running {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
