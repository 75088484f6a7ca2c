//! An epoch in flight, as the steps that are still to be done, and the messages that carry them.
//!
//! Each step is handed to the driver with all that is left of the epoch inside, and the answer to
//! a step can only be made from the step itself: a driver cannot answer what was not asked.

use std::sync::Arc;

use super::message::{ElapsedMs, Emission, Ending, Objects, StoredRows};
use super::{Counts, Rows, Rules};
use kinesis_model::{EpochMs, Gap, Position, Record};

/// A message from the driver to the machine.
#[derive(Debug)]
pub enum Input {
    /// The next records of the shard, in order. A first slice of them is folded at once, the rest
    /// by [`Input::Turn`].
    Records(Vec<Record>),
    /// The next slice of the records given; see [`super::Shard::has_backlog`].
    Turn,
    /// The records that follow the last one given are gone from the stream: what is given next
    /// does not continue it.
    Hole,
    /// How long the driver has run; closes epochs that are due.
    Tick(ElapsedMs),
    /// Memory is short: the open epoch is to close as soon as none is in flight.
    Close,
    /// The open epoch is full below its limits: it has its part of the memory that all shards share, or a backlog was
    /// read to its end.
    Enough,
    /// Whether other shards of this worker have epochs in flight: one that is full may wait for their next.
    Company(bool),
    /// An effect has happened; made by the effect itself.
    Done(Answer),
    /// The shard is closed and was read to its end.
    ShardEnd,
    /// The stream does not have the shard any more: what was unread of it is lost.
    Gone,
    /// Shutdown or a cooperative hand-over: close, commit, release.
    HandOver,
}

/// A request of the machine to the driver. Each but the last is answered by its `done`.
#[derive(Debug)]
pub enum Effect {
    /// Write `pendingCheckpoint` on the condition that the lease is ours.
    Prepare(Prepare),
    /// Merge the epoch's partials into their rows.
    PutRows(PutRows),
    /// Store rejects and archive under names derived from the epoch.
    Store(Store),
    /// Send metrics and domain events.
    Emit(Emit),
    /// Write `checkpoint` and remove `pendingCheckpoint`.
    Commit(Commit),
    /// The machine takes no more input.
    Finish(Ending),
}

/// The part of a closed epoch that goes along to its commit.
#[derive(Debug)]
struct Tail {
    to: Position,
    counts: Counts,
    gaps: Vec<Gap>,
    arrival: Option<EpochMs>,
}

/// Write `pendingCheckpoint` on the condition that the lease is ours.
#[derive(Debug)]
pub struct Prepare {
    /// The epoch's end.
    pub to: Position,
    /// The rules that made the epoch, to be stored with it.
    pub rules: Rules,
    rows: Arc<Rows>,
    objects: Arc<Objects>,
    tail: Tail,
}

/// Merge these partials into their rows.
#[derive(Debug)]
pub struct PutRows {
    /// The epoch's partials.
    pub rows: Arc<Rows>,
    /// The epoch's end, to be set as `applied[shard]`.
    pub to: Position,
    objects: Arc<Objects>,
    tail: Tail,
}

/// Store rejects and archive under names derived from the epoch.
#[derive(Debug)]
pub struct Store {
    /// The objects to be stored.
    pub objects: Arc<Objects>,
    rows: Arc<Rows>,
    stored: StoredRows,
    tail: Tail,
}

/// Send metrics and domain events.
#[derive(Debug)]
pub struct Emit {
    /// Their source.
    pub emission: Emission,
    gaps: Vec<Gap>,
    commit_arrival: Option<EpochMs>,
}

/// Write `checkpoint` and remove `pendingCheckpoint`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Commit {
    /// The epoch's end.
    pub to: Position,
    /// The latest arrival up to it.
    pub arrival: Option<EpochMs>,
    /// The epoch's record counts.
    pub counts: Counts,
    /// The gaps in the stream.
    pub gaps: Vec<Gap>,
}

/// The answer to a step: the epoch with that step done.
#[derive(Debug)]
pub struct Answer(Box<EpochInFlight>);

/// The stage of an epoch in flight.
#[derive(Debug)]
enum EpochInFlight {
    Prepared { rows: Arc<Rows>, objects: Arc<Objects>, tail: Tail },
    RowsStored { rows: Arc<Rows>, stored: StoredRows, objects: Arc<Objects>, tail: Tail },
    ObjectsStored { rows: Arc<Rows>, stored: StoredRows, tail: Tail },
    Emitted(Tail),
    Committed,
}

impl Prepare {
    /// Starts the flight of a closed epoch.
    pub(super) fn new(
        (rows, counts): (Rows, Counts),
        objects: Objects,
        gaps: Vec<Gap>,
        arrival: Option<EpochMs>,
        rules: Rules,
    ) -> Self {
        let to = objects.to;
        let tail = Tail { to, counts, gaps, arrival };
        Self { to, rules, rows: Arc::new(rows), objects: Arc::new(objects), tail }
    }

    /// Returns what the stream no longer held when the epoch was read.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.tail.gaps
    }

    /// Answers that the lease holds `pendingCheckpoint`.
    #[must_use]
    pub fn done(self) -> Input {
        let Self { rows, objects, tail, .. } = self;
        EpochInFlight::Prepared { rows, objects, tail }.into()
    }
}

impl PutRows {
    /// Answers that every row holds the epoch.
    #[must_use]
    pub fn done(self, stored: StoredRows) -> Input {
        let Self { rows, objects, tail, .. } = self;
        EpochInFlight::RowsStored { rows, stored, objects, tail }.into()
    }
}

impl Store {
    /// Answers that rejects and archive segment are stored.
    #[must_use]
    pub fn done(self) -> Input {
        let Self { rows, stored, tail, .. } = self;
        EpochInFlight::ObjectsStored { rows, stored, tail }.into()
    }
}

impl Emit {
    /// Answers that metrics and events were acknowledged.
    #[must_use]
    pub fn done(self) -> Input {
        let Self { emission: Emission { counts, to, .. }, gaps, commit_arrival } = self;
        EpochInFlight::Emitted(Tail { to, counts, gaps, arrival: commit_arrival }).into()
    }
}

impl Commit {
    /// Answers that the lease holds the checkpoint.
    #[must_use]
    pub fn done(self) -> Input {
        EpochInFlight::Committed.into()
    }
}

impl From<EpochInFlight> for Input {
    fn from(done: EpochInFlight) -> Self {
        Self::Done(Answer(Box::new(done)))
    }
}

impl Answer {
    /// Returns the step that follows; `None` after the last.
    pub(super) fn next(self) -> Option<Effect> {
        Some(match *self.0 {
            EpochInFlight::Prepared { rows, objects, tail } => {
                Effect::PutRows(PutRows { rows, to: tail.to, objects, tail })
            }
            EpochInFlight::RowsStored { rows, stored, objects, tail } => {
                Effect::Store(Store { objects, rows, stored, tail })
            }
            EpochInFlight::ObjectsStored { rows, stored, tail } => {
                let Tail { to, counts, gaps, arrival: commit_arrival } = tail;
                let arrival = commit_arrival.unwrap_or_default();
                let emission = Emission { partials: rows, stored, counts, arrival, to };
                Effect::Emit(Emit { emission, gaps, commit_arrival })
            }
            EpochInFlight::Emitted(Tail { to, counts, gaps, arrival }) => {
                Effect::Commit(Commit { to, arrival, counts, gaps })
            }
            EpochInFlight::Committed => return None,
        })
    }
}
