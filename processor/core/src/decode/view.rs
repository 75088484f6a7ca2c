//! The view that a record tells about, and who watches.

use std::borrow::Cow;

use super::event::ViewEvent;
use super::field::{ill_typed, word};
use super::json::Value;
use super::reject::Rejection;

/// Returns what `viewEvent`, `failureKind` and `viewStarted` say together.
#[cold]
pub(super) fn event(
    [event, kind, started]: [Value<'_>; 3],
) -> Result<Option<ViewEvent>, Rejection> {
    let event = word("viewEvent", event)?;
    let kind = word("failureKind", kind)?;
    let had_started = match started {
        Value::Null => true,
        Value::Bool(started) => started,
        other => return Err(ill_typed("viewStarted", "true or false", other)),
    };
    let Some(event) = event else { return Ok(None) };
    let is = |word: &str| event.eq_ignore_ascii_case(word);
    let is_business = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("business"));
    Ok(if is("attempt") {
        Some(ViewEvent::Attempt)
    } else if is("start") {
        Some(ViewEvent::Start)
    } else if is("failure") && is_business {
        Some(ViewEvent::StartFailureBusiness)
    } else if is("failure") {
        Some(ViewEvent::StartFailureTechnical)
    } else if is("error") {
        Some(ViewEvent::PlaybackFailure)
    } else if is("end") && had_started {
        Some(ViewEvent::End)
    } else if is("end") {
        Some(ViewEvent::ExitBeforeStart)
    } else {
        None
    })
}

/// Returns what a record tells of a dimension. These texts were always free: what is not one is
/// passed over, and never a reason to refuse the record.
#[inline(always)]
pub(super) fn label(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value {
        Value::Text(text) => match text.plain() {
            Some("") => None,
            Some(text) => Some(Cow::Borrowed(text)),
            None => Some(text.get()),
        },
        _ => None,
    }
}
