use std::collections::BTreeSet;

use super::*;
use crate::catalogue::{ALARMS, METRICS, widgets};

#[test]
fn a_family_ends_in_its_base_unit() {
    let name = |metric| family(&metric).unwrap();
    let cases = [
        (m::CURRENT_VIEWERS, "ivs_channel_current_viewers", Kind::Gauge, 1.0),
        (m::STREAM_BITRATE, "ivs_channel_stream_bitrate_bps", Kind::Gauge, 1.0),
        (m::VIEWER_DROP_PERCENT, "ivs_channel_viewer_drop_ratio", Kind::Gauge, 0.01),
        (m::REBUFFER_RATIO, "ivs_channel_rebuffer_ratio", Kind::Gauge, 0.01),
        (m::STARTUP_TIME, "ivs_channel_startup_time_seconds", Kind::Gauge, 0.001),
        (m::STARVATION_SECONDS, "ivs_channel_starvation_seconds", Kind::Counter, 1.0),
        (m::STREAMS_STARTED, "ivs_channel_streams_started", Kind::Counter, 1.0),
    ];
    for (metric, expected, kind, scale) in cases {
        let Family { name, kind: found, scale: factor, .. } = name(metric);
        assert_eq!((name.as_str(), found, factor), (expected, kind, scale));
    }
    assert_eq!(name(m::STREAMS_STARTED).series(), "ivs_channel_streams_started_total");
    assert_eq!(family(&m::LAG), None);
}

#[test]
fn no_two_metrics_share_a_family() {
    let families: Vec<_> = METRICS.iter().filter_map(family).map(|family| family.name).collect();
    assert!(families.len() > 10);
    assert_eq!(families.iter().collect::<BTreeSet<_>>().len(), families.len());
}

#[test]
fn every_alarm_has_a_rule_and_every_rule_an_alarm() {
    let text = rules();
    let names: Vec<_> = text.lines().filter_map(|l| l.trim().strip_prefix("- alert: ")).collect();
    let expected: Vec<_> = ALARMS.iter().map(|alarm| alarm.name).collect();
    assert_eq!(names, expected);
}

#[test]
fn thresholds_are_in_base_units() {
    let text = rules();
    for expected in [
        "max by (channel) (max_over_time(ivs_channel_viewer_drop_ratio[5m])) >= 0.5\n        for: 0s",
        "min by (channel) (avg_over_time(ivs_channel_frame_rate[2m])) < 20\n        for: 0s",
        "max by (channel) (max_over_time(ivs_channel_chat_activity[1m])) > 100\n        for: 7m",
        "sum(avg_over_time(ivs_channel_rebuffer_ratio[5m]) * avg_over_time(ivs_channel_active_players[5m])) \
         / sum(avg_over_time(ivs_channel_active_players[5m]) and avg_over_time(ivs_channel_rebuffer_ratio[5m])) \
         > 0.05\n        for: 5m",
        "max by (shard) (max_over_time(ivs_processor_shard_lag_seconds[1m])) > 300\n        for: 4m",
        "sum(ivs_processor_leases_held) < 1 or absent(ivs_processor_leases_held)\n        for: 3m",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[test]
fn every_widget_that_is_not_for_cloudwatch_alone_is_a_panel() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let titles: BTreeSet<_> = panels.iter().filter_map(|panel| panel["title"].as_str()).collect();
    let widgets: Vec<_> =
        widgets::SECTIONS.iter().flat_map(|section| section.rows).copied().flatten().collect();
    assert!(widgets.len() >= 15);
    for widget in widgets {
        assert!(titles.contains(widget.title), "{}", widget.title);
        let panel = panels.iter().find(|panel| panel["title"] == widget.title).unwrap();
        let shown = panel["targets"].as_array().unwrap().len();
        let exposed = widget
            .left
            .iter()
            .chain(widget.right)
            .filter(|line| family(&line.metric).is_some() || own(&line.metric).is_some())
            .count();
        assert_eq!(shown, exposed, "{}", widget.title);
    }
}

#[test]
fn panels_do_not_overlap_and_stay_within_the_grid() {
    let dashboard = dashboard();
    let place = |panel: &serde_json::Value| {
        ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap())
    };
    let places: Vec<_> = dashboard["panels"].as_array().unwrap().iter().map(place).collect();
    for (index, [x, y, w, h]) in places.iter().enumerate() {
        assert!(x + w <= 24);
        for [ox, oy, ow, oh] in &places[..index] {
            let apart = x >= &(ox + ow) || ox >= &(x + w) || y >= &(oy + oh) || oy >= &(y + h);
            assert!(apart);
        }
    }
}
