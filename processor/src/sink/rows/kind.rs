//! The kinds of rows that are merged, and what a writer remembers of one.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use ivs_core::epoch::Rows;
use ivs_core::merge::Merge;
use ivs_core::row::Row;
use ivs_core::session::SummaryAgg;
use ivs_core::window::{WindowAgg, WindowKey};
use ivs_schemas::items::{metrics, sessions};

use super::store::number;
use crate::config;
use crate::items::codec::{Item, ItemError};
use crate::items::{expiry, metric, own_names, summary};

/// A kind of row that is merged.
pub(super) trait Merged: Debug + Send + Sync + 'static {
    type Key: Clone + Eq + Hash + Debug + Send + Sync + 'static;
    type Agg: Merge + Clone + Debug + Send + Sync + 'static;
    fn table(tables: &config::Tables) -> &str;
    fn item_key(key: &Self::Key) -> Item;
    fn partials(rows: &Rows) -> &[(Self::Key, Self::Agg)];
    fn encode(key: &Self::Key, row: &Row<&Self::Agg>, tables: &config::Tables) -> Item;
    fn decode(item: &Item) -> Result<Row<Self::Agg>, ItemError>;
    /// Returns whether this release writes attributes of this name.
    fn is_own(name: &str) -> bool;
}

#[derive(Debug)]
pub(super) struct Metric;

impl Merged for Metric {
    type Key = WindowKey;
    type Agg = WindowAgg;

    fn table(tables: &config::Tables) -> &str {
        &tables.metrics
    }

    fn item_key(key: &WindowKey) -> Item {
        let minute = number(key.minute.start_s());
        let session = AttributeValue::S(key.session_id.to_string());
        [(metrics::SESSION_ID, session), (metrics::METRIC_TIMESTAMP, minute)].map(named).into()
    }

    fn partials(rows: &Rows) -> &[(WindowKey, WindowAgg)] {
        &rows.metrics
    }

    fn encode(key: &WindowKey, row: &Row<&WindowAgg>, tables: &config::Tables) -> Item {
        metric::encode(key, row, expiry::of_row(key.minute.start_s(), tables))
    }

    fn decode(item: &Item) -> Result<Row<WindowAgg>, ItemError> {
        Ok(metric::decode(item)?.1)
    }

    fn is_own(name: &str) -> bool {
        own_names::METRIC_AND_KEY.contains(name)
    }
}

#[derive(Debug)]
pub(super) struct Summary;

impl Merged for Summary {
    type Key = Arc<str>;
    type Agg = SummaryAgg;

    fn table(tables: &config::Tables) -> &str {
        &tables.sessions
    }

    fn item_key(key: &Arc<str>) -> Item {
        let summary = number(sessions::SUMMARY_TIMESTAMP);
        let session = AttributeValue::S(key.to_string());
        [(sessions::SESSION_ID, session), (sessions::TIMESTAMP, summary)].map(named).into()
    }

    fn partials(rows: &Rows) -> &[(Arc<str>, SummaryAgg)] {
        &rows.summaries
    }

    fn encode(key: &Arc<str>, row: &Row<&SummaryAgg>, tables: &config::Tables) -> Item {
        summary::encode(key, row, expiry::of_summary(row.agg, tables))
    }

    fn decode(item: &Item) -> Result<Row<SummaryAgg>, ItemError> {
        Ok(summary::decode(item)?.1)
    }

    fn is_own(name: &str) -> bool {
        own_names::SUMMARY_AND_KEY.contains(name)
    }
}

fn named((name, value): (&str, AttributeValue)) -> (String, AttributeValue) {
    (name.to_owned(), value)
}

/// A stored row's fold, with the attributes that are none of ours: a later release's or an
/// operator's. They survive every merge.
#[derive(Clone, Debug)]
pub(super) struct Kept<A> {
    pub(super) agg: Arc<A>,
    pub(super) foreign: Arc<Item>,
}

impl<A> Kept<A> {
    pub(super) fn new(agg: A) -> Self {
        Self { agg: Arc::new(agg), foreign: Arc::default() }
    }
}

/// Returns the item of a row.
pub(super) fn to_item<M: Merged>(
    key: &M::Key,
    row: &Row<Kept<M::Agg>>,
    tables: &config::Tables,
) -> Item {
    let plain = Row { agg: &*row.agg.agg, applied: row.applied.clone(), version: row.version };
    let mut item = M::encode(key, &plain, tables);
    for (name, value) in &*row.agg.foreign {
        item.entry(name.clone()).or_insert_with(|| value.clone());
    }
    item
}

/// Returns the row of a stored item, whose key is in no attribute that it keeps.
///
/// # Errors
/// When it is not a row of ours, or one of a later release that may not be merged by this one.
pub(super) fn from_item<M: Merged>(mut item: Item) -> Result<Row<Kept<M::Agg>>, ItemError> {
    let Row { agg, applied, version } = M::decode(&item)?;
    let mut row = Row { agg: Kept::new(agg), applied, version };
    item.retain(|name, _| !M::is_own(name));
    row.agg.foreign = Arc::new(item);
    Ok(row)
}
