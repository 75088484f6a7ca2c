//! GetRecords.

use std::time::Duration;

use super::super::answers::{Wanted as _, said, said_of_bounds};
use super::super::{Case, Found, World, world};
use super::{FIRST, texts};

/// Long enough for a record to lie behind the tip, in whole milliseconds.
const WHILE: Duration = Duration::from_millis(30);

pub(super) const CASES: &[Case] = &[
    Case {
        calls: "GetRecords",
        name: "a limit cuts the records into pages that follow each other",
        expected: "a b | c",
        rule: "API_GetRecords, Limit and NextShardIterator: the next position in the shard",
        run: |world| Box::pin(limit(world)),
    },
    Case {
        calls: "GetRecords",
        name: "a limit is 1 to 10,000",
        expected: "refused, taken, refused",
        rule: "API_GetRecords, Limit: \"Valid Range: Minimum value of 1. Maximum value of 10000.\"",
        run: |world| Box::pin(bounds_of_limit(world)),
    },
    Case {
        calls: "GetRecords",
        name: "a reader is behind while more follows, and not at the tip",
        expected: "behind, at the tip",
        rule: "API_GetRecords, MillisBehindLatest: \"zero indicates that record processing is caught up\"",
        run: |world| Box::pin(behind(world)),
    },
    Case {
        calls: "GetRecords",
        name: "an iterator may be used again, and gives the same records",
        expected: "a b; a b",
        rule: "API_GetRecords: an iterator is a position, good for 5 minutes",
        run: |world| Box::pin(again(world)),
    },
    Case {
        calls: "GetRecords",
        name: "an iterator that Kinesis has not made is refused",
        expected: "InvalidArgumentException",
        rule: "API_GetRecords: InvalidArgumentException, a parameter \"exceeds its restrictions\"",
        run: |world| Box::pin(invalid(world)),
    },
    Case {
        calls: "GetRecords",
        name: "an open shard without records gives none and goes on",
        expected: "0 records, 0 ms behind, goes on, 0 children",
        rule: "API_GetRecords: null NextShardIterator and ChildShards only at the end of a closed shard",
        run: |world| Box::pin(empty(world)),
    },
    Case {
        calls: "GetRecords",
        name: "arrival times of a shard do not step back, and are those of now",
        expected: "in order, within a minute",
        rule: "API_Record, ApproximateArrivalTimestamp: when the record was inserted, in milliseconds",
        run: |world| Box::pin(arrivals(world)),
    },
];

async fn limit(world: &World) -> Found {
    world.create_stream("limit", 1).await?;
    world.put_texts("limit", 0, &["a", "b", "c"]).await?;
    let iterator = world.oldest("limit", FIRST).await?;
    let first = world.kinesis.get_records().shard_iterator(iterator).limit(2).send().await?;
    let (rest, _) = world.read(first.next_shard_iterator.wanted("next iterator")?).await?;
    Ok(format!("{} | {}", texts(&first.records), texts(&rest)))
}

async fn bounds_of_limit(world: &World) -> Found {
    world.create_stream("bounds", 1).await?;
    let iterator = world.oldest("bounds", FIRST).await?;
    let mut codes = vec![];
    for limit in [0, 10_000, 10_001] {
        let get = world.kinesis.get_records().shard_iterator(&iterator).limit(limit);
        codes.push(said_of_bounds(&get.send().await));
    }
    Ok(codes.join(", "))
}

async fn behind(world: &World) -> Found {
    world.create_stream("behind", 1).await?;
    world.put_texts("behind", 0, &["a", "b"]).await?;
    tokio::time::sleep(WHILE).await;
    let iterator = world.oldest("behind", FIRST).await?;
    let first = world.kinesis.get_records().shard_iterator(iterator).limit(1).send().await?;
    let next = first.next_shard_iterator.wanted("next iterator")?;
    let (_, last) = world.read(next).await?;
    let place = |ms: Option<i64>| match ms {
        Some(0) => "at the tip",
        Some(1..) => "behind",
        _ => "nowhere",
    };
    Ok([first.millis_behind_latest, last.millis_behind_latest].map(place).join(", "))
}

async fn again(world: &World) -> Found {
    world.create_stream("again", 1).await?;
    world.put_texts("again", 0, &["a", "b"]).await?;
    let iterator = world.oldest("again", FIRST).await?;
    let [first, second] = [world.page(&iterator).await?, world.page(&iterator).await?];
    Ok(format!("{}; {}", texts(&first.records), texts(&second.records)))
}

async fn invalid(world: &World) -> Found {
    Ok(said(&world.kinesis.get_records().shard_iterator("bm9uc2Vuc2U=").send().await))
}

async fn empty(world: &World) -> Found {
    world.create_stream("empty", 1).await?;
    let page = world.page(&world.oldest("empty", FIRST).await?).await?;
    let goes_on = if page.next_shard_iterator.is_some() { "goes on" } else { "ends" };
    Ok(format!(
        "{} records, {} ms behind, {goes_on}, {} children",
        page.records.len(),
        page.millis_behind_latest.unwrap_or(-1),
        page.child_shards.unwrap_or_default().len()
    ))
}

async fn arrivals(world: &World) -> Found {
    world.create_stream("arrivals", 1).await?;
    world.put_texts("arrivals", 0, &["a", "b", "c"]).await?;
    let (records, _) = world.read(world.oldest("arrivals", FIRST).await?).await?;
    let times = records.iter().filter_map(|record| record.approximate_arrival_timestamp);
    let times: Vec<_> = times.filter_map(|time| time.to_millis().ok()).collect();
    let order = if times.len() == 3 && times.is_sorted() { "in order" } else { "in disorder" };
    let now_ms = world::now_ms();
    let is_now = times.iter().all(|time_ms| (now_ms - time_ms).abs() < 60_000);
    Ok(format!("{order}, {}", if is_now { "within a minute" } else { "not of now" }))
}
