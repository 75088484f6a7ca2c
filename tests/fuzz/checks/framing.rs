//! The form of a record: JSON texts and lines, compressed or not, and objects that hold records.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use ivs_core::decode::frame::{is_blank, pieces};
use ivs_core::decode::{Context, DecodeLimits, Decoder, Reason};

use super::ARRIVAL;

/// Small, so that an input may reach beyond it.
const EXPANDED_BYTES: usize = 4_096;
/// UTF-8's byte order mark.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A piece that was handed out: where it begins in the record, if it is a part of it; its bytes;
/// what was said of it; and whether it was too large.
type Piece = (Option<usize>, Vec<u8>, String, bool);

/// Checks that every byte of a record but white space is handed out once and in order; that a
/// compressed one says the same, and nothing beyond the limit; that nothing multiplies.
pub(crate) fn framing(data: &[u8]) {
    let plain = read(data);
    let most = data.len().max(EXPANDED_BYTES);
    let handed_out: usize = plain.iter().map(|(_, bytes, ..)| bytes.len()).sum();
    // An object that holds records, what is in it, and the object again if it breaks off.
    assert!(handed_out <= 3 * most, "{handed_out} bytes of a record of {}", data.len());
    assert!(plain.iter().all(|(_, bytes, ..)| bytes.len() <= most), "a piece is larger than all");
    cut(data);
    if !is_compressed(data) {
        if !may_hold_records(data) {
            covered(data, &plain);
        }
        if data.len() <= EXPANDED_BYTES {
            for compressed in [gzip(data), zlib(data)] {
                assert_eq!(said(&read(&compressed)), said(&plain), "when it is compressed");
            }
        }
    }
    if !data.is_empty() {
        let bomb = gzip(&data.repeat(EXPANDED_BYTES / data.len() + 1));
        let refused = read(&bomb);
        assert!(matches!(&refused[..], [(_, bytes, _, true)] if *bytes == bomb), "{refused:?}");
    }
}

fn read(data: &[u8]) -> Vec<Piece> {
    let limits = DecodeLimits { max_expanded_bytes: EXPANDED_BYTES, ..DecodeLimits::default() };
    let whole = data.as_ptr_range();
    let mut found = Vec::new();
    let read = Decoder::new(limits).read(data, &Context::from(ARRIVAL), |piece, decoded| {
        let part = piece.as_ptr_range();
        let is_part = whole.start <= part.start && part.end <= whole.end;
        let at = is_part.then(|| part.start.addr() - whole.start.addr());
        let is_too_large = decoded.is_err_and(|refused| refused.reason == Reason::TooLarge);
        found.push((at, piece.to_vec(), format!("{decoded:?}"), is_too_large));
        Ok::<(), std::convert::Infallible>(())
    });
    let Ok(()) = read;
    found
}

fn said(pieces: &[Piece]) -> Vec<(&[u8], &str)> {
    pieces.iter().map(|(_, bytes, says, _)| (&bytes[..], says.as_str())).collect()
}

/// Checks that what is left between the pieces is white space.
fn covered(data: &[u8], pieces: &[Piece]) {
    let mut end = 0;
    for (at, bytes, ..) in pieces {
        let at = at.expect("a piece of a plain record is a part of it");
        assert!(end <= at, "pieces overlap");
        assert!(is_passed_over(data, end, at), "bytes {end} to {at} were lost");
        end = at + bytes.len();
    }
    assert!(is_passed_over(data, end, data.len()), "the bytes from {end} on were lost");
}

fn is_passed_over(data: &[u8], from: usize, to: usize) -> bool {
    let between = &data[from..to];
    let between = if from == 0 { between.strip_prefix(MARK).unwrap_or(between) } else { between };
    between.iter().all(|byte| b" \t\r\n".contains(byte))
}

/// Checks that a stretch of a file is cut into all of its bytes.
fn cut(data: &[u8]) {
    let ink = |bytes: &[u8]| -> Vec<u8> {
        bytes.iter().copied().filter(|byte| !b" \t\r\n".contains(byte)).collect()
    };
    let all: Vec<u8> = pieces(data).flat_map(ink).collect();
    assert_eq!(all, ink(data.strip_prefix(MARK).unwrap_or(data)), "cutting lost or repeated bytes");
    assert!(!is_blank(data) || all.is_empty(), "a blank has pieces");
}

fn is_compressed(data: &[u8]) -> bool {
    let data = data.strip_prefix(MARK).unwrap_or(data);
    data.starts_with(&[0x1f, 0x8b]) || data.first() == Some(&0x78)
}

/// Returns whether objects in it may be opened; names may be spelled with escapes.
fn may_hold_records(data: &[u8]) -> bool {
    let holds = |part: &[u8]| data.windows(part.len()).any(|window| window == part);
    holds(b"logEvents") || holds(b"Records") || holds(b"\\u")
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).expect("a vector takes all");
    encoder.finish().expect("a vector takes all")
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).expect("a vector takes all");
    encoder.finish().expect("a vector takes all")
}
