//! The shell of one shard: a loop that answers the core's effects.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use ivs_core::emit::{Datum, EpochFigures, epoch_datums};
use ivs_core::epoch::{Effect, Emission, Ending, Input, ReadFrom, Resume, Shard, ShardConfig};
use kinesis_fleet::source::{Batch, ShardReader, SourceError};
use kinesis_fleet::{Checkpoint, ChildShard, LeaseOutcome, ResumePoint, ShardLease, StartAt};
use kinesis_model::{HashRange, ShardId};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::clock::now;
use crate::sink::rows::{EpochWrite, RowCache};
use crate::sink::{Judged, SetAside, SinkError, Sinks};
use crate::worker::shard_status::{ShardStatus, Stage};

/// How often the machine is told the time, by which epochs close: the shortest interval allowed.
const TICK: Duration = Duration::from_millis(100);

/// Batches read ahead of the fold. Reading pauses when the machine wants no records (E8), so at
/// most this many batches of 10 MiB wait outside it.
const READ_AHEAD: usize = 1;

/// How a shard's task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The shard is finished; its children may start.
    ShardEnd,
    /// Everything read is committed and the lease is free.
    HandedOver,
    /// The lease is free. What was read after its checkpoint is its next owner's to read again, and
    /// an epoch that was prepared is its to write.
    LeftOpen,
    /// Someone else holds the lease, or may: nothing more was written.
    LeaseLost,
}

/// Why a shard's task gave up. Its lease lapses, and whoever takes it does the epoch again.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// An effect did not happen.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The lease table did not answer.
    #[error("lease: {0}")]
    Lease(#[from] kinesis_fleet::StoreError),
    /// The stream could not be read.
    #[error("stream: {0}")]
    Source(#[from] SourceError),
}

/// What an effect came to.
enum Answer {
    /// Tell the machine.
    Input(Input),
    /// The lease is lost.
    Lost,
}

/// Where the machine goes on, from what the lease says.
#[must_use]
pub fn resume_of(point: &ResumePoint) -> Resume {
    let checkpoint = match point.checkpoint {
        Checkpoint::Sequence(position) => Some(position),
        _ => None,
    };
    Resume {
        checkpoint,
        pending: point.pending,
        checkpoint_arrival: checkpoint.and(point.checkpoint_arrival),
    }
}

/// Where the reader starts, from what the machine wants.
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
    open: impl FnOnce(StartAt) -> ShardReader,
    (config, hand_over): (ShardConfig, Duration),
    sinks: &Sinks,
    status: Arc<ShardStatus>,
) -> Result<Ended, TaskError> {
    let point = lease.resume_point();
    let range = lease.hash_range().unwrap_or(HashRange::ALL);
    let shard = Shard::resume(lease.shard().clone(), range, resume_of(&point), config);
    let start = start_of(&point, shard.read_from());
    tracing::info!(shard = %lease.shard(), ?start, pending = ?point.pending, "shard started");
    let mut reading = read_ahead(open(start));
    let executor = Executor { lease: &lease, sinks, memory: Mutex::default(), status: &status };
    let ended = drive(shard, &executor, &mut reading, hand_over).await;
    reading.stop.cancel();
    match ended? {
        ended @ (Ended::HandedOver | Ended::LeftOpen) => {
            let outcome = lease.release().await?;
            Ok(if outcome == LeaseOutcome::Done { ended } else { Ended::LeaseLost })
        }
        ended => Ok(ended),
    }
}

/// A shard that is being read on a task of its own.
struct Reading {
    batches: mpsc::Receiver<Result<Batch, SourceError>>,
    stop: CancellationToken,
}

/// Reads on a task of its own, so that an answered effect never cuts a call to Kinesis short.
fn read_ahead(mut reader: ShardReader) -> Reading {
    let (sender, batches) = mpsc::channel(READ_AHEAD);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(stopped.run_until_cancelled_owned(async move {
        loop {
            let batch = reader.next().await;
            // Kinesis being away for a while is no reason to give the shard up.
            let goes_on = match &batch {
                Ok(batch) => batch.end.is_none(),
                Err(SourceError::Unreachable { .. }) => true,
                Err(_) => false,
            };
            if sender.send(batch).await.is_err() || !goes_on {
                break;
            }
        }
    }));
    Reading { batches, stop }
}

