//! Rounds against an IVS, rows and a stream that are played, and against the embedded ones.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use ivs_core::reconcile::{IvsEvent, IvsSession, Known};
use kinesis_fleet::WorkerId;
use kinesis_model::ShardId;

use super::*;

mod embedded;

const CHANNEL: &str = "arn:aws:ivs:us-east-1:000000000000:channel/c";

/// Everybody outside, and what was asked of them.
#[derive(Debug, Default)]
struct World(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    live: Vec<Live>,
    told: BTreeMap<String, IvsSession>,
    rows: BTreeMap<String, Known>,
    /// Sessions that IVS does not answer about.
    silent: Vec<String>,
    lists_nothing: bool,
    asked: Vec<String>,
    read: Vec<String>,
    put: Vec<LostFact>,
}

impl World {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the names of what was put since the last time.
    fn put(&self) -> Vec<&'static str> {
        let put = std::mem::take(&mut self.lock().put);
        put.iter().map(LostFact::name).collect()
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().asked)
    }
}

fn silence() -> Unanswered {
    Unanswered("no answer".to_owned())
}

impl Surroundings for World {
    fn live(&self) -> BoxFuture<'_, Result<Vec<Live>, Unanswered>> {
        let state = self.lock();
        let live = if state.lists_nothing { Err(silence()) } else { Ok(state.live.clone()) };
        std::future::ready(live).boxed()
    }

    fn session<'a>(
        &'a self,
        live: &'a Live,
    ) -> BoxFuture<'a, Result<Option<IvsSession>, Unanswered>> {
        let mut state = self.lock();
        state.asked.push(live.stream_id.clone());
        let is_silent = state.silent.contains(&live.stream_id);
        let told = state.told.get(&live.stream_id).cloned();
        std::future::ready(if is_silent { Err(silence()) } else { Ok(told) }).boxed()
    }

    fn known<'a>(&'a self, stream_id: &'a str) -> BoxFuture<'a, Result<Known, Unanswered>> {
        let mut state = self.lock();
        state.read.push(stream_id.to_owned());
        let known = state.rows.get(stream_id).cloned().unwrap_or_default();
        std::future::ready(Ok(known)).boxed()
    }

    fn put<'a>(&'a self, lost: &'a [LostFact]) -> BoxFuture<'a, Result<(), Unanswered>> {
        self.lock().put.extend_from_slice(lost);
        std::future::ready(Ok(())).boxed()
    }
}

fn live(id: &str) -> Live {
    Live { channel_arn: CHANNEL.to_owned(), stream_id: id.to_owned() }
}

/// A time so many minutes ago.
fn ago(minutes: i64) -> EpochMs {
    EpochMs(now().0 - minutes * 60_000)
}

fn event(name: &str, minutes: i64) -> IvsEvent {
    IvsEvent { name: name.to_owned(), time: ago(minutes), code: None }
}

/// A session that began an hour ago.
fn told(id: &str, events: &[IvsEvent]) -> IvsSession {
    IvsSession {
        stream_id: id.to_owned(),
        channel_arn: CHANNEL.to_owned(),
        started: Some(ago(60)),
        events: events.to_vec(),
        ..IvsSession::default()
    }
}

/// A world in which these sessions are live and have lost their starts, and who reconciles it.
fn world(ids: &[&str]) -> (Arc<World>, Reconciler) {
    let world = Arc::new(World::default());
    for id in ids {
        let mut state = world.lock();
        state.live.push(live(id));
        state.told.insert((*id).to_owned(), told(id, &[event("Stream Start", 60)]));
    }
    let settings = config::Reconcile { enabled: true, ..config::Reconcile::default() };
    let reconciler = Reconciler::new(settings, world.clone(), Arc::default());
    (world, reconciler)
}

