//! The stored items of a session are a function of its records: of no order, repetition or split.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ivs_core::decode::{DecodeLimits, Event, decode};
use ivs_core::row::{Applied, apply};
use ivs_core::session::{SessionDeltas, SessionFold, TimelineItem, attribute_names, milestones};
use ivs_core::window::WindowFold;
use ivs_schemas::items::sessions as names;
use kinesis_model::{EpochMs, Position, ShardId};
use proptest::prelude::*;

use super::codec::Item;
use super::{own_names, summary, timeline};

/// Lines of one session; `%S` is the second.
const KINDS: [&str; 12] = [
    r#"{"event_name":"Session Created","#,
    r#"{"event_name":"Stream Start","#,
    r#"{"event_name":"Stream End","#,
    r#"{"event_name":"Session Ended","#,
    r#"{"event_name":"Stream Failure","reason":"capacity","#,
    r#"{"event_name":"Stream Takeover","#,
    r#"{"event_name":"Starvation Start","#,
    r#"{"event_name":"Starvation End","#,
    r#"{"event_name":"Something New","#,
    r#"{"limit_name":"Ingest Bitrate","limit_value":8500000,"exceeded_by":7,"#,
    r#"{"eventType":"stream_start","streamTitle":"t","streamerUserId":"u","#,
    r#"{"eventType":"stream_end","duration":9,"peakViewers":7,"totalChatMessages":3,"#,
];
const CREATED: usize = 0;
const START: usize = 1;
const END: usize = 2;
const SESSION_ENDED: usize = 3;
const FAILURE: usize = 4;
const STARVED: usize = 6;
const RECOVERED: usize = 7;
const BREACH: usize = 9;
const APP_START: usize = 10;
const APP_END: usize = 11;

