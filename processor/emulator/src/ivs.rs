//! IVS, as far as who asks about streams needs it: `ListStreams` and `GetStreamSession`. Which streams
//! there are is told over `PUT /_local/ivs`, since nothing here takes video; they are kept in memory.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::aws_error::json_response;
use crate::service::{AwsError, Call};

/// Streams of one page, unless the call says otherwise; at most 100, as in IVS.
const PAGE: usize = 100;
/// Events of one session that are told; IVS drops the oldest beyond them.
const EVENTS_MAX: usize = 500;
const ARN_BYTES_MAX: usize = 128;
const STREAM_ID_BYTES: usize = 26;

/// A session of a stream.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    channel_arn: String,
    stream_id: String,
    /// The rest of the answer to `GetStreamSession`.
    #[serde(flatten)]
    told: Map<String, Value>,
}

impl Session {
    /// Returns whether it goes on: its end is absent or `null`.
    fn is_live(&self) -> bool {
        self.told.get("endTime").is_none_or(Value::is_null)
    }

    /// Has the events as IVS tells them: the most recent first, and no more than it keeps.
    fn truncate_events(&mut self) {
        let Some(Value::Array(events)) = self.told.get_mut("truncatedEvents") else { return };
        let time = |event: &Value| event["eventTime"].as_str()?.parse::<Timestamp>().ok();
        events.sort_by_cached_key(|event| Reverse(time(event)));
        events.truncate(EVENTS_MAX);
    }
}

/// The body of `PUT /_local/ivs`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Streams {
    sessions: Vec<Session>,
}

#[derive(Debug, Default)]
struct State {
    sessions: Vec<Session>,
    /// Calls so far, by operation.
    calls: BTreeMap<String, u64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListStreams {
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetStreamSession {
    channel_arn: String,
    stream_id: Option<String>,
}

/// The service.
#[derive(Debug, Default)]
pub(crate) struct Ivs(Mutex<State>);

impl Ivs {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the place of all sessions that there were.
    pub(crate) fn tell(&self, body: &[u8]) -> Result<(), AwsError> {
        let mut streams: Streams = read(body)?;
        for session in &mut streams.sessions {
            check(&session.channel_arn, Some(&session.stream_id))?;
            session.truncate_events();
        }
        self.lock().sessions = streams.sessions;
        Ok(())
    }

    /// Returns how often each operation was called.
    pub(crate) fn report(&self) -> String {
        json!({ "calls": self.lock().calls }).to_string()
    }

    /// Answers one call.
    pub(crate) async fn call(&self, call: Call) -> Response {
        let mut state = self.lock();
        *state.calls.entry(call.operation.clone()).or_default() += 1;
        let answer = match call.operation.as_str() {
            "ListStreams" => state.list(&call.body),
            "GetStreamSession" => state.get(&call.body),
            _ => Err(AwsError::unknown_operation(&call)),
        };
        match answer {
            Ok(answer) => json_response(answer.to_string()),
            Err(error) => error.json_response(),
        }
    }
}

impl State {
    /// Lists the live ones. A token is the place at which a page begins.
    fn list(&self, body: &[u8]) -> Result<Value, AwsError> {
        let asked: ListStreams = if body.is_empty() { ListStreams::default() } else { read(body)? };
        let page = asked.max_results.unwrap_or(PAGE);
        if !(1..=PAGE).contains(&page) {
            return Err(invalid(format!("maxResults is {page}, not between 1 and {PAGE}")));
        }
        let from = match asked.next_token.as_deref() {
            None | Some("") => 0,
            Some(token) => token
                .parse::<usize>()
                .map_err(|_| invalid(format!("nextToken is `{token}`, which no answer had")))?,
        };
        let live = || self.sessions.iter().filter(|session| session.is_live());
        let summary = |session: &Session| {
            json!({
                "channelArn": session.channel_arn,
                "streamId": session.stream_id,
                "state": "LIVE",
                "health": "HEALTHY",
                "viewerCount": 0,
                "startTime": session.told.get("startTime"),
            })
        };
        let streams: Vec<_> = live().skip(from).take(page).map(summary).collect();
        let next = from.saturating_add(page);
        let token = (live().count() > next).then(|| next.to_string());
        Ok(json!({ "streams": streams, "nextToken": token }))
    }

    /// Returns one, or the latest of its channel.
    fn get(&self, body: &[u8]) -> Result<Value, AwsError> {
        let asked: GetStreamSession = read(body)?;
        check(&asked.channel_arn, asked.stream_id.as_deref())?;
        let is_asked = |session: &&Session| {
            session.channel_arn == asked.channel_arn
                && asked.stream_id.as_ref().is_none_or(|id| *id == session.stream_id)
        };
        let Some(session) = self.sessions.iter().rev().find(is_asked) else {
            let message = "there is no such stream session".to_owned();
            return Err(AwsError { status: 404, code: "ResourceNotFoundException", message });
        };
        let mut told = session.told.clone();
        told.insert("streamId".to_owned(), json!(session.stream_id));
        Ok(json!({ "streamSession": told }))
    }
}

/// Refuses what is not the ARN of a channel or the id of a stream.
fn check(channel_arn: &str, stream_id: Option<&str>) -> Result<(), AwsError> {
    if !is_channel(channel_arn) {
        return Err(invalid(format!("channelArn is `{channel_arn}`, not the ARN of a channel")));
    }
    match stream_id {
        Some(id) if !is_stream(id) => Err(invalid(format!(
            "streamId is `{id}`, not `st-` and letters or digits, {STREAM_ID_BYTES} in all"
        ))),
        _ => Ok(()),
    }
}

fn is_channel(arn: &str) -> bool {
    let parts: Vec<_> = arn.split(':').collect();
    let ["arn", "aws", "ivs", region, account, resource] = parts[..] else { return false };
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    arn.len() <= ARN_BYTES_MAX
        && is_made_of(region, |byte| is_word(byte) && !byte.is_ascii_uppercase())
        && is_made_of(account, |byte| byte.is_ascii_digit())
        && resource.strip_prefix("channel/").is_some_and(|id| is_made_of(id, is_word))
}

fn is_stream(id: &str) -> bool {
    let rest = id.strip_prefix("st-").unwrap_or_default();
    id.len() == STREAM_ID_BYTES && is_made_of(rest, |byte| byte.is_ascii_alphanumeric())
}

fn is_made_of(text: &str, is_one: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(is_one)
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, AwsError> {
    serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))
}

fn invalid(message: String) -> AwsError {
    AwsError::bad_request("ValidationException", message)
}
