//! The telemetry API as the CDK stack deploys it: `POST /telemetry` with `{"records": […]}`,
//! `POST /streams` with the batches of AWS's QoS sample, and `POST /cmcd` with the reports that web
//! players send by configuration alone, keyed, straight into the stream. API Gateway's answers are given in its own words, so that a producer that works here works there.

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::service::{Call, ServiceName};

/// API Gateway's limit of a request.
pub(crate) const BODY_BYTES_MAX: usize = 10 << 20;
/// PutRecords takes no more.
const RECORDS_MAX: usize = 500;
/// Characters of an id; two of them and a colon are a partition key, which has 256 at most.
const ID_CHARS_MAX: usize = 127;
const LONG_ID_CHARS_MAX: usize = 256;
/// The client's answer when Kinesis refuses.
const REFUSED: &str =
    "the stream cannot take this batch: send 500 records and 5 MB at most, each below 1 MB";
const LATER: &str = "the stream cannot be written now; send the same batch again later";

/// The telemetry API of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// The stream that records go into.
    pub stream: String,
    /// The key that producers send as `x-api-key`.
    pub api_key: String,
}

/// Which of the API's paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/telemetry`: this project's own records.
    Telemetry,
    /// `/streams`: those of AWS's QoS sample.
    Qos,
    /// `/cmcd`: event reports of CMCD. Players cannot send a key with them.
    Cmcd,
}

impl Route {
    /// Returns the route of a path, with or without the stage.
    pub(crate) fn of(path: &str) -> Option<Self> {
        match path.strip_prefix("/v1").unwrap_or(path) {
            "/telemetry" => Some(Self::Telemetry),
            "/streams" => Some(Self::Qos),
            "/cmcd" => Some(Self::Cmcd),
            _ => None,
        }
    }

    /// Returns the type of the bodies that it takes.
    const fn content_type(self) -> &'static str {
        match self {
            Self::Telemetry | Self::Qos => "application/json",
            Self::Cmcd => "application/cmcd",
        }
    }
}

/// A batch, each record as it came.
#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
}

/// A batch of the QoS sample.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct QosBatch<'a> {
    #[serde(borrow)]
    records: Vec<QosEntry<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct QosEntry<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

impl Telemetry {
    /// Turns a request into a call of Kinesis, or answers it.
    pub(crate) fn read(
        &self,
        route: Route,
        method: &Method,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Call, Box<Response>> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let refuse = |status: u16, message: &str| Err(Box::new(refusal(status, message)));
        if *method == Method::OPTIONS {
            return Err(Box::new(preflight()));
        }
        if *method != Method::POST {
            return refuse(403, "Missing Authentication Token");
        }
        if route != Route::Cmcd && text("x-api-key") != Some(&self.api_key) {
            return refuse(403, "Forbidden");
        }
        // API Gateway takes a body without a type for JSON.
        let kind = text("content-type").unwrap_or("application/json");
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case(route.content_type()) {
            return refuse(415, "Unsupported Media Type");
        }
        if body.len() > BODY_BYTES_MAX {
            return refuse(413, "Request Too Long");
        }
        match self.put_records(route, body) {
            Some(body) => Ok(call(body)),
            None => refuse(400, "Invalid request body"),
        }
    }

    /// Returns the body of PutRecords; `None` if the batch is not one.
    fn put_records(&self, route: Route, body: &[u8]) -> Option<Vec<u8>> {
        let events: Vec<&RawValue> = match route {
            Route::Telemetry => serde_json::from_slice::<Batch<'_>>(body).ok()?.records,
            Route::Qos => {
                let batch: QosBatch<'_> = serde_json::from_slice(body).ok()?;
                batch.records.into_iter().map(|entry| entry.data).collect()
            }
            Route::Cmcd => {
                let record = json!({ "Data": BASE64.encode(body), "PartitionKey": view_of(body) });
                return Some(self.call_of(&[record]));
            }
        };
        if events.is_empty() || events.len() > RECORDS_MAX {
            return None;
        }
        let records = events.iter().map(|event| {
            let key = key_of(route, event.get())?;
            Some(json!({ "Data": BASE64.encode(event.get()), "PartitionKey": key }))
        });
        let records: Vec<Value> = records.collect::<Option<_>>()?;
        Some(self.call_of(&records))
    }

    fn call_of(&self, records: &[Value]) -> Vec<u8> {
        json!({ "StreamName": self.stream, "Records": records }).to_string().into_bytes()
    }
}

/// Returns the view of a CMCD report, as the mapping template of the API finds it.
fn view_of(body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body);
    let view = body.split_once("sid=\"").and_then(|(_, rest)| rest.split_once('"'));
    view.map(|(view, _)| view).filter(|view| !view.is_empty()).unwrap_or("none").to_owned()
}

