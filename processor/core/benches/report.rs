//! Rows per second that one core folds into monthly reports, and the memory it takes.
//! `cargo bench -p ivs-core --bench report [CHANNELS]`.

#![allow(clippy::disallowed_methods, reason = "tests and benches measure for themselves")]
#![expect(clippy::cast_precision_loss, reason = "counts of rows, for rates")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use ivs_core::fixed::Fixed;
use ivs_core::minute::Minute;
use ivs_core::report::{Period, ReportFold};
use ivs_core::sketch::{Coupon, Sketch as _};
use ivs_core::window::{WindowAgg, WindowKey};
use ivs_schemas::report::ReportType;
use jiff::civil::date;
use jiff::tz::TimeZone;
use kinesis_model::EpochMs;

/// Channels without an argument: 8.9 million rows.
const CHANNELS: u64 = 200;
const MINUTE_MS: i64 = 60_000;

fn main() {
    let channels = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(CHANNELS);
    let period = Period::containing(ReportType::Monthly, date(2026, 1, 1), TimeZone::UTC);
    let period = period.expect("January has no gap");
    for players in [0, 50] {
        let rows: Vec<_> = (0..60).map(|minute| row(minute, players)).collect();
        let (started, mut folded) = (Instant::now(), 0_u64);
        for _ in 0..channels {
            folded += black_box(month(&period, &rows));
        }
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{players:>3} players a minute: {folded} rows of {channels} channels, {:>9.0} rows/s, \
             at most {} KiB",
            folded as f64 / seconds,
            peak_kib()
        );
    }
}

/// Folds a month of one channel, a session a day; returns how many rows that was.
fn month(period: &Period, rows: &[WindowAgg]) -> u64 {
    let mut fold = ReportFold::new("channel", period.clone(), period.end());
    let mut folded = 0;
    let mut minute = period.start();
    let mut session: Arc<str> = Arc::from("");
    for row in rows.iter().cycle() {
        if minute >= period.end() {
            break;
        }
        if folded % 1_440 == 0 {
            session = Arc::from(format!("session-{folded}"));
        }
        let key = WindowKey { session_id: Arc::clone(&session), minute: Minute::of(minute) };
        fold.add_row(&key, row.clone());
        minute = EpochMs(minute.0 + MINUTE_MS);
        folded += 1;
    }
    black_box(fold.finish());
    folded
}

/// Returns a minute of a stream with this many players, each with one latency.
fn row(minute: u32, players: u32) -> WindowAgg {
    let mut row = WindowAgg { records: 1, gauges: 1, ..WindowAgg::default() };
    row.viewers.add_some(EpochMs(0), Fixed::from_int(i64::from(100 + minute)));
    row.bitrate.add_some(Fixed::from_int(i64::from(4_000_000 + 10_000 * minute)));
    row.frame_rate.add_some(Fixed::from_int(30));
    row.chat_rate.add_some(Fixed::from_int(12));
    row.player_records = u64::from(players);
    let ids = (0..players).map(|player| Coupon::of(&format!("player-{}", player + 10 * minute)));
    row.players.insert_all(&mut ids.collect());
    row.latency.insert_all(&mut (0..players).map(|player| 1_500 + 37 * player + minute).collect());
    row
}

/// Returns the largest resident set so far, as Linux has it; 0 elsewhere.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
