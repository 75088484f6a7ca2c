//! A scanner for the usual answer of GetRecords: texts without escapes, records of the members that
//! Kinesis documents, no children. Whatever is not usual is `None`, and nothing is taken on trust: what
//! is usual reads as a JSON parser would read it.

use std::sync::Arc;

use aws_smithy_types::DateTime;
use base64_simd::STANDARD;
use bytes::Bytes;
use kinesis_model::{EpochMs, Record, SequenceNumber};

/// What an answer says.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) records: Vec<Record>,
    pub(super) next_iterator: Option<String>,
    pub(super) behind_ms: Option<i64>,
}

/// A record whose payload still lies in the buffer that it shares.
struct Found {
    sequence: SequenceNumber,
    partition_key: Arc<str>,
    arrival: EpochMs,
    /// Where the payload ends; it begins where that of the record before ends.
    end: usize,
}

/// Reads the body of an answer; `None` if it is not the usual one.
pub(super) fn answer(body: &[u8]) -> Option<Answer> {
    let mut scan = Scan { body, at: 0 };
    let (mut found, mut payload) = (Vec::new(), Vec::new());
    let (mut next_iterator, mut behind_ms) = (None, None);
    scan.object(|scan, name| {
        match name {
            b"Records" => {
                payload = Vec::with_capacity(body.len() / 4 * 3);
                found.clear();
                scan.array(|scan| {
                    found.push(scan.record(&mut payload)?);
                    Some(())
                })?;
            }
            b"NextShardIterator" => next_iterator = Some(scan.utf8()?.to_owned()),
            b"MillisBehindLatest" => behind_ms = Some(scan.number()?.parse().ok()?),
            _ => return None,
        }
        Some(())
    })?;
    if scan.next().is_some() {
        return None;
    }
    let payload = Bytes::from(payload);
    let mut start = 0;
    let records = found.into_iter().map(|found: Found| {
        let Found { sequence, partition_key, arrival, end } = found;
        let data = payload.slice(start..end);
        start = end;
        Record { sequence, partition_key, arrival, data }
    });
    Some(Answer { records: records.collect(), next_iterator, behind_ms })
}

/// A place in a body.
struct Scan<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    /// Returns the next byte that is not white space, without passing it.
    #[inline]
    fn next(&mut self) -> Option<u8> {
        loop {
            match *self.body.get(self.at)? {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    /// Passes a byte that has to come next.
    #[inline]
    fn pass(&mut self, byte: u8) -> Option<()> {
        let is_next = self.next()? == byte;
        self.at += usize::from(is_next);
        is_next.then_some(())
    }

    /// Walks an object; `member` reads the value of each name.
    #[inline]
    fn object(&mut self, mut member: impl FnMut(&mut Self, &'a [u8]) -> Option<()>) -> Option<()> {
        self.pass(b'{')?;
        self.items(b'}', |scan| {
            let name = scan.text()?;
            scan.pass(b':')?;
            member(scan, name)
        })
    }

    /// Walks an array; `item` reads each.
    #[inline]
    fn array(&mut self, item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.pass(b'[')?;
        self.items(b']', item)
    }

    /// Walks what stands between commas, up to `end`.
    #[inline]
    fn items(&mut self, end: u8, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if self.next()? == end {
            return self.pass(end);
        }
        loop {
            item(self)?;
            if self.next()? == end {
                return self.pass(end);
            }
            self.pass(b',')?;
        }
    }

    /// Reads a text without escapes.
    #[inline]
    fn text(&mut self) -> Option<&'a [u8]> {
        self.pass(b'"')?;
        let rest = &self.body[self.at..];
        let length = memchr::memchr2(b'"', b'\\', rest)?;
        if rest[length] != b'"' {
            return None;
        }
        self.at += length + 1;
        Some(&rest[..length])
    }

    /// Reads a text without escapes or control characters.
    fn utf8(&mut self) -> Option<&'a str> {
        let text = std::str::from_utf8(self.text()?).ok()?;
        (!text.bytes().any(|byte| byte < b' ')).then_some(text)
    }

    /// Reads a number.
    fn number(&mut self) -> Option<&'a str> {
        self.next()?;
        let rest = &self.body[self.at..];
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
        let length = rest.iter().position(|byte| !is_part(byte))?;
        self.at += length;
        let number = std::str::from_utf8(&rest[..length]).ok()?;
        // Rust reads more than JSON has; Kinesis writes neither.
        let begins = number.strip_prefix('-').unwrap_or(number);
        begins.starts_with(|first: char| first.is_ascii_digit()).then_some(number)
    }

    /// Reads a record; its payload goes to the end of `payload`.
    fn record(&mut self, payload: &mut Vec<u8>) -> Option<Found> {
        let (mut sequence, mut partition_key, mut arrival) = (None, None, None);
        let mut data: Option<&[u8]> = None;
        self.object(|scan, name| {
            match name {
                b"SequenceNumber" => sequence = Some(scan.utf8()?.parse().ok()?),
                b"PartitionKey" => partition_key = Some(Arc::from(scan.utf8()?)),
                b"Data" => data = Some(scan.text()?),
                b"ApproximateArrivalTimestamp" => {
                    // As the SDK does: which part of a millisecond is lost must not depend on who reads.
                    let time = DateTime::from_secs_f64(scan.number()?.parse().ok()?);
                    arrival = Some(EpochMs(time.to_millis().ok()?));
                }
                b"EncryptionType" => drop(scan.utf8()?),
                _ => return None,
            }
            Some(())
        })?;
        STANDARD.decode_append(data?, payload).ok()?;
        Some(Found {
            sequence: sequence?,
            partition_key: partition_key?,
            arrival: arrival?,
            end: payload.len(),
        })
    }
}

#[cfg(test)]
mod tests;
