//! `record`, the tutorial's recording function: it puts the events that invoke it into the stream.
//!
//! It writes no row. Rows belong to the shards of the stream, whose checkpoints say what they hold;
//! a second writer without a checkpoint could not tell a retry from an event. So an event counts
//! when a worker has read it, with everything that `docs/semantics.md` promises.

mod apart;
#[cfg(test)]
mod tests;

use crate::producer::put;
use std::collections::BTreeSet;

use anyhow::Context as _;
use aws_sdk_kinesis::Client;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::cloud;
use crate::cloud::lambda::{Response, serve};
use crate::config::Config;
use apart::Apart;

/// Serves Lambda.
///
/// # Errors
/// Outside Lambda.
pub(super) async fn run(config: &Config) -> anyhow::Result<()> {
    let clients = cloud::clients(&config.aws).await;
    Handler::new(&clients.kinesis, &config.stream.name).serve().await
}

/// The request that invokes the function.
#[derive(Debug)]
enum Request<'r> {
    /// A batch of an event source mapping of another Kinesis stream.
    Batch(Batch),
    /// A batch of a subscription of a CloudWatch Logs group.
    Logs(Logs),
    /// An event: the tutorial's, player telemetry, or an envelope of EventBridge; or a body that
    /// holds several, as the players of the QoS sample post it.
    Event(&'r str),
}

impl<'r> Request<'r> {
    /// Tells what a request is. The text of an event is left as it came: the framing reads texts
    /// that other parsers give up.
    fn of(text: &'r str) -> Self {
        if let Ok(batch) = serde_json::from_str(text) {
            Self::Batch(batch)
        } else if let Ok(logs) = serde_json::from_str(text) {
            Self::Logs(logs)
        } else {
            Self::Event(text)
        }
    }
}

/// A request of CloudWatch Logs to a function.
#[derive(Clone, Debug, Deserialize)]
struct Logs {
    awslogs: LogsData,
}

#[derive(Clone, Debug, Deserialize)]
struct LogsData {
    /// Base64 of gzip.
    data: String,
}

/// A batch of Kinesis records.
#[derive(Clone, Debug, Deserialize)]
struct Batch {
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

/// Puts events into a stream.
#[derive(Clone, Debug)]
pub struct Handler {
    kinesis: Client,
    stream: String,
}

impl Handler {
    /// Events go into this stream.
    #[must_use]
    pub fn new(kinesis: &Client, stream: &str) -> Self {
        Self { kinesis: kinesis.clone(), stream: stream.to_owned() }
    }

    /// Serves Lambda's runtime API until Lambda ends the process.
    ///
    /// # Errors
    /// When the runtime API is not there, as outside Lambda.
    pub async fn serve(&self) -> anyhow::Result<()> {
        serve(async |request: Box<RawValue>, id: &str| self.handle(&request, id).await).await
    }

    /// Puts what the request holds into the stream. `id` identifies the request.
    ///
    /// # Errors
    /// When the event could not be put, or the batch comes from the stream itself.
    pub async fn handle(&self, request: &RawValue, id: &str) -> anyhow::Result<Reply> {
        match Request::of(request.get()) {
            Request::Event(text) => self.event(text, id).await.map(Reply::Event),
            Request::Batch(batch) => self.batch(batch.records).await.map(Reply::Batch),
            Request::Logs(logs) => self.logs(&logs, id).await.map(Reply::Event),
        }
    }

    async fn event(&self, text: &str, id: &str) -> anyhow::Result<Response> {
        let event: Value = serde_json::from_str(text).unwrap_or_default();
        let Apart { records, accepted, refused } = Apart::by_content(text.as_bytes(), id);
        if accepted == 0 {
            anyhow::ensure!(
                event.get("Records").is_none(),
                "the request is a batch, but not one of Kinesis records"
            );
            let rejection = refused.map_or_else(|| "nothing".to_owned(), |one| one.to_string());
            return Ok(Response::refusal(&rejection));
        }
        if let Some(failure) = put::put(&self.kinesis, &self.stream, &records).await.pop() {
            anyhow::bail!("cannot put the event into {}: {}", self.stream, failure.reason);
        }
        let kind = ["eventType", "detail-type", "type", "metric_type"];
        let kind = kind.iter().find_map(|name| event[name].as_str());
        let kind = kind.map_or_else(|| format!("{} records", records.len()), str::to_owned);
        Ok(Response::success(&json!({
            "message": format!("Successfully processed {kind}"),
            "sessionId": event["sessionId"],
        })))
    }

    /// Puts the log events of a subscription. Lambda invokes again when this fails, since a
    /// subscription does not wait for an answer. Whatever else the data are is for a worker to say,
    /// who keeps it.
    async fn logs(&self, logs: &Logs, id: &str) -> anyhow::Result<Response> {
        let data = STANDARD.decode(&logs.awslogs.data).context("awslogs.data is not base64")?;
        let Apart { records, .. } = Apart::by_content(&data, id);
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
                    let taken =
                        apart::record(&record.kinesis.partition_key, &record.event_id, data);
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
