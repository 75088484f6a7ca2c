//! `PutMetricAlarm`: the definition of an alarm and what is refused of it.

use serde::{Deserialize, Serialize};

use super::decide::{Comparison, Missing, Rule};
use crate::cloudwatch::insight;
use crate::cloudwatch::math::{Expr, Value};
use crate::cloudwatch::metric_data::{Evaluation, Queries};
use crate::cloudwatch::model::{
    Dimension, Flag, Metric, MetricDataQuery, MetricStat, Number, Whole,
};
use crate::cloudwatch::store::{Store, Window};
use crate::service::AwsError;

/// The id of the one query that a plain metric alarm stands for.
const PLAIN_ID: &str = "m";

const ACTIONS_MAX: usize = 5;
const QUERIES_MAX: usize = 20;
const METRICS_MAX: usize = 10;

/// Longest evaluation interval, in seconds: a day for periods below an hour, else a week.
const INTERVAL_S_MAX: (i64, i64) = (86_400, 7 * 86_400);

/// `PutMetricAlarm`, and the stored definition.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::cloudwatch) struct AlarmSpec {
    pub(in crate::cloudwatch) alarm_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cloudwatch) alarm_description: Option<String>,
    #[serde(default = "enabled")]
    pub(in crate::cloudwatch) actions_enabled: Option<Flag>,
    #[serde(rename = "OKActions")]
    pub(in crate::cloudwatch) ok_actions: Vec<String>,
    pub(in crate::cloudwatch) alarm_actions: Vec<String>,
    pub(in crate::cloudwatch) insufficient_data_actions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cloudwatch) metric_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cloudwatch) namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cloudwatch) statistic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cloudwatch) extended_statistic: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::cloudwatch) dimensions: Vec<Dimension>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cloudwatch) period: Option<Whole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cloudwatch) unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation_periods: Option<Whole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    datapoints_to_alarm: Option<Whole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison_operator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    treat_missing_data: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<MetricDataQuery>,
    /// Of a composite alarm, which has no metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cloudwatch) alarm_rule: Option<String>,
}

#[expect(clippy::unnecessary_wraps, reason = "the default of an optional member")]
fn enabled() -> Option<Flag> {
    Some(Flag(true))
}

fn refused(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("ValidationError", message)
}

/// Reads a variant's name as the request spells it.
fn variant<T: for<'de> Deserialize<'de>>(name: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).ok()
}

impl AlarmSpec {
    /// Checks that the definition is one that can be evaluated.
    pub(in crate::cloudwatch) fn check(&self) -> Result<(), AwsError> {
        if self.alarm_name.is_empty() || self.alarm_name.len() > 255 {
            return Err(refused("AlarmName must have 1 to 255 characters."));
        }
        for actions in [&self.ok_actions, &self.alarm_actions, &self.insufficient_data_actions] {
            if actions.len() > ACTIONS_MAX {
                return Err(refused(format!(
                    "An alarm has at most {ACTIONS_MAX} actions a state."
                )));
            }
            if let Some(action) = actions.iter().find(|action| !action.starts_with("arn:")) {
                return Err(refused(format!("Invalid arn syntax: {action}")));
            }
        }
        if self.comparison_operator.as_deref().and_then(variant::<Comparison>).is_none() {
            return Err(refused("ComparisonOperator is missing or compares with no threshold."));
        }
        if self.threshold.is_none_or(|threshold| !threshold.0.is_finite()) {
            return Err(refused("The parameter Threshold must be a finite number."));
        }
        let missing = self.treat_missing_data.as_deref();
        if missing.is_some_and(|name| variant::<Missing>(name).is_none()) {
            return Err(refused("TreatMissingData has an unknown value."));
        }
        self.check_points()?;
        self.check_metrics()
    }

    fn check_points(&self) -> Result<(), AwsError> {
        let periods = self.evaluation_periods.map_or(0, |periods| periods.0);
        // A week of the shortest period, far above what the interval below lets through.
        if !(1..=60_480).contains(&periods) {
            return Err(refused("The parameter EvaluationPeriods must be at least 1."));
        }
        let datapoints = self.datapoints_to_alarm.map_or(periods, |datapoints| datapoints.0);
        if !(1..=periods).contains(&datapoints) {
            return Err(refused(
                "DatapointsToAlarm must be at least 1 and not greater than EvaluationPeriods.",
            ));
        }
        Ok(())
    }

