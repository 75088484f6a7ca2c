//! An operator's work on a lease table: look, check, move a checkpoint, free a lease.

pub mod stream;

use std::collections::{HashMap, HashSet};
use std::fmt;

use kinesis_model::{EpochMs, HashRange, ShardId};

use crate::config::InitialPosition;
use crate::lease::{Checkpoint, ChildShard, Lease, WorkerId};
use crate::store::expressions::Change;
use crate::store::{Creation, LeaseStore, LeftOut, StoreError, Write};
use crate::sync::{ShardInfo, child_lease, holes, parents_are_done};

/// Something in a lease table that a running fleet does not leave behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// No unfinished lease has these hash keys: their records are read by nobody. The next shard
    /// sync of a worker repairs it if the stream still lists the shards.
    Hole(HashRange),
    /// The lease has no hash keys, so the cover cannot be told.
    NoHashRange(ShardId),
    /// A child was read before its parent was finished.
    ChildAheadOfParent {
        /// The child.
        child: ShardId,
        /// The parent.
        parent: ShardId,
    },
    /// A finished lease without a child lease.
    FinishedWithoutChildren(ShardId),
    /// A KCL 3.x hand-off has begun and not ended.
    HandOffUnderWay {
        /// The lease.
        shard: ShardId,
        /// Who may still checkpoint.
        from: WorkerId,
    },
    /// The leases belong to streams created at different times.
    SeveralStreams,
    /// The leases belong to an earlier stream of the same name: no worker starts on them.
    EarlierStream,
    /// An open shard has no lease and no parent that is still read. The next shard sync of a
    /// worker creates it.
    NoLease(ShardId),
    /// The stream has no such shard any more and its lease is unfinished: what was unread is lost.
    ShardGone(ShardId),
    /// The stream does not know the checkpoint: the lease belongs to another stream, or somebody
    /// wrote it. Nobody can read on from there.
    ForeignCheckpoint {
        /// The lease.
        shard: ShardId,
        /// The position that it says is done.
        checkpoint: Checkpoint,
        /// The stream's own words.
        says: String,
    },
    /// The owner of a lease does not renew it: it is dead, or stands still.
    SilentOwner {
        /// The lease.
        shard: ShardId,
        /// Who holds it.
        owner: WorkerId,
    },
    /// Work on a shard fails and is tried again.
    Failing {
        /// The lease.
        shard: ShardId,
        /// How often since its last checkpoint.
        failures: u64,
        /// Why, the last time.
        error: String,
    },
    /// A row that no worker reads.
    LeftOut {
        /// Its key.
        key: String,
        /// Why, in words.
        why: String,
    },
}

impl Finding {
    /// Returns a short name of the kind, for programs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Hole(_) => "hole",
            Self::NoHashRange(_) => "no_hash_range",
            Self::ChildAheadOfParent { .. } => "child_ahead_of_parent",
            Self::FinishedWithoutChildren(_) => "finished_without_children",
            Self::HandOffUnderWay { .. } => "hand_off_under_way",
            Self::SeveralStreams => "several_streams",
            Self::EarlierStream => "earlier_stream",
            Self::NoLease(_) => "no_lease",
            Self::ShardGone(_) => "shard_gone",
            Self::ForeignCheckpoint { .. } => "foreign_checkpoint",
            Self::SilentOwner { .. } => "silent_owner",
            Self::Failing { .. } => "failing",
            Self::LeftOut { .. } => "left_out",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hole(range) => {
                write!(f, "no unfinished lease has hash keys {} to {}", range.start, range.end)
            }
            Self::NoHashRange(shard) => write!(f, "{shard} has no hash keys"),
            Self::ChildAheadOfParent { child, parent } => {
                write!(f, "{child} was read before its parent {parent} was finished")
            }
            Self::FinishedWithoutChildren(shard) => {
                write!(f, "{shard} is finished and no lease continues it")
            }
            Self::HandOffUnderWay { shard, from } => {
                write!(f, "a hand-off of {shard} from {from} has begun and not ended")
            }
            Self::SeveralStreams => f.write_str("the leases belong to several streams"),
            Self::EarlierStream => {
                f.write_str("the leases belong to an earlier stream of the same name")
            }
            Self::NoLease(shard) => write!(f, "open shard {shard} has no lease"),
            Self::ShardGone(shard) => {
                write!(f, "the stream has no {shard} any more, and its lease is unfinished")
            }
            Self::ForeignCheckpoint { shard, checkpoint, says } => write!(
                f,
                "{shard} stands at {checkpoint}, which the stream does not know ({says}); `leases \
                 seek` moves it"
            ),
            Self::SilentOwner { shard, owner } => {
                write!(f, "{owner} holds {shard} and does not renew it")
            }
            Self::Failing { shard, failures, error } => {
                let times = if *failures == 1 { "once" } else { "again and again" };
                write!(f, "{shard} has failed {times} since its last checkpoint: {error}")
            }
            Self::LeftOut { key, why } => write!(f, "row `{key}` is left out: {why}"),
        }
    }
}

