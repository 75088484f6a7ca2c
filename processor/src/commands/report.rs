//! `report`.

use std::io::Write as _;

use anyhow::Context as _;
use ivs_core::report::Period;
use ivs_schemas::report::{Report, ReportType};
use kinesis_model::EpochMs;

use jiff::Timestamp;

use super::duration::{date, zone};
use super::{DataError, closed_pipe};
use crate::clock::now;
use crate::cloud;
use crate::cloud::store_url::StoreUrl;
use crate::config::Config;
use crate::printable::OneLine;
use crate::report::Format;
use crate::report::html::Lang;
use crate::report::lambda::Handler;
use crate::report::{self, ReportReader};
use clap::{Args, Subcommand};

/// `report …`.
#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// From midnight to midnight
    Daily(ReportArgs),
    /// From Monday to Monday
    Weekly(ReportArgs),
    /// A calendar month
    Monthly(ReportArgs),
    /// Answer requests as an AWS Lambda function
    Lambda(LambdaArgs),
}

/// `report daily`, `weekly` and `monthly`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// Channel, by its ARN or its id
    #[arg(long, value_name = "ID", required_unless_present = "all_channels")]
    pub channel: Option<String>,
    /// Every channel that was live, one report each; JSON without --out is one line each
    #[arg(long, conflicts_with = "channel")]
    pub all_channels: bool,
    /// A date in the period, YYYY-MM-DD; without it, the latest period that is over
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub date: Option<jiff::civil::Date>,
    /// Zone whose calendar counts, by its IANA name
    #[arg(long, default_value = "UTC", value_name = "ZONE", value_parser = zone)]
    pub tz: String,
    /// Language of the page
    #[arg(long, default_value = "en")]
    pub lang: Lang,
    /// The format to write
    #[arg(long, default_value = "json")]
    pub format: Format,
    /// Write reports/ID/TYPE_PERIOD.EXT below this folder or URL (file:DIR, s3://BUCKET) instead of to
    /// standard output, which is `-`
    #[arg(
        long,
        value_name = "URL",
        required_if_eq_all([("all_channels", "true"), ("format", "html")])
    )]
    pub out: Option<String>,
}

/// `report lambda`.
#[derive(Args, Debug)]
pub struct LambdaArgs {
    /// Where reports go, as JSON and as pages
    #[arg(long, env = "REPORT_OUT", value_name = "URL")]
    pub out: String,
    /// Zone whose calendar counts, by its IANA name
    #[arg(long, env = "REPORT_TZ", default_value = "UTC", value_name = "ZONE")]
    pub tz: String,
    /// Language of the pages
    #[arg(long, env = "REPORT_LANG", default_value = "en")]
    pub lang: Lang,
}

/// Writes the report of a channel, or of each channel that was live; or serves Lambda.
///
/// # Errors
/// When the tables cannot be read or a report cannot be written. Of all channels the others are
/// still done.
pub(super) async fn run(config: &Config, command: &ReportCommand) -> anyhow::Result<()> {
    let (kind, args) = match command {
        ReportCommand::Daily(args) => (ReportType::Daily, args),
        ReportCommand::Weekly(args) => (ReportType::Weekly, args),
        ReportCommand::Monthly(args) => (ReportType::Monthly, args),
        ReportCommand::Lambda(args) => return serve(config, args).await,
    };
    let now = now();
    let period = report::period(kind, args.date, &args.tz, now)?;
    let url = args.out.as_deref().filter(|out| *out != "-").map(as_url);
    let out = url.as_deref().map(|url| StoreUrl::open(url, &config.aws)).transpose()?;
    let source = source(config).await;
    if let Some(channel) = &args.channel {
        let channel_id = report::channel_id(channel);
        let report = source.report(channel_id, &period, now).await?;
        deliver(&report, args, out.as_ref()).await?;
        if !report::has_data(&report) {
            let (name, shown) = (in_words(&period), OneLine(channel_id));
            if !source.is_known(channel_id).await? {
                return Err(DataError(format!(
                    "nothing was ever recorded of a channel `{shown}`; `channels list` shows those there \
                     are"
                ))
                .into());
            }
            eprintln!("channel {shown} has no session and no row in {name}: the report is empty");
        }
        return Ok(());
    }
    let each = async |report: &Report| deliver(report, args, out.as_ref()).await;
    let mut batch = report::all_channels(&source, &period, now, each).await?;
    let closed = batch.failed.iter().position(|(_, error)| closed_pipe::is_cause_of(error));
    if let Some(closed) = closed {
        // The reader has seen enough, so the other channels need not be told of.
        return Err(batch.failed.swap_remove(closed).1);
    }
    for (channel_id, error) in &batch.failed {
        let error = format!("{error:#}");
        eprintln!("channel {}: {}", OneLine(channel_id), OneLine(error));
    }
    eprintln!("{} of {}", counted(batch.written), in_words(&period));
    if batch.written == 0 && batch.failed.is_empty() {
        eprintln!("{}", why_none(batch.latest_start, kind, &args.tz));
    }
    let failed = counted(batch.failed.len() as u64);
    anyhow::ensure!(batch.failed.is_empty(), "{failed} failed; the others are written");
    Ok(())
}

fn counted(reports: u64) -> String {
    if reports == 1 { "1 report".to_owned() } else { format!("{reports} reports") }
}

/// Writes a period such as `2026-03-01 (UTC)`.
fn in_words(period: &Period) -> String {
    let described = period.describe();
    format!("{} ({})", described.name, described.time_zone)
}

/// Says why no channel has a report, and for which date to ask instead.
fn why_none(latest_start: Option<EpochMs>, kind: ReportType, zone: &str) -> String {
    let latest = latest_start
        .and_then(|at| Timestamp::from_millisecond(at.0).ok())
        .and_then(|at| at.in_tz(zone).ok());
    match latest {
        None => "no session was ever recorded in these tables".to_owned(),
        Some(latest) => format!(
            "no channel was live then; the latest session began on {date}: try `report {} \
             --all-channels --date {date}`",
            kind.as_str(),
            date = latest.date()
        ),
    }
}

/// Takes a path like the URL of its folder.
fn as_url(out: &str) -> String {
    let is_url = out.starts_with("file:") || out.contains("://");
    if is_url { out.to_owned() } else { format!("file:{out}") }
}

async fn source(config: &Config) -> ReportReader {
    ReportReader::new(&cloud::clients(&config.aws).await.dynamodb, &config.tables)
}

async fn serve(config: &Config, args: &LambdaArgs) -> anyhow::Result<()> {
    Handler::new(source(config).await, &config.aws, &args.out, &args.tz, args.lang)?.serve().await
}

/// Below the URL, or on standard output: JSON as one line.
async fn deliver(report: &Report, args: &ReportArgs, out: Option<&StoreUrl>) -> anyhow::Result<()> {
    if let (Some(store), Some(url)) = (out, &args.out) {
        let key = report::store(store, report, args.format, args.lang).await?;
        eprintln!("{}/{key}", OneLine(url.trim_end_matches('/')));
        return Ok(());
    }
    let text = report::render(report, args.format, args.lang)?;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", text.trim_end()).context("standard output")
}
