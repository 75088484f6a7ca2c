//! A row of the lease table: one shard. Names, types and meanings are KCL's, so that Java KCL workers
//! and this processor can share a fleet. Rows are only ever changed by UpdateItem: other versions
//! keep attributes of their own in them.

// KCL 2.x and later.

/// S, partition key: the shard id.
pub const LEASE_KEY: &str = "leaseKey";
/// S: worker id of the owner; absent when unowned.
pub const LEASE_OWNER: &str = "leaseOwner";
/// N: raised with every renewal and change; heartbeat and optimistic lock in one.
pub const LEASE_COUNTER: &str = "leaseCounter";
/// N: changes of owner since the last checkpoint.
pub const OWNER_SWITCHES_SINCE_CHECKPOINT: &str = "ownerSwitchesSinceCheckpoint";
/// S: last sequence number that is done, or one of [`sentinel`].
pub const CHECKPOINT: &str = "checkpoint";
/// N: index inside a KPL aggregate; 0 otherwise.
pub const CHECKPOINT_SUB_SEQUENCE_NUMBER: &str = "checkpointSubSequenceNumber";
/// S: prepared but not yet committed checkpoint; absent when there is none.
pub const PENDING_CHECKPOINT: &str = "pendingCheckpoint";
/// N: like `checkpointSubSequenceNumber`; KCL's capital S in `SubSequence`.
pub const PENDING_CHECKPOINT_SUB_SEQUENCE_NUMBER: &str = "pendingCheckpointSubSequenceNumber";
/// B: opaque bytes of the application; some KCL versions write an N.
pub const PENDING_CHECKPOINT_STATE: &str = "pendingCheckpointState";
/// SS: one parent after a split, two after a merge; absent without parents.
pub const PARENT_SHARD_ID: &str = "parentShardId";
/// SS: children, known at the end of the shard.
pub const CHILD_SHARD_IDS: &str = "childShardIds";
/// S: first hash key, decimal, inclusive.
pub const STARTING_HASH_KEY: &str = "startingHashKey";
/// S: last hash key, decimal, inclusive.
pub const ENDING_HASH_KEY: &str = "endingHashKey";

// KCL 3.x.

/// N: smoothed throughput of the shard, KB/s.
pub const THROUGHPUT_KBPS: &str = "throughputKBps";
/// S: current holder during a graceful hand-over, while `leaseOwner` names the next.
pub const CHECKPOINT_OWNER: &str = "checkpointOwner";
/// S: serialized stream id, in multi-stream mode only.
pub const STREAM_NAME: &str = "streamName";
/// S: the bare shard id, in multi-stream mode only.
pub const SHARD_ID: &str = "shardId";
/// S: [`ENTITY_TYPE_LEASE`] since KCL 3.5; absent before, which means the same.
pub const ENTITY_TYPE: &str = "entityType";

// Ours: extra attributes are harmless to KCL and survive its updates.

/// N: arrival of the record at `checkpoint`, epoch ms; where the warm-up of the duplicate filter starts from.
pub const CHECKPOINT_ARRIVAL_MS: &str = "checkpointArrivalMs";

/// Value of [`ENTITY_TYPE`] on a lease row.
pub const ENTITY_TYPE_LEASE: &str = "LEASE";

/// Values of [`CHECKPOINT`] that are not sequence numbers.
///
/// They order as AT_TIMESTAMP < TRIM_HORIZON < LATEST < any number < SHARD_END.
pub mod sentinel {
    /// Start at a time.
    pub const AT_TIMESTAMP: &str = "AT_TIMESTAMP";
    /// Start at the oldest record.
    pub const TRIM_HORIZON: &str = "TRIM_HORIZON";
    /// Start at the newest record.
    pub const LATEST: &str = "LATEST";
    /// The shard is closed and read to its end.
    pub const SHARD_END: &str = "SHARD_END";
}
