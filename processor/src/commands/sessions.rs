//! `sessions`: the summaries, and one session with its timeline.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use clap::{Args, Subcommand};
use ivs_core::session::{Seen, Signs, lost};
use ivs_schemas::items::sessions::{self as names, status};
use kinesis_model::EpochMs;
use serde::Serialize;
use serde_json::{Map, Value};

use super::DataError;
use super::text_table::{or_dash, render};
use crate::clock::now;
use crate::cloud;
use crate::config::Config;
use crate::items::codec::{Item, Reader};
use crate::items::on_air;
use crate::items::pages::Select;
use crate::items::timeline::OF_EVERY_FACT;
use crate::printable::{self, OneLine};

/// `sessions …`.
#[derive(Debug, Subcommand)]
pub enum SessionsCommand {
    /// List sessions, the latest first
    List(ListArgs),
    /// Show one session: its figures and its timeline
    Show(ShowArgs),
}

/// `sessions list`.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Only sessions of this channel, by its ARN or its id
    #[arg(long, value_name = "ID")]
    pub channel: Option<String>,
    /// Only sessions that are live
    #[arg(long)]
    pub live: bool,
    /// Most sessions that are shown; all are counted
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: usize,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `sessions show`.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// The session
    #[arg(value_name = "SESSION")]
    pub session_id: String,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// A session without a known end that cannot be on air any more, as reports call it.
const LOST: &str = "lost";
/// Attributes that keep the program's books.
const BOOKS: [&str; 7] = [
    names::FACTS,
    names::TELEMETRY,
    names::INGEST,
    names::SKETCHES,
    names::SCHEMA_VERSION,
    "applied",
    "version",
];

/// A session as the list has it. Times are RFC 3339 in UTC.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionLine {
    pub(super) session_id: String,
    pub(super) channel_id: String,
    /// pending, live, ended, failed, or lost: it has no end, and fell silent or its channel has a
    /// newer one.
    pub(super) status: String,
    pub(super) started_at: Option<String>,
    pub(super) ended_at: Option<String>,
    pub(super) duration: Option<f64>,
    pub(super) peak_viewers: Option<f64>,
    pub(super) total_chat_messages: Option<f64>,
    pub(super) stream_title: Option<String>,
}

impl SessionLine {
    fn of(item: &Item) -> anyhow::Result<Self> {
        let reader = Reader(item);
        let text =
            |name| reader.text(name).map(|text| Some(text.to_owned()).filter(|t| !t.is_empty()));
        let number = |name| reader.number_if::<f64>(name);
        Ok(Self {
            session_id: reader.text(names::SESSION_ID)?.to_owned(),
            channel_id: reader.text(names::CHANNEL_ID)?.to_owned(),
            status: reader.text(names::STATUS)?.to_owned(),
            started_at: number(names::STARTED_AT)?.map(rfc3339),
            ended_at: number(names::ENDED_AT)?.map(rfc3339),
            duration: number(names::DURATION)?,
            peak_viewers: number(names::PEAK_VIEWERS)?,
            total_chat_messages: number(names::TOTAL_CHAT_MESSAGES)?,
            stream_title: text(names::STREAM_TITLE)?,
        })
    }
}

