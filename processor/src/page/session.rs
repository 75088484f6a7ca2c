//! One session: its summary, its timeline and its minutes.

use std::sync::PoisonError;

use aws_calls::explain;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::AttributeValue::S;
use ivs_core::experience::Breakdown;
use ivs_core::merge::Merge as _;
use ivs_core::session::attribute_names::{SOURCE, SOURCE_IVS};
use ivs_core::session::{Seen, lost};
use ivs_schemas::items::{metrics as rows, sessions};
use ivs_schemas::report::SessionStatus;
use kinesis_model::EpochMs;
use serde_json::{Map, Value, json};

use super::minute::{ATTRIBUTES, Minute, MinuteView};
use super::room::Room;
use crate::clock::now;
use crate::items::codec::{Item, ItemError, Reader};
use crate::items::timeline::OF_EVERY_FACT;
use crate::items::{experience, on_air};

/// Facts of the timeline that are shown: the latest.
const MAX_FACTS: i32 = 300;
/// Minutes that are shown: the latest eight hours.
const MAX_MINUTES: i32 = 480;
/// Minutes that the breakdowns are of: the latest ones. A minute of them has some kilobytes.
const BREAKDOWN_MINUTES: i32 = 15;
/// Characters of a fact's details.
const MAX_DETAIL: usize = 300;

/// Numbers of the summary that are shown, under the names they are stored by.
const NUMBERS: [&str; 15] = [
    sessions::STARTED_AT,
    sessions::ENDED_AT,
    sessions::PEAK_VIEWERS,
    sessions::TOTAL_CHAT_MESSAGES,
    sessions::UNIQUE_PLAYERS,
    sessions::REBUFFER_RATIO,
    sessions::PLAYER_ERRORS,
    sessions::VIEWER_MINUTES,
    rows::VIEW_ATTEMPTS,
    rows::VIEW_STARTS,
    rows::START_FAILURES_TECHNICAL,
    rows::START_FAILURES_BUSINESS,
    rows::EXITS_BEFORE_START,
    rows::PLAYBACK_FAILURES,
    rows::VIEW_TIME_MS,
];
/// Texts of the summary that are shown.
const TEXTS: [&str; 5] = [
    sessions::STATUS,
    sessions::STREAM_TITLE,
    sessions::STREAMER_USER_ID,
    sessions::STREAM_QUALITY,
    sessions::FAILURE_REASON,
];

/// Returns the session as JSON; `None` if the tables have nothing of it.
///
/// # Errors
/// When a table does not answer or an item is not ours.
pub(super) async fn look(room: &Room, id: &str) -> anyhow::Result<Option<String>> {
    let (facts, minutes, breakdown) =
        tokio::try_join!(facts(room, id), minutes(room, id), breakdown(room, id))?;
    let (summary, facts): (Vec<_>, Vec<_>) = facts
        .into_iter()
        .partition(|item| Reader(item).number::<f64>(sessions::TIMESTAMP) == Ok(0.0));
    let summary = summary.into_iter().next();
    if summary.is_none() && facts.is_empty() && minutes.is_empty() {
        return Ok(None);
    }
    let mut shown = Map::new();
    if let Some(item) = &summary {
        for name in NUMBERS {
            let number: Option<f64> = Reader(item).number_if(name)?;
            shown.extend(number.map(|number| (name.to_owned(), json!(number))));
        }
        let score = item.get(rows::EXPERIENCE).and_then(|parts| parts.as_m().ok());
        let score = score.map(|parts| Reader(parts).number::<f64>(rows::experience::SCORE));
        shown.extend(score.transpose()?.map(|score| ("experienceScore".to_owned(), json!(score))));
        for name in TEXTS {
            let text = Reader(item).text(name)?;
            shown.extend((!text.is_empty()).then(|| (name.to_owned(), json!(text))));
        }
        shown.extend(encoder(item).map(|line| ("encoder".to_owned(), json!(line))));
    }
    let channel = summary.iter().chain(&facts).find_map(|item| {
        Reader(item).text(sessions::CHANNEL_ID).ok().filter(|channel| !channel.is_empty())
    });
    let now = now();
    let lost_at = match &summary {
        Some(item) => lost_at(room, id, item, now)?,
        None => None,
    };
    if lost_at.is_some() {
        shown.insert(sessions::STATUS.to_owned(), json!(SessionStatus::Lost));
    }
    let length_s = shown.get(sessions::STARTED_AT).and_then(Value::as_f64).map(|started_s| {
        let ended_s = shown.get(sessions::ENDED_AT).and_then(Value::as_f64);
        let until_s = ended_s.unwrap_or(lost_at.unwrap_or(now).0 as f64 / 1e3);
        (until_s - started_s).max(0.0)
    });
    let timeline: Vec<_> = facts.iter().filter_map(fact).collect();
    let session = json!({
        "sessionId": id,
        "channelId": channel,
        "lengthS": length_s,
        "summary": shown,
        "timeline": timeline,
        "minutes": minutes,
        "breakdowns": breakdown,
    });
    Ok(Some(session.to_string()))
}

