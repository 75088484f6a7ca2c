//! The program: configuration, commands, sources, sinks and the shard task, around `ivs-core`.
//!
//! A library only so that the tests can drive it; the program is the interface.

mod audit;
pub mod aws;
pub mod chaos;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
mod heartbeat;
pub mod items;
pub mod lambda;
pub mod local;
pub mod logging;
pub mod ops;
pub mod record;
mod replay;
pub mod report;
pub mod rows;
pub mod shard_status;
pub mod shard_task;
pub mod sink;
pub mod stats;
pub mod store_url;
#[cfg(test)]
mod testing;
mod text_table;
pub mod worker;
