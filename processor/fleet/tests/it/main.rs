//! The fleet against the embedded AWS endpoint, through the real SDK clients.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod aws;
mod fleet;
mod handover;
mod memory;
mod parents;
mod retention;
mod rows;
mod source;
mod store;
