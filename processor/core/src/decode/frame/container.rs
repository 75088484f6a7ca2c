//! Objects that hold records.
//!
//! CloudWatch Logs hands a subscriber batches of log events, gzipped in Kinesis and plain behind a
//! Firehose that expands them (user guide, "Subscription filters"). The players of the IVS QoS
//! sample post `{"Records":[{"Data":{…}}]}`, which an API without that sample's template passes on.

use super::depth::{Depth, Each};
use crate::decode::fact::{Fact, FactKind, FactOrigin, FactScope};
use crate::decode::flat::word;
use crate::decode::json::{self, Value};
use crate::decode::reject::{Reason, Rejection};
use crate::decode::slots::slots;
use crate::decode::{Context, Decoder, Event};
use kinesis_model::EpochMs;

/// Begins the last part but the file's own of the name of an IVS Chat log.
const ROOM: &str = "room_";
/// The folder of IVS Chat logs.
const CHAT_LOGS: &str = "IVSChatLogs";

slots! {
    Container {
        message_type: "messageType",
        owner: "owner",
        log_stream: "logStream",
        log_events: "logEvents",
        records: "Records",
    }
}

slots! {
    LogEvent {
        timestamp: "timestamp",
        message: "message",
    }
}

slots! {
    Posted {
        data: "Data",
    }
}

/// Returns the room whose log this is, by the name of its log stream or object:
/// `aws/IVSChatLogs/1.0/room_<id>`, `AWSLogs/<account>/IVSChatLogs/<version>/<region>/room_<id>/…`.
#[must_use]
pub fn room_of(name: &str) -> Option<&str> {
    let mut parts = name.split('/').skip_while(|part| *part != CHAT_LOGS);
    let in_folders = parts.find_map(|part| part.strip_prefix(ROOM));
    // An object that was copied out of its folders has them all in its own name.
    let in_own_name = || {
        let (_, own) = name.rsplit('/').next()?.split_once(CHAT_LOGS)?;
        own.split_once(&format!("_{ROOM}"))?.1.split('_').next()
    };
    in_folders.or_else(in_own_name).filter(|room| !room.is_empty())
}

/// Reads the records that `object` holds; `rejection` says what it is if it holds none.
pub(super) fn read<E>(
    decoder: &mut Decoder,
    object: &str,
    rejection: &Rejection,
    context: &Context<'_>,
    each: Each<'_, E>,
) -> Result<(), E> {
    let mut container = Container::EMPTY;
    let message_type = match container.fill(object) {
        Ok(()) => word("messageType", container.message_type()).ok().flatten(),
        Err(_) => None,
    };
    match (message_type.as_deref(), container.log_events(), container.records()) {
        (Some("DATA_MESSAGE"), Value::Array(events), _) if !is_empty(events) => {
            log_events(decoder, object, &container, events, context, each)
        }
        (Some("CONTROL_MESSAGE" | "DATA_MESSAGE"), events, _) => {
            each(object.as_bytes(), Ok(&control(&container, events, context)))
        }
        (None, Value::Null, Value::Array(records)) if are_posted(records) => {
            posted(decoder, object, records, context, each)
        }
        _ => each(object.as_bytes(), Err(rejection)),
    }
}

/// Returns whether an array has no elements.
fn is_empty(array: &str) -> bool {
    array.bytes().all(|byte| !matches!(byte, 0x21..) || matches!(byte, b'[' | b']'))
}

/// CloudWatch Logs trying whether its destination can be reached: a record to be counted only.
fn control(container: &Container<'_>, events: Value<'_>, context: &Context<'_>) -> Event<'static> {
    let mut time = None;
    if let Value::Array(events) = events
        && json::array(events, |event| time = time.or(timestamp(event))).is_err()
    {
        time = None;
    }
    let account = word("owner", container.owner()).ok().flatten().unwrap_or_default().into_owned();
    Event::Fact(Box::new(Fact {
        scope: FactScope::Account { account, region: String::new() },
        time: time.unwrap_or(context.arrival),
        kind: FactKind::Ignored,
        event_id: None,
        origin: FactOrigin::Ivs,
    }))
}

fn timestamp(event: Value<'_>) -> Option<EpochMs> {
    let mut slots = LogEvent::EMPTY;
    match event {
        Value::Object(text) => slots.fill(text).ok()?,
        _ => return None,
    }
    match slots.timestamp() {
        Value::Number(Some(ms)) => Some(EpochMs(ms.micros().div_euclid(1_000_000))),
        _ => None,
    }
}

/// Reads the messages of a batch of log events.
fn log_events<E>(
    decoder: &mut Decoder,
    object: &str,
    container: &Container<'_>,
    events: &str,
    context: &Context<'_>,
    each: Each<'_, E>,
) -> Result<(), E> {
    let stream = word("logStream", container.log_stream()).ok().flatten();
    let room = stream.as_deref().and_then(room_of).or(context.room);
    let context = Context { room, ..*context };
    let (mut result, mut is_refused) = (Ok(()), false);
    let scanned = json::array(events, |event| {
        // One that is not an object is refused with the whole batch, which is kept once for them all.
        let is_object = matches!(event, Value::Object(_));
        if result.is_ok() && (is_object || !is_refused) {
            is_refused |= !is_object;
            result = log_event(decoder, object, event, &context, each);
        }
    });
    match scanned {
        Ok(()) => result,
        Err(fault) => each(object.as_bytes(), Err(&fault.into())),
    }
}

fn log_event<E>(
    decoder: &mut Decoder,
    object: &str,
    event: Value<'_>,
    context: &Context<'_>,
    each: Each<'_, E>,
) -> Result<(), E> {
    let mut slots = LogEvent::EMPTY;
    let message = match event {
        Value::Object(text) if slots.fill(text).is_ok() => slots.message(),
        _ => Value::Null,
    };
    if let Value::Text(message) = message {
        return decoder.other(message.get().as_bytes(), context, Depth::INNER, each);
    }
    let kept = if let Value::Object(text) = event { text } else { object };
    let detail = "a log event of a CloudWatch Logs batch needs it";
    let rejection = Rejection::of_field(Reason::MissingField, "message", detail);
    each(kept.as_bytes(), Err(&rejection))
}

/// Returns whether these are records that players posted: all objects in objects.
fn are_posted(records: &str) -> bool {
    let (mut count, mut others) = (0_usize, 0_usize);
    let scanned = json::array(records, |record| match data(record) {
        Some(_) => count += 1,
        None => others += 1,
    });
    scanned.is_ok() && others == 0 && count > 0
}

/// Reads the records that players posted.
fn posted<E>(
    decoder: &mut Decoder,
    object: &str,
    records: &str,
    context: &Context<'_>,
    each: Each<'_, E>,
) -> Result<(), E> {
    let mut result = Ok(());
    let scanned = json::array(records, |record| {
        if let (Some(data), true) = (data(record), result.is_ok()) {
            result = decoder.other(data.as_bytes(), context, Depth::INNER, each);
        }
    });
    match scanned {
        Ok(()) => result,
        Err(fault) => each(object.as_bytes(), Err(&fault.into())),
    }
}

fn data(record: Value<'_>) -> Option<&str> {
    let mut slots = Posted::EMPTY;
    match record {
        Value::Object(text) => slots.fill(text).ok()?,
        _ => return None,
    }
    match slots.data() {
        Value::Object(data) => Some(data),
        _ => None,
    }
}
