//! The row writer of each worker: the product's machine over the world's tables, put by put, with
//! faults. It outlives the holds whose partials it has, as in the product, and dies with its worker.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use ivs_core::merge::Merge;
use ivs_core::row::Row;
use ivs_core::session::SummaryAgg;
use ivs_core::window::{WindowAgg, WindowKey};
use ivs_core::writer::{Blame, Effect, How, Partial, RowWriter};
use ivs_tests::rng::Rng;
use kinesis_model::{Position, ShardId};

use crate::world::{Marks, Variant};

/// Small, so that images get lost.
const IMAGE_BYTES: usize = 4;

/// Names a hold's partial.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    pub(crate) hold: u64,
    pub(crate) index: usize,
}

/// The outcome of a partial: the row's fold, or nothing if the put failed.
pub(crate) type Answer<A> = (usize, Option<(Arc<Row<A>>, How)>);

/// A writer's two tables.
pub(crate) struct Writers {
    pub(crate) metrics: Lane<WindowKey, WindowAgg>,
    pub(crate) summaries: Lane<Arc<str>, SummaryAgg>,
}

impl Default for Writers {
    fn default() -> Self {
        Self { metrics: Lane::new(), summaries: Lane::new() }
    }
}

type One<A> = Partial<A, Ticket>;

/// A put that was asked for.
enum Put<A> {
    /// Not begun yet; with how many parts it was asked for.
    AskedFor(usize),
    /// From here on its row stays.
    Begun(Arc<Row<A>>),
}

/// The machine of one table, with what it asked for and what it answered.
pub(crate) struct Lane<K, A> {
    machine: RowWriter<K, A, One<A>>,
    puts: Vec<(K, Put<A>, Option<u64>)>,
    waits: Vec<K>,
    reads: Vec<K>,
    answers: BTreeMap<u64, Vec<Answer<A>>>,
    /// The parts submitted and not answered; the broken variants need it.
    open: Vec<(K, ShardId, Position)>,
}

impl<K: Clone + Ord + Hash + Debug, A: Merge + Clone> Lane<K, A> {
    fn new() -> Self {
        Self {
            machine: RowWriter::new(IMAGE_BYTES),
            puts: vec![],
            waits: vec![],
            reads: vec![],
            answers: BTreeMap::new(),
            open: vec![],
        }
    }

    pub(crate) fn submit(&mut self, key: K, part: One<A>) {
        self.open.push((key.clone(), part.shard.clone(), part.to));
        self.machine.submit(key, part);
    }

    pub(crate) fn answers(&mut self, hold: u64) -> Vec<Answer<A>> {
        self.answers.remove(&hold).unwrap_or_default()
    }

    fn tell(
        &mut self,
        variant: Variant,
        marks: &mut Marks,
        input: impl FnOnce(&mut RowWriter<K, A, One<A>>, &mut Vec<Effect<K, A, One<A>, ()>>),
    ) {
        let mut effects = vec![];
        input(&mut self.machine, &mut effects);
        while !effects.is_empty() {
            for effect in std::mem::take(&mut effects) {
                let put = self.take(effect, marks);
                if let Some((key, row)) = put
                    && variant == Variant::AcknowledgesEarly
                {
                    self.machine.stored(&key, 1, &mut effects);
                    self.puts.last_mut().expect("it was just asked for").1 = Put::Begun(row);
                }
            }
        }
    }

    /// Keeps what is to be done; returns the row of a put with its key.
    fn take(
        &mut self,
        effect: Effect<K, A, One<A>, ()>,
        marks: &mut Marks,
    ) -> Option<(K, Arc<Row<A>>)> {
        let (part, answer) = match effect {
            Effect::Put { key, row, seen, parts } => {
                if parts > 1 {
                    marks.insert("partials of several shards went into one put");
                }
                self.puts.push((key.clone(), Put::AskedFor(parts), seen));
                return Some((key, row));
            }
            Effect::Read { key } => {
                marks.insert("a row that others write was read first");
                self.reads.push(key);
                return None;
            }
            Effect::Wait { key, .. } => {
                marks.insert("a row that others kept writing was waited for");
                self.waits.push(key);
                return None;
            }
            Effect::Done { part, row, how } => {
                if how == How::Already {
                    marks.insert("an epoch found itself already applied");
                }
                (part, Some((row, how)))
            }
            Effect::Failed { part, .. } => (part, None),
        };
        let is_it = |open: &(K, ShardId, Position)| open.1 == part.shard && open.2 == part.to;
        if let Some(at) = self.open.iter().position(is_it) {
            self.open.swap_remove(at);
        }
        let Ticket { hold, index } = part.ticket;
        self.answers.entry(hold).or_default().push((index, answer));
        None
    }

