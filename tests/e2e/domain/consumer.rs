//! Another system that listens to the domain bus: a rule, a stream of its own, and a reader.

use aws_sdk_eventbridge::types::Target;
use aws_sdk_kinesis::types::{ShardIteratorType, StreamStatus};
use ivs_processor::cloud::Clients;
use ivs_schemas::names;
use serde_json::{Value, json};

const STREAM: &str = "consumer";
const RULE: &str = "consumer-of-everything";

/// The listener.
pub(crate) struct Consumer(aws_sdk_kinesis::Client);

impl Consumer {
    /// Has every event of the processor sent to a stream of one shard.
    pub(crate) async fn subscribe(clients: &Clients) -> Self {
        let kinesis = clients.kinesis.clone();
        kinesis.create_stream().stream_name(STREAM).shard_count(1).send().await.unwrap();
        let stream_arn = loop {
            let described = kinesis.describe_stream_summary().stream_name(STREAM).send().await;
            let summary = described.unwrap().stream_description_summary.unwrap();
            if summary.stream_status == StreamStatus::Active {
                break summary.stream_arn;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        let bus = &clients.eventbridge;
        let rule = bus.put_rule().name(RULE).event_bus_name(names::DOMAIN_BUS);
        let pattern = json!({ "source": [names::DOMAIN_SOURCE] });
        rule.event_pattern(pattern.to_string()).send().await.unwrap();
        let target = Target::builder().id("stream").arn(stream_arn).build().unwrap();
        let targets = bus.put_targets().rule(RULE).event_bus_name(names::DOMAIN_BUS);
        let put = targets.targets(target).send().await.unwrap();
        assert_eq!(put.failed_entry_count, 0, "{put:?}");
        Self(kinesis)
    }

    /// Returns every event so far, as EventBridge delivered it.
    pub(crate) async fn received(&self) -> Vec<Value> {
        let shards = self.0.list_shards().stream_name(STREAM).send().await.unwrap();
        let iterator = self.0.get_shard_iterator().stream_name(STREAM);
        let iterator = iterator.shard_id(shards.shards()[0].shard_id());
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon);
        let mut iterator = iterator.send().await.unwrap().shard_iterator.unwrap();
        let mut received = vec![];
        loop {
            let page = self.0.get_records().shard_iterator(iterator).send().await.unwrap();
            let events = page.records.iter().map(|record| record.data.as_ref());
            received.extend(events.map(|event| serde_json::from_slice::<Value>(event).unwrap()));
            if page.records.is_empty() && page.millis_behind_latest == Some(0) {
                return received;
            }
            iterator = page.next_shard_iterator.expect("the shard is open");
        }
    }
}
