//! The way into the stream: files and traffic, routed, batched and put.

pub mod input;
pub(crate) mod member;
pub(crate) mod put;
pub mod send;
#[cfg(feature = "local")]
pub mod traffic;