    fn check_metrics(&self) -> Result<(), AwsError> {
        let plain = self.metric_name.is_some();
        if plain != self.metrics.is_empty() {
            return Err(refused("Either MetricName or Metrics is needed, not both."));
        }
        if plain && (self.namespace.is_none() || self.period.is_none()) {
            return Err(refused("A metric alarm needs Namespace, MetricName and Period."));
        }
        if plain && self.statistic.is_some() == self.extended_statistic.is_some() {
            return Err(refused("Either Statistic or ExtendedStatistic is needed, not both."));
        }
        let queries = self.queries();
        let period_of = |query: &MetricDataQuery| match (&query.metric_stat, &query.expression) {
            (Some(metric), _) => Some(metric.period.0),
            (None, Some(expression)) if insight::is_query(expression) => {
                Some(query.period.map_or(60, |period| period.0))
            }
            _ => None,
        };
        let periods_s: Vec<i64> = queries.iter().filter_map(period_of).collect();
        if queries.len() > QUERIES_MAX || periods_s.len() > METRICS_MAX {
            return Err(refused(format!(
                "An alarm has at most {QUERIES_MAX} queries with {METRICS_MAX} metrics."
            )));
        }
        if queries.iter().filter(|query| query.returns_data()).count() != 1 {
            return Err(refused("Exactly one element of Metrics must have ReturnData true."));
        }
        let parsed = Queries::new(&queries)?;
        if periods_s.is_empty() || periods_s.iter().any(|period_s| *period_s != parsed.period_s) {
            return Err(refused("All metrics of an alarm must have the same period."));
        }
        let (short, long) = INTERVAL_S_MAX;
        let interval_s = parsed.period_s * self.evaluation_periods();
        if interval_s > if parsed.period_s < 3_600 { short } else { long } {
            return Err(refused(
                "Period times EvaluationPeriods must not exceed a day, or a week for periods of an \
                 hour and more.",
            ));
        }
        let mut searches = false;
        for expression in parsed.expressions() {
            expression.walk(&mut |expr| {
                searches |= matches!(expr, Expr::Call(name, _) if name == "SEARCH");
            });
        }
        if searches {
            return Err(refused("SEARCH is not supported on Metric Alarms."));
        }
        self.check_result(&parsed)
    }

    /// A computation without data finds unknown ids and functions, and what is not a time series.
    fn check_result(&self, queries: &Queries<'_>) -> Result<(), AwsError> {
        let (store, period_s) = (Store::default(), queries.period_s);
        let window = Window { start_s: 0, end_s: 0, period_s };
        match Evaluation::new(&store, queries, window).value(&self.result_id()) {
            Ok(Value::Series(_)) => Ok(()),
            // Each of its series has a state of its own; the worst one is the alarm's.
            Ok(Value::Many(_)) if queries.is_insight(&self.result_id()) => Ok(()),
            Ok(_) => Err(refused("The result of Metrics must be one time series.")),
            Err(error) => Err(refused(format!("Error in an expression: {error}"))),
        }
    }

    /// Returns N, at least 1.
    pub(in crate::cloudwatch) fn evaluation_periods(&self) -> i64 {
        self.evaluation_periods.map_or(1, |periods| periods.0)
    }

    /// Returns what the alarm judges by.
    pub(in crate::cloudwatch) fn rule(&self) -> Rule {
        let count = |number: i64| usize::try_from(number).unwrap_or(1);
        let periods = self.evaluation_periods();
        Rule {
            comparison: self
                .comparison_operator
                .as_deref()
                .and_then(variant)
                .unwrap_or(Comparison::Above),
            threshold: self.threshold.map_or(0.0, |threshold| threshold.0),
            datapoints: count(self.datapoints_to_alarm.map_or(periods, |datapoints| datapoints.0)),
            periods: count(periods),
            missing: self.treat_missing_data.as_deref().and_then(variant).unwrap_or_default(),
        }
    }

    /// Returns the queries of the alarm: those given, or the one that its metric stands for.
    pub(in crate::cloudwatch) fn queries(&self) -> Vec<MetricDataQuery> {
        let Some(metric_name) = &self.metric_name else { return self.metrics.clone() };
        let stat = self.statistic.as_ref().or(self.extended_statistic.as_ref());
        let metric = Metric {
            namespace: self.namespace.clone().unwrap_or_default(),
            metric_name: metric_name.clone(),
            dimensions: self.dimensions.clone(),
        };
        let stat = MetricStat {
            metric,
            period: self.period.unwrap_or(Whole(60)),
            stat: stat.cloned().unwrap_or_default(),
            unit: self.unit.clone(),
        };
        let id = PLAIN_ID.to_owned();
        vec![MetricDataQuery { id, metric_stat: Some(stat), ..MetricDataQuery::default() }]
    }

    /// Returns the id of the query that is compared with the threshold.
    pub(in crate::cloudwatch) fn result_id(&self) -> String {
        let result = self.metrics.iter().find(|query| query.returns_data());
        result.map_or_else(|| PLAIN_ID.to_owned(), |query| query.id.clone())
    }

    /// Returns whether a change of state runs its actions.
    pub(in crate::cloudwatch) fn acts(&self) -> bool {
        self.actions_enabled.is_none_or(|flag| flag.0)
    }
}
