//! Which actions were called with which access key, in the words of IAM: what its holder has to be
//! allowed to do.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, header};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use crate::service::{Call, ServiceName};

/// Access keys that are followed; calls with more than these are counted only.
const KEYS_MAX: usize = 64;
/// Actions of one key.
const ACTIONS_MAX: usize = 512;
/// The longest access key of AWS.
const KEY_BYTES_MAX: usize = 128;
/// An operation, and the longest name of a table.
const ACTION_BYTES_MAX: usize = 320;

/// How often each action was called, such as `kinesis:GetRecords` or `dynamodb:GetItem <table>`.
pub(crate) type Actions = BTreeMap<String, u64>;

/// The calls so far. Those that arrive at DynamoDB's own listener are not seen.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    by_key: BTreeMap<String, Actions>,
    /// Calls beyond the limits.
    left_out: u64,
}

impl Calls {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a signed call, whatever becomes of it.
    pub(crate) fn note(&self, call: &Call) {
        let Some(key) = access_key(&call.headers) else { return };
        let mut state = self.lock();
        actions(call).into_iter().for_each(|action| state.note(key, action));
    }

    /// Returns the actions of a key.
    pub(crate) fn of(&self, key: &str) -> Actions {
        self.lock().by_key.get(key).cloned().unwrap_or_default()
    }

    /// Returns the actions of a key as JSON, and how many calls of any key were left out.
    pub(crate) fn report(&self, key: &str) -> String {
        json!({ "calls": self.of(key), "leftOut": self.lock().left_out }).to_string()
    }
}

impl State {
    fn note(&mut self, key: &str, action: String) {
        let is_new = !self.by_key.contains_key(key);
        let has_room = !is_new || self.by_key.len() < KEYS_MAX;
        if !has_room || key.len() > KEY_BYTES_MAX || action.len() > ACTION_BYTES_MAX {
            self.left_out += 1;
            return;
        }
        let actions = self.by_key.entry(key.to_owned()).or_default();
        if actions.len() < ACTIONS_MAX || actions.contains_key(&action) {
            *actions.entry(action).or_default() += 1;
        } else {
            self.left_out += 1;
        }
    }
}

/// Returns the access key of the SigV4 scope `Credential=<key>/<date>/<region>/<service>/aws4_request`.
fn access_key(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (_, credential) = authorization.split_once("Credential=")?;
    credential.split_once('/').map(|(key, _)| key)
}

/// Returns what IAM would be asked about a call, each question once.
fn actions(call: &Call) -> BTreeSet<String> {
    match call.operation.as_str() {
        "BatchExecuteStatement" if call.service == ServiceName::DynamoDb => statements(&call.body),
        "BatchGetItem" if call.service == ServiceName::DynamoDb => tables_read(&call.body),
        _ => [action(call)].into(),
    }
}

/// The part of a call with statements that IAM is asked about.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch<'a> {
    #[serde(borrow)]
    statements: Vec<Statement<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statement<'a> {
    #[serde(borrow)]
    statement: Cow<'a, str>,
}

/// Returns the actions of statements; there is none for the call itself.
fn statements(body: &[u8]) -> BTreeSet<String> {
    let Ok(Batch { statements }) = serde_json::from_slice::<Batch<'_>>(body) else {
        return BTreeSet::new();
    };
    let asked = |each: Statement<'_>| {
        let mut words = each.statement.split_whitespace();
        let action = match words.next()?.to_ascii_uppercase().as_str() {
            "INSERT" => "PartiQLInsert",
            "UPDATE" => "PartiQLUpdate",
            "DELETE" => "PartiQLDelete",
            "SELECT" => "PartiQLSelect",
            _ => return None,
        };
        // Of `INSERT INTO "T" VALUE …`, `DELETE FROM "T" …`, `SELECT * FROM "T" …` and `UPDATE "T" …`.
        let is_before =
            |word: &&str| ["INTO", "FROM"].iter().any(|it| word.eq_ignore_ascii_case(it));
        let table = match action {
            "PartiQLUpdate" => words.next()?,
            _ => words.skip_while(|word| !is_before(word)).nth(1)?,
        };
        Some(format!("dynamodb:{action} {}", table.trim_matches('"')))
    };
    statements.into_iter().filter_map(asked).collect()
}

