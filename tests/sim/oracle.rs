//! The expected output, computed from the log alone and by other means than the program's: plain
//! sums, sets and sorted lists, and a duplicate rule that looks at every earlier record.

use std::collections::{BTreeMap, BTreeSet};

use ivs_core::experience::Dimension;
use ivs_core::window::WindowAgg;
use kinesis_model::Position;

use crate::log::{FactTold, HORIZON_MS, Line, Meaning, ShardLog, ViewTold, country};

const LATE_AFTER_MS: i64 = 14 * 24 * 3_600_000;

/// (session, minute start in seconds).
pub(crate) type Key = (u64, i64);

/// The program's treatment of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Accepted,
    Duplicate,
    Rejected,
}

/// A row as the oracle has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Expected {
    records: u64,
    gauges: u64,
    viewers: Vec<i64>,
    last: Option<(i64, i64)>,
    players: BTreeSet<u64>,
    latencies: Vec<i64>,
    buffering_ms: i64,
    told: Vec<ViewTold>,
    /// Records of Japan, and of a country that is not listed.
    countries: [u64; 2],
}

/// A classified line.
pub(crate) struct Judged<'a> {
    pub(crate) line: &'a Line,
    pub(crate) position: Position,
    pub(crate) class: Class,
    pub(crate) late: bool,
}

/// Classifies a shard's lines, less those that expired unread.
pub(crate) fn judge(shard: &ShardLog) -> Vec<Judged<'_>> {
    let mut latest = i64::MIN;
    let mut earlier: Vec<(i64, u64)> = vec![];
    let mut judged = vec![];
    for line in shard.lines.iter().filter(|line| !shard.lost.contains(&line.position())) {
        latest = latest.max(line.arrival_ms);
        let class = match line.meaning {
            Meaning::Malformed => Class::Rejected,
            Meaning::Player { id, .. } => {
                let repeats = earlier.iter().any(|&(at, i)| i == id && latest - at <= HORIZON_MS);
                earlier.push((latest, id));
                if repeats { Class::Duplicate } else { Class::Accepted }
            }
            _ => Class::Accepted,
        };
        let late = match line.meaning {
            Meaning::Gauge { time_ms, .. }
            | Meaning::Player { time_ms, .. }
            | Meaning::Fact { time_ms, .. } => time_ms < line.arrival_ms - LATE_AFTER_MS,
            Meaning::Malformed => false,
        };
        judged.push(Judged {
            line,
            position: line.position(),
            class,
            late: late && class == Class::Accepted,
        });
    }
    judged
}

impl Expected {
    fn add(&mut self, meaning: &Meaning) {
        self.records += 1;
        match *meaning {
            Meaning::Gauge { time_ms, viewers, .. } => {
                self.gauges += 1;
                self.viewers.push(viewers);
                self.last = self.last.max(Some((time_ms, viewers)));
            }
            Meaning::Player { id, player, latency_ms, buffering_ms, .. } => {
                self.told.extend(ViewTold::of(id));
                match country(id) {
                    Some("JP") => self.countries[0] += 1,
                    Some(_) => self.countries[1] += 1,
                    None => {}
                }
                self.players.insert(player);
                self.latencies.push(latency_ms);
                self.buffering_ms += buffering_ms;
            }
            Meaning::Fact { .. } | Meaning::Malformed => {}
        }
    }

    /// Returns whether the program's aggregate says the same.
    pub(crate) fn agrees(&self, agg: &WindowAgg) -> bool {
        let micros = |v: i64| i128::from(v) * 1_000_000;
        let viewers = &agg.viewers.stat;
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        let ranked = |p: f64| {
            let rank = (p * (latencies.len().checked_sub(1)? as f64)).floor();
            latencies.get(rank as usize).map(|&v| v as u32)
        };
        agg.records == self.records
            && agg.gauges == self.gauges
            && agg.player_records == self.latencies.len() as u64
            && viewers.total.count == self.viewers.len() as u64
            && viewers.total.sum.0 == self.viewers.iter().copied().map(micros).sum::<i128>()
            && viewers.min().map(|v| i128::from(v.micros()))
                == self.viewers.iter().min().copied().map(micros)
            && viewers.max().map(|v| i128::from(v.micros()))
                == self.viewers.iter().max().copied().map(micros)
            && agg.viewers.last.map(|last| (last.time.0, i128::from(last.value.micros())))
                == self.last.map(|(time, value)| (time, micros(value)))
            && agg.active_players() == self.players.len() as u64
            && agg.buffering_ms.sum.0 == micros(self.buffering_ms)
            && agg.latency.quantile_ms(0.5) == ranked(0.5)
            && agg.latency.quantile_ms(0.99) == ranked(0.99)
            && self.views_agree(agg)
    }

    fn views_agree(&self, agg: &WindowAgg) -> bool {
        let count = |wanted| self.told.iter().filter(|told| **told == wanted).count() as u64;
        let views = &agg.views;
        let told = [views.attempts, views.starts, views.start_failures(), views.exits_before_start];
        let wanted = [ViewTold::Attempt, ViewTold::Start, ViewTold::Failure, ViewTold::Exit];
        let of = |name: &str| {
            let mut slices = agg.breakdown.of(Dimension::Country);
            slices.find(|(value, _)| &***value == name).map_or(0, |(_, slice)| slice.records)
        };
        told == wanted.map(count)
            && views.events == self.told.len() as u64
            && agg.concurrent_views().unwrap_or_default() == self.players.len() as u64
            && [of("JP"), of("other")] == self.countries
    }
}

/// Returns the rows that the accepted lines up to the given positions must give.
pub(crate) fn rows<'a>(
    judged: &'a [Vec<Judged<'a>>],
    upto: impl Fn(Key, usize) -> Option<Position>,
) -> BTreeMap<Key, Expected> {
    let mut rows: BTreeMap<Key, Expected> = BTreeMap::new();
    for (shard, lines) in judged.iter().enumerate() {
        for judged in lines.iter().filter(|j| j.class == Class::Accepted) {
            let (Meaning::Gauge { session, time_ms, .. }
            | Meaning::Player { session, time_ms, .. }) = judged.line.meaning
            else {
                continue;
            };
            let key = (session, time_ms.div_euclid(60_000) * 60);
            if Some(judged.position) <= upto(key, shard) {
                rows.entry(key).or_default().add(&judged.line.meaning);
            }
        }
    }
    rows
}

/// Returns of each session what was said of its encoder latest, and when: of several at that time the
/// largest height.
pub(crate) fn encoders<'a>(judged: impl Iterator<Item = Judged<'a>>) -> BTreeMap<u64, (i64, i64)> {
    let mut latest: BTreeMap<u64, (i64, i64)> = BTreeMap::new();
    for judged in judged.filter(|judged| judged.class == Class::Accepted) {
        let Meaning::Fact { session, time_ms, told } = judged.line.meaning else { continue };
        if let FactTold::Encoder { height, .. } = told {
            let known = latest.entry(session).or_insert((time_ms, height));
            *known = (*known).max((time_ms, height));
        }
    }
    latest
}
