//! Bounded retries. The one module that touches the `backoff` crate (unmaintained since 2021,
//! RUSTSEC-2025-0012): replacing it means changing this file only.

use std::time::Duration;

use backoff::backoff::Backoff as _;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};

/// How often and how long to retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Mean of the first wait, in milliseconds; it doubles from try to try.
    pub initial_ms: u64,
    /// Upper bound of the mean wait, in milliseconds.
    pub max_ms: u64,
    /// Tries in all, the first included.
    pub attempts: u32,
}

impl RetryPolicy {
    /// For writes to the lease table: three tries within about half a second, as KCL's taker.
    pub const LEASE: Self = Self { initial_ms: 50, max_ms: 500, attempts: 3 };
    /// For reading a stream: waits grow to five seconds; who gives up is the caller's choice.
    pub const READ: Self = Self { initial_ms: 200, max_ms: 5_000, attempts: 10 };

    /// Returns a fresh sequence of waits.
    #[must_use]
    pub fn start(&self) -> Backoff {
        let waits = ExponentialBackoffBuilder::new()
            .with_initial_interval(Duration::from_millis(self.initial_ms))
            .with_max_interval(Duration::from_millis(self.max_ms))
            .with_multiplier(2.0)
            // Drawn in `next_wait`, from a generator that a simulation can seed.
            .with_randomization_factor(0.0)
            // Bounded by tries instead: the crate's own clock is not the one tests control.
            .with_max_elapsed_time(None)
            .build();
        Backoff { waits, left: self.attempts.saturating_sub(1) }
    }
}

/// A running sequence of waits.
#[derive(Debug)]
pub struct Backoff {
    waits: ExponentialBackoff,
    left: u32,
}

impl Backoff {
    /// Sleeps before the next try; `false`, at once, when there is none left.
    pub async fn wait(&mut self) -> bool {
        match self.next_wait() {
            Some(wait) => {
                tokio::time::sleep(wait).await;
                true
            }
            None => false,
        }
    }

    /// Returns how long to wait before the next try; `None` when there is none left. It is from half
    /// to one and a half times the mean: workers that fail together spread out.
    pub fn next_wait(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let mean = self.waits.next_backoff()?;
        Some(mean.mul_f64(0.5 + fastrand::f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_bounded_in_number_and_length() {
        let policy = RetryPolicy { initial_ms: 100, max_ms: 200, attempts: 6 };
        let mut backoff = policy.start();
        let waits: Vec<_> = std::iter::from_fn(|| backoff.next_wait()).collect();
        assert_eq!(waits.len(), 5);
        assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(300)), "{waits:?}");
        assert!(waits[0] >= Duration::from_millis(50), "{waits:?}");
    }
}
