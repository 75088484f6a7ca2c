//! The snapshot that every browser gets, read while somebody looks.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::MissedTickBehavior;

use super::alarms::{AlarmView, Alarms};
use super::room::{Headline, Room};
use super::streams::{StreamView, Streams};
use crate::clock::now;
use crate::ops::probe::{self, Signs};
use crate::ops::status::{self, WorkerStatus};
use crate::sink::stats::RejectExamples;

/// Between two snapshots.
const EVERY: Duration = Duration::from_millis(1_500);
/// Streams sent; more are counted only.
const MAX_STREAMS: usize = 100;

/// Everything the overview shows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Snapshot {
    at_ms: i64,
    version: &'static str,
    stream: String,
    endpoint: String,
    totals: Totals,
    /// Age of the newest figure that is shown; absent while nothing is live.
    behind_ms: Option<i64>,
    live: Vec<StreamView>,
    /// Channels of the live streams, the busiest first.
    channels: Vec<Arc<str>>,
    alarms: Vec<AlarmView>,
    fleet: Fleet,
    rejects: Vec<RejectExamples>,
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Totals {
    viewers: f64,
    streams: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Fleet {
    ready: bool,
    problems: Vec<String>,
    worker: Option<WorkerStatus>,
}

/// Makes snapshots for ever, but only while somebody looks.
pub(super) async fn read_while_watched(room: Arc<Room>) {
    let (mut streams, mut alarms) = (Streams::default(), Alarms::default());
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        room.watchers.some().await;
        every.tick().await;
        let snapshot = read(&room, &mut streams, &mut alarms).await;
        room.headlines.send_replace(Headline {
            streams: snapshot.totals.streams,
            viewers: snapshot.totals.viewers,
            firing: alarms.firing(),
            behind_ms: snapshot.behind_ms,
        });
        match serde_json::to_string(&snapshot) {
            Ok(json) => drop(room.snapshots.send_replace(Arc::from(json))),
            Err(error) => tracing::error!(%error, "a snapshot of the page cannot be written"),
        }
    }
}

async fn read(room: &Room, streams: &mut Streams, alarms: &mut Alarms) -> Snapshot {
    let asked_ms = now().0;
    let (mut problems, refused) =
        tokio::join!(streams.refresh(room, asked_ms), alarms.refresh(room));
    problems.extend(refused);
    let at_ms = now().0;
    *room.lost.lock().unwrap_or_else(PoisonError::into_inner) = streams.lost(at_ms);
    let mut live = streams.live(at_ms);
    let totals = Totals { viewers: viewers(&live), streams: live.len() };
    let newest = live.iter().filter_map(|stream| stream.viewers_at_ms).max();
    live.truncate(MAX_STREAMS);
    let (phase, worker) = room.worker();
    let unready = probe::unready(&Signs::of(phase, worker.as_ref()));
    Snapshot {
        at_ms,
        version: env!("CARGO_PKG_VERSION"),
        stream: room.config.stream.name.clone(),
        endpoint: if room.endpoint.is_empty() { "AWS".to_owned() } else { room.endpoint.clone() },
        totals,
        behind_ms: newest.map(|newest| (at_ms - newest).max(0)),
        channels: live.iter().map(|stream| Arc::clone(&stream.channel_id)).collect(),
        live,
        alarms: alarms.views(),
        rejects: worker.as_ref().map(|worker| worker.stats().rejects()).unwrap_or_default(),
        fleet: Fleet {
            ready: unready.is_empty(),
            problems: unready,
            worker: worker.as_ref().map(status::worker_status),
        },
        problems,
    }
}

/// Returns the viewers of all streams. A sum of no floats would be -0, and be shown so.
fn viewers(live: &[StreamView]) -> f64 {
    live.iter().filter_map(|stream| stream.viewers).fold(0.0, |all, one| all + one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_watched_by_nobody_and_not_by_minus_none() {
        assert_eq!(format!("{:.0}", viewers(&[])), "0");
    }
}
