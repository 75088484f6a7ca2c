//! Event patterns: AWS's syntax, matched by the `quamina` automaton.
//!
//! `$or` is expanded into several patterns. What `quamina` has beyond AWS is refused, and so are
//! AWS's operators within `anything-but`, `prefix` and `suffix`, which it lacks.

use std::fmt;

use quamina::Quamina;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

use crate::service::AwsError;

/// Patterns that one pattern with `$or` may come to; AWS allows as many.
const EXPANDED_MAX: usize = 1_000;

/// AWS takes up to 4,096 characters, by default 2,048.
const LENGTH_MAX: usize = 4_096;

const OPERATORS: [&str; 8] = [
    "anything-but",
    "cidr",
    "equals-ignore-case",
    "exists",
    "numeric",
    "prefix",
    "suffix",
    "wildcard",
];

/// A valid pattern.
pub(super) struct Pattern {
    text: String,
    matcher: Quamina<()>,
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

fn refused(reason: impl fmt::Display) -> AwsError {
    AwsError::bad_request(
        "InvalidEventPatternException",
        format!("Event pattern is not valid. Reason: {reason}"),
    )
}

impl Pattern {
    /// Reads a pattern.
    pub(super) fn parse(text: &str) -> Result<Self, AwsError> {
        if text.len() > LENGTH_MAX {
            return Err(refused(format!("it is longer than {LENGTH_MAX} characters")));
        }
        let document: Value = serde_json::from_str(text).map_err(refused)?;
        let fields = document.as_object().ok_or_else(|| refused("it is not an object"))?;
        let mut matcher = Quamina::new();
        for pattern in expand(fields)? {
            matcher.add_pattern((), &Value::Object(pattern).to_string()).map_err(refused)?;
        }
        Ok(Self { text: text.to_owned(), matcher })
    }

