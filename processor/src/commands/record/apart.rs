//! The events of what invoked the function, each as a record of the stream: taken apart by the
//! framing that the worker reads by.

use std::convert::Infallible;

use bytes::Bytes;
use ivs_core::decode::{Context, DecodeLimits, Decoder, Event, Rejection, decode};
use kinesis_model::kpl::{Aggregate, UserRecord, deaggregate};

use crate::clock::now;
use crate::producer::input::{partition_key, with_room};
use crate::producer::member::with_member;
use crate::producer::send::Outgoing;

/// The parts of some data.
#[derive(Debug, Default)]
pub(super) struct Apart {
    /// Events, and what is refused as it is: a worker says what is wrong with it, and keeps it.
    pub(super) records: Vec<Outgoing>,
    /// How many of the records are events.
    pub(super) accepted: usize,
    /// The first refusal.
    pub(super) refused: Option<Rejection>,
}

impl Apart {
    /// Takes data apart whose records get the keys that their producers should give them.
    pub(super) fn by_content(data: &[u8], id: &str) -> Self {
        Self::new(data, id, |event| (partition_key(event), None))
    }

    /// Takes data apart. Keys and ids follow from the data and from `id`, so that what is delivered
    /// again goes to the same shards and is known there.
    fn new(data: &[u8], id: &str, keys: impl Fn(&[u8]) -> (String, Option<u128>)) -> Self {
        let (mut apart, mut parts) = (Self::default(), Vec::new());
        let context = Context::from(now());
        let mut decoder = Decoder::new(DecodeLimits::default());
        let Ok(()) = decoder.read(data, &context, |part, decoded| {
            let part = part.to_vec();
            parts.push(match decoded {
                Ok(event) => {
                    apart.accepted += 1;
                    (true, with_room(part, room_of(event)))
                }
                Err(rejection) => {
                    apart.refused.get_or_insert_with(|| rejection.clone());
                    (false, part)
                }
            });
            Ok::<(), Infallible>(())
        });
        let is_one = parts.len() == 1;
        let outgoing = |(number, (is_event, part)): (usize, (bool, Vec<u8>))| {
            let id = if is_one { id.to_owned() } else { format!("{id}:{number}") };
            let data = if is_event { identified(part, &id) } else { part };
            let (partition_key, explicit_hash_key) = keys(&data);
            Outgoing { partition_key, explicit_hash_key, data }
        };
        apart.records = parts.into_iter().enumerate().map(outgoing).collect();
        apart
    }
}

/// Returns the room of a chat message, which may have stood beside the message and not in it.
fn room_of<'e>(event: &'e Event<'_>) -> Option<&'e str> {
    match event {
        Event::Chat(message) => Some(&message.room_id),
        _ => None,
    }
}

/// Returns what a record of another stream becomes. All aggregates of a producer may have one
/// partition key, because their user records have keys of their own; put as they are they would land
/// in one shard, most of them in the wrong one.
pub(super) fn record(partition_key: &str, id: &str, data: Vec<u8>) -> Vec<Outgoing> {
    let data = Bytes::from(data);
    let parts = |data: &[u8], id: &str, keys: (&str, Option<u128>)| {
        Apart::new(data, id, |_| (keys.0.to_owned(), keys.1)).records
    };
    match deaggregate(&data) {
        Aggregate::Records(records) if !records.is_empty() => {
            let user_record = |record: UserRecord| {
                let keys = (&*record.partition_key, record.explicit_hash_key);
                parts(&record.data, &format!("{id}:{}", record.sub), keys)
            };
            records.into_iter().flat_map(user_record).collect()
        }
        Aggregate::Plain => parts(&data, id, (partition_key, None)),
        // A worker says what is wrong with one that is broken, and keeps it.
        Aggregate::Records(_) | Aggregate::Broken(_) => {
            let (partition_key, data) = (partition_key.to_owned(), data.to_vec());
            vec![Outgoing { partition_key, explicit_hash_key: None, data }]
        }
    }
}

/// Returns an event with an event id, so that it counts once if Lambda delivers it again. One that
/// has an id or needs none stays as it is.
fn identified(line: Vec<u8>, id: &str) -> Vec<u8> {
    let (arrival, limits) = (now(), DecodeLimits::default());
    let lacks_id = |event: &Event<'_>| {
        event.event_id().is_none() && matches!(event, Event::Gauge(_) | Event::Player(_))
    };
    if !decode(&line, arrival, &limits).is_ok_and(|event| lacks_id(&event)) {
        return line;
    }
    let Some(with_id) = with_member(&line, "eventId", id) else { return line };
    let is_known = |line: &[u8]| {
        decode(line, arrival, &limits).is_ok_and(|event| event.event_id() == Some(id))
    };
    if is_known(&with_id) { with_id } else { line }
}
