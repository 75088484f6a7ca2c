mod embedded;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::{BoxFuture, join_all};
use futures::{FutureExt as _, StreamExt as _};
use ivs_core::decode::{DecodeLimits, Event, decode};
use ivs_core::emit::ClosedRun;
use ivs_core::session::SessionFold;
use ivs_core::window::WindowFold;
use ivs_schemas::items::{metrics as names, sessions};
use kinesis_model::{EpochMs, Position, ShardId};

use super::*;
use crate::items::codec::Reader;

/// Both tables in memory; every operation yields, so that writers meet.
#[derive(Debug, Default)]
struct Table {
    items: Mutex<HashMap<String, Item>>,
    puts: AtomicU32,
    gets: AtomicU32,
    /// Calls that wait for their answer, and the most of them at once.
    calling: Mutex<(usize, usize)>,
    /// Puts still to be refused as if another worker had written in between.
    others: AtomicU32,
}

fn key(item: &Item) -> String {
    let sort = item.get(names::METRIC_TIMESTAMP).or_else(|| item.get(sessions::TIMESTAMP));
    format!("{:?}/{sort:?}", item[names::SESSION_ID])
}

impl Table {
    /// Takes a moment for a call.
    async fn call(&self) {
        let count = |by: isize| {
            let (now, most) = &mut *self.calling.lock().unwrap();
            *now = now.saturating_add_signed(by);
            *most = (*most).max(*now);
        };
        count(1);
        tokio::task::yield_now().await;
        count(-1);
    }
}

impl RowStore for Table {
    fn put<'a>(
        &'a self,
        _: &'a str,
        item: &'a Item,
        condition: Condition,
    ) -> BoxFuture<'a, Result<PutOutcome, SinkError>> {
        async move {
            self.call().await;
            self.puts.fetch_add(1, Relaxed);
            let mut items = self.items.lock().unwrap();
            let stored = items.get_mut(&key(item));
            if let Some(stored) = stored {
                let version: u64 = Reader(stored).number(names::VERSION).unwrap();
                if self.others.load(Relaxed) > 0 {
                    self.others.fetch_sub(1, Relaxed);
                    let next = AttributeValue::N((version + 1).to_string());
                    stored.insert(names::VERSION.to_owned(), next);
                    return Ok(PutOutcome::Refused(Some(stored.clone())));
                }
                if condition != Condition::Version(Some(version)) {
                    return Ok(PutOutcome::Refused(Some(stored.clone())));
                }
            }
            items.insert(key(item), item.clone());
            Ok(PutOutcome::Stored)
        }
        .boxed()
    }

    fn get<'a>(
        &'a self,
        _: &'a str,
        wanted: Item,
    ) -> BoxFuture<'a, Result<Option<Item>, SinkError>> {
        async move {
            self.call().await;
            self.gets.fetch_add(1, Relaxed);
            Ok(self.items.lock().unwrap().get(&key(&wanted)).cloned())
        }
        .boxed()
    }

    fn minutes<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: std::ops::Range<Minute>,
    ) -> BoxFuture<'a, Result<Vec<Item>, SinkError>> {
        async {
            self.call().await;
            Ok(self.items.lock().unwrap().values().cloned().collect())
        }
        .boxed()
    }
}

fn sink(table: &Arc<Table>) -> RowSink {
    let store: Arc<dyn RowStore> = Arc::clone(table) as _;
    RowSink::over(store, &config::Tables::default(), (1 << 20, 1_000), Arc::default())
}

/// Returns the partials of one report of a player in the first minute of a session.
fn report(player: u32) -> Arc<Rows> {
    let mut windows = WindowFold::default();
    add(&mut windows, "st-1", player);
    Arc::new(Rows { metrics: windows.drain(), ..Rows::default() })
}

/// Folds a report of a player.
fn add(windows: &mut WindowFold, session: &str, player: u32) {
    let line = format!(
        r#"{{"type":"player_telemetry","schemaVersion":1,"eventId":"e{player}","sessionId":"{session}","channelId":"c","playerId":"p{player}","timestamp":1750000001000,"state":"PLAYING","bitrate":1000,"latencyMs":2100}}"#
    );
    let event = decode(line.as_bytes(), EpochMs(1_750_000_002_000), &DecodeLimits::default());
    let Ok(Event::Player(sample)) = event else { panic!("{event:?}") };
    windows.add_player(&sample);
}

