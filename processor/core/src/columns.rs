//! A window as the columns of a file: the same names, order and figures in every format.

use std::borrow::Cow;

use crate::fixed::{Fixed, FixedSum};
use crate::merge::Total;
use crate::window::{WindowAgg, WindowKey};

/// The type of a column's cells that are not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A whole number: times, counts of records, and what sketches tell.
    Int,
    /// A decimal number with up to six digits after the point: what records carry, and its sums.
    Decimal,
}

/// The content of one column of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Nothing: no record carried the figure.
    Empty,
    /// In a column of [`Kind::Text`].
    Text(Cow<'a, str>),
    /// In a column of [`Kind::Int`].
    Int(i64),
    /// In a column of [`Kind::Decimal`].
    Decimal(FixedSum),
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// The type of its cells.
    pub kind: Kind,
    /// Whether a cell may be [`Cell::Empty`].
    pub may_be_empty: bool,
}

const fn always(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, may_be_empty: false }
}

const fn maybe(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, may_be_empty: true }
}

/// The columns.
pub const COLUMNS: [Column; 48] = [
    always("session_id", Kind::Text),
    always("window_start", Kind::Int),
    always("channel_id", Kind::Text),
    always("records", Kind::Int),
    always("gauges", Kind::Int),
    maybe("viewers_sum", Kind::Decimal),
    maybe("viewers_min", Kind::Decimal),
    maybe("viewers_max", Kind::Decimal),
    maybe("viewers_last", Kind::Decimal),
    maybe("bitrate_sum_bps", Kind::Decimal),
    maybe("bitrate_min_bps", Kind::Decimal),
    maybe("bitrate_max_bps", Kind::Decimal),
    maybe("frame_rate_sum", Kind::Decimal),
    maybe("chat_rate_sum", Kind::Decimal),
    maybe("chat_rate_max", Kind::Decimal),
    maybe("cpu_sum", Kind::Decimal),
    maybe("memory_sum", Kind::Decimal),
    always("player_records", Kind::Int),
    always("players", Kind::Int),
    maybe("player_bitrate_sum_bps", Kind::Decimal),
    maybe("player_bitrate_min_bps", Kind::Decimal),
    maybe("player_bitrate_max_bps", Kind::Decimal),
    maybe("player_frame_rate_sum", Kind::Decimal),
    always("dropped_frames", Kind::Decimal),
    always("buffering_ms", Kind::Decimal),
    maybe("latency_min_ms", Kind::Int),
    maybe("latency_max_ms", Kind::Int),
    maybe("latency_p50_ms", Kind::Int),
    maybe("latency_p95_ms", Kind::Int),
    maybe("latency_p99_ms", Kind::Int),
    maybe("startup_p50_ms", Kind::Int),
    maybe("startup_p95_ms", Kind::Int),
    always("playing_ms", Kind::Decimal),
    always("rebuffers", Kind::Decimal),
    always("player_errors", Kind::Int),
    always("chat_messages", Kind::Int),
    maybe("view_attempts", Kind::Int),
    maybe("view_starts", Kind::Int),
    maybe("start_failures_technical", Kind::Int),
    maybe("start_failures_business", Kind::Int),
    maybe("exits_before_start", Kind::Int),
    maybe("playback_failures", Kind::Int),
    maybe("views_ended", Kind::Int),
    maybe("view_time_ms", Kind::Decimal),
    maybe("concurrent_views", Kind::Int),
    maybe("experience_score", Kind::Decimal),
    maybe("startup_sum_ms", Kind::Int),
    maybe("breakdowns", Kind::Text),
];

/// Returns the cells of a window, one for each of [`COLUMNS`].
///
/// A figure that no record carried is empty, except counters (`players`, `dropped_frames`,
/// `buffering_ms` and those after the quantiles), which are 0.
#[must_use]
pub fn cells<'a>(key: &'a WindowKey, agg: &'a WindowAgg) -> [Cell<'a>; COLUMNS.len()] {
    let WindowAgg { viewers, bitrate, player_bitrate, chat_rate, latency, startup, views, .. } =
        agg;
    let quantile = |of: &crate::sketch::Quantiles, p| whole(of.quantile_ms(p));
    [
        Cell::Text(Cow::Borrowed(&*key.session_id)),
        Cell::Int(key.minute.start_s()),
        Cell::Text(Cow::Borrowed(&*agg.channel_id)),
        count(agg.records),
        count(agg.gauges),
        sum(&viewers.stat.total),
        decimal(viewers.stat.min()),
        decimal(viewers.stat.max()),
        decimal(viewers.last.map(|last| last.value)),
        sum(&bitrate.total),
        decimal(bitrate.min()),
        decimal(bitrate.max()),
        sum(&agg.frame_rate.total),
        sum(&chat_rate.total),
        decimal(chat_rate.max()),
        sum(&agg.cpu),
        sum(&agg.memory),
        count(agg.player_records),
        count(agg.active_players()),
        sum(&player_bitrate.total),
        decimal(player_bitrate.min()),
        decimal(player_bitrate.max()),
        sum(&agg.player_frame_rate),
        Cell::Decimal(agg.dropped_frames.total.sum),
        Cell::Decimal(agg.buffering_ms.sum),
        whole(latency.min_ms()),
        whole(latency.max_ms()),
        quantile(latency, 0.5),
        quantile(latency, 0.95),
        quantile(latency, 0.99),
        quantile(startup, 0.5),
        quantile(startup, 0.95),
        Cell::Decimal(agg.playing_ms.sum),
        Cell::Decimal(agg.rebuffers.sum),
        count(agg.player_errors),
        count(agg.chat_messages),
        known(views.known_attempts()),
        known(views.known(views.starts)),
        known(views.known(views.start_failures_technical)),
        known(views.known(views.start_failures_business)),
        known(views.known(views.exits_before_start)),
        known(views.known(views.playback_failures)),
        known(views.known(views.ended)),
        agg.view_time_ms().map_or(Cell::Empty, Cell::Decimal),
        known(agg.concurrent_views()),
        agg.score().map_or(Cell::Empty, |score| Cell::Decimal(score.score)),
        known((!startup.is_empty()).then_some(agg.startup_sum_ms)),
        agg.breakdown.to_json().map_or(Cell::Empty, |json| Cell::Text(Cow::Owned(json))),
    ]
}

fn known(value: Option<u64>) -> Cell<'static> {
    value.map_or(Cell::Empty, count)
}

fn count(value: u64) -> Cell<'static> {
    // Counters saturate at twice this; no stream holds so many records.
    Cell::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

fn sum(total: &Total) -> Cell<'static> {
    if total.is_empty() { Cell::Empty } else { Cell::Decimal(total.sum) }
}

fn decimal(value: Option<Fixed>) -> Cell<'static> {
    value.map_or(Cell::Empty, |value| Cell::Decimal(value.into()))
}

fn whole(value: Option<u32>) -> Cell<'static> {
    value.map_or(Cell::Empty, |value| Cell::Int(value.into()))
}

#[cfg(test)]
mod tests;
