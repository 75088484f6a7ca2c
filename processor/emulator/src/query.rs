//! The AWS query protocol of the older services: form-encoded in, XML out.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde_json::Value;

use crate::ident;
use crate::service::AwsError;

/// Deepest key that [`Form::tree`] follows, in segments. AWS's own inputs need about nine.
const DEPTH_SEGMENTS_MAX: usize = 16;

/// A decoded form body. Of a repeated key the last value counts.
#[derive(Debug, Default)]
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    /// Decodes `a=1&b=x+y%21`. Any bytes are accepted: what is not UTF-8 is replaced.
    pub(crate) fn parse(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Returns the value of a key that the operation cannot do without.
    pub(crate) fn require(&self, key: &str) -> Result<&str, AwsError> {
        self.get(key).filter(|value| !value.is_empty()).ok_or_else(|| {
            AwsError::bad_request("ValidationError", format!("the parameter {key} is missing"))
        })
    }

    /// Returns the form as the document it stands for: `A.member.2.B=x` becomes `{"A": [.., {"B":
    /// "x"}]}`. All leaves are strings. Too deep keys are left out.
    pub(crate) fn tree(&self) -> Value {
        let mut root = Node::default();
        for (key, value) in &self.0 {
            if key.split('.').count() <= DEPTH_SEGMENTS_MAX {
                root.insert(key.split('.'), value);
            }
        }
        root.into_value()
    }
}

#[derive(Debug, Default)]
struct Node {
    text: Option<String>,
    children: BTreeMap<String, Node>,
}

impl Node {
    fn insert<'a>(&mut self, mut path: impl Iterator<Item = &'a str>, value: &str) {
        match path.next() {
            Some(name) => self.children.entry(name.to_owned()).or_default().insert(path, value),
            None => self.text = Some(value.to_owned()),
        }
    }

    fn into_value(mut self) -> Value {
        if self.children.is_empty() {
            return Value::String(self.text.unwrap_or_default());
        }
        if self.children.len() == 1
            && let Some(list) = self.children.remove("member")
        {
            return list.into_list();
        }
        Value::Object(self.children.into_iter().map(|(k, node)| (k, node.into_value())).collect())
    }

    fn into_list(self) -> Value {
        let mut items: Vec<(u32, Self)> = self
            .children
            .into_iter()
            .map(|(index, node)| (index.parse().unwrap_or(u32::MAX), node))
            .collect();
        items.sort_by_key(|(index, _)| *index);
        Value::Array(items.into_iter().map(|(_, node)| node.into_value()).collect())
    }
}

/// Appends `text` with the characters that XML reserves, and those it cannot hold, replaced.
pub(crate) fn push_escaped(out: &mut String, text: &str) {
    let unfit =
        |character: char| character.is_control() && !matches!(character, '\n' | '\t' | '\r');
    let fit = text.replace(unfit, "\u{fffd}");
    out.push_str(&quick_xml::escape::escape(&*fit));
}

/// Writes `<name>text</name>`, escaped.
pub(crate) fn element(name: &str, text: &str) -> String {
    let mut out = format!("<{name}>");
    push_escaped(&mut out, text);
    out.push_str(&format!("</{name}>"));
    out
}

/// Returns the answer of a query operation; `result` is the inside of `<OperationResult>`.
pub(crate) fn answer(namespace: &str, operation: &str, result: &str) -> Response {
    let request_id = ident::uuid();
    xml(
        StatusCode::OK,
        format!(
            "<{operation}Response xmlns=\"{namespace}\"><{operation}Result>{result}</{operation}Result>\
             <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
        ),
    )
}

/// Returns a refusal in the query protocol.
pub(crate) fn refuse(namespace: &str, error: &AwsError) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let sender = if status.is_client_error() { "Sender" } else { "Receiver" };
    let (code, message) = (element("Code", error.code), element("Message", &error.message));
    let request_id = ident::uuid();
    xml(
        status,
        format!(
            "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{sender}</Type>{code}{message}</Error>\
             <RequestId>{request_id}</RequestId></ErrorResponse>"
        ),
    )
}

fn xml(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decoded_and_lists_keep_their_numeric_order() {
        let form =
            Form::parse(b"Action=X&A.member.10.B=ten&A.member.2.B=a%2Bb+%21&Plain=%zz&=&C.D=");
        assert_eq!(form.get("Action"), Some("X"));
        assert_eq!(form.get("Plain"), Some("%zz"));
        let tree = form.tree();
        assert_eq!(tree["A"], serde_json::json!([{"B": "a+b !"}, {"B": "ten"}]));
        assert_eq!(tree["C"]["D"], "");
    }

    #[test]
    fn any_bytes_decode_and_deep_keys_are_dropped() {
        let deep = format!("{}=1", "a.".repeat(50_000));
        assert_eq!(Form::parse(deep.as_bytes()).tree(), Value::String(String::new()));
        assert_eq!(Form::parse(b"\xff=%f").get("\u{fffd}"), Some("%f"));
    }

    #[test]
    fn text_cannot_break_out_of_its_element() {
        assert_eq!(element("A", "</A>&\u{0}"), "<A>&lt;/A&gt;&amp;\u{fffd}</A>");
    }
}
