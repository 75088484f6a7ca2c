//! CloudWatch's three wire protocols behind one document form.
//!
//! Current SDKs speak rpc-v2-cbor, older ones AWS JSON 1.0, the oldest (and the AWS CLI) form and
//! XML. A request of any of them becomes one JSON document, from which the operations deserialise;
//! an answer is one CBOR document, times as tag 1, written in the protocol of the request.

use axum::body::Body;
use axum::response::Response;
use ciborium::Value as Cbor;
use http::{HeaderValue, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::query;
use crate::query::Form;
use crate::service::{AwsError, Call};

const NAMESPACE: &str = "http://monitoring.amazonaws.com/doc/2010-08-01/";

/// CBOR tag 1: seconds since the epoch (RFC 8949, 3.4.2).
const TAG_EPOCH: u64 = 1;

/// Deepest nesting that is read. CloudWatch's own inputs need about eight levels.
const DEPTH_MAX: usize = 32;

/// A protocol of CloudWatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// `smithy-protocol: rpc-v2-cbor`.
    Cbor,
    /// `x-amz-target`, JSON 1.0.
    Json,
    /// A form, answered in XML.
    Query,
}

impl Wire {
    pub(super) fn of(call: &Call) -> Self {
        if call.headers.get("smithy-protocol").is_some_and(|name| name == "rpc-v2-cbor") {
            Self::Cbor
        } else if call.headers.contains_key("x-amz-target") {
            Self::Json
        } else {
            Self::Query
        }
    }

    /// Reads an operation's input.
    pub(super) fn read<T: DeserializeOwned>(self, body: &[u8]) -> Result<T, AwsError> {
        let refuse = |text: String| AwsError::bad_request("SerializationException", text);
        let document = match self {
            Self::Query => Form::parse(body).tree(),
            _ if body.is_empty() => Json::Object(serde_json::Map::new()),
            Self::Json => serde_json::from_slice(body).map_err(|e| refuse(e.to_string()))?,
            Self::Cbor => {
                let document: Cbor =
                    ciborium::from_reader(body).map_err(|e| refuse(e.to_string()))?;
                to_json(document, DEPTH_MAX).ok_or_else(|| {
                    refuse("the body is not a document of this service".to_owned())
                })?
            }
        };
        serde_json::from_value(document).map_err(|error| refuse(error.to_string()))
    }

    /// Returns the answer of a successful operation; `output` is a map.
    pub(super) fn answer(self, operation: &str, output: &Cbor) -> Response {
        match self {
            Self::Cbor => cbor_response(StatusCode::OK, output),
            Self::Json => json_response(StatusCode::OK, &from_cbor(output)),
            Self::Query => {
                let mut result = String::new();
                push_xml(&mut result, output);
                query::answer(NAMESPACE, operation, &result)
            }
        }
    }

    /// Returns the answer of a refused operation. SDKs that once spoke the query protocol take the
    /// code from a header, so that it did not change for their users.
    pub(super) fn refuse(self, error: &AwsError) -> Response {
        if self == Self::Query {
            return query::refuse(NAMESPACE, error);
        }
        let status =
            StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let shape = format!("com.amazonaws.cloudwatch#{}", shape_name(error.code));
        let mut response = match self {
            Self::Cbor => cbor_response(
                status,
                &map([("__type", text(shape)), ("message", text(&error.message))]),
            ),
            _ => json_response(
                status,
                &serde_json::json!({"__type": shape, "message": error.message}),
            ),
        };
        let sender = if status.is_client_error() { "Sender" } else { "Receiver" };
        if let Ok(value) = HeaderValue::from_str(&format!("{};{sender}", error.code)) {
            response.headers_mut().insert("x-amzn-query-error", value);
        }
        response
    }
}

/// Returns the error's shape in the service's model, given the code that the query protocol knows
/// it by.
fn shape_name(code: &str) -> &str {
    match code {
        "InvalidParameterValue" => "InvalidParameterValueException",
        "InvalidParameterCombination" => "InvalidParameterCombinationException",
        "MissingParameter" => "MissingRequiredParameterException",
        "LimitExceeded" => "LimitExceededFault",
        "InvalidFormat" => "InvalidFormatFault",
        "InvalidParameterInput" => "DashboardInvalidInputError",
        "InternalServiceError" => "InternalServiceFault",
        other => other,
    }
}

fn cbor_response(status: StatusCode, document: &Cbor) -> Response {
    let mut body = Vec::new();
    ciborium::into_writer(document, &mut body).expect("writing into memory cannot fail");
    let mut response = typed(status, Body::from(body), "application/cbor");
    let protocol = HeaderValue::from_static("rpc-v2-cbor");
    response.headers_mut().insert("smithy-protocol", protocol);
    response
}

fn json_response(status: StatusCode, document: &Json) -> Response {
    typed(status, Body::from(document.to_string()), "application/x-amz-json-1.0")
}

