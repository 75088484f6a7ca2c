//! The program: configuration, commands, sources, sinks and the shard task, around `ivs-core`.
//!
//! A library only so that the tests can drive it; the program is the interface.

pub mod archive;
pub mod clock;
pub mod cloud;
pub mod commands;
pub mod config;
pub mod items;
pub mod ops;
pub mod page;
mod printable;
pub mod producer;
mod replay;
pub mod report;
pub mod sink;
#[cfg(test)]
mod testing;
pub mod worker;
