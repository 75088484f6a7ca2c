//! A fleet of Kinesis workers that share one lease table.
//!
//! Start the same program on any number of machines: the shards of the stream spread evenly over
//! them, survive crashes and deploys, and are followed through splits and merges. The lease table
//! is the one of the Kinesis Client Library (KCL 2.x), so a Java worker can share it.
//!
//! [`Fleet::start`] hands leases to the application as [`ShardLease`] values. The application
//! reads the shard with [`ShardReader`], moves the checkpoint with [`ShardLease::prepare`] and
//! [`ShardLease::commit`], stops at once when [`ShardLease::lost`] fires, and gives the lease back
//! with [`ShardLease::release`] or, at the end of the shard, [`ShardLease::finish`].
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use kinesis_fleet::{FleetConfig, FleetError, Record, ReaderSettings, ShardId, consume};
//!
//! # async fn example(
//! #     kinesis: aws_sdk_kinesis::Client,
//! #     dynamodb: aws_sdk_dynamodb::Client,
//! # ) -> Result<(), FleetError> {
//! let config = FleetConfig {
//!     table: "my-leases".into(),
//!     stream: "my-stream".into(),
//!     ..FleetConfig::default()
//! };
//! let stop = tokio::time::sleep(Duration::from_secs(60));
//! let print = |shard: ShardId, records: Vec<Record>| async move {
//!     println!("{shard}: {} records", records.len());
//!     Ok::<(), std::convert::Infallible>(())
//! };
//! let clients = (kinesis, dynamodb);
//! consume(config, ReaderSettings::default(), clients, stop, Duration::from_secs(10), print).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Layers: [`planner`] and [`sync`] are pure decisions; [`store`] is the lease table in DynamoDB;
//! [`coordinator`] drives them; [`source`] reads records and knows nothing of leases.

pub mod admin;
pub mod clock;
pub mod config;
pub mod consume;
pub mod coordinator;
pub mod lease;
pub mod planner;
pub mod source;
pub mod store;
pub mod sync;

pub use config::{FleetConfig, InitialPosition};
pub use consume::consume;
pub use coordinator::{
    Counters, Fleet, FleetError, LeaseNotes, LeaseOutcome, LeasePhase, LeaseStatus, Leases,
    LoopName, LoopStatus, Observer, ShardLease, ShutdownReport,
};
pub use kinesis_model::{EpochMs, Gap, HashRange, Position, Record, SequenceNumber, ShardId};
pub use lease::{Checkpoint, ChildShard, Lease, ResumePoint, StartAt, WorkerId};
pub use source::{Batch, Consumer, ReaderSettings, ShardReader, SourceError};
pub use store::{LeaseStore, StoreError};
