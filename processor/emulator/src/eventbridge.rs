//! EventBridge: buses, rules with delivery to Kinesis and SNS, archives and replays.
//!
//! `PutEvents` answers once every matching rule's targets have the event, or it waits in a file for
//! its next attempt. There are no schedules, no dead-letter queues and no other buses as targets.

mod archive;
mod archiving;
mod bus;
mod event;
mod pattern;
mod replay;
mod retry;
mod target;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::response::Response;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::StartError;
use crate::eventbridge::archive::{ArchiveSpec, Tape};
use crate::eventbridge::bus::{Buses, invalid};
use crate::eventbridge::event::{ENTRIES_MAX, Entry, Event, REQUEST_BYTES_MAX};
use crate::eventbridge::pattern::Pattern;
use crate::eventbridge::replay::{ReplayState, Replays};
use crate::eventbridge::retry::{Delivery, Retries};
use crate::eventbridge::target::Destination;
use crate::journal;
use crate::kinesis::Kinesis;
use crate::service::{AwsError, Call, Shared, json_response};
use crate::sns::Sns;
use crate::tags::{self, Tag, Words};

/// Between two looks at waiting deliveries, replays and expired archives.
const TICK_MS: u64 = 1_000;

/// Refusals of a target that pass. A missing target or a refused size stays so.
const PASSING: [&str; 3] =
    ["LimitExceededException", "ProvisionedThroughputExceededException", "ResourceInUseException"];

/// Events that a replay sends before others get their turn.
const REPLAYED_AT_ONCE: usize = 500;

/// The service.
#[derive(Debug)]
pub(crate) struct EventBridge {
    shared: Arc<Shared>,
    kinesis: Arc<Kinesis>,
    sns: Arc<Sns>,
    /// Whether `PutEvents` takes the sources that AWS keeps for its own services.
    admit_aws_sources: bool,
    file: Option<PathBuf>,
    inner: Mutex<Inner>,
    /// Held during a tick, so that no delivery is repeated twice at a time.
    ticking: Mutex<()>,
}

#[derive(Debug)]
struct Inner {
    book: Book,
    tapes: BTreeMap<String, Tape>,
    retries: Retries,
    expired_ms: i64,
}

/// The settings, which change seldom; written whole at each change.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Book {
    buses: Buses,
    archives: BTreeMap<String, ArchiveSpec>,
    replays: Replays,
}

/// `PutEvents`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct PutEvents {
    entries: Vec<Entry>,
}

/// `TestEventPattern`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct TestEventPattern {
    event_pattern: String,
    event: String,
}

/// EventBridge's codes.
const TAG_WORDS: Words =
    Words { invalid: "ValidationException", too_many: "LimitExceededException" };

/// `TagResource`, `UntagResource`, `ListTagsForResource`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct TagInput {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
    tags: Vec<Tag>,
    tag_keys: Vec<String>,
}

fn read<T: DeserializeOwned>(call: &Call) -> Result<T, AwsError> {
    let body = if call.body.is_empty() { b"{}".as_slice() } else { &call.body };
    serde_json::from_slice(body)
        .map_err(|error| AwsError::bad_request("SerializationException", error.to_string()))
}

