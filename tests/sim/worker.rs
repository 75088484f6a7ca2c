//! One worker's hold on one shard: the real state machine, driven by chance.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ivs_core::epoch::{
    Commit, Effect, Emission, Ending, Input, Objects, ReadFrom, Resume, Rows, Shard, ShardConfig,
    StoredRows,
};
use ivs_core::row::Row;
use ivs_core::session::SummaryAgg;
use ivs_core::window::{WindowAgg, WindowKey};
use ivs_tests::rng::Rng;
use kinesis_model::{EpochMs, HashRange, Position};

use crate::log::HORIZON_MS;
use crate::memory::Memory;
use crate::world::{Lease, Put, Variant, World, put};

/// What a step made of the hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hold {
    /// It goes on.
    Kept,
    /// The shard is committed to its end.
    Finished,
    /// Everything read is committed; the lease can be released.
    HandedOver,
    /// The lease can be released, and what is not committed is left to the next owner.
    LeftOpen,
    /// The worker gave the shard up, or lost it.
    Dropped,
}

#[derive(Clone, Copy)]
enum Target {
    Metric(usize),
    Summary(usize),
    Timeline(usize),
}

/// The rows of an epoch that are still to be written, and what is known of them.
struct Writing {
    rows: Arc<Rows>,
    to: Position,
    todo: Vec<Target>,
    /// What a refusal returned for the row tried last; `None` before the first try.
    metric_seen: Option<Option<Row<WindowAgg>>>,
    summary_seen: Option<Option<Row<SummaryAgg>>>,
    stored: StoredRows,
}

/// A hold on a shard.
pub(crate) struct Holder {
    pub(crate) worker: usize,
    pub(crate) shard: usize,
    pub(crate) counter: u64,
    machine: Shard,
    memory: Memory,
    next_record: usize,
    now: EpochMs,
    effects: VecDeque<Effect>,
    writing: Option<Writing>,
    emitted: bool,
    handing_over: bool,
    /// By the worker's own clock the lease could have expired, and it has not noticed yet.
    pub(crate) expired: bool,
    cache: BTreeMap<WindowKey, Row<WindowAgg>>,
}

/// Takes a shard's lease; refuses while a parent is unfinished (E5).
pub(crate) fn take(
    world: &mut World,
    worker: usize,
    shard: usize,
    rng: &mut Rng,
) -> Option<Holder> {
    if world.leases[shard].done || !world.parents_done(shard) {
        return None;
    }
    world.leases[shard].counter += 1;
    let lease = world.leases[shard].clone();
    Some(resume(world, worker, shard, &lease, rng))
}

/// Goes on where the lease, as its new owner read it, says.
pub(crate) fn resume(
    world: &mut World,
    worker: usize,
    shard: usize,
    lease: &Lease,
    rng: &mut Rng,
) -> Holder {
    let mut resume = Resume {
        checkpoint: lease.checkpoint,
        pending: lease.pending,
        checkpoint_arrival: lease.arrival,
    };
    if resume.pending.is_some() {
        world.mark("a prepared epoch was recovered");
    }
    if world.variant == Variant::PendingIgnored {
        resume.pending = None;
    }
    let config = ShardConfig {
        interval_ms: 1_000,
        max_rows: 1 + rng.index(12),
        max_records: 1 + rng.below(25),
        max_bytes: 100 + rng.below(5_000),
        dedupe_horizon_ms: HORIZON_MS,
        ..ShardConfig::default()
    };
    let memory = Memory::new(&config, &resume);
    let log = &world.log[shard];
    let machine = Shard::resume(log.id.clone(), HashRange::ALL, resume, config);
    let next_record = match machine.read_from() {
        ReadFrom::Beginning => 0,
        ReadFrom::Arrival(at) => {
            log.records.iter().position(|r| r.arrival >= at).unwrap_or(log.records.len())
        }
        ReadFrom::At(at) => log.records.partition_point(|r| r.sequence < at.sequence),
    };
    Holder {
        worker,
        shard,
        counter: lease.counter,
        machine,
        memory,
        next_record,
        now: EpochMs(0),
        effects: VecDeque::new(),
        writing: None,
        emitted: false,
        handing_over: false,
        expired: false,
        cache: BTreeMap::new(),
    }
}

impl Holder {
    /// Whether dropping this hold now may cause an epoch to be emitted twice.
    pub(crate) fn between_emit_and_commit(&self) -> bool {
        self.emitted
    }

    /// Asks the machine to close its epoch and end; the second time changes nothing.
    pub(crate) fn hand_over(&mut self, world: &mut World) -> Result<(), String> {
        if !self.handing_over {
            self.handing_over = true;
            world.mark("a shard was handed over");
            self.step(Input::HandOver)?;
        }
        Ok(())
    }

    /// Whether the shard may be left now, as the product does it when closing takes too long.
    fn may_leave(&self) -> bool {
        self.writing.is_some()
            || matches!(
                self.effects.front(),
                Some(
                    Effect::Prepare(_)
                        | Effect::PutRows { .. }
                        | Effect::Store(_)
                        | Effect::Emit(_)
                )
            )
    }

