//! The writes and conditions of each lease operation.
//!
//! Every operation is an update of single attributes, so that attributes of other versions of KCL
//! survive.

use std::sync::Arc;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use kinesis_model::{EpochMs, HashRange, Position, ShardId};

use super::attributes as name;
use super::codec;
use crate::lease::{Checkpoint, Lease, WorkerId};

/// One operation of the holder, or of a worker that takes a lease. All are conditional on the
/// counter last read and raise it by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Heartbeat.
    Renew,
    /// Heartbeat of a holder that has done everything that arrived up to this time: whatever had
    /// failed is over.
    RenewAtTip(EpochMs),
    /// Become the owner.
    Take(WorkerId),
    /// `pendingCheckpoint` is set; the checkpoint does not move.
    Prepare {
        /// The end of what is about to be written.
        to: Position,
        /// The application's own bytes about it; none if empty.
        state: Bytes,
    },
    /// The checkpoint moves and the pending one goes.
    Commit {
        /// Everything up to here is done.
        to: Position,
        /// Arrival time of the record at `to`.
        arrival: EpochMs,
    },
    /// The shard is done; its children are known.
    Finish(Vec<ShardId>),
    /// An operator declares the shard done, and whoever holds the lease loses it.
    Close(Vec<ShardId>),
    /// Work on the shard has failed; the holder lets the lease lapse.
    Fail(Arc<str>),
    /// A lease that was deleted and created anew is put back where it stood.
    Restore(Box<Lease>),
    /// Give the lease up: to nobody, or to the worker that asked for it.
    Release(Option<WorkerId>),
    /// An operator moves the checkpoint, the owner (if any) loses the lease.
    Seek {
        /// The new checkpoint.
        to: Checkpoint,
        /// Start time, for [`Checkpoint::AtTimestamp`].
        initial_time: Option<EpochMs>,
    },
}

/// One conditional write of one row: what it sets and removes, and on which condition. It is the
/// whole of what a lease table is asked to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    /// Attributes to set.
    pub set: Vec<(&'static str, AttributeValue)>,
    /// Attributes to remove.
    pub remove: Vec<&'static str>,
    /// The conditions, all of which must hold, or nothing is written.
    pub conditions: Vec<Condition>,
}

