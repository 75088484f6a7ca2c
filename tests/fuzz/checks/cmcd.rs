//! CMCD: bodies of event reports, and queries in logs.

use std::fmt::Write as _;

use ivs_core::decode::{Context, DecodeLimits, Decoder, Event, PlayerSample};

use super::{ARRIVAL, lines};

/// The subject of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    channel_id: String,
    session_id: String,
    view_id: String,
    time_ms: i64,
}

/// Checks that lines are reports or not, and that what a report says is read again when it is
/// written by other means: as a line, and as a query in a log. The bytes are tried as both.
pub(crate) fn cmcd(data: &[u8]) {
    for view in views(data) {
        let Some(report) = report(&view) else { continue };
        let log = format!("1772366399.123\tEDGE\t200\tCMCD={}&x=1\t-", escaped(&report));
        for again in [report, log] {
            let found = self::view(again.as_bytes());
            assert_eq!(found.as_ref(), Some(&view), "{again}");
        }
    }
}

/// Returns what the accepted reports among some lines are about, or the query that they are.
pub(crate) fn views(data: &[u8]) -> Vec<View> {
    let query = [b"1772366399.123\t-\tCMCD=", data].concat();
    lines(data).chain([&query[..]]).filter_map(view).collect()
}

/// Returns what a line is about, if it is an accepted report of a view.
fn view(line: &[u8]) -> Option<View> {
    // Records of other kinds begin with brackets, and compressed ones with `x` or no text.
    if !line.first().is_some_and(|first| matches!(first, b'a'..=b'w' | b'0'..=b'9')) {
        return None;
    }
    let mut found = None;
    let mut decoder = Decoder::new(DecodeLimits::default());
    let read = decoder.read(line, &Context::from(ARRIVAL), |_, decoded| {
        if let Ok(Event::Player(sample)) = decoded {
            found = Some(of(sample));
        }
        Ok::<(), std::convert::Infallible>(())
    });
    let Ok(()) = read;
    found
}

fn of(sample: &PlayerSample<'_>) -> View {
    View {
        channel_id: sample.channel_id.to_string(),
        session_id: sample.session_id.to_string(),
        view_id: sample.view_id.as_deref().unwrap_or_default().to_owned(),
        time_ms: sample.time.0,
    }
}

/// Returns the least report of a view; `None` for a channel whose name would be read otherwise.
fn report(view: &View) -> Option<String> {
    let View { channel_id, session_id, view_id, time_ms } = view;
    // The session of a report that names none.
    let cid = if *session_id == format!("qos:{channel_id}") {
        channel_id.clone()
    } else {
        format!("{channel_id}/{session_id}")
    };
    (!cid.starts_with("arn:"))
        .then(|| format!("cid={},sid={},ts={time_ms},v=2", quoted(&cid), quoted(view_id)))
}

/// Returns a string of a structured field.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Returns a text as it stands in a query.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut query, byte| {
        let written = if byte.is_ascii_alphanumeric() {
            write!(query, "{}", char::from(byte))
        } else {
            write!(query, "%{byte:02X}")
        };
        written.expect("a string takes all");
        query
    })
}
