//! The tutorial's five widgets, as the CDK stack's dashboard has them.

use ivs_schemas::catalogue::{
    CHANNEL_ID, IVS_CHANNEL, Metric,
    metrics::{
        CHAT_ACTIVITY, CURRENT_VIEWERS, FRAME_RATE, INGEST_FRAMERATE, KEYFRAME_INTERVAL,
        LIMIT_BREACHES, PEAK_VIEWERS, STREAM_BITRATE, STREAM_DURATION, STREAMS_ENDED,
        STREAMS_FAILED, STREAMS_STARTED,
    },
};
use ivs_schemas::names;
use serde_json::{Value, json};

/// Stands where the channel chosen on the dashboard is put; the CDK stack has the same.
const CHANNEL: &str = "choose-a-channel";

/// The dashboard's body.
pub(super) fn body() -> String {
    json!({
        "start": "-PT6H",
        "periodOverride": "inherit",
        "variables": [{
            "type": "pattern",
            "pattern": CHANNEL,
            "inputType": "select",
            "id": "channel",
            "label": "Channel",
            "defaultValue": "__FIRST",
            "visible": true,
            "search": format!(
                "{{{},{CHANNEL_ID}}} MetricName=\"{}\"",
                CURRENT_VIEWERS.namespace.as_str(),
                CURRENT_VIEWERS.name
            ),
            "populateFrom": CHANNEL_ID,
        }],
        "widgets": widgets(),
    })
    .to_string()
}

fn widgets() -> Vec<Value> {
    let viewers = || vec![viewers_of_all(), own(CURRENT_VIEWERS)];
    let sessions = [
        STREAMS_STARTED,
        STREAMS_ENDED,
        STREAMS_FAILED,
        STREAM_DURATION,
        PEAK_VIEWERS,
        LIMIT_BREACHES,
    ];
    let quality = vec![
        own(STREAM_BITRATE),
        of(INGEST_FRAMERATE, &[(IVS_CHANNEL, CHANNEL)], "Average", "right"),
        of(FRAME_RATE, &[(CHANNEL_ID, CHANNEL)], FRAME_RATE.statistic.as_str(), "right"),
        of(KEYFRAME_INTERVAL, &[(IVS_CHANNEL, CHANNEL)], "Average", "right"),
    ];
    let chat = vec![own(CHAT_ACTIVITY), of(CHAT_ACTIVITY, &[], "Maximum", "left")];
    let day = sessions.map(|metric| of(metric, &[], metric.statistic.as_str(), "left")).to_vec();
    vec![
        widget("singleValue", "Viewers now", (0, 0, 8, 6), "-PT6H", &viewers()),
        widget("timeSeries", "Viewers, 24 hours", (8, 0, 16, 6), "-PT24H", &viewers()),
        widget("timeSeries", "Quality of the channel", (0, 6, 12, 6), "-PT6H", &quality),
        widget("timeSeries", "Chat, messages a minute", (12, 6, 12, 6), "-PT6H", &chat),
        widget("singleValue", "Sessions, 24 hours", (0, 12, 24, 3), "-PT24H", &day),
    ]
}

fn widget(
    view: &str,
    title: &str,
    (x, y, width, height): (u32, u32, u32, u32),
    start: &str,
    metrics: &[Value],
) -> Value {
    json!({
        "type": "metric", "x": x, "y": y, "width": width, "height": height,
        "properties": {
            "view": view, "title": title, "region": names::LOCAL_REGION, "start": start,
            "sparkline": true, "metrics": metrics, "yAxis": { "left": { "min": 0 } },
        },
    })
}

fn viewers_of_all() -> Value {
    json!([{
        "label": "all channels",
        "expression": format!(
            "SUM(SEARCH('{{{},{CHANNEL_ID}}} MetricName=\"{}\"', 'Average', 60))",
            CURRENT_VIEWERS.namespace.as_str(),
            CURRENT_VIEWERS.name
        ),
    }])
}

fn own(metric: Metric) -> Value {
    of(metric, &[(CHANNEL_ID, CHANNEL)], metric.statistic.as_str(), "left")
}

fn of(metric: Metric, dimensions: &[(&str, &str)], statistic: &str, axis: &str) -> Value {
    let mut line = vec![json!(metric.namespace.as_str()), json!(metric.name)];
    for (name, value) in dimensions {
        line.extend([json!(name), json!(value)]);
    }
    line.push(json!({ "stat": statistic, "period": 60, "yAxis": axis }));
    Value::Array(line)
}
