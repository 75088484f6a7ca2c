//! Puts that wait together, and the answers that each of them gets.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::{BoxFuture, join_all};
use ivs_schemas::items::metrics;

use super::*;

/// As many as a store lets wait: three calls may be under way.
const CONCURRENCY: usize = 64;

/// A table that knows keys only, and says something else while it is told to.
#[derive(Debug, Default)]
struct Table {
    stored: Mutex<HashSet<u64>>,
    /// Statements of each call so far.
    calls: Mutex<Vec<usize>>,
    /// Calls under way, and the most of them at once.
    under_way: Mutex<(usize, usize)>,
    /// The first answers of a call, and how many statements get one at all.
    says: Mutex<Option<(Vec<Inserted>, usize)>>,
    panics: AtomicBool,
}

impl InsertCalls for Table {
    fn insert<'a>(&'a self, statements: &'a [Statement]) -> BoxFuture<'a, Vec<Inserted>> {
        async move {
            self.calls.lock().unwrap().push(statements.len());
            let keys: HashSet<u64> = statements.iter().map(|statement| statement.key).collect();
            assert_eq!(keys.len(), statements.len(), "AWS refuses a call that names a key twice");
            assert!(!self.panics.swap(false, Relaxed), "as it was told to");
            let count = |by: isize| {
                let (now, most) = &mut *self.under_way.lock().unwrap();
                *now = now.saturating_add_signed(by);
                *most = (*most).max(*now);
            };
            count(1);
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            count(-1);
            let mut stored = self.stored.lock().unwrap();
            let mut says = self.says.lock().unwrap().clone().unwrap_or((vec![], usize::MAX));
            let mut first = says.0.drain(..);
            let mut answer = |key: u64| match first.next() {
                Some(told) => told,
                None if stored.insert(key) => Inserted::Stored,
                None => Inserted::Duplicate,
            };
            let keys = statements.iter().map(|statement| statement.key);
            keys.take(says.1).map(&mut answer).collect()
        }
        .boxed()
    }
}

fn pool(concurrency: usize) -> (Arc<Table>, Inserts) {
    let table = Arc::new(Table::default());
    let calls: Arc<dyn InsertCalls> = Arc::clone(&table) as _;
    (table, Inserts::over(calls, concurrency, Arc::default()))
}

/// Returns the row of a session, with a note of so many bytes.
fn item(session: usize, bytes: usize) -> Item {
    [
        (metrics::SESSION_ID, AttributeValue::S(format!("st-{session}"))),
        (metrics::METRIC_TIMESTAMP, AttributeValue::N("60".to_owned())),
        ("note", AttributeValue::S("x".repeat(bytes))),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

async fn put_all(pool: &Inserts, sessions: impl Iterator<Item = usize>) -> Vec<Inserted> {
    let items: Vec<_> = sessions.map(|session| item(session, 1)).collect();
    join_all(items.iter().map(|item| pool.put("T", item))).await
}

#[tokio::test(start_paused = true)]
async fn each_put_has_its_own_answer_and_few_calls_are_made() {
    let (table, pool) = pool(CONCURRENCY);
    put_all(&pool, (0..60).step_by(7)).await;
    table.calls.lock().unwrap().clear();
    let answers = put_all(&pool, 0..60).await;
    for (session, answer) in answers.into_iter().enumerate() {
        let expected = if session % 7 == 0 { Inserted::Duplicate } else { Inserted::Stored };
        assert_eq!(answer, expected, "st-{session}");
    }
    assert_eq!(*table.calls.lock().unwrap(), [25, 25, 10]);
    let stats = &pool.0.stats;
    assert_eq!((stats.insert_calls.load(Relaxed), stats.inserts.load(Relaxed)), (4, 69));
}

#[tokio::test(start_paused = true)]
async fn a_put_that_comes_alone_goes_at_once_and_few_calls_are_under_way() {
    let (table, pool) = pool(CONCURRENCY);
    assert_eq!(put_all(&pool, 0..1).await, [Inserted::Stored]);
    assert_eq!(*table.calls.lock().unwrap(), [1]);
    put_all(&pool, 1..1_000).await;
    assert_eq!(table.under_way.lock().unwrap().1, CONCURRENCY.div_ceil(MAX_STATEMENTS));
    assert_eq!(table.calls.lock().unwrap().iter().sum::<usize>(), 1_000);
    let (table, pool) = self::pool(1);
    put_all(&pool, 0..100).await;
    assert_eq!(table.under_way.lock().unwrap().1, 1, "one at a time is still one");
}

#[tokio::test(start_paused = true)]
async fn a_key_comes_once_in_a_call_and_its_second_put_is_a_duplicate() {
    let (table, pool) = pool(1);
    let answers = put_all(&pool, [1, 2, 1, 1].into_iter()).await;
    use Inserted::{Duplicate, Stored};
    assert_eq!(answers, [Stored, Stored, Duplicate, Duplicate]);
    assert_eq!(*table.calls.lock().unwrap(), [2, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_call_has_a_bound_in_bytes() {
    let (table, pool) = pool(1);
    let items: Vec<_> = (0..10).map(|session| item(session, MAX_CALL_BYTES / 4)).collect();
    let answers = join_all(items.iter().map(|item| pool.put("T", item))).await;
    assert_eq!(answers, vec![Inserted::Stored; 10]);
    assert_eq!(*table.calls.lock().unwrap(), [3, 3, 3, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_a_call_leaves_open_is_left_to_a_put() {
    let (table, pool) = pool(1);
    *table.says.lock().unwrap() = Some((vec![Inserted::Later; 25], 25));
    assert_eq!(put_all(&pool, 0..25).await, vec![Inserted::Later; 25], "a call that failed");
    *table.says.lock().unwrap() = Some((vec![Inserted::Later, Inserted::No], 3));
    use Inserted::{Later, No, Stored};
    assert_eq!(put_all(&pool, 0..4).await, [Later, No, Stored, No], "the last had no answer");
    *table.says.lock().unwrap() = None;
    table.panics.store(true, Relaxed);
    assert_eq!(put_all(&pool, 4..6).await, [No, No]);
    assert_eq!(put_all(&pool, 6..8).await, [Stored, Stored], "the next one calls again");
}

#[tokio::test(start_paused = true)]
async fn a_put_that_is_given_up_is_not_sent_and_takes_nothing_from_the_others() {
    let (table, pool) = pool(1);
    let gone = item(0, 1);
    // Polled once, it waits; then it is dropped.
    assert_eq!(pool.put("T", &gone).now_or_never(), None);
    assert_eq!(put_all(&pool, 1..3).await, [Inserted::Stored, Inserted::Stored]);
    assert_eq!(*table.calls.lock().unwrap(), [2]);
    assert_eq!(put_all(&pool, 0..1).await, [Inserted::Stored], "it was never there");
}

#[tokio::test(start_paused = true)]
async fn whoever_may_not_insert_together_stops_trying() {
    let (table, pool) = pool(1);
    let denied = Inserted::Denied("no identity-based policy allows it".to_owned());
    *table.says.lock().unwrap() = Some((vec![denied.clone(); 25], 25));
    let answers = put_all(&pool, 0..60).await;
    assert_eq!(answers[..25], vec![denied; 25]);
    assert_eq!(answers[25..], vec![Inserted::No; 35], "who waited is put one by one");
    *table.says.lock().unwrap() = None;
    assert_eq!(put_all(&pool, 0..60).await, vec![Inserted::No; 60]);
    assert_eq!(*table.calls.lock().unwrap(), [25], "a single call was refused");
}
