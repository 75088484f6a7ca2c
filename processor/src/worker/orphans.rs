//! Letters of the outbox that nobody else will send.
//!
//! Those of a shard are its owner's to send. A shard that is finished has none any more: its letters are
//! the first worker's, by name, of ours that hold a lease. Whoever sees that another is the first lets go
//! at its next look, and the first waits for one look before it takes anything, so that hardly a letter
//! has two senders.

use std::collections::BTreeSet;
use std::time::Duration;

use kinesis_fleet::{Checkpoint, LeasePhase, LeaseStatus, Observer, WorkerId};
use kinesis_model::ShardId;
use tokio::time::MissedTickBehavior;

use crate::sink::outbox::Outbox;

/// How often the outbox is listed when nothing has happened for long.
const SWEEP: Duration = Duration::from_secs(300);

/// Sends what is left behind, for as long as the worker lives.
pub(super) async fn run(outbox: Outbox, fleet: Observer) {
    // So long a worker may believe that nothing has changed.
    let look = Duration::from_millis(fleet.failover_ms());
    let mut every = tokio::time::interval_at(crate::clock::instant() + look, look);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = Seen::default();
    let mut sweeps = Sweeps::of(look);
    loop {
        every.tick().await;
        let now = Seen::of(&fleet.leases(), fleet.worker_id());
        outbox.keep(|shard| !now.is_let_go(shard, &seen));
        let was_not_listed = outbox.take_unlisted();
        if sweeps.is_due(was_not_listed || now.is_news(&seen))
            && let Err(error) = outbox.sweep(|shard| now.is_ours(shard, &seen)).await
        {
            tracing::warn!(%error, "the outbox could not be listed");
            sweeps.again();
        }
        seen = now;
    }
}

/// The lease table as this worker saw it at one look.
#[derive(Debug, Default)]
struct Seen {
    /// Shards that somebody reads, or will.
    open: BTreeSet<ShardId>,
    /// Those of them that are held here.
    ours: BTreeSet<ShardId>,
    finished: BTreeSet<ShardId>,
    /// Whether this worker is the first; `None` without any.
    is_first: Option<bool>,
}

impl Seen {
    fn of(leases: &[LeaseStatus], me: &WorkerId) -> Self {
        let is_held = |lease: &LeaseStatus| lease.state != LeasePhase::Lost;
        let is_candidate =
            |lease: &LeaseStatus, owner: &WorkerId| owner == me || lease.is_cooperative;
        let mut seen = Self::default();
        let mut first: Option<&WorkerId> = None;
        for lease in leases {
            let shard = lease.shard.clone();
            if lease.checkpoint == Checkpoint::ShardEnd {
                seen.finished.insert(shard);
                continue;
            }
            if let Some(owner) = lease.owner.as_ref().filter(|_| is_held(lease)) {
                if is_candidate(lease, owner) {
                    first = Some(first.map_or(owner, |first| first.min(owner)));
                }
                if owner == me {
                    seen.ours.insert(shard.clone());
                }
            }
            seen.open.insert(shard);
        }
        seen.is_first = first.map(|first| first == me);
        seen
    }

    /// Returns whether there may be letters for this worker that there were not `before`.
    fn is_news(&self, before: &Self) -> bool {
        let is_first = self.is_first == Some(true);
        let is_over =
            !self.finished.is_subset(&before.finished) || !before.open.is_subset(&self.open);
        is_first && (before.is_first != Some(true) || is_over)
    }

    /// Returns whether this worker sends what waits for a shard.
    fn is_ours(&self, shard: &ShardId, before: &Self) -> bool {
        let is_first = [self, before].iter().all(|seen| seen.is_first == Some(true));
        let is_over = [self, before].iter().all(|seen| !seen.open.contains(shard));
        self.ours.contains(shard) || (is_first && is_over)
    }

    /// Returns whether what waits for a shard is the first worker's now, and that is another.
    fn is_let_go(&self, shard: &ShardId, before: &Self) -> bool {
        let is_over = self.finished.contains(shard)
            || (before.open.contains(shard) && !self.open.contains(shard));
        self.is_first == Some(false) && is_over
    }
}

/// When the outbox is listed: at the look after some news, and then ever more seldom, for a worker that
/// was cut off may be late with a letter.
#[derive(Debug)]
struct Sweeps {
    /// So many looks from one to the next.
    pause: u32,
    /// So many looks until the next.
    left: u32,
    longest: u32,
}

impl Sweeps {
    fn of(look: Duration) -> Self {
        let looks = SWEEP.as_millis() / look.as_millis().max(1);
        Self { pause: 1, left: 1, longest: u32::try_from(looks).unwrap_or(u32::MAX).max(1) }
    }

    /// Returns whether it is time, at each look.
    fn is_due(&mut self, is_news: bool) -> bool {
        if is_news {
            self.again();
            return false;
        }
        self.left -= 1;
        if self.left > 0 {
            return false;
        }
        self.pause = self.pause.saturating_mul(2).min(self.longest);
        self.left = self.pause;
        true
    }

