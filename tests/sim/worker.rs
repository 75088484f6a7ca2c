//! One worker's hold on one shard: the real state machine, driven by chance.

mod store;

use std::collections::VecDeque;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use ivs_core::epoch::{
    Commit, Effect, ElapsedMs, Emission, Ending, Input, Prepare, PutRows, ReadFrom, Resume, Rules,
    Shard, ShardConfig, StoredRows,
};
use ivs_core::writer::{How, Partial};
use ivs_tests::rng::Rng;
use kinesis_model::{HashRange, Position};

use crate::log::HORIZON_MS;
use crate::memory::Memory;
use crate::world::{Lease, Variant, World};
use crate::writers::Ticket;

/// The hold after a step.
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

/// The rows of an epoch that are still to be written, and what is known of them.
struct Writing {
    step: PutRows,
    /// Metric rows and summaries that the worker's writer has not answered.
    unanswered: usize,
    /// Timeline items still to be written.
    facts: usize,
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
    /// Records before this one were not read by this hold.
    first_record: usize,
    archives: bool,
    now: ElapsedMs,
    effects: VecDeque<Effect>,
    writing: Option<Writing>,
    emitted: bool,
    handing_over: bool,
    /// By the worker's own clock the lease could have expired, and it has not noticed yet.
    pub(crate) expired: bool,
    /// Tells this hold from others of the same shard by the same worker.
    id: u64,
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
        pending_rules: None,
        checkpoint_arrival: lease.arrival,
        // Of a shard that lost nothing, some workers know it.
        is_complete: !world.trimmed_at_checkpoint[shard] && rng.chance(20),
    };
    if resume.pending.is_some() {
        world.mark("a prepared epoch was recovered");
    }
    match world.variant {
        Variant::PendingIgnored => resume.pending = None,
        Variant::SubIgnored => {
            resume.checkpoint = resume.checkpoint.map(|at| Position { sub: u64::MAX, ..at });
        }
        Variant::GapIgnored => resume.is_complete = true,
        _ => {}
    }
    let archives = rng.chance(50);
    let config = ShardConfig {
        interval_ms: 1_000,
        phase_ms: rng.chance(50).then_some(300),
        max_rows: 1 + rng.index(12),
        max_records: 1 + rng.below(25),
        max_bytes: 100 + rng.below(5_000),
        // Shorter than the interval and longer, and not at all.
        company_ms: rng.below(1_500),
        dedupe_horizon_ms: HORIZON_MS,
        archive: archives,
        ..ShardConfig::default()
    };
    resume.pending_rules = resume.pending.map(|_| Rules::of(&config).to_bytes().into());
    let memory = Memory::new(&config, &resume);
    let log = &world.log[shard];
    let machine = Shard::resume(log.id.clone(), HashRange::ALL, resume, &config)
        .expect("all workers have the same rules");
    let next_record = match machine.read_from() {
        ReadFrom::Beginning => 0,
        ReadFrom::Arrival(at) => {
            log.records.iter().position(|r| r.arrival >= at).unwrap_or(log.records.len())
        }
        ReadFrom::At(at) => log.records.partition_point(|r| r.sequence < at.sequence),
    };
    let next_record = next_record.max(world.trimmed[shard]);
    Holder {
        worker,
        shard,
        counter: lease.counter,
        machine,
        memory,
        next_record,
        first_record: next_record,
        archives,
        now: ElapsedMs(0),
        effects: VecDeque::new(),
        writing: None,
        emitted: false,
        handing_over: false,
        expired: false,
        id: world.next_hold(),
    }
}

impl Holder {
    /// Returns whether dropping this hold now may cause an epoch to be emitted twice.
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

    /// Returns whether the shard may be left now, as the product does it when closing takes too
    /// long.
    fn may_leave(&self) -> bool {
        self.writing.is_some()
            || matches!(
                self.effects.front(),
                Some(Effect::Prepare(_) | Effect::PutRows(_) | Effect::Store(_) | Effect::Emit(_))
            )
    }

