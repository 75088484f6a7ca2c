//! The coordinator's work, one request to the lease table at a time.

use ivs_core::epoch::ElapsedMs;
use ivs_tests::rng::Rng;
use kinesis_fleet::planner::{Action, Limits, Snapshot, plan};
use kinesis_fleet::sync::{is_fresh, parents_are_done, plan_sync};
use kinesis_fleet::{InitialPosition, Lease};

use kinesis_model::EpochMs;

use super::FleetWorld;
use super::member::{Held, Member, Phase, Scan};
use super::table::number;
use crate::worker::{self, Hold};
use crate::world::Variant;

impl FleetWorld {
    /// Reads the table; what it says is acted on in a later step.
    pub(super) fn scan(&mut self, at: usize, rng: &mut Rng) {
        let rows = self.table.scan(&self.world, rng);
        let interval_ms = self.config.scan_interval_for(rows.len());
        let member = &mut self.members[at];
        let begun = member.mono(self.now_ms);
        member.next_scan = begun.plus(interval_ms);
        member.scan = Some(Scan { rows, begun });
    }

    /// Runs the product's planner, and its actions one by one.
    pub(super) fn plan_and_act(&mut self, at: usize, rng: &mut Rng) -> Result<(), String> {
        let member = &mut self.members[at];
        let Some(Scan { rows, begun }) = member.scan.take() else { return Ok(()) };
        member.seen.observe(&rows, member.mono(self.now_ms));
        for row in &rows {
            if let Some(held) = member.held.get_mut(&number(&row.key))
                && row.counter >= held.counter()
            {
                held.hand_over |= row.hand_over_to.as_ref().is_some_and(|to| *to != member.id);
            }
        }
        let limits = Limits {
            failover_ms: self.config.failover_ms,
            hand_over_timeout_ms: self.config.hand_over_timeout_ms,
            max_leases: usize::MAX,
            steals: self.config.steals_for(rows.len()),
        };
        let snapshot = Snapshot { leases: &rows, seen: &member.seen, limits };
        for action in plan(&snapshot, &member.id, begun) {
            let known = self.members[at].held.contains_key(&number(action.shard()));
            if !known && self.members[at].leaves_by.is_none() {
                let row = rows.iter().find(|row| row.key == *action.shard());
                self.act(at, &action, row.expect("planned for a row"), rng);
            }
        }
        self.release_idle(at, rng);
        self.hand_out(at, &rows, rng)
    }

    fn act(&mut self, at: usize, action: &Action, row: &Lease, rng: &mut Rng) {
        let me = self.members[at].id.clone();
        if let Action::Request { .. } = action {
            if self.table.request(&self.world, row, &me) {
                self.world.mark("a lease was asked for");
            }
            return;
        }
        let living = self.members.iter().any(|other| {
            let held = other.held.get(&number(&row.key));
            held.is_some_and(|held| other.id != me && held.counter() == row.counter)
        });
        if !self.table.take(&mut self.world, row, &me, self.cooperative) {
            self.world.mark("a take was refused");
            return;
        }
        let how = match (action, &row.owner) {
            (Action::Steal { .. }, _) if living => "a lease was stolen from a living owner (E10)",
            (_, None) => "a lease was given back and taken",
            (_, Some(owner)) if *owner != me => "a lease expired and was taken",
            _ => "a lease that was assigned was taken",
        };
        self.world.mark(how);
        if self.chaos && rng.chance(5) {
            self.world.mark("a take was stored, its reply lost");
            return;
        }
        let shard = number(&row.key);
        let stored = self.world.leases[shard].clone();
        let member = &mut self.members[at];
        let held = Held {
            valid_until: member.mono(self.now_ms).plus(self.config.safe_hold_ms()),
            hand_over: false,
            phase: if stored.done { Phase::Finished } else { Phase::Idle },
            row: stored,
        };
        member.held.insert(shard, held);
    }

