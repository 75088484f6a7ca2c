//! CloudWatch: metrics, alarms and the dashboard.
//!
//! `API_…` is a page of <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/>, `Guide` one of
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/>.

mod alarms;
mod put;
mod read;

use aws_sdk_cloudwatch::operation::put_metric_data::builders::PutMetricDataFluentBuilder;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::builders::MetricDatumBuilder;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum};

use super::{Case, World, world};

const NAMESPACE: &str = "Contract";
const MINUTE_S: i64 = 60;

/// Returns the cases.
pub(super) fn cases() -> Vec<&'static Case> {
    [put::CASES, read::CASES, alarms::CASES].into_iter().flatten().collect()
}

fn now_s() -> i64 {
    world::now_ms().div_euclid(1_000)
}

/// Returns the start of a minute that is over, so that no case runs across its end.
fn minute_s(back: i64) -> i64 {
    (now_s().div_euclid(MINUTE_S) - 5 - back) * MINUTE_S
}

fn at(seconds: i64) -> DateTime {
    DateTime::from_secs(seconds)
}

fn datum(name: &str) -> MetricDatumBuilder {
    MetricDatum::builder().metric_name(name)
}

fn dimension(name: &str, value: &str) -> Dimension {
    Dimension::builder().name(name).value(value).build()
}

impl World {
    fn put_metrics(&self, data: Vec<MetricDatum>) -> PutMetricDataFluentBuilder {
        self.cloudwatch.put_metric_data().namespace(NAMESPACE).set_metric_data(Some(data))
    }
}
