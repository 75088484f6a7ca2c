//! Reports of real tables, in the embedded DynamoDB.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue::{self, N, S};
use ivs_core::row::Row;

use super::super::lambda::{Handler, Request};
use super::super::{ReportReader, has_data, period, store};
use super::*;
use crate::cloud::store_url::StoreUrl;
use crate::config::Aws;
use crate::items::codec::Item;
use crate::items::{metric, summary as summary_item};
use crate::testing::Embedded;

async fn put(dynamodb: &Client, table: &str, item: Item) {
    dynamodb.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
}

fn stored<A>(agg: A) -> Row<A> {
    Row { agg, applied: [].into(), version: 1 }
}

/// Returns a fact of the timeline, as far as reports look at it.
fn fact(session: &str, second: i64) -> Item {
    let timestamp = N(format!("{}.02", DAY_S + second));
    let text = |text: &str| -> AttributeValue { S(text.to_owned()) };
    let pairs =
        [("sessionId", text(session)), ("channelId", text("ch-1")), ("timestamp", timestamp)];
    HashMap::from(pairs.map(|(name, value)| (name.to_owned(), value)))
}

async fn put_session(dynamodb: &Client, table: &str, id: &str, (start, end): (i64, i64)) {
    put(dynamodb, table, fact(id, start)).await;
    put(dynamodb, table, summary_item::encode(&Arc::from(id), &stored(summary(start, end)), None))
        .await;
}

#[tokio::test]
async fn a_report_reads_every_page_and_only_its_period() {
    let Embedded { endpoint, config, clients } = Embedded::start().await;
    let dynamodb = clients.dynamodb;
    let (metrics, sessions) = (&config.tables.metrics, &config.tables.sessions);
    // 60 rows of 30 KB are nearly two pages of 1 MB; a row before and one after the day.
    for minute in (0..60).chain([-1, 1_440]) {
        let mut item = metric::encode(&window("st-1", minute * 60), &stored(row(10)), None);
        item.insert("pad".to_owned(), S("x".repeat(30_000)));
        put(&dynamodb, metrics, item).await;
    }
    let page = dynamodb
        .query()
        .table_name(metrics)
        .key_condition_expression("sessionId = :s")
        .expression_attribute_values(":s", S("st-1".to_owned()))
        .send()
        .await
        .unwrap();
    assert!(page.last_evaluated_key.is_some(), "the rows must not fit into one page");
    // Started the day before yesterday, and has rows; started yesterday, without rows; tomorrow.
    put_session(&dynamodb, sessions, "st-1", (-90_000, 3_600)).await;
    put_session(&dynamodb, sessions, "early", (-3_600, 1_800)).await;
    put_session(&dynamodb, sessions, "later", (86_400, 90_000)).await;

    let day = period(ReportType::Daily, Some(jiff::civil::date(2026, 3, 1)), "UTC", EpochMs(0));
    let (day, now) = (day.unwrap(), EpochMs((DAY_S + 100_000) * 1_000));
    let source = ReportReader::new(&dynamodb, &config.tables);
    let report = source.report("ch-1", &day, now).await.unwrap();
    assert_eq!(report.summary.viewer_minutes, Some(600.0), "60 rows of 10 viewers");
    assert_eq!(report.summary.total_sessions, 2);
    assert_eq!(report.summary.total_stream_time, 5_400.0, "3,600 + 1,800");
    assert!(!has_data(&source.report("nobody", &day, now).await.unwrap()));
    let channels = source.channels(&day).await.unwrap();
    assert_eq!(channels.in_period.into_iter().collect::<Vec<_>>(), ["ch-1"]);
    assert_eq!(channels.latest_start, Some(EpochMs((DAY_S + 86_400) * 1_000)), "of \"later\"");
    assert!(source.is_known("ch-1").await.unwrap());
    assert!(!source.is_known("nobody").await.unwrap());
    // The day before has the first half hour of "early", and nothing else of what it can show.
    let previous = report.previous.as_ref().unwrap();
    assert_eq!(previous.period.name, "2026-02-28");
    assert_eq!(previous.summary.viewer_minutes, Some(10.0), "the row of 23:59");

    let dir = tempfile::tempdir().unwrap();
    let url = StoreUrl::open(&format!("file://{}", dir.path().display()), &Aws::default()).unwrap();
    for _ in 0..2 {
        let key = store(&url, &report, Format::Json, Lang::En).await.unwrap();
        assert_eq!(key, "reports/ch-1/daily_2026-03-01.json");
    }
    let text = std::fs::read(dir.path().join("reports/ch-1/daily_2026-03-01.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(json["summary"]["totalStreamTime"], 5_400.0);
    assert_eq!(json["previous"]["summary"]["totalSessions"], 2);
    endpoint.shutdown().await;
}

#[tokio::test]
async fn the_function_answers_as_the_tutorials_does() {
    let Embedded { endpoint, config, clients } = Embedded::start().await;
    let dynamodb = clients.dynamodb;
    put(
        &dynamodb,
        &config.tables.metrics,
        metric::encode(&window("st-1", 0), &stored(row(10)), None),
    )
    .await;
    put_session(&dynamodb, &config.tables.sessions, "st-1", (0, 60)).await;
    let dir = tempfile::tempdir().unwrap();
    let out = format!("file://{}", dir.path().display());
    let source = ReportReader::new(&dynamodb, &config.tables);
    let handler = Handler::new(source, &Aws::default(), &out, "UTC", Lang::En).unwrap();
    let now = EpochMs((DAY_S + 90_000) * 1_000);
    let ask = async |request: serde_json::Value| {
        let request: Request = serde_json::from_value(request).unwrap();
        let reply = serde_json::to_value(handler.handle(request, now).await.unwrap()).unwrap();
        let body: serde_json::Value =
            serde_json::from_str(reply["body"].as_str().unwrap()).unwrap();
        (reply["statusCode"].clone(), body)
    };
    // Without a type it is the daily report, as in the tutorial; the day that is over is 1 March.
    let (status, body) = ask(serde_json::json!({ "channelId": "ch-1" })).await;
    assert_eq!(status, 200);
    assert_eq!(body["message"], "daily report generated successfully");
    assert_eq!(body["reportUrl"], format!("{out}/reports/ch-1/daily_2026-03-01.json"));
    assert_eq!(body["reportData"]["summary"]["viewerMinutes"], 10.0);
    assert!(dir.path().join("reports/ch-1/daily_2026-03-01.html").exists());

    let (status, body) =
        ask(serde_json::json!({ "reportType": "weekly", "date": "2026-03-01" })).await;
    assert_eq!((status, &body["reports"]), (200.into(), &1.into()));
    assert!(dir.path().join("reports/ch-1/weekly_2026-W09.json").exists());

    let (status, body) = ask(serde_json::json!({ "reportType": "hourly" })).await;
    assert_eq!((status, &body["error"]), (400.into(), &"Invalid report type".into()));
    let (status, _) = ask(serde_json::json!({ "channelId": "ch-1", "date": "yesterday" })).await;
    assert_eq!(status, 400);
    let source = ReportReader::new(&dynamodb, &config.tables);
    let samoa = Handler::new(source, &Aws::default(), &out, "Pacific/Apia", Lang::En).unwrap();
    let request = serde_json::json!({ "channelId": "ch-1", "date": "2011-12-30" });
    let reply = samoa.handle(serde_json::from_value(request).unwrap(), now).await.unwrap();
    let reply = serde_json::to_value(reply).unwrap();
    assert_eq!(reply["statusCode"], 400, "no retry brings the day back: {reply}");
    endpoint.shutdown().await;
}
