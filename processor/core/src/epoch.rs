//! The epoch protocol: one shard's state machine.
//!
//! A shard's life is a chain of epochs, contiguous ranges `(from, to]` of its positions. Records
//! are folded into the open epoch; when it closes it takes flight: prepare on the lease, write
//! the rows, store rejects and archive, emit, commit. While one epoch is in flight the next is
//! already being read, and its prepare waits for the commit (E8: two in memory at most).
//!
//! The machine is driven by a loop in production, by a PRNG in the simulator and by a file reader
//! in replay. It decides everything and does nothing: each [`Effect`] is answered by an [`Input`]
//! that only the effect can make. A driver that loses the lease drops the machine.
//!
//! Records are folded in slices, and the limits are looked at before every record: a batch is never
//! folded into a full epoch, and a driver can do other things between two slices.
//!
//! A machine that resumes must meet the record of its checkpoint, or else the stream no longer
//! holds all of what followed it: that is a [`Gap`], counted once by the epoch behind it.
//!
//! Invariants kept here, by id: E2 (nothing is written before its prepare succeeded), E3 (the
//! commit is the last effect), E6 (every record is counted once), E8, E9 (no clock decides how a
//! record is classified; [`Input::Tick`] only closes epochs).

mod company;
mod dedupe;
mod flight;
mod message;
mod open;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::Bytes;

use company::Company;
pub use dedupe::{Dedupe, EventId};
pub use flight::{Answer, Commit, Effect, Emit, Input, Prepare, PutRows, Store};
pub use message::{
    ElapsedMs, Emission, Ending, Footprint, LOGIC, Objects, ReadFrom, Rejected, Resume,
    ShardConfig, StoredRows,
};
pub use rules::{ForeignRules, Rules};

use crate::decode::{Decoder, Rejection};
pub use crate::fold::{Counts, Rows};
use crate::window::{WindowAgg, WindowKey};
use kinesis_model::kpl::{self, Aggregate};
use kinesis_model::{EpochMs, Gap, HashRange, Position, Record, ShardId};
use open::OpenEpoch;

/// Payload folded before the driver may do something else: some milliseconds of work. A single
/// record is never divided.
const SLICE_BYTES: usize = 256 << 10;
/// The weight of a record in a slice besides its payload.
const RECORD_BYTES: usize = 100;

/// Input that was given to the machine and is still to be folded.
#[derive(Debug)]
enum Waiting {
    Record(Record),
    /// The next records do not continue those before.
    Hole,
}

/// How the next record joins on to what was read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Footing {
    /// It is the next one.
    Sure,
    /// Only if the record of this checkpoint comes first, or one before it.
    Unmet(Position),
    /// Records between are gone.
    Lost,
}

/// One shard's state machine.
#[derive(Debug)]
pub struct Shard {
    id: ShardId,
    range: HashRange,
    config: ShardConfig,
    rules: Rules,
    resume: Resume,
    /// The end of the epoch to be closed at exactly this position; limits wait for it.
    forced: Option<Position>,
    /// The rules are those of the epoch to be closed, and not our own.
    reopens: bool,
    footing: Footing,
    waiting: VecDeque<Waiting>,
    decoder: Decoder,
    dedupe: Dedupe,
    open: OpenEpoch,
    /// The first arrival of the epoch in flight.
    flight: Option<EpochMs>,
    /// About what it takes in memory.
    flight_bytes: u64,
    ending: Option<Ending>,
    /// Memory is short: the open epoch closes as soon as it can.
    close_soon: bool,
    company: Company,
    /// The shard ends because the stream does not have it any more.
    gone: bool,
    finished: bool,
    now: ElapsedMs,
}

impl Shard {
    /// Creates a machine that goes on from where the lease stands. An epoch that was prepared by
    /// other settings is closed by those, and then the machine ends with [`Ending::Reopen`].
    ///
    /// # Errors
    /// When an epoch was prepared by rules that this build does not have.
    pub fn resume(
        id: ShardId,
        range: HashRange,
        resume: Resume,
        config: &ShardConfig,
    ) -> Result<Self, ForeignRules> {
        let ours = Rules::of(config);
        let rules = match (resume.pending, &resume.pending_rules) {
            (Some(to), Some(stored)) => Rules::read(stored, to, ours.logic)?,
            _ => ours.clone(),
        };
        let config = rules.in_config(config);
        Ok(Self {
            forced: resume.pending,
            reopens: rules != ours,
            footing: match resume.checkpoint {
                Some(checkpoint) if !resume.is_complete => Footing::Unmet(checkpoint),
                _ => Footing::Sure,
            },
            waiting: VecDeque::new(),
            decoder: Decoder::new(config.decode),
            dedupe: Dedupe::new(config.dedupe_horizon_ms, config.dedupe_max_ids),
            open: OpenEpoch::after(resume.checkpoint, &config),
            flight: None,
            flight_bytes: 0,
            ending: None,
            close_soon: false,
            company: Company::default(),
            gone: false,
            finished: false,
            now: ElapsedMs(0),
            id,
            range,
            config,
            rules,
            resume,
        })
    }

