//! Consistent readings of single rows, several to a call: DynamoDB's BatchGetItem.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::pool::{Answer, Calls, Left, hash_of};
use crate::items::codec::{Item, size_bytes};
use crate::sink::stats::Stats;

/// The key of a row that is wanted.
#[derive(Debug)]
pub(super) struct Reading {
    table: String,
    key: Item,
    hash: u64,
}

impl Reading {
    /// Returns a reading of a key; `None` for one that is none of ours.
    pub(super) fn of(table: &str, key: &Item) -> Option<Self> {
        let hash = hash_of(table, key)?;
        Some(Self { table: table.to_owned(), key: key.clone(), hash })
    }
}

/// Calls of DynamoDB.
#[derive(Debug)]
pub(super) struct Readings(pub(super) aws_sdk_dynamodb::Client);

impl Calls for Readings {
    type Wanted = Reading;
    type Told = Option<Item>;

    const MAX_MEMBERS: usize = 100;
    const ADVICE: &'static str = "allow dynamodb:BatchGetItem on both tables (the CDK app of this release does) and start again, or \
         set tables.batch_reads = false";

    fn hash(reading: &Reading) -> u64 {
        reading.hash
    }

    fn bytes(reading: &Reading) -> usize {
        size_bytes(&reading.key)
    }

    fn counters(stats: &Stats) -> [&AtomicU64; 2] {
        [&stats.batch_read_calls, &stats.batch_reads]
    }

    // One try: what fails is read by itself, and that is tried often enough.
    fn call<'a>(&'a self, readings: &'a [Reading]) -> BoxFuture<'a, Vec<Answer<Option<Item>>>> {
        async move {
            let call = self.0.batch_get_item().set_request_items(Some(by_table(readings)));
            match call.send().await {
                Ok(answer) => {
                    let is_whole = answer.unprocessed_keys.is_none_or(|left| left.is_empty());
                    answers(readings, answer.responses.unwrap_or_default(), is_whole)
                }
                Err(error) => vec![Err(Left::by(&error)); readings.len()],
            }
        }
        .boxed()
    }
}

/// Returns the keys by their tables.
fn by_table(readings: &[Reading]) -> HashMap<String, KeysAndAttributes> {
    let mut keys = HashMap::<&String, Vec<Item>>::new();
    for reading in readings {
        keys.entry(&reading.table).or_default().push(reading.key.clone());
    }
    let wanted = keys.into_iter().map(|(table, keys)| {
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
        (table.clone(), wanted.build().expect("the keys are given"))
    });
    wanted.collect()
}

/// Returns the answer to each reading. A row that is not among the items is not there only if the answer
/// is whole, and nothing in it is unknown: the key of an item might be written otherwise than it was asked for.
fn answers(
    readings: &[Reading],
    items: HashMap<String, Vec<Item>>,
    mut is_whole: bool,
) -> Vec<Answer<Option<Item>>> {
    let mut found = HashMap::new();
    for (table, items) in items {
        for item in items {
            let hash = hash_of(&table, &item);
            match hash.filter(|hash| readings.iter().any(|reading| reading.hash == *hash)) {
                Some(hash) => drop(found.insert(hash, item)),
                None => is_whole = false,
            }
        }
    }
    let answer = |reading: &Reading| match found.remove(&reading.hash) {
        Some(item) => Ok(Some(item)),
        None if is_whole => Ok(None),
        None => Err(Left::Later),
    };
    readings.iter().map(answer).collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;
    use ivs_schemas::items::metrics;

    use super::*;

    fn key(session: &str, at: &str) -> Item {
        let key = [
            (metrics::SESSION_ID, AttributeValue::S(session.to_owned())),
            (metrics::METRIC_TIMESTAMP, AttributeValue::N(at.to_owned())),
        ];
        key.map(|(name, value)| (name.to_owned(), value)).into()
    }

    fn row(session: &str, at: &str) -> Item {
        let mut row = key(session, at);
        row.insert(metrics::RECORDS.to_owned(), AttributeValue::N("7".to_owned()));
        row
    }

    fn readings(keys: &[(&str, &str)]) -> Vec<Reading> {
        let reading = |(table, session): &(&str, &str)| Reading::of(table, &key(session, "60"));
        keys.iter().map(|key| reading(key).unwrap()).collect()
    }

    #[test]
    fn each_key_is_asked_once_of_its_table_and_consistently() {
        let wanted = by_table(&readings(&[("T", "a"), ("U", "a"), ("T", "b")]));
        assert_eq!(wanted["T"].keys, [key("a", "60"), key("b", "60")]);
        assert_eq!(wanted["U"].keys, [key("a", "60")]);
        assert!(wanted.values().all(|keys| keys.consistent_read == Some(true)));
    }

    #[test]
    fn a_row_goes_to_whoever_asked_for_it_in_whatever_order_it_comes() {
        let readings = readings(&[("T", "a"), ("U", "a"), ("T", "b"), ("T", "c")]);
        let items = HashMap::from([("T".to_owned(), vec![row("c", "60"), row("a", "60")])]);
        let told = answers(&readings, items, true);
        let expected = [Some(row("a", "60")), None, None, Some(row("c", "60"))];
        assert_eq!(told, expected.map(Ok));
    }

    #[test]
    fn of_an_answer_that_is_not_whole_no_row_is_taken_for_missing() {
        let readings = readings(&[("T", "a"), ("T", "b")]);
        let items = |at: &str| HashMap::from([("T".to_owned(), vec![row("a", at)])]);
        let told = answers(&readings, items("60"), false);
        assert_eq!(told, [Ok(Some(row("a", "60"))), Err(Left::Later)]);
        let told = answers(&readings, items("60.0"), true);
        assert_eq!(told, [Err(Left::Later), Err(Left::Later)], "an item that nobody asked for");
        assert_eq!(answers(&readings, HashMap::new(), true), [Ok(None), Ok(None)]);
    }
}
