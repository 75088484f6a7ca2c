//! Runs a replay: the chains of shards and the ranges of objects, each by one thread.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use ivs_core::archive::parse_line;
use ivs_core::epoch::Counts;
use kinesis_model::{HashRange, Position};

use super::context::{Computed, Context, Gap, Unit};
use super::entry::Stamp;
use super::epochs::ShardFold;
use super::output::Output;
use super::ranges::{self, Range, RangeEnd, RangeFold};
use super::sorter::Sorter;
use crate::archive::object::{Damage, Object};
use crate::archive::parts;
use crate::archive::parts::Part;
use crate::archive::segment::Chain;
use crate::archive::split::Splitter;

/// Records that go to a shard's machine at once.
const BATCH: usize = 1_000;

enum Job {
    Chain(usize),
    Range(Range),
}

/// What jobs came to beside rows.
#[derive(Default)]
struct Done {
    outputs: Vec<Output>,
    /// By index of the chain.
    chains: BTreeMap<usize, (Unit, Vec<Gap>)>,
    /// By the first part of the range.
    ranges: BTreeMap<usize, RangeEnd>,
}

/// Reads and folds everything with `threads` threads; `streamed` was read already.
///
/// # Errors
/// When temporary files cannot be written or read.
pub(crate) fn run(
    cx: &Context,
    threads: usize,
    streamed: Option<Output>,
    rejects: Option<&mut dyn io::Write>,
) -> io::Result<Computed> {
    let shards = run_jobs(cx, &[], threads, (0..cx.chains.len()).map(Job::Chain).collect())?;
    let mut objects = read_objects(cx, threads)?;
    if !ranges::are_as_one(cx, &objects.ranges) {
        objects = read_objects(cx, 1)?;
    }
    let outputs = shards.outputs.into_iter().chain(objects.outputs).chain(streamed);
    collect(cx, outputs, shards.chains, &objects.ranges, rejects)
}

fn read_objects(cx: &Context, threads: usize) -> io::Result<Done> {
    let parts = parts::of(&cx.objects, threads);
    let ranges = ranges::plan(cx, &parts, threads);
    run_jobs(cx, &parts, threads, ranges.into_iter().map(Job::Range).collect())
}

/// How much text each object holds; `None` for those of which a part was not read to its end.
fn text_bytes(cx: &Context, ranges: &BTreeMap<usize, RangeEnd>) -> Vec<Option<u64>> {
    let mut whole = vec![Some(0); cx.objects.len()];
    for &(object, end) in ranges.values().flat_map(|range| &range.read) {
        whole[object] = whole[object].zip(end).map(|(before, end)| before.max(end));
    }
    whole
}

