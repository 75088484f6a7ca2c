//! Reports as a Lambda function, with the tutorial's request and response.
//!
//! A report that cannot be made fails the invocation, so that Lambda tries again and, in the end,
//! the request lands in the dead-letter queue. Only a request that no retry can mend is answered
//! with status 400.

use anyhow::Context as _;
use ivs_core::report::PeriodError;
use ivs_schemas::report::{Report, ReportType};
use kinesis_model::EpochMs;
use serde::Deserialize;
use serde_json::json;

use super::html::Lang;
use super::{Format, ReportReader, all_channels, channel_id, period, store};
use crate::clock::now;
use crate::cloud::lambda::{Response, serve};
use crate::cloud::store_url::StoreUrl;
use crate::config;

/// The requested report.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// `daily` (so without it, too), `weekly` or `monthly`.
    report_type: Option<String>,
    /// The channel; without it, every channel that was live.
    channel_id: Option<String>,
    /// A date in the period; without it, the latest period that is over.
    date: Option<String>,
}

/// The function that makes reports on request, as JSON and as page.
#[derive(Clone, Debug)]
pub struct Handler {
    source: ReportReader,
    out: StoreUrl,
    out_url: String,
    zone: String,
    lang: Lang,
}

impl Handler {
    /// Makes reports that go below a URL, by the calendar of a zone.
    ///
    /// # Errors
    /// When the URL cannot be used.
    pub fn new(
        source: ReportReader,
        aws: &config::Aws,
        out_url: &str,
        zone: &str,
        lang: Lang,
    ) -> anyhow::Result<Self> {
        let out = StoreUrl::open(out_url, aws)?;
        let out_url = out_url.trim_end_matches('/').to_owned();
        Ok(Self { source, out, out_url, zone: zone.to_owned(), lang })
    }

    /// Serves Lambda's runtime API until Lambda ends the process.
    ///
    /// # Errors
    /// When the runtime API is not there, as outside Lambda.
    pub async fn serve(&self) -> anyhow::Result<()> {
        serve(async |request, _: &str| self.handle(request, now()).await).await
    }

    /// Makes what is asked for.
    ///
    /// # Errors
    /// When tables cannot be read or a report cannot be written; of all channels, the others are
    /// written.
    pub async fn handle(&self, request: Request, now: EpochMs) -> anyhow::Result<Response> {
        let kind = match request.report_type.as_deref() {
            None | Some("daily") => ReportType::Daily,
            Some("weekly") => ReportType::Weekly,
            Some("monthly") => ReportType::Monthly,
            Some(_) => return Ok(Response::refusal("Invalid report type")),
        };
        let Ok(date) = request.date.as_deref().map(str::parse).transpose() else {
            return Ok(Response::refusal("Invalid date: expected YYYY-MM-DD"));
        };
        if request.channel_id.as_deref().is_some_and(|channel| channel_id(channel).is_empty()) {
            return Ok(Response::refusal("Invalid channel: it is empty"));
        }
        let period = match period(kind, date, &self.zone, now) {
            Ok(period) => period,
            // No retry brings back a day that never was.
            Err(error) if error.is::<PeriodError>() => {
                return Ok(Response::refusal(&format!("Invalid date: {error}")));
            }
            Err(error) => return Err(error),
        };
        let message = format!("{} report generated successfully", kind.as_str());
        if let Some(channel) = &request.channel_id {
            let report = self.source.report(channel_id(channel), &period, now).await?;
            let key = self.write(&report).await?;
            let url = format!("{}/{key}", self.out_url);
            return Ok(Response::success(&json!({
                "message": message, "reportUrl": url, "reportData": report,
            })));
        }
        let deliver = async |report: &Report| self.write(report).await.map(drop);
        let batch = all_channels(&self.source, &period, now, deliver).await?;
        if let Some((channel_id, error)) = batch.failed.into_iter().next() {
            return Err(error).with_context(|| format!("channel {channel_id}"));
        }
        Ok(Response::success(&json!({ "message": message, "reports": batch.written })))
    }

    /// Writes both forms; returns the key of the JSON.
    async fn write(&self, report: &Report) -> anyhow::Result<String> {
        store(&self.out, report, Format::Html, self.lang).await?;
        store(&self.out, report, Format::Json, self.lang).await
    }
}
