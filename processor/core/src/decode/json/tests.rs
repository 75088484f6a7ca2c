use proptest::prelude::*;

use super::{Fault, MAX_DEPTH, Tag, Value, object};
use crate::decode::reject::Reason;

/// Returns the members as (name, value as text).
fn members(text: &str) -> Result<Vec<(String, String)>, Fault> {
    let mut members = Vec::new();
    object(text, |tag, name, value| {
        assert_eq!(tag, Tag::of(name));
        let value = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            Value::Number(number) => number.map_or("huge".to_owned(), |n| n.to_string()),
            Value::Text(text) => text.get().into_owned(),
            Value::Array(raw) | Value::Object(raw) => raw.to_owned(),
        };
        members.push((String::from_utf8(name.to_vec()).unwrap(), value));
    })?;
    Ok(members)
}

fn reason(text: &str) -> Option<Reason> {
    members(text).err().map(|fault| fault.reason)
}

#[test]
fn members_come_in_order_with_escapes_resolved() {
    let text = concat!(
        " { \"a\" : 1.50 ,\t\"sessionIdentifier\":\"x\\\"\\\\\\/\\b\\f\\n\\r\\t\",\r\n",
        "\"\\u0061\\u00e9\":\"\\ud83d\\uDE00é😀\",\"\":null,\"b\":true,\"c\":[1,{\"d\":[]}],",
        "\"e\":{\"f\":{}},\"g\":1e999} "
    );
    let expected = [
        ("a", "1.5"),
        ("sessionIdentifier", "x\"\\/\u{8}\u{c}\n\r\t"),
        ("aé", "😀é😀"),
        ("", "null"),
        ("b", "bool"),
        ("c", "[1,{\"d\":[]}]"),
        ("e", "{\"f\":{}}"),
        ("g", "huge"),
    ];
    assert_eq!(members(text).unwrap(), expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    assert_eq!(members("{}").unwrap(), []);
}

#[test]
fn what_is_no_object_and_what_is_no_json() {
    for text in ["1", "\"a\"", "null", "true", "[]", "[{\"a\":1}]", " -0.5 "] {
        assert_eq!(reason(text), Some(Reason::NotAnObject), "{text}");
    }
    for text in [
        "",
        " ",
        "{",
        "}",
        "{]",
        "{\"a\":1",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{\"a\":1,,\"b\":2}",
        "{\"a\":1 \"b\":2}",
        "{\"a\" 1}",
        "{\"a\":}",
        "{\"a\"}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1}{\"a\":2}",
        "{\"a\":1} x",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":-Infinity}",
        "{\"a\":nul}",
        "{\"a\":nulL}",
        "{\"a\":tru}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":\"\u{1}\"}",
        "{\"a\":\"tab\there, long enough for a word\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\u+123\"}",
        "{\"a\":\"\\\"}",
        "{\"a\":[1,]}",
        "{\"a\":[1 2]}",
        "{\"a\":[}",
        "{\"a\":{\"b\":1,}}",
        "[1,]",
        "// comment",
        "{\"a\":1}/**/",
        "\u{feff}{\"a\":1}",
        "{\u{a0}\"a\":1}",
        "### producer restarted, flushing buffer ###",
        "not json: {]",
    ] {
        assert_eq!(reason(text), Some(Reason::NotJson), "{text}");
    }
}

#[test]
fn half_a_surrogate_pair_is_a_replacement_character() {
    for (escaped, text) in [
        ("\\ud800", "\u{fffd}"),
        ("\\udfff", "\u{fffd}"),
        ("\\ud800\\n", "\u{fffd}\n"),
        ("\\uD83D\\u0041", "\u{fffd}A"),
        ("\\ud83d\\ud83d\\ude00\\ude00", "\u{fffd}\u{1f600}\u{fffd}"),
        ("\\udc00\\ud800", "\u{fffd}\u{fffd}"),
    ] {
        let found = members(&format!("{{\"{escaped}\":\"x{escaped}\"}}")).unwrap();
        assert_eq!(found, [(text.to_owned(), format!("x{text}"))], "{escaped}");
    }
    assert_eq!(reason("{\"a\":\"\\ud800\\u12g4\"}"), Some(Reason::NotJson));
}

#[test]
fn a_fault_says_where() {
    let fault = members("{\"a\":1,}").unwrap_err();
    assert_eq!((fault.at, fault.what), (7, "no string where one is due"));
}

#[test]
fn nesting_is_bounded() {
    let nested =
        |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert_eq!(reason(&nested(MAX_DEPTH)), None);
    assert_eq!(reason(&nested(MAX_DEPTH + 1)), Some(Reason::TooLarge));
    let objects = "{\"a\":".repeat(MAX_DEPTH + 1) + "1" + &"}".repeat(MAX_DEPTH + 1);
    assert_eq!(reason(&objects), Some(Reason::TooLarge));
    assert_eq!(reason(&"[".repeat(1_000_000)), Some(Reason::TooLarge));
}

/// Returns any JSON value, as a producer might write it.
fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "\\PC{0,20}|[\\x00-\\x7f]{0,20}|[a-z\\\\\"/\u{e9}\u{1f600}]{0,40}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map("[a-zA-Z]{0,12}|\\PC{0,6}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Returns a line, compact or pretty, with up to three bytes cut, lost, put in or replaced.
fn json_line() -> impl Strategy<Value = Vec<u8>> {
    let edit = (0_u8..4, any::<prop::sample::Index>(), "[\\[\\]{}:,\"\\\\0-9.eE+ \\-tfnu\u{7f}\t]");
    let line = (json_value(), any::<bool>()).prop_map(|(value, pretty)| {
        if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }
            .expect("a value is always written")
    });
    (line, prop::collection::vec(edit, 0..4)).prop_map(|(mut line, edits)| {
        for (kind, at, with) in edits {
            let (at, with) = (at.index(line.len() + 1), with.as_bytes()[0]);
            match kind {
                0 => line.truncate(at),
                1 if at < line.len() => drop(line.remove(at)),
                2 if at < line.len() => line[at] = with,
                _ => line.insert(at, with),
            }
        }
        line
    })
}

/// Returns what serde_json makes of a line, in our terms. It refuses numbers beyond a double, which
/// are JSON all the same, and escapes of half a surrogate pair, so such lines are left out.
fn by_serde(line: &str) -> Option<Result<bool, ()>> {
    match serde_json::from_str::<serde_json::Value>(line) {
        Ok(value) => Some(Ok(value.is_object())),
        Err(error) if error.to_string().contains("number out of range") => None,
        Err(error) if error.to_string().contains("hex escape") => None,
        Err(_) => Some(Err(())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn accepts_and_refuses_what_serde_json_does(line in json_line()) {
        let Ok(line) = std::str::from_utf8(&line) else {
            return Ok(());
        };
        let ours = match reason(line) {
            None => Ok(true),
            Some(Reason::NotAnObject) => Ok(false),
            Some(_) => Err(()),
        };
        if let Some(expected) = by_serde(line) {
            prop_assert_eq!(ours, expected, "{}", line);
        }
    }

    #[test]
    fn reads_what_serde_json_writes(
        texts in prop::collection::btree_map("\\PC{0,12}|[a-zA-Z_]{0,24}", "[\\x00-\\u{ffff}]{0,40}", 0..8),
    ) {
        let line = serde_json::to_string(&texts).unwrap();
        prop_assert_eq!(members(&line).unwrap(), Vec::from_iter(texts));
    }
}
