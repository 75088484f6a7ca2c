//! One writer of a table's merged rows: whatever the shards of a worker have for a row goes into
//! one put.
//!
//! A row has at most one put in flight. What comes in meanwhile, of any shard, waits and is merged
//! into the next one, which moves `applied` for each of them (E1, E10). Only prepared epochs are
//! submitted (E2), and a part is answered when the row that holds it is stored, never before
//! (E3). So a row costs a put per worker and interval, however many shards carry its session.
//!
//! The machine decides and does nothing: a driver puts, reads, waits and answers. It never gives a row
//! up because others write it too: a refused put comes back with what is stored, and the next try
//! starts from there. A row that others are known to write is read before it is put, because a refused
//! put costs as much as a stored one, and a reading a fraction of it.

mod images;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::merge::Merge;
use crate::row::{Row, holds};
use images::{Images, Last};
use kinesis_model::{Position, ShardId};

/// The part of one prepared epoch of a shard for a row whose fold is `A`.
pub trait Part<A> {
    /// Returns the shard.
    fn shard(&self) -> &ShardId;
    /// Returns the epoch's end.
    fn to(&self) -> Position;
    /// Returns the fold of the part alone.
    fn alone(&self) -> A;
    /// Merges the part into a row's fold.
    fn add_to(&self, agg: &mut A);
    /// Returns whether somebody still waits for the answer.
    fn is_awaited(&self) -> bool {
        true
    }
}

/// A part that holds its fold. `T` is whatever the driver answers by.
#[derive(Clone, Debug)]
pub struct Partial<A, T> {
    /// The shard.
    pub shard: ShardId,
    /// The epoch's end.
    pub to: Position,
    /// The fold of the epoch's records.
    pub delta: A,
    /// Comes back with the answer.
    pub ticket: T,
}

impl<A: Merge + Clone, T> Part<A> for Partial<A, T> {
    fn shard(&self) -> &ShardId {
        &self.shard
    }

    fn to(&self) -> Position {
        self.to
    }

    fn alone(&self) -> A {
        self.delta.clone()
    }

    fn add_to(&self, agg: &mut A) {
        agg.merge(&self.delta);
    }
}

/// A request of the writer to the driver.
#[derive(Debug)]
pub enum Effect<K, A, P, E> {
    /// Put `row` on condition that the stored version is `seen` (`None`: that there is no row);
    /// answer with [`RowWriter::stored`], [`RowWriter::refused`] or [`RowWriter::failed`]. A driver that does not
    /// begin at once puts what [`RowWriter::board`] returns then.
    Put {
        /// The row's key.
        key: K,
        /// The row with every partial in it.
        row: Arc<Row<A>>,
        /// The version it was computed from.
        seen: Option<u64>,
        /// How many parts it holds that were not there before.
        parts: usize,
    },
    /// Read what is stored under `key`; answer with [`RowWriter::read`] or [`RowWriter::unread`].
    Read {
        /// The row's key.
        key: K,
    },
    /// Others keep writing the row: wait, the longer the more `refusals` in a row there were, then
    /// call [`RowWriter::wake`].
    Wait {
        /// The row's key.
        key: K,
        /// Refused puts in a row, at least two.
        refusals: u32,
    },
    /// The row holds the part, and that is stored.
    Done {
        /// The part.
        part: P,
        /// The row as stored.
        row: Arc<Row<A>>,
        /// How it got there.
        how: How,
    },
    /// The part cannot be written now.
    Failed {
        /// The part.
        part: P,
        /// The put's error.
        error: E,
    },
}

/// How a row came to hold a partial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By a put, and this ticket speaks for it: exactly one of each put, one that is awaited if any is.
    Put {
        /// Refused tries before it.
        refusals: u32,
    },
    /// By a put for which another ticket speaks.
    Along,
    /// It was there already, from a run that was cut off.
    Already,
}

/// The reason for which a put failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Nothing that is known of: the table does not answer, or answers nobody.
    Table,
    /// The item: it will never be taken as it is.
    Item,
}

/// Rows that are being written, and images of those written last. `K` is a row's key, `A` its
/// fold, `P` a [`Part`] of it.
#[derive(Debug)]
pub struct RowWriter<K, A, P> {
    rows: HashMap<K, Busy<A, P>>,
    /// Rows with parts that wait for the next flush, in the order of their coming.
    unflushed: Vec<K>,
    images: Images<K, A>,
    /// How many more rows without an image are read before they are put: others write here too.
    suspicion: u32,
}

