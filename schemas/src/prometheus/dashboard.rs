//! The dashboard for Grafana: the widgets of the catalogue, asked of Prometheus.

use serde_json::{Value, json};

use super::{CHANNEL, CHANNEL_PREFIX, Kind as FamilyKind, Own, family, own, scale};
use crate::catalogue::widgets::{Kind, Line, SECTIONS, Scope, Widget};
use crate::catalogue::{Metric, Namespace, Statistic};
use crate::names;

/// Grafana's grid has as many columns as CloudWatch's dashboards.
const COLUMNS: u64 = 24;

/// Returns the dashboard as Grafana provisions it.
#[must_use]
pub fn dashboard() -> Value {
    let mut grid = Grid::default();
    grid.place(COLUMNS, 5, json!({
        "type": "alertlist",
        "title": "Alarms",
        "options": { "viewMode": "list", "groupMode": "default", "maxItems": 20, "sortOrder": 1,
            "stateFilter": { "firing": true, "pending": true, "noData": false, "normal": false, "error": true } },
    }));
    for section in SECTIONS {
        if !section.title.is_empty() {
            let row =
                json!({ "type": "row", "title": section.title, "collapsed": false, "panels": [] });
            grid.place(COLUMNS, 1, row);
        }
        for widget in section.rows.iter().copied().flatten() {
            if let Some(panel) = panel(widget) {
                grid.place(u64::from(widget.width), height(widget.kind), panel);
            }
        }
    }
    json!({
        "uid": "live-streaming",
        "title": names::DASHBOARD,
        "tags": ["ivs"],
        "timezone": "browser",
        "schemaVersion": 38,
        "refresh": "15s",
        "time": { "from": "now-6h", "to": "now" },
        "templating": { "list": [
            { "name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus" },
            {
                "name": CHANNEL,
                "label": "Channel",
                "type": "query",
                "datasource": datasource(),
                "query": {
                    "query": format!("label_values({{__name__=~\"{CHANNEL_PREFIX}.+\"}}, {CHANNEL})"),
                    "refId": "channels",
                },
                "refresh": 2,
                "sort": 1,
            },
        ] },
        "panels": grid.panels,
    })
}

/// Panels, placed from left to right and top to bottom.
#[derive(Default)]
struct Grid {
    panels: Vec<Value>,
    left: u64,
    top: u64,
    row_height: u64,
}

impl Grid {
    fn place(&mut self, width: u64, height: u64, mut panel: Value) {
        if self.left + width > COLUMNS {
            self.top += self.row_height;
            (self.left, self.row_height) = (0, 0);
        }
        panel["id"] = json!(self.panels.len() + 1);
        panel["gridPos"] = json!({ "x": self.left, "y": self.top, "w": width, "h": height });
        self.panels.push(panel);
        self.left += width;
        self.row_height = self.row_height.max(height);
    }
}

fn height(kind: Kind) -> u64 {
    match kind {
        Kind::Numbers | Kind::Curves => 8,
        Kind::Totals => 4,
    }
}

fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

/// Returns the panel of a widget; none if nothing of it is there without CloudWatch.
fn panel(widget: &Widget) -> Option<Value> {
    let lines: Vec<(&Line, String)> = widget
        .left
        .iter()
        .chain(widget.right)
        .filter_map(|line| Some((line, expression(line, widget)?)))
        .collect();
    if lines.is_empty() {
        return None;
    }
    let targets: Vec<Value> = lines
        .iter()
        .zip('A'..='Z')
        .map(|((line, expr), id)| json!({ "refId": id, "expr": expr, "legendFormat": line.label, "datasource": datasource() }))
        .collect();
    let right: Vec<Value> = widget.right.iter().map(|line| on_the_right(line, widget)).collect();
    let mut panel = json!({
        "type": if widget.kind == Kind::Curves { "timeseries" } else { "stat" },
        "title": widget.title,
        "datasource": datasource(),
        "targets": targets,
        "fieldConfig": {
            "defaults": { "min": 0, "custom": { "axisLabel": widget.unit, "fillOpacity": 5 } },
            "overrides": right,
        },
    });
    if let Some(hours) = widget.hours {
        panel["timeFrom"] = json!(format!("{hours}h"));
    }
    Some(panel)
}

fn on_the_right(line: &Line, widget: &Widget) -> Value {
    json!({
        "matcher": { "id": "byName", "options": line.label },
        "properties": [
            { "id": "custom.axisPlacement", "value": "right" },
            { "id": "custom.axisLabel", "value": widget.right_unit },
        ],
    })
}

/// Returns the query of a line, in the metric's own unit; none for what only CloudWatch has.
fn expression(line: &Line, widget: &Widget) -> Option<String> {
    let window = match (widget.kind, widget.hours) {
        (Kind::Totals, Some(hours)) => format!("{hours}h"),
        _ => "$__rate_interval".to_owned(),
    };
    let metric = &line.metric;
    let value = match (family(metric), own(metric)) {
        (Some(family), _) => channel(&family.series(), family.kind, line, widget.kind, &window),
        (None, Some(own)) => processor(own, &window),
        (None, None) => {
            debug_assert!(unexposed(metric), "{} has no series", metric.name);
            return None;
        }
    };
    let factor = (1.0 / scale(metric)).round();
    Some(if factor == 1.0 { value } else { format!("{factor} * ({value})") })
}

/// Returns whether a metric is for CloudWatch alone: IVS's own, some of the processor's, and
/// figures of sessions that have no channel.
fn unexposed(metric: &Metric) -> bool {
    let by_channel = metric.dimensions.iter().any(|set| !set.is_empty());
    !by_channel || matches!(metric.namespace, Namespace::Ivs | Namespace::Processor)
}

fn channel(series: &str, kind: FamilyKind, line: &Line, look: Kind, window: &str) -> String {
    let selector = match line.scope {
        Scope::Channel => format!("{series}{{{CHANNEL}=\"${CHANNEL}\"}}"),
        Scope::Fleet | Scope::AllChannels => series.to_owned(),
    };
    if kind == FamilyKind::Counter {
        return format!("sum(increase({selector}[{window}]))");
    }
    let statistic = line.statistic.unwrap_or(line.metric.statistic);
    let mean = statistic == Statistic::Average;
    let latest = match (look, mean) {
        (Kind::Totals, true) => format!("avg_over_time({selector}[{window}])"),
        (Kind::Totals, false) => format!("max_over_time({selector}[{window}])"),
        _ => selector,
    };
    // Several workers may hold parts of one channel.
    let by_channel = format!("max by ({CHANNEL}) ({latest})");
    match line.scope {
        Scope::Channel => by_channel,
        Scope::AllChannels => format!("sum({by_channel})"),
        Scope::Fleet if mean => format!("avg({by_channel})"),
        Scope::Fleet => format!("max({latest})"),
    }
}

fn processor(own: Own, window: &str) -> String {
    match own {
        Own::Counter(series) => format!("sum(increase({series}[{window}]))"),
        Own::Largest(series, _) => format!("max({series})"),
        Own::Sum(series) => format!("sum({series})"),
        Own::Summary(name) => {
            format!("max(rate({name}_sum[{window}]) / rate({name}_count[{window}]))")
        }
        Own::Share(part, whole) => format!(
            "max(sum by (instance) (increase({part}[{window}])) / sum by (instance) (increase({whole}[{window}])))"
        ),
    }
}