    /// Returns one random step. `clock` is the worker's, if it has one.
    pub(crate) fn advance(
        &mut self,
        clock: Option<ElapsedMs>,
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
        if rng.chance(5) {
            let is_there = rng.chance(50);
            self.memory.company(is_there);
            self.step(Input::Company(is_there))?;
        } else if rng.chance(30) {
            self.now = clock.unwrap_or(ElapsedMs(self.now.0 + 400)).max(self.now);
            self.step(Input::Tick(self.now))?;
        } else if self.machine.has_backlog() {
            world.mark("a batch was folded in two");
            self.step(Input::Turn)?;
        } else if self.machine.wants_records() || world.variant == Variant::Greedy {
            self.read(world, rng)?;
        } else if !self.handing_over {
            world.mark(if self.memory.is_held() {
                "a full epoch waited for those of other shards"
            } else {
                "reading waited for the epoch in flight"
            });
        }
        Ok(Hold::Kept)
    }

    fn step(&mut self, input: Input) -> Result<(), String> {
        let mut effects = vec![];
        let waited = self.machine.waiting();
        let hands_over = matches!(input, Input::HandOver);
        self.machine.step(input, &mut effects);
        if hands_over && self.machine.waiting() < waited {
            self.memory.forget(waited);
        }
        self.memory.folded(self.machine.waiting(), self.now);
        self.memory.note(&effects)?;
        self.effects.extend(effects);
        self.memory.check(self.now)
    }

    fn read(&mut self, world: &mut World, rng: &mut Rng) -> Result<(), String> {
        let trimmed = world.trimmed[self.shard];
        if self.next_record < trimmed {
            world.mark("a reader fell off the end of retention");
            self.next_record = trimmed;
            self.step(Input::Hole)?;
        }
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
        self.memory.give(lines)?;
        self.step(Input::Records(batch))
    }

    fn execute(
        &mut self,
        effect: Effect,
        world: &mut World,
        rng: &mut Rng,
    ) -> Result<Hold, String> {
        match effect {
            Effect::Prepare(step) => return self.prepare(step, world, rng),
            Effect::PutRows(step) => self.begin_writing(step, world),
            Effect::Store(step) => {
                self.store(&step.objects, world)?;
                self.step(step.done())?;
            }
            Effect::Emit(step) => {
                self.emit(&step.emission, world)?;
                self.step(step.done())?;
            }
            Effect::Commit(step) => return self.commit(step, world, rng),
            Effect::Finish(ending) => return Ok(self.finish(ending, world, rng)),
        }
        Ok(Hold::Kept)
    }

    fn owns(&self, world: &World) -> bool {
        let lease = &world.leases[self.shard];
        lease.exists && lease.counter == self.counter
    }

    fn prepare(&mut self, step: Prepare, world: &mut World, rng: &mut Rng) -> Result<Hold, String> {
        let to = step.to;
        if world.variant == Variant::CombinesUnprepared && rng.chance(50) {
            self.step(step.done())?;
            return Ok(Hold::Kept);
        }
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
        self.step(step.done())?;
        Ok(Hold::Kept)
    }

    fn begin_writing(&mut self, step: PutRows, world: &mut World) {
        let (shard, to) = (world.log[self.shard].id.clone(), step.to);
        let writers = world.writers.entry(self.worker).or_default();
        let ticket = |index| Ticket { hold: self.id, index };
        for (index, (key, delta)) in step.rows.metrics.iter().enumerate() {
            let (shard, delta, ticket) = (shard.clone(), delta.clone(), ticket(index));
            writers.metrics.submit(key.clone(), Partial { shard, to, delta, ticket });
        }
        for (index, (key, delta)) in step.rows.summaries.iter().enumerate() {
            let (shard, delta, ticket) = (shard.clone(), delta.clone(), ticket(index));
            writers.summaries.submit(Arc::clone(key), Partial { shard, to, delta, ticket });
        }
        self.writing = Some(Writing {
            unanswered: step.rows.metrics.len() + step.rows.summaries.len(),
            facts: step.rows.timeline.len(),
            step,
            stored: StoredRows::default(),
        });
    }

