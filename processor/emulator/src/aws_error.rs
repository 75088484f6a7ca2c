//! A refusal as AWS words it, and the JSON that carries it.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

/// A refusal as AWS words it. Each service writes it in its own wire form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AwsError {
    /// HTTP status: 400 for the caller's errors, 500 for the service's.
    pub status: u16,
    /// The error's shape name, for example `ResourceNotFoundException`.
    pub code: &'static str,
    /// Text for people.
    pub message: String,
}

impl AwsError {
    /// Returns a caller's error, HTTP 400.
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: 400, code, message: message.into() }
    }

    /// Returns the error in AWS's JSON protocols (1.0 and 1.1 agree on it).
    #[must_use]
    pub fn json_response(&self) -> Response {
        let body = serde_json::json!({"__type": self.code, "message": self.message});
        let mut response = json_response(body.to_string());
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response
    }
}

/// Returns a successful answer in JSON 1.1.
pub(crate) fn json_response(body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    let json = HeaderValue::from_static("application/x-amz-json-1.1");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
