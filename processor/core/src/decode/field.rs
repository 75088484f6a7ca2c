//! From JSON values to checked fields.

use std::borrow::Cow;

use super::json::Value;
use super::reject::{Reason, Rejection, excerpt};
use super::{DecodeLimits, number, time};
use crate::fixed::Fixed;
use crate::sketch::quantile::MAX_MS;
use kinesis_model::EpochMs;

/// The longest id, in characters: DynamoDB allows a partition key 2,048 bytes, the ids of IVS and
/// of players stay below 64, and rows, metrics and caches hold ids by the thousand.
const MAX_ID_CHARS: usize = 256;
/// So much of another text is kept, in bytes: a few of them fit a DynamoDB item (400 KB) many times
/// over.
const MAX_TEXT_BYTES: usize = 4096;
/// How an ARN begins.
const ARN: &str = "arn:";
/// The largest measurement, in millionths: up to 10^12 bits, frames or milliseconds, which is
/// beyond any real one, and 2^64 of which still have a sum.
const METRIC_MICROS: std::ops::RangeInclusive<i64> = 0..=1_000_000_000_000_000_000;
/// 2000-01-01T00:00:00Z and 2100-01-01T00:00:00Z; the second is excluded.
const TIME_RANGE_MS: std::ops::Range<i64> = 946_684_800_000..4_102_444_800_000;

/// The largest latency or time to the first frame, in millionths of a millisecond: as much as a
/// sketch of them holds, 49 days.
const DELAY_MICROS: std::ops::RangeInclusive<i64> = 0..=MAX_MS as i64 * 1_000_000;

type Field<T> = Result<T, Rejection>;

/// The context that the checks of one record need.
#[derive(Clone, Copy)]
pub(super) struct Fields<'r> {
    /// The kind of the record, with its article: it reads `… needs it`.
    pub(super) record: &'r str,
    /// When the record arrived.
    pub(super) arrival: EpochMs,
    /// The chat room that its source names.
    pub(super) room: Option<&'r str>,
    /// The caller's limits.
    pub(super) limits: &'r DecodeLimits,
}

impl Fields<'_> {
    /// Returns the rejection of a record without the field `name`.
    pub(super) fn missing(&self, name: &'static str) -> Rejection {
        Rejection::of_field(Reason::MissingField, name, format!("{} needs it", self.record))
    }

    /// Returns an id that the record needs.
    #[inline(always)]
    pub(super) fn id<'a>(&self, name: &'static str, value: Value<'a>) -> Field<Cow<'a, str>> {
        match plain_id(value) {
            Some(id) => Ok(Cow::Borrowed(id)),
            None => optional_id(name, value)?.ok_or_else(|| self.missing(name)),
        }
    }

    /// Returns the id of a channel, stage, composition or room, which may be given as its ARN.
    #[inline(always)]
    pub(super) fn resource_id<'a>(
        &self,
        name: &'static str,
        value: Value<'a>,
    ) -> Field<Cow<'a, str>> {
        if let Some(id) = plain_id(value)
            && !id.starts_with(ARN)
        {
            return Ok(Cow::Borrowed(id));
        }
        self.any_resource_id(name, value)
    }

    #[cold]
    fn any_resource_id<'a>(&self, name: &'static str, value: Value<'a>) -> Field<Cow<'a, str>> {
        let id = resource_id(self.id(name, value)?);
        if id.is_empty() { Err(empty(name)) } else { Ok(id) }
    }

    /// Returns the event time, which the record needs.
    #[inline]
    pub(super) fn time(&self, name: &'static str, value: Value<'_>) -> Field<EpochMs> {
        let time = match value {
            Value::Null => return Err(self.missing(name)),
            Value::Text(text) => {
                let plain = text.plain().and_then(|text| time::rfc3339(text.as_bytes()));
                plain.map_or_else(|| time_text(name, &text.get()), Ok)?
            }
            Value::Number(Some(number)) => whole_ms(number),
            Value::Number(None) => return Err(out_of_time(name)),
            other => return Err(ill_typed(name, "a time", other)),
        };
        self.check_time(name, time)
    }

    /// Returns the event time, or else the arrival time.
    pub(super) fn time_or_arrival(&self, name: &'static str, value: Value<'_>) -> Field<EpochMs> {
        match value {
            Value::Null => self.check_time(name, self.arrival),
            given => self.time(name, given),
        }
    }

    fn check_time(&self, name: &'static str, time: EpochMs) -> Field<EpochMs> {
        let ahead_ms = time.0.saturating_sub(self.arrival.0);
        if !TIME_RANGE_MS.contains(&time.0) {
            Err(out_of_time(name))
        } else if ahead_ms > self.limits.max_ahead_ms {
            let detail = format!("the event is {ahead_ms} ms ahead of its arrival");
            Err(Rejection::of_field(Reason::ClockSkew, name, detail))
        } else {
            Ok(time)
        }
    }
}