fn shard(number: u32) -> ShardId {
    ShardId::new(&format!("shardId-{number:012}"))
}

fn at(sequence: u128) -> Position {
    Position { sequence: sequence.into(), sub: 0 }
}

/// Writes an epoch as a shard task does.
async fn write(sink: &RowSink, number: u32, to: u128) -> Result<StoredRows, SinkError> {
    let closing = sink.announce();
    tokio::task::yield_now().await;
    let shard = shard(number);
    sink.store(&report(number), &EpochWrite::new(&shard, at(to)), Some(closing)).await
}

fn the_row(table: &Table) -> Row<WindowAgg> {
    let items = table.items.lock().unwrap();
    metric::decode(items.values().next().unwrap()).unwrap().1
}

#[tokio::test]
async fn epochs_of_many_shards_that_close_together_cost_a_put_a_row() {
    let table = Arc::new(Table::default());
    let sink = sink(&table);
    let stored = join_all((0..100).map(|number| write(&sink, number, 10))).await;
    let row = the_row(&table);
    assert_eq!((row.agg.records, row.applied.len(), row.version), (100, 100, 1));
    assert_eq!(table.puts.load(Relaxed), 1);
    let spoken_for: usize = stored.into_iter().map(|stored| stored.unwrap().metrics.len()).sum();
    assert_eq!(spoken_for, 1, "one of them tells the row's gauges");
    assert_eq!(sink.shared.stats.snapshot().partials_merged, 100);
    assert_eq!(sink.shared.stats.snapshot().partials_waiting, 0);
}

#[tokio::test]
async fn however_many_rows_an_epoch_has_few_calls_are_begun_at_once() {
    let table = Arc::new(Table::default());
    let sink = sink(&table);
    let mut windows = WindowFold::default();
    (0..1_000).for_each(|number| add(&mut windows, &format!("st-{number}"), number));
    let rows = Arc::new(Rows { metrics: windows.drain(), ..Rows::default() });
    let shard = shard(0);
    let stored = sink.store(&rows, &EpochWrite::new(&shard, at(10)), None).await.unwrap();
    assert_eq!(stored.metrics.len(), 1_000);
    assert!(table.gets.load(Relaxed) > 0, "the first rows are read: others may have made them");
    let (_, most) = *table.calling.lock().unwrap();
    assert!(most <= config::Tables::default().write_concurrency, "{most} calls at once");
}

#[tokio::test(start_paused = true)]
async fn an_epoch_does_not_fail_because_others_write_too() {
    let table = Arc::new(Table::default());
    let sink = sink(&table);
    write(&sink, 1, 10).await.unwrap();
    table.others.store(200, Relaxed);
    write(&sink, 1, 20).await.unwrap();
    let row = the_row(&table);
    assert_eq!((row.agg.records, row.version), (2, 202));
    assert_eq!(sink.shared.stats.snapshot().conflicts, 200);
}

#[tokio::test]
async fn two_workers_on_one_row_read_it_instead_of_being_refused() {
    let table = Arc::new(Table::default());
    let workers = [sink(&table), sink(&table)];
    for to in 1..=10 {
        for (number, worker) in (1..).zip(&workers) {
            write(worker, number, to).await.unwrap();
        }
    }
    assert_eq!(the_row(&table).agg.records, 20);
    let refused: u64 = workers.iter().map(|sink| sink.shared.stats.snapshot().conflicts).sum();
    assert_eq!((refused, table.puts.load(Relaxed)), (0, 20), "each looks from the start");
    assert_eq!(table.gets.load(Relaxed), 20);
}

#[tokio::test]
async fn a_shard_that_is_given_up_takes_nothing_from_the_others() {
    let table = Arc::new(Table::default());
    let sink = sink(&table);
    let _gone = write(&sink, 1, 10).now_or_never();
    write(&sink, 2, 10).await.unwrap();
    assert_eq!(the_row(&table).agg.records, 1, "it was not even submitted");
    write(&sink, 1, 10).await.unwrap();
    assert_eq!(the_row(&table).agg.records, 2);
}

