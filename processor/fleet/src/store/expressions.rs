//! What each lease operation writes and on which condition, as DynamoDB expressions.
//!
//! Every operation is an `UpdateItem`, so that attributes of other versions of KCL survive.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use kinesis_model::{EpochMs, Position, ShardId};

use super::attributes as name;
use super::codec;
use crate::lease::{Checkpoint, Lease, WorkerId};

/// One operation of the holder, or of a worker that takes a lease. All are conditional on the
/// counter last read and raise it by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Heartbeat.
    Renew,
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

/// An `UpdateItem` under construction: clauses and the values they name.
#[derive(Default)]
pub(crate) struct Update {
    set: Vec<String>,
    remove: Vec<&'static str>,
    conditions: Vec<String>,
    names: BTreeMap<&'static str, String>,
    values: HashMap<String, AttributeValue>,
}

impl Update {
    /// Attribute names are always aliased, so that none can clash with a reserved word.
    fn alias(&mut self, attribute: &'static str) -> String {
        let next = self.names.len();
        self.names.entry(attribute).or_insert_with(|| format!("#a{next}")).clone()
    }

    fn bind(&mut self, value: AttributeValue) -> String {
        let key = format!(":v{}", self.values.len());
        self.values.insert(key.clone(), value);
        key
    }

    pub(crate) fn set(&mut self, attribute: &'static str, value: AttributeValue) -> &mut Self {
        let clause = format!("{} = {}", self.alias(attribute), self.bind(value));
        self.set.push(clause);
        self
    }

    pub(crate) fn remove(&mut self, attributes: &[&'static str]) -> &mut Self {
        self.remove.extend(attributes);
        self
    }

    pub(crate) fn require(&mut self, attribute: &'static str, value: AttributeValue) -> &mut Self {
        let clause = format!("{} = {}", self.alias(attribute), self.bind(value));
        self.conditions.push(clause);
        self
    }

    pub(crate) fn require_absent(&mut self, attribute: &'static str) -> &mut Self {
        let clause = format!("attribute_not_exists({})", self.alias(attribute));
        self.conditions.push(clause);
        self
    }

    pub(crate) fn require_present(&mut self, attribute: &'static str) -> &mut Self {
        let clause = format!("attribute_exists({})", self.alias(attribute));
        self.conditions.push(clause);
        self
    }

    /// Update expression, condition expression, names, values.
    pub(crate) fn finish(mut self) -> Expressions {
        let mut clauses = Vec::new();
        if !self.set.is_empty() {
            clauses.push(format!("SET {}", self.set.join(", ")));
        }
        let removed = std::mem::take(&mut self.remove);
        let removed: Vec<_> = removed.into_iter().map(|a| self.alias(a)).collect();
        if !removed.is_empty() {
            clauses.push(format!("REMOVE {}", removed.join(", ")));
        }
        Expressions {
            update: clauses.join(" "),
            condition: self.conditions.join(" AND "),
            names: self.names.into_iter().map(|(name, alias)| (alias, name.to_owned())).collect(),
            values: self.values,
        }
    }
}

/// The four parameters of a conditional `UpdateItem`.
#[derive(Clone, Debug)]
pub(crate) struct Expressions {
    pub(crate) update: String,
    pub(crate) condition: String,
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: HashMap<String, AttributeValue>,
}

const PENDING_ALL: [&str; 3] = [name::PENDING, name::PENDING_SUB, name::PENDING_STATE];

impl Change {
    /// The request that applies this change to `seen`.
    pub(crate) fn expressions(&self, seen: &Lease) -> Expressions {
        let mut update = Update::default();
        update.require(name::LEASE_COUNTER, codec::number(seen.counter));
        update.set(name::LEASE_COUNTER, codec::number(seen.counter + 1));
        match self {
            Self::Renew => {}
            Self::Take(me) => {
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
            Self::Finish(children) => {
                set_checkpoint(&mut update, &Checkpoint::ShardEnd);
                if let Some(set) = codec::shard_set(children) {
                    update.set(name::CHILDREN, set);
                }
            }
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
                update.remove(&[name::LEASE_OWNER, name::COOPERATIVE_OWNER, name::HAND_OVER_TO]);
                update.remove(&[name::CHECKPOINT_ARRIVAL_MS]);
                if let Some(time) = initial_time {
                    update.set(name::INITIAL_TIMESTAMP_MS, codec::time(*time));
                }
            }
        }
        update.finish()
    }

