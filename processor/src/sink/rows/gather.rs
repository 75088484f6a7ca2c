//! Epochs that close together are written together.
//!
//! The shards of a worker close their epochs on one tick, but their prepares return one by one. A
//! row's first put would hold the first shard's partial alone; so partials wait until no closing
//! epoch is missing any more, for a short while at most; and for a tick at least, within which every
//! shard has looked whether it closes too.

use std::time::Duration;

use tokio::sync::watch;

use super::phase::TICK_MS;

/// How many epochs of this process are closing. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gather {
    closing: watch::Sender<usize>,
    patience: Duration,
}

/// An epoch that is closing: about to be prepared and written. Dropped when it is given up.
#[derive(Debug)]
pub struct Closing(watch::Sender<usize>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.send_modify(|closing| *closing -= 1);
    }
}

impl Gather {
    /// Waits for stragglers at most this long.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        Self { closing: watch::Sender::new(0), patience }
    }

    /// Announces an epoch whose partials will soon be submitted.
    #[must_use]
    pub fn announce(&self) -> Closing {
        self.closing.send_modify(|closing| *closing += 1);
        Closing(self.closing.clone())
    }

    /// Returns whether an epoch is closing.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        *self.closing.borrow() > 0
    }

    /// Waits for a tick, and then until every announced epoch was submitted or given up, or patience
    /// ends.
    pub async fn complete(&self) {
        tokio::time::sleep(Duration::from_millis(TICK_MS)).await;
        let mut closing = self.closing.subscribe();
        drop(tokio::time::timeout(self.patience, closing.wait_for(|closing| *closing == 0)).await);
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
}
