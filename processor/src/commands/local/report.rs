//! The printed words of `local`: addresses, progress and results.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ivs_emulator::Endpoint;
use ivs_schemas::names::LOCAL_REGION;
use ivs_traffic::{Ledger, StoredWindow, Views, Window};

use crate::cloud::{Clients, LOCAL_KEY};
use crate::commands::rows;
use crate::config::Config;
use crate::ops::Ops;
use crate::printable;
use crate::producer::input::Sent;
use crate::sink::stats::Snapshot;

/// The key that producers send to the telemetry API of `local`.
pub(super) const TELEMETRY_KEY: &str = "local";

/// Differences that are printed; the rest is only counted.
const MAX_PRINTED: usize = 10;

/// Says where everything is; the page last, because it is what people open.
pub(super) fn banner(
    endpoint: &Endpoint,
    config: &Config,
    state: Option<&Path>,
    ops: Option<&Ops>,
    page: Option<SocketAddr>,
) {
    let state = state.map_or_else(|| ":memory:".to_owned(), |dir| dir.display().to_string());
    let url = endpoint.url();
    println!("embedded AWS   {url}");
    println!("  export AWS_ENDPOINT_URL={url}");
    // Older tools, version 1 of the AWS CLI and Python's SDK among them, know the second only.
    println!("  export AWS_REGION={LOCAL_REGION} AWS_DEFAULT_REGION={LOCAL_REGION}");
    println!("  export AWS_ACCESS_KEY_ID={LOCAL_KEY} AWS_SECRET_ACCESS_KEY={LOCAL_KEY}");
    println!("state          {state}");
    println!("stream         {}", config.stream.name);
    println!("tables         {}, {}", config.tables.sessions, config.tables.metrics);
    println!("rejects        {}", config.objects.rejects);
    println!("telemetry      POST {url}/telemetry   (x-api-key: {TELEMETRY_KEY})");
    if let Some(ops) = ops {
        println!("operations     http://{}/status   (/metrics /healthz /readyz)", ops.address());
    }
    if let Some(page) = page {
        println!("page           http://{page}/");
    }
    println!();
}

/// Says what was sent.
pub(super) fn sent(sent: &Sent) {
    println!(
        "sent {} records; {} were in the stream already, {} were too large",
        sent.records, sent.earlier, sent.too_large
    );
    sent.problems.iter().for_each(|problem| eprintln!("ivs-processor: {problem}"));
}

/// Returns a part of a whole in percent, 0 of nothing.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

/// Says what became of every record.
pub(super) fn summary(stats: &Snapshot, elapsed: Duration) {
    println!();
    println!("summary of this run, {:.1} s", elapsed.as_secs_f64());
    println!("  records read      {:>10}", stats.read);
    println!(
        "    accepted        {:>10}   of these {} late for CloudWatch",
        stats.accepted, stats.late
    );
    if stats.negative_latency > 0 {
        let clocks = "latencies below zero were left out: clocks of viewers are ahead";
        println!("                    {:>10}   {clocks}", stats.negative_latency);
    }
    println!("    duplicate       {:>10}", stats.duplicate);
    println!("    rejected        {:>10}   bad records, kept whole", stats.rejected);
    for (reason, count) in &stats.rejected_by_reason {
        println!("      {reason:<16}{count:>8}");
    }
    println!("  epochs committed  {:>10}", stats.epochs);
    row_writes(stats);
    println!(
        "  CloudWatch datums {:>10}   in {} calls, {} not sent (too old or invalid)",
        stats.datums, stats.metric_calls, stats.datums_dropped
    );
    println!("  domain events     {:>10}", stats.domain_events);
    println!("  objects           {:>10}   rejects and archive", stats.objects);
    println!("  AWS retries       {:>10}", stats.retries);
    println!(
        "  outbox            {:>10}   {} sent, {} given up, {} waiting",
        stats.outbox_spilled, stats.outbox_sent, stats.outbox_expired, stats.outbox_objects
    );
}

