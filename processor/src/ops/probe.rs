//! What `/healthz` and `/readyz` go by. Pure.

use std::time::Duration;

use kinesis_fleet::{LoopName, LoopStatus};
use kinesis_model::ShardId;

use super::Phase;
use crate::worker::Watch;

/// A loop that has not turned for this long beyond its pause will not turn again. Each call in a
/// turn is bounded, and the longest turn there is, heartbeats of a thousand leases to a table that
/// does not answer, ends within three minutes.
const STALLED: Duration = Duration::from_secs(300);

/// What a worker shows of itself.
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
}

impl Signs {
    /// Of a worker, or of none yet.
    #[must_use]
    pub fn of(phase: Phase, worker: Option<&Watch>) -> Self {
        let tasks = worker.map(Watch::tasks).unwrap_or_default();
        Self {
            phase,
            loops: worker.map(|worker| worker.loops().to_vec()).unwrap_or_default(),
            takes_leases: worker.is_none_or(Watch::takes_leases),
            tasks: tasks.into_iter().map(|(shard, task)| (shard, task.since_turn)).collect(),
        }
    }

    /// The loops that should turn: scanning and syncing end when the drain begins.
    fn live_loops(&self) -> impl Iterator<Item = &LoopStatus> {
        let draining = self.phase == Phase::Draining;
        self.loops.iter().filter(move |each| !draining || each.name == LoopName::Renew)
    }
}

/// Why the process should be replaced; empty while it lives. AWS being away is no reason: a new
/// process would meet the same.
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

/// Why the worker cannot do its work now; empty while it can.
#[must_use]
pub fn unready(signs: &Signs) -> Vec<String> {
    let mut problems = match signs.phase {
        Phase::Starting => vec!["starting".to_owned()],
        Phase::Draining => vec!["draining".to_owned()],
        Phase::Running => Vec::new(),
    };
    problems.extend(stalled(signs));
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
    fn a_drain_stops_scanning_without_being_dead() {
        let mut signs = signs();
        signs.phase = Phase::Draining;
        signs.takes_leases = false;
        signs.loops[1].since_turn_ms = 400_000;
        assert_eq!(stalled(&signs), Vec::<String>::new());
        assert_eq!(unready(&signs), ["draining"]);
    }
}
