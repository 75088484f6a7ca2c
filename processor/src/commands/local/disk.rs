//! A disk that fills up ends `local` with one line, instead of one from every call that fails.

use std::io;
use std::path::Path;
use std::time::Duration;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(500);
/// The bytes that must fit: about what the services write in that time at full speed.
const PROBE_BYTES: usize = 256 << 10;

/// Returns once nothing more can be written to the folder; never without one.
pub(super) async fn full(state: Option<&Path>) -> anyhow::Error {
    let Some(dir) = state else { return std::future::pending().await };
    let probe = dir.join("space.probe");
    loop {
        match tokio::fs::write(&probe, vec![0; PROBE_BYTES]).await {
            Err(error) if is_full(&error) => {
                // What is left of the probe would take the last of the room.
                let _removed = tokio::fs::remove_file(&probe).await.is_ok();
                return anyhow::anyhow!(
                    "the disk that holds {} is full; free some space and run the same command \
                     again: nothing that was acknowledged is lost",
                    dir.display()
                );
            }
            // Another trouble has words of its own where it matters.
            Ok(()) | Err(_) => {}
        }
        let _removed = tokio::fs::remove_file(&probe).await.is_ok();
        tokio::time::sleep(EVERY).await;
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
