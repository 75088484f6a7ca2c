//! The answer of `/status`, as JSON; `/metrics` is made from the same.

use std::collections::BTreeMap;

use kinesis_fleet::{LeaseStatus, LoopStatus};
use kinesis_model::EpochMs;
use serde::{Deserialize, Serialize};

use super::phase::{Phase, Started};
use super::probe::{self, Signs};
use crate::clock::now;
use crate::sink::stats::{LastError, Snapshot};
use crate::worker::shard_status::{Failing, Rates, Stage};
use crate::worker::{Task, Watch};

/// A worker at one moment.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// Where the worker stands.
    pub phase: Phase,
    /// Whether it can do its work, as `/readyz` says.
    pub ready: bool,
    /// Why not.
    pub problems: Vec<String>,
    /// When the process started to serve, in epoch milliseconds.
    pub started_ms: EpochMs,
    /// How long ago that is.
    pub uptime_ms: u64,
    /// Memory in use, in bytes, where the system says it.
    pub resident_bytes: Option<u64>,
    /// The worker; absent until it has joined its fleet.
    pub worker: Option<WorkerStatus>,
}

/// The deeds and holdings of a worker.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WorkerStatus {
    /// Its id in the lease table.
    pub id: String,
    /// The stream it reads.
    pub stream: String,
    /// The lease table it shares.
    pub lease_table: String,
    /// The totals committed and sent since its start.
    pub totals: Snapshot,
    /// Committed records a second, over the shards it runs.
    pub rates: Rates,
    /// Its part in the fleet.
    pub fleet: FleetStatus,
    /// Its loops.
    pub loops: Vec<LoopReport>,
    /// Every lease of the table as it last saw it.
    pub shards: Vec<ShardReport>,
    /// The last error, whether or not it was overcome.
    pub last_error: Option<LastError>,
}

/// The lease operations of a worker since its start.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FleetStatus {
    /// Leases it holds.
    pub held: u64,
    /// Leases taken.
    pub taken: u64,
    /// Leases lost: taken by others, deleted, or not renewed in time.
    pub lost: u64,
    /// Takes that another worker won.
    pub conflicts: u64,
    /// Leases that another worker asked for, and that are or were handed over.
    pub hand_overs: u64,
    /// Leases asked for.
    pub requests: u64,
    /// Heartbeats stored.
    pub heartbeats: u64,
    /// Readings of the lease table.
    pub scans: u64,
}

/// One loop of a worker.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LoopReport {
    /// `renew`, `scan` or `sync`.
    pub name: String,
    /// Since its last turn ended well; absent before the first.
    pub since_success_ms: Option<u64>,
    /// The error of its last turn.
    pub error: Option<String>,
}

/// One lease.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ShardReport {
    /// The shard.
    pub shard: String,
    /// Who holds it.
    pub owner: Option<String>,
    /// Its relation to this worker: `unowned`, `elsewhere`, `waiting`, `running`, `finished`,
    /// `lost`.
    pub state: String,
    /// The last position that is done.
    pub checkpoint: String,
    /// Since the arrival of the record at the checkpoint.
    pub checkpoint_age_ms: Option<u64>,
    /// The end of the prepared epoch.
    pub pending: Option<String>,
    /// How long the lease is surely held without another heartbeat.
    pub valid_for_ms: Option<u64>,
    /// Age of the oldest record that is not committed, as far as this worker can tell: not for a
    /// shard that another live worker reads.
    pub lag_ms: Option<u64>,
    /// Failures of the work on it since its last checkpoint, by whichever worker.
    #[serde(default)]
    pub failures: u64,
    /// Why it failed last.
    pub error: Option<String>,
    /// The task that runs it here.
    pub task: Option<TaskReport>,
}

/// A running task.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TaskReport {
    /// Epochs it has committed.
    pub epochs: u64,
    /// Where the one in flight stands.
    pub stage: Stage,
    /// Records it has committed.
    pub records: u64,
    /// Age of the oldest record that is not committed.
    pub lag_ms: u64,
    /// Committed records a second.
    pub rates: Rates,
}

/// Returns the status now.
pub(super) fn of(started: Started, phase: Phase, worker: Option<&Watch>) -> Status {
    let problems = probe::unready(&Signs::of(phase, worker));
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        phase,
        ready: problems.is_empty(),
        problems,
        started_ms: started.ms,
        uptime_ms: u64::try_from(started.at.elapsed().as_millis()).unwrap_or(u64::MAX),
        resident_bytes: resident_bytes(),
        worker: worker.map(worker_status),
    }
}

