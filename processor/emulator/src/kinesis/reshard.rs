//! SplitShard, MergeShards, UpdateShardCount.

use serde::Deserialize;
use serde_json::json;

use super::ids;
use super::model::{Meta, Refusal};
use super::put::hash_key;
use super::stream::Stream;
use super::wire::{self, Target};
use super::{Kinesis, MAX_SHARDS};
use crate::service::AwsError;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SplitShard {
    #[serde(flatten)]
    target: Target,
    shard_to_split: String,
    new_starting_hash_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MergeShards {
    #[serde(flatten)]
    target: Target,
    shard_to_merge: String,
    adjacent_shard_to_merge: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateShardCount {
    #[serde(flatten)]
    target: Target,
    target_shard_count: i64,
    scaling_type: String,
}

impl Kinesis {
    pub(super) fn split_shard(&self, body: &[u8]) -> Result<String, AwsError> {
        let request: SplitShard = wire::parse(body)?;
        let stream = self.stream(request.target.name()?)?;
        let now_ms = self.shared.clock.now_ms();
        let key = &request.new_starting_hash_key;
        let middle = hash_key(key).ok_or_else(|| {
            wire::invalid_value(
                "newStartingHashKey",
                key,
                "Member must satisfy regular expression pattern: 0|([1-9]\\d{0,38})",
            )
        })?;
        let room = self.open_shards() < MAX_SHARDS;
        stream.change_active(now_ms, |meta| {
            let index = shard(&stream, meta, &request.shard_to_split)?;
            let parent = &meta.shards[&index];
            let refused = || {
                let (id, name) = (&request.shard_to_split, &stream.name);
                wire::invalid_argument(format!(
                    "NewStartingHashKey {key} used in SplitShard() on shard {id} in stream {name} \
                     under account {} is not both greater than one plus the shard's \
                     StartingHashKey {} and less than the shard's EndingHashKey {}.",
                    stream.account, parent.start, parent.end
                ))
            };
            if middle <= parent.start.saturating_add(1) || middle >= parent.end {
                return Err(refused());
            }
            if !room {
                return Err(self.too_many_shards(1));
            }
            let refused = refused();
            meta.split(index, middle, now_ms).map_err(|_| refused)
        })?;
        Ok("{}".to_owned())
    }

    pub(super) fn merge_shards(&self, body: &[u8]) -> Result<String, AwsError> {
        let request: MergeShards = wire::parse(body)?;
        let stream = self.stream(request.target.name()?)?;
        let now_ms = self.shared.clock.now_ms();
        let (one, other) = (&request.shard_to_merge, &request.adjacent_shard_to_merge);
        stream.change_active(now_ms, |meta| {
            let (a, b) = (shard(&stream, meta, one)?, shard(&stream, meta, other)?);
            meta.merge(a, b, now_ms).map_err(|_| {
                wire::invalid_argument(format!(
                    "Shards {one} and {other} in stream {} under account {} are not an adjacent \
                     pair of shards eligible for merging",
                    stream.name, stream.account
                ))
            })
        })?;
        Ok("{}".to_owned())
    }

    pub(super) fn update_shard_count(&self, body: &[u8]) -> Result<String, AwsError> {
        let request: UpdateShardCount = wire::parse(body)?;
        if request.scaling_type != "UNIFORM_SCALING" {
            return Err(wire::invalid_value(
                "scalingType",
                &request.scaling_type,
                "Member must satisfy enum value set: [UNIFORM_SCALING]",
            ));
        }
        let count = Some(request.target_shard_count);
        let target = wire::bounded("targetShardCount", count, 1..=u32::MAX, 1)?;
        let target = usize::try_from(target).unwrap_or(usize::MAX);
        let stream = self.stream(request.target.name()?)?;
        let now_ms = self.shared.clock.now_ms();
        let elsewhere = self.open_shards();
        let current = stream.change_active(now_ms, |meta| {
            let current = meta.open_shards().len();
            self.check_scaling(&stream, meta, elsewhere, current, target)?;
            meta.scale(target, now_ms).map_err(|refusal| {
                let why = match refusal {
                    Refusal::HashKey => "a shard is too narrow to split",
                    Refusal::NotAdjacent => "no two neighboring shards are left",
                };
                wire::invalid_argument(format!("Cannot scale to {target} shards: {why}."))
            })?;
            Ok(current)
        })?;
        Ok(json!({
            "StreamName": stream.name,
            "StreamARN": stream.arn,
            "CurrentShardCount": current,
            "TargetShardCount": target,
        })
        .to_string())
    }

    fn check_scaling(
        &self,
        stream: &Stream,
        meta: &Meta,
        all: usize,
        current: usize,
        target: usize,
    ) -> Result<(), AwsError> {
        if meta.on_demand {
            return Err(wire::validation(format!(
                "Stream {} under account {} is in ON_DEMAND mode: its shards scale by themselves.",
                stream.name, stream.account
            )));
        }
        let counts = format!("Current open shard count: {current}, Target shard count: {target}");
        if target > current.saturating_mul(2) {
            return Err(wire::limit_exceeded(format!(
                "UpdateShardCount cannot scale up over double your current open shard count. \
                 {counts}"
            )));
        }
        if target.saturating_mul(2) < current {
            return Err(wire::limit_exceeded(format!(
                "UpdateShardCount cannot scale down below half your current open shard count. \
                 {counts}"
            )));
        }
        if all - current.min(all) + target > MAX_SHARDS {
            return Err(self.too_many_shards(target.saturating_sub(current)));
        }
        Ok(())
    }

    pub(super) fn too_many_shards(&self, more: usize) -> AwsError {
        let (account, region) = (&self.shared.account, &self.shared.region);
        wire::limit_exceeded(format!(
            "This request would exceed the shard limit for the account {account} in {region}. \
             Limit: {MAX_SHARDS}. Number of additional shards that would have resulted from this \
             request: {more}."
        ))
    }
}

fn shard(stream: &Stream, meta: &Meta, id: &str) -> Result<u32, AwsError> {
    ids::parse_shard_id(id).filter(|index| meta.shards.contains_key(index)).ok_or_else(|| {
        let (name, account) = (&stream.name, &stream.account);
        wire::not_found(format!(
            "Could not find shard {id} in stream {name} under account {account}."
        ))
    })
}
