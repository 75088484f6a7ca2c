//! The rows of the two tables that a report needs: pages of `ChannelIdIndex`, projected, one at a
//! time.
//!
//! Reading grows with the period, not with the channel's history: rows by their minute, sessions
//! by the facts of their timelines. A session reaches into the period only if one of its rows or
//! its start does, and no stream starts earlier than [`LONGEST_STREAM_MS`] before it.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue::{N, S};
use futures::stream::{self, StreamExt as _};
use ivs_core::report::{MAX_SESSIONS, Period, ReportFold};
use ivs_core::session::{LONGEST_STREAM_MS, SummaryAgg};
use ivs_schemas::items::{metrics, sessions};
use ivs_schemas::names::CHANNEL_INDEX;
use ivs_schemas::report::{Previous, Report};
use kinesis_model::EpochMs;

use super::has_data;
use crate::config::Tables;
use crate::items::codec::{Item, Reader};
use crate::items::projection::projection;
use crate::items::{metric, pages, summary};

/// Summaries read at once: a month of a channel has some dozens, each a request of its own.
const SUMMARIES_IN_FLIGHT: usize = 8;

/// Where reports read. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ReportReader {
    dynamodb: Client,
    sessions: String,
    metrics: String,
}

/// The channels that have sessions.
#[derive(Clone, Debug, Default)]
pub struct Channels {
    /// Those with a session that may reach into the period.
    pub in_period: BTreeSet<String>,
    /// When the latest session of any began.
    pub latest_start: Option<EpochMs>,
}

impl ReportReader {
    /// Reads the configured tables.
    #[must_use]
    pub fn new(dynamodb: &Client, tables: &Tables) -> Self {
        Self {
            dynamodb: dynamodb.clone(),
            sessions: tables.sessions.clone(),
            metrics: tables.metrics.clone(),
        }
    }

    /// Returns the report of a channel, compared with the period before.
    ///
    /// # Errors
    /// When a table cannot be read, or an item is not ours; the item is named.
    pub async fn report(
        &self,
        channel_id: &str,
        period: &Period,
        now: EpochMs,
    ) -> anyhow::Result<Report> {
        let mut report = self.of_period(channel_id, period, now).await?;
        if let Some(before) = period.before(now).filter(|_| has_data(&report)) {
            let previous = self.of_period(channel_id, &before, now).await?;
            report.previous = has_data(&previous).then_some(Previous {
                quality_score: previous.quality_metrics.quality_score,
                rebuffer_ratio: previous.player_experience.rebuffer_ratio,
                period: previous.period,
                summary: previous.summary,
            });
        }
        Ok(report)
    }

    async fn of_period(
        &self,
        channel_id: &str,
        period: &Period,
        now: EpochMs,
    ) -> anyhow::Result<Report> {
        let mut fold = ReportFold::new(channel_id, period.clone(), now);
        self.rows(channel_id, period, &mut fold).await?;
        let mut ids: BTreeSet<Arc<str>> = fold.session_ids().cloned().collect();
        self.starts(channel_id, period, &mut ids).await?;
        let mut found =
            stream::iter(ids).map(|id| self.summary(id)).buffer_unordered(SUMMARIES_IN_FLIGHT);
        while let Some(found) = found.next().await {
            if let Some((id, summary)) = found? {
                fold.add_session(&id, &summary);
            }
        }
        Ok(fold.finish())
    }

