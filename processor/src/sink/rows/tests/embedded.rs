//! The store of rows against the embedded DynamoDB: what goes together means what single calls mean.

use aws_sdk_dynamodb::primitives::Blob;
use ivs_core::session::attribute_names::FINGERPRINT;
use ivs_emulator::{Endpoint, FaultKind, FaultRule};

use super::*;
use crate::cloud;
use crate::commands::local::setup;
use crate::config::Config;

const WRITE: &str = "BatchExecuteStatement";
const READ: &str = "BatchGetItem";

struct World {
    _endpoint: Endpoint,
    store: Arc<dyn RowStore>,
    stats: Arc<Stats>,
    table: String,
}

impl World {
    /// Tables, and a store whose calls of an operation meet with a fault.
    async fn new(fault: Option<(&str, FaultKind)>, tables: config::Tables) -> Self {
        let faults = fault.map(|(operation, kind)| FaultRule {
            service: Some("dynamodb".to_owned()),
            operation: Some(operation.to_owned()),
            kind,
            every_nth: None,
            probability: None,
            seed: 0,
            count: None,
        });
        let local = ivs_emulator::Config {
            faults: faults.into_iter().collect(),
            ..ivs_emulator::Config::default()
        };
        let endpoint = Endpoint::start(local).await.unwrap();
        let mut config = Config::default();
        config.aws.endpoint_url = endpoint.url().to_owned();
        let clients = cloud::clients(&config.aws).await;
        setup::create(&clients, &config, 1).await.unwrap();
        let stats = Arc::<Stats>::default();
        let table = tables.sessions.clone();
        let store = dynamo_rows(clients.dynamodb, &tables, Arc::clone(&stats));
        Self { _endpoint: endpoint, store, stats, table }
    }

    async fn put(&self, item: &Item, condition: Condition) -> Result<PutOutcome, SinkError> {
        self.store.put(&self.table, item, condition).await
    }

    /// Puts items that are taken for new, all at once.
    async fn put_all(&self, items: &[Item]) -> Vec<Option<Item>> {
        self.put_all_if(items, Condition::Version(None)).await
    }

    /// Puts items under a condition, all at once; returns what stands instead.
    async fn put_all_if(&self, items: &[Item], condition: Condition) -> Vec<Option<Item>> {
        let puts = items.iter().map(|item| self.put(item, condition));
        let outcomes = join_all(puts).await.into_iter().map(|outcome| match outcome.unwrap() {
            PutOutcome::Stored => None,
            PutOutcome::Refused(stored) => Some(stored.expect("it was asked for what is stored")),
        });
        outcomes.collect()
    }

    async fn stored(&self, item: &Item) -> Option<Item> {
        let key = [names::SESSION_ID, sessions::TIMESTAMP];
        let key = key.map(|name| (name.to_owned(), item[name].clone())).into();
        self.store.get(&self.table, key).await.unwrap()
    }
}

