//! Items as JSON, in DynamoDB's own notation (`{"S": "text"}`, `{"N": "1"}`), with numbers in one
//! spelling; and what two of them differ in.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ivs_core::row::applied;
use ivs_schemas::items::{SCHEMA_VERSION, metrics};
use serde_json::{Map, Value, json};

use super::codec::{Item, Reader};

/// An attribute of which two items say different things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub attribute: String,
    /// The expected value; `None`: absent.
    pub expected: Option<Value>,
    /// The value found; `None`: absent.
    pub found: Option<Value>,
}

/// Returns an item as a JSON object.
#[must_use]
pub fn to_json(item: &Item) -> Value {
    let sorted: BTreeMap<&String, &AttributeValue> = item.iter().collect();
    Value::Object(
        sorted.into_iter().map(|(name, value)| (name.clone(), attribute(value))).collect(),
    )
}

fn attribute(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": plain(number) }),
        AttributeValue::B(blob) => json!({ "B": STANDARD.encode(blob) }),
        AttributeValue::Bool(bool) => json!({ "BOOL": bool }),
        AttributeValue::Null(_) => json!({ "NULL": true }),
        AttributeValue::L(members) => {
            json!({ "L": members.iter().map(attribute).collect::<Vec<_>>() })
        }
        AttributeValue::M(members) => json!({ "M": to_json(members) }),
        // No item of ours has sets; one that was altered by hand may.
        other => json!({ "?": format!("{other:?}") }),
    }
}

/// Returns a decimal without exponent, leading or trailing zeros; what is none stays as it is.
fn plain(number: &str) -> String {
    // As this program writes them, and DynamoDB gives nearly all of them back.
    let is_plain = !number.starts_with('0') && number.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain || number == "0" {
        return number.to_owned();
    }
    spell(number).unwrap_or_else(|| number.to_owned())
}

fn spell(number: &str) -> Option<String> {
    let (sign, unsigned) = match number.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", number.strip_prefix('+').unwrap_or(number)),
    };
    let (decimal, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let mut digits = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // DynamoDB's exponents end at 125 and -130.
    let exponent: i64 = exponent.parse().ok().filter(|exponent| (-200..=200).contains(exponent))?;
    let mut point = i64::try_from(whole.len()).ok()? + exponent;
    if let Ok(before @ 1..) = usize::try_from(-point) {
        digits.insert_str(0, &"0".repeat(before));
        point = 0;
    }
    let point = usize::try_from(point).ok()?;
    digits.extend(std::iter::repeat_n('0', point.saturating_sub(digits.len())));
    let (whole, fraction) = digits.split_at(point);
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    Some(match (whole, fraction) {
        ("", "") => "0".to_owned(),
        ("", fraction) => format!("{sign}0.{fraction}"),
        (whole, "") => format!("{sign}{whole}"),
        (whole, fraction) => format!("{sign}{whole}.{fraction}"),
    })
}

/// Returns an item that an earlier release wrote as this one would have written it; any other as it
/// is.
#[must_use]
pub fn in_this_layout(mut item: Value) -> Value {
    let Some(stored) = from_json(&item) else { return item };
    if let (Some(AttributeValue::M(_)), Ok(applied)) =
        (stored.get(metrics::APPLIED), Reader(&stored).applied())
    {
        let bytes = AttributeValue::B(Blob::new(applied::to_bytes(&applied)));
        item[metrics::APPLIED] = attribute(&bytes);
    }
    let layout = Reader(&stored).number_if::<u32>(metrics::SCHEMA_VERSION);
    if layout.is_ok_and(|layout| layout.is_some_and(|layout| layout < SCHEMA_VERSION)) {
        item[metrics::SCHEMA_VERSION] = attribute(&AttributeValue::N(SCHEMA_VERSION.to_string()));
    }
    item
}

/// Returns the item of a JSON object that [`to_json`] made; `None` of any other.
#[must_use]
pub fn from_json(value: &Value) -> Option<Item> {
    let members = value.as_object()?.iter();
    members.map(|(name, value)| Some((name.clone(), from_attribute(value)?))).collect()
}

fn from_attribute(value: &Value) -> Option<AttributeValue> {
    let (kind, value) = value.as_object()?.iter().next()?;
    let text = || value.as_str().map(str::to_owned);
    Some(match kind.as_str() {
        "S" => AttributeValue::S(text()?),
        "N" => AttributeValue::N(text()?),
        "B" => AttributeValue::B(Blob::new(STANDARD.decode(value.as_str()?).ok()?)),
        "BOOL" => AttributeValue::Bool(value.as_bool()?),
        "NULL" => AttributeValue::Null(true),
        "L" => {
            AttributeValue::L(value.as_array()?.iter().map(from_attribute).collect::<Option<_>>()?)
        }
        "M" => AttributeValue::M(from_json(value)?),
        _ => return None,
    })
}

/// Returns what differs between two items, by attribute; those named in `ignored` may.
#[must_use]
pub fn differences(expected: &Value, found: &Value, ignored: &[&str]) -> Vec<Difference> {
    let none = Map::new();
    let [expected, found] = [expected, found].map(|item| item.as_object().unwrap_or(&none));
    let mut names: Vec<&String> = expected.keys().chain(found.keys()).collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .filter(|name| !ignored.contains(&name.as_str()))
        .filter(|name| expected.get(*name) != found.get(*name))
        .map(|name| Difference {
            attribute: name.clone(),
            expected: expected.get(name).cloned(),
            found: found.get(name).cloned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_spelling() {
        for (text, want) in [
            ("0.000000", "0"),
            ("-0", "0"),
            ("007.50", "7.5"),
            ("1E3", "1000"),
            ("-12.5e-3", "-0.0125"),
            ("59.94", "59.94"),
            ("+1", "1"),
            ("1e-130", &format!("0.{}1", "0".repeat(129))),
            ("abc", "abc"),
            ("", ""),
        ] {
            assert_eq!(plain(text), want, "{text}");
        }
    }

    #[test]
    fn an_item_comes_back_and_differs_by_attribute() {
        let item: Item = [
            ("a", AttributeValue::S("x".into())),
            ("b", AttributeValue::L(vec![AttributeValue::N("1.50".into())])),
            ("c", AttributeValue::M([("d".into(), AttributeValue::B(Blob::new([1, 2])))].into())),
            ("e", AttributeValue::Bool(true)),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        let json = to_json(&item);
        assert_eq!(to_json(&from_json(&json).unwrap()), json);
        let mut other = json.clone();
        other["a"] = json!({ "S": "y" });
        other.as_object_mut().unwrap().remove("e");
        let found = differences(&json, &other, &["b"]);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].attribute, "a");
        assert_eq!((&found[1].expected, &found[1].found), (&Some(json!({ "BOOL": true })), &None));
        assert!(differences(&json, &other, &["a", "e"]).is_empty());
    }
}
