//! The rules of `/healthz` and `/readyz`.

use std::time::Duration;

use kinesis_fleet::{LoopName, LoopStatus};
use kinesis_model::ShardId;

use super::Phase;
use crate::worker::{Task, Watch};

/// A loop that has not turned for this long beyond its pause will not turn again. Each call in a
/// turn is bounded, and the longest turn there is, heartbeats of a thousand leases to a table that
/// does not answer, ends within three minutes.
const STALLED: Duration = Duration::from_secs(300);

/// Lag and commits of a worker in order stay far below this; a retry of a store takes half a
/// minute.
const PATIENCE: Duration = Duration::from_secs(180);

/// The signs that a worker shows of itself.
#[derive(Clone, Debug)]
pub struct Signs {
    /// Where it stands.
    pub phase: Phase,
    /// Its loops; empty while it starts.
    pub loops: Vec<LoopStatus>,
    /// Whether leases that arrive are given a task.
    pub takes_leases: bool,
    /// The running tasks, with the time since their loops turned.
    pub tasks: Vec<(ShardId, Duration)>,
    /// The work on shards.
    pub work: Work,
}

/// How a worker gets on with its shards.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// Shards it works on that do not fail.
    pub healthy: usize,
    /// Those of them, and those between two tries, that fail, with the reason.
    pub failing: Vec<(ShardId, String)>,
    /// The unfinished lease that is furthest behind, of those it can tell of, in milliseconds.
    pub slowest: Option<(ShardId, u64)>,
    /// Since its last commit of any shard; `None` while it works on none.
    pub since_commit: Option<Duration>,
    /// How long an epoch is open.
    pub interval: Duration,
}

impl Work {
    fn of(worker: &Watch, tasks: &[(ShardId, Task)]) -> Self {
        let slowest = worker.lags().into_iter().max_by_key(|lag| lag.lag_ms);
        let failing = worker.failing();
        Self {
            healthy: tasks.iter().filter(|(shard, _)| !failing.contains_key(shard)).count(),
            failing: failing.into_iter().map(|(shard, f)| (shard, f.error)).collect(),
            slowest: slowest.map(|lag| (lag.shard, lag.lag_ms)),
            since_commit: tasks.iter().map(|(_, task)| task.since_commit).min(),
            interval: worker.interval(),
        }
    }

    /// Returns why no work gets done; empty while it does.
    fn problems(&self) -> Vec<String> {
        if let Some((shard, error)) = self.failing.first()
            && self.healthy == 0
        {
            return vec![format!("every shard here fails, {shard} for example: {error}")];
        }
        let patience = PATIENCE.max(3 * self.interval);
        // Without a task of its own the worker can do nothing about a lag that it sees.
        let Some((since, (shard, lag_ms))) = self.since_commit.zip(self.slowest.as_ref()) else {
            return Vec::new();
        };
        let lag = Duration::from_millis(*lag_ms);
        if since <= patience || lag <= patience {
            return Vec::new();
        }
        let (lag, since) = (lag.as_secs(), since.as_secs());
        vec![format!("{shard} is {lag} s behind and nothing was committed here for {since} s")]
    }
}

impl Signs {
    /// Reads the signs of a worker, or of none yet.
    #[must_use]
    pub fn of(phase: Phase, worker: Option<&Watch>) -> Self {
        let tasks = worker.map(Watch::tasks).unwrap_or_default();
        Self {
            phase,
            loops: worker.map(|worker| worker.loops().to_vec()).unwrap_or_default(),
            takes_leases: worker.is_none_or(Watch::takes_leases),
            work: worker.map(|worker| Work::of(worker, &tasks)).unwrap_or_default(),
            tasks: tasks.into_iter().map(|(shard, task)| (shard, task.since_turn)).collect(),
        }
    }

    /// Returns the loops that should turn: scanning and syncing end when the drain begins.
    fn live_loops(&self) -> impl Iterator<Item = &LoopStatus> {
        let draining = self.phase == Phase::Draining;
        self.loops.iter().filter(move |each| !draining || each.name == LoopName::Renew)
    }
}

/// Returns why the process should be replaced; empty while it lives. AWS being away is not a
/// reason: a new process would meet the same.
#[must_use]
pub fn stalled(signs: &Signs) -> Vec<String> {
    let mut problems = Vec::new();
    if signs.phase == Phase::Running && !signs.takes_leases {
        problems.push("the task that runs shards has ended".to_owned());
    }
    for each in signs.live_loops() {
        let since = Duration::from_millis(each.since_turn_ms);
        if since > STALLED + Duration::from_millis(each.every_ms) {
            problems.push(format!(
                "{} has not turned for {} s",
                each.name.as_str(),
                since.as_secs()
            ));
        }
    }
    for (shard, since) in signs.tasks.iter().filter(|(_, since)| *since > STALLED) {
        problems.push(format!("{shard} has not turned for {} s", since.as_secs()));
    }
    problems
}

