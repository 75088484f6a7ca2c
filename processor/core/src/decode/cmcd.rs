//! CMCD, *Common Media Client Data* (CTA-5004 and CTA-5004-B), as web players report it by
//! configuration alone.
//!
//! | form | example |
//! |---|---|
//! | a line of an event report (version 2) | `cid="ch/st-1",e=ps,sid="6e2f…",sn=3,sta=p,ts=1772000000000,v=2` |
//! | a line of a CloudFront real-time log whose query has version 1 or 2 | `1772000000.123⇥…⇥CMCD=br%3D3200%2Csid%3D%226e2f…%22` |
//!
//! `cid` is the channel, or the channel and the session with a slash between them: players know no
//! session else. `sid` is the view, and its player. What CMCD counts from the start of a view (`bsa`,
//! `bsda`, `dfa`) is left alone, because a sum needs what was added since the last report.

mod fields;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::event::{Event, PlayerSample, PlayerState, QOS_SESSION, ViewEvent};
use super::fact::{Fact, FactKind, FactOrigin, FactScope};
use super::field::{Fields, delay, latency, metric, optional_id, resource_id};
use super::json::{Text, Value};
use super::reject::Rejection;
use super::{Context, DecodeLimits};
use crate::fixed::Fixed;
use fields::Report;

/// The parameter of a query.
const PARAMETER: &[u8] = b"CMCD=";
/// The key that every report has, and hardly anything else.
const SESSION_KEY: &[u8] = b"sid=\"";
/// CMCD speaks of kbit/s.
const BPS_IN_KBPS: i64 = 1_000;

/// Returns what a line says that is CMCD; `None` if it is something else.
#[cold]
pub(super) fn read(
    line: &[u8],
    context: &Context<'_>,
    limits: &DecodeLimits,
) -> Option<Result<Event<'static>, Rejection>> {
    let line = std::str::from_utf8(line.trim_ascii_end()).ok()?;
    if line.len() > limits.max_line_bytes {
        return None;
    }
    let (logged_at, text) = text(line)?;
    let report = Report::read(&text)?;
    let fields =
        Fields { record: "a CMCD report", arrival: context.arrival, room: context.room, limits };
    Some(event(&report, logged_at, fields))
}

/// Returns whether a line is CMCD, sound or not.
pub(super) fn is_report(line: &[u8]) -> bool {
    let line = std::str::from_utf8(line.trim_ascii_end()).ok();
    line.and_then(text).is_some_and(|(_, text)| Report::read(&text).is_some())
}

/// Returns the fields of a report, and when a log says that they came.
fn text(line: &str) -> Option<(Option<Fixed>, Cow<'_, str>)> {
    match line.as_bytes().first()? {
        b'a'..=b'z' if memchr::memmem::find(line.as_bytes(), SESSION_KEY).is_some() => {
            Some((None, Cow::Borrowed(line)))
        }
        b'0'..=b'9' => {
            let start = memchr::memmem::find(line.as_bytes(), PARAMETER)? + PARAMETER.len();
            let value = line[start..].split(['&', '\t', ' ']).next()?;
            let seconds = line.split('\t').next().and_then(super::number::whole_text)??;
            let ms = Fixed::from_micros(seconds.micros().checked_mul(1_000)?);
            Some((Some(ms), Cow::Owned(percent_decoded(value)?)))
        }
        _ => None,
    }
}

/// Returns a parameter's value. CloudFront's logs escape the escapes of some once more.
fn percent_decoded(value: &str) -> Option<String> {
    let once = fields::percent_decoded(value)?;
    if once.contains("%22") && !once.contains('"') {
        return fields::percent_decoded(&once);
    }
    Some(once)
}

fn event(
    report: &Report<'_>,
    logged_at: Option<Fixed>,
    fields: Fields<'_>,
) -> Result<Event<'static>, Rejection> {
    let time = match (report.item("ts"), logged_at) {
        (Value::Null, Some(ms)) => fields.time("ts", Value::Number(Some(ms)))?,
        (told, _) => fields.time_or_arrival("ts", told)?,
    };
    let view_id = fields.id("sid", report.item("sid"))?.into_owned();
    if report.item("e").is_text("rr") {
        // One for each object that was fetched: about delivery, not about playback.
        return Ok(Event::Fact(Box::new(Fact {
            scope: FactScope::Account { account: String::new(), region: String::new() },
            time,
            kind: FactKind::Foreign,
            event_id: None,
            origin: FactOrigin::Application,
        })));
    }
    let (channel_id, session_id) = content(&fields.id("cid", report.item("cid"))?, fields)?;
    let (latency_ms, latency_below_zero) = latency("ltc", report.item("ltc"))?;
    let startup_ms = delay("msd", report.item("msd"))?;
    let (stalls, stalled_ms) = stalls(report)?;
    let errors = report.list("ec");
    Ok(Event::Player(PlayerSample {
        session_id: Cow::Owned(session_id),
        channel_id: Cow::Owned(channel_id),
        player_id: Cow::Owned(view_id.clone()),
        event_id: event_id(report, &view_id),
        time,
        state: state(report),
        bitrate_bps: bitrate(report)?,
        frame_rate: None,
        dropped_frames: None,
        buffering_ms: stalled_ms,
        latency_ms,
        latency_below_zero,
        playing_ms: None,
        rebuffer_count: stalls,
        startup_ms,
        error_code: match errors.first() {
            Some((code, _)) => error_code(*code)?,
            None => None,
        },
        error_count: is_error(report).then(|| count(errors.len().max(1))),
        view_event: view_event(report, startup_ms),
        view_id: Some(Cow::Owned(view_id)),
        labels: [None, None, None, None, owned_label(report.item("cdn")), None],
    }))
}

