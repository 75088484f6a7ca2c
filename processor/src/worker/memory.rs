//! One memory budget for all shards of a worker (E8), however many there are.
//!
//! Each shard tells what it holds. When the budget is nearly used up the largest open epoch closes;
//! what is read next waits until there is room for it. While nothing is on its way out, one shard may
//! always read, so that a worker whose budget is too small is slow and not stuck.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ivs_core::epoch::Footprint;
use tokio::sync::Notify;

/// The most that a read may bring: GetRecords returns 10 MB at most.
const MOST_READ: u64 = 10 << 20;
/// The least part of the memory with which epochs of a backlog wait for one another. With hundreds of shards all would
/// be open, and then on their way out, at once: measured with 1,000, 1.53 of the budget instead of 1.19.
const LEAST_PART: u64 = 16 << 20;
/// The bytes set aside for the read of a shard that was quiet.
const LEAST_READ: u64 = 64 << 10;

/// A worker's budget. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max_bytes: u64,
    shares: Mutex<Shares>,
    freed: Notify,
}

/// The holdings of every shard, and the sums.
#[derive(Debug, Default)]
struct Shares {
    held: BTreeMap<u64, Held>,
    /// Numbers shares: a shard may come back before its last task is quite gone.
    next: u64,
    all_bytes: u64,
    /// The bytes that are not on their way out.
    staying_bytes: u64,
    readers: usize,
    /// Shards with an open epoch.
    open_epochs: u64,
}

/// The holdings of one shard, in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    /// Set aside for a read under way.
    reserved: u64,
    /// Read and not folded.
    unfolded: u64,
    /// The machine.
    machine: Footprint,
}

/// A shard's share of the budget; what it holds is free again when it is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    number: u64,
}

impl Budget {
    /// Returns a budget of so many bytes.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        Self(Arc::new(Inner { max_bytes, shares: Mutex::default(), freed: Notify::new() }))
    }

    /// Returns a share for a shard's task.
    #[must_use]
    pub fn share(&self) -> Share {
        let mut shares = self.lock();
        let number = shares.next;
        shares.next += 1;
        shares.held.insert(number, Held::default());
        Share { budget: self.clone(), number }
    }

    /// Returns what open epochs may take before they are full. What is read and not folded comes on top, up to 20 MB a
    /// shard, and half may be on its way out.
    fn for_all(&self) -> u64 {
        self.0.max_bytes / 8 * 3
    }

    fn lock(&self) -> MutexGuard<'_, Shares> {
        self.0.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn all(&self) -> u64 {
        self.staying() + self.machine.flight_bytes
    }

    fn staying(&self) -> u64 {
        self.reading() + self.machine.open_bytes + self.machine.ids_bytes
    }

    fn reading(&self) -> u64 {
        self.reserved + self.unfolded
    }
}

impl Shares {
    /// Changes what a share holds; returns whether anything got free, or nothing more will by itself.
    fn change(&mut self, number: u64, change: impl FnOnce(&mut Held)) -> bool {
        let Some(held) = self.held.get_mut(&number) else { return false };
        let before = *held;
        change(held);
        let after = *held;
        self.all_bytes = self.all_bytes + after.all() - before.all();
        self.staying_bytes = self.staying_bytes + after.staying() - before.staying();
        self.readers += usize::from(after.reading() > 0);
        self.readers -= usize::from(before.reading() > 0);
        self.open_epochs += u64::from(after.machine.open_bytes > 0);
        self.open_epochs -= u64::from(before.machine.open_bytes > 0);
        after.all() < before.all() || after.machine.flight_bytes < before.machine.flight_bytes
    }
}

impl Share {
    /// Waits until there is room for the next read, judged by the last; `None`: the first. Returns how
    /// many bytes there is room for.
    pub async fn reserve(&self, last_read: Option<u64>) -> u64 {
        let wanted = last_read.map_or(MOST_READ, |last| (last * 2).clamp(LEAST_READ, MOST_READ));
        loop {
            let freed = self.budget.0.freed.notified();
            if self.try_reserve(wanted) {
                return wanted;
            }
            freed.await;
        }
    }

    fn try_reserve(&self, wanted: u64) -> bool {
        let mut shares = self.budget.lock();
        let has_room = shares.all_bytes + wanted <= self.budget.0.max_bytes;
        // What is on its way out needs no reading to get there.
        let gets_free = shares.all_bytes > shares.staying_bytes;
        let may = has_room || (shares.readers == 0 && !gets_free);
        if may {
            shares.change(self.number, |held| held.reserved = wanted);
        }
        may
    }

    /// Notes that the read brought this much; it waits to be folded.
    pub fn was_read(&self, bytes: u64) {
        self.change(|held| {
            held.reserved = 0;
            held.unfolded += bytes;
        });
    }

    /// Notes that so much of what was read is folded, and that the machine holds this now.
    pub fn folded(&self, bytes: u64, machine: Footprint) {
        self.change(|held| {
            held.unfolded = held.unfolded.saturating_sub(bytes);
            held.machine = machine;
        });
    }

