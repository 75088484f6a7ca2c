//! GetRecords, one shard, one call at a time.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::ShardIteratorType;
use aws_smithy_types::retry::RetryConfig;
use bytes::Bytes;
use kinesis_model::{EpochMs, Gap, Position, Record, ShardId};
use tokio::time::Instant;

use super::children::{self, Presence, Shape};
use super::continuity::{self, Continuity};
use super::{Batch, ReaderSettings, SourceError};
use crate::clock::{Clock, MonoMs};
use crate::lease::StartAt;
use aws_calls::Backoff;

/// How long a record that was met again proves that nothing behind it has expired.
const MET_FOR_MS: u64 = 60_000;

/// The size of a record while none was seen.
const UNKNOWN_RECORD_BYTES: u64 = 1_024;

/// Reads one shard with GetRecords.
#[derive(Debug)]
pub struct PollingReader {
    pub(super) client: Client,
    pub(super) stream: String,
    pub(super) shard: ShardId,
    settings: ReaderSettings,
    /// Where to go on if the iterator expires.
    position: StartAt,
    iterator: Option<String>,
    /// The last record delivered.
    last: Option<Position>,
    /// The last answer.
    answered: Option<Answered>,
    continuity: Continuity,
    /// The last record was met again, alone: the next answer goes on behind it.
    is_met: bool,
    next_poll: Instant,
    ended: bool,
    /// About the most that the next call may bring.
    most_bytes: u64,
    /// Of the records of the last answer that had any.
    mean_bytes: u64,
}

/// When an answer came, and how far behind the tip it ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    at: MonoMs,
    wall: EpochMs,
    behind_ms: u64,
}

impl Answered {
    pub(super) fn now(clock: &Clock, behind_ms: u64) -> Self {
        Self { at: clock.mono(), wall: clock.wall(), behind_ms }
    }

    /// Returns whether what came after it can have expired. The clock that jumped further counts:
    /// the monotonic one stands still while a machine sleeps.
    pub(super) fn is_at_risk(&self, clock: &Clock) -> bool {
        continuity::is_at_risk(self.behind_ms, self.ago_ms(clock))
    }

    fn ago_ms(&self, clock: &Clock) -> u64 {
        let by_wall = u64::try_from(clock.wall().0.saturating_sub(self.wall.0)).unwrap_or(0);
        clock.mono().since(self.at).max(by_wall)
    }
}

impl PollingReader {
    /// Returns a reader that has not made a call yet. The SDK's own retries are off: they would
    /// count twice against the shard's budget.
    #[must_use]
    pub fn new(
        client: &Client,
        stream: &str,
        shard: ShardId,
        start: StartAt,
        settings: ReaderSettings,
    ) -> Self {
        let timeout = Duration::from_millis(settings.request_timeout_ms);
        let config = client
            .config()
            .to_builder()
            .retry_config(RetryConfig::disabled())
            .timeout_config(aws_calls::bounded(timeout))
            .build();
        Self {
            client: Client::from_conf(config),
            stream: stream.to_owned(),
            shard,
            settings,
            position: start,
            iterator: None,
            last: None,
            answered: None,
            continuity: Continuity::default(),
            is_met: false,
            next_poll: crate::clock::instant(),
            ended: false,
            most_bytes: u64::MAX,
            mean_bytes: UNKNOWN_RECORD_BYTES,
        }
    }

    /// See [`super::ShardReader::expect_at_most`].
    pub(super) fn expect_at_most(&mut self, bytes: u64) {
        self.most_bytes = bytes;
    }

    /// Returns how many records the next call asks for: a call is limited by their number alone.
    fn limit(&self) -> i32 {
        let most = u64::from(self.settings.max_records);
        let wanted = (self.most_bytes / self.mean_bytes).clamp(1, most);
        i32::try_from(wanted).unwrap_or(i32::MAX)
    }

    /// See [`super::ShardReader::continuing`].
    pub(super) fn continue_after(&mut self, after: Option<Position>) {
        self.continuity = Continuity::after(after);
    }

    /// Goes on from `position` with a new iterator, after an answer that came another way.
    pub(super) fn resume(&mut self, position: StartAt, answered: Option<Answered>) {
        self.position = position;
        self.answered = answered;
        self.iterator = None;
    }

