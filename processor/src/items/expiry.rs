//! When items expire, in epoch seconds. Nothing expires unless `tables.ttl_days` says so.

use ivs_core::session::{LONGEST_STREAM_MS, SummaryAgg, TimelineItem};

use crate::config::Tables;

/// Seconds of a minute.
const MINUTE_S: i64 = 60;

/// Returns when a row of event time `at_s` expires.
#[must_use]
pub fn of_row(at_s: i64, tables: &Tables) -> Option<i64> {
    (tables.ttl_days > 0).then(|| at_s + i64::from(tables.ttl_days) * 86_400)
}

/// Returns when a fact expires. One that has no time of its own, as a milestone, does not by
/// itself.
#[must_use]
pub fn of_fact(fact: &TimelineItem, tables: &Tables) -> Option<i64> {
    let second = fact.second().0.div_euclid(1_000);
    of_row(second, tables).filter(|_| second > 0)
}

/// Returns when a summary expires: counted from the last that is known of the session. One of which
/// no time is known does not.
#[must_use]
pub fn of_summary(agg: &SummaryAgg, tables: &Tables) -> Option<i64> {
    let seconds = |at_ms: i64| at_ms.div_euclid(1_000);
    let heard = agg.telemetry.span.map(|span| span.last.start_s() + MINUTE_S);
    let started = agg.started_at().map(|at| seconds(at.0));
    let last = agg.ended_at().map(|at| seconds(at.0)).max(heard).max(started)?;
    of_row(last, tables)
}

/// Returns when a milestone expires that is reached by this summary: no sooner than the summary
/// itself, which may still move by the longest stream, or what was told would be told again.
#[must_use]
pub fn of_milestone(agg: &SummaryAgg, tables: &Tables) -> Option<i64> {
    of_summary(agg, tables).map(|at_s| at_s + LONGEST_STREAM_MS / 1_000)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ivs_core::decode::{DecodeLimits, Event, decode};
    use ivs_core::session::{Milestone, SessionFold};
    use kinesis_model::EpochMs;

    use super::*;

    /// 2026-03-01T12:00:00Z.
    const START_S: i64 = 1_772_366_400;

    fn tables() -> Tables {
        Tables { ttl_days: 30, ..Tables::default() }
    }

    fn started() -> SummaryAgg {
        let line = r#"{"eventType":"stream_start","sessionId":"st-1","channelId":"c","timestamp":1772366400000}"#;
        let event = decode(line.as_bytes(), EpochMs(1_772_366_401_000), &DecodeLimits::default());
        let Ok(Event::Fact(fact)) = event else { panic!("{event:?}") };
        let mut fold = SessionFold::default();
        fold.add_fact(&fact);
        fold.drain().summaries.remove(0).1
    }

    #[test]
    fn a_summary_expires_with_its_session_and_a_milestone_not_before_it() {
        let agg = started();
        assert_eq!(of_summary(&agg, &tables()), Some(START_S + 30 * 86_400));
        let milestone = of_milestone(&agg, &tables()).unwrap();
        assert_eq!(milestone, START_S + 32 * 86_400);
        assert_eq!(of_summary(&agg, &Tables::default()), None);
    }

    #[test]
    fn what_has_no_time_never_expires_in_1970() {
        let item = Milestone::Started.item(&Arc::from("st-1"));
        assert_eq!(of_fact(&item, &tables()), None);
        assert_eq!(of_summary(&SummaryAgg::default(), &tables()), None);
    }
}
