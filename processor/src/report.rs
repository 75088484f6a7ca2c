//! Reports of channels: read from the tables, analyzed by `ivs_core::report`, written as JSON or as
//! a page.

pub mod html;
pub mod lambda;
mod output;
mod query;
#[cfg(test)]
mod tests;

use ivs_core::report::Period;
use ivs_schemas::report::{Report, ReportType};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use kinesis_model::EpochMs;

pub use output::{Format, key, render, store};
pub use query::ReportReader;

/// Returns the period that a request means: the one with the date, else the latest that is over.
///
/// # Errors
/// When the zone is unknown, or no calendar has the period.
pub fn period(
    kind: ReportType,
    date: Option<Date>,
    zone: &str,
    now: EpochMs,
) -> anyhow::Result<Period> {
    let zone = TimeZone::get(zone).map_err(|_| {
        anyhow::anyhow!(
            "there is no time zone `{zone}`: write a name such as Asia/Tokyo, Europe/Berlin or UTC"
        )
    })?;
    Ok(match date {
        Some(date) => Period::containing(kind, date, zone)?,
        None => Period::last_complete(kind, now, &zone)?,
    })
}

/// Returns the id by which rows know a channel: of an ARN its last part, any other id as it is.
#[must_use]
pub fn channel_id(channel: &str) -> &str {
    if channel.starts_with("arn:") {
        channel.rsplit('/').next().unwrap_or(channel)
    } else {
        channel
    }
}

/// The outcome of the reports of all channels.
#[derive(Debug, Default)]
pub struct ReportBatch {
    /// Reports delivered.
    pub written: u64,
    /// Channels whose report failed, and why.
    pub failed: Vec<(String, anyhow::Error)>,
    /// When the latest of all sessions began; `None` if there is none.
    pub latest_start: Option<EpochMs>,
}

/// Reports on each channel that has something in the period. One that fails does not keep the
/// others from their reports.
///
/// # Errors
/// When the channels cannot be listed.
pub async fn all_channels(
    source: &ReportReader,
    period: &Period,
    now: EpochMs,
    deliver: impl AsyncFn(&Report) -> anyhow::Result<()>,
) -> anyhow::Result<ReportBatch> {
    let channels = source.channels(period).await?;
    let mut batch = ReportBatch { latest_start: channels.latest_start, ..ReportBatch::default() };
    for channel_id in channels.in_period {
        let done = match source.report(&channel_id, period, now).await {
            Ok(report) if !has_data(&report) => continue,
            Ok(report) => deliver(&report).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => batch.written += 1,
            Err(error) => batch.failed.push((channel_id, error)),
        }
    }
    Ok(batch)
}

/// Returns whether the channel has a session or a row in the period.
#[must_use]
pub fn has_data(report: &Report) -> bool {
    report.summary.total_sessions > 0 || !report.hourly_breakdown.is_empty()
}