    /// One random step. `clock` is the worker's, if it has one.
    pub(crate) fn advance(
        &mut self,
        clock: Option<EpochMs>,
        world: &mut World,
        rng: &mut Rng,
    ) -> Result<Hold, String> {
        if self.handing_over && rng.chance(4) && self.may_leave() {
            let prepared = world.leases[self.shard].pending.is_some();
            world.mark(if prepared {
                "a shard was given back with its epoch prepared"
            } else {
                "a shard was given back with its epoch open"
            });
            return Ok(Hold::LeftOpen);
        }
        if self.writing.is_some() && rng.chance(60) {
            return self.write_one(world, rng);
        }
        if self.writing.is_none()
            && rng.chance(60)
            && let Some(effect) = self.effects.pop_front()
        {
            return self.execute(effect, world, rng);
        }
        if rng.chance(30) {
            self.now = clock.unwrap_or(EpochMs(self.now.0 + 400));
            self.step(Input::Tick(self.now))?;
        } else if self.machine.wants_records() || world.variant == Variant::Greedy {
            self.read(world, rng)?;
        } else if !self.handing_over {
            world.mark("reading waited for the epoch in flight");
        }
        Ok(Hold::Kept)
    }

    fn step(&mut self, input: Input) -> Result<(), String> {
        let mut effects = vec![];
        if matches!(input, Input::Committed) {
            self.memory.committed();
        }
        self.machine.step(input, &mut effects);
        self.memory.note(&effects)?;
        self.effects.extend(effects);
        self.memory.check(self.now)
    }

    fn read(&mut self, world: &mut World, rng: &mut Rng) -> Result<(), String> {
        let log = &world.log[self.shard];
        let records = &log.records;
        if self.next_record == records.len() {
            if world.closed[self.shard] {
                self.step(Input::ShardEnd)?;
            }
            return Ok(());
        }
        let until = records.len().min(self.next_record + 1 + rng.index(6));
        let batch = records[self.next_record..until].to_vec();
        self.next_record = until;
        let lines = batch.iter().flat_map(|record| {
            let of_record = log.lines.iter().filter(|l| record.sequence == l.sequence.into());
            of_record.zip(std::iter::successors(Some(record.data.len()), |_| Some(0)))
        });
        let lines = lines.map(|(line, bytes)| (line.position(), bytes as u64));
        self.memory.give(lines, self.now)?;
        self.step(Input::Records(batch))
    }

    fn execute(
        &mut self,
        effect: Effect,
        world: &mut World,
        rng: &mut Rng,
    ) -> Result<Hold, String> {
        match effect {
            Effect::Prepare(to) => return self.prepare(to, world, rng),
            Effect::PutRows { rows, to } => self.begin_writing(rows, to),
            Effect::Store(objects) => self.store(&objects, world)?,
            Effect::Emit(emission) => self.emit(&emission, world)?,
            Effect::Commit(commit) => return self.commit(commit, world, rng),
            Effect::Finish(ending) => return Ok(self.finish(ending, world, rng)),
        }
        Ok(Hold::Kept)
    }

    fn owns(&self, world: &World) -> bool {
        let lease = &world.leases[self.shard];
        lease.exists && lease.counter == self.counter
    }

    fn prepare(&mut self, to: Position, world: &mut World, rng: &mut Rng) -> Result<Hold, String> {
        if world.variant != Variant::NoPrepare {
            if !self.owns(world) {
                world.mark("a prepare was refused");
                return Ok(Hold::Dropped);
            }
            let lease = &mut world.leases[self.shard];
            lease.counter += 1;
            lease.pending = Some(to);
            self.counter = lease.counter;
            if rng.chance(3) {
                world.mark("a prepare was stored, its reply lost");
                world.prepared.insert((self.shard, to));
                return Ok(Hold::Dropped);
            }
        }
        world.prepared.insert((self.shard, to));
        self.step(Input::Prepared)?;
        Ok(Hold::Kept)
    }

    fn begin_writing(&mut self, rows: Arc<Rows>, to: Position) {
        let todo = (0..rows.metrics.len())
            .map(Target::Metric)
            .chain((0..rows.summaries.len()).map(Target::Summary))
            .chain((0..rows.timeline.len()).map(Target::Timeline))
            .collect();
        self.writing = Some(Writing {
            rows,
            to,
            todo,
            metric_seen: None,
            summary_seen: None,
            stored: StoredRows::default(),
        });
    }

