//! Images of the rows written last, least recently used out first.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use crate::row::Row;

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

impl<K: Clone + Eq + Hash, A> Images<K, A> {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { rows: HashMap::new(), uses: BTreeMap::new(), now: 0, bytes: 0, max_bytes }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns an image, and how many readings it has to be held against first.
    pub(super) fn get(&mut self, key: &K) -> Option<(Arc<Row<A>>, u8)> {
        let image = self.rows.get_mut(key)?;
        self.now += 1;
        if let Some(key) = self.uses.remove(&image.used) {
            self.uses.insert(self.now, key);
        }
        image.used = self.now;
        Some((Arc::clone(&image.row), image.looks))
    }

    pub(super) fn insert(&mut self, key: K, (row, bytes): (Arc<Row<A>>, usize), looks: u8) {
        self.remove(&key);
        if bytes > self.max_bytes {
            return;
        }
        self.now += 1;
        self.bytes += bytes;
        self.uses.insert(self.now, key.clone());
        self.rows.insert(key, Image { row, bytes, used: self.now, looks });
        while self.bytes > self.max_bytes
            && let Some((_, oldest)) = self.uses.pop_first()
        {
            self.bytes -= self.rows.remove(&oldest).map_or(0, |image| image.bytes);
        }
    }

    pub(super) fn remove(&mut self, key: &K) {
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

    #[test]
    fn what_was_used_least_recently_goes_first() {
        let mut images = Images::new(20);
        images.insert("a", (row(1), 10), 0);
        images.insert("b", (row(1), 10), 0);
        assert!(images.get(&"a").is_some());
        images.insert("c", (row(1), 10), 0);
        assert!(images.get(&"b").is_none());
        assert!(images.get(&"a").is_some() && images.get(&"c").is_some());
        assert_eq!(images.bytes(), 20);
    }

    #[test]
    fn a_newer_image_takes_the_place_of_the_older_and_one_that_is_too_large_is_not_kept() {
        let mut images = Images::new(20);
        images.insert("a", (row(1), 10), 0);
        images.insert("a", (row(2), 15), 0);
        assert_eq!((images.bytes(), images.get(&"a").unwrap().0.version), (15, 2));
        images.insert("a", (row(3), 21), 0);
        assert_eq!(images.bytes(), 0);
        assert!(images.get(&"a").is_none(), "the older image would be outdated");
    }
}