/// New rows in a row that nobody else had written, after which new rows are put without a look.
const SUSPICIOUS_FOR: u32 = 64;

/// Readings that find a row as this writer left it, after which it is put without a look. Not the first: a worker
/// may put a row twice within an interval, and the others come behind both.
const LOOKS: u8 = 4;

/// A row that is being written or has something to be written.
#[derive(Debug)]
struct Busy<A, P> {
    waiting: Vec<P>,
    flight: Option<Flight<A, P>>,
    /// The content of the last answer, until it is used: it must not get lost.
    known: Known<A>,
    /// A wait was asked for and is not over.
    pausing: bool,
    /// A reading was asked for and is not answered.
    reading: bool,
    /// Waiting parts may go as soon as they can.
    flushed: bool,
    refusals: u32,
    /// Parts that go one by one, because an item that held several was refused for good.
    singly: usize,
}

/// The row that the table was last said to hold.
#[derive(Debug)]
enum Known<A> {
    /// Nothing was said, or it was used.
    Unknown,
    /// This, or no row; and how many readings of it are to come.
    Said(Option<Arc<Row<A>>>, u8),
}

#[derive(Debug)]
struct Flight<A, P> {
    row: Arc<Row<A>>,
    /// The version it was computed from.
    seen: Option<u64>,
    parts: Vec<P>,
    /// Readings to come before the row is put without a look; more than none if others write it too.
    looks: u8,
}

impl<A, P> Default for Busy<A, P> {
    fn default() -> Self {
        Self {
            waiting: Vec::new(),
            flight: None,
            known: Known::Unknown,
            pausing: false,
            reading: false,
            flushed: false,
            refusals: 0,
            singly: 0,
        }
    }
}

impl<A: Clone, P: Part<A>> Flight<A, P> {
    fn board(&mut self, part: P) {
        // As in the making of a row: those that it holds already do not speak for it.
        let is_merged = merge_into(&mut self.row, &part, self.seen);
        self.parts.insert(if is_merged { self.parts.len() } else { 0 }, part);
    }
}

impl<K: Clone + Eq + Hash, A: Clone, P: Part<A>> RowWriter<K, A, P> {
    /// Returns a writer that keeps images of at most `max_image_bytes`, by the sizes it is told. It looks
    /// before its first puts: a worker that joins a fleet is not alone.
    #[must_use]
    pub fn new(max_image_bytes: usize) -> Self {
        let images = Images::new(max_image_bytes);
        let suspicion = SUSPICIOUS_FOR;
        Self { rows: HashMap::new(), unflushed: Vec::new(), images, suspicion }
    }

