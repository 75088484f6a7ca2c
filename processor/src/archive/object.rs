//! Where archives lie, and reading them: files, folders and S3, plain, gzip or zstd.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::Context as _;
use bytes::{Buf as _, Bytes};
use flate2::bufread::MultiGzDecoder;
use futures::StreamExt as _;
use object_store::{DynObjectStore, ObjectStoreExt as _};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::cloud::store_url::StoreUrl;
use crate::config;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// Stored bytes that wait for a decompressor. Less than what is asked for of plain text, which is
/// then read without a stop here.
const BUFFER_BYTES: usize = 64 << 10;
/// Pieces of a download that wait for their reader: enough to keep the network busy.
const CHUNKS_AHEAD: usize = 8;
/// What the worker keeps beside its archive is no archive: rejected records, rows set aside.
const NO_ARCHIVE: [&str; 2] = [".rejects.ndjson", ".rows.ndjson"];

/// One object of an archive.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    /// Its URL, `file:///…` or `s3://bucket/key`: under this name it is reported and counted.
    pub(crate) name: Arc<str>,
    /// Its size as it is stored.
    pub(crate) size_bytes: u64,
    at: Location,
}

#[derive(Clone, Debug)]
enum Location {
    File(PathBuf),
    Remote(Arc<DynObjectStore>, object_store::path::Path),
}

/// Why the rest of an object could not be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{name} is damaged at byte {at} (after {text_bytes} bytes of text): {reason}")]
pub(crate) struct Damage {
    /// The object.
    pub(crate) name: Arc<str>,
    /// How far the stored bytes could be read.
    pub(crate) at: u64,
    /// How much text was read before.
    pub(crate) text_bytes: u64,
    /// What is wrong.
    pub(crate) reason: String,
}

/// The objects of all sources, in the order given and by name within a folder; each once, however
/// often it is named.
///
/// # Errors
/// Names the source that does not exist or cannot be listed.
pub(crate) async fn find(sources: &[String], aws: &config::Aws) -> anyhow::Result<Vec<Object>> {
    let mut found = Vec::new();
    for source in sources {
        let before = found.len();
        if source.starts_with("s3://") {
            list_s3(source, aws, &mut found)
                .await
                .with_context(|| format!("cannot list {source}"))?;
        } else {
            let path = source.strip_prefix("file:").unwrap_or(source);
            let path = Path::new(path.strip_prefix("//").unwrap_or(path));
            walk(path, &mut found).with_context(|| format!("cannot read {source}"))?;
        }
        found[before..].sort_by(|a: &Object, b: &Object| a.name.cmp(&b.name));
        anyhow::ensure!(found.len() > before, "{source} holds no object");
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|object| seen.insert(Arc::clone(&object.name)));
    Ok(found)
}

fn walk(path: &Path, found: &mut Vec<Object>) -> io::Result<()> {
    let meta = path.metadata()?;
    if meta.is_file() {
        let path = std::path::absolute(path)?;
        let name = Arc::from(format!("file://{}", path.display()));
        found.push(Object { name, size_bytes: meta.len(), at: Location::File(path) });
        return Ok(());
    }
    for entry in path.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        if is_archive_name(&name.to_string_lossy()) {
            walk(&entry.path(), found)?;
        }
    }
    Ok(())
}

fn is_archive_name(name: &str) -> bool {
    !name.starts_with('.') && !NO_ARCHIVE.iter().any(|suffix| name.ends_with(suffix))
}

async fn list_s3(url: &str, aws: &config::Aws, found: &mut Vec<Object>) -> anyhow::Result<()> {
    let opened = StoreUrl::open_s3_to_read(url, aws)?;
    let (store, prefix) = (opened.store(), opened.prefix());
    let bucket = url["s3://".len()..].split('/').next().unwrap_or_default();
    let mut push = |meta: object_store::ObjectMeta| {
        found.push(Object {
            name: Arc::from(format!("s3://{bucket}/{}", meta.location)),
            size_bytes: meta.size,
            at: Location::Remote(Arc::clone(store), meta.location),
        });
    };
    // A prefix never lists the object that has exactly its name.
    if !prefix.as_ref().is_empty()
        && let Ok(meta) = store.head(prefix).await
    {
        push(meta);
        return Ok(());
    }
    let mut listed = store.list(Some(prefix));
    while let Some(meta) = listed.next().await {
        // Its text tells the causes, which would be told once more for each of them.
        let meta = meta.map_err(|error| anyhow::anyhow!("{error}"))?;
        if meta.location.filename().is_some_and(is_archive_name) {
            push(meta);
        }
    }
    Ok(())
}

