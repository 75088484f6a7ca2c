//! The meaning of the SDK's errors for a retry.

use std::time::Duration;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::timeout::TimeoutConfig;

/// Error codes of DynamoDB, Kinesis, CloudWatch and EventBridge that mean "later".
const LATER: [&str; 12] = [
    "Throttling",
    "InternalServiceFault",
    "InternalException",
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
    "LimitExceededException",
    "ReplicatedWriteConflictException",
    "InternalServerError",
    "InternalFailure",
    "ServiceUnavailable",
    "KMSThrottlingException",
];

/// Returns whether the same request may succeed later. The request may also have been carried out
/// with only its answer lost.
pub fn is_transient<E: ProvideErrorMetadata>(error: &SdkError<E, Response>) -> bool {
    match error {
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
        SdkError::DispatchFailure(failure) => !failure.is_user(),
        SdkError::ServiceError(service) => {
            service.raw().status().as_u16() >= 500
                || service.err().code().is_some_and(|code| LATER.contains(&code))
        }
        _ => false,
    }
}

/// Error codes of CloudWatch and EventBridge that mean "never, as it is".
const NEVER: [&str; 13] = [
    "InvalidParameterValue",
    "InvalidParameterValueException",
    "InvalidParameterCombination",
    "InvalidParameterCombinationException",
    "MissingParameter",
    "MissingRequiredParameter",
    "MissingRequiredParameterException",
    "InvalidFormat",
    "ValidationError",
    "ValidationException",
    "InvalidArgument",
    "MalformedDetail",
    "RequestEntityTooLarge",
];

/// Returns whether the service refuses the request for what is in it. Anything else, as credentials
/// that have expired, a clock that is wrong or a permission that is missing, says nothing about the
/// data.
pub fn blames_data<E: ProvideErrorMetadata>(error: &SdkError<E, Response>) -> bool {
    let too_large = error.raw_response().is_some_and(|answer| answer.status().as_u16() == 413);
    too_large || code(error).is_some_and(code_blames_data)
}

/// As [`blames_data`], for the code of one entry of several.
#[must_use]
pub fn code_blames_data(code: &str) -> bool {
    NEVER.contains(&code)
}

/// Returns the service's error code, `None` when no answer came.
pub fn code<E: ProvideErrorMetadata>(error: &SdkError<E, Response>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// Returns one line that names the cause, since [`SdkError`] itself prints only its kind.
pub fn explain<E: ProvideErrorMetadata + std::error::Error + 'static>(
    error: &SdkError<E, Response>,
) -> String {
    if let Some(service) = error.as_service_error() {
        let status = error.raw_response().map(|response| response.status().as_u16());
        return match (service.code(), status) {
            (None, Some(status)) => {
                format!("HTTP {status} without an error code: is the endpoint one of AWS's?")
            }
            // The commonest mistake: a name that is wrong, or right in another region.
            (Some("ResourceNotFoundException"), _) => {
                let message = service.message().unwrap_or("it is not there");
                format!("{}: check its name and the region", message.trim_end_matches('.'))
            }
            (code, _) => {
                let code = code.unwrap_or("unknown code");
                format!("{code}: {}", service.message().unwrap_or("no message"))
            }
        };
    }
    // Of a chain of causes the last tells most: the others are layers of the client.
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match error {
        SdkError::DispatchFailure(_) => format!("no connection: {}", in_words(&cause.to_string())),
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        _ => cause.to_string(),
    }
}

/// Returns the system's words without the number by which it knows them; those for an address that
/// nobody knows say what to do.
fn in_words(cause: &str) -> &str {
    if cause.contains("failed to lookup address") {
        return "the service's address is not known; check the region, the endpoint and the network";
    }
    cause.split(" (os error").next().unwrap_or(cause)
}

/// Returns a bound on one request, connecting included.
pub fn bounded(request: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().operation_timeout(request).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_quoted_without_its_numbers_and_an_unknown_address_explained() {
        assert_eq!(in_words("Connection refused (os error 111)"), "Connection refused");
        let unknown = in_words("failed to lookup address information: Name or service not known");
        assert!(unknown.contains("check the region"), "{unknown}");
    }
}
