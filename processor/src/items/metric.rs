//! A row of `StreamingMetrics`.

use std::borrow::Borrow;
use std::sync::Arc;

use ivs_core::fixed::{Fixed, FixedSum};
use ivs_core::merge::{Gauge, Last, Range, Stat, Total};
use ivs_core::minute::Minute;
use ivs_core::row::Row;
use ivs_core::sketch::{Distinct, Quantiles, SketchError};
use ivs_core::window::{WindowAgg, WindowKey};
use ivs_schemas::items::metrics as names;
use kinesis_model::EpochMs;

use super::codec::{Item, ItemError, Reader, Writer, error};
use super::experience;

/// The names behind a [`Total`].
type TotalNames = (&'static str, &'static str);
/// The names behind a [`Range`]: smallest, largest.
type RangeNames = (&'static str, &'static str);
/// The names behind a [`Stat`]: sum, count, smallest, largest.
type StatNames = (TotalNames, &'static str, &'static str);

const VIEWERS: StatNames =
    ((names::VIEWERS_SUM, names::VIEWERS_COUNT), names::VIEWERS_MIN, names::VIEWERS_MAX);
const BITRATE: StatNames =
    ((names::BITRATE_SUM, names::BITRATE_COUNT), names::BITRATE_MIN, names::BITRATE_MAX);
const CHAT_RATE: StatNames =
    ((names::CHAT_RATE_SUM, names::CHAT_RATE_COUNT), names::CHAT_RATE_MIN, names::CHAT_RATE_MAX);
const PLAYER_BITRATE: StatNames = (
    (names::PLAYER_BITRATE_SUM, names::PLAYER_BITRATE_COUNT),
    names::PLAYER_BITRATE_MIN,
    names::PLAYER_BITRATE_MAX,
);
const FRAME_RATE: StatNames = (
    (names::FRAME_RATE_SUM, names::FRAME_RATE_COUNT),
    names::FRAME_RATE_MIN,
    names::FRAME_RATE_MAX,
);
const DROPPED_FRAMES: StatNames = (
    (names::DROPPED_FRAMES, names::DROPPED_FRAMES_COUNT),
    names::DROPPED_FRAMES_MIN,
    names::DROPPED_FRAMES_MAX,
);
const STALLED_PERCENT: RangeNames = (names::REBUFFER_PERCENT_MIN, names::REBUFFER_PERCENT_MAX);
const ERRORS_RANGE: RangeNames = (names::PLAYER_ERRORS_MIN, names::PLAYER_ERRORS_MAX);
const CPU: TotalNames = (names::CPU_SUM, names::CPU_COUNT);
const MEMORY: TotalNames = (names::MEMORY_SUM, names::MEMORY_COUNT);
const PLAYER_FRAME_RATE: TotalNames =
    (names::PLAYER_FRAME_RATE_SUM, names::PLAYER_FRAME_RATE_COUNT);
const BUFFERING: TotalNames = (names::BUFFERING_MS, names::BUFFERING_COUNT);
const PLAYING: TotalNames = (names::PLAYING_MS, names::PLAYING_COUNT);
const REBUFFERS: TotalNames = (names::REBUFFER_COUNT, names::REBUFFER_RECORDS);

/// The attributes that a reader of figures needs: the key, what is summed, and the sketches. Means
/// and quantiles follow from these; [`decode_agg`] takes what else is there.
pub const COUNTED: [&str; 52] = [
    names::SESSION_ID,
    names::METRIC_TIMESTAMP,
    names::CHANNEL_ID,
    names::CHANNEL_SAID_BY,
    names::RECORDS,
    names::GAUGES,
    names::PLAYER_RECORDS,
    names::CURRENT_VIEWERS,
    names::CURRENT_VIEWERS_AT_MS,
    names::VIEWERS_SUM,
    names::VIEWERS_COUNT,
    names::VIEWERS_MIN,
    names::VIEWERS_MAX,
    names::BITRATE_SUM,
    names::BITRATE_COUNT,
    names::BITRATE_MIN,
    names::BITRATE_MAX,
    names::FRAME_RATE_SUM,
    names::FRAME_RATE_COUNT,
    names::CHAT_RATE_SUM,
    names::CHAT_RATE_COUNT,
    names::CHAT_RATE_MIN,
    names::CHAT_RATE_MAX,
    names::PLAYER_BITRATE_SUM,
    names::PLAYER_BITRATE_COUNT,
    names::PLAYER_BITRATE_MIN,
    names::PLAYER_BITRATE_MAX,
    names::PLAYER_FRAME_RATE_SUM,
    names::PLAYER_FRAME_RATE_COUNT,
    names::DROPPED_FRAMES,
    names::DROPPED_FRAMES_COUNT,
    names::BUFFERING_MS,
    names::BUFFERING_COUNT,
    names::PLAYING_MS,
    names::PLAYING_COUNT,
    names::WATCH_BUFFERING_MS,
    names::REBUFFER_COUNT,
    names::REBUFFER_RECORDS,
    names::PLAYER_ERRORS,
    names::CHAT_MESSAGES,
    names::STARTUP_SUM_MS,
    names::VIEW_EVENTS,
    names::VIEW_ATTEMPTS,
    names::VIEW_STARTS,
    names::START_FAILURES_TECHNICAL,
    names::START_FAILURES_BUSINESS,
    names::EXITS_BEFORE_START,
    names::PLAYBACK_FAILURES,
    names::VIEWS_ENDED,
    names::VIEW_SKETCH,
    names::BREAKDOWNS,
    names::SKETCHES,
];

