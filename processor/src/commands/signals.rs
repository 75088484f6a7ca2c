//! When to stop.

#[cfg(feature = "local")]
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::SignalStream;

/// Returns at SIGTERM (what an orchestrator sends) or SIGINT (ctrl-C).
///
/// # Panics
/// When the system lets no handler be installed; without one the program could not stop in order.
pub(super) async fn stop() {
    let terminate = signal(SignalKind::terminate()).expect("a SIGTERM handler");
    let interrupt = signal(SignalKind::interrupt()).expect("a SIGINT handler");
    SignalStream::new(terminate).merge(SignalStream::new(interrupt)).next().await;
}

#[cfg(feature = "local")]
/// Returns at a signal or after a time, whichever is first.
pub(super) async fn stop_or_after(time: Option<Duration>) {
    match time {
        None => stop().await,
        Some(time) => {
            tokio::select! {
                () = stop() => {}
                () = tokio::time::sleep(time) => {}
            }
        }
    }
}
