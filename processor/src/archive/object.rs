//! An object of an archive: a file, an object of S3, or what comes over a pipe; plain, gzip or zstd.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use object_store::DynObjectStore;
use tokio::runtime::Handle;

use super::ahead::Ahead;
use super::decompress;
use super::format::{self, Format};
use super::stored::{Counted, Download, Kept};
use crate::printable::OneLine;

/// Stored bytes that wait for a decompressor. Less than what is asked for of plain text, which is
/// then read without a stop here.
const BUFFER_BYTES: usize = 64 << 10;

/// So often an object may be compressed, one time over the other.
const MAX_LAYERS: usize = 4;

/// One object of an archive.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    /// Its URL, `file:///…` or `s3://bucket/key`: under this name it is reported and counted.
    pub(crate) name: Arc<str>,
    /// Its name as its user gave it.
    pub(crate) label: Arc<str>,
    /// Its size as it is stored; 0 for a stream.
    pub(crate) size_bytes: u64,
    at: Location,
}

#[derive(Clone)]
enum Location {
    File(PathBuf),
    Remote(Arc<DynObjectStore>, object_store::path::Path),
    /// It can be read once.
    Stream(Arc<Mutex<Option<Box<dyn Read + Send>>>>),
    /// A stream that was kept to be read more than once, in a file without a name.
    Kept(Arc<File>),
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File(_) => "File",
            Self::Remote(..) => "Remote",
            Self::Stream(_) => "Stream",
            Self::Kept(_) => "Kept",
        })
    }
}

/// Why an object, or the rest of it, could not be read.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) struct Damage {
    /// The object.
    pub(crate) name: Arc<str>,
    /// How far the stored bytes could be read.
    pub(crate) at: u64,
    /// How much text was read before.
    pub(crate) text_bytes: u64,
    /// The problem.
    pub(crate) reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, at, text_bytes, reason } = self;
        let (name, reason) = (OneLine(name), OneLine(reason));
        if *text_bytes == 0 && *at == 0 {
            return write!(f, "{name} was left out: {reason}");
        }
        write!(f, "{name} is damaged at byte {at} (after {text_bytes} bytes of text): {reason}")
    }
}

/// The text of an object, decompressed as it is read.
pub(crate) struct Text {
    name: Arc<str>,
    decoded: Box<dyn Read + Send>,
    consumed: Arc<AtomicU64>,
    text_bytes: u64,
    format: Format,
}

impl Object {
    /// Returns a file.
    pub(super) fn file(absolute: &Path, label: &str, size_bytes: u64) -> Self {
        let name = Arc::from(format!("file://{}", super::find::display(absolute)));
        Self { name, label: Arc::from(label), size_bytes, at: Location::File(absolute.to_owned()) }
    }

    /// Returns an object of S3.
    pub(super) fn remote(
        bucket: &str,
        store: &Arc<DynObjectStore>,
        meta: object_store::ObjectMeta,
    ) -> Self {
        let name: Arc<str> = Arc::from(format!("s3://{bucket}/{}", meta.location));
        let at = Location::Remote(Arc::clone(store), meta.location);
        Self { label: Arc::clone(&name), name, size_bytes: meta.size, at }
    }

    /// Returns what comes over a pipe. It can be opened once, unless it is kept.
    pub(crate) fn stream(label: &str, stream: impl Read + Send + 'static) -> Self {
        let name: Arc<str> = Arc::from(label);
        let at = Location::Stream(Arc::new(Mutex::new(Some(Box::new(stream)))));
        Self { label: Arc::clone(&name), name, size_bytes: 0, at }
    }

