//! Buses, their rules and the rules' targets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::event::{Event, bus_name};
use super::pattern::Pattern;
use super::retry::Delivery;
use super::target::{Origin, Target};
use crate::service::{AwsError, Shared};

const BUSES_MAX: usize = 100;
const RULES_MAX: usize = 300;
const TARGETS_MAX: usize = 5;
const RULE_PATTERN_CHARS_MAX: usize = 2_048;

/// One rule.
#[derive(Debug, Serialize, Deserialize)]
struct Rule {
    pattern: Pattern,
    enabled: bool,
    description: Option<String>,
    role_arn: Option<String>,
    targets: BTreeMap<String, Target>,
}

/// One bus.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Bus {
    description: Option<String>,
    created_ms: i64,
    rules: BTreeMap<String, Rule>,
}

/// All buses by name; `default` is always among them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Buses(BTreeMap<String, Bus>);

impl Default for Buses {
    fn default() -> Self {
        Self(BTreeMap::from([("default".to_owned(), Bus::default())]))
    }
}

/// The members that the operations on buses and rules share.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Selection {
    name: Option<String>,
    rule: Option<String>,
    event_bus_name: Option<String>,
    name_prefix: Option<String>,
}

/// `CreateEventBus`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct CreateEventBus {
    name: String,
    description: Option<String>,
}

/// `PutRule`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct PutRule {
    name: String,
    event_pattern: Option<String>,
    schedule_expression: Option<String>,
    state: Option<String>,
    description: Option<String>,
    role_arn: Option<String>,
    event_bus_name: Option<String>,
}

/// `PutTargets`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct PutTargets {
    rule: String,
    event_bus_name: Option<String>,
    targets: Vec<Target>,
}

/// `RemoveTargets`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct RemoveTargets {
    rule: String,
    event_bus_name: Option<String>,
    ids: Vec<String>,
}

pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("ValidationException", message)
}

pub(super) fn absent(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("ResourceNotFoundException", message)
}

pub(super) fn too_many(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("LimitExceededException", message)
}

/// Checks a name: `[.\-_A-Za-z0-9]+`, up to `max` characters.
pub(super) fn check_name(name: &str, max: usize) -> Result<(), AwsError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if (1..=max).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(invalid(format!("The name {name} must have 1 to {max} letters, digits, '.', '-' or '_'.")))
}

/// Returns a bus's ARN.
pub(super) fn bus_arn(shared: &Shared, bus: &str) -> String {
    shared.arn("events", &format!("event-bus/{bus}"))
}

/// Returns a rule's ARN; those of the default bus do not name it.
fn rule_arn(shared: &Shared, bus: &str, rule: &str) -> String {
    match bus {
        "default" => shared.arn("events", &format!("rule/{rule}")),
        _ => shared.arn("events", &format!("rule/{bus}/{rule}")),
    }
}

/// Returns the ARN of what `DeleteEventBus` or `DeleteRule` is about.
pub(super) fn arn_of(input: &Selection, operation: &str, shared: &Shared) -> String {
    let name = input.name.as_deref();
    match operation {
        "DeleteRule" => {
            let bus = bus_name(input.event_bus_name.as_deref());
            rule_arn(shared, bus, name.unwrap_or_default())
        }
        _ => bus_arn(shared, bus_name(name)),
    }
}

impl Buses {
    /// Returns whether an ARN is that of a bus or a rule here.
    pub(super) fn has_arn(&self, arn: &str, shared: &Shared) -> bool {
        self.0.iter().any(|(name, bus)| {
            bus_arn(shared, name) == arn
                || bus.rules.keys().any(|rule| rule_arn(shared, name, rule) == arn)
        })
    }

