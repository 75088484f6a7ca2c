//! The pure core: bytes in, rows and effects out.
//!
//! No clock, no randomness, no I/O and no AWS type below this line: time enters as data, and the
//! same code runs in the worker, in `replay`, in `audit` and in the simulator.
//!
//! The modules follow the flow: [`decode`] turns bytes into events, [`fold`] decides with
//! [`window`] and [`session`] where each counts, [`row`] merges folds into stored rows, [`writer`]
//! those of several shards into one put, and [`epoch`] is the state machine that decides when each
//! of these may be written. [`report`] is what stored rows add up to.
//!
//! ```
//! use ivs_core::decode::{DecodeLimits, decode};
//! use ivs_core::fold::Fold;
//! use kinesis_model::EpochMs;
//!
//! let line = br#"{"eventType":"metrics_update","sessionId":"s","channelId":"c","currentViewers":7}"#;
//! let arrival = EpochMs(1_772_366_407_000);
//! let event = decode(line, arrival, &DecodeLimits::default())?;
//!
//! let mut fold = Fold::default();
//! fold.accept(&event, Some(arrival), |_| false);
//! let (rows, counts) = fold.drain();
//! assert_eq!((counts.accepted, rows.metrics.len(), rows.summaries.len()), (1, 1, 1));
//! # Ok::<(), ivs_core::decode::Rejection>(())
//! ```

pub mod archive;
pub mod channel;
pub mod columns;
pub mod csv;
pub mod decode;
pub mod emit;
pub mod epoch;
pub mod experience;
pub mod fixed;
pub mod fold;
pub mod merge;
pub mod minute;
pub mod quality;
pub mod reconcile;
pub mod report;
pub mod row;
pub mod session;
pub mod sketch;
pub mod window;
pub mod writer;
