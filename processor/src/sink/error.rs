//! Why an effect did not happen.

use crate::items::codec::ItemError;

/// Why an effect did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SinkError {
    /// AWS refused, or did not answer in all tries.
    #[error("{operation} on {target} failed: {reason}")]
    Aws {
        /// The API operation.
        operation: &'static str,
        /// The table, namespace, bus or object.
        target: String,
        /// AWS's words.
        reason: String,
    },
    /// A stored row cannot be read, so nothing can be merged into it.
    #[error("row {key} of {table} is not ours to merge into: {source}")]
    Row {
        /// The table.
        table: String,
        /// The row's key.
        key: String,
        /// The attribute that is wrong.
        source: ItemError,
    },
    /// DynamoDB will never take the item.
    #[error("row {key} of {table} is refused: {reason}")]
    Refused {
        /// The table.
        table: String,
        /// The row's key.
        key: String,
        /// DynamoDB's words.
        reason: String,
    },
    /// Others kept writing the row in between.
    #[error("row {key} of {table} was contended in {tries} tries")]
    Contended {
        /// The table.
        table: String,
        /// The row's key.
        key: String,
        /// How often it was tried.
        tries: u32,
    },
    /// An object could not be stored.
    #[error("cannot store {path}: {reason}")]
    Object {
        /// Its path below the configured URL.
        path: String,
        /// The store's words.
        reason: String,
    },
}

impl SinkError {
    /// Returns whether one row is to blame, and trying again will never help.
    pub(super) fn is_the_rows_own(&self) -> bool {
        matches!(self, Self::Row { .. } | Self::Refused { .. })
    }
}
