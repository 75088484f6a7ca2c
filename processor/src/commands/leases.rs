//! `leases`: the lease table, as operators see and change it.

mod args;
mod seek;
mod verify;

use std::time::Duration;

use kinesis_fleet::admin::{self, Changed, stream};
use kinesis_fleet::store::{Consistency, LeftOut, Rows};
use kinesis_fleet::{Checkpoint, EpochMs, Lease, LeaseStore, ShardId};
use serde::Serialize;

pub(super) use args::LeasesCommand;
use args::{FinishArgs, ReleaseArgs};

use crate::cloud;
use crate::cloud::Clients;
use crate::commands::text_table::{count, or_dash, render};
use crate::config::Config;
use crate::printable::{self, OneLine};

/// For one request; an operator's machine may be far away.
const REQUEST: Duration = Duration::from_secs(5);

/// The leases could not be looked at, so nothing is known about them.
#[derive(Debug, thiserror::Error)]
#[error("nothing was verified: {0}")]
pub(super) struct Unread(String);

/// Runs `leases …`.
///
/// # Errors
/// When the table cannot be read or written, a change was refused, or a check found something.
pub(super) async fn run(config: &Config, command: &LeasesCommand) -> anyhow::Result<()> {
    let clients = cloud::clients(&config.aws).await;
    let store = store(config, &clients);
    let checked = store.check_table().await;
    match command {
        LeasesCommand::Verify(args) => {
            checked.map_err(|error| Unread(error.to_string()))?;
            verify::run(config, &clients, &store, args.json).await
        }
        LeasesCommand::List(args) => {
            checked?;
            let Rows { leases, left_out } = store.read(Consistency::Eventual).await?;
            let leases = sorted(leases);
            if args.json {
                let reports: Vec<_> = leases.iter().map(LeaseReport::of).collect();
                println!("{}", printable::json(&reports)?);
            } else {
                print!("{}", table(&leases));
            }
            say_left_out(&left_out);
            Ok(())
        }
        LeasesCommand::Seek(args) => {
            checked?;
            seek::run(config, &clients, &store, args).await
        }
        LeasesCommand::Release(args) => {
            checked?;
            release(&store, args).await
        }
        LeasesCommand::Finish(args) => {
            checked?;
            finish(config, &clients, &store, args).await
        }
    }
}

/// A table may hold many rows that are not leases; their number and the first say enough.
fn say_left_out(rows: &[LeftOut]) {
    if let Some(LeftOut { key, why }) = rows.first() {
        let (key, why) = (OneLine(key), OneLine(why));
        eprintln!("{} left out, `{key}` for example: {why}", count(rows.len(), "row"));
    }
}

/// Returns the lease table of the configuration.
pub(super) fn store(config: &Config, clients: &Clients) -> LeaseStore {
    LeaseStore::new(&clients.dynamodb, &config.fleet.lease_table, REQUEST)
}

fn sorted(mut leases: Vec<Lease>) -> Vec<Lease> {
    leases.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    leases
}

/// A lease as JSON; names are those of the table's attributes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LeaseReport {
    lease_key: String,
    lease_owner: Option<String>,
    lease_counter: u64,
    checkpoint: String,
    checkpoint_arrival_ms: Option<EpochMs>,
    pending_checkpoint: Option<String>,
    parent_shard_id: Vec<String>,
    child_shard_ids: Vec<String>,
    starting_hash_key: Option<String>,
    ending_hash_key: Option<String>,
    hand_over_to: Option<String>,
    tip_seen_ms: Option<EpochMs>,
    failed_tasks: u64,
    last_error: Option<String>,
    initial_timestamp_ms: Option<EpochMs>,
}

impl LeaseReport {
    fn of(lease: &Lease) -> Self {
        let texts = |shards: &[ShardId]| shards.iter().map(ToString::to_string).collect();
        Self {
            lease_key: lease.key.to_string(),
            lease_owner: lease.owner.as_ref().map(ToString::to_string),
            lease_counter: lease.counter,
            checkpoint: lease.checkpoint.to_string(),
            checkpoint_arrival_ms: lease.checkpoint_arrival,
            pending_checkpoint: lease.pending.as_ref().map(Checkpoint::to_string),
            parent_shard_id: texts(&lease.parents),
            child_shard_ids: texts(&lease.children),
            starting_hash_key: lease.hash_range.map(|range| range.start.to_string()),
            ending_hash_key: lease.hash_range.map(|range| range.end.to_string()),
            hand_over_to: lease.hand_over_to.as_ref().map(ToString::to_string),
            tip_seen_ms: lease.tip_seen,
            failed_tasks: lease.failures,
            last_error: lease.last_error.as_deref().map(str::to_owned),
            initial_timestamp_ms: lease.initial_time,
        }
    }
}

fn table(leases: &[Lease]) -> String {
    let row = |lease: &Lease| {
        let parents: Vec<_> = lease.parents.iter().map(ShardId::as_str).collect();
        [
            lease.key.to_string(),
            or_dash(lease.owner.as_ref()),
            lease.counter.to_string(),
            lease.checkpoint.to_string(),
            or_dash(lease.pending.as_ref()),
            or_dash((!parents.is_empty()).then(|| parents.join(" "))),
        ]
    };
    let header = ["SHARD", "OWNER", "COUNTER", "CHECKPOINT", "PENDING", "PARENTS"];
    render(header, &leases.iter().map(row).collect::<Vec<_>>())
}

