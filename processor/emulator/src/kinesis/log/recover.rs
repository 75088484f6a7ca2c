//! Reading a shard's files back when the endpoint starts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use super::super::frame::{self, Next};
use super::{CHUNK_BYTES, Chunk, Files, Memory, Place, ShardLog};

impl ShardLog {
    /// Opens a shard's files. All records stay on disk until new ones come.
    ///
    /// A torn tail, which a process killed while writing leaves, is cut off with a warning: no
    /// record in it was ever acknowledged. Damage anywhere else is an error.
    pub(in super::super) fn recover(files: Files, memory: Arc<Memory>) -> io::Result<Self> {
        let segments = files.segments()?;
        let mut log = Self::new(None, memory);
        for (at, segment) in segments.iter().enumerate() {
            let path = files.path(*segment);
            let mut bytes = Vec::new();
            File::open(&path)?.read_to_end(&mut bytes)?;
            let whole = log.scan(*segment, &bytes);
            if whole < bytes.len() {
                if at + 1 < segments.len() {
                    let text = format!("`{}` is damaged at byte {whole}", path.display());
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
                cut(&path, whole, bytes.len())?;
            }
            if whole == 0 {
                fs::remove_file(&path)?;
            }
            log.next_segment = segment + 1;
        }
        log.files = Some(files);
        Ok(log)
    }

    /// Takes the whole frames of a segment in as chunks; returns how many bytes they are.
    fn scan(&mut self, segment: u32, bytes: &[u8]) -> usize {
        let (mut start, mut end) = (0, 0);
        loop {
            let next = frame::next(&bytes[end..], true);
            if let Next::Record(record, length) = next {
                (self.last, self.last_ms) = (record.counter, record.arrival_ms);
                end += length;
            }
            let over = !matches!(next, Next::Record(..));
            if end > start && (over || end - start >= CHUNK_BYTES) {
                let offset = u64::try_from(start).expect("a segment is far below 2^64 bytes");
                self.sealed.push_back(Chunk {
                    last: self.last,
                    last_ms: self.last_ms,
                    length: end - start,
                    place: Some(Place { segment, offset }),
                    resident: None,
                });
                start = end;
            }
            if over {
                return end;
            }
        }
    }
}

impl Files {
    /// Returns the segments present, in order.
    fn segments(&self) -> io::Result<Vec<u32>> {
        let mut segments = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let number = name
                .to_str()
                .and_then(|name| name.strip_prefix(&self.shard))
                .and_then(|name| name.strip_prefix('.'))
                .and_then(|name| name.strip_suffix(".log"))
                .and_then(|digits| digits.parse::<u32>().ok());
            segments.extend(number);
        }
        segments.sort_unstable();
        Ok(segments)
    }
}

fn cut(path: &Path, whole: usize, length: usize) -> io::Result<()> {
    let path_text = path.display();
    tracing::warn!(path = %path_text, whole, length, "a torn tail is cut off");
    let whole = u64::try_from(whole).expect("a segment is far below 2^64 bytes");
    OpenOptions::new().write(true).open(path)?.set_len(whole)
}
