//! The rules by which an epoch is made: a prepared one is closed by the rules that began it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::message::{LOGIC, ShardConfig};
use crate::decode::DecodeLimits;
use crate::experience::{AllowLists, Dimensions};
use kinesis_model::Position;

/// The version before [`LOGIC`], which made the same of records except views and breakdowns: an epoch
/// of it is closed without them.
const WITHOUT_VIEWS: u32 = 2;

/// The rules on which the rows of an epoch depend besides its records. Stored beside the pending
/// checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rules {
    /// See [`super::LOGIC`].
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
    /// The dimensions by which views are broken down; `None` stands for the default lists of this version, so that
    /// a lease stays small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breakdowns: Option<AllowLists>,
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
        let lists = config.dimensions.as_ref().map(|dimensions| dimensions.lists());
        Self {
            logic: if lists.is_some() { config.logic } else { WITHOUT_VIEWS },
            dedupe_horizon_ms: config.dedupe_horizon_ms,
            dedupe_max_ids: config.dedupe_max_ids,
            max_line_bytes,
            max_expanded_bytes,
            max_ahead_ms,
            breakdowns: lists.filter(|lists| **lists != AllowLists::default()).cloned(),
        }
    }

    /// Returns the configuration with these rules in it.
    pub(super) fn in_config(&self, config: &ShardConfig) -> ShardConfig {
        ShardConfig {
            dimensions: (self.logic != WITHOUT_VIEWS).then(|| self.dimensions(config)),
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

    /// Returns the dimensions of these rules, those of the configuration if they are the same.
    fn dimensions(&self, config: &ShardConfig) -> Arc<Dimensions> {
        let lists = self.breakdowns.clone().unwrap_or_default();
        let ours = config.dimensions.as_ref().filter(|ours| *ours.lists() == lists);
        ours.map_or_else(|| Arc::new(Dimensions::new(lists)), Arc::clone)
    }

    /// Returns the rules as stored: a small JSON object.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and texts are JSON")
    }

    /// Reads the stored rules of the epoch that ends at `to`, for a worker of the version `ours`.
    pub(super) fn read(stored: &[u8], to: Position, ours: u32) -> Result<Self, ForeignRules> {
        let rules: Self = serde_json::from_slice(stored).map_err(|error| {
            // A newer version may say more than this one knows; its number comes first.
            match logic_of(stored) {
                Some(theirs) if !can_follow(ours, theirs) => {
                    ForeignRules::Logic { to: to.to_string(), theirs, ours }
                }
                _ => ForeignRules::Unreadable { to: to.to_string(), problem: error.to_string() },
            }
        })?;
        match rules.logic {
            theirs if can_follow(ours, theirs) => Ok(rules),
            theirs => Err(ForeignRules::Logic { to: to.to_string(), theirs, ours }),
        }
    }
}

/// Returns whether a worker of the version `ours` can close an epoch of the version `theirs`.
fn can_follow(ours: u32, theirs: u32) -> bool {
    theirs == ours || (ours == LOGIC && theirs == WITHOUT_VIEWS)
}

fn logic_of(stored: &[u8]) -> Option<u32> {
    let stored: serde_json::Value = serde_json::from_slice(stored).ok()?;
    stored.get("logic")?.as_u64()?.try_into().ok()
}
