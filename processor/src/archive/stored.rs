//! Stored bytes on their way to a decompressor: counted, kept, downloaded.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::{Buf as _, Bytes};
use futures::StreamExt as _;
use object_store::{DynObjectStore, ObjectStoreExt as _};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::cloud::store_error::in_words;

/// Pieces of a download that wait for their reader: enough to keep the network busy.
const CHUNKS_AHEAD: usize = 8;

/// Counts the stored bytes that its reader has taken.
pub(super) struct Counted {
    pub(super) stored: Box<dyn BufRead + Send>,
    pub(super) consumed: Arc<AtomicU64>,
    pub(super) total: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.stored.read(out)?;
        self.count(read);
        Ok(read)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.stored.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.stored.consume(bytes);
        self.count(bytes);
    }
}

impl Counted {
    fn count(&self, bytes: usize) {
        self.consumed.fetch_add(bytes as u64, Relaxed);
        self.total.fetch_add(bytes as u64, Relaxed);
    }
}

/// A kept stream from some place on; several may read one at once.
pub(super) struct Kept {
    pub(super) file: Arc<File>,
    pub(super) at: u64,
}

impl Read for Kept {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(out, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// An object on its way from the store, a few pieces ahead of its reader.
pub(super) struct Download {
    chunks: mpsc::Receiver<object_store::Result<Bytes>>,
    current: Bytes,
}

impl Download {
    /// Starts a download.
    pub(super) fn start(
        handle: &Handle,
        store: Arc<DynObjectStore>,
        path: object_store::path::Path,
    ) -> Self {
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        handle.spawn(async move {
            let mut pieces = match store.get(&path).await {
                Ok(found) => found.into_stream(),
                Err(error) => futures::stream::iter([Err(error)]).boxed(),
            };
            while let Some(piece) = pieces.next().await {
                // A reader that has seen enough is gone.
                if sender.send(piece).await.is_err() {
                    return;
                }
            }
        });
        Self { chunks, current: Bytes::new() }
    }
}

impl Read for Download {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let bytes = ready.len().min(out.len());
        out[..bytes].copy_from_slice(&ready[..bytes]);
        self.consume(bytes);
        Ok(bytes)
    }
}

impl BufRead for Download {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                None => break,
                Some(piece) => {
                    self.current = piece.map_err(|error| io::Error::other(in_words(&error)))?;
                }
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, bytes: usize) {
        self.current.advance(bytes);
    }
}