/// The attributes that a closed window is judged by, and those that [`decode_agg`] insists on, as a projection: means,
/// extremes and the latencies, whose sketch is the largest, are not among them.
pub(crate) const JUDGED: [&str; 35] = [
    names::SESSION_ID,
    names::METRIC_TIMESTAMP,
    names::CHANNEL_ID,
    names::CHANNEL_SAID_BY,
    names::RECORDS,
    names::GAUGES,
    names::PLAYER_RECORDS,
    names::VIEWERS_SUM,
    names::VIEWERS_COUNT,
    names::BITRATE_SUM,
    names::BITRATE_COUNT,
    names::FRAME_RATE_SUM,
    names::FRAME_RATE_COUNT,
    names::CHAT_RATE_SUM,
    names::CHAT_RATE_COUNT,
    names::PLAYER_BITRATE_SUM,
    names::PLAYER_BITRATE_COUNT,
    names::PLAYING_MS,
    names::PLAYING_COUNT,
    names::WATCH_BUFFERING_MS,
    names::PLAYER_ERRORS,
    names::CHAT_MESSAGES,
    names::STARTUP_SUM_MS,
    names::VIEW_EVENTS,
    names::VIEW_ATTEMPTS,
    names::VIEW_STARTS,
    names::START_FAILURES_TECHNICAL,
    names::START_FAILURES_BUSINESS,
    names::EXITS_BEFORE_START,
    names::PLAYBACK_FAILURES,
    names::VIEWS_ENDED,
    names::VIEW_SKETCH,
    names::BREAKDOWNS,
    "sketches.players",
    "sketches.startup",
];

/// Returns the item of a row. `expires_at_s` sets its time to live.
#[must_use]
pub fn encode<A: Borrow<WindowAgg>>(
    key: &WindowKey,
    row: &Row<A>,
    expires_at_s: Option<i64>,
) -> Item {
    let agg = row.agg.borrow();
    let mut item = Writer::default();
    item.text(names::SESSION_ID, &key.session_id)
        .number(names::METRIC_TIMESTAMP, key.minute.start_s())
        .text(names::CHANNEL_ID, &agg.channel_id)
        .text(names::CHANNEL_SAID_BY, agg.channel_said_by.as_str())
        .number(names::RECORDS, agg.records)
        .number(names::GAUGES, agg.gauges)
        .number(names::PLAYER_RECORDS, agg.player_records)
        .number_if(names::EXPIRES_AT, expires_at_s)
        .row(row);
    stream_side(&mut item, agg);
    player_side(&mut item, agg);
    item.finish()
}

/// Writes the backend's reports.
fn stream_side(item: &mut Writer, agg: &WindowAgg) {
    put_stat(item, VIEWERS, &agg.viewers.stat);
    item.number_if(names::CURRENT_VIEWERS, agg.viewers.last.map(|last| last.value));
    item.number_if(names::CURRENT_VIEWERS_AT_MS, agg.viewers.last.map(|last| last.time.0));
    put_stat(item, BITRATE, &agg.bitrate);
    item.number_if(names::BITRATE, agg.bitrate.total.mean());
    put_stat(item, FRAME_RATE, &agg.frame_rate);
    item.number_if(names::FRAME_RATE, agg.frame_rate.total.mean());
    put_stat(item, CHAT_RATE, &agg.chat_rate);
    item.number_if(names::CHAT_MESSAGES_PER_MINUTE, agg.chat_rate.total.mean());
    put_total(item, CPU, &agg.cpu);
    item.number_if(names::CPU_USAGE, agg.cpu.mean());
    put_total(item, MEMORY, &agg.memory);
    item.number_if(names::MEMORY_USAGE, agg.memory.mean());
    item.number(names::CHAT_MESSAGES, agg.chat_messages);
}

