//! The coverage of a replay's shards, in the words of a row's `applied`.

use std::collections::BTreeMap;

use ivs_core::row::Coverage;
use kinesis_model::{Position, ShardId};

use super::context::Unit;
use super::entry::Stamp;
use crate::items::timeline;

/// Returns what the units cover.
pub(crate) fn coverage(units: &[Unit]) -> Coverage {
    let mut coverage = Coverage::default();
    for unit in units {
        if let Some(to) = unit.covered {
            coverage.note(&unit.shard, to);
        }
    }
    coverage
}

/// Returns `applied` of a row.
pub(crate) fn applied(units: &[Unit], stamps: &[Stamp]) -> BTreeMap<ShardId, Position> {
    stamps.iter().map(|stamp| end(units, *stamp)).collect()
}

fn end(units: &[Unit], stamp: Stamp) -> (ShardId, Position) {
    let unit = &units[stamp.unit as usize];
    (unit.shard.clone(), unit.ends[stamp.part as usize])
}

/// Names the epoch of a stamp, as the worker does.
pub(crate) fn origin(units: &[Unit], stamp: Stamp) -> String {
    let (shard, to) = end(units, stamp);
    timeline::origin(&shard, to)
}