/// Returns why the worker cannot do its work now; empty while it can.
#[must_use]
pub fn unready(signs: &Signs) -> Vec<String> {
    let mut problems = match signs.phase {
        Phase::Starting => vec!["starting".to_owned()],
        Phase::Draining => vec!["draining".to_owned()],
        Phase::Running => Vec::new(),
    };
    problems.extend(stalled(signs));
    if signs.phase == Phase::Running {
        problems.extend(signs.work.problems());
    }
    for each in signs.live_loops() {
        let what = match each.name {
            LoopName::Renew => "the last heartbeat failed",
            LoopName::Scan => "the lease table could not be read",
            LoopName::Sync => "shards and leases could not be compared",
        };
        match (&each.error, each.since_success_ms) {
            (Some(error), _) => problems.push(format!("{what}: {error}")),
            // The first scan follows the start at once.
            (None, None) if each.name == LoopName::Scan => {
                problems.push("the lease table was not read yet".to_owned());
            }
            (None, _) => {}
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(name: LoopName, since_turn_ms: u64) -> LoopStatus {
        LoopStatus {
            name,
            every_ms: 1_000,
            since_turn_ms,
            since_success_ms: Some(since_turn_ms),
            error: None,
        }
    }

    fn signs() -> Signs {
        Signs {
            phase: Phase::Running,
            loops: vec![
                turned(LoopName::Renew, 500),
                turned(LoopName::Scan, 900),
                turned(LoopName::Sync, 1_100),
            ],
            takes_leases: true,
            tasks: vec![(ShardId::new("shardId-0"), Duration::from_millis(90))],
            work: Work {
                healthy: 2,
                failing: Vec::new(),
                slowest: Some((ShardId::new("shardId-1"), 70_000)),
                since_commit: Some(Duration::from_secs(40)),
                interval: Duration::from_secs(60),
            },
        }
    }

    #[test]
    fn a_worker_in_order_is_alive_and_ready() {
        assert_eq!(stalled(&signs()), Vec::<String>::new());
        assert_eq!(unready(&signs()), Vec::<String>::new());
    }

    #[test]
    fn an_aws_that_does_not_answer_makes_it_unready_and_not_dead() {
        let mut signs = signs();
        signs.loops[1].error = Some("Scan was refused".to_owned());
        assert_eq!(stalled(&signs), Vec::<String>::new());
        assert_eq!(unready(&signs), ["the lease table could not be read: Scan was refused"]);
    }

    #[test]
    fn loops_and_tasks_that_stand_still_are_named() {
        let mut signs = signs();
        signs.loops[0].since_turn_ms = 302_000;
        signs.tasks[0].1 = Duration::from_secs(301);
        signs.takes_leases = false;
        let expected = [
            "the task that runs shards has ended",
            "renew has not turned for 302 s",
            "shardId-0 has not turned for 301 s",
        ];
        assert_eq!(stalled(&signs), expected);
        assert_eq!(unready(&signs), expected);
    }

    #[test]
    fn a_worker_all_of_whose_shards_fail_is_not_ready() {
        let mut signs = signs();
        let shard = |n: u32| ShardId::new(&format!("shardId-{n}"));
        signs.work.failing = vec![(shard(0), "table `t` is gone".to_owned())];
        signs.work.healthy = 1;
        assert_eq!(unready(&signs), Vec::<String>::new(), "the other one gets on");
        signs.work.failing.push((shard(1), "table `t` is gone".to_owned()));
        signs.work.healthy = 0;
        let expected = "every shard here fails, shardId-0 for example: table `t` is gone";
        assert_eq!(unready(&signs), [expected]);
        assert_eq!(stalled(&signs), Vec::<String>::new(), "a new process would meet the same");
    }

    #[test]
    fn a_worker_that_commits_nothing_while_records_age_is_not_ready() {
        let mut signs = signs();
        signs.work.slowest = Some((ShardId::new("shardId-1"), 400_000));
        assert_eq!(unready(&signs), Vec::<String>::new(), "late, but it moves");
        signs.work.since_commit = Some(Duration::from_secs(390));
        let expected = "shardId-1 is 400 s behind and nothing was committed here for 390 s";
        assert_eq!(unready(&signs), [expected]);
        signs.work.slowest = Some((ShardId::new("shardId-1"), 0));
        assert_eq!(unready(&signs), Vec::<String>::new(), "there is nothing to commit");
        signs.work.slowest = Some((ShardId::new("shardId-1"), 400_000));
        signs.work.interval = Duration::from_secs(200);
        assert_eq!(unready(&signs), Vec::<String>::new(), "epochs are that long here");
    }

    #[test]
    fn a_drain_stops_scanning_without_being_dead() {
        let mut signs = signs();
        signs.phase = Phase::Draining;
        signs.takes_leases = false;
        signs.loops[1].since_turn_ms = 400_000;
        assert_eq!(stalled(&signs), Vec::<String>::new());
        assert_eq!(unready(&signs), ["draining"]);
    }
}
