//! The stream of a run: its shards with their lineage, when each opens and closes, and when each
//! record comes to light.

use ivs_tests::rng::Rng;
use kinesis_model::HashRange;

use crate::log::{self, ShardLog, halves};

/// No shard lives shorter than this: see `kinesis_fleet::sync::is_fresh`.
const LIFE_MS: u64 = 4_500;
/// Between the last reshard and the end of the stream.
const TAIL_MS: u64 = 4_000;

/// When a shard takes records. It is closed when its children open; those without any stay open.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) opens_ms: u64,
    /// When each record can first be read.
    pub(crate) appears_ms: Vec<u64>,
}

/// A stream and its course.
pub(crate) struct Plan {
    pub(crate) log: Vec<ShardLog>,
    pub(crate) spans: Vec<Span>,
    /// No record comes after this.
    pub(crate) ends_ms: u64,
}

/// A shard under construction.
struct Draft {
    parents: Vec<usize>,
    range: HashRange,
    opens_ms: u64,
    closes_ms: Option<u64>,
}

/// Draws a stream: mostly one to three shards that are split and merged a few times, of siblings,
/// cousins or any neighbors; one in fifty has up to 64 shards.
pub(crate) fn draw(rng: &mut Rng) -> Plan {
    let is_wide = rng.chance(2);
    let roots = if is_wide { 16 + rng.index(25) } else { 1 + rng.index(3) };
    let reshards = if is_wide { rng.index(9) } else { rng.index(4) };
    let mut drafts = roots_of(roots);
    let mut now_ms = 0;
    for _ in 0..reshards {
        now_ms += LIFE_MS / 2 + rng.below(LIFE_MS);
        reshard(&mut drafts, now_ms, rng);
    }
    let ends_ms = now_ms + TAIL_MS + rng.below(TAIL_MS);
    let records = if is_wide { 12 } else { 40 };
    let shards = drafts.iter().map(|draft| (draft.parents.clone(), draft.range)).collect();
    let log = log::of_lineage(shards, records, rng);
    let mut span = |(draft, log): (&Draft, &ShardLog)| {
        let closes_ms = draft.closes_ms.unwrap_or(ends_ms);
        // A part is there before anybody reads.
        let life_ms = closes_ms - draft.opens_ms;
        let mut appears_ms: Vec<u64> = (0..log.records.len())
            .map(|_| draft.opens_ms + rng.below(life_ms * 4 / 3).saturating_sub(life_ms / 3))
            .collect();
        appears_ms.sort_unstable();
        Span { opens_ms: draft.opens_ms, appears_ms }
    };
    let spans = drafts.iter().zip(&log).map(&mut span).collect();
    Plan { log, spans, ends_ms }
}

fn roots_of(count: usize) -> Vec<Draft> {
    let width = u128::MAX / count as u128;
    let root = |number: usize| {
        let start = number as u128 * width;
        let end = if number + 1 == count { u128::MAX } else { start + width - 1 };
        let range = HashRange { start, end };
        Draft { parents: vec![], range, opens_ms: 0, closes_ms: None }
    };
    (0..count).map(root).collect()
}

/// Splits an open shard, or merges it with the one behind it.
fn reshard(drafts: &mut Vec<Draft>, now_ms: u64, rng: &mut Rng) {
    let is_ripe = |draft: &Draft| draft.closes_ms.is_none() && now_ms - draft.opens_ms >= LIFE_MS;
    let ripe: Vec<usize> = (0..drafts.len()).filter(|at| is_ripe(&drafts[*at])).collect();
    if ripe.is_empty() {
        return;
    }
    let at = ripe[rng.index(ripe.len())];
    let range = drafts[at].range;
    let follows = |other: &&usize| Some(drafts[**other].range.start) == range.end.checked_add(1);
    let neighbor = ripe.iter().find(follows).copied().filter(|_| rng.chance(50));
    let (parents, ranges) = match neighbor {
        Some(other) => {
            let end = drafts[other].range.end;
            (vec![at, other], vec![HashRange { start: range.start, end }])
        }
        None => (vec![at], halves(range).to_vec()),
    };
    parents.iter().for_each(|parent| drafts[*parent].closes_ms = Some(now_ms));
    for range in ranges {
        drafts.push(Draft { parents: parents.clone(), range, opens_ms: now_ms, closes_ms: None });
    }
}
