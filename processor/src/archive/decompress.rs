//! Decompression that hands out every byte before a damage: the one place for it.
//!
//! The readers of the compression crates drop what they had decoded in the call that meets the
//! damage. These go on until nothing whole is left, and only then say what is wrong.

use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{Decoder, Operation as _};

/// A read of compressed bytes: either progress or the reason why there is none.
trait Unpack {
    /// Decodes from `input` into `out`; `ended` says that no more input follows.
    fn step(&mut self, input: &[u8], ended: bool, out: &mut [u8]) -> Step;

    /// Prepares for the next member or frame.
    fn begin(&mut self) -> io::Result<()>;

    /// Returns whether a member or frame may begin with this byte.
    fn may_begin(first: u8) -> bool;

    /// The name of the format, for messages.
    const NAME: &'static str;
}

/// The result of one call.
struct Step {
    used: usize,
    written: usize,
    outcome: Outcome,
}

enum Outcome {
    /// There is more in this member or frame.
    More,
    /// The member or frame is complete and its checksum right.
    Complete,
    /// The data are wrong.
    Wrong(String),
}

/// Members or frames one after the other, zeros between them and behind them passed over: tapes and
/// block devices pad with zeros.
struct Unpacked<S, U> {
    stored: S,
    unpack: U,
    /// Between members or frames; `true` before the first, too.
    between: bool,
    is_first: bool,
    failed: Option<io::Error>,
}

impl<S: BufRead, U: Unpack> Unpacked<S, U> {
    fn new(stored: S, unpack: U) -> Self {
        Self { stored, unpack, between: true, is_first: true, failed: None }
    }

    /// Passes over zeros and begins the next member or frame; whether there is one.
    fn advance(&mut self) -> io::Result<bool> {
        loop {
            let input = self.stored.fill_buf()?;
            let Some(first) = input.first() else { return Ok(false) };
            if *first == 0 && !self.is_first {
                let zeros = input.iter().take_while(|byte| **byte == 0).count();
                self.stored.consume(zeros);
                continue;
            }
            if !U::may_begin(*first) {
                return Err(invalid(format!(
                    "what follows the {} data is something else",
                    U::NAME
                )));
            }
            self.unpack.begin()?;
            (self.between, self.is_first) = (false, false);
            return Ok(true);
        }
    }
}

impl<S: BufRead, U: Unpack> Read for Unpacked<S, U> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        while !out.is_empty() {
            if self.between && !self.advance()? {
                return Ok(0);
            }
            let input = self.stored.fill_buf()?;
            let ended = input.is_empty();
            let Step { used, written, outcome } = self.unpack.step(input, ended, out);
            self.stored.consume(used);
            match outcome {
                Outcome::Complete => self.between = true,
                Outcome::Wrong(reason) => self.failed = Some(invalid(reason)),
                Outcome::More if ended && written == 0 => {
                    let reason = format!("the {} data end before they are complete", U::NAME);
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
                }
                Outcome::More => {}
            }
            if written > 0 {
                return Ok(written);
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
        }
        Ok(0)
    }
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// Window bits of gzip: the largest, which reads all.
const WINDOW_BITS: u8 = 15;

/// Gzip members, or zlib data.
struct Deflate<const IS_GZIP: bool>(Decompress);

impl<const IS_GZIP: bool> Unpack for Deflate<IS_GZIP> {
    const NAME: &'static str = if IS_GZIP { "gzip" } else { "zlib" };

    fn step(&mut self, input: &[u8], ended: bool, out: &mut [u8]) -> Step {
        let (before_in, before_out) = (self.0.total_in(), self.0.total_out());
        let flush = if ended { FlushDecompress::Finish } else { FlushDecompress::None };
        let result = self.0.decompress(input, out, flush);
        let since = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(usize::MAX);
        let outcome = match result {
            Ok(Status::StreamEnd) => Outcome::Complete,
            Ok(Status::Ok | Status::BufError) => Outcome::More,
            Err(error) => Outcome::Wrong(match error.message() {
                Some("incorrect data check") => {
                    format!("the {} checksum does not match", Self::NAME)
                }
                Some("incorrect length check") => {
                    format!("the {} length does not match", Self::NAME)
                }
                Some(message) => format!("the {} data are corrupt: {message}", Self::NAME),
                None => format!("the {} data are corrupt", Self::NAME),
            }),
        };
        Step {
            used: since(self.0.total_in(), before_in),
            written: since(self.0.total_out(), before_out),
            outcome,
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        self.0 = if IS_GZIP { Decompress::new_gzip(WINDOW_BITS) } else { Decompress::new(true) };
        Ok(())
    }

    fn may_begin(first: u8) -> bool {
        first == if IS_GZIP { 0x1f } else { b'x' }
    }
}

/// The beginning of a frame, from which a decoder tells what it wants next.
const FRAME_START_BYTES: usize = 5;

struct Zstd {
    decoder: Decoder<'static>,
    /// How much the decoder wants at most: one block, so that a wrong block takes no other with it.
    wanted: usize,
    /// The last call filled its output, so there may be more without input.
    is_full: bool,
}

impl Unpack for Zstd {
    const NAME: &'static str = "zstd";

