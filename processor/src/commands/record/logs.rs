//! Log events of a CloudWatch Logs subscription as records of the stream.

use std::io::Read as _;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::producer::send::Outgoing;

/// A subscription's batch is below 6 MB as Lambda takes it; more than this is not one.
const MAX_EXPANDED_BYTES: u64 = 64 << 20;
/// A record holds log events up to this size, which leaves room for its other members below
/// Kinesis's limit of 1 MiB.
const MAX_EVENTS_BYTES: usize = 700 << 10;

/// The members that a worker reads; log events as they came.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    message_type: String,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    log_group: String,
    #[serde(default)]
    log_stream: String,
    log_events: Vec<Value>,
}

/// Returns the records for a batch, each again a batch. Keys follow from what is in them, so that
/// the same batch, sent again, goes to the same shards and is known there. A message that only
/// checks the connection makes none.
///
/// # Errors
/// When it is not what a subscription sends.
pub(super) fn outgoing(data: &str) -> anyhow::Result<Vec<Outgoing>> {
    let packed = STANDARD.decode(data).context("awslogs.data is not base64")?;
    let mut text = Vec::new();
    MultiGzDecoder::new(&packed[..])
        .take(MAX_EXPANDED_BYTES)
        .read_to_end(&mut text)
        .context("awslogs.data is not gzip")?;
    let batch: Batch =
        serde_json::from_slice(&text).context("awslogs.data holds no batch of log events")?;
    if batch.message_type != "DATA_MESSAGE" {
        return Ok(Vec::new());
    }
    let mut records = Vec::new();
    let mut rest = &batch.log_events[..];
    while let Some(first) = rest.first() {
        let mut bytes = 0;
        let fits = |event: &&Value| {
            bytes += event.to_string().len() + 1;
            bytes <= MAX_EVENTS_BYTES
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (events, others) = rest.split_at(count);
        rest = others;
        let id = first["id"].as_str().context("a log event has no id")?;
        let part = Batch {
            message_type: batch.message_type.clone(),
            owner: batch.owner.clone(),
            log_group: batch.log_group.clone(),
            log_stream: batch.log_stream.clone(),
            log_events: events.to_vec(),
        };
        let mut partition_key = format!("{id}:{}", part.log_stream);
        partition_key.truncate(partition_key.floor_char_boundary(MAX_KEY_BYTES));
        records.push(Outgoing {
            partition_key,
            explicit_hash_key: None,
            data: serde_json::to_vec(&part)?,
        });
    }
    Ok(records)
}

/// Kinesis takes keys of up to 256 characters.
const MAX_KEY_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn packed(text: &str) -> String {
        let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        STANDARD.encode(encoder.finish().unwrap())
    }

    fn batch(kind: &str, events: usize, message: &str) -> String {
        let event =
            |n| format!(r#"{{"id":"{n}","timestamp":1774958400000,"message":"{message}"}}"#);
        let events: Vec<String> = (0..events).map(event).collect();
        packed(&format!(
            r#"{{"messageType":"{kind}","owner":"1","logGroup":"g","logStream":"aws/IVSChatLogs/1.0/room_r","subscriptionFilters":["f"],"logEvents":[{}]}}"#,
            events.join(",")
        ))
    }

    #[test]
    fn log_events_keep_their_stream_which_names_the_room() {
        let records = outgoing(&batch("DATA_MESSAGE", 3, "m")).unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].partition_key, "0:aws/IVSChatLogs/1.0/room_r");
        let record: serde_json::Value = serde_json::from_slice(&records[0].data).unwrap();
        assert_eq!(record["logStream"], "aws/IVSChatLogs/1.0/room_r");
        assert_eq!(record["logEvents"][2]["id"], "2");
        assert!(outgoing(&batch("CONTROL_MESSAGE", 1, "m")).unwrap().is_empty());
    }

    #[test]
    fn a_large_batch_is_cut_to_what_kinesis_takes() {
        let records = outgoing(&batch("DATA_MESSAGE", 900, &"x".repeat(3_000))).unwrap();
        assert!(records.len() > 3 && records.iter().all(|one| one.data.len() < 1 << 20));
        let count = |one: &Outgoing| {
            let value: serde_json::Value = serde_json::from_slice(&one.data).unwrap();
            value["logEvents"].as_array().unwrap().len()
        };
        assert_eq!(records.iter().map(count).sum::<usize>(), 900);
    }

    #[test]
    fn what_is_not_a_batch_is_an_error_so_that_it_is_sent_again() {
        for data in ["&".to_owned(), STANDARD.encode("no gzip"), packed("[]")] {
            assert!(outgoing(&data).is_err(), "{data}");
        }
    }
}
