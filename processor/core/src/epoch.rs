//! The epoch protocol: one shard's state machine.
//!
//! A shard's life is a chain of epochs, contiguous ranges `(from, to]` of its positions. Records
//! are folded into the open epoch; when it closes it takes flight: prepare on the lease, write
//! the rows, store rejects and archive, emit, commit. While one epoch is in flight the next is
//! already being read, and its prepare waits for the commit (E8: two in memory at most).
//!
//! The machine is driven by a loop in production, by a PRNG in the simulator and by a file reader
//! in replay. It decides everything and does nothing: each [`Effect`] is answered by one
//! [`Input`]. A driver that loses the lease drops the machine.
//!
//! Invariants kept here, by id: E2 (nothing is written before its prepare succeeded), E3 (the
//! commit is the last effect), E6 (every record is counted once), E8, E9 (no clock decides how a
//! record is classified; [`Input::Tick`] only closes epochs).

mod dedupe;
mod message;
mod open;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

pub use dedupe::{Dedupe, EventId};
pub use message::{
    Commit, Effect, Emission, Ending, Input, Objects, ReadFrom, Resume, Rows, ShardConfig,
    StoredRows,
};
pub use open::{Counts, Rejected};

use crate::decode::{Decoder, Rejection};
use crate::window::{WindowAgg, WindowKey};
use kinesis_model::kpl;
use kinesis_model::kpl::Aggregate;
use kinesis_model::{EpochMs, HashRange, Position, Record, ShardId};
use open::OpenEpoch;

/// The step of an epoch in flight whose answer is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Preparing,
    Writing,
    Storing,
    Emitting,
    Committing,
}

/// An epoch that has closed and is being written.
#[derive(Debug)]
struct Flight {
    to: Position,
    rows: Arc<Rows>,
    objects: Objects,
    stored: StoredRows,
    counts: Counts,
    arrival: Option<EpochMs>,
    stage: Stage,
}

/// One shard's state machine.
#[derive(Debug)]
pub struct Shard {
    id: ShardId,
    range: HashRange,
    config: ShardConfig,
    resume: Resume,
    /// The end of the epoch to be closed at exactly this position; limits wait for it.
    forced: Option<Position>,
    decoder: Decoder,
    dedupe: Dedupe,
    open: OpenEpoch,
    flight: Option<Flight>,
    ending: Option<Ending>,
    finished: bool,
    now: EpochMs,
}

impl Shard {
    /// A machine that goes on from where the lease stands.
    #[must_use]
    pub fn resume(id: ShardId, range: HashRange, resume: Resume, config: ShardConfig) -> Self {
        Self {
            forced: resume.pending,
            decoder: Decoder::new(config.decode),
            dedupe: Dedupe::new(config.dedupe_horizon_ms, config.dedupe_max_ids),
            open: OpenEpoch::after(resume.checkpoint, config.archive),
            flight: None,
            ending: None,
            finished: false,
            now: EpochMs(0),
            id,
            range,
            config,
            resume,
        }
    }

    /// The shard's id.
    #[must_use]
    pub fn id(&self) -> &ShardId {
        &self.id
    }

    /// What the open epoch has folded so far, for who looks on: in no order, and with sketches that
    /// may lack the latest values.
    pub fn open_windows(&self) -> impl Iterator<Item = &(WindowKey, WindowAgg)> {
        self.open.windows()
    }

    /// Where the reader has to start.
    #[must_use]
    pub fn read_from(&self) -> ReadFrom {
        match (self.resume.checkpoint, self.resume.checkpoint_arrival) {
            (None, _) => ReadFrom::Beginning,
            (Some(_), Some(arrival)) if self.config.dedupe_horizon_ms > 0 => ReadFrom::Arrival(
                EpochMs(arrival.0.saturating_sub(self.config.dedupe_horizon_ms).max(0)),
            ),
            (Some(checkpoint), _) => ReadFrom::At(checkpoint),
        }
    }

    /// Whether more records may be read: the open epoch has room, or can take flight at once.
    #[must_use]
    pub fn wants_records(&self) -> bool {
        let blocked = self.flight.is_some() && self.is_full();
        self.ending.is_none() && !blocked
    }

