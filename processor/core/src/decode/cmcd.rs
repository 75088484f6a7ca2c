//! Reports of players by CMCD (CTA-5004-B): the lines of an event report, and the query string that a
//! CDN logs of a request (CTA-5004, version 1).
//!
//! `sid` is the view, `cid` the channel. A custom key that ends in `-session` names the IVS stream;
//! without one the row is under `cmcd:` + channel. What a single report cannot say is not made up:
//! there is no play request and no played time in CMCD, and a start only where the player tells its
//! delay (`msd`).

mod items;

use std::borrow::Cow;

use super::event::{CMCD_SESSION, PlayerSample, PlayerState, ViewEvent};
use super::field::{Fields, delay, latency, metric};
use super::json::{Text, Value};
use super::reject::Rejection;
use crate::fixed::Fixed;
use items::{Items, Numbers, percent_decoded};

/// The query parameter of request mode.
const PARAMETER: &str = "CMCD=";
/// Bits of a kilobit.
const KILO: i64 = 1_000;

/// Returns whether a line is a report; garbage is not.
pub(super) fn is_report(line: &str) -> bool {
    find(line).is_some()
}

/// Returns what a report says; `None` of any other line.
pub(super) fn sample(
    line: &str,
    fields: Fields<'_>,
) -> Option<Result<PlayerSample<'static>, Rejection>> {
    let found = find(line)?;
    Some(of_items(&Items::read(&found.items)?, found.logged, fields))
}

/// A report, and when a log says it came.
struct Found<'l> {
    items: Cow<'l, str>,
    /// Epoch milliseconds.
    logged: Option<Fixed>,
}

/// Finds the items of a report: the line itself, or the parameter of a query string in a line of tabs
/// that begins with a time in seconds.
fn find(line: &str) -> Option<Found<'_>> {
    let line = line.trim_end_matches(['\r', '\n', ' ']);
    if let Some((before, after)) = line.split_once(PARAMETER) {
        let is_parameter = before.is_empty() || before.ends_with(['?', '&', '\t', ' ']);
        let value = after.split(['&', '\t', ' ', '"']).next().filter(|_| is_parameter)?;
        let items = Cow::Owned(percent_decoded(value)?);
        let seconds = before.split('\t').next().and_then(items::number);
        let ms = |seconds: Fixed| Fixed::from_int(seconds.micros() / 1_000);
        let found = Found { items, logged: seconds.and_then(ms) };
        return Items::read(&found.items).is_some().then_some(found);
    }
    Items::read(line)?;
    Some(Found { items: Cow::Borrowed(line), logged: None })
}

fn of_items(
    items: &Items<'_>,
    logged: Option<Fixed>,
    fields: Fields<'_>,
) -> Result<PlayerSample<'static>, Rejection> {
    let number = |number: Option<Fixed>| number.map_or(Value::Null, |n| Value::Number(Some(n)));
    let sid = fields.id("sid", text(items.sid))?.into_owned();
    let channel_id = fields.resource_id("cid", text(items.cid))?.into_owned();
    let session_id = match items.session {
        Some(_) => fields.id("session", text(items.session))?.into_owned(),
        None => format!("{CMCD_SESSION}{channel_id}"),
    };
    let time = fields.time_or_arrival("ts", number(items.ts.or(logged)))?;
    let event_id = match (items.sn, items.ts) {
        (Some(sn), Some(ts)) => Some(Cow::Owned(format!("{sid}/{sn}/{ts}"))),
        _ => None,
    };
    let (latency_ms, latency_below_zero) = latency("ltc", number(items.ltc))?;
    let startup_ms = delay("msd", number(items.msd))?;
    let changes_state = items.event == Some("ps");
    let is_request = items.event.is_none();
    let stalls = changes_state && items.state == Some("r") || is_request && items.starved;
    // Players keep it in every later report, so it counts where the stall ends.
    let ends_stall = changes_state && items.state == Some("p") || is_request;
    let stalled = items.stalls.filter(|_| ends_stall).map(|Numbers { sum, .. }| sum);
    let errors = items.errors.filter(|_| items.event == Some("e"));
    Ok(PlayerSample {
        session_id: session_id.into(),
        channel_id: channel_id.into(),
        player_id: sid.clone().into(),
        event_id,
        time,
        state: state(items.state),
        bitrate_bps: metric("br", number(items.bitrate_bps()))?,
        frame_rate: None,
        dropped_frames: None,
        buffering_ms: metric("bsd", number(stalled))?,
        latency_ms,
        latency_below_zero,
        playing_ms: None,
        rebuffer_count: stalls.then(|| Fixed::from_micros(1_000_000)),
        startup_ms,
        error_code: errors.map(|(first, _)| Cow::Owned(first.to_owned())),
        error_count: errors.and_then(|(_, count)| Fixed::from_int(count)),
        view_event: view_event(items, startup_ms.is_some()),
        view_id: Some(sid.into()),
        labels: [
            None,
            None,
            None,
            None,
            items.cdn.filter(|cdn| !cdn.is_empty()).map(|cdn| Cow::Owned(cdn.to_owned())),
            None,
        ],
    })
}

fn text(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Null, |text| Value::Text(Text::of_plain(text)))
}

/// Returns what became of the view. A fatal error counts as one after the start, since no report says
/// whether there was one.
fn view_event(items: &Items<'_>, tells_start: bool) -> Option<ViewEvent> {
    match (items.event, items.state) {
        _ if tells_start => Some(ViewEvent::Start),
        (Some("ps"), Some("e" | "q")) => Some(ViewEvent::End),
        (Some("ps"), Some("f")) => Some(ViewEvent::PlaybackFailure),
        _ => None,
    }
}

fn state(state: Option<&str>) -> PlayerState {
    match state {
        Some("p") => PlayerState::Playing,
        Some("r" | "w") => PlayerState::Buffering,
        Some("s" | "d") => PlayerState::Ready,
        Some("a") => PlayerState::Idle,
        Some("e" | "f" | "q") => PlayerState::Ended,
        _ => PlayerState::Other,
    }
}

impl Items<'_> {
    /// Bits a second of what is shown, or else of what is loaded.
    fn bitrate_bps(&self) -> Option<Fixed> {
        let kbps = self.shown.or(self.loaded)?.sum;
        Some(Fixed::from_micros(kbps.micros().saturating_mul(KILO)))
    }
}

#[cfg(test)]
mod tests;
