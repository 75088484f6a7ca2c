//! Why a lease table could not be used.

use super::codec::CodecError;

/// The lease table could not be read or written. What was written is unknown only for
/// [`StoreError::Unreachable`].
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Throttled, down or unreachable after all tries.
    #[error("lease table `{table}`: {operation} failed {attempts} times, last: {last}")]
    Unreachable {
        /// The table.
        table: String,
        /// The API call.
        operation: &'static str,
        /// Tries made.
        attempts: u32,
        /// The last failure.
        last: String,
    },
    /// Refused for good, for example missing permission or table.
    #[error("lease table `{table}`: {operation} was refused: {reason}")]
    Refused {
        /// The table.
        table: String,
        /// The API call.
        operation: &'static str,
        /// The service's code and message.
        reason: String,
    },
    /// A row is not a lease.
    #[error(transparent)]
    Row(#[from] CodecError),
    /// The table holds something else.
    #[error(
        "table `{table}` is not a lease table: its key is {key}, and that of a lease table is \
         `leaseKey`; check fleet.lease_table"
    )]
    NotALeaseTable {
        /// The table.
        table: String,
        /// Its key attributes.
        key: String,
    },
}
