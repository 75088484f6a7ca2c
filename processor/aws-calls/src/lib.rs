//! Calls of AWS's SDK: what an error means, and how often to try again.

mod call;
mod errors;
mod retry;

pub use call::persist;
pub use errors::{bounded, code, explain, is_transient};
pub use retry::{Backoff, RetryPolicy};
