//! Which state a row of points calls for: M of N, and what missing points mean.
//!
//! The rules and the examples in the tests are those of the CloudWatch user guide, "Configuring how
//! CloudWatch alarms treat missing data".

use serde::{Deserialize, Serialize};

/// An alarm's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(in crate::cloudwatch) enum State {
    Ok,
    Alarm,
    InsufficientData,
}

impl State {
    pub(in crate::cloudwatch) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }

    pub(in crate::cloudwatch) fn parse(name: &str) -> Option<Self> {
        [Self::Ok, Self::Alarm, Self::InsufficientData]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// `ComparisonOperator`, as far as it compares with a fixed threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cloudwatch) enum Comparison {
    #[serde(rename = "GreaterThanOrEqualToThreshold")]
    AtLeast,
    #[serde(rename = "GreaterThanThreshold")]
    Above,
    #[serde(rename = "LessThanThreshold")]
    Below,
    #[serde(rename = "LessThanOrEqualToThreshold")]
    AtMost,
}

impl Comparison {
    fn breaches(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::AtLeast => value >= threshold,
            Self::Above => value > threshold,
            Self::Below => value < threshold,
            Self::AtMost => value <= threshold,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::AtLeast => "greater than or equal to",
            Self::Above => "greater than",
            Self::Below => "less than",
            Self::AtMost => "less than or equal to",
        }
    }
}

/// `TreatMissingData`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cloudwatch) enum Missing {
    Breaching,
    NotBreaching,
    Ignore,
    #[default]
    #[serde(rename = "missing")]
    Show,
}

/// The rule by which an alarm judges.
#[derive(Clone, Copy, Debug)]
pub(in crate::cloudwatch) struct Rule {
    pub(in crate::cloudwatch) comparison: Comparison,
    pub(in crate::cloudwatch) threshold: f64,
    /// M: how many of the evaluated points must breach.
    pub(in crate::cloudwatch) datapoints: usize,
    /// N: how many points are evaluated.
    pub(in crate::cloudwatch) periods: usize,
    pub(in crate::cloudwatch) missing: Missing,
}

/// The outcome of an evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cloudwatch) enum Decision {
    /// The points call for this state, for this reason.
    Set(State, String),
    /// The alarm stays as it is.
    Retain,
}

/// Judges the points of the evaluation range, newest first, `None` where one is missing.
pub(in crate::cloudwatch) fn decide(rule: &Rule, points: &[Option<f64>]) -> Decision {
    let breaches = |value: f64| rule.comparison.breaches(value, rule.threshold);
    // The newest existing points, with their age in periods.
    let existing: Vec<(usize, f64)> = points
        .iter()
        .zip(1..)
        .filter_map(|(value, age)| Some((age, (*value)?)))
        .take(rule.periods)
        .collect();
    let breaching = existing.iter().filter(|(_, value)| breaches(*value)).count();
    let filled = rule.periods.saturating_sub(existing.len());
    let sound = existing.len() - breaching;
    let set = |state| Decision::Set(state, reason(rule, &existing, breaching, filled));
    if breaching >= rule.datapoints {
        return set(State::Alarm);
    }
    if filled == 0 {
        return set(State::Ok);
    }
    // Enough breaching points cannot come together yet, but the oldest has stood long enough.
    let oldest = existing.iter().filter(|(_, value)| breaches(*value)).map(|(age, _)| *age).max();
    let stood = oldest.is_some_and(|age| age >= rule.datapoints);
    match rule.missing {
        Missing::Breaching if breaching + filled >= rule.datapoints => set(State::Alarm),
        Missing::Breaching | Missing::NotBreaching => set(State::Ok),
        Missing::Ignore | Missing::Show if sound > 0 => set(State::Ok),
        Missing::Ignore => Decision::Retain,
        Missing::Show if stood => set(State::Alarm),
        Missing::Show => set(State::InsufficientData),
    }
}

