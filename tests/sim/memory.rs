//! E8 from outside: what a shard's machine can hold, from what it was given and what it gave.

use ivs_core::epoch::{Effect, ElapsedMs, Resume, Rows, ShardConfig};
use kinesis_model::{Position, SequenceNumber};

/// A line that was given to the machine and belongs to no closed epoch.
struct Open {
    position: Position,
    bytes: u64,
    /// When it was folded, once it was.
    folded: Option<ElapsedMs>,
}

/// The books of one machine.
pub(crate) struct Memory {
    limits: ShardConfig,
    /// The epoch to be recovered, which is closed at its own end and not at a limit.
    forced: Option<Position>,
    /// Everything up to here was committed before the machine began.
    done: Option<Position>,
    /// Records given, those that were committed before included.
    given: Vec<SequenceNumber>,
    open: Vec<Open>,
    in_flight: Option<Position>,
    /// When the last one was committed.
    landed: ElapsedMs,
    /// Others are in flight, for which a full one may wait.
    has_company: bool,
    /// Windows and facts that the epoch in flight may have; `None` if it was recovered.
    most_rows: Option<usize>,
}

impl Memory {
    pub(crate) fn new(limits: &ShardConfig, resume: &Resume) -> Self {
        Self {
            limits: limits.clone(),
            forced: resume.pending,
            done: resume.checkpoint,
            given: vec![],
            open: vec![],
            in_flight: None,
            landed: ElapsedMs(0),
            has_company: false,
            most_rows: None,
        }
    }

    /// A batch is about to be given: positions of its lines, and bytes counted once a record.
    pub(crate) fn give(
        &mut self,
        lines: impl Iterator<Item = (Position, u64)>,
    ) -> Result<(), String> {
        if self.is_held() || (self.in_flight.is_some() && self.is_full()) {
            return Err("E8: reading goes on although an epoch is full".to_owned());
        }
        for (position, bytes) in lines {
            if self.given.last() != Some(&position.sequence) {
                self.given.push(position.sequence);
            }
            if Some(position) > self.done {
                self.open.push(Open { position, bytes, folded: None });
            }
        }
        Ok(())
    }

    /// All records given are folded but the last few that wait.
    pub(crate) fn folded(&mut self, waiting: usize, now: ElapsedMs) {
        let first_waiting = self.given.len().checked_sub(waiting).and_then(|at| self.given.get(at));
        for open in &mut self.open {
            if first_waiting.is_none_or(|first| open.position.sequence < *first) {
                open.folded.get_or_insert(now);
            }
        }
    }

    /// The last few records given were dropped unfolded: the next owner reads them.
    pub(crate) fn forget(&mut self, waiting: usize) {
        let dropped = self.given.split_off(self.given.len().saturating_sub(waiting));
        if let Some(first) = dropped.first() {
            self.open.retain(|open| open.position.sequence < *first);
        }
    }

    /// Notes what the machine asked for.
    pub(crate) fn note(&mut self, effects: &[Effect]) -> Result<(), String> {
        for effect in effects {
            match effect {
                Effect::Prepare(step) => self.close(step.to)?,
                Effect::PutRows(step) => self.check_rows(&step.rows)?,
                Effect::Store(_) | Effect::Emit(_) | Effect::Commit(_) | Effect::Finish(_) => {}
            }
        }
        Ok(())
    }

    fn close(&mut self, to: Position) -> Result<(), String> {
        if let Some(other) = self.in_flight {
            return Err(format!("E8: {to} was closed while {other} is in flight"));
        }
        self.in_flight = Some(to);
        let lines = self.open.iter().take_while(|open| open.position <= to).count();
        // Limits are looked at between records: only the last may have gone beyond one.
        let before_last =
            self.open[..lines].iter().filter(|open| open.position.sequence < to.sequence);
        let (mut records, mut bytes) = (0, 0);
        for open in before_last {
            records += 1;
            bytes += open.bytes;
        }
        let of_last = lines - records;
        let recovered = self.forced.take().is_some();
        self.most_rows = (!recovered).then(|| self.limits.max_rows - 1 + of_last);
        let full = records as u64 >= self.limits.max_records || bytes >= self.limits.max_bytes;
        if !recovered && full {
            return Err(format!("E8: an epoch of {lines} records goes on beyond its limits"));
        }
        self.open.drain(..lines);
        Ok(())
    }

    /// Checks that each line adds a window or a fact. The summaries of their sessions come on top.
    fn check_rows(&self, rows: &Rows) -> Result<(), String> {
        let count = rows.metrics.len() + rows.timeline.len();
        match self.most_rows {
            Some(most) if count > most => {
                Err(format!("E8: an epoch of {count} rows, {most} are the most"))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn committed(&mut self, now: ElapsedMs) {
        self.in_flight = None;
        self.landed = now;
    }

    /// Notes whether others are in flight.
    pub(crate) fn company(&mut self, is_there: bool) {
        self.has_company = is_there;
    }

    /// After every step: what is due is closed.
    pub(crate) fn check(&self, now: ElapsedMs) -> Result<(), String> {
        if self.in_flight.is_some() || self.forced.is_some() {
            return Ok(());
        }
        let Some(since) = self.open.first().and_then(|open| open.folded) else { return Ok(()) };
        let open_ms = now.0 - since.0;
        let interval_ms = u64::try_from(self.limits.interval_ms).expect("no interval is negative");
        if (self.is_full() && !self.may_wait(now)) || open_ms >= interval_ms {
            return Err(format!(
                "E8: {} records, open for {open_ms} ms, are not closed",
                self.open.len()
            ));
        }
        Ok(())
    }

    /// Returns whether a full epoch is open without another one in flight.
    pub(crate) fn is_held(&self) -> bool {
        self.has_company && self.in_flight.is_none() && self.forced.is_none() && self.is_full()
    }

    /// Returns whether a full epoch may be left open for those of others.
    fn may_wait(&self, now: ElapsedMs) -> bool {
        let filled = self.open.iter().filter_map(|open| open.folded).max().unwrap_or_default();
        self.has_company && now.0 < filled.max(self.landed).0 + self.limits.company_ms
    }

    fn is_full(&self) -> bool {
        let folded = self.open.iter().filter(|open| open.folded.is_some());
        let (mut records, mut bytes) = (0, 0);
        for open in folded {
            records += 1;
            bytes += open.bytes;
        }
        records >= self.limits.max_records || bytes >= self.limits.max_bytes
    }
}
