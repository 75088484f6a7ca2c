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

fn number(value: impl ToString) -> AttributeValue {
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
    AttributeValue::L(slice.figures().iter().map(number).collect())
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
            let slice = slice(figures).ok_or_else(|| bad(format!("has no figures of `{value}`")))?;
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
