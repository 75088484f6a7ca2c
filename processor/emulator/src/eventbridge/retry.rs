//! Deliveries that failed, until they succeed or are given up.
//!
//! A delivery is tried once before its `PutEvents` is answered. If that fails it is put in a file
//! and repeated from there, so that what was accepted also outlives the process.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::target::Destination;
use crate::error::StartError;
use crate::journal::Journal;

/// Deliveries that may wait, and the bytes they may have together; more are given up at once.
const WAITING_MAX: usize = 10_000;
const WAITING_BYTES_MAX: usize = 64 << 20;

/// The first pause; each further one is twice as long, up to the longest.
const PAUSE_MS: i64 = 1_000;
const PAUSE_MS_MAX: i64 = 60_000;

/// One event on its way to one target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Delivery {
    pub(super) destination: Destination,
    pub(super) payload: String,
    pub(super) retries_left: u32,
    pub(super) age_s_max: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Waiting {
    delivery: Delivery,
    since_ms: i64,
    pause_ms: i64,
    due_ms: i64,
}

#[derive(Serialize, Deserialize)]
enum Frame {
    /// A delivery waits under this number.
    Waits(u64, Waiting),
    /// The delivery of this number is over.
    Over(u64),
}

/// The waiting deliveries.
#[derive(Debug, Default)]
pub(super) struct Retries {
    waiting: BTreeMap<u64, Waiting>,
    next: u64,
    journal: Option<Journal>,
    /// Deliveries given up since the start.
    pub(super) given_up: u64,
}

impl Retries {
    /// Opens the deliveries that waited when the process ended.
    pub(super) fn open(dir: Option<&Path>) -> Result<Self, StartError> {
        let mut retries = Self::default();
        let Some(dir) = dir else { return Ok(retries) };
        let path = dir.join("events-waiting.log");
        let journal = Journal::open(path.clone(), |frame| match serde_json::from_slice(frame) {
            Ok(Frame::Waits(number, waiting)) => {
                retries.next = retries.next.max(number + 1);
                retries.waiting.insert(number, waiting);
            }
            Ok(Frame::Over(number)) => drop(retries.waiting.remove(&number)),
            Err(error) => tracing::warn!(%error, "a waiting delivery is unreadable"),
        });
        retries.journal = Some(journal.map_err(|reason| StartError::State { path, reason })?);
        Ok(retries)
    }

    /// Returns how many deliveries wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes a delivery that has failed once.
    pub(super) fn add(&mut self, delivery: Delivery, now_ms: i64) {
        let bytes: usize = self.waiting.values().map(|one| one.delivery.payload.len()).sum();
        let full = self.waiting.len() >= WAITING_MAX || bytes >= WAITING_BYTES_MAX;
        if full || delivery.retries_left == 0 {
            self.give_up(&delivery.destination);
            return;
        }
        let waiting = Waiting {
            delivery,
            since_ms: now_ms,
            pause_ms: PAUSE_MS,
            due_ms: now_ms.saturating_add(PAUSE_MS),
        };
        let number = self.next;
        self.next += 1;
        self.write(&Frame::Waits(number, waiting.clone()));
        self.waiting.insert(number, waiting);
    }

    /// Returns the deliveries that are due, with their numbers.
    pub(super) fn due(&self, now_ms: i64) -> Vec<(u64, Delivery)> {
        let due = self.waiting.iter().filter(|(_, waiting)| waiting.due_ms <= now_ms);
        due.map(|(number, waiting)| (*number, waiting.delivery.clone())).collect()
    }

    /// A delivery has succeeded.
    pub(super) fn succeeded(&mut self, number: u64) {
        self.end(number);
    }

    /// A delivery has failed once more.
    pub(super) fn failed(&mut self, number: u64, now_ms: i64) {
        let Some(waiting) = self.waiting.get_mut(&number) else { return };
        waiting.delivery.retries_left -= 1;
        let old = now_ms - waiting.since_ms >= waiting.delivery.age_s_max * 1_000;
        if old || waiting.delivery.retries_left == 0 {
            let destination = waiting.delivery.destination.clone();
            self.end(number);
            self.give_up(&destination);
            return;
        }
        waiting.pause_ms = (2 * waiting.pause_ms).min(PAUSE_MS_MAX);
        waiting.due_ms = now_ms.saturating_add(waiting.pause_ms);
    }

    /// A delivery can never succeed.
    pub(super) fn give_up(&mut self, destination: &Destination) {
        self.given_up += 1;
        tracing::warn!(?destination, "an event is given up, there is no dead-letter queue here");
    }

    fn end(&mut self, number: u64) {
        self.waiting.remove(&number);
        if let (true, Some(journal)) = (self.waiting.is_empty(), &mut self.journal) {
            if let Err(error) = journal.replace(std::iter::empty()) {
                tracing::warn!(%error, "the file of waiting deliveries is not emptied");
            }
        } else {
            self.write(&Frame::Over(number));
        }
    }

    fn write(&mut self, frame: &Frame) {
        let Some(journal) = &mut self.journal else { return };
        let bytes = serde_json::to_vec(frame).expect("frames of texts and numbers are JSON");
        if let Err(error) = journal.append(&bytes) {
            tracing::warn!(%error, "a waiting delivery is not stored");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(payload: &str, retries_left: u32) -> Delivery {
        let destination = Destination::Topic { arn: "arn".to_owned() };
        Delivery { destination, payload: payload.to_owned(), retries_left, age_s_max: 100 }
    }

    #[test]
    fn pauses_grow_and_end_with_the_attempts() {
        let mut retries = Retries::default();
        retries.add(delivery("a", 3), 0);
        assert!(retries.due(999).is_empty());
        let mut now_ms = 0;
        let mut attempts = Vec::new();
        while retries.len() > 0 {
            now_ms += 1_000;
            for (number, _) in retries.due(now_ms) {
                attempts.push(now_ms);
                retries.failed(number, now_ms);
            }
        }
        assert_eq!(attempts, [1_000, 3_000, 7_000]);
        assert_eq!(retries.given_up, 1);
    }

    #[test]
    fn a_delivery_is_given_up_when_it_is_too_old() {
        let mut retries = Retries::default();
        retries.add(delivery("a", 185), 0);
        let (number, _) = retries.due(100_000)[0].clone();
        retries.failed(number, 100_000);
        assert_eq!((retries.len(), retries.given_up), (0, 1));
    }

    #[test]
    fn waiting_deliveries_survive_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let mut retries = Retries::open(Some(dir.path())).unwrap();
        for payload in ["a", "b", "c"] {
            retries.add(delivery(payload, 9), 0);
        }
        retries.succeeded(1);
        drop(retries);
        let mut retries = Retries::open(Some(dir.path())).unwrap();
        let payloads: Vec<String> =
            retries.due(i64::MAX).into_iter().map(|(_, due)| due.payload).collect();
        assert_eq!(payloads, ["a", "c"]);
        retries.succeeded(0);
        retries.succeeded(2);
        retries.add(delivery("d", 9), 0);
        drop(retries);
        assert_eq!(Retries::open(Some(dir.path())).unwrap().len(), 1);
    }
}
