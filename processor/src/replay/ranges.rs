//! Objects that others made, in contiguous ranges, one a thread, with the result of one thread.
//!
//! Ranges only matter to duplicates: what repeats a record of the range before is known there
//! alone. So each boundary has a minute of event time, [`Range::first_own_s`]: records with an id
//! up to it belong to the thread before, which reads on into this range until the watermark has
//! passed that minute; this thread leaves them out until then. That gives exactly the result of one
//! thread if no earlier record lies after the boundary's minute, which [`are_as_one`] checks when
//! all is read. If it is not so, because the objects are not in the order of their times, one
//! thread does it all again.

use std::io;
use std::ops::Range as Indices;

use ivs_core::decode::{Decoder, Event, Reason, Rejection, decode};
use ivs_core::epoch::EventId;
use ivs_core::session::SessionFold;
use ivs_core::stream::{EpochMs, Minute};
use ivs_core::window::WindowFold;

use super::ids::{MinuteIds, Watermark};
use super::job::Context;
use super::object::{Damage, Object};
use super::output::{Output, place};
use super::split::{Splitter, concatenated};

/// Stands for an arrival time that is not known: no event is ahead of it, and one that takes it
/// for its own time has none. The last millisecond that `decode` accepts.
const UNKNOWN_ARRIVAL: EpochMs = EpochMs(4_102_444_799_999);
/// Lines that are looked at for the first event time of a range.
const PEEK_LINES: usize = 10_000;

/// A thread's share.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    /// Which objects.
    pub(crate) objects: Indices<usize>,
    /// Records with ids up to this minute belong to the range before.
    first_own_s: Option<i64>,
    /// The same of the next range.
    next_own_s: Option<i64>,
}

/// How a range ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RangeEnd {
    first_own_s: Option<i64>,
    watermark: Watermark,
}

/// Whether the ranges, in order, have the result of one.
pub(crate) fn are_as_one(cx: &Context, ends: &[RangeEnd]) -> bool {
    if cx.shard.dedupe_horizon_ms == 0 {
        // Nothing hangs on order where no duplicates are looked for.
        return true;
    }
    let mut latest_s = None;
    ends.iter().all(|end| {
        let in_order = latest_s.is_none() || latest_s <= end.first_own_s;
        latest_s = latest_s.max(end.watermark.latest_s());
        in_order && (ends.len() == 1 || end.watermark.outliers() == 0)
    })
}

/// Cuts the objects into at most `count` ranges of about the same size.
pub(crate) fn plan(cx: &Context, count: usize) -> Vec<Range> {
    let total: u64 = cx.objects.iter().map(|object| object.size_bytes).sum();
    let share = (total / count.max(1) as u64).max(1);
    let mut ranges: Vec<Range> = Vec::new();
    let mut taken = 0;
    for (index, object) in cx.objects.iter().enumerate() {
        let full = taken >= share * ranges.len() as u64;
        let boundary = match ranges.len() {
            0 => Some(None),
            open if open < count && full && cx.shard.dedupe_horizon_ms == 0 => Some(None),
            open if open < count && full => boundary_s(cx, object).map(Some),
            _ => None,
        };
        match (boundary, ranges.last_mut()) {
            (None, Some(last)) => last.objects.end = index + 1,
            (boundary, last) => {
                let first_own_s = boundary.flatten();
                if let Some(last) = last {
                    last.next_own_s = first_own_s;
                }
                ranges.push(Range { objects: index..index + 1, first_own_s, next_own_s: None });
            }
        }
        taken += object.size_bytes;
    }
    ranges
}

/// Some minutes after the first event time of an object: a guess at what no earlier object has.
fn boundary_s(cx: &Context, object: &Object) -> Option<i64> {
    let mut text = object.open(&cx.handle, &Default::default()).ok()?;
    let mut lines = Splitter::default();
    for _ in 0..PEEK_LINES {
        let (_, line) = lines.next(&mut text).ok()??;
        let first = concatenated(line).and_then(|pieces| pieces.first().copied()).unwrap_or(line);
        if let Ok(event) = decode(first, UNKNOWN_ARRIVAL, &cx.shard.decode)
            && event.event_id().is_some()
        {
            // A record may lag behind by two minutes, so the range before ends by then.
            return Some(minute_s(&event) + 120);
        }
    }
    None
}

fn minute_s(event: &Event<'_>) -> i64 {
    Minute::of(event.time()).start_s()
}

/// Reads a range.
pub(crate) struct RangeFold<'a> {
    cx: &'a Context,
    out: &'a mut Output,
    ids: MinuteIds,
    windows: WindowFold,
    sessions: SessionFold,
    range: Range,
    /// The object that is read.
    object: usize,
}

/// Whether to read on.
enum Flow {
    On,
    Enough,
}

impl<'a> RangeFold<'a> {
    /// Reads and folds a range.
    ///
    /// # Errors
    /// When temporary files cannot be written; damaged objects are noted in the output.
    pub(crate) fn run(cx: &'a Context, range: Range, out: &'a mut Output) -> io::Result<RangeEnd> {
        let mut fold = Self {
            cx,
            out,
            ids: MinuteIds::default(),
            windows: WindowFold::new(),
            sessions: SessionFold::default(),
            range,
            object: 0,
        };
        let mut decoder = Decoder::new(cx.shard.decode);
        for index in fold.range.objects.clone() {
            let read = fold.read(index, |fold, offset, line| {
                fold.own_line(&mut decoder, offset, line)?;
                Ok(Flow::On)
            })?;
            match read {
                Ok(text_bytes) => cx.note_whole(index, text_bytes),
                Err(damage) => fold.out.damages.push(damage),
            }
        }
        let end = RangeEnd { first_own_s: fold.range.first_own_s, watermark: fold.ids.watermark };
        if let Some(next_own_s) = fold.range.next_own_s {
            fold.read_on(&mut decoder, next_own_s)?;
        }
        fold.flush()?;
        Ok(end)
    }

