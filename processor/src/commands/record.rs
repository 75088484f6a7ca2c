//! `record`, the tutorial's recording function: it puts the events that invoke it into the stream.
//!
//! It writes no row. Rows belong to the shards of the stream, whose checkpoints say what they hold;
//! a second writer without a checkpoint could not tell a retry from an event. So an event counts
//! when a worker has read it, with everything that `docs/semantics.md` promises.

mod logs;
#[cfg(test)]
mod tests;

use crate::producer::put;
use std::collections::BTreeSet;

use aws_sdk_kinesis::Client;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ivs_core::decode::{DecodeLimits, Event, decode};
use kinesis_model::kpl::{Aggregate, UserRecord, deaggregate};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::now;
use crate::cloud;
use crate::cloud::lambda::{Response, serve};
use crate::config::Config;
use crate::producer::input::partition_key;
use crate::producer::member::with_member;
use crate::producer::send::Outgoing;

/// Serves Lambda.
///
/// # Errors
/// Outside Lambda.
pub(super) async fn run(config: &Config) -> anyhow::Result<()> {
    let clients = cloud::clients(&config.aws).await;
    Handler::new(&clients.kinesis, &config.stream.name).serve().await
}

/// The request that invokes the function.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Request {
    /// A batch of an event source mapping of another Kinesis stream.
    Batch(Batch),
    /// A batch of a subscription of a CloudWatch Logs group.
    Logs(Logs),
    /// An event: the tutorial's, player telemetry, or an envelope of EventBridge.
    Event(Value),
}

/// A request of CloudWatch Logs to a function.
#[derive(Clone, Debug, Deserialize)]
pub struct Logs {
    awslogs: LogsData,
}

#[derive(Clone, Debug, Deserialize)]
struct LogsData {
    /// Base64 of gzip.
    data: String,
}

/// A batch of Kinesis records.
#[derive(Clone, Debug, Deserialize)]
pub struct Batch {
    #[serde(rename = "Records")]
    records: Vec<SourceRecord>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SourceRecord {
    /// `shardId-000000000006:49590338271490256608559692538361571095921575989136588898`.
    #[serde(rename = "eventID")]
    event_id: String,
    #[serde(rename = "eventSourceARN")]
    source_arn: String,
    kinesis: KinesisRecord,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KinesisRecord {
    partition_key: String,
    sequence_number: String,
    /// Base64.
    data: String,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// To an event, as the tutorial's function does.
    Event(Response),
    /// To a batch, as `ReportBatchItemFailures` wants it.
    Batch(Failures),
}

/// The records of a batch that are to be delivered again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failures {
    batch_item_failures: Vec<ItemFailure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    /// The sequence number.
    item_identifier: String,
}

/// The function that puts events into a stream.
#[derive(Clone, Debug)]
pub struct Handler {
    kinesis: Client,
    stream: String,
}

impl Handler {
    /// Puts events into this stream.
    #[must_use]
    pub fn new(kinesis: &Client, stream: &str) -> Self {
        Self { kinesis: kinesis.clone(), stream: stream.to_owned() }
    }

    /// Serves Lambda's runtime API until Lambda ends the process.
    ///
    /// # Errors
    /// When the runtime API is not there, as outside Lambda.
    pub async fn serve(&self) -> anyhow::Result<()> {
        serve(async |request, id: &str| self.handle(request, id).await).await
    }

    /// Puts what the request holds into the stream. `id` identifies the request.
    ///
    /// # Errors
    /// When the event could not be put, or the batch comes from the stream itself.
    pub async fn handle(&self, request: Request, id: &str) -> anyhow::Result<Reply> {
        match request {
            Request::Event(event) => self.event(&event, id).await.map(Reply::Event),
            Request::Batch(batch) => self.batch(batch.records).await.map(Reply::Batch),
            Request::Logs(logs) => self.logs(&logs).await.map(Reply::Event),
        }
    }

    async fn event(&self, event: &Value, id: &str) -> anyhow::Result<Response> {
        anyhow::ensure!(
            event.get("Records").is_none(),
            "the request is a batch, but not one of Kinesis records"
        );
        let line = event.to_string().into_bytes();
        if let Err(rejection) = decode(&line, now(), &DecodeLimits::default()) {
            return Ok(Response::refusal(&rejection.to_string()));
        }
        let partition_key = partition_key(&line);
        let data = identified(line, id);
        let records = [Outgoing { partition_key, explicit_hash_key: None, data }];
        if let Some(failure) = put::put(&self.kinesis, &self.stream, &records).await.pop() {
            anyhow::bail!("cannot put the event into {}: {}", self.stream, failure.reason);
        }
        let kind = ["eventType", "detail-type", "type", "metric_type"];
        let kind = kind.iter().find_map(|name| event[name].as_str()).unwrap_or("event");
        Ok(Response::success(&json!({
            "message": format!("Successfully processed {kind}"),
            "sessionId": event["sessionId"],
        })))
    }

