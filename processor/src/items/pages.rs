//! Reading items page by page: of a session, of a channel, or all.

use anyhow::Context as _;
use aws_calls::{RetryPolicy, code, explain, is_transient};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue::{N, S};
use aws_smithy_runtime_api::http::Response;
use ivs_schemas::items::sessions;
use ivs_schemas::names::CHANNEL_INDEX;

use super::codec::Item;

/// A page of items, and where the next begins.
pub(crate) struct Page {
    pub(crate) items: Vec<Item>,
    pub(crate) next: Option<Item>,
}

impl Page {
    /// Makes the page of an answer.
    pub(crate) fn new(items: Option<Vec<Item>>, next: Option<Item>) -> Self {
        Self { items: items.unwrap_or_default(), next }
    }
}

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

/// Hands out every item of every page. A page that is throttled is asked for again.
///
/// # Errors
/// When a page cannot be read, and those of `each`; the item is named.
pub(crate) async fn pages<E>(
    table: &str,
    fetch: impl AsyncFn(Option<Item>) -> Result<Page, SdkError<E, Response>>,
    mut each: impl FnMut(&Item) -> anyhow::Result<()>,
) -> anyhow::Result<()>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let mut from = None;
    loop {
        let mut backoff = RetryPolicy::READ.start();
        let page = loop {
            match fetch(from.clone()).await {
                Ok(page) => break page,
                Err(error) if is_transient(&error) && backoff.wait().await => {}
                Err(error) => return Err(ReadError::of(table, &error).into()),
            }
        };
        for item in &page.items {
            each(item).with_context(|| format!("{table}: {}", named(item)))?;
        }
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(()),
        }
    }
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
}

impl Select<'_> {
    /// Hands out the items: of a session or a channel by a query, else by reading the whole table.
    ///
    /// # Errors
    /// As [`pages`].
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
            let scan = dynamodb
                .scan()
                .table_name(table)
                .consistent_read(true)
                .filter_expression(range)
                .expression_attribute_names("#time", self.sort_key)
                .expression_attribute_values(":from", N(from.to_string()))
                .expression_attribute_values(":last", N(last));
            let fetch = async |from| {
                let page = scan.clone().set_exclusive_start_key(from).send().await;
                page.map(|page| Page::new(page.items, page.last_evaluated_key))
            };
            return pages(table, fetch, each).await;
        };
        let mut query = dynamodb
            .query()
            .table_name(table)
            .set_index_name(key.index.map(str::to_owned))
            .key_condition_expression(format!("#key = :key AND {range}"))
            .expression_attribute_names("#key", key.name)
            .expression_attribute_names("#time", self.sort_key)
            .expression_attribute_values(":key", S(key.value.to_owned()))
            .expression_attribute_values(":from", N(from.to_string()))
            .expression_attribute_values(":last", N(last));
        if let (Some(_), Some(channel)) = (self.session_id, self.channel_id) {
            query = query
                .filter_expression("#channel = :channel")
                .expression_attribute_names("#channel", sessions::CHANNEL_ID)
                .expression_attribute_values(":channel", S(channel.to_owned()));
        }
        let fetch = async |from| {
            let page = query.clone().set_exclusive_start_key(from).send().await;
            page.map(|page| Page::new(page.items, page.last_evaluated_key))
        };
        pages(table, fetch, each).await
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