/// The loop: one effect at a time, while reading goes on.
///
/// A shard that is to be handed over is left as it is when its epochs take too long to close: a
/// prepared one is closed at the same place by the next owner, which finds the rows that hold it
/// already, and one that was not prepared has written nothing. Only between emission and commit it
/// goes on, or the next owner would emit again (E7).
async fn drive(
    mut shard: Shard,
    executor: &Executor<'_>,
    reading: &mut Reading,
    hand_over_takes: Duration,
) -> Result<Ended, TaskError> {
    let (lost, hand_over) = (executor.lease.lost(), executor.lease.hand_over());
    let mut tick = tokio::time::interval(TICK);
    let mut leave_at: Option<Instant> = None;
    let mut children = Vec::new();
    let mut effects = Vec::new();
    let mut waiting = VecDeque::new();
    let mut running: Option<BoxFuture<'_, Result<Answer, TaskError>>> = None;
    let mut writing_rows = false;
    loop {
        waiting.extend(effects.drain(..));
        let is_late = leave_at.is_some_and(|at| Instant::now() >= at);
        if running.is_none() {
            match waiting.pop_front() {
                None => {}
                Some(Effect::Finish(ending)) => return executor.finish(ending, &children).await,
                Some(effect) if is_late && !matches!(effect, Effect::Commit(_)) => {
                    return Ok(Ended::LeftOpen);
                }
                Some(effect) => {
                    writing_rows = matches!(effect, Effect::PutRows { .. });
                    running = Some(executor.execute(effect).boxed());
                }
            }
        } else if is_late && writing_rows {
            return Ok(Ended::LeftOpen);
        }
        // Lost first: nothing may follow it. Then finished work, then time, and new work last.
        let input = tokio::select! {
            biased;
            () = lost.cancelled() => return Ok(Ended::LeaseLost),
            answer = answer_of(&mut running) => {
                running = None;
                match answer? {
                    Answer::Lost => return Ok(Ended::LeaseLost),
                    Answer::Input(input) => input,
                }
            }
            () = hand_over.cancelled(), if leave_at.is_none() => {
                leave_at = Some(Instant::now() + hand_over_takes);
                reading.stop.cancel();
                Input::HandOver
            }
            _ = tick.tick() => Input::Tick(now()),
            Some(batch) = reading.batches.recv(), if shard.wants_records() => {
                let batch = batch.or_else(|error| executor.passing(error))?;
                if executor.status.read(&batch) {
                    tracing::debug!(shard = %shard.id(), "first read");
                }
                shard.step(Input::Records(batch.records), &mut effects);
                let Some(end) = batch.end else { continue };
                children = end;
                Input::ShardEnd
            }
        };
        shard.step(input, &mut effects);
        executor.status.turned(shard.is_idle());
        if executor.status.wants_open() {
            executor.status.show_open(shard.open_windows());
        }
    }
}

