//! The rows of a lease table in DynamoDB.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_calls::{Pages, RetryPolicy, persist};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure as OnFailure,
};
use aws_smithy_types::retry::RetryConfig;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::codec::Item;
use super::expressions::{Condition, Update};
use super::rows::{LeaseRows, Updated};
use super::{StoreError, attributes};

/// One table, with this crate's retries instead of the SDK's.
#[derive(Clone, Debug)]
pub(crate) struct DynamoRows {
    pub(super) client: Client,
    pub(super) table: String,
    pub(super) retry: RetryPolicy,
}

/// Reading the whole table is bounded: one page holds at least a few hundred leases, so this is
/// far above any stream (an account has at most 20,000 shards by default).
const SCAN_PAGES_MAX: usize = 1_000;

impl DynamoRows {
    /// Uses `table` through `client`, at most `request` for one request.
    pub(super) fn new(client: &Client, table: &str, request: Duration) -> Self {
        let config = client
            .config()
            .to_builder()
            .retry_config(RetryConfig::disabled())
            .timeout_config(aws_calls::bounded(request))
            .build();
        let client = Client::from_conf(config);
        Self { client, table: table.to_owned(), retry: RetryPolicy::LEASE }
    }

    async fn get_item(&self, row: &str) -> Result<Option<Item>, StoreError> {
        let request = self.client.get_item().table_name(&self.table).consistent_read(true);
        let request = request.key(attributes::LEASE_KEY, key(row));
        let output = persist(self.retry, || request.clone().send()).await;
        Ok(output.map_err(|error| self.failed("GetItem", &error))?.item)
    }

    async fn scan_all(&self, consistent: bool) -> Result<Vec<Item>, StoreError> {
        let request = self.client.scan().table_name(&self.table).consistent_read(consistent);
        let mut pages = Pages::new(self.retry, |from| {
            let page = request.clone().set_exclusive_start_key(from).send();
            async { page.await.map(|page| (page.items, page.last_evaluated_key)) }
        });
        let mut rows = Vec::new();
        for _ in 0..SCAN_PAGES_MAX {
            match pages.next().await.map_err(|error| self.failed("Scan", &error))? {
                Some(page) => rows.extend(page.unwrap_or_default()),
                None => return Ok(rows),
            }
        }
        Err(self.refused("Scan", format!("more than {SCAN_PAGES_MAX} pages")))
    }

    async fn delete_item(&self, row: &str) -> Result<(), StoreError> {
        let request = self.client.delete_item().table_name(&self.table);
        let request = request.key(attributes::LEASE_KEY, key(row));
        let deleted = persist(self.retry, || request.clone().send()).await;
        deleted.map(|_| ()).map_err(|error| self.failed("DeleteItem", &error))
    }

    /// Makes one conditional `UpdateItem`. A retry after a lost answer may find its own condition
    /// broken by its own first try: the caller decides by the row.
    async fn update_item(&self, row: &str, update: &Update) -> Result<Updated, StoreError> {
        let expressions = Expressions::of(update);
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(attributes::LEASE_KEY, key(row))
            .update_expression(expressions.update)
            .condition_expression(expressions.condition)
            .set_expression_attribute_names(Some(expressions.names))
            .set_expression_attribute_values(Some(expressions.values))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(OnFailure::AllOld);
        let error = match persist(self.retry, || request.clone().send()).await {
            Ok(output) => return Ok(Updated::Stored(output.attributes.unwrap_or_default())),
            Err(error) => error,
        };
        match refused_item(&error) {
            Some(Some(item)) => Ok(Updated::Refused(Some(item.clone()))),
            // Emulators may leave the old item out.
            Some(None) => Ok(Updated::Refused(self.get_item(row).await?)),
            None => Err(self.failed("UpdateItem", &error)),
        }
    }
}

impl LeaseRows for DynamoRows {
    fn check(&self, create: bool) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { if create { self.ensure_table().await } else { self.check_table().await } }
            .boxed()
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Item>, StoreError>> {
        self.get_item(key).boxed()
    }

    fn scan(&self, consistent: bool) -> BoxFuture<'_, Result<Vec<Item>, StoreError>> {
        self.scan_all(consistent).boxed()
    }

    fn update<'a>(
        &'a self,
        key: &'a str,
        update: &'a Update,
    ) -> BoxFuture<'a, Result<Updated, StoreError>> {
        self.update_item(key, update).boxed()
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        self.delete_item(key).boxed()
    }
}

fn key(row: &str) -> AttributeValue {
    AttributeValue::S(row.to_owned())
}

/// `Some` if the condition failed, with the row that DynamoDB returned along.
fn refused_item(error: &SdkError<UpdateItemError>) -> Option<Option<&Item>> {
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(refusal)) => Some(refusal.item()),
        _ => None,
    }
}

/// The four parameters of a conditional `UpdateItem`.
#[derive(Debug, Default)]
struct Expressions {
    update: String,
    condition: String,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Expressions {
    fn of(update: &Update) -> Self {
        let mut words = Words::default();
        let set: Vec<_> = update
            .set
            .iter()
            .map(|(attribute, value)| {
                format!("{} = {}", words.alias(attribute), words.bind(value.clone()))
            })
            .collect();
        let removed: Vec<_> = update.remove.iter().map(|a| words.alias(a)).collect();
        let conditions: Vec<_> = update
            .conditions
            .iter()
            .map(|condition| match condition {
                Condition::Equals(attribute, value) => {
                    format!("{} = {}", words.alias(attribute), words.bind(value.clone()))
                }
                Condition::Absent(attribute) => {
                    format!("attribute_not_exists({})", words.alias(attribute))
                }
                Condition::Present(attribute) => {
                    format!("attribute_exists({})", words.alias(attribute))
                }
            })
            .collect();
        let mut clauses = Vec::new();
        if !set.is_empty() {
            clauses.push(format!("SET {}", set.join(", ")));
        }
        if !removed.is_empty() {
            clauses.push(format!("REMOVE {}", removed.join(", ")));
        }
        Self {
            update: clauses.join(" "),
            condition: conditions.join(" AND "),
            names: words.names.into_iter().map(|(name, alias)| (alias, name.to_owned())).collect(),
            values: words.values,
        }
    }
}

/// Names and values under construction.
#[derive(Default)]
struct Words {
    names: BTreeMap<&'static str, String>,
    values: HashMap<String, AttributeValue>,
}

impl Words {
    /// Attribute names are always aliased, so that none can clash with a reserved word.
    fn alias(&mut self, attribute: &'static str) -> String {
        let next = self.names.len();
        self.names.entry(attribute).or_insert_with(|| format!("#a{next}")).clone()
    }

    fn bind(&mut self, value: AttributeValue) -> String {
        let key = format!(":v{}", self.values.len());
        self.values.insert(key.clone(), value);
        key
    }
}
