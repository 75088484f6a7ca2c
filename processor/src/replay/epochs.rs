//! Records of a shard through the worker's own state machine: what a record is, which lines it
//! holds and what repeats what is decided by the code that decided it online.

use std::io;
use std::sync::Arc;

use ivs_core::epoch::{
    Effect, ElapsedMs, Input, Objects, Resume, Rows, Shard, ShardConfig, StoredRows,
};
use kinesis_model::{HashRange, Record, ShardId};
use serde_json::json;

use super::entry::Stamp;
use super::output::Output;

/// A shard that is read again, epoch by epoch.
pub(crate) struct ShardFold {
    machine: Shard,
    effects: Vec<Effect>,
    /// Turns one millisecond an epoch: an epoch closes when it is told to, and never by itself.
    clock: ElapsedMs,
}

impl ShardFold {
    /// Returns a shard at its beginning.
    pub(crate) fn new(id: &ShardId, range: HashRange, config: &ShardConfig) -> Self {
        let config = ShardConfig {
            interval_ms: 1,
            max_rows: usize::MAX,
            max_records: u64::MAX,
            max_bytes: u64::MAX,
            archive: false,
            ..config.clone()
        };
        let machine = Shard::resume(id.clone(), range, Resume::default(), &config)
            .expect("only a prepared epoch can have foreign rules");
        Self { machine, effects: Vec::new(), clock: ElapsedMs(0) }
    }

    /// Folds the next records.
    pub(crate) fn take(&mut self, records: Vec<Record>) {
        self.machine.step(Input::Records(records), &mut self.effects);
        while self.machine.has_backlog() {
            self.machine.step(Input::Turn, &mut self.effects);
        }
    }

    /// Ends the epoch and hands it out.
    ///
    /// # Errors
    /// When rows must be spilled and cannot.
    pub(crate) fn close(&mut self, stamp: Stamp, out: &mut Output) -> io::Result<()> {
        self.clock.0 += 1;
        self.machine.step(Input::Tick(self.clock), &mut self.effects);
        let mut closed: Option<Arc<Rows>> = None;
        // Each effect is answered at once; the last answer leaves the machine idle.
        while let Some(effect) = self.effects.pop() {
            let answer = match effect {
                Effect::Prepare(step) => step.done(),
                Effect::PutRows(step) => {
                    closed = Some(Arc::clone(&step.rows));
                    step.done(StoredRows::default())
                }
                Effect::Store(step) => {
                    self.reject(&step.objects, out)?;
                    step.done()
                }
                Effect::Emit(step) => {
                    out.counts.add(&step.emission.counts);
                    step.done()
                }
                Effect::Commit(step) => step.done(),
                Effect::Finish(_) => continue,
            };
            self.machine.step(answer, &mut self.effects);
        }
        match closed.map(Arc::try_unwrap) {
            None => Ok(()),
            Some(rows) => out.add(rows.expect("the machine is idle and holds no rows"), stamp),
        }
    }

    fn reject(&self, objects: &Objects, out: &mut Output) -> io::Result<()> {
        for record in &objects.rejected {
            let place = json!({
                "shardId": self.machine.id().as_str(),
                "sequenceNumber": record.position.sequence.to_string(),
                "subSequenceNumber": record.position.sub,
                "line": record.line,
                "refused": record.lines(),
                "arrivalMs": record.arrival.0,
            });
            out.reject(place, &record.rejection, &record.data)?;
        }
        Ok(())
    }
}
