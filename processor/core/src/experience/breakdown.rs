//! A window's figures by dimension.

use std::fmt::Write as _;
use std::sync::Arc;

use ivs_schemas::items::metrics::slice::FIGURES;

use super::Dimension;
use crate::fixed::{Fixed, FixedSum};
use crate::merge::Merge;

/// The figures of the viewers that have one value of a dimension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// Records of players.
    pub records: u64,
    /// Play requests.
    pub attempts: u64,
    /// First frames.
    pub starts: u64,
    /// Views that failed for a technical reason, before or after their start.
    pub failures: u64,
    /// Time played, milliseconds.
    pub playing_ms: FixedSum,
    /// Time stalled, of records that tell time played too, milliseconds.
    pub stalled_ms: FixedSum,
    /// Stalls.
    pub stalls: FixedSum,
}

impl Slice {
    /// Adds a number if there is one.
    pub(super) fn add_some(sum: &mut FixedSum, value: Option<Fixed>) {
        if let Some(value) = value {
            *sum += value;
        }
    }

    /// Returns time played and stalled.
    #[must_use]
    pub fn watched_ms(&self) -> FixedSum {
        let mut watched = self.playing_ms;
        watched += self.stalled_ms;
        watched
    }
}

impl Slice {
    /// Returns the figures in the order of `slice::FIGURES`.
    #[must_use]
    pub fn figures(&self) -> [FixedSum; FIGURES.len()] {
        let whole = |count: u64| FixedSum(i128::from(count) * 1_000_000);
        let Self { records, attempts, starts, failures, playing_ms, stalled_ms, stalls } = *self;
        let counts = [records, attempts, starts, failures].map(whole);
        let [records, attempts, starts, failures] = counts;
        [records, attempts, starts, failures, playing_ms, stalled_ms, stalls]
    }

    /// Returns the slice of these figures; `None` if a count is not one.
    #[must_use]
    pub fn of_figures(figures: &[FixedSum; FIGURES.len()]) -> Option<Self> {
        let [records, attempts, starts, failures, playing_ms, stalled_ms, stalls] = *figures;
        let whole = |sum: FixedSum| match sum.0 % 1_000_000 {
            0 => u64::try_from(sum.0 / 1_000_000).ok(),
            _ => None,
        };
        Some(Self {
            records: whole(records)?,
            attempts: whole(attempts)?,
            starts: whole(starts)?,
            failures: whole(failures)?,
            playing_ms,
            stalled_ms,
            stalls,
        })
    }
}

impl Merge for Slice {
    fn merge(&mut self, other: &Self) {
        let Self { records, attempts, starts, failures, playing_ms, stalled_ms, stalls } = other;
        self.records.merge(records);
        self.attempts.merge(attempts);
        self.starts.merge(starts);
        self.failures.merge(failures);
        self.playing_ms += *playing_ms;
        self.stalled_ms += *stalled_ms;
        self.stalls += *stalls;
    }
}

/// A slice and whose it is.
type Entry = ((Dimension, Arc<str>), Slice);

/// The slices of a window, by dimension and value, ascending. A record that does not tell a dimension
/// is in none of its slices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breakdown(Vec<Entry>);

impl Breakdown {
    /// Returns whether no record told a dimension.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the slices, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Dimension, &Arc<str>, &Slice)> {
        self.0.iter().map(|((dimension, value), slice)| (*dimension, value, slice))
    }

    /// Returns heap memory in bytes, about.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Entry>()
    }

    /// Returns the slices as a JSON object by dimension and value; `None` if there are none.
    #[must_use]
    pub fn to_json(&self) -> Option<String> {
        let (mut json, mut of) = (String::new(), None);
        for (dimension, value, slice) in self.iter() {
            if of == Some(dimension) {
                json.push(',');
            } else {
                json.push_str(if of.is_none() { "{" } else { "}," });
                push_name(&mut json, dimension.as_str());
                json.push('{');
                of = Some(dimension);
            }
            push_name(&mut json, value);
            for (at, (name, figure)) in FIGURES.iter().zip(slice.figures()).enumerate() {
                json.push(if at == 0 { '{' } else { ',' });
                push_name(&mut json, name);
                write!(json, "{figure}").expect("a string takes all");
            }
            json.push('}');
        }
        of.map(|_| json + "}}")
    }

    /// Returns the slices of one dimension, ascending by value.
    pub fn of(&self, dimension: Dimension) -> impl Iterator<Item = (&Arc<str>, &Slice)> {
        self.iter().filter(move |(of, ..)| *of == dimension).map(|(_, value, slice)| (value, slice))
    }
}

/// Adds `"name":`.
fn push_name(json: &mut String, name: &str) {
    let quoted = serde_json::to_string(name).expect("a text is JSON");
    json.push_str(&quoted);
    json.push(':');
}

impl FromIterator<Entry> for Breakdown {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut entries: Vec<Entry> = entries.into_iter().collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries.dedup_by(|(key, next), (kept_key, kept)| {
            let same = key == kept_key;
            if same {
                kept.merge(next);
            }
            same
        });
        Self(entries)
    }
}

impl Merge for Breakdown {
    fn merge(&mut self, other: &Self) {
        if other.0.is_empty() {
            return;
        }
        for (key, slice) in &other.0 {
            match self.0.binary_search_by(|(known, _)| known.cmp(key)) {
                Ok(at) => self.0[at].1.merge(slice),
                Err(at) => self.0.insert(at, (key.clone(), *slice)),
            }
        }
    }
}
