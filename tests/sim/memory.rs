//! E8 from outside: what a shard's machine can hold, from what it was given and what it gave.

use ivs_core::epoch::{Effect, Resume, Rows, ShardConfig};
use kinesis_model::{EpochMs, Position};

/// A line that was given to the machine and belongs to no closed epoch.
struct Open {
    position: Position,
    bytes: u64,
    given: EpochMs,
}

/// The books of one machine.
pub(crate) struct Memory {
    limits: ShardConfig,
    /// The epoch to be recovered, which is closed at its own end and not at a limit.
    forced: Option<Position>,
    /// Everything up to here was committed before the machine began.
    done: Option<Position>,
    open: Vec<Open>,
    /// Lines of the last batch: limits are looked at between records, and while an epoch is in
    /// flight between batches.
    last_batch: usize,
    in_flight: Option<Position>,
    /// Windows and facts that the epoch in flight may have; `None` if it was recovered.
    most_rows: Option<usize>,
}

impl Memory {
    pub(crate) fn new(limits: &ShardConfig, resume: &Resume) -> Self {
        Self {
            limits: limits.clone(),
            forced: resume.pending,
            done: resume.checkpoint,
            open: vec![],
            last_batch: 0,
            in_flight: None,
            most_rows: None,
        }
    }

    /// A batch is about to be given: positions of its lines, and bytes counted once a record.
    pub(crate) fn give(
        &mut self,
        lines: impl Iterator<Item = (Position, u64)>,
        now: EpochMs,
    ) -> Result<(), String> {
        if self.in_flight.is_some() && self.is_full() {
            return Err("E8: reading goes on beside an epoch in flight and a full one".to_owned());
        }
        let new = lines.filter(|(position, _)| Some(*position) > self.done);
        let before = self.open.len();
        self.open.extend(new.map(|(position, bytes)| Open { position, bytes, given: now }));
        self.last_batch = self.open.len() - before;
        Ok(())
    }

    /// What the machine asked for.
    pub(crate) fn note(&mut self, effects: &[Effect]) -> Result<(), String> {
        for effect in effects {
            match effect {
                Effect::Prepare(to) => self.close(*to)?,
                Effect::PutRows { rows, .. } => self.check_rows(rows)?,
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
        let batch = self.last_batch.max(1);
        let recovered = self.forced.take().is_some();
        self.most_rows = (!recovered).then(|| self.limits.max_rows - 1 + batch);
        let (records, most) = (lines as u64, self.limits.max_records - 1 + batch as u64);
        if !recovered && records > most {
            return Err(format!("E8: an epoch of {records} records, {most} are the most"));
        }
        self.open.drain(..lines);
        Ok(())
    }

    /// Each line adds a window or a fact. The summaries of their sessions come on top.
    fn check_rows(&self, rows: &Rows) -> Result<(), String> {
        let count = rows.metrics.len() + rows.timeline.len();
        match self.most_rows {
            Some(most) if count > most => {
                Err(format!("E8: an epoch of {count} rows, {most} are the most"))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn committed(&mut self) {
        self.in_flight = None;
    }

    /// After every step: what is due is closed.
    pub(crate) fn check(&self, now: EpochMs) -> Result<(), String> {
        if self.in_flight.is_some() || self.forced.is_some() {
            return Ok(());
        }
        let Some(first) = self.open.first() else { return Ok(()) };
        let open_ms = now.0 - first.given.0;
        if self.is_full() || open_ms >= self.limits.interval_ms {
            return Err(format!(
                "E8: {} records, open for {open_ms} ms, are not closed",
                self.open.len()
            ));
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        let bytes: u64 = self.open.iter().map(|open| open.bytes).sum();
        self.open.len() as u64 >= self.limits.max_records || bytes >= self.limits.max_bytes
    }
}
