//! `generate`: traffic, or a file, into a stream or into a file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use ivs_traffic::{Generator, GeneratorConfig, Ledger, Produced, Totals};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::UsageError;
use super::duration::{duration, moment};
use crate::clock::now;
use crate::cloud;
use crate::cloud::Clients;
use crate::commands::signals;
use crate::config::Config;
use crate::producer::input::Sent;
use crate::producer::traffic::TrafficArgs;
use crate::producer::{input, traffic};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// `generate`.
#[derive(Args, Debug)]
pub struct GenerateArgs {
    /// Send the records of these files, folders, file:// or s3:// URLs (- for standard input) instead
    /// of made-up traffic
    #[arg(long, num_args = 1.., value_name = "SOURCE")]
    pub input: Vec<String>,
    /// Where sending notes what was acknowledged, so that a run that was cut off can go on
    #[arg(long, requires = "input", value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// Write to this NDJSON file (- is standard output) instead of the stream
    #[arg(long, conflicts_with = "input", value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How much time the traffic covers; 60s unless --start and --end tell
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub run_for: Option<Duration>,
    /// As fast as possible instead of in real time; the traffic ends now, unless --start or --end
    /// is given
    #[arg(long)]
    pub fast: bool,
    /// When made-up traffic begins: RFC 3339, or a date, which begins at midnight UTC
    #[arg(long, conflicts_with = "input", value_name = "TIME", value_parser = moment)]
    pub start: Option<jiff::Timestamp>,
    /// When it ends, in the same forms
    #[arg(long, conflicts_with = "input", value_name = "TIME", value_parser = moment)]
    pub end: Option<jiff::Timestamp>,
    /// Write what was produced, for a later check, to this JSON file
    #[arg(long, conflicts_with = "input", value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Say what was made or sent as one line of JSON
    #[arg(long)]
    pub json: bool,
    /// The shape of the traffic.
    #[command(flatten)]
    pub traffic: TrafficArgs,
}

/// Time generated at once when it goes as fast as it can.
const SLICE_MS: i64 = 1_000;
/// Lines that are delivered together then: some full calls.
const SENT_LINES: usize = 2_000;
/// Time covered unless something else is asked for.
const DEFAULT_FOR: Duration = Duration::from_secs(60);

