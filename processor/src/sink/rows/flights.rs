//! How many epochs of this process are in flight, so that a full one can wait for the next of others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The epochs between prepare and commit. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Flights(Arc<AtomicUsize>);

/// An epoch in flight, until it is dropped.
#[derive(Debug)]
pub struct InFlight(Arc<AtomicUsize>);

impl Flights {
    /// Counts one more.
    #[must_use]
    pub fn begin(&self) -> InFlight {
        self.0.fetch_add(1, Relaxed);
        InFlight(Arc::clone(&self.0))
    }

    /// Returns whether there is any.
    #[must_use]
    pub fn are_any(&self) -> bool {
        self.0.load(Relaxed) > 0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
