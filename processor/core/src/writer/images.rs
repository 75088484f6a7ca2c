//! Images of the rows written last, least recently used out first.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher as _, Hash};
use std::sync::Arc;

use crate::row::Row;

/// Rows that went out of which the version is remembered: 3 MB. A backlog over many shards comes back to
/// tens of thousands of rows.
const MAX_TRACES: usize = 65_536;

/// Rows as they were last stored. Any of them may be missing or outdated: a put on an outdated one
/// is refused.
#[derive(Debug)]
pub(super) struct Images<K, A> {
    rows: HashMap<K, Image<A>>,
    /// Keys by the time of their last use.
    uses: BTreeMap<u64, K>,
    /// Counts uses.
    now: u64,
    bytes: usize,
    max_bytes: usize,
    traces: Traces,
}

#[derive(Debug)]
struct Image<A> {
    row: Arc<Row<A>>,
    bytes: usize,
    used: u64,
    /// Others write it too, so that it is probably outdated by the time it is needed: readings that have to
    /// find it as it was before it is trusted again.
    looks: u8,
}

/// The last that is known of a row.
#[derive(Clone, Debug)]
pub(super) enum Last<A> {
    /// Nothing.
    Unknown,
    /// There was no room for it.
    Forgotten(Trace),
    /// The row, and how many readings it has to be held against first.
    Image(Arc<Row<A>>, u8),
}

/// The remains of an image that went out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trace {
    version: u64,
    looks: u8,
}

impl<A> Last<A> {
    pub(super) fn version(&self) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::Forgotten(trace) => Some(trace.version),
            Self::Image(row, _) => Some(row.version),
        }
    }

    /// Returns how many readings the row has to be held against first.
    pub(super) fn looks(&self) -> Option<u8> {
        match self {
            Self::Unknown => None,
            Self::Forgotten(trace) => Some(trace.looks),
            Self::Image(_, looks) => Some(*looks),
        }
    }

    pub(super) fn into_row(self) -> Option<Arc<Row<A>>> {
        match self {
            Self::Image(row, _) => Some(row),
            Self::Unknown | Self::Forgotten(_) => None,
        }
    }
}

/// Traces by the hash of their keys: a row that takes another's is read once too often.
#[derive(Debug, Default)]
struct Traces {
    hasher: RandomState,
    by_hash: HashMap<u64, Trace>,
    /// Hashes in the order of their coming.
    order: VecDeque<u64>,
}

impl Traces {
    fn insert(&mut self, key: impl Hash, trace: Trace) {
        let hash = self.hasher.hash_one(key);
        self.by_hash.insert(hash, trace);
        self.order.push_back(hash);
        if self.order.len() > MAX_TRACES
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_hash.remove(&oldest);
        }
    }

    fn get(&self, key: impl Hash) -> Option<Trace> {
        self.by_hash.get(&self.hasher.hash_one(key)).copied()
    }

    fn remove(&mut self, key: impl Hash) {
        self.by_hash.remove(&self.hasher.hash_one(key));
    }
}

impl<K: Clone + Eq + Hash, A> Images<K, A> {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            rows: HashMap::new(),
            uses: BTreeMap::new(),
            now: 0,
            bytes: 0,
            max_bytes,
            traces: Traces::default(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the last that is known of a row.
    pub(super) fn last(&mut self, key: &K) -> Last<A> {
        let Some(image) = self.rows.get_mut(key) else {
            return self.traces.get(key).map_or(Last::Unknown, Last::Forgotten);
        };
        self.now += 1;
        if let Some(key) = self.uses.remove(&image.used) {
            self.uses.insert(self.now, key);
        }
        image.used = self.now;
        Last::Image(Arc::clone(&image.row), image.looks)
    }

    pub(super) fn insert(&mut self, key: K, (row, bytes): (Arc<Row<A>>, usize), looks: u8) {
        self.remove(&key);
        if bytes > self.max_bytes {
            self.traces.insert(&key, Trace { version: row.version, looks });
            return;
        }
        self.now += 1;
        self.bytes += bytes;
        self.uses.insert(self.now, key.clone());
        self.rows.insert(key, Image { row, bytes, used: self.now, looks });
        while self.bytes > self.max_bytes
            && let Some((_, oldest)) = self.uses.pop_first()
            && let Some(image) = self.rows.remove(&oldest)
        {
            self.bytes -= image.bytes;
            let trace = Trace { version: image.row.version, looks: image.looks };
            self.traces.insert(&oldest, trace);
        }
    }

    pub(super) fn remove(&mut self, key: &K) {
        self.traces.remove(key);
        if let Some(image) = self.rows.remove(key) {
            self.uses.remove(&image.used);
            self.bytes -= image.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(version: u64) -> Arc<Row<u64>> {
        Arc::new(Row { agg: 0, applied: [].into(), version })
    }

    fn is_image<A>(last: &Last<A>) -> bool {
        matches!(last, Last::Image(..))
    }

    #[test]
    fn what_was_used_least_recently_goes_first_and_its_version_is_remembered() {
        let mut images = Images::new(20);
        images.insert("a", (row(1), 10), 0);
        images.insert("b", (row(5), 10), 3);
        assert!(is_image(&images.last(&"a")));
        images.insert("c", (row(1), 10), 0);
        let b = images.last(&"b");
        assert!(!is_image(&b));
        assert_eq!((b.version(), b.looks()), (Some(5), Some(3)));
        assert!(is_image(&images.last(&"a")) && is_image(&images.last(&"c")));
        assert_eq!(images.bytes(), 20);
        images.remove(&"b");
        assert_eq!(images.last(&"b").version(), None);
    }

    #[test]
    fn a_newer_image_takes_the_place_of_the_older_and_one_that_is_too_large_is_not_kept() {
        let mut images = Images::new(20);
        images.insert("a", (row(1), 10), 0);
        images.insert("a", (row(2), 15), 0);
        assert_eq!((images.bytes(), images.last(&"a").version()), (15, Some(2)));
        images.insert("a", (row(3), 21), 0);
        assert_eq!((images.bytes(), images.last(&"a").version()), (0, Some(3)));
        assert!(!is_image(&images.last(&"a")), "the older image would be outdated");
    }

    #[test]
    fn traces_are_bounded() {
        let mut images: Images<usize, u64> = Images::new(0);
        for key in 0..=MAX_TRACES {
            images.insert(key, (row(1), 1), 0);
        }
        assert_eq!(images.traces.by_hash.len(), MAX_TRACES);
        assert_eq!(images.last(&0).version(), None);
        assert_eq!(images.last(&MAX_TRACES).version(), Some(1));
    }
}