/// Returns up to where a session counts that has no end and is not on air any more; of others of its
/// channel the list of streams knows, while somebody looks at it.
fn lost_at(
    room: &Room,
    id: &str,
    summary: &Item,
    now: EpochMs,
) -> Result<Option<EpochMs>, ItemError> {
    let is_open = Reader(summary).text(sessions::STATUS)? == sessions::status::LIVE;
    let alone = Seen { channel_id: "", signs: on_air::signs(summary)?, is_open };
    let by_itself = lost(&[alone], now).into_iter().flatten().next();
    let of_channel = room.lost.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied();
    Ok(of_channel.filter(|_| is_open).or(by_itself))
}

/// Returns the summary and the latest facts, in the order of events.
async fn facts(room: &Room, id: &str) -> anyhow::Result<Vec<Item>> {
    let table = &room.config.tables.sessions;
    let query = |forward: bool, limit: i32| {
        room.clients
            .dynamodb
            .query()
            .table_name(table)
            .key_condition_expression("#id = :id")
            .expression_attribute_names("#id", sessions::SESSION_ID)
            .expression_attribute_values(":id", S(id.to_owned()))
            .scan_index_forward(forward)
            .limit(limit)
            .send()
    };
    let (first, latest) = tokio::join!(query(true, 1), query(false, MAX_FACTS));
    let refused = |error: String| anyhow::anyhow!("cannot read {table}: {error}");
    let mut items = first.map_err(|error| refused(explain(&error)))?.items.unwrap_or_default();
    let mut latest = latest.map_err(|error| refused(explain(&error)))?.items.unwrap_or_default();
    latest.reverse();
    // The first is the summary, and may be among the latest too.
    latest.retain(|item| items.first() != Some(item));
    items.extend(latest);
    Ok(items)
}

/// Returns the encoder's settings in one line; none where IVS was not asked.
fn encoder(summary: &Item) -> Option<String> {
    use sessions::ingest;
    let told = Reader(summary.get(sessions::INGEST_CONFIGURATION)?.as_m().ok()?);
    let number = |name| told.number_if::<f64>(name).ok().flatten();
    let text = |name| told.text(name).ok().filter(|text| !text.is_empty()).map(str::to_owned);
    let size = number(ingest::WIDTH).zip(number(ingest::HEIGHT));
    let parts = [
        size.map(|(width, height)| format!("{width}×{height}")),
        number(ingest::FRAME_RATE).map(|rate| format!("{rate} frames/s")),
        text(ingest::VIDEO_CODEC),
        text(ingest::AUDIO_CODEC),
        text(ingest::ENCODER),
    ];
    let known: Vec<_> = parts.into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.join(", "))
}

/// Returns the figures by dimension of the latest stored minutes, as a report has them.
async fn breakdown(room: &Room, id: &str) -> anyhow::Result<Value> {
    let table = &room.config.tables.metrics;
    let page = room
        .clients
        .dynamodb
        .query()
        .table_name(table)
        .key_condition_expression("#id = :id")
        .expression_attribute_names("#id", rows::SESSION_ID)
        .expression_attribute_names("#of", rows::BREAKDOWNS)
        .expression_attribute_values(":id", S(id.to_owned()))
        .projection_expression("#of")
        .scan_index_forward(false)
        .limit(BREAKDOWN_MINUTES)
        .send()
        .await;
    let page = page.map_err(|error| anyhow::anyhow!("cannot read {table}: {}", explain(&error)))?;
    let mut all = Breakdown::default();
    for item in page.items.unwrap_or_default() {
        all.merge(&experience::breakdown(Reader(&item))?);
    }
    Ok(json!(ivs_core::report::breakdowns(&all)))
}

