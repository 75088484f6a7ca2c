//! Who is live: sessions and their latest minutes, kept up to date by small reads.
//!
//! Channels are found by the worker's own open epochs and by CloudWatch's list of metrics; sessions
//! by the rows of a channel. All that is kept is bounded and dies with its session.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aws_calls::explain;
use aws_sdk_cloudwatch::types::{DimensionFilter, RecentlyActive};
use aws_sdk_dynamodb::types::AttributeValue::{N, S};
use aws_sdk_dynamodb::types::KeysAndAttributes;
use futures::stream::{self, StreamExt as _};
use ivs_schemas::catalogue::{CHANNEL_ID, metrics};
use ivs_schemas::items::{metrics as rows, sessions};
use ivs_schemas::names::CHANNEL_INDEX;
use serde::Serialize;

use super::Room;
use super::minute::{ATTRIBUTES, Minute};
use crate::clock::Instant;
use crate::items::codec::{Item, Reader};

/// Minutes of the trend.
const TREND_MINUTES: i64 = 30;
/// A figure older than this is not a figure of now.
const FRESH_MS: i64 = 180_000;
/// Minutes over which stalls are shown.
const STALL_MINUTES: i64 = 5;
/// IVS's own alarm line, frames a second.
const LOW_FRAME_RATE: f64 = 20.0;
/// Channels that are read: the busiest, if there are more.
const MAX_CHANNELS: usize = 200;
/// Sessions that are kept.
const MAX_SESSIONS: usize = 1_000;
/// Channels read at once.
const AT_ONCE: usize = 16;
/// Keys of one BatchGetItem: DynamoDB's limit.
const BATCH: usize = 100;
/// How often CloudWatch is asked for channels, and a channel's whole trend is read anew.
const LIST_EVERY: Duration = Duration::from_secs(60);
/// How often the summary of a session is read.
const SUMMARY_EVERY: Duration = Duration::from_secs(5);

/// A live stream, for the browser.
#[derive(Clone, Debug, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct StreamView {
    pub(super) session_id: Arc<str>,
    pub(super) channel_id: Arc<str>,
    title: Option<String>,
    streamer: Option<String>,
    started_ms: Option<i64>,
    /// Viewers at the latest report, if that is fresh.
    pub(super) viewers: Option<f64>,
    /// When that was.
    pub(super) viewers_at_ms: Option<i64>,
    peak_viewers: Option<f64>,
    /// Minute in epoch milliseconds, viewers.
    trend: Vec<(i64, Option<f64>)>,
    bitrate: Option<f64>,
    frame_rate: Option<f64>,
    low_frame_rate: bool,
    stalled_percent: Option<f64>,
    chat_rate: Option<f64>,
}

/// The streams as known.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// By channel: when its whole trend was read last.
    channels: BTreeMap<Arc<str>, Option<Instant>>,
    sessions: BTreeMap<Arc<str>, Session>,
    listed: Option<Instant>,
}

#[derive(Debug, Default)]
struct Session {
    channel_id: Arc<str>,
    /// Stored minutes by their start, epoch seconds.
    stored: BTreeMap<i64, Minute>,
    /// The minutes that open epochs of this process hold beyond that.
    open: BTreeMap<i64, Minute>,
    summary: Summary,
    summary_read: Option<Instant>,
}

/// The summary item, as far as the list shows it.
#[derive(Clone, Debug, Default)]
struct Summary {
    status: String,
    title: Option<String>,
    streamer: Option<String>,
    started_s: Option<f64>,
    stale_after_s: Option<f64>,
    peak_viewers: Option<f64>,
}

impl Streams {
    /// Reads what is new.
    ///
    /// # Errors
    /// In the user's words, when a table or CloudWatch does not answer; what is known stays.
    pub(super) async fn refresh(&mut self, room: &Room, now_ms: i64) -> Vec<String> {
        let mut problems = Vec::new();
        self.take_open(room);
        if self.listed.is_none_or(|at| at.elapsed() >= LIST_EVERY) || room.is_local() {
            match listed_channels(room).await {
                Ok(found) => {
                    self.listed = Some(crate::clock::instant());
                    for channel in found {
                        self.channels.entry(channel).or_default();
                    }
                }
                Err(error) => problems.push(error),
            }
        }
        problems.extend(self.read_rows(room, now_ms).await);
        problems.extend(self.read_summaries(room).await);
        self.forget(now_ms);
        problems
    }

    /// Takes over what the open epochs of this process hold.
    fn take_open(&mut self, room: &Room) {
        self.sessions.values_mut().for_each(|session| session.open.clear());
        let Some(worker) = room.worker().1 else { return };
        for window in worker.open_windows() {
            if is_stream(&window.session_id) {
                let session = self.sessions.entry(window.session_id).or_default();
                if !window.channel_id.is_empty() {
                    self.channels.entry(Arc::clone(&window.channel_id)).or_default();
                    session.channel_id = window.channel_id;
                }
                let minute = Minute::open(&window.agg);
                session
                    .open
                    .entry(window.start_s)
                    .and_modify(|known| known.add(&minute))
                    .or_insert(minute);
            }
        }
    }

