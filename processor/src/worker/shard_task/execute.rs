//! Carries the core's effects out.

use ivs_core::emit::{Datum, EpochFigures, epoch_datums};
use ivs_core::epoch::{
    Commit, Effect, ElapsedMs, Emission, Emit, Ending, Input, Prepare, Resume, Store,
};
use kinesis_fleet::source::SourceError;
use kinesis_fleet::{ChildShard, LeaseOutcome, ShardLease};
use tokio::sync::Mutex;

use super::outcome::{Ended, TaskError};
use super::trace::Trace;
use crate::clock::Instant;
use crate::sink::rows::{Closing, EpochWrite, InFlight};
use crate::sink::{SetAside, Sinks};
use crate::worker::shard_status::{ShardStatus, Stage};

/// The result of an effect.
pub(super) enum Answer {
    /// Tell the machine.
    Input(Input),
    /// The lease is lost.
    Lost,
}

/// A cache that makes effects cheaper and may be lost at any time.
#[derive(Default)]
struct Memory {
    flight: Flight,
    /// Where the last commit left the shard.
    committed: Resume,
}

/// The epoch in flight: what its metrics tell, and rows that are still to be set aside.
struct Flight {
    prepared: Instant,
    /// Until its rows are on their way, others wait for them.
    closing: Option<Closing>,
    /// Until it is committed, full epochs of other shards may wait for it.
    in_flight: Option<InFlight>,
    rows_written: u64,
    row_conflicts: u64,
    set_aside: Vec<SetAside>,
}

impl Default for Flight {
    fn default() -> Self {
        Self {
            prepared: crate::clock::instant(),
            closing: None,
            in_flight: None,
            rows_written: 0,
            row_conflicts: 0,
            set_aside: vec![],
        }
    }
}

/// The hand that carries effects out.
pub(super) struct Executor<'a> {
    pub(super) lease: &'a ShardLease,
    sinks: &'a Sinks,
    /// Only one effect runs at a time, so nobody ever waits for it.
    memory: Mutex<Memory>,
    pub(super) status: &'a ShardStatus,
}

impl<'a> Executor<'a> {
    /// Creates one that has done nothing.
    pub(super) fn new(lease: &'a ShardLease, sinks: &'a Sinks, status: &'a ShardStatus) -> Self {
        Self { lease, sinks, memory: Mutex::default(), status }
    }

    /// Returns whether a shard of this process is about to write its epoch's rows.
    pub(super) fn is_another_closing(&self) -> bool {
        self.sinks.rows.is_closing()
    }

    /// Returns whether an epoch of a shard of this process is in flight: of another one, if none of this
    /// shard is.
    pub(super) fn has_company(&self) -> bool {
        self.sinks.rows.flights().are_any()
    }

    /// Returns the time by which epochs close.
    pub(super) fn time(&self) -> ElapsedMs {
        self.sinks.rows.phase().of(crate::clock::elapsed())
    }

    /// Returns where the last commit left the shard.
    pub(super) async fn committed(&self) -> Resume {
        self.memory.lock().await.committed.clone()
    }

