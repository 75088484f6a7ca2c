//! Arguments of the commands that look at leases or change them.

use std::str::FromStr;

use clap::{Args, Subcommand};
use kinesis_fleet::{EpochMs, Position};

/// `leases …`.
#[derive(Debug, Subcommand)]
pub enum LeasesCommand {
    /// Every lease as it is stored
    List(JsonArgs),
    /// Move the checkpoint of a shard; made for empty tables and for skipping
    #[command(long_about = SEEK)]
    Seek(SeekArgs),
    /// Take leases from their owners, so that any worker may start on them at once
    ///
    /// Safe at any time: who takes a lease finishes the epoch that was prepared and goes on from
    /// the checkpoint. The owner finds out at its next write, and may be the one who takes it
    /// again.
    Release(ReleaseArgs),
    /// Finish the lease of a shard that the stream does not have any more, so that its children are
    /// read
    ///
    /// Workers do so by themselves, and count a gap. Refused while the stream still holds the
    /// shard. What was unread of it is lost.
    Finish(FinishArgs),
    /// Compare the leases with each other and with the stream: 0 if all is well, 1 if something
    /// was found, 69 if they could not be read
    Verify(JsonArgs),
}

/// The effect of a seek on rows; see `docs/semantics.md`.
const SEEK: &str = "\
Move the checkpoint of a shard; made for empty tables and for skipping.

Refused while a worker holds the lease or an epoch is prepared and not committed: stop the workers \
first, in order, so that they finish their epochs. Workers that start then read from the new place. \
With --force the owner loses the lease at its next write, and the epoch it was writing may count \
twice.

GOING BACK MAKES RECORDS COUNT AGAIN. A row takes an epoch unless it holds one that ends there or \
later (`applied`). Epochs that are read again end elsewhere than the first time, so most \
rows take their records a second time: sums and counts are too high; minima, maxima, last values, distinct \
players and timeline facts stay right. Metrics and domain events are sent again. Records do not \
count again only where there are no rows: with empty tables, or under other table names. To mend \
rows, use `replay`, which replaces them.

GOING FORWARD SKIPS records for good. Going back later does not add them to rows that were written \
after the gap: those hold a later epoch and take none from before it. Again only `replay` does.

The minute before the new place is not searched for duplicates, unless the place is the checkpoint \
that a worker stored.";

/// `--json` alone.
#[derive(Args, Debug)]
pub struct JsonArgs {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `leases seek`.
#[derive(Args, Debug)]
pub struct SeekArgs {
    /// The shard
    #[arg(required_unless_present = "all")]
    pub shard: Option<String>,
    /// Every lease of the table, or none if one of them is refused
    #[arg(long, conflicts_with = "shard")]
    pub all: bool,
    /// TRIM_HORIZON, LATEST (now), AT_TIMESTAMP=TIME (RFC 3339 or epoch milliseconds), or the
    /// sequence number of the last record that counts as done
    #[arg(long, value_name = "POSITION")]
    pub to: SeekTo,
    /// Even if a worker holds the lease or an epoch is prepared
    #[arg(long)]
    pub force: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `leases release`.
#[derive(Args, Debug)]
pub struct ReleaseArgs {
    /// The shards
    #[arg(required = true, value_name = "SHARD")]
    pub shards: Vec<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `leases finish`.
#[derive(Args, Debug)]
pub struct FinishArgs {
    /// The shard
    pub shard: String,
    /// Its unread records are known to be lost
    #[arg(long, required = true)]
    pub gone: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Where reading shall go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekTo {
    /// At the oldest record kept.
    TrimHorizon,
    /// With what arrives from now on.
    Latest,
    /// With what arrived at or after this time.
    AtTimestamp(EpochMs),
    /// After this record.
    After(Position),
}

impl FromStr for SeekTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(time) = text.strip_prefix("AT_TIMESTAMP=") {
            return epoch_ms(time).map(Self::AtTimestamp);
        }
        match text {
            "TRIM_HORIZON" => Ok(Self::TrimHorizon),
            "LATEST" => Ok(Self::Latest),
            text => text.parse().map(Self::After).map_err(|_| {
                "expected TRIM_HORIZON, LATEST, AT_TIMESTAMP=TIME or a sequence number".to_owned()
            }),
        }
    }
}

fn epoch_ms(text: &str) -> Result<EpochMs, String> {
    let ms = match text.parse::<i64>() {
        Ok(ms) => ms,
        Err(_) => text.parse::<jiff::Timestamp>().map_err(|e| e.to_string())?.as_millisecond(),
    };
    // Kinesis keeps records for a year at most, so nothing earlier can be meant.
    match ms {
        ms if ms >= 1_000_000_000_000 => Ok(EpochMs(ms)),
        _ => Err("a time before 2001 is taken for seconds instead of milliseconds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_as_kinesis_spells_them() {
        let read = |text: &str| text.parse::<SeekTo>();
        assert_eq!(read("TRIM_HORIZON"), Ok(SeekTo::TrimHorizon));
        assert_eq!(read("LATEST"), Ok(SeekTo::Latest));
        let at = Ok(SeekTo::AtTimestamp(EpochMs(1_772_323_200_000)));
        assert_eq!(read("AT_TIMESTAMP=2026-03-01T00:00:00Z"), at);
        assert_eq!(read("AT_TIMESTAMP=1772323200000"), at);
        assert_eq!(read("4959/2"), Ok(SeekTo::After("4959/2".parse().unwrap())));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["latest", "AT_TIMESTAMP", "AT_TIMESTAMP=1772323200", "AT_TIMESTAMP=noon", ""] {
            assert!(text.parse::<SeekTo>().is_err(), "{text}");
        }
    }
}
