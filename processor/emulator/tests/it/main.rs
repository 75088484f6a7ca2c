//! The embedded services as SDK clients see them.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod clients;
mod cloudwatch;
mod dynamodb;
mod eventbridge;
mod ivs;
mod kinesis;
mod likeness;
mod local;
mod sns;
