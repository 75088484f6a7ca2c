//! The lease table: conditional updates, scans that may be a moment old.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use ivs_processor::items::codec::Item;
use kinesis_fleet::StoreError;
use kinesis_fleet::store::expressions::{Condition, Update};
use kinesis_fleet::store::{LeaseRows, Updated, attributes};

use super::net::{Net, Service};
use super::state::Shell;

/// As the product's: three tries, each of an eighth of the failover time at most.
const TRIES: u32 = 3;
const TRY_TAKES: Duration = Duration::from_millis(250);

impl Net {
    async fn lease_call<T: Send + 'static>(
        &self,
        operation: &'static str,
        effect: impl FnOnce(&mut Shell) -> T + Send + Clone + 'static,
    ) -> Result<T, StoreError> {
        let mut last = String::new();
        for _ in 0..TRIES {
            let call = self.call(Service::Leases, effect.clone());
            match tokio::time::timeout(TRY_TAKES, call).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => last = error,
                Err(_) => "no answer in time".clone_into(&mut last),
            }
            let wait_ms = 25 + self.lock().rng.below(50);
            super::net::sleep_ms(wait_ms).await;
        }
        Err(StoreError::Unreachable {
            table: "leases".to_owned(),
            operation,
            attempts: TRIES,
            last,
        })
    }
}

impl LeaseRows for Net {
    fn check(&self, _create: bool) -> BoxFuture<'_, Result<(), StoreError>> {
        self.lease_call("DescribeTable", |_| ()).boxed()
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Item>, StoreError>> {
        let key = key.to_owned();
        let get = move |shell: &mut Shell| shell.lease_rows.get(&key).map(|row| Item::clone(row));
        self.lease_call("GetItem", get).boxed()
    }

    fn scan(&self, consistent: bool) -> BoxFuture<'_, Result<Vec<Item>, StoreError>> {
        self.lease_call("Scan", move |shell| shell.scan(consistent)).boxed()
    }

    fn update<'a>(
        &'a self,
        key: &'a str,
        update: &'a Update,
    ) -> BoxFuture<'a, Result<Updated, StoreError>> {
        let (key, update) = (key.to_owned(), Arc::new(update.clone()));
        self.lease_call("UpdateItem", move |shell| shell.update(&key, &update)).boxed()
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        let key = key.to_owned();
        self.lease_call("DeleteItem", move |shell| shell.delete(&key)).boxed()
    }
}

fn holds(row: Option<&Item>, condition: &Condition) -> bool {
    let value = |attribute: &str| row.and_then(|row| row.get(attribute));
    match condition {
        Condition::Equals(attribute, wanted) => value(attribute) == Some(wanted),
        Condition::Absent(attribute) => value(attribute).is_none(),
        Condition::Present(attribute) => value(attribute).is_some(),
    }
}

impl Shell {
    /// Returns every row; of those that were changed lately a scan may show the one before.
    fn scan(&mut self, consistent: bool) -> Vec<Item> {
        let mut rows = vec![];
        for (key, row) in &self.lease_rows {
            let earlier = self.earlier.get(key).filter(|_| !consistent && self.rng.chance(10));
            rows.push(Item::clone(earlier.unwrap_or(row)));
        }
        rows
    }

    fn update(&mut self, key: &str, update: &Update) -> Updated {
        let before = self.lease_rows.get(key).cloned();
        if !update.conditions.iter().all(|condition| holds(before.as_deref(), condition)) {
            return Updated::Refused(before.as_deref().cloned());
        }
        let mut row = before.as_deref().cloned().unwrap_or_default();
        row.insert(attributes::LEASE_KEY.to_owned(), AttributeValue::S(key.to_owned()));
        for (attribute, value) in &update.set {
            row.insert((*attribute).to_owned(), value.clone());
        }
        for attribute in &update.remove {
            row.remove(*attribute);
        }
        self.lease_changed(before.as_deref(), &row);
        self.lease_rows.insert(key.to_owned(), Arc::new(row.clone()));
        if let Some(before) = before
            && self.rng.chance(30)
        {
            self.earlier.insert(key.to_owned(), before);
        }
        Updated::Stored(row)
    }

    fn delete(&mut self, key: &str) {
        self.world.mark("a finished lease was deleted");
        let number = Self::number(&kinesis_fleet::ShardId::new(key));
        if !self.world.leases[number].done {
            self.breaks(format!("E5: the lease of {key}, which is not finished, was deleted"));
        }
        self.lease_rows.remove(key);
        self.earlier.remove(key);
    }
}