/// Returns the latest minutes, the oldest first, with what this process has not stored yet.
async fn minutes(room: &Room, id: &str) -> anyhow::Result<Vec<MinuteView>> {
    let table = &room.config.tables.metrics;
    let mut query = room
        .clients
        .dynamodb
        .query()
        .table_name(table)
        .key_condition_expression("#p0 = :id")
        .expression_attribute_values(":id", S(id.to_owned()))
        .scan_index_forward(false)
        .limit(MAX_MINUTES);
    let mut placeholders = Vec::new();
    for (at, name) in ATTRIBUTES.iter().enumerate() {
        placeholders.push(format!("#p{at}"));
        query = query.expression_attribute_names(format!("#p{at}"), *name);
    }
    let page = query.projection_expression(placeholders.join(", ")).send().await;
    let page = page.map_err(|error| anyhow::anyhow!("cannot read {table}: {}", explain(&error)))?;
    let mut minutes = std::collections::BTreeMap::new();
    for item in page.items.unwrap_or_default() {
        let start_s: i64 = Reader(&item).number(rows::METRIC_TIMESTAMP)?;
        minutes.insert(start_s, Minute::of(&item)?);
    }
    let open = room.worker().1.map(|worker| worker.open_windows()).unwrap_or_default();
    for window in open.iter().filter(|window| &*window.session_id == id) {
        let open = Minute::open(&window.agg);
        minutes.entry(window.start_s).or_insert_with(Minute::default).add(&open);
    }
    Ok(minutes.into_iter().map(|(start_s, minute)| minute.view(start_s)).collect())
}

/// Returns a fact of the timeline, for the browser; bookkeeping is none.
fn fact(item: &Item) -> Option<Value> {
    let reader = Reader(item);
    let kind = reader.text(sessions::EVENT_TYPE).ok()?;
    if kind.is_empty() || kind.starts_with("milestone_") {
        return None;
    }
    let at_ms: i64 = reader.number(sessions::EVENT_TIME_MS).ok()?;
    let mut words = kind.replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let told = match item.get(sessions::DETAIL) {
        Some(AttributeValue::M(fields)) => fields,
        _ => item,
    };
    let mut fields: Vec<_> = told.iter().filter_map(|(name, value)| field(name, value)).collect();
    fields.sort_unstable();
    let detail: String = fields.join(", ").chars().take(MAX_DETAIL).collect();
    Some(json!({ "ms": at_ms, "what": words, "detail": detail }))
}

/// Returns what a field of a fact says, if it fits a line and not every fact has it; lists and maps do
/// not. That IVS says it goes without saying.
fn field(name: &str, value: &AttributeValue) -> Option<String> {
    match value {
        _ if OF_EVERY_FACT.contains(&name) => None,
        AttributeValue::S(by) if name == SOURCE => {
            (by != SOURCE_IVS).then(|| format!("by the {by}"))
        }
        AttributeValue::S(text) if !text.is_empty() => Some(format!("{name}: {text}")),
        AttributeValue::N(number) => Some(format!("{name}: {number}")),
        AttributeValue::Bool(flag) => Some(format!("{name}: {flag}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoder_is_told_in_a_line_as_far_as_it_is_known() {
        let number = |value: &str| AttributeValue::N(value.to_owned());
        let summary = |told: &[(&str, AttributeValue)]| {
            let told = told.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
            let told = AttributeValue::M(told.collect());
            Item::from([(sessions::INGEST_CONFIGURATION.to_owned(), told)])
        };
        let all = summary(&[
            ("width", number("1280")),
            ("height", number("720")),
            ("frameRate", number("29.97")),
            ("videoCodec", S("avc1.4D401F".to_owned())),
            ("encoder", S("obs".to_owned())),
        ]);
        let told = "1280×720, 29.97 frames/s, avc1.4D401F, obs";
        assert_eq!(encoder(&all).as_deref(), Some(told));
        assert_eq!(encoder(&summary(&[("height", number("720"))])), None);
        assert_eq!(encoder(&Item::default()), None);
    }

    #[test]
    fn a_fact_reads_as_words_and_a_milestone_is_none() {
        let item = |kind: &str| {
            let detail = AttributeValue::M([("code".to_owned(), S("E1".to_owned()))].into());
            Item::from([
                (sessions::EVENT_TYPE.to_owned(), S(kind.to_owned())),
                (sessions::EVENT_TIME_MS.to_owned(), AttributeValue::N("1000".to_owned())),
                (sessions::DETAIL.to_owned(), detail),
            ])
        };
        let told = json!({ "ms": 1_000, "what": "Stream failure", "detail": "code: E1" });
        assert_eq!(fact(&item("stream_failure")), Some(told));
        let own = |source: &str| {
            let text = |name: &str, value: &str| (name.to_owned(), S(value.to_owned()));
            let mut item = item("stream_start");
            item.remove(sessions::DETAIL);
            item.extend([
                text("source", source),
                text("streamQuality", "720p"),
                text("origin", "o"),
            ]);
            fact(&item).unwrap()["detail"].clone()
        };
        assert_eq!(own("ivs"), "streamQuality: 720p");
        assert_eq!(own("application"), "by the application, streamQuality: 720p");
        assert_eq!(fact(&item("milestone_started")), None);
        assert_eq!(fact(&Item::default()), None);
    }
}