    /// Starts work on idle shards whose parents are finished (E5).
    fn hand_out(&mut self, at: usize, rows: &[Lease], rng: &mut Rng) -> Result<(), String> {
        let idle = |(shard, held): (&usize, &Held)| {
            (matches!(held.phase, Phase::Idle) && !held.hand_over).then_some(*shard)
        };
        let idle: Vec<usize> = self.members[at].held.iter().filter_map(idle).collect();
        for shard in idle {
            let parents = self.world.log[shard].parents.clone();
            let end = |parent: &usize| {
                let consistent = || self.table.get(&self.world, *parent);
                Member::scanned_end(rows, &self.world.log[*parent].id)
                    .or_else(|| consistent().map(|lease| lease.is_finished()))
            };
            if parents.iter().any(|parent| end(parent) == Some(false)) {
                continue;
            }
            let without_lease = parents.iter().filter(|parent| end(parent).is_none());
            let without_lease: Vec<_> =
                without_lease.map(|parent| self.world.log[*parent].id.clone()).collect();
            let begun = self.members[at].held[&shard].row.checkpoint.is_some();
            let shards = self.table.shards(&self.world, &self.resharded());
            let initial = InitialPosition::TrimHorizon;
            if !begun && !parents_are_done(&without_lease, &shards, rows, initial) {
                self.world.mark("a child waited for a parent without a lease");
                continue;
            }
            if !self.world.parents_done(shard) {
                return Err(format!("E5: shard {shard} starts before its parents are finished"));
            }
            let member = &mut self.members[at];
            let held = member.held.get_mut(&shard).expect("looked up above");
            let number = member.number;
            let holder = worker::resume(&mut self.world, number, shard, &held.row, rng);
            held.phase = Phase::Running(Box::new(holder));
        }
        Ok(())
    }

    /// Heartbeats of everything held.
    pub(super) fn renew(&mut self, at: usize, rng: &mut Rng) {
        let member = &mut self.members[at];
        let now = member.mono(self.now_ms);
        member.next_renewal = now.plus(self.config.renew_interval_ms());
        for shard in member.held.keys().copied().collect::<Vec<_>>() {
            self.adopt_own_write(at, shard);
            let member = &mut self.members[at];
            let held = member.held.get_mut(&shard).expect("a key of the map");
            if now >= held.valid_until {
                continue;
            }
            if !self.table.unchanged(&self.world, shard, held.counter()) {
                self.world.mark("a heartbeat was refused");
                self.lose(at, shard, rng);
                continue;
            }
            self.world.leases[shard].counter += 1;
            if self.chaos && rng.chance(5) {
                self.world.mark("a heartbeat was stored, its reply lost");
                continue;
            }
            held.set_counter(self.world.leases[shard].counter);
            held.valid_until = now.plus(self.config.safe_hold_ms());
            let asked = self.table.rows[shard].hand_over_to.as_ref();
            held.hand_over |= asked.is_some_and(|to| *to != member.id);
        }
    }

    /// A write whose reply was lost is recognized by the next one: the owner is the same and the
    /// counter one ahead (`LeaseStore::apply`).
    fn adopt_own_write(&mut self, at: usize, shard: usize) {
        let member = &mut self.members[at];
        let held = member.held.get_mut(&shard).expect("a key of the map");
        let lease = &self.world.leases[shard];
        let ours = self.table.rows[shard].owner.as_ref() == Some(&member.id);
        if lease.exists && ours && lease.counter == held.counter() + 1 {
            held.set_counter(lease.counter);
        }
    }

