//! A statement that writes one item under a condition, as a member of the call's body.

use aws_sdk_dynamodb::types::AttributeValue;
use ivs_schemas::items::{metrics, sessions};

use super::super::body::{Body, Json};
use super::super::condition::{Condition, number};
use super::super::pool::{MAX_CALL_BYTES, hash_of};
use crate::items::codec::Item;
use crate::items::own_names;

/// The characters of a statement at most, by AWS.
const MAX_STATEMENT_CHARS: usize = 8_192;
/// The bytes a statement is begun with; a row of ours has two to four kilobytes.
const FIRST_BYTES: usize = 8_192;

/// An `INSERT` or an `UPDATE` of one item.
#[derive(Debug)]
pub(in super::super) struct Statement {
    /// The statement with its parameters.
    pub(super) json: String,
    /// A hash of table and key.
    pub(super) hash: u64,
}

impl Statement {
    /// Returns the statement that stores an item as a put under this condition does; `None` for one that
    /// a put has to take: a condition beyond PartiQL, too long, a name that would need quoting, a kind of
    /// value that this release does not know.
    pub(in super::super) fn of(table: &str, item: &Item, condition: Condition) -> Option<Self> {
        let hash = hash_of(table, item)?;
        if !std::iter::once(table).chain(item.keys().map(String::as_str)).all(is_plain) {
            return None;
        }
        let mut json = Json(String::with_capacity(FIRST_BYTES));
        json.0.push_str(r#"{"Statement":""#);
        match condition {
            Condition::Version(None) | Condition::Fact(_) => insert(&mut json, table, item)?,
            Condition::Version(Some(seen)) => update(&mut json, table, item, seen)?,
            Condition::SameFact(_) => return None,
        }
        json.0.push('}');
        (json.0.len() <= MAX_CALL_BYTES).then_some(Self { json: json.0, hash })
    }
}

/// Writes an insert, which stores the item if there is none of its key.
fn insert(json: &mut Json, table: &str, item: &Item) -> Option<()> {
    let start = json.0.len();
    json.0.extend([r#"INSERT INTO \""#, table, r#"\" VALUE {"#]);
    for (at, name) in item.keys().enumerate() {
        json.0.extend([if at > 0 { ",'" } else { "'" }, name, "':?"]);
    }
    json.0.push('}');
    // In the order of the names: nothing has touched the map since.
    finish(json, start, item.values())
}

/// Writes an update, which makes a stored row of that version into this item. An update leaves alone
/// what it does not name: so each attribute of ours that the item does not have is removed.
fn update(json: &mut Json, table: &str, item: &Item, seen: u64) -> Option<()> {
    let (sort, own) = match item.contains_key(metrics::METRIC_TIMESTAMP) {
        true => (metrics::METRIC_TIMESTAMP, &own_names::METRIC[..]),
        false => (sessions::TIMESTAMP, &own_names::SUMMARY[..]),
    };
    let keys = [metrics::SESSION_ID, sort];
    // Its members in the order of the map: nothing touches it meanwhile.
    let members = || item.iter().filter(|(name, _)| !keys.contains(&name.as_str()));
    // A dot leads into a map, in the eyes of some.
    if members().any(|(name, _)| name.contains('.')) {
        return None;
    }
    let start = json.0.len();
    json.0.extend([r#"UPDATE \""#, table, r#"\""#]);
    for (name, _) in members() {
        json.0.extend([r#" SET \""#, name, r#"\"=?"#]);
    }
    for name in own.iter().copied().filter(|name| !item.contains_key(*name)) {
        json.0.extend([r#" REMOVE \""#, name, r#"\""#]);
    }
    json.0.extend([r#" WHERE \""#, keys[0], r#"\"=? AND \""#, keys[1]]);
    json.0.extend([r#"\"=? AND \""#, metrics::VERSION, r#"\"=?"#]);
    let (seen, keys) = (number(seen), keys.map(|name| item.get(name)));
    let values = members().map(|(_, value)| value);
    finish(json, start, values.chain(keys.into_iter().flatten()).chain([&seen]))?;
    json.0.push_str(r#","ReturnValuesOnConditionCheckFailure":"ALL_OLD""#);
    Some(())
}

/// Ends a statement that begins at `start`, and writes its parameters.
fn finish<'a>(
    json: &mut Json,
    start: usize,
    parameters: impl Iterator<Item = &'a AttributeValue>,
) -> Option<()> {
    // Plain ASCII; the backslashes are JSON's.
    let chars = json.0[start..].bytes().filter(|byte| *byte != b'\\').count();
    if chars > MAX_STATEMENT_CHARS {
        return None;
    }
    json.0.push_str(r#"","Parameters":"#);
    json.array(parameters, Json::value)
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn item(session: &str, more: &[(&str, AttributeValue)]) -> Item {
        let key = [
            (metrics::SESSION_ID, AttributeValue::S(session.to_owned())),
            (metrics::METRIC_TIMESTAMP, AttributeValue::N("60".to_owned())),
        ];
        key.iter().chain(more).map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    const NEW: Condition = Condition::Version(None);
    const SEEN: Condition = Condition::Version(Some(3));

    #[test]
    fn an_insert_names_each_attribute_and_has_its_value_in_that_place() {
        let note = AttributeValue::S("it's \"quoted\"".to_owned());
        let statement = Statement::of("T-1.a", &item("s", &[("note", note)]), NEW).unwrap();
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

    fn text_of(item: &Item, condition: Condition) -> String {
        let statement = Statement::of("T", item, condition).unwrap();
        let seen: Value = serde_json::from_str(&statement.json).unwrap();
        seen["Statement"].as_str().unwrap().to_owned()
    }

    #[test]
    fn an_update_sets_what_is_there_and_removes_what_is_not_on_the_version_seen() {
        let one = |name: &'static str, value: &str| (name, AttributeValue::N(value.to_owned()));
        let mut item = item("s", &[one("records", "7"), one("version", "4"), one("odd_1", "5")]);
        let statement = Statement::of("T", &item, SEEN).unwrap();
        let seen: Value = serde_json::from_str(&statement.json).unwrap();
        assert_eq!(seen["ReturnValuesOnConditionCheckFailure"], "ALL_OLD");
        let text = seen["Statement"].as_str().unwrap();
        let (changes, at) = text.split_once(" WHERE ").unwrap();
        assert_eq!(at, r#""sessionId"=? AND "metricTimestamp"=? AND "version"=?"#);
        let (sets, removes) = changes.split_once(" REMOVE ").unwrap();
        let names = sets.strip_prefix("UPDATE \"T\" SET ").unwrap().split(" SET ");
        let mut values = seen["Parameters"].as_array().unwrap().clone();
        let key = values.split_off(3);
        assert_eq!(key, [json!({ "S": "s" }), json!({ "N": "60" }), json!({ "N": "3" })]);
        let mut pairs: Vec<_> = names.zip(values).collect();
        pairs.sort_by_key(|(name, _)| *name);
        let expected = [("odd_1", "5"), ("records", "7"), ("version", "4")]
            .map(|(name, value)| (format!("\"{name}\"=?"), json!({ "N": value })));
        assert!(pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).eq(expected));
        let absent = own_names::METRIC.iter().filter(|name| !item.contains_key(**name));
        let expected: Vec<_> = absent.map(|name| format!("\"{name}\"")).collect();
        assert!(removes.split(" REMOVE ").eq(expected), "{removes}");
        let at = item.remove(metrics::METRIC_TIMESTAMP).unwrap();
        item.insert(sessions::TIMESTAMP.to_owned(), at);
        let text = text_of(&item, SEEN);
        assert!(text.contains(r#" REMOVE "staleAfter""#), "{text}");
        assert!(text.contains(r#" AND "timestamp"=?"#), "{text}");
    }

    #[test]
    fn a_condition_that_a_statement_cannot_state_is_left_to_a_put() {
        let item = item("s", &[]);
        assert!(Statement::of("T", &item, Condition::Fact(7)).is_some(), "by an insert");
        assert!(Statement::of("T", &item, Condition::SameFact(7)).is_none());
    }

    #[test]
    fn an_item_that_does_not_fit_is_left_to_a_put() {
        let text = |bytes: usize| AttributeValue::S("x".repeat(bytes));
        let is_taken = |table: &str, name: &str, bytes: usize| {
            let item = item("s", &[(name, text(bytes))]);
            let [new, seen] = [NEW, SEEN].map(|condition| Statement::of(table, &item, condition));
            (new.is_some(), seen.is_some())
        };
        let (both, neither) = ((true, true), (false, false));
        assert_eq!(is_taken("T", "note", 400 << 10), both);
        assert_eq!(is_taken("T", "note", MAX_CALL_BYTES), neither);
        assert_eq!(is_taken("T", "it's", 1), neither, "a name with a quote");
        assert_eq!(is_taken("T", "a.b", 1), (true, false), "a name that looks like a path");
        let arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/T";
        assert_eq!(is_taken(arn, "note", 1), neither);
        let others = r#"INSERT INTO "T" VALUE {'':?,'metricTimestamp':?,'sessionId':?}"#.len();
        assert_eq!(is_taken("T", &"n".repeat(MAX_STATEMENT_CHARS - others), 1), (true, false));
        assert_eq!(is_taken("T", &"n".repeat(MAX_STATEMENT_CHARS - others + 1), 1), neither);
        // With the removals of a row that has nothing else.
        let others = text_of(&item("s", &[]), SEEN).len() + r#" SET ""=?"#.len();
        assert_eq!(is_taken("T", &"n".repeat(MAX_STATEMENT_CHARS - others), 1), both);
        assert!(!is_taken("T", &"n".repeat(MAX_STATEMENT_CHARS - others + 1), 1).1);
    }
}
