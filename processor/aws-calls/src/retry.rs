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

/// A running sequence of waits, for tries that change something of the caller's: what is left to be
/// sent, or where to go on. Others use [`retry`].
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

    /// Waits before another try, if that may help and one is left.
    ///
    /// ```
    /// use aws_calls::{Failed, RetryPolicy};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Failed<&'static str>> {
    /// let mut tries = RetryPolicy { initial_ms: 1, max_ms: 1, attempts: 3 }.start();
    /// let mut answers = ["throttled", "throttled", "stored"].into_iter();
    /// let mut attempt = || match answers.next() {
    ///     Some("stored") => Ok(()),
    ///     _ => Err(Failed::ForNow("throttled")),
    /// };
    /// while let Err(failed) = attempt() {
    ///     tries.again(failed).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The failure, when it is final.
    pub async fn again<E>(&mut self, failed: Failed<E>) -> Result<(), Failed<E>> {
        match failed {
            Failed::ForNow(_) if self.wait().await => Ok(()),
            failed => Err(failed),
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

/// Sleeps once, from half to one and a half times `mean_ms`.
pub async fn pause(mean_ms: u64) {
    RetryPolicy { initial_ms: mean_ms, max_ms: mean_ms, attempts: 2 }.start().wait().await;
}

/// A try that failed, and whether another one may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed<E> {
    /// The next try may succeed. As a final result: the tries are used up.
    ForNow(E),
    /// The next try would fail too.
    ForGood(E),
}

impl<E> Failed<E> {
    /// Returns the error alone.
    pub fn into_error(self) -> E {
        let (Self::ForNow(error) | Self::ForGood(error)) = self;
        error
    }
}

/// Tries until it succeeds, fails for good, or the policy's tries are used up. What the try is and
/// which failure is worth another one is the caller's; that a try may have been carried out with
/// only its answer lost, too.
///
/// # Errors
/// The last failure.
pub async fn retry<T, E, F>(
    policy: RetryPolicy,
    mut attempt: impl FnMut() -> F,
) -> Result<T, Failed<E>>
where
    F: Future<Output = Result<T, Failed<E>>>,
{
    let mut backoff = policy.start();
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(failed) => backoff.again(failed).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: RetryPolicy = RetryPolicy { initial_ms: 1, max_ms: 2, attempts: 3 };

    #[test]
    fn waits_are_bounded_in_number_and_length() {
        let policy = RetryPolicy { initial_ms: 100, max_ms: 200, attempts: 6 };
        let mut backoff = policy.start();
        let waits: Vec<_> = std::iter::from_fn(|| backoff.next_wait()).collect();
        assert_eq!(waits.len(), 5);
        assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(300)), "{waits:?}");
        assert!(waits[0] >= Duration::from_millis(50), "{waits:?}");
    }

    #[tokio::test]
    async fn a_failure_for_now_is_tried_again_as_often_as_allowed() {
        let mut tries = 0;
        let result = retry(THREE, || {
            tries += 1;
            std::future::ready(Err::<(), _>(Failed::ForNow(tries)))
        });
        assert_eq!(result.await, Err(Failed::ForNow(3)));
    }

    #[tokio::test]
    async fn a_failure_for_good_ends_it() {
        let mut tries = 0;
        let result = retry(THREE, || {
            tries += 1;
            let failed = if tries == 2 { Failed::ForGood(tries) } else { Failed::ForNow(0) };
            std::future::ready(Err::<(), _>(failed))
        });
        assert_eq!(result.await, Err(Failed::ForGood(2)));
    }
}
