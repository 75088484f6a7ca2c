//! Domain events: what other systems are told, built from what an epoch was the first to store.
//!
//! The id of an event is a function of what happened and to whom, so a consumer that keeps ids
//! sees each event once, through crashes and replays.

use std::sync::Arc;

use ivs_schemas::domain::{
    AccountLimitBreached, ChatSpike, DomainEvent, MostAffected, QualityDegraded, QualityIssue,
    QualityRecovered, RealTimeFailure, RealTimeIssue, SessionEnded, SessionFailed, SessionStarted,
    SessionSummary, Subject, ViewerDrop,
};
use ivs_schemas::items::sessions::event_type;
use jiff::Timestamp;

use crate::decode::{Fact, FactKind, FactScope};
use crate::emit::closed_window::{ComparedSpan, WINDOW_MS, viewer_drop_percent};
use crate::fixed::{Fixed, FixedSum};
use crate::quality::{Change, Figure, Rule, Spans, Transition};
use crate::session::{
    Fingerprint, Interval, Milestone, SummaryAgg, TimelineItem, attribute_names, fact_fingerprint,
};
use crate::window::{WindowAgg, WindowKey};
use kinesis_model::EpochMs;

/// Loss of viewers between two windows from which `Viewer Drop` is told, percent: the tutorial's
/// alarm.
pub const VIEWER_DROP_PERCENT: FixedSum = FixedSum(50_000_000);
/// Chat messages a minute above which `Chat Spike` is told: the tutorial's alarm. Only when the
/// window before was at or below it, so that a long spike is told once.
pub const CHAT_SPIKE_PER_MINUTE: FixedSum = FixedSum(100_000_000);

/// Returns the events of the timeline items that an epoch was the first to insert, in their order.
///
/// `summary_of` gives the merged summary of a session the epoch touched.
#[must_use]
pub fn session_events<'a>(
    inserted: &[TimelineItem],
    summary_of: impl Fn(&str) -> Option<&'a SummaryAgg>,
) -> Vec<DomainEvent> {
    let event = |item: &TimelineItem| {
        if let Some(issue) = real_time_issue(item) {
            return Some(real_time_event(issue, item));
        }
        let summary = summary_of(&item.session_id)?;
        match Milestone::of(item) {
            Some(milestone) => milestone_event(milestone, &item.session_id, summary),
            None => incident_event(item, summary),
        }
    };
    inserted.iter().filter_map(event).collect()
}

/// Returns what failed on a stage, if the item says so.
pub(super) fn real_time_issue(item: &TimelineItem) -> Option<RealTimeIssue> {
    Some(match item.event_type {
        event_type::PARTICIPANT_PUBLISH_ERROR => RealTimeIssue::PublishError,
        event_type::PARTICIPANT_RECORDING_FAILURE => RealTimeIssue::Recording,
        event_type::COMPOSITION_FAILURE => RealTimeIssue::Composition,
        event_type::COMPOSITION_DESTINATION_FAILURE => RealTimeIssue::Destination,
        _ => return None,
    })
}

fn real_time_event(issue: RealTimeIssue, item: &TimelineItem) -> DomainEvent {
    let kind = format!("{}/{:016x}", item.event_type, item.fingerprint);
    let text = |name| item.text(name).map(str::to_owned);
    DomainEvent::RealTimeFailure(RealTimeFailure {
        event_id: event_id(&kind, &item.session_id, None),
        session_id: item.session_id.as_ref().to_owned(),
        time: rfc3339(item.second()),
        issue,
        stage_id: text(attribute_names::STAGE_ID),
        composition_id: text(attribute_names::COMPOSITION_ID),
        participant_id: text(attribute_names::PARTICIPANT_ID),
        reason: text(attribute_names::REASON),
    })
}

