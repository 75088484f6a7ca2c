//! `/metrics`: the status and the busiest channels.

use ivs_schemas::catalogue::METRICS;
use ivs_schemas::prometheus::{CHANNEL, Kind, family};

use super::openmetrics::{Exposition, Format};
use super::status::{ShardReport, Status, WorkerStatus};
use crate::sink::channels::ChannelReport;
use crate::sink::stats::Snapshot;

/// Returns the whole exposition. Counters start at 0 with the process.
#[must_use]
pub fn render(status: &Status, busiest: &[ChannelReport], format: Format) -> String {
    let mut all = Exposition::new(format);
    let worker = status.worker.as_ref();
    let mut labels = vec![("version", status.version.as_str())];
    labels.extend(
        worker.iter().flat_map(|worker| {
            [("worker", worker.id.as_str()), ("stream", worker.stream.as_str())]
        }),
    );
    all.info("build", "The program and the worker").put(&labels, 1);
    all.gauge("ready", "", "Whether the worker can do its work").set(u8::from(status.ready));
    all.gauge("start_time_seconds", "seconds", "When the process started, in Unix time")
        .set(seconds(u64::try_from(status.started_ms.0).unwrap_or(0)));
    if let Some(bytes) = status.resident_bytes {
        all.gauge("resident_memory_bytes", "bytes", "Memory in use").set(bytes);
    }
    if let Some(worker) = worker {
        records(&mut all, &worker.totals);
        effects(&mut all, &worker.totals);
        leases(&mut all, worker);
        shards(&mut all, &worker.shards);
    }
    channels(&mut all, busiest);
    all.finish()
}

/// Returns milliseconds as seconds.
fn seconds(ms: u64) -> f64 {
    // Times until the year 280000 are exact.
    ms as f64 / 1_000.0
}

fn records(all: &mut Exposition, totals: &Snapshot) {
    all.counter("records", "", "Records committed, by what became of them")
        .put(&[("outcome", "accepted")], totals.accepted)
        .put(&[("outcome", "duplicate")], totals.duplicate)
        .put(&[("outcome", "rejected")], totals.rejected);
    let mut rejected = all.counter("rejected_records", "", "Records refused, by reason");
    for (reason, count) in &totals.rejected_by_reason {
        rejected.put(&[("reason", reason)], count);
    }
    all.counter("late_records", "", "Accepted records too old for CloudWatch").set(totals.late);
    all.counter("negative_latencies", "", "Latencies below zero, left out of accepted records")
        .set(totals.negative_latency);
    all.counter("retention_gaps", "", "Times that records expired from the stream unread")
        .set(totals.retention_gaps);
    // Microseconds of all epochs together: exact for centuries.
    let sum_s = totals.epoch_us as f64 / 1e6;
    all.summary("epoch_seconds", "seconds", "From prepare to commit", totals.epochs, sum_s);
}