/// Reads the usual case of an id, without the reasons why others are refused.
#[inline(always)]
fn plain_id(value: Value<'_>) -> Option<&str> {
    match value {
        Value::Text(text) => text.plain().filter(|id| (1..=MAX_ID_CHARS).contains(&id.len())),
        _ => None,
    }
}

/// Returns an id that may be absent.
#[inline(always)]
pub(super) fn optional_id<'a>(name: &'static str, value: Value<'a>) -> Field<Option<Cow<'a, str>>> {
    match plain_id(value) {
        Some(id) => Ok(Some(Cow::Borrowed(id))),
        None => any_id(name, value),
    }
}

#[cold]
fn any_id<'a>(name: &'static str, value: Value<'a>) -> Field<Option<Cow<'a, str>>> {
    match any_text(name, value)? {
        Some(id) if id.is_empty() => Err(empty(name)),
        Some(id) if id.len() > MAX_ID_CHARS && id.chars().count() > MAX_ID_CHARS => {
            Err(too_long(name, id.chars().count()))
        }
        id => Ok(id),
    }
}

/// Returns a text that may be absent; IVS writes an absent one as an empty one too. Of a very long
/// one the beginning is kept.
pub(super) fn text(name: &'static str, value: Value<'_>) -> Field<Option<String>> {
    let text = any_text(name, value)?.filter(|text| !text.is_empty());
    Ok(text.map(|text| text[..text.floor_char_boundary(MAX_TEXT_BYTES)].to_owned()))
}

/// Returns a measurement, which may be absent: a JSON number that is not negative.
#[inline(always)]
pub(super) fn metric(name: &'static str, value: Value<'_>) -> Field<Option<Fixed>> {
    match value {
        Value::Null => Ok(None),
        Value::Number(Some(number)) if METRIC_MICROS.contains(&number.micros()) => Ok(Some(number)),
        other => Err(not_a_metric(name, other)),
    }
}

/// Returns why a value is not a measurement.
#[cold]
fn not_a_metric(name: &'static str, value: Value<'_>) -> Rejection {
    let (reason, detail) = match value {
        Value::Number(Some(n)) if (-METRIC_MICROS.end()..0).contains(&n.micros()) => {
            (Reason::Negative, format!("{n} is below zero"))
        }
        Value::Number(_) => (Reason::OutOfRange, "the number is beyond 10^12".to_owned()),
        Value::Text(text) if is_not_finite(&text.get()) => {
            (Reason::NotFinite, format!("{} is not a finite number", excerpt(&text.get())))
        }
        other => return ill_typed(name, "a number", other),
    };
    Rejection::of_field(reason, name, detail)
}

fn is_not_finite(text: &str) -> bool {
    let word = text.trim_start_matches(['+', '-']);
    ["nan", "inf", "infinity"].iter().any(|w| word.eq_ignore_ascii_case(w))
}

/// Returns a measurement that may also come as a string.
pub(super) fn loose_metric(name: &'static str, value: Value<'_>) -> Field<Option<Fixed>> {
    metric(name, loose(value))
}