/// Checks a lease table as read; empty means nothing was found. Pure.
#[must_use]
pub fn verify(leases: &[Lease]) -> Vec<Finding> {
    let by_key: HashMap<_, _> = leases.iter().map(|lease| (&lease.key, lease)).collect();
    let parents: HashSet<_> = leases.iter().flat_map(|lease| &lease.parents).collect();
    let mut findings = Vec::new();
    for lease in leases {
        if lease.hash_range.is_none() {
            findings.push(Finding::NoHashRange(lease.key.clone()));
        }
        if lease.checkpoint > Checkpoint::Latest {
            let own = lease.parents.iter().filter_map(|parent| by_key.get(parent));
            findings.extend(own.filter(|parent| !parent.is_finished()).map(|parent| {
                Finding::ChildAheadOfParent { child: lease.key.clone(), parent: parent.key.clone() }
            }));
        }
        if lease.is_finished() && !parents.contains(&lease.key) && !awaits_cousin(lease, leases) {
            findings.push(Finding::FinishedWithoutChildren(lease.key.clone()));
        }
        if !lease.is_finished() && lease.failures > 0 {
            let error = lease.last_error.as_deref().unwrap_or("it is not known why").to_owned();
            let (shard, failures) = (lease.key.clone(), lease.failures);
            findings.push(Finding::Failing { shard, failures, error });
        }
        if let Some(from) = &lease.checkpoint_owner {
            let (shard, from) = (lease.key.clone(), from.clone());
            findings.push(Finding::HandOffUnderWay { shard, from });
        }
    }
    let mut created = leases.iter().filter_map(|lease| lease.stream_created);
    if let Some(first) = created.next()
        && created.any(|other| other != first)
    {
        findings.push(Finding::SeveralStreams);
    }
    // Who finishes the other parent creates the lease of the merged shard.
    let live = leases.iter().filter(|lease| !lease.is_finished() || awaits_cousin(lease, leases));
    findings
        .extend(holes(live.filter_map(|lease| lease.hash_range)).into_iter().map(Finding::Hole));
    findings
}

/// Returns whether the only child of a finished shard is a merged one that waits for its other
/// parent.
fn awaits_cousin(lease: &Lease, leases: &[Lease]) -> bool {
    let [child] = lease.children.as_slice() else { return false };
    let waits = leases.iter().all(|other| other.key != *child);
    waits && leases.iter().any(|other| !other.is_finished() && other.key != lease.key)
}

/// Returns the leases whose owners did not write to them between two readings of the table, which
/// must be longer apart than a heartbeat. Pure.
#[must_use]
pub fn silent_owners(before: &[Lease], after: &[Lease]) -> Vec<Finding> {
    let earlier: HashMap<_, _> = before.iter().map(|lease| (&lease.key, lease)).collect();
    let still = |lease: &&Lease| {
        let before = earlier.get(&lease.key);
        before.is_some_and(|before| before.counter == lease.counter && before.owner == lease.owner)
    };
    let unfinished = after.iter().filter(|lease| !lease.is_finished());
    let silent = unfinished.filter(still).filter_map(|lease| {
        let (shard, owner) = (lease.key.clone(), lease.owner.clone()?);
        Some(Finding::SilentOwner { shard, owner })
    });
    silent.collect()
}