fn effects(all: &mut Exposition, totals: &Snapshot) {
    all.counter("rows", "", "Row writes, by what became of them")
        .put(&[("outcome", "written")], totals.rows_written)
        .put(&[("outcome", "already")], totals.rows_already)
        .put(&[("outcome", "conflict")], totals.conflicts)
        .put(&[("outcome", "failed")], totals.puts_failed);
    all.counter("merged_puts", "", "Puts of merged rows stored").set(totals.merged_puts);
    all.counter("merged_partials", "", "Partials of shards in them").set(totals.partials_merged);
    all.counter("row_reads", "", "Rows read before they were put: others write them too")
        .set(totals.row_reads);
    all.gauge("waiting_partials", "", "Partials that wait for their row")
        .set(totals.partials_waiting);
    all.counter("write_units", "", "DynamoDB write units, by item size")
        .put(&[("outcome", "written")], totals.write_units)
        .put(&[("outcome", "conflict")], totals.write_units_refused);
    all.counter("batch_write_calls", "", "Calls that write rows together")
        .set(totals.batch_write_calls);
    all.counter("batch_writes", "", "Rows in them, whatever became of them")
        .set(totals.batch_writes);
    all.counter("batch_read_calls", "", "Calls that read rows together")
        .set(totals.batch_read_calls);
    all.counter("batch_reads", "", "Rows asked for in them").set(totals.batch_reads);
    all.counter("batch_left", "", "Of both, rows left to calls of their own")
        .set(totals.batch_left);
    outbox(all, totals);
    reconciled(all, totals);
    all.counter("metric_calls", "", "Calls with metrics accepted").set(totals.metric_calls);
    all.counter("metric_datums", "", "Datums, by what became of them")
        .put(&[("outcome", "accepted")], totals.datums)
        .put(&[("outcome", "refused")], totals.datums_dropped);
    all.counter("domain_events", "", "Domain events accepted").set(totals.domain_events);
    all.counter("objects", "", "Objects stored: rejects and archive").set(totals.objects);
    all.counter("failed_tasks", "", "Shard tasks that failed and are tried again")
        .set(totals.failed_tasks);
    all.counter("aws_retries", "", "Calls to AWS tried again").set(totals.retries);
}

fn outbox(all: &mut Exposition, totals: &Snapshot) {
    all.gauge("outbox_age_seconds", "seconds", "How long the oldest object waits in the outbox")
        .set(seconds(totals.outbox_age_ms));
    all.gauge("outbox_bytes", "bytes", "What waits in the outbox").set(totals.outbox_bytes);
    all.gauge("outbox_waiting_objects", "", "Objects that wait in the outbox")
        .set(totals.outbox_objects);
    all.counter("outbox_objects", "", "Objects of the outbox, by what became of them")
        .put(&[("outcome", "spilled")], totals.outbox_spilled)
        .put(&[("outcome", "sent")], totals.outbox_sent)
        .put(&[("outcome", "expired")], totals.outbox_expired);
}

/// Writes what became of asking IVS, all 0 where another worker does it or none.
fn reconciled(all: &mut Exposition, totals: &Snapshot) {
    all.counter("reconcile_rounds", "", "Rounds in which IVS was asked for events that never came")
        .set(totals.reconcile_rounds);
    all.counter("reconcile_failures", "", "Rounds that ended early: somebody did not answer")
        .set(totals.reconcile_failures);
    all.counter("reconciled_events", "", "Events that had never come, put into the stream")
        .set(totals.reconciled_events);
}

fn leases(all: &mut Exposition, worker: &WorkerStatus) {
    let fleet = &worker.fleet;
    all.gauge("leases_held", "", "Leases this worker holds").set(fleet.held);
    all.counter("leases", "", "What became of leases here")
        .put(&[("event", "taken")], fleet.taken)
        .put(&[("event", "lost")], fleet.lost)
        .put(&[("event", "take_conflict")], fleet.conflicts)
        .put(&[("event", "requested")], fleet.requests)
        .put(&[("event", "handed_over")], fleet.hand_overs);
    all.counter("heartbeats", "", "Heartbeats stored").set(fleet.heartbeats);
    all.counter("lease_scans", "", "Readings of the lease table").set(fleet.scans);
    let mut ages = all.gauge(
        "loop_success_age_seconds",
        "seconds",
        "Since a loop of the worker last ended a turn without a failure",
    );
    for each in &worker.loops {
        if let Some(ms) = each.since_success_ms {
            ages.put(&[("loop", &each.name)], seconds(ms));
        }
    }
}

