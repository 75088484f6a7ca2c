//! How records lie in memory and in files: length- and CRC-checked frames, one after another.
//!
//! `length: u32 | crc32: u32 | counter: u64 | arrival_ms: u64 | key_length: u16 | key | data`, all
//! little-endian; length and CRC are of what follows them.

use bytes::Bytes;

const HEADER_BYTES: usize = 8;
const FIXED_BYTES: usize = 8 + 8 + 2;

/// Larger than any record Kinesis takes (10 MiB): a length beyond it is damage, not a record.
const MAX_PAYLOAD_BYTES: usize = 11 << 20;

/// The stored form of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored<'a> {
    /// Its place in the stream's count of records and reshardings.
    pub(super) counter: u64,
    /// When it came.
    pub(super) arrival_ms: u64,
    pub(super) key: &'a str,
    pub(super) data: &'a [u8],
}

/// Appends a frame. The key must have at most 65,535 bytes; longer ones are cut, and Kinesis
/// takes 256 characters.
pub(super) fn append(out: &mut Vec<u8>, record: &Stored<'_>) {
    let start = out.len();
    let key_length = u16::try_from(record.key.len()).unwrap_or(u16::MAX);
    let key = &record.key.as_bytes()[..usize::from(key_length)];
    out.extend([0; HEADER_BYTES]);
    out.extend(record.counter.to_le_bytes());
    out.extend(record.arrival_ms.to_le_bytes());
    out.extend(key_length.to_le_bytes());
    out.extend(key);
    out.extend(record.data);
    let payload = &out[start + HEADER_BYTES..];
    let length = u32::try_from(payload.len()).expect("a record is far below 4 GiB");
    let crc = crc32fast::hash(payload);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
}

/// The content at the start of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// A whole record, and how many bytes its frame takes.
    Record(Stored<'a>, usize),
    /// Nothing: the bytes are at their end.
    End,
    /// Something that no append has finished writing.
    Torn,
}

/// Reads one frame. With `check` the CRC is verified, as must be done once for bytes from a file.
pub(super) fn next(bytes: &[u8], check: bool) -> Next<'_> {
    if bytes.is_empty() {
        return Next::End;
    }
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Next::Torn };
    let Some((crc, rest)) = rest.split_first_chunk::<4>() else { return Next::Torn };
    let Ok(length) = usize::try_from(u32::from_le_bytes(*length)) else { return Next::Torn };
    if !(FIXED_BYTES..=MAX_PAYLOAD_BYTES).contains(&length) {
        return Next::Torn;
    }
    let Some(payload) = rest.get(..length) else { return Next::Torn };
    if check && crc32fast::hash(payload) != u32::from_le_bytes(*crc) {
        return Next::Torn;
    }
    match parse(payload) {
        Some(record) => Next::Record(record, HEADER_BYTES + length),
        None => Next::Torn,
    }
}

fn parse(payload: &[u8]) -> Option<Stored<'_>> {
    let (counter, rest) = payload.split_first_chunk()?;
    let (arrival_ms, rest) = rest.split_first_chunk()?;
    let (key_length, rest) = rest.split_first_chunk()?;
    let (key, data) = rest.split_at_checked(usize::from(u16::from_le_bytes(*key_length)))?;
    Some(Stored {
        counter: u64::from_le_bytes(*counter),
        arrival_ms: u64::from_le_bytes(*arrival_ms),
        key: std::str::from_utf8(key).ok()?,
        data,
    })
}

/// Returns the records of a run of whole frames.
pub(super) fn records(frames: &Bytes) -> impl Iterator<Item = Stored<'_>> {
    let mut rest: &[u8] = frames;
    std::iter::from_fn(move || match next(rest, false) {
        Next::Record(record, length) => {
            rest = &rest[length..];
            Some(record)
        }
        Next::End | Next::Torn => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_and_every_cut_or_flipped_byte_is_noticed() {
        let first = Stored { counter: 7, arrival_ms: 1_700, key: "schlüssel", data: b"payload" };
        let second = Stored { counter: 8, arrival_ms: 1_701, key: "", data: b"" };
        let mut out = Vec::new();
        append(&mut out, &first);
        let length = out.len();
        append(&mut out, &second);
        assert_eq!(next(&out, true), Next::Record(first, length));
        let frames = Bytes::from(out);
        assert_eq!(records(&frames).collect::<Vec<_>>(), [first, second]);
        for cut in 1..length {
            assert_eq!(next(&frames[..cut], true), Next::Torn, "cut at {cut}");
        }
        for at in 0..length {
            let mut damaged = frames[..length].to_vec();
            damaged[at] ^= 0x40;
            assert_eq!(next(&damaged, true), Next::Torn, "flipped at {at}");
        }
    }
}