    /// Returns whether there is a bus of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn bus(&mut self, name_or_arn: Option<&str>) -> Result<(&str, &mut Bus), AwsError> {
        let name = bus_name(name_or_arn).to_owned();
        match self.0.range_mut(name.clone()..).next() {
            Some((found, bus)) if *found == name => Ok((found.as_str(), bus)),
            _ => Err(absent(format!("Event bus {name} does not exist."))),
        }
    }

    fn rule(
        &mut self,
        bus: Option<&str>,
        rule: Option<&str>,
    ) -> Result<(String, String, &mut Rule), AwsError> {
        let rule = rule.unwrap_or_default().to_owned();
        let (name, bus) = self.bus(bus)?;
        let name = name.to_owned();
        match bus.rules.get_mut(&rule) {
            Some(found) => Ok((name, rule, found)),
            None => Err(absent(format!("Rule {rule} does not exist on EventBus {name}."))),
        }
    }

    pub(super) fn create(
        &mut self,
        input: CreateEventBus,
        shared: &Shared,
        now_ms: i64,
    ) -> Result<Value, AwsError> {
        check_name(&input.name, 256)?;
        if self.has(&input.name) {
            let message = format!("Event bus {} already exists.", input.name);
            return Err(AwsError::bad_request("ResourceAlreadyExistsException", message));
        }
        if self.0.len() >= BUSES_MAX {
            return Err(too_many(format!("There are {BUSES_MAX} event buses already.")));
        }
        let arn = bus_arn(shared, &input.name);
        let bus =
            Bus { description: input.description, created_ms: now_ms, rules: BTreeMap::new() };
        self.0.insert(input.name, bus);
        Ok(json!({"EventBusArn": arn}))
    }

    pub(super) fn describe(
        &mut self,
        input: &Selection,
        shared: &Shared,
    ) -> Result<Value, AwsError> {
        let (name, bus) = self.bus(input.name.as_deref())?;
        Ok(describe_bus(name, bus, shared))
    }

    pub(super) fn list(&self, input: &Selection, shared: &Shared) -> Value {
        let prefix = input.name_prefix.as_deref().unwrap_or_default();
        let buses = self.0.iter().filter(|(name, _)| name.starts_with(prefix));
        let buses: Vec<Value> = buses.map(|(name, bus)| describe_bus(name, bus, shared)).collect();
        json!({"EventBuses": buses})
    }

    pub(super) fn delete(&mut self, input: &Selection) -> Result<Value, AwsError> {
        let name = bus_name(input.name.as_deref());
        if name == "default" {
            return Err(invalid("Cannot delete event bus default."));
        }
        if self.0.get(name).is_some_and(|bus| !bus.rules.is_empty()) {
            return Err(invalid(format!("Event bus {name} can't be deleted since it has rules.")));
        }
        self.0.remove(name);
        Ok(json!({}))
    }

    /// Creates a rule, or changes one and keeps its targets.
    pub(super) fn put_rule(&mut self, input: PutRule, shared: &Shared) -> Result<Value, AwsError> {
        check_name(&input.name, 64)?;
        if input.schedule_expression.is_some() {
            return Err(invalid("Rules with a schedule are not run here."));
        }
        let pattern = input.event_pattern.ok_or_else(|| {
            invalid("Parameter(s) EventPattern or ScheduleExpression must be specified.")
        })?;
        if pattern.len() > RULE_PATTERN_CHARS_MAX {
            return Err(invalid(format!(
                "EventPattern is longer than {RULE_PATTERN_CHARS_MAX} characters."
            )));
        }
        let enabled = match input.state.as_deref() {
            None | Some("ENABLED" | "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS") => true,
            Some("DISABLED") => false,
            Some(other) => return Err(invalid(format!("{other} is not a state of a rule."))),
        };
        let pattern = Pattern::parse(&pattern)?;
        let (bus_name, bus) = self.bus(input.event_bus_name.as_deref())?;
        let arn = rule_arn(shared, bus_name, &input.name);
        if bus.rules.len() >= RULES_MAX && !bus.rules.contains_key(&input.name) {
            return Err(too_many(format!("The bus has {RULES_MAX} rules already.")));
        }
        let targets = bus.rules.remove(&input.name).map(|rule| rule.targets).unwrap_or_default();
        let (description, role_arn) = (input.description, input.role_arn);
        let rule = Rule { pattern, enabled, description, role_arn, targets };
        bus.rules.insert(input.name, rule);
        Ok(json!({"RuleArn": arn}))
    }

    pub(super) fn describe_rule(
        &mut self,
        input: &Selection,
        shared: &Shared,
    ) -> Result<Value, AwsError> {
        let found = self.rule(input.event_bus_name.as_deref(), input.name.as_deref())?;
        let (bus, name, rule) = found;
        Ok(describe_rule(shared, &bus, &name, rule))
    }

    pub(super) fn list_rules(
        &mut self,
        input: &Selection,
        shared: &Shared,
    ) -> Result<Value, AwsError> {
        let prefix = input.name_prefix.as_deref().unwrap_or_default();
        let (bus_name, bus) = self.bus(input.event_bus_name.as_deref())?;
        let rules = bus.rules.iter().filter(|(name, _)| name.starts_with(prefix));
        let rules: Vec<Value> =
            rules.map(|(name, rule)| describe_rule(shared, bus_name, name, rule)).collect();
        Ok(json!({"Rules": rules}))
    }

    pub(super) fn switch_rule(
        &mut self,
        input: &Selection,
        enabled: bool,
    ) -> Result<Value, AwsError> {
        let (_, _, rule) = self.rule(input.event_bus_name.as_deref(), input.name.as_deref())?;
        rule.enabled = enabled;
        Ok(json!({}))
    }

    /// Deletes a rule. One that does not exist is deleted already.
    pub(super) fn delete_rule(&mut self, input: &Selection) -> Result<Value, AwsError> {
        let (_, bus) = self.bus(input.event_bus_name.as_deref())?;
        let name = input.name.as_deref().unwrap_or_default();
        if bus.rules.get(name).is_some_and(|rule| !rule.targets.is_empty()) {
            return Err(invalid("Rule can't be deleted since it has targets."));
        }
        bus.rules.remove(name);
        Ok(json!({}))
    }

    pub(super) fn put_targets(&mut self, input: PutTargets) -> Result<Value, AwsError> {
        let (bus, name) = (input.event_bus_name.as_deref(), Some(input.rule.as_str()));
        let (_, _, rule) = self.rule(bus, name)?;
        let mut failed = Vec::new();
        for target in input.targets {
            let full = rule.targets.len() >= TARGETS_MAX && !rule.targets.contains_key(&target.id);
            let checked = match target.check() {
                Ok(()) if full => {
                    Err(too_many(format!("A rule has {TARGETS_MAX} targets at most.")))
                }
                checked => checked,
            };
            match checked {
                Ok(()) => drop(rule.targets.insert(target.id.clone(), target)),
                Err(error) => failed.push(json!({
                    "TargetId": target.id, "ErrorCode": error.code, "ErrorMessage": error.message,
                })),
            }
        }
        Ok(json!({"FailedEntryCount": failed.len(), "FailedEntries": failed}))
    }

    pub(super) fn list_targets(&mut self, input: &Selection) -> Result<Value, AwsError> {
        let (_, _, rule) = self.rule(input.event_bus_name.as_deref(), input.rule.as_deref())?;
        let targets: Vec<&Target> = rule.targets.values().collect();
        Ok(json!({"Targets": targets}))
    }

    pub(super) fn remove_targets(&mut self, input: &RemoveTargets) -> Result<Value, AwsError> {
        let (bus, name) = (input.event_bus_name.as_deref(), Some(input.rule.as_str()));
        let (_, _, rule) = self.rule(bus, name)?;
        let mut failed = Vec::new();
        for id in &input.ids {
            if rule.targets.remove(id).is_none() {
                failed.push(json!({
                    "TargetId": id,
                    "ErrorCode": "ResourceNotFoundException",
                    "ErrorMessage": format!("Target {id} does not exist on the rule."),
                }));
            }
        }
        Ok(json!({"FailedEntryCount": failed.len(), "FailedEntries": failed}))
    }

    /// Returns what the rules of a bus send of an event; with `only`, of these rules' ARNs.
    pub(super) fn route(
        &self,
        bus: &str,
        event: &Event,
        only: &[String],
        shared: &Shared,
    ) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        let rules = self.0.get(bus).into_iter().flat_map(|bus| &bus.rules);
        for (rule_name, rule) in rules.filter(|(_, rule)| rule.enabled) {
            let rule_arn = rule_arn(shared, bus, rule_name);
            let chosen = only.is_empty() || only.contains(&rule_arn);
            if !chosen || !rule.pattern.matches(&event.json) {
                continue;
            }
            let origin = Origin { rule_name, rule_arn: &rule_arn };
            for target in rule.targets.values() {
                let (destination, payload) = target.address(event, origin);
                deliveries.push(Delivery {
                    destination,
                    payload,
                    retries_left: target.retries(),
                    age_s_max: target.age_s(),
                });
            }
        }
        deliveries
    }
}

fn describe_bus(name: &str, bus: &Bus, shared: &Shared) -> Value {
    let mut shown = json!({
        "Name": name,
        "Arn": bus_arn(shared, name),
        "CreationTime": bus.created_ms / 1_000,
        "LastModifiedTime": bus.created_ms / 1_000,
    });
    if let Some(description) = &bus.description {
        shown["Description"] = description.as_str().into();
    }
    shown
}

fn describe_rule(shared: &Shared, bus: &str, name: &str, rule: &Rule) -> Value {
    let mut shown = json!({
        "Name": name,
        "Arn": rule_arn(shared, bus, name),
        "EventPattern": rule.pattern.as_str(),
        "State": if rule.enabled { "ENABLED" } else { "DISABLED" },
        "EventBusName": bus,
    });
    if let Some(description) = &rule.description {
        shown["Description"] = description.as_str().into();
    }
    if let Some(role_arn) = &rule.role_arn {
        shown["RoleArn"] = role_arn.as_str().into();
    }
    shown
}