/// Returns what a worker says about itself.
pub(crate) fn worker_status(worker: &Watch) -> WorkerStatus {
    let (now, mut tasks) = (now(), worker.tasks());
    let mut rates = Rates::default();
    tasks.iter().for_each(|(_, task)| rates.add(&task.rates));
    let lags: BTreeMap<_, _> =
        worker.lags().into_iter().map(|lag| (lag.shard, lag.lag_ms)).collect();
    let failing = worker.failing();
    let mut shard_report = |lease: &LeaseStatus| {
        let at = tasks.iter().position(|(shard, _)| *shard == lease.shard);
        let task = at.map(|at| tasks.swap_remove(at).1);
        let lag_ms = lags.get(&lease.shard).copied();
        shard_report(lease, task.as_ref(), (lag_ms, failing.get(&lease.shard)), now)
    };
    let fleet = worker.fleet();
    let counters = fleet.counters();
    WorkerStatus {
        id: fleet.worker_id().to_string(),
        stream: worker.stream().to_owned(),
        lease_table: worker.lease_table().to_owned(),
        totals: worker.stats().snapshot(),
        rates,
        fleet: FleetStatus {
            held: fleet.leases_held() as u64,
            taken: counters.taken(),
            lost: counters.lost(),
            conflicts: counters.conflicts(),
            hand_overs: counters.hand_overs(),
            requests: counters.requests(),
            heartbeats: counters.renewals(),
            scans: counters.scans(),
        },
        loops: worker.loops().map(loop_report).into(),
        shards: worker.leases().iter().map(&mut shard_report).collect(),
        last_error: worker.stats().last_error(),
    }
}

fn loop_report(each: LoopStatus) -> LoopReport {
    LoopReport {
        name: each.name.as_str().to_owned(),
        since_success_ms: each.since_success_ms,
        error: each.error,
    }
}

fn shard_report(
    lease: &LeaseStatus,
    task: Option<&Task>,
    (lag_ms, failing): (Option<u64>, Option<&Failing>),
    now: EpochMs,
) -> ShardReport {
    let here = failing.map(|failing| failing.error.clone());
    ShardReport {
        shard: lease.shard.to_string(),
        owner: lease.owner.as_ref().map(ToString::to_string),
        state: lease.state.as_str().to_owned(),
        checkpoint: lease.checkpoint.to_string(),
        checkpoint_age_ms: lease.checkpoint_arrival.map(|at| age_ms(now, at)),
        pending: lease.pending.map(|at| at.to_string()),
        valid_for_ms: lease.valid_for_ms,
        lag_ms,
        failures: lease.failures.max(failing.map_or(0, |failing| u64::from(failing.times))),
        error: here.or_else(|| lease.last_error.as_deref().map(str::to_owned)),
        task: task.map(|task| TaskReport {
            epochs: task.view.epochs,
            stage: task.view.stage,
            records: task.view.committed_records,
            lag_ms: lag_ms.unwrap_or_default(),
            rates: task.rates,
        }),
    }
}

/// Returns how long before `now` something was; 0 if it lies ahead.
pub(crate) fn age_ms(now: EpochMs, at: EpochMs) -> u64 {
    u64::try_from(now.0.saturating_sub(at.0)).unwrap_or(0)
}

/// `VmRSS` of this process; `None` where there is no such file.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

/// Returns a worker with two leases, one of them its own.
#[cfg(test)]
pub(crate) fn sample() -> Status {
    let lease = |shard: &str, owner: &str, state: &str, task: Option<TaskReport>| ShardReport {
        shard: shard.to_owned(),
        owner: Some(owner.to_owned()),
        state: state.to_owned(),
        checkpoint: "495".to_owned(),
        checkpoint_age_ms: Some(4_000),
        pending: None,
        valid_for_ms: None,
        lag_ms: task.as_ref().map(|task| task.lag_ms),
        failures: 0,
        error: None,
        task,
    };
    let rates = Rates { read_per_s: 10.3, accepted_per_s: 10.0, ..Rates::default() };
    let task = TaskReport { epochs: 4, stage: Stage::Writing, records: 103, lag_ms: 250, rates };
    Status {
        version: "0.1.0".to_owned(),
        phase: Phase::Running,
        ready: true,
        problems: Vec::new(),
        started_ms: EpochMs(1_772_323_200_500),
        uptime_ms: 61_000,
        resident_bytes: Some(1 << 20),
        worker: Some(WorkerStatus {
            id: "w-1".to_owned(),
            stream: "s".to_owned(),
            lease_table: "t".to_owned(),
            totals: Snapshot {
                read: 103,
                accepted: 100,
                duplicate: 2,
                negative_latency: 6,
                reconciled_events: 7,
                rejected: 1,
                rejected_by_reason: vec![("not_json".to_owned(), 1)],
                epochs: 4,
                epoch_us: 500_000,
                ..Snapshot::default()
            },
            rates,
            fleet: FleetStatus {
                held: 1,
                taken: 5,
                lost: 1,
                conflicts: 0,
                hand_overs: 3,
                requests: 0,
                heartbeats: 70,
                scans: 30,
            },
            loops: vec![LoopReport {
                name: "scan".to_owned(),
                since_success_ms: Some(1_500),
                error: None,
            }],
            shards: vec![
                lease("shardId-0", "w-1", "running", Some(task)),
                lease("shardId-1", "w-2", "elsewhere", None),
            ],
            last_error: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let json = serde_json::to_string(&sample()).unwrap();
        for part in [r#""phase":"running""#, r#""lagMs":250"#, r#""stage":"writing""#] {
            assert!(json.contains(part), "{part} is not in {json}");
        }
        assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), sample());
    }
}
