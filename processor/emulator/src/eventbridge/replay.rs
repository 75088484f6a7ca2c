//! Replays: archived events of a time range, sent to the rules of their bus once more.
//!
//! Events keep their ids and get the member `replay-name`. They are sent in the order in which they
//! arrived; AWS promises no order within a minute.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::archive::{Cursor, archive_arn};
use super::bus::{absent, bus_arn, check_name, invalid, too_many};
use super::event::seconds;
use crate::service::{AwsError, Shared};

/// Replays that AWS runs at the same time.
const ACTIVE_MAX: usize = 10;

/// Replays that are remembered; AWS keeps them for 90 days.
const KEPT_MAX: usize = 1_000;

/// `StartReplay`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct StartReplay {
    replay_name: String,
    description: Option<String>,
    pub(super) event_source_arn: String,
    event_start_time: Option<Value>,
    event_end_time: Option<Value>,
    destination: ReplayDestination,
}

/// `ReplayDestination`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ReplayDestination {
    pub(super) arn: String,
    /// Rules by ARN; none means all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) filter_arns: Vec<String>,
}

/// The operations on replays that exist, and `ListReplays`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ReplaySelection {
    pub(super) replay_name: String,
    pub(super) name_prefix: Option<String>,
    pub(super) state: Option<ReplayState>,
    pub(super) event_source_arn: Option<String>,
}

/// A replay's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum ReplayState {
    Starting,
    Running,
    Cancelling,
    Completed,
    Cancelled,
    Failed,
}

impl ReplayState {
    fn active(self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }
}

/// One replay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Replay {
    pub(super) archive: String,
    description: Option<String>,
    start_s: i64,
    end_s: i64,
    pub(super) destination: ReplayDestination,
    state: ReplayState,
    started_ms: i64,
    ended_ms: Option<i64>,
    last_s: Option<i64>,
    /// The next place to read in the archive.
    pub(super) from: Cursor,
    pub(super) to: Cursor,
}

impl Replay {
    /// Returns whether an event of this time is replayed.
    pub(super) fn covers(&self, time_s: i64) -> bool {
        (self.start_s..self.end_s).contains(&time_s)
    }

    fn describe(&self, name: &str, shared: &Shared) -> Value {
        let mut shown = json!({
            "ReplayArn": replay_arn(shared, name),
            "ReplayName": name,
            "EventSourceArn": archive_arn(shared, &self.archive),
            "Destination": self.destination,
            "State": self.state,
            "EventStartTime": self.start_s,
            "EventEndTime": self.end_s,
            "ReplayStartTime": self.started_ms / 1_000,
        });
        if let Some(description) = &self.description {
            shown["Description"] = description.as_str().into();
        }
        if let Some(last_s) = self.last_s {
            shown["EventLastReplayedTime"] = last_s.into();
        }
        if let Some(ended_ms) = self.ended_ms {
            shown["ReplayEndTime"] = (ended_ms / 1_000).into();
        }
        shown
    }
}

fn replay_arn(shared: &Shared, name: &str) -> String {
    shared.arn("events", &format!("replay/{name}"))
}

/// All replays by name.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Replays(BTreeMap<String, Replay>);

impl Replays {
    /// Starts a replay of an archive, of which `end` is the present end and `bus` the source.
    pub(super) fn start(
        &mut self,
        input: StartReplay,
        (archive, bus, end): (&str, &str, Cursor),
        shared: &Shared,
        now_ms: i64,
    ) -> Result<Value, AwsError> {
        check_name(&input.replay_name, 64)?;
        if self.0.contains_key(&input.replay_name) {
            let message = format!("Replay {} already exists.", input.replay_name);
            return Err(AwsError::bad_request("ResourceAlreadyExistsException", message));
        }
        if input.destination.arn != bus_arn(shared, bus) {
            return Err(invalid(
                "Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not \
                 permitted.",
            ));
        }
        let time = |time: &Option<Value>, name: &str| {
            time.as_ref().and_then(seconds).ok_or_else(|| invalid(format!("{name} is needed.")))
        };
        let start_s = time(&input.event_start_time, "EventStartTime")?;
        let end_s = time(&input.event_end_time, "EventEndTime")?;
        if start_s >= end_s {
            return Err(invalid(
                "Parameter EventEndTime is not valid. Reason: EventStartTime must be before \
                 EventEndTime.",
            ));
        }
        if self.0.values().filter(|replay| replay.state.active()).count() >= ACTIVE_MAX {
            return Err(too_many(format!("{ACTIVE_MAX} replays run already.")));
        }
        self.forget_oldest();
        let replay = Replay {
            archive: archive.to_owned(),
            description: input.description,
            start_s,
            end_s,
            destination: input.destination,
            state: ReplayState::Starting,
            started_ms: now_ms,
            ended_ms: None,
            last_s: None,
            from: Cursor::default(),
            to: end,
        };
        let answer = json!({
            "ReplayArn": replay_arn(shared, &input.replay_name),
            "State": replay.state,
            "ReplayStartTime": now_ms / 1_000,
        });
        self.0.insert(input.replay_name, replay);
        Ok(answer)
    }

