//! `status`: the fleet by lease table and stream, or one worker by its operations server.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use kinesis_fleet::admin::Finding;
use kinesis_fleet::admin::stream::{self, StreamError, StreamShards};
use kinesis_fleet::{Checkpoint, EpochMs, Lease, ShardId};
use serde::Serialize;

use crate::clock::now;
use crate::cloud;
use crate::commands::NoAnswer;
use crate::commands::health::worker_url;
use crate::commands::text_table::{count, or_dash, render, time};
use crate::config::Config;
use crate::ops::client;
use crate::ops::status::{ShardReport, Status, WorkerStatus, age_ms};
use crate::printable::{self, Printable};
use clap::Args;

/// `status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// Ask this worker's operations server instead of lease table and stream
    #[arg(long, value_name = "http://HOST:PORT", value_parser = worker_url)]
    pub worker: Option<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Lags asked for at once.
const AT_ONCE: usize = 10;

/// Runs `status`.
///
/// # Errors
/// When lease table, stream or worker do not answer, or when an owner is silent, a shard fails or is
/// without a lease, or a worker is not ready.
pub(super) async fn run(config: &Config, args: &StatusArgs) -> anyhow::Result<()> {
    if let Some(url) = &args.worker {
        return of_worker(url, args.json).await;
    }
    let report = look(config).await?;
    if args.json {
        println!("{}", printable::json(&report)?);
    } else {
        print!("{}", Printable(report.table()));
    }
    let problems = report.problems();
    anyhow::ensure!(problems.is_empty(), "{}", problems.join("; "));
    Ok(())
}

/// A fleet, as lease table and stream show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FleetReport {
    stream: String,
    lease_table: String,
    /// How long the lease counters were watched.
    watched_ms: u64,
    shards: Vec<ShardLine>,
    /// Open shards of the stream that have no lease.
    without_lease: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShardLine {
    shard: String,
    owner: Option<String>,
    heartbeat: Heartbeat,
    checkpoint: String,
    checkpoint_age_ms: Option<u64>,
    pending: Option<String>,
    /// Age of the first record after the checkpoint.
    lag_ms: Option<u64>,
    lag_error: Option<String>,
    /// Failed tasks since the checkpoint, and why the last one failed.
    failed_tasks: u64,
    last_error: Option<String>,
}

/// Whether the owner of a lease writes to it.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Heartbeat {
    /// The counter moved while it was watched.
    Alive,
    /// It did not, though half the failover time holds at least one heartbeat.
    Silent,
    /// Nobody holds the lease, or it is finished.
    None,
}

impl Heartbeat {
    fn of(before: &Lease, after: &Lease) -> Self {
        match &after.owner {
            _ if after.is_finished() => Self::None,
            None => Self::None,
            Some(_) if after.counter != before.counter => Self::Alive,
            Some(_) => Self::Silent,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Silent => "silent",
            Self::None => "-",
        }
    }
}

/// Reads the table twice, half a failover time apart, and the lags in between.
async fn look(config: &Config) -> anyhow::Result<FleetReport> {
    let clients = cloud::clients(&config.aws).await;
    let store = super::leases::store(config, &clients);
    let name = &config.stream.name;
    store.check_table().await?;
    let started = crate::clock::instant();
    let before = store.list().await?;
    let described = stream::describe(&clients.kinesis, name).await?;
    let now = now();
    let calls = &stream::calls(&clients.kinesis, name);
    let ask = |lease: Lease| async move {
        (lease.key.clone(), stream::lag_ms(calls, name, &lease, now).await)
    };
    let lags: BTreeMap<ShardId, _> =
        futures::stream::iter(before.clone()).map(ask).buffer_unordered(AT_ONCE).collect().await;
    let watch = Duration::from_millis(config.fleet.failover_ms / 2);
    tokio::time::sleep(watch.saturating_sub(started.elapsed())).await;
    let after = store.list().await?;
    let watched_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(FleetReport {
        stream: name.clone(),
        lease_table: config.fleet.lease_table.clone(),
        watched_ms,
        shards: lines(&before, &after, lags, now),
        without_lease: without_lease(&after, &described),
    })
}

