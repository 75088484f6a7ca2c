//! Domain events on the bus: ten a call, each entry retried by itself.
//!
//! Event ids are deterministic, so a consumer that drops repeated ids sees each event once (E7).

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use aws_calls::{Failed, code_blames_data};
use ivs_schemas::domain::DomainEvent;

pub use super::entry::Entry;

use super::SinkError;
use super::calls::{EntryAnswer, EventBus, EventCalls, NotTaken};
use super::patience::{Left, Patience, WITH_PATIENCE};
use crate::config;
use crate::sink::stats::Stats;

/// Entries of one PutEvents call: AWS's limit.
const MAX_ENTRIES: usize = 10;
/// All entries of one call stay below this: AWS's limit. An event
/// alone always does: its texts have 4 KB at most, whatever their escapes make of them.
const MAX_CALL_BYTES: usize = 256 * 1024;

/// The event sender of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EventSink {
    calls: Arc<dyn EventCalls>,
    enabled: bool,
    bus: Arc<str>,
    stats: Arc<Stats>,
}

impl EventSink {
    /// Returns a sender to the configured bus.
    #[must_use]
    pub fn new(
        eventbridge: aws_sdk_eventbridge::Client,
        config: &config::Events,
        stats: Arc<Stats>,
    ) -> Self {
        let bus = Arc::from(config.bus.as_str());
        Self::over(Arc::new(EventBus { eventbridge, bus }), config, stats)
    }

    /// Returns a sender to whoever plays the configured bus.
    #[must_use]
    pub fn over(calls: Arc<dyn EventCalls>, config: &config::Events, stats: Arc<Stats>) -> Self {
        Self { calls, enabled: config.enabled, bus: Arc::from(config.bus.as_str()), stats }
    }

    /// Returns the entries of events, in their order.
    #[must_use]
    pub fn entries(&self, events: &[DomainEvent]) -> Vec<Entry> {
        if !self.enabled {
            return Vec::new();
        }
        let entry = |event: &DomainEvent| Entry {
            detail_type: event.detail_type().to_owned(),
            detail: serde_json::to_string(event).expect("plain structs of texts and numbers"),
        };
        events.iter().map(entry).collect()
    }

    /// Sends entries in their order as long as patience lasts; returns what is left. Once a call is
    /// given up, those behind it wait too.
    pub async fn try_send(&self, entries: Vec<Entry>, patience: &Patience) -> Left<Entry> {
        let mut left = Left::default();
        for call in calls(entries) {
            if left.waiting.is_empty() {
                left.add(self.send_entries(call, patience).await);
            } else {
                left.waiting.extend(call);
            }
        }
        left
    }

    async fn send_entries(&self, entries: Vec<Entry>, patience: &Patience) -> Left<Entry> {
        let last = "EventBridge does not answer".to_owned();
        let mut sending = Sending { sink: self, patience, entries, left: Left::default(), last };
        let sent = sending.finish().await;
        let Sending { mut entries, mut left, .. } = sending;
        match sent.map_err(Failed::into_error) {
            Ok(()) => {}
            Err(NotTaken::Away(reason)) => {
                left.error = Some(self.error(reason));
                left.waiting = entries;
            }
            // Which of them is to blame is found out one by one.
            Err(NotTaken::Refused(reason) | NotTaken::Partly { reason, .. }) => match entries.len()
            {
                1 => left.refused.extend(entries.drain(..).map(|entry| entry.refused(&reason))),
                _ => left.add(Box::pin(self.send_singly(entries, patience)).await),
            },
        }
        left
    }

    async fn send_singly(&self, entries: Vec<Entry>, patience: &Patience) -> Left<Entry> {
        let mut left = Left::default();
        for entry in entries {
            left.add(self.send_entries(vec![entry], patience).await);
        }
        left
    }

    fn error(&self, reason: String) -> SinkError {
        SinkError::Aws { operation: "PutEvents", target: self.bus.to_string(), reason }
    }
}

/// The entries of one call while they are being sent.
struct Sending<'a> {
    sink: &'a EventSink,
    patience: &'a Patience,
    /// The entries that are not accepted yet.
    entries: Vec<Entry>,
    left: Left<Entry>,
    /// Why the last try did not take them all.
    last: String,
}

impl Sending<'_> {
    /// Tries until all are taken, some are refused, or patience is over.
    async fn finish(&mut self) -> Result<(), Failed<NotTaken>> {
        let mut tries = WITH_PATIENCE.start();
        while let Err(failed) = self.attempt().await {
            tries.again(failed).await?;
        }
        Ok(())
    }

    /// Tries once. PutEvents answers 200 with errors inside: those entries are sent again.
    async fn attempt(&mut self) -> Result<(), Failed<NotTaken>> {
        if self.patience.is_over() {
            return Err(Failed::ForGood(NotTaken::Away(self.last.clone())));
        }
        match self.sink.calls.put(&self.entries).await {
            Ok(answers) => self.sort(answers),
            Err(NotTaken::Away(reason)) => self.last = reason,
            Err(refused) => return Err(Failed::ForGood(refused)),
        }
        if self.entries.is_empty() {
            return Ok(());
        }
        let failed = self.patience.failed(NotTaken::Away(self.last.clone()));
        if matches!(failed, Failed::ForNow(_)) {
            self.sink.stats.retries.fetch_add(1, Relaxed);
        }
        Err(failed)
    }

    /// Keeps what was not accepted and may be, and why.
    fn sort(&mut self, answers: Vec<EntryAnswer>) {
        self.last.clear();
        let mut answers = answers.into_iter();
        for entry in std::mem::take(&mut self.entries) {
            let unanswered = || Err(("NoAnswer".to_owned(), "the bus left it out".to_owned()));
            let Err((code, message)) = answers.next().unwrap_or_else(unanswered) else {
                self.patience.answered();
                self.sink.stats.domain_events.fetch_add(1, Relaxed);
                continue;
            };
            let reason = format!("{code}: {message}");
            if code_blames_data(&code) {
                self.left.refused.push(entry.refused(&reason));
            } else {
                self.last = reason;
                self.entries.push(entry);
            }
        }
    }
}

/// Cuts entries into calls, in their order.
fn calls(entries: Vec<Entry>) -> Vec<Vec<Entry>> {
    let mut calls: Vec<Vec<Entry>> = Vec::new();
    let mut call_bytes = 0;
    for entry in entries {
        let bytes = entry.bytes();
        let has_room =
            |call: &&mut Vec<_>| call.len() < MAX_ENTRIES && call_bytes + bytes < MAX_CALL_BYTES;
        match calls.last_mut().filter(has_room) {
            Some(call) => {
                call.push(entry);
                call_bytes += bytes;
            }
            None => {
                calls.push(vec![entry]);
                call_bytes = bytes;
            }
        }
    }
    calls
}
