//! From bytes to events, or to a rejection with its reason.
//!
//! [`frame`] finds the JSON texts of a record, [`decode`] reads one. JSON is taken strictly by
//! RFC 8259. Of repeated members the last counts, unknown members are ignored, and `null` is the
//! same as absent.
//!
//! | kind | told by | becomes |
//! |---|---|---|
//! | EventBridge envelope | `detail-type`, `source` `aws.ivs`, another that ends in `.ivs`, `reconciler` | [`Event::Fact`] |
//! | application event | `eventType` `stream_start`, `stream_end` | [`Event::Fact`] |
//! | application event | `eventType` `metrics_update` | [`Event::Gauge`] |
//! | IVS Chat log | `event_timestamp`, `type` `MESSAGE` or `EVENT` | [`Event::Chat`] |
//! | IVS QoS sample | `metric_type` `PLAY`, `PLAYBACK_SUMMARY`, `QUALITY_CHANGED`, `STOP` | [`Event::Player`] |
//! | IVS QoS sample | any other `metric_type` | [`Event::Fact`], counted and no more |
//! | CMCD | a line that is not a JSON text and has `sid`, or a query with it | [`Event::Player`] |
//! | player telemetry | `type` `player_telemetry` | [`Event::Player`] |

mod application;
mod chat;
mod cmcd;
mod envelope;
mod event;
mod fact;
mod field;
mod flat;
pub mod frame;
mod ingest;
mod json;
mod keys;
mod limits;
mod number;
mod qos;
mod reject;
mod slots;
mod time;
mod usual;
mod view;

pub use event::{
    ChatMessage, Event, Gauge, Labels, PlayerSample, PlayerState, ViewEvent, is_made_up,
};
pub use fact::{
    AdBreak, AppEnd, AppStart, Fact, FactKind, FactOrigin, FactScope, LimitBreach, Recording,
    RecordingPhase, StageEvent,
};
pub use ingest::{IngestAudio, IngestConfiguration, IngestVideo};
pub use limits::DecodeLimits;
pub use reject::{Reason, Rejection};

use fearless_simd::Level;

use field::Fields;
use flat::{Flat, Kind};
use kinesis_model::EpochMs;
use usual::Habits;

/// The context of a record beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context<'c> {
    /// When it arrived: stands in for an event time that the kind may omit, and bounds given ones.
    pub arrival: EpochMs,
    /// The chat room of a log whose records name none: IVS writes it into the name of the log
    /// stream or object ([`frame::room_of`]).
    pub room: Option<&'c str>,
}

impl From<EpochMs> for Context<'_> {
    fn from(arrival: EpochMs) -> Self {
        Self { arrival, room: None }
    }
}

/// A reader of lines, one after the other. It learns in which order producers write their members,
/// which makes it faster and changes no result.
#[derive(Clone, Debug)]
pub struct Decoder {
    limits: DecodeLimits,
    habits: Habits,
    /// The SIMD level of this processor.
    level: Level,
}

impl Decoder {
    /// Returns a decoder that has seen nothing.
    #[must_use]
    pub fn new(limits: DecodeLimits) -> Self {
        Self { limits, habits: Habits::new(), level: Level::new() }
    }

    /// Reads one line, or any one JSON text. `arrival` stands in for an event time that the kind
    /// may omit, and bounds the given ones.
    ///
    /// # Errors
    /// A [`Rejection`] with one of the fixed reasons; the line is then to be kept as a reject.
    #[inline]
    pub fn decode<'a>(&mut self, line: &'a [u8], arrival: EpochMs) -> Result<Event<'a>, Rejection> {
        self.decode_in(line, &Context::from(arrival))
    }

    /// Reads one line, as [`Self::decode`] does.
    ///
    /// # Errors
    /// As [`Self::decode`].
    #[inline]
    pub fn decode_in<'a>(
        &mut self,
        line: &'a [u8],
        context: &Context<'_>,
    ) -> Result<Event<'a>, Rejection> {
        let text = text(line, &self.limits)?;
        let mut flat = Flat::EMPTY;
        let end = flat.read(text, &mut self.habits, self.level)?;
        json::blank(text, end)?;
        event(flat.kind()?, &flat, text, context, &self.limits)
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
    event(flat.kind()?, &flat, text, &Context::from(arrival), limits)
}

/// Returns a line as text, if its length is allowed.
#[inline(always)]
fn text<'a>(line: &'a [u8], limits: &DecodeLimits) -> Result<&'a str, Rejection> {
    if let Some(rejection) = too_large(line.len(), limits) {
        return Err(rejection);
    }
    std::str::from_utf8(line).map_err(|error| {
        let detail = format!("no UTF-8 at byte {}", error.valid_up_to());
        Rejection::of_record(Reason::NotJson, detail)
    })
}

/// Returns why a text of so many bytes is not read, if it is not.
#[inline(always)]
fn too_large(bytes: usize, limits: &DecodeLimits) -> Option<Rejection> {
    (bytes > limits.max_line_bytes).then(|| {
        let detail = format!("{bytes} bytes, the limit is {}", limits.max_line_bytes);
        Rejection::of_record(Reason::TooLarge, detail)
    })
}

/// Returns what a line says whose members are in `flat`.
#[inline(always)]
fn event<'a>(
    kind: Kind,
    flat: &Flat<'a>,
    text: &'a str,
    context: &Context<'_>,
    limits: &DecodeLimits,
) -> Result<Event<'a>, Rejection> {
    let Context { arrival, room } = *context;
    let fields = Fields { record: name(kind), arrival, room, limits };
    Ok(match kind {
        Kind::Player => Event::Player(flat.player(fields)?),
        Kind::Gauge => Event::Gauge(flat.gauge(fields)?),
        Kind::Qos => qos::event(text, fields)?,
        Kind::Chat => Event::Chat(chat::message(text, fields)?),
        Kind::Envelope => Event::Fact(Box::new(envelope::fact(text, fields)?)),
        Kind::AppStart => Event::Fact(Box::new(application::start(text, fields)?)),
        Kind::AppEnd => Event::Fact(Box::new(application::end(text, fields)?)),
    })
}

/// Returns the name of a kind in rejections, with its article.
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

#[cfg(test)]
mod tests;
