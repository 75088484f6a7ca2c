//! The stream as the world knows it: shards, their lineage, and every record with its meaning.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use ivs_tests::rng::Rng;
use kinesis_model::kpl::aggregate;
use kinesis_model::{EpochMs, HashRange, Position, Record, SequenceNumber, ShardId};

/// Duplicates count within this arrival distance; small, so that both sides of it are hit.
pub(crate) const HORIZON_MS: i64 = 60_000;
const START_MS: i64 = 1_750_000_000_000;
/// Most sessions of a stream.
const SESSIONS: u64 = 8;

/// The meaning of a line, known before it is written as bytes.
#[derive(Clone, Debug)]
pub(crate) enum Meaning {
    Gauge { session: u64, time_ms: i64, viewers: i64 },
    Player { session: u64, time_ms: i64, id: u64, player: u64, latency_ms: i64, buffering_ms: i64 },
    Fact { session: u64, time_ms: i64, told: FactTold },
    Malformed,
}

/// The content of a fact.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FactTold {
    Start,
    End,
    /// The encoder's settings, of which the height is one; a worker that asks IVS puts them.
    Encoder {
        id: u64,
        height: i64,
    },
}

/// One line of one Kinesis record.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) sequence: u128,
    pub(crate) sub: u64,
    pub(crate) arrival_ms: i64,
    pub(crate) meaning: Meaning,
}

impl Line {
    pub(crate) fn position(&self) -> Position {
        Position { sequence: self.sequence.into(), sub: self.sub }
    }
}

pub(crate) struct ShardLog {
    pub(crate) id: ShardId,
    pub(crate) parents: Vec<usize>,
    pub(crate) range: HashRange,
    pub(crate) records: Vec<Record>,
    pub(crate) lines: Vec<Line>,
    /// Lines that expired before they were committed.
    pub(crate) lost: BTreeSet<Position>,
}

/// Draws a stream: one to three roots, often a split or a merge, of siblings or of cousins, up to 40
/// records a shard and now and then 150.
pub(crate) fn draw(rng: &mut Rng) -> Vec<ShardLog> {
    let roots = 1 + rng.index(3);
    let mut lineage: Vec<Vec<usize>> = vec![vec![]; roots];
    match rng.below(5) {
        0 => {}
        1 if roots > 1 => lineage.push(vec![0, 1]),
        // A merge of cousins: one of its parents has no lease before the split was read.
        4 if roots > 1 => lineage.extend([vec![0], vec![0], vec![1, roots + 1]]),
        2 => lineage.extend([vec![0], vec![0], vec![roots, roots + 1]]),
        _ => lineage.extend([vec![0], vec![0]]),
    }
    let sessions = if rng.chance(80) { 3 } else { SESSIONS };
    let records = if rng.chance(95) { 40 } else { 150 };
    let mut draw = Draw { rng, next_id: 0, sequence: 0, sessions, records };
    let ranges = ranges(&lineage);
    let shards = lineage.into_iter().zip(ranges).enumerate();
    shards.map(|(number, (parents, range))| draw.shard(number, parents, range)).collect()
}

/// Draws the records of shards whose lineage is given, up to so many each.
pub(crate) fn of_lineage(
    shards: Vec<(Vec<usize>, HashRange)>,
    records: u64,
    rng: &mut Rng,
) -> Vec<ShardLog> {
    let mut draw = Draw { rng, next_id: 0, sequence: 0, sessions: 3, records };
    let shards = shards.into_iter().enumerate();
    shards.map(|(number, (parents, range))| draw.shard(number, parents, range)).collect()
}

