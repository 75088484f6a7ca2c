//! How slow the machine is just now.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use kinesis_fleet::LeaseStore;

/// Between two probes.
const EVERY: Duration = Duration::from_millis(50);

/// A probe that asks the endpoint for the leases, again and again, and keeps the longest that one
/// round took beyond the pause before it: a timer and a request, of which every step of a
/// succession consists.
pub(crate) struct Pace {
    slowest_ms: Arc<AtomicU64>,
    probing: tokio::task::JoinHandle<()>,
}

impl Pace {
    pub(crate) fn start(leases: LeaseStore) -> Self {
        let slowest_ms = Arc::new(AtomicU64::new(0));
        let slowest = Arc::clone(&slowest_ms);
        let probing = tokio::spawn(async move {
            loop {
                let begun = Instant::now();
                tokio::time::sleep(EVERY).await;
                leases.list().await.unwrap();
                let took = begun.elapsed().saturating_sub(EVERY);
                slowest.fetch_max(u64::try_from(took.as_millis()).unwrap(), Relaxed);
            }
        });
        Self { slowest_ms, probing }
    }

    /// Returns the slowest round so far, in milliseconds.
    pub(crate) fn slowest_ms(&self) -> i64 {
        i64::try_from(self.slowest_ms.load(Relaxed)).unwrap()
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        self.probing.abort();
    }
}
