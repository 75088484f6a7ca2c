//! Rows of a channel that name no session: players and chat whose records know the channel or the
//! room alone. They belong to whatever was on air.

use std::collections::BTreeMap;

use super::bucket::Bucket;
use crate::experience::Evidence;
use crate::merge::Merge as _;
use crate::minute::MINUTE_MS;
use kinesis_model::EpochMs;

/// The part of such rows that a session takes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct UnnamedRow {
    pub(super) chat_counted: u64,
    pub(super) seen: Evidence,
}

/// Such rows, by minute: at most the minutes of a month.
#[derive(Debug, Default)]
pub(super) struct Unnamed(BTreeMap<EpochMs, UnnamedRow>);

impl Unnamed {
    /// Adds a row of a minute.
    pub(super) fn add(&mut self, minute: EpochMs, bucket: &Bucket) {
        let row = self.0.entry(minute).or_default();
        row.chat_counted.merge(&bucket.chat_counted);
        row.seen.merge(&bucket.seen);
    }

    /// Returns the end of the last minute with a row, of those that begin from `start` up to `end`.
    pub(super) fn heard_until(&self, start: EpochMs, end: EpochMs) -> Option<EpochMs> {
        let (last, _) = self.0.range(start..end.max(start)).next_back()?;
        Some(EpochMs(last.0 + MINUTE_MS))
    }

    /// Returns the rows, by minute.
    pub(super) fn minutes(self) -> impl Iterator<Item = (EpochMs, UnnamedRow)> {
        self.0.into_iter()
    }
}
