//! The whole of it for an application that needs no epochs: every record at least once, in order
//! per shard.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use kinesis_model::{Position, Record, ShardId};
use tokio::task::JoinSet;

use crate::config::FleetConfig;
use crate::coordinator::{Fleet, FleetError, LeaseOutcome, ShardLease, ShutdownReport};
use crate::source::{ReaderSettings, ShardReader, SourceError};

/// Consumes the stream of `config` until `stop` completes: calls `handle` with the records of one
/// batch of one shard and moves the checkpoint when it returns `Ok`. Shards are worked on side by
/// side, the batches of one shard one after the other.
///
/// When `handle` fails, or a shard cannot be read or committed, the shard's lease is dropped with
/// an error in the log; after the failover time a worker takes it from its last checkpoint.
/// At the end the leases are released, within `deadline`. Records that expire before they are read
/// are logged as an error, with both positions.
///
/// # Errors
/// The fleet could not start.
pub async fn consume<H, F, E>(
    config: FleetConfig,
    settings: ReaderSettings,
    (kinesis, dynamodb): (Client, aws_sdk_dynamodb::Client),
    stop: impl Future<Output = ()>,
    deadline: Duration,
    handle: H,
) -> Result<ShutdownReport, FleetError>
where
    H: Fn(ShardId, Vec<Record>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Display + Send + 'static,
{
    let stream = config.stream.clone();
    let (fleet, mut leases) = Fleet::start(config, kinesis.clone(), dynamodb).await?;
    let mut shards = JoinSet::new();
    tokio::pin!(stop);
    loop {
        let lease = tokio::select! {
            () = &mut stop => break,
            Some(lease) = leases.recv() => lease,
            Some(_) = shards.join_next() => continue,
        };
        let (shard, point) = (lease.shard().clone(), lease.resume_point());
        let reader = ShardReader::open(&kinesis, &stream, shard, point.start(), settings.clone());
        let reader = reader.continuing(point.to_be_met());
        shards.spawn(shard_task(lease, reader, handle.clone()));
    }
    // Leases that arrived just before the stop go back unread.
    let give_back = async {
        while let Some(lease) = leases.recv().await {
            if let Err(error) = lease.release().await {
                tracing::warn!(%error, "lease could not be released, it will expire");
            }
        }
    };
    Ok(tokio::join!(fleet.shutdown(deadline), give_back).0)
}

async fn shard_task<H, F, E>(lease: ShardLease, reader: ShardReader, handle: H)
where
    H: Fn(ShardId, Vec<Record>) -> F,
    F: Future<Output = Result<(), E>>,
    E: Display,
{
    let shard = lease.shard().clone();
    if let Err(error) = work(lease, reader, handle).await {
        tracing::error!(%shard, error, "shard dropped until its lease expires");
    }
}

async fn work<H, F, E>(lease: ShardLease, mut reader: ShardReader, handle: H) -> Result<(), String>
where
    H: Fn(ShardId, Vec<Record>) -> F,
    F: Future<Output = Result<(), E>>,
    E: Display,
{
    let (lost, hand_over) = (lease.lost(), lease.hand_over());
    let done = lease.resume_point().position();
    loop {
        let mut batch = tokio::select! {
            biased;
            () = lost.cancelled() => return Ok(()),
            () = hand_over.cancelled() => {
                return lease.release().await.map(drop).map_err(text);
            }
            batch = reader.next() => match batch {
                Err(SourceError::Gone { children, .. }) => {
                    tracing::error!(
                        shard = %lease.shard(), checkpoint = %lease.resume_point().checkpoint,
                        "the shard left the stream before it was read to its end"
                    );
                    return lease.finish(&children).await.map(drop).map_err(text);
                }
                batch => batch.map_err(text)?,
            },
        };
        // The record at the checkpoint comes again, to prove that none after it has expired; the
        // reader logs it if some have.
        batch.records.retain(|record| done.is_none_or(|done| record.sequence > done.sequence));
        let last = batch.records.last().map(|record| (record.sequence, record.arrival));
        if let Some((sequence, arrival)) = last {
            tokio::select! {
                biased;
                () = lost.cancelled() => return Ok(()),
                handled = handle(lease.shard().clone(), batch.records) => handled.map_err(text)?,
            }
            let commit = lease.commit(Position { sequence, sub: 0 }, arrival);
            if commit.await.map_err(text)? == LeaseOutcome::Lost {
                return Ok(());
            }
        }
        if let Some(children) = batch.end {
            return lease.finish(&children).await.map(drop).map_err(text);
        }
    }
}

fn text(error: impl Display) -> String {
    error.to_string()
}