#[tokio::test]
async fn a_lost_start_is_put_once_and_the_table_is_read_for_news_only() {
    let (world, mut reconciler) = world(&["st-1"]);
    reconciler.round(Some(now())).await;
    reconciler.round(Some(now())).await;
    assert_eq!(world.put(), ["Stream Start"]);
    assert_eq!(world.lock().read, ["st-1"]);
    let takeover = [event("Stream Start", 60), event("Stream Takeover", 30)];
    world.lock().told.insert("st-1".to_owned(), told("st-1", &takeover));
    reconciler.round(Some(now())).await;
    reconciler.round(Some(now())).await;
    assert_eq!(world.put(), ["Stream Takeover"]);
    let counts = reconciler.stats.snapshot();
    assert_eq!(
        (counts.reconcile_rounds, counts.reconcile_failures, counts.reconciled_events),
        (4, 0, 2)
    );
}

#[tokio::test]
async fn a_fleet_that_is_behind_says_of_nothing_that_it_is_lost() {
    let (world, mut reconciler) = world(&["st-1"]);
    reconciler.round(Some(ago(59))).await;
    assert_eq!(world.put(), [""; 0], "the start may lie in the stream, unread");
    reconciler.round(Some(ago(57))).await;
    assert_eq!(world.put(), ["Stream Start"]);
}