/// One sample per shard that runs here, and the lags of those that nobody runs.
fn shards(all: &mut Exposition, shards: &[ShardReport]) {
    let running = || {
        shards
            .iter()
            .filter_map(|shard| shard.task.as_ref().map(|task| (&*shard.shard, shard, task)))
    };
    let mut lag = all.gauge(
        "shard_lag_seconds",
        "seconds",
        "Age of the oldest record that is not committed, whether or not a task runs",
    );
    for shard in shards {
        if let Some(lag_ms) = shard.lag_ms {
            lag.put(&[("shard", &shard.shard)], seconds(lag_ms));
        }
    }
    let mut failures = all.gauge("shard_failures", "", "Failed tasks since the last checkpoint");
    for shard in shards.iter().filter(|shard| shard.failures > 0) {
        failures.put(&[("shard", &shard.shard)], shard.failures);
    }
    let mut age = all.gauge(
        "shard_checkpoint_age_seconds",
        "seconds",
        "Since the arrival of the record at the checkpoint; grows while nothing arrives",
    );
    for (shard, report, _) in running() {
        if let Some(ms) = report.checkpoint_age_ms {
            age.put(&[("shard", shard)], seconds(ms));
        }
    }
    let mut records =
        all.counter("shard_records", "", "Records committed since the shard was taken");
    for (shard, _, task) in running() {
        records.put(&[("shard", shard)], task.records);
    }
    let mut epochs = all.counter("shard_epochs", "", "Epochs committed since the shard was taken");
    for (shard, _, task) in running() {
        epochs.put(&[("shard", shard)], task.epochs);
    }
}

