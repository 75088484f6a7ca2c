//! The parts that the Lambda functions have in common: the loop of the runtime API, and the
//! tutorial's response.

use lambda_runtime::{LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The tutorial's response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    status_code: u16,
    /// JSON as text.
    body: String,
}

impl Response {
    /// Makes an answer of status 200.
    #[must_use]
    pub fn success(body: &serde_json::Value) -> Self {
        Self { status_code: 200, body: body.to_string() }
    }

    /// Makes an answer of status 400: a request that no retry can mend.
    #[must_use]
    pub fn refusal(error: &str) -> Self {
        Self { status_code: 400, body: serde_json::json!({ "error": error }).to_string() }
    }
}

/// Answers the runtime API until Lambda ends the process. An error of `handle` fails the
/// invocation, so that Lambda tries again. `handle` gets the request and its id, which stays the
/// same in retries of an asynchronous invocation.
///
/// # Errors
/// When the runtime API is not there, as outside Lambda.
pub async fn serve<Request, Reply>(
    handle: impl AsyncFn(Request, &str) -> anyhow::Result<Reply>,
) -> anyhow::Result<()>
where
    Request: DeserializeOwned + 'static,
    Reply: Serialize,
{
    anyhow::ensure!(
        std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some(),
        "this command answers AWS Lambda and runs only inside it"
    );
    let handle = &handle;
    let answer = move |event: LambdaEvent<Request>| async move {
        handle(event.payload, &event.context.request_id).await
    };
    let served = lambda_runtime::run(service_fn(answer)).await;
    served.map_err(|error| anyhow::anyhow!("the Lambda runtime ended: {error}"))
}
