//! The worker's own archive segments: their names, and the records in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ivs_core::stream::{EpochMs, HashRange, Position, Record, ShardId};
use serde::Deserialize;

use super::object::Object;

/// One epoch of a shard.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    /// Where it lies.
    pub(crate) object: Object,
    /// The position before its first record; `None` at the beginning of the shard.
    pub(crate) from: Option<Position>,
    /// The epoch's end.
    pub(crate) to: Position,
}

/// The segments of a shard, in order.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    /// The stream.
    pub(crate) stream: String,
    /// The shard.
    pub(crate) shard: ShardId,
    /// By their ends.
    pub(crate) segments: Vec<Segment>,
}

/// How the ids of all Kinesis shards begin.
const SHARD_PREFIX: &str = "shardId-";

/// Tells the worker's segments, by their names, from objects that others made.
pub(crate) fn chains(objects: Vec<Object>) -> (Vec<Chain>, Vec<Object>) {
    let mut chains: BTreeMap<(String, ShardId), Vec<Segment>> = BTreeMap::new();
    let mut foreign = Vec::new();
    for object in objects {
        match parse_name(&object.name) {
            None => foreign.push(object),
            Some((stream, shard, from, to)) => {
                chains.entry((stream, shard)).or_default().push(Segment { object, from, to });
            }
        }
    }
    let chain = |((stream, shard), mut segments): (_, Vec<Segment>)| {
        segments.sort_by_key(|segment| (segment.to, segment.from));
        Chain { stream, shard, segments }
    };
    (chains.into_iter().map(chain).collect(), foreign)
}

/// `…/<stream>/<shard>/YYYY/MM/DD/HH/<from>-<to>.ndjson.zst`.
fn parse_name(name: &str) -> Option<(String, ShardId, Option<Position>, Position)> {
    let mut parts = name.strip_suffix(".ndjson.zst")?.rsplit('/');
    let (from, to) = parts.next()?.split_once('-')?;
    let position = |text: &str| text.replace('.', "/").parse::<Position>().ok();
    let from = match from {
        "start" => None,
        from => Some(position(from)?),
    };
    for digits in [2, 2, 2, 4] {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
    }
    let (shard, stream) = (parts.next()?, parts.next()?);
    if stream.is_empty() || !shard.starts_with(SHARD_PREFIX) {
        return None;
    }
    Some((stream.to_owned(), ShardId::new(shard), from, position(to)?))
}

/// A line of a segment.
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
pub(crate) fn parse_line(line: &[u8]) -> Result<(Record, Option<HashRange>), String> {
    let line: Line<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let data = match (line.data, line.data_base64) {
        (Some(text), None) => Bytes::from(text),
        (None, Some(text)) => STANDARD.decode(text).map_err(|error| error.to_string())?.into(),
        _ => return Err("expected either data or dataBase64".to_owned()),
    };
    let range = |[start, end]: [String; 2]| {
        Some(HashRange { start: start.parse().ok()?, end: end.parse().ok()? })
    };
    let range = match line.hash_key_range {
        None => None,
        Some(keys) => Some(range(keys).ok_or("hashKeyRange holds no numbers")?),
    };
    let record = Record {
        sequence: line.sequence_number.parse().map_err(|error| format!("{error}"))?,
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
    fn a_segment_is_known_by_its_name() {
        let (stream, shard, from, to) =
            parse_name("s3://b/a/ivs-events/shardId-0/2026/03/01/12/9-12.4.ndjson.zst").unwrap();
        assert_eq!((stream.as_str(), shard.as_str()), ("ivs-events", "shardId-0"));
        assert_eq!((from.unwrap().to_string(), to.to_string()), ("9".into(), "12/4".into()));
        let first = parse_name("file:///s/shardId-0/2026/03/01/12/start-9.ndjson.zst").unwrap();
        assert_eq!(first.2, None);
        for other in [
            "file:///sample/part-00000.ndjson.zst",
            "s3://b/s/shardId-0/2026/03/01/12/9-12.ndjson.gz",
            "s3://b/s/folder/2026/03/01/12/9-12.ndjson.zst",
            "s3://shardId-0/2026/03/01/12/9-12.ndjson.zst",
            "s3://b/s/shardId-0/2026/3/1/12/9-12.ndjson.zst",
        ] {
            assert!(parse_name(other).is_none(), "{other}");
        }
    }

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
}
