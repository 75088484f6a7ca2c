//! The views that an input tells of, counted by other means than the program's. Nothing of `ivs-core` is
//! used here.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Value, json};

use super::object;

/// Dimension, and the member of a record that has it.
const DIMENSIONS: [(&str, &str); 5] = [
    ("device", "device"),
    ("os", "os"),
    ("country", "country"),
    ("cdn", "cdn"),
    ("rendition", "resolution"),
];

/// The figures of a value of a dimension.
#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    records: u64,
    attempts: u64,
    starts: u64,
    failures: u64,
    playing_ms: u64,
    stalled_ms: u64,
    stalls: u64,
}

/// A minute of a session, or a session.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    told: u64,
    attempts: u64,
    starts: u64,
    technical: u64,
    business: u64,
    exits: u64,
    broken: u64,
    ended: u64,
    playing_ms: u64,
    stalled_ms: u64,
    startups_ms: Vec<u64>,
    bitrates_bps: Vec<u64>,
    views: BTreeSet<String>,
    slices: BTreeMap<(&'static str, String), Slice>,
}

/// All minutes.
pub(super) struct Oracle {
    pub(super) minutes: BTreeMap<(String, i64), Tally>,
    pub(super) repeated: u64,
}

impl Oracle {
    pub(super) fn read(text: &[u8], countries: &[&str]) -> Self {
        let mut oracle = Self { minutes: BTreeMap::new(), repeated: 0 };
        let mut seen = HashSet::new();
        for line in text.split(|byte| *byte == b'\n') {
            let Ok(record) = serde_json::from_slice::<Value>(line) else { continue };
            if record["type"] != "player_telemetry" {
                continue;
            }
            if !seen.insert(record["eventId"].as_str().unwrap().to_owned()) {
                oracle.repeated += 1;
                continue;
            }
            let at_ms = match &record["timestamp"] {
                Value::String(text) => text.parse::<jiff::Timestamp>().unwrap().as_millisecond(),
                number => number.as_i64().unwrap(),
            };
            let session = record["sessionId"].as_str().unwrap().to_owned();
            let key = (session, at_ms.div_euclid(60_000) * 60);
            oracle.minutes.entry(key).or_default().add(&record, countries);
        }
        oracle
    }

    pub(super) fn sessions(&self) -> BTreeMap<String, Tally> {
        let mut sessions: BTreeMap<String, Tally> = BTreeMap::new();
        for ((session, _), minute) in &self.minutes {
            sessions.entry(session.clone()).or_default().merge(minute);
        }
        sessions
    }
}

