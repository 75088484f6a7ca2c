//! The rules by which an epoch is made: a prepared one is closed by the rules that began it.

use serde::{Deserialize, Serialize};

use super::ShardConfig;
use crate::decode::DecodeLimits;

/// The version of what decoding, folding and merging make of a record. Raise it with every change
/// by which the same records give other rows, other duplicates or other rejects.
pub const LOGIC: u32 = 2;

/// The rules on which the rows of an epoch depend besides its records. Stored beside the pending
/// checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rules {
    /// See [`LOGIC`].
    pub logic: u32,
    /// See [`ShardConfig::dedupe_horizon_ms`].
    pub dedupe_horizon_ms: i64,
    /// See [`ShardConfig::dedupe_max_ids`].
    pub dedupe_max_ids: usize,
    /// See [`DecodeLimits::max_line_bytes`].
    pub max_line_bytes: usize,
    /// See [`DecodeLimits::max_expanded_bytes`].
    pub max_expanded_bytes: usize,
    /// See [`DecodeLimits::max_ahead_ms`].
    pub max_ahead_ms: i64,
}

/// An epoch was prepared by rules that this build cannot follow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForeignRules {
    /// Another version of the program prepared it.
    #[error(
        "the epoch up to {to} was prepared by version {theirs} of the processing rules and this \
         worker has version {ours}, which could count its records differently: let a worker of \
         the other release take the shard, it commits the epoch within seconds, or give the \
         epoch up with `leases seek`"
    )]
    Logic {
        /// The epoch's end.
        to: String,
        /// The version on the lease.
        theirs: u32,
        /// The version of this worker.
        ours: u32,
    },
    /// The lease's words about it cannot be read.
    #[error(
        "the epoch up to {to} was prepared by a newer release or another application, whose \
         `pendingCheckpointState` this worker cannot read ({problem}): let that one take the \
         shard and commit it, or give the epoch up with `leases seek`"
    )]
    Unreadable {
        /// The epoch's end.
        to: String,
        /// The problem with it.
        problem: String,
    },
}

impl Rules {
    /// Returns the rules that a configuration makes.
    #[must_use]
    pub fn of(config: &ShardConfig) -> Self {
        // Taken apart, so that a new limit of decode must be thought of here.
        let DecodeLimits { max_line_bytes, max_expanded_bytes, max_ahead_ms } = config.decode;
        Self {
            logic: config.logic,
            dedupe_horizon_ms: config.dedupe_horizon_ms,
            dedupe_max_ids: config.dedupe_max_ids,
            max_line_bytes,
            max_expanded_bytes,
            max_ahead_ms,
        }
    }

    /// Returns the configuration with these rules in it.
    pub(super) fn into_config(self, config: &ShardConfig) -> ShardConfig {
        ShardConfig {
            logic: self.logic,
            dedupe_horizon_ms: self.dedupe_horizon_ms,
            dedupe_max_ids: self.dedupe_max_ids,
            decode: DecodeLimits {
                max_line_bytes: self.max_line_bytes,
                max_expanded_bytes: self.max_expanded_bytes,
                max_ahead_ms: self.max_ahead_ms,
            },
            ..config.clone()
        }
    }

    /// Returns the rules as stored: a small JSON object.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        serde_json::to_vec(&self).expect("numbers are JSON")
    }

    /// Reads the stored rules of the epoch that ends at `to`, for a worker of the version `ours`.
    pub(super) fn read(
        stored: &[u8],
        to: super::Position,
        ours: u32,
    ) -> Result<Self, ForeignRules> {
        let rules: Self = serde_json::from_slice(stored).map_err(|error| {
            // A newer version may say more than this one knows; its number comes first.
            match logic_of(stored) {
                Some(theirs) if theirs != ours => {
                    ForeignRules::Logic { to: to.to_string(), theirs, ours }
                }
                _ => ForeignRules::Unreadable { to: to.to_string(), problem: error.to_string() },
            }
        })?;
        match rules.logic {
            logic if logic == ours => Ok(rules),
            theirs => Err(ForeignRules::Logic { to: to.to_string(), theirs, ours }),
        }
    }
}

fn logic_of(stored: &[u8]) -> Option<u32> {
    let stored: serde_json::Value = serde_json::from_slice(stored).ok()?;
    stored.get("logic")?.as_u64()?.try_into().ok()
}
