//! Names for places in a Kinesis stream, and the aggregates of the Kinesis Producer Library.
//!
//! Everything here is pure and knows no AWS type: [`ShardId`], [`SequenceNumber`], [`Position`],
//! [`EpochMs`] and [`HashRange`] are values, [`Record`] is what a reader hands on, and [`kpl`] takes
//! aggregates apart.

pub mod kpl;
mod stream;

pub use stream::{
    EpochMs, Gap, HashRange, Position, Record, SequenceNumber, SequenceNumberError, ShardId,
};