    /// Returns whether it can be read once only.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.at, Location::Stream(_))
    }

    /// Keeps a stream in a temporary file, so that it can be read again; anything else stays.
    ///
    /// # Errors
    /// When it cannot be read, or the file cannot be written.
    pub(crate) fn keep(&mut self) -> io::Result<()> {
        let Location::Stream(stream) = &self.at else { return Ok(()) };
        let Some(mut stream) = take(stream) else { return Ok(()) };
        let mut file = tempfile::tempfile()?;
        self.size_bytes = io::copy(&mut stream, &mut file)?;
        self.at = Location::Kept(Arc::new(file));
        Ok(())
    }

    /// Opens it for its text. Compression is told by the first bytes. `total` counts the stored
    /// bytes that are read.
    ///
    /// # Errors
    /// A [`Damage`] at byte 0, also for a format that is not read here.
    pub(crate) fn open(&self, handle: &Handle, total: &Arc<AtomicU64>) -> Result<Text, Damage> {
        let consumed = Arc::new(AtomicU64::new(0));
        let damage = |error: io::Error| self.damage(0, 0, error.to_string());
        let stored = self.stored(handle).map_err(damage)?;
        let mut stored =
            Counted { stored, consumed: Arc::clone(&consumed), total: Arc::clone(total) };
        let (start, failed) = start_of(&mut stored);
        failed.map_or(Ok(()), |error| Err(damage(error)))?;
        let format = format::of(&start);
        if start.is_empty() && (self.name.ends_with(".gz") || self.name.ends_with(".zst")) {
            return Err(self.damage(0, 0, "it is empty, which nothing compressed is"));
        }
        let stored = Read::chain(Cursor::new(start), stored);
        let mut decoded: Box<dyn Read + Send> = match format {
            Format::Plain => Box::new(stored),
            Format::Gzip => decompress::gzip(stored),
            Format::Zlib => decompress::zlib(stored),
            Format::Zstd => decompress::zstd(stored).map_err(damage)?,
            Format::Foreign(foreign) => {
                let reason = format!("it is {}; {}", foreign.name, foreign.advice);
                return Err(self.damage(0, 0, reason));
            }
        };
        let mut within = format;
        for layer in 1.. {
            if within == Format::Plain {
                break;
            }
            if layer > MAX_LAYERS {
                return Err(self.damage(
                    0,
                    0,
                    format!("it is compressed more than {MAX_LAYERS} times"),
                ));
            }
            (decoded, within) = self.inside(decoded)?;
        }
        Ok(Text { name: Arc::clone(&self.name), decoded, consumed, text_bytes: 0, format })
    }

    /// Looks into what was decompressed: CloudWatch Logs compresses what it hands to Firehose, which may
    /// compress it again, and archives are mostly compressed.
    fn inside(
        &self,
        mut decoded: Box<dyn Read + Send>,
    ) -> Result<(Box<dyn Read + Send>, Format), Damage> {
        let (start, failed) = start_of(&mut decoded);
        let format = format::of(&start);
        let rest: Box<dyn Read + Send> = match failed {
            Some(error) => Box::new(Failed(Some(error))),
            None => decoded,
        };
        let whole = Read::chain(Cursor::new(start), rest);
        let buffered = |whole| BufReader::with_capacity(BUFFER_BYTES, whole);
        let decoded: Box<dyn Read + Send> = match format {
            Format::Plain => Box::new(whole),
            Format::Gzip => decompress::gzip(buffered(whole)),
            Format::Zlib => decompress::zlib(buffered(whole)),
            Format::Zstd => decompress::zstd(buffered(whole))
                .map_err(|error| self.damage(0, 0, error.to_string()))?,
            Format::Foreign(foreign) => {
                let reason = format!("inside it is {}; {}", foreign.name, foreign.advice);
                return Err(self.damage(0, 0, reason));
            }
        };
        Ok((decoded, format))
    }

    /// Opens it for its bytes as they are stored.
    ///
    /// # Errors
    /// When it cannot be opened, or was a stream that was read.
    pub(crate) fn stored(&self, handle: &Handle) -> io::Result<Box<dyn BufRead + Send>> {
        Ok(match &self.at {
            Location::File(path) => {
                Box::new(BufReader::with_capacity(BUFFER_BYTES, File::open(path)?))
            }
            Location::Kept(file) => {
                let kept = Kept { file: Arc::clone(file), at: 0 };
                Box::new(BufReader::with_capacity(BUFFER_BYTES, kept))
            }
            Location::Remote(store, path) => {
                Box::new(Download::start(handle, Arc::clone(store), path.clone()))
            }
            Location::Stream(stream) => {
                let stream = take(stream).ok_or_else(|| io::Error::other("it was read already"))?;
                Box::new(BufReader::with_capacity(BUFFER_BYTES, stream))
            }
        })
    }

    /// Returns the file, if it is one and not compressed.
    pub(crate) fn plain_file(&self) -> Option<File> {
        let Location::File(path) = &self.at else { return None };
        let (mut file, mut start) = (File::open(path).ok()?, Vec::new());
        (&mut file).take(format::START_BYTES as u64).read_to_end(&mut start).ok()?;
        (format::of(&start) == Format::Plain).then_some(file)
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
            self.plain_file().ok_or_else(|| damage("it is no longer a plain file".to_owned()))?;
        file.seek(SeekFrom::Start(span.start)).map_err(|error| damage(error.to_string()))?;
        let consumed = Arc::new(AtomicU64::new(span.start));
        let stretch = BufReader::with_capacity(BUFFER_BYTES, file.take(span.end - span.start));
        let stored = Box::new(stretch);
        let counted = Counted { stored, consumed: Arc::clone(&consumed), total: Arc::clone(total) };
        let (name, decoded) = (Arc::clone(&self.name), Box::new(counted));
        Ok(Text { name, decoded, consumed, text_bytes: span.start, format: Format::Plain })
    }

    /// Returns damage of this object.
    pub(crate) fn damage(&self, at: u64, text_bytes: u64, reason: impl Into<String>) -> Damage {
        Damage { name: Arc::clone(&self.name), at, text_bytes, reason: reason.into() }
    }
}