fn lines(
    before: &[Lease],
    after: &[Lease],
    mut lags: BTreeMap<ShardId, Result<u64, StreamError>>,
    now: EpochMs,
) -> Vec<ShardLine> {
    let after: BTreeMap<_, _> = after.iter().map(|lease| (&lease.key, lease)).collect();
    let mut lines: Vec<_> = before
        .iter()
        .map(|before| {
            let lease = after.get(&before.key).copied().unwrap_or(before);
            let lag = lags.remove(&lease.key);
            let (lag_ms, lag_error) = match lag {
                Some(Ok(ms)) => (Some(ms), None),
                Some(Err(error)) => (None, Some(error.to_string())),
                None => (None, None),
            };
            ShardLine {
                shard: lease.key.to_string(),
                owner: lease.owner.as_ref().map(ToString::to_string),
                heartbeat: Heartbeat::of(before, lease),
                checkpoint: lease.checkpoint.to_string(),
                checkpoint_age_ms: lease.checkpoint_arrival.map(|at| age_ms(now, at)),
                pending: lease.pending.as_ref().map(Checkpoint::to_string),
                lag_ms,
                lag_error,
                failed_tasks: lease.failures,
                last_error: lease.last_error.as_deref().map(str::to_owned),
            }
        })
        .collect();
    lines.sort_unstable_by(|a, b| a.shard.cmp(&b.shard));
    lines
}

/// Open shards that no worker will read: those below a lease that is still read get theirs later.
fn without_lease(leases: &[Lease], stream: &StreamShards) -> Vec<String> {
    let findings = stream::verify_stream(leases, stream);
    let shard = |finding: Finding| match finding {
        Finding::NoLease(shard) => Some(shard.to_string()),
        _ => None,
    };
    findings.into_iter().filter_map(shard).collect()
}

impl FleetReport {
    fn table(&self) -> String {
        let row = |line: &ShardLine| {
            [
                line.shard.clone(),
                or_dash(line.owner.as_deref()),
                line.heartbeat.as_str().to_owned(),
                short(&line.checkpoint),
                or_dash(line.pending.as_deref().map(short)),
                or_dash(line.checkpoint_age_ms.map(time)),
                line.lag_ms.map_or_else(|| "?".to_owned(), time),
            ]
        };
        let header = ["SHARD", "OWNER", "HEARTBEAT", "CHECKPOINT", "PENDING", "AGE", "LAG"];
        let rows: Vec<_> = self.shards.iter().map(row).collect();
        let workers: BTreeSet<_> = self.shards.iter().filter_map(|l| l.owner.as_ref()).collect();
        let slowest = self.shards.iter().filter_map(|line| line.lag_ms).max().unwrap_or_default();
        let mut text = render(header, &rows);
        text += &format!(
            "\n{} in {}, {}, slowest shard of {} {} behind\n\
             heartbeat: whether the lease was written in {}; age: of the record at the checkpoint;\n\
             lag: age of the first record after it, by GetRecords\n",
            count(rows.len(), "lease"),
            self.lease_table,
            count(workers.len(), "worker"),
            self.stream,
            time(slowest),
            time(self.watched_ms),
        );
        for shard in &self.without_lease {
            text += &format!("{shard} has no lease\n");
        }
        for line in &self.shards {
            if let Some(error) = &line.last_error {
                text += &format!("{} fails: {error}\n", line.shard);
            }
        }
        for error in self.shards.iter().filter_map(|line| line.lag_error.as_ref()) {
            text += &format!("{error}\n");
        }
        text
    }

