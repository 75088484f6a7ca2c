//! The seams below the senders: CloudWatch and EventBridge, whoever plays them.

use std::fmt::Debug;
use std::sync::Arc;

use aws_calls::{blames_data, explain};
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit, StatisticSet};
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use ivs_core::emit::{Datum, DatumBatch, DatumValue};
use ivs_schemas::names::DOMAIN_SOURCE;

use super::entry::Entry;

/// PutMetricData, called once; tries are the sink's.
///
/// An implementor takes a call whole or not at all. After [`NotTaken::Away`] it may have been taken
/// all the same.
pub trait MetricCalls: Debug + Send + Sync {
    /// Sends one call.
    fn put<'a>(&'a self, batch: &'a DatumBatch) -> BoxFuture<'a, Result<(), NotTaken>>;

    /// Returns what a call is named in errors.
    fn operation(&self) -> &'static str {
        "PutMetricData"
    }
}

/// PutEvents, called once; tries are the sink's.
///
/// An implementor answers for each entry by itself, in their order. After [`NotTaken::Away`] any of
/// them may have been taken all the same.
pub trait EventCalls: Debug + Send + Sync {
    /// Sends the entries of one call.
    fn put<'a>(&'a self, entries: &'a [Entry])
    -> BoxFuture<'a, Result<Vec<EntryAnswer>, NotTaken>>;
}

/// The answer to one entry; an error with the service's code and message.
pub type EntryAnswer = Result<(), (String, String)>;

/// Why a call was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// The service does not answer, or answers nobody: later.
    Away(String),
    /// For what it carries: never.
    Refused(String),
    /// So many points of it, never; the rest was taken, and it may not be sent again. Which they are
    /// is not said.
    Partly {
        /// How many.
        points: u64,
        /// The receiver's words.
        reason: String,
    },
}

/// CloudWatch itself.
#[derive(Debug)]
pub(super) struct CloudWatch(pub(super) aws_sdk_cloudwatch::Client);

impl MetricCalls for CloudWatch {
    fn put<'a>(&'a self, batch: &'a DatumBatch) -> BoxFuture<'a, Result<(), NotTaken>> {
        let data: Vec<MetricDatum> = batch.datums.iter().map(to_sdk).collect();
        let request = self.0.put_metric_data().namespace(batch.namespace.as_str());
        let request = request.set_metric_data(Some(data));
        async move {
            match request.send().await {
                Ok(_) => Ok(()),
                Err(error) if blames_data(&error) => Err(NotTaken::Refused(explain(&error))),
                Err(error) => Err(NotTaken::Away(explain(&error))),
            }
        }
        .boxed()
    }
}

/// A bus of EventBridge.
#[derive(Debug)]
pub(super) struct EventBus {
    pub(super) eventbridge: aws_sdk_eventbridge::Client,
    pub(super) bus: Arc<str>,
}

impl EventCalls for EventBus {
    fn put<'a>(
        &'a self,
        entries: &'a [Entry],
    ) -> BoxFuture<'a, Result<Vec<EntryAnswer>, NotTaken>> {
        let entries = entries.iter().map(|entry| {
            PutEventsRequestEntry::builder()
                .event_bus_name(&*self.bus)
                .source(DOMAIN_SOURCE)
                .detail_type(entry.detail_type())
                .detail(entry.detail())
                .build()
        });
        let request = self.eventbridge.put_events().set_entries(Some(entries.collect()));
        async move {
            let answer = match request.send().await {
                Ok(answer) => answer.entries.unwrap_or_default(),
                Err(error) if blames_data(&error) => {
                    return Err(NotTaken::Refused(explain(&error)));
                }
                Err(error) => return Err(NotTaken::Away(explain(&error))),
            };
            let each = answer.into_iter().map(|entry| match entry.error_code {
                None => Ok(()),
                Some(code) => {
                    Err((code, entry.error_message.unwrap_or_else(|| "no message".to_owned())))
                }
            });
            Ok(each.collect())
        }
        .boxed()
    }
}

fn to_sdk(datum: &Datum) -> MetricDatum {
    let dimension =
        |(name, value): (&str, &str)| Dimension::builder().name(name).value(value).build();
    let dimensions: Vec<_> = datum.series.dimensions().map(dimension).collect();
    let builder = MetricDatum::builder()
        .metric_name(datum.metric.name)
        .timestamp(DateTime::from_millis(datum.time.0))
        .unit(StandardUnit::from(datum.metric.unit.as_str()))
        .set_dimensions((!dimensions.is_empty()).then_some(dimensions));
    match &datum.value {
        DatumValue::Single(value) => builder.value(*value),
        DatumValue::Distribution(values) => {
            let (values, counts) = values.iter().copied().unzip();
            builder.set_values(Some(values)).set_counts(Some(counts))
        }
        DatumValue::Statistics { count, sum, min, max } => builder.statistic_values(
            StatisticSet::builder()
                .sample_count(*count)
                .sum(*sum)
                .minimum(*min)
                .maximum(*max)
                .build(),
        ),
    }
    .build()
}
