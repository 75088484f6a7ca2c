//! The dashboard's widgets, row by row: the tutorial's five, what players see, the processor itself.
//!
//! IVS's own figures stand beside ours: they are there even when no application reports anything.

use super::metrics as m;
use super::{Metric, Statistic};

/// Which series of a metric a line shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// The series of the channel chosen on the dashboard.
    Channel,
    /// The series without dimensions.
    Fleet,
    /// The sum of the channels' own series: the series without dimensions of a gauge holds samples
    /// of every channel, so its average is the mean channel and not the audience of the service.
    AllChannels,
}

/// One line, or one number.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The metric that is shown.
    pub metric: Metric,
    /// Of whom.
    pub scope: Scope,
    /// The statistic, if not the metric's own.
    pub statistic: Option<Statistic>,
    /// The text of the legend.
    pub label: &'static str,
}

/// How a widget looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// The latest numbers, with a small curve behind each.
    Numbers,
    /// One number each over the whole span.
    Totals,
    /// Curves.
    Curves,
}

/// A widget.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Widget {
    /// Title.
    pub title: &'static str,
    /// How it looks.
    pub kind: Kind,
    /// Columns of 24.
    pub width: u8,
    /// Unit of the left axis; empty where the numbers speak for themselves.
    pub unit: &'static str,
    /// Lines on the left axis.
    pub left: &'static [Line],
    /// Unit of the right axis.
    pub right_unit: &'static str,
    /// Lines on the right axis.
    pub right: &'static [Line],
    /// Hours shown, whatever the dashboard shows; none follows the dashboard.
    pub hours: Option<u8>,
}

/// A part of the dashboard.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Section {
    /// Heading; empty for the first.
    pub title: &'static str,
    /// One line below it.
    pub text: &'static str,
    /// Widgets, row by row; a row is 24 columns wide.
    pub rows: &'static [&'static [Widget]],
}

const fn line(metric: Metric, scope: Scope, label: &'static str) -> Line {
    Line { metric, scope, statistic: None, label }
}

const fn channel(metric: Metric, label: &'static str) -> Line {
    line(metric, Scope::Channel, label)
}

const fn fleet(metric: Metric, label: &'static str) -> Line {
    line(metric, Scope::Fleet, label)
}

const fn curves(title: &'static str, unit: &'static str, left: &'static [Line]) -> Widget {
    Widget {
        title,
        kind: Kind::Curves,
        width: 8,
        unit,
        left,
        right_unit: "",
        right: &[],
        hours: None,
    }
}

const VIEWERS: &[Line] = &[
    line(m::CURRENT_VIEWERS, Scope::AllChannels, "all channels"),
    fleet_sum_of_ivs(),
    channel(m::CURRENT_VIEWERS, "the channel"),
    channel(m::CONCURRENT_VIEWS, "the channel (IVS)"),
];

/// IVS counts the views of the whole account in its series without dimensions.
const fn fleet_sum_of_ivs() -> Line {
    fleet(m::CONCURRENT_VIEWS, "all channels (IVS)")
}

const TUTORIAL: &[&[Widget]] = &[
    &[
        Widget { kind: Kind::Numbers, ..curves("Viewers now", "", VIEWERS) },
        Widget { width: 16, hours: Some(24), ..curves("Viewers, 24 hours", "viewers", VIEWERS) },
    ],
    &[
        Widget {
            width: 12,
            right_unit: "frames/s, s",
            right: &[
                channel(m::INGEST_FRAMERATE, "frame rate (IVS)"),
                channel(m::FRAME_RATE, "frame rate"),
                channel(m::KEYFRAME_INTERVAL, "key frame interval (IVS)"),
            ],
            ..curves(
                "Quality of the channel",
                "bit/s",
                &[
                    channel(m::STREAM_BITRATE, "bitrate"),
                    channel(m::INGEST_VIDEO_BITRATE, "video bitrate (IVS)"),
                ],
            )
        },
        Widget {
            width: 12,
            hours: Some(6),
            ..curves(
                "Chat, messages a minute",
                "messages/min",
                &[
                    channel(m::CHAT_ACTIVITY, "the channel"),
                    fleet(m::CHAT_ACTIVITY, "busiest channel"),
                ],
            )
        },
    ],
    &[Widget {
        kind: Kind::Totals,
        width: 24,
        hours: Some(24),
        ..curves(
            "Sessions, 24 hours",
            "",
            &[
                fleet(m::STREAMS_STARTED, "started"),
                fleet(m::STREAMS_ENDED, "ended"),
                fleet(m::STREAMS_FAILED, "failed"),
                fleet(m::STREAM_DURATION, "mean length"),
                fleet(m::PEAK_VIEWERS, "most viewers"),
                fleet(m::LIMIT_BREACHES, "limits exceeded"),
                fleet(m::REAL_TIME_FAILURES, "real-time failures"),
            ],
        )
    }],
];