/// A condition of a write.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The attribute has this value.
    Equals(&'static str, AttributeValue),
    /// The row has no such attribute, or there is no row.
    Absent(&'static str),
    /// The row has the attribute.
    Present(&'static str),
}

impl Update {
    pub(crate) fn set(&mut self, attribute: &'static str, value: AttributeValue) -> &mut Self {
        self.set.push((attribute, value));
        self
    }

    pub(crate) fn remove(&mut self, attributes: &[&'static str]) -> &mut Self {
        self.remove.extend(attributes);
        self
    }

    pub(crate) fn require(&mut self, attribute: &'static str, value: AttributeValue) -> &mut Self {
        self.conditions.push(Condition::Equals(attribute, value));
        self
    }

    pub(crate) fn require_absent(&mut self, attribute: &'static str) -> &mut Self {
        self.conditions.push(Condition::Absent(attribute));
        self
    }

    pub(crate) fn require_present(&mut self, attribute: &'static str) -> &mut Self {
        self.conditions.push(Condition::Present(attribute));
        self
    }
}

const OWNERS: [&str; 3] = [name::LEASE_OWNER, name::COOPERATIVE_OWNER, name::HAND_OVER_TO];
const FAILURE: [&str; 2] = [name::FAILED_TASKS, name::LAST_ERROR];
const PENDING_ALL: [&str; 3] = [name::PENDING, name::PENDING_SUB, name::PENDING_STATE];

impl Change {
    /// Returns the write that applies this change to `seen`, in the life `incarnation` of its
    /// worker.
    pub(crate) fn update(&self, seen: &Lease, incarnation: &Arc<str>) -> Update {
        let mut update = Update::default();
        update.require(name::LEASE_COUNTER, codec::number(seen.counter));
        update.set(name::LEASE_COUNTER, codec::number(seen.counter + 1));
        match self {
            Self::Renew => {}
            Self::RenewAtTip(at) => {
                update.set(name::TIP_SEEN_MS, codec::time(*at));
                update.remove(&FAILURE);
            }
            Self::Take(me) => {
                update.set(name::INCARNATION, AttributeValue::S(incarnation.to_string()));
                update.set(name::LEASE_OWNER, codec::worker(me));
                update.set(name::COOPERATIVE_OWNER, codec::worker(me));
                update.remove(&[name::CHECKPOINT_OWNER, name::HAND_OVER_TO]);
                if seen.owner.as_ref() != Some(me) {
                    update.set(name::OWNER_SWITCHES, codec::number(seen.owner_switches + 1));
                }
            }
            Self::Prepare { to, state } => {
                let pending = Checkpoint::Sequence(*to);
                update.set(name::PENDING, codec::checkpoint_text(&pending));
                update.set(name::PENDING_SUB, codec::checkpoint_sub(&pending));
                if state.is_empty() {
                    update.remove(&[name::PENDING_STATE]);
                } else {
                    let state = AttributeValue::B(Blob::new(&state[..]));
                    update.set(name::PENDING_STATE, state);
                }
            }
            Self::Commit { to, arrival } => {
                set_checkpoint(&mut update, &Checkpoint::Sequence(*to));
                update.set(name::CHECKPOINT_ARRIVAL_MS, codec::time(*arrival));
            }
            Self::Finish(children) | Self::Close(children) => {
                set_checkpoint(&mut update, &Checkpoint::ShardEnd);
                if matches!(self, Self::Close(_)) {
                    update.remove(&OWNERS);
                }
                if let Some(set) = codec::shard_set(children) {
                    update.set(name::CHILDREN, set);
                }
            }
            Self::Fail(why) => {
                update.set(name::FAILED_TASKS, codec::number(seen.failures.saturating_add(1)));
                update.set(name::LAST_ERROR, AttributeValue::S(why.to_string()));
            }
            Self::Restore(lease) => stand(&mut update, lease),
            // `cooperativeOwner` stays: it tells who gave the lease back, and wants none.
            Self::Release(None) => {
                update.remove(&[name::LEASE_OWNER, name::HAND_OVER_TO]);
            }
            // `handOverTo` stays: with `leaseOwner` equal to it the lease is assigned, not held.
            Self::Release(Some(next)) => {
                update.set(name::LEASE_OWNER, codec::worker(next));
                update.set(name::OWNER_SWITCHES, codec::number(seen.owner_switches + 1));
                update.remove(&[name::COOPERATIVE_OWNER]);
            }
            Self::Seek { to, initial_time } => {
                set_checkpoint(&mut update, to);
                update.remove(&OWNERS);
                update.remove(&[name::CHECKPOINT_ARRIVAL_MS, name::TIP_SEEN_MS]);
                if let Some(time) = initial_time {
                    update.set(name::INITIAL_TIMESTAMP_MS, codec::time(*time));
                }
            }
        }
        update
    }

    /// Returns whether `row` is what this change makes of `seen`: the write was stored although its
    /// reply was lost. The counter and owner alone do not tell, since a late heartbeat of ours
    /// raises the counter just the same.
    ///
    /// Neither does the worker's id: a process that was paused and its successor may share one.
    pub(crate) fn made(&self, seen: &Lease, row: &Lease, incarnation: &Arc<str>) -> bool {
        if row.counter != seen.counter + 1 {
            return false;
        }
        let still_ours = is_same_holder(seen, row);
        match self {
            Self::Renew => still_ours,
            Self::RenewAtTip(at) => still_ours && row.tip_seen == Some(*at),
            Self::Take(me) => {
                let by_us = row.incarnation.as_ref() == Some(incarnation);
                by_us && row.owner.as_ref() == Some(me) && row.is_cooperative()
            }
            Self::Prepare { to, .. } => {
                still_ours && row.pending == Some(Checkpoint::Sequence(*to))
            }
            Self::Commit { to, .. } => {
                still_ours && row.pending.is_none() && row.checkpoint == Checkpoint::Sequence(*to)
            }
            Self::Finish(_) => still_ours && row.is_finished(),
            Self::Close(_) => row.owner.is_none() && row.is_finished(),
            Self::Fail(_) => still_ours && row.failures > seen.failures,
            Self::Restore(lease) => row.owner.is_none() && row.checkpoint == lease.checkpoint,
            Self::Release(next) => row.owner == *next,
            Self::Seek { to, .. } => row.owner.is_none() && row.checkpoint == *to,
        }
    }
}

/// Returns whether both rows are the same life of the same worker's.
pub(crate) fn is_same_holder(seen: &Lease, row: &Lease) -> bool {
    row.owner == seen.owner && row.incarnation == seen.incarnation
}

fn set_checkpoint(update: &mut Update, to: &Checkpoint) {
    update.set(name::CHECKPOINT, codec::checkpoint_text(to));
    update.set(name::CHECKPOINT_SUB, codec::checkpoint_sub(to));
    update.set(name::OWNER_SWITCHES, codec::number(0));
    update.remove(&PENDING_ALL);
    update.remove(&FAILURE);
}

/// Sets where a lease stands: what is done, what is prepared, and what is known of both.
fn stand(update: &mut Update, lease: &Lease) {
    update.set(name::CHECKPOINT, codec::checkpoint_text(&lease.checkpoint));
    update.set(name::CHECKPOINT_SUB, codec::checkpoint_sub(&lease.checkpoint));
    if let Some(pending) = &lease.pending {
        update.set(name::PENDING, codec::checkpoint_text(pending));
        update.set(name::PENDING_SUB, codec::checkpoint_sub(pending));
    }
    if let Some(state) = &lease.pending_state {
        update.set(name::PENDING_STATE, AttributeValue::B(Blob::new(&state[..])));
    }
    let times = [
        (name::CHECKPOINT_ARRIVAL_MS, lease.checkpoint_arrival),
        (name::INITIAL_TIMESTAMP_MS, lease.initial_time),
        (name::STREAM_CREATED_MS, lease.stream_created),
        (name::TIP_SEEN_MS, lease.tip_seen),
    ];
    for (attribute, time) in times {
        if let Some(time) = time {
            update.set(attribute, codec::time(time));
        }
    }
}

/// Returns the write that creates `lease`, unless a row with its key exists.
pub(crate) fn creation(lease: &Lease) -> Update {
    let mut update = Update::default();
    update.require_absent(name::LEASE_KEY);
    update.set(name::LEASE_COUNTER, codec::number(lease.counter));
    update.set(name::OWNER_SWITCHES, codec::number(lease.owner_switches));
    stand(&mut update, lease);
    update.set(name::ENTITY_TYPE, AttributeValue::S(name::ENTITY_LEASE.to_owned()));
    if let Some(set) = codec::shard_set(&lease.parents) {
        update.set(name::PARENTS, set);
    }
    if let Some(set) = codec::shard_set(&lease.children) {
        update.set(name::CHILDREN, set);
    }
    if let Some(range) = lease.hash_range {
        set_hash_range(&mut update, range);
    }
    update
}

/// Makes KCL's metadata update at shard end: children, on condition that the row exists. It does
/// not raise the counter, so it never disturbs the holder.
pub(crate) fn children(set: AttributeValue) -> Update {
    let mut update = Update::default();
    update.require_present(name::LEASE_KEY);
    update.set(name::CHILDREN, set);
    update
}

/// Makes KCL's metadata update of hash keys, on condition that the row exists and has none.
pub(crate) fn hash_range(range: HashRange) -> Update {
    let mut update = Update::default();
    update.require_present(name::LEASE_KEY);
    update.require_absent(name::HASH_START);
    set_hash_range(&mut update, range);
    update
}

fn set_hash_range(update: &mut Update, range: HashRange) {
    update.set(name::HASH_START, AttributeValue::S(range.start.to_string()));
    update.set(name::HASH_END, AttributeValue::S(range.end.to_string()));
}

/// Asks the holder of `seen` to hand the lease over to `to`. Does not raise the counter: the
/// holder keeps renewing and reads the request in the answer to its next heartbeat.
pub(crate) fn hand_over_request(seen: &Lease, to: &WorkerId) -> Update {
    let mut update = Update::default();
    if let Some(owner) = &seen.owner {
        update.require(name::LEASE_OWNER, codec::worker(owner));
    }
    match &seen.hand_over_to {
        Some(other) => update.require(name::HAND_OVER_TO, codec::worker(other)),
        None => update.require_absent(name::HAND_OVER_TO),
    };
    update.set(name::HAND_OVER_TO, codec::worker(to));
    update
}