    /// Has the next look list it.
    fn again(&mut self) {
        self.pause = 1;
        self.left = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Checkpoint = Checkpoint::ShardEnd;
    const OPEN: Checkpoint = Checkpoint::TrimHorizon;

    fn lease(shard: &str, owner: &str, checkpoint: Checkpoint) -> LeaseStatus {
        let state = match owner {
            _ if checkpoint == END => LeasePhase::Finished,
            "me" => LeasePhase::Running,
            _ => LeasePhase::Elsewhere,
        };
        LeaseStatus {
            shard: ShardId::new(shard),
            owner: Some(WorkerId::new(owner)),
            is_cooperative: true,
            state,
            counter: 1,
            checkpoint,
            pending: None,
            checkpoint_arrival: None,
            tip_seen: None,
            failures: 0,
            last_error: None,
            still_ms: 0,
            valid_for_ms: None,
        }
    }

    fn seen(leases: &[LeaseStatus]) -> Seen {
        Seen::of(leases, &WorkerId::new("me"))
    }

    fn shards(wanted: impl Fn(&ShardId) -> bool) -> Vec<&'static str> {
        ["done", "gone", "mine", "theirs"]
            .into_iter()
            .filter(|shard| wanted(&ShardId::new(shard)))
            .collect()
    }

    #[test]
    fn the_first_worker_takes_what_finished_shards_have_left_once_it_has_looked_twice() {
        let table =
            [lease("done", "other", END), lease("mine", "me", OPEN), lease("theirs", "you", OPEN)];
        let (none, now) = (Seen::default(), seen(&table));
        assert!(now.is_news(&none));
        assert_eq!(
            shards(|shard| now.is_ours(shard, &none)),
            ["mine"],
            "the one before may send it"
        );
        assert!(!now.is_news(&seen(&table)));
        assert_eq!(shards(|shard| now.is_ours(shard, &seen(&table))), ["done", "gone", "mine"]);
        assert_eq!(shards(|shard| now.is_let_go(shard, &seen(&table))), [""; 0]);
    }

    #[test]
    fn a_shard_that_has_just_finished_is_its_last_owners_until_the_next_look() {
        let others = [lease("mine", "me", OPEN), lease("theirs", "you", OPEN)];
        let [open, done] = [OPEN, END].map(|checkpoint| lease("done", "you", checkpoint));
        let with = |lease: LeaseStatus| seen(&[&others[..], &[lease]].concat());
        let (before, now) = (with(open), with(done));
        assert!(now.is_news(&before));
        assert_eq!(shards(|shard| now.is_ours(shard, &before)), ["gone", "mine"]);
        let deleted = seen(&others);
        assert!(deleted.is_news(&before) && !deleted.is_news(&now));
    }

    #[test]
    fn its_last_owner_lets_go_of_a_finished_shard_unless_it_is_the_first() {
        let before = seen(&[lease("done", "me", OPEN), lease("gone", "me", OPEN)]);
        let others =
            [lease("done", "me", END), lease("theirs", "another", OPEN), lease("mine", "me", OPEN)];
        let now = seen(&others);
        assert!(!now.is_news(&before));
        assert_eq!(shards(|shard| now.is_let_go(shard, &before)), ["done", "gone"]);
        assert_eq!(shards(|shard| now.is_ours(shard, &now)), ["mine"]);
        let alone = seen(&[lease("done", "me", END)]);
        assert_eq!(shards(|shard| alone.is_let_go(shard, &before)), [""; 0], "there is no first");
    }

    #[test]
    fn a_worker_that_has_lost_its_leases_is_not_the_first() {
        let mut lost = lease("mine", "me", OPEN);
        lost.state = LeasePhase::Lost;
        let now = seen(&[lost, lease("theirs", "you", OPEN), lease("done", "me", END)]);
        assert_eq!(shards(|shard| now.is_ours(shard, &now)), [""; 0]);
        assert_eq!(shards(|shard| now.is_let_go(shard, &now)), ["done"]);
    }

    #[test]
    fn a_worker_of_the_kcl_is_not_the_first_for_it_sends_nothing() {
        let mut kcl = lease("theirs", "a-kcl", OPEN);
        kcl.is_cooperative = false;
        let now = seen(&[kcl, lease("mine", "me", OPEN), lease("done", "me", END)]);
        assert_eq!(shards(|shard| now.is_ours(shard, &now)), ["done", "gone", "mine"]);
    }

    #[test]
    fn the_outbox_is_listed_soon_after_news_and_ever_more_seldom_then() {
        let mut sweeps = Sweeps::of(Duration::from_secs(30));
        let mut due = |news_at: usize| -> Vec<usize> {
            (0..40).filter(|look| sweeps.is_due(*look == news_at)).collect()
        };
        assert_eq!(due(99), [0, 2, 6, 14, 24, 34]);
        assert_eq!(due(3), [4, 6, 10, 18, 28, 38]);
        sweeps.again();
        assert!(sweeps.is_due(false), "it could not be listed");
    }
}
