//! A record of the worker's archive: one JSON object a line.
//!
//! `sequenceNumber`, `partitionKey`, `arrivalMs`, and the payload as `data` where it is text, else
//! as `dataBase64`. A segment's first line also tells the shard's hash keys, `hashKeyRange`, by which
//! records of an aggregate are refused that belong to another shard.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use kinesis_model::{EpochMs, HashRange, Record, SequenceNumberError};

/// The reason why a line is not an archived record.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is not the JSON object that it should be.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// `dataBase64` is something else.
    #[error("dataBase64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// It has both kinds of data, or none.
    #[error("expected either data or dataBase64")]
    Data,
    /// `hashKeyRange` is something else.
    #[error("hashKeyRange holds no numbers")]
    Range,
    /// `sequenceNumber` is something else.
    #[error("{0}")]
    Sequence(#[from] SequenceNumberError),
}

/// Returns a record as an object; `range` goes into a segment's first.
#[must_use]
pub fn object(record: &Record, range: Option<HashRange>) -> Value {
    let mut object = json!({
        "sequenceNumber": record.sequence.to_string(),
        "partitionKey": &*record.partition_key,
        "arrivalMs": record.arrival.0,
    });
    if let Some(range) = range {
        object["hashKeyRange"] = json!([range.start.to_string(), range.end.to_string()]);
    }
    put_data(&mut object, &record.data);
    object
}

/// Puts a payload into an object: `data` where it is text, else `dataBase64`.
pub fn put_data(object: &mut Value, data: &[u8]) {
    match std::str::from_utf8(data) {
        Ok(text) => object["data"] = text.into(),
        Err(_) => object["dataBase64"] = STANDARD.encode(data).into(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    sequence_number: &'a str,
    partition_key: String,
    arrival_ms: i64,
    data: Option<String>,
    data_base64: Option<&'a str>,
    hash_key_range: Option<[String; 2]>,
}

/// Reads a line: the record, and on a segment's first line the shard's hash keys.
///
/// # Errors
/// Says what is wrong with it.
pub fn parse_line(line: &[u8]) -> Result<(Record, Option<HashRange>), ArchiveError> {
    let line: Line<'_> = serde_json::from_slice(line)?;
    let data = match (line.data, line.data_base64) {
        (Some(text), None) => Bytes::from(text),
        (None, Some(text)) => STANDARD.decode(text)?.into(),
        _ => return Err(ArchiveError::Data),
    };
    let range = |[start, end]: [String; 2]| {
        Some(HashRange { start: start.parse().ok()?, end: end.parse().ok()? })
    };
    let range = match line.hash_key_range {
        None => None,
        Some(keys) => Some(range(keys).ok_or(ArchiveError::Range)?),
    };
    let record = Record {
        sequence: line.sequence_number.parse()?,
        partition_key: Arc::from(line.partition_key),
        arrival: EpochMs(line.arrival_ms),
        data,
    };
    Ok((record, range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_back_and_a_broken_one_says_why() {
        let line = br#"{"sequenceNumber":"7","partitionKey":"k\"","arrivalMs":5,"data":"{\"a\":1}\n","hashKeyRange":["0","9"]}"#;
        let (record, range) = parse_line(line).unwrap();
        assert_eq!(&record.data[..], b"{\"a\":1}\n");
        assert_eq!((&*record.partition_key, record.arrival), ("k\"", EpochMs(5)));
        assert_eq!(range, Some(HashRange { start: 0, end: 9 }));
        let binary =
            br#"{"sequenceNumber":"7","partitionKey":"k","arrivalMs":5,"dataBase64":"/3s="}"#;
        assert_eq!(&parse_line(binary).unwrap().0.data[..], b"\xff{");
        for broken in
            [&b"{"[..], b"{}", br#"{"sequenceNumber":"7","partitionKey":"k","arrivalMs":5}"#]
        {
            assert!(parse_line(broken).is_err());
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for data in [&b"text\n\""[..], b"\xff\x00", b""] {
            let record = Record {
                sequence: 9_u128.into(),
                partition_key: Arc::from("k\u{0}\\"),
                arrival: EpochMs(-1),
                data: Bytes::from_static(data),
            };
            for range in [None, Some(HashRange { start: 1, end: u128::MAX })] {
                let line = object(&record, range).to_string();
                let (again, read) = parse_line(line.as_bytes()).unwrap();
                assert_eq!((again, read), (record.clone(), range));
            }
        }
    }
}