impl Tally {
    fn add(&mut self, record: &Value, countries: &[&str]) {
        let number = |name: &str| record[name].as_u64();
        let stalled_ms = number("bufferingMs").unwrap_or_default();
        let mut slice = Slice { records: 1, ..Slice::default() };
        if let Some(event) = record["viewEvent"].as_str() {
            self.told += 1;
            let left = record["viewStarted"] == false;
            let count = match (event, record["failureKind"].as_str()) {
                ("attempt", _) => &mut self.attempts,
                ("start", _) => &mut self.starts,
                ("failure", Some("business")) => &mut self.business,
                ("failure", _) => &mut self.technical,
                ("error", _) => &mut self.broken,
                ("end", _) if left => &mut self.exits,
                ("end", _) => &mut self.ended,
                other => panic!("{other:?}"),
            };
            *count += 1;
            slice.attempts = u64::from(event == "attempt");
            slice.starts = u64::from(event == "start");
            let is_business = record["failureKind"] == "business";
            slice.failures = u64::from(event == "error" || event == "failure" && !is_business);
        }
        if let Some(playing_ms) = number("playingMs") {
            (slice.playing_ms, slice.stalled_ms) = (playing_ms, stalled_ms);
            self.playing_ms += playing_ms;
            self.stalled_ms += stalled_ms;
        }
        slice.stalls = number("rebufferCount").unwrap_or_default();
        self.startups_ms.extend(number("startupMs"));
        self.bitrates_bps.extend(number("bitrate"));
        let plays = record["state"] == "PLAYING"
            || record["viewEvent"] == "start"
            || number("playingMs").is_some_and(|ms| ms > 0);
        if plays {
            self.views.insert(record["viewId"].as_str().unwrap().to_owned());
        }
        for (dimension, member) in DIMENSIONS {
            let Some(value) = record[member].as_str() else { continue };
            let listed = countries.iter().find(|country| country.eq_ignore_ascii_case(value));
            let value = match (dimension, listed) {
                ("country", Some(listed)) => *listed,
                ("country", None) => "other",
                _ => value,
            };
            self.slices.entry((dimension, value.to_owned())).or_default().add(&slice);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.told += other.told;
        self.attempts += other.attempts;
        self.starts += other.starts;
        self.technical += other.technical;
        self.business += other.business;
        self.exits += other.exits;
        self.broken += other.broken;
        self.ended += other.ended;
        self.playing_ms += other.playing_ms;
        self.stalled_ms += other.stalled_ms;
        self.startups_ms.extend(&other.startups_ms);
        self.bitrates_bps.extend(&other.bitrates_bps);
    }

    /// The columns of a row.
    pub(super) fn counts(&self) -> [(&'static str, Option<u64>); 8] {
        let told = |count| (self.told > 0).then_some(count);
        let views = self.views.len() as u64;
        [
            ("view_attempts", (self.attempts > 0).then_some(self.attempts)),
            ("view_starts", told(self.starts)),
            ("start_failures_technical", told(self.technical)),
            ("start_failures_business", told(self.business)),
            ("exits_before_start", told(self.exits)),
            ("playback_failures", told(self.broken)),
            ("views_ended", told(self.ended)),
            ("concurrent_views", (views > 0).then_some(views)),
        ]
    }

    /// The attributes of a summary. Of all who asked and neither saw a picture nor failed, nobody says
    /// so for some.
    pub(super) fn attributes(&self) -> [(&'static str, Option<u64>); 7] {
        let outcomes = self.starts + self.technical + self.business;
        let told = |count| (self.told > 0).then_some(count);
        let asked = (self.attempts > 0).then_some(self.attempts);
        let exits = match asked {
            Some(asked) => Some(asked.saturating_sub(outcomes)),
            None => (self.exits > 0).then_some(self.exits),
        };
        [
            ("viewAttempts", asked),
            ("viewStarts", told(self.starts)),
            ("startFailuresTechnical", told(self.technical)),
            ("startFailuresBusiness", told(self.business)),
            ("exitsBeforeStart", exits),
            ("playbackFailures", told(self.broken)),
            ("viewsEnded", told(self.ended)),
        ]
    }

    pub(super) fn view_time_ms(&self) -> f64 {
        (self.playing_ms + self.stalled_ms) as f64
    }

    pub(super) fn breakdowns(&self) -> Value {
        let mut dimensions: BTreeMap<&str, Vec<(String, Value)>> = BTreeMap::new();
        for ((dimension, value), slice) in &self.slices {
            let figures = json!({
                "records": slice.records,
                "attempts": slice.attempts,
                "starts": slice.starts,
                "failures": slice.failures,
                "playingMs": slice.playing_ms,
                "stalledMs": slice.stalled_ms,
                "stalls": slice.stalls,
            });
            dimensions.entry(*dimension).or_default().push((value.clone(), figures));
        }
        let named = |(name, values): (&str, Vec<_>)| (name.to_owned(), object(values));
        object(dimensions.into_iter().map(named))
    }

    /// The score by the words of `docs/metrics.md`.
    pub(super) fn score(&self) -> Option<f64> {
        let straight =
            |value: f64, good: f64, bad: f64| ((bad - value) / (bad - good)).clamp(0.0, 1.0);
        let mean = |values: &[u64]| {
            let sum: u64 = values.iter().sum();
            (!values.is_empty()).then(|| sum as f64 / values.len() as f64)
        };
        let failed = self.technical + self.broken;
        let views = self.attempts.max(self.starts + self.technical + self.business).max(failed);
        let watched = self.view_time_ms();
        let stalls = (watched > 0.0).then(|| self.stalled_ms as f64 / watched);
        let failures = (views > 0).then(|| failed as f64 / views as f64);
        if stalls.is_none() && failures.is_none() {
            return None;
        }
        let parts = [
            (20.0, mean(&self.startups_ms).map(|ms| straight(ms, 1_000.0, 8_000.0))),
            (40.0, stalls.map(|share| straight(share, 0.0, 0.1))),
            (25.0, failures.map(|share| straight(share, 0.0, 0.1))),
            (15.0, mean(&self.bitrates_bps).map(|bps| (bps / 3e6).clamp(0.0, 1.0))),
        ];
        let known = || parts.iter().filter_map(|(weight, part)| Some((weight, (*part)?)));
        let weights: f64 = known().map(|(weight, _)| weight).sum();
        Some(known().map(|(weight, part)| weight * part).sum::<f64>() * 100.0 / weights)
    }
}

impl Slice {
    fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.attempts += other.attempts;
        self.starts += other.starts;
        self.failures += other.failures;
        self.playing_ms += other.playing_ms;
        self.stalled_ms += other.stalled_ms;
        self.stalls += other.stalls;
    }
}

/// Whether two doubles say the same.
pub(super) fn close(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * other.abs().max(1.0)
}
