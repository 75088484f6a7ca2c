//! Answers of AWS in short words that can be compared.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;

use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;

/// An item of DynamoDB.
pub(super) type Item = HashMap<String, AttributeValue>;

/// The reason why a case could not be carried through.
#[derive(Debug)]
pub(super) struct Failed(String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: ProvideErrorMetadata + Error + 'static> From<SdkError<E>> for Failed {
    fn from(error: SdkError<E>) -> Self {
        Self(aws_calls::explain(&error))
    }
}

impl From<BuildError> for Failed {
    fn from(error: BuildError) -> Self {
        Self(error.to_string())
    }
}

/// A part of an answer that may be absent.
pub(super) trait Wanted<T> {
    /// Returns the part, or says that it is absent.
    fn wanted(self, what: &str) -> Result<T, Failed>;
}

impl<T> Wanted<T> for Option<T> {
    fn wanted(self, what: &str) -> Result<T, Failed> {
        self.ok_or_else(|| Failed(format!("the answer has no {what}")))
    }
}

/// Returns `taken`, or the code of the refusal.
pub(super) fn said<T, E>(answer: &Result<T, SdkError<E>>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match answer {
        Ok(_) => "taken".to_owned(),
        Err(error) => match aws_calls::code(error) {
            Some(code) => code.to_owned(),
            None => match error.raw_response() {
                Some(response) => format!("HTTP {}", response.status().as_u16()),
                None => aws_calls::explain(error),
            },
        },
    }
}

/// Returns as [`said`], with one word for the codes of a value beyond its bounds, of which AWS's
/// documents name several for one operation.
pub(super) fn said_of_bounds<T, E>(answer: &Result<T, SdkError<E>>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let said = said(answer);
    match said.as_str() {
        "ValidationException" | "InvalidArgumentException" => "refused".to_owned(),
        _ => said,
    }
}

/// Returns as [`said`], with one word for all codes by which the program drops data for good.
pub(super) fn said_of_data<T, E>(answer: &Result<T, SdkError<E>>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match answer {
        Err(error) if aws_calls::blames_data(error) => "refused".to_owned(),
        _ => said(answer),
    }
}

/// Returns an item's attributes in the order of their names.
pub(super) fn shown(item: Option<&Item>) -> String {
    let Some(item) = item else { return "nothing".to_owned() };
    let mut parts: Vec<_> =
        item.iter().map(|(name, value)| format!("{name}={}", shown_value(value))).collect();
    parts.sort_unstable();
    parts.join(" ")
}

fn shown_value(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => text.clone(),
        AttributeValue::N(number) => number.clone(),
        AttributeValue::B(bytes) => format!("{:?}", bytes.as_ref()),
        other => format!("{other:?}"),
    }
}
