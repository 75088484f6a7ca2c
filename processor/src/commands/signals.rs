//! When to stop.

#[cfg(feature = "local")]
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::SignalStream;

/// Listens for SIGTERM (what an orchestrator sends) and SIGINT (ctrl-C) from now on; the future ends at the
/// first of them.
///
/// # Errors
/// When the system lets no handler be installed; without one the program could not stop in order.
pub(super) fn stop() -> std::io::Result<impl Future<Output = ()>> {
    let terminate = signal(SignalKind::terminate())?;
    let interrupt = signal(SignalKind::interrupt())?;
    let mut either = SignalStream::new(terminate).merge(SignalStream::new(interrupt));
    Ok(async move { either.next().await.unwrap_or_default() })
}

#[cfg(feature = "local")]
/// Returns at a signal or after a time, whichever is first.
///
/// # Errors
/// As [`stop`].
pub(super) async fn stop_or_after(time: Option<Duration>) -> std::io::Result<()> {
    let stop = stop()?;
    match time {
        None => stop.await,
        Some(time) => {
            tokio::select! {
                () = stop => {}
                () = tokio::time::sleep(time) => {}
            }
        }
    }
    Ok(())
}