/// Returns a string that is a number, without an exponent, as that number, and an empty one as absent.
fn loose(value: Value<'_>) -> Value<'_> {
    let number = match value {
        Value::Text(text) => decimal(&text.get()),
        _ => None,
    };
    number.map_or_else(|| absent_if_empty(value), Value::Number)
}

/// Returns an empty string as absent: what a template makes of a member that is not there.
pub(super) fn absent_if_empty(value: Value<'_>) -> Value<'_> {
    if value.is_text("") { Value::Null } else { value }
}

fn decimal(text: &str) -> Option<Option<Fixed>> {
    number::whole_text(text).filter(|_| !text.contains(['e', 'E']))
}

/// Returns a number within the bounds of measurements, on either side of zero.
pub(super) fn is_bounded(number: Fixed) -> bool {
    number.micros().unsigned_abs() <= METRIC_MICROS.end().unsigned_abs()
}

/// Returns a time that goes into a sketch, in milliseconds.
#[inline(always)]
pub(super) fn delay(name: &'static str, value: Value<'_>) -> Field<Option<Fixed>> {
    match metric(name, value)? {
        Some(ms) if !DELAY_MICROS.contains(&ms.micros()) => Err(beyond_delay(name, ms)),
        ms => Ok(ms),
    }
}

/// Returns a time that goes into a sketch and may also come as a string.
pub(super) fn loose_delay(name: &'static str, value: Value<'_>) -> Field<Option<Fixed>> {
    delay(name, loose(value))
}

#[cold]
fn beyond_delay(name: &'static str, ms: Fixed) -> Rejection {
    let detail = format!("{ms} is beyond 2^32 milliseconds, which is 49 days");
    Rejection::of_field(Reason::OutOfRange, name, detail)
}

/// Returns a latency, and whether it was below zero: the viewer's clock is ahead then, which says
/// nothing against the rest of the record.
#[inline(always)]
pub(super) fn latency(name: &'static str, value: Value<'_>) -> Field<(Option<Fixed>, bool)> {
    match value {
        Value::Number(Some(n)) if (-METRIC_MICROS.end()..0).contains(&n.micros()) => {
            Ok((None, true))
        }
        value => Ok((delay(name, value)?, false)),
    }
}

/// Returns a latency that may also come as a string.
pub(super) fn loose_latency(name: &'static str, value: Value<'_>) -> Field<(Option<Fixed>, bool)> {
    latency(name, loose(value))
}

/// Returns the last part of an ARN; any other id as it is.
pub(super) fn resource_id(id: Cow<'_, str>) -> Cow<'_, str> {
    if !id.starts_with(ARN) {
        return id;
    }
    let start = id.rfind('/').map_or(0, |slash| slash + 1);
    match id {
        Cow::Borrowed(id) => Cow::Borrowed(&id[start..]),
        Cow::Owned(id) => Cow::Owned(id[start..].to_owned()),
    }
}

fn any_text<'a>(name: &'static str, value: Value<'a>) -> Field<Option<Cow<'a, str>>> {
    match value {
        Value::Null => Ok(None),
        Value::Text(text) => Ok(Some(text.get())),
        other => Err(ill_typed(name, "a string", other)),
    }
}

#[cold]
fn too_long(name: &'static str, chars: usize) -> Rejection {
    let detail = format!("{chars} characters, the limit is {MAX_ID_CHARS}");
    Rejection::of_field(Reason::TooLarge, name, detail)
}

#[cold]
fn empty(name: &'static str) -> Rejection {
    Rejection::of_field(Reason::EmptyId, name, "the id is empty")
}

#[cold]
fn out_of_time(name: &'static str) -> Rejection {
    let detail = "the time is outside the years 2000 to 2099 (numbers are epoch milliseconds)";
    Rejection::of_field(Reason::OutOfRange, name, detail)
}

/// Returns a word that tells kinds apart.
pub(super) fn word<'a>(
    name: &'static str,
    value: Value<'a>,
) -> Result<Option<Cow<'a, str>>, Rejection> {
    match value {
        Value::Null => Ok(None),
        Value::Text(text) => Ok(Some(text.get())),
        other => Err(ill_typed(name, "a string", other)),
    }
}

/// Says that `value` is of another type than `expected`, which comes with its article.
#[cold]
pub(super) fn ill_typed(name: &'static str, expected: &str, value: Value<'_>) -> Rejection {
    let found = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Number(Some(number)) => format!("the number {number}"),
        Value::Number(None) => "a huge number".to_owned(),
        Value::Text(text) => format!("the string {}", excerpt(&text.get())),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    let detail = format!("{expected} is expected, not {found}");
    Rejection::of_field(Reason::IllTyped, name, detail)
}

/// Returns a time as text, in any of its forms.
#[cold]
fn time_text(name: &'static str, text: &str) -> Field<EpochMs> {
    let digits = || text.bytes().all(|byte| byte.is_ascii_digit()).then(|| decimal(text)).flatten();
    let number = || digits().map(|n| n.map_or(EpochMs(i64::MAX), whole_ms));
    time::rfc3339(text.as_bytes()).or_else(number).ok_or_else(|| {
        let found = excerpt(text);
        let detail = format!("{found} is neither an RFC 3339 time nor epoch milliseconds");
        Rejection::of_field(Reason::IllTyped, name, detail)
    })
}

fn whole_ms(number: Fixed) -> EpochMs {
    EpochMs(number.micros().div_euclid(1_000_000))
}
