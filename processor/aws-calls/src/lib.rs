//! Calls of AWS's SDK: what an error means, how often to try again, and lists in pages.

mod call;
mod errors;
mod pages;
mod retry;

pub use call::persist;
pub use errors::{blames_data, bounded, code, code_blames_data, explain, is_transient};
pub use pages::Pages;
pub use retry::{Backoff, Failed, RetryPolicy, pause, retry};
