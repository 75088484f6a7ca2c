//! The records of one shard: chunks of frames, in memory, in files, or both.
//!
//! Records are appended to the active chunk and, before they are acknowledged, to the current
//! segment file. A full chunk is sealed and never changes again; the oldest sealed chunks leave
//! memory when it runs short and are then read from their file. Nothing is ever rewritten, and a
//! segment whose records have all expired is deleted.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::frame::{self, Stored};
use super::ids::Cursor;

mod recover;

/// A chunk is sealed at this size: what one lookup copies or reads at most, batches apart.
const CHUNK_BYTES: usize = 128 << 10;

/// A segment file ends at this size: what expiry can free at once.
const SEGMENT_BYTES: u64 = 16 << 20;

/// The memory that all records of the endpoint share.
#[derive(Debug)]
pub(super) struct Memory {
    used: AtomicUsize,
    cap: usize,
}

impl Memory {
    pub(super) fn new(cap: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), cap })
    }

    /// Returns whether less than the cap is in use.
    pub(super) fn has_room(&self) -> bool {
        self.used.load(Ordering::Relaxed) < self.cap
    }

    fn take(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    fn give(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Where a sealed chunk lies on disk.
#[derive(Clone, Copy, Debug)]
struct Place {
    segment: u32,
    offset: u64,
}

#[derive(Debug)]
struct Chunk {
    /// The highest counter in it.
    last: u64,
    /// The latest arrival in it.
    last_ms: u64,
    length: usize,
    place: Option<Place>,
    resident: Option<Bytes>,
}

#[derive(Debug)]
struct Writer {
    segment: u32,
    file: File,
    length: u64,
}

/// The files of one shard: `<folder>/<shard id>.<segment>.log`.
#[derive(Clone, Debug)]
pub(super) struct Files {
    folder: PathBuf,
    shard: String,
}

impl Files {
    pub(super) fn new(folder: &Path, shard: &str) -> Self {
        Self { folder: folder.to_owned(), shard: shard.to_owned() }
    }

    fn path(&self, segment: u32) -> PathBuf {
        self.folder.join(format!("{}.{segment:010}.log", self.shard))
    }

    fn remove(&self, segment: u32) {
        let path = self.path(segment);
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot delete an expired segment");
        }
    }
}

/// A run of frames found by [`ShardLog::find`], to be fetched without any lock held.
#[derive(Debug)]
pub(super) enum Piece {
    /// In memory.
    Frames(Bytes),
    /// In a file.
    Spilled { path: PathBuf, offset: u64, length: usize },
}

impl Piece {
    /// Returns the frames. A file that has expired meanwhile is an error of kind `NotFound`.
    pub(super) fn fetch(self) -> io::Result<Bytes> {
        match self {
            Self::Frames(frames) => Ok(frames),
            Self::Spilled { path, offset, length } => {
                let mut frames = vec![0; length];
                File::open(path)?.read_exact_at(&mut frames, offset)?;
                Ok(frames.into())
            }
        }
    }
}

/// All records of a shard that have not expired.
#[derive(Debug)]
pub(super) struct ShardLog {
    files: Option<Files>,
    memory: Arc<Memory>,
    sealed: VecDeque<Chunk>,
    /// The frames of the active chunk, of which `committed` bytes are in the segment.
    active: Vec<u8>,
    committed: usize,
    /// Of the newest committed record.
    last: u64,
    last_ms: u64,
    /// Of the newest staged one.
    staged: (u64, u64),
    writer: Option<Writer>,
    next_segment: u32,
}

impl ShardLog {
    /// Returns an empty log, kept in `files` or in memory only.
    pub(super) fn new(files: Option<Files>, memory: Arc<Memory>) -> Self {
        Self {
            files,
            memory,
            sealed: VecDeque::new(),
            active: Vec::new(),
            committed: 0,
            last: 0,
            last_ms: 0,
            staged: (0, 0),
            writer: None,
            next_segment: 0,
        }
    }

    /// Returns the counter and arrival of the newest record; zeros if there never was one.
    pub(super) fn newest(&self) -> (u64, u64) {
        (self.last, self.last_ms)
    }

    /// Appends a record; it counts only once [`ShardLog::commit`] has succeeded.
    pub(super) fn stage(&mut self, record: &Stored<'_>) {
        frame::append(&mut self.active, record);
        self.staged = (record.counter, record.arrival_ms);
    }

    /// Hands the staged records to the operating system. On failure they are dropped again.
    pub(super) fn commit(&mut self) -> io::Result<()> {
        if self.active.len() == self.committed {
            return Ok(());
        }
        if let Err(error) = self.write() {
            self.active.truncate(self.committed);
            return Err(error);
        }
        self.memory.take(self.active.len() - self.committed);
        self.committed = self.active.len();
        (self.last, self.last_ms) = self.staged;
        if self.committed >= CHUNK_BYTES {
            self.seal();
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        let Some(files) = &self.files else { return Ok(()) };
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let segment = self.next_segment;
                let path = files.path(segment);
                let file = OpenOptions::new().create_new(true).append(true).open(path)?;
                self.next_segment += 1;
                self.writer.insert(Writer { segment, file, length: 0 })
            }
        };
        let fresh = &self.active[self.committed..];
        if let Err(error) = writer.file.write_all(fresh) {
            // What was written of it would look like a torn tail in the middle of the file.
            if writer.file.set_len(writer.length).is_err() {
                self.seal();
                self.writer = None;
            }
            return Err(error);
        }
        writer.length += u64::try_from(fresh.len()).expect("a batch is far below 2^64 bytes");
        Ok(())
    }

    /// Turns the committed part of the active chunk into a sealed one.
    fn seal(&mut self) {
        let length = self.committed;
        if length == 0 {
            return;
        }
        let mut frames = std::mem::take(&mut self.active);
        frames.truncate(length);
        self.committed = 0;
        let place = self.writer.as_ref().map(|writer| Place {
            segment: writer.segment,
            offset: writer.length - u64::try_from(length).expect("a chunk is below 2^64 bytes"),
        });
        let resident = Some(Bytes::from(frames));
        let (last, last_ms) = (self.last, self.last_ms);
        self.sealed.push_back(Chunk { last, last_ms, length, place, resident });
        if self.writer.as_ref().is_some_and(|writer| writer.length >= SEGMENT_BYTES) {
            self.writer = None;
        }
    }

    /// Lets the oldest chunk that is on disk leave memory. False if there is none.
    pub(super) fn spill(&mut self) -> bool {
        let oldest = self.sealed.iter_mut().find(|c| c.place.is_some() && c.resident.is_some());
        let Some(chunk) = oldest else { return false };
        chunk.resident = None;
        self.memory.give(chunk.length);
        true
    }

    /// Drops the chunks whose records all came before `horizon_ms`, and their files.
    pub(super) fn expire(&mut self, horizon_ms: u64) {
        if !self.active.is_empty() && self.last_ms < horizon_ms {
            self.seal();
            self.writer = None;
        }
        while let Some(chunk) = self.sealed.pop_front_if(|chunk| chunk.last_ms < horizon_ms) {
            if chunk.resident.is_some() {
                self.memory.give(chunk.length);
            }
            let (Some(files), Some(place)) = (&self.files, chunk.place) else { continue };
            let next = self.sealed.front().and_then(|chunk| chunk.place).map(|next| next.segment);
            let writing = self.writer.as_ref().map(|writer| writer.segment);
            if next != Some(place.segment) && writing != Some(place.segment) {
                files.remove(place.segment);
            }
        }
    }

    /// Returns the first run of frames that holds a record at or after the cursor. Its first
    /// records may still lie before it. `None` if there is no such record yet.
    pub(super) fn find(&self, from: Cursor) -> Option<Piece> {
        let reaches = |last: u64, last_ms: u64| last >= from.counter && last_ms >= from.from_ms;
        let at = self.sealed.partition_point(|chunk| !reaches(chunk.last, chunk.last_ms));
        if let Some(chunk) = self.sealed.get(at) {
            return match (&chunk.resident, &self.files, chunk.place) {
                (Some(frames), _, _) => Some(Piece::Frames(frames.clone())),
                (None, Some(files), Some(Place { segment, offset })) => {
                    let (path, length) = (files.path(segment), chunk.length);
                    Some(Piece::Spilled { path, offset, length })
                }
                (None, _, _) => None,
            };
        }
        let active = &self.active[..self.committed];
        (!active.is_empty() && reaches(self.last, self.last_ms))
            .then(|| Piece::Frames(Bytes::copy_from_slice(active)))
    }
}

impl Drop for ShardLog {
    fn drop(&mut self) {
        let sealed = self.sealed.iter().filter(|chunk| chunk.resident.is_some());
        let bytes: usize = sealed.map(|chunk| chunk.length).sum();
        self.memory.give(bytes + self.committed);
    }
}

#[cfg(test)]
mod tests;
