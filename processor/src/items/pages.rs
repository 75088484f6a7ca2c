//! Reading items page by page: of a session, of a channel, or all.

use anyhow::Context as _;
use aws_calls::{Pages, RetryPolicy, code, explain, is_transient, persist};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue::{N, S};
use aws_smithy_runtime_api::http::Response;
use ivs_schemas::items::sessions;
use ivs_schemas::names::CHANNEL_INDEX;

use super::codec::Item;

/// A table that could not be read, and whether it could be later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    /// No answer came.
    #[error("{0}")]
    Unreachable(String),
    /// It is throttled, or the service is at fault.
    #[error("{0}; try again later")]
    Later(String),
    /// It is not there, or not allowed.
    #[error("{0}")]
    Refused(String),
}

impl ReadError {
    fn of<E: ProvideErrorMetadata + std::error::Error + 'static>(
        table: &str,
        error: &SdkError<E, Response>,
    ) -> Self {
        let reason = match code(error) {
            Some("ResourceNotFoundException") => {
                "it is not there; check `tables` in the configuration, and the region".to_owned()
            }
            _ => explain(error),
        };
        let text = format!("cannot read table {table}: {reason}");
        if error.as_service_error().is_none() {
            Self::Unreachable(text)
        } else if is_transient(error) {
            Self::Later(text)
        } else {
            Self::Refused(text)
        }
    }
}

/// Hands out every item that a query finds, page by page.
///
/// # Errors
/// When a page cannot be read, and those of `each`; the item is named.
pub(crate) async fn query(
    query: QueryFluentBuilder,
    each: impl FnMut(&Item) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let table = query.get_table_name().clone().unwrap_or_default();
    let fetch = |from| {
        let page = query.clone().set_exclusive_start_key(from).send();
        async { page.await.map(|page| (page.items, page.last_evaluated_key)) }
    };
    hand_out(&table, Pages::new(RetryPolicy::READ, fetch), each).await
}

/// As [`query`], of a scan.
///
/// # Errors
/// As [`query`].
pub(crate) async fn scan(
    scan: ScanFluentBuilder,
    each: impl FnMut(&Item) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let table = scan.get_table_name().clone().unwrap_or_default();
    let fetch = |from| {
        let page = scan.clone().set_exclusive_start_key(from).send();
        async { page.await.map(|page| (page.items, page.last_evaluated_key)) }
    };
    hand_out(&table, Pages::new(RetryPolicy::READ, fetch), each).await
}

/// Returns whether a query without a filter finds anything.
///
/// # Errors
/// When the table cannot be read.
pub(crate) async fn is_any(query: QueryFluentBuilder) -> anyhow::Result<bool> {
    let table = query.get_table_name().clone().unwrap_or_default();
    let query = query.limit(1);
    let found = persist(RetryPolicy::READ, || query.clone().send()).await;
    let found = found.map_err(|error| ReadError::of(&table, &error))?;
    Ok(found.items.is_some_and(|items| !items.is_empty()))
}

async fn hand_out<E, F, A>(
    table: &str,
    mut pages: Pages<Item, F>,
    mut each: impl FnMut(&Item) -> anyhow::Result<()>,
) -> anyhow::Result<()>
where
    F: FnMut(Option<Item>) -> A,
    A: Future<Output = Result<(Option<Vec<Item>>, Option<Item>), SdkError<E, Response>>>,
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    while let Some(items) = pages.next().await.map_err(|error| ReadError::of(table, &error))? {
        for item in items.iter().flatten() {
            each(item).with_context(|| format!("{table}: {}", named(item)))?;
        }
    }
    Ok(())
}

/// Names the session of an item, as far as it tells one.
fn named(item: &Item) -> String {
    match item.get(sessions::SESSION_ID) {
        Some(S(id)) => format!("session `{id}`"),
        _ => "an item without session".to_owned(),
    }
}

/// Which items of one of the two tables are wanted. Both have the session as their partition key,
/// and `ChannelIdIndex` with their own sort key, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Select<'a> {
    pub(crate) session_id: Option<&'a str>,
    pub(crate) channel_id: Option<&'a str>,
    pub(crate) sort_key: &'static str,
    /// From this sort key on.
    pub(crate) from_s: Option<i64>,
    /// Before this sort key.
    pub(crate) until_s: Option<i64>,
    /// Whether all that was acknowledged must be found; an index cannot promise that.
    pub(crate) is_consistent: bool,
}

impl Select<'_> {
    /// Selects every item of the sessions' table.
    pub(crate) fn sessions() -> Self {
        Self { sort_key: sessions::TIMESTAMP, ..Self::default() }
    }

    /// Hands out the items: of a session or a channel by a query, else by reading the whole table.
    ///
    /// # Errors
    /// As [`query`].
    pub(crate) async fn each(
        &self,
        dynamodb: &Client,
        table: &str,
        each: impl FnMut(&Item) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (from, until) = (self.from_s.unwrap_or(0), self.until_s.unwrap_or(i64::MAX));
        if from >= until {
            anyhow::bail!("--from is not before --to, so nothing can be found");
        }
        // Sort keys of facts have up to three decimals.
        let last = format!("{}.999", until - 1);
        let last = if until == i64::MAX { "99999999999".to_owned() } else { last };
        let range = "#time BETWEEN :from AND :last";
        let Some(key) = self.key() else {
            let all = dynamodb
                .scan()
                .table_name(table)
                .consistent_read(true)
                .filter_expression(range)
                .expression_attribute_names("#time", self.sort_key)
                .expression_attribute_values(":from", N(from.to_string()))
                .expression_attribute_values(":last", N(last));
            return scan(all, each).await;
        };
        let mut found = dynamodb
            .query()
            .table_name(table)
            .set_index_name(key.index.map(str::to_owned))
            .consistent_read(self.is_consistent)
            .key_condition_expression(format!("#key = :key AND {range}"))
            .expression_attribute_names("#key", key.name)
            .expression_attribute_names("#time", self.sort_key)
            .expression_attribute_values(":key", S(key.value.to_owned()))
            .expression_attribute_values(":from", N(from.to_string()))
            .expression_attribute_values(":last", N(last));
        if let (Some(_), Some(channel)) = (self.session_id, self.channel_id) {
            found = found
                .filter_expression("#channel = :channel")
                .expression_attribute_names("#channel", sessions::CHANNEL_ID)
                .expression_attribute_values(":channel", S(channel.to_owned()));
        }
        query(found, each).await
    }

    fn key(&self) -> Option<Key<'_>> {
        let session =
            self.session_id.map(|value| Key { name: sessions::SESSION_ID, value, index: None });
        session.or_else(|| {
            let index = Some(CHANNEL_INDEX);
            self.channel_id.map(|value| Key { name: sessions::CHANNEL_ID, value, index })
        })
    }
}

/// The partition key to look for.
struct Key<'a> {
    name: &'static str,
    value: &'a str,
    index: Option<&'static str>,
}