    /// Returns why the command fails, in short; the table has the rest.
    fn problems(&self) -> Vec<String> {
        let all = |what: &str, is_it: fn(&ShardLine) -> bool| {
            let shards: Vec<_> =
                self.shards.iter().filter(|line| is_it(line)).map(|l| l.shard.as_str()).collect();
            (!shards.is_empty()).then(|| format!("{what}: {}", shards.join(", ")))
        };
        let mut problems: Vec<_> = [
            all("the owner is silent", |line| line.heartbeat == Heartbeat::Silent),
            all("failing", |line| line.failed_tasks > 0),
            all("lag unknown", |line| line.lag_error.is_some()),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !self.without_lease.is_empty() {
            problems.push(format!("without a lease: {}", self.without_lease.join(", ")));
        }
        problems
    }
}

/// Sequence numbers of one shard differ at their end.
fn short(checkpoint: &str) -> String {
    match checkpoint.char_indices().nth_back(11) {
        Some((at, _)) if checkpoint.len() > 20 => format!("…{}", &checkpoint[at..]),
        _ => checkpoint.to_owned(),
    }
}

async fn of_worker(url: &str, json: bool) -> anyhow::Result<()> {
    let answer = client::get(&format!("{}/status", url.trim_end_matches('/'))).await;
    let (code, body) = answer.map_err(|error| {
        NoAnswer(format!("{error}; a worker answers at its ops.listen, by default 127.0.0.1:9464"))
    })?;
    anyhow::ensure!(code.is_success(), "{url}/status answered {code}");
    let status: Status = serde_json::from_str(&body)
        .with_context(|| format!("{url}/status is not a status of this version"))?;
    if json {
        println!("{body}");
    } else {
        print!("{}", Printable(worker_text(&status)));
    }
    anyhow::ensure!(status.ready, "not ready: {}", status.problems.join("; "));
    Ok(())
}

fn worker_text(status: &Status) -> String {
    let ready = if status.ready { "ready" } else { "not ready" };
    let uptime = time(status.uptime_ms);
    let Some(worker) = &status.worker else {
        return format!("{:?}, {ready}, up {uptime}\n", status.phase).to_lowercase();
    };
    let mut text = format!("{}  {ready}, up {uptime}, version {}\n", worker.id, status.version);
    for problem in &status.problems {
        text += &format!("  {problem}\n");
    }
    text += &format!("\n{}\n{}", shards_table(worker), totals_text(worker));
    for shard in &worker.shards {
        if let Some(error) = &shard.error {
            let times = match shard.failures {
                1 => "once".to_owned(),
                failures => format!("{failures} times"),
            };
            text += &format!("{} has failed {times}: {error}\n", shard.shard);
        }
    }
    if let Some(last) = &worker.last_error {
        let age = time(age_ms(now(), last.time_ms));
        text += &format!("last error, {age} ago: {}\n", last.error);
    }
    text
}

fn shards_table(worker: &WorkerStatus) -> String {
    let row = |shard: &ShardReport| {
        let task = shard.task.as_ref();
        [
            shard.shard.clone(),
            shard.state.clone(),
            or_dash(shard.owner.as_deref()),
            or_dash(task.map(|task| task.stage.as_str())),
            or_dash(task.map(|task| task.epochs)),
            short(&shard.checkpoint),
            or_dash(shard.pending.as_deref().map(short)),
            or_dash(shard.lag_ms.map(time)),
            or_dash(task.map(|task| format!("{:.1}", task.rates.read_per_s))),
        ]
    };
    let header =
        ["SHARD", "STATE", "OWNER", "EPOCH", "DONE", "CHECKPOINT", "PENDING", "LAG", "RECORDS/S"];
    render(header, &worker.shards.iter().map(row).collect::<Vec<_>>())
}

fn totals_text(worker: &WorkerStatus) -> String {
    let (totals, rates, fleet) = (&worker.totals, &worker.rates, &worker.fleet);
    let line = |name: &str, total: u64, rate: f64| {
        [name.to_owned(), total.to_string(), format!("{rate:.1}")]
    };
    let records = [
        line("read", totals.read, rates.read_per_s),
        line("accepted", totals.accepted, rates.accepted_per_s),
        line("duplicate", totals.duplicate, rates.duplicate_per_s),
        line("rejected", totals.rejected, rates.rejected_per_s),
    ];
    format!(
        "{}\n{} epochs, {} rows written, {} datums, {} domain events, {} retries\n\
         {} held: {} taken, {} handed over, {} asked for, {} lost\n",
        render(["RECORDS", "COMMITTED", "PER S"], &records),
        totals.epochs,
        totals.rows_written,
        totals.datums,
        totals.domain_events,
        totals.retries,
        count(usize::try_from(fleet.held).unwrap_or(usize::MAX), "lease"),
        fleet.taken,
        fleet.hand_overs,
        fleet.requests,
        fleet.lost,
    )
}

#[cfg(test)]
mod tests {
    use kinesis_fleet::WorkerId;