    /// Returns whether the event, a JSON object, matches.
    pub(super) fn matches(&self, event: &str) -> bool {
        self.matcher.has_matches(event.as_bytes()).unwrap_or(false)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

/// Returns the patterns without `$or` that a pattern stands for.
fn expand(fields: &Map<String, Value>) -> Result<Vec<Map<String, Value>>, AwsError> {
    if fields.is_empty() {
        return Err(refused("an object in it is empty"));
    }
    let mut expanded = vec![Map::new()];
    for (key, value) in fields {
        let alternatives = match value {
            Value::Array(choices) if key == "$or" => {
                if choices.len() < 2 {
                    return Err(refused("$or needs two alternatives at least"));
                }
                let mut alternatives = Vec::new();
                for choice in choices {
                    let choice =
                        choice.as_object().ok_or_else(|| refused("$or holds objects only"))?;
                    alternatives.extend(expand(choice)?);
                }
                alternatives
            }
            Value::Object(inner) => {
                let single = |inner| Map::from_iter([(key.clone(), Value::Object(inner))]);
                expand(inner)?.into_iter().map(single).collect()
            }
            Value::Array(values) => {
                check_values(key, values)?;
                vec![Map::from_iter([(key.clone(), value.clone())])]
            }
            _ => return Err(refused(format!("\"{key}\" must be an object or an array"))),
        };
        if expanded.len() * alternatives.len() > EXPANDED_MAX {
            return Err(refused(format!("$or combines to more than {EXPANDED_MAX} patterns")));
        }
        let mut product = Vec::with_capacity(expanded.len() * alternatives.len());
        for base in &expanded {
            for alternative in &alternatives {
                let mut merged = base.clone();
                merge(&mut merged, alternative)?;
                product.push(merged);
            }
        }
        expanded = product;
    }
    Ok(expanded)
}

fn merge(into: &mut Map<String, Value>, from: &Map<String, Value>) -> Result<(), AwsError> {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (None, _) => drop(into.insert(key.clone(), value.clone())),
            (Some(Value::Object(into)), Value::Object(from)) => merge(into, from)?,
            (Some(_), _) => {
                return Err(refused(format!("\"{key}\" is tested within and beside an $or")));
            }
        }
    }
    Ok(())
}

fn check_values(key: &str, values: &[Value]) -> Result<(), AwsError> {
    if values.is_empty() {
        return Err(refused(format!("the array of \"{key}\" is empty")));
    }
    for value in values {
        let sound = match value {
            Value::Array(_) => false,
            Value::Object(operator) => {
                operator.len() == 1
                    && operator.keys().all(|name| OPERATORS.contains(&name.as_str()))
            }
            _ => true,
        };
        if !sound {
            return Err(refused(format!("unrecognized match type {value} of \"{key}\"")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"version":"0","source":"aws.ivs","detail-type":"IVS Stream Health Change",
        "resources":["arn:a","arn:b"],"detail":{"event_name":"Starvation Start","n":7.0,"ip":"10.1.2.3"}}"#;

    #[test]
    fn the_operators_match_as_documented() {
        let cases = [
            (r#"{"source":["aws.ivs","x"]}"#, true),
            (r#"{"source":["x"]}"#, false),
            (r#"{"resources":["arn:b"]}"#, true),
            (r#"{"detail":{"event_name":[{"prefix":"Starv"}]}}"#, true),
            (r#"{"detail":{"event_name":[{"suffix":"End"}]}}"#, false),
            (r#"{"detail":{"event_name":[{"anything-but":["Starvation End"]}]}}"#, true),
            (r#"{"detail":{"event_name":[{"wildcard":"*tion*"}]}}"#, true),
            (r#"{"detail":{"event_name":[{"equals-ignore-case":"starvation start"}]}}"#, true),
            (r#"{"detail":{"n":[{"numeric":[">",5,"<=",7]}]}}"#, true),
            (r#"{"detail":{"n":[7]}}"#, true),
            (r#"{"detail":{"ip":[{"cidr":"10.0.0.0/8"}]}}"#, true),
            (r#"{"detail":{"gone":[{"exists":false}],"n":[{"exists":true}]}}"#, true),
            (r#"{"source":["aws.ivs"],"detail":{"gone":["x"]}}"#, false),
            (r#"{"source":["x"],"$or":[{"source2":["a"]},{"detail":{"n":[7]}}]}"#, false),
            (r#"{"source":["aws.ivs"],"$or":[{"account":["1"]},{"detail":{"n":[7]}}]}"#, true),
            (
                r#"{"detail":{"$or":[{"n":[8]},{"ip":[{"prefix":"10."}]}],"event_name":[{"exists":true}]}}"#,
                true,
            ),
        ];
        for (pattern, expected) in cases {
            let found = Pattern::parse(pattern).map(|pattern| pattern.matches(EVENT));
            assert_eq!(found, Ok(expected), "{pattern}");
        }
    }

    #[test]
    fn the_rules_of_a_deployment_take_each_event_of_ivs_once_and_no_other() {
        use ivs_schemas::names::{ACCOUNT_RULE, RESOURCE_RULE};
        use ivs_schemas::resources::RULES;

        let arn = r#"["arn:aws:ivs:us-east-1:000000000000:channel/abcDEF123456"]"#;
        let cases = [
            ("IVS Stream State Change", arn, vec![RESOURCE_RULE]),
            ("IVS Stage Update", r#"["arn:aws:ivs:us-east-1:0:stage/a"]"#, vec![RESOURCE_RULE]),
            ("IVS Composition State Change", r#"["arn:c","arn:s"]"#, vec![RESOURCE_RULE]),
            ("IVS Event Of Tomorrow", arn, vec![RESOURCE_RULE]),
            ("IVS Limit Breach", arn, vec![RESOURCE_RULE]),
            ("IVS Limit Breach", "[]", vec![ACCOUNT_RULE]),
            ("IVS Account Event Of Tomorrow", "[]", vec![ACCOUNT_RULE]),
            ("AWS API Call via CloudTrail", "[]", vec![]),
            ("AWS API Call via CloudTrail", arn, vec![]),
        ];
        for (detail_type, resources, expected) in cases {
            let event = format!(
                r#"{{"source":"aws.ivs","detail-type":"{detail_type}","resources":{resources},"detail":{{}}}}"#
            );
            let taking: Vec<_> = RULES
                .iter()
                .filter(|rule| {
                    Pattern::parse(&rule.pattern().to_string()).is_ok_and(|p| p.matches(&event))
                })
                .map(|rule| rule.name)
                .collect();
            assert_eq!(taking, expected, "{detail_type} {resources}");
        }
    }

    #[test]
    fn patterns_that_aws_or_the_matcher_do_not_know_are_refused() {
        for pattern in [
            "",
            "[]",
            "{}",
            r#"{"a":{}}"#,
            r#"{"a":"b"}"#,
            r#"{"a":[]}"#,
            r#"{"a":[["b"]]}"#,
            r#"{"a":[{"regexp":"b"}]}"#,
            r#"{"a":[{"prefix":"b","suffix":"c"}]}"#,
            r#"{"a":[{"anything-but":{"prefix":"b"}}]}"#,
            r#"{"$or":[{"a":["b"]}]}"#,
            r#"{"a":["b"],"$or":[{"a":["c"]},{"d":["e"]}]}"#,
        ] {
            let code = Pattern::parse(pattern).map(|_| ()).map_err(|error| error.code);
            assert_eq!(code, Err("InvalidEventPatternException"), "{pattern}");
        }
    }

    #[test]
    fn damaged_patterns_are_refused_or_work_but_never_panic() {
        let whole = r#"{"source":["aws.ivs",{"prefix":"x"}],"$or":[{"a":[{"numeric":[">",5,"<=",7e3]}]},{"detail":{"b":[{"cidr":"10.0.0.0/8"},{"wildcard":"a*\\*b"}]}}]}"#;
        assert!(Pattern::parse(whole).is_ok());
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below
        };
        let junk = b"{}[]\",:*\\0eE-+.";
        let mut accepted = 0;
        for _ in 0..3_000 {
            let mut damaged = whole.as_bytes().to_vec();
            for _ in 0..=random(3) {
                let at = random(damaged.len());
                match random(3) {
                    0 => damaged[at] = junk[random(junk.len())],
                    1 => drop(damaged.remove(at)),
                    _ => damaged.insert(at, whole.as_bytes()[random(whole.len())]),
                }
            }
            if let Ok(pattern) = Pattern::parse(&String::from_utf8_lossy(&damaged)) {
                pattern.matches(EVENT);
                pattern.matches(whole);
                accepted += 1;
            }
        }
        assert!(accepted > 100, "only {accepted} damaged patterns got past the parser");
    }
}