/// The outcome of one lease.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    shard: String,
    done: bool,
    says: String,
}

impl Outcome {
    fn of(shard: &ShardId, changed: &Changed, done: &str) -> Self {
        let says = match changed {
            Changed::Done(lease) => match &lease.pending {
                None => format!("{done}, checkpoint {}", lease.checkpoint),
                Some(to) => format!("{done}; its next owner finishes the epoch up to {to} first"),
            },
            Changed::Owned(worker) => {
                format!("not changed: {worker} holds it; stop that worker, or use --force")
            }
            Changed::Prepared(to) => format!(
                "not changed: an epoch up to {to} is prepared and some rows may hold it; start a \
                 worker and stop it in order, or use --force"
            ),
            Changed::NoLease => "there is no such lease".to_owned(),
            Changed::Busy => "not changed: it was written by others again and again".to_owned(),
        };
        Self { shard: shard.to_string(), done: matches!(changed, Changed::Done(_)), says }
    }
}

/// Prints outcomes; an error unless all were done.
fn report(outcomes: &[Outcome], json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", printable::json(&outcomes)?);
    } else {
        for Outcome { shard, says, .. } in outcomes {
            println!("{}: {}", OneLine(shard), OneLine(says));
        }
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.done).count();
    let all = count(outcomes.len(), "lease");
    anyhow::ensure!(failed == 0, "{failed} of {all} not changed");
    Ok(())
}

async fn release(store: &LeaseStore, args: &ReleaseArgs) -> anyhow::Result<()> {
    let mut outcomes = Vec::new();
    for shard in &args.shards {
        let shard = ShardId::new(shard);
        let changed = admin::release(store, &shard).await?;
        outcomes.push(Outcome::of(&shard, &changed, "released"));
    }
    report(&outcomes, args.json)
}

async fn finish(
    config: &Config,
    clients: &Clients,
    store: &LeaseStore,
    args: &FinishArgs,
) -> anyhow::Result<()> {
    let (kinesis, name, shard) = (&clients.kinesis, &config.stream.name, ShardId::new(&args.shard));
    let described = stream::describe(kinesis, name).await?;
    let other = |lease: &Lease| stream::is_of_another_stream(lease, &described);
    let lease = store.get(&shard).await?;
    anyhow::ensure!(
        !lease.as_ref().is_some_and(other),
        "the lease of {shard} belongs to an earlier stream of the name {name}; nothing was changed"
    );
    anyhow::ensure!(
        stream::is_gone(kinesis, name, &shard, &described.shards).await?,
        "{name} still holds {shard}: a worker reads it to its end; nothing was changed"
    );
    let changed = admin::finish(store, &shard, &described.shards).await?;
    let done = match lease.map(|lease| (lease.checkpoint, lease.pending)) {
        Some((at, Some(to))) => format!(
            "finished; what followed {at} is lost, and rows of the epoch up to {to} may be incomplete"
        ),
        Some((at, None)) => format!("finished; what followed {at} is lost"),
        None => "finished".to_owned(),
    };
    report(&[Outcome::of(&shard, &changed, &done)], args.json)
}

#[cfg(test)]
mod tests {
    use kinesis_fleet::{HashRange, WorkerId};

    use super::*;

    fn lease() -> Lease {
        let mut lease = Lease::new(ShardId::new("shardId-1"), Checkpoint::TrimHorizon);
        lease.owner = Some(WorkerId::new("w-1"));
        lease.counter = 12;
        lease.parents = vec![ShardId::new("shardId-0")];
        lease.pending = Some(Checkpoint::Sequence("7/3".parse().unwrap()));
        lease.hash_range = Some(HashRange::ALL);
        lease
    }

    #[test]
    fn the_table_shows_every_column_and_json_the_tables_own_names() {
        let text = table(&[lease()]);
        let cells: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(cells, ["shardId-1", "w-1", "12", "TRIM_HORIZON", "7/3", "shardId-0"]);
        let json = serde_json::to_value(LeaseReport::of(&lease())).unwrap();
        assert_eq!(json["leaseKey"], "shardId-1");
        assert_eq!(json["pendingCheckpoint"], "7/3");
        assert_eq!(json["startingHashKey"], "0");
    }

    #[test]
    fn a_refusal_says_why_and_what_to_do() {
        let shard = ShardId::new("shardId-1");
        let owned = Outcome::of(&shard, &Changed::Owned(WorkerId::new("w-1")), "moved");
        assert!(!owned.done && owned.says.contains("w-1") && owned.says.contains("--force"));
        let free = Outcome::of(&shard, &Changed::Done(Box::new(lease())), "released");
        assert!(free.done && free.says.contains("finishes the epoch up to 7/3"), "{}", free.says);
        assert!(report(&[owned, free], true).is_err());
    }
}
