//! The wire protocols in which a call may be refused, whichever service it meant.

use axum::body::Body;
use axum::response::Response;
use ciborium::Value as Cbor;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::query::{self, element};
use crate::service::AwsError;

/// How a call is written, and so how its refusal must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// JSON 1.0 or 1.1: `x-amz-target` names the operation.
    Json,
    /// rpc-v2-cbor.
    Cbor,
    /// A form, answered in XML.
    Query,
    /// As [`Protocol::Query`], with EC2's own envelope.
    Ec2,
    /// XML over paths: S3.
    RestXml,
}

impl Protocol {
    /// Finds out how a call is written; `scope` is the service of its signature, if it has one.
    pub(crate) fn of(headers: &HeaderMap, scope: Option<&str>) -> Self {
        let is = |name: &str, value: &str| {
            headers.get(name).is_some_and(|found| found.as_bytes().starts_with(value.as_bytes()))
        };
        if is("smithy-protocol", "rpc-v2-cbor") {
            Self::Cbor
        } else if headers.contains_key("x-amz-target") {
            Self::Json
        } else if scope == Some("ec2") {
            Self::Ec2
        } else if is("content-type", "application/x-www-form-urlencoded") {
            Self::Query
        } else if scope == Some("s3") {
            Self::RestXml
        } else {
            Self::Json
        }
    }

    /// Writes a refusal.
    pub(crate) fn refuse(self, error: &AwsError) -> Response {
        let (code, message) = (element("Code", error.code), element("Message", &error.message));
        let id = element("RequestId", &crate::ident::uuid());
        match self {
            Self::Json => error.json_response(),
            Self::Cbor => cbor(error),
            // The namespace of a service that is not known is not known either.
            Self::Query => {
                query::refuse("http://webservices.amazon.com/AWSFault/2005-15-09", error)
            }
            Self::Ec2 => {
                let errors = format!("<Errors><Error>{code}{message}</Error></Errors>");
                xml(
                    error,
                    &format!("<Response>{errors}{}</Response>", element("RequestID", "local")),
                )
            }
            Self::RestXml => xml(error, &format!("<Error>{code}{message}{id}</Error>")),
        }
    }
}

fn xml(error: &AwsError, inside: &str) -> Response {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{inside}");
    typed(error, Body::from(body), "text/xml")
}

fn cbor(error: &AwsError) -> Response {
    let entry = |key: &str, value: &str| (Cbor::Text(key.to_owned()), Cbor::Text(value.to_owned()));
    let map = Cbor::Map(vec![entry("__type", error.code), entry("message", &error.message)]);
    let mut body = Vec::new();
    ciborium::into_writer(&map, &mut body).expect("writing to memory cannot fail");
    let mut response = typed(error, Body::from(body), "application/cbor");
    let protocol = HeaderValue::from_static("rpc-v2-cbor");
    response.headers_mut().insert("smithy-protocol", protocol);
    response
}

fn typed(error: &AwsError, body: Body, kind: &'static str) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_refused_as_it_was_written() {
        let of = |pairs: &[(&'static str, &'static str)], scope| {
            let headers: HeaderMap = pairs
                .iter()
                .map(|(name, value)| {
                    (http::HeaderName::from_static(name), HeaderValue::from_static(value))
                })
                .collect();
            Protocol::of(&headers, scope)
        };
        let form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        assert_eq!(of(&[form], Some("iam")), Protocol::Query);
        assert_eq!(of(&[form], Some("ec2")), Protocol::Ec2);
        assert_eq!(of(&[("x-amz-target", "Logs_20140328.X")], Some("logs")), Protocol::Json);
        assert_eq!(of(&[("smithy-protocol", "rpc-v2-cbor")], None), Protocol::Cbor);
        assert_eq!(of(&[], Some("s3")), Protocol::RestXml);
    }
}