    /// Returns one step: a flush, the end of a wait, a reading, or a conditional put with faults.
    pub(crate) fn step(
        &mut self,
        table: &mut BTreeMap<K, Row<A>>,
        may_write: impl Fn(&ShardId, Position) -> bool,
        (variant, rng, marks): (Variant, &mut Rng, &mut Marks),
    ) -> Result<(), String> {
        if rng.chance(30) {
            self.tell(variant, marks, RowWriter::flush);
            return Ok(());
        }
        if !self.waits.is_empty() && rng.chance(30) {
            let key = self.waits.swap_remove(rng.index(self.waits.len()));
            self.tell(variant, marks, |machine, effects| machine.wake(&key, effects));
            return Ok(());
        }
        if !self.reads.is_empty() && rng.chance(50) {
            let key = self.reads.swap_remove(rng.index(self.reads.len()));
            let image = table.get(&key).map(|row| (self.seen_by(variant, &key, row), 1));
            let fails = rng.chance(3);
            self.tell(variant, marks, |machine, effects| {
                if fails {
                    machine.unread(&key, effects);
                } else {
                    machine.read(&key, image, effects);
                }
            });
            return Ok(());
        }
        if self.puts.is_empty() {
            return Ok(());
        }
        let at = rng.index(self.puts.len());
        let (key, put, seen) = self.puts.swap_remove(at);
        let row = match put {
            Put::Begun(row) => row,
            Put::AskedFor(before) => {
                let (row, parts) = self.machine.board(&key);
                if parts > before {
                    marks.insert("a part went along with a put that had been asked for");
                }
                row
            }
        };
        if let Some((shard, to)) = row.applied.iter().find(|(shard, to)| !may_write(shard, **to)) {
            return Err(format!("E2: a row was written with {to} of {shard}, unprepared"));
        }
        if rng.chance(2) {
            marks.insert("a put was throttled");
            self.puts.push((key, Put::Begun(row), seen));
            return Ok(());
        }
        self.put(table, (key, row, seen), (variant, rng, marks));
        Ok(())
    }

    /// Returns a stored row as the machine gets to see it.
    fn seen_by(&self, variant: Variant, key: &K, stored: &Row<A>) -> Row<A> {
        let mut image = stored.clone();
        if variant == Variant::NoApplied {
            for (_, shard, _) in self.open.iter().filter(|open| open.0 == *key) {
                image.applied.remove(shard);
            }
        }
        image
    }

    fn put(
        &mut self,
        table: &mut BTreeMap<K, Row<A>>,
        (key, row, seen): (K, Arc<Row<A>>, Option<u64>),
        (variant, rng, marks): (Variant, &mut Rng, &mut Marks),
    ) {
        // There is nobody left who could be told.
        let told = variant != Variant::AcknowledgesEarly;
        let stored = table.get(&key);
        let blind = variant == Variant::StaleCacheBlind && seen.is_some();
        if !blind && stored.map(|row| row.version) != seen {
            marks.insert("a put was refused");
            if stored
                .is_some_and(|stored| stored.applied.keys().any(|s| !row.applied.contains_key(s)))
            {
                marks.insert("two shards met in one row");
            }
            let image = stored.map(|stored| (self.seen_by(variant, &key, stored), 1));
            if told {
                self.tell(variant, marks, |machine, asked| machine.refused(&key, image, asked));
            }
            return;
        }
        let mut written = Row::clone(&row);
        if variant == Variant::AppliedUnmerged {
            for (_, shard, to) in self.open.iter().filter(|open| open.0 == key) {
                let at = written.applied.entry(shard.clone()).or_insert(*to);
                *at = (*at).max(*to);
            }
        }
        table.insert(key.clone(), written);
        if !told {
            return;
        }
        match rng.below(100) {
            0..=2 => {
                marks.insert("a put was stored, its reply lost, the shard given up");
                self.tell(variant, marks, |machine, asked| {
                    machine.failed(&key, &(), Blame::Table, asked);
                });
            }
            3..=7 => {
                marks.insert("a put was stored, its reply lost, and sent again");
                self.puts.push((key, Put::Begun(row), seen));
            }
            _ => self.tell(variant, marks, |machine, asked| machine.stored(&key, 1, asked)),
        }
    }
}