    /// Returns the latest rows of each channel; of one that is new, or once a minute, its whole
    /// trend.
    async fn read_rows(&mut self, room: &Room, now_ms: i64) -> Vec<String> {
        let now_s = now_ms.div_euclid(1_000);
        let wanted: Vec<_> = self
            .busiest(now_ms)
            .into_iter()
            .map(|channel| {
                let whole = self.channels[&channel].is_none_or(|at| at.elapsed() >= LIST_EVERY);
                let minutes = if whole { TREND_MINUTES + 1 } else { 2 };
                (channel, whole, now_s - minutes * 60)
            })
            .collect();
        let mut read = stream::iter(wanted)
            .map(|(channel, whole, from_s)| async move {
                let items = rows_of(room, &channel, from_s).await;
                (channel, whole, items)
            })
            .buffer_unordered(AT_ONCE);
        let mut problems = BTreeSet::new();
        let (mut items, mut done) = (Vec::new(), Vec::new());
        while let Some((channel, whole, found)) = read.next().await {
            match found {
                Ok(found) => {
                    items.extend(found);
                    done.extend(whole.then_some(channel));
                }
                Err(error) => drop(problems.insert(error)),
            }
        }
        drop(read);
        for channel in done {
            self.channels.insert(channel, Some(crate::clock::instant()));
        }
        for item in &items {
            if let Err(error) = self.take_row(item) {
                problems.insert(format!("{}: a row: {error}", room.config.tables.metrics));
            }
        }
        problems.into_iter().collect()
    }

    fn take_row(&mut self, item: &Item) -> Result<(), crate::items::codec::ItemError> {
        let reader = Reader(item);
        let id = reader.text(rows::SESSION_ID)?;
        let start_s = reader.number(rows::METRIC_TIMESTAMP)?;
        if is_stream(id) {
            let minute = Minute::of(item)?;
            let session = self.sessions.entry(Arc::from(id)).or_default();
            session.channel_id = Arc::from(reader.text(rows::CHANNEL_ID)?);
            session.stored.insert(start_s, minute);
        }
        Ok(())
    }

    /// Returns the channels with the most viewers, those of whom nothing is known yet first.
    fn busiest(&self, now_ms: i64) -> Vec<Arc<str>> {
        let mut viewers: HashMap<&str, f64> = HashMap::new();
        for session in self.sessions.values() {
            let count = session.viewers(now_ms).map_or(0.0, |(_, viewers)| viewers);
            *viewers.entry(&session.channel_id).or_default() += count;
        }
        let mut all: Vec<_> = self.channels.iter().collect();
        all.sort_by(|(a, read_a), (b, read_b)| {
            let of = |channel: &str| viewers.get(channel).copied().unwrap_or_default();
            read_a.is_some().cmp(&read_b.is_some()).then(of(b).total_cmp(&of(a)))
        });
        all.into_iter().take(MAX_CHANNELS).map(|(channel, _)| Arc::clone(channel)).collect()
    }

    async fn read_summaries(&mut self, room: &Room) -> Option<String> {
        let due =
            |session: &Session| session.summary_read.is_none_or(|at| at.elapsed() >= SUMMARY_EVERY);
        let ids: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| due(session))
            .map(|(id, _)| Arc::clone(id))
            .collect();
        let mut problem = None;
        for ids in ids.chunks(BATCH) {
            match summaries(room, ids).await {
                Ok(found) => {
                    for id in ids {
                        if let Some(session) = self.sessions.get_mut(id) {
                            session.summary_read = Some(crate::clock::instant());
                        }
                    }
                    for (id, summary) in found {
                        if let Some(session) = self.sessions.get_mut(&*id) {
                            session.summary = summary;
                        }
                    }
                }
                Err(error) => problem = Some(error),
            }
        }
        problem
    }

    /// Drops minutes before the trend, sessions without any, and channels without sessions.
    fn forget(&mut self, now_ms: i64) {
        let first_s = now_ms.div_euclid(1_000) - (TREND_MINUTES + 1) * 60;
        for session in self.sessions.values_mut() {
            session.stored = session.stored.split_off(&first_s);
        }
        self.sessions.retain(|_, session| !session.stored.is_empty() || !session.open.is_empty());
        while self.sessions.len() > MAX_SESSIONS {
            let least = self.sessions.iter().min_by(|(_, a), (_, b)| {
                let of = |s: &Session| s.viewers(now_ms).map_or(0.0, |(_, viewers)| viewers);
                of(a).total_cmp(&of(b))
            });
            let Some(id) = least.map(|(id, _)| Arc::clone(id)) else { break };
            self.sessions.remove(&id);
        }
        let used: BTreeSet<_> =
            self.sessions.values().map(|session| Arc::clone(&session.channel_id)).collect();
        // One that was listed and has nothing is looked at again when it is listed again.
        self.channels.retain(|channel, read| read.is_none() || used.contains(channel));
    }

    /// Returns the live streams, the one with the most viewers first.
    pub(super) fn live(&self, now_ms: i64) -> Vec<StreamView> {
        let mut live: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.is_live(now_ms))
            .map(|(id, session)| session.view(id, now_ms))
            .collect();
        let order = |view: &StreamView| view.viewers.unwrap_or(-1.0);
        live.sort_by(|a, b| order(b).total_cmp(&order(a)).then(a.session_id.cmp(&b.session_id)));
        live
    }
}

