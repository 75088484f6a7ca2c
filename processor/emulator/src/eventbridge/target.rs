//! Targets: what of an event they are sent, and under which key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::Event;
use crate::service::AwsError;

/// Kinesis takes partition keys of up to 256 characters.
const KEY_CHARS_MAX: usize = 256;

/// AWS's defaults and bounds of `RetryPolicy`.
const ATTEMPTS_MAX: u32 = 185;
const AGE_S_MAX: i64 = 86_400;

/// `Target`, as far as it is understood here; the rest is kept for `ListTargetsByRule`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Target {
    pub(super) id: String,
    pub(super) arn: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input_path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input_transformer: Option<Transformer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kinesis_parameters: Option<KinesisParameters>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_policy: Option<RetryPolicy>,
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Transformer {
    #[serde(default)]
    input_paths_map: BTreeMap<String, String>,
    input_template: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KinesisParameters {
    partition_key_path: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RetryPolicy {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    maximum_retry_attempts: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    maximum_event_age_in_seconds: Option<i64>,
}

/// Where a delivery goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Destination {
    /// A Kinesis stream by its name, with the record's partition key.
    Stream { name: String, partition_key: String },
    /// An SNS topic by its ARN.
    Topic { arn: String },
}

/// The rule that a target belongs to, for templates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub(super) rule_name: &'a str,
    pub(super) rule_arn: &'a str,
}

impl Target {
    /// Checks that this target can be delivered to here.
    pub(super) fn check(&self) -> Result<(), AwsError> {
        let refused = |reason: &str| {
            let message = format!("Target {} is not valid: {reason}", self.id);
            Err(AwsError::bad_request("ValidationException", message))
        };
        if self.id.is_empty() || self.id.len() > 64 {
            return refused("its id must have 1 to 64 characters");
        }
        let inputs =
            [self.input.is_some(), self.input_path.is_some(), self.input_transformer.is_some()];
        if inputs.into_iter().filter(|given| *given).count() > 1 {
            return refused("only one of Input, InputPath and InputTransformer may be given");
        }
        if self.input.as_ref().is_some_and(|text| serde_json::from_str::<Value>(text).is_err()) {
            return refused("Input is not JSON");
        }
        let paths = self.input_transformer.iter().flat_map(|one| one.input_paths_map.values());
        let mut paths = paths
            .chain(&self.input_path)
            .chain(self.kinesis_parameters.iter().map(|one| &one.partition_key_path));
        if let Some(path) = paths.find(|path| parse_path(path).is_none()) {
            return refused(&format!("`{path}` is not a path"));
        }
        if self.retries() > ATTEMPTS_MAX || !(60..=AGE_S_MAX).contains(&self.age_s()) {
            return refused("its retry policy is out of range");
        }
        if self.stream().is_none() && !self.arn.starts_with("arn:aws:sns:") {
            return refused("only Kinesis streams and SNS topics are served here");
        }
        Ok(())
    }

    fn stream(&self) -> Option<&str> {
        let rest = self.arn.strip_prefix("arn:aws:kinesis:")?;
        rest.split_once(":stream/").map(|(_, name)| name).filter(|name| !name.is_empty())
    }

    /// Returns how often a failed delivery is repeated.
    pub(super) fn retries(&self) -> u32 {
        let policy = self.retry_policy.as_ref();
        policy.and_then(|policy| policy.maximum_retry_attempts).unwrap_or(ATTEMPTS_MAX)
    }

    /// Returns for how long a failed delivery is repeated, in seconds.
    pub(super) fn age_s(&self) -> i64 {
        let policy = self.retry_policy.as_ref();
        policy.and_then(|policy| policy.maximum_event_age_in_seconds).unwrap_or(AGE_S_MAX)
    }

    /// Returns where an event goes, and what is sent.
    pub(super) fn address(&self, event: &Event, origin: Origin<'_>) -> (Destination, String) {
        let document: Value = serde_json::from_str(&event.json).unwrap_or(Value::Null);
        let destination = match self.stream() {
            Some(name) => Destination::Stream {
                name: name.to_owned(),
                partition_key: self.partition_key(event, &document),
            },
            None => Destination::Topic { arn: self.arn.clone() },
        };
        let payload = match (&self.input, &self.input_path, &self.input_transformer) {
            (Some(input), ..) => input.clone(),
            (_, Some(path), _) => at_path(&document, path).unwrap_or(&Value::Null).to_string(),
            (_, _, Some(transformer)) => transformer.apply(event, &document, origin),
            (None, None, None) => event.json.clone(),
        };
        (destination, payload)
    }

    /// Returns the value at the path if it is a plain one, else the event's id.
    fn partition_key(&self, event: &Event, document: &Value) -> String {
        let parameters = self.kinesis_parameters.as_ref();
        let value = parameters.and_then(|one| at_path(document, &one.partition_key_path));
        let key = match value {
            Some(Value::String(text)) => text.chars().take(KEY_CHARS_MAX).collect(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(flag)) => flag.to_string(),
            _ => String::new(),
        };
        if key.is_empty() { event.id.clone() } else { key }
    }
}

