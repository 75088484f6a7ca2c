//! Calls that several share, and the answers that each of them gets.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::join_all;

use super::*;

/// As many as a store lets wait: three calls may be under way.
const CONCURRENCY: usize = 64;

/// True of a key that is there for the first time.
type IsNew = bool;

/// A key, and the bytes that come with it.
#[derive(Debug)]
struct Put(u64, usize);

/// A table that knows keys only, and says something else while it is told to.
#[derive(Debug, Default)]
struct Table(Arc<State>);

#[derive(Debug, Default)]
struct State {
    stored: Mutex<HashSet<u64>>,
    /// Puts of each call so far.
    calls: Mutex<Vec<usize>>,
    /// Calls under way, and the most of them at once.
    under_way: Mutex<(usize, usize)>,
    /// The first answers of a call, and how many puts get one at all.
    says: Mutex<Option<(Vec<Answer<IsNew>>, usize)>>,
    panics: AtomicBool,
}

impl Calls for Table {
    type Wanted = Put;
    type Told = IsNew;

    const MAX_MEMBERS: usize = 25;
    const ADVICE: &'static str = "ask for it";

    fn hash(put: &Put) -> u64 {
        put.0
    }

    fn bytes(put: &Put) -> usize {
        put.1
    }

    fn counters(stats: &Stats) -> [&AtomicU64; 2] {
        [&stats.batch_write_calls, &stats.batch_writes]
    }

    fn call<'a>(&'a self, puts: &'a [Put]) -> BoxFuture<'a, Vec<Answer<IsNew>>> {
        let state = &self.0;
        async move {
            state.calls.lock().unwrap().push(puts.len());
            let keys: HashSet<u64> = puts.iter().map(Self::hash).collect();
            assert_eq!(keys.len(), puts.len(), "AWS refuses a call that names a key twice");
            assert!(!state.panics.swap(false, Relaxed), "as it was told to");
            let count = |by: isize| {
                let (now, most) = &mut *state.under_way.lock().unwrap();
                *now = now.saturating_add_signed(by);
                *most = (*most).max(*now);
            };
            count(1);
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            count(-1);
            let mut stored = state.stored.lock().unwrap();
            let mut says = state.says.lock().unwrap().clone().unwrap_or((vec![], usize::MAX));
            let mut first = says.0.drain(..);
            let mut answer = |key: u64| first.next().unwrap_or_else(|| Ok(stored.insert(key)));
            puts.iter().map(Self::hash).take(says.1).map(&mut answer).collect()
        }
        .boxed()
    }
}

fn pool(concurrency: usize) -> (Arc<State>, Pool<Table>) {
    let state = Arc::new(State::default());
    (Arc::clone(&state), Pool::new(Table(state), concurrency, Arc::default()))
}

async fn put_all(pool: &Pool<Table>, keys: impl Iterator<Item = u64>) -> Vec<Answer<IsNew>> {
    join_all(keys.map(|key| pool.ask(Put(key, 1)))).await
}

#[tokio::test(start_paused = true)]
async fn each_put_has_its_own_answer_and_few_calls_are_made() {
    let (table, pool) = pool(CONCURRENCY);
    put_all(&pool, (0..60).step_by(7)).await;
    table.calls.lock().unwrap().clear();
    let answers = put_all(&pool, 0..60).await;
    for (key, answer) in (0..60).zip(answers) {
        assert_eq!(answer, Ok(key % 7 != 0), "{key}");
    }
    assert_eq!(*table.calls.lock().unwrap(), [25, 25, 10]);
    let stats = &pool.0.stats;
    assert_eq!((stats.batch_write_calls.load(Relaxed), stats.batch_writes.load(Relaxed)), (4, 69));
}

#[tokio::test(start_paused = true)]
async fn a_put_that_comes_alone_goes_at_once_and_few_calls_are_under_way() {
    let (table, pool) = pool(CONCURRENCY);
    assert_eq!(put_all(&pool, 0..1).await, [Ok(true)]);
    assert_eq!(*table.calls.lock().unwrap(), [1]);
    put_all(&pool, 1..1_000).await;
    assert_eq!(table.under_way.lock().unwrap().1, CONCURRENCY.div_ceil(CALL_MEMBERS));
    assert_eq!(table.calls.lock().unwrap().iter().sum::<usize>(), 1_000);
    let (table, pool) = self::pool(1);
    put_all(&pool, 0..100).await;
    assert_eq!(table.under_way.lock().unwrap().1, 1, "one at a time is still one");
}

