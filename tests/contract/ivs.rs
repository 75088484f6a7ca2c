//! IVS: which streams are live, and what it says of one.
//!
//! `API_…` is a page of <https://docs.aws.amazon.com/ivs/latest/LowLatencyAPIReference/>.
//!
//! Nothing but video makes streams. So only the embedded AWS is asked, which is told of them.

mod list;
mod session;

use serde_json::{Value, json};

use super::Case;

/// Streams that are live: more than a page has.
const LIVE: u32 = 102;
/// The number of a stream that is over, of its channel, and of a channel that never had any.
const OVER: u32 = 900;
const SILENT: u32 = 901;
const START: &str = "2026-03-01T12:00:07Z";
const END: &str = "2026-03-01T13:00:00Z";
/// Events of the stream that is over, one a second from its start on: one more than IVS tells.
const EVENTS: i64 = 501;

/// Returns the cases.
pub(super) fn cases() -> Vec<&'static Case> {
    [list::CASES, session::CASES].into_iter().flatten().collect()
}

/// Returns the streams that the cases need, as the embedded AWS is told of them.
pub(crate) fn streams() -> String {
    let mut over = told(OVER);
    over["endTime"] = json!(END);
    over["ingestConfiguration"] = json!({
        "video": { "codec": "avc1.4D401F", "encoder": "obs", "videoHeight": 720, "videoWidth": 1280 },
        "audio": { "codec": "mp4a.40.2", "channels": 2, "sampleRate": 48_000 },
    });
    over["truncatedEvents"] = (0..EVENTS).map(event).collect();
    let sessions: Vec<_> = [over].into_iter().chain((0..LIVE).map(told)).collect();
    json!({ "sessions": sessions }).to_string()
}

fn told(number: u32) -> Value {
    json!({ "channelArn": channel(number), "streamId": stream(number), "startTime": START })
}

fn event(after_s: i64) -> Value {
    let start: jiff::Timestamp = START.parse().expect("a time");
    let time = start + jiff::SignedDuration::from_secs(after_s);
    json!({
        "name": format!("Event {after_s}"),
        "type": "IVS Stream State Change",
        "eventTime": time.to_string(),
    })
}

fn channel(number: u32) -> String {
    format!("arn:aws:ivs:us-east-1:000000000000:channel/c{number}")
}

/// Returns the id of a channel's only stream.
fn stream(number: u32) -> String {
    format!("st-{number:023}")
}
