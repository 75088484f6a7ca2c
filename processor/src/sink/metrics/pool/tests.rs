//! Calls of several shards, and the answers that each of them gets.

use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use ivs_core::emit::{Datum, DatumValue, Series};
use ivs_schemas::catalogue::Namespace;
use ivs_schemas::catalogue::metrics::CURRENT_VIEWERS;
use kinesis_model::EpochMs;

use super::*;

/// Notes how many datums each call has; refuses those with a value below 0, and takes all but some
/// points of those with one above 1,000.
#[derive(Debug, Default)]
struct CloudWatch(Mutex<Vec<usize>>);

impl MetricCalls for CloudWatch {
    fn put<'a>(&'a self, batch: &'a DatumBatch) -> BoxFuture<'a, Answer> {
        let has = |is: fn(f64) -> bool| {
            batch.datums.iter().any(|datum| matches!(datum.value, DatumValue::Single(v) if is(v)))
        };
        let answer = if has(|value| value < 0.0) {
            Err(NotTaken::Refused("below 0".to_owned()))
        } else if has(|value| value > 1_000.0) {
            Err(NotTaken::Partly { points: 3, reason: "above 1,000".to_owned() })
        } else {
            Ok(())
        };
        self.0.lock().unwrap().push(batch.datums.len());
        async move {
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
            answer
        }
        .boxed()
    }
}

fn pool(max_datums: usize, calls_per_s: u32) -> (Arc<CloudWatch>, Pool) {
    let calls = Arc::new(CloudWatch::default());
    let sizes = (max_datums, calls_per_s as usize);
    let rate = Rate::per_second(calls_per_s);
    (Arc::clone(&calls), Pool::new(calls, sizes, rate, Arc::default()))
}

fn batch(namespace: Namespace, datums: usize, value: f64) -> DatumBatch {
    let datum = Datum {
        metric: &CURRENT_VIEWERS,
        series: Series::Channel("c".into()),
        time: EpochMs(0),
        value: DatumValue::Single(value),
    };
    DatumBatch { namespace, datums: vec![datum; datums] }
}

async fn put_all(pool: &Pool, batches: &[DatumBatch]) -> Vec<Answer> {
    join_all(batches.iter().map(|batch| pool.put(batch))).await
}

#[tokio::test]
async fn shards_that_wait_for_a_turn_share_a_call_of_their_namespace() {
    let (calls, pool) = pool(20, 10);
    let mut batches = vec![batch(Namespace::Metrics, 3, 1.0); 40];
    batches.insert(7, batch(Namespace::Processor, 2, 1.0));
    let answers = put_all(&pool, &batches).await;
    assert_eq!(answers, vec![Ok(()); 41]);
    let mut sizes = calls.0.lock().unwrap().clone();
    sizes.sort_unstable();
    assert_eq!(sizes, [2, 12, 18, 18, 18, 18, 18, 18], "six shards a call, not 41 calls");
    assert_eq!(pool.stats.metric_calls.load(Relaxed), 8);
    put_all(&pool, &batches[..1]).await;
    assert_eq!(calls.0.lock().unwrap().last(), Some(&3), "another comes when nobody drives");
}

#[tokio::test]
async fn a_refused_call_is_made_again_for_each_shard_alone() {
    let (calls, pool) = pool(20, 1_000);
    let good = batch(Namespace::Metrics, 3, 1.0);
    let answers = put_all(&pool, &[good.clone(), batch(Namespace::Metrics, 4, -1.0), good]).await;
    let refused = Err(NotTaken::Refused("below 0".to_owned()));
    assert_eq!(answers, [Ok(()), refused, Ok(())]);
    assert_eq!(*calls.0.lock().unwrap(), [10, 3, 4, 3]);
}

#[tokio::test]
async fn points_that_nobody_names_are_counted_once_among_the_shards() {
    let (_, pool) = pool(20, 1_000);
    let (good, bad) = (batch(Namespace::Metrics, 2, 1.0), batch(Namespace::Metrics, 2, 2e3));
    let answers = put_all(&pool, &[good.clone(), bad, good]).await;
    let partly = |points| Err(NotTaken::Partly { points, reason: "above 1,000".to_owned() });
    assert_eq!(answers, [partly(2), partly(1), Ok(())]);
}

#[tokio::test]
async fn a_shard_that_is_given_up_is_not_sent_and_takes_nothing_from_the_others() {
    let (calls, pool) = pool(20, 1_000);
    let (gone, good) = (batch(Namespace::Metrics, 5, 1.0), batch(Namespace::Metrics, 3, 1.0));
    // Polled once, it waits; then it is dropped.
    assert_eq!(pool.put(&gone).now_or_never(), None);
    assert_eq!(put_all(&pool, &[good]).await, [Ok(())]);
    assert_eq!(*calls.0.lock().unwrap(), [3]);
}