/// Reads the bytes that tell a format; with fewer there may be an error, which is to come after them.
fn start_of(source: &mut (impl Read + ?Sized)) -> (Vec<u8>, Option<io::Error>) {
    let mut start = Vec::with_capacity(format::START_BYTES);
    let read = source.take(format::START_BYTES as u64).read_to_end(&mut start);
    (start, read.err())
}

fn take(stream: &Mutex<Option<Box<dyn Read + Send>>>) -> Option<Box<dyn Read + Send>> {
    stream.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Text {
    /// Returns damage here.
    pub(crate) fn damage(&self, reason: impl Into<String>) -> Damage {
        Damage {
            name: Arc::clone(&self.name),
            at: self.consumed.load(Relaxed),
            text_bytes: self.text_bytes,
            reason: reason.into(),
        }
    }

    /// Returns whether it comes out of zstd frames, as the worker writes its segments.
    pub(crate) fn is_zstd(&self) -> bool {
        self.format == Format::Zstd
    }

    /// Has it decompressed by a thread of its own, if it is compressed: for when there are more
    /// cores than objects.
    pub(crate) fn ahead(mut self) -> Self {
        if self.format != Format::Plain {
            let decoded = std::mem::replace(&mut self.decoded, Box::new(io::empty()));
            match Ahead::start(decoded) {
                Ok(ahead) => self.decoded = Box::new(ahead),
                Err(error) => self.decoded = Box::new(Failed(Some(error))),
            }
        }
        self
    }
}

impl Read for Text {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.decoded.read(out)?;
        self.text_bytes += read as u64;
        Ok(read)
    }
}

