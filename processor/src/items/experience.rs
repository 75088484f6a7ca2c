//! Views, breakdowns and the score in a row of `StreamingMetrics`.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use ivs_core::experience::{Breakdown, Dimension, Slice, Views};
use ivs_core::fixed::FixedSum;
use ivs_core::sketch::ViewSketch;
use ivs_core::window::WindowAgg;
use ivs_schemas::items::metrics as names;

use super::codec::{ItemError, Reader, Writer, error};

pub(super) fn write(item: &mut Writer, agg: &WindowAgg) {
    let views = &agg.views;
    if views.events > 0 {
        item.number(names::VIEW_EVENTS, views.events)
            .number_if(names::VIEW_ATTEMPTS, views.known_attempts())
            .number(names::VIEW_STARTS, views.starts)
            .number(names::START_FAILURES_TECHNICAL, views.start_failures_technical)
            .number(names::START_FAILURES_BUSINESS, views.start_failures_business)
            .number(names::EXITS_BEFORE_START, views.exits_before_start)
            .number(names::PLAYBACK_FAILURES, views.playback_failures)
            .number(names::VIEWS_ENDED, views.ended);
    }
    item.number_if(names::VIEW_TIME_MS, agg.view_time_ms())
        .number_if(names::CONCURRENT_VIEWS, agg.concurrent_views());
    if let Some(bytes) = agg.playing.to_bytes() {
        item.put(names::VIEW_SKETCH, AttributeValue::B(Blob::new(bytes)));
    }
    if !agg.breakdown.is_empty() {
        item.put(names::BREAKDOWNS, AttributeValue::M(map(&agg.breakdown)));
    }
    if let Some(score) = agg.score() {
        let named = score.named().into_iter();
        let parts = named.filter_map(|(name, part)| Some((name.to_owned(), number(part?))));
        item.put(names::EXPERIENCE, AttributeValue::M(parts.collect()));
    }
}

fn number(value: FixedSum) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Returns the slices by dimension, then by value.
fn map(breakdown: &Breakdown) -> HashMap<String, AttributeValue> {
    let mut dimensions = HashMap::new();
    for dimension in Dimension::ALL {
        let slices = breakdown.of(dimension);
        let slices = slices.map(|(value, slice)| (value.as_ref().to_owned(), list(slice)));
        let slices: HashMap<_, _> = slices.collect();
        if !slices.is_empty() {
            dimensions.insert(dimension.as_str().to_owned(), AttributeValue::M(slices));
        }
    }
    dimensions
}

/// Returns the figures in the order of [`names::slice::FIGURES`].
fn list(slice: &Slice) -> AttributeValue {
    AttributeValue::L(slice.figures().into_iter().map(number).collect())
}

pub(super) fn views(reader: Reader<'_>) -> Result<Views, ItemError> {
    Ok(Views {
        events: reader.number_or_default(names::VIEW_EVENTS)?,
        attempts: reader.number_or_default(names::VIEW_ATTEMPTS)?,
        starts: reader.number_or_default(names::VIEW_STARTS)?,
        start_failures_technical: reader.number_or_default(names::START_FAILURES_TECHNICAL)?,
        start_failures_business: reader.number_or_default(names::START_FAILURES_BUSINESS)?,
        exits_before_start: reader.number_or_default(names::EXITS_BEFORE_START)?,
        playback_failures: reader.number_or_default(names::PLAYBACK_FAILURES)?,
        ended: reader.number_or_default(names::VIEWS_ENDED)?,
    })
}

pub(super) fn playing(reader: Reader<'_>) -> Result<ViewSketch, ItemError> {
    let bytes = match reader.0.get(names::VIEW_SKETCH) {
        None => return Ok(ViewSketch::default()),
        Some(AttributeValue::B(bytes)) => bytes,
        Some(_) => return Err(error(names::VIEW_SKETCH, "is not binary")),
    };
    ViewSketch::from_bytes(bytes.as_ref()).map_err(|e| error(names::VIEW_SKETCH, e.to_string()))
}

