//! Who is live: sessions and their latest minutes, kept up to date by small reads.
//!
//! Channels are found by the worker's own open epochs and by CloudWatch's list of metrics; sessions
//! by the rows of a channel. All that is kept is bounded and dies with its session.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use ivs_core::decode::is_made_up;
use ivs_core::minute::MINUTE_MS;
use ivs_core::session::{Seen, Signs, lost};
use ivs_schemas::items::metrics as rows;
use ivs_schemas::items::sessions::status;
use kinesis_model::EpochMs;
use serde::Serialize;

use super::minute::Minute;
use super::query;
use super::room::Room;
use super::summary::{self, Summary};
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
/// Sessions that are kept.
const MAX_SESSIONS: usize = 1_000;
/// Channels read at once.
const AT_ONCE: usize = 16;
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

impl Streams {
    /// Reads what is new.
    ///
    /// # Errors
    /// In the user's words, when a table or CloudWatch does not answer; what is known stays.
    pub(super) async fn refresh(&mut self, room: &Room, now_ms: i64) -> Vec<String> {
        let mut problems = Vec::new();
        self.take_open(room);
        if self.listed.is_none_or(|at| at.elapsed() >= LIST_EVERY) || room.is_local() {
            match query::channels(room).await {
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
            if !is_made_up(&window.session_id) {
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
                let items = query::rows(room, &channel, from_s).await;
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
        if !is_made_up(id) {
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
        all.into_iter().take(query::MAX_CHANNELS).map(|(channel, _)| Arc::clone(channel)).collect()
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
        for ids in ids.chunks(summary::BATCH) {
            match summary::read(room, ids).await {
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
        let lost = self.lost(now_ms);
        let mut live: Vec<_> = self
            .sessions
            .iter()
            .filter(|(id, session)| session.may_be_live(now_ms) && !lost.contains_key(*id))
            .map(|(id, session)| session.view(id, now_ms))
            .collect();
        let order = |view: &StreamView| view.viewers.unwrap_or(-1.0);
        live.sort_by(|a, b| order(b).total_cmp(&order(a)).then(a.session_id.cmp(&b.session_id)));
        live
    }

    /// Returns the sessions whose end was not reported, and up to where they count: one that fell
    /// silent, or whose channel has a newer stream.
    pub(super) fn lost(&self, now_ms: i64) -> BTreeMap<Arc<str>, EpochMs> {
        let (ids, seen): (Vec<_>, Vec<_>) =
            self.sessions.iter().filter_map(|(id, session)| Some((id, session.seen()?))).unzip();
        let lost = lost(&seen, EpochMs(now_ms));
        let known = ids.into_iter().zip(lost);
        known.filter_map(|(id, until)| Some((Arc::clone(id), until?))).collect()
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

    /// Live by its facts; without facts, while there is news of it.
    fn may_be_live(&self, now_ms: i64) -> bool {
        match self.summary.status.as_str() {
            status::ENDED | status::FAILED => false,
            status::LIVE => true,
            _ => self.heard_until().is_some_and(|heard| now_ms - heard.0 <= FRESH_MS),
        }
    }

    /// The end of its latest minute.
    fn heard_until(&self) -> Option<EpochMs> {
        self.latest().next().map(|(start_s, _)| EpochMs(start_s * 1_000 + MINUTE_MS))
    }

    /// Returns by what it and others are judged: its summary, and rows that may be newer.
    fn seen(&self) -> Option<Seen<'_>> {
        let is_open = !matches!(self.summary.status.as_str(), status::ENDED | status::FAILED);
        let heard_until = self.heard_until();
        let signs = match self.summary.signs {
            Some(known) if is_open => {
                Signs { heard_until: known.heard_until.max(heard_until), ..known }
            }
            Some(known) => known,
            None => {
                let first_s = self.stored.keys().chain(self.open.keys()).min()?;
                Signs { start: EpochMs(first_s * 1_000), heard_until, is_ivs: false }
            }
        };
        Some(Seen { channel_id: &self.channel_id, signs: Some(signs), is_open })
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

#[expect(clippy::cast_possible_truncation, reason = "seconds since the epoch, with decimals")]
fn ms(seconds: f64) -> i64 {
    (seconds * 1_000.0) as i64
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue::N;

    use super::*;

    const NOW_MS: i64 = 1_772_366_400_000;

    /// A session of a channel, live since some minutes, with viewers in each of some minutes ago.
    fn session(since_min: i64, minutes_ago: &[i64]) -> Session {
        let now_s = NOW_MS / 1_000;
        let minute = |ago: i64| {
            let number = |name: &str, value: i64| (name.to_owned(), N(value.to_string()));
            let at_ms = NOW_MS - ago * 60_000;
            let row = Item::from([
                number(rows::CURRENT_VIEWERS, 7),
                number(rows::CURRENT_VIEWERS_AT_MS, at_ms),
            ]);
            (now_s - ago * 60, Minute::of(&row).unwrap())
        };
        let start = EpochMs(NOW_MS - since_min * 60_000);
        Session {
            channel_id: Arc::from("c"),
            stored: minutes_ago.iter().copied().map(minute).collect(),
            summary: Summary {
                status: status::LIVE.to_owned(),
                signs: Some(Signs { start, heard_until: None, is_ivs: true }),
                ..Summary::default()
            },
            ..Session::default()
        }
    }

    fn live(sessions: impl IntoIterator<Item = (&'static str, Session)>) -> Vec<String> {
        let sessions = sessions.into_iter().map(|(id, session)| (Arc::from(id), session));
        let streams = Streams { sessions: sessions.collect(), ..Streams::default() };
        streams.live(NOW_MS).into_iter().map(|view| view.session_id.to_string()).collect()
    }

    #[test]
    fn a_second_stream_of_a_channel_ends_the_first_for_the_list() {
        let (first, second) = (session(20, &[2, 1]), session(9, &[0]));
        assert_eq!(live([("first", first), ("second", second)]), ["second"]);
        let elsewhere = Session { channel_id: Arc::from("d"), ..session(9, &[0]) };
        assert_eq!(live([("a", session(20, &[1])), ("b", elsewhere)]), ["a", "b"]);
    }

    #[test]
    fn what_ended_or_fell_silent_is_not_live_and_what_has_no_facts_yet_is() {
        let mut ended = session(20, &[0]);
        ended.summary.status = status::ENDED.to_owned();
        let unknown = Session { summary: Summary::default(), ..session(0, &[0]) };
        assert_eq!(live([("ended", ended), ("unknown", unknown)]), ["unknown"]);
        assert!(live([("silent", session(60, &[11]))]).is_empty());
        let old = Session { summary: Summary::default(), ..session(0, &[5]) };
        assert!(live([("old", old)]).is_empty());
    }
}
