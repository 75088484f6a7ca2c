//! Compressed records: gzip, as CloudWatch Logs writes them, and zlib.

use std::io::{self, Read};

use flate2::bufread::{GzDecoder, ZlibDecoder};

use crate::decode::reject::{Reason, Rejection};

const GZIP: &[u8] = &[0x1f, 0x8b];
/// The first byte of zlib data with the usual window; with the second it is a multiple of 31.
const ZLIB: u8 = 0x78;

/// Returns what compressed data expands to, at most `max_bytes`; `None` if it is not compressed, a
/// rejection if it is and cannot be expanded in full.
pub(super) fn expand(data: &[u8], max_bytes: usize) -> Option<Result<Vec<u8>, Rejection>> {
    match data {
        [first, second, ..] if [*first, *second] == *GZIP => Some(members(data, max_bytes)),
        [ZLIB, second, ..] if u16::from_be_bytes([ZLIB, *second]).is_multiple_of(31) => {
            // Text may begin with these bytes too: `x^`.
            let mut rest = data;
            let mut expanded = Vec::new();
            match append(ZlibDecoder::new(&mut rest), &mut expanded, max_bytes) {
                Ok(true) if rest.is_empty() => Some(Ok(expanded)),
                Ok(false) => Some(Err(too_large(max_bytes))),
                Ok(true) | Err(_) => None,
            }
        }
        _ => None,
    }
}

/// Returns the members of gzip data, one behind the other; zeros may pad the end.
fn members(data: &[u8], max_bytes: usize) -> Result<Vec<u8>, Rejection> {
    let (mut rest, mut expanded) = (data, Vec::new());
    while rest.iter().any(|byte| *byte != 0) {
        let at = data.len() - rest.len();
        match append(GzDecoder::new(&mut rest), &mut expanded, max_bytes) {
            Ok(true) => {}
            Ok(false) => return Err(too_large(max_bytes)),
            Err(error) => {
                let detail = format!("gzip data that cannot be expanded, from byte {at}: {error}");
                return Err(Rejection::of_record(Reason::NotJson, detail));
            }
        }
    }
    Ok(expanded)
}

/// Appends all that a decoder gives; `false` if that is more than `max_bytes`.
fn append(decoder: impl Read, expanded: &mut Vec<u8>, max_bytes: usize) -> io::Result<bool> {
    let room = max_bytes.saturating_sub(expanded.len()) as u64;
    decoder.take(room + 1).read_to_end(expanded)?;
    Ok(expanded.len() <= max_bytes)
}

fn too_large(max_bytes: usize) -> Rejection {
    let detail = format!("compressed data of more than {max_bytes} bytes when expanded");
    Rejection::of_record(Reason::TooLarge, detail)
}
