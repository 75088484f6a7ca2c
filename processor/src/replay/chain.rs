//! The segments of a shard in order, as its worker read the records: read and folded by one thread,
//! or by two where a core is free.

use std::io;
use std::ops::ControlFlow;
use std::sync::mpsc::sync_channel;

use ivs_core::archive::parse_line;
use kinesis_model::{HashRange, Position, Record};

use super::context::{Context, Gap, Unit};
use super::entry::Stamp;
use super::epochs::ShardFold;
use super::output::Output;
use crate::archive::object::{Damage, Object};
use crate::archive::segment::Chain;
use crate::archive::split::Splitter;

/// Records that go to a shard's machine at once.
const BATCH: usize = 1_000;
/// Batches between the thread that reads and the one that folds.
const BATCHES_AHEAD: usize = 4;

/// The content of a shard's segments, one after the other.
enum Step {
    /// Records, with the shard's hash keys if they are known.
    Records(Vec<Record>, Option<HashRange>),
    /// A segment could not be read to its end.
    Damage(Damage),
    /// Before the next segment something is missing.
    Gap(Gap),
    /// An epoch ends.
    End(Position),
}

/// Replays a shard; returns what its archive covers and what it lacks.
///
/// # Errors
/// When temporary files cannot be written.
pub(super) fn replay(
    cx: &Context,
    index: usize,
    has_spare: bool,
    out: &mut Output,
) -> io::Result<(Unit, Vec<Gap>)> {
    let chain = &cx.chains[index];
    let mut fold = ChainFold {
        cx,
        chain,
        index: u32::try_from(index).unwrap_or(u32::MAX),
        fold: None,
        unit: Unit { shard: chain.shard.clone(), ends: Vec::new(), covered: None },
        gaps: Vec::new(),
        is_whole: true,
    };
    if has_spare {
        std::thread::scope(|scope| {
            let (sender, steps) = sync_channel(BATCHES_AHEAD);
            // A receiver that is gone has failed, and says so.
            let send = move |step| match sender.send(step) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            };
            scope.spawn(move || read(cx, chain, send));
            steps.into_iter().try_for_each(|step| fold.take(step, out))
        })?;
    } else {
        let mut failed = Ok(());
        let take = |step| match fold.take(step, out) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Err(error);
                ControlFlow::Break(())
            }
        };
        // It breaks off only when it has failed.
        let ended = read(cx, chain, take);
        debug_assert_eq!(ended.is_break(), failed.is_err());
        failed?;
    }
    Ok((fold.unit, fold.gaps))
}

/// Folds what is read of a shard.
struct ChainFold<'a> {
    cx: &'a Context,
    chain: &'a Chain,
    index: u32,
    fold: Option<ShardFold>,
    unit: Unit,
    gaps: Vec<Gap>,
    is_whole: bool,
}

impl ChainFold<'_> {
    fn take(&mut self, step: Step, out: &mut Output) -> io::Result<()> {
        match step {
            Step::Records(records, range) => {
                let range = range.unwrap_or(HashRange::ALL);
                let new = || ShardFold::new(&self.chain.shard, range, &self.cx.shard);
                self.cx.progress.add_records(records.len() as u64);
                self.fold.get_or_insert_with(new).take(records);
            }
            Step::Damage(damage) => {
                out.damages.push(damage);
                self.is_whole = false;
            }
            Step::Gap(gap) => {
                self.gaps.push(gap);
                self.is_whole = false;
            }
            Step::End(to) => {
                let part = u32::try_from(self.unit.ends.len()).unwrap_or(u32::MAX);
                if let Some(fold) = &mut self.fold {
                    fold.close(Stamp { unit: self.index, part }, out)?;
                }
                self.unit.ends.push(to);
                if self.is_whole {
                    self.unit.covered = Some(to);
                }
            }
        }
        Ok(())
    }
}

/// Hands out what the segments of a shard hold until `each` breaks off.
fn read(
    cx: &Context,
    chain: &Chain,
    mut each: impl FnMut(Step) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut end: Option<Position> = None;
    for segment in &chain.segments {
        if Some(segment.to) <= end {
            // Epochs that were done again from an earlier position on.
            continue;
        }
        if segment.from > end {
            each(Step::Gap(Gap::new(&chain.stream, &chain.shard, end, segment.from)))?;
        }
        if let Err(damage) = read_segment(cx, &segment.object, end, &mut each)? {
            each(Step::Damage(damage))?;
        }
        end = Some(segment.to);
        each(Step::End(segment.to))?;
    }
    if chain.end_is_lost {
        each(Step::Gap(Gap::at_end(&chain.stream, &chain.shard, end)))?;
    }
    ControlFlow::Continue(())
}

/// Hands out the records of a segment after `end`; epochs end between Kinesis records.
fn read_segment(
    cx: &Context,
    object: &Object,
    end: Option<Position>,
    each: &mut impl FnMut(Step) -> ControlFlow<()>,
) -> ControlFlow<(), Result<(), Damage>> {
    let mut text = match object.open(&cx.handle, &cx.progress.bytes) {
        // Its checksum is what tells damage.
        Ok(text) if !text.is_zstd() => {
            let reason = "it is not zstd, as the worker writes its segments";
            return ControlFlow::Continue(Err(object.damage(0, 0, reason)));
        }
        Ok(text) => text,
        Err(damage) => return ControlFlow::Continue(Err(damage)),
    };
    let mut lines = Splitter::default();
    let (mut records, mut range) = (Vec::new(), None);
    let read = loop {
        match lines.next(&mut text) {
            Err(error) => break Err(text.damage(error.to_string())),
            Ok(None) => break Ok(()),
            Ok(Some((offset, line))) => match parse_line(line) {
                Err(reason) => {
                    let reason = format!("not an archived record: {reason}");
                    break Err(Damage { text_bytes: offset, ..text.damage(reason) });
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
            each(Step::Records(std::mem::take(&mut records), range))?;
        }
    };
    each(Step::Records(records, range))?;
    ControlFlow::Continue(read)
}
