//! The body of a call that writes items, written once for all its tries: the SDK would be given a copy
//! of the items for each.

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_types::body::SdkBody;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::condition::Condition;
use crate::items::codec::Item;

/// The bytes a put is begun with; a row of ours has two to four kilobytes.
const FIRST_BYTES: usize = 4_096;

/// A call's body: takes the place of what the SDK wrote, before the call is signed.
#[derive(Clone, Debug)]
pub(super) struct Body(Bytes);

impl Body {
    /// Returns a body of this JSON.
    pub(super) fn new(json: String) -> Self {
        Self(Bytes::from(json))
    }

    /// Returns the body of a conditional put that returns what is stored if it is refused; `None` for
    /// an item with a value of a kind that this release does not know.
    pub(super) fn of_put(table: &str, item: &Item, condition: Condition) -> Option<Self> {
        let mut json = Json(String::with_capacity(FIRST_BYTES));
        json.0.push_str(r#"{"TableName":"#);
        json.text(table);
        json.0
            .push_str(r#","ReturnValuesOnConditionCheckFailure":"ALL_OLD","ConditionExpression":"#);
        json.text(condition.expression());
        json.0.push_str(r#","ExpressionAttributeNames":"#);
        json.object(condition.names(), |json, name| {
            json.text(name);
            Some(())
        })?;
        if let Some((name, value)) = condition.value() {
            json.0.push_str(r#","ExpressionAttributeValues":"#);
            json.object([(name, value)], |json, value| json.value(&value))?;
        }
        json.0.push_str(r#","Item":"#);
        json.object(item, Json::value)?;
        json.0.push('}');
        Some(Self::new(json.0))
    }
}

impl Intercept for Body {
    fn name(&self) -> &'static str {
        "Body"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        request.headers_mut().insert("content-length", self.0.len().to_string());
        *request.body_mut() = SdkBody::from(self.0.clone());
        Ok(())
    }
}

/// JSON under construction.
pub(super) struct Json(pub(super) String);

impl Json {
    fn text(&mut self, text: &str) {
        let is_plain = |byte: &u8| *byte >= b' ' && !matches!(byte, b'"' | b'\\');
        self.0.push('"');
        match text.as_bytes().iter().all(is_plain) {
            true => self.0.push_str(text),
            false => {
                let quoted = serde_json::Value::from(text).to_string();
                self.0.push_str(&quoted[1..quoted.len() - 1]);
            }
        }
        self.0.push('"');
    }

    fn blob(&mut self, blob: &Blob) {
        self.0.push('"');
        STANDARD.encode_string(blob, &mut self.0);
        self.0.push('"');
    }

    /// Writes an object; `member` writes each value.
    fn object<N: AsRef<str>, V>(
        &mut self,
        members: impl IntoIterator<Item = (N, V)>,
        mut member: impl FnMut(&mut Self, V) -> Option<()>,
    ) -> Option<()> {
        self.0.push('{');
        for (at, (name, value)) in members.into_iter().enumerate() {
            if at > 0 {
                self.0.push(',');
            }
            self.text(name.as_ref());
            self.0.push(':');
            member(self, value)?;
        }
        self.0.push('}');
        Some(())
    }

    /// Writes an array; `item` writes each.
    pub(super) fn array<V>(
        &mut self,
        items: impl IntoIterator<Item = V>,
        mut item: impl FnMut(&mut Self, V) -> Option<()>,
    ) -> Option<()> {
        self.0.push('[');
        for (at, value) in items.into_iter().enumerate() {
            if at > 0 {
                self.0.push(',');
            }
            item(self, value)?;
        }
        self.0.push(']');
        Some(())
    }

    /// Writes a value in DynamoDB's notation.
    pub(super) fn value(&mut self, value: &AttributeValue) -> Option<()> {
        let text = |json: &mut Self, text: &String| {
            json.text(text);
            Some(())
        };
        let blob = |json: &mut Self, bytes: &Blob| {
            json.blob(bytes);
            Some(())
        };
        let mut open = |name: &str| {
            self.0.push_str("{\"");
            self.0.push_str(name);
            self.0.push_str("\":");
        };
        match value {
            AttributeValue::S(value) => {
                open("S");
                self.text(value);
            }
            AttributeValue::N(value) => {
                open("N");
                self.text(value);
            }
            AttributeValue::B(value) => {
                open("B");
                self.blob(value);
            }
            AttributeValue::Bool(value) => {
                open("BOOL");
                self.0.push_str(if *value { "true" } else { "false" });
            }
            AttributeValue::Null(_) => {
                open("NULL");
                self.0.push_str("true");
            }
            AttributeValue::M(members) => {
                open("M");
                self.object(members, Self::value)?;
            }
            AttributeValue::L(members) => {
                open("L");
                self.array(members, Self::value)?;
            }
            AttributeValue::Ss(texts) => {
                open("SS");
                self.array(texts, text)?;
            }
            AttributeValue::Ns(numbers) => {
                open("NS");
                self.array(numbers, text)?;
            }
            AttributeValue::Bs(blobs) => {
                open("BS");
                self.array(blobs, blob)?;
            }
            _ => return None,
        }
        self.0.push('}');
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::{Value, json};

    use super::*;

    fn body(item: &Item, condition: Condition) -> Value {
        let Body(bytes) = Body::of_put("T", item, condition).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn every_kind_of_value_is_written_as_dynamodb_reads_it() {
        use AttributeValue::{B, Bool, Bs, L, M, N, Ns, Null, S, Ss};
        let blob = || Blob::new([0, 255]);
        let inner = HashMap::from([("b".to_owned(), B(blob())), ("x\"\n".to_owned(), Bool(true))]);
        let item = Item::from([
            ("s".to_owned(), S("q\"\\\u{1}\u{e9}".to_owned())),
            ("n".to_owned(), N("-1.5".to_owned())),
            ("m".to_owned(), M(inner)),
            ("l".to_owned(), L(vec![Null(true), Bool(false), L(vec![])])),
            ("ss".to_owned(), Ss(vec!["a".to_owned(), "b".to_owned()])),
            ("ns".to_owned(), Ns(vec!["1".to_owned()])),
            ("bs".to_owned(), Bs(vec![blob()])),
        ]);
        assert_eq!(
            body(&item, Condition::Version(None))["Item"],
            json!({
                "s": {"S": "q\"\\\u{1}\u{e9}"},
                "n": {"N": "-1.5"},
                "m": {"M": {"b": {"B": "AP8="}, "x\"\n": {"BOOL": true}}},
                "l": {"L": [{"NULL": true}, {"BOOL": false}, {"L": []}]},
                "ss": {"SS": ["a", "b"]},
                "ns": {"NS": ["1"]},
                "bs": {"BS": ["AP8="]},
            })
        );
    }

    #[test]
    fn a_put_names_its_table_and_condition() {
        let mut seen = body(&Item::new(), Condition::Version(Some(7)));
        assert_eq!(seen["Item"].take(), json!({}));
        assert_eq!(
            seen,
            json!({
                "TableName": "T",
                "Item": null,
                "ConditionExpression": "#version = :seen",
                "ExpressionAttributeNames": {"#version": "version"},
                "ExpressionAttributeValues": {":seen": {"N": "7"}},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            })
        );
        let none = body(&Item::new(), Condition::Version(None));
        assert_eq!(none.get("ExpressionAttributeValues"), None);
    }
}