/// Returns the id of a report: players count them up for each view and collector, and start anew
/// after some errors.
fn event_id(report: &Report<'_>, view_id: &str) -> Option<Cow<'static, str>> {
    let number = |key| match report.item(key) {
        Value::Number(number) => number,
        _ => None,
    };
    let (sn, ts) = (number("sn")?, number("ts")?);
    Some(Cow::Owned(format!("{view_id}:{sn}:{ts}")))
}

/// Returns channel and session of a `cid`.
fn content(cid: &str, fields: Fields<'_>) -> Result<(String, String), Rejection> {
    let whole = |cid: &str| {
        let channel = resource_id(Cow::Borrowed(cid)).into_owned();
        (format!("{QOS_SESSION}{channel}"), channel)
    };
    let (session, channel) = match cid.rsplit_once('/') {
        Some((channel, session)) if !cid.starts_with("arn:") || session.starts_with("st-") => {
            (session.to_owned(), resource_id(Cow::Borrowed(channel)).into_owned())
        }
        _ => whole(cid),
    };
    if channel.is_empty() || session.is_empty() {
        return Err(fields.missing("cid"));
    }
    Ok((channel, session))
}

/// Returns the bitrate of what is shown, or else of what is selected: of video before all others.
fn bitrate(report: &Report<'_>) -> Result<Option<Fixed>, Rejection> {
    for key in ["pb", "br", "ab"] {
        let list = report.list(key);
        let of = |kinds: [&str; 2]| {
            list.iter().find(|(_, kind)| kind.is_some_and(|kind| kinds.contains(&kind)))
        };
        let Some((kbps, _)) = of(["v", "av"]).or_else(|| list.first()) else { continue };
        let Value::Number(Some(kbps)) = *kbps else { continue };
        let bps = Fixed::from_micros(kbps.micros().saturating_mul(BPS_IN_KBPS));
        return metric(key, Value::Number(Some(bps)));
    }
    Ok(None)
}

/// Returns the stalls that began with this report, and the time of the one that ended with it. A stall
/// is a change of the state to rebuffering, as the standard has it; version 1 tells no more than that
/// there was one. `bsd` is read where the picture comes back only: the Common Media Library repeats it
/// in every later report.
fn stalls(report: &Report<'_>) -> Result<(Option<Fixed>, Option<Fixed>), Rejection> {
    let begins = if report.is_version_2() {
        is_change(report) && report.item("sta").is_text("r")
    } else {
        report.item("bs") == Value::Bool(true)
    };
    let ended: &[_] = match is_change(report) && report.item("sta").is_text("p") {
        true => report.list("bsd"),
        false => &[],
    };
    let mut sum = 0_i64;
    for (duration, _) in ended {
        sum = sum.saturating_add(metric("bsd", *duration)?.unwrap_or(Fixed::ZERO).micros());
    }
    let sum = (!ended.is_empty()).then(|| Value::Number(Some(Fixed::from_micros(sum))));
    Ok((begins.then(|| count(1)), metric("bsd", sum.unwrap_or_default())?))
}

fn count(items: usize) -> Fixed {
    i64::try_from(items).ok().and_then(Fixed::from_int).unwrap_or(Fixed::ZERO)
}

/// Returns whether the report is there because of an error.
fn is_error(report: &Report<'_>) -> bool {
    report.item("e").is_text("e")
}

fn state(report: &Report<'_>) -> PlayerState {
    let state = report.item("sta");
    let is = |words: &[&str]| words.iter().any(|word| state.is_text(word));
    if is(&["p"]) {
        PlayerState::Playing
    } else if is(&["r", "s"]) {
        PlayerState::Buffering
    } else if is(&["e", "f", "q"]) {
        PlayerState::Ended
    } else if is(&["a", "d", "w"]) {
        PlayerState::Idle
    } else {
        PlayerState::Other
    }
}

/// Returns whether the report is there because the state changed.
fn is_change(report: &Report<'_>) -> bool {
    report.item("e").is_text("ps")
}

/// Returns what happened to the view. A start is told by its delay, which comes once in a view.
///
/// Requests to play and failures are not told: they say something only beside starts, which some
/// players (hls.js 1.7) never tell, and a report does not say which player sent it.
fn view_event(report: &Report<'_>, startup_ms: Option<Fixed>) -> Option<ViewEvent> {
    let state = report.item("sta");
    if startup_ms.is_some() {
        Some(ViewEvent::Start)
    } else if is_change(report) && (state.is_text("e") || state.is_text("q")) {
        Some(ViewEvent::End)
    } else {
        None
    }
}

/// Returns an error's code: a text by CTA-5004-B, a number in what dash.js (5.2) sends.
fn error_code(code: Value<'_>) -> Result<Option<Cow<'static, str>>, Rejection> {
    if let Value::Number(Some(number)) = code {
        return Ok(Some(Cow::Owned(number.to_string())));
    }
    Ok(optional_id("ec", code)?.map(|code| Cow::Owned(code.into_owned())))
}

fn owned_label(value: Value<'_>) -> Option<Cow<'static, str>> {
    super::view::label(value).map(|label| Cow::Owned(label.into_owned()))
}
