//! The two Lambda functions as Lambda runs them: events in by one, counted by a worker, out by the
//! other.

use serde_json::{Value, json};

use crate::process::{Program, state};
use crate::runtime_api::{Outcome, invoke};

const SCHEMA: &str = include_str!("../../schemas/json/report.schema.json");

fn event(kind: &str, time: &str, mut event: Value) -> Value {
    event["eventType"] = kind.into();
    event["sessionId"] = "st-1".into();
    event["channelId"] = "ch-1".into();
    event["timestamp"] = time.into();
    event
}

/// Returns a batch of an event source mapping with one update, in base64.
fn batch() -> Value {
    // {"eventType":"metrics_update","sessionId":"st-1","channelId":"ch-1",
    //  "timestamp":"2026-03-01T20:01:10Z","currentViewers":30}
    let data = "eyJldmVudFR5cGUiOiJtZXRyaWNzX3VwZGF0ZSIsInNlc3Npb25JZCI6InN0LTEiLCJjaGFubmVsSWQiOi\
                JjaC0xIiwidGltZXN0YW1wIjoiMjAyNi0wMy0wMVQyMDowMToxMFoiLCJjdXJyZW50Vmlld2VycyI6MzB9";
    let record = json!({
        "eventSource": "aws:kinesis",
        "eventID": "shardId-000000000000:49590338271490256608559692538361571095921575989136588898",
        "eventSourceARN": "arn:aws:kinesis:us-east-1:111122223333:stream/backend",
        "kinesis": {
            "partitionKey": "st-1",
            "sequenceNumber": "49590338271490256608559692538361571095921575989136588898",
            "data": data,
            "approximateArrivalTimestamp": 1_772_395_270.5,
        },
    });
    json!({ "Records": [record] })
}

fn body(outcome: &Outcome) -> (u64, Value) {
    assert!(outcome.is_success, "{outcome:?}");
    let body = outcome.body["body"].as_str().unwrap();
    (outcome.body["statusCode"].as_u64().unwrap(), serde_json::from_str(body).unwrap())
}

#[test]
fn what_one_function_records_the_other_reports() {
    let dir = state();
    let endpoint =
        Program::new(&["local", "--endpoint-only", "--port", "0", "--state", ":memory:"]).start();
    let (url, _endpoint) = endpoint.wait_for_ready();
    let at = ["--endpoint-url", &url];

    let update = json!({ "currentViewers": 10, "eventId": "u-1" });
    let start = event("stream_start", "2026-03-01T20:00:05Z", json!({ "streamTitle": "t" }));
    let update = event("metrics_update", "2026-03-01T20:00:10Z", update);
    let end = event("stream_end", "2026-03-01T20:02:05Z", json!({ "totalChatMessages": 7 }));
    let unknown = event("stream_paused", "2026-03-01T20:00:05Z", json!({}));
    // The same update twice, as when an answer is lost; the same batch twice, as when one fails.
    let requests = vec![start, update.clone(), update, batch(), batch(), end, unknown];
    let outcomes = invoke(Program::new(&["record"]).args(&at), requests);
    let (status, reply) = body(&outcomes[0]);
    assert_eq!((status, &reply["sessionId"]), (200, &json!("st-1")));
    assert_eq!(outcomes[3].body, json!({ "batchItemFailures": [] }));
    assert_eq!(body(&outcomes[6]).0, 400);

    Program::new(&["worker", "--until-drained"])
        .args(&at)
        .args(&["--set", "epoch.interval_ms=1000", "--set"])
        .arg(format!("objects.rejects=file://{}", dir.path().join("rejects").display()))
        .run_to_end();

    let out = format!("file://{}", dir.path().display());
    let function = Program::new(&["report", "lambda"]).args(&at).env("REPORT_OUT", &out);
    let request = json!({ "reportType": "daily", "channelId": "ch-1", "date": "2026-03-01" });
    let outcomes = invoke(function, vec![request, json!({ "reportType": "hourly" })]);
    let (status, reply) = body(&outcomes[0]);
    assert_eq!((status, &reply["message"]), (200, &json!("daily report generated successfully")));
    assert_eq!(reply["reportUrl"], format!("{out}/reports/ch-1/daily_2026-03-01.json"));
    let report = &reply["reportData"];
    assert_eq!(report["summary"]["totalSessions"], 1);
    assert_eq!(report["summary"]["totalStreamTime"], 120.0);
    assert_eq!(report["summary"]["maxConcurrentViewers"], 30.0);
    assert_eq!(report["summary"]["viewerMinutes"], 40.0, "10 + 30: copies count once");
    assert_eq!(report["summary"]["totalChatMessages"], 7);
    assert_eq!(body(&outcomes[1]).0, 400);
    let page = dir.path().join("reports/ch-1/daily_2026-03-01.html");
    assert!(std::fs::read_to_string(page).unwrap().contains("<b>30</b><span>Peak viewers"));

    let validator = jsonschema::validator_for(&serde_json::from_str(SCHEMA).unwrap()).unwrap();
    let command = |kind: &str, channel: &str| -> Value {
        let options = ["--channel", channel, "--date", "2026-03-01", "--tz", "Asia/Tokyo"];
        let text = Program::new(&["report", kind]).args(&at).args(&options).run_to_end();
        serde_json::from_str(&text).unwrap()
    };
    // A channel that is known, on a day of which nothing is.
    let nothing = json!({ "reportType": "daily", "channelId": "ch-1", "date": "2026-02-01" });
    let function = Program::new(&["report", "lambda"]).args(&at).env("REPORT_OUT", &out);
    let (status, reply) = body(&invoke(function, vec![nothing])[0]);
    assert_eq!((status, &reply["reportData"]["summary"]["totalSessions"]), (200, &json!(0)));
    let empty = &reply["reportData"];
    for report in [report, empty, &command("weekly", "ch-1"), &command("monthly", "ch-1")] {
        let errors: Vec<_> = validator.iter_errors(report).map(|e| e.to_string()).collect();
        assert_eq!(errors, [""; 0], "{report}");
    }
}

#[test]
fn a_function_that_cannot_do_its_work_fails_the_invocation() {
    let dir = state();
    let endpoint =
        Program::new(&["local", "--endpoint-only", "--port", "0", "--state", ":memory:"]).start();
    let (url, _endpoint) = endpoint.wait_for_ready();
    let at = ["--endpoint-url", &url];
    let function = Program::new(&["record", "--set", "stream.name=absent"]).args(&at);
    let update = event("metrics_update", "2026-03-01T20:00:10Z", json!({}));
    let outcomes = invoke(function, vec![update]);
    assert!(!outcomes[0].is_success, "{outcomes:?}");
    assert!(outcomes[0].body["errorMessage"].as_str().unwrap().contains("cannot put"));
    let function = Program::new(&["report", "lambda", "--set", "tables.metrics=absent"]).args(&at);
    let function = function.env("REPORT_OUT", format!("file://{}", dir.path().display()));
    let outcomes = invoke(function, vec![json!({ "channelId": "ch-1" })]);
    assert!(!outcomes[0].is_success, "{outcomes:?}");
    assert!(outcomes[0].body["errorMessage"].as_str().unwrap().contains("absent"));
}

#[test]
fn outside_lambda_the_functions_say_where_they_belong() {
    let (_, error) = Program::new(&["record", "--endpoint-url", "http://127.0.0.1:9"]).fails();
    assert!(error.contains("AWS Lambda"), "{error}");
}
