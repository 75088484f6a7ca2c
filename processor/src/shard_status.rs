//! What one shard's task is doing, for the status page and for knowing when all is committed.

use std::sync::{Mutex, PoisonError};

use ivs_core::epoch::Commit;
use ivs_core::stream::Position;
use kinesis_fleet::source::Batch;
use serde::Serialize;

/// Shared between a shard's task and who looks at it.
#[derive(Debug, Default)]
pub struct ShardStatus(Mutex<View>);

/// A shard at one moment.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// Records read by this task, those before the checkpoint included.
    pub read: u64,
    /// Records committed by this task.
    pub committed_records: u64,
    /// Epochs committed by this task.
    pub epochs: u64,
    /// The last committed position of this task.
    #[serde(serialize_with = "as_text")]
    pub committed: Option<Position>,
    /// How far reading is behind the tip, in milliseconds.
    pub millis_behind: u64,
    /// Answers without records right at the tip.
    pub empty_reads: u64,
    /// Whether nothing that was read is uncommitted.
    pub idle: bool,
    /// How the task ended, once it has.
    pub ended: Option<String>,
}

fn as_text<S: serde::Serializer>(at: &Option<Position>, out: S) -> Result<S::Ok, S::Error> {
    at.map(|at| at.to_string()).serialize(out)
}

impl ShardStatus {
    fn change(&self, change: impl FnOnce(&mut View)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Notes a batch.
    pub fn read(&self, batch: &Batch) {
        self.change(|view| {
            view.read += batch.records.len() as u64;
            view.millis_behind = batch.millis_behind;
            view.empty_reads += u64::from(batch.millis_behind == 0 && batch.records.is_empty());
            view.idle &= batch.records.is_empty();
        });
    }

    /// Notes a commit.
    pub fn committed(&self, commit: &Commit) {
        self.change(|view| {
            view.epochs += 1;
            view.committed_records += commit.counts.read;
            view.committed = Some(commit.to);
        });
    }

    /// Notes whether anything read is uncommitted.
    pub fn idle(&self, idle: bool) {
        self.change(|view| view.idle = idle);
    }

    /// Notes the end of the task.
    pub fn ended(&self, how: String) {
        self.change(|view| view.ended = Some(how));
    }

    /// The shard now.
    #[must_use]
    pub fn view(&self) -> View {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
