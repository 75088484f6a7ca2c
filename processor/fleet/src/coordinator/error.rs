//! Why a fleet does not start.

use aws_sdk_kinesis::primitives::DateTime;

use crate::config::{ConfigError, FleetConfig};
use crate::store::StoreError;
use crate::sync::listing::CallError;

/// The fleet could not start.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// A setting makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The lease table cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stream cannot be described.
    #[error("stream `{stream}`: {operation} failed: {reason}")]
    Stream {
        /// The stream.
        stream: String,
        /// The API call.
        operation: &'static str,
        /// The service's code and message.
        reason: String,
    },
    /// The leases belong to an earlier stream of the same name: its positions mean nothing here.
    /// Delete the lease table, or use another one.
    #[error(
        "stream `{stream}` was created at {}, but lease table `{table}` belongs to one created at {}; \
         delete the table or use another",
        DateTime::from_millis(*.created),
        DateTime::from_millis(*.leased)
    )]
    StreamRecreated {
        /// The stream.
        stream: String,
        /// The lease table.
        table: String,
        /// Its creation time, epoch milliseconds.
        created: i64,
        /// The creation time on a lease, epoch milliseconds.
        leased: i64,
    },
}

/// Names the stream of which a call failed.
pub(super) fn stream_error(config: &FleetConfig, (operation, reason): CallError) -> FleetError {
    FleetError::Stream { stream: config.stream.clone(), operation, reason }
}