    fn write_one(&mut self, world: &mut World, rng: &mut Rng) -> Result<Hold, String> {
        let Some(writing) = &mut self.writing else { return Ok(Hold::Kept) };
        if !world.prepared.contains(&(self.shard, writing.to)) {
            return Err(format!("E2: a row of {} was written unprepared", writing.to));
        }
        if !self.owns(world) {
            world.mark("a zombie wrote");
        }
        let Some(writing) = &mut self.writing else { return Ok(Hold::Kept) };
        let Some(&target) = writing.todo.last() else {
            let stored = std::mem::take(&mut writing.stored);
            self.writing = None;
            self.step(Input::RowsStored(stored))?;
            return Ok(Hold::Kept);
        };
        let shard_id = world.log[self.shard].id.clone();
        let place = (&shard_id, writing.to);
        let faults = (world.variant, rng, &mut world.marks);
        match target {
            Target::Metric(i) => {
                let (key, delta) = &writing.rows.metrics[i];
                let image = writing.metric_seen.take().unwrap_or(self.cache.get(key).cloned());
                match put(&mut world.metrics, (key, delta), image.as_ref(), place, faults) {
                    Put::GivenUp => return Ok(Hold::Dropped),
                    Put::Retry(image) => writing.metric_seen = Some(image),
                    Put::Done(row) => {
                        self.cache.insert(key.clone(), row.clone());
                        writing.stored.metrics.push((key.clone(), Arc::new(row)));
                        writing.todo.pop();
                    }
                }
            }
            Target::Summary(i) => {
                let (key, delta) = &writing.rows.summaries[i];
                let image = writing.summary_seen.take().flatten();
                match put(&mut world.summaries, (key, delta), image.as_ref(), place, faults) {
                    Put::GivenUp => return Ok(Hold::Dropped),
                    Put::Retry(image) => writing.summary_seen = Some(image),
                    Put::Done(_) => drop(writing.todo.pop()),
                }
            }
            Target::Timeline(i) => {
                let item = &writing.rows.timeline[i];
                let key = (item.session_id.clone(), item.sort_key_ms);
                let stored = world.timeline.get(&key);
                if stored.is_none_or(|stored| item.replaces(stored.fingerprint)) {
                    world.timeline.insert(key, item.clone());
                }
                writing.todo.pop();
            }
        }
        Ok(Hold::Kept)
    }

    fn store(&mut self, objects: &Objects, world: &mut World) -> Result<(), String> {
        let epoch = (self.shard, objects.to);
        if !world.prepared.contains(&epoch) {
            return Err(format!("E2: objects of {} were stored unprepared", objects.to));
        }
        // Names are deterministic: the second write of an epoch must be the same write.
        if let Some(before) = world.rejected.insert(epoch, objects.rejected.clone())
            && before != objects.rejected
        {
            return Err(format!("E9: two runs of epoch {} rejected differently", objects.to));
        }
        self.step(Input::ObjectsStored)
    }

    fn emit(&mut self, emission: &Emission, world: &mut World) -> Result<(), String> {
        let epoch = (self.shard, emission.to);
        if !world.prepared.contains(&epoch) {
            return Err(format!("E2: {} was emitted unprepared", emission.to));
        }
        *world.emitted.entry(epoch).or_default() += 1;
        self.emitted = true;
        self.step(Input::Emitted)
    }

    fn commit(&mut self, commit: Commit, world: &mut World, rng: &mut Rng) -> Result<Hold, String> {
        if !self.owns(world) {
            world.mark("a commit was refused");
            return Ok(Hold::Dropped);
        }
        let epoch = (self.shard, commit.to);
        if !world.emitted.contains_key(&epoch) || !world.rejected.contains_key(&epoch) {
            return Err(format!("E3: {} was committed before its effects", commit.to));
        }
        let lease = &mut world.leases[self.shard];
        if lease.checkpoint >= Some(commit.to) {
            return Err(format!("E3: the checkpoint moved back to {}", commit.to));
        }
        lease.counter += 1;
        lease.checkpoint = Some(commit.to);
        lease.pending = None;
        lease.arrival = commit.arrival;
        self.counter = lease.counter;
        self.emitted = false;
        if world.committed.insert(epoch, commit.counts).is_some() {
            return Err(format!("E6: {} was committed twice", commit.to));
        }
        crate::check::every_row(world)?;
        if rng.chance(3) {
            world.mark("a commit was stored, its reply lost");
            return Ok(Hold::Dropped);
        }
        self.step(Input::Committed)?;
        Ok(Hold::Kept)
    }

    /// As the product does it: the children's leases first, so that a crash between leaves nothing
    /// unread.
    fn finish(&mut self, ending: Ending, world: &mut World, rng: &mut Rng) -> Hold {
        if ending == Ending::HandOver {
            return Hold::HandedOver;
        }
        // The one write that the lease's counter does not fence: what creates rows looks at its clock.
        if self.expired {
            world.mark("the end of a shard came too late");
            return Hold::Dropped;
        }
        world.create_children(self.shard);
        if rng.chance(5) {
            world.mark("a worker gave up between the children's leases and the end of the shard");
            return Hold::Dropped;
        }
        if !self.owns(world) {
            return Hold::Dropped;
        }
        let lease = &mut world.leases[self.shard];
        lease.counter += 1;
        lease.done = true;
        self.counter = lease.counter;
        if !world.log[self.shard].parents.is_empty() {
            world.mark("a child shard was finished");
        }
        Hold::Finished
    }
}
