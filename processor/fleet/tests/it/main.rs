//! The fleet against the embedded AWS endpoint, through the real SDK clients.

mod aws;
mod fleet;
mod handover;
mod rows;
mod source;
mod store;