const PLAYERS: &[&[Widget]] = &[
    &[
        curves(
            "Active players",
            "",
            &[
                channel(m::ACTIVE_PLAYERS, "the channel"),
                fleet(m::ACTIVE_PLAYERS, "busiest channel"),
            ],
        ),
        curves(
            "Rebuffering",
            "% of watch time",
            &[channel(m::REBUFFER_RATIO, "the channel"), fleet(m::REBUFFER_RATIO, "all channels")],
        ),
        curves(
            "Viewers lost in 5 minutes",
            "%",
            &[
                channel(m::VIEWER_DROP_PERCENT, "the channel"),
                fleet(m::VIEWER_DROP_PERCENT, "worst channel"),
            ],
        ),
    ],
    &[
        curves(
            "Start-up time, p95",
            "ms",
            &[channel(m::STARTUP_TIME, "the channel"), fleet(m::STARTUP_TIME, "all channels")],
        ),
        curves(
            "Live latency, p95",
            "ms",
            &[channel(m::LIVE_LATENCY, "the channel"), fleet(m::LIVE_LATENCY, "all channels")],
        ),
        Widget {
            right: &[
                channel(m::DROPPED_FRAMES, "frames, the channel"),
                fleet(m::DROPPED_FRAMES, "frames, all channels"),
                channel(m::STARVATION_SECONDS, "starved seconds, the channel"),
                fleet(m::STARVATION_SECONDS, "starved seconds, all channels"),
            ],
            right_unit: "frames, s",
            ..curves(
                "Errors, dropped frames, starvation",
                "errors",
                &[
                    channel(m::PLAYER_ERRORS, "errors, the channel"),
                    fleet(m::PLAYER_ERRORS, "errors, all channels"),
                ],
            )
        },
    ],
];

const VIEWS: &[&[Widget]] = &[&[
    curves(
        "Views playing",
        "",
        &[channel(m::VIEWS_PLAYING, "the channel"), fleet(m::VIEWS_PLAYING, "busiest channel")],
    ),
    curves(
        "From play request to picture",
        "views a minute",
        &[
            channel(m::VIEW_ATTEMPTS, "asked"),
            channel(m::VIEW_STARTS, "started"),
            channel(m::VIEW_FAILURES, "failed"),
            channel(m::EXITS_BEFORE_START, "left before the start"),
            fleet(m::VIEW_FAILURES, "failed, all channels"),
        ],
    ),
    curves(
        "Experience score, 5 minutes",
        "of 100",
        &[
            channel(m::EXPERIENCE_SCORE, "the channel"),
            fleet(m::EXPERIENCE_SCORE, "mean of the channels"),
        ],
    ),
]];

const PROCESSOR: &[&[Widget]] = &[
    &[
        curves("Lag of the slowest shard", "ms", &[fleet(m::LAG, "lag")]),
        curves(
            "Records",
            "per minute",
            &[
                fleet(m::RECORDS_READ, "read"),
                fleet(m::RECORDS_ACCEPTED, "accepted"),
                fleet(m::RECORDS_DUPLICATE, "duplicate"),
                fleet(m::RECORDS_REJECTED, "rejected"),
                fleet(m::LATE_RECORDS, "late"),
                fleet(m::UNKNOWN_EVENTS, "of an unknown type"),
            ],
        ),
        Widget {
            right: &[fleet(m::RETENTION_GAPS, "gaps")],
            right_unit: "gaps",
            ..curves("Rejected", "% of an epoch", &[fleet(m::REJECTED_PERCENT, "worst shard")])
        },
    ],
    &[
        Widget {
            right: &[fleet(m::ROW_CONFLICTS, "conflicts")],
            right_unit: "conflicts",
            ..curves("Rows", "per minute", &[fleet(m::ROWS_WRITTEN, "written")])
        },
        curves("Slowest epoch, prepare to commit", "ms", &[fleet(m::EPOCH_DURATION, "slowest")]),
        Widget {
            right: &[fleet(m::LEASES_LOST, "lost")],
            right_unit: "lost",
            ..curves("Shards owned", "", &[fleet(m::LEASES_HELD, "owned")])
        },
    ],
    &[
        Widget {
            right: &[fleet(m::DATUMS_REFUSED, "refused samples")],
            right_unit: "refused samples",
            ..curves("Calls to CloudWatch", "per minute", &[fleet(m::METRIC_BATCHES, "calls")])
        },
        Widget {
            right: &[fleet(m::REPEATED_EMISSIONS, "repeated emissions")],
            right_unit: "repeated emissions",
            ..curves("Retries", "per minute", &[fleet(m::RETRIES, "retries")])
        },
    ],
];

/// Everything on the dashboard but the alarms above it and the AWS resources below it.
pub const SECTIONS: &[Section] = &[
    Section { title: "", text: "", rows: TUTORIAL },
    Section { title: "Players", text: "What viewers saw, by their own reports.", rows: PLAYERS },
    Section {
        title: "Views",
        text: "What became of play requests, as far as players tell.",
        rows: VIEWS,
    },
    Section {
        title: "Processor",
        text: "The workers' own account of themselves.",
        rows: PROCESSOR,
    },
];
