//! Recomputed rows into the tables.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::Context as _;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use ivs_core::row::{Coverage, Row};
use ivs_core::session::milestones;
use ivs_schemas::items::sessions;
use serde::Serialize;

use crate::config::Tables;
use crate::items::json::from_json;
use crate::items::{expiry, timeline};
use crate::replay::context::{Computed, Unit};
use crate::replay::entry::{FactPart, MetricPart, SummaryPart};
use crate::replay::progress::Progress;
use crate::replay::units::{applied, coverage, origin};
use crate::sink::SinkError;
use crate::sink::rows::{Replaced, RowSink};

/// The version of a row that a replay creates. Workers count from 1: none of them can hold an
/// image with this version of a row that was deleted under it, and put over ours.
const FIRST_VERSION: u64 = 1 << 20;
/// Rows that are taken off the merge at once.
const CHUNK: usize = 1_024;

/// The outcome of recomputed rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Applied {
    /// Rows that were not there.
    pub(crate) created: u64,
    /// Rows that said something else.
    pub(crate) replaced: u64,
    /// Rows that were right.
    pub(crate) same: u64,
    /// Rows left alone: they hold data that were not recomputed.
    pub(crate) kept: u64,
}

impl Applied {
    fn count(&mut self, outcome: Replaced) {
        *match outcome {
            Replaced::Created => &mut self.created,
            Replaced::Replaced => &mut self.replaced,
            Replaced::Same => &mut self.same,
            Replaced::Kept => &mut self.kept,
        } += 1;
    }
}

/// The writer of recomputed rows.
pub(crate) struct Apply<'a> {
    sink: &'a RowSink,
    tables: &'a Tables,
    progress: &'a Progress,
    units: Vec<Unit>,
    coverage: Coverage,
    /// Units from here on are objects that others made.
    first_object: u32,
}

impl<'a> Apply<'a> {
    /// Writes every row; those that are right already are only looked at.
    ///
    /// # Errors
    /// When a table does not answer in all tries; what was written stays, and is found right when
    /// the replay is run again.
    pub(crate) async fn run(
        sink: &'a RowSink,
        tables: &'a Tables,
        progress: &'a Progress,
        computed: Computed,
        chains: usize,
    ) -> anyhow::Result<Applied> {
        let Computed { metrics, summaries, facts, units, .. } = computed;
        let coverage = coverage(&units);
        let first_object = u32::try_from(chains).unwrap_or(u32::MAX);
        let apply = Self { sink, tables, progress, units, coverage, first_object };
        let mut done = Applied::default();
        apply
            .each(
                metrics,
                async |part| apply.metric(part).await.map(|one| ((), one)),
                |(), one| {
                    done.count(one);
                },
            )
            .await?;
        let mut kept = HashSet::new();
        apply
            .each(
                summaries,
                async |part| apply.summary(part).await,
                |session, one| {
                    if one == Replaced::Kept {
                        kept.insert(session);
                    }
                    done.count(one);
                },
            )
            .await?;
        let facts =
            facts.filter(|fact| !fact.as_ref().is_ok_and(|fact| apply.is_foreign_to(fact, &kept)));
        apply
            .each(
                facts,
                async |part| apply.fact(part).await.map(|one| ((), one)),
                |(), one| {
                    done.count(one);
                },
            )
            .await?;
        Ok(done)
    }

    /// Returns whether a fact comes from an object, and its session has live data: it is left out
    /// there, as it is left out of the summary.
    fn is_foreign_to(&self, fact: &FactPart, kept: &HashSet<Arc<str>>) -> bool {
        fact.stamp.unit >= self.first_object && kept.contains(&fact.key.0)
    }

    async fn each<E, T>(
        &self,
        mut entries: impl Iterator<Item = io::Result<E>>,
        write: impl AsyncFn(E) -> Result<(T, Replaced), SinkError>,
        mut done: impl FnMut(T, Replaced),
    ) -> anyhow::Result<()> {
        let write = &write;
        loop {
            let chunk: Vec<E> = entries.by_ref().take(CHUNK).collect::<io::Result<_>>()?;
            if chunk.is_empty() {
                return Ok(());
            }
            let writes = stream::iter(chunk).map(|entry| write(entry));
            let mut writes = writes.buffer_unordered(self.tables.write_concurrency);
            while let Some((what, outcome)) = writes.try_next().await.context("cannot write")? {
                self.progress.rows.fetch_add(1, Relaxed);
                done(what, outcome);
            }
        }
    }

    async fn metric(&self, part: MetricPart) -> Result<Replaced, SinkError> {
        let applied = applied(&self.units, &part.stamps);
        let row = Row { agg: part.agg, applied, version: FIRST_VERSION };
        self.sink.replace_metric(&part.key, &row, &self.coverage).await
    }

    async fn summary(&self, part: SummaryPart) -> Result<(Arc<str>, Replaced), SinkError> {
        let applied = applied(&self.units, &part.stamps);
        let row = Row { agg: part.agg, applied, version: FIRST_VERSION };
        let outcome = self.sink.replace_summary(&part.session_id, &row, &self.coverage).await?;
        if outcome != Replaced::Kept {
            let from = part.stamps.first().map(|stamp| origin(&self.units, *stamp));
            for step in milestones(&part.session_id, &row.agg, &row.agg) {
                let expires_at_s = expiry::of_milestone(&row.agg, self.tables);
                let from = from.as_deref().unwrap_or_default();
                let item = timeline::encode(&step, from, expires_at_s);
                self.sink.replace_fact(item, step.fingerprint).await?;
            }
        }
        Ok((part.session_id, outcome))
    }

    async fn fact(&self, part: FactPart) -> Result<Replaced, SinkError> {
        let item = serde_json::from_str(&part.item).ok().and_then(|item| from_json(&item));
        let mut item = item.expect("it was made by to_json");
        let origin = origin(&self.units, part.stamp);
        item.insert(
            sessions::ORIGIN.to_owned(),
            aws_sdk_dynamodb::types::AttributeValue::S(origin),
        );
        self.sink.replace_fact(item, part.fingerprint).await
    }
}
