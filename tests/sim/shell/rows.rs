//! The two tables: conditional puts that answer with what is stored.

use std::ops::Range;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use ivs_core::minute::Minute;
use ivs_core::session::attribute_names::FINGERPRINT;
use ivs_processor::items::codec::{Item, Reader};
use ivs_processor::sink::SinkError;
use ivs_processor::sink::rows::{Condition, PutOutcome, RowStore};
use ivs_schemas::items::{metrics, sessions};
use kinesis_fleet::{Position, ShardId};

use super::net::{Net, Service, sleep_ms};
use super::state::{RowKey, Shell};

/// As the product's own tries, fewer of them.
const TRIES: u32 = 6;

impl Net {
    async fn row_call<T: Send + 'static>(
        &self,
        operation: &'static str,
        effect: impl FnOnce(&mut Shell) -> T + Send + Clone + 'static,
    ) -> Result<T, SinkError> {
        let mut reason = String::new();
        for attempt in 0..TRIES {
            match self.call(Service::Rows, effect.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => reason = error,
            }
            let wait_ms = (20 << attempt) + self.lock().rng.below(20);
            sleep_ms(wait_ms).await;
        }
        Err(SinkError::Aws { operation, target: "rows".to_owned(), reason })
    }
}

impl RowStore for Net {
    fn put<'a>(
        &'a self,
        table: &'a str,
        item: &'a Item,
        condition: Condition,
    ) -> BoxFuture<'a, Result<PutOutcome, SinkError>> {
        let (table, item) = (table.to_owned(), Arc::new(item.clone()));
        self.row_call("PutItem", move |shell| shell.put(&table, item, condition)).boxed()
    }

    fn get<'a>(
        &'a self,
        table: &'a str,
        key: Item,
    ) -> BoxFuture<'a, Result<Option<Item>, SinkError>> {
        let key = key_of(table, &key);
        self.row_call("GetItem", move |shell| shell.rows.get(&key).map(|item| Item::clone(item)))
            .boxed()
    }

    fn minutes<'a>(
        &'a self,
        table: &'a str,
        session_id: &'a str,
        minutes: Range<Minute>,
    ) -> BoxFuture<'a, Result<Vec<Item>, SinkError>> {
        let (table, session_id) = (table.to_owned(), session_id.to_owned());
        self.row_call("Query", move |shell| shell.minutes(&table, &session_id, &minutes)).boxed()
    }
}

fn text(item: &Item, name: &str) -> String {
    match item.get(name) {
        Some(AttributeValue::S(text) | AttributeValue::N(text)) => text.clone(),
        other => format!("{other:?}"),
    }
}

/// Returns the name of an item: of `StreamingMetrics` by its minute, of `StreamingSessions` by its
/// time.
fn key_of(table: &str, item: &Item) -> RowKey {
    let is_metric = item.contains_key(metrics::METRIC_TIMESTAMP);
    let sort = if is_metric { metrics::METRIC_TIMESTAMP } else { sessions::TIMESTAMP };
    (table.to_owned(), text(item, metrics::SESSION_ID), text(item, sort))
}

fn number(item: &Item, name: &str) -> Option<u64> {
    Reader(item).number(name).ok()
}

impl Shell {
    fn put(&mut self, table: &str, item: Arc<Item>, condition: Condition) -> PutOutcome {
        let key = key_of(table, &item);
        let stored = self.rows.get(&key);
        let may = match (condition, stored) {
            (Condition::Version(seen), stored) => {
                seen == stored.and_then(|stored| number(stored, metrics::VERSION))
            }
            (Condition::Fact(_), None) => true,
            (Condition::Fact(print), Some(stored)) => number(stored, FINGERPRINT) > Some(print),
            (Condition::SameFact(print), stored) => {
                stored.and_then(|stored| number(stored, FINGERPRINT)) == Some(print)
            }
        };
        if !may {
            self.world.mark("a put was refused");
            return PutOutcome::Refused(stored.map(|item| Item::clone(item)));
        }
        self.check_prepared(&key, &item);
        self.rows.insert(key, item);
        PutOutcome::Stored
    }

    /// E2: whatever a row says that it holds was prepared before.
    fn check_prepared(&mut self, key: &RowKey, item: &Item) {
        let applied = if item.contains_key(sessions::ORIGIN) {
            origin(&text(item, sessions::ORIGIN)).into_iter().collect()
        } else {
            Reader(item).applied().expect("the product's own rows can be read")
        };
        for (shard, to) in applied {
            if !self.world.prepared.contains(&(Self::number(&shard), to)) {
                self.breaks(format!("E2: {to} of {shard} was written unprepared into {key:?}"));
            }
        }
    }

    fn minutes(&self, table: &str, session_id: &str, minutes: &Range<Minute>) -> Vec<Item> {
        let is_asked_for = |key: &RowKey| {
            let at: i64 = key.2.parse().unwrap_or(-1);
            let is_within = (minutes.start.start_s()..minutes.end.start_s()).contains(&at);
            key.0 == table && key.1 == session_id && is_within
        };
        let found = self.rows.iter().filter(|(key, _)| is_asked_for(key));
        found.map(|(_, item)| Item::clone(item)).collect()
    }
}

/// Returns the epoch that a fact says it comes from: `<shard>:<position>`.
fn origin(text: &str) -> Option<(ShardId, Position)> {
    let (shard, at) = text.split_once(':')?;
    Some((ShardId::new(shard), at.parse().ok()?))
}
