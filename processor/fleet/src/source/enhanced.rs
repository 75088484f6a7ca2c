//! Enhanced fan-out: SubscribeToShard pushes records at a rate of its own.
//!
//! A subscription lasts five minutes at most and is then renewed from the continuation number of
//! the last event delivered. Demand is one event at a time: HTTP/2 flow control holds the rest
//! back while the caller is busy.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{
    ConsumerStatus, ShardIteratorType, StartingPosition, SubscribeToShardEvent,
    SubscribeToShardEventStream,
};
use kinesis_model::{EpochMs, Position};
use tokio::time::Instant;

use super::polling::{Answered, PollingReader};
use super::{Batch, SourceError, calls, children};
use crate::lease::StartAt;
use aws_calls::{Backoff, RetryPolicy};

/// A second call within 5 s of a successful one is refused with `ResourceInUseException`.
const RESUBSCRIBE_GAP: Duration = Duration::from_secs(5);
/// A live subscription sends an event, empty or not, every few seconds. KCL waits 60 s too.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Failures in a row before polling takes over: with waits up to 5 s, about half a minute.
const SUBSCRIBE: RetryPolicy = RetryPolicy { initial_ms: 1_000, max_ms: 5_000, attempts: 8 };
/// Registration takes a few seconds; KCL polls ten times as well.
const ACTIVE: RetryPolicy = RetryPolicy { initial_ms: 1_000, max_ms: 5_000, attempts: 10 };

/// Reads one shard by subscription, or by polling once subscriptions fail for good.
#[derive(Debug)]
pub struct EnhancedReader {
    client: Client,
    consumer_arn: String,
    position: StartAt,
    subscription: Option<SubscribeToShardOutput>,
    subscribed: Option<Instant>,
    failures: Backoff,
    polling: PollingReader,
    fallen_back: bool,
    /// The last event.
    answered: Option<Answered>,
    ended: bool,
}

impl EnhancedReader {
    /// Returns a reader for the shard of `polling`, which takes over when subscriptions fail.
    #[must_use]
    pub fn new(client: Client, consumer_arn: &str, start: StartAt, polling: PollingReader) -> Self {
        Self {
            client,
            consumer_arn: consumer_arn.to_owned(),
            position: start,
            subscription: None,
            subscribed: None,
            failures: SUBSCRIBE.start(),
            polling,
            fallen_back: false,
            answered: None,
            ended: false,
        }
    }

    /// See [`super::ShardReader::next`].
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn next(&mut self) -> Result<Batch, SourceError> {
        loop {
            if self.ended {
                let stream = self.polling.stream.clone();
                return Err(SourceError::AfterEnd { stream, shard: self.polling.shard.clone() });
            }
            if !self.fallen_back {
                self.poll_if_at_risk();
            }
            if self.fallen_back {
                return self.polling.next().await;
            }
            let Some(subscription) = &mut self.subscription else {
                self.subscribe().await;
                continue;
            };
            let event = tokio::time::timeout(SILENCE_MAX, subscription.event_stream.recv()).await;
            match event {
                Ok(Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event)))) => {
                    return self.accept(event).await;
                }
                // A kind of event that this SDK does not know.
                Ok(Ok(Some(_))) => {}
                // Five minutes are over, or nothing came: subscribe again.
                Ok(Ok(None)) | Err(_) => self.subscription = None,
                Ok(Err(error)) => {
                    self.subscription = None;
                    self.failed(&error.to_string()).await;
                }
            }
        }
    }

    /// See [`super::ShardReader::continuing`].
    pub(super) fn continue_after(&mut self, after: Option<Position>) {
        self.polling.continue_after(after);
    }

    async fn accept(&mut self, event: SubscribeToShardEvent) -> Result<Batch, SourceError> {
        let records = calls::records(event.records);
        let mut records = records.map_err(|problem| self.polling.malformed(problem))?;
        let children = children::from_api(event.child_shards.unwrap_or_default())
            .map_err(|problem| self.polling.malformed(problem))?;
        let over = event.continuation_sequence_number.is_empty();
        let end = match (over, children.is_empty()) {
            (_, false) => Some(children),
            (true, true) => Some(self.polling.list_children().await?.children),
            (false, true) => None,
        };
        if !over {
            let sequence = event.continuation_sequence_number.parse();
            let sequence = sequence.map_err(|error: kinesis_model::SequenceNumberError| {
                self.polling.malformed(error.to_string())
            })?;
            self.position = StartAt::After(Position { sequence, sub: u64::MAX });
        }
        self.failures = SUBSCRIBE.start();
        self.ended = end.is_some();
        let millis_behind = u64::try_from(event.millis_behind_latest).unwrap_or_default();
        let gap = self.polling.judge(&mut records, self.ended || millis_behind == 0);
        if let Some(last) = records.last() {
            self.polling.delivered(Position { sequence: last.sequence, sub: u64::MAX });
        }
        self.answered = Some(Answered::now(self.polling.clock(), millis_behind));
        Ok(Batch { records, millis_behind, end, gap })
    }

    /// A subscription cannot read a record again, by which polling proves that nothing expired in
    /// between.
    fn poll_if_at_risk(&mut self) {
        let clock = self.polling.clock();
        if self.answered.is_some_and(|answered| answered.is_at_risk(clock)) {
            self.subscription = None;
            self.fall_back("so far behind that unread records may expire");
        }
    }

    async fn subscribe(&mut self) {
        if let Some(at) = self.subscribed {
            tokio::time::sleep_until(at + RESUBSCRIBE_GAP).await;
        }
        let request = self
            .client
            .subscribe_to_shard()
            .consumer_arn(&self.consumer_arn)
            .shard_id(self.polling.shard.as_str())
            .starting_position(starting_position(self.position));
        match request.send().await {
            Ok(subscription) => {
                self.subscribed = Some(crate::clock::instant());
                self.subscription = Some(subscription);
            }
            Err(error) if hopeless(&error) => self.fall_back(&aws_calls::explain(&error)),
            Err(error) => self.failed(&aws_calls::explain(&error)).await,
        }
    }

    async fn failed(&mut self, reason: &str) {
        tracing::debug!(shard = %self.polling.shard, reason, "subscription failed");
        if !self.failures.wait().await {
            self.fall_back(reason);
        }
    }

    fn fall_back(&mut self, reason: &str) {
        let shard = &self.polling.shard;
        tracing::warn!(%shard, reason, "enhanced fan-out failed, polling from here");
        self.polling.resume(self.position, self.answered);
        self.fallen_back = true;
    }
}