/// Returns the figures by dimension of a row.
///
/// # Errors
/// Names the attribute, if it is ill-typed.
pub(crate) fn breakdown(reader: Reader<'_>) -> Result<Breakdown, ItemError> {
    let Some(stored) = reader.0.get(names::BREAKDOWNS) else { return Ok(Breakdown::default()) };
    let bad = |what: String| error(names::BREAKDOWNS, what);
    let dimensions = stored.as_m().map_err(|_| bad("is not a map".to_owned()))?;
    let mut entries = Vec::new();
    for (name, values) in dimensions {
        let dimension = Dimension::of_name(name);
        let dimension = dimension.ok_or_else(|| bad(format!("has `{name}`, no dimension")))?;
        let values = values.as_m().map_err(|_| bad(format!("has `{name}`, which is not a map")))?;
        for (value, figures) in values {
            let slice =
                slice(figures).ok_or_else(|| bad(format!("has no figures of `{value}`")))?;
            entries.push(((dimension, Arc::from(value.as_str())), slice));
        }
    }
    Ok(entries.into_iter().collect())
}

fn slice(figures: &AttributeValue) -> Option<Slice> {
    let number = |value: &AttributeValue| value.as_n().ok()?.parse::<FixedSum>().ok();
    let figures = figures.as_l().ok()?.iter().map(number).collect::<Option<Vec<_>>>()?;
    Slice::of_figures(figures.as_slice().try_into().ok()?)
}

#[cfg(test)]
mod tests {
    use ivs_core::decode::{DecodeLimits, Event, decode};
    use ivs_core::experience::AllowLists;
    use ivs_core::row::Row;
    use ivs_core::window::WindowFold;
    use kinesis_model::{EpochMs, Position, ShardId};

    use super::*;
    use crate::items::codec::{Item, size_bytes};
    use crate::items::metric;