/// The text of an object, decompressed as it is read.
pub(crate) struct Text {
    name: Arc<str>,
    decoded: Box<dyn Read + Send>,
    consumed: Arc<AtomicU64>,
    text_bytes: u64,
}

impl Object {
    /// Opens it. Compression is told by the first bytes; a name that ends in `.gz` or `.zst` must
    /// be true. `total` counts the stored bytes that are read.
    ///
    /// # Errors
    /// A [`Damage`] at byte 0.
    pub(crate) fn open(&self, handle: &Handle, total: &Arc<AtomicU64>) -> Result<Text, Damage> {
        let consumed = Arc::new(AtomicU64::new(0));
        let damage = |reason: String| self.damage(0, 0, reason);
        let stored: Box<dyn BufRead + Send> = match &self.at {
            Location::File(path) => {
                let file = File::open(path).map_err(|error| damage(error.to_string()))?;
                Box::new(BufReader::with_capacity(BUFFER_BYTES, file))
            }
            Location::Remote(store, path) => {
                Box::new(Download::start(handle, Arc::clone(store), path.clone()))
            }
        };
        let mut stored =
            Counted { stored, consumed: Arc::clone(&consumed), total: Arc::clone(total) };
        let start = stored.fill_buf().map_err(|error| damage(error.to_string()))?;
        let (is_gzip, is_zstd) = (start.starts_with(GZIP), start.starts_with(ZSTD));
        let decoded: Box<dyn Read + Send> = if is_gzip {
            Box::new(MultiGzDecoder::new(stored))
        } else if is_zstd {
            let decoder = zstd::Decoder::with_buffer(stored);
            Box::new(decoder.map_err(|error| damage(error.to_string()))?)
        } else if self.name.ends_with(".gz") || self.name.ends_with(".zst") {
            return Err(damage("is not compressed as its name says".to_owned()));
        } else {
            Box::new(stored)
        };
        Ok(Text { name: Arc::clone(&self.name), decoded, consumed, text_bytes: 0 })
    }

    /// The file, if it is one and not compressed.
    pub(crate) fn plain_file(&self) -> Option<File> {
        let Location::File(path) = &self.at else { return None };
        let (mut file, mut start) = (File::open(path).ok()?, [0; ZSTD.len()]);
        file.read_exact(&mut start).ok()?;
        let is_compressed = start.starts_with(GZIP) || start.starts_with(ZSTD);
        let is_named_so = self.name.ends_with(".gz") || self.name.ends_with(".zst");
        (!is_compressed && !is_named_so).then_some(file)
    }

    /// Opens a stretch of a plain file; positions are those of the file.
    ///
    /// # Errors
    /// A [`Damage`] where the stretch begins.
    pub(crate) fn open_span(
        &self,
        span: &Range<u64>,
        total: &Arc<AtomicU64>,
    ) -> Result<Text, Damage> {
        let damage = |reason: String| self.damage(span.start, span.start, reason);
        let mut file =
            self.plain_file().ok_or_else(|| damage("is a plain file no more".to_owned()))?;
        file.seek(SeekFrom::Start(span.start)).map_err(|error| damage(error.to_string()))?;
        let consumed = Arc::new(AtomicU64::new(span.start));
        let stretch = BufReader::with_capacity(BUFFER_BYTES, file.take(span.end - span.start));
        let stored = Box::new(stretch);
        let counted = Counted { stored, consumed: Arc::clone(&consumed), total: Arc::clone(total) };
        let (name, decoded) = (Arc::clone(&self.name), Box::new(counted));
        Ok(Text { name, decoded, consumed, text_bytes: span.start })
    }

