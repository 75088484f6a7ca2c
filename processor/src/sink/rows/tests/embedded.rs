//! The store of rows against the embedded DynamoDB: what is new goes together, and means what a put
//! means.

use aws_sdk_dynamodb::primitives::Blob;
use ivs_core::session::attribute_names::FINGERPRINT;
use ivs_emulator::{Endpoint, FaultKind, FaultRule};

use super::*;
use crate::cloud;
use crate::commands::local::setup;
use crate::config::Config;

const CALL: &str = "BatchExecuteStatement";

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
        let puts = items.iter().map(|item| self.put(item, Condition::Version(None)));
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
    assert_eq!((stats.inserts, stats.write_units_refused), (65, 10), "an insert and a put each");
    assert!(stats.insert_calls < 30, "{} calls", stats.insert_calls);
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
        let world = World::new(Some((CALL, kind)), config::Tables::default()).await;
        let items = facts(0..30);
        assert_eq!(world.put_all(&items).await, vec![None; 30], "{kind:?}");
        let stats = world.stats.snapshot();
        assert_eq!((stats.rows_written, stats.retries), (30, 30), "{kind:?}");
    }
}

#[tokio::test]
async fn of_a_call_whose_answer_is_lost_the_puts_find_what_it_has_stored() {
    let fault = Some((CALL, FaultKind::DropReply));
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

#[tokio::test]
async fn puts_go_one_by_one_where_the_configuration_says_so_or_a_row_is_known() {
    let world = World::new(None, config::Tables::default()).await;
    let refused = world.put(&fact(1, 7), Condition::Version(Some(3))).await.unwrap();
    assert!(matches!(refused, PutOutcome::Refused(None)), "{refused:?}");
    assert_eq!(world.stats.snapshot().inserts, 0);
    let one_by_one = config::Tables { batch_inserts: false, ..config::Tables::default() };
    // A call that must not be made would fail.
    let world = World::new(Some((CALL, FaultKind::Throttle)), one_by_one).await;
    assert_eq!(world.put_all(&facts(0..30)).await, vec![None; 30]);
    let stats = world.stats.snapshot();
    assert_eq!((stats.inserts, stats.retries), (0, 0));
}