/// Returns rows that were left out of a reading of the table, as findings.
#[must_use]
pub fn left_out(rows: &[LeftOut]) -> Vec<Finding> {
    let one = |row: &LeftOut| Finding::LeftOut { key: row.key.clone(), why: row.why.clone() };
    rows.iter().map(one).collect()
}

/// The outcome of an operator's change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Stored; the row as it is now.
    Done(Box<Lease>),
    /// The lease has an owner; nothing was changed. Stop that worker, or force it.
    Owned(WorkerId),
    /// An epoch that ends here was prepared and not committed, so some rows may hold it; nothing
    /// was changed. Let a worker finish it first, or force it.
    Prepared(Checkpoint),
    /// There is no such lease.
    NoLease,
    /// The row changed again and again while we tried.
    Busy,
}

/// Holders write a lease every few seconds, so a second try nearly always succeeds.
const TRIES: usize = 5;

/// Moves the checkpoint of `shard` to `to`, drops what was pending, and leaves the lease without
/// an owner. `initial_time` is the start of [`Checkpoint::AtTimestamp`].
///
/// With `force` a lease that has an owner or a prepared epoch is changed too; the owner finds out
/// at its next write. Moving a checkpoint back makes the fleet read records again, forward makes it
/// skip some.
///
/// # Errors
/// See [`StoreError`].
pub async fn seek(
    store: &LeaseStore,
    shard: &ShardId,
    to: Checkpoint,
    initial_time: Option<EpochMs>,
    force: bool,
) -> Result<Changed, StoreError> {
    change(store, shard, &Change::Seek { to, initial_time }, force).await
}

/// Takes the lease of `shard` from its owner, if it has one, so that any worker may start on it at
/// once. A live owner finds out at its next write.
///
/// # Errors
/// See [`StoreError`].
pub async fn release(store: &LeaseStore, shard: &ShardId) -> Result<Changed, StoreError> {
    change(store, shard, &Change::Release(None), true).await
}

/// Finishes the lease of a shard that the stream, which has `shards`, does not have any more, and
/// creates the leases of its children as far as their other parents allow. Whoever holds the lease
/// loses it. Who calls this knows that the shard is gone: see [`stream::is_gone`].
///
/// # Errors
/// See [`StoreError`].
pub async fn finish(
    store: &LeaseStore,
    shard: &ShardId,
    shards: &[ShardInfo],
) -> Result<Changed, StoreError> {
    let leases = store.list().await?;
    let Some(lease) = leases.iter().find(|lease| lease.key == *shard) else {
        return Ok(Changed::NoLease);
    };
    let children: Vec<_> = shards.iter().filter(|info| info.parents.contains(shard)).collect();
    for child in &children {
        let others: Vec<_> =
            child.parents.iter().filter(|parent| *parent != shard).cloned().collect();
        if parents_are_done(&others, shards, &leases, InitialPosition::TrimHorizon) {
            let child = ChildShard {
                shard: child.id.clone(),
                parents: child.parents.clone(),
                hash_range: child.hash_range,
            };
            let creation = store.create(&child_lease(lease, &child)).await?;
            tracing::info!(shard = %child.shard, new = creation == Creation::Created, "child");
        }
    }
    let ids = children.iter().map(|child| child.id.clone()).collect();
    change(store, shard, &Change::Close(ids), true).await
}

