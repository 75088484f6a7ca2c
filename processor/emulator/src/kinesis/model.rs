//! The description of a stream, apart from its records: shards and their lineage, consumers,
//! settings.
//!
//! Pure: every operation takes the time and answers with a refusal or a changed stream.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ids;

/// How long a stream is CREATING or UPDATING: long enough that a caller who does not wait for
/// ACTIVE is found out, short enough not to be felt.
pub(super) const SETTLE_MS: u64 = 20;

const HOUR_MS: u64 = 3_600_000;

/// A stream's description; the file `stream.json` in its folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) name: String,
    /// Unique among all streams ever made here.
    pub(super) id: u64,
    pub(super) created_ms: u64,
    /// Until then the stream is CREATING or UPDATING.
    pub(super) ready_ms: u64,
    /// Set by the first change after creation: UPDATING, not CREATING.
    pub(super) updated: bool,
    pub(super) retention_hours: u32,
    /// Records that had expired at the last change of the retention stay expired.
    #[serde(default)]
    pub(super) expired_before_ms: u64,
    pub(super) on_demand: bool,
    pub(super) max_record_kib: u32,
    /// The last count given out; see [`ids::sequence`].
    pub(super) counter: u64,
    pub(super) next_shard: u32,
    pub(super) shards: BTreeMap<u32, Shard>,
    pub(super) consumers: BTreeMap<String, Consumer>,
    /// Metrics of single shards that were asked for; none are sent here.
    #[serde(default)]
    pub(super) shard_metrics: BTreeSet<String>,
}

/// A shard and its place in the lineage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Shard {
    /// First and last hash key, in decimal in the file: JSON numbers end at 64 bits.
    #[serde(with = "decimal")]
    pub(super) start: u128,
    #[serde(with = "decimal")]
    pub(super) end: u128,
    /// None, one (split) or two (merge, the adjacent one second).
    pub(super) parents: Vec<u32>,
    /// The counter at its opening, below that of all its records.
    pub(super) first: u64,
    pub(super) opened_ms: u64,
    pub(super) closed: Option<Closed>,
}

/// When a shard was closed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Closed {
    /// The counter at its closing, above that of all its records.
    pub(super) last: u64,
    pub(super) at_ms: u64,
}

/// A registered consumer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Consumer {
    pub(super) created_ms: u64,
}

/// A stream's state, as `StreamStatus` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Just made; takes no records yet.
    Creating,
    /// A change is under way; records flow.
    Updating,
    /// At rest.
    Active,
}

impl Status {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::Updating => "UPDATING",
            Self::Active => "ACTIVE",
        }
    }
}

/// Why a change of the shards is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The new starting hash key does not lie well inside an open shard.
    HashKey,
    /// The two shards are not open neighbors.
    NotAdjacent,
}

impl Meta {
    /// Returns a new stream of `count` equal shards (at least 1).
    pub(super) fn new(name: &str, id: u64, now_ms: u64, count: u32, on_demand: bool) -> Self {
        let mut meta = Self {
            name: name.to_owned(),
            id,
            created_ms: now_ms,
            ready_ms: now_ms + SETTLE_MS,
            updated: false,
            retention_hours: 24,
            expired_before_ms: 0,
            on_demand,
            max_record_kib: 1_024,
            // Above the numbers of any earlier stream of the name; 2^20 a millisecond to spare.
            counter: now_ms << 20,
            next_shard: 0,
            shards: BTreeMap::new(),
            consumers: BTreeMap::new(),
            shard_metrics: BTreeSet::new(),
        };
        let count = u128::from(count.max(1));
        // 2^128 / count, rounded down; the remainder goes to the last shard.
        let exact = u128::MAX % count == count - 1;
        let width = (u128::MAX / count).saturating_add(u128::from(exact));
        for i in 0..count {
            let end = if i == count - 1 { u128::MAX } else { (i + 1) * width - 1 };
            meta.open(i * width, end, Vec::new(), now_ms);
        }
        meta
    }

    pub(super) fn status(&self, now_ms: u64) -> Status {
        match (now_ms < self.ready_ms, self.updated) {
            (false, _) => Status::Active,
            (true, true) => Status::Updating,
            (true, false) => Status::Creating,
        }
    }

    /// Marks a change: the stream is UPDATING for a moment.
    pub(super) fn touch(&mut self, now_ms: u64) {
        self.ready_ms = now_ms + SETTLE_MS;
        self.updated = true;
    }

    /// Returns the next count, above all given out before.
    pub(super) fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Records that came before this have expired.
    pub(super) fn horizon_ms(&self, now_ms: u64) -> u64 {
        let by_age_ms = now_ms.saturating_sub(u64::from(self.retention_hours) * HOUR_MS);
        by_age_ms.max(self.expired_before_ms)
    }

    /// Returns whether a shard is still listed: closed ones vanish when their last record has
    /// expired.
    pub(super) fn listed(&self, shard: &Shard, now_ms: u64) -> bool {
        shard.closed.is_none_or(|closed| closed.at_ms >= self.horizon_ms(now_ms))
    }