    /// Whether nothing read is uncommitted.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.flight.is_none() && self.open.is_empty() && self.forced.is_none()
    }

    /// Advances the machine. Effects are appended in the order in which they must happen.
    ///
    /// # Panics
    /// When the driver answers an effect that was not asked for.
    pub fn step(&mut self, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Records(records) => {
                for record in records {
                    self.take(&record, effects);
                }
            }
            Input::Tick(now) => self.now = now,
            Input::Prepared => self.after_prepare(effects),
            Input::RowsStored(stored) => self.after_rows(stored, effects),
            Input::ObjectsStored => self.after_objects(effects),
            Input::Emitted => self.after_emit(effects),
            Input::Committed => {
                self.answered(Stage::Committing);
                self.flight = None;
            }
            Input::ShardEnd => self.ending = Some(Ending::ShardEnd),
            Input::HandOver => self.ending = self.ending.or(Some(Ending::HandOver)),
        }
        self.close_if_due(effects);
    }

    /// Folds one Kinesis record, user record by user record.
    fn take(&mut self, record: &Record, effects: &mut Vec<Effect>) {
        if self.ending.is_some() {
            return;
        }
        if let Some(pending) = self.forced
            && record.sequence > pending.sequence
        {
            self.close_at_gap(pending, effects);
        }
        self.dedupe.arrive(record.arrival);
        let at = |sub| Position { sequence: record.sequence, sub };
        match kpl::deaggregate(&record.data) {
            Aggregate::Plain => self.take_user(at(0), record, &record.data, effects),
            Aggregate::Broken(broken) => {
                self.take_broken(at(0), record, &broken.into(), effects);
            }
            Aggregate::Records(users) => match kpl::check_range(&users, &self.range) {
                Err(foreign) => {
                    let last = users.last().map_or(0, |user| user.sub);
                    self.take_broken(at(last), record, &foreign.into(), effects);
                }
                Ok(()) => {
                    for user in &users {
                        self.take_user(at(user.sub), record, &user.data, effects);
                    }
                }
            },
        }
        self.close_if_due(effects);
    }

    fn take_user(
        &mut self,
        position: Position,
        record: &Record,
        data: &Bytes,
        effects: &mut Vec<Effect>,
    ) {
        if self.is_done(position) {
            open::warm_up(&mut self.dedupe, data, record.arrival, &mut self.decoder);
            return;
        }
        self.open.fold(position, record, data, &mut self.decoder, &mut self.dedupe, self.now);
        self.close_if_forced(position, effects);
    }

    fn take_broken(
        &mut self,
        position: Position,
        record: &Record,
        rejection: &Rejection,
        effects: &mut Vec<Effect>,
    ) {
        if self.is_done(position) {
            return;
        }
        self.open.reject(position, record, rejection, self.now);
        self.close_if_forced(position, effects);
    }

    /// Whether a position lies in an epoch that was committed before this machine began.
    fn is_done(&self, position: Position) -> bool {
        Some(position) <= self.resume.checkpoint
    }

    fn close_if_forced(&mut self, position: Position, effects: &mut Vec<Effect>) {
        if self.forced == Some(position) {
            self.close(position, effects);
        }
    }

    /// Closes the prepared epoch although its end was never seen: retention has trimmed it.
    fn close_at_gap(&mut self, pending: Position, effects: &mut Vec<Effect>) {
        self.open.note_gap();
        self.close(pending, effects);
    }

    fn is_full(&self) -> bool {
        self.open.rows() >= self.config.max_rows
            || self.open.counts().read >= self.config.max_records
            || self.open.bytes() >= self.config.max_bytes
    }

    fn close_if_due(&mut self, effects: &mut Vec<Effect>) {
        if self.flight.is_some() || self.finished {
            return;
        }
        match (self.forced, self.ending) {
            // The epoch's end is not reached yet.
            (Some(_), None) => {}
            // Closing it elsewhere would break the promise that it is always the same epoch.
            (Some(_), Some(Ending::HandOver)) => self.finish(Ending::HandOver, effects),
            (Some(pending), Some(Ending::ShardEnd)) => self.close_at_gap(pending, effects),
            (None, ending) => match (self.open.to(), ending) {
                (Some(to), _) if !self.open.is_empty() => {
                    let waited_ms = self.now.0 - self.open.opened().0;
                    if ending.is_some() || self.is_full() || waited_ms >= self.config.interval_ms {
                        self.close(to, effects);
                    }
                }
                (_, Some(ending)) => self.finish(ending, effects),
                (_, None) => {}
            },
        }
    }

    fn close(&mut self, to: Position, effects: &mut Vec<Effect>) {
        self.forced = None;
        let closed =
            std::mem::replace(&mut self.open, OpenEpoch::after(Some(to), self.config.archive));
        let arrival = self.dedupe.latest_arrival().max(self.resume.checkpoint_arrival);
        let counts = closed.counts().clone();
        let (rows, mut objects) = closed.close(to);
        objects.hash_range = Some(self.range);
        self.flight = Some(Flight {
            to,
            rows: Arc::new(rows),
            objects,
            stored: StoredRows::default(),
            counts,
            arrival,
            stage: Stage::Preparing,
        });
        effects.push(Effect::Prepare(to));
    }

    fn finish(&mut self, ending: Ending, effects: &mut Vec<Effect>) {
        self.finished = true;
        effects.push(Effect::Finish(ending));
    }

    fn answered(&mut self, stage: Stage) -> &mut Flight {
        let flight = self.flight.as_mut().expect("an answer without an epoch in flight");
        assert_eq!(flight.stage, stage, "an answer to an effect that was not asked for");
        flight
    }

    fn after_prepare(&mut self, effects: &mut Vec<Effect>) {
        let flight = self.answered(Stage::Preparing);
        flight.stage = Stage::Writing;
        effects.push(Effect::PutRows { rows: Arc::clone(&flight.rows), to: flight.to });
    }

    fn after_rows(&mut self, stored: StoredRows, effects: &mut Vec<Effect>) {
        let flight = self.answered(Stage::Writing);
        flight.stored = stored;
        flight.stage = Stage::Storing;
        effects.push(Effect::Store(std::mem::take(&mut flight.objects)));
    }

    fn after_objects(&mut self, effects: &mut Vec<Effect>) {
        let flight = self.answered(Stage::Storing);
        flight.stage = Stage::Emitting;
        effects.push(Effect::Emit(Emission {
            partials: Arc::clone(&flight.rows),
            stored: std::mem::take(&mut flight.stored),
            counts: flight.counts.clone(),
            arrival: flight.arrival.unwrap_or_default(),
            to: flight.to,
        }));
    }

    fn after_emit(&mut self, effects: &mut Vec<Effect>) {
        let flight = self.answered(Stage::Emitting);
        flight.stage = Stage::Committing;
        effects.push(Effect::Commit(Commit {
            to: flight.to,
            arrival: flight.arrival,
            counts: flight.counts.clone(),
        }));
    }
}
