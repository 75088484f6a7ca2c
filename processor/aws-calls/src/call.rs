//! A request that is sent again while that may help.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::{RetryPolicy, explain, is_transient};

/// Sends a request until it succeeds, is refused for good, or the policy's tries are used up.
/// `on_retry` is told of each further try.
///
/// # Errors
/// The last answer, when it is an error.
pub async fn persist<T, E, F>(
    policy: RetryPolicy,
    on_retry: impl Fn(),
    mut send: impl FnMut() -> F,
) -> Result<T, SdkError<E, Response>>
where
    F: Future<Output = Result<T, SdkError<E, Response>>>,
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let mut backoff = policy.start();
    loop {
        match send().await {
            Err(error) if is_transient(&error) && backoff.wait().await => {
                on_retry();
                tracing::debug!(error = explain(&error), "trying again");
            }
            result => return result,
        }
    }
}