fn reason(rule: &Rule, existing: &[(usize, f64)], breaching: usize, filled: usize) -> String {
    if existing.is_empty() {
        let periods = if rule.periods == 1 { "period" } else { "periods" };
        return format!("no datapoints were received for {} {periods}", rule.periods);
    }
    let shown: Vec<String> = existing.iter().map(|(_, value)| value.to_string()).collect();
    format!(
        "Threshold Crossed: {breaching} out of the last {} datapoints [{}] ({filled} missing) were \
         {} the threshold ({}); {} are needed for ALARM.",
        rule.periods,
        shown.join(", "),
        rule.comparison.words(),
        rule.threshold,
        rule.datapoints,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `0` does not breach, `X` does, `-` is missing; the newest stands on the right.
    fn state(points: &str, datapoints: usize, missing: Missing) -> Option<State> {
        let rule =
            Rule { comparison: Comparison::Above, threshold: 5.0, datapoints, periods: 3, missing };
        let points: Vec<Option<f64>> = points
            .chars()
            .rev()
            .map(|point| match point {
                '0' => Some(0.0),
                'X' => Some(9.0),
                _ => None,
            })
            .collect();
        match decide(&rule, &points) {
            Decision::Set(state, _) => Some(state),
            Decision::Retain => None,
        }
    }

    #[test]
    fn the_examples_of_the_user_guide_hold() {
        use State::{Alarm, InsufficientData, Ok};
        let table = [
            // Three of three: points, then missing, ignore, breaching, notBreaching.
            (3, "0-X-X", [Some(Ok), Some(Ok), Some(Ok), Some(Ok)]),
            (3, "0----", [Some(Ok), Some(Ok), Some(Ok), Some(Ok)]),
            (3, "-----", [Some(InsufficientData), None, Some(Alarm), Some(Ok)]),
            (3, "0XX-X", [Some(Alarm), Some(Alarm), Some(Alarm), Some(Alarm)]),
            (3, "----X", [Some(InsufficientData), None, Some(Alarm), Some(Ok)]),
            (3, "X----", [Some(Alarm), None, Some(Alarm), Some(Ok)]),
            (3, "--X--", [Some(Alarm), None, Some(Alarm), Some(Ok)]),
            // Two of three.
            (2, "0-X-X", [Some(Alarm), Some(Alarm), Some(Alarm), Some(Alarm)]),
            (2, "00X0X", [Some(Alarm), Some(Alarm), Some(Alarm), Some(Alarm)]),
            (2, "0-X--", [Some(Ok), Some(Ok), Some(Alarm), Some(Ok)]),
            (2, "----0", [Some(Ok), Some(Ok), Some(Alarm), Some(Ok)]),
            (2, "----X", [Some(InsufficientData), None, Some(Alarm), Some(Ok)]),
        ];
        let treatments =
            [Missing::Show, Missing::Ignore, Missing::Breaching, Missing::NotBreaching];
        for (datapoints, points, expected) in table {
            for (missing, expected) in treatments.into_iter().zip(expected) {
                let found = state(points, datapoints, missing);
                assert_eq!(found, expected, "{datapoints} of 3, {points}, {missing:?}");
            }
        }
    }

    #[test]
    fn only_the_newest_existing_points_count() {
        assert_eq!(state("XX000", 2, Missing::Show), Some(State::Ok));
        assert_eq!(state("X0-X0", 2, Missing::Show), Some(State::Ok));
    }

    #[test]
    fn comparisons_differ_at_the_threshold() {
        use Comparison::{Above, AtLeast, AtMost, Below};
        let at_threshold = |comparison: Comparison| comparison.breaches(5.0, 5.0);
        assert!(at_threshold(AtLeast));
        assert!(at_threshold(AtMost));
        assert!(!at_threshold(Above) && !at_threshold(Below));
        assert!(Below.breaches(4.9, 5.0) && Above.breaches(5.1, 5.0));
    }
}