fn fact(session: u32, print: u64) -> Item {
    [
        (names::SESSION_ID, AttributeValue::S(format!("st-{session}"))),
        (sessions::TIMESTAMP, AttributeValue::N("1.5".to_owned())),
        (FINGERPRINT, AttributeValue::N(print.to_string())),
        ("bytes", AttributeValue::M([("b".to_owned(), blob())].into())),
        ("list", AttributeValue::L(vec![AttributeValue::Bool(true), AttributeValue::Null(true)])),
        ("text", AttributeValue::S("it's \"quoted\" \u{e9}\n".to_owned())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn blob() -> AttributeValue {
    AttributeValue::B(Blob::new([0, 255]))
}

fn facts(sessions: std::ops::Range<u32>) -> Vec<Item> {
    sessions.map(|session| fact(session, 7)).collect()
}

#[tokio::test]
async fn what_is_new_is_inserted_together_and_what_is_there_is_told_and_stays() {
    let world = World::new(None, config::Tables::default()).await;
    let first: Vec<Item> = (0..5).map(|session| fact(session * 10, 3)).collect();
    assert_eq!(world.put_all(&first).await, vec![None; 5]);
    let items = facts(0..60);
    let told = world.put_all(&items).await;
    for (session, (told, item)) in told.into_iter().zip(&items).enumerate() {
        let there = first.get(session / 10).filter(|_| session % 10 == 0 && session < 50);
        assert_eq!(told.as_ref(), there, "st-{session}");
        assert_eq!(world.stored(item).await.as_ref(), Some(there.unwrap_or(item)));
    }
    let stats = world.stats.snapshot();
    assert_eq!((stats.rows_written, stats.write_units, stats.retries), (60, 60, 0));
    assert_eq!(
        (stats.batch_writes, stats.write_units_refused),
        (65, 10),
        "an insert and a put each"
    );
    assert!(stats.batch_write_calls < 30, "{} calls", stats.batch_write_calls);
}

#[tokio::test]
async fn a_fact_gives_way_to_one_that_comes_before_it() {
    let world = World::new(None, config::Tables::default()).await;
    for (print, is_stored) in [(7, true), (9, false), (3, true), (3, false)] {
        let outcome = world.put(&fact(1, print), Condition::Fact(print)).await.unwrap();
        assert_eq!(matches!(outcome, PutOutcome::Stored), is_stored, "{print}: {outcome:?}");
    }
    assert_eq!(world.stored(&fact(1, 0)).await, Some(fact(1, 3)));
    assert_eq!(world.stats.snapshot().rows_written, 2);
}

#[tokio::test]
async fn a_call_that_fails_is_made_up_for_by_puts() {
    for kind in [FaultKind::Throttle, FaultKind::Error500, FaultKind::Reset] {
        let world = World::new(Some((WRITE, kind)), config::Tables::default()).await;
        let items = facts(0..30);
        assert_eq!(world.put_all(&items).await, vec![None; 30], "{kind:?}");
        let stats = world.stats.snapshot();
        assert_eq!((stats.rows_written, stats.retries), (30, 30), "{kind:?}");
    }
}

#[tokio::test]
async fn of_a_call_whose_answer_is_lost_the_puts_find_what_it_has_stored() {
    let fault = Some((WRITE, FaultKind::DropReply));
    let world = World::new(fault, config::Tables::default()).await;
    let items = facts(0..30);
    let told = world.put_all(&items).await;
    for (told, item) in told.iter().zip(&items) {
        assert_eq!(told.as_ref(), Some(item), "a refusal may show what the try before has stored");
    }
}

#[tokio::test]
async fn an_item_that_can_never_be_written_fails_alone() {
    let world = World::new(None, config::Tables::default()).await;
    let mut items = facts(0..10);
    items[4].insert("note".to_owned(), AttributeValue::S("x".repeat(400 << 10)));
    let puts = items.iter().map(|item| world.put(item, Condition::Version(None)));
    for (at, outcome) in join_all(puts).await.into_iter().enumerate() {
        match outcome {
            Ok(PutOutcome::Stored) => assert_ne!(at, 4),
            Err(error) => assert!(at == 4 && error.is_the_rows_own(), "{at}: {error}"),
            Ok(refused) => panic!("{at}: {refused:?}"),
        }
    }
}

/// Returns the second version of a fact's row, which has lost an attribute of ours and got another.
fn changed(session: u32) -> Item {
    let mut item = fact(session, 8);
    item.insert(sessions::VERSION.to_owned(), AttributeValue::N("2".to_owned()));
    item.insert(sessions::ENDED_AT.to_owned(), AttributeValue::N("1750000000".to_owned()));
    item
}

/// Returns the first version of it.
fn live(session: u32) -> Item {
    let mut item = fact(session, 7);
    item.insert(sessions::VERSION.to_owned(), AttributeValue::N("1".to_owned()));
    item.insert(sessions::STALE_AFTER.to_owned(), AttributeValue::N("1750000600".to_owned()));
    item
}

#[tokio::test]
async fn rows_that_are_known_are_changed_together_and_have_what_a_put_would_leave() {
    let world = World::new(None, config::Tables::default()).await;
    // Every fifth has been changed by another meanwhile, one was deleted.
    let others: Vec<Item> = (0..8).map(|at| changed(at * 5)).collect();
    let first: Vec<Item> = (0..40).filter(|at| at % 5 != 0).map(live).collect();
    world.put_all(&first).await;
    world.put_all(&others).await;
    let before = world.stats.snapshot();
    let wanted: Vec<Item> = (0..40).map(changed).collect();
    let told = world.put_all_if(&wanted, Condition::Version(Some(1))).await;
    for (at, (told, wanted)) in told.into_iter().zip(&wanted).enumerate() {
        assert_eq!(told.is_some(), at % 5 == 0, "st-{at}");
        assert_eq!(world.stored(wanted).await.as_ref(), Some(wanted), "st-{at}");
    }
    let stats = world.stats.snapshot();
    assert_eq!(stats.rows_written - before.rows_written, 32);
    assert_eq!(stats.batch_writes - before.batch_writes, 40);
    assert_eq!(stats.write_units_refused - before.write_units_refused, 8);
    let refused = world.put(&changed(99), Condition::Version(Some(1))).await.unwrap();
    assert!(matches!(refused, PutOutcome::Refused(None)), "{refused:?}");
    assert_eq!(world.stored(&changed(99)).await, None, "an update of nothing makes nothing");
}

#[tokio::test]
async fn an_update_that_fails_or_cannot_be_stated_is_made_up_for_by_a_put() {
    for kind in [FaultKind::Throttle, FaultKind::Error500, FaultKind::Reset] {
        let world = World::new(Some((WRITE, kind)), config::Tables::default()).await;
        world.put_all(&[live(1)]).await;
        let told = world.put_all_if(&[changed(1)], Condition::Version(Some(1))).await;
        assert_eq!(told, [None], "{kind:?}");
        assert_eq!(world.stored(&changed(1)).await, Some(changed(1)), "{kind:?}");
    }
    let world = World::new(None, config::Tables::default()).await;
    world.put_all(&[live(1)]).await;
    let mut item = changed(1);
    item.insert("reviewed.by".to_owned(), AttributeValue::S("an operator".to_owned()));
    let told = world.put_all_if(std::slice::from_ref(&item), Condition::Version(Some(1))).await;
    assert_eq!((told, world.stored(&item).await), (vec![None], Some(item)));
}

#[tokio::test]
async fn of_an_update_whose_answer_is_lost_the_put_finds_what_it_has_stored() {
    let fault = Some((WRITE, FaultKind::DropReply));
    let world = World::new(fault, config::Tables::default()).await;
    world.put_all(&[live(1)]).await;
    let told = world.put_all_if(&[changed(1)], Condition::Version(Some(1))).await;
    assert_eq!(told, [Some(changed(1))]);
}

#[tokio::test]
async fn rows_are_read_together_and_what_is_not_there_is_told() {
    let world = World::new(None, config::Tables::default()).await;
    let items = facts(0..60);
    world.put_all(&items[..40]).await;
    let told = join_all(items.iter().map(|item| world.stored(item))).await;
    for (at, (told, item)) in told.iter().zip(&items).enumerate() {
        assert_eq!(told.as_ref(), Some(item).filter(|_| at < 40), "st-{at}");
    }
    let stats = world.stats.snapshot();
    assert_eq!((stats.row_reads, stats.batch_reads), (60, 60));
    assert!(stats.batch_read_calls < 10, "{} calls", stats.batch_read_calls);
}

#[tokio::test]
async fn readings_that_fail_together_are_made_up_for_one_by_one() {
    for kind in [FaultKind::Throttle, FaultKind::Error500, FaultKind::Reset, FaultKind::DropReply] {
        let world = World::new(Some((READ, kind)), config::Tables::default()).await;
        world.put_all(&[fact(0, 7)]).await;
        let told = join_all([fact(0, 7), fact(1, 7)].iter().map(|item| world.stored(item))).await;
        assert_eq!(told, [Some(fact(0, 7)), None], "{kind:?}");
        assert_eq!(world.stats.snapshot().row_reads, 2, "{kind:?}");
    }
}

/// AWS gives 16 MB in one answer, and says which keys it left out.
#[tokio::test]
async fn a_row_that_had_no_room_in_the_answer_is_not_taken_for_missing() {
    let world = World::new(None, config::Tables::default()).await;
    let note = AttributeValue::S("x".repeat(390 << 10));
    let mut items = facts(0..48);
    items.iter_mut().for_each(|item| drop(item.insert("note".to_owned(), note.clone())));
    world.put_all(&items).await;
    let told = join_all(items.iter().map(|item| world.stored(item))).await;
    assert!(told.iter().all(Option::is_some));
    assert!(world.stats.snapshot().retries > 0, "the answers were cut");
}

#[tokio::test]
async fn calls_are_made_one_by_one_where_the_configuration_says_so() {
    let tables = config::Tables::default();
    let one_by_one = config::Tables { batch_writes: false, batch_reads: false, ..tables };
    // Calls that must not be made would fail.
    for call in [WRITE, READ] {
        let world = World::new(Some((call, FaultKind::Throttle)), one_by_one.clone()).await;
        let items = facts(0..30);
        assert_eq!(world.put_all(&items).await, vec![None; 30]);
        assert_eq!(world.stored(&items[0]).await.as_ref(), Some(&items[0]));
        let stats = world.stats.snapshot();
        assert_eq!((stats.batch_writes, stats.batch_reads, stats.retries), (0, 0, 0));
    }
}

#[tokio::test]
async fn closed_windows_are_read_to_the_last_page_with_what_they_are_judged_by() {
    let tables = config::Tables::default();
    let metrics = tables.metrics.clone();
    let world = World::new(None, tables.clone()).await;
    let mut windows = WindowFold::default();
    add(&mut windows, "st-1", 7);
    let (key, agg) = windows.drain().remove(0);
    let first = Minute::of(EpochMs(0));
    let minutes = first..Minute::of(EpochMs(60 * 60_000));
    for minute in 0..60 {
        let key = WindowKey { minute: Minute::of(EpochMs(minute * 60_000)), ..key.clone() };
        let row = Row { agg: agg.clone(), applied: [].into(), version: 1 };
        let mut item = metric::encode(&key, &row, None);
        // A page has 1 MB of what is read, whatever is shown of it.
        let note = "n".repeat(30_000);
        item.insert("note".to_owned(), AttributeValue::S(note));
        world.store.put(&metrics, &item, Condition::Version(None)).await.unwrap();
    }
    let sink = RowSink::over(Arc::clone(&world.store), &tables, (1 << 20, 1_000), Arc::default());
    let run = ClosedRun { session_id: key.session_id, starts: vec![], minutes };
    let runs = [run];
    let held = Box::pin(sink.runs(&runs)).next().await.unwrap().unwrap();
    assert_eq!(held.rows.len(), 60);
    for (at, (key, row)) in held.rows.iter().enumerate() {
        assert_eq!(key.minute.start_s(), i64::try_from(at).unwrap() * 60);
        assert_eq!((row.player_bitrate.total, row.active_players()), (agg.player_bitrate.total, 1));
        assert!(row.latency.is_empty() && !agg.latency.is_empty(), "nobody judges by it");
    }
}
