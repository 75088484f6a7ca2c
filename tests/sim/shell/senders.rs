//! CloudWatch and the bus: what they have taken, and that they take some of a call only.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use ivs_core::emit::{Datum, DatumBatch, DatumValue, Series};
use ivs_processor::sink::calls::{EntryAnswer, EventCalls, MetricCalls, NotTaken};
use ivs_processor::sink::events::Entry;

use super::net::{Net, Service};
use super::state::Shell;

impl MetricCalls for Net {
    fn put<'a>(&'a self, batch: &'a DatumBatch) -> BoxFuture<'a, Result<(), NotTaken>> {
        let datums = batch.datums.clone();
        let effect = move |shell: &mut Shell| datums.iter().for_each(|datum| shell.take(datum));
        async move { self.call(Service::Metrics, effect).await.map_err(NotTaken::Away) }.boxed()
    }
}

impl EventCalls for Net {
    fn put<'a>(
        &'a self,
        entries: &'a [Entry],
    ) -> BoxFuture<'a, Result<Vec<EntryAnswer>, NotTaken>> {
        let details: Vec<String> = entries.iter().map(|entry| entry.detail().to_owned()).collect();
        let effect = move |shell: &mut Shell| -> Vec<EntryAnswer> {
            details.iter().map(|detail| shell.take_event(detail)).collect()
        };
        async move { self.call(Service::Events, effect).await.map_err(NotTaken::Away) }.boxed()
    }
}

/// Returns how many samples a datum stands for.
fn samples(value: &DatumValue) -> f64 {
    match value {
        DatumValue::Single(_) => 1.0,
        DatumValue::Statistics { count, .. } => *count,
        DatumValue::Distribution(values) => values.iter().map(|(_, count)| count).sum(),
    }
}

impl Shell {
    fn take(&mut self, datum: &Datum) {
        let Series::Channel(channel) = &datum.series else { return };
        let key = (datum.metric.name, channel.to_string(), datum.time.0);
        *self.samples.entry(key).or_default() += samples(&datum.value);
    }

    fn take_event(&mut self, detail: &str) -> EntryAnswer {
        if self.chaos && self.rng.chance(5) {
            self.world.mark("an event of a call was not taken");
            return Err(("InternalFailure".to_owned(), "later".to_owned()));
        }
        let event: serde_json::Value = serde_json::from_str(detail).expect("events are JSON");
        self.events.insert(event["eventId"].as_str().expect("every event has an id").to_owned());
        Ok(())
    }
}
