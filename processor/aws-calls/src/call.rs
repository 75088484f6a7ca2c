//! A request that is sent again while that may help.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::{Failed, RetryPolicy, explain, is_transient, retry};

/// Sends a request until it succeeds, is refused for good, or the policy's tries are used up.
///
/// ```no_run
/// # use aws_smithy_runtime_api::client::result::SdkError;
/// # use aws_smithy_runtime_api::http::Response;
/// # use aws_smithy_types::error::ErrorMetadata;
/// # async fn send() -> Result<(), SdkError<ErrorMetadata, Response>> { Ok(()) }
/// use aws_calls::{RetryPolicy, explain, persist};
///
/// # async fn example() {
/// if let Err(error) = persist(RetryPolicy::READ, send).await {
///     eprintln!("cannot read the table: {}", explain(&error));
/// }
/// # }
/// ```
///
/// # Errors
/// The last answer, when it is an error. If [`is_transient`] holds for it, the tries are used up.
pub async fn persist<T, E, F>(
    policy: RetryPolicy,
    mut send: impl FnMut() -> F,
) -> Result<T, SdkError<E, Response>>
where
    F: Future<Output = Result<T, SdkError<E, Response>>>,
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let judged = |error| {
        if !is_transient(&error) {
            return Failed::ForGood(error);
        }
        tracing::debug!(error = explain(&error), "a call failed that may pass");
        Failed::ForNow(error)
    };
    let tried = retry(policy, || {
        let sent = send();
        async move { sent.await.map_err(judged) }
    });
    tried.await.map_err(Failed::into_error)
}