    /// See [`super::ShardReader::next`].
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn next(&mut self) -> Result<Batch, SourceError> {
        if self.ended {
            let (stream, shard) = (self.stream.clone(), self.shard.clone());
            return Err(SourceError::AfterEnd { stream, shard });
        }
        tokio::time::sleep_until(self.next_poll).await;
        self.overlap_if_at_risk();
        let mut backoff = self.settings.retry.start();
        loop {
            let iterator = match self.iterator.clone() {
                Some(iterator) => iterator,
                None => self.new_iterator(&mut backoff).await?,
            };
            self.settings.budgets.call(&self.shard).await;
            let request = self.client.get_records().shard_iterator(iterator).limit(self.limit());
            match request.send().await {
                Ok(output) => return self.accept(output).await,
                // Five minutes passed, or the endpoint was restarted.
                Err(error) if aws_calls::code(&error) == Some("ExpiredIteratorException") => {
                    tracing::debug!(shard = %self.shard, "iterator expired");
                    self.iterator = None;
                    self.wait("GetRecords", &error, &mut backoff).await?;
                    self.overlap_if_at_risk();
                }
                Err(error) => self.retry_or_fail("GetRecords", &error, &mut backoff).await?,
            }
        }
    }

    /// When what comes next can have expired, reads from the last record delivered instead of
    /// from behind it: meeting it again proves that nothing is missing.
    fn overlap_if_at_risk(&mut self) {
        let clock = &self.settings.clock;
        // An overlap under way may take several answers, which are empty until it is met. One answer
        // may hold nothing else: then reading must go on from it, or it would meet it for ever.
        let is_under_way = self.continuity.is_owed();
        let is_fresh = |answered: Answered| self.is_met && answered.ago_ms(clock) < MET_FOR_MS;
        if let Some(last) = self.last
            && !is_under_way
            && self.answered.is_some_and(|answer| answer.is_at_risk(clock) && !is_fresh(answer))
        {
            self.continuity.overlap(last);
            self.position = StartAt::At(last);
            self.iterator = None;
        }
    }

    async fn new_iterator(&mut self, backoff: &mut Backoff) -> Result<String, SourceError> {
        loop {
            let request = self
                .client
                .get_shard_iterator()
                .stream_name(&self.stream)
                .shard_id(self.shard.as_str());
            let request = match self.position {
                StartAt::TrimHorizon => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
                StartAt::Latest => request.shard_iterator_type(ShardIteratorType::Latest),
                StartAt::AtTimestamp(EpochMs(ms)) => request
                    .shard_iterator_type(ShardIteratorType::AtTimestamp)
                    .timestamp(DateTime::from_millis(ms)),
                StartAt::At(Position { sequence, .. }) => request
                    .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                    .starting_sequence_number(sequence.to_string()),
                StartAt::After(Position { sequence, .. }) => request
                    .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                    .starting_sequence_number(sequence.to_string()),
            };
            let error = match request.send().await {
                Ok(output) => {
                    let iterator = output.shard_iterator;
                    let iterator =
                        iterator.ok_or_else(|| self.malformed("no shard iterator".to_owned()))?;
                    self.iterator = Some(iterator.clone());
                    return Ok(iterator);
                }
                Err(error) => error,
            };
            // Kinesis refuses a time that is ahead of its own clock: wait until it is not.
            let ahead = matches!(self.position, StartAt::AtTimestamp(_))
                && aws_calls::code(&error) == Some("InvalidArgumentException");
            if ahead {
                self.wait("GetShardIterator", &error, backoff).await?;
            } else {
                self.retry_or_fail("GetShardIterator", &error, backoff).await?;
            }
        }
    }

    /// Turns an answer into a batch and moves on. Nothing of the reader changes before the last
    /// point where the call may be dropped.
    async fn accept(&mut self, output: GetRecordsOutput) -> Result<Batch, SourceError> {
        let mut records = self.records(output.records)?;
        let bytes = records.iter().map(|r| r.data.len() + r.partition_key.len()).sum::<usize>();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.settings.budgets.received(&self.shard, bytes);
        if let Some(mean_bytes) = bytes.checked_div(records.len() as u64) {
            self.mean_bytes = mean_bytes.max(1);
        }
        let millis_behind = output.millis_behind_latest.unwrap_or_default();
        let millis_behind = u64::try_from(millis_behind).unwrap_or_default();
        let mut end = None;
        if output.next_shard_iterator.is_none() {
            let children = children::from_api(output.child_shards.unwrap_or_default())
                .map_err(|problem| self.malformed(problem))?;
            end = Some(match children.is_empty() {
                false => children,
                // An answer without children says nothing: ask for them.
                true => self.list_children().await?.children,
            });
        }
        let is_tip = end.is_some() || millis_behind == 0;
        let overlaps = self.continuity.is_owed();
        let gap = self.judge(&mut records, is_tip);
        self.is_met = overlaps && !self.continuity.is_owed() && records.is_empty();
        if let Some(last) = records.last() {
            self.delivered(Position { sequence: last.sequence, sub: u64::MAX });
        }
        self.answered = Some(Answered::now(&self.settings.clock, millis_behind));
        self.iterator = output.next_shard_iterator;
        self.ended = end.is_some();
        // Behind the tip there is more: the budget alone paces. At the tip, wait.
        let idle = if millis_behind > 0 { 0 } else { self.settings.poll_idle_ms };
        self.next_poll = crate::clock::instant() + Duration::from_millis(idle);
        Ok(Batch { records, millis_behind, end, gap })
    }

