mod facts;
mod rejections;
mod samples;
mod usual;

use super::{DecodeLimits, Decoder, Event, Rejection, decode, lines};
use kinesis_model::EpochMs;

/// 2025-06-01T12:00:00Z, the arrival time of every line here.
const ARRIVAL: EpochMs = EpochMs(1_748_779_200_000);

/// Reads a line by itself, and twice by a decoder that learns, which must say the same.
fn read(line: &str) -> Result<Event<'_>, Rejection> {
    let alone = decode(line.as_bytes(), ARRIVAL, &DecodeLimits::default());
    let mut decoder = Decoder::new(DecodeLimits::default());
    for _ in 0..2 {
        assert_eq!(decoder.decode(line.as_bytes(), ARRIVAL), alone);
    }
    alone
}

fn split(data: &str) -> Vec<&str> {
    lines(data.as_bytes()).map(|line| std::str::from_utf8(line).unwrap()).collect()
}

#[test]
fn data_splits_at_newlines_and_blank_lines_do_not_count() {
    for (data, expected) in [
        ("{}", vec!["{}"]),
        ("{}\n", vec!["{}"]),
        ("{\"a\":1}\r\n\n \t\r\n{\"b\":2}\n\n", vec!["{\"a\":1}\r", "{\"b\":2}"]),
        ("\n\nx", vec!["x"]),
        ("", vec![""]),
        (" \r\n\n", vec![" \r\n\n"]),
    ] {
        assert_eq!(split(data), expected, "{data:?}");
    }
}

#[test]
fn a_record_without_content_is_rejected_once() {
    let rejections: Vec<_> =
        split(" \n ").into_iter().map(|line| read(line).unwrap_err()).collect();
    let texts: Vec<_> = rejections.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["not_json: the text ends where a value is due at byte 3"]);
}