/// Runs `generate`.
///
/// # Errors
/// When files or stream cannot be read or written.
pub(super) async fn run(config: &Config, args: GenerateArgs) -> anyhow::Result<()> {
    if !args.input.is_empty() {
        let clients = cloud::clients(&config.aws).await;
        let sent = input::send(&clients, config, &args.input, args.journal.as_deref()).await?;
        println!("{}", sent_in_words(&sent, args.json));
        sent.problems.iter().for_each(|problem| eprintln!("ivs-processor: {problem}"));
        return super::failure::all_sent(&sent, &args.input);
    }
    let span_ms = span_ms(&args, now().0)?;
    let ledger = Mutex::new(Ledger::new(traffic::LEDGER_WINDOWS));
    if let Some(path) = &args.out {
        let to: Box<dyn Write> = match path.to_str() {
            Some("-") => Box::new(std::io::stdout()),
            _ => Box::new(
                File::create(path).with_context(|| format!("cannot write {}", path.display()))?,
            ),
        };
        let mut out = BufWriter::new(to);
        for batch in slices(&args, span_ms) {
            for line in &batch {
                out.write_all(&line.line)?;
                out.write_all(b"\n")?;
            }
            traffic::note(&ledger, &batch);
        }
        out.flush()?;
    } else {
        let clients = cloud::clients(&config.aws).await;
        if args.fast {
            send_fast(&clients, config, slices(&args, span_ms), &ledger).await?;
        } else {
            send_paced(&clients, config, &args, &ledger).await?;
        }
    }
    let ledger = ledger.into_inner().unwrap_or_else(PoisonError::into_inner);
    let totals = match args.json {
        true => serde_json::to_string(ledger.totals())?,
        false => in_words(ledger.totals()),
    };
    match args.out.as_deref().and_then(std::path::Path::to_str) {
        Some("-") => eprintln!("{totals}"),
        _ => println!("{totals}"),
    }
    if let Some(path) = &args.ledger {
        let windows: Vec<_> = ledger.windows().collect();
        let all = json!({ "totals": ledger.totals(), "windows": windows });
        std::fs::write(path, all.to_string())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Says what was made: `5353 records; of these 43 repeats, 210 damaged, 12 late`.
fn in_words(totals: &Totals) -> String {
    let Totals { records, duplicates, malformed, late, .. } = totals;
    format!("{records} records; of these {duplicates} repeats, {malformed} damaged, {late} late")
}

/// Says what was sent of files.
fn sent_in_words(sent: &Sent, json: bool) -> String {
    let Sent { records, earlier, too_large, .. } = sent;
    if json {
        let damaged = sent.problems.len();
        return json!({
            "sent": records, "sentEarlier": earlier, "tooLarge": too_large, "damagedObjects": damaged,
        })
        .to_string();
    }
    // Those too large were named one by one.
    format!("{records} records sent, {earlier} sent earlier")
}

/// Returns the time that the traffic covers, epoch milliseconds.
///
/// # Errors
/// When the arguments name no time, or one of which a stream would take nothing: events of the
/// future are rejected.
fn span_ms(args: &GenerateArgs, now_ms: i64) -> Result<Range<i64>, UsageError> {
    let given = args.run_for.unwrap_or(DEFAULT_FOR);
    let length_ms = i64::try_from(given.as_millis()).unwrap_or(i64::MAX);
    let [start, end] = [args.start, args.end].map(|at| at.map(jiff::Timestamp::as_millisecond));
    let refuse = |why: String| Err(UsageError(why));
    let span = match (start, end) {
        (Some(_), Some(_)) if args.run_for.is_some() => {
            return refuse("of --start, --end and --for give two".to_owned());
        }
        (Some(start), Some(end)) => start..end,
        (Some(start), None) => start..start.saturating_add(length_ms),
        (None, Some(end)) => end.saturating_sub(length_ms)..end,
        (None, None) => now_ms.saturating_sub(length_ms)..now_ms,
    };
    if span.is_empty() {
        return refuse(
            "the traffic would end before it begins: see --start, --end, --for".to_owned(),
        );
    }
    let is_timed = start.is_some() || end.is_some();
    if is_timed && !args.fast && args.out.is_none() {
        return refuse(
            "--start and --end need --fast or --out: traffic in real time begins now".to_owned(),
        );
    }
    if args.out.is_none() && span.end > now_ms {
        let end = jiff::Timestamp::from_millisecond(span.end);
        let end = end.map_or_else(|_| span.end.to_string(), |end| end.to_string());
        return refuse(format!(
            "the traffic would last until {end}, which is in the future; the stream's worker rejects \
             such events (clock_skew): give an earlier --end, or --out for a file"
        ));
    }
    Ok(span)
}

/// Returns the whole time asked for, second by second.
fn slices(args: &GenerateArgs, span_ms: Range<i64>) -> impl Iterator<Item = Vec<Produced>> {
    let Range { start: start_ms, end: end_ms } = span_ms;
    let settings = GeneratorConfig { start_ms, ..traffic::generator(&args.traffic) };
    let mut generator = Generator::new(settings);
    let mut until_ms = start_ms;
    std::iter::from_fn(move || {
        if until_ms >= end_ms {
            return None;
        }
        until_ms = end_ms.min(until_ms + SLICE_MS);
        Some(generator.next_batch(until_ms))
    })
}

async fn send_fast(
    clients: &Clients,
    config: &Config,
    slices: impl Iterator<Item = Vec<Produced>>,
    ledger: &Mutex<Ledger>,
) -> anyhow::Result<()> {
    let mut waiting = Vec::new();
    let mut slices = slices.peekable();
    while let Some(batch) = slices.next() {
        waiting.extend(batch);
        if waiting.len() >= SENT_LINES || slices.peek().is_none() {
            traffic::deliver(clients, &config.stream.name, &waiting).await?;
            traffic::note(ledger, &waiting);
            waiting.clear();
        }
    }
    Ok(())
}

async fn send_paced(
    clients: &Clients,
    config: &Config,
    args: &GenerateArgs,
    ledger: &Mutex<Ledger>,
) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let ended = stop.clone();
    let time = args.run_for.unwrap_or(DEFAULT_FOR);
    let timer = async move {
        let timed = signals::stop_or_after(Some(time)).await;
        ended.cancel();
        timed
    };
    let sending = traffic::run(clients, config, &args.traffic, ledger, &stop, |_| {});
    let (timed, sent) = futures::join!(timer, sending);
    timed?;
    sent
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::commands::cli::{Cli, Command};

    const NOW_MS: i64 = 1_772_366_400_000;

    /// Minutes before now, or why not.
    fn span(args: &[&str]) -> Result<(i64, i64), String> {
        let args = ["ivs-processor", "generate"].iter().chain(args);
        let Command::Generate(args) = Cli::try_parse_from(args).unwrap().command else {
            panic!("another command")
        };
        let span = span_ms(&args, NOW_MS).map_err(|error| error.to_string())?;
        Ok(((NOW_MS - span.start) / 60_000, (NOW_MS - span.end) / 60_000))
    }

    #[test]
    fn fast_traffic_ends_now_or_when_it_is_told_to() {
        assert_eq!(span(&["--fast", "--for", "2h"]), Ok((120, 0)));
        assert_eq!(span(&["--fast"]), Ok((1, 0)));
        // Now is 2026-03-01T12:00:00Z.
        assert_eq!(span(&["--fast", "--start", "2026-02-28", "--for", "24h"]), Ok((36 * 60, 720)));
        let both = ["--fast", "--start", "2026-02-28T23:00:00Z", "--end", "2026-03-01"];
        assert_eq!(span(&both), Ok((780, 720)));
        assert_eq!(span(&["--fast", "--end", "2026-03-01", "--for", "1m"]), Ok((721, 720)));
    }

    #[test]
    fn a_stream_gets_no_future_and_no_time_twice() {
        for (args, why) in [
            (&["--fast", "--start", "2026-03-01", "--for", "13h"][..], "in the future"),
            (&["--fast", "--start", "2026-03-01", "--end", "2026-02-01"], "before it begins"),
            (&["--start", "2026-02-01"], "--fast or --out"),
            (
                &["--fast", "--start", "2026-02-01", "--end", "2026-02-02", "--for", "1h"],
                "give two",
            ),
        ] {
            let error = span(args).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        let file = ["--out", "f", "--start", "2026-03-01", "--for", "13h"];
        assert_eq!(span(&file), Ok((720, -60)));
    }

    #[test]
    fn what_was_sent_is_said_in_words_or_as_json() {
        let sent = Sent { records: 7, earlier: 2, too_large: 1, problems: vec!["x".to_owned()] };
        assert_eq!(sent_in_words(&sent, false), "7 records sent, 2 sent earlier");
        let json: serde_json::Value = serde_json::from_str(&sent_in_words(&sent, true)).unwrap();
        let want = json!({ "sent": 7, "sentEarlier": 2, "tooLarge": 1, "damagedObjects": 1 });
        assert_eq!(json, want);
    }
}