    /// Returns whether this shard's epoch is to be closed: memory is short, and no other open epoch
    /// is larger.
    #[must_use]
    pub fn is_to_close(&self) -> bool {
        let shares = self.budget.lock();
        if shares.staying_bytes < self.budget.0.max_bytes / 4 * 3 {
            return false;
        }
        let largest = shares.held.values().map(|held| held.machine.open_bytes).max();
        shares.held.get(&self.number).is_some_and(|held| {
            held.machine.open_bytes > 0 && Some(held.machine.open_bytes) == largest
        })
    }

    /// Returns whether this shard's epoch has its part: three eighths of the budget are used, and each open epoch may
    /// have as much of these. Shards of a backlog are full at about the same time then, and can close together;
    /// beyond this the largest closes.
    #[must_use]
    pub fn has_its_part(&self) -> bool {
        let shares = self.budget.lock();
        let for_all = self.budget.for_all();
        let epochs = shares.open_epochs;
        if shares.staying_bytes < for_all || epochs * LEAST_PART > for_all {
            return false;
        }
        let open = |held: &Held| held.machine.open_bytes;
        shares
            .held
            .get(&self.number)
            .is_some_and(|held| open(held) > 0 && open(held) * epochs >= for_all)
    }

    /// Returns whether epochs are few enough to wait for one another.
    #[must_use]
    pub fn has_room_for_company(&self) -> bool {
        self.budget.lock().open_epochs * LEAST_PART <= self.budget.for_all()
    }

    fn change(&self, change: impl FnOnce(&mut Held)) {
        if self.budget.lock().change(self.number, change) {
            self.budget.0.freed.notify_waiters();
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.change(|held| *held = Held::default());
        self.budget.lock().held.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const MB: u64 = 1 << 20;

    fn open(bytes: u64) -> Footprint {
        Footprint { open_bytes: bytes, ..Footprint::default() }
    }

    #[test]
    fn reading_waits_for_room_and_one_may_always_read() {
        let memory = Budget::new(25 * MB);
        let shares = [(); 3].map(|()| memory.share());
        let may_read = |share: &Share, last| share.reserve(last).now_or_never().is_some();
        assert!(may_read(&shares[0], None) && may_read(&shares[1], None));
        assert!(!may_read(&shares[2], None), "20 of 25 MB are set aside");
        shares[0].was_read(MB);
        assert!(may_read(&shares[2], None));
        shares[0].folded(MB, open(100 * MB));
        shares[1].was_read(0);
        assert!(!may_read(&shares[1], Some(0)), "c reads, and there is no room");
        shares[2].was_read(0);
        assert!(may_read(&shares[1], Some(0)), "somebody has to go on");
        assert_eq!(memory.lock().all_bytes, 100 * MB + LEAST_READ);
    }

    #[test]
    fn nobody_reads_beyond_the_budget_while_an_epoch_is_on_its_way_out() {
        let memory = Budget::new(25 * MB);
        let [a, b] = [(); 2].map(|()| memory.share());
        let flight = Footprint { flight_bytes: 24 * MB, ..Footprint::default() };
        a.folded(0, flight);
        let mut waits = Box::pin(b.reserve(None));
        assert!(waits.as_mut().now_or_never().is_none(), "24 MB will be free");
        a.folded(0, Footprint { flight_bytes: 20 * MB, open_bytes: MB, ..flight });
        assert!(waits.as_mut().now_or_never().is_none(), "and there is no room yet");
        a.folded(0, open(24 * MB));
        assert!(waits.as_mut().now_or_never().is_some(), "nothing gets free by itself any more");
    }

    #[test]
    fn an_epoch_has_its_part_when_memory_gets_short_and_it_has_as_much_as_others_may() {
        let memory = Budget::new(100 * MB);
        let [a, b, idle] = [(); 3].map(|()| memory.share());
        a.folded(0, open(30 * MB));
        assert!(!a.has_its_part(), "there is plenty");
        b.folded(0, open(8 * MB));
        assert!(a.has_its_part() && !b.has_its_part() && !idle.has_its_part());
        a.folded(0, Footprint { flight_bytes: 40 * MB, ..Footprint::default() });
        b.folded(0, open(35 * MB));
        assert!(!b.has_its_part(), "what is on its way out will be free");
        b.folded(0, open(38 * MB));
        assert!(b.has_its_part() && b.has_room_for_company());
        let many = [(); 2].map(|()| memory.share());
        many.iter().for_each(|share| share.folded(0, open(38 * MB)));
        assert!(!b.has_its_part() && !b.has_room_for_company(), "parts are small");
        drop(many);
        assert!(b.has_its_part(), "and large again");
    }

    #[test]
    fn the_largest_open_epoch_closes_first() {
        let memory = Budget::new(100 * MB);
        let [a, b] = [(); 2].map(|()| memory.share());
        a.folded(0, open(40 * MB));
        b.folded(0, open(30 * MB));
        assert!(!a.is_to_close());
        b.folded(0, open(36 * MB));
        assert!(a.is_to_close() && !b.is_to_close());
        a.folded(0, Footprint { flight_bytes: 40 * MB, ..Footprint::default() });
        assert!(!b.is_to_close(), "what is on its way out will be free");
        drop(a);
        assert_eq!(memory.lock().all_bytes, 36 * MB);
    }
}