    /// Returns how many rows are being written or wait for it.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.rows.len()
    }

    /// Returns the bytes of the images kept.
    #[must_use]
    pub fn image_bytes(&self) -> usize {
        self.images.bytes()
    }

    /// Takes a part of a prepared epoch. It waits for [`Self::flush`].
    pub fn submit(&mut self, key: K, part: P) {
        let busy = self.rows.entry(key.clone()).or_default();
        busy.waiting.push(part);
        self.unflushed.push(key);
    }

    /// Lets everything submitted go, as soon as its row has no put in flight.
    pub fn flush<E>(&mut self, effects: &mut Vec<Effect<K, A, P, E>>) {
        for key in std::mem::take(&mut self.unflushed) {
            if let Some(busy) = self.rows.get_mut(&key) {
                busy.flushed = true;
                self.go_on(&key, effects);
            }
        }
    }

    /// Lets the parts that came since a put was asked for go along, and returns the row to put and how many parts it
    /// holds that were not there before. Once the driver has begun, the row must stay as it is.
    ///
    /// # Panics
    /// When no put of this row was asked for.
    pub fn board(&mut self, key: &K) -> (Arc<Row<A>>, usize) {
        let busy = self.rows.get_mut(key).expect("a put of a row that is not being written");
        let flight = busy.flight.as_mut().expect("a put that was not asked for");
        // One that goes by itself was refused in company.
        if busy.singly == 0 {
            std::mem::take(&mut busy.waiting).into_iter().for_each(|part| flight.board(part));
        }
        (Arc::clone(&flight.row), flight.parts.len())
    }

    /// Notes that the put in flight was acknowledged; `bytes` is the size of the image.
    pub fn stored<E>(&mut self, key: &K, bytes: usize, effects: &mut Vec<Effect<K, A, P, E>>) {
        let (busy, flight) = self.landed(key);
        let refusals = std::mem::take(&mut busy.refusals);
        busy.singly = busy.singly.saturating_sub(flight.parts.len());
        self.images.insert(key.clone(), (Arc::clone(&flight.row), bytes), flight.looks);
        // Whoever was given up tells nobody. If nobody waits, whoever writes their epochs again will tell.
        let awaited = flight.parts.iter().rposition(Part::is_awaited);
        let speaker = awaited.unwrap_or(flight.parts.len() - 1);
        for (i, part) in flight.parts.into_iter().enumerate() {
            let how = if i == speaker { How::Put { refusals } } else { How::Along };
            let row = Arc::clone(&flight.row);
            effects.push(Effect::Done { part, row, how });
        }
        self.go_on(key, effects);
    }

    /// Notes that the condition of the put in flight failed; `image` is what is stored, and its
    /// size.
    pub fn refused<E>(
        &mut self,
        key: &K,
        image: Option<(Row<A>, usize)>,
        effects: &mut Vec<Effect<K, A, P, E>>,
    ) {
        let (busy, flight) = self.landed(key);
        busy.refusals += 1;
        busy.waiting.splice(0..0, flight.parts);
        busy.flushed = true;
        let refusals = busy.refusals;
        busy.pausing = refusals > 1;
        let image = image.map(|(row, bytes)| (Arc::new(row), bytes));
        busy.known = Known::Said(image.as_ref().map(|(row, _)| Arc::clone(row)), LOOKS);
        match image {
            Some(image) => {
                self.suspicion = SUSPICIOUS_FOR;
                self.images.insert(key.clone(), image, LOOKS);
            }
            None => self.images.remove(key),
        }
        if refusals > 1 {
            effects.push(Effect::Wait { key: key.clone(), refusals });
        } else {
            self.go_on(key, effects);
        }
    }

    /// Takes in that the table holds this row under the key, of that size, or none.
    ///
    /// # Panics
    /// When no reading of this row was asked for.
    pub fn read<E>(
        &mut self,
        key: &K,
        image: Option<(Row<A>, usize)>,
        effects: &mut Vec<Effect<K, A, P, E>>,
    ) {
        let image = image.map(|(row, bytes)| (Arc::new(row), bytes));
        let last = self.images.last(key);
        let before = last.version();
        let found = image.as_ref().map(|(row, _)| row.version);
        match (before, found) {
            (None, None) => self.suspicion = self.suspicion.saturating_sub(1),
            _ if before != found => self.suspicion = SUSPICIOUS_FOR,
            _ => {}
        }
        let looks = match last.looks() {
            Some(looks) if before == found => looks.saturating_sub(1),
            None if found.is_none() && self.suspicion == 0 => 0,
            _ => LOOKS,
        };
        let busy = self.rows.get_mut(key).filter(|busy| busy.reading);
        let busy = busy.expect("an answer for a row that is not being read");
        busy.reading = false;
        busy.known = Known::Said(image.as_ref().map(|(row, _)| Arc::clone(row)), looks);
        match image {
            Some(image) => self.images.insert(key.clone(), image, looks),
            None => self.images.remove(key),
        }
        self.go_on(key, effects);
    }

    /// Takes in that the reading that was asked for failed: the row is put as if it had not been asked for.
    pub fn unread<E>(&mut self, key: &K, effects: &mut Vec<Effect<K, A, P, E>>) {
        let image = self.images.last(key).into_row();
        if let Some(busy) = self.rows.get_mut(key) {
            busy.reading = false;
            busy.known = Known::Said(image, LOOKS);
            self.go_on(key, effects);
        }
    }

    /// Notes that the wait that was asked for is over.
    pub fn wake<E>(&mut self, key: &K, effects: &mut Vec<Effect<K, A, P, E>>) {
        if let Some(busy) = self.rows.get_mut(key) {
            busy.pausing = false;
            self.go_on(key, effects);
        }
    }

    /// Notes that the put in flight failed; whether it was carried out is not known. An item
    /// that is refused for good because of what several shards put into it is tried once more by
    /// each of them alone.
    pub fn failed<E: Clone>(
        &mut self,
        key: &K,
        error: &E,
        blame: Blame,
        effects: &mut Vec<Effect<K, A, P, E>>,
    ) {
        let (busy, flight) = self.landed(key);
        busy.refusals = 0;
        if blame == Blame::Item && flight.parts.len() > 1 {
            busy.singly = flight.parts.len();
            busy.waiting.splice(0..0, flight.parts);
            busy.flushed = true;
        } else {
            busy.singly = busy.singly.saturating_sub(flight.parts.len());
            for part in flight.parts {
                effects.push(Effect::Failed { part, error: error.clone() });
            }
        }
        self.images.remove(key);
        self.go_on(key, effects);
    }

    /// Returns the row of an answered put.
    ///
    /// # Panics
    /// When no put of this row is in flight: the driver answered one that was not asked for.
    fn landed(&mut self, key: &K) -> (&mut Busy<A, P>, Flight<A, P>) {
        let busy = self.rows.get_mut(key).expect("an answer for a row that is not being written");
        let flight = busy.flight.take().expect("an answer without a put in flight");
        (busy, flight)
    }

    /// Starts the next put of a row if there is something to put and nothing in the way.
    fn go_on<E>(&mut self, key: &K, effects: &mut Vec<Effect<K, A, P, E>>) {
        let Some(busy) = self.rows.get_mut(key) else { return };
        if busy.flight.is_none() && busy.waiting.is_empty() {
            self.rows.remove(key);
            return;
        }
        if busy.flight.is_some() || busy.pausing || busy.reading || !busy.flushed {
            return;
        }
        let said = std::mem::replace(&mut busy.known, Known::Unknown);
        let (mut row, looks) = match (said, self.images.last(key)) {
            (Known::Said(row, looks), _) => (row, looks),
            (Known::Unknown, Last::Image(row, 0)) => (Some(row), 0),
            (Known::Unknown, Last::Unknown) if self.suspicion == 0 => (None, 0),
            (Known::Unknown, _) => {
                busy.reading = true;
                effects.push(Effect::Read { key: key.clone() });
                return;
            }
        };
        let seen = row.as_ref().map(|row| row.version);
        let mut parts = Vec::new();
        let most = if busy.singly > 0 { 1 } else { usize::MAX };
        let mut left = Vec::new();
        for part in std::mem::take(&mut busy.waiting) {
            match &row {
                // An image is of a row as it was stored, and `applied` never goes back.
                Some(image) if parts.is_empty() && holds(image, part.shard(), part.to()) => {
                    let row = Arc::clone(image);
                    busy.singly = busy.singly.saturating_sub(1);
                    effects.push(Effect::Done { part, row, how: How::Already });
                }
                _ if parts.len() >= most => left.push(part),
                _ => {
                    // The row's next version is new through those that were merged: one of them has to
                    // speak for it, so they come last.
                    let is_merged = match &mut row {
                        Some(row) => merge_into(row, &part, seen),
                        None => row.insert(begin(&part)).version == 1,
                    };
                    parts.insert(if is_merged { parts.len() } else { 0 }, part);
                }
            }
        }
        busy.flushed = !left.is_empty();
        busy.waiting = left;
        match row {
            Some(row) if !parts.is_empty() => {
                let count = parts.len();
                busy.flight = Some(Flight { row: Arc::clone(&row), seen, parts, looks });
                effects.push(Effect::Put { key: key.clone(), row, seen, parts: count });
            }
            _ if busy.waiting.is_empty() => drop(self.rows.remove(key)),
            _ => {}
        }
    }
}

/// Merges a part into the row that is being made up from the version `seen`. One that the row holds
/// by then (`false`) is in the put of its twin, and is answered with it.
fn merge_into<A: Clone, P: Part<A>>(row: &mut Arc<Row<A>>, part: &P, seen: Option<u64>) -> bool {
    if holds(row, part.shard(), part.to()) {
        return false;
    }
    let row = Arc::make_mut(row);
    part.add_to(&mut row.agg);
    row.applied.insert(part.shard().clone(), part.to());
    row.version = seen.map_or(1, |seen| seen + 1);
    true
}

/// Returns the row that a part makes where there is none.
fn begin<A, P: Part<A>>(part: &P) -> Arc<Row<A>> {
    let applied = [(part.shard().clone(), part.to())].into();
    Arc::new(Row { agg: part.alone(), applied, version: 1 })
}