fn typed(status: StatusCode, body: Body, content_type: &'static str) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Tags are dropped; floats that JSON cannot hold become text, as AWS JSON has it.
fn to_json(document: Cbor, depth_left: usize) -> Option<Json> {
    let depth_left = depth_left.checked_sub(1)?;
    Some(match document {
        Cbor::Null => Json::Null,
        Cbor::Bool(flag) => Json::Bool(flag),
        Cbor::Integer(number) => match i64::try_from(number) {
            Ok(number) => number.into(),
            Err(_) => u64::try_from(number).ok()?.into(),
        },
        Cbor::Float(number) => match serde_json::Number::from_f64(number) {
            Some(number) => Json::Number(number),
            None => Json::String(number.to_string()),
        },
        Cbor::Text(text) => Json::String(text),
        Cbor::Tag(_, inner) => to_json(*inner, depth_left)?,
        Cbor::Array(items) => Json::Array(
            items.into_iter().map(|item| to_json(item, depth_left)).collect::<Option<_>>()?,
        ),
        Cbor::Map(pairs) => Json::Object(
            pairs
                .into_iter()
                .map(|(key, value)| Some((key.into_text().ok()?, to_json(value, depth_left)?)))
                .collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}

fn from_cbor(document: &Cbor) -> Json {
    match document {
        Cbor::Bool(flag) => Json::Bool(*flag),
        Cbor::Integer(number) => i64::try_from(*number).map_or(Json::Null, Json::from),
        Cbor::Float(number) => Json::from(*number),
        Cbor::Text(text) => Json::String(text.clone()),
        Cbor::Tag(_, inner) => from_cbor(inner),
        Cbor::Array(items) => Json::Array(items.iter().map(from_cbor).collect()),
        Cbor::Map(pairs) => Json::Object(
            pairs.iter().map(|(key, value)| (name(key).to_owned(), from_cbor(value))).collect(),
        ),
        _ => Json::Null,
    }
}

fn push_xml(out: &mut String, document: &Cbor) {
    match document {
        Cbor::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Cbor::Integer(number) => out.push_str(&i128::from(*number).to_string()),
        Cbor::Float(number) => out.push_str(&number.to_string()),
        Cbor::Text(text) => query::push_escaped(out, text),
        Cbor::Tag(_, seconds) => {
            out.push_str(&super::time::rfc3339(seconds.as_float().unwrap_or_default()));
        }
        Cbor::Array(items) => items.iter().for_each(|item| push_element(out, "member", item)),
        Cbor::Map(pairs) => {
            pairs.iter().for_each(|(key, value)| push_element(out, name(key), value));
        }
        _ => {}
    }
}

fn push_element(out: &mut String, name: &str, inside: &Cbor) {
    out.push_str(&format!("<{name}>"));
    push_xml(out, inside);
    out.push_str(&format!("</{name}>"));
}

fn name(key: &Cbor) -> &str {
    key.as_text().unwrap_or_default()
}

/// Returns a map of an answer.
pub(super) fn map<'a>(pairs: impl IntoIterator<Item = (&'a str, Cbor)>) -> Cbor {
    Cbor::Map(pairs.into_iter().map(|(key, value)| (text(key), value)).collect())
}

/// Returns a map of an answer without the members that are absent.
pub(super) fn map_some<'a>(pairs: impl IntoIterator<Item = (&'a str, Option<Cbor>)>) -> Cbor {
    map(pairs.into_iter().filter_map(|(key, value)| Some((key, value?))))
}

/// Returns a list of an answer.
pub(super) fn list(items: impl IntoIterator<Item = Cbor>) -> Cbor {
    Cbor::Array(items.into_iter().collect())
}

/// Returns a text of an answer.
pub(super) fn text(text: impl Into<String>) -> Cbor {
    Cbor::Text(text.into())
}

/// Returns a time of an answer, from milliseconds since the epoch.
#[expect(clippy::cast_precision_loss, reason = "2^53 ms are 285,000 years")]
pub(super) fn time_ms(ms: i64) -> Cbor {
    Cbor::Tag(TAG_EPOCH, Box::new(Cbor::Float(ms as f64 / 1_000.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bodies_are_refused_in_every_protocol_without_a_panic() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0_usize..4_000 {
            let body: Vec<u8> = (0..round % 97)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    state.to_be_bytes()[0]
                })
                .collect();
            for wire in [Wire::Cbor, Wire::Json, Wire::Query] {
                let read = wire.read::<crate::cloudwatch::model::PutMetricData>(&body);
                assert!(read.is_err() || read.is_ok_and(|input| input.metric_data.is_empty()));
            }
        }
    }

    #[test]
    fn a_nest_of_arrays_is_refused() {
        let mut body = vec![0xa1, 0x61, b'x'];
        body.extend(vec![0x81; 100_000]);
        assert!(Wire::Cbor.read::<Json>(&body).is_err());
        let mut nested = Cbor::Null;
        for _ in 0..40 {
            nested = list([nested]);
        }
        assert_eq!(to_json(nested, DEPTH_MAX), None);
    }

    #[test]
    fn an_answer_reads_the_same_in_xml_and_json() {
        let document = map([
            ("Points", list([map([("Sum", Cbor::Float(1.5)), ("At", time_ms(1_500))])])),
            ("Name", text("<a>")),
            ("Gone", Cbor::Bool(false)),
        ]);
        let mut xml = String::new();
        push_xml(&mut xml, &document);
        assert_eq!(
            xml,
            "<Points><member><Sum>1.5</Sum><At>1970-01-01T00:00:01.500Z</At></member></Points>\
             <Name>&lt;a&gt;</Name><Gone>false</Gone>"
        );
        assert_eq!(
            from_cbor(&document),
            serde_json::json!({"Points": [{"Sum": 1.5, "At": 1.5}], "Name": "<a>", "Gone": false})
        );
    }
}
