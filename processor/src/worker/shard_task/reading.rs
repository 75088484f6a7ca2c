//! Reading a shard on a task of its own, so that an answered effect never cuts a call to Kinesis
//! short.

use std::sync::Arc;

use kinesis_fleet::ChildShard;
use kinesis_fleet::source::{Batch, ShardReader, SourceError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::outcome::TaskError;
use crate::worker::memory::Share;

/// Batches read ahead of the fold. Reading pauses when the machine wants no records (E8), so at
/// most this many batches of 10 MiB wait outside it.
const READ_AHEAD: usize = 1;

/// The memory of a record beside its payload.
const RECORD_BYTES: u64 = 150;

/// The stream's answer.
pub(super) enum Read {
    /// Records, or none.
    Batch(Batch),
    /// The shard is not there any more; its children.
    Gone(Vec<ChildShard>),
    /// It could not be read.
    Failed(SourceError),
}

/// A shard that is being read; dropping it stops the task.
pub(super) struct Reading {
    batches: mpsc::Receiver<Read>,
    stop: CancellationToken,
    task: JoinHandle<Option<()>>,
}

impl Reading {
    /// Starts to read.
    pub(super) fn start(reader: ShardReader, share: Arc<Share>) -> Self {
        let (sender, batches) = mpsc::channel(READ_AHEAD);
        let stop = CancellationToken::new();
        let task =
            tokio::spawn(stop.clone().run_until_cancelled_owned(read_on(reader, share, sender)));
        Self { batches, stop, task }
    }

    /// Reads no more.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits for what the stream gives next.
    pub(super) async fn next(&mut self) -> Result<Read, TaskError> {
        match self.batches.recv().await {
            Some(read) => Ok(read),
            // It ends after an end or an error of the stream, which the machine or the loop has
            // taken as its own end. Anything else is a fault, and must not pass for a quiet shard.
            None => Err(TaskError::ReaderDied(match (&mut self.task).await {
                Err(error) => error.to_string(),
                Ok(_) => "it ended by itself".to_owned(),
            })),
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Reads until the shard ends, cannot be read, or nobody wants more.
///
/// Each read waits until the worker's memory has room for it.
async fn read_on(mut reader: ShardReader, share: Arc<Share>, sender: mpsc::Sender<Read>) {
    let mut last_read = None;
    loop {
        reader.expect_at_most(share.reserve(last_read).await);
        let (read, goes_on) = match reader.next().await {
            Ok(batch) => {
                let bytes = bytes_of(&batch);
                share.was_read(bytes);
                last_read = Some(bytes);
                let goes_on = batch.end.is_none();
                (Read::Batch(batch), goes_on)
            }
            Err(SourceError::Gone { children, .. }) => (Read::Gone(children), false),
            // Kinesis being away for a while is not a reason to give the shard up.
            Err(error @ SourceError::Unreachable { .. }) => (Read::Failed(error), true),
            Err(error) => (Read::Failed(error), false),
        };
        if sender.send(read).await.is_err() || !goes_on {
            break;
        }
    }
}

/// Returns about what a batch takes in memory.
pub(super) fn bytes_of(batch: &Batch) -> u64 {
    batch.records.iter().map(|record| record.data.len() as u64 + RECORD_BYTES).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_that_panics_is_an_error_and_no_quiet_shard() {
        let (sender, batches) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let task = tokio::spawn(async move {
            let _held = sender;
            panic!("out of luck")
        });
        let mut reading = Reading { batches, stop, task };
        let Err(error) = reading.next().await else { panic!("it has nothing to give") };
        assert!(matches!(error, TaskError::ReaderDied(_)), "{error}");
        assert!(error.to_string().contains("out of luck"), "{error}");
    }
}
