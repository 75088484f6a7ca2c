//! An embedded AWS: Kinesis, DynamoDB, CloudWatch, EventBridge, SNS, STS and a little of IVS on a loopback
//! port.
//!
//! It serves the current AWS SDKs over their own wire protocols, so a program runs against it by
//! setting `AWS_ENDPOINT_URL` and nothing else. State lives in a folder and survives `kill -9`;
//! limits, faults and time are under the caller's control.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), ivs_emulator::StartError> {
//! use ivs_emulator::{Config, Endpoint};
//!
//! let endpoint = Endpoint::start(Config::default()).await?;
//! assert!(endpoint.url().starts_with("http://127.0.0.1:"));
//! # Ok(())
//! # }
//! ```

mod aws_error;
mod calls;
mod clock;
mod cloudwatch;
mod dynamodb;
mod endpoint;
mod error;
mod eventbridge;
mod faults;
mod folder;
mod hosts;
mod ident;
mod ivs;
mod journal;
mod kinesis;
mod notices;
mod protocol;
mod query;
mod server;
mod service;
mod sns;
mod sts;
mod tags;
mod telemetry;

pub use clock::Clock;
pub use endpoint::{Config, Endpoint, State};
pub use error::StartError;
pub use faults::{FaultKind, FaultRule};
pub use notices::{Notice, Notices};
pub use service::{AwsError, Call, ServiceName};
pub use telemetry::Telemetry;
