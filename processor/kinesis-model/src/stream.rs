//! Names for places in a Kinesis stream: shards, sequence numbers, positions, times.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A shard's id, for example `shardId-000000000003`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(Arc<str>);

impl ShardId {
    /// Wraps an id as Kinesis gave it.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(Arc::from(id))
    }

    /// Returns the id as Kinesis wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How many decimal digits the low limb holds; 10^38 is the largest power of ten below 2^128.
const LOW_DIGITS: usize = 38;
const LOW_LIMIT: u128 = 100_000_000_000_000_000_000_000_000_000_000_000_000;

/// A Kinesis sequence number: a decimal of up to 76 digits (Kinesis writes 56 today).
///
/// Kept as two decimal limbs, so that numeric order is field order: the strings have unequal
/// lengths and must never be compared as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SequenceNumber {
    high: u128,
    low: u128,
}

/// A text that is not a sequence number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a sequence number (1 to 76 decimal digits)")]
pub struct SequenceNumberError(String);

impl SequenceNumber {
    /// Returns the number before this one; 0 has none and stays.
    #[must_use]
    pub fn previous(self) -> Self {
        match (self.high, self.low.checked_sub(1)) {
            (high, Some(low)) => Self { high, low },
            (0, None) => self,
            (high, None) => Self { high: high - 1, low: LOW_LIMIT - 1 },
        }
    }
}

impl FromStr for SequenceNumber {
    type Err = SequenceNumberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || SequenceNumberError(text.to_owned());
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        let (high, low) = text.split_at(text.len().saturating_sub(LOW_DIGITS));
        let high = if high.is_empty() { 0 } else { high.parse().map_err(|_| bad())? };
        if high >= LOW_LIMIT {
            return Err(bad());
        }
        Ok(Self { high, low: low.parse().map_err(|_| bad())? })
    }
}

impl SequenceNumber {
    /// Returns the number as `high × 10^38 + low`.
    #[must_use]
    pub const fn limbs(self) -> (u128, u128) {
        (self.high, self.low)
    }

    /// Returns the number `high × 10^38 + low`; `None` unless both are below 10^38.
    #[must_use]
    pub const fn from_limbs(high: u128, low: u128) -> Option<Self> {
        if high < LOW_LIMIT && low < LOW_LIMIT { Some(Self { high, low }) } else { None }
    }
}

impl From<u128> for SequenceNumber {
    fn from(value: u128) -> Self {
        Self { high: value / LOW_LIMIT, low: value % LOW_LIMIT }
    }
}

impl fmt::Debug for SequenceNumber {
    /// As Kinesis writes it: logs show it, and people look for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.high == 0 {
            write!(f, "{}", self.low)
        } else {
            write!(f, "{}{:038}", self.high, self.low)
        }
    }
}

/// A place in a shard: a Kinesis record, and inside a KPL aggregate the index of a user record.
///
/// As KCL has it (`checkpoint`, `checkpointSubSequenceNumber`): a position names the last user
/// record that is done; 0 for a record that is not an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// The Kinesis record.
    pub sequence: SequenceNumber,
    /// The user record inside it.
    pub sub: u64,
}

impl fmt::Display for Position {
    /// `<sequence>` or, inside an aggregate, `<sequence>/<sub>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sub {
            0 => write!(f, "{}", self.sequence),
            sub => write!(f, "{}/{sub}", self.sequence),
        }
    }
}

impl FromStr for Position {
    type Err = SequenceNumberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || SequenceNumberError(text.to_owned());
        match text.split_once('/') {
            None => Ok(Self { sequence: text.parse()?, sub: 0 }),
            Some((sequence, sub)) => {
                Ok(Self { sequence: sequence.parse()?, sub: sub.parse().map_err(|_| bad())? })
            }
        }
    }
}

/// Milliseconds since the Unix epoch, UTC.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct EpochMs(pub i64);

/// Records of a shard that its stream no longer holds although they were not read: retention has
/// removed them, and any number of them may have been there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last position known to have been read; `None` when nothing of the shard ever was.
    pub after: Option<Position>,
    /// The first record that is there again; `None` when none is, as in a shard that is gone.
    pub first_seen: Option<SequenceNumber>,
}

impl fmt::Display for Gap {
    /// Returns both positions in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.after {
            Some(after) => write!(f, "after {after}")?,
            None => f.write_str("from the beginning")?,
        }
        match self.first_seen {
            Some(first) => write!(f, " up to {first}"),
            None => f.write_str(" up to its end"),
        }
    }
}

/// A shard's inclusive range of hash keys (128-bit, as Kinesis writes them in decimal).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashRange {
    /// First hash key of the shard.
    pub start: u128,
    /// Last hash key of the shard.
    pub end: u128,
}

impl HashRange {
    /// The whole key space.
    pub const ALL: Self = Self { start: 0, end: u128::MAX };

    /// Returns whether `key` belongs to the shard.
    #[must_use]
    pub fn contains(&self, key: u128) -> bool {
        (self.start..=self.end).contains(&key)
    }
}

/// A Kinesis record as GetRecords or SubscribeToShard delivers it; it may be a KPL aggregate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in the shard.
    pub sequence: SequenceNumber,
    /// The partition key the producer gave (at most 256 characters).
    pub partition_key: Arc<str>,
    /// `ApproximateArrivalTimestamp`: not guaranteed to increase.
    pub arrival: EpochMs,
    /// The payload, at most 10 MiB.
    pub data: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_order_as_numbers_whatever_their_length() {
        let mut sorted = ["9", "10", "49590338271490256608559692538361571095921575989136588898"]
            .map(|t| t.parse::<SequenceNumber>().unwrap());
        sorted.reverse();
        sorted.sort_unstable();
        let texts = sorted.map(|s| s.to_string());
        assert_eq!(texts, ["9", "10", "49590338271490256608559692538361571095921575989136588898"]);
    }

    #[test]
    fn sequence_numbers_keep_inner_zeros() {
        let text = "100000000000000000000000000000000000000000000000000000007";
        assert_eq!(text.parse::<SequenceNumber>().unwrap().to_string(), text);
    }

    #[test]
    fn the_number_before_borrows_from_the_high_digits() {
        for (text, before) in [
            ("0", "0"),
            ("1", "0"),
            (
                "100000000000000000000000000000000000000000000000000000000",
                "99999999999999999999999999999999999999999999999999999999",
            ),
        ] {
            let number: SequenceNumber = text.parse().unwrap();
            assert_eq!(number.previous().to_string(), before);
        }
    }

    #[test]
    fn bad_sequence_numbers_are_refused() {
        for text in ["", "-1", "TRIM_HORIZON", "1 ", &"9".repeat(77)] {
            assert!(text.parse::<SequenceNumber>().is_err(), "{text}");
        }
    }

    #[test]
    fn positions_inside_an_aggregate_round_trip_and_order() {
        let plain: Position = "12".parse().unwrap();
        let inner: Position = "12/3".parse().unwrap();
        assert!(plain < inner);
        assert_eq!(inner.to_string(), "12/3");
    }
}