/// Hash keys: the roots share the key space evenly, a split halves, a merge joins.
fn ranges(lineage: &[Vec<usize>]) -> Vec<HashRange> {
    let roots = lineage.iter().filter(|parents| parents.is_empty()).count() as u128;
    let mut ranges: Vec<HashRange> = vec![];
    for (number, parents) in lineage.iter().enumerate() {
        let range = match parents.as_slice() {
            [] => {
                let (number, width) = (number as u128, u128::MAX / roots);
                let last = number + 1 == roots;
                HashRange {
                    start: number * width,
                    end: if last { u128::MAX } else { (number + 1) * width - 1 },
                }
            }
            [parent] => {
                let first = lineage[..number].iter().all(|other| !other.contains(parent));
                let [low, high] = halves(ranges[*parent]);
                if first { low } else { high }
            }
            parents => HashRange {
                start: parents.iter().map(|p| ranges[*p].start).min().expect("two parents"),
                end: parents.iter().map(|p| ranges[*p].end).max().expect("two parents"),
            },
        };
        ranges.push(range);
    }
    ranges
}

/// Returns the two sides of a split.
pub(crate) fn halves(HashRange { start, end }: HashRange) -> [HashRange; 2] {
    let middle = start.midpoint(end);
    [HashRange { start, end: middle }, HashRange { start: middle + 1, end }]
}

/// Draws a stream of so many shards, all of them with a few records of one session.
pub(crate) fn hot(shards: usize, rng: &mut Rng) -> Vec<ShardLog> {
    let mut draw = Draw { rng, next_id: 0, sequence: 0, sessions: 1, records: 8 };
    (0..shards).map(|i| draw.shard(i, vec![], HashRange::ALL)).collect()
}

struct Draw<'a> {
    rng: &'a mut Rng,
    next_id: u64,
    sequence: u128,
    sessions: u64,
    records: u64,
}

impl Draw<'_> {
    fn shard(&mut self, index: usize, parents: Vec<usize>, range: HashRange) -> ShardLog {
        let mut shard = ShardLog {
            id: ShardId::new(&format!("shardId-{index:012}")),
            parents,
            range,
            records: vec![],
            lines: vec![],
            lost: BTreeSet::new(),
        };
        let mut arrival_ms = START_MS;
        for _ in 0..self.rng.below(self.records) {
            arrival_ms += match self.rng.below(10) {
                0 => 50_000 + i64::try_from(self.rng.below(20_000)).expect("small"),
                // Kinesis does not promise that arrival times increase.
                1 => -400,
                _ => i64::try_from(self.rng.below(3_000)).expect("small"),
            };
            self.record(&mut shard, arrival_ms);
        }
        shard
    }

    fn record(&mut self, shard: &mut ShardLog, arrival_ms: i64) {
        self.sequence += 1 + u128::from(self.rng.below(3));
        let users = if self.rng.chance(15) { 2 + self.rng.index(2) } else { 1 };
        let mut payloads = vec![];
        for sub in 0..users {
            let meaning = self.meaning(shard, arrival_ms);
            payloads.push(text(&meaning));
            let sub = sub as u64;
            shard.lines.push(Line { sequence: self.sequence, sub, arrival_ms, meaning });
        }
        let data = if users == 1 {
            Bytes::from(payloads.remove(0))
        } else {
            let parts: Vec<(&str, Option<u128>, &[u8])> =
                payloads.iter().map(|p| ("k", Some(shard.range.start), p.as_bytes())).collect();
            Bytes::from(aggregate(&parts))
        };
        shard.records.push(Record {
            sequence: SequenceNumber::from(self.sequence),
            partition_key: Arc::from("k"),
            arrival: EpochMs(arrival_ms),
            data,
        });
    }

    fn meaning(&mut self, shard: &ShardLog, arrival_ms: i64) -> Meaning {
        let repeats =
            shard.lines.iter().rev().find(|l| matches!(l.meaning, Meaning::Player { .. }));
        if let Some(line) = repeats
            && self.rng.chance(15)
        {
            return line.meaning.clone();
        }
        let session = self.rng.below(self.sessions);
        let mut small = |bound| i64::try_from(self.rng.below(bound)).expect("small");
        let time_ms = match small(10) {
            0 => arrival_ms - small(20 * 24 * 3_600_000),
            1 => arrival_ms - small(90_000),
            _ => arrival_ms - small(1_000),
        };
        match small(10) {
            0 => Meaning::Malformed,
            1 => {
                let told = match small(3) {
                    0 => FactTold::Start,
                    1 => FactTold::End,
                    _ => {
                        self.next_id += 1;
                        FactTold::Encoder { id: self.next_id, height: 1 + small(4) }
                    }
                };
                Meaning::Fact { session, time_ms, told }
            }
            2..=4 => Meaning::Gauge { session, time_ms, viewers: small(1_000) },
            _ => {
                self.next_id += 1;
                let (player, latency_ms) = (small(6).unsigned_abs(), 1_000 + small(50));
                let (id, buffering_ms) = (self.next_id, small(500));
                Meaning::Player { session, time_ms, id, player, latency_ms, buffering_ms }
            }
        }
    }
}

