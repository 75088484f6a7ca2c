//! Calls of AWS's SDK: what an error means, and how often to try again.

mod call;
mod errors;
mod retry;

pub use call::persist;
pub use errors::{blames_data, bounded, code, code_blames_data, explain, is_transient};
pub use retry::{Backoff, RetryPolicy};