#[tokio::test]
async fn a_round_that_cannot_begin_says_so() {
    let (world, mut reconciler) = world(&["st-1"]);
    reconciler.round(None).await;
    assert!(world.asked().is_empty(), "nothing can be said to be lost");
    let told = reconciler.stats.snapshot();
    assert_eq!((told.reconcile_failures, told.reconciled_events), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_fact_that_never_comes_to_the_rows_is_put_again() {
    let (world, mut reconciler) = world(&["st-1"]);
    reconciler.round(Some(now())).await;
    assert_eq!(world.put(), ["Stream Start"]);
    tokio::time::advance(Duration::from_secs(599)).await;
    reconciler.round(Some(now())).await;
    assert_eq!(world.put(), [""; 0], "it is on its way");
    tokio::time::advance(Duration::from_secs(2)).await;
    reconciler.round(Some(now())).await;
    assert_eq!(world.put(), ["Stream Start"]);
}

#[tokio::test]
async fn what_the_rows_hold_is_not_put() {
    let (world, mut reconciler) = world(&["st-1"]);
    let mut known = Known::default();
    known.add_fact("stream_start", world.lock().told["st-1"].events[0].time);
    world.lock().rows.insert("st-1".to_owned(), known);
    reconciler.round(Some(now())).await;
    reconciler.round(Some(now())).await;
    assert_eq!(world.put(), [""; 0]);
    assert_eq!(world.lock().read, ["st-1"], "what was found once stays there");
}

#[tokio::test]
async fn a_session_is_followed_to_its_end_though_it_is_listed_no_more() {
    let (world, mut reconciler) = world(&["st-1"]);
    reconciler.round(Some(now())).await;
    assert_eq!(world.put(), ["Stream Start"]);
    let events = [event("Stream Start", 60), event("Stream End", 1), event("Session Ended", 1)];
    let ended = |minutes| IvsSession { ended: Some(ago(minutes)), ..told("st-1", &events) };
    {
        let mut state = world.lock();
        state.live.clear();
        state.told.insert("st-1".to_owned(), ended(1));
    }
    reconciler.round(Some(now())).await;
    assert_eq!(world.put(), [""; 0], "EventBridge has two minutes");
    let mut later = ended(3);
    later.events.iter_mut().skip(1).for_each(|event| event.time = ago(3));
    world.lock().told.insert("st-1".to_owned(), later);
    reconciler.round(Some(now())).await;
    assert_eq!(world.put(), ["Stream End", "Session Ended"]);
    reconciler.round(Some(now())).await;
    assert_eq!(world.asked().len(), 4);
    reconciler.round(Some(now())).await;
    assert_eq!((world.put(), world.asked()), (Vec::new(), Vec::new()), "it is over and complete");
}

#[tokio::test]
async fn a_session_that_ivs_does_not_know_is_forgotten() {
    let (world, mut reconciler) = world(&["st-1"]);
    world.lock().told.clear();
    reconciler.round(Some(now())).await;
    world.lock().live.clear();
    reconciler.round(Some(now())).await;
    assert_eq!(world.asked(), ["st-1"]);
}

#[tokio::test]
async fn a_call_without_an_answer_ends_its_round_and_no_other() {
    let (world, mut reconciler) = world(&["st-1", "st-2", "st-3"]);
    world.lock().silent.push("st-2".to_owned());
    reconciler.round(Some(now())).await;
    assert_eq!(world.asked(), ["st-1", "st-2"]);
    reconciler.round(Some(now())).await;
    assert_eq!(world.asked(), ["st-3", "st-1", "st-2"], "those asked about longest ago come first");
    world.lock().silent.clear();
    world.lock().lists_nothing = true;
    reconciler.round(Some(now())).await;
    assert_eq!(world.asked().len(), 3, "what is known can be asked about without a list");
    assert_eq!(world.put(), ["Stream Start"; 3]);
    let counts = reconciler.stats.snapshot();
    assert_eq!((counts.reconcile_rounds, counts.reconcile_failures), (3, 3));
    assert_eq!(reconciler.stats.last_error().unwrap().error, "reconcile: no answer");
}

#[tokio::test]
async fn a_round_asks_about_no_more_sessions_than_its_calls_last_for() {
    let (world, mut reconciler) = world(&["st-1", "st-2", "st-3"]);
    reconciler.settings.interval_ms = 1_000;
    assert_eq!(reconciler.settings.sessions_a_round(), 2);
    reconciler.round(Some(now())).await;
    assert_eq!(world.asked(), ["st-1", "st-2"]);
    reconciler.round(Some(now())).await;
    assert_eq!(world.asked(), ["st-3", "st-1"]);
}

/// A lease of which nothing is known to be done.
fn lease(shard: &str, state: LeasePhase, checkpoint: Checkpoint) -> LeaseStatus {
    LeaseStatus {
        shard: ShardId::new(shard),
        owner: Some(WorkerId::new("w")),
        is_cooperative: true,
        state,
        counter: 0,
        checkpoint,
        pending: None,
        checkpoint_arrival: None,
        tip_seen: None,
        failures: 0,
        last_error: None,
        still_ms: 0,
        valid_for_ms: None,
    }
}

#[test]
fn the_slowest_open_shard_says_up_to_when_all_is_done() {
    let open = Checkpoint::TrimHorizon;
    let seen = |shard: &str, tip: Option<i64>, arrival: Option<i64>| LeaseStatus {
        tip_seen: tip.map(EpochMs),
        checkpoint_arrival: arrival.map(EpochMs),
        ..lease(shard, LeasePhase::Elsewhere, open)
    };
    let finished = lease("s-0", LeasePhase::Finished, Checkpoint::ShardEnd);
    let (idle, busy) = (seen("s-1", Some(90), Some(10)), seen("s-2", None, Some(70)));
    assert_eq!(done_up_to(&[finished, idle.clone(), busy]), Some(EpochMs(70)));
    assert_eq!(done_up_to(&[idle, seen("s-2", None, None)]), None);
    assert_eq!(done_up_to(&[]), None);
}

#[test]
fn the_holder_of_the_first_open_shard_is_chosen_and_nobody_else() {
    use LeasePhase::{Elsewhere, Finished, Lost, Running, Unowned, Waiting};
    let open = Checkpoint::TrimHorizon;
    for (first, expected) in
        [(Running, true), (Waiting, true), (Elsewhere, false), (Unowned, false), (Lost, false)]
    {
        let leases = [
            lease("s-2", Running, open),
            lease("s-1", first, open),
            lease("s-0", Finished, Checkpoint::ShardEnd),
        ];
        assert_eq!(is_chosen(&leases), expected, "{first:?}");
    }
    assert!(!is_chosen(&[lease("s-0", Finished, Checkpoint::ShardEnd)]));
    assert!(!is_chosen(&[]));
}
