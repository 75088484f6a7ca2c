//! The services' own errors, in their own wire forms.

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Too many calls.
    Throttled,
    /// Something is wrong inside the service.
    Internal,
    /// The shard iterator is older than five minutes.
    ExpiredIterator,
}

/// The operation of a request, as far as its headers and path tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    /// `x-amz-target`, such as `Kinesis_20131202.GetRecords`; for RPC v2 CBOR the path.
    name: String,
    /// Errors are CBOR, not JSON.
    cbor: bool,
}

impl Operation {
    pub(super) fn of(request: &HttpRequest) -> Self {
        let target = request.headers().get("x-amz-target");
        let name = target.map_or_else(|| path_of(request.uri()).to_owned(), str::to_owned);
        let cbor = request.headers().get("smithy-protocol") == Some("rpc-v2-cbor");
        Self { name, cbor }
    }

    pub(super) fn is_get_records(&self) -> bool {
        self.name.starts_with("Kinesis_") && self.name.ends_with(".GetRecords")
    }

    /// Returns status and error code with which the service refuses.
    fn code(&self, refusal: Refusal) -> (u16, &'static str) {
        let is = |prefix| self.name.starts_with(prefix);
        match refusal {
            Refusal::ExpiredIterator => (400, "ExpiredIteratorException"),
            Refusal::Throttled if is("DynamoDB_") || is("Kinesis_") => {
                (400, "ProvisionedThroughputExceededException")
            }
            Refusal::Throttled if is("AWSEvents") => (400, "ThrottlingException"),
            Refusal::Throttled => (400, "Throttling"),
            Refusal::Internal if is("DynamoDB_") => (500, "InternalServerError"),
            Refusal::Internal if is("Kinesis_") => (500, "InternalFailureException"),
            Refusal::Internal if is("AWSEvents") => (500, "InternalException"),
            Refusal::Internal => (500, "InternalServiceFault"),
        }
    }

    /// Returns the refusal as the service would send it.
    pub(super) fn answer(&self, refusal: Refusal) -> HttpResponse {
        let (status, code) = self.code(refusal);
        let status = StatusCode::try_from(status).expect("400 and 500 are statuses");
        let message = "refused on purpose";
        let json = format!(r#"{{"__type":"{code}","message":"{message}"}}"#);
        let body = if self.cbor { cbor_map(code, message) } else { json.into_bytes() };
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        let headers = response.headers_mut();
        if self.cbor {
            headers.insert("content-type", "application/cbor");
            headers.insert("smithy-protocol", "rpc-v2-cbor");
        } else {
            headers.insert("content-type", "application/x-amz-json-1.1");
        }
        response
    }
}

fn path_of(uri: &str) -> &str {
    let after_scheme = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    after_scheme.find('/').map_or("/", |slash| &after_scheme[slash..])
}

/// `{"__type": code, "message": message}` in CBOR (RFC 8949): a map of two pairs of texts, all of
/// them shorter than 256 bytes.
fn cbor_map(code: &str, message: &str) -> Vec<u8> {
    let mut body = vec![0xa2];
    for text in ["__type", code, "message", message] {
        let length = u8::try_from(text.len()).expect("codes and messages are short");
        body.extend([0x78, length]);
        body.extend(text.as_bytes());
    }
    body
}