    /// Whether `row` is what this change makes of `seen`: the write was stored although its reply
    /// was lost. The counter and owner alone do not tell, since a late heartbeat of ours raises
    /// the counter just the same.
    pub(crate) fn made(&self, seen: &Lease, row: &Lease) -> bool {
        if row.counter != seen.counter + 1 {
            return false;
        }
        let still_ours = row.owner == seen.owner;
        match self {
            Self::Renew => still_ours,
            Self::Take(me) => row.owner.as_ref() == Some(me) && row.is_cooperative(),
            Self::Prepare { to, .. } => {
                still_ours && row.pending == Some(Checkpoint::Sequence(*to))
            }
            Self::Commit { to, .. } => {
                still_ours && row.pending.is_none() && row.checkpoint == Checkpoint::Sequence(*to)
            }
            Self::Finish(_) => still_ours && row.is_finished(),
            Self::Release(next) => row.owner == *next,
            Self::Seek { to, .. } => row.owner.is_none() && row.checkpoint == *to,
        }
    }
}

fn set_checkpoint(update: &mut Update, to: &Checkpoint) {
    update.set(name::CHECKPOINT, codec::checkpoint_text(to));
    update.set(name::CHECKPOINT_SUB, codec::checkpoint_sub(to));
    update.set(name::OWNER_SWITCHES, codec::number(0));
    update.remove(&PENDING_ALL);
}

/// The request that creates `lease`, unless a row with its key exists.
pub(crate) fn creation(lease: &Lease) -> Expressions {
    let mut update = Update::default();
    update.require_absent(name::LEASE_KEY);
    update.set(name::LEASE_COUNTER, codec::number(lease.counter));
    update.set(name::OWNER_SWITCHES, codec::number(lease.owner_switches));
    update.set(name::CHECKPOINT, codec::checkpoint_text(&lease.checkpoint));
    update.set(name::CHECKPOINT_SUB, codec::checkpoint_sub(&lease.checkpoint));
    update.set(name::ENTITY_TYPE, AttributeValue::S(name::ENTITY_LEASE.to_owned()));
    if let Some(set) = codec::shard_set(&lease.parents) {
        update.set(name::PARENTS, set);
    }
    if let Some(range) = lease.hash_range {
        update.set(name::HASH_START, AttributeValue::S(range.start.to_string()));
        update.set(name::HASH_END, AttributeValue::S(range.end.to_string()));
    }
    if let Some(at) = lease.initial_time {
        update.set(name::INITIAL_TIMESTAMP_MS, codec::time(at));
    }
    if let Some(at) = lease.stream_created {
        update.set(name::STREAM_CREATED_MS, codec::time(at));
    }
    update.finish()
}

/// KCL's metadata update at shard end: children, on condition that the row exists. It does not
/// raise the counter, so it never disturbs the holder.
pub(crate) fn children(set: AttributeValue) -> Expressions {
    let mut update = Update::default();
    update.require_present(name::LEASE_KEY);
    update.set(name::CHILDREN, set);
    update.finish()
}

/// Asks the holder of `seen` to hand the lease over to `to`. Does not raise the counter: the
/// holder keeps renewing and reads the request in the answer to its next heartbeat.
pub(crate) fn hand_over_request(seen: &Lease, to: &WorkerId) -> Expressions {
    let mut update = Update::default();
    if let Some(owner) = &seen.owner {
        update.require(name::LEASE_OWNER, codec::worker(owner));
    }
    match &seen.hand_over_to {
        Some(other) => update.require(name::HAND_OVER_TO, codec::worker(other)),
        None => update.require_absent(name::HAND_OVER_TO),
    };
    update.set(name::HAND_OVER_TO, codec::worker(to));
    update.finish()
}
