//! The lease: one row of the lease table, one shard, at most one owner.
//!
//! Attribute names and meanings are KCL's (Kinesis Client Library 2.x); see [`crate::store`].

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use kinesis_model::{EpochMs, HashRange, Position, ShardId};

/// A worker's id, as stored in `leaseOwner`. Must be unique per process life.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(Arc<str>);

impl WorkerId {
    /// Wraps an id chosen by the caller; two live processes must never share one.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(Arc::from(id))
    }

    /// Returns an id of the form `<prefix>-<pid>-<random hex>`, new at every call.
    #[must_use]
    pub fn unique(prefix: &str) -> Self {
        let pid = std::process::id();
        let random = fastrand::u64(..);
        Self(format!("{prefix}-{pid}-{random:016x}").into())
    }

    /// Returns the id as stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a shard has been processed. Ordered as KCL orders it:
/// `AT_TIMESTAMP < TRIM_HORIZON < LATEST < any number < SHARD_END`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Checkpoint {
    /// Nothing yet; start at [`Lease::initial_time`].
    AtTimestamp,
    /// Nothing yet; start at the oldest record kept.
    TrimHorizon,
    /// Nothing yet; start at the tip. This crate never writes it: it pins the tip to a time.
    Latest,
    /// Everything up to and including this position is done.
    Sequence(Position),
    /// The shard is closed and done.
    ShardEnd,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtTimestamp => f.write_str("AT_TIMESTAMP"),
            Self::TrimHorizon => f.write_str("TRIM_HORIZON"),
            Self::Latest => f.write_str("LATEST"),
            Self::Sequence(position) => position.fmt(f),
            Self::ShardEnd => f.write_str("SHARD_END"),
        }
    }
}

/// One row of the lease table as last read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The shard, `leaseKey`.
    pub key: ShardId,
    /// Who holds it, `leaseOwner`; absent when nobody does.
    pub owner: Option<WorkerId>,
    /// `leaseCounter`: the version every write is conditional on, and the heartbeat peers watch.
    pub counter: u64,
    /// The last position that is done: `checkpoint` and `checkpointSubSequenceNumber`.
    pub checkpoint: Checkpoint,
    /// First phase of a two-phase checkpoint, `pendingCheckpoint`.
    pub pending: Option<Checkpoint>,
    /// The application's state beside the pending checkpoint, `pendingCheckpointState`.
    pub pending_state: Option<Bytes>,
    /// Owners since the last checkpoint, `ownerSwitchesSinceCheckpoint`.
    pub owner_switches: u64,
    /// Shards this one came from, `parentShardId`: none, one (split) or two (merge).
    pub parents: Vec<ShardId>,
    /// Shards that continue this one, `childShardIds`; known at shard end.
    pub children: Vec<ShardId>,
    /// Inclusive hash keys, `startingHashKey` and `endingHashKey`.
    pub hash_range: Option<HashRange>,
    /// `checkpointOwner`: KCL 3.x names here who may still checkpoint during a graceful hand-off.
    pub checkpoint_owner: Option<WorkerId>,
    /// Ours, `checkpointArrivalMs`: arrival time of the record at `checkpoint`.
    pub checkpoint_arrival: Option<EpochMs>,
    /// Ours, `initialTimestampMs`: where an `AT_TIMESTAMP` lease starts.
    pub initial_time: Option<EpochMs>,
    /// Ours, `streamCreatedMs`: creation time of the stream this lease belongs to.
    pub stream_created: Option<EpochMs>,
    /// Ours, `cooperativeOwner`: the last of our workers that took the lease. When it equals
    /// [`Lease::owner`], the holder answers hand-over requests. Without an owner, it is the worker
    /// that gave the lease back.
    pub cooperative_owner: Option<WorkerId>,
    /// Ours, `handOverTo`: who asked the holder to hand the lease over.
    pub hand_over_to: Option<WorkerId>,
    /// Ours, `incarnation`: which life of the owner took the lease. It tells a paused process from
    /// its successor of the same worker id.
    pub incarnation: Option<Arc<str>>,
    /// Ours, `tipSeenMs`: everything that arrived up to then is at or before the checkpoint.
    pub tip_seen: Option<EpochMs>,
    /// Ours, `failedTasks`: how often work on the shard has failed since its last checkpoint.
    pub failures: u64,
    /// Ours, `lastError`: why it failed last.
    pub last_error: Option<Arc<str>>,
}

impl Lease {
    /// Returns a new, unowned lease of `key` that starts at `checkpoint`; the rest is empty.
    #[must_use]
    pub fn new(key: ShardId, checkpoint: Checkpoint) -> Self {
        Self {
            key,
            owner: None,
            counter: 0,
            checkpoint,
            pending: None,
            pending_state: None,
            owner_switches: 0,
            parents: Vec::new(),
            children: Vec::new(),
            hash_range: None,
            checkpoint_owner: None,
            checkpoint_arrival: None,
            initial_time: None,
            stream_created: None,
            cooperative_owner: None,
            hand_over_to: None,
            incarnation: None,
            tip_seen: None,
            failures: 0,
            last_error: None,
        }
    }