fn fact(kind: usize, second: u32) -> String {
    let head = KINDS[kind];
    let time = format!("2026-03-01T12:00:{second:02}Z");
    if head.contains("eventType") {
        return format!(r#"{head}"sessionId":"st-1","channelId":"c","timestamp":"{time}"}}"#);
    }
    let detail_type = match kind {
        STARVED | RECOVERED => "IVS Stream Health Change",
        BREACH => "IVS Limit Breach",
        _ => "IVS Stream State Change",
    };
    format!(
        r#"{{"id":"i","detail-type":"{detail_type}","source":"aws.ivs","account":"111122223333","time":"{time}","region":"r","resources":["arn:aws:ivs:r:111122223333:channel/c"],"detail":{head}"channel_name":"n","stream_id":"st-1"}}}}"#
    )
}

fn report(second: u32) -> String {
    format!(
        r#"{{"type":"player_telemetry","schemaVersion":1,"eventId":"e","sessionId":"st-1","channelId":"c","playerId":"p{second}","timestamp":"2026-03-01T12:00:{second:02}.5Z","state":"PLAYING","bitrate":{second}00000,"playingMs":9000,"bufferingMs":{second}}}"#
    )
}

/// Returns what an epoch of these lines adds.
fn deltas(lines: &[&str]) -> SessionDeltas {
    let (mut windows, mut sessions) = (WindowFold::default(), SessionFold::default());
    for line in lines {
        let arrival = EpochMs(1_772_366_500_000);
        match decode(line.as_bytes(), arrival, &DecodeLimits::default()).unwrap() {
            Event::Player(sample) => windows.add_player(&sample),
            Event::Fact(fact) => sessions.add_fact(&fact),
            other => panic!("{other:?}"),
        }
    }
    for (key, agg) in windows.drain() {
        sessions.absorb_window(&key, &agg);
    }
    sessions.drain()
}

/// `StreamingSessions` in memory, with the conditions of [`crate::sink::rows`].
#[derive(Clone, Default)]
struct Table {
    summaries: BTreeMap<Arc<str>, Item>,
    /// By sort key.
    timeline: BTreeMap<i64, Item>,
}

/// The content that must depend on the records alone: summaries and timeline, and which milestones
/// were told.
type Contents = (Vec<Item>, Vec<Item>, BTreeSet<String>);

impl Table {
    /// Writes an epoch, and once more as after a lost reply.
    fn write(&mut self, shard: &ShardId, to: u128, deltas: &SessionDeltas) {
        let to = Position { sequence: to.into(), sub: 0 };
        for _ in 0..2 {
            for (id, delta) in &deltas.summaries {
                let stored = self.summaries.get(id).map(|item| summary::decode(item).unwrap().1);
                let row = match apply(stored.as_ref(), delta, shard, to) {
                    Applied::Already => stored.unwrap(),
                    Applied::Put { row, .. } => row,
                };
                let item = summary::encode(id, &row, None);
                let others =
                    item.keys().filter(|name| !own_names::SUMMARY.contains(&name.as_str()));
                assert_eq!(others.count(), 2, "names beside the key: {item:?}");
                self.summaries.insert(Arc::clone(id), item);
                for milestone in milestones(id, delta, &row.agg) {
                    self.insert(&milestone, shard, to);
                }
            }
            for fact in &deltas.timeline {
                self.insert(fact, shard, to);
            }
        }
    }

    fn insert(&mut self, fact: &TimelineItem, shard: &ShardId, to: Position) {
        let origin = timeline::origin(shard, to);
        let item = timeline::encode(fact, &origin, None);
        let print = |item: &Item| -> u64 {
            item[attribute_names::FINGERPRINT].as_n().unwrap().parse().unwrap()
        };
        let stored = self.timeline.get(&fact.sort_key_ms).map(print);
        if stored.is_none_or(|stored| stored > fact.fingerprint) {
            self.timeline.insert(fact.sort_key_ms, item);
        }
    }

    fn contents(&self) -> Contents {
        let bare = |item: &Item| {
            let mut item = item.clone();
            // Who wrote an item, and how often, is told apart from what it says.
            for name in [names::APPLIED, names::VERSION, names::ORIGIN] {
                item.remove(name);
            }
            item
        };
        let told = |(key, item): (&i64, &Item)| {
            (*key < 1_000).then(|| item[names::EVENT_TYPE].as_s().unwrap().clone())
        };
        let facts = self.timeline.range(1_000..).map(|(_, item)| bare(item)).collect();
        let told = self.timeline.iter().filter_map(told).collect();
        (self.summaries.values().map(bare).collect(), facts, told)
    }
}

/// Beyond the position of every record.
const LAST: u128 = 1_000;

/// Writes records in their order. Each has its shard and may be the last of an epoch.
fn written(records: &[(&str, usize, bool)]) -> Contents {
    let shards = ["a", "b", "c"].map(ShardId::new);
    let mut open: [Vec<&str>; 3] = Default::default();
    let mut table = Table::default();
    for (at, (line, shard, closes)) in (1_u128..).zip(records) {
        open[*shard].push(line);
        if *closes {
            table.write(&shards[*shard], at, &deltas(&std::mem::take(&mut open[*shard])));
        }
    }
    for (shard, lines) in shards.iter().zip(&open) {
        table.write(shard, LAST, &deltas(lines));
    }
    table.contents()
}

/// Returns all in one epoch of one shard.
fn at_once(lines: &[String]) -> Contents {
    written(&lines.iter().map(|line| (line.as_str(), 0, false)).collect::<Vec<_>>())
}

/// The same items; and what was told is what all records tell, and perhaps an end or a failure
/// that looked like one when it was told.
fn assert_same(found: &Contents, expected: &Contents) {
    assert_eq!((&found.0, &found.1), (&expected.0, &expected.1));
    let premature = found.2.difference(&expected.2);
    let over = [names::event_type::MILESTONE_ENDED, names::event_type::MILESTONE_FAILED];
    assert!(premature.clone().all(|told| over.contains(&told.as_str())), "{:?}", found.2);
    assert!(found.2.is_superset(&expected.2), "{:?} and not {:?}", found.2, expected.2);
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for order in permutations(last) {
        for place in 0..=order.len() {
            let mut order = order.clone();
            order.insert(place, last);
            all.push(order);
        }
    }
    all
}

/// A few facts, and a report of a player.
struct Scenario {
    /// The addition of an epoch of a subset; the bits of the index say which records are in it.
    deltas: Vec<SessionDeltas>,
    expected: Contents,
    shards: [ShardId; 3],
}

impl Scenario {
    fn new(facts: &[(usize, u32)]) -> Self {
        let mut lines: Vec<String> = facts.iter().map(|(kind, at)| fact(*kind, *at)).collect();
        lines.push(report(20));
        let sets = 0..1 << lines.len();
        let deltas = sets.map(|set| in_any_order(&lines, set)).collect();
        Self { deltas, expected: at_once(&lines), shards: ["a", "b", "c"].map(ShardId::new) }
    }

    /// Returns the set of all records; the report is the last of them.
    fn all(&self) -> usize {
        self.deltas.len() - 1
    }

    /// Writes what is left as every next epoch of either shard, and so on until nothing is.
    /// Checks every way in which the rest can be stored; returns how many there are.
    fn check_rest(&self, table: &Table, left: usize, at: u128) -> usize {
        if left == 0 {
            assert_same(&table.contents(), &self.expected);
            // Every fact again, from a third shard.
            let mut repeated = table.clone();
            repeated.write(&self.shards[2], LAST, &self.deltas[self.all() >> 1]);
            assert_same(&repeated.contents(), &self.expected);
            return 1;
        }
        // Which of the two shards comes first is only a matter of names.
        let shards = &self.shards[..if at == 1 { 1 } else { 2 }];
        let epochs = (1..=left).filter(|set| set & left == *set);
        let epochs = epochs.flat_map(|set| shards.iter().map(move |shard| (set, shard)));
        let ways = epochs.map(|(set, shard)| {
            let mut table = table.clone();
            table.write(shard, at, &self.deltas[set]);
            self.check_rest(&table, left & !set, at + 1)
        });
        ways.sum()
    }
}

/// Returns what an epoch of these records adds, which must not depend on their order in it.
fn in_any_order(lines: &[String], set: usize) -> SessionDeltas {
    let chosen: Vec<&str> =
        (0..lines.len()).filter(|at| set >> at & 1 == 1).map(|at| lines[at].as_str()).collect();
    let expected = deltas(&chosen);
    for order in permutations(chosen.len()) {
        let found = deltas(&order.iter().map(|at| chosen[*at]).collect::<Vec<_>>());
        assert_eq!(found.summaries, expected.summaries, "{chosen:?} {order:?}");
        assert_eq!(found.timeline, expected.timeline, "{chosen:?} {order:?}");
    }
    expected
}

/// An order of records, cut into epochs and dealt to shards, is a sequence of epochs: which records
/// are in each, in which order, and of which shard it is. The order inside an epoch is checked by
/// itself, and then every such sequence.
#[test]
fn every_order_split_and_sharding_of_a_few_records_gives_the_same_items() {
    let scenarios: [&[(usize, u32)]; 7] = [
        &[(START, 3), (STARVED, 10), (END, 40), (SESSION_ENDED, 41)],
        &[(CREATED, 0), (START, 3), (SESSION_ENDED, 40)],
        &[(START, 40), (END, 3), (APP_END, 41)],
        &[(START, 3), (APP_START, 4), (STARVED, 10)],
        &[(STARVED, 10), (RECOVERED, 15), (END, 41)],
        &[(FAILURE, 5), (SESSION_ENDED, 9), (BREACH, 5)],
        &[(START, 3), (END, 3), (APP_END, 3)],
    ];
    for facts in scenarios {
        let scenario = Scenario::new(facts);
        // The sets of every partition of the records, in every order, each of either shard, and half
        // of that mirrored. Of five records: (2·1 + 4·2·15 + 8·6·25 + 16·24·10 + 32·120) / 2.
        let expected = if facts.len() == 4 { 4_501 } else { 365 };
        assert_eq!(scenario.check_rest(&Table::default(), scenario.all(), 1), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_order_repetition_and_split_of_many_records_gives_the_same_items(
        (facts, reports, shuffled) in (
            prop::collection::vec((0..KINDS.len(), 0_u32..20), 1..24),
            prop::collection::btree_set(1_u32..60, 0..8),
            prop::collection::vec(any::<prop::sample::Index>(), 0..16),
        ).prop_flat_map(|(facts, reports, again)| {
            let facts: Vec<String> = facts.iter().map(|(kind, at)| fact(*kind, *at)).collect();
            let reports: Vec<String> = reports.into_iter().map(report).collect();
            let repeated = again.iter().map(|index| index.get(&facts).clone());
            let all: Vec<String> =
                facts.iter().chain(&reports).cloned().chain(repeated).collect();
            (Just(facts), Just(reports), Just(all).prop_shuffle())
        }),
        places in prop::collection::vec((0_usize..3, prop::bool::weighted(0.3)), 48),
    ) {
        let expected = at_once(&[facts, reports].concat());
        let records: Vec<(&str, usize, bool)> = shuffled.iter().zip(&places)
            .map(|(line, (shard, closes))| (line.as_str(), *shard, *closes))
            .collect();
        assert_same(&written(&records), &expected);
    }
}
