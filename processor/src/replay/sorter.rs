//! Partial rows, sorted and merged in bounded memory: what does not fit waits in unnamed files.
//!
//! Merging is exact in any order (invariant E4), so the rows that come out do not depend on how
//! the work was split, on how often memory was full, or on whether the input was in order.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write};

/// Files of one level that are merged into one of the next: few enough to be open all at once.
const FAN_IN: usize = 32;
const BUFFER_BYTES: usize = 64 << 10;

/// An entry that is sorted by a key; entries of one key are one in the end.
pub(crate) trait SortEntry: Sized + Send {
    /// The key.
    type Key: Ord;
    /// Returns its key.
    fn key(&self) -> &Self::Key;
    /// Merges another entry of the same key; commutative and associative.
    fn absorb(&mut self, other: Self);
    /// Appends it as bytes.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads what [`SortEntry::write`] wrote; `None` if it did not.
    fn read(bytes: &[u8]) -> Option<Self>;
    /// Returns about how much memory it takes.
    fn memory_bytes(&self) -> usize;
}

/// A sorter that takes entries in any order.
pub(crate) struct Sorter<E> {
    limit_bytes: usize,
    held: Vec<E>,
    held_bytes: usize,
    /// Sorted files, by how often their entries were merged into a larger file.
    levels: Vec<Vec<File>>,
}

impl<E: SortEntry> Sorter<E> {
    /// Returns a sorter that holds about `limit_bytes` in memory.
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, held: Vec::new(), held_bytes: 0, levels: Vec::new() }
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn push(&mut self, entry: E) -> io::Result<()> {
        self.held_bytes += entry.memory_bytes();
        self.held.push(entry);
        if self.held_bytes < self.limit_bytes {
            return Ok(());
        }
        // Often the same few keys come again and again: then merging is enough.
        self.settle();
        if self.held_bytes < self.limit_bytes / 2 {
            return Ok(());
        }
        let held = std::mem::take(&mut self.held);
        self.held_bytes = 0;
        let file = write_run(held.into_iter().map(Ok))?;
        self.keep(file, 0)
    }

    /// Sorts and merges what is held.
    fn settle(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        held.sort_unstable_by(|a, b| a.key().cmp(b.key()));
        for entry in held {
            match self.held.last_mut() {
                Some(last) if last.key() == entry.key() => last.absorb(entry),
                _ => self.held.push(entry),
            }
        }
        self.held_bytes = self.held.iter().map(E::memory_bytes).sum();
    }

    fn keep(&mut self, file: File, level: usize) -> io::Result<()> {
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        self.levels[level].push(file);
        if self.levels[level].len() < FAN_IN {
            return Ok(());
        }
        let files = std::mem::take(&mut self.levels[level]);
        let merged = Merged::<E>::over(files.into_iter().map(Run::File), Vec::new())?;
        let file = write_run(merged)?;
        self.keep(file, level + 1)
    }

    /// Returns all entries of several sorters, by key, each key once.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) fn merge(sorters: impl IntoIterator<Item = Self>) -> io::Result<Merged<E>> {
        let (mut files, mut held) = (Vec::new(), Vec::new());
        for mut sorter in sorters {
            sorter.settle();
            held.push(sorter.held);
            files.extend(sorter.levels.into_iter().flatten());
        }
        Merged::over(files.into_iter().map(Run::File), held)
    }
}

fn write_run<E: SortEntry>(entries: impl Iterator<Item = io::Result<E>>) -> io::Result<File> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile()?);
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.clear();
        entry?.write(&mut bytes);
        out.write_all(&(bytes.len() as u64).to_le_bytes())?;
        out.write_all(&bytes)?;
    }
    let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(file)
}

/// A sorted source of a merge.
enum Run<E> {
    File(File),
    Reading(BufReader<File>),
    Held(std::vec::IntoIter<E>),
}

impl<E: SortEntry> Run<E> {
    fn next(&mut self, bytes: &mut Vec<u8>) -> io::Result<Option<E>> {
        match self {
            Self::Held(entries) => Ok(entries.next()),
            Self::File(file) => {
                *self = Self::Reading(BufReader::with_capacity(BUFFER_BYTES, file.try_clone()?));
                self.next(bytes)
            }
            Self::Reading(file) => {
                let mut length = [0; 8];
                if file.fill_is_empty()? {
                    return Ok(None);
                }
                file.read_exact(&mut length)?;
                let length = usize::try_from(u64::from_le_bytes(length));
                bytes.resize(length.map_err(io::Error::other)?, 0);
                file.read_exact(bytes)?;
                let entry = E::read(bytes);
                entry.map(Some).ok_or_else(|| io::Error::other("a spilled row came back damaged"))
            }
        }
    }
}