/// Refusals that no waiting cures: the consumer was deregistered, or access is denied.
fn hopeless<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let code = aws_calls::code(error);
    code.is_some_and(|code| code != "ResourceInUseException") && !aws_calls::is_transient(error)
}

fn starting_position(position: StartAt) -> StartingPosition {
    let builder = StartingPosition::builder();
    let builder = match position {
        StartAt::TrimHorizon => builder.r#type(ShardIteratorType::TrimHorizon),
        StartAt::Latest => builder.r#type(ShardIteratorType::Latest),
        StartAt::AtTimestamp(EpochMs(ms)) => {
            builder.r#type(ShardIteratorType::AtTimestamp).timestamp(DateTime::from_millis(ms))
        }
        StartAt::At(Position { sequence, .. }) => builder
            .r#type(ShardIteratorType::AtSequenceNumber)
            .sequence_number(sequence.to_string()),
        StartAt::After(Position { sequence, .. }) => builder
            .r#type(ShardIteratorType::AfterSequenceNumber)
            .sequence_number(sequence.to_string()),
    };
    builder.build().expect("the type is set")
}

/// A consumer could not be registered.
#[derive(Debug, thiserror::Error)]
#[error("consumer `{name}`: {operation} failed: {reason}")]
pub struct RegisterError {
    /// The consumer.
    pub name: String,
    /// The API call.
    pub operation: &'static str,
    /// Why.
    pub reason: String,
}

/// Registers `name` as a consumer of the stream of that name unless it is one, waits until it is
/// ACTIVE, and returns its ARN. All workers of an application share one consumer.
///
/// # Errors
/// The stream is unknown, the limit of 20 consumers is reached, access is denied, or the consumer
/// does not become ACTIVE.
pub async fn register(client: &Client, stream: &str, name: &str) -> Result<String, RegisterError> {
    let failed = |operation, reason| RegisterError { name: name.to_owned(), operation, reason };
    let described = client.describe_stream_summary().stream_name(stream).send().await;
    let described =
        described.map_err(|error| failed("DescribeStreamSummary", aws_calls::explain(&error)))?;
    let Some(summary) = described.stream_description_summary else {
        return Err(failed("DescribeStreamSummary", "it has no summary".to_owned()));
    };
    let stream_arn = summary.stream_arn;
    let request = client.register_stream_consumer().stream_arn(&stream_arn).consumer_name(name);
    if let Err(error) = request.send().await {
        // It exists.
        if aws_calls::code(&error) != Some("ResourceInUseException") {
            return Err(failed("RegisterStreamConsumer", aws_calls::explain(&error)));
        }
    }
    let mut backoff = ACTIVE.start();
    loop {
        let request = client.describe_stream_consumer().stream_arn(&stream_arn);
        let request = request.consumer_name(name);
        let last = match request.send().await {
            Ok(output) => {
                let consumer = output.consumer_description;
                let active = consumer.filter(|c| c.consumer_status == ConsumerStatus::Active);
                match active {
                    Some(consumer) => return Ok(consumer.consumer_arn),
                    None => "it is not ACTIVE yet".to_owned(),
                }
            }
            Err(error) => aws_calls::explain(&error),
        };
        if !backoff.wait().await {
            return Err(failed("DescribeStreamConsumer", last));
        }
    }
}