/// Writes the players' reports.
fn player_side(item: &mut Writer, agg: &WindowAgg) {
    put_stat(item, PLAYER_BITRATE, &agg.player_bitrate);
    item.number_if(names::PLAYER_BITRATE, agg.player_bitrate.total.mean());
    put_total(item, PLAYER_FRAME_RATE, &agg.player_frame_rate);
    item.number_if(names::PLAYER_FRAME_RATE, agg.player_frame_rate.mean());
    put_stat(item, DROPPED_FRAMES, &agg.dropped_frames);
    put_total(item, BUFFERING, &agg.buffering_ms);
    put_total(item, PLAYING, &agg.playing_ms);
    put_total(item, REBUFFERS, &agg.rebuffers);
    if agg.playing_ms.count > 0 {
        item.number(names::WATCH_BUFFERING_MS, agg.watch_buffering_ms);
    }
    item.number_if(names::REBUFFER_RATIO, agg.rebuffer_ratio().map(|r| format!("{r:.6}")));
    put_range(item, STALLED_PERCENT, agg.stalled_percent);
    item.number(names::PLAYER_ERRORS, agg.player_errors);
    put_range(item, ERRORS_RANGE, agg.errors_range);
    if !agg.players.is_empty() {
        item.number(names::ACTIVE_PLAYERS, agg.active_players());
    }
    sketch_side(item, agg);
    experience::write(item, agg);
}

/// Writes the figures of the sketches, and the sketches.
fn sketch_side(item: &mut Writer, agg: &WindowAgg) {
    let sum = |sum_ms, sketch: &Quantiles| (!sketch.is_empty()).then_some(sum_ms);
    item.number_if(names::LATENCY_SUM_MS, sum(agg.latency_sum_ms, &agg.latency))
        .number_if(names::STARTUP_SUM_MS, sum(agg.startup_sum_ms, &agg.startup))
        .number_if(names::LATENCY_MIN_MS, agg.latency.min_ms())
        .number_if(names::LATENCY_MAX_MS, agg.latency.max_ms())
        .number_if(names::LATENCY_P50_MS, agg.latency.quantile_ms(0.5))
        .number_if(names::LATENCY_P95_MS, agg.latency.quantile_ms(0.95))
        .number_if(names::LATENCY_P99_MS, agg.latency.quantile_ms(0.99))
        .number_if(names::STARTUP_P50_MS, agg.startup.quantile_ms(0.5))
        .number_if(names::STARTUP_P95_MS, agg.startup.quantile_ms(0.95))
        .blobs(
            names::SKETCHES,
            &[
                (names::sketch::PLAYERS, agg.players.to_bytes()),
                (names::sketch::LATENCY, agg.latency.to_bytes()),
                (names::sketch::STARTUP, agg.startup.to_bytes()),
            ],
        );
}

fn put_total(item: &mut Writer, (sum, count): TotalNames, total: &Total) {
    if !total.is_empty() {
        item.number(sum, total.sum).number(count, total.count);
    }
}

fn put_stat(item: &mut Writer, (total, min, max): StatNames, stat: &Stat) {
    put_total(item, total, &stat.total);
    put_range(item, (min, max), stat.range);
}

fn put_range(item: &mut Writer, (min, max): RangeNames, range: Option<Range>) {
    item.number_if(min, range.map(|range| range.min)).number_if(max, range.map(|range| range.max));
}

/// Returns the row of an item.
///
/// # Errors
/// Names the attribute that is missing, ill-typed or contradicts another.
pub fn decode(item: &Item) -> Result<(WindowKey, Row<WindowAgg>), ItemError> {
    let (key, agg) = decode_agg(item)?;
    Ok((key, Reader(item).row(agg)?))
}

/// Returns what a row holds, without its bookkeeping, which [`COUNTED`] leaves out too.
///
/// # Errors
/// As [`decode`].
pub fn decode_agg(item: &Item) -> Result<(WindowKey, WindowAgg), ItemError> {
    let reader = Reader(item);
    let start_s: i64 = reader.number(names::METRIC_TIMESTAMP)?;
    let minute = Minute::of(EpochMs(start_s.saturating_mul(1_000)));
    if minute.start_s() != start_s {
        return Err(error(names::METRIC_TIMESTAMP, "is not the start of a minute"));
    }
    let session_id = reader.text(names::SESSION_ID)?;
    if session_id.is_empty() {
        return Err(error(names::SESSION_ID, "is missing"));
    }
    let key = WindowKey { session_id: Arc::from(session_id), minute };
    Ok((key, aggregate(reader)?))
}

