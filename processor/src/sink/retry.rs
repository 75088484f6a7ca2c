//! How a sink calls AWS: as often as allowed, and again while that may help.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use aws_calls::{Failed, RetryPolicy};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use governor::{DefaultDirectRateLimiter, Jitter, Quota, RateLimiter};

use super::stats::Stats;

/// For effects of an epoch: about half a minute, after which the shard's task gives up and whoever
/// holds the lease next starts the epoch again.
const EFFECT: RetryPolicy = RetryPolicy { initial_ms: 50, max_ms: 5_000, attempts: 12 };

/// A rate limit shared by all shard tasks; 0 calls a second means none.
#[derive(Clone, Debug)]
pub struct Rate(Option<Arc<DefaultDirectRateLimiter>>);

impl Rate {
    /// Returns a limit of `per_s` cells a second, with a burst of one second's worth.
    #[must_use]
    pub fn per_second(per_s: u32) -> Self {
        let limiter = |per_s| Arc::new(RateLimiter::direct(Quota::per_second(per_s)));
        Self(NonZeroU32::new(per_s).map(limiter))
    }

    /// Waits for a cell. Up to 5 ms of jitter keeps tasks that wait together from waking together.
    pub async fn ready(&self) {
        if let Some(limiter) = &self.0 {
            limiter
                .until_ready_with_jitter(Jitter::up_to(std::time::Duration::from_millis(5)))
                .await;
        }
    }
}

/// Sends a request until it succeeds, is refused for good, or the tries are used up. Tries after
/// the first are counted.
pub(super) async fn persist<T, E, F>(
    stats: &Stats,
    mut send: impl FnMut() -> F,
) -> Result<T, SdkError<E, Response>>
where
    F: Future<Output = Result<T, SdkError<E, Response>>>,
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let mut is_again = false;
    let counted = || {
        count_again(stats, &mut is_again);
        send()
    };
    aws_calls::persist(EFFECT, counted).await
}

/// As [`persist`], for an object store: any failure may pass.
pub(super) async fn persist_object<T, E, F>(
    stats: &Stats,
    mut send: impl FnMut() -> F,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut is_again = false;
    let counted = || {
        count_again(stats, &mut is_again);
        let sent = send();
        async { sent.await.map_err(Failed::ForNow) }
    };
    aws_calls::retry(EFFECT, counted).await.map_err(Failed::into_error)
}

/// Waits as [`persist`] does after a first try that failed, and counts what follows as another.
pub(super) async fn pause_before_again(stats: &Stats) {
    stats.retries.fetch_add(1, Relaxed);
    aws_calls::pause(EFFECT.initial_ms).await;
}

fn count_again(stats: &Stats, is_again: &mut bool) {
    if std::mem::replace(is_again, true) {
        stats.retries.fetch_add(1, Relaxed);
    }
}