/// Returns what a single fact says about the quality of the ingest.
fn incident_event(item: &TimelineItem, summary: &SummaryAgg) -> Option<DomainEvent> {
    // The fingerprint tells incidents of one second apart.
    let kind = format!("{}/{:016x}", item.event_type, item.fingerprint);
    let event_id = event_id(&kind, &item.session_id, None);
    let subject = subject(event_id, &item.session_id, &summary.channel_id, item.second());
    match item.event_type {
        event_type::STARVATION_START => Some(DomainEvent::QualityDegraded(QualityDegraded {
            subject,
            issue: QualityIssue::Starvation,
            observed: None,
            threshold: None,
            rule: None,
            severity: None,
            most_affected: None,
        })),
        event_type::STARVATION_END => {
            let closed = |interval: &&Interval| interval.end == Some(item.second());
            let intervals = summary.starvation_intervals();
            let length_ms = |interval: &Interval| item.second().0 - interval.start.0;
            let lasted_ms = intervals.iter().find(closed).map(length_ms);
            Some(DomainEvent::QualityRecovered(QualityRecovered {
                subject,
                issue: QualityIssue::Starvation,
                lasted_seconds: lasted_ms.map(|ms| FixedSum(i128::from(ms) * 1_000).to_f64()),
                observed: None,
                rule: None,
                severity: None,
            }))
        }
        event_type::LIMIT_BREACH => {
            let limit = item.number(attribute_names::LIMIT_VALUE);
            let over = item.number(attribute_names::EXCEEDED_BY);
            let observed = limit.zip(over).map(|(limit, over)| FixedSum(limit.0 + over.0));
            Some(DomainEvent::QualityDegraded(QualityDegraded {
                subject,
                issue: QualityIssue::LimitBreach,
                observed: observed.map(FixedSum::to_f64),
                threshold: limit.map(FixedSum::to_f64),
                rule: None,
                severity: None,
                most_affected: None,
            }))
        }
        _ => None,
    }
}

fn milestone_event(
    milestone: Milestone,
    session_id: &str,
    summary: &SummaryAgg,
) -> Option<DomainEvent> {
    let facts = &summary.lifecycle;
    let text = |text: Option<&str>| text.map(str::to_owned);
    let time = match milestone {
        Milestone::Started => facts.started.time()?,
        Milestone::Ended | Milestone::Failed => summary.ended_at()?,
    };
    // A session starts, ends and fails once: the time, which may still be corrected, is not in it.
    let event_id = event_id(milestone.event_type(), session_id, None);
    let subject = subject(event_id, session_id, &summary.channel_id, time);
    Some(match milestone {
        Milestone::Started => DomainEvent::SessionStarted(SessionStarted {
            subject,
            streamer_user_id: text(facts.streamer_user_id.value().map(AsRef::as_ref)),
            stream_title: text(facts.stream_title.value().map(AsRef::as_ref)),
        }),
        Milestone::Ended => {
            DomainEvent::SessionEnded(SessionEnded { subject, summary: session_summary(summary) })
        }
        Milestone::Failed => DomainEvent::SessionFailed(SessionFailed {
            subject,
            reason: text(facts.failed.value().and_then(Option::as_deref)),
            code: text(facts.session_ended.value().and_then(Option::as_deref)),
        }),
    })
}

