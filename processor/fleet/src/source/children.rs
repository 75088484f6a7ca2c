//! The shards that continue a shard.

use kinesis_model::{HashRange, ShardId};

use crate::lease::ChildShard;
use crate::sync::listing::StreamShape;

/// One shard as the stream lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// The shard itself in the list.
    pub(super) presence: Presence,
    /// The shards that name it as a parent.
    pub(super) children: Vec<ChildShard>,
}

/// A shard in the stream's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It takes records.
    Open,
    /// It takes no more.
    Closed,
    /// It is not listed.
    Absent,
}

/// Reads the children that GetRecords and SubscribeToShard report at shard end.
pub(super) fn from_api(
    children: Vec<aws_sdk_kinesis::types::ChildShard>,
) -> Result<Vec<ChildShard>, String> {
    let convert = |child: aws_sdk_kinesis::types::ChildShard| {
        let range = child.hash_key_range.as_ref();
        let range = range.ok_or_else(|| format!("child `{}` has no hash keys", child.shard_id))?;
        Ok(ChildShard {
            shard: ShardId::new(&child.shard_id),
            parents: child.parent_shards.iter().map(|id| ShardId::new(id)).collect(),
            hash_range: hash_range(&range.starting_hash_key, &range.ending_hash_key)?,
        })
    };
    children.into_iter().map(convert).collect()
}

fn hash_range(start: &str, end: &str) -> Result<HashRange, String> {
    let key = |text: &str| text.parse().map_err(|_| format!("`{text}` is not a hash key"));
    Ok(HashRange { start: key(start)?, end: key(end)? })
}

/// Looks `shard` up in the stream's shard list. Fails with the API call and the reason.
pub(super) async fn of_shard(
    stream: &(impl StreamShape + ?Sized),
    shard: &ShardId,
) -> Result<Shape, (&'static str, String)> {
    let shards = stream.shards().await?;
    let children = shards.iter().filter(|other| other.parents.contains(shard));
    let children = children.map(|child| ChildShard {
        shard: child.id.clone(),
        parents: child.parents.clone(),
        hash_range: child.hash_range,
    });
    let presence = match shards.iter().find(|other| other.id == *shard) {
        None => Presence::Absent,
        Some(info) if info.closed => Presence::Closed,
        Some(_) => Presence::Open,
    };
    Ok(Shape { presence, children: children.collect() })
}
