//! The experience of viewers: views, breakdowns by dimension, and the score. Exact sums all of it, so
//! that parts merge to the whole (E4).

mod breakdown;
mod dimension;
mod score;
mod slots;
mod views;

pub use breakdown::{Breakdown, Slice};
pub use dimension::{AllowLists, Dimension, Dimensions, MAX_VALUE_BYTES, OTHER};
pub use score::{Evidence, Score};
pub(crate) use slots::SliceSlots;
pub use views::{ViewTotals, Views, view_time_ms};

#[cfg(test)]
mod tests;
