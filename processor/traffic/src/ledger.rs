//! The delivered traffic, counted in such a way that the stored rows can be checked against it.
//!
//! Feed it what was really delivered, once each; repeats and damaged lines count in the totals
//! only, for they must change no row.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Kind, Produced, Sample, ViewEvent};

/// How many differences [`Ledger::check`] lists at most: enough to see what is wrong.
const MAX_MISMATCHES: usize = 1_000;

/// How many lines were delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Lines of every sort.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Good lines by kind, repeats not included.
    pub by_kind: BTreeMap<Kind, u64>,
    /// Repeats.
    pub duplicates: u64,
    /// Damaged lines.
    pub malformed: u64,
    /// Lines that arrived a second or more after their event time.
    pub late: u64,
}

/// The row that one session and minute must have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Gauges and player records.
    pub records: u64,
    /// Gauges.
    pub gauges: u64,
    /// Player records.
    pub player_records: u64,
    /// Sum of `currentViewers`.
    pub viewers_sum: u64,
    /// Largest `currentViewers`; absent without a gauge.
    pub viewers_max: Option<u64>,
    /// `currentViewers` at the latest event time; the larger value wins a tie.
    pub viewers_last: Option<u64>,
    /// Sum of `bufferingMs`.
    pub buffering_ms: u64,
    /// Sum of `playingMs`.
    #[serde(default)]
    pub playing_ms: u64,
    /// Views.
    #[serde(default)]
    pub views: Views,
}

/// The outcomes of views.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Views {
    /// Play requests.
    pub attempts: u64,
    /// First frames.
    pub starts: u64,
    /// Failures to start that something broke.
    pub failures_technical: u64,
    /// Failures to start that were meant.
    pub failures_business: u64,
    /// Views that broke off.
    pub errors: u64,
    /// Other ends.
    pub ends: u64,
    /// Ends before the start.
    pub exits_before_start: u64,
}

/// A row as it was read from the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredWindow {
    /// `sessionId`.
    pub session_id: String,
    /// `metricTimestamp`, epoch seconds.
    pub minute_s: i64,
    /// The numbers.
    #[serde(flatten)]
    pub window: Window,
}

/// A difference between the ledger and the stored rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "difference")]
pub enum Mismatch {
    /// There should be a row.
    #[serde(rename_all = "camelCase")]
    Missing {
        /// Session.
        session_id: String,
        /// Minute, epoch seconds.
        minute_s: i64,
        /// The expected content.
        expected: Window,
    },
    /// There should be no row.
    #[serde(rename_all = "camelCase")]
    Extra {
        /// Session.
        session_id: String,
        /// Minute, epoch seconds.
        minute_s: i64,
        /// The stored content.
        stored: Window,
    },
    /// The row holds something else.
    #[serde(rename_all = "camelCase")]
    Different {
        /// Session.
        session_id: String,
        /// Minute, epoch seconds.
        minute_s: i64,
        /// The expected content.
        expected: Window,
        /// The stored content.
        stored: Window,
    },
}

/// An open count, and the event time of its [`Window::viewers_last`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct LedgerEntry {
    window: Window,
    last_ms: Option<i64>,
}

type Key = (i64, Arc<str>);

/// The ledger. It remembers the latest minutes only, up to a number of windows; what is older is
/// forgotten whole minutes at a time and no longer checked. Serializes, so that a run can be
/// checked after the fact.
///
/// ```
/// use ivs_traffic::{Generator, GeneratorConfig, Ledger};
///
/// let config = GeneratorConfig { channels: 2, viewers: 10, ..GeneratorConfig::default() };
/// let mut ledger = Ledger::new(1_000);
/// Generator::new(config).take(500).for_each(|produced| ledger.record(&produced));
/// assert_eq!(ledger.totals().records, 500);
/// assert!(ledger.check(ledger.windows()).is_empty(), "its own rows are right");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "LedgerFile", from = "LedgerFile")]
pub struct Ledger {
    totals: Totals,
    windows: BTreeMap<Key, LedgerEntry>,
    max_windows: usize,
    /// Minutes before this one are forgotten, epoch seconds.
    remembered_from_s: i64,
}

impl Ledger {
    /// Returns an empty ledger that remembers at most `max_windows` pairs of session and minute,
    /// each of them about 200 bytes.
    #[must_use]
    pub fn new(max_windows: usize) -> Self {
        Self {
            totals: Totals::default(),
            windows: BTreeMap::new(),
            max_windows: max_windows.max(1),
            remembered_from_s: i64::MIN,
        }
    }

    /// Counts a line that was delivered.
    pub fn record(&mut self, produced: &Produced) {
        let totals = &mut self.totals;
        totals.records += 1;
        totals.bytes += produced.line.len() as u64;
        totals.late += u64::from(produced.arrival_ms - produced.event_time_ms >= 1_000);
        totals.duplicates += u64::from(produced.is_duplicate);
        totals.malformed += u64::from(produced.is_malformed);
        if produced.is_duplicate || produced.is_malformed {
            return;
        }
        *totals.by_kind.entry(produced.kind).or_default() += 1;
        let (Sample::Gauge { session_id, .. } | Sample::Player { session_id, .. }) =
            &produced.sample
        else {
            return;
        };
        let minute_s = produced.event_time_ms.div_euclid(60_000) * 60;
        if minute_s < self.remembered_from_s {
            return;
        }
        let entry = self.windows.entry((minute_s, Arc::clone(session_id))).or_default();
        entry.add(produced);
        while self.windows.len() > self.max_windows {
            self.forget_oldest_minute();
        }
    }

