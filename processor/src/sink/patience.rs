//! How long a sender goes on with a service that does not answer.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_calls::{Failed, RetryPolicy};

use crate::clock::Instant;

/// The waits between two tries of one call; short beside patience, which ends with a try. It bounds no
/// number: patience bounds the time.
pub(super) const WITH_PATIENCE: RetryPolicy =
    RetryPolicy { initial_ms: 50, max_ms: 300, attempts: u32::MAX };

/// Patience with a service, shared by calls that go out side by side. It runs from the first
/// failure that no answer followed, so a slow service is not taken for one that is away.
#[derive(Debug)]
pub struct Patience {
    lasts: Duration,
    failing_since: Mutex<Option<Instant>>,
}

impl Patience {
    /// Has patience for so long.
    #[must_use]
    pub fn of(lasts: Duration) -> Self {
        Self { lasts, failing_since: Mutex::default() }
    }

    /// Has none: nothing is even tried.
    #[must_use]
    pub fn none() -> Self {
        Self { lasts: Duration::ZERO, failing_since: Mutex::new(Some(crate::clock::instant())) }
    }

    /// Notes an answer.
    pub fn answered(&self) {
        *self.lock() = None;
    }

    /// Notes a failure; says whether it is worth trying again.
    pub fn failed<E>(&self, error: E) -> Failed<E> {
        let since = *self.lock().get_or_insert_with(crate::clock::instant);
        if since.elapsed() < self.lasts { Failed::ForNow(error) } else { Failed::ForGood(error) }
    }

    /// Returns whether the service was given up.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.lock().is_some_and(|since| since.elapsed() >= self.lasts)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.failing_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entries that a sender has left.
#[derive(Debug)]
pub struct Left<T> {
    /// The entries that the service has not acknowledged, in order.
    pub waiting: Vec<T>,
    /// The entries that it will never take.
    pub refused: Vec<Refused>,
    /// Why the rest waits; there is one exactly if something does.
    pub error: Option<super::SinkError>,
}

impl<T> Default for Left<T> {
    fn default() -> Self {
        Self { waiting: Vec::new(), refused: Vec::new(), error: None }
    }
}

impl<T> Left<T> {
    /// Adds what another call left.
    pub fn add(&mut self, other: Self) {
        self.waiting.extend(other.waiting);
        self.refused.extend(other.refused);
        self.error = other.error.or(self.error.take());
    }
}

/// Something that a service will never take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The entry, as JSON.
    pub what: serde_json::Value,
    /// The service's words.
    pub reason: String,
}