    /// Reads the records of the ranges after this that belong to it.
    fn read_on(&mut self, decoder: &mut Decoder, next_own_s: i64) -> io::Result<()> {
        let mut next = Watermark::default();
        for index in self.range.objects.end..self.cx.objects.len() {
            // What is damaged there is noted by whose range it is.
            drop(self.read(index, |fold, _, line| {
                each_event(decoder, line, |_, event| {
                    let Ok(event) = event else { return Ok(()) };
                    if event.event_id().is_none() {
                        return Ok(());
                    }
                    let minute_s = minute_s(event);
                    next.see(minute_s);
                    fold.ids.see(minute_s);
                    if minute_s <= next_own_s && !next.has_passed(next_own_s) {
                        fold.own_event(event, minute_s)?;
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

    /// Reads an object line by line; how much text it held, or why not all of it.
    fn read(
        &mut self,
        index: usize,
        mut each: impl FnMut(&mut Self, u64, &[u8]) -> io::Result<Flow>,
    ) -> io::Result<Result<u64, Damage>> {
        self.object = index;
        let opened = self.cx.objects[index].open(&self.cx.handle, &self.cx.progress.bytes);
        let mut text = match opened {
            Ok(text) => text,
            Err(damage) => return Ok(Err(damage)),
        };
        let mut lines = Splitter::default();
        let (mut end, mut records) = (0, 0);
        let read = loop {
            match lines.next(&mut text) {
                Err(error) => break Err(text.damage(error.to_string())),
                Ok(None) => break Ok(end),
                Ok(Some((offset, line))) => {
                    end = offset + line.len() as u64;
                    if let Flow::Enough = each(self, offset, line)? {
                        break Ok(end);
                    }
                }
            }
            records += 1;
            if records % 4_096 == 0 {
                self.cx.progress.add_records(4_096);
                if self.windows.memory_bytes() > self.cx.wanted.memory_bytes {
                    self.flush()?;
                }
            }
        };
        self.cx.progress.add_records(records % 4_096);
        if self.out.wants_sessions() {
            self.flush()?;
        }
        Ok(read)
    }

    fn own_line(&mut self, decoder: &mut Decoder, offset: u64, line: &[u8]) -> io::Result<()> {
        each_event(decoder, line, |piece, event| {
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
            self.own_event(event, minute_s)
        })
    }

    fn own_event(&mut self, event: &Event<'_>, minute_s: i64) -> io::Result<()> {
        let counts = &mut self.out.counts;
        counts.read += 1;
        if self.cx.shard.dedupe_horizon_ms > 0
            && event.event_id().is_some_and(|id| self.ids.repeats(EventId::of(id), minute_s))
        {
            counts.duplicate += 1;
            return Ok(());
        }
        counts.accepted += 1;
        match event {
            Event::Gauge(gauge) => self.windows.add_gauge(gauge),
            Event::Player(sample) => self.windows.add_player(sample),
            Event::Chat(message) => self.windows.add_chat(message),
            Event::Fact(fact) => {
                if self.out.wants_sessions() {
                    self.sessions.add_fact(fact);
                }
            }
        }
        Ok(())
    }

    fn reject(&mut self, offset: u64, piece: &[u8], rejection: &Rejection) -> io::Result<()> {
        let counts = &mut self.out.counts;
        counts.read += 1;
        *counts.rejected.entry(rejection.reason).or_default() += 1;
        self.out.reject(place(&self.cx.objects[self.object].name, offset), rejection, piece)
    }

    /// Hands out what was folded of the current object.
    fn flush(&mut self) -> io::Result<()> {
        let stamp = self.cx.object_stamp(self.object);
        let metrics = self.windows.drain();
        if self.out.wants_sessions() {
            for (key, agg) in &metrics {
                self.sessions.absorb_window(key, agg);
            }
            let sessions = self.sessions.drain();
            self.out.add_sessions(sessions.summaries, sessions.timeline, stamp)?;
        }
        self.out.add_metrics(metrics, stamp)
    }
}

/// The events of a line: one, or several side by side.
#[inline(always)]
fn each_event(
    decoder: &mut Decoder,
    line: &[u8],
    mut each: impl FnMut(&[u8], Result<&Event<'_>, &Rejection>) -> io::Result<()>,
) -> io::Result<()> {
    let decoded = decoder.decode(line, UNKNOWN_ARRIVAL);
    // Borrowed where it stands: an event is large.
    let rejection = match &decoded {
        Ok(event) if event.time() != UNKNOWN_ARRIVAL => return each(line, Ok(event)),
        Ok(_) => &no_time(),
        Err(rejection) => rejection,
    };
    if !matches!(rejection.reason, Reason::NotJson | Reason::TooLarge) {
        return each(line, Err(rejection));
    }
    if is_blank(line) {
        return Ok(());
    }
    let Some(pieces) = concatenated(line) else { return each(line, Err(rejection)) };
    pieces.into_iter().try_for_each(|piece| match decoder.decode(piece, UNKNOWN_ARRIVAL) {
        Ok(event) if event.time() != UNKNOWN_ARRIVAL => each(piece, Ok(&event)),
        Ok(_) => each(piece, Err(&no_time())),
        Err(rejection) => each(piece, Err(&rejection)),
    })
}

fn no_time() -> Rejection {
    Rejection {
        reason: Reason::MissingField,
        field: None,
        detail: "no event time, and the source knows no arrival times".to_owned(),
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}
