//! Sketches that merge losslessly, and their Apache DataSketches binaries.
//!
//! The library's own sketches depend on the order of updates (HyperLogLog's HIP register, the
//! centroids of a t-digest), so two workers would store different bytes for the same records.
//! These keep a canonical state instead, a function of the *set* ([`distinct`]) or *multiset*
//! ([`quantile`]) of values alone, and write it in the library's formats, so that its readers
//! (Java, C++, Python, Rust; Spark, Druid) can query and union them.

pub mod distinct;
mod hll;
mod murmur;
pub mod quantile;
mod wire;

pub use distinct::{Coupon, Distinct, Hll, ViewSketch};
pub use quantile::Quantiles;

/// A fold that takes many values at once: sorting a batch is cheaper than finding a place for each.
pub trait Sketch {
    /// The value that it counts.
    type Value;

    /// Adds the values of `batch` and empties it. Batches of a few hundred cost about their sort.
    fn insert_all(&mut self, batch: &mut Vec<Self::Value>);

    /// Heap memory in bytes.
    fn heap_bytes(&self) -> usize;
}

/// Bytes that are not one of our sketches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SketchError {
    /// They end before the sketch does.
    #[error("sketch ends early")]
    Truncated,
    /// They go on after the sketch ends.
    #[error("sketch has trailing bytes")]
    Trailing,
    /// The header is of another family, version or configuration.
    #[error("sketch has an unsupported `{0}`")]
    Unsupported(&'static str),
    /// The parts contradict each other, or are not in canonical order.
    #[error("sketch has an invalid `{0}`")]
    Invalid(&'static str),
}