    /// Notes the last record delivered, after which reading goes on.
    pub(super) fn delivered(&mut self, last: Position) {
        self.last = Some(last);
        self.position = StartAt::After(last);
    }

    /// Returns whether records are missing in front of an answer.
    pub(super) fn judge(&mut self, records: &mut Vec<Record>, is_tip: bool) -> Option<Gap> {
        let gap = self.continuity.judge(records, is_tip)?;
        let (stream, shard) = (&self.stream, &self.shard);
        tracing::error!(%shard, stream, %gap, "records expired before they were read");
        Some(gap)
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.settings.clock
    }

    pub(super) fn records(
        &self,
        records: Vec<aws_sdk_kinesis::types::Record>,
    ) -> Result<Vec<Record>, SourceError> {
        let convert = |record: aws_sdk_kinesis::types::Record| {
            let sequence = record.sequence_number.parse();
            let sequence =
                sequence.map_err(|e: kinesis_model::SequenceNumberError| e.to_string())?;
            let arrival = record.approximate_arrival_timestamp;
            let arrival =
                arrival.ok_or_else(|| format!("record {sequence} has no arrival time"))?;
            let arrival = arrival.to_millis().map_err(|error| error.to_string())?;
            Ok(Record {
                sequence,
                // The API model has it optional; every record of a shard carries one.
                partition_key: Arc::from(record.partition_key.unwrap_or_default()),
                arrival: EpochMs(arrival),
                data: Bytes::from(record.data.into_inner()),
            })
        };
        let records: Result<_, String> = records.into_iter().map(convert).collect();
        records.map_err(|problem| self.malformed(problem))
    }

    pub(super) async fn list_children(&self) -> Result<Shape, SourceError> {
        children::of_shard(&self.client, &self.stream, &self.shard, self.settings.retry)
            .await
            .map_err(|(operation, reason)| SourceError::Refused {
                stream: self.stream.clone(),
                shard: self.shard.clone(),
                operation,
                reason,
            })
    }

    pub(super) fn malformed(&self, problem: String) -> SourceError {
        let (stream, shard) = (self.stream.clone(), self.shard.clone());
        SourceError::Malformed { stream, shard, problem }
    }

    /// Waits before another try, or says why there is none.
    async fn retry_or_fail<E>(
        &self,
        operation: &'static str,
        error: &SdkError<E>,
        backoff: &mut Backoff,
    ) -> Result<(), SourceError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let is_transient = aws_calls::is_transient(error);
        if aws_calls::code(error) == Some("ResourceNotFoundException") {
            // A stream that is not there at all cannot be listed either: that is another error.
            let Shape { presence, children } = self.list_children().await?;
            let (stream, shard) = (self.stream.clone(), self.shard.clone());
            match presence {
                Presence::Absent => return Err(SourceError::Gone { stream, shard, children }),
                // The list of closed shards may be slower than retention.
                Presence::Closed if !backoff.wait().await => {
                    return Err(SourceError::Gone { stream, shard, children });
                }
                Presence::Closed => return Ok(()),
                Presence::Open => {}
            }
        }
        if is_transient {
            return self.wait(operation, error, backoff).await;
        }
        let (stream, shard) = (self.stream.clone(), self.shard.clone());
        Err(SourceError::Refused { stream, shard, operation, reason: aws_calls::explain(error) })
    }

    async fn wait<E>(
        &self,
        operation: &'static str,
        error: &SdkError<E>,
        backoff: &mut Backoff,
    ) -> Result<(), SourceError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        if backoff.wait().await {
            return Ok(());
        }
        Err(SourceError::Unreachable {
            stream: self.stream.clone(),
            shard: self.shard.clone(),
            operation,
            attempts: self.settings.retry.attempts,
            last: aws_calls::explain(error),
        })
    }
}