/// A text of which nothing can be read.
struct Failed(Option<io::Error>);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use object_store::ObjectStoreExt as _;

    use super::*;

    /// Returns an object with this content, and the folder that it lies in.
    fn object(name: &str, content: &[u8]) -> (Object, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        (Object::file(&path, name, content.len() as u64), dir)
    }

    fn gzipped(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn damage_names_the_object_and_where() {
        let whole = gzipped(&[b'x'; 100_000]);
        let (object, _dir) = object("cut.gz", &whole[..whole.len() - 9]);
        let total = Arc::default();
        let mut text = object.open(&Handle::current(), &total).unwrap();
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
        let object = |path: &str| {
            let name: Arc<str> = Arc::from(format!("s3://bucket/{path}"));
            let at = object_store::path::Path::from(path);
            Object {
                label: Arc::clone(&name),
                name,
                size_bytes: 5 << 20,
                at: Location::Remote(Arc::clone(&store) as _, at),
            }
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
    async fn content_decides_and_not_the_name() {
        let handle = Handle::current();
        for (name, content) in [
            ("plain.gz", b"{}\n".to_vec()),
            ("gzip.txt", gzipped(b"{}\n")),
            ("zstd.gz", zstd::encode_all(&b"{}\n"[..], 3).unwrap()),
            ("zlib", zlibbed(b"{}\n")),
            ("text.z", b"x^{}".to_vec()),
        ] {
            let (object, _dir) = object(name, &content);
            let mut text = String::new();
            let mut reader = object.open(&handle, &Arc::default()).unwrap();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, if name == "text.z" { "x^{}" } else { "{}\n" }, "{name}");
        }
        let (zip, _dir) = object("a.ndjson", b"PK\x03\x04rest");
        let damage = zip.open(&handle, &Arc::default()).err().unwrap().to_string();
        assert!(damage.contains("a.ndjson was left out: it is a ZIP archive"), "{damage}");
        let (inside, _dir) = object("a.tar.gz", &gzipped(&tar()));
        let damage = inside.open(&handle, &Arc::default()).err().unwrap().to_string();
        assert!(damage.contains("a.tar.gz was left out: inside it is a tar archive"), "{damage}");
        let (empty, _dir) = object("empty.zst", b"");
        assert_eq!(empty.open(&handle, &Arc::default()).err().unwrap().at, 0);
    }

    fn zlibbed(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(vec![], flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn tar() -> Vec<u8> {
        let mut tar = vec![0; 1_024];
        tar[..6].copy_from_slice(b"a.json");
        tar[257..262].copy_from_slice(b"ustar");
        tar
    }

    /// As Firehose stores what CloudWatch Logs hands to it.
    #[tokio::test]
    async fn what_is_compressed_twice_is_read_and_its_damage_costs_nothing_before_it() {
        let handle = Handle::current();
        let text = (0..2_000).map(|n| format!("{{\"n\":{n}}}\n")).collect::<String>();
        let members = [gzipped(text.as_bytes()), gzipped(text.as_bytes())].concat();
        for packed in [gzipped(&members), zstd::encode_all(&members[..], 3).unwrap()] {
            let (object, _dir) = object("twice", &packed);
            let mut read = String::new();
            let mut reader = object.open(&handle, &Arc::default()).unwrap();
            reader.read_to_string(&mut read).unwrap();
            assert_eq!(read, text.repeat(2));
        }
        let once = gzipped(text.as_bytes());
        for (packed, least) in
            [(gzipped(&once[..once.len() - 2]), 20_000), (once[..60].to_vec(), 10)]
        {
            let (object, _dir) = object("cut", &packed);
            let mut reader = object.open(&handle, &Arc::default()).unwrap();
            let mut read = Vec::new();
            let error = io::copy(&mut reader, &mut read).unwrap_err();
            assert!(text.as_bytes().starts_with(&read) && read.len() >= least, "{}", read.len());
            assert!(error.to_string().contains("end before they are complete"), "{error}");
        }
    }

    #[tokio::test]
    async fn layers_are_bounded() {
        let times = |layers: usize| (0..layers).fold(b"{}\n".to_vec(), |text, _| gzipped(&text));
        let handle = Handle::current();
        let (allowed, _dir) = object("a", &times(MAX_LAYERS));
        let mut text = String::new();
        allowed.open(&handle, &Arc::default()).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "{}\n");
        let (refused, _dir) = object("b", &times(MAX_LAYERS + 1));
        let damage = refused.open(&handle, &Arc::default()).err().unwrap().to_string();
        assert!(damage.contains("compressed more than 4 times"), "{damage}");
    }

    #[tokio::test]
    async fn a_stream_is_read_once_and_a_kept_one_again() {
        let mut stream = Object::stream("-", Cursor::new(b"text".to_vec()));
        let handle = Handle::current();
        assert!(stream.is_stream() && stream.open(&handle, &Arc::default()).is_ok());
        let damage = stream.open(&handle, &Arc::default()).err().unwrap();
        assert!(damage.to_string().contains("was read already"), "{damage}");
        stream = Object::stream("-", Cursor::new(gzipped(b"text")));
        stream.keep().unwrap();
        for _ in 0..2 {
            let mut text = String::new();
            let mut reader = stream.open(&handle, &Arc::default()).unwrap();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, "text");
        }
    }
}
