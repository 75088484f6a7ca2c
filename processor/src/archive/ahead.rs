//! Reading on a thread of its own, a few buffers ahead of who takes the bytes.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// Bytes of a buffer: it stays in the L2 cache between the two threads.
const BUFFER_BYTES: usize = 256 << 10;
/// Buffers between the threads.
const BUFFERS: usize = 4;

/// A reader that runs ahead in a thread: it decompresses while another parses.
pub(super) struct Ahead {
    full: Receiver<io::Result<Vec<u8>>>,
    empty: Sender<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
}

impl Ahead {
    /// Starts to read. The thread ends with the text, or when nobody takes what it reads.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn start(reader: Box<dyn Read + Send>) -> io::Result<Self> {
        let (sender, full) = sync_channel(BUFFERS);
        let (empty, emptied) = channel();
        let thread = std::thread::Builder::new().name("read-ahead".to_owned());
        thread.spawn(move || read_all(reader, &sender, &emptied))?;
        Ok(Self { full, empty, current: Vec::new(), at: 0 })
    }
}

fn read_all(
    mut reader: Box<dyn Read + Send>,
    full: &SyncSender<io::Result<Vec<u8>>>,
    emptied: &Receiver<Vec<u8>>,
) {
    loop {
        let mut buffer = emptied.try_recv().unwrap_or_default();
        buffer.resize(BUFFER_BYTES, 0);
        let filled = fill(&mut *reader, &mut buffer);
        let (bytes, ended) = match filled {
            Ok(bytes) => (bytes, Ok(bytes < BUFFER_BYTES)),
            Err((bytes, error)) => (bytes, Err(error)),
        };
        buffer.truncate(bytes);
        if bytes > 0 && full.send(Ok(buffer)).is_err() {
            return;
        }
        match ended {
            Ok(false) => {}
            Ok(true) => return,
            Err(error) => {
                // Who is gone needs no error.
                drop(full.send(Err(error)));
                return;
            }
        }
    }
}

/// Fills a buffer up to the end of the text; how much there was, also before an error.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, (usize, io::Error)> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((filled, error)),
        }
    }
    Ok(filled)
}

impl Read for Ahead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.current.len() {
            let used = std::mem::take(&mut self.current);
            // The thread may have ended.
            drop(self.empty.send(used));
            self.at = 0;
            match self.full.recv() {
                Ok(buffer) => self.current = buffer?,
                Err(_) => return Ok(0),
            }
        }
        let bytes = out.len().min(self.current.len() - self.at);
        out[..bytes].copy_from_slice(&self.current[self.at..self.at + bytes]);
        self.at += bytes;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Breaks off after some bytes.
    struct Broken(u64);

    impl Read for Broken {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::other("broken off"));
            }
            let bytes = out.len().min(usize::try_from(self.0).unwrap()).min(1_000);
            out[..bytes].fill(b'x');
            self.0 -= bytes as u64;
            Ok(bytes)
        }
    }

    #[test]
    fn all_bytes_come_in_order_and_an_error_after_them() {
        let text: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut ahead = Ahead::start(Box::new(io::Cursor::new(text.clone()))).unwrap();
        let mut read = Vec::new();
        ahead.read_to_end(&mut read).unwrap();
        assert_eq!(read, text);
        let mut ahead = Ahead::start(Box::new(Broken(700_001))).unwrap();
        let mut read = Vec::new();
        let error = ahead.read_to_end(&mut read).unwrap_err();
        assert_eq!((read.len(), error.to_string().as_str()), (700_001, "broken off"));
    }

    #[test]
    fn a_reader_that_has_seen_enough_may_go() {
        let mut ahead = Ahead::start(Box::new(io::repeat(b'x'))).unwrap();
        let mut some = [0; 10];
        ahead.read_exact(&mut some).unwrap();
        assert_eq!(some, [b'x'; 10]);
    }
}
