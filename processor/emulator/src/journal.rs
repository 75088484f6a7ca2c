//! An append-only file of checked frames: what is acknowledged is in it, whatever ends the process.
//!
//! A frame is its length and the CRC-32 of its bytes, both 32-bit little-endian, then the bytes.
//! One write call appends one frame, so a killed process leaves at most a torn last frame behind,
//! which the next opening cuts off.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StartError;

const HEADER_BYTES: u64 = 8;

/// The largest frame: a length beyond it marks a torn or foreign file.
const FRAME_BYTES_MAX: u32 = 64 << 20;

/// An open journal, positioned at its end.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Journal {
    /// Opens or creates the file, hands every sound frame to `replay` in order and cuts off the rest.
    pub(crate) fn open(path: PathBuf, mut replay: impl FnMut(&[u8])) -> io::Result<Self> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        let bytes = read_frames(&path, 0, u64::MAX, |frame| {
            replay(frame);
            true
        })?;
        if file.metadata()?.len() > bytes {
            tracing::warn!(path = %path.display(), bytes, "a torn tail is cut off");
            file.set_len(bytes)?;
        }
        file.seek(SeekFrom::Start(bytes))?;
        Ok(Self { path, file, bytes })
    }

    /// Appends one frame. After an error the file is as it was before.
    pub(crate) fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        let frame = frame(payload)?;
        if let Err(error) = self.file.write_all(&frame) {
            self.file.set_len(self.bytes)?;
            self.file.seek(SeekFrom::Start(self.bytes))?;
            return Err(error);
        }
        self.bytes += HEADER_BYTES + u64::try_from(payload.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// Returns how long the file is.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Begins a file that is to take this one's place with [`Journal::adopt`]; until then nothing
    /// changes.
    pub(crate) fn rewrite(&self) -> io::Result<Rewrite> {
        let path = self.path.with_extension("next");
        Ok(Rewrite { writer: BufWriter::new(File::create(&path)?), path })
    }

    /// Puts the frames of `copy` in the place of all frames, at once.
    pub(crate) fn adopt(&mut self, copy: Rewrite) -> io::Result<()> {
        let mut file = copy.writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        std::fs::rename(&copy.path, &self.path)?;
        self.bytes = file.stream_position()?;
        self.file = file;
        Ok(())
    }

    /// Puts `payloads` in the place of all frames, at once.
    pub(crate) fn replace(&mut self, payloads: impl Iterator<Item = Vec<u8>>) -> io::Result<()> {
        let mut copy = self.rewrite()?;
        for payload in payloads {
            copy.append(&payload)?;
        }
        self.adopt(copy)
    }
}

/// The next contents of a journal.
#[derive(Debug)]
pub(crate) struct Rewrite {
    path: PathBuf,
    writer: BufWriter<File>,
}

impl Rewrite {
    /// Appends one frame.
    pub(crate) fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        self.writer.write_all(&frame(payload)?)
    }
}

fn frame(payload: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(payload.len()).ok().filter(|length| *length <= FRAME_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::other("a journal frame is too large"))?;
    let mut frame = Vec::with_capacity(payload.len() + 8);
    frame.extend(length.to_le_bytes());
    frame.extend(crc32fast::hash(payload).to_le_bytes());
    frame.extend(payload);
    Ok(frame)
}

/// Reads the frames that begin at `from` and before `to` until `visit` returns false, the file ends
/// or a frame is unsound. Returns how many bytes of sound frames were visited.
pub(crate) fn read_frames(
    path: &Path,
    from: u64,
    to: u64,
    mut visit: impl FnMut(&[u8]) -> bool,
) -> io::Result<u64> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut reader = BufReader::new(file);
    let mut sound_bytes = 0;
    let mut header = [0; 8];
    let mut payload = Vec::new();
    while from + sound_bytes < to && reader.read_exact(&mut header).is_ok() {
        let [a, b, c, d, crc @ ..] = header;
        let length = u32::from_le_bytes([a, b, c, d]);
        if length > FRAME_BYTES_MAX {
            break;
        }
        payload.clear();
        (&mut reader).take(u64::from(length)).read_to_end(&mut payload)?;
        let whole = u64::try_from(payload.len()).is_ok_and(|read| read == u64::from(length));
        if !whole || crc32fast::hash(&payload) != u32::from_le_bytes(crc) {
            break;
        }
        sound_bytes += HEADER_BYTES + u64::from(length);
        if !visit(&payload) {
            break;
        }
    }
    Ok(sound_bytes)
}

/// Writes a small document whole: to a neighbour first, then renamed over it. Without a path
/// nothing is kept.
pub(crate) fn write_json(path: Option<&Path>, document: &impl Serialize) -> io::Result<()> {
    let Some(path) = path else { return Ok(()) };
    let next = path.with_extension("next");
    std::fs::write(&next, serde_json::to_vec(document)?)?;
    std::fs::rename(&next, path)
}

/// Reads what [`write_json`] wrote; without a path or a file there, the default.
pub(crate) fn read_json<T: DeserializeOwned + Default>(
    path: Option<&Path>,
) -> Result<T, StartError> {
    let Some(path) = path else { return Ok(T::default()) };
    let read = match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
        Err(error) => Err(error),
    };
    read.map_err(|reason| StartError::State { path: path.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> (Journal, Vec<Vec<u8>>) {
        let mut seen = Vec::new();
        let journal = Journal::open(path.to_owned(), |frame| seen.push(frame.to_vec())).unwrap();
        (journal, seen)
    }

    #[test]
    fn a_torn_tail_is_cut_off_at_every_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let (mut journal, _) = open(&path);
        journal.append(b"first").unwrap();
        let sound = journal.bytes();
        journal.append(b"second").unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in usize::try_from(sound).unwrap()..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut journal, seen) = open(&path);
            assert_eq!(seen, [b"first".to_vec()]);
            journal.append(b"third").unwrap();
            assert_eq!(open(&path).1, [b"first".to_vec(), b"third".to_vec()]);
        }
    }

    #[test]
    fn a_replaced_journal_holds_only_the_new_frames_and_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let (mut journal, _) = open(&path);
        (0..50).for_each(|_| journal.append(b"old").unwrap());
        journal.replace([b"a".to_vec(), Vec::new()].into_iter()).unwrap();
        journal.append(b"b").unwrap();
        assert_eq!(journal.bytes(), std::fs::metadata(&path).unwrap().len());
        assert_eq!(open(&path).1, [b"a".to_vec(), Vec::new(), b"b".to_vec()]);
    }
}
