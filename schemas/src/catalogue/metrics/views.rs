//! Metrics of what players tell of their views.

use super::{STREAMS, metric};
use crate::catalogue::{Metric, Namespace, PER_VIEWER_DIMENSION, Statistic, Unit};

/// Play requests.
pub const VIEW_ATTEMPTS: Metric =
    metric(STREAMS, "ViewAttempts", Unit::Count, Statistic::Sum, "Play requests.");

/// Views whose first frame was shown.
pub const VIEW_STARTS: Metric = metric(
    STREAMS,
    "ViewStarts",
    Unit::Count,
    Statistic::Sum,
    "Views whose first frame was shown.",
);

/// Views that failed for a technical reason, before or after their start.
pub const VIEW_FAILURES: Metric = metric(
    STREAMS,
    "ViewFailures",
    Unit::Count,
    Statistic::Sum,
    "Views that failed for a technical reason, before or after their start.",
);

/// Viewers that left before the first frame, as far as their players told.
pub const EXITS_BEFORE_START: Metric = metric(
    STREAMS,
    "ExitsBeforeStart",
    Unit::Count,
    Statistic::Sum,
    "Viewers that left before the first frame, as far as their players told.",
);

/// Distinct views that played in the minute; parts of a minute arrive apart, the largest is the latest.
pub const VIEWS_PLAYING: Metric = metric(
    STREAMS,
    "ViewsPlaying",
    Unit::Count,
    Statistic::Maximum,
    "Distinct views that played in the minute; parts of a minute arrive apart, the largest is the latest.",
);

/// Score of the viewers' experience in a closed five-minute window, 0 to 100.
pub const EXPERIENCE_SCORE: Metric = metric(
    STREAMS,
    "ExperienceScore",
    Unit::Count,
    Statistic::Average,
    "Score of the viewers' experience in a closed five-minute window, 0 to 100.",
);

/// Time with the picture on, played and stalled; each millisecond a sample of 1.
pub const VIEW_TIME: Metric = metric(
    (Namespace::Metrics, PER_VIEWER_DIMENSION),
    "ViewTime",
    Unit::Milliseconds,
    Statistic::Sum,
    "Time with the picture on, played and stalled; each millisecond a sample of 1.",
);

/// The stalled part of the time with the picture on; each millisecond a sample of 1.
pub const STALLED_TIME: Metric = metric(
    (Namespace::Metrics, PER_VIEWER_DIMENSION),
    "StalledTime",
    Unit::Milliseconds,
    Statistic::Sum,
    "The stalled part of the time with the picture on; each millisecond a sample of 1.",
);