    fn forget_oldest(&mut self) {
        if self.0.len() < KEPT_MAX {
            return;
        }
        let ended = self.0.iter().filter(|(_, replay)| !replay.state.active());
        let oldest = ended.min_by_key(|(_, replay)| replay.started_ms);
        if let Some(name) = oldest.map(|(name, _)| name.clone()) {
            self.0.remove(&name);
        }
    }

    fn get(&self, name: &str) -> Result<&Replay, AwsError> {
        self.0.get(name).ok_or_else(|| absent(format!("Replay {name} does not exist.")))
    }

    pub(super) fn describe(&self, name: &str, shared: &Shared) -> Result<Value, AwsError> {
        self.get(name).map(|replay| replay.describe(name, shared))
    }

    pub(super) fn list(&self, input: &ReplaySelection, shared: &Shared) -> Value {
        let prefix = input.name_prefix.as_deref().unwrap_or_default();
        let of_archive = |replay: &Replay| {
            let arn = archive_arn(shared, &replay.archive);
            input.event_source_arn.as_ref().is_none_or(|wanted| *wanted == arn)
        };
        let chosen = self.0.iter().filter(|(name, replay)| {
            name.starts_with(prefix)
                && input.state.is_none_or(|state| state == replay.state)
                && of_archive(replay)
        });
        let replays: Vec<Value> =
            chosen.map(|(name, replay)| replay.describe(name, shared)).collect();
        json!({"Replays": replays})
    }

    pub(super) fn cancel(
        &mut self,
        name: &str,
        shared: &Shared,
        now_ms: i64,
    ) -> Result<Value, AwsError> {
        let state = self.get(name)?.state;
        if !state.active() {
            let message = format!("Replay {name} is not in a valid state for this operation.");
            return Err(AwsError::bad_request("IllegalStatusException", message));
        }
        self.finish(name, ReplayState::Cancelled, now_ms);
        Ok(json!({"ReplayArn": replay_arn(shared, name), "State": ReplayState::Cancelling}))
    }

    /// Returns the replays that have something left to do.
    pub(super) fn active(&self) -> Vec<(String, Replay)> {
        let active = self.0.iter().filter(|(_, replay)| replay.state.active());
        active.map(|(name, replay)| (name.clone(), replay.clone())).collect()
    }

    /// Returns whether an archive is being read.
    pub(super) fn reads(&self, archive: &str) -> bool {
        self.0.values().any(|replay| replay.state.active() && replay.archive == archive)
    }

    /// Notes how far a replay has come.
    pub(super) fn advance(&mut self, name: &str, from: Cursor, last_s: Option<i64>, now_ms: i64) {
        let Some(replay) = self.0.get_mut(name).filter(|replay| replay.state.active()) else {
            return;
        };
        let stuck = replay.from == from;
        replay.from = from;
        replay.state = ReplayState::Running;
        replay.last_s = replay.last_s.max(last_s);
        if stuck || from >= replay.to {
            self.finish(name, ReplayState::Completed, now_ms);
        }
    }

    /// Ends a replay.
    pub(super) fn finish(&mut self, name: &str, state: ReplayState, now_ms: i64) {
        if let Some(replay) = self.0.get_mut(name) {
            replay.state = state;
            replay.ended_ms = Some(now_ms);
        }
    }
}
