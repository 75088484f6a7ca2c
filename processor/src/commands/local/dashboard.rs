//! The dashboard of `local`: the catalogue's sections, as the CDK stack draws them.

use ivs_schemas::catalogue::widgets::{Kind, Line, SECTIONS, Scope, Widget};
use ivs_schemas::catalogue::{CHANNEL_ID, IVS_CHANNEL, Metric, Namespace, metrics};
use ivs_schemas::names;
use serde_json::{Value, json};

/// Stands where the channel chosen on the dashboard is put; the CDK stack has the same.
const CHANNEL: &str = "choose-a-channel";
/// Rows of the grid that a widget takes, and those of one that holds totals or a heading.
const HEIGHT: u32 = 6;
const LOW: u32 = 3;

/// Returns the dashboard's body.
pub(super) fn body() -> String {
    let mut widgets = Vec::new();
    let mut y = 0;
    for section in SECTIONS {
        if !section.title.is_empty() {
            let markdown = format!("## {}\n{}", section.title, section.text);
            widgets.push(json!({
                "type": "text", "x": 0, "y": y, "width": 24, "height": LOW,
                "properties": { "markdown": markdown },
            }));
            y += LOW;
        }
        for row in section.rows {
            let (mut x, mut highest) = (0, 0);
            for widget in *row {
                let height = if widget.kind == Kind::Totals { LOW } else { HEIGHT };
                widgets.push(drawn(widget, (x, y, height)));
                x += u32::from(widget.width);
                highest = highest.max(height);
            }
            y += highest;
        }
    }
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
            "search": search(metrics::CURRENT_VIEWERS),
            "populateFrom": CHANNEL_ID,
        }],
        "widgets": widgets,
    })
    .to_string()
}

fn drawn(widget: &Widget, (x, y, height): (u32, u32, u32)) -> Value {
    let totals = widget.kind == Kind::Totals;
    let lines = widget.left.iter().map(|line| (line, "left"));
    let lines = lines.chain(widget.right.iter().map(|line| (line, "right")));
    let lines: Vec<Value> = lines.map(|(line, axis)| shown(line, axis, totals)).collect();
    let view = if widget.kind == Kind::Curves { "timeSeries" } else { "singleValue" };
    let mut properties = json!({
        "view": view,
        "title": widget.title,
        "region": names::LOCAL_REGION,
        "metrics": lines,
        "sparkline": widget.kind == Kind::Numbers,
        "setPeriodToTimeRange": totals,
        "yAxis": {
            "left": { "min": 0, "label": widget.unit },
            "right": { "min": 0, "label": widget.right_unit },
        },
    });
    if let Some(hours) = widget.hours {
        properties["start"] = format!("-PT{hours}H").into();
    }
    json!({
        "type": "metric", "x": x, "y": y, "width": widget.width, "height": height,
        "properties": properties,
    })
}

fn shown(line: &Line, axis: &str, totals: bool) -> Value {
    let metric = line.metric;
    if line.scope == Scope::AllChannels {
        let statistic = metric.statistic.as_str();
        let expression = format!("SUM(SEARCH('{}', '{statistic}', 60))", search(metric));
        return json!([{ "label": line.label, "expression": expression, "yAxis": axis }]);
    }
    let mut series = vec![json!(metric.namespace.as_str()), json!(metric.name)];
    if line.scope == Scope::Channel {
        series.extend([json!(dimension(metric)), json!(CHANNEL)]);
    }
    let statistic = line.statistic.unwrap_or(metric.statistic).as_str();
    let period_s = if totals { 86_400 } else { 60 };
    series.push(json!({
        "label": line.label, "stat": statistic, "period": period_s, "yAxis": axis,
    }));
    Value::Array(series)
}

/// Finds the series of every channel.
fn search(metric: Metric) -> String {
    let (namespace, name) = (metric.namespace.as_str(), metric.name);
    format!("{{{namespace},{}}} MetricName=\"{name}\"", dimension(metric))
}

/// IVS calls its dimension otherwise than this program, for the same value.
fn dimension(metric: Metric) -> &'static str {
    if metric.namespace == Namespace::Ivs { IVS_CHANNEL } else { CHANNEL_ID }
}