    use super::*;
    use crate::ops::status::sample;

    fn lease(counter: u64) -> Lease {
        let at = Checkpoint::Sequence(
            "49590338271490256608559692538361571095921575989136588898".parse().unwrap(),
        );
        let mut lease = Lease::new(ShardId::new("shardId-0"), at);
        lease.owner = Some(WorkerId::new("w-1"));
        lease.counter = counter;
        lease.checkpoint_arrival = Some(EpochMs(10_000));
        lease
    }

    #[test]
    fn a_fleet_is_one_line_a_shard_with_its_lag_and_heartbeat() {
        let lags = BTreeMap::from([(ShardId::new("shardId-0"), Ok(250))]);
        let report = FleetReport {
            stream: "s".to_owned(),
            lease_table: "t".to_owned(),
            watched_ms: 5_000,
            shards: lines(&[lease(1)], &[lease(2)], lags, EpochMs(14_000)),
            without_lease: vec!["shardId-9".to_owned()],
        };
        assert_eq!(report.problems(), ["without a lease: shardId-9"]);
        let text = report.table();
        let line = text.lines().nth(1).unwrap();
        let cells: Vec<_> = line.split_whitespace().collect();
        let expected = ["shardId-0", "w-1", "alive", "…989136588898", "-", "4.0", "s", "250", "ms"];
        assert_eq!(cells, expected, "{text}");
        assert!(text.contains("slowest shard of s 250 ms behind"), "{text}");
        assert!(text.contains("shardId-9 has no lease"), "{text}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["shards"][0]["lagMs"], 250);
        assert_eq!(json["shards"][0]["heartbeat"], "alive");
        assert_eq!(json["shards"][0]["checkpoint"].as_str().unwrap().len(), 56);
    }

    #[test]
    fn a_silent_owner_and_a_failing_shard_fail_the_command() {
        let mut failing = lease(2);
        failing.failures = 3;
        failing.last_error = Some("table `t` is gone".into());
        let report = FleetReport {
            stream: "s".to_owned(),
            lease_table: "t".to_owned(),
            watched_ms: 5_000,
            shards: lines(&[lease(2)], &[failing], BTreeMap::new(), EpochMs(14_000)),
            without_lease: Vec::new(),
        };
        let expected = ["the owner is silent: shardId-0", "failing: shardId-0"];
        assert_eq!(report.problems(), expected);
        assert!(report.table().contains("shardId-0 fails: table `t` is gone"));
    }

    #[test]
    fn an_owner_whose_counter_stands_still_is_silent() {
        assert_eq!(Heartbeat::of(&lease(1), &lease(1)), Heartbeat::Silent);
        let mut free = lease(1);
        free.owner = None;
        assert_eq!(Heartbeat::of(&free, &free), Heartbeat::None);
    }

    #[test]
    fn a_worker_says_what_it_runs_and_what_others_hold() {
        let text = worker_text(&sample());
        for part in ["w-1  ready, up 61.0 s", "writing", "elsewhere", "103", "3 handed over"] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }
}
