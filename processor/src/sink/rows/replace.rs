//! Whole rows from a replay. A row is put where there is none, or in the place of one of which
//! everything was recomputed; any other holds data that a replay does not know, and stays.

use std::sync::Arc;

use ivs_core::row::{Coverage, Row};
use ivs_core::session::{SummaryAgg, attribute_names};
use ivs_core::window::{WindowAgg, WindowKey};
use ivs_schemas::items::{metrics, sessions};

use super::kind::{Kept, Merged, Metric, Summary, from_item, to_item};
use super::store::{Condition, PutOutcome};
use super::{RowSink, SinkError};
use crate::items::codec::{Item, Reader};
use crate::items::json::{differences, to_json};

/// Tries of one row: a worker writes it once an interval.
const MAX_TRIES: u32 = 64;

/// The outcome of a recomputed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// There was none.
    Created,
    /// There was one that said something else.
    Replaced,
    /// There was one that said the same.
    Same,
    /// There was one with data that were not recomputed, or that cannot be read.
    Kept,
}

impl RowSink {
    /// Puts a recomputed metric row.
    ///
    /// # Errors
    /// When the table does not answer in all tries, or others kept writing the row in between.
    pub async fn replace_metric(
        &self,
        key: &WindowKey,
        row: &Row<WindowAgg>,
        coverage: &Coverage,
    ) -> Result<Replaced, SinkError> {
        self.replace::<Metric>(key, row, coverage).await
    }

    /// Puts a recomputed summary.
    ///
    /// # Errors
    /// As [`Self::replace_metric`].
    pub async fn replace_summary(
        &self,
        session_id: &Arc<str>,
        row: &Row<SummaryAgg>,
        coverage: &Coverage,
    ) -> Result<Replaced, SinkError> {
        self.replace::<Summary>(session_id, row, coverage).await
    }

    async fn replace<M: Merged>(
        &self,
        key: &M::Key,
        row: &Row<M::Agg>,
        coverage: &Coverage,
    ) -> Result<Replaced, SinkError> {
        let tables = &self.shared.tables;
        let table = M::table(tables);
        let Row { agg, applied, version } = row;
        let agg = Kept::new(agg.clone());
        let mut row = Row { agg, applied: applied.clone(), version: *version };
        let mut seen = None;
        for _ in 0..MAX_TRIES {
            let item = to_item::<M>(key, &row, tables);
            let wanted = to_json(&item);
            let put = self.shared.store.put(table, &item, Condition::Version(seen));
            let stored = match put.await? {
                PutOutcome::Stored => {
                    return Ok(seen.map_or(Replaced::Created, |_| Replaced::Replaced));
                }
                PutOutcome::Refused(stored) => stored,
            };
            let Some(stored) = stored else {
                // It was there a moment ago.
                seen = None;
                continue;
            };
            let found = to_json(&stored);
            let Ok(stored) = from_item::<M>(stored) else {
                return Ok(Replaced::Kept);
            };
            if !coverage.contains(&stored.applied) {
                return Ok(Replaced::Kept);
            }
            let others = stored.agg.foreign.keys().map(String::as_str);
            let free: Vec<&str> = others.chain([metrics::VERSION, metrics::EXPIRES_AT]).collect();
            if differences(&wanted, &found, &free).is_empty() {
                return Ok(Replaced::Same);
            }
            row.agg.foreign = stored.agg.foreign;
            row.version = stored.version + 1;
            seen = Some(stored.version);
        }
        let (table, key) = (table.to_owned(), format!("{key:?}"));
        Err(SinkError::Contended { table, key, tries: MAX_TRIES })
    }

    /// Puts a timeline item with this fingerprint, unless another fact has the key by right.
    ///
    /// # Errors
    /// When the table does not answer in all tries.
    pub async fn replace_fact(&self, item: Item, fingerprint: u64) -> Result<Replaced, SinkError> {
        let table = &self.shared.tables.sessions;
        let wanted = to_json(&item);
        let put = self.shared.store.put(table, &item, Condition::Fact(fingerprint));
        let PutOutcome::Refused(stored) = put.await? else { return Ok(Replaced::Created) };
        let Some(stored) = stored else { return Ok(Replaced::Kept) };
        let free = [sessions::ORIGIN, sessions::EXPIRES_AT];
        if differences(&wanted, &to_json(&stored), &free).is_empty() {
            return Ok(Replaced::Same);
        }
        let print = Reader(&stored).number_if::<u64>(attribute_names::FINGERPRINT);
        if print != Ok(Some(fingerprint)) {
            return Ok(Replaced::Kept);
        }
        // The same fact with other attributes: altered by hand.
        match self.shared.store.put(table, &item, Condition::SameFact(fingerprint)).await? {
            PutOutcome::Stored => Ok(Replaced::Replaced),
            PutOutcome::Refused(_) => Ok(Replaced::Kept),
        }
    }
}