impl Session {
    fn minute(&self, start_s: i64) -> Option<Minute> {
        let (stored, open) = (self.stored.get(&start_s), self.open.get(&start_s));
        let mut minute = stored.or(open).copied()?;
        if let (Some(_), Some(open)) = (stored, open) {
            minute.add(open);
        }
        Some(minute)
    }

    /// Minutes by their start, the latest first.
    fn latest(&self) -> impl Iterator<Item = (i64, Minute)> {
        let starts: BTreeSet<i64> = self.stored.keys().chain(self.open.keys()).copied().collect();
        starts.into_iter().rev().filter_map(|start_s| Some((start_s, self.minute(start_s)?)))
    }

    /// Returns the latest report of viewers, if it is fresh: its time and the number.
    fn viewers(&self, now_ms: i64) -> Option<(i64, f64)> {
        let latest = self.latest().find_map(|(_, minute)| minute.viewers);
        latest.filter(|(at_ms, _)| now_ms - at_ms <= FRESH_MS)
    }

    /// Live by its facts and not stale; without facts, while there is news of it.
    fn is_live(&self, now_ms: i64) -> bool {
        let has_news = self
            .latest()
            .next()
            .is_some_and(|(start_s, _)| now_ms - (start_s + 60) * 1_000 <= FRESH_MS);
        match self.summary.status.as_str() {
            sessions::status::ENDED | sessions::status::FAILED => false,
            sessions::status::LIVE => {
                let stale = self.summary.stale_after_s.is_some_and(|s| s * 1e3 < now_ms as f64);
                has_news || !stale
            }
            _ => has_news,
        }
    }

    fn view(&self, id: &Arc<str>, now_ms: i64) -> StreamView {
        let recent: Vec<_> = self
            .latest()
            .take_while(|(start_s, _)| now_ms - start_s * 1_000 <= FRESH_MS + 60_000)
            .collect();
        let newest = |of: &dyn Fn(&Minute) -> Option<f64>| recent.iter().find_map(|(_, m)| of(m));
        let stall_from_s = now_ms.div_euclid(1_000) - STALL_MINUTES * 60;
        let stalls: Vec<_> =
            self.latest().take_while(|(start_s, _)| *start_s >= stall_from_s).collect();
        let viewers = self.viewers(now_ms);
        let frame_rate = newest(&|minute| minute.frame_rate.value());
        StreamView {
            session_id: Arc::clone(id),
            channel_id: Arc::clone(&self.channel_id),
            title: self.summary.title.clone(),
            streamer: self.summary.streamer.clone(),
            started_ms: self.summary.started_s.map(ms),
            viewers: viewers.map(|(_, viewers)| viewers),
            viewers_at_ms: viewers.map(|(at_ms, _)| at_ms),
            peak_viewers: self.summary.peak_viewers,
            trend: self.trend(now_ms),
            bitrate: newest(&|minute| minute.bitrate.value()),
            frame_rate,
            low_frame_rate: frame_rate.is_some_and(|rate| rate < LOW_FRAME_RATE),
            stalled_percent: Minute::stalled_percent(stalls.iter().map(|(_, minute)| minute)),
            chat_rate: newest(&Minute::chat_per_minute),
        }
    }

    fn trend(&self, now_ms: i64) -> Vec<(i64, Option<f64>)> {
        let last_s = now_ms.div_euclid(60_000) * 60;
        (0..TREND_MINUTES)
            .rev()
            .map(|back| last_s - back * 60)
            .map(|start_s| {
                let viewers = self.minute(start_s).and_then(|minute| minute.viewers);
                (start_s * 1_000, viewers.map(|(_, viewers)| viewers))
            })
            .collect()
    }
}

/// Sessions that this program makes up for players or chat without one are not streams.
fn is_stream(session_id: &str) -> bool {
    !session_id.starts_with("qos:") && !session_id.starts_with("chat:")
}