#[tokio::test]
async fn a_row_of_the_first_layout_is_merged_and_what_others_put_there_stays() {
    let table = Arc::new(Table::default());
    write(&sink(&table), 1, 10).await.unwrap();
    {
        let mut items = table.items.lock().unwrap();
        let item = items.values_mut().next().unwrap();
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let applied = [(shard(1).as_str().to_owned(), text("10"))].into();
        item.insert(names::APPLIED.to_owned(), AttributeValue::M(applied));
        item.insert(names::SCHEMA_VERSION.to_owned(), AttributeValue::N("1".to_owned()));
        item.insert("reviewedBy".to_owned(), text("an operator"));
    }
    let fresh = sink(&table);
    write(&fresh, 1, 10).await.unwrap();
    assert_eq!(the_row(&table).agg.records, 1, "it holds that epoch");
    write(&fresh, 2, 7).await.unwrap();
    write(&fresh, 2, 8).await.unwrap();
    let row = the_row(&table);
    assert_eq!((row.agg.records, row.applied.len()), (3, 2));
    let items = table.items.lock().unwrap();
    let item = items.values().next().unwrap();
    assert_eq!(item["reviewedBy"].as_s().unwrap(), "an operator");
    assert!(item[names::APPLIED].is_b());
    assert_eq!(item[names::SCHEMA_VERSION].as_n().unwrap(), "2");
}

#[tokio::test]
async fn a_row_of_a_later_release_is_refused_in_words_and_left_alone() {
    let table = Arc::new(Table::default());
    write(&sink(&table), 1, 10).await.unwrap();
    let later = AttributeValue::N("3".to_owned());
    for item in table.items.lock().unwrap().values_mut() {
        item.insert(names::SCHEMA_VERSION.to_owned(), later.clone());
    }
    let error = write(&sink(&table), 2, 7).await.unwrap_err();
    assert!(error.is_the_rows_own());
    assert!(error.to_string().contains("written by a later release"), "{error}");
    let items = table.items.lock().unwrap();
    assert_eq!(items.values().next().unwrap()[names::SCHEMA_VERSION], later);
}

#[tokio::test]
async fn every_item_expires_when_its_session_is_old_and_none_in_1970() {
    let table = Arc::new(Table::default());
    let store: Arc<dyn RowStore> = Arc::clone(&table) as _;
    let tables = config::Tables { ttl_days: 30, ..config::Tables::default() };
    let sink = RowSink::over(store, &tables, (1 << 20, 1_000), Arc::default());
    let line = r#"{"eventType":"stream_start","sessionId":"st-1","channelId":"c","timestamp":1750000001000}"#;
    let event = decode(line.as_bytes(), EpochMs(1_750_000_002_000), &DecodeLimits::default());
    let Ok(Event::Fact(fact)) = event else { panic!("{event:?}") };
    let mut fold = SessionFold::default();
    fold.add_fact(&fact);
    let deltas = fold.drain();
    let (summaries, timeline) = (deltas.summaries, deltas.timeline);
    let metrics = report(1).metrics.clone();
    let rows = Arc::new(Rows { metrics, summaries, timeline, ..Rows::default() });
    sink.store(&rows, &EpochWrite::new(&shard(1), at(10)), None).await.unwrap();
    let items = table.items.lock().unwrap();
    assert_eq!(items.len(), 4, "a row, a summary, a fact, a milestone");
    for item in items.values() {
        let expires_s: i64 = Reader(item).number(names::EXPIRES_AT).unwrap();
        assert!(expires_s >= 1_749_999_960 + 30 * 86_400, "{item:?}");
    }
}

#[tokio::test]
async fn over_all_shards_only_so_many_rows_are_read_at_once_and_each_is_read() {
    let table = Arc::<Table>::default();
    let sink = sink(&table);
    let minutes = Minute::of(EpochMs(0))..Minute::of(EpochMs(100 * 60_000));
    let run = |n| ClosedRun {
        session_id: Arc::from(format!("s{n}")),
        starts: vec![EpochMs(95 * 60_000)],
        minutes: minutes.clone(),
    };
    let runs: Vec<_> = (0..20).map(run).collect();
    let shards = (0..10).map(|_| async {
        sink.runs(&runs).fold(0, |read, held| async move { read + usize::from(held.is_ok()) }).await
    });
    assert_eq!(join_all(shards).await, [20; 10]);
    let (_, most) = *table.calling.lock().unwrap();
    assert!((9..=MAX_HELD as usize / 100).contains(&most), "{most} readings at once");
}