/// Runs jobs, each by one thread; a thread's jobs share an output.
fn run_jobs(cx: &Context, parts: &[Part], threads: usize, jobs: Vec<Job>) -> io::Result<Done> {
    let threads = threads.min(jobs.len());
    let (jobs, done) = (Mutex::new(jobs.into_iter()), Mutex::new(Done::default()));
    fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
    let work = || -> io::Result<()> {
        let mut out = Output::new(&cx.wanted)?;
        loop {
            let next = lock(&jobs).next();
            match next {
                Some(Job::Chain(index)) => {
                    let result = replay_chain(cx, index, &mut out)?;
                    lock(&done).chains.insert(index, result);
                }
                Some(Job::Range(range)) => {
                    let first = range.parts.start;
                    let end = RangeFold::run(cx, parts, range, &mut out)?;
                    lock(&done).ranges.insert(first, end);
                }
                None => break,
            }
        }
        lock(&done).outputs.push(out);
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn collect(
    cx: &Context,
    outputs: impl Iterator<Item = Output>,
    chains: BTreeMap<usize, (Unit, Vec<Gap>)>,
    ranges: &BTreeMap<usize, RangeEnd>,
    mut rejects: Option<&mut dyn io::Write>,
) -> io::Result<Computed> {
    let (mut metrics, mut summaries, mut facts) = (Vec::new(), Vec::new(), Vec::new());
    let (mut counts, mut damages) = (Counts::default(), Vec::new());
    for mut out in outputs {
        if let Some(rejects) = &mut rejects {
            out.append_rejects(rejects)?;
        }
        counts.add(&out.counts);
        damages.append(&mut out.damages);
        metrics.push(out.metrics);
        summaries.push(out.summaries);
        facts.push(out.facts);
    }
    damages.sort_by(|a, b| a.name.cmp(&b.name));
    let (mut units, mut gaps) = (Vec::new(), Vec::new());
    for (unit, missing) in chains.into_values() {
        units.push(unit);
        gaps.extend(missing);
    }
    let read = text_bytes(cx, ranges).into_iter().enumerate();
    units.extend(read.map(|(index, read)| cx.object_unit(index, read)));
    Ok(Computed {
        metrics: Sorter::merge(metrics)?,
        summaries: Sorter::merge(summaries)?,
        facts: Sorter::merge(facts)?,
        units,
        counts,
        damages,
        gaps,
    })
}

/// Reads the segments of a shard in order, as its worker read the records.
fn replay_chain(cx: &Context, index: usize, out: &mut Output) -> io::Result<(Unit, Vec<Gap>)> {
    let chain = &cx.chains[index];
    let mut unit = Unit { shard: chain.shard.clone(), ends: Vec::new(), covered: None };
    let (mut fold, mut gaps, mut is_whole) = (None, Vec::new(), true);
    let mut end: Option<Position> = None;
    for segment in &chain.segments {
        if Some(segment.to) <= end {
            // Epochs that were done again from an earlier position on.
            continue;
        }
        if segment.from > end {
            let name =
                |at: Option<Position>| at.map_or("its beginning".into(), |at| at.to_string());
            gaps.push(Gap {
                stream: chain.stream.clone(),
                shard: chain.shard.clone(),
                from: name(end),
                to: name(segment.from),
            });
            is_whole = false;
        }
        if let Err(damage) = read_segment(cx, &segment.object, end, chain, &mut fold) {
            out.damages.push(damage);
            is_whole = false;
        }
        let part = u32::try_from(unit.ends.len()).unwrap_or(u32::MAX);
        if let Some(fold) = &mut fold {
            let unit = u32::try_from(index).unwrap_or(u32::MAX);
            fold.close(Stamp { unit, part }, out)?;
        }
        unit.ends.push(segment.to);
        end = Some(segment.to);
        if is_whole {
            unit.covered = end;
        }
    }
    Ok((unit, gaps))
}

/// Feeds the records of a segment after `end`; epochs end between Kinesis records.
fn read_segment(
    cx: &Context,
    object: &Object,
    end: Option<Position>,
    chain: &Chain,
    fold: &mut Option<ShardFold>,
) -> Result<(), Damage> {
    let mut text = object.open(&cx.handle, &cx.progress.bytes)?;
    let mut lines = Splitter::default();
    let mut records = Vec::new();
    let mut take = |records: &mut Vec<_>, range: Option<HashRange>| {
        let new = || ShardFold::new(&chain.shard, range.unwrap_or(HashRange::ALL), &cx.shard);
        cx.progress.add_records(records.len() as u64);
        fold.get_or_insert_with(new).take(std::mem::take(records));
    };
    let mut range = None;
    let damage = loop {
        match lines.next(&mut text) {
            Err(error) => break Some(text.damage(error.to_string())),
            Ok(None) => break None,
            Ok(Some((offset, line))) => match parse_line(line) {
                Err(reason) => {
                    let reason = format!("no archived record: {reason}");
                    break Some(Damage { text_bytes: offset, ..text.damage(reason) });
                }
                Ok((record, keys)) => {
                    range = range.or(keys);
                    if end.is_none_or(|end| record.sequence > end.sequence) {
                        records.push(record);
                    }
                }
            },
        }
        if records.len() >= BATCH {
            take(&mut records, range);
        }
    };
    take(&mut records, range);
    damage.map_or(Ok(()), Err)
}
