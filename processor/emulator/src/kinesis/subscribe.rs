//! SubscribeToShard: records pushed over an event stream.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, header};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use super::Kinesis;
use super::ids::{self, Cursor};
use super::limits::drain_ms;
use super::read::{self, Page, Reach, Start};
use super::stream::Stream;
use super::subscriptions::LIFE_MS;
use super::wire;
use crate::clock::Clock;
use crate::service::AwsError;

/// About how often an event comes when there are no records.
const BEAT_MS: u64 = 5_000;

/// The records of one event: one second's worth at the rate that AWS pushes is 2 MiB.
const EVENT_RECORDS: usize = 10_000;
const EVENT_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    #[serde(rename = "ConsumerARN")]
    consumer_arn: String,
    shard_id: String,
    starting_position: Position,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Position {
    r#type: String,
    sequence_number: Option<String>,
    timestamp: Option<f64>,
}

/// A running subscription: pulled by the connection, so a slow reader slows only itself.
struct Subscription {
    clock: Clock,
    limits: bool,
    stream: Arc<Stream>,
    consumer: String,
    shard: u32,
    generation: u64,
    cursor: Cursor,
    ends_ms: u64,
    bell: watch::Receiver<()>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The `initial-response` is due.
    Hello,
    /// An event is due even without records.
    Beat,
    /// An event is due when there are records.
    Wait,
    /// The last event has gone out.
    Over,
}

impl Kinesis {
    pub(super) fn subscribe_to_shard(&self, body: &[u8]) -> Result<Response, AwsError> {
        let request: Request = wire::parse(body)?;
        let arn = &request.consumer_arn;
        let name = wire::stream_name(None, Some(arn))?;
        let now_ms = self.shared.clock.now_ms();
        let stream = self.stream(name)?;
        let mut state = stream.lock_usable(now_ms)?;
        let consumer = super::consumers::find(&state.meta, None, Some(arn))
            .ok_or_else(|| super::consumers::not_found(&stream, arn))?;
        let shard = stream.shard(&state, &request.shard_id, now_ms)?;
        let position = &request.starting_position;
        let start = Start {
            kind: &position.r#type,
            field: "SequenceNumber",
            sequence: position.sequence_number.as_deref(),
            timestamp: position.timestamp,
        };
        let cursor = start.resolve(&stream, &state, shard, now_ms)?;
        let generation = state.subscriptions.start(&consumer, shard, now_ms).ok_or_else(|| {
            let shard = &request.shard_id;
            wire::in_use(format!(
                "Another active subscription exists for this consumer: {consumer} and shard: \
                     {shard}"
            ))
        })?;
        drop(state);
        // The subscription before this one ends now.
        stream.bell.send_replace(());
        let subscription = Subscription {
            clock: self.shared.clock.clone(),
            limits: self.settings.limits,
            bell: stream.bell.subscribe(),
            stream,
            consumer,
            shard,
            generation,
            cursor,
            ends_ms: now_ms + LIFE_MS,
            phase: Phase::Hello,
        };
        let events = stream::unfold(subscription, |mut subscription| async {
            let event = subscription.next().await?;
            Some((Ok::<_, io::Error>(event), subscription))
        });
        let mut response = Response::new(Body::from_stream(events));
        let kind = HeaderValue::from_static("application/vnd.amazon.eventstream");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        Ok(response)
    }
}

impl Subscription {
    /// Returns the next message, or `None` when the subscription has ended.
    async fn next(&mut self) -> Option<Bytes> {
        if self.phase == Phase::Hello {
            self.phase = Phase::Beat;
            return Some(message("initial-response", b"{}"));
        }
        let beat_ms = self.clock.now_ms() + BEAT_MS;
        loop {
            if self.phase == Phase::Over || self.clock.now_ms() >= self.ends_ms {
                return None;
            }
            self.bell.borrow_and_update();
            if !self.is_latest() {
                return None;
            }
            let now_ms = self.clock.now_ms();
            let page = read::read(
                &self.stream,
                self.shard,
                self.cursor,
                EVENT_RECORDS,
                EVENT_BYTES,
                now_ms,
            );
            // The stream is deleted, or its file unreadable: the subscription just ends, and a new
            // one is told why.
            let page = page.ok()?;
            self.cursor = page.next;
            let at_end = matches!(page.reach, Reach::ShardEnd { .. });
            if page.count > 0 || at_end || self.phase == Phase::Beat {
                self.phase = if at_end { Phase::Over } else { Phase::Wait };
                if self.limits {
                    self.clock.sleep(drain_ms(page.bytes)).await;
                }
                return Some(message("SubscribeToShardEvent", self.event(&page).as_bytes()));
            }
            tokio::select! {
                () = self.clock.sleep_until(self.ends_ms) => return None,
                () = self.clock.sleep_until(beat_ms) => self.phase = Phase::Beat,
                rung = self.bell.changed() => rung.ok()?,
            }
        }
    }

    fn is_latest(&self) -> bool {
        let state = self.stream.lock();
        state.subscriptions.is_latest(&self.consumer, self.shard, self.generation)
            && state.meta.consumers.contains_key(&self.consumer)
    }

    fn event(&self, page: &Page) -> String {
        let (records, behind_ms) = (&page.json, page.reach.behind_ms());
        let rest = match &page.reach {
            Reach::ShardEnd { children } => json!({"ChildShards": children}),
            Reach::More { .. } | Reach::Tip => {
                // A shard's first number is that of its opening, so there is always one before.
                let first = self.stream.lock().meta.shards.get(&self.shard).map_or(0, |s| s.first);
                let counter = page.next.counter.saturating_sub(1).max(first);
                json!({"ContinuationSequenceNumber": ids::sequence(counter, self.shard)})
            }
        };
        let rest = rest.to_string();
        let rest = rest.trim_start_matches('{');
        format!(r#"{{"Records":[{records}],"MillisBehindLatest":{behind_ms},{rest}"#)
    }
}

/// Returns one message of the event stream: prelude, three text headers, payload, two CRCs.
fn message(event: &str, payload: &[u8]) -> Bytes {
    const TEXT: u8 = 7;
    let mut headers = Vec::new();
    for (name, value) in
        [(":message-type", "event"), (":event-type", event), (":content-type", "application/json")]
    {
        headers.push(u8::try_from(name.len()).expect("header names are short"));
        headers.extend(name.as_bytes());
        headers.push(TEXT);
        headers.extend(u16::try_from(value.len()).expect("header values are short").to_be_bytes());
        headers.extend(value.as_bytes());
    }
    let length = |bytes: usize| u32::try_from(bytes).expect("an event is a few MiB").to_be_bytes();
    let mut out = Vec::with_capacity(16 + headers.len() + payload.len());
    out.extend(length(16 + headers.len() + payload.len()));
    out.extend(length(headers.len()));
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out.extend(headers);
    out.extend(payload);
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out.into()
}
