//! The samples that CloudWatch must know of an input: every sample, drawn from the lines by other
//! means than the program's. Nothing of `ivs-core` is used here.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;

/// Name of the metric, channel (none: the series of all), start of the minute in epoch seconds.
pub(crate) type Point = (&'static str, Option<String>, i64);

/// Values, each with its weight.
pub(crate) type Samples = Vec<(f64, f64)>;

/// The samples of everything that adds up, and what else is known of sessions.
#[derive(Default)]
pub(crate) struct Oracle {
    /// Lines, the refused and the repeated ones included.
    pub(crate) lines: u64,
    /// Reports of players and backends, each id once.
    pub(crate) reports: u64,
    pub(crate) points: BTreeMap<Point, Samples>,
    /// Distinct players by session, with its channel, and minute.
    players: BTreeMap<(String, String, i64), HashSet<String>>,
    sessions: BTreeMap<String, Session>,
    breaches: BTreeMap<Option<String>, f64>,
    seen: HashSet<String>,
}

/// The lifecycle of a session by its events.
#[derive(Default)]
struct Session {
    channel: String,
    starts_ms: BTreeSet<i64>,
    ends_ms: BTreeSet<i64>,
    ingest_ended: bool,
    failed: bool,
    has_telemetry: bool,
    peak: f64,
}

impl Session {
    fn is_started(&self) -> bool {
        !self.starts_ms.is_empty()
    }

    /// Returns a session that ended without a sign of life has failed.
    fn is_ended(&self) -> bool {
        let has_lived = self.is_started() || self.has_telemetry;
        !self.failed && (!self.ends_ms.is_empty() || self.ingest_ended && has_lived)
    }
}

impl Oracle {
    pub(crate) fn read(text: &[u8]) -> Self {
        let mut oracle = Self::default();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            oracle.lines += 1;
            // What is not JSON is refused, and an id that was there before is a repeat.
            let Ok(event) = serde_json::from_slice::<Value>(line) else { continue };
            let id = ["eventId", "id"].iter().find_map(|name| event[*name].as_str());
            if id.is_none_or(|id| oracle.seen.insert(id.to_owned())) {
                oracle.add(&event);
            }
        }
        oracle
    }

    fn add(&mut self, event: &Value) {
        match (event["type"].as_str(), event["eventType"].as_str()) {
            (Some("player_telemetry"), _) => {
                self.reports += 1;
                self.add_player(event);
            }
            (_, Some("metrics_update")) => {
                self.reports += 1;
                self.add_gauge(event);
            }
            (_, Some("stream_start")) => {
                self.session(event).starts_ms.insert(time_ms(&event["timestamp"]));
            }
            (_, Some("stream_end")) => {
                self.session(event).ends_ms.insert(time_ms(&event["timestamp"]));
            }
            _ => self.add_ivs(event),
        }
    }

    fn session(&mut self, event: &Value) -> &mut Session {
        self.session_of(text(&event["sessionId"]), text(&event["channelId"]))
    }

    fn session_of(&mut self, id: String, channel: String) -> &mut Session {
        let session = self.sessions.entry(id).or_default();
        session.channel = channel;
        session
    }

    fn add_gauge(&mut self, event: &Value) {
        for (metric, field) in [
            ("CurrentViewers", "currentViewers"),
            ("StreamBitrate", "bitrate"),
            ("FrameRate", "frameRate"),
            ("ChatActivity", "chatMessagesPerMinute"),
        ] {
            if let Some(value) = event[field].as_f64() {
                self.sample(metric, event, value, 1.0);
            }
        }
        let viewers = event["currentViewers"].as_f64().unwrap_or(0.0);
        let session = self.session(event);
        session.peak = session.peak.max(viewers);
        session.has_telemetry = true;
    }

    fn add_player(&mut self, event: &Value) {
        for (metric, field) in [
            ("DroppedFrames", "droppedFrames"),
            ("LiveLatency", "latencyMs"),
            ("StartupTime", "startupMs"),
        ] {
            if let Some(value) = event[field].as_f64() {
                self.sample(metric, event, value, 1.0);
            }
        }
        let errors = if event["errorCode"].is_null() { 0.0 } else { 1.0 };
        self.sample("PlayerErrors", event, errors, 1.0);
        if let Some(playing_ms) = event["playingMs"].as_f64() {
            let stalled_ms = event["bufferingMs"].as_f64().unwrap_or(0.0);
            let watched_ms = playing_ms + stalled_ms;
            if watched_ms > 0.0 {
                let percent = 100.0 * stalled_ms / watched_ms;
                self.sample("RebufferRatio", event, percent, watched_ms / 1_000.0);
            }
        }
        let (session, channel) = (text(&event["sessionId"]), text(&event["channelId"]));
        let minute = minute_s(&event["timestamp"]);
        self.players
            .entry((session, channel, minute))
            .or_default()
            .insert(text(&event["playerId"]));
        self.session(event).has_telemetry = true;
    }

    fn add_ivs(&mut self, event: &Value) {
        let detail = &event["detail"];
        let time_ms = time_ms(&event["time"]);
        let arn = event["resources"][0].as_str();
        let channel = arn.and_then(|arn| arn.rsplit('/').next()).map(str::to_owned);
        if event["detail-type"] == "IVS Limit Breach" {
            *self.breaches.entry(None).or_default() += 1.0;
            if channel.is_some() {
                *self.breaches.entry(channel).or_default() += 1.0;
            }
            return;
        }
        let (Some(id), Some(channel)) = (detail["stream_id"].as_str(), channel) else { return };
        let session = self.session_of(id.to_owned(), channel);
        match detail["event_name"].as_str() {
            Some("Stream Start") => drop(session.starts_ms.insert(time_ms)),
            Some("Stream End") => drop(session.ends_ms.insert(time_ms)),
            Some("Session Ended") => session.ingest_ended = true,
            Some("Stream Failure") => session.failed = true,
            _ => {}
        }
    }

    fn sample(&mut self, metric: &'static str, event: &Value, value: f64, weight: f64) {
        let minute = minute_s(&event["timestamp"]);
        for channel in [Some(text(&event["channelId"])), None] {
            self.points.entry((metric, channel, minute)).or_default().push((value, weight));
        }
    }

    /// Distinct players: of each channel's largest session, and the largest of all.
    pub(crate) fn active_players(&self) -> BTreeMap<(Option<String>, i64), f64> {
        let mut found: BTreeMap<_, f64> = BTreeMap::new();
        for ((_, channel, minute), players) in &self.players {
            for channel in [Some(channel.clone()), None] {
                let most = found.entry((channel, *minute)).or_default();
                *most = most.max(players.len() as f64);
            }
        }
        found
    }

    /// Returns how often each channel's streams, and all, started and ended, and exceeded limits.
    pub(crate) fn totals(&self) -> BTreeMap<(&'static str, Option<String>), f64> {
        let mut found = BTreeMap::new();
        for (channel, count) in &self.breaches {
            found.insert(("LimitBreaches", channel.clone()), *count);
        }
        let mut count = |metric, session: &Session| {
            for channel in [Some(session.channel.clone()), None] {
                *found.entry((metric, channel)).or_default() += 1.0;
            }
        };
        for session in self.sessions.values() {
            if session.is_started() {
                count("StreamsStarted", session);
            }
            if session.is_ended() {
                count("StreamsEnded", session);
            }
        }
        found
    }

    /// Returns what the bus is told of sessions: session and kind, sorted.
    pub(crate) fn told(&self) -> Vec<(String, String)> {
        let mut told = vec![];
        for (id, session) in &self.sessions {
            if session.is_ended() {
                told.push((id.clone(), "Session Ended".to_owned()));
            }
            if session.is_started() {
                told.push((id.clone(), "Session Started".to_owned()));
            }
        }
        told
    }

    /// Returns seconds of each channel's streams together, where every stream of the channel has
    /// one start and at most one end: no order of arrival can show then.
    pub(crate) fn durations(&self) -> BTreeMap<String, f64> {
        let mut found: HashMap<&str, Option<f64>> = HashMap::new();
        for session in self.sessions.values() {
            let sum = found.entry(&session.channel).or_insert(Some(0.0));
            let (starts, ends) = (&session.starts_ms, &session.ends_ms);
            *sum = match (starts.first(), ends.first()) {
                (Some(start), Some(end)) if starts.len() == 1 && ends.len() == 1 => {
                    sum.map(|sum| sum + (end - start) as f64 / 1_000.0)
                }
                (Some(_), None) if starts.len() == 1 => *sum,
                (None, None) => *sum,
                _ => None,
            };
        }
        let known = |(channel, sum): (&str, Option<f64>)| Some((channel.to_owned(), sum?));
        found.into_iter().filter_map(known).filter(|(_, sum)| *sum > 0.0).collect()
    }

    /// Returns the largest audience of any stream.
    pub(crate) fn peak(&self) -> f64 {
        self.sessions.values().map(|session| session.peak).fold(0.0, f64::max)
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("an id").to_owned()
}

fn time_ms(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| {
        let time: jiff::Timestamp = value.as_str().expect("a time").parse().expect("RFC 3339");
        time.as_millisecond()
    })
}

fn minute_s(value: &Value) -> i64 {
    time_ms(value).div_euclid(60_000) * 60
}
