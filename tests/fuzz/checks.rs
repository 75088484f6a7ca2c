//! The properties of any bytes from outside: of a record, a line, an aggregate, a line of an archive,
//! a stored sketch, a stored item, the configuration. Each check panics where it does not hold.

#![allow(dead_code, reason = "a fuzz target uses one of them")]

#[path = "checks/cmcd.rs"]
pub(crate) mod cmcd;
#[path = "checks/configuration.rs"]
pub(crate) mod configuration;
#[path = "checks/framing.rs"]
pub(crate) mod framing;
#[path = "checks/rows.rs"]
pub(crate) mod rows;

use bytes::Bytes;
use ivs_core::archive::{object, parse_line};
use ivs_core::columns::{COLUMNS, cells};
use ivs_core::decode::{Context, DecodeLimits, Decoder, Event};
use ivs_core::merge::Merge as _;
use ivs_core::sketch::{Distinct, Quantiles};
use ivs_core::window::WindowFold;
use kinesis_model::EpochMs;
use kinesis_model::kpl::{Aggregate, MAGIC, aggregate, deaggregate};
use md5::{Digest as _, Md5};

/// 2026-03-01T12:00:00Z, when the samples arrived.
const ARRIVAL: EpochMs = EpochMs(1_772_366_400_000);

/// Checks that accepted bytes are JSON, the same whatever was read before, and can be folded; what
/// is not has a reason. Nothing is handed out twice.
pub(crate) fn decode(data: &[u8]) {
    let fresh = read(&mut Decoder::new(DecodeLimits::default()), data, true);
    assert!(!fresh.is_empty() || data.is_empty(), "nothing is said of the record");
    let mut decoder = Decoder::new(DecodeLimits::default());
    for _ in 0..2 {
        assert_eq!(fresh, read(&mut decoder, data, false));
    }
}

/// Returns each piece with what is said of it.
fn read(decoder: &mut Decoder, data: &[u8], is_folded: bool) -> Vec<(Vec<u8>, String)> {
    let (mut pieces, mut end) = (Vec::new(), data.as_ptr_range().start);
    let read = decoder.read(data, &Context::from(ARRIVAL), |piece, decoded| {
        let (whole, part) = (data.as_ptr_range(), piece.as_ptr_range());
        if whole.contains(&part.start) {
            assert!(end <= part.start, "pieces overlap");
            end = part.end;
        }
        match decoded {
            Ok(event) => {
                let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(piece);
                assert!(parsed.is_ok(), "accepted, but {parsed:?}");
                if is_folded {
                    fold(event);
                }
            }
            Err(rejection) => assert!(!rejection.to_string().is_empty()),
        }
        pieces.push((piece.to_vec(), format!("{decoded:?}")));
        Ok::<(), std::convert::Infallible>(())
    });
    let Ok(()) = read;
    pieces
}

/// Returns the lines of a text.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty())
}

fn fold(event: &Event<'_>) {
    let mut windows = WindowFold::default();
    for _ in 0..2 {
        match event {
            Event::Gauge(gauge) => windows.add_gauge(gauge),
            Event::Player(sample) => windows.add_player(sample),
            Event::Chat(message) => windows.add_chat(message),
            Event::Fact(_) => return,
        }
    }
    let rows = windows.drain();
    let [(key, agg)] = &rows[..] else { panic!("{} rows of one event", rows.len()) };
    assert_eq!(agg.records, 2);
    assert_eq!(cells(key, agg).len(), COLUMNS.len());
}

/// Any bytes are a plain record, a broken aggregate, or one whose records make the same aggregate.
/// The bytes are tried as they are, and as the message of an aggregate whose checksum is right.
pub(crate) fn kpl(data: &[u8]) {
    let sealed = [&MAGIC[..], data, &Md5::digest(data)[..]].concat();
    for data in [Bytes::copy_from_slice(data), sealed.into()] {
        let Aggregate::Records(records) = deaggregate(&data) else { continue };
        let parts: Vec<_> = records
            .iter()
            .map(|record| (&*record.partition_key, record.explicit_hash_key, &record.data[..]))
            .collect();
        let again = deaggregate(&aggregate(&parts).into());
        assert_eq!(again, Aggregate::Records(records));
    }
}

/// A line that is read is read the same when it is written again.
pub(crate) fn segment(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok((record, range)) = parse_line(line) {
            let again = parse_line(object(&record, range).to_string().as_bytes());
            assert_eq!(again.expect("it was written by us"), (record, range));
        }
    }
}

/// A sketch that is read is written as the same bytes, can be asked and merged.
pub(crate) fn sketch(data: &[u8]) {
    if let Ok(mut players) = Distinct::from_bytes(data) {
        assert_eq!(players.to_bytes().as_deref(), Some(data));
        let before = players.clone();
        players.merge(&before);
        assert_eq!(players, before, "a set united with itself");
    }
    if let Ok(mut latency) = Quantiles::from_bytes(data) {
        assert_eq!(latency.to_bytes().as_deref(), Some(data));
        let ps = [0.0, 0.5, 0.95, 1.0];
        let asked = ps.map(|p| latency.quantile_ms(p).expect("it is not empty"));
        assert!(asked.is_sorted(), "{asked:?}");
        assert!(latency.min_ms().is_some_and(|min| min <= asked[0]));
        assert!(latency.max_ms().is_some_and(|max| max >= asked[3]));
        let before = latency.clone();
        latency.merge(&before);
        assert_eq!(latency.quantile_ms(1.0), Some(asked[3]));
    }
}
