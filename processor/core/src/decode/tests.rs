mod facts;
mod rejections;
mod samples;
mod schema;
mod usual;
mod wrapped;

use super::{DecodeLimits, Decoder, Event, Rejection, decode};
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