fn aggregate(reader: Reader<'_>) -> Result<WindowAgg, ItemError> {
    Ok(WindowAgg {
        channel_id: Arc::from(reader.text(names::CHANNEL_ID)?),
        channel_said_by: reader.said_by(names::CHANNEL_SAID_BY)?,
        records: reader.number(names::RECORDS)?,
        gauges: reader.number(names::GAUGES)?,
        player_records: reader.number(names::PLAYER_RECORDS)?,
        viewers: Gauge { stat: stat(reader, VIEWERS)?, last: last_viewers(reader)? },
        bitrate: stat(reader, BITRATE)?,
        frame_rate: stat(reader, FRAME_RATE)?,
        chat_rate: stat(reader, CHAT_RATE)?,
        cpu: total(reader, CPU)?,
        memory: total(reader, MEMORY)?,
        player_bitrate: stat(reader, PLAYER_BITRATE)?,
        player_frame_rate: total(reader, PLAYER_FRAME_RATE)?,
        dropped_frames: stat(reader, DROPPED_FRAMES)?,
        buffering_ms: total(reader, BUFFERING)?,
        playing_ms: total(reader, PLAYING)?,
        watch_buffering_ms: reader.number_or_default(names::WATCH_BUFFERING_MS)?,
        stalled_percent: range(reader, STALLED_PERCENT)?,
        rebuffers: total(reader, REBUFFERS)?,
        player_errors: reader.number(names::PLAYER_ERRORS)?,
        errors_range: range(reader, ERRORS_RANGE)?,
        chat_messages: reader.number(names::CHAT_MESSAGES)?,
        latency: sketch(reader, names::sketch::LATENCY, Quantiles::from_bytes)?,
        latency_sum_ms: reader.number_or_default(names::LATENCY_SUM_MS)?,
        startup: sketch(reader, names::sketch::STARTUP, Quantiles::from_bytes)?,
        startup_sum_ms: reader.number_or_default(names::STARTUP_SUM_MS)?,
        players: sketch(reader, names::sketch::PLAYERS, Distinct::from_bytes)?,
        views: experience::views(reader)?,
        playing: experience::playing(reader)?,
        breakdown: experience::breakdown(reader)?,
    })
}

fn last_viewers(reader: Reader<'_>) -> Result<Option<Last>, ItemError> {
    let value: Option<Fixed> = fixed(reader, names::CURRENT_VIEWERS)?;
    let Some(value) = value else { return Ok(None) };
    let time = EpochMs(reader.number(names::CURRENT_VIEWERS_AT_MS)?);
    Ok(Some(Last { time, value }))
}

fn fixed(reader: Reader<'_>, name: &str) -> Result<Option<Fixed>, ItemError> {
    let sum: Option<FixedSum> = reader.number_if(name)?;
    sum.map(|sum| match i64::try_from(sum.0) {
        Ok(micros) => Ok(Fixed::from_micros(micros)),
        Err(_) => Err(error(name, "is out of range")),
    })
    .transpose()
}

fn total(reader: Reader<'_>, (sum, count): TotalNames) -> Result<Total, ItemError> {
    Ok(Total { sum: reader.number_or_default(sum)?, count: reader.number_or_default(count)? })
}

fn stat(reader: Reader<'_>, (totals, min, max): StatNames) -> Result<Stat, ItemError> {
    Ok(Stat { total: total(reader, totals)?, range: range(reader, (min, max))? })
}

fn range(reader: Reader<'_>, (min, max): RangeNames) -> Result<Option<Range>, ItemError> {
    match (fixed(reader, min)?, fixed(reader, max)?) {
        (Some(min), Some(max)) => Ok(Some(Range { min, max })),
        (None, None) => Ok(None),
        _ => Err(error(min, "and its maximum are not both there")),
    }
}

fn sketch<S: Default>(
    reader: Reader<'_>,
    key: &str,
    from_bytes: impl Fn(&[u8]) -> Result<S, SketchError>,
) -> Result<S, ItemError> {
    let Some(bytes) = reader.blob(names::SKETCHES, key)? else { return Ok(S::default()) };
    from_bytes(bytes).map_err(|e| error(&format!("{}.{key}", names::SKETCHES), e.to_string()))
}

#[cfg(test)]
mod tests {
    use ivs_core::decode::{DecodeLimits, Event, decode as decode_line};
    use ivs_core::window::WindowFold;
    use kinesis_model::{Position, ShardId};

    use super::*;
    use crate::items::own_names;