/// The view that a player's record tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ViewTold {
    Attempt,
    Start,
    Failure,
    Exit,
}

impl ViewTold {
    /// Half of the records tell nothing.
    pub(crate) fn of(id: u64) -> Option<Self> {
        let all = [Self::Attempt, Self::Start, Self::Failure, Self::Exit];
        usize::try_from(id % 8).ok().and_then(|at| all.get(at)).copied()
    }
}

/// One country that is listed, one that is not, and none.
pub(crate) fn country(id: u64) -> Option<&'static str> {
    usize::try_from(id % 3).ok().and_then(|at| ["JP", "AQ"].get(at)).copied()
}

/// Returns a line's bytes.
fn text(meaning: &Meaning) -> String {
    match meaning {
        Meaning::Gauge { session, time_ms, viewers } => format!(
            r#"{{"eventType":"metrics_update","sessionId":"st-{session}","channelId":"c{session}","timestamp":{time_ms},"currentViewers":{viewers}}}"#
        ),
        Meaning::Player { session, time_ms, id, player, latency_ms, buffering_ms } => {
            let told = match ViewTold::of(*id) {
                Some(ViewTold::Attempt) => r#","viewEvent":"attempt""#,
                Some(ViewTold::Start) => r#","viewEvent":"start""#,
                Some(ViewTold::Failure) => r#","viewEvent":"failure""#,
                Some(ViewTold::Exit) => r#","viewEvent":"end","viewStarted":false"#,
                None => "",
            };
            let country = country(*id).map_or(String::new(), |c| format!(r#","country":"{c}""#));
            format!(
                r#"{{"type":"player_telemetry","schemaVersion":1,"eventId":"e{id}","sessionId":"st-{session}","channelId":"c{session}","playerId":"p{player}","viewId":"v{player}","timestamp":{time_ms},"state":"PLAYING","latencyMs":{latency_ms},"bufferingMs":{buffering_ms}{told}{country}}}"#
            )
        }
        Meaning::Fact { session, time_ms, told } => fact(*session, *time_ms, *told),
        Meaning::Malformed => r#"{"type":"player_telemetry","#.to_owned(),
    }
}

fn fact(session: u64, time_ms: i64, told: FactTold) -> String {
    let event_type = match told {
        FactTold::Start => "stream_start",
        FactTold::End => "stream_end",
        FactTold::Encoder { id, height } => {
            let time = jiff::Timestamp::from_millisecond(time_ms).expect("a time of this century");
            return format!(
                r#"{{"version":"0","id":"r{id}","detail-type":"IVS Ingest Configuration","source":"reconciler","account":"1","time":"{time}","region":"r","resources":["arn:aws:ivs:r:1:channel/c{session}"],"detail":{{"channel_name":"","stream_id":"st-{session}","video":{{"codec":"avc1","videoHeight":{height}}}}}}}"#
            );
        }
    };
    format!(
        r#"{{"eventType":"{event_type}","sessionId":"st-{session}","channelId":"c{session}","timestamp":{time_ms}}}"#
    )
}
