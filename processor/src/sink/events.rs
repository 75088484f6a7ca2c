//! Domain events on the bus: ten a call, each entry retried by itself.
//!
//! Event ids are deterministic, so a consumer that drops repeated ids sees each event once (E7).

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use aws_calls::explain;
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use ivs_schemas::domain::DomainEvent;
use ivs_schemas::names::DOMAIN_SOURCE;

use super::{EFFECT, SinkError, persist};
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
    eventbridge: aws_sdk_eventbridge::Client,
    enabled: bool,
    bus: Arc<str>,
    stats: Arc<Stats>,
}

impl EventSink {
    /// A sender to the configured bus.
    #[must_use]
    pub fn new(
        eventbridge: aws_sdk_eventbridge::Client,
        config: &config::Events,
        stats: Arc<Stats>,
    ) -> Self {
        Self { eventbridge, enabled: config.enabled, bus: Arc::from(config.bus.as_str()), stats }
    }

    /// Sends events in their order.
    ///
    /// # Errors
    /// When an entry is not accepted in all tries.
    pub async fn send(&self, events: &[DomainEvent]) -> Result<(), SinkError> {
        if !self.enabled {
            return Ok(());
        }
        let entries = events.iter().map(|event| self.entry(event)).collect::<Result<_, _>>()?;
        for call in calls(entries) {
            self.send_entries(call).await?;
        }
        Ok(())
    }

    fn entry(&self, event: &DomainEvent) -> Result<PutEventsRequestEntry, SinkError> {
        let detail = serde_json::to_string(event).map_err(|e| self.error(e.to_string()))?;
        Ok(PutEventsRequestEntry::builder()
            .event_bus_name(&*self.bus)
            .source(DOMAIN_SOURCE)
            .detail_type(event.detail_type())
            .detail(detail)
            .build())
    }

    /// PutEvents answers 200 with errors inside: those entries are sent again.
    async fn send_entries(&self, mut entries: Vec<PutEventsRequestEntry>) -> Result<(), SinkError> {
        let mut backoff = EFFECT.start();
        loop {
            let request = self.eventbridge.put_events().set_entries(Some(entries.clone()));
            let sent = persist(&self.stats, || request.clone().send()).await;
            let answer = sent.map_err(|error| self.error(explain(&error)))?;
            let accepted =
                entries.len() as u64 - u64::from(answer.failed_entry_count.unsigned_abs());
            self.stats.domain_events.fetch_add(accepted, Relaxed);
            let failed: Vec<(PutEventsRequestEntry, PutEventsResultEntry)> = entries
                .into_iter()
                .zip(answer.entries.unwrap_or_default())
                .filter(|(_, result)| result.error_code.is_some())
                .collect();
            let Some((_, first)) = failed.first() else { return Ok(()) };
            if !backoff.wait().await {
                let code = first.error_code.as_deref().unwrap_or("unknown code");
                let message = first.error_message.as_deref().unwrap_or("no message");
                return Err(self.error(format!("{code}: {message}")));
            }
            self.stats.retries.fetch_add(1, Relaxed);
            entries = failed.into_iter().map(|(entry, _)| entry).collect();
        }
    }

    fn error(&self, reason: String) -> SinkError {
        SinkError::Aws { operation: "PutEvents", target: self.bus.to_string(), reason }
    }
}

/// Cuts entries into calls, in their order.
fn calls(entries: Vec<PutEventsRequestEntry>) -> Vec<Vec<PutEventsRequestEntry>> {
    let mut calls: Vec<Vec<PutEventsRequestEntry>> = Vec::new();
    let mut call_bytes = 0;
    for entry in entries {
        let bytes = size_bytes(&entry);
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

/// The size of an entry as EventBridge counts it.
fn size_bytes(entry: &PutEventsRequestEntry) -> usize {
    let texts = [&entry.source, &entry.detail_type, &entry.detail];
    texts.into_iter().flatten().map(String::len).sum()
}
