//! Epochs that close together are written together.
//!
//! The shards of a worker close their epochs on one tick, but their prepares return one by one. A
//! row's first put would hold the first shard's partial alone; so partials wait until no closing
//! epoch is missing any more, for a short while at most; and for a tick at least, within which every
//! shard has looked whether it closes too. All who wait have one deadline: with one each, stragglers
//! would go one by one.

use std::time::Duration;

use tokio::sync::watch;

use super::phase::TICK_MS;
use crate::clock::{self, Instant};

/// How many epochs of this process are closing. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gather {
    round: watch::Sender<Round>,
    patience: Duration,
}

/// The epochs that are closing now, and who waits for them.
#[derive(Debug, Default)]
struct Round {
    closing: usize,
    /// Epochs that wait for a tick, so that every shard looks whether it closes too.
    waiting: usize,
    /// When those who wait go without the rest; set by the first of them.
    ends: Option<Instant>,
}

/// An epoch that is closing: about to be prepared and written. Dropped when it is given up.
#[derive(Debug)]
pub struct Closing(watch::Sender<Round>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.send_modify(|round| {
            round.closing -= 1;
            if round.closing == 0 {
                round.ends = None;
            }
        });
    }
}

/// An epoch that waits for a tick.
struct Waiting(watch::Sender<Round>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.send_modify(|round| round.waiting -= 1);
    }
}

impl Gather {
    /// Waits for stragglers at most this long.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        Self { round: watch::Sender::default(), patience }
    }

    /// Announces an epoch whose partials will soon be submitted.
    #[must_use]
    pub fn announce(&self) -> Closing {
        self.round.send_modify(|round| round.closing += 1);
        Closing(self.round.clone())
    }

    /// Returns whether an epoch is closing, and one that closes now goes with it.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        let round = self.round.borrow();
        round.closing + round.waiting > 0
    }

    /// Waits for a tick, and then until every announced epoch was submitted or given up, or the
    /// patience of all who wait ends.
    pub async fn complete(&self) {
        let waiting = self.wait();
        tokio::time::sleep(Duration::from_millis(TICK_MS)).await;
        drop(waiting);
        if let Some(ends) = self.join() {
            let mut round = self.round.subscribe();
            drop(tokio::time::timeout_at(ends, round.wait_for(|round| round.closing == 0)).await);
        }
    }

    fn wait(&self) -> Waiting {
        self.round.send_modify(|round| round.waiting += 1);
        Waiting(self.round.clone())
    }

    /// Joins those who wait; returns when they go. Whoever comes after that begins anew.
    fn join(&self) -> Option<Instant> {
        let now = clock::instant();
        let mut ends = None;
        self.round.send_if_modified(|round| {
            if round.closing > 0 {
                let open = round.ends.filter(|ends| *ends > now);
                ends = Some(open.unwrap_or(now + self.patience));
                round.ends = ends;
            }
            false
        });
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_announced_is_waited_for_and_no_longer_than_patience_lasts() {
        let gather = Gather::new(Duration::from_secs(3_600));
        let before = crate::clock::instant();
        gather.complete().await;
        assert_eq!(before.elapsed(), Duration::from_millis(TICK_MS), "nobody is missing");
        let (first, second) = (gather.announce(), gather.announce());
        drop(first);
        let mut complete = Box::pin(gather.complete());
        let waits = tokio::time::timeout(Duration::from_secs(60), &mut complete);
        assert!(waits.await.is_err());
        drop(second);
        complete.await;
        let impatient = Gather::new(Duration::from_millis(1));
        let _late = impatient.announce();
        impatient.complete().await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_looks_once_a_tick_sees_every_closing() {
        let gather = Gather::new(Duration::from_secs(2));
        drop(gather.announce());
        assert!(!gather.is_closing());
        let mut complete = Box::pin(gather.complete());
        assert!(
            tokio::time::timeout(Duration::from_millis(TICK_MS - 1), &mut complete).await.is_err()
        );
        assert!(gather.is_closing());
        complete.await;
        assert!(!gather.is_closing());
        let given_up = Box::pin(gather.complete());
        assert!(tokio::time::timeout(Duration::from_millis(1), given_up).await.is_err());
        assert!(!gather.is_closing());
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_for_stragglers_go_at_one_time() {
        let gather = Gather::new(Duration::from_secs(2));
        let _never = gather.announce();
        let before = clock::instant();
        let waits = [0, 500, 1_900, 2_100, 3_000].map(|after_ms| {
            let gather = gather.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(after_ms)).await;
                gather.complete().await;
                before.elapsed().as_millis()
            })
        });
        let mut ended = Vec::new();
        for wait in waits {
            ended.push(wait.await.unwrap());
        }
        let tick_ms = u128::from(TICK_MS);
        assert_eq!(ended[..3], [2_000 + tick_ms; 3], "one deadline");
        assert_eq!(ended[3..], [4_100 + tick_ms; 2], "who came later has the next one");
    }
}