/// Returns the partition key of an event that can be routed, as the model of the API has it:
/// session and player, because all viewers of a session under one key would meet in one shard.
fn key_of(route: Route, event: &str) -> Option<String> {
    let event: Value = serde_json::from_str(event).ok()?;
    let text = |name: &str, chars: std::ops::RangeInclusive<usize>| {
        let text = event.get(name)?.as_str()?;
        chars.contains(&text.chars().count()).then_some(text)
    };
    let id = |name| text(name, 1..=ID_CHARS_MAX);
    let (session, player) = match route {
        Route::Telemetry => {
            let is_sound = event.get("type")?.as_str()? == "player_telemetry"
                && event.get("timestamp").is_some()
                && text("eventId", 1..=LONG_ID_CHARS_MAX).is_some()
                && text("channelId", 1..=LONG_ID_CHARS_MAX).is_some();
            (id("sessionId").filter(|_| is_sound)?, id("playerId")?)
        }
        Route::Cmcd => return None,
        Route::Qos => {
            id("metric_type")?;
            let player = match event.get("user_id") {
                Some(_) => text("user_id", 0..=ID_CHARS_MAX)?,
                None => "",
            };
            (id("session_id")?, player)
        }
    };
    Some(format!("{session}:{player}"))
}

fn call(body: Vec<u8>) -> Call {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-target", HeaderValue::from_static("Kinesis_20131202.PutRecords"));
    Call {
        service: ServiceName::Kinesis,
        operation: "PutRecords".to_owned(),
        headers,
        path: "/".to_owned(),
        body: body.into(),
    }
}

/// Puts Kinesis's answer in the API's words: 503 if some records are to be sent again.
pub(crate) fn reply(status: StatusCode, answer: &[u8]) -> Response {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    if !status.is_success() {
        let kind = answer["__type"].as_str().unwrap_or_default();
        let is_clients = status.is_client_error()
            && ["ValidationException", "InvalidArgument"].iter().any(|own| kind.contains(own));
        let (status, error) = if is_clients { (400, REFUSED) } else { (503, LATER) };
        return cors(respond(status, &json!({ "error": error })));
    }
    let stored =
        |result: &Value| json!({ "stored": result.get("ErrorCode").is_none_or(Value::is_null) });
    let results = answer["Records"].as_array();
    let records: Vec<Value> = results.into_iter().flatten().map(stored).collect();
    let failed = answer["FailedRecordCount"].as_u64().unwrap_or_default();
    let status = if failed > 0 { 503 } else { 200 };
    cors(respond(status, &json!({ "failed": failed, "records": records })))
}

fn refusal(status: u16, message: &str) -> Response {
    cors(respond(status, &json!({ "message": message })))
}

