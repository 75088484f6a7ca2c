//! GetRecords, one shard, one call at a time.

use std::sync::Arc;
use std::time::Duration;

use kinesis_model::{EpochMs, Gap, Position, Record, ShardId};
use tokio::time::Instant;

use super::calls::{CallFailed, ShardCalls, ShardPage, Why};
use super::children::{self, Presence, Shape};
use super::continuity::{self, Continuity};
use super::{Batch, ReaderSettings, SourceError};
use crate::clock::{Clock, MonoMs};
use crate::lease::StartAt;
use aws_calls::Failed;

/// How long a record that was met again proves that nothing behind it has expired.
const MET_FOR_MS: u64 = 60_000;

/// The size of a record while none was seen.
const UNKNOWN_RECORD_BYTES: u64 = 1_024;

/// A reader of one shard with GetRecords.
#[derive(Debug)]
pub struct PollingReader {
    calls: Arc<dyn ShardCalls>,
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
    /// Returns a reader that has not made a call yet.
    #[must_use]
    pub fn new(
        calls: Arc<dyn ShardCalls>,
        stream: &str,
        shard: ShardId,
        start: StartAt,
        settings: ReaderSettings,
    ) -> Self {
        Self {
            calls,
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

    /// Does what [`super::ShardReader::expect_at_most`] says.
    pub(super) fn expect_at_most(&mut self, bytes: u64) {
        self.most_bytes = bytes;
    }

    /// Returns how many records the next call asks for: a call is limited by their number alone.
    fn limit(&self) -> u16 {
        let most = u64::from(self.settings.max_records);
        let wanted = (self.most_bytes / self.mean_bytes).clamp(1, most);
        u16::try_from(wanted).unwrap_or(self.settings.max_records)
    }

    /// Does what [`super::ShardReader::continuing`] says.
    pub(super) fn continue_after(&mut self, after: Option<Position>) {
        self.continuity = Continuity::after(after);
    }

    /// Goes on from `position` with a new iterator, after an answer that came another way.
    pub(super) fn resume(&mut self, position: StartAt, answered: Option<Answered>) {
        self.position = position;
        self.answered = answered;
        self.iterator = None;
    }

    /// Reads on, as [`super::ShardReader::next`] says.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn next(&mut self) -> Result<Batch, SourceError> {
        if self.ended {
            let (stream, shard) = (self.stream.clone(), self.shard.clone());
            return Err(SourceError::AfterEnd { stream, shard });
        }
        tokio::time::sleep_until(self.next_poll).await;
        let mut tries = self.settings.retry.start();
        loop {
            match self.ask().await {
                Ok(output) => return self.accept(output).await,
                Err(failed) => tries.again(failed).await.map_err(Failed::into_error)?,
            }
        }
    }

    /// Asks once, with a new iterator if there is none.
    async fn ask(&mut self) -> Result<ShardPage, Failed<SourceError>> {
        self.overlap_if_at_risk();
        let iterator = match self.iterator.clone() {
            Some(iterator) => iterator,
            None => self.new_iterator().await?,
        };
        self.settings.budgets.call(&self.shard).await;
        let error = match self.calls.records(&iterator, self.limit()).await {
            Ok(page) => return Ok(page),
            Err(error) => error,
        };
        // Five minutes passed, or the endpoint was restarted.
        if error.why == Why::Expired {
            tracing::debug!(shard = %self.shard, "iterator expired");
            self.iterator = None;
            return Err(Failed::ForNow(self.unreachable("GetRecords", error)));
        }
        Err(self.judged("GetRecords", error).await)
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

    async fn new_iterator(&mut self) -> Result<String, Failed<SourceError>> {
        let error = match self.calls.iterator(&self.shard, self.position).await {
            Ok(iterator) => {
                self.iterator = Some(iterator.clone());
                return Ok(iterator);
            }
            Err(error) => error,
        };
        // Kinesis refuses a time that is ahead of its own clock: wait until it is not.
        let is_ahead =
            matches!(self.position, StartAt::AtTimestamp(_)) && error.why == Why::BadPosition;
        if is_ahead {
            return Err(Failed::ForNow(self.unreachable("GetShardIterator", error)));
        }
        Err(self.judged("GetShardIterator", error).await)
    }

    /// Turns an answer into a batch and moves on. Nothing of the reader changes before the last
    /// point where the call may be dropped.
    async fn accept(&mut self, page: ShardPage) -> Result<Batch, SourceError> {
        let ShardPage { mut records, millis_behind, next, children } = page;
        let bytes = records.iter().map(|r| r.data.len() + r.partition_key.len()).sum::<usize>();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.settings.budgets.received(&self.shard, bytes);
        if let Some(mean_bytes) = bytes.checked_div(records.len() as u64) {
            self.mean_bytes = mean_bytes.max(1);
        }
        let mut end = None;
        if next.is_none() {
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
        self.iterator = next;
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

    pub(super) async fn list_children(&self) -> Result<Shape, SourceError> {
        children::of_shard(&*self.calls, &self.shard).await.map_err(|(operation, reason)| {
            SourceError::Refused {
                stream: self.stream.clone(),
                shard: self.shard.clone(),
                operation,
                reason,
            }
        })
    }

    pub(super) fn malformed(&self, problem: String) -> SourceError {
        let (stream, shard) = (self.stream.clone(), self.shard.clone());
        SourceError::Malformed { stream, shard, problem }
    }

    /// Says whether a failed call is worth another try.
    async fn judged(&self, operation: &'static str, error: CallFailed) -> Failed<SourceError> {
        let (stream, shard) = (self.stream.clone(), self.shard.clone());
        match error.why {
            Why::Passing => return Failed::ForNow(self.unreachable(operation, error)),
            Why::Malformed => return Failed::ForGood(self.malformed(error.reason)),
            // A stream that is not there at all cannot be listed either: that is another error.
            Why::Absent => {
                let Shape { presence, children } = match self.list_children().await {
                    Ok(shape) => shape,
                    Err(error) => return Failed::ForGood(error),
                };
                match presence {
                    Presence::Absent => {
                        return Failed::ForGood(SourceError::Gone { stream, shard, children });
                    }
                    // The list of closed shards may be slower than retention.
                    Presence::Closed => {
                        return Failed::ForNow(SourceError::Gone { stream, shard, children });
                    }
                    Presence::Open => {}
                }
            }
            Why::Expired | Why::BadPosition | Why::Refused => {}
        }
        let reason = error.reason;
        Failed::ForGood(SourceError::Refused { stream, shard, operation, reason })
    }

    /// Names a failure of which all tries are used up.
    fn unreachable(&self, operation: &'static str, error: CallFailed) -> SourceError {
        SourceError::Unreachable {
            stream: self.stream.clone(),
            shard: self.shard.clone(),
            operation,
            attempts: self.settings.retry.attempts,
            last: error.reason,
        }
    }
}
