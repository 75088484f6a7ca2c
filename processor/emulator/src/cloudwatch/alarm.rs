//! Alarms: their definition, their state and what is shown of both.

pub(super) mod composite;
pub(super) mod decide;
pub(super) mod notice;
pub(super) mod spec;

use std::collections::BTreeMap;

use ciborium::Value as Cbor;
use serde::{Deserialize, Serialize};

use super::math::{Series, Value};
use super::metric_data::{Evaluation, Queries};
use super::store::{Store, Window};
use super::wire::{list, map, text, time_ms};
use crate::cloudwatch::alarm::decide::{Decision, State};
use crate::cloudwatch::alarm::spec::AlarmSpec;
use crate::service::{AwsError, Shared};

/// Periods beyond the evaluation periods in which existing points are looked for, so that a point
/// that is late by a period or two does not count as missing. AWS's examples look at two.
const EXTRA_PERIODS: i64 = 2;

/// Rounds in which composite alarms that name each other settle.
const COMPOSITE_ROUNDS: usize = 10;

/// A period before the window, for functions such as `DIFF` that look back.
const LOOKBACK_PERIODS: i64 = 1;

/// AWS's quota of alarms in a region.
const ALARMS_MAX: usize = 5_000;

/// History items kept over all alarms; AWS keeps two weeks.
const HISTORY_MAX: usize = 1_000;

/// One alarm.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Alarm {
    pub(super) spec: AlarmSpec,
    pub(super) state: State,
    pub(super) reason: String,
    pub(super) configured_ms: i64,
    pub(super) changed_ms: i64,
}

/// A change of an alarm's state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) alarm: String,
    pub(super) at_ms: i64,
    pub(super) from: State,
    pub(super) to: State,
    pub(super) reason: String,
}

/// All alarms and their latest changes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Alarms {
    pub(super) alarms: BTreeMap<String, Alarm>,
    history: Vec<Change>,
}

impl Alarms {
    /// Answers `PutMetricAlarm` and `PutCompositeAlarm`: a new alarm begins without data, a
    /// replaced one keeps its state.
    pub(super) fn put(&mut self, spec: AlarmSpec, now_ms: i64) -> Result<(), AwsError> {
        match &spec.alarm_rule {
            Some(rule) => drop(composite::check(&spec.alarm_name, rule)?),
            None => spec.check()?,
        }
        if self.alarms.len() >= ALARMS_MAX && !self.alarms.contains_key(&spec.alarm_name) {
            let message = format!("There are {ALARMS_MAX} alarms already.");
            return Err(AwsError::bad_request("LimitExceeded", message));
        }
        let fresh = Alarm {
            spec: spec.clone(),
            state: State::InsufficientData,
            reason: "Unchecked: Initial alarm creation".to_owned(),
            configured_ms: now_ms,
            changed_ms: now_ms,
        };
        let alarm = self.alarms.entry(spec.alarm_name.clone()).or_insert(fresh);
        alarm.spec = spec;
        alarm.configured_ms = now_ms;
        Ok(())
    }

    /// Puts an alarm into a state. Returns the alarm and its change if that is a new one.
    pub(super) fn set(
        &mut self,
        name: &str,
        to: State,
        reason: &str,
        now_ms: i64,
    ) -> Option<(Alarm, Change)> {
        let alarm = self.alarms.get_mut(name)?;
        if alarm.state == to {
            return None;
        }
        let change = Change {
            alarm: name.to_owned(),
            at_ms: now_ms,
            from: alarm.state,
            to,
            reason: reason.to_owned(),
        };
        alarm.state = to;
        reason.clone_into(&mut alarm.reason);
        alarm.changed_ms = now_ms;
        let alarm = alarm.clone();
        if self.history.len() >= HISTORY_MAX {
            self.history.drain(..HISTORY_MAX / 10);
        }
        self.history.push(change.clone());
        Some((alarm, change))
    }

    /// Evaluates every alarm and returns those that changed: metric alarms first, then composite
    /// ones until none changes, since one may name another.
    pub(super) fn evaluate(&mut self, store: &Store, now_ms: i64) -> Vec<(Alarm, Change)> {
        let mut changes = self.evaluate_metrics(store, now_ms);
        changes.extend(self.settle_composites(now_ms));
        changes
    }

    /// Evaluates composite alarms until none changes.
    pub(super) fn settle_composites(&mut self, now_ms: i64) -> Vec<(Alarm, Change)> {
        let mut changes = Vec::new();
        for _ in 0..COMPOSITE_ROUNDS {
            let changed = self.evaluate_composites(now_ms);
            if changed.is_empty() {
                break;
            }
            changes.extend(changed);
        }
        changes
    }

    fn evaluate_composites(&mut self, now_ms: i64) -> Vec<(Alarm, Change)> {
        let state = |name: &str| self.alarms.get(name).map(|alarm| alarm.state);
        let decide = |(name, alarm): (&String, &Alarm)| {
            let rule = composite::check(name, alarm.spec.alarm_rule.as_ref()?).ok()?;
            let state = if rule.holds(&state) { State::Alarm } else { State::Ok };
            (state != alarm.state).then(|| (name.clone(), state))
        };
        let decided: Vec<_> = self.alarms.iter().filter_map(decide).collect();
        let set = |(name, state): (String, State)| {
            let rule = self.alarms.get(&name)?.spec.alarm_rule.clone()?;
            let reason = format!(
                "The rule {rule} {}",
                if state == State::Alarm { "holds" } else { "does not hold" }
            );
            self.set(&name, state, &reason, now_ms)
        };
        decided.into_iter().filter_map(set).collect()
    }