    /// Returns the open shards, by hash key.
    pub(super) fn open_shards(&self) -> Vec<u32> {
        let mut open: Vec<u32> =
            self.shards.iter().filter(|(_, s)| s.closed.is_none()).map(|(i, _)| *i).collect();
        open.sort_by_key(|index| self.shards[index].start);
        open
    }

    fn open(&mut self, start: u128, end: u128, parents: Vec<u32>, now_ms: u64) {
        let first = self.count();
        let shard = Shard { start, end, parents, first, opened_ms: now_ms, closed: None };
        self.shards.insert(self.next_shard, shard);
        self.next_shard += 1;
    }

    fn close(&mut self, index: u32, now_ms: u64) {
        let last = self.count();
        if let Some(shard) = self.shards.get_mut(&index) {
            shard.closed = Some(Closed { last, at_ms: now_ms });
        }
    }

    /// Splits an open shard so that the second child begins at `middle`.
    pub(super) fn split(&mut self, index: u32, middle: u128, now_ms: u64) -> Result<(), Refusal> {
        let shard = self.shards.get(&index).filter(|shard| shard.closed.is_none());
        let Some(&Shard { start, end, .. }) = shard else { return Err(Refusal::HashKey) };
        if middle <= start || middle > end {
            return Err(Refusal::HashKey);
        }
        self.close(index, now_ms);
        self.open(start, middle - 1, vec![index], now_ms);
        self.open(middle, end, vec![index], now_ms);
        Ok(())
    }

    /// Merges two open neighbors.
    pub(super) fn merge(&mut self, one: u32, other: u32, now_ms: u64) -> Result<(), Refusal> {
        let open = |index| self.shards.get(&index).filter(|shard| shard.closed.is_none());
        let (Some(a), Some(b)) = (open(one), open(other)) else { return Err(Refusal::NotAdjacent) };
        let (low, high) = if a.start < b.start { (a, b) } else { (b, a) };
        if low.end.checked_add(1) != Some(high.start) {
            return Err(Refusal::NotAdjacent);
        }
        let (start, end) = (low.start, high.end);
        self.close(one, now_ms);
        self.close(other, now_ms);
        self.open(start, end, vec![one, other], now_ms);
        Ok(())
    }

    /// Splits the widest or merges the narrowest shards until `target` are open.
    pub(super) fn scale(&mut self, target: usize, now_ms: u64) -> Result<(), Refusal> {
        loop {
            let open = self.open_shards();
            let width = |index: &u32| self.shards[index].end - self.shards[index].start;
            match open.len().cmp(&target) {
                std::cmp::Ordering::Equal => return Ok(()),
                std::cmp::Ordering::Less => {
                    // Reversed, so that of equal shards the first is split.
                    let widest = open.iter().rev().max_by_key(|index| width(index));
                    let index = *widest.ok_or(Refusal::HashKey)?;
                    let middle = self.shards[&index].start + width(&index) / 2 + 1;
                    self.split(index, middle, now_ms)?;
                }
                std::cmp::Ordering::Greater => {
                    let pair = open
                        .windows(2)
                        .min_by_key(|pair| self.shards[&pair[1]].end - self.shards[&pair[0]].start);
                    let &[low, high] = pair.ok_or(Refusal::NotAdjacent)? else {
                        return Err(Refusal::NotAdjacent);
                    };
                    self.merge(low, high, now_ms)?;
                }
            }
        }
    }

    /// Returns `ChildShards` of a closed shard.
    pub(super) fn children(&self, index: u32) -> Vec<serde_json::Value> {
        let children = self.shards.iter().filter(|(_, shard)| shard.parents.contains(&index));
        children
            .map(|(child, shard)| {
                let parents = shard.parents.iter().map(|parent| ids::shard_id(*parent));
                serde_json::json!({
                    "ShardId": ids::shard_id(*child),
                    "ParentShards": parents.collect::<Vec<_>>(),
                    "HashKeyRange": shard.hash_range(),
                })
            })
            .collect()
    }
}

impl Shard {
    fn hash_range(&self) -> serde_json::Value {
        serde_json::json!({
            "StartingHashKey": self.start.to_string(),
            "EndingHashKey": self.end.to_string(),
        })
    }

    /// Returns the shard as `ListShards` shows it.
    pub(super) fn view(&self, index: u32) -> serde_json::Value {
        let mut numbers =
            serde_json::json!({"StartingSequenceNumber": ids::sequence(self.first, index)});
        if let Some(closed) = self.closed {
            numbers["EndingSequenceNumber"] = ids::sequence(closed.last, index).into();
        }
        let mut view = serde_json::json!({
            "ShardId": ids::shard_id(index),
            "HashKeyRange": self.hash_range(),
            "SequenceNumberRange": numbers,
        });
        for (field, parent) in
            ["ParentShardId", "AdjacentParentShardId"].into_iter().zip(&self.parents)
        {
            view[field] = ids::shard_id(*parent).into();
        }
        view
    }
}

/// 128-bit numbers as decimal text.
mod decimal {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &u128, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&value.to_string())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
