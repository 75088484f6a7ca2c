//! Objects that others made, in contiguous ranges of parts, one a thread, with the result of one
//! thread.
//!
//! Ranges only matter to duplicates: what repeats a record of the range before is known there
//! alone. So each boundary has a minute of event time, [`Range::first_own_s`]: records with an id
//! up to it belong to the thread before, which reads on into this range until the watermark has
//! passed that minute; this thread leaves them out until then. That gives exactly the result of one
//! thread if no earlier record lies after the boundary's minute, which [`are_as_one`] checks when
//! all is read. If it is not so, because the objects are not in the order of their times, one
//! thread does it all again.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range as Indices;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use ivs_core::decode::frame::{Decoded, is_blank, room_of};
use ivs_core::decode::{Context as Known, Decoder, Event, Reason, Rejection};
use ivs_core::epoch::EventId;
use ivs_core::fold::Fold;
use ivs_core::minute::Minute;
use kinesis_model::EpochMs;

use super::context::Context;
use super::ids::{MinuteIds, Watermark};
use super::output::{Output, place};
use crate::archive::object::{Damage, Text};
use crate::archive::parts::Part;
use crate::archive::split::Splitter;

/// Stands for an arrival time that is not known: no event is ahead of it, and one that takes it
/// for its own time has none. The last millisecond that `decode` accepts.
const UNKNOWN_ARRIVAL: EpochMs = EpochMs(4_102_444_799_999);
/// Lines that are looked at for the first event time of a range.
const PEEK_LINES: usize = 10_000;
/// Text that is read together where its lines are usual: it stays in the L1 cache between its check
/// for UTF-8 and its reading.
const BLOCK_BYTES: usize = 16 << 10;
/// Most lines that are read one by one before usual ones are looked for again.
const MOST_SINGLY: u32 = 64;

/// A thread's share.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    /// Which parts.
    pub(crate) parts: Indices<usize>,
    /// Records with ids up to this minute belong to the range before.
    first_own_s: Option<i64>,
    /// The same of the next range.
    next_own_s: Option<i64>,
}

/// How a range ended.
#[derive(Clone, Debug)]
pub(crate) struct RangeEnd {
    first_own_s: Option<i64>,
    watermark: Watermark,
    /// Of each part its object, and where its text ended; `None` where it was not read to the end.
    pub(crate) read: Vec<(usize, Option<u64>)>,
}

/// Returns whether the ranges, in order, have the result of one.
pub(crate) fn are_as_one(cx: &Context, ends: &BTreeMap<usize, RangeEnd>) -> bool {
    if cx.shard.dedupe_horizon_ms == 0 {
        // Nothing hangs on order where no duplicates are looked for.
        return true;
    }
    let mut latest_s = None;
    ends.values().all(|end| {
        let in_order = latest_s.is_none() || latest_s <= end.first_own_s;
        latest_s = latest_s.max(end.watermark.latest_s());
        in_order && (ends.len() == 1 || end.watermark.outliers() == 0)
    })
}

/// Shares the parts out among at most `count` ranges of about the same size.
pub(crate) fn plan(cx: &Context, parts: &[Part], count: usize) -> Vec<Range> {
    let size = |part: &Part| match &part.span {
        Some(span) => span.end - span.start,
        None => cx.objects[part.object].size_bytes,
    };
    let total: u64 = parts.iter().map(size).sum();
    let share = (total / count.max(1) as u64).max(1);
    let mut ranges: Vec<Range> = Vec::new();
    let mut taken = 0;
    for (index, part) in parts.iter().enumerate() {
        // Half a part more or less: cuts fall behind their places.
        let full = taken + size(part) / 2 >= share * ranges.len() as u64;
        let boundary = match ranges.len() {
            0 => Some(None),
            open if open < count && full && cx.shard.dedupe_horizon_ms == 0 => Some(None),
            open if open < count && full => boundary_s(cx, part).map(Some),
            _ => None,
        };
        match (boundary, ranges.last_mut()) {
            (None, Some(last)) => last.parts.end = index + 1,
            (boundary, last) => {
                let first_own_s = boundary.flatten();
                if let Some(last) = last {
                    last.next_own_s = first_own_s;
                }
                ranges.push(Range { parts: index..index + 1, first_own_s, next_own_s: None });
            }
        }
        taken += size(part);
    }
    ranges
}

/// Returns some minutes after the first event time of a part: a guess at what no earlier part has.
fn boundary_s(cx: &Context, part: &Part) -> Option<i64> {
    let mut text = open(cx, part, &Arc::default()).ok()?;
    let (mut lines, mut decoder) = (Splitter::default(), Decoder::new(cx.shard.decode));
    for _ in 0..PEEK_LINES {
        let (_, line) = lines.next(&mut text).ok()??;
        let found = decoder.read(line, &Known::from(UNKNOWN_ARRIVAL), |_, decoded| {
            let event = decoded.ok().filter(|event| event.event_id().is_some());
            event.map_or(Ok(()), |event| Err(minute_s(event)))
        });
        if let Err(minute_s) = found {
            // A record may lag behind by two minutes, so the range before ends by then.
            return Some(minute_s + 120);
        }
    }
    None
}