impl EventBridge {
    /// Opens the stored buses, archives and waiting deliveries.
    pub(crate) fn open(
        shared: Arc<Shared>,
        kinesis: Arc<Kinesis>,
        sns: Arc<Sns>,
        admit_aws_sources: bool,
    ) -> Result<Arc<Self>, StartError> {
        let dir = shared.state_dir.as_deref();
        let file = dir.map(|dir| dir.join("events.json"));
        let book: Book = journal::read_json(file.as_deref())?;
        let tapes = book.archives.keys();
        let tapes = tapes.map(|name| Ok((name.clone(), Tape::open(dir, name)?)));
        let tapes = tapes.collect::<Result<_, StartError>>()?;
        let retries = Retries::open(dir)?;
        let inner = Mutex::new(Inner { book, tapes, retries, expired_ms: 0 });
        let ticking = Mutex::new(());
        let this = Arc::new(Self { shared, kinesis, sns, admit_aws_sources, file, inner, ticking });
        let (clock, weak) = (this.shared.clock.clone(), Arc::downgrade(&this));
        this.shared.spawn(async move {
            loop {
                clock.sleep(TICK_MS).await;
                loop {
                    let Some(this) = weak.upgrade() else { return };
                    if !this.tick() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
        });
        Ok(this)
    }

    /// Answers one call.
    pub(crate) async fn call(&self, call: Call) -> Response {
        match self.answer(&call).and_then(|output| self.keep_tags(&call, output)) {
            Ok(output) => json_response(output.to_string()),
            Err(error) => error.json_response(),
        }
    }

    fn answer(&self, call: &Call) -> Result<Value, AwsError> {
        let (shared, now_ms) = (&*self.shared, self.now_ms());
        let look =
            |look: &dyn Fn(&mut Book) -> Result<Value, AwsError>| look(&mut self.lock().book);
        match call.operation.as_str() {
            "PutEvents" => self.put_events(&read(call)?),
            "TestEventPattern" => test_pattern(&read(call)?),
            "CreateEventBus" => {
                let input = read(call)?;
                self.change(|book| book.buses.create(input, shared, now_ms))
            }
            "DescribeEventBus" => {
                let input = read(call)?;
                look(&|book| book.buses.describe(&input, shared))
            }
            "ListEventBuses" => Ok(self.lock().book.buses.list(&read(call)?, shared)),
            "DeleteEventBus" => {
                let input = read(call)?;
                self.change(|book| book.buses.delete(&input))
            }
            "PutRule" => {
                let input = read(call)?;
                self.change(|book| book.buses.put_rule(input, shared))
            }
            "DescribeRule" => {
                let input = read(call)?;
                look(&|book| book.buses.describe_rule(&input, shared))
            }
            "ListRules" => {
                let input = read(call)?;
                look(&|book| book.buses.list_rules(&input, shared))
            }
            "EnableRule" | "DisableRule" => {
                let (input, enabled) = (read(call)?, call.operation == "EnableRule");
                self.change(|book| book.buses.switch_rule(&input, enabled))
            }
            "DeleteRule" => {
                let input = read(call)?;
                self.change(|book| book.buses.delete_rule(&input))
            }
            "PutTargets" => {
                let input = read(call)?;
                self.change(|book| book.buses.put_targets(input))
            }
            "ListTargetsByRule" => {
                let input = read(call)?;
                look(&|book| book.buses.list_targets(&input))
            }
            "RemoveTargets" => {
                let input = read(call)?;
                self.change(|book| book.buses.remove_targets(&input))
            }
            "TagResource" | "UntagResource" | "ListTagsForResource" => self.answer_tags(call),
            _ => self.answer_archives(call),
        }
    }

    /// Tags that came with a new bus or rule, and the end of those of a deleted one.
    fn keep_tags(&self, call: &Call, output: Value) -> Result<Value, AwsError> {
        let tags = &self.shared.tags;
        match call.operation.as_str() {
            "CreateEventBus" | "PutRule" => {
                let arn = output.get("EventBusArn").or_else(|| output.get("RuleArn"));
                let given = tags::from_list(read::<TagInput>(call)?.tags);
                tags.add(arn.and_then(Value::as_str).unwrap_or_default(), given, TAG_WORDS)?;
            }
            "DeleteEventBus" | "DeleteRule" => {
                tags.forget(&bus::arn_of(&read(call)?, &call.operation, &self.shared))?;
            }
            _ => {}
        }
        Ok(output)
    }

    /// Tags of buses and rules.
    fn answer_tags(&self, call: &Call) -> Result<Value, AwsError> {
        let input: TagInput = read(call)?;
        let (arn, tags) = (&input.resource_arn, &self.shared.tags);
        if !self.lock().book.buses.has_arn(arn, &self.shared) {
            return Err(bus::absent(format!("Resource {arn} does not exist.")));
        }
        match call.operation.as_str() {
            "TagResource" => tags.add(arn, tags::from_list(input.tags), TAG_WORDS)?,
            "UntagResource" => tags.remove(arn, &input.tag_keys)?,
            _ => return Ok(json!({"Tags": tags::to_list(tags.of(arn))})),
        }
        Ok(json!({}))
    }

    fn put_events(&self, input: &PutEvents) -> Result<Value, AwsError> {
        let entries = &input.entries;
        if entries.is_empty() || entries.len() > ENTRIES_MAX {
            let bound = if entries.is_empty() {
                "greater than or equal to 1"
            } else {
                "less than or equal to 10"
            };
            return Err(invalid(format!(
                "1 validation error detected: Value at 'entries' failed to satisfy constraint: \
                 Member must have length {bound}"
            )));
        }
        if entries.iter().map(Entry::size_bytes).sum::<usize>() >= REQUEST_BYTES_MAX {
            return Err(invalid("Total size of the entries in the request is over the limit."));
        }
        let mut results = Vec::with_capacity(entries.len());
        let mut failed = 0;
        for entry in entries {
            results.push(match self.put_event(entry)? {
                Ok(id) => json!({"EventId": id}),
                Err((code, message)) => {
                    failed += 1;
                    json!({"ErrorCode": code, "ErrorMessage": message})
                }
            });
        }
        Ok(json!({"FailedEntryCount": failed, "Entries": results}))
    }

    /// Archives and delivers one event: its id, or why it is refused.
    fn put_event(&self, entry: &Entry) -> Result<Result<String, event::Refusal>, AwsError> {
        let event = match entry.accept(&self.shared, self.admit_aws_sources) {
            Ok(event) => event,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let bus = entry.bus();
        let deliveries = {
            let mut inner = self.lock();
            let Inner { book, tapes, .. } = &mut *inner;
            if !book.buses.has(bus) {
                // AWS takes and loses it: https://github.com/aws/aws-sdk/issues/186.
                tracing::warn!(bus, "an event for a bus that is not there is lost, as on AWS");
                return Ok(Ok(event.id));
            }
            for (name, archive) in &book.archives {
                if let (true, Some(tape)) = (archive.takes(bus, &event), tapes.get_mut(name)) {
                    tape.append(&event).map_err(|error| not_stored(&error))?;
                }
            }
            book.buses.route(bus, &event, &[], &self.shared)
        };
        self.send(deliveries);
        Ok(Ok(event.id))
    }

    /// Delivers, or keeps for a later attempt.
    fn send(&self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            match self.attempt(&delivery) {
                Outcome::Delivered => {}
                Outcome::Failed => self.lock().retries.add(delivery, self.now_ms()),
                Outcome::Hopeless => self.lock().retries.give_up(&delivery.destination),
            }
        }
    }

    fn attempt(&self, delivery: &Delivery) -> Outcome {
        let sent = match &delivery.destination {
            Destination::Stream { name, partition_key } => {
                self.kinesis.put(name, partition_key, delivery.payload.as_bytes()).map(drop)
            }
            Destination::Topic { arn } => self.sns.publish(arn, None, &delivery.payload).map(drop),
        };
        match sent {
            Ok(()) => Outcome::Delivered,
            Err(error) => {
                tracing::debug!(%error, destination = ?delivery.destination, "not delivered");
                let passing = error.status >= 500 || PASSING.contains(&error.code);
                if passing { Outcome::Failed } else { Outcome::Hopeless }
            }
        }
    }

    /// Repeats what is due, sends a part of every replay and lets archives expire. Returns whether
    /// a replay has more to send.
    pub(crate) fn tick(&self) -> bool {
        let _turn = self.ticking.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.now_ms();
        let due = self.lock().retries.due(now_ms);
        for (number, delivery) in due {
            let outcome = self.attempt(&delivery);
            let mut inner = self.lock();
            match outcome {
                Outcome::Delivered => inner.retries.succeeded(number),
                Outcome::Failed => inner.retries.failed(number, now_ms),
                Outcome::Hopeless => {
                    inner.retries.succeeded(number);
                    inner.retries.give_up(&delivery.destination);
                }
            }
        }
        self.expire_archives(now_ms);
        let active = self.lock().book.replays.active();
        for (name, replay) in &active {
            self.replay_part(name, replay, now_ms);
        }
        !active.is_empty()
    }

    fn replay_part(&self, name: &str, replay: &replay::Replay, now_ms: i64) {
        let read = {
            let inner = self.lock();
            let tape = inner.tapes.get(&replay.archive);
            tape.map(|tape| tape.read(replay.from, replay.to, REPLAYED_AT_ONCE))
        };
        let progress = match read {
            Some(Ok((events, next))) => {
                let events = events.iter().filter(|event| replay.covers(event.time_s));
                let events: Vec<Event> = events.map(|event| event.replayed(name)).collect();
                let bus = event::bus_name(Some(&replay.destination.arn));
                for event in &events {
                    let only = &replay.destination.filter_arns;
                    let routed = self.lock().book.buses.route(bus, event, only, &self.shared);
                    self.send(routed);
                }
                Some((next, events.iter().map(|event| event.time_s).max()))
            }
            Some(Err(error)) => {
                tracing::warn!(replay = name, %error, "the archive cannot be read");
                None
            }
            None => None,
        };
        let noted = self.change(|book| {
            match progress {
                Some((next, last_s)) => book.replays.advance(name, next, last_s, now_ms),
                None => book.replays.finish(name, ReplayState::Failed, now_ms),
            }
            Ok(())
        });
        if let Err(error) = noted {
            tracing::warn!(replay = name, %error, "the replay's progress is not stored");
        }
    }

    /// Returns how many deliveries wait and how many were given up, as a JSON document.
    pub(crate) fn report(&self) -> String {
        let inner = self.lock();
        json!({"waiting": inner.retries.len(), "givenUp": inner.retries.given_up}).to_string()
    }

    /// Changes what is kept in the file and writes it.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Book) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        let mut inner = self.lock();
        let output = change(&mut inner.book)?;
        journal::write_json(self.file.as_deref(), &inner.book)
            .map_err(|error| not_stored(&error))?;
        Ok(output)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.shared.clock.now_ms()).unwrap_or(i64::MAX)
    }
}

/// How an attempt to deliver went.
enum Outcome {
    /// The target has the event.
    Delivered,
    /// It may succeed later.
    Failed,
    /// It never will.
    Hopeless,
}

fn not_stored(error: &std::io::Error) -> AwsError {
    let message = format!("the state could not be stored: {error}");
    AwsError { status: 500, code: "InternalException", message }
}

fn test_pattern(input: &TestEventPattern) -> Result<Value, AwsError> {
    let pattern = Pattern::parse(&input.event_pattern)?;
    let event: Option<Value> = serde_json::from_str(&input.event).ok();
    let members = ["id", "account", "source", "time", "region", "resources", "detail-type"];
    let complete =
        event.is_some_and(|event| members.iter().all(|member| event.get(member).is_some()));
    if !complete {
        let reason = "Parameter Event is not valid. Reason: it is not an event in JSON.";
        return Err(invalid(reason));
    }
    Ok(json!({"Result": pattern.matches(&input.event)}))
}
