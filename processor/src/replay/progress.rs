//! How far a replay is: a line with the time left on a terminal, or JSON lines.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde_json::json;

/// A terminal is written to this often, and JSON lines a tenth as often.
const EVERY: Duration = Duration::from_millis(200);
const JSON_EVERY: u32 = 5;

/// Counters that the threads of a replay turn.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Stored bytes read.
    pub(crate) bytes: Arc<AtomicU64>,
    /// Stored bytes in all; 0 if that is not known.
    pub(crate) total_bytes: AtomicU64,
    records: AtomicU64,
    /// Rows compared or written, after everything was read.
    pub(crate) rows: AtomicU64,
}

impl Progress {
    /// Counts records read.
    pub(crate) fn add_records(&self, count: u64) {
        self.records.fetch_add(count, Relaxed);
    }
}

/// Shows progress while something runs: on a terminal, or with `as_json` on standard output.
pub(crate) async fn show_while<T>(
    progress: &Progress,
    as_json: bool,
    work: impl Future<Output = T>,
) -> T {
    let is_terminal = std::io::stderr().is_terminal() && !as_json;
    let started = crate::clock::instant();
    let mut work = std::pin::pin!(work);
    let mut every = tokio::time::interval(EVERY);
    let mut turn = 0_u32;
    loop {
        tokio::select! {
            biased;
            done = &mut work => {
                if is_terminal {
                    // Leaves the line to whoever prints next.
                    eprint!("\r\x1b[K");
                }
                return done;
            }
            _ = every.tick() => {
                if is_terminal {
                    eprint!("\r{}\x1b[K", line(progress, started.elapsed()));
                    drop(std::io::stderr().flush());
                } else if as_json && turn.is_multiple_of(JSON_EVERY) {
                    println!("{}", json(progress, started.elapsed()));
                }
                turn += 1;
            }
        }
    }
}

/// Returns the time left, by the share of bytes read so far.
fn left_s(bytes: u64, total: u64, elapsed: Duration) -> Option<f64> {
    let rest = total.checked_sub(bytes).filter(|_| bytes > 0)?;
    Some(elapsed.as_secs_f64() * rest as f64 / bytes as f64)
}

fn line(progress: &Progress, elapsed: Duration) -> String {
    let (bytes, total) = (progress.bytes.load(Relaxed), progress.total_bytes.load(Relaxed));
    let (records, rows) = (progress.records.load(Relaxed), progress.rows.load(Relaxed));
    if rows > 0 {
        return format!("{records} records read, {rows} rows");
    }
    let rate = records as f64 / elapsed.as_secs_f64().max(0.001);
    let read = format!("{:.1} MB  {records} records  {rate:.0}/s", bytes as f64 / 1e6);
    match left_s(bytes, total, elapsed) {
        Some(left) => {
            let percent = 100.0 * bytes as f64 / total as f64;
            format!("{percent:5.1} %  {read}  {left:.0} s left")
        }
        None => read,
    }
}

fn json(progress: &Progress, elapsed: Duration) -> serde_json::Value {
    let (bytes, total) = (progress.bytes.load(Relaxed), progress.total_bytes.load(Relaxed));
    json!({
        "progress": {
            "elapsedMs": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            "bytes": bytes,
            "totalBytes": total,
            "records": progress.records.load(Relaxed),
            "rows": progress.rows.load(Relaxed),
            "leftMs": left_s(bytes, total, elapsed).map(|left| (left * 1_000.0).round()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_from_the_share_read() {
        assert_eq!(left_s(25, 100, Duration::from_secs(10)), Some(30.0));
        assert_eq!(left_s(0, 100, Duration::from_secs(10)), None);
        assert_eq!(left_s(7, 0, Duration::from_secs(10)), None);
    }
}