    /// Puts the log events of a subscription. Lambda invokes again when this fails, since a
    /// subscription does not wait for an answer.
    async fn logs(&self, logs: &Logs) -> anyhow::Result<Response> {
        let records = logs::outgoing(&logs.awslogs.data)?;
        if let Some(failure) = put::put(&self.kinesis, &self.stream, &records).await.pop() {
            anyhow::bail!("cannot put log events into {}: {}", self.stream, failure.reason);
        }
        let message = format!("Successfully processed {} records of a log", records.len());
        Ok(Response::success(&json!({ "message": message })))
    }

    async fn batch(&self, source: Vec<SourceRecord>) -> anyhow::Result<Failures> {
        let own = format!(":stream/{}", self.stream);
        anyhow::ensure!(
            !source.iter().any(|record| record.source_arn.ends_with(&own)),
            "the batch comes from {}, into which it would be put: remove the event source mapping",
            self.stream
        );
        let mut failed = BTreeSet::new();
        let (mut records, mut places) = (Vec::new(), Vec::new());
        for (place, record) in source.iter().enumerate() {
            match STANDARD.decode(&record.kinesis.data) {
                Ok(data) => {
                    let taken = outgoing(&record.kinesis.partition_key, &record.event_id, data);
                    places.resize(places.len() + taken.len(), place);
                    records.extend(taken);
                }
                Err(error) => {
                    tracing::warn!(record = record.event_id, %error, "data is not base64");
                    failed.insert(place);
                }
            }
        }
        for failure in put::put(&self.kinesis, &self.stream, &records).await {
            let place = places[failure.place];
            tracing::warn!(record = source[place].event_id, reason = failure.reason, "not put");
            failed.insert(place);
        }
        let item = |place| {
            let record: &SourceRecord = &source[place];
            ItemFailure { item_identifier: record.kinesis.sequence_number.clone() }
        };
        Ok(Failures { batch_item_failures: failed.into_iter().map(item).collect() })
    }
}

/// Returns what a record of another stream becomes: its user records, if it is an aggregate of the
/// KPL, else itself. All aggregates of a producer may have one partition key, because their user
/// records have keys of their own; put as they are they would land in one shard, most of them in
/// the wrong one.
fn outgoing(partition_key: &str, id: &str, data: Vec<u8>) -> Vec<Outgoing> {
    let data = Bytes::from(data);
    match deaggregate(&data) {
        Aggregate::Records(records) if !records.is_empty() => {
            let user_record = |record: UserRecord| Outgoing {
                partition_key: record.partition_key.to_string(),
                explicit_hash_key: record.explicit_hash_key,
                data: identified(record.data.to_vec(), &format!("{id}:{}", record.sub)),
            };
            records.into_iter().map(user_record).collect()
        }
        // A worker says what is wrong with one that is broken, and keeps it.
        Aggregate::Records(_) | Aggregate::Broken(_) | Aggregate::Plain => {
            let partition_key = partition_key.to_owned();
            let data = identified(data.to_vec(), id);
            vec![Outgoing { partition_key, explicit_hash_key: None, data }]
        }
    }
}

/// Returns the line with an event id, so that it counts once if Lambda delivers it again. A line
/// that has one, needs none, or is not such a line stays as it is.
fn identified(line: Vec<u8>, id: &str) -> Vec<u8> {
    let (arrival, limits) = (now(), DecodeLimits::default());
    let lacks_id = |event: &Event<'_>| {
        event.event_id().is_none() && matches!(event, Event::Gauge(_) | Event::Player(_))
    };
    if !decode(&line, arrival, &limits).is_ok_and(|event| lacks_id(&event)) {
        return line;
    }
    let Some(with_id) = with_member(&line, "eventId", id) else { return line };
    let is_known = |line: &[u8]| {
        decode(line, arrival, &limits).is_ok_and(|event| event.event_id() == Some(id))
    };
    if is_known(&with_id) { with_id } else { line }
}