#[expect(clippy::cast_possible_truncation, reason = "seconds since the epoch, with decimals")]
fn ms(seconds: f64) -> i64 {
    (seconds * 1_000.0) as i64
}

/// Channels that sent metrics within three hours, by CloudWatch.
async fn listed_channels(room: &Room) -> Result<Vec<Arc<str>>, String> {
    let mut found = BTreeSet::new();
    for metric in [metrics::CURRENT_VIEWERS, metrics::ACTIVE_PLAYERS] {
        let mut next = None;
        loop {
            let page = room
                .clients
                .cloudwatch
                .list_metrics()
                .namespace(metric.namespace.as_str())
                .metric_name(metric.name)
                .dimensions(DimensionFilter::builder().name(CHANNEL_ID).build())
                .recently_active(RecentlyActive::Pt3H)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| {
                    format!("CloudWatch does not list channels: {}", explain(&error))
                })?;
            for metric in page.metrics.unwrap_or_default() {
                let dimensions = metric.dimensions.unwrap_or_default();
                found.extend(dimensions.into_iter().filter_map(|d| d.value).map(Arc::from));
            }
            next = page.next_token;
            if next.is_none() || found.len() >= MAX_CHANNELS {
                break;
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// Returns the rows of a channel from a minute on.
async fn rows_of(room: &Room, channel: &str, from_s: i64) -> Result<Vec<Item>, String> {
    let table = &room.config.tables.metrics;
    let names = ATTRIBUTES.iter().enumerate().map(|(at, name)| (format!("#p{at}"), *name));
    let projection: Vec<_> = names.clone().map(|(placeholder, _)| placeholder).collect();
    let mut query = room
        .clients
        .dynamodb
        .query()
        .table_name(table)
        .index_name(CHANNEL_INDEX)
        .key_condition_expression("#p2 = :channel AND #p1 >= :from")
        .projection_expression(projection.join(", "))
        .expression_attribute_values(":channel", S(channel.to_owned()))
        .expression_attribute_values(":from", N(from_s.to_string()))
        .scan_index_forward(false);
    for (placeholder, name) in names {
        query = query.expression_attribute_names(placeholder, name);
    }
    // The latest page is enough: a megabyte holds more than the trend of a channel.
    let page = query.send().await;
    let page = page.map_err(|error| format!("cannot read {table}: {}", explain(&error)))?;
    Ok(page.items.unwrap_or_default())
}

async fn summaries(room: &Room, ids: &[Arc<str>]) -> Result<Vec<(Arc<str>, Summary)>, String> {
    let table = &room.config.tables.sessions;
    let refused = |error: String| format!("cannot read {table}: {error}");
    let keys = ids.iter().map(|id| {
        HashMap::from([
            (sessions::SESSION_ID.to_owned(), S(id.to_string())),
            (sessions::TIMESTAMP.to_owned(), N(sessions::SUMMARY_TIMESTAMP.to_string())),
        ])
    });
    let wanted = [
        sessions::SESSION_ID,
        sessions::STATUS,
        sessions::STREAM_TITLE,
        sessions::STREAMER_USER_ID,
        sessions::STARTED_AT,
        sessions::STALE_AFTER,
        sessions::PEAK_VIEWERS,
    ];
    let mut keys = KeysAndAttributes::builder().set_keys(Some(keys.collect()));
    let placeholders: Vec<_> = (0..wanted.len()).map(|at| format!("#p{at}")).collect();
    for (placeholder, name) in placeholders.iter().zip(wanted) {
        keys = keys.expression_attribute_names(placeholder, name);
    }
    let keys = keys.projection_expression(placeholders.join(", "));
    let keys = keys.build().map_err(|error| refused(error.to_string()))?;
    let found = room.clients.dynamodb.batch_get_item().request_items(table, keys).send().await;
    let found = found.map_err(|error| refused(explain(&error)))?;
    let items = found.responses.and_then(|mut tables| tables.remove(table)).unwrap_or_default();
    let read = items.iter().map(|item| {
        let item = Reader(item);
        let text = |name| item.text(name).map(|text| (!text.is_empty()).then(|| text.to_owned()));
        let summary = Summary {
            status: item.text(sessions::STATUS)?.to_owned(),
            title: text(sessions::STREAM_TITLE)?,
            streamer: text(sessions::STREAMER_USER_ID)?,
            started_s: item.number_if(sessions::STARTED_AT)?,
            stale_after_s: item.number_if(sessions::STALE_AFTER)?,
            peak_viewers: item.number_if(sessions::PEAK_VIEWERS)?,
        };
        Ok((Arc::from(item.text(sessions::SESSION_ID)?), summary))
    });
    read.collect::<Result<_, crate::items::codec::ItemError>>()
        .map_err(|error| refused(error.to_string()))
}
