//! Stores an object while it is being made, so that only some parts of it are in memory.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use object_store::path::Path;
use object_store::{DynObjectStore, MultipartUpload, ObjectStoreExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::cloud::store_error::in_words;

/// Bytes of one part. S3 takes 5 MiB at least, and 10,000 parts.
const PART_BYTES: usize = 8 << 20;

/// A body of about so many bytes is made on the spot: handing it to a thread would cost more.
const ON_THE_SPOT_BYTES: usize = 64 << 10;

/// A body, written to whoever wants it; called again when the upload is tried again, and then it
/// must write the same.
pub(super) type Body = Arc<dyn Fn(&mut dyn Write) -> io::Result<()> + Send + Sync>;

/// Why an object was not stored.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    /// The store did not take it.
    #[error("{}", in_words(.0))]
    Store(#[from] object_store::Error),
    /// It could not be made.
    #[error("it could not be made: {0}")]
    Body(#[from] io::Error),
}

/// Makes `body`, of `about_bytes`, and stores it: in one request if it is small, else in parts, and
/// on a thread of its own unless it is tiny. About three parts are in memory at a time. An object is
/// there whole or not at all.
pub(super) async fn put(
    store: &DynObjectStore,
    path: &Path,
    body: &Body,
    about_bytes: usize,
) -> Result<(), UploadError> {
    if about_bytes <= ON_THE_SPOT_BYTES {
        let mut made = Vec::new();
        body(&mut made)?;
        store.put(path, made.into()).await?;
        return Ok(());
    }
    let (sender, mut parts) = mpsc::channel(1);
    let body = Arc::clone(body);
    let making = tokio::task::spawn_blocking(move || {
        let mut out = Parts { sender, part: BytesMut::new() };
        body(&mut out)?;
        out.finish()
    });
    let Some(first) = parts.recv().await else {
        made(making).await?;
        store.put(path, Bytes::new().into()).await?;
        return Ok(());
    };
    let Some(second) = parts.recv().await else {
        made(making).await?;
        store.put(path, first.into()).await?;
        return Ok(());
    };
    let mut upload = store.put_multipart(path).await?;
    let sent = send_parts(upload.as_mut(), [first, second], &mut parts).await;
    drop(parts);
    let result = match (sent, made(making).await) {
        (Ok(()), Ok(())) => upload.complete().await.map(drop).map_err(Into::into),
        (Err(error), _) => Err(error.into()),
        (Ok(()), Err(error)) => Err(error.into()),
    };
    if result.is_err() {
        // What is left of it costs money; the store's own rules remove what this cannot.
        drop(upload.abort().await);
    }
    result
}

async fn send_parts(
    upload: &mut dyn MultipartUpload,
    first: [Bytes; 2],
    parts: &mut mpsc::Receiver<Bytes>,
) -> Result<(), object_store::Error> {
    for part in first {
        upload.put_part(part.into()).await?;
    }
    while let Some(part) = parts.recv().await {
        upload.put_part(part.into()).await?;
    }
    Ok(())
}

/// Waits for the thread that makes the body.
async fn made(making: JoinHandle<io::Result<()>>) -> io::Result<()> {
    making.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Cuts what is written into parts.
struct Parts {
    sender: mpsc::Sender<Bytes>,
    part: BytesMut,
}

impl Parts {
    fn send(&mut self) -> io::Result<()> {
        let part = self.part.split().freeze();
        self.sender.blocking_send(part).map_err(|_| io::Error::other("the upload was given up"))
    }

    fn finish(mut self) -> io::Result<()> {
        if self.part.is_empty() { Ok(()) } else { self.send() }
    }
}

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PART_BYTES - self.part.len();
        let taken = bytes.len().min(room);
        self.part.extend_from_slice(&bytes[..taken]);
        if taken == room {
            self.send()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt as _;
    use object_store::memory::InMemory;

    use super::*;

    async fn stored(body: Body, about_bytes: usize) -> Result<Bytes, UploadError> {
        let (store, path) = (InMemory::new(), Path::from("a/b"));
        put(&store, &path, &body, about_bytes).await?;
        Ok(store.get(&path).await?.bytes().await?)
    }

    #[tokio::test]
    async fn bodies_of_any_size_are_stored_whole() {
        for bytes in [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 7] {
            let body: Body = Arc::new(move |out: &mut dyn Write| {
                (0..bytes).step_by(1_000).try_for_each(|at| {
                    let digit = [u8::try_from(at % 251).unwrap(); 1_000];
                    out.write_all(&digit[..(bytes - at).min(1_000)])
                })
            });
            let on_the_spot = stored(Arc::clone(&body), 0).await.unwrap();
            let stored = stored(body, usize::MAX).await.unwrap();
            assert_eq!(on_the_spot, stored);
            assert_eq!(stored.len(), bytes);
            assert!(
                (0..bytes)
                    .step_by(999)
                    .all(|at| { stored[at] == u8::try_from((at - at % 1_000) % 251).unwrap() })
            );
        }
    }

    #[tokio::test]
    async fn a_body_that_cannot_be_made_leaves_no_object() {
        for (good_parts, about_bytes) in [(0, 0), (0, usize::MAX), (3, usize::MAX)] {
            let (store, path) = (InMemory::new(), Path::from("a/b"));
            let body: Body = Arc::new(move |out: &mut dyn Write| {
                out.write_all(&vec![1; good_parts * PART_BYTES])?;
                Err(io::Error::other("out of ink"))
            });
            let error = put(&store, &path, &body, about_bytes).await.unwrap_err();
            assert!(error.to_string().contains("out of ink"), "{error}");
            assert!(store.get(&path).await.is_err());
        }
    }
}