/// Says how rows were written. A write is refused if another worker wrote the row in between, which is
/// no loss: the row is read, merged and written again.
fn row_writes(stats: &Snapshot) {
    println!("  row writes        {:>10}", stats.rows_written);
    println!(
        "    merged rows     {:>10}   with {:.1} partials of shards in each",
        stats.merged_puts,
        percent(stats.partials_merged, stats.merged_puts) / 100.0
    );
    println!(
        "    refused         {:>10}   rows that another worker wrote meanwhile ({:.1} %): merged, written again",
        stats.conflicts,
        percent(stats.conflicts, stats.conflicts + stats.rows_written)
    );
    println!("    found done      {:>10}   written by an earlier try", stats.rows_already);
    println!(
        "    write units     {:>10}   {:.0} a million records",
        stats.write_units + stats.write_units_refused,
        percent(stats.write_units + stats.write_units_refused, stats.read) * 10_000.0
    );
    // A fact is put if it is not there; of one that is, nothing but the units is counted.
    let refused = "for rows written again, and for facts that were there already";
    println!("      of refused    {:>10}   {refused}", stats.write_units_refused);
}

/// Accounts for every record.
///
/// # Errors
/// When the counts do not add up (E6).
pub(super) fn all_accounted(stats: &Snapshot) -> anyhow::Result<()> {
    anyhow::ensure!(
        stats.read == stats.accepted + stats.duplicate + stats.rejected,
        "records are unaccounted for: read is not accepted + duplicate + rejected"
    );
    Ok(())
}

/// Compares the ledger of the generator with the rows.
///
/// # Errors
/// When a row differs, is missing or is extra; the first ones are printed.
pub(super) async fn check_ledger(
    clients: &Clients,
    config: &Config,
    ledger: &Ledger,
) -> anyhow::Result<()> {
    let ours: std::collections::HashSet<String> =
        ledger.windows().map(|window| window.session_id).collect();
    let mut stored = Vec::new();
    rows::scan(&clients.dynamodb, &config.tables.metrics, |key, row| {
        // Rows of earlier runs in the same state folder are none of this ledger's business.
        if ours.contains(&*key.session_id) {
            stored.push(window_of(&key, &row.agg));
        }
    })
    .await?;
    let checked = stored.len();
    let mismatches = ledger.check(stored);
    for mismatch in mismatches.iter().take(MAX_PRINTED) {
        println!("  differs: {}", printable::json(mismatch)?);
    }
    anyhow::ensure!(mismatches.is_empty(), "{} rows differ from what was sent", mismatches.len());
    println!("  ledger            {checked:>10}   rows hold exactly what was sent");
    Ok(())
}

fn window_of(key: &ivs_core::window::WindowKey, agg: &ivs_core::window::WindowAgg) -> StoredWindow {
    let whole = |micros: i128| u64::try_from(micros / 1_000_000).unwrap_or(u64::MAX);
    let value = |fixed: ivs_core::fixed::Fixed| whole(i128::from(fixed.micros()));
    StoredWindow {
        session_id: key.session_id.to_string(),
        minute_s: key.minute.start_s(),
        window: Window {
            records: agg.records,
            gauges: agg.gauges,
            player_records: agg.player_records,
            viewers_sum: whole(agg.viewers.stat.total.sum.0),
            viewers_max: agg.viewers.stat.max().map(value),
            viewers_last: agg.viewers.last.map(|last| value(last.value)),
            buffering_ms: whole(agg.buffering_ms.sum.0),
            playing_ms: whole(agg.playing_ms.sum.0),
            views: Views {
                attempts: agg.views.attempts,
                starts: agg.views.starts,
                failures_technical: agg.views.start_failures_technical,
                failures_business: agg.views.start_failures_business,
                errors: agg.views.playback_failures,
                ends: agg.views.ended,
                exits_before_start: agg.views.exits_before_start,
            },
        },
    }
}