    fn forget_oldest_minute(&mut self) {
        let Some(((minute_s, _), _)) = self.windows.first_key_value() else {
            return;
        };
        self.remembered_from_s = minute_s + 60;
        self.windows = self.windows.split_off(&(self.remembered_from_s, Arc::from("")));
    }

    /// Returns what was delivered in all.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Returns the remembered windows, by minute and session.
    pub fn windows(&self) -> impl Iterator<Item = StoredWindow> {
        self.windows.iter().map(|((minute_s, session_id), entry)| StoredWindow {
            session_id: session_id.to_string(),
            minute_s: *minute_s,
            window: entry.window.clone(),
        })
    }

    /// Compares the stored rows, in any order, with what they must hold. Rows of forgotten minutes
    /// are passed over. Lists the first thousand differences; an empty list means all is well.
    pub fn check(&self, rows: impl IntoIterator<Item = StoredWindow>) -> Vec<Mismatch> {
        let mut stored: BTreeMap<(i64, Arc<str>), Window> = rows
            .into_iter()
            .filter(|row| row.minute_s >= self.remembered_from_s)
            .map(|row| ((row.minute_s, row.session_id.into()), row.window))
            .collect();
        let mut mismatches = Vec::new();
        for ((minute_s, session_id), entry) in &self.windows {
            let (minute_s, expected) = (*minute_s, entry.window.clone());
            match stored.remove(&(minute_s, Arc::clone(session_id))) {
                Some(stored) if stored == expected => {}
                Some(stored) => {
                    let session_id = session_id.to_string();
                    mismatches.push(Mismatch::Different { session_id, minute_s, expected, stored });
                }
                None => {
                    let session_id = session_id.to_string();
                    mismatches.push(Mismatch::Missing { session_id, minute_s, expected });
                }
            }
        }
        let extra = stored.into_iter().map(|((minute_s, session_id), stored)| Mismatch::Extra {
            session_id: session_id.to_string(),
            minute_s,
            stored,
        });
        mismatches.extend(extra);
        mismatches.truncate(MAX_MISMATCHES);
        mismatches
    }
}

/// A [`Ledger`] as JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LedgerFile {
    totals: Totals,
    max_windows: usize,
    remembered_from_s: i64,
    windows: Vec<FileWindow>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileWindow {
    #[serde(flatten)]
    row: StoredWindow,
    viewers_last_ms: Option<i64>,
}

impl From<Ledger> for LedgerFile {
    fn from(ledger: Ledger) -> Self {
        let windows = ledger.windows.into_iter().map(|((minute_s, session_id), entry)| {
            let session_id = session_id.to_string();
            let row = StoredWindow { session_id, minute_s, window: entry.window };
            FileWindow { row, viewers_last_ms: entry.last_ms }
        });
        Self {
            totals: ledger.totals,
            max_windows: ledger.max_windows,
            remembered_from_s: ledger.remembered_from_s,
            windows: windows.collect(),
        }
    }
}

impl From<LedgerFile> for Ledger {
    fn from(file: LedgerFile) -> Self {
        let windows = file.windows.into_iter().map(|FileWindow { row, viewers_last_ms }| {
            let entry = LedgerEntry { window: row.window, last_ms: viewers_last_ms };
            ((row.minute_s, row.session_id.into()), entry)
        });
        Self {
            totals: file.totals,
            windows: windows.collect(),
            max_windows: file.max_windows,
            remembered_from_s: file.remembered_from_s,
        }
    }
}

impl Views {
    fn add(&mut self, event: Option<ViewEvent>) {
        let Some(event) = event else { return };
        *match event {
            ViewEvent::Attempt => &mut self.attempts,
            ViewEvent::Start => &mut self.starts,
            ViewEvent::FailureTechnical => &mut self.failures_technical,
            ViewEvent::FailureBusiness => &mut self.failures_business,
            ViewEvent::Error => &mut self.errors,
            ViewEvent::End => &mut self.ends,
            ViewEvent::ExitBeforeStart => &mut self.exits_before_start,
        } += 1;
    }
}

impl LedgerEntry {
    fn add(&mut self, produced: &Produced) {
        let window = &mut self.window;
        window.records += 1;
        match produced.sample {
            Sample::Gauge { viewers, .. } => {
                window.gauges += 1;
                window.viewers_sum += viewers;
                window.viewers_max = window.viewers_max.max(Some(viewers));
                let candidate = (Some(produced.event_time_ms), Some(viewers));
                if candidate > (self.last_ms, window.viewers_last) {
                    (self.last_ms, window.viewers_last) = candidate;
                }
            }
            Sample::Player { told, .. } => {
                window.player_records += 1;
                window.buffering_ms += told.buffering_ms;
                window.playing_ms += told.playing_ms.unwrap_or_default();
                window.views.add(told.event);
            }
            Sample::Fact => {}
        }
    }
}