    fn evaluate_metrics(&mut self, store: &Store, now_ms: i64) -> Vec<(Alarm, Change)> {
        let decided: Vec<(String, State, String)> = self
            .alarms
            .iter()
            .filter(|(_, alarm)| alarm.spec.alarm_rule.is_none())
            .filter_map(|(name, alarm)| {
                let (state, reason) = evaluate(alarm, store, now_ms)?;
                Some((name.clone(), state, reason))
            })
            .collect();
        let set = |(name, state, reason): (String, State, String)| {
            self.set(&name, state, &reason, now_ms)
        };
        decided.into_iter().filter_map(set).collect()
    }

    /// Returns the changes, newest first, of one alarm or of all.
    pub(super) fn history(&self, alarm: Option<&str>) -> impl Iterator<Item = &Change> {
        let of = move |change: &&Change| alarm.is_none_or(|wanted| wanted == change.alarm);
        self.history.iter().rev().filter(of)
    }
}

/// Returns the state the alarm's points call for; `None` leaves it as it is.
fn evaluate(alarm: &Alarm, store: &Store, now_ms: i64) -> Option<(State, String)> {
    let queries = alarm.spec.queries();
    let result = alarm.spec.result_id();
    let parsed = Queries::new(&queries).ok()?;
    let period_s = parsed.period_s;
    // The window slides by a minute, or by the period if that is shorter.
    let step_s = period_s.min(60);
    let end_s = now_ms.div_euclid(1_000 * step_s) * step_s;
    let periods = alarm.spec.evaluation_periods() + EXTRA_PERIODS;
    let start_s = end_s - (periods + LOOKBACK_PERIODS) * period_s;
    let window = Window { start_s, end_s, period_s };
    let all = match Evaluation::new(store, &parsed, window).value(&result) {
        Ok(Value::Series(series)) => vec![series],
        Ok(Value::Many(all)) if parsed.is_insight(&result) => all,
        Ok(_) => {
            return Some((State::InsufficientData, "the result is not a time series".to_owned()));
        }
        Err(error) => return Some((State::InsufficientData, error)),
    };
    let points = |series: &Series| -> Vec<Option<f64>> {
        (1..=periods).map(|back| series.points.get(&(end_s - back * period_s)).copied()).collect()
    };
    let rule = alarm.spec.rule();
    if all.is_empty() {
        return state_of(decide::decide(&rule, &[]));
    }
    // Every series by itself: one that breaches is enough.
    let decided: Vec<_> = all
        .iter()
        .filter_map(|series| Some((series, state_of(decide::decide(&rule, &points(series)))?)))
        .collect();
    let worst = decided.into_iter().max_by_key(|(_, (state, _))| match state {
        State::InsufficientData => 0,
        State::Ok => 1,
        State::Alarm => 2,
    });
    let (series, (state, reason)) = worst?;
    Some((
        state,
        if parsed.is_insight(&result) { format!("{}: {reason}", series.label) } else { reason },
    ))
}

fn state_of(decision: Decision) -> Option<(State, String)> {
    match decision {
        Decision::Set(state, reason) => Some((state, reason)),
        Decision::Retain => None,
    }
}

/// Returns a metric alarm as `DescribeAlarms` shows it.
pub(super) fn describe(alarm: &Alarm, shared: &Shared) -> Cbor {
    let spec = Cbor::serialized(&alarm.spec).unwrap_or(Cbor::Null);
    let mut members = spec.into_map().unwrap_or_default();
    let state = [
        ("AlarmArn", text(arn(shared, &alarm.spec.alarm_name))),
        ("AlarmConfigurationUpdatedTimestamp", time_ms(alarm.configured_ms)),
        ("StateValue", text(alarm.state.as_str())),
        ("StateReason", text(&alarm.reason)),
        ("StateUpdatedTimestamp", time_ms(alarm.changed_ms)),
        ("StateTransitionedTimestamp", time_ms(alarm.changed_ms)),
    ];
    members.extend(state.into_iter().map(|(key, value)| (text(key), value)));
    Cbor::Map(members)
}

/// Returns an alarm's ARN.
pub(super) fn arn(shared: &Shared, name: &str) -> String {
    shared.arn("cloudwatch", &format!("alarm:{name}"))
}

/// Returns an item of `DescribeAlarmHistory`.
pub(super) fn describe_change(change: &Change) -> Cbor {
    let summary = format!("Alarm updated from {} to {}", change.from.as_str(), change.to.as_str());
    let state = |state: State, reason: &str| serde_json::json!({"stateValue": state.as_str(), "stateReason": reason});
    let data = serde_json::json!({
        "version": "1.0",
        "oldState": state(change.from, ""),
        "newState": state(change.to, &change.reason),
    });
    map([
        ("AlarmName", text(&change.alarm)),
        ("AlarmType", text("MetricAlarm")),
        ("Timestamp", time_ms(change.at_ms)),
        ("HistoryItemType", text("StateUpdate")),
        ("HistorySummary", text(summary)),
        ("HistoryData", text(data.to_string())),
    ])
}

/// Returns a list of answers about alarms.
pub(super) fn describe_all<'a>(alarms: impl Iterator<Item = &'a Alarm>, shared: &Shared) -> Cbor {
    list(alarms.map(|alarm| describe(alarm, shared)))
}