    /// Damage of this object.
    pub(crate) fn damage(&self, at: u64, text_bytes: u64, reason: impl Into<String>) -> Damage {
        Damage { name: Arc::clone(&self.name), at, text_bytes, reason: reason.into() }
    }
}

impl Text {
    /// Damage here.
    pub(crate) fn damage(&self, reason: impl Into<String>) -> Damage {
        Damage {
            name: Arc::clone(&self.name),
            at: self.consumed.load(Relaxed),
            text_bytes: self.text_bytes,
            reason: reason.into(),
        }
    }
}

impl Read for Text {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.decoded.read(out)?;
        self.text_bytes += read as u64;
        Ok(read)
    }
}

/// Counts the stored bytes that its reader has taken.
struct Counted {
    stored: Box<dyn BufRead + Send>,
    consumed: Arc<AtomicU64>,
    total: Arc<AtomicU64>,
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

/// An object on its way from the store, a few pieces ahead of its reader.
struct Download {
    chunks: mpsc::Receiver<object_store::Result<Bytes>>,
    current: Bytes,
}

impl Download {
    fn start(handle: &Handle, store: Arc<DynObjectStore>, path: object_store::path::Path) -> Self {
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
                Some(piece) => self.current = piece.map_err(io::Error::other)?,
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, bytes: usize) {
        self.current.advance(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn a_folder_is_its_objects_by_name_each_once_and_without_rejects() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "a", ".hidden", "x.rejects.ndjson", "x.rows.ndjson"] {
            std::fs::write(dir.path().join(name), "{}").unwrap();
        }
        let folder = dir.path().display().to_string();
        let found =
            find(&[format!("{folder}/b"), format!("file://{folder}")], &config::Aws::default())
                .await
                .unwrap();
        let names: Vec<&str> = found.iter().map(|one| &*one.name).collect();
        assert_eq!(names, [format!("file://{folder}/b"), format!("file://{folder}/a")]);
    }

    #[tokio::test]
    async fn damage_names_the_object_and_where() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cut.gz");
        let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        encoder.write_all(&[b'x'; 100_000]).unwrap();
        let whole = encoder.finish().unwrap();
        std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        let found = find(&[path.display().to_string()], &config::Aws::default()).await.unwrap();
        let total = Arc::default();
        let mut text = found[0].open(&Handle::current(), &total).unwrap();
        let error = io::copy(&mut text, &mut io::sink()).unwrap_err();
        let damage = text.damage(error.to_string());
        assert!(damage.name.ends_with("cut.gz"));
        assert_eq!(damage.at, whole.len() as u64 - 9);
        assert_eq!(total.load(Relaxed), damage.at);
    }

    /// More pieces than wait for the reader, and a store that breaks off.
    #[tokio::test]
    async fn an_object_of_a_store_is_read_as_it_arrives() {
        let store = Arc::new(object_store::memory::InMemory::new());
        let path = object_store::path::Path::from("a/b");
        store.put(&path, vec![b'x'; 5 << 20].into()).await.unwrap();
        let object = |path: &str| Object {
            name: Arc::from(format!("s3://bucket/{path}")),
            size_bytes: 5 << 20,
            at: Location::Remote(Arc::clone(&store) as _, object_store::path::Path::from(path)),
        };
        let (whole, absent) = (object("a/b"), object("a/c"));
        let handle = Handle::current();
        let read = tokio::task::spawn_blocking(move || {
            let mut text = whole.open(&handle, &Arc::default()).unwrap();
            let bytes = io::copy(&mut text, &mut io::sink()).unwrap();
            (bytes, absent.open(&handle, &Arc::default()).err().unwrap())
        });
        let (bytes, damage) = read.await.unwrap();
        assert_eq!(bytes, 5 << 20);
        assert!(damage.to_string().contains("s3://bucket/a/c"), "{damage}");
    }

    #[tokio::test]
    async fn a_name_that_promises_compression_is_held_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("empty.zst");
        std::fs::write(&path, "").unwrap();
        let found = find(&[path.display().to_string()], &config::Aws::default()).await.unwrap();
        let opened = found[0].open(&Handle::current(), &Arc::default());
        assert_eq!(opened.err().unwrap().at, 0);
    }
}
