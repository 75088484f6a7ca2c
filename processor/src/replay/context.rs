//! The state that the threads of a replay share, and their result.

use std::sync::Arc;

use ivs_core::epoch::{Counts, ShardConfig};
use kinesis_model::{Position, ShardId};
use md5::{Digest as _, Md5};
use tokio::runtime::Handle;

use super::entry::{FactPart, MetricPart, Stamp, SummaryPart};
use super::output::Wanted;
use super::progress::Progress;
use super::sorter::Merged;
use crate::archive::object::{Damage, Object};
use crate::archive::segment::Chain;

/// The state that all threads share.
pub(crate) struct Context {
    /// Downloads run here.
    pub(crate) handle: Handle,
    /// How records are judged.
    pub(crate) shard: ShardConfig,
    /// The wanted output.
    pub(crate) wanted: Wanted,
    /// The shards of the worker's own archive.
    pub(crate) chains: Vec<Chain>,
    /// Objects that others made.
    pub(crate) objects: Vec<Object>,
    /// How far it is.
    pub(crate) progress: Arc<Progress>,
}

/// A shard, or an object that counts as one.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    /// Its name in `applied`.
    pub(crate) shard: ShardId,
    /// The end of each of its parts.
    pub(crate) ends: Vec<Position>,
    /// Up to here the source has every record from the beginning on.
    pub(crate) covered: Option<Position>,
}

/// A part of a shard that the archive does not have.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{shard} of {stream}: the archive has nothing from {from} up to {to}")]
pub(crate) struct Gap {
    /// The stream.
    pub(crate) stream: String,
    /// The shard.
    pub(crate) shard: ShardId,
    /// The last position before it.
    pub(crate) from: String,
    /// The first position after it.
    pub(crate) to: String,
}

impl Gap {
    /// Returns the stretch of a shard between two positions; `None` is its beginning.
    pub(super) fn new(
        stream: &str,
        shard: &ShardId,
        from: Option<Position>,
        to: Option<Position>,
    ) -> Self {
        let name = |at: Option<Position>| at.map_or("its beginning".into(), |at| at.to_string());
        Self { stream: stream.to_owned(), shard: shard.clone(), from: name(from), to: name(to) }
    }

    /// Returns all that a shard held after a position, up to its end.
    pub(super) fn at_end(stream: &str, shard: &ShardId, from: Option<Position>) -> Self {
        Self {
            to: "its end, which the stream had lost".to_owned(),
            ..Self::new(stream, shard, from, None)
        }
    }
}

/// The result of a replay.
pub(crate) struct Computed {
    /// Metric rows by key.
    pub(crate) metrics: Merged<MetricPart>,
    /// Summaries by session.
    pub(crate) summaries: Merged<SummaryPart>,
    /// Timeline items by session and sort key.
    pub(crate) facts: Merged<FactPart>,
    /// The units that stamps stand for.
    pub(crate) units: Vec<Unit>,
    /// The outcome of the records.
    pub(crate) counts: Counts,
    /// Objects that could not be read to their ends.
    pub(crate) damages: Vec<Damage>,
    /// The gaps of the worker's archive.
    pub(crate) gaps: Vec<Gap>,
}

impl Context {
    /// Returns what all threads of a replay share.
    pub(crate) fn new(
        shard: ShardConfig,
        wanted: Wanted,
        chains: Vec<Chain>,
        objects: Vec<Object>,
        progress: Arc<Progress>,
    ) -> Self {
        Self { handle: Handle::current(), shard, wanted, chains, objects, progress }
    }

    /// Returns the stamp of an object: objects follow the shards.
    pub(crate) fn object_stamp(&self, index: usize) -> Stamp {
        let unit = u32::try_from(self.chains.len() + index).unwrap_or(u32::MAX);
        Stamp { unit, part: 0 }
    }

    /// Returns an object as a shard: its name condensed, because a long session names thousands,
    /// and its text as a single part that ends where the text does, if that was `read`.
    pub(crate) fn object_unit(&self, index: usize, read: Option<u64>) -> Unit {
        let name = Md5::digest(self.objects[index].name.as_bytes());
        let shard = ShardId::new(&format!("object:{:032x}", u128::from_be_bytes(name.into())));
        let at = |bytes: u64| Position { sequence: u128::from(bytes).into(), sub: 0 };
        Unit { shard, ends: vec![at(read.unwrap_or_default())], covered: read.map(at) }
    }
}