    /// Returns whether the shard is closed and done.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.checkpoint == Checkpoint::ShardEnd
    }

    /// Returns whether work on the shard has begun: something of it is done.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.checkpoint > Checkpoint::Latest
    }

    /// Returns the lease as it must be put back after its row was deleted: it stands where it
    /// stood, and nobody holds it.
    #[must_use]
    pub fn unowned(&self) -> Self {
        Self {
            owner: None,
            counter: 0,
            cooperative_owner: None,
            hand_over_to: None,
            checkpoint_owner: None,
            incarnation: None,
            ..self.clone()
        }
    }

    /// Returns whether the holder is one of our workers and so answers hand-over requests.
    #[must_use]
    pub fn is_cooperative(&self) -> bool {
        self.owner.is_some() && self.owner == self.cooperative_owner
    }
}

/// A shard that continues one or two closed shards, as Kinesis reports it at shard end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildShard {
    /// Its id.
    pub shard: ShardId,
    /// The shards it came from.
    pub parents: Vec<ShardId>,
    /// Its inclusive hash keys.
    pub hash_range: HashRange,
}

/// Where reading of a shard starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// The oldest record kept.
    TrimHorizon,
    /// The tip of the shard.
    Latest,
    /// The first record that arrived at or after this time.
    AtTimestamp(EpochMs),
    /// The record at this position itself, which may be an aggregate that is only partly done:
    /// the reader delivers it again and the caller drops what is at or before its position.
    At(Position),
    /// The first record after the one at this position.
    After(Position),
}

/// The place that the previous owner of a shard left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumePoint {
    /// Everything up to here is done.
    pub checkpoint: Checkpoint,
    /// The previous owner had prepared the epoch that ends here: close at exactly this position.
    pub pending: Option<Position>,
    /// The state stored beside that, as [`crate::ShardLease::prepare_with`] was given it.
    pub pending_state: Option<Bytes>,
    /// Arrival time of the record at `checkpoint`, if a worker of ours stored it.
    pub checkpoint_arrival: Option<EpochMs>,
    /// Where to start while `checkpoint` is [`Checkpoint::AtTimestamp`].
    pub initial_time: Option<EpochMs>,
    /// The checkpoint's own record may have expired, but an owner saw the end of the shard with
    /// everything done, and nothing that arrived since then can have: the stream holds all that
    /// follows the checkpoint.
    pub is_complete: bool,
}

impl Default for ResumePoint {
    /// Returns a shard of which nothing was read.
    fn default() -> Self {
        Self {
            checkpoint: Checkpoint::TrimHorizon,
            pending: None,
            pending_state: None,
            checkpoint_arrival: None,
            initial_time: None,
            is_complete: false,
        }
    }
}

impl ResumePoint {
    /// Returns the position up to which everything is done, once something is.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        match self.checkpoint {
            Checkpoint::Sequence(position) => Some(position),
            _ => None,
        }
    }

    /// Returns the position whose own record a reader must meet to prove that none behind it has
    /// expired; none where that is known.
    #[must_use]
    pub fn to_be_met(&self) -> Option<Position> {
        self.position().filter(|_| !self.is_complete)
    }

    /// Returns where to open the reader. A position is opened *at* its record ([`StartAt::At`]), so
    /// that an aggregate can be resumed inside. [`Checkpoint::ShardEnd`] is never handed out; it
    /// maps to the tip.
    #[must_use]
    pub fn start(&self) -> StartAt {
        match (self.checkpoint, self.initial_time) {
            (Checkpoint::AtTimestamp, Some(time)) => StartAt::AtTimestamp(time),
            (Checkpoint::AtTimestamp, None) | (Checkpoint::TrimHorizon, _) => StartAt::TrimHorizon,
            (Checkpoint::Latest | Checkpoint::ShardEnd, _) => StartAt::Latest,
            (Checkpoint::Sequence(position), _) => StartAt::At(position),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_order_as_kcl_orders_them() {
        let at = |text: &str| Checkpoint::Sequence(text.parse().unwrap());
        let sorted = [
            Checkpoint::AtTimestamp,
            Checkpoint::TrimHorizon,
            Checkpoint::Latest,
            at("9"),
            at("10"),
            at("10/2"),
            Checkpoint::ShardEnd,
        ];
        assert!(sorted.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn worker_ids_differ_between_calls() {
        assert_ne!(WorkerId::unique("w"), WorkerId::unique("w"));
    }
}
