//! Messages of the parser, in the words of whoever wrote the configuration.

/// How the parser names types, and how people do.
const TYPES: [(&str, &str); 8] = [
    ("a boolean", "true or false"),
    ("a string", "a text in quotes"),
    ("string", "the text"),
    ("integer", "the number"),
    ("floating point", "the number"),
    ("boolean", "the value"),
    ("sequence", "a list"),
    ("map", "a section"),
];
/// Rust's integers, which the parser names in what it expected.
const INTEGERS: [&str; 7] = ["u8", "u16", "u32", "u64", "usize", "i32", "i64"];

/// Rewords a message of the TOML parser; one that is not known stays as it is, on one line.
pub(super) fn plain(message: &str) -> String {
    let message = message.trim().replace('\n', " ");
    if let Some(rest) = message.strip_prefix("unknown field ") {
        return format!("unknown key {}", known(rest));
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        return format!("unknown value {}", known(rest));
    }
    let wrong = ["invalid type: ", "invalid value: "];
    if let Some(rest) = wrong.iter().find_map(|begin| message.strip_prefix(begin)) {
        let (found, expected) = rest.split_once(", expected ").unwrap_or((rest, "another value"));
        return format!("{} is not {}", found_in_words(found), expected_in_words(expected));
    }
    message
}

/// `` `x`, expected one of `a`, `b` ``.
fn known(rest: &str) -> String {
    match rest.split_once(", expected ") {
        None => rest.to_owned(),
        Some((name, known)) => {
            format!("{name}; known are {}", known.strip_prefix("one of ").unwrap_or(known))
        }
    }
}

fn found_in_words(found: &str) -> String {
    let words = TYPES.iter().find_map(|(kind, words)| {
        let rest = found.strip_prefix(kind)?;
        Some(format!("{words}{rest}"))
    });
    words.unwrap_or_else(|| found.to_owned())
}

fn expected_in_words(expected: &str) -> String {
    if INTEGERS.contains(&expected) {
        let sign = if expected.starts_with('u') { ", 0 or more" } else { "" };
        return format!("a whole number{sign}");
    }
    if ["f32", "f64"].contains(&expected) {
        return "a number".to_owned();
    }
    if expected.starts_with("struct ") {
        return "a section such as [stream]".to_owned();
    }
    let words = TYPES.iter().find(|(kind, _)| *kind == expected);
    words.map_or_else(|| expected.to_owned(), |(_, words)| (*words).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parsers_words_become_the_users() {
        for (message, wanted) in [
            (
                "unknown field `intervall_ms`, expected one of `interval_ms`, `max_rows`",
                "unknown key `intervall_ms`; known are `interval_ms`, `max_rows`",
            ),
            (
                "unknown variant `fast`, expected `polling` or `enhanced`",
                "unknown value `fast`; known are `polling` or `enhanced`",
            ),
            (
                "invalid type: string \"soon\", expected u64",
                "the text \"soon\" is not a whole number, 0 or more",
            ),
            (
                "invalid value: integer `-1`, expected usize",
                "the number `-1` is not a whole number, 0 or more",
            ),
            (
                "invalid type: integer `1`, expected a boolean",
                "the number `1` is not true or false",
            ),
            (
                "invalid type: integer `1`, expected struct Stream",
                "the number `1` is not a section such as [stream]",
            ),
            ("key with no value,\nexpected `=`", "key with no value, expected `=`"),
        ] {
            assert_eq!(plain(message), wanted);
        }
    }
}