    fn row() -> (WindowKey, Row<WindowAgg>) {
        let lines = [
            r#"{"eventType":"metrics_update","sessionId":"s","channelId":"c","timestamp":1750000000123,"currentViewers":12,"bitrate":5000000,"frameRate":59.94,"chatMessagesPerMinute":3,"cpuUsage":41.5,"memoryUsage":0}"#,
            r#"{"type":"player_telemetry","schemaVersion":1,"eventId":"e1","sessionId":"s","channelId":"c","playerId":"p1","timestamp":1750000001000,"state":"PLAYING","bitrate":3000000,"frameRate":29.97,"droppedFrames":0,"bufferingMs":10,"playingMs":9990,"latencyMs":2100,"startupMs":700,"rebufferCount":1}"#,
            r#"{"type":"player_telemetry","schemaVersion":1,"eventId":"e2","sessionId":"s","channelId":"c","playerId":"p2","timestamp":1750000001500,"state":"BUFFERING","bitrate":100,"latencyMs":31000,"errorCode":"E1"}"#,
        ];
        let mut fold = WindowFold::default();
        for line in lines {
            let at = EpochMs(1_750_000_002_000);
            match decode_line(line.as_bytes(), at, &DecodeLimits::default()).unwrap() {
                Event::Gauge(gauge) => fold.add_gauge(&gauge),
                Event::Player(sample) => fold.add_player(&sample),
                other => panic!("{other:?}"),
            }
        }
        let (key, agg) = fold.drain().remove(0);
        let at = Position { sequence: 77u128.into(), sub: 3 };
        let applied = [(ShardId::new("shardId-000000000001"), at)].into();
        (key, Row { agg, applied, version: 4 })
    }

    #[test]
    fn a_row_comes_back_exactly() {
        let (key, row) = row();
        let item = encode(&key, &row, Some(1_800_000_000));
        assert_eq!(decode(&item).unwrap(), (key, row));
        let others: Vec<_> =
            item.keys().filter(|name| !own_names::METRIC.contains(&name.as_str())).collect();
        assert_eq!(others.len(), 2, "the key: {others:?}");
    }

    #[test]
    fn what_is_counted_needs_no_other_attribute() {
        let (key, mut row) = row();
        // The encoder's own load and the extremes that only metrics tell are of no use to a reader
        // of COUNTED.
        (row.agg.cpu, row.agg.memory) = Default::default();
        (row.agg.frame_rate.range, row.agg.dropped_frames.range) = Default::default();
        (row.agg.stalled_percent, row.agg.errors_range) = Default::default();
        row.agg.latency_sum_ms = 0;
        let mut item = encode(&key, &row, Some(1_800_000_000));
        item.retain(|name, _| COUNTED.contains(&name.as_str()));
        assert_eq!(decode_agg(&item).unwrap(), (key, row.agg));
    }

    #[test]
    fn the_tutorials_attributes_are_there_by_name() {
        let (key, row) = row();
        let item = encode(&key, &row, None);
        let number = |name: &str| item.get(name).and_then(|v| v.as_n().ok()).cloned();
        assert_eq!(number("currentViewers").as_deref(), Some("12"));
        assert_eq!(number("bitrate").as_deref(), Some("5000000"));
        assert_eq!(number("frameRate").as_deref(), Some("59.94"));
        assert_eq!(number("chatMessagesPerMinute").as_deref(), Some("3"));
        assert_eq!(number("cpuUsage").as_deref(), Some("41.5"));
        assert_eq!(number("memoryUsage").as_deref(), Some("0"), "reported zeros are kept");
        assert_eq!(number("expiresAt"), None);
    }

    #[test]
    fn an_absent_figure_is_an_absent_attribute() {
        let (key, mut row) = row();
        row.agg = WindowAgg { records: 1, player_records: 1, ..WindowAgg::default() };
        let item = encode(&key, &row, None);
        for name in ["currentViewers", "bitrate", "rebufferRatio", "latencyP50Ms", "sketches"] {
            assert!(!item.contains_key(name), "{name}");
        }
        assert_eq!(decode(&item).unwrap().1, row);
    }

    #[test]
    fn an_altered_item_is_refused_by_attribute() {
        use aws_sdk_dynamodb::types::AttributeValue::{N, S};
        let (key, row) = row();
        let good = encode(&key, &row, None);
        for (name, value) in [
            ("viewersSum", S("12".into())),
            ("version", N("x".into())),
            ("metricTimestamp", N("61".into())),
            ("applied", S(String::new())),
        ] {
            let mut item = good.clone();
            item.insert(name.to_owned(), value);
            assert_eq!(decode(&item).unwrap_err().attribute, name);
        }
    }
}
