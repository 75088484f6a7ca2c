//! `leases seek`.

use anyhow::{Context as _, bail};
use kinesis_fleet::admin::{self, Changed, stream};
use kinesis_fleet::{Checkpoint, EpochMs, Lease, LeaseStore, ShardId};

use super::args::{SeekArgs, SeekTo};
use super::{Outcome, report, sorted};
use crate::clock::now;
use crate::cloud::Clients;
use crate::commands::text_table::count;
use crate::config::Config;

/// Which way a checkpoint moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Records are read again.
    Back,
    /// Records are skipped, or there are none in between.
    Forward,
}

/// Moves the checkpoints; with `--all` either of all leases or of none.
///
/// # Errors
/// When a lease may not be moved, or the place is none.
pub(super) async fn run(
    config: &Config,
    clients: &Clients,
    store: &LeaseStore,
    args: &SeekArgs,
) -> anyhow::Result<()> {
    let leases = match &args.shard {
        Some(shard) => {
            let shard = ShardId::new(shard);
            let lease = store.get(&shard).await?;
            vec![lease.with_context(|| format!("{shard} has no lease in {}", store.table()))?]
        }
        None => sorted(store.list().await?),
    };
    let now = now();
    let (to, initial_time) = target(args.to, now)?;
    if let Checkpoint::Sequence(_) = to {
        let [lease] = leases.as_slice() else {
            bail!("a sequence number belongs to one shard; name it instead of --all")
        };
        let moved = Lease { checkpoint: to, ..lease.clone() };
        let calls = stream::calls(&clients.kinesis, &config.stream.name);
        // Kinesis refuses a number that is none of the shard's; a worker could never start on it.
        stream::lag_ms(&calls, &config.stream.name, &moved, now).await?;
    }
    if !args.force {
        let refused: Vec<_> = leases.iter().filter_map(refusal).collect();
        if !refused.is_empty() {
            return report(&refused, args.json);
        }
    }
    let mut outcomes = Vec::new();
    for lease in &leases {
        let changed = admin::seek(store, &lease.key, to, initial_time, args.force).await?;
        let done = format!("moved from {}", lease.checkpoint);
        outcomes.push(Outcome::of(&lease.key, &changed, &done));
    }
    warn(&leases, to, initial_time);
    report(&outcomes, args.json)
}

/// Returns the tip is stored as a time, as workers do it: otherwise what arrives before the first
/// worker would be skipped too.
fn target(to: SeekTo, now: EpochMs) -> anyhow::Result<(Checkpoint, Option<EpochMs>)> {
    Ok(match to {
        SeekTo::TrimHorizon => (Checkpoint::TrimHorizon, None),
        SeekTo::Latest => (Checkpoint::AtTimestamp, Some(now)),
        SeekTo::AtTimestamp(time) if time > now => bail!("the time lies ahead"),
        SeekTo::AtTimestamp(time) => (Checkpoint::AtTimestamp, Some(time)),
        SeekTo::After(position) => (Checkpoint::Sequence(position), None),
    })
}

/// Returns why the lease may not be moved without force, as [`admin::seek`] decides it once more.
fn refusal(lease: &Lease) -> Option<Outcome> {
    let changed = match (&lease.owner, lease.pending) {
        (Some(owner), _) => Changed::Owned(owner.clone()),
        (None, Some(pending)) => Changed::Prepared(pending),
        (None, None) => return None,
    };
    Some(Outcome::of(&lease.key, &changed, ""))
}

/// Returns where nothing was ever committed nothing is read twice.
fn way(lease: &Lease, to: Checkpoint, time: Option<EpochMs>) -> Way {
    let back = match lease.checkpoint {
        Checkpoint::AtTimestamp | Checkpoint::TrimHorizon | Checkpoint::Latest => false,
        Checkpoint::ShardEnd => true,
        Checkpoint::Sequence(_) => match (time, lease.checkpoint_arrival) {
            (Some(time), Some(arrival)) => time <= arrival,
            _ => to < lease.checkpoint,
        },
    };
    if back { Way::Back } else { Way::Forward }
}

fn warn(leases: &[Lease], to: Checkpoint, time: Option<EpochMs>) {
    let back = leases.iter().filter(|lease| way(lease, to, time) == Way::Back).count();
    if back > 0 {
        eprintln!(
            "{} went back: what is read again counts again in the rows that are there, see \
             `leases seek --help`",
            count(back, "lease")
        );
    }
    if back < leases.len() {
        let rest = count(leases.len() - back, "lease");
        eprintln!("{rest} went forward or stayed: what lies between is skipped");
    }
}

#[cfg(test)]
mod tests {
    use kinesis_fleet::WorkerId;

    use super::*;

    fn lease(checkpoint: Checkpoint) -> Lease {
        let mut lease = Lease::new(ShardId::new("shardId-0"), checkpoint);
        lease.checkpoint_arrival = Some(EpochMs(1_000));
        lease
    }

    fn at(text: &str) -> Checkpoint {
        Checkpoint::Sequence(text.parse().unwrap())
    }

    #[test]
    fn the_tip_becomes_a_time_and_a_time_ahead_is_refused() {
        let now = EpochMs(5);
        let latest = target(SeekTo::Latest, now).unwrap();
        assert_eq!(latest, (Checkpoint::AtTimestamp, Some(now)));
        assert!(target(SeekTo::AtTimestamp(EpochMs(6)), now).is_err());
    }

    #[test]
    fn back_is_told_by_number_and_by_time() {
        let stands = lease(at("70"));
        assert_eq!(way(&stands, at("9"), None), Way::Back);
        assert_eq!(way(&stands, at("100"), None), Way::Forward);
        assert_eq!(way(&stands, Checkpoint::TrimHorizon, None), Way::Back);
        assert_eq!(way(&stands, Checkpoint::AtTimestamp, Some(EpochMs(999))), Way::Back);
        assert_eq!(way(&stands, Checkpoint::AtTimestamp, Some(EpochMs(1_001))), Way::Forward);
        let finished = lease(Checkpoint::ShardEnd);
        assert_eq!(way(&finished, Checkpoint::AtTimestamp, Some(EpochMs(9_999))), Way::Back);
    }

    #[test]
    fn a_lease_in_use_or_in_the_middle_of_an_epoch_is_refused() {
        let mut lease = lease(at("70"));
        assert!(refusal(&lease).is_none());
        lease.pending = Some(at("90"));
        assert!(refusal(&lease).unwrap().says.contains("an epoch up to 90 is prepared"));
        lease.owner = Some(WorkerId::new("w-1"));
        assert!(refusal(&lease).unwrap().says.contains("w-1 holds it"));
    }
}