fn session_summary(summary: &SummaryAgg) -> SessionSummary {
    let seconds = |time: EpochMs| time.0.div_euclid(1_000);
    let starvation = summary.starvation();
    let players = &summary.telemetry.players;
    let views = &summary.views.views;
    SessionSummary {
        started_at: summary.started_at().map(seconds),
        ended_at: summary.ended_at().map(seconds),
        duration: summary.duration_s().map(FixedSum::to_f64),
        peak_viewers: summary.peak_viewers().map(FixedSum::to_f64),
        viewer_minutes: summary.viewer_minutes().map(FixedSum::to_f64),
        unique_players: (!players.is_empty()).then(|| players.estimate() as f64),
        total_chat_messages: summary.total_chat_messages().map(FixedSum::to_f64),
        avg_bitrate: summary.avg_bitrate_bps().map(FixedSum::to_f64),
        rebuffer_ratio: summary.rebuffer_ratio().map(FixedSum::to_f64),
        view_attempts: views.known_attempts(),
        view_starts: views.known(views.starts),
        start_failures_technical: views.known(views.start_failures_technical),
        start_failures_business: views.known(views.start_failures_business),
        exits_before_start: summary.exits_before_start(),
        playback_failures: views.known(views.playback_failures),
        views_ended: views.known(views.ended),
        view_time_ms: summary.view_time_ms().map(FixedSum::to_f64),
        experience_score: summary.score().map(|score| score.score.to_f64()),
        starvation_count: Some(starvation.count),
        starvation_seconds: Some(FixedSum(i128::from(starvation.closed_ms) * 1_000).to_f64()),
    }
}

/// Returns the events of facts that belong to no session: an account's limit breaches.
#[must_use]
pub fn account_events(facts: &[Fact]) -> Vec<DomainEvent> {
    let event = |fact: &Fact| {
        let FactKind::LimitBreach(breach) = &fact.kind else { return None };
        let FactScope::Account { account, region } = &fact.scope else { return None };
        Some(DomainEvent::AccountLimitBreached(AccountLimitBreached {
            event_id: format!("{:016x}", fact_fingerprint(fact)),
            account: account.clone(),
            region: region.clone(),
            time: rfc3339(fact.time),
            limit_name: breach.limit.clone(),
            limit_value: breach.value.map(Fixed::to_f64),
            exceeded_by: breach.exceeded_by.map(Fixed::to_f64),
            limit_unit: breach.unit.clone(),
        }))
    };
    facts.iter().filter_map(event).collect()
}

/// Returns the events of a closed window that compare it with the window before. None of a stream
/// that was not live to the end of the window.
#[must_use]
pub fn closed_window_events(
    previous: &ComparedSpan,
    current: &ComparedSpan,
    summary: &SummaryAgg,
) -> Vec<DomainEvent> {
    if !summary.was_live_at(current.end()) {
        return Vec::new();
    }
    let mut events = Vec::new();
    events.extend(viewer_drop(previous, current, summary));
    events.extend(chat_spike(previous, current));
    events
}

/// Returns the events of the rules at the end of the window that starts at `start`, from the rows of
/// the session. None of a stream that was not live to the end of the window.
#[must_use]
pub fn rule_events<'a>(
    rules: &[Rule],
    session_id: &Arc<str>,
    start: EpochMs,
    rows: impl IntoIterator<Item = (&'a WindowKey, &'a WindowAgg)>,
    summary: &SummaryAgg,
) -> Vec<DomainEvent> {
    let end = EpochMs(start.0 + WINDOW_MS);
    if !summary.was_live_at(end) {
        return Vec::new();
    }
    let spans = Spans::of(session_id, rows);
    let event = |rule: &Rule| {
        let found = spans.transition(rule, start)?;
        let kind = match found.change {
            Change::Degraded => format!("quality_degraded/{}", rule.name),
            Change::Recovered => format!("quality_recovered/{}", rule.name),
        };
        let id = event_id(&kind, session_id, Some(start));
        let subject = subject(id, session_id, spans.channel_id(), end);
        Some(rule_event(rule, subject, found))
    };
    rules.iter().filter(|rule| rule.enabled).filter_map(event).collect()
}