/// The part of a call that reads of several tables that IAM is asked about.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchGet {
    request_items: BTreeMap<String, IgnoredAny>,
}

/// Returns one action for each table.
fn tables_read(body: &[u8]) -> BTreeSet<String> {
    let Ok(BatchGet { request_items }) = serde_json::from_slice::<BatchGet>(body) else {
        return BTreeSet::new();
    };
    request_items.into_keys().map(|table| format!("dynamodb:BatchGetItem {table}")).collect()
}

/// Returns what IAM would be asked about a call of one action.
fn action(call: &Call) -> String {
    let prefix = match call.service {
        ServiceName::Monitoring => "cloudwatch",
        service => service.as_str(),
    };
    let operation = &call.operation;
    match table(call) {
        Some(table) => format!("{prefix}:{operation} {table}"),
        None => format!("{prefix}:{operation}"),
    }
}

/// The part of a DynamoDB call that says which table is meant.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named<'a> {
    #[serde(borrow)]
    table_name: Option<Cow<'a, str>>,
}

fn table(call: &Call) -> Option<Cow<'_, str>> {
    if call.service != ServiceName::DynamoDb {
        return None;
    }
    serde_json::from_slice::<Named<'_>>(&call.body).ok()?.table_name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(calls: &Calls, key: &str) -> Vec<String> {
        calls.of(key).into_keys().collect()
    }

    #[test]
    fn a_batch_is_asked_about_statement_by_statement() {
        let body = json!({ "Statements": [
            { "Statement": "INSERT INTO \"T\" VALUE {'id':?}", "Parameters": [{ "S": "a" }] },
            { "Statement": "INSERT INTO \"T\" VALUE {'id':?}", "Parameters": [{ "S": "b" }] },
            { "Statement": "insert into U value {'id':'INTO'}" },
            { "Statement": "UPDATE \"T\" SET a=1 WHERE id='FROM'" },
            { "Statement": "SELECT * FROM T WHERE id='a'" },
            { "Statement": "" },
        ]});
        let asked: Vec<String> = statements(body.to_string().as_bytes()).into_iter().collect();
        let expected = ["Insert T", "Insert U", "Select T", "Update T"];
        assert_eq!(asked, expected.map(|each| format!("dynamodb:PartiQL{each}")));
        assert!(statements(b"{}").is_empty());
    }

    #[test]
    fn a_batch_that_reads_is_asked_about_table_by_table() {
        let body = json!({ "RequestItems": {
            "U": { "Keys": [{ "id": { "S": "a" } }, { "id": { "S": "b" } }], "ConsistentRead": true },
            "T": { "Keys": [{ "id": { "S": "a" } }] },
        }});
        let asked: Vec<String> = tables_read(body.to_string().as_bytes()).into_iter().collect();
        assert_eq!(asked, ["dynamodb:BatchGetItem T", "dynamodb:BatchGetItem U"]);
        assert!(tables_read(b"{}").is_empty());
    }

    #[test]
    fn neither_keys_nor_actions_without_end_are_kept() {
        let calls = Calls::default();
        let note = |key: &str, action: &str| calls.lock().note(key, action.to_owned());
        for number in 0..=ACTIONS_MAX {
            note("first", &format!("kinesis:{number}"));
        }
        assert_eq!(actions(&calls, "first").len(), ACTIONS_MAX);
        for number in 0..KEYS_MAX {
            note(&format!("key-{number}"), "kinesis:GetRecords");
        }
        assert_eq!(actions(&calls, "key-0"), ["kinesis:GetRecords"]);
        assert_eq!(actions(&calls, &format!("key-{}", KEYS_MAX - 1)), [""; 0]);
        note("key-0", &"a".repeat(ACTION_BYTES_MAX + 1));
        assert_eq!(actions(&calls, "key-0"), ["kinesis:GetRecords"]);
        assert_eq!(calls.lock().left_out, 3);
        // What is known goes on being counted.
        note("first", "kinesis:0");
        assert_eq!(calls.of("first")["kinesis:0"], 2);
    }
}