    /// Returns the shard's id.
    #[must_use]
    pub fn id(&self) -> &ShardId {
        &self.id
    }

    /// Returns what the open epoch has folded so far, for who looks on: in no order, and with
    /// sketches that may lack the latest values.
    pub fn open_windows(&self) -> impl Iterator<Item = &(WindowKey, WindowAgg)> {
        self.open.windows()
    }

    /// Returns where the reader has to start.
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

    /// Returns whether more records may be given: all that were are folded, and the open epoch has
    /// room or can take flight at once.
    #[must_use]
    pub fn wants_records(&self) -> bool {
        self.ending.is_none() && self.waiting.is_empty() && !self.is_blocked()
    }

    /// Returns whether records that were given can be folded now, by [`Input::Turn`].
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        !self.waiting.is_empty() && !self.is_blocked()
    }

    /// Returns how many of the records given are still to be folded.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Returns whether nothing read is uncommitted.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.flight.is_none()
            && self.open.is_empty()
            && self.forced.is_none()
            && self.waiting.is_empty()
    }

    /// Returns the arrival of the oldest record that was given and is not committed.
    #[must_use]
    pub fn oldest_uncommitted(&self) -> Option<EpochMs> {
        let waiting = self.waiting.iter().find_map(|waiting| match waiting {
            Waiting::Record(record) => Some(record.arrival),
            Waiting::Hole => None,
        });
        self.flight.or(self.open.first_arrival()).or(waiting)
    }

    /// Returns about what the machine takes in memory, less the records that wait to be folded.
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        Footprint {
            open_bytes: self.open.memory_bytes(),
            flight_bytes: if self.flight.is_some() { self.flight_bytes } else { 0 },
            ids_bytes: self.dedupe.memory_bytes(),
        }
    }

    /// Advances the machine. Effects are appended in the order in which they must happen.
    pub fn step(&mut self, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Records(records) => {
                if self.ending.is_none() {
                    self.waiting.extend(records.into_iter().map(Waiting::Record));
                }
                self.fold_slice(effects);
            }
            Input::Turn => self.fold_slice(effects),
            Input::Hole => self.waiting.push_back(Waiting::Hole),
            Input::Tick(now) => self.now = self.now.max(now),
            Input::Close => self.close_soon = true,
            Input::Enough => self.company.is_enough = !self.open.is_empty(),
            Input::Company(is_there) => self.company.is_there = is_there,
            Input::Done(answer) => match answer.next() {
                Some(effect) => effects.push(effect),
                None => self.after_commit(),
            },
            Input::ShardEnd => self.ending = Some(Ending::ShardEnd),
            Input::Gone => {
                self.gone = true;
                self.ending = Some(Ending::ShardEnd);
            }
            Input::HandOver => self.end_early(Ending::HandOver),
        }
        self.close_if_due(effects);
    }

    fn after_commit(&mut self) {
        self.flight = None;
        if self.reopens {
            self.end_early(Ending::Reopen);
        }
    }

    /// Ends without what is not folded yet, unless it is ending already.
    fn end_early(&mut self, ending: Ending) {
        if self.ending.is_none() {
            self.waiting.clear();
            self.ending = Some(ending);
        }
    }

    /// Returns whether nothing more can be folded before the epoch in flight is committed, or before
    /// others go with ours.
    fn is_blocked(&self) -> bool {
        let full = self.is_full() || (self.reopens && self.forced.is_none());
        let hole = matches!(self.waiting.front(), Some(Waiting::Hole)) && !self.open.is_empty();
        self.flight.is_some() && (full || hole) || self.is_held()
    }

    /// Returns whether the open epoch is full and waits for those of other shards; not where the shard
    /// ends, nor where an epoch is to be recovered.
    fn is_held(&self) -> bool {
        self.company.is_awaited(self.now, self.config.company_ms)
            && self.flight.is_none()
            && self.forced.is_none()
            && self.ending.is_none()
            && self.is_full()
    }

    /// Folds records that were given, up to a slice.
    fn fold_slice(&mut self, effects: &mut Vec<Effect>) {
        let mut left = SLICE_BYTES;
        while left > 0 && !self.is_blocked() {
            match self.waiting.pop_front() {
                None => break,
                Some(Waiting::Record(record)) => {
                    self.take(&record, effects);
                    left = left.saturating_sub(record.data.len() + RECORD_BYTES);
                }
                Some(Waiting::Hole) => self.take_hole(effects),
            }
        }
    }

    /// An epoch ends at a hole, so that its segment of the archive has none inside. One that is to
    /// be recovered ends where it was prepared to.
    fn take_hole(&mut self, effects: &mut Vec<Effect>) {
        if self.forced.is_none()
            && let Some(to) = self.open.to()
        {
            self.close(to, effects);
        }
        self.footing = Footing::Lost;
    }

    /// Folds one Kinesis record, user record by user record.
    fn take(&mut self, record: &Record, effects: &mut Vec<Effect>) {
        self.step_onto(record, effects);
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

    /// Looks whether a record continues what was read before, and notes a gap if not.
    fn step_onto(&mut self, record: &Record, effects: &mut Vec<Effect>) {
        // Every record before this one is gone, or was read; an aggregate may have had the number before.
        let just_before = Position { sequence: record.sequence.previous(), sub: 0 };
        let after = self.open.to().or(self.open.from());
        let gap = Gap { after, first_seen: Some(record.sequence) };
        if let Some(pending) = self.forced
            && record.sequence > pending.sequence
        {
            self.open.note_gap(gap);
            self.close(pending, effects);
            self.open.begin_after(just_before.max(pending));
            self.footing = Footing::Sure;
            return;
        }
        let joins = match self.footing {
            Footing::Sure => return,
            Footing::Unmet(checkpoint) => record.sequence <= checkpoint.sequence,
            Footing::Lost => false,
        };
        self.footing = Footing::Sure;
        if !joins {
            self.open.note_gap(gap);
            if self.open.is_empty() {
                self.open.begin_after(after.map_or(just_before, |after| after.max(just_before)));
            }
        }
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
        let (decoder, dedupe) = (&mut self.decoder, &mut self.dedupe);
        self.open.fold(position, record, data, (decoder, dedupe), self.now);
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

    /// Returns whether a position lies in an epoch that was committed before this machine began.
    fn is_done(&self, position: Position) -> bool {
        Some(position) <= self.resume.checkpoint
    }

    fn close_if_forced(&mut self, position: Position, effects: &mut Vec<Effect>) {
        if self.forced == Some(position) {
            self.close(position, effects);
        }
    }

    /// Returns whether the open epoch must be closed before another record.
    fn is_full(&self) -> bool {
        self.company.is_enough
            || self.open.rows() >= self.config.max_rows
            || self.open.counts().read >= self.config.max_records
            || self.open.bytes() >= self.config.max_bytes
    }

    /// Returns whether the open epoch could take flight now and has half of what it may hold: worth
    /// closing when others close theirs, since rows in common then cost one put.
    #[must_use]
    pub fn is_half_full(&self) -> bool {
        self.flight.is_none()
            && (self.company.is_enough
                || self.open.rows() >= self.config.max_rows / 2
                || self.open.counts().read >= self.config.max_records / 2
                || self.open.bytes() >= self.config.max_bytes / 2)
    }

    fn close_if_due(&mut self, effects: &mut Vec<Effect>) {
        if self.flight.is_some() || self.finished {
            return;
        }
        match self.ending {
            // Closing a prepared epoch elsewhere would break the promise that it is always the same.
            Some(Ending::HandOver) if self.forced.is_some() => {
                self.finish(Ending::HandOver, effects);
            }
            Some(Ending::ShardEnd) if !self.waiting.is_empty() => {}
            Some(ending) => self.close_or_finish(ending, effects),
            None if self.forced.is_some() => {}
            None => {
                let is_due = self.now >= self.config.due(self.open.opened());
                if self.is_full() {
                    self.company.full(self.now);
                }
                if let Some(to) = self.open.to()
                    && ((self.is_full() && !self.is_held()) || self.close_soon || is_due)
                {
                    self.close(to, effects);
                }
            }
        }
    }

    /// Closes what is open, or else ends.
    fn close_or_finish(&mut self, ending: Ending, effects: &mut Vec<Effect>) {
        if ending == Ending::ShardEnd && self.ends_in_a_gap() {
            let after = self.open.to().or(self.open.from());
            self.open.note_gap(Gap { after, first_seen: None });
            // Nothing may have been read at all: the count needs an epoch to be committed with.
            let to = self.forced.or(after).unwrap_or_default();
            self.close(to, effects);
            self.footing = Footing::Sure;
            self.gone = false;
            return;
        }
        match self.open.to() {
            Some(to) if !self.open.is_empty() => self.close(to, effects),
            _ => self.finish(ending, effects),
        }
    }

    /// Returns whether records before the end of the shard are gone.
    fn ends_in_a_gap(&self) -> bool {
        self.gone || self.forced.is_some() || self.footing != Footing::Sure
    }

    fn close(&mut self, to: Position, effects: &mut Vec<Effect>) {
        self.forced = None;
        self.close_soon = false;
        self.company.closed();
        self.flight_bytes = self.open.memory_bytes();
        let closed = std::mem::replace(&mut self.open, OpenEpoch::after(Some(to), &self.config));
        let arrival = self.dedupe.latest_arrival().max(self.resume.checkpoint_arrival);
        self.flight = Some(closed.first_arrival().or(arrival).unwrap_or_default());
        let (folded, mut objects, gaps) = closed.close(to);
        objects.hash_range = Some(self.range);
        objects.first_arrival = self.flight.unwrap_or_default();
        effects.push(Effect::Prepare(Prepare::new(
            folded,
            objects,
            gaps,
            arrival,
            self.rules.clone(),
        )));
    }

    fn finish(&mut self, ending: Ending, effects: &mut Vec<Effect>) {
        self.finished = true;
        effects.push(Effect::Finish(ending));
    }
}
