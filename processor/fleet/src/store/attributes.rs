//! Attribute names of a lease row. Never rename one: Java workers read them too.

/// S, the table's hash key: the shard id.
pub const LEASE_KEY: &str = "leaseKey";
/// S, absent when nobody holds the lease: worker id.
pub const LEASE_OWNER: &str = "leaseOwner";
/// N: version and heartbeat.
pub const LEASE_COUNTER: &str = "leaseCounter";
/// N: owners since the last checkpoint.
pub const OWNER_SWITCHES: &str = "ownerSwitchesSinceCheckpoint";
/// S: sequence number or sentinel.
pub const CHECKPOINT: &str = "checkpoint";
/// N: index inside an aggregate.
pub const CHECKPOINT_SUB: &str = "checkpointSubSequenceNumber";
/// S, optional: first phase of a two-phase checkpoint.
pub const PENDING: &str = "pendingCheckpoint";
/// N, optional. The capital S in `SubSequence` is KCL's.
pub const PENDING_SUB: &str = "pendingCheckpointSubSequenceNumber";
/// B, optional: an application's own bytes about the pending checkpoint; goes with it.
pub const PENDING_STATE: &str = "pendingCheckpointState";
/// SS, absent if none. Singular name, set type.
pub const PARENTS: &str = "parentShardId";
/// SS, absent if none.
pub const CHILDREN: &str = "childShardIds";
/// S: decimal 128-bit integer, inclusive.
pub const HASH_START: &str = "startingHashKey";
/// S: decimal 128-bit integer, inclusive.
pub const HASH_END: &str = "endingHashKey";
/// S, absent normally: KCL 3.x graceful hand-off.
pub const CHECKPOINT_OWNER: &str = "checkpointOwner";
/// S, KCL 3.5 and later: kind of row; absent means a lease.
pub const ENTITY_TYPE: &str = "entityType";
/// Value of [`ENTITY_TYPE`] on leases.
pub const ENTITY_LEASE: &str = "LEASE";

/// Ours, N: arrival time of the record at `checkpoint`, epoch milliseconds.
pub const CHECKPOINT_ARRIVAL_MS: &str = "checkpointArrivalMs";
/// Ours, N: start of an `AT_TIMESTAMP` lease, epoch milliseconds.
pub const INITIAL_TIMESTAMP_MS: &str = "initialTimestampMs";
/// Ours, N: creation time of the stream, epoch milliseconds.
pub const STREAM_CREATED_MS: &str = "streamCreatedMs";
/// Ours, S: the last worker of ours that took the lease.
pub const COOPERATIVE_OWNER: &str = "cooperativeOwner";
/// Ours, S: the worker that asked for the lease.
pub const HAND_OVER_TO: &str = "handOverTo";
/// Ours, S: which life of the owner took the lease.
pub const INCARNATION: &str = "incarnation";
/// Ours, N: everything that arrived up to then is done, epoch milliseconds.
pub const TIP_SEEN_MS: &str = "tipSeenMs";
/// Ours, N: failures of the work on the shard since its last checkpoint.
pub const FAILED_TASKS: &str = "failedTasks";
/// Ours, S: why it failed last.
pub const LAST_ERROR: &str = "lastError";

/// S, on leases of a multi-stream KCL application only: account, stream and creation time.
pub const STREAM_NAME: &str = "streamName";
