//! Runs a replay: the chains of shards and the ranges of objects, each by one thread.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use ivs_core::epoch::Counts;

use super::chain;
use super::context::{Computed, Context, Gap, Unit};
use super::output::Output;
use super::ranges::{self, Range, RangeEnd, RangeFold};
use super::sorter::Sorter;
use crate::archive::parts;
use crate::archive::parts::Part;

enum Job {
    Chain(usize),
    Range(Range),
}

/// The results of jobs beside rows.
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

/// Returns how much text each object holds; `None` for those of which a part was not read to its
/// end.
fn text_bytes(cx: &Context, ranges: &BTreeMap<usize, RangeEnd>) -> Vec<Option<u64>> {
    let mut whole = vec![Some(0); cx.objects.len()];
    for &(object, end) in ranges.values().flat_map(|range| &range.read) {
        whole[object] = whole[object].zip(end).map(|(before, end)| before.max(end));
    }
    whole
}

/// Runs jobs, each by one thread; a thread's jobs share an output.
fn run_jobs(cx: &Context, parts: &[Part], threads: usize, jobs: Vec<Job>) -> io::Result<Done> {
    // Cores without a job of their own help those that have one.
    let (threads, has_spare) = (threads.min(jobs.len()), threads > jobs.len());
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
                    let result = chain::replay(cx, index, has_spare, &mut out)?;
                    lock(&done).chains.insert(index, result);
                }
                Some(Job::Range(range)) => {
                    let first = range.parts.start;
                    let end = RangeFold::run(cx, parts, range, has_spare, &mut out)?;
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
