//! The contract of `ivs-processor`, in one place and without behavior: what the resources are
//! called, what the tables hold, which metrics and alarms exist, what comes in and what goes out.
//!
//! The same facts are exported as JSON under `schemas/json/` for everything that is not Rust (the
//! CDK app, other consumers). A test keeps the files equal to this code;
//! `UPDATE_SCHEMAS=1 cargo test -p ivs-schemas` writes them anew.

pub mod catalogue;
pub mod contract;
pub mod domain;
pub mod input;
pub mod items;
pub mod names;
pub mod prometheus;
pub mod report;
pub mod resources;
pub mod tables;
