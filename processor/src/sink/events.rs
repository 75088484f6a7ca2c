//! Domain events on the bus: ten a call, each entry retried by itself.
//!
//! Event ids are deterministic, so a consumer that drops repeated ids sees each event once (E7).

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use aws_calls::code_blames_data;
use ivs_schemas::domain::DomainEvent;
use ivs_schemas::names::DOMAIN_SOURCE;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::SinkError;
use super::calls::{EntryAnswer, EventBus, EventCalls, NotTaken};
use super::patience::{Left, Patience, Refused};
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

    /// PutEvents answers 200 with errors inside: those entries are sent again.
    async fn send_entries(&self, mut entries: Vec<Entry>, patience: &Patience) -> Left<Entry> {
        let mut left = Left::default();
        let mut waits = Patience::waits();
        let mut error = "EventBridge does not answer".to_owned();
        while !entries.is_empty() && !patience.is_over() {
            match self.calls.put(&entries).await {
                Ok(answers) => error = self.sort(&mut entries, answers, &mut left, patience),
                Err(NotTaken::Away(reason)) => error = reason,
                // Which of them is to blame is found out one by one.
                Err(NotTaken::Refused(reason) | NotTaken::Partly { reason, .. }) => match entries
                    .len()
                {
                    1 => left.refused.extend(entries.drain(..).map(|entry| entry.refused(&reason))),
                    _ => return Box::pin(self.send_singly(entries, patience)).await,
                },
            }
            if !entries.is_empty() {
                if !patience.failed() {
                    break;
                }
                self.stats.retries.fetch_add(1, Relaxed);
                waits.wait().await;
            }
        }
        if !entries.is_empty() {
            left.error = Some(self.error(error));
            left.waiting = entries;
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

    /// Keeps in `entries` what was not accepted and may be; returns why.
    fn sort(
        &self,
        entries: &mut Vec<Entry>,
        answers: Vec<EntryAnswer>,
        left: &mut Left<Entry>,
        patience: &Patience,
    ) -> String {
        let mut error = String::new();
        for (entry, answer) in std::mem::take(entries).into_iter().zip(answers) {
            let Err((code, message)) = answer else {
                patience.answered();
                self.stats.domain_events.fetch_add(1, Relaxed);
                continue;
            };
            let reason = format!("{code}: {message}");
            if code_blames_data(&code) {
                left.refused.push(entry.refused(&reason));
            } else {
                error = reason;
                entries.push(entry);
            }
        }
        error
    }

    fn error(&self, reason: String) -> SinkError {
        SinkError::Aws { operation: "PutEvents", target: self.bus.to_string(), reason }
    }
}

/// A domain event as the bus takes it.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    detail_type: String,
    detail: String,
}

impl Entry {
    /// Returns the name of the event's kind.
    #[must_use]
    pub fn detail_type(&self) -> &str {
        &self.detail_type
    }

    /// Returns the event as JSON.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Returns the size as EventBridge counts it.
    fn bytes(&self) -> usize {
        DOMAIN_SOURCE.len() + self.detail_type.len() + self.detail.len()
    }

    fn refused(self, reason: &str) -> Refused {
        tracing::error!(detail_type = self.detail_type, reason, "domain event refused");
        let detail = serde_json::from_str(&self.detail).unwrap_or(Value::String(self.detail));
        let what = json!({ "detailType": self.detail_type, "detail": detail });
        Refused { what, reason: reason.to_owned() }
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