    fn step(&mut self, input: &[u8], _ended: bool, out: &mut [u8]) -> Step {
        let piece = if self.is_full { 0 } else { input.len().min(self.wanted) };
        match self.decoder.run_on_buffers(&input[..piece], out) {
            Ok(status) => {
                self.is_full = status.bytes_written == out.len();
                self.wanted = status.remaining.max(1);
                let is_complete = status.remaining == 0;
                Step {
                    used: status.bytes_read,
                    written: status.bytes_written,
                    outcome: if is_complete { Outcome::Complete } else { Outcome::More },
                }
            }
            Err(error) => {
                let reason = format!("the zstd data are corrupt: {error}");
                Step { used: piece, written: 0, outcome: Outcome::Wrong(reason) }
            }
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        (self.wanted, self.is_full) = (FRAME_START_BYTES, false);
        self.decoder.reinit()
    }

    fn may_begin(first: u8) -> bool {
        first == 0x28 || (0x50..=0x5f).contains(&first)
    }
}

/// Returns the text of gzip members.
pub(super) fn gzip(stored: impl BufRead + Send + 'static) -> Box<dyn Read + Send> {
    Box::new(Unpacked::new(stored, Deflate::<true>(Decompress::new_gzip(WINDOW_BITS))))
}

/// Returns the text of zlib data, one behind the other.
pub(super) fn zlib(stored: impl BufRead + Send + 'static) -> Box<dyn Read + Send> {
    Box::new(Unpacked::new(stored, Deflate::<false>(Decompress::new(true))))
}

/// Returns the text of zstd frames.
///
/// # Errors
/// When there is no memory for a decoder.
pub(super) fn zstd(stored: impl BufRead + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let unpack = Zstd { decoder: Decoder::new()?, wanted: FRAME_START_BYTES, is_full: false };
    Ok(Box::new(Unpacked::new(stored, unpack)))
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor, Write as _};

    use super::*;

    fn text() -> Vec<u8> {
        // Not too compressible: the packed form has several blocks of each kind.
        let mut state = 7_u64;
        let word = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            format!("{:x} is a number\n", state >> 40)
        };
        (0..40_000).map(word).collect::<String>().into_bytes()
    }

    fn gzipped(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// All text that comes out, and the error after it; small buffers on both sides.
    fn read(packed: Vec<u8>, is_gzip: bool, out_bytes: usize) -> (Vec<u8>, Option<String>) {
        let stored = BufReader::with_capacity(1_000, Cursor::new(packed));
        let mut reader = if is_gzip { gzip(stored) } else { zstd(stored).unwrap() };
        let (mut all, mut out) = (vec![], vec![0; out_bytes]);
        loop {
            match reader.read(&mut out) {
                Ok(0) => return (all, None),
                Ok(bytes) => all.extend(&out[..bytes]),
                Err(error) => return (all, Some(error.to_string())),
            }
        }
    }

    #[test]
    fn members_frames_and_zeros_are_read_through() {
        let text = text();
        let (front, back) = text.split_at(text.len() / 3);
        for is_gzip in [true, false] {
            let pack = |part: &[u8]| match is_gzip {
                true => gzipped(part),
                false => zstd::encode_all(part, 3).unwrap(),
            };
            let packed =
                [pack(front), pack(b""), vec![0; 700], pack(back), vec![0; 5_000]].concat();
            for out_bytes in [100, 7_000, 1 << 20] {
                let (all, error) = read(packed.clone(), is_gzip, out_bytes);
                assert_eq!((all.len(), error), (text.len(), None), "gzip: {is_gzip}");
                assert_eq!(all, text);
            }
            let (all, error) = read([pack(&text), b"garbage".to_vec()].concat(), is_gzip, 9_000);
            assert_eq!(all, text);
            assert!(error.unwrap().contains("is something else"));
        }
    }

    #[test]
    fn what_was_cut_off_gives_all_that_was_there() {
        let text = text();
        let packed = gzipped(&text);
        for cut in [1, 8, 9, packed.len() / 2] {
            let (all, error) = read(packed[..packed.len() - cut].to_vec(), true, 1 << 20);
            assert!(text.starts_with(&all));
            assert!(error.unwrap().contains("end before they are complete"));
            // Only the end of the data is missing, and the checksum behind them.
            assert!(cut > 9 || all.len() + 300 > text.len(), "{cut}: {}", all.len());
        }
        let packed = zstd::encode_all(&text[..], 3).unwrap();
        let (all, error) = read(packed[..packed.len() - 2].to_vec(), false, 1 << 20);
        assert!(text.starts_with(&all) && all.len() + (128 << 10) > text.len());
        assert!(error.is_some());
    }

    #[test]
    fn a_wrong_byte_costs_what_comes_after_it_only() {
        let text = text();
        let mut packed = zstd::encode_all(&text[..], 3).unwrap();
        let place = packed.len() * 3 / 4;
        packed[place..place + 8].fill(0xff);
        for out_bytes in [100, 1 << 20] {
            let (all, error) = read(packed.clone(), false, out_bytes);
            assert!(error.unwrap().contains("corrupt"));
            let same = all.iter().zip(&text).take_while(|(a, b)| a == b).count();
            assert!(same > text.len() / 2, "{same} of {}", text.len());
        }
        let mut packed = gzipped(&text);
        let at = packed.len() - 8;
        packed[at] ^= 1;
        let (all, error) = read(packed, true, 1 << 20);
        assert_eq!(all, text);
        assert_eq!(error.unwrap(), "the gzip checksum does not match");
    }
}