fn preflight() -> Response {
    let mut response = cors(Response::new(Body::empty()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type,x-api-key"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn respond(status: u16, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn cors(mut response: Response) -> Response {
    let any = HeaderValue::from_static("*");
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api() -> Telemetry {
        Telemetry { stream: "s".to_owned(), api_key: "k".to_owned() }
    }

    fn ask(pairs: &[(&'static str, &'static str)], body: &str) -> Result<Call, u16> {
        ask_at(Route::Telemetry, pairs, body)
    }

    fn ask_at(
        route: Route,
        pairs: &[(&'static str, &'static str)],
        body: &str,
    ) -> Result<Call, u16> {
        let headers = pairs
            .iter()
            .map(|(name, value)| {
                (http::HeaderName::from_static(name), HeaderValue::from_static(value))
            })
            .collect();
        let asked = api().read(route, &Method::POST, &headers, &Bytes::from(body.to_owned()));
        asked.map_err(|response| response.status().as_u16())
    }

    const RECORD: &str = r#"{"type":"player_telemetry","eventId":"e","sessionId":"st-\"1\"","channelId":"c","playerId":"p","timestamp":1, "x": 1.50}"#;

    #[test]
    fn a_batch_becomes_records_as_they_came_keyed_by_player() {
        let call = ask(&[("x-api-key", "k")], &format!("{{\"records\":[{RECORD}]}}")).unwrap();
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!(body["StreamName"], "s");
        assert_eq!(body["Records"][0]["PartitionKey"], "st-\"1\":p");
        let data = BASE64.decode(body["Records"][0]["Data"].as_str().unwrap()).unwrap();
        assert_eq!(String::from_utf8(data).unwrap(), RECORD);
    }

    #[test]
    fn a_batch_of_the_qos_sample_is_taken_too() {
        let body = r#"{"Records":[{"Data":{"metric_type":"PLAY","session_id":"s","user_id":"u"}},
            {"Data":{"metric_type":"STOP","session_id":"s"}}]}"#;
        let call = ask_at(Route::Qos, &[("x-api-key", "k")], body).unwrap();
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!(body["Records"][0]["PartitionKey"], "s:u");
        assert_eq!(body["Records"][1]["PartitionKey"], "s:");
        assert_eq!(Route::of("/v1/streams"), Some(Route::Qos));
        assert_eq!(Route::of("/v1"), None);
    }

    #[test]
    fn what_api_gateway_refuses_is_refused_with_its_status() {
        let good = format!("{{\"records\":[{RECORD}]}}");
        assert_eq!(ask(&[], &good).unwrap_err(), 403);
        let key = ("x-api-key", "k");
        assert_eq!(ask(&[key, ("content-type", "text/plain")], &good).unwrap_err(), 415);
        let many = format!("{{\"records\":[{}]}}", vec![RECORD; 501].join(","));
        let foreign = RECORD.replace("player_telemetry", "other");
        let bad = ["", "{}", "{\"records\":[]}", "{\"records\":[1]}", &many]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("{{\"records\":[{foreign}]}}")]);
        for body in bad {
            assert_eq!(ask(&[key], &body).unwrap_err(), 400, "{}", &body[..body.len().min(80)]);
        }
    }

    #[test]
    fn records_that_were_not_stored_are_told_one_by_one() {
        let answer = br#"{"FailedRecordCount":1,"Records":[{"ShardId":"a"},{"ErrorCode":"X"}]}"#;
        assert_eq!(reply(StatusCode::OK, answer).status(), 503);
        let invalid = br#"{"__type":"InvalidArgumentException"}"#;
        assert_eq!(reply(StatusCode::BAD_REQUEST, invalid).status(), 400);
        let throttled = br#"{"__type":"ProvisionedThroughputExceededException"}"#;
        assert_eq!(reply(StatusCode::BAD_REQUEST, throttled).status(), 503);
        assert_eq!(reply(StatusCode::INTERNAL_SERVER_ERROR, b"").status(), 503);
        let whole =
            reply(StatusCode::OK, br#"{"FailedRecordCount":0,"Records":[{"ShardId":"a"}]}"#);
        assert_eq!(whole.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    }

    /// The same file holds CDK's mapping templates to it.
    const CONTRACT: &str = include_str!("../../../schemas/contract/telemetry-api.json");

    fn contract(part: &str) -> Vec<Value> {
        let contract: Value = serde_json::from_str(CONTRACT).unwrap();
        contract[part].as_array().unwrap().clone()
    }

    fn asked(case: &Value) -> Result<Call, u16> {
        let route = Route::of(&format!("/{}", case["route"].as_str().unwrap())).unwrap();
        ask_at(route, &[("x-api-key", "k")], &case["batch"].to_string())
    }

    #[test]
    fn batches_become_what_the_deployed_api_makes_of_them() {
        for case in contract("batches") {
            let call = asked(&case).unwrap();
            let body: Value = serde_json::from_slice(&call.body).unwrap();
            let records = body["Records"].as_array().unwrap();
            let keys: Vec<Value> = records.iter().map(|one| one["PartitionKey"].clone()).collect();
            assert_eq!(json!(keys), case["keys"]);
            let stored = records.iter().map(|record| {
                let data = BASE64.decode(record["Data"].as_str().unwrap()).unwrap();
                serde_json::from_slice::<Value>(&data).unwrap()
            });
            let own = case["batch"]["records"].as_array();
            let sent: Vec<Value> = match own {
                Some(records) => records.clone(),
                None => {
                    let entries = case["batch"]["Records"].as_array().unwrap();
                    entries.iter().map(|entry| entry["Data"].clone()).collect()
                }
            };
            assert_eq!(stored.collect::<Vec<_>>(), sent);
        }
        for case in contract("refused") {
            assert_eq!(asked(&case).unwrap_err(), 400, "{case}");
        }
    }

    #[test]
    fn reports_of_cmcd_become_what_the_deployed_api_makes_of_them() {
        let content_type = ("content-type", "application/cmcd");
        for case in contract("reports") {
            let body = case["body"].as_str().unwrap();
            let call = ask_at(Route::Cmcd, &[content_type], body).unwrap();
            let put: Value = serde_json::from_slice(&call.body).unwrap();
            assert_eq!(put["Records"][0]["PartitionKey"], case["key"]);
            let data = BASE64.decode(put["Records"][0]["Data"].as_str().unwrap()).unwrap();
            assert_eq!(data, body.as_bytes());
        }
        assert_eq!(ask_at(Route::Cmcd, &[("x-api-key", "k")], "{}").unwrap_err(), 415);
    }

    #[tokio::test]
    async fn answers_are_those_of_the_deployed_api() {
        for case in contract("answers") {
            let status = case["kinesis"]["status"].as_u64().unwrap();
            let status = StatusCode::from_u16(u16::try_from(status).unwrap()).unwrap();
            let answer = reply(status, case["kinesis"]["body"].to_string().as_bytes());
            assert_eq!(u64::from(answer.status().as_u16()), case["status"].as_u64().unwrap());
            let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), case["body"], "{case}");
        }
    }
}