    /// Returns the log of what is done.
    pub(super) fn trace(&self) -> Trace<'a> {
        Trace(self.lease)
    }

    /// Notes a stream that does not answer for a while; the reader goes on by itself.
    pub(super) fn passing(&self, error: SourceError) -> Result<(), TaskError> {
        match error {
            SourceError::Unreachable { .. } => {
                let shard = self.lease.shard();
                tracing::warn!(%shard, %error, "the stream cannot be read, going on");
                self.sinks.stats.note_error(error.to_string());
                Ok(())
            }
            error => Err(error.into()),
        }
    }

    /// Carries one effect out.
    pub(super) async fn execute(&self, effect: Effect) -> Result<Answer, TaskError> {
        self.status.stage(stage_of(&effect));
        match effect {
            Effect::Prepare(step) => self.prepare(step).await,
            Effect::PutRows(step) => {
                let memory = &mut *self.memory.lock().await;
                let epoch = EpochWrite::new(self.lease.shard(), step.to);
                let closing = memory.flight.closing.take();
                let stored = self.sinks.rows.store(&step.rows, &epoch, closing).await?;
                memory.flight.rows_written = epoch.written();
                memory.flight.row_conflicts = epoch.conflicts();
                memory.flight.set_aside = epoch.take_set_aside();
                self.trace().written(step.to, epoch.written());
                Ok(Answer::Input(step.done(stored)))
            }
            Effect::Store(step) => self.store(step).await,
            Effect::Emit(step) => self.emit(step).await,
            Effect::Commit(step) => self.commit(step).await,
            Effect::Finish(_) => unreachable!("the loop ends at Finish"),
        }
    }

    async fn prepare(&self, step: Prepare) -> Result<Answer, TaskError> {
        let shard = self.lease.shard();
        for gap in step.gaps() {
            tracing::error!(%shard, %gap, "records expired from the stream before they were read");
            self.sinks.stats.note_error(format!("{shard}: records expired unread: {gap}"));
        }
        let closing = Some(self.sinks.rows.announce());
        let in_flight = Some(self.sinks.rows.flights().begin());
        let rules = step.rules.to_bytes().into();
        if self.lease.prepare_with(step.to, rules).await? == LeaseOutcome::Lost {
            return Ok(Answer::Lost);
        }
        self.trace().prepared(step.to);
        self.memory.lock().await.flight = Flight { closing, in_flight, ..Flight::default() };
        Ok(Answer::Input(step.done()))
    }

    async fn store(&self, step: Store) -> Result<Answer, TaskError> {
        let shard = self.lease.shard();
        let set_aside = std::mem::take(&mut self.memory.lock().await.flight.set_aside);
        self.sinks.objects.store_set_aside(shard, &step.objects, &set_aside).await?;
        self.sinks.objects.store(shard, &step.objects).await?;
        self.trace().stored(&step.objects);
        Ok(Answer::Input(step.done()))
    }

    async fn emit(&self, step: Emit) -> Result<Answer, TaskError> {
        let figures = self.figures(&step.emission, &self.memory.lock().await.flight);
        self.sinks.emit(self.lease.shard(), &step.emission, figures).await?;
        self.trace().emitted(&step.emission);
        Ok(Answer::Input(step.done()))
    }

    async fn commit(&self, step: Commit) -> Result<Answer, TaskError> {
        let arrival = step.arrival.unwrap_or_default();
        if self.lease.commit(step.to, arrival).await? == LeaseOutcome::Lost {
            return Ok(Answer::Lost);
        }
        let memory = &mut *self.memory.lock().await;
        memory.flight.in_flight = None;
        memory.committed = Resume {
            checkpoint: Some(step.to),
            checkpoint_arrival: step.arrival,
            ..Resume::default()
        };
        self.sinks.stats.commit(&step.counts, memory.flight.prepared.elapsed());
        self.status.committed(&step);
        self.trace().committed(&step);
        Ok(Answer::Input(step.done()))
    }

    /// Returns what the epoch says about the processor.
    fn figures(&self, emission: &Emission, flight: &Flight) -> Vec<Datum> {
        epoch_datums(&EpochFigures {
            shard: self.lease.shard(),
            counts: &emission.counts,
            rows_written: flight.rows_written,
            row_conflicts: flight.row_conflicts,
            duration_ms: u64::try_from(flight.prepared.elapsed().as_millis()).unwrap_or(u64::MAX),
            recovered: self.lease.resume_point().pending == Some(emission.to),
            time: emission.arrival,
            now: crate::clock::now(),
        })
    }

    /// Gives the lease its end.
    pub(super) async fn finish(
        &self,
        ending: Ending,
        children: &[ChildShard],
    ) -> Result<Ended, TaskError> {
        if ending != Ending::ShardEnd {
            return Ok(Ended::HandedOver);
        }
        tracing::info!(shard = %self.lease.shard(), children = children.len(), "shard end");
        let outcome = self.lease.finish(children).await?;
        self.trace().finished(children, outcome);
        Ok(match outcome {
            LeaseOutcome::Done => Ended::ShardEnd,
            LeaseOutcome::Lost => Ended::LeaseLost,
        })
    }
}

/// Returns what the status page calls the time an effect takes.
fn stage_of(effect: &Effect) -> Stage {
    match effect {
        Effect::Prepare(_) => Stage::Preparing,
        Effect::PutRows(_) => Stage::Writing,
        Effect::Store(_) => Stage::Storing,
        Effect::Emit(_) => Stage::Emitting,
        Effect::Commit(_) | Effect::Finish(_) => Stage::Committing,
    }
}