    fn write_one(&mut self, world: &mut World, rng: &mut Rng) -> Result<Hold, String> {
        if !self.owns(world) {
            world.mark("a zombie wrote");
        }
        world.write_step(self.worker, rng)?;
        let Some(writing) = &mut self.writing else { return Ok(Hold::Kept) };
        let writers = world.writers.entry(self.worker).or_default();
        let (metrics, summaries) =
            (writers.metrics.answers(self.id), writers.summaries.answers(self.id));
        writing.unanswered -= metrics.len() + summaries.len();
        for (index, answer) in metrics {
            let Some((row, how)) = answer else { return Ok(Hold::Dropped) };
            let key = writing.step.rows.metrics[index].0.clone();
            if how != How::Along {
                writing.stored.metrics.push((key, Arc::new(row.agg.clone())));
            }
        }
        if summaries.iter().any(|(_, answer)| answer.is_none()) {
            return Ok(Hold::Dropped);
        }
        if writing.unanswered > 0 {
            return Ok(Hold::Kept);
        }
        if writing.facts == 0 {
            if let Some(Writing { step, stored, .. }) = self.writing.take() {
                self.step(step.done(stored))?;
            }
            return Ok(Hold::Kept);
        }
        writing.facts -= 1;
        if !world.prepared.contains(&(self.shard, writing.step.to)) {
            return Err(format!("E2: a fact of {} was written unprepared", writing.step.to));
        }
        let item = &writing.step.rows.timeline[writing.facts];
        let key = (item.session_id.clone(), item.sort_key_ms);
        let stored = world.timeline.get(&key);
        if stored.is_none_or(|stored| item.replaces(stored.fingerprint)) {
            world.timeline.insert(key, item.clone());
        }
        Ok(Hold::Kept)
    }

    fn emit(&mut self, emission: &Emission, world: &mut World) -> Result<(), String> {
        let epoch = (self.shard, emission.to);
        if !world.prepared.contains(&epoch) {
            return Err(format!("E2: {} was emitted unprepared", emission.to));
        }
        let times = world.emitted.entry(epoch).or_default();
        if emission.counts.read > 0 || *times == 0 {
            *times += 1;
            self.emitted = true;
        }
        Ok(())
    }

    fn commit(&mut self, step: Commit, world: &mut World, rng: &mut Rng) -> Result<Hold, String> {
        if !self.owns(world) {
            world.mark("a commit was refused");
            return Ok(Hold::Dropped);
        }
        let epoch = (self.shard, step.to);
        if !world.emitted.contains_key(&epoch) || !world.rejected.contains_key(&epoch) {
            return Err(format!("E3: {} was committed before its effects", step.to));
        }
        world.settle_gap(self.shard, &step)?;
        let lease = &mut world.leases[self.shard];
        // An epoch that only counts a gap ends where the one before did.
        if lease.checkpoint > Some(step.to)
            || lease.checkpoint == Some(step.to) && step.counts.retention_gaps == 0
        {
            return Err(format!("E3: the checkpoint moved back to {}", step.to));
        }
        lease.counter += 1;
        lease.checkpoint = Some(step.to);
        lease.pending = None;
        lease.arrival = step.arrival;
        self.counter = lease.counter;
        self.emitted = false;
        match world.committed.entry(epoch) {
            Entry::Vacant(free) => drop(free.insert(step.counts.clone())),
            Entry::Occupied(mut taken) if step.counts.read == 0 => {
                taken.get_mut().add(&step.counts);
            }
            Entry::Occupied(_) => return Err(format!("E6: {} was committed twice", step.to)),
        }
        crate::check::every_row(world)?;
        if rng.chance(3) {
            world.mark("a commit was stored, its reply lost");
            return Ok(Hold::Dropped);
        }
        self.memory.committed(self.now);
        self.step(step.done())?;
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
