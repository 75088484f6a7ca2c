//! The worker's own archive segments, by their names.

use std::collections::BTreeMap;

use kinesis_model::{Position, ShardId};

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
}
