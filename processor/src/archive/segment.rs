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
    /// The shard left the stream before all of it was read.
    pub(crate) end_is_lost: bool,
}

/// Ends the name of the object that tells that the end of a shard was lost, after the last position
/// that was not.
pub(crate) const LOST_END: &str = "-end.gap.json";

/// How the ids of all Kinesis shards begin.
const SHARD_PREFIX: &str = "shardId-";

/// Tells the worker's segments, by their names, from objects that others made.
pub(crate) fn chains(objects: Vec<Object>) -> (Vec<Chain>, Vec<Object>) {
    let mut chains: BTreeMap<(String, ShardId), (Vec<Segment>, bool)> = BTreeMap::new();
    let mut foreign = Vec::new();
    for object in objects {
        match parse_name(&object.name) {
            None => foreign.push(object),
            Some((stream, shard, part)) => {
                let (segments, end_is_lost) = chains.entry((stream, shard)).or_default();
                match part {
                    Part::Segment(from, to) => segments.push(Segment { object, from, to }),
                    Part::LostEnd => *end_is_lost = true,
                }
            }
        }
    }
    let chain = |((stream, shard), (mut segments, end_is_lost)): (_, (Vec<Segment>, bool))| {
        segments.sort_by_key(|segment| (segment.to, segment.from));
        Chain { stream, shard, segments, end_is_lost }
    };
    (chains.into_iter().map(chain).collect(), foreign)
}

/// What the name of an object of ours says.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// The records after a position, up to one.
    Segment(Option<Position>, Position),
    /// What came behind all segments is lost.
    LostEnd,
}

/// `…/<stream>/<shard>/YYYY/MM/DD/HH/<from>-<to>.ndjson.zst`, or with [`LOST_END`] at the end.
fn parse_name(name: &str) -> Option<(String, ShardId, Part)> {
    let mut parts = name.rsplit('/');
    let position = |text: &str| text.replace('.', "/").parse::<Position>().ok();
    let own = parts.next()?;
    let part = if let Some(after) = own.strip_suffix(LOST_END) {
        position(after)?;
        Part::LostEnd
    } else {
        let (from, to) = own.strip_suffix(".ndjson.zst")?.split_once('-')?;
        let from = if from == "start" { None } else { Some(position(from)?) };
        Part::Segment(from, position(to)?)
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
    Some((stream.to_owned(), ShardId::new(shard), part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_known_by_its_name() {
        let at = |sequence: u128, sub| Position { sequence: sequence.into(), sub };
        let (stream, shard, part) =
            parse_name("s3://b/a/ivs-events/shardId-0/2026/03/01/12/9-12.4.ndjson.zst").unwrap();
        assert_eq!((stream.as_str(), shard.as_str()), ("ivs-events", "shardId-0"));
        assert_eq!(part, Part::Segment(Some(at(9, 0)), at(12, 4)));
        let first = parse_name("file:///s/shardId-0/2026/03/01/12/start-9.ndjson.zst").unwrap();
        assert_eq!(first.2, Part::Segment(None, at(9, 0)));
        let lost = parse_name("file:///s/shardId-0/2026/03/01/12/9.4-end.gap.json").unwrap();
        assert_eq!(lost.2, Part::LostEnd);
        for other in [
            "file:///sample/part-00000.ndjson.zst",
            "s3://b/s/shardId-0/2026/03/01/12/9-12.ndjson.gz",
            "s3://b/s/folder/2026/03/01/12/9-12.ndjson.zst",
            "s3://shardId-0/2026/03/01/12/9-12.ndjson.zst",
            "s3://b/s/shardId-0/2026/3/1/12/9-12.ndjson.zst",
            "s3://b/s/shardId-0/2026/03/01/12/x-end.gap.json",
        ] {
            assert!(parse_name(other).is_none(), "{other}");
        }
    }
}