    /// Takes one step of the work on a shard.
    pub(super) fn advance(&mut self, at: usize, shard: usize, rng: &mut Rng) -> Result<(), String> {
        self.adopt_own_write(at, shard);
        let member = &mut self.members[at];
        let now = member.mono(self.now_ms);
        let held = member.held.get_mut(&shard).expect("a running shard");
        let Phase::Running(holder) = &mut held.phase else { return Ok(()) };
        if held.hand_over {
            holder.hand_over(&mut self.world)?;
        }
        let before = holder.counter;
        let outcome = holder.advance(Some(ElapsedMs(now.0)), &mut self.world, rng)?;
        let counter = holder.counter;
        if counter != before {
            held.valid_until = now.plus(self.config.safe_hold_ms());
        }
        match outcome {
            Hold::Kept => {}
            Hold::Finished => {
                held.phase = Phase::Finished;
                held.set_counter(counter);
                member.next_scan = now;
            }
            Hold::HandedOver | Hold::LeftOpen => {
                let me = member.id.clone();
                if outcome == Hold::LeftOpen {
                    // Puts that were on their way may arrive.
                    self.lose(at, shard, rng);
                }
                self.members[at].held.remove(&shard);
                self.release(shard, counter, &me, rng);
            }
            Hold::Dropped => {
                let held = self.members[at].held.remove(&shard).expect("it was advanced");
                self.dropped(held.phase);
            }
        }
        Ok(())
    }

    /// Releases leases that are wanted elsewhere and that nobody works on.
    fn release_idle(&mut self, at: usize, rng: &mut Rng) {
        let member = &self.members[at];
        let wanted = |(shard, held): (&usize, &Held)| {
            (held.hand_over && !held.is_running()).then(|| (*shard, held.counter()))
        };
        let wanted: Vec<_> = member.held.iter().filter_map(wanted).collect();
        let me = member.id.clone();
        for (shard, counter) in wanted {
            self.members[at].held.remove(&shard);
            self.release(shard, counter, &me, rng);
        }
    }

    fn release(&mut self, shard: usize, counter: u64, me: &kinesis_fleet::WorkerId, rng: &mut Rng) {
        if self.chaos && rng.chance(5) {
            self.world.mark("a release did not arrive");
            return;
        }
        self.table.release(&mut self.world, shard, counter, me);
    }

    /// Returns an orderly leave; `true` when the worker is gone.
    pub(super) fn leave(&mut self, at: usize, rng: &mut Rng) -> bool {
        let member = &mut self.members[at];
        let now = member.mono(self.now_ms);
        member.held.values_mut().for_each(|held| held.hand_over = true);
        let late = member.leaves_by.is_some_and(|by| now >= by);
        let me = member.id.clone();
        self.release_idle(at, rng);
        if late {
            // What the application has not given back is taken from it, while it may be writing.
            let rest: Vec<usize> = self.members[at].held.keys().copied().collect();
            for shard in rest {
                self.world.mark("a lease was taken from the application at the deadline");
                let counter = self.members[at].held[&shard].counter();
                self.lose(at, shard, rng);
                self.release(shard, counter, &me, rng);
            }
        }
        if self.members[at].held.is_empty() {
            self.world.mark("a worker left in order");
            self.members.swap_remove(at);
            self.join(rng);
            return true;
        }
        false
    }

    /// Compares shards and leases: the leases are read in one step, the rest happens in another.
    pub(super) fn compare(&mut self, at: usize, rng: &mut Rng) {
        let now = self.members[at].mono(self.now_ms);
        let Some((leases, read)) = self.members[at].comparing.take() else {
            let leases = self.table.scan(&self.world, rng);
            let member = &mut self.members[at];
            member.comparing = Some((leases, now));
            if self.chaos && rng.chance(10) {
                member.paused_until_ms = self.now_ms + 1_000 + rng.below(120_000);
            }
            return;
        };
        self.members[at].next_comparison = now.plus(self.config.sync_interval_ms);
        let shards = self.table.shards(&self.world, &self.resharded());
        let initial = InitialPosition::TrimHorizon;
        let plan = plan_sync(&shards, &leases, initial, EpochMs(0));
        let plan = plan.expect("the world's shards never contradict each other");
        let fresh = is_fresh(read, now, self.config.failover_ms);
        if !fresh {
            self.world.mark("a comparison was too old");
            self.members[at].next_comparison = now;
        }
        let create = fresh || self.world.variant == Variant::StaleComparison;
        for lease in plan.create.iter().filter(|_| create) {
            self.table.create(&mut self.world, number(&lease.key));
        }
        for shard in &plan.delete {
            self.table.delete(&mut self.world, number(shard));
        }
    }
}