    /// Returns every channel with a session that may reach into the period. Reads the whole
    /// sessions table: there is no index by time alone.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn channels(&self, period: &Period) -> anyhow::Result<Channels> {
        let scan = self
            .dynamodb
            .scan()
            .table_name(&self.sessions)
            .filter_expression("#t = :summary")
            .projection_expression("#c, #s, #e")
            .expression_attribute_names("#t", sessions::TIMESTAMP)
            .expression_attribute_names("#s", sessions::STARTED_AT)
            .expression_attribute_names("#e", sessions::ENDED_AT)
            .expression_attribute_names("#c", sessions::CHANNEL_ID)
            .expression_attribute_values(":summary", N(sessions::SUMMARY_TIMESTAMP.to_string()));
        let mut found = Channels::default();
        let time = |item: &Item, name| -> anyhow::Result<Option<EpochMs>> {
            let seconds: Option<f64> = Reader(item).number_if(name)?;
            Ok(seconds.map(from_seconds))
        };
        pages::scan(scan, |item| {
            let channel_id = Reader(item).text(sessions::CHANNEL_ID)?;
            let start = time(item, sessions::STARTED_AT)?;
            let (Some(start), false) = (start, channel_id.is_empty()) else { return Ok(()) };
            found.latest_start = found.latest_start.max(Some(start));
            let end = time(item, sessions::ENDED_AT)?
                .unwrap_or(EpochMs(start.0.saturating_add(LONGEST_STREAM_MS)));
            if start < period.end() && end >= period.start() {
                found.in_period.insert(channel_id.to_owned());
            }
            Ok(())
        })
        .await?;
        Ok(found)
    }

    /// Returns whether anything was ever recorded of a channel.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub async fn is_known(&self, channel_id: &str) -> anyhow::Result<bool> {
        for table in [&self.metrics, &self.sessions] {
            let query = self
                .dynamodb
                .query()
                .table_name(table)
                .index_name(CHANNEL_INDEX)
                .key_condition_expression("#channel = :channel")
                .expression_attribute_names("#channel", metrics::CHANNEL_ID)
                .expression_attribute_values(":channel", S(channel_id.to_owned()));
            if pages::is_any(query).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Folds the channel's rows of the period, in order of time.
    async fn rows(
        &self,
        channel_id: &str,
        period: &Period,
        fold: &mut ReportFold,
    ) -> anyhow::Result<()> {
        let (projection, names) = projection(&metric::COUNTED);
        // Minutes are whole seconds, so the last one of a half-open period is before its end.
        let last = seconds(period.end()) - 1;
        let query = self
            .dynamodb
            .query()
            .table_name(&self.metrics)
            .index_name(CHANNEL_INDEX)
            .key_condition_expression("#channel = :channel AND #time BETWEEN :first AND :last")
            .projection_expression(projection)
            .set_expression_attribute_names(Some(names))
            .expression_attribute_names("#channel", metrics::CHANNEL_ID)
            .expression_attribute_names("#time", metrics::METRIC_TIMESTAMP)
            .expression_attribute_values(":channel", S(channel_id.to_owned()))
            .expression_attribute_values(":first", N(seconds(period.start()).to_string()))
            .expression_attribute_values(":last", N(last.to_string()));
        pages::query(query, |item| {
            let (key, row) = metric::decode_agg(item)?;
            fold.add_row(&key, row);
            Ok(())
        })
        .await
    }

    /// Adds the sessions with a fact in the period or in the longest stream's time before it.
    async fn starts(
        &self,
        channel_id: &str,
        period: &Period,
        ids: &mut BTreeSet<Arc<str>>,
    ) -> anyhow::Result<()> {
        let first = seconds(EpochMs(period.start().0.saturating_sub(LONGEST_STREAM_MS)));
        // Keys have up to three decimals, by which facts of one second are told apart.
        let last = format!("{}.999", seconds(period.end()) - 1);
        let query = self
            .dynamodb
            .query()
            .table_name(&self.sessions)
            .index_name(CHANNEL_INDEX)
            .key_condition_expression("#channel = :channel AND #time BETWEEN :first AND :last")
            .projection_expression("#id")
            .expression_attribute_names("#id", sessions::SESSION_ID)
            .expression_attribute_names("#channel", sessions::CHANNEL_ID)
            .expression_attribute_names("#time", sessions::TIMESTAMP)
            .expression_attribute_values(":channel", S(channel_id.to_owned()))
            .expression_attribute_values(":first", N(first.max(1).to_string()))
            .expression_attribute_values(":last", N(last));
        pages::query(query, |item| {
            // One more than are kept lets the report say that there were more.
            if ids.len() <= MAX_SESSIONS {
                ids.insert(Arc::from(Reader(item).text(sessions::SESSION_ID)?));
            }
            Ok(())
        })
        .await
    }

    async fn summary(&self, id: Arc<str>) -> anyhow::Result<Option<(Arc<str>, SummaryAgg)>> {
        let wanted =
            [sessions::SESSION_ID, sessions::CHANNEL_ID, sessions::FACTS, sessions::TELEMETRY];
        let (projection, names) = projection(&wanted);
        let query = self
            .dynamodb
            .query()
            .table_name(&self.sessions)
            .key_condition_expression("#session = :session AND #time = :summary")
            .projection_expression(projection)
            .set_expression_attribute_names(Some(names))
            .expression_attribute_names("#session", sessions::SESSION_ID)
            .expression_attribute_names("#time", sessions::TIMESTAMP)
            .expression_attribute_values(":session", S(id.to_string()))
            .expression_attribute_values(":summary", N(sessions::SUMMARY_TIMESTAMP.to_string()));
        let mut found = None;
        pages::query(query, |item| {
            found = Some(summary::decode_agg(item)?);
            Ok(())
        })
        .await?;
        Ok(found)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "seconds of a time that was whole milliseconds"
)]
fn from_seconds(seconds: f64) -> EpochMs {
    EpochMs((seconds * 1_000.0) as i64)
}

fn seconds(time: EpochMs) -> i64 {
    time.0.div_euclid(1_000)
}