#[tokio::test(start_paused = true)]
async fn a_key_comes_once_in_a_call_and_its_second_put_in_the_next() {
    let (table, pool) = pool(1);
    let answers = put_all(&pool, [1, 2, 1, 1].into_iter()).await;
    assert_eq!(answers, [Ok(true), Ok(true), Ok(false), Ok(false)]);
    assert_eq!(*table.calls.lock().unwrap(), [2, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_call_has_a_bound_in_bytes() {
    let (table, pool) = pool(1);
    let puts = (0..10).map(|key| pool.ask(Put(key, MAX_CALL_BYTES / 3)));
    assert_eq!(join_all(puts).await, vec![Ok(true); 10]);
    assert_eq!(*table.calls.lock().unwrap(), [3, 3, 3, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_a_call_leaves_open_is_left_to_a_call_of_its_own() {
    let (table, pool) = pool(1);
    let later = Err(Left::Later);
    *table.says.lock().unwrap() = Some((vec![later.clone(); 25], 25));
    assert_eq!(put_all(&pool, 0..25).await, vec![later.clone(); 25], "a call that failed");
    let no = Err(Left::No);
    *table.says.lock().unwrap() = Some((vec![later.clone(), no.clone()], 3));
    let told = put_all(&pool, 0..4).await;
    assert_eq!(told, [later, no.clone(), Ok(true), no.clone()], "the last had no answer");
    *table.says.lock().unwrap() = None;
    table.panics.store(true, Relaxed);
    assert_eq!(put_all(&pool, 4..6).await, [no.clone(), no]);
    assert_eq!(put_all(&pool, 6..8).await, [Ok(true), Ok(true)], "the next one calls again");
}

#[tokio::test(start_paused = true)]
async fn who_is_given_up_is_not_sent_and_takes_nothing_from_the_others() {
    let (table, pool) = pool(1);
    // Polled once, it waits; then it is dropped.
    assert_eq!(pool.ask(Put(0, 1)).now_or_never(), None);
    assert_eq!(put_all(&pool, 1..3).await, [Ok(true), Ok(true)]);
    assert_eq!(*table.calls.lock().unwrap(), [2]);
    assert_eq!(put_all(&pool, 0..1).await, [Ok(true)], "it was never there");
}

#[tokio::test(start_paused = true)]
async fn whoever_may_not_call_this_way_stops_trying() {
    let (table, pool) = pool(1);
    let denied = Err(Left::Denied("no identity-based policy allows it".to_owned()));
    *table.says.lock().unwrap() = Some((vec![denied.clone(); 25], 25));
    let answers = put_all(&pool, 0..60).await;
    assert_eq!(answers[..25], vec![denied; 25]);
    assert_eq!(answers[25..], vec![Err(Left::No); 35], "who waited is put one by one");
    assert_eq!(pool.0.stats.batch_left.load(Relaxed), 25);
    *table.says.lock().unwrap() = None;
    assert!(!pool.is_on());
    assert_eq!(put_all(&pool, 0..60).await, vec![Err(Left::No); 60]);
    assert_eq!(*table.calls.lock().unwrap(), [25], "a single call was refused");
}

#[test]
fn equal_keys_are_known_by_table_session_and_time() {
    let hash = |table: &str, session: &str, at: &str, note: &str| {
        let item = [
            (metrics::SESSION_ID, AttributeValue::S(session.to_owned())),
            (metrics::METRIC_TIMESTAMP, AttributeValue::N(at.to_owned())),
            ("note", AttributeValue::S(note.to_owned())),
        ];
        hash_of(table, &item.map(|(name, value)| (name.to_owned(), value)).into()).unwrap()
    };
    let one = hash("T", "s", "60", "a");
    assert_eq!(one, hash("T", "s", "60", "b"));
    for other in [hash("U", "s", "60", "a"), hash("T", "t", "60", "a"), hash("T", "s", "0", "a")] {
        assert_ne!(one, other);
    }
    assert_eq!(hash_of("T", &Item::new()), None);
}
