//! A statement that inserts one item, as a member of the call's body.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use ivs_schemas::items::{metrics, sessions};

use super::super::body::{Body, Json};
use crate::items::codec::Item;

/// The characters of a statement at most, by AWS.
const MAX_STATEMENT_CHARS: usize = 8_192;
/// Bytes of a call's statements at most. AWS documents no limit for this call (16 MB for BatchWriteItem);
/// this is a hundred times a call of usual rows, and bounds the memory of those under way.
pub(super) const MAX_CALL_BYTES: usize = 1 << 20;
/// The bytes a statement is begun with; a row of ours has two to four kilobytes.
const FIRST_BYTES: usize = 6_144;

/// An `INSERT` of one item.
#[derive(Debug)]
pub(super) struct Statement {
    /// The statement with its parameters.
    pub(super) json: String,
    /// A hash of table and key: equal for equal ones. Others may have the same, and then wait in vain.
    pub(super) key: u64,
}

impl Statement {
    /// Returns the statement that inserts an item; `None` for one that a put has to take: too long, a
    /// name that would need quoting, a kind of value that this release does not know.
    pub(super) fn of(table: &str, item: &Item) -> Option<Self> {
        let key = key_of(table, item)?;
        if !std::iter::once(table).chain(item.keys().map(String::as_str)).all(is_plain) {
            return None;
        }
        let mut json = Json(String::with_capacity(FIRST_BYTES));
        json.0.push_str(r#"{"Statement":""#);
        let start = json.0.len();
        json.0.extend([r#"INSERT INTO \""#, table, r#"\" VALUE {"#]);
        for (at, name) in item.keys().enumerate() {
            json.0.extend([if at > 0 { ",'" } else { "'" }, name, "':?"]);
        }
        json.0.push('}');
        // Plain ASCII, and two backslashes that are JSON's.
        if json.0.len() - start - 2 > MAX_STATEMENT_CHARS {
            return None;
        }
        json.0.push_str(r#"","Parameters":"#);
        // In the order of the names: nothing has touched the map since.
        json.array(item.values(), Json::value)?;
        json.0.push('}');
        (json.0.len() <= MAX_CALL_BYTES).then_some(Self { json: json.0, key })
    }
}

/// Returns the body of a call with these statements.
pub(super) fn body(statements: &[Statement]) -> Body {
    let bytes: usize = statements.iter().map(|statement| statement.json.len() + 1).sum();
    let mut json = String::with_capacity(bytes + 32);
    json.push_str(r#"{"Statements":["#);
    for (at, statement) in statements.iter().enumerate() {
        json.extend([if at > 0 { "," } else { "" }, statement.json.as_str()]);
    }
    json.push_str("]}");
    Body::new(json)
}

/// Returns whether a name means the same in quotes of PartiQL and of JSON, in any place. All names of ours
/// do; a table may also be named by its ARN.
fn is_plain(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !name.is_empty() && name.bytes().all(is_plain)
}

fn key_of(table: &str, item: &Item) -> Option<u64> {
    let session = item.get(metrics::SESSION_ID)?.as_s().ok()?;
    let sort = item.get(metrics::METRIC_TIMESTAMP).or_else(|| item.get(sessions::TIMESTAMP))?;
    let mut hasher = DefaultHasher::new();
    (table, session, sort.as_n().ok()?).hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;
    use serde_json::{Value, json};

    use super::*;

    fn item(session: &str, more: &[(&str, AttributeValue)]) -> Item {
        let key = [
            (metrics::SESSION_ID, AttributeValue::S(session.to_owned())),
            (metrics::METRIC_TIMESTAMP, AttributeValue::N("60".to_owned())),
        ];
        key.iter().chain(more).map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn a_statement_names_each_attribute_and_has_its_value_in_that_place() {
        let note = AttributeValue::S("it's \"quoted\"".to_owned());
        let statement = Statement::of("T-1.a", &item("s", &[("note", note)])).unwrap();
        let seen: Value = serde_json::from_str(&statement.json).unwrap();
        let text = seen["Statement"].as_str().unwrap();
        let names = text.strip_prefix("INSERT INTO \"T-1.a\" VALUE {").unwrap();
        let names: Vec<_> = names.strip_suffix('}').unwrap().split(',').collect();
        let values = seen["Parameters"].as_array().unwrap();
        let mut pairs: Vec<_> = names.into_iter().zip(values).collect();
        pairs.sort_by_key(|(name, _)| *name);
        let expected = [
            ("'metricTimestamp':?", &json!({ "N": "60" })),
            ("'note':?", &json!({ "S": "it's \"quoted\"" })),
            ("'sessionId':?", &json!({ "S": "s" })),
        ];
        assert_eq!(pairs, expected);
    }

    #[test]
    fn an_item_that_does_not_fit_is_left_to_a_put() {
        let text = |bytes: usize| AttributeValue::S("x".repeat(bytes));
        let is_taken = |table: &str, name: &str, bytes: usize| {
            Statement::of(table, &item("s", &[(name, text(bytes))])).is_some()
        };
        assert!(is_taken("T", "note", 400 << 10));
        assert!(!is_taken("T", "note", MAX_CALL_BYTES));
        assert!(!is_taken("T", "it's", 1), "a name with a quote");
        assert!(!is_taken("arn:aws:dynamodb:eu-west-1:111122223333:table/T", "note", 1));
        // INSERT INTO "T" VALUE {'…':?,'metricTimestamp':?,'sessionId':?}
        let others = r#"INSERT INTO "T" VALUE {'':?,'metricTimestamp':?,'sessionId':?}"#.len();
        assert!(is_taken("T", &"n".repeat(MAX_STATEMENT_CHARS - others), 1));
        assert!(!is_taken("T", &"n".repeat(MAX_STATEMENT_CHARS - others + 1), 1));
    }

    #[test]
    fn equal_keys_are_known_by_table_session_and_time() {
        let key = |table: &str, session: &str, note: &str| {
            let note = AttributeValue::S(note.to_owned());
            Statement::of(table, &item(session, &[("note", note)])).unwrap().key
        };
        assert_eq!(key("T", "s", "a"), key("T", "s", "b"));
        assert_ne!(key("T", "s", "a"), key("U", "s", "a"));
        assert_ne!(key("T", "s", "a"), key("T", "t", "a"));
    }
}
