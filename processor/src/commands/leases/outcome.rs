//! The fate of each lease, in words.

use kinesis_fleet::admin::Changed;
use kinesis_fleet::{Lease, ShardId};
use serde::Serialize;

use crate::commands::text_table::count;
use crate::printable::{self, OneLine};

/// The leases could not be looked at, so nothing is known about them.
#[derive(Debug, thiserror::Error)]
#[error("nothing was verified: {0}")]
pub(in crate::commands) struct Unread(pub(super) String);

/// Puts leases in the order of their shards.
pub(super) fn sorted(mut leases: Vec<Lease>) -> Vec<Lease> {
    leases.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    leases
}

/// The outcome of one lease.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome {
    pub(super) shard: String,
    pub(super) done: bool,
    pub(super) says: String,
}

impl Outcome {
    pub(super) fn of(shard: &ShardId, changed: &Changed, done: &str) -> Self {
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
pub(super) fn report(outcomes: &[Outcome], json: bool) -> anyhow::Result<()> {
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