/// The running effect's answer; never ready while none runs.
async fn answer_of<T>(running: &mut Option<BoxFuture<'_, T>>) -> T {
    match running {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// What the status page calls the time an effect takes.
fn stage_of(effect: &Effect) -> Stage {
    match effect {
        Effect::Prepare(_) => Stage::Preparing,
        Effect::PutRows { .. } => Stage::Writing,
        Effect::Store(_) => Stage::Storing,
        Effect::Emit(_) => Stage::Emitting,
        Effect::Commit(_) | Effect::Finish(_) => Stage::Committing,
    }
}

/// Before the commit: every committed epoch has this line, whatever crashes. One that is written
/// again has the same figures again.
fn log_counts(shard: &ShardId, emission: &Emission) {
    let counts = &emission.counts;
    tracing::debug!(
        %shard,
        to = %emission.to,
        read = counts.read,
        accepted = counts.accepted,
        duplicate = counts.duplicate,
        rejected = counts.rejected_total(),
        "emitted"
    );
}

/// What makes effects cheaper, and may be lost at any time.
#[derive(Default)]
struct Memory {
    rows: RowCache,
    judged: Judged,
    flight: Flight,
}

/// The epoch in flight: what its metrics tell, and rows that are still to be set aside.
struct Flight {
    prepared: Instant,
    rows_written: u64,
    row_conflicts: u64,
    set_aside: Vec<SetAside>,
}

impl Default for Flight {
    fn default() -> Self {
        Self { prepared: Instant::now(), rows_written: 0, row_conflicts: 0, set_aside: vec![] }
    }
}

/// Carries effects out.
struct Executor<'a> {
    lease: &'a ShardLease,
    sinks: &'a Sinks,
    /// Only one effect runs at a time, so nobody ever waits for it.
    memory: Mutex<Memory>,
    status: &'a ShardStatus,
}

impl Executor<'_> {
    /// A stream that does not answer for a while gives an empty batch; the reader goes on by
    /// itself.
    fn passing(&self, error: SourceError) -> Result<Batch, TaskError> {
        match error {
            SourceError::Unreachable { .. } => {
                let shard = self.lease.shard();
                tracing::warn!(%shard, %error, "the stream cannot be read, going on");
                self.sinks.stats.note_error(error.to_string());
                Ok(Batch { millis_behind: 1, ..Batch::default() })
            }
            error => Err(error.into()),
        }
    }

    async fn execute(&self, effect: Effect) -> Result<Answer, TaskError> {
        let shard = self.lease.shard();
        self.status.stage(stage_of(&effect));
        let input = match effect {
            Effect::Prepare(to) => match self.lease.prepare(to).await? {
                LeaseOutcome::Lost => return Ok(Answer::Lost),
                LeaseOutcome::Done => {
                    self.memory.lock().await.flight = Flight::default();
                    Input::Prepared
                }
            },
            Effect::PutRows { rows, to } => {
                let memory = &mut *self.memory.lock().await;
                let epoch = EpochWrite::new(shard, to);
                let stored = self.sinks.rows.store(&rows, &epoch, &mut memory.rows).await?;
                memory.flight.rows_written = epoch.written();
                memory.flight.row_conflicts = epoch.conflicts();
                memory.flight.set_aside = epoch.take_set_aside();
                Input::RowsStored(stored)
            }
            Effect::Store(objects) => {
                let set_aside = std::mem::take(&mut self.memory.lock().await.flight.set_aside);
                self.sinks.objects.store_set_aside(shard, &objects, &set_aside).await?;
                self.sinks.objects.store(shard, &objects).await?;
                Input::ObjectsStored
            }
            Effect::Emit(emission) => {
                let memory = &mut *self.memory.lock().await;
                let figures = self.figures(&emission, &memory.flight);
                self.sinks.emit(&emission, figures, &mut memory.judged).await?;
                log_counts(shard, &emission);
                Input::Emitted
            }
            Effect::Commit(commit) => {
                let arrival = commit.arrival.unwrap_or_default();
                if self.lease.commit(commit.to, arrival).await? == LeaseOutcome::Lost {
                    return Ok(Answer::Lost);
                }
                let took = self.memory.lock().await.flight.prepared.elapsed();
                self.sinks.stats.commit(&commit.counts, took);
                self.status.committed(&commit);
                tracing::debug!(%shard, to = %commit.to, "committed");
                Input::Committed
            }
            Effect::Finish(_) => unreachable!("the loop ends at Finish"),
        };
        Ok(Answer::Input(input))
    }

    /// What the epoch says about the processor.
    fn figures(&self, emission: &Emission, flight: &Flight) -> Vec<Datum> {
        epoch_datums(&EpochFigures {
            shard: self.lease.shard(),
            counts: &emission.counts,
            rows_written: flight.rows_written,
            row_conflicts: flight.row_conflicts,
            duration_ms: u64::try_from(flight.prepared.elapsed().as_millis()).unwrap_or(u64::MAX),
            recovered: self.lease.resume_point().pending == Some(emission.to),
            time: emission.arrival,
        })
    }

    async fn finish(&self, ending: Ending, children: &[ChildShard]) -> Result<Ended, TaskError> {
        if ending == Ending::HandOver {
            return Ok(Ended::HandedOver);
        }
        tracing::info!(shard = %self.lease.shard(), children = children.len(), "shard end");
        Ok(match self.lease.finish(children).await? {
            LeaseOutcome::Done => Ended::ShardEnd,
            LeaseOutcome::Lost => Ended::LeaseLost,
        })
    }
}
