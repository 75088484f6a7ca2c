//! Faults on request: throttles, server errors, lost replies, delays and broken connections.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

use axum::response::Response;
use seeded::Rng;
use serde::{Deserialize, Serialize};

use crate::protocol::Protocol;
use crate::service::{AwsError, Call, ServiceName};

/// How many rules an endpoint holds at most.
const MAX_RULES: usize = 64;

/// The kind of fault, in the words of the configuration's `[chaos]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The service's own throttling error; the call is not carried out.
    Throttle,
    /// An internal error, HTTP 500; the call is not carried out.
    #[serde(rename = "error", alias = "error500")]
    Error500,
    /// The call is carried out, then the connection closes without an answer.
    #[serde(rename = "lost_reply", alias = "drop_reply")]
    DropReply,
    /// The call waits this many milliseconds, then goes on.
    DelayMs(u64),
    /// The connection closes without an answer; the call is not carried out.
    Reset,
}

/// When something goes wrong, and what. Without `every_nth` and `probability` every call is hit.
///
/// ```
/// use ivs_emulator::{FaultKind, FaultRule};
///
/// let rule = r#"{ "service": "kinesis", "operation": "PutRecords", "kind": "throttle", "every_nth": 3 }"#;
/// let rule: FaultRule = serde_json::from_str(rule).unwrap();
/// assert_eq!(rule.kind, FaultKind::Throttle);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The signing name of the service, for example `kinesis`; absent means all.
    pub service: Option<String>,
    /// The operation, for example `PutRecords`; absent means all.
    pub operation: Option<String>,
    /// The kind of fault: `"throttle"`, `"error"`, `"lost_reply"`, `"reset"`, `{"delay_ms": 50}`.
    pub kind: FaultKind,
    /// Hits every nth matching call, the nth first.
    pub every_nth: Option<NonZeroU32>,
    /// Hits a matching call with this probability, 0 to 1, drawn from `seed`.
    pub probability: Option<f64>,
    /// The seed of `probability`: equal seeds hit the same calls of an equal sequence.
    #[serde(default)]
    pub seed: u64,
    /// Hits this many times, then never again; absent means without end.
    pub count: Option<u64>,
}

#[derive(Debug)]
struct Armed {
    rule: FaultRule,
    seen: u64,
    hits: u64,
    random: Rng,
}

/// The rules in force.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Armed>>);

impl Faults {
    pub(crate) fn new(rules: Vec<FaultRule>) -> Result<Self, String> {
        let faults = Self::default();
        rules.into_iter().try_for_each(|rule| faults.add(rule))?;
        Ok(faults)
    }

    /// Adds a rule behind those in force.
    pub(crate) fn add(&self, rule: FaultRule) -> Result<(), String> {
        if let Some(name) =
            rule.service.as_deref().filter(|name| ServiceName::parse(name).is_none())
        {
            return Err(format!("`{name}` is not a service of this endpoint"));
        }
        if rule.every_nth.is_some() && rule.probability.is_some() {
            return Err("every_nth and probability exclude each other".to_owned());
        }
        if rule.probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return Err("probability must lie between 0 and 1".to_owned());
        }
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rules.len() >= MAX_RULES {
            return Err(format!("there are {MAX_RULES} rules already"));
        }
        rules.push(Armed { random: Rng::new(rule.seed), rule, seen: 0, hits: 0 });
        Ok(())
    }

    /// Removes all rules.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Returns the fault for this call, if any: the first rule that hits decides.
    pub(crate) fn strike(&self, call: &Call) -> Option<FaultKind> {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rules.iter_mut().find_map(|armed| armed.strike(call))
    }
}

impl Armed {
    fn strike(&mut self, call: &Call) -> Option<FaultKind> {
        let rule = &self.rule;
        let spent = rule.count.is_some_and(|count| self.hits >= count);
        let matches = rule.service.as_deref().is_none_or(|name| name == call.service.as_str())
            && rule.operation.as_deref().is_none_or(|name| name == call.operation);
        if spent || !matches {
            return None;
        }
        self.seen += 1;
        let hit = match (rule.every_nth, rule.probability) {
            (Some(n), _) => self.seen.is_multiple_of(u64::from(n.get())),
            (None, Some(probability)) => self.random.unit() < probability,
            (None, None) => true,
        };
        hit.then(|| {
            self.hits += 1;
            self.rule.kind
        })
    }
}

/// Returns the service's throttling error, in the protocol of the call.
pub(crate) fn throttled(call: &Call) -> Response {
    let code = match call.service {
        ServiceName::Kinesis | ServiceName::DynamoDb => "ProvisionedThroughputExceededException",
        ServiceName::Events | ServiceName::Ivs => "ThrottlingException",
        ServiceName::Monitoring | ServiceName::Sns | ServiceName::Sts => "Throttling",
    };
    refuse(call, &AwsError::bad_request(code, "Rate exceeded"))
}

/// Returns the service's internal error, in the protocol of the call.
pub(crate) fn internal_error(call: &Call) -> Response {
    let code = match call.service {
        ServiceName::Kinesis => "InternalFailureException",
        ServiceName::DynamoDb => "InternalServerError",
        ServiceName::Events => "InternalException",
        ServiceName::Monitoring => "InternalServiceFault",
        ServiceName::Sns | ServiceName::Sts => "InternalFailure",
        ServiceName::Ivs => "InternalServerException",
    };
    refuse(call, &AwsError { status: 500, code, message: "a requested fault".to_owned() })
}

fn refuse(call: &Call, error: &AwsError) -> Response {
    Protocol::of(&call.headers, Some(call.service.as_str())).refuse(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(operation: &str) -> Call {
        Call {
            service: ServiceName::Kinesis,
            operation: operation.to_owned(),
            headers: http::HeaderMap::new(),
            path: "/".to_owned(),
            body: bytes::Bytes::new(),
        }
    }

    fn rule(json: &str) -> Result<Faults, String> {
        Faults::new(vec![serde_json::from_str(json).unwrap()])
    }

    #[test]
    fn every_nth_matching_call_is_hit_until_the_count_is_used_up() {
        let faults = rule(
            r#"{"service":"kinesis","operation":"PutRecords","kind":"throttle","every_nth":3,"count":2}"#,
        )
        .unwrap();
        assert_eq!(faults.strike(&call("GetRecords")), None);
        let hits: Vec<usize> =
            (1..=12).filter(|_| faults.strike(&call("PutRecords")).is_some()).collect();
        assert_eq!(hits, [3, 6]);
    }

    #[test]
    fn equal_seeds_hit_the_same_calls() {
        let hits = |seed: u64| -> Vec<bool> {
            let faults =
                rule(&format!(r#"{{"kind":{{"delay_ms":5}},"probability":0.3,"seed":{seed}}}"#))
                    .unwrap();
            (0..1_000).map(|_| faults.strike(&call("PutRecord")).is_some()).collect()
        };
        assert_eq!(hits(7), hits(7));
        assert_ne!(hits(7), hits(8));
        let share = hits(7).iter().filter(|hit| **hit).count();
        assert!((250..350).contains(&share), "{share}");
    }

    #[test]
    fn rules_that_make_no_sense_are_refused() {
        for bad in [
            r#"{"kind":"reset","service":"s4"}"#,
            r#"{"kind":"reset","every_nth":2,"probability":0.5}"#,
            r#"{"kind":"reset","probability":1.5}"#,
        ] {
            assert!(rule(bad).is_err(), "{bad}");
        }
    }
}
