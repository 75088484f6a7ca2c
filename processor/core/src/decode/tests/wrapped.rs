//! What a record is does not hang on how it is packed: alone, compressed, in an aggregate, in a batch
//! of log events, printed, among others.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use kinesis_model::kpl::{Aggregate, aggregate, deaggregate};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::schema::records;
use super::*;

/// The event or the refusal of each part of some data.
fn verdicts(data: &[u8]) -> Vec<Result<String, String>> {
    let mut found = vec![];
    let context = ARRIVAL.into();
    let Ok(()) = Decoder::new(DecodeLimits::default()).read(data, &context, |_, decoded| {
        found.push(match decoded {
            Ok(event) => Ok(format!("{event:?}")),
            Err(rejection) => Err(format!("{:?} {:?}", rejection.reason, rejection.field)),
        });
        Ok::<(), std::convert::Infallible>(())
    });
    found
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(vec![], Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A batch of a CloudWatch Logs subscription with this message twice.
fn log_batch(text: &str) -> Vec<u8> {
    let event = json!({ "id": "1", "timestamp": ARRIVAL.0, "message": text });
    let batch = json!({
        "messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "g", "logStream": "s",
        "subscriptionFilters": ["f"], "logEvents": [event, event],
    });
    gzip(batch.to_string().as_bytes())
}

/// Returns the data of an aggregate's first user record.
fn through_an_aggregate(data: &[u8]) -> Vec<u8> {
    let packed = aggregate(&[("k", None, data)]).into();
    let Aggregate::Records(records) = deaggregate(&packed) else { panic!("it is an aggregate") };
    records[0].data.to_vec()
}

/// Each way to pack a record, and how many times it then is there.
type Way = (&'static str, usize, fn(&Value) -> Vec<u8>);

const WAYS: [Way; 13] = [
    ("printed", 1, |record| serde_json::to_vec_pretty(record).unwrap()),
    ("with a byte order mark", 1, |record| format!("\u{feff}{record}").into_bytes()),
    ("with a line end of Windows", 1, |record| format!("{record}\r\n").into_bytes()),
    ("between blank lines", 1, |record| format!("\n \t\r\n{record}\n\n").into_bytes()),
    ("side by side", 3, |record| record.to_string().repeat(3).into_bytes()),
    ("line by line", 3, |record| format!("{record}\n").repeat(3).into_bytes()),
    ("printed side by side", 2, |record| {
        [serde_json::to_vec_pretty(record).unwrap(), serde_json::to_vec_pretty(record).unwrap()]
            .concat()
    }),
    ("gzip", 1, |record| gzip(record.to_string().as_bytes())),
    ("gzip twice", 1, |record| gzip(&gzip(record.to_string().as_bytes()))),
    ("two members of gzip", 2, |record| {
        [gzip(format!("{record}\n").as_bytes()), gzip(record.to_string().as_bytes())].concat()
    }),
    ("zlib", 1, |record| zlib(record.to_string().as_bytes())),
    ("an aggregate with gzip in it", 1, |record| {
        through_an_aggregate(&gzip(record.to_string().as_bytes()))
    }),
    ("a batch of log events", 2, |record| log_batch(&record.to_string())),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_048))]

    #[test]
    fn a_record_is_the_same_however_it_is_packed(record in records(), way in select(WAYS.to_vec())) {
        let (name, times, pack) = way;
        let alone = verdicts(record.to_string().as_bytes());
        prop_assert_eq!(alone.len(), 1);
        prop_assert_eq!(verdicts(&pack(&record)), vec![alone[0].clone(); times], "{}: {}", name, record);
    }
}

#[test]
fn a_player_of_the_qos_sample_may_post_its_records_in_one_body() {
    let of_qos = |record: &Value| record.get("metric_type").is_some();
    for record in super::schema::samples().into_iter().filter(of_qos) {
        let alone = verdicts(record.to_string().as_bytes());
        let posted = json!({ "Records": [{ "Data": record }, { "Data": record }] });
        assert_eq!(verdicts(posted.to_string().as_bytes()), vec![alone[0].clone(); 2], "{record}");
    }
}