/// Writes epoch seconds as a time.
#[expect(clippy::cast_possible_truncation, reason = "a time in milliseconds, as items hold them")]
fn rfc3339(seconds: f64) -> String {
    let time = jiff::Timestamp::from_millisecond((seconds * 1e3) as i64);
    time.map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

/// Returns the summaries of a channel or of all, the latest first.
///
/// # Errors
/// When the table cannot be read, or an item is not ours.
pub(super) async fn summaries(
    config: &Config,
    channel_id: Option<&str>,
) -> anyhow::Result<Vec<SessionLine>> {
    let clients = cloud::clients(&config.aws).await;
    // Summaries have sort key 0, in the index too.
    let select =
        Select { channel_id, sort_key: names::TIMESTAMP, until_s: Some(1), ..Select::default() };
    let mut found = Vec::new();
    let each = |item: &Item| {
        // Milestones come right after the summary.
        if Reader(item).number::<f64>(names::TIMESTAMP)? == 0.0 {
            found.push((SessionLine::of(item)?, on_air::signs(item)?));
        }
        Ok(())
    };
    select.each(&clients.dynamodb, &config.tables.sessions, each).await?;
    let mut found = judged(found, now());
    let key = |line: &SessionLine| (line.started_at.clone(), line.session_id.clone());
    found.sort_by_cached_key(|line| std::cmp::Reverse(key(line)));
    Ok(found)
}

/// Returns the lines; a session without an end that cannot be on air any more is lost.
fn judged(found: Vec<(SessionLine, Option<Signs>)>, now: EpochMs) -> Vec<SessionLine> {
    let seen: Vec<_> = found
        .iter()
        .map(|(line, signs)| Seen {
            channel_id: &line.channel_id,
            signs: *signs,
            is_open: line.status == status::LIVE,
        })
        .collect();
    let lost = lost(&seen, now);
    let line = |((mut line, _), lost): ((SessionLine, _), Option<EpochMs>)| {
        if lost.is_some() {
            LOST.clone_into(&mut line.status);
        }
        line
    };
    found.into_iter().zip(lost).map(line).collect()
}

/// Runs `sessions …`.
///
/// # Errors
/// When the table cannot be read, or there is no such session.
pub(super) async fn run(config: &Config, command: &SessionsCommand) -> anyhow::Result<()> {
    match command {
        SessionsCommand::List(args) => list(config, args).await,
        SessionsCommand::Show(args) => show(config, args).await,
    }
}

async fn list(config: &Config, args: &ListArgs) -> anyhow::Result<()> {
    let channel_id = args.channel.as_deref().map(crate::report::channel_id);
    let mut found = summaries(config, channel_id).await?;
    found.retain(|line| !args.live || line.status == status::LIVE);
    let all = found.len();
    found.truncate(args.limit);
    if args.json {
        println!("{}", printable::json(&found)?);
        return Ok(());
    }
    if all == 0 {
        let of = channel_id.map_or_else(String::new, |id| format!(" of channel `{}`", OneLine(id)));
        eprintln!("no session{of} is recorded{}", if args.live { " that is live" } else { "" });
        return Ok(());
    }
    let header = ["SESSION", "CHANNEL", "STATUS", "STARTED", "LENGTH", "PEAK", "CHAT", "TITLE"];
    let rows: Vec<_> = found.iter().map(row).collect();
    print!("{}", render(header, &rows));
    if all > found.len() {
        eprintln!("the latest {} of {all} sessions; --limit shows more", found.len());
    }
    Ok(())
}

fn row(line: &SessionLine) -> [String; 8] {
    [
        line.session_id.clone(),
        line.channel_id.clone(),
        line.status.clone(),
        or_dash(line.started_at.clone()),
        or_dash(line.duration.map(length)),
        or_dash(line.peak_viewers),
        // Counted from rates over time, so it need not be whole.
        or_dash(line.total_chat_messages.map(f64::round)),
        line.stream_title.as_deref().unwrap_or("-").replace('\n', " "),
    ]
}

/// `3:25:07` of seconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a length of at most days, at least 0"
)]
fn length(seconds: f64) -> String {
    let seconds = seconds.max(0.0).round() as u64;
    format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

async fn show(config: &Config, args: &ShowArgs) -> anyhow::Result<()> {
    let clients = cloud::clients(&config.aws).await;
    let select = Select {
        session_id: Some(&args.session_id),
        sort_key: names::TIMESTAMP,
        ..Select::default()
    };
    let mut items = Vec::new();
    let each = |item: &Item| {
        items.push(plain(item));
        Ok(())
    };
    select.each(&clients.dynamodb, &config.tables.sessions, each).await?;
    let is_summary = |item: &Map<String, Value>| item.get(names::TIMESTAMP) == Some(&0.into());
    let (summary, mut timeline): (Vec<_>, Vec<_>) = items.into_iter().partition(is_summary);
    // Milestones, which the program writes for itself, have no time of an event.
    timeline.retain(|item| item.contains_key(names::EVENT_TIME_MS));
    if summary.is_empty() && timeline.is_empty() {
        let id = OneLine(&args.session_id);
        return Err(DataError(format!(
            "no session `{id}` is recorded; `sessions list` shows those there are"
        ))
        .into());
    }
    let mut summary = summary.into_iter().next().unwrap_or_default();
    if summary.get(names::STATUS) == Some(&status::LIVE.into()) {
        let channel_id = summary.get(names::CHANNEL_ID).and_then(Value::as_str);
        let others = summaries(config, channel_id).await?;
        let judged = others.into_iter().find(|line| line.session_id == args.session_id);
        summary.extend(judged.map(|line| (names::STATUS.to_owned(), line.status.into())));
    }
    if args.json {
        let shown = serde_json::json!({ "summary": summary, "timeline": timeline });
        println!("{}", printable::json(&shown)?);
        return Ok(());
    }
    let facts: Vec<_> = summary
        .iter()
        .filter(|(name, _)| *name != names::TIMESTAMP)
        .map(|(n, v)| [n.clone(), text(n, v)])
        .collect();
    print!("{}", render(["SUMMARY", "VALUE"], &facts));
    println!();
    let events: Vec<_> = timeline.iter().map(event).collect();
    print!("{}", render(["TIME", "EVENT", "DETAIL"], &events));
    Ok(())
}

fn event(item: &Map<String, Value>) -> [String; 3] {
    let time = item.get(names::EVENT_TIME_MS).and_then(Value::as_f64);
    [
        or_dash(time.map(|ms| rfc3339(ms / 1e3))),
        or_dash(item.get(names::EVENT_TYPE).and_then(Value::as_str)),
        or_dash(detail(item)).replace('\n', " "),
    ]
}

/// Says what else an event tells: its detail as it came, or its attributes by name.
fn detail(item: &Map<String, Value>) -> Option<String> {
    if let Some(detail) = item.get(names::DETAIL) {
        return Some(detail.to_string());
    }
    let told = item.iter().filter(|(name, _)| !OF_EVERY_FACT.contains(&name.as_str()));
    let told: Vec<_> = told.map(|(name, value)| format!("{name} {}", text(name, value))).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// Writes a value as people read it.
fn text(name: &str, value: &Value) -> String {
    let is_time = [names::STARTED_AT, names::ENDED_AT, names::STALE_AFTER].contains(&name);
    match value {
        Value::Number(seconds) if is_time => seconds.as_f64().map_or_else(String::new, rfc3339),
        Value::String(text) => text.replace('\n', " "),
        other => other.to_string(),
    }
}

/// Returns an item as plain JSON, without what only the program needs.
fn plain(item: &Item) -> Map<String, Value> {
    let sorted: BTreeMap<_, _> = item.iter().collect();
    let wanted = sorted.into_iter().filter(|(name, _)| !BOOKS.contains(&name.as_str()));
    wanted.map(|(name, value)| (name.clone(), plain_value(value))).collect()
}

fn plain_value(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => text.as_str().into(),
        AttributeValue::N(number) => {
            serde_json::from_str(number).unwrap_or_else(|_| number.as_str().into())
        }
        AttributeValue::Bool(value) => (*value).into(),
        AttributeValue::L(members) => members.iter().map(plain_value).collect(),
        AttributeValue::M(members) => {
            let sorted: BTreeMap<_, _> = members.iter().collect();
            let member =
                |(name, value): (&String, &AttributeValue)| (name.clone(), plain_value(value));
            Value::Object(sorted.into_iter().map(member).collect())
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(pairs: &[(&str, AttributeValue)]) -> Item {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn a_session_that_fell_silent_or_was_followed_by_another_is_not_shown_as_live() {
        let number = |value: i64| AttributeValue::N(value.to_string());
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let read = |id: &str, start_s: i64, stale_s: i64| {
            let item = item(&[
                ("sessionId", text(id)),
                ("channelId", text("ch-1")),
                ("channelSaidBy", text("ivs")),
                ("status", text("live")),
                ("startedAt", number(start_s)),
                ("staleAfter", number(stale_s)),
            ]);
            (SessionLine::of(&item).unwrap(), on_air::signs(&item).unwrap())
        };
        let first = || read("st-1", 1_772_323_200, 1_772_324_000);
        let second = read("st-2", 1_772_323_300, 1_772_324_000);
        let shown = |found: Vec<_>, now_s: i64| {
            let lines = judged(found, EpochMs(now_s * 1_000));
            lines.into_iter().map(|line| line.status).collect::<Vec<_>>()
        };
        assert_eq!(shown(vec![first()], 1_772_323_999), ["live"]);
        assert_eq!(shown(vec![first()], 1_772_324_000), ["lost"]);
        assert_eq!(shown(vec![first(), second], 1_772_323_401), ["lost", "live"]);
        assert_eq!(first().0.started_at.as_deref(), Some("2026-03-01T00:00:00Z"));
    }

    #[test]
    fn an_event_shows_what_only_it_has_to_say() {
        let shown = |item: Value| event(item.as_object().unwrap())[2].clone();
        let breach = serde_json::json!({
            "sessionId": "st-1", "channelId": "c", "timestamp": 1.5, "eventTimeMs": 1_500,
            "eventType": "limit_breach", "origin": "o", "fingerprint": 7,
            "limitName": "Ingest Bitrate", "limitValue": 8_500_000,
        });
        assert_eq!(shown(breach), "limitName Ingest Bitrate, limitValue 8500000");
        let unknown = serde_json::json!({ "detail": { "a": "b" }, "source": "ivs" });
        assert_eq!(shown(unknown), r#"{"a":"b"}"#);
        assert_eq!(shown(serde_json::json!({ "eventType": "stream_start" })), "-");
    }

    #[test]
    fn lengths_are_hours_minutes_and_seconds() {
        assert_eq!([0.4, 61.0, 36_005.0].map(length), ["0:00:00", "0:01:01", "10:00:05"]);
    }
}
