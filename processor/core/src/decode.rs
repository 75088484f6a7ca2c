//! From bytes to events, or to a rejection with its reason.
//!
//! A Kinesis record (or a user record of a KPL aggregate) holds one JSON object, or several
//! separated by newlines: [`lines`] takes it apart, [`decode`] reads one line. JSON is taken
//! strictly by RFC 8259. Of repeated members the last counts, unknown members are ignored,
//! and `null` is the same as absent.
//!
//! | kind | told by | becomes |
//! |---|---|---|
//! | EventBridge envelope | `detail-type`, `source` `aws.ivs` or another that ends in `.ivs` | [`Event::Fact`] |
//! | application event | `eventType` `stream_start`, `stream_end` | [`Event::Fact`] |
//! | application event | `eventType` `metrics_update` | [`Event::Gauge`] |
//! | IVS Chat log | `event_timestamp`, `type` `MESSAGE` or `EVENT` | [`Event::Chat`] |
//! | IVS QoS sample | `metric_type` `PLAY`, `PLAYBACK_SUMMARY`, `QUALITY_CHANGED`, `STOP` | [`Event::Player`] |
//! | player telemetry | `type` `player_telemetry` | [`Event::Player`] |

mod application;
mod chat;
mod envelope;
mod event;
mod fact;
mod field;
mod flat;
mod json;
mod keys;
mod number;
mod qos;
mod reject;
mod slots;
mod time;
mod usual;

pub use event::{ChatMessage, Event, Gauge, PlayerSample, PlayerState, is_made_up};
pub use fact::{
    AdBreak, AppEnd, AppStart, Fact, FactKind, FactOrigin, FactScope, LimitBreach, Recording,
    RecordingPhase, StageEvent,
};
pub use reject::{Reason, Rejection};

use fearless_simd::Level;

use field::Fields;
use flat::{Flat, Kind};
use kinesis_model::EpochMs;
use usual::Habits;

/// What a line may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Longest line, in bytes. Default 1 MiB: a thousand times the largest event known.
    pub max_line_bytes: usize,
    /// How far an event time may be ahead of the arrival time, in milliseconds. Default 5 minutes:
    /// beyond it the sender's clock is wrong, not slow to be synchronised.
    pub max_ahead_ms: i64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { max_line_bytes: 1 << 20, max_ahead_ms: 300_000 }
    }
}

/// Reads lines, one after the other. It learns in which order producers write their members, which
/// makes it faster and changes no result.
#[derive(Clone, Debug)]
pub struct Decoder {
    limits: DecodeLimits,
    habits: Habits,
    /// What this processor can do.
    level: Level,
}

impl Decoder {
    /// A decoder that has seen nothing.
    #[must_use]
    pub fn new(limits: DecodeLimits) -> Self {
        Self { limits, habits: Habits::new(), level: Level::new() }
    }

    /// Reads one line. `arrival` stands in for an event time that the kind may omit, and bounds the
    /// given ones.
    ///
    /// # Errors
    /// A [`Rejection`] with one of the fixed reasons; the line is then to be kept as a reject.
    #[inline]
    pub fn decode<'a>(&mut self, line: &'a [u8], arrival: EpochMs) -> Result<Event<'a>, Rejection> {
        let text = text(line, &self.limits)?;
        let mut flat = Flat::EMPTY;
        flat.read(text, &mut self.habits, self.level)?;
        event(&flat, text, arrival, &self.limits)
    }
}

/// Reads a single line, as a [`Decoder`] does.
///
/// # Errors
/// As [`Decoder::decode`].
pub fn decode<'a>(
    line: &'a [u8],
    arrival: EpochMs,
    limits: &DecodeLimits,
) -> Result<Event<'a>, Rejection> {
    let text = text(line, limits)?;
    let mut flat = Flat::EMPTY;
    flat.fill(text)?;
    event(&flat, text, arrival, limits)
}

/// A line as text, if it is no longer than allowed.
#[inline(always)]
fn text<'a>(line: &'a [u8], limits: &DecodeLimits) -> Result<&'a str, Rejection> {
    if line.len() > limits.max_line_bytes {
        let detail = format!("{} bytes, the limit is {}", line.len(), limits.max_line_bytes);
        return Err(Rejection::of_record(Reason::TooLarge, detail));
    }
    std::str::from_utf8(line).map_err(|error| {
        let detail = format!("no UTF-8 at byte {}", error.valid_up_to());
        Rejection::of_record(Reason::NotJson, detail)
    })
}

/// What a line says whose members are in `flat`.
#[inline(always)]
fn event<'a>(
    flat: &Flat<'a>,
    text: &'a str,
    arrival: EpochMs,
    limits: &DecodeLimits,
) -> Result<Event<'a>, Rejection> {
    let kind = flat.kind()?;
    let fields = Fields { record: name(kind), arrival, limits };
    Ok(match kind {
        Kind::Player => Event::Player(flat.player(fields)?),
        Kind::Gauge => Event::Gauge(flat.gauge(fields)?),
        Kind::Qos => Event::Player(qos::sample(text, fields)?),
        Kind::Chat => Event::Chat(chat::message(text, fields)?),
        Kind::Envelope => Event::Fact(Box::new(envelope::fact(text, fields)?)),
        Kind::AppStart => Event::Fact(Box::new(application::start(text, fields)?)),
        Kind::AppEnd => Event::Fact(Box::new(application::end(text, fields)?)),
    })
}

/// The name of a kind in rejections, with its article.
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Envelope => "an IVS event",
        Kind::Gauge => "a metrics_update record",
        Kind::AppStart => "a stream_start record",
        Kind::AppEnd => "a stream_end record",
        Kind::Player => "a player_telemetry record",
        Kind::Qos => "a QoS sample record",
        Kind::Chat => "a chat log record",
    }
}

/// The lines of a record's data that are not blank.
///
/// Data with nothing but white space is one line, so that such a record too is seen and rejected.
pub fn lines(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let blank = is_blank(data).then_some(data);
    let mut rest = Some(data);
    let split = std::iter::from_fn(move || {
        let data = rest?;
        let end = memchr::memchr(b'\n', data);
        rest = end.map(|at| &data[at + 1..]);
        Some(&data[..end.unwrap_or(data.len())])
    });
    blank.into_iter().chain(split.filter(|line| !is_blank(line)))
}

/// Whether there is nothing but what JSON takes for white space.
fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))
}

#[cfg(test)]
mod tests;