    /// A row of so many players, with every value of every default list and every figure there is.
    fn full(players: usize) -> (WindowAgg, Item) {
        let lists = AllowLists::default();
        let value = |dimension: Dimension, at: usize| {
            let values = lists.values(dimension);
            // One more than there are: what is not listed.
            values.get(at % (values.len() + 1)).map_or("elsewhere", String::as_str)
        };
        let events = ["attempt", "start", "failure", "error", "end", "none"];
        let mut fold = WindowFold::new();
        for at in 0..players {
            let [device, os, country, _, cdn, rendition] =
                Dimension::ALL.map(|dimension| value(dimension, at));
            let event = events[at % events.len()];
            let startup = match event {
                "start" => format!(r#","startupMs":{}"#, 300 + at * 7 % 9_000),
                _ => String::new(),
            };
            let line = format!(
                r#"{{"type":"player_telemetry","sessionId":"st-7Hq2LmX9pRt4VbN8kZs1WdC","channelId":"Qw3rTy8UiOp1","playerId":"p-{at:010x}","viewId":"v-{at:010x}","timestamp":1750000001000,"state":"PLAYING","viewEvent":"{event}","bitrate":2961985.25,"frameRate":59.94,"droppedFrames":3,"bufferingMs":1234.567891,"playingMs":8765.432109,"latencyMs":{}{startup},"rebufferCount":2,"errorCount":1,"device":"{device}","os":"{os}","country":"{country}","cdn":"{cdn}","resolution":"{rendition}"}}"#,
                1_000 + at * 13 % 20_000,
            );
            let arrival = EpochMs(1_750_000_002_000);
            match decode(line.as_bytes(), arrival, &DecodeLimits::default()).unwrap() {
                Event::Player(sample) => fold.add_player(&sample),
                other => panic!("{other:?}"),
            }
        }
        let (key, agg) = fold.drain().remove(0);
        let at = Position { sequence: (u128::MAX >> 8).into(), sub: 0 };
        let applied = (0..4).map(|n| (ShardId::new(&format!("shardId-{n:012}")), at)).collect();
        let row = Row { agg, applied, version: 9 };
        let item = metric::encode(&key, &row, Some(1_800_000_000));
        assert_eq!(metric::decode(&item).unwrap().1, row);
        (row.agg, item)
    }

    #[test]
    fn a_row_with_every_value_of_the_default_lists_is_as_small_as_stated() {
        let (agg, item) = full(1_000);
        let whole = size_bytes(&item);
        assert!(whole <= 24 * 1_024, "{whole} bytes");
        assert_eq!(agg.breakdown.of(Dimension::PlayerVersion).count(), 0);
        let slices = agg.breakdown.iter().count();
        let lists = AllowLists::default();
        let listed: usize = Dimension::ALL.iter().map(|of| lists.values(*of).len()).sum();
        assert_eq!(slices, listed + 5, "and the rest of five dimensions");
        for (name, most) in [(names::BREAKDOWNS, 8 * 1_024), (names::VIEW_SKETCH, 2_400)] {
            let bytes = size_bytes(&Item::from([(name.to_owned(), item[name].clone())]));
            assert!(bytes <= most, "{name}: {bytes} bytes");
        }
    }

    /// Returns what a projection leaves of an item.
    fn projected(item: &Item, paths: &[&str]) -> Item {
        let mut left = Item::new();
        for path in paths {
            let (name, inner) = path.split_once('.').map_or((*path, None), |(n, i)| (n, Some(i)));
            match (item.get(name), inner) {
                (None, _) => {}
                (Some(value), None) => drop(left.insert(name.to_owned(), value.clone())),
                (Some(map), Some(inner)) => {
                    let value = map.as_m().unwrap()[inner].clone();
                    let empty = || AttributeValue::M(HashMap::new());
                    let AttributeValue::M(members) =
                        left.entry(name.to_owned()).or_insert_with(empty)
                    else {
                        panic!("{name} twice")
                    };
                    members.insert(inner.to_owned(), value);
                }
            }
        }
        left
    }

    #[test]
    fn a_closed_window_is_judged_by_a_part_of_its_rows_as_by_all_of_them() {
        use ivs_core::emit::{ComparedSpan, WINDOW_MS};
        use ivs_core::quality::Spans;
        let (agg, item) = full(1_000);
        let part = projected(&item, &metric::JUDGED);
        assert!(size_bytes(&part) < size_bytes(&item) * 3 / 4);
        let (key, of_part) = metric::decode_agg(&part).unwrap();
        assert_ne!(of_part, agg);
        let start = EpochMs(key.minute.start().0.div_euclid(WINDOW_MS) * WINDOW_MS);
        let judged = |row| {
            let pair = ComparedSpan::pair(&key.session_id, start, [(&key, row)]);
            format!("{pair:?} {:?}", Spans::of(&key.session_id, [(&key, row)]))
        };
        assert_eq!(judged(&of_part), judged(&agg));
        assert_ne!(judged(&of_part), judged(&WindowAgg::default()));
    }

    #[test]
    fn an_altered_breakdown_is_refused() {
        let (_, good) = full(20);
        let slice = |value: &str| AttributeValue::N(value.to_owned());
        let broken = [
            AttributeValue::N("1".to_owned()),
            AttributeValue::M([("shoe".to_owned(), AttributeValue::M([].into()))].into()),
            AttributeValue::M([("os".to_owned(), AttributeValue::L(vec![]))].into()),
            AttributeValue::M(
                [(
                    "os".to_owned(),
                    AttributeValue::M(
                        [("ios".to_owned(), AttributeValue::L(vec![slice("1")]))].into(),
                    ),
                )]
                .into(),
            ),
        ];
        for value in broken {
            let mut item = good.clone();
            item.insert(names::BREAKDOWNS.to_owned(), value);
            assert_eq!(metric::decode(&item).unwrap_err().attribute, names::BREAKDOWNS);
        }
        let mut item = good;
        item.insert(names::VIEW_SKETCH.to_owned(), AttributeValue::S("x".to_owned()));
        assert_eq!(metric::decode(&item).unwrap_err().attribute, names::VIEW_SKETCH);
    }
}