/// Writes the channels' figures as CloudWatch has them, in base units; a family without a channel
/// is left out.
fn channels(all: &mut Exposition, channels: &[ChannelReport]) {
    for metric in METRICS {
        let Some(family) = family(metric) else { continue };
        let mut samples = channels
            .iter()
            .flat_map(|(id, figures)| figures.iter().map(move |(each, value)| (id, *each, *value)))
            .filter(|(_, each, _)| *each == metric)
            .peekable();
        if samples.peek().is_none() {
            continue;
        }
        let help = metric.description.trim_end_matches('.');
        let mut out = match family.kind {
            Kind::Counter => all.counter_of(&family.name, family.unit, help),
            Kind::Gauge => all.gauge_of(&family.name, family.unit, help),
        };
        for (id, _, value) in samples {
            out.put(&[(CHANNEL, id)], value * family.scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::ops::status::sample;

    /// Returns a reader of its own: every sample, by the text before its value. It insists on what
    /// the format demands: metadata before samples, each family once and in one piece, names that
    /// fit their family, a unit at the end of the name, finite values, one `# EOF` at the end.
    fn parse(text: &str) -> BTreeMap<String, f64> {
        let body = text.strip_suffix("# EOF\n").expect("it ends with # EOF");
        let (mut samples, mut families) = (BTreeMap::new(), BTreeSet::new());
        let (mut family, mut kind) = ("", "");
        for line in body.lines() {
            if let Some(metadata) = line.strip_prefix("# ") {
                let mut words = metadata.splitn(3, ' ');
                let (what, name, rest) =
                    (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
                match what {
                    "TYPE" => {
                        assert!(families.insert(name), "{name} comes twice");
                        (family, kind) = (name, rest);
                    }
                    "UNIT" => assert!(name == family && name.ends_with(&format!("_{rest}"))),
                    "HELP" => assert!(name == family && !rest.is_empty()),
                    other => panic!("unknown metadata {other}"),
                }
                continue;
            }
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let suffix = name.strip_prefix(family).expect("the sample belongs to its family");
            let allowed: &[&str] = match kind {
                "counter" => &["_total"],
                "gauge" => &[""],
                "info" => &["_info"],
                "summary" => &["_count", "_sum"],
                other => panic!("unknown type {other}"),
            };
            assert!(allowed.contains(&suffix), "{name} is not a sample of the {kind} {family}");
            let value: f64 = value.parse().unwrap();
            assert!(value.is_finite(), "{series}");
            assert!(samples.insert(series.to_owned(), value).is_none(), "{series} comes twice");
        }
        samples
    }

    #[test]
    fn every_figure_is_there_once_and_in_its_unit() {
        let samples = parse(&render(&sample(), &busiest(), Format::OpenMetrics));
        let expected = [
            (r#"ivs_processor_build_info{version="0.1.0",worker="w-1",stream="s"}"#, 1.0),
            ("ivs_processor_ready", 1.0),
            ("ivs_processor_start_time_seconds", 1_772_323_200.5),
            ("ivs_processor_resident_memory_bytes", 1_048_576.0),
            (r#"ivs_processor_records_total{outcome="duplicate"}"#, 2.0),
            (r#"ivs_processor_rejected_records_total{reason="not_json"}"#, 1.0),
            ("ivs_processor_negative_latencies_total", 6.0),
            ("ivs_processor_reconciled_events_total", 7.0),
            ("ivs_processor_epoch_seconds_count", 4.0),
            ("ivs_processor_epoch_seconds_sum", 0.5),
            (r#"ivs_processor_leases_total{event="handed_over"}"#, 3.0),
            (r#"ivs_processor_loop_success_age_seconds{loop="scan"}"#, 1.5),
            (r#"ivs_processor_shard_lag_seconds{shard="shardId-0"}"#, 0.25),
            (r#"ivs_processor_shard_records_total{shard="shardId-0"}"#, 103.0),
            (r#"ivs_channel_current_viewers{channel="a"}"#, 12.0),
            (r#"ivs_channel_current_viewers{channel="b\"c"}"#, 3.0),
            (r#"ivs_channel_viewer_drop_ratio{channel="a"}"#, 0.5),
            (r#"ivs_channel_startup_time_seconds{channel="a"}"#, 1.5),
            (r#"ivs_channel_player_errors_total{channel="a"}"#, 4.0),
        ];
        for (series, value) in expected {
            assert_eq!(samples.get(series), Some(&value), "{series}");
        }
        let elsewhere = samples.keys().filter(|series| series.contains("shardId-1"));
        assert_eq!(elsewhere.count(), 0, "only shards that run here have series");
    }

    #[test]
    fn before_the_worker_has_joined_there_are_only_its_own_figures() {
        let status = Status { worker: None, ready: false, ..sample() };
        assert_eq!(parse(&render(&status, &[], Format::OpenMetrics)).len(), 4);
    }

    #[test]
    fn rules_and_dashboard_ask_for_series_that_are_there() {
        let text = render(&sample(), &busiest(), Format::OpenMetrics);
        let series: BTreeSet<_> =
            parse(&text).into_keys().map(|s| s.split('{').next().unwrap().to_owned()).collect();
        for asked in ivs_schemas::prometheus::processor_series() {
            let there = ["", "_sum"].iter().any(|end| series.contains(&format!("{asked}{end}")));
            assert!(there, "{asked}");
        }
    }

    #[test]
    fn plain_text_says_the_same() {
        let values = |format| -> BTreeSet<String> {
            let text = render(&sample(), &busiest(), format);
            text.lines().filter(|line| !line.starts_with('#')).map(ToOwned::to_owned).collect()
        };
        assert_eq!(values(Format::Plain), values(Format::OpenMetrics));
    }

    fn busiest() -> Vec<ChannelReport> {
        use ivs_schemas::catalogue::{Metric, metrics};

        static VIEWERS: Metric = metrics::CURRENT_VIEWERS;
        static DROP: Metric = metrics::VIEWER_DROP_PERCENT;
        static STARTUP: Metric = metrics::STARTUP_TIME;
        static ERRORS: Metric = metrics::PLAYER_ERRORS;
        vec![
            (
                "a".into(),
                vec![(&VIEWERS, 12.0), (&DROP, 50.0), (&STARTUP, 1_500.0), (&ERRORS, 4.0)],
            ),
            ("b\"c".into(), vec![(&VIEWERS, 3.0)]),
        ]
    }
}