fn open(cx: &Context, part: &Part, total: &Arc<AtomicU64>) -> Result<Text, Damage> {
    let object = &cx.objects[part.object];
    match &part.span {
        Some(span) => object.open_span(span, total),
        None => object.open(&cx.handle, total),
    }
}

fn minute_s(event: &Event<'_>) -> i64 {
    Minute::of(event.time()).start_s()
}

/// Reads a range.
pub(crate) struct RangeFold<'a> {
    cx: &'a Context,
    out: &'a mut Output,
    ids: MinuteIds,
    fold: Fold,
    range: Range,
    parts: &'a [Part],
    /// Whether a core is free to decompress.
    has_spare: bool,
    /// The object that is read.
    object: usize,
    /// The chat room that its name tells.
    room: Option<&'a str>,
}

/// Text of a part.
enum Piece<'t> {
    /// A line, or the lines of a text.
    Line(&'t [u8]),
    /// What is ahead, from the beginning of a line on.
    Block(&'t str),
}

/// Whether to read on.
enum Flow {
    On,
    /// So much of a block is done.
    Passed {
        bytes: usize,
        lines: u64,
    },
    Enough,
}

impl<'a> RangeFold<'a> {
    /// Reads and folds a range.
    ///
    /// # Errors
    /// When temporary files cannot be written; damaged objects are noted in the output.
    pub(crate) fn run(
        cx: &'a Context,
        parts: &'a [Part],
        range: Range,
        has_spare: bool,
        out: &'a mut Output,
    ) -> io::Result<RangeEnd> {
        let fold = Fold::new(out.wants_sessions());
        let ids = MinuteIds::default();
        let mut fold = Self { cx, out, ids, fold, range, parts, has_spare, object: 0, room: None };
        let mut ends = Vec::new();
        let mut decoder = Decoder::new(cx.shard.decode);
        for index in fold.range.parts.clone() {
            let read = fold.read(index, |fold, offset, text| match text {
                Piece::Line(line) => {
                    fold.own_line(&mut decoder, offset, line)?;
                    Ok(Flow::On)
                }
                Piece::Block(text) => fold.own_block(&mut decoder, offset, text),
            })?;
            ends.push((parts[index].object, read.as_ref().ok().copied()));
            fold.out.damages.extend(read.err());
        }
        let (first_own_s, watermark) = (fold.range.first_own_s, fold.ids.watermark);
        let end = RangeEnd { first_own_s, watermark, read: ends };
        if let Some(next_own_s) = fold.range.next_own_s {
            fold.read_on(&mut decoder, next_own_s)?;
        }
        fold.flush()?;
        Ok(end)
    }

    /// Reads the records of the ranges after this that belong to it.
    fn read_on(&mut self, decoder: &mut Decoder, next_own_s: i64) -> io::Result<()> {
        let mut next = Watermark::default();
        for index in self.range.parts.end..self.parts.len() {
            // What is damaged there is noted by whose range it is.
            drop(self.read(index, |fold, _, text| {
                // Which line is the last one is looked at line by line.
                let Piece::Line(line) = text else {
                    return Ok(Flow::Passed { bytes: 0, lines: 0 });
                };
                each_event(decoder, line, fold.room, |_, event| {
                    let Ok(event) = event else { return Ok(()) };
                    if event.event_id().is_none() {
                        return Ok(());
                    }
                    let minute_s = minute_s(event);
                    next.see(minute_s);
                    fold.ids.see(minute_s);
                    if minute_s <= next_own_s && !next.has_passed(next_own_s) {
                        fold.own_event(event, minute_s);
                    }
                    Ok(())
                })?;
                Ok(if next.has_passed(next_own_s) { Flow::Enough } else { Flow::On })
            })?);
            if next.has_passed(next_own_s) {
                break;
            }
        }
        Ok(())
    }

    /// Reads a part line by line; where in its object the text ended, or why not all was read.
    fn read(
        &mut self,
        index: usize,
        mut each: impl FnMut(&mut Self, u64, Piece<'_>) -> io::Result<Flow>,
    ) -> io::Result<Result<u64, Damage>> {
        let part = &self.parts[index];
        self.object = part.object;
        self.room = room_of(&self.cx.objects[part.object].name);
        let mut text = match open(self.cx, part, &self.cx.progress.bytes) {
            Ok(text) if self.has_spare => text.ahead(),
            Ok(text) => text,
            Err(damage) => return Ok(Err(damage)),
        };
        let mut lines = Splitter::default();
        let start = part.span.as_ref().map_or(0, |span| span.start);
        let (mut end, mut records) = (start, 0);
        let (mut singly, mut most_singly) = (0, 1);
        let read = loop {
            if singly == 0 {
                let block = valid(lines.ahead());
                let flow = each(self, start + lines.offset(), Piece::Block(block))?;
                if let Flow::Passed { bytes, lines: passed @ 1.. } = flow {
                    lines.pass(bytes, passed);
                    end = start + lines.offset() - 1;
                    self.count(&mut records, passed)?;
                    most_singly = 1;
                    continue;
                }
                // Where no line is usual, looking for usual ones would cost more than reading.
                singly = most_singly;
                most_singly = (most_singly * 2).min(MOST_SINGLY);
            }
            singly -= 1;
            match lines.next(&mut text) {
                Err(error) => break Err(text.damage(error.to_string())),
                Ok(None) => break Ok(end),
                Ok(Some((offset, line))) => {
                    let offset = start + offset;
                    end = offset + line.len() as u64;
                    if let Flow::Enough = each(self, offset, Piece::Line(line))? {
                        break Ok(end);
                    }
                }
            }
            self.count(&mut records, 1)?;
        };
        self.cx.progress.add_records(records);
        if self.out.wants_sessions() {
            self.flush()?;
        }
        Ok(read)
    }

    /// Counts lines, and hands out what was folded when it takes too much memory.
    fn count(&mut self, records: &mut u64, more: u64) -> io::Result<()> {
        *records += more;
        if *records >= 4_096 {
            self.cx.progress.add_records(std::mem::take(records));
            if self.fold.memory_bytes() > self.cx.wanted.memory_bytes {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Folds the usual lines that a block begins with.
    fn own_block(&mut self, decoder: &mut Decoder, offset: u64, text: &str) -> io::Result<Flow> {
        let context = Known { arrival: UNKNOWN_ARRIVAL, room: self.room };
        let mut lines = 0;
        let bytes = decoder.read_usual_lines(text, &context, |at, line, decoded| {
            lines += 1;
            let offset = offset + at as u64;
            match has_no_time(decoded) {
                false => self.own(offset, line, decoded),
                true => self.own(offset, line, Err(&no_time())),
            }
        })?;
        Ok(Flow::Passed { bytes, lines })
    }

    fn own_line(&mut self, decoder: &mut Decoder, offset: u64, line: &[u8]) -> io::Result<()> {
        each_event(decoder, line, self.room, |piece, event| self.own(offset, piece, event))
    }

    /// Folds an event that belongs to this range, or keeps what was refused.
    fn own(&mut self, offset: u64, piece: &[u8], event: Decoded<'_, '_>) -> io::Result<()> {
        let event = match event {
            Ok(event) => event,
            Err(rejection) => return self.reject(offset, piece, rejection),
        };
        let minute_s = minute_s(event);
        if event.event_id().is_some() {
            self.ids.see(minute_s);
            let is_earlier = |own_s| minute_s <= own_s && !self.ids.watermark.has_passed(own_s);
            if self.range.first_own_s.is_some_and(is_earlier) {
                return Ok(());
            }
        }
        self.own_event(event, minute_s);
        Ok(())
    }

    fn own_event(&mut self, event: &Event<'_>, minute_s: i64) {
        let Self { cx, ids, fold, .. } = self;
        let looks = cx.shard.dedupe_horizon_ms > 0;
        // The source knows no arrival times, by which lateness would be judged.
        fold.accept(event, None, |id| looks && ids.repeats(EventId::of(id), minute_s));
    }

    fn reject(&mut self, offset: u64, piece: &[u8], rejection: &Rejection) -> io::Result<()> {
        self.fold.reject(rejection.reason);
        self.out.reject(place(&self.cx.objects[self.object].name, offset), rejection, piece)
    }

    /// Hands out what was folded of the current object.
    fn flush(&mut self) -> io::Result<()> {
        let stamp = self.cx.object_stamp(self.object);
        let (rows, counts) = self.fold.drain();
        self.out.counts.add(&counts);
        self.out.add(rows, stamp)
    }
}

/// Returns the events of a stretch.
#[inline(always)]
fn each_event(
    decoder: &mut Decoder,
    stretch: &[u8],
    room: Option<&str>,
    mut each: impl FnMut(&[u8], Decoded<'_, '_>) -> io::Result<()>,
) -> io::Result<()> {
    if is_blank(stretch) {
        return Ok(());
    }
    let context = Known { arrival: UNKNOWN_ARRIVAL, room };
    decoder.read(stretch, &context, |piece, decoded| match has_no_time(decoded) {
        false => each(piece, decoded),
        true => each(piece, Err(&no_time())),
    })
}

/// Returns whether an event has no time, although it needs one.
fn has_no_time(decoded: Decoded<'_, '_>) -> bool {
    decoded.is_ok_and(|event| event.time() == UNKNOWN_ARRIVAL && !is_counted_only(event))
}

/// Returns the front of a text up to the first byte that is not UTF-8, and of that what is read together.
fn valid(text: &[u8]) -> &str {
    let block = &text[..text.len().min(BLOCK_BYTES)];
    match std::str::from_utf8(block) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&block[..error.valid_up_to()]).unwrap_or_default(),
    }
}

/// Returns whether an event counts without a time.
fn is_counted_only(event: &Event<'_>) -> bool {
    matches!(event, Event::Fact(fact) if fact.kind.is_counted_only())
}

fn no_time() -> Rejection {
    Rejection {
        reason: Reason::MissingField,
        field: None,
        detail: "no event time, and the source knows no arrival times".to_owned(),
    }
}