/// Whether a reader is at its end.
trait FillIsEmpty {
    fn fill_is_empty(&mut self) -> io::Result<bool>;
}

impl FillIsEmpty for BufReader<File> {
    fn fill_is_empty(&mut self) -> io::Result<bool> {
        use io::BufRead as _;
        Ok(self.fill_buf()?.is_empty())
    }
}

/// The next entry of a run.
struct Head<E> {
    entry: E,
    run: usize,
}

impl<E: SortEntry> Ord for Head<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.entry.key().cmp(other.entry.key()).then(self.run.cmp(&other.run))
    }
}

impl<E: SortEntry> PartialOrd for Head<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E: SortEntry> PartialEq for Head<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E: SortEntry> Eq for Head<E> {}

/// Entries by key, each key once.
pub(crate) struct Merged<E: SortEntry> {
    runs: Vec<Run<E>>,
    heads: BinaryHeap<Reverse<Head<E>>>,
    bytes: Vec<u8>,
}

impl<E: SortEntry> Merged<E> {
    fn over(files: impl Iterator<Item = Run<E>>, held: Vec<Vec<E>>) -> io::Result<Self> {
        let held = held.into_iter().map(|entries| Run::Held(entries.into_iter()));
        let runs: Vec<Run<E>> = files.chain(held).collect();
        let mut merged = Self { runs, heads: BinaryHeap::new(), bytes: Vec::new() };
        for run in 0..merged.runs.len() {
            merged.advance(run)?;
        }
        Ok(merged)
    }

    fn advance(&mut self, run: usize) -> io::Result<()> {
        if let Some(entry) = self.runs[run].next(&mut self.bytes)? {
            self.heads.push(Reverse(Head { entry, run }));
        }
        Ok(())
    }

    fn step(&mut self) -> io::Result<Option<E>> {
        let Some(Reverse(Head { mut entry, run })) = self.heads.pop() else { return Ok(None) };
        self.advance(run)?;
        while self.heads.peek().is_some_and(|Reverse(head)| head.entry.key() == entry.key()) {
            if let Some(Reverse(head)) = self.heads.pop() {
                entry.absorb(head.entry);
                self.advance(head.run)?;
            }
        }
        Ok(Some(entry))
    }
}

impl<E: SortEntry> Iterator for Merged<E> {
    type Item = io::Result<E>;

    fn next(&mut self) -> Option<io::Result<E>> {
        self.step().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Count(u64, u64);

    impl SortEntry for Count {
        type Key = u64;

        fn key(&self) -> &u64 {
            &self.0
        }

        fn absorb(&mut self, other: Self) {
            self.1 += other.1;
        }

        fn write(&self, out: &mut Vec<u8>) {
            out.extend(self.0.to_le_bytes());
            out.extend(self.1.to_le_bytes());
        }

        fn read(bytes: &[u8]) -> Option<Self> {
            let (key, count) = bytes.split_at_checked(8)?;
            let number = |bytes: &[u8]| Some(u64::from_le_bytes(bytes.try_into().ok()?));
            Some(Self(number(key)?, number(count)?))
        }

        fn memory_bytes(&self) -> usize {
            16
        }
    }

    /// 40 files of a level and more are merged on the way; keys come again in most of them.
    #[test]
    fn whatever_the_memory_and_the_split_the_result_is_the_same() {
        let keys = |part: u64| (0..4_000).map(move |i| (i * 7_919 + part * 31) % 3_001);
        let run = |limit_bytes: usize| {
            let sorters = (0..3).map(|part| {
                let mut sorter = Sorter::new(limit_bytes);
                for key in keys(part) {
                    sorter.push(Count(key, 1)).unwrap();
                }
                sorter
            });
            Sorter::merge(sorters).unwrap().map(Result::unwrap).collect::<Vec<_>>()
        };
        let want = run(usize::MAX);
        assert!(want.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(want.iter().map(|count| count.1).sum::<u64>(), 12_000);
        for limit_bytes in [16 * 50, 16 * 700] {
            assert_eq!(run(limit_bytes), want);
        }
    }
}