async fn change(
    store: &LeaseStore,
    shard: &ShardId,
    change: &Change,
    force: bool,
) -> Result<Changed, StoreError> {
    for _ in 0..TRIES {
        let Some(lease) = store.get(shard).await? else { return Ok(Changed::NoLease) };
        if let Some(owner) = lease.owner.clone().filter(|_| !force) {
            return Ok(Changed::Owned(owner));
        }
        if let Some(pending) = lease.pending.filter(|_| !force) {
            return Ok(Changed::Prepared(pending));
        }
        match store.apply(&lease, change).await? {
            Write::Done(row) => return Ok(Changed::Done(row)),
            Write::Lost(None) => return Ok(Changed::NoLease),
            Write::Lost(Some(_)) => {}
        }
    }
    Ok(Changed::Busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(key: &str, parents: &[&str], checkpoint: Checkpoint, range: HashRange) -> Lease {
        let mut lease = Lease::new(ShardId::new(key), checkpoint);
        lease.parents = parents.iter().map(|parent| ShardId::new(parent)).collect();
        lease.hash_range = Some(range);
        lease
    }

    #[test]
    fn a_table_in_order_has_no_findings() {
        let half = u128::MAX / 2;
        let (low, high) =
            (HashRange { start: 0, end: half }, HashRange { start: half + 1, end: u128::MAX });
        let leases = [
            lease("0", &[], Checkpoint::ShardEnd, HashRange::ALL),
            lease("1", &["0"], Checkpoint::TrimHorizon, low),
            lease("2", &["0"], Checkpoint::Sequence("7".parse().unwrap()), high),
        ];
        assert_eq!(verify(&leases), []);
    }

    #[test]
    fn an_owner_that_does_not_write_is_silent_and_one_that_changed_is_not() {
        let mut held = lease("0", &[], Checkpoint::TrimHorizon, HashRange::ALL);
        held.owner = Some(WorkerId::new("a"));
        held.counter = 7;
        let silent = Finding::SilentOwner { shard: ShardId::new("0"), owner: WorkerId::new("a") };
        let before = [held.clone()];
        assert_eq!(silent_owners(&before, &before), [silent]);
        let moved = Lease { counter: 8, ..held.clone() };
        assert_eq!(silent_owners(&before, &[moved]), []);
        let free = Lease { owner: None, ..held.clone() };
        assert_eq!(silent_owners(std::slice::from_ref(&free), std::slice::from_ref(&free)), []);
        let done = Lease { checkpoint: Checkpoint::ShardEnd, ..held };
        assert_eq!(silent_owners(std::slice::from_ref(&done), std::slice::from_ref(&done)), []);
    }

    #[test]
    fn a_shard_that_fails_is_named_with_its_reason() {
        let mut failing = lease("0", &[], Checkpoint::TrimHorizon, HashRange::ALL);
        failing.failures = 3;
        failing.last_error = Some("table `t` is gone".into());
        let [finding] = verify(&[failing]).try_into().unwrap();
        assert_eq!(finding.kind(), "failing");
        assert!(finding.to_string().contains("table `t` is gone"), "{finding}");
    }

    #[test]
    fn a_finished_parent_of_a_merged_shard_may_wait_for_the_other() {
        let half = u128::MAX / 2;
        let (low, high) =
            (HashRange { start: 0, end: half }, HashRange { start: half + 1, end: u128::MAX });
        let mut done = lease("0", &[], Checkpoint::ShardEnd, low);
        done.children = vec![ShardId::new("2")];
        let other = lease("1", &[], Checkpoint::TrimHorizon, high);
        assert_eq!(verify(&[done.clone(), other.clone()]), []);
        let both = Lease { checkpoint: Checkpoint::ShardEnd, ..other };
        assert!(
            verify(&[done, both]).contains(&Finding::FinishedWithoutChildren(ShardId::new("0")))
        );
    }

    #[test]
    fn what_is_out_of_order_is_named() {
        let low = HashRange { start: 0, end: 9 };
        let mut child = lease("1", &["0"], Checkpoint::Sequence("7".parse().unwrap()), low);
        child.checkpoint_owner = Some(WorkerId::new("java"));
        child.stream_created = Some(EpochMs(1));
        let mut parent = lease("0", &[], Checkpoint::TrimHorizon, low);
        parent.hash_range = None;
        parent.stream_created = Some(EpochMs(2));
        let done = lease("3", &[], Checkpoint::ShardEnd, HashRange::ALL);
        let shard = ShardId::new;
        let expected = [
            Finding::ChildAheadOfParent { child: shard("1"), parent: shard("0") },
            Finding::HandOffUnderWay { shard: shard("1"), from: WorkerId::new("java") },
            Finding::NoHashRange(shard("0")),
            Finding::FinishedWithoutChildren(shard("3")),
            Finding::SeveralStreams,
            Finding::Hole(HashRange { start: 10, end: u128::MAX }),
        ];
        assert_eq!(verify(&[child, parent, done]), expected);
    }
}
