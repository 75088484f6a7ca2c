//! Where reports go: one object per channel and period, whoever makes it and however often.

use ivs_schemas::report::Report;

use super::html::{self, Lang};
use crate::cloud::store_url::StoreUrl;

/// What a report is written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The tutorial's JSON, with additions
    #[default]
    Json,
    /// A page with charts
    Html,
}

impl Format {
    const fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Html => "html",
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Html => "text/html; charset=utf-8",
        }
    }
}

/// The object's name, such as `reports/ch-1/daily_2026-03-01.json`.
#[must_use]
pub fn key(report: &Report, format: Format) -> String {
    let (kind, name) = (report.report_type.as_str(), &report.period.name);
    format!("reports/{}/{kind}_{name}.{}", report.channel_id, format.extension())
}

/// The report as text.
///
/// # Errors
/// When a figure has no JSON form, which takes a number that is not finite.
pub fn render(report: &Report, format: Format, lang: Lang) -> anyhow::Result<String> {
    Ok(match format {
        Format::Json => serde_json::to_string(report)?,
        Format::Html => html::page(report, lang),
    })
}

/// Writes a report below a URL, over an earlier one of the same period; returns its key.
///
/// # Errors
/// When the object cannot be written.
pub async fn store(
    url: &StoreUrl,
    report: &Report,
    format: Format,
    lang: Lang,
) -> anyhow::Result<String> {
    let key = key(report, format);
    let body = render(report, format, lang)?;
    url.put(&key, body, format.content_type()).await?;
    Ok(key)
}