fn rule_event(rule: &Rule, subject: Subject, found: Transition) -> DomainEvent {
    let (name, severity) = (Some(rule.name.clone()), Some(rule.severity.as_str().to_owned()));
    let (issue, observed) = (issue(rule.figure), found.value.map(FixedSum::to_f64));
    let percent = |part: FixedSum| FixedSum(part.0 * 100).to_f64();
    match found.change {
        Change::Degraded => DomainEvent::QualityDegraded(QualityDegraded {
            subject,
            issue,
            observed,
            threshold: Some(rule.threshold),
            rule: name,
            severity,
            most_affected: found.excess.map(|excess| MostAffected {
                dimension: excess.dimension.as_str().to_owned(),
                value: excess.value.as_ref().to_owned(),
                percent_of_problem: percent(excess.of_problem),
                percent_of_audience: percent(excess.of_audience),
            }),
        }),
        Change::Recovered => DomainEvent::QualityRecovered(QualityRecovered {
            subject,
            issue,
            lasted_seconds: None,
            observed,
            rule: name,
            severity,
        }),
    }
}

const fn issue(figure: Figure) -> QualityIssue {
    match figure {
        Figure::FrameRate => QualityIssue::FrameRate,
        Figure::Bitrate => QualityIssue::Bitrate,
        Figure::Rebuffering => QualityIssue::Rebuffering,
        Figure::StartFailures => QualityIssue::StartFailures,
        Figure::ExitsBeforeStart => QualityIssue::ExitsBeforeStart,
        Figure::PlaybackFailures => QualityIssue::PlaybackFailures,
        Figure::StartupTime => QualityIssue::StartupTime,
        Figure::ExperienceScore => QualityIssue::ExperienceScore,
    }
}

fn viewer_drop(
    previous: &ComparedSpan,
    current: &ComparedSpan,
    summary: &SummaryAgg,
) -> Option<DomainEvent> {
    let percent = viewer_drop_percent(previous, current, summary)?;
    if percent < VIEWER_DROP_PERCENT {
        return None;
    }
    Some(DomainEvent::ViewerDrop(ViewerDrop {
        subject: window_subject("viewer_drop", current),
        previous_viewers: previous.viewers.mean()?.to_f64(),
        viewers: current.viewers.mean()?.to_f64(),
        drop_percent: percent.to_f64(),
    }))
}

fn chat_spike(previous: &ComparedSpan, current: &ComparedSpan) -> Option<DomainEvent> {
    let is_spike = |rate: FixedSum| rate > CHAT_SPIKE_PER_MINUTE;
    let rate = current.chat_per_minute().filter(|rate| is_spike(*rate))?;
    if previous.chat_per_minute().is_some_and(is_spike) {
        return None;
    }
    Some(DomainEvent::ChatSpike(ChatSpike {
        subject: window_subject("chat_spike", current),
        messages_per_minute: rate.to_f64(),
        threshold: CHAT_SPIKE_PER_MINUTE.to_f64(),
    }))
}

fn window_subject(kind: &str, window: &ComparedSpan) -> Subject {
    let id = event_id(kind, &window.session_id, Some(window.start));
    subject(id, &window.session_id, &window.channel_id, window.end())
}

fn subject(event_id: String, session_id: &str, channel_id: &str, time: EpochMs) -> Subject {
    let (session_id, channel_id) = (session_id.to_owned(), channel_id.to_owned());
    Subject { event_id, session_id, channel_id, time: rfc3339(time) }
}

/// 32 hexadecimal digits of what happened (`kind`), to whom, and when if it can happen again.
fn event_id(kind: &str, session_id: &str, time: Option<EpochMs>) -> String {
    let print = Fingerprint::of("event").text(kind).text(session_id);
    let print = time.into_iter().fold(print, |print, time| print.number(time.0));
    format!("{:032x}", u128::from_be_bytes(print.bytes()))
}

/// RFC 3339 in UTC. Decode takes no time that the calendar does not have; one that it has not all
/// the same is written as the nearest it has.
fn rfc3339(time: EpochMs) -> String {
    let bounds = (Timestamp::MIN.as_millisecond(), Timestamp::MAX.as_millisecond());
    Timestamp::from_millisecond(time.0.clamp(bounds.0, bounds.1))
        .expect("clamped to the calendar's range")
        .to_string()
}