impl Transformer {
    /// Puts values in the place of `<name>`. Between quotes their text is inserted, elsewhere their
    /// JSON; an absent value is empty there and `null` here.
    fn apply(&self, event: &Event, document: &Value, origin: Origin<'_>) -> String {
        let value = |name: &str| match name {
            "aws.events.rule-name" => Some(Value::from(origin.rule_name)),
            "aws.events.rule-arn" => Some(Value::from(origin.rule_arn)),
            "aws.events.event" | "aws.events.event.json" => Some(document.clone()),
            "aws.events.event.ingestion-time" => document.get("time").cloned(),
            _ => at_path(document, self.input_paths_map.get(name)?).cloned(),
        };
        let known =
            |name: &str| self.input_paths_map.contains_key(name) || name.starts_with("aws.events.");
        let mut out = String::with_capacity(self.input_template.len() + event.json.len());
        let (mut quoted, mut escaped) = (false, false);
        let mut rest = self.input_template.as_str();
        while let Some(character) = rest.chars().next() {
            let name = rest.strip_prefix('<').and_then(|tail| tail.split_once('>'));
            if let Some((name, tail)) = name.filter(|(name, _)| known(name)) {
                match (quoted, value(name)) {
                    (false, value) => out.push_str(&value.unwrap_or(Value::Null).to_string()),
                    (true, None) => {}
                    (true, Some(value)) => {
                        let text = match value {
                            Value::String(text) => text,
                            other => other.to_string(),
                        };
                        let json = Value::from(text).to_string();
                        out.push_str(&json[1..json.len() - 1]);
                    }
                }
                rest = tail;
                continue;
            }
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = quoted,
                '"' => quoted = !quoted,
                _ => {}
            }
            out.push(character);
            rest = &rest[character.len_utf8()..];
        }
        out
    }
}

/// Returns the steps of `$.a.b[0]['c']`; `None` for what is not such a path.
fn parse_path(path: &str) -> Option<Vec<&str>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('[') {
            let (step, tail) = tail.split_once(']')?;
            let name = step.strip_prefix(['\'', '"']).and_then(|s| s.strip_suffix(['\'', '"']));
            steps.push(match name {
                Some(name) => name,
                None => step.parse::<usize>().ok().map(|_| step)?,
            });
            rest = tail;
        } else {
            let tail = rest.strip_prefix('.')?;
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            let (step, tail) = tail.split_at(end);
            if step.is_empty() {
                return None;
            }
            steps.push(step);
            rest = tail;
        }
    }
    Some(steps)
}

/// Returns the value at a path, if there is one.
fn at_path<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    parse_path(path)?.into_iter().try_fold(document, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ORIGIN: Origin<'_> = Origin { rule_name: "r", rule_arn: "arn:rule" };

    fn event() -> Event {
        let json =
            r#"{"id":"e1","time":"t","resources":["arn:c/1"],"detail":{"x":{"y":5},"q":"a\"b"}}"#;
        Event { id: "e1".to_owned(), time_s: 0, json: json.to_owned() }
    }

    fn target(members: &Value) -> Target {
        let mut target =
            json!({"Id": "1", "Arn": "arn:aws:kinesis:us-east-1:000000000000:stream/s"});
        target.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        serde_json::from_value(target).unwrap()
    }

    #[test]
    fn partition_keys_follow_the_path_and_fall_back_to_the_id() {
        for (path, expected) in [
            ("$.resources[0]", "arn:c/1"),
            ("$.detail.x.y", "5"),
            ("$['detail']['q']", "a\"b"),
            ("$.resources[1]", "e1"),
            ("$.detail.x", "e1"),
            ("$.nowhere.at.all", "e1"),
        ] {
            let target = target(&json!({"KinesisParameters": {"PartitionKeyPath": path}}));
            target.check().unwrap();
            let (destination, payload) = target.address(&event(), ORIGIN);
            let name = "s".to_owned();
            let partition_key = expected.to_owned();
            assert_eq!(destination, Destination::Stream { name, partition_key }, "{path}");
            assert_eq!(payload, event().json);
        }
    }

    #[test]
    fn inputs_are_selected_and_transformed() {
        let sent = |members: &Value| target(members).address(&event(), ORIGIN).1;
        assert_eq!(sent(&json!({"Input": "{\"a\":1}"})), "{\"a\":1}");
        assert_eq!(sent(&json!({"InputPath": "$.detail.x"})), "{\"y\":5}");
        let template = r#"{"q":<q>,"text":"<q> of <x> <gone> <y","all":<x>,"no":<gone>,"rule":"<aws.events.rule-name>"}"#;
        let transformer = json!({"InputTransformer": {
            "InputPathsMap": {"q": "$.detail.q", "x": "$.detail.x", "gone": "$.detail.gone"},
            "InputTemplate": template,
        }});
        let sent: Value = serde_json::from_str(&sent(&transformer)).unwrap();
        assert_eq!(
            sent,
            json!({"q": "a\"b", "text": "a\"b of {\"y\":5}  <y", "all": {"y": 5}, "no": null, "rule": "r"})
        );
    }

    #[test]
    fn targets_that_cannot_be_served_are_refused() {
        for members in [
            json!({"Arn": "arn:aws:lambda:us-east-1:000000000000:function:f"}),
            json!({"Arn": "arn:aws:kinesis:us-east-1:000000000000:stream/"}),
            json!({"InputPath": "detail"}),
            json!({"InputPath": "$.a..b"}),
            json!({"Input": "{"}),
            json!({"Input": "{}", "InputPath": "$"}),
            json!({"RetryPolicy": {"MaximumRetryAttempts": 186}}),
        ] {
            assert!(target(&members).check().is_err(), "{members}");
        }
    }

    #[test]
    fn what_is_not_understood_is_still_shown() {
        let shown = serde_json::to_value(target(&json!({"RoleArn": "arn:role"}))).unwrap();
        assert_eq!(shown["RoleArn"], "arn:role");
    }
}
