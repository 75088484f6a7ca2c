//! The facts of a session that IVS tells when it is asked, and that EventBridge never brought.
//!
//! [`missing`] compares what IVS says with what the rows hold. What it finds is put into the stream, in
//! the shape of IVS's own events, so that rows stay a fold of the stream. Such an event says exactly what
//! the lost one said, in the second in which it happened: should that one come after all, it is the same
//! fact and changes nothing. So only those kinds are repaired of which IVS repeats everything; of
//! failures it keeps back the reason, of recordings, breaches and ad breaks all that matters.

mod lost;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use ivs_schemas::items::sessions::event_type as kind;
use ivs_schemas::names::{STREAM_HEALTH_CHANGE, STREAM_STATE_CHANGE};

pub use lost::LostFact;

use crate::decode::IngestConfiguration;
use kinesis_model::EpochMs;
use lost::Said;

/// Events that IVS lists of a session: when it lists so many, earlier ones may be left out.
const MAX_LISTED: usize = 500;
/// Two statements of one kind so near to each other are one fact: both come from IVS, in whole seconds
/// that need not be rounded the same way.
const SAME_MS: i64 = 1_000;

/// An event of which IVS repeats everything: its `detail-type`, its name, the `eventType` of its item.
type Repeated = (&'static str, &'static str, &'static str);

/// All of them, in the order in which a stream comes to them.
const REPEATED: [Repeated; 8] = [
    (STREAM_STATE_CHANGE, "Session Created", kind::SESSION_CREATED),
    (STREAM_STATE_CHANGE, STREAM_START, kind::STREAM_START),
    (STREAM_STATE_CHANGE, "Stream Takeover", kind::STREAM_TAKEOVER),
    (STREAM_STATE_CHANGE, "Stream Takeover Failure", kind::STREAM_TAKEOVER_FAILURE),
    (STREAM_STATE_CHANGE, STREAM_END, kind::STREAM_END),
    (STREAM_STATE_CHANGE, SESSION_ENDED, kind::SESSION_ENDED),
    (STREAM_HEALTH_CHANGE, "Starvation Start", kind::STARVATION_START),
    (STREAM_HEALTH_CHANGE, "Starvation End", kind::STARVATION_END),
];
const STREAM_START: &str = "Stream Start";
const STREAM_END: &str = "Stream End";
const SESSION_ENDED: &str = "Session Ended";

/// A session as IVS tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IvsSession {
    /// `streamId`.
    pub stream_id: String,
    /// ARN of its channel, which is the partition key of its events.
    pub channel_arn: String,
    /// `startTime`.
    pub started: Option<EpochMs>,
    /// `endTime`; none while it is live.
    pub ended: Option<EpochMs>,
    /// `truncatedEvents`, in no order.
    pub events: Vec<IvsEvent>,
    /// `ingestConfiguration`.
    pub ingest: Option<IngestConfiguration>,
}

/// An event that IVS lists of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IvsEvent {
    /// Such as `Stream Start`.
    pub name: String,
    /// When it happened.
    pub time: EpochMs,
    /// Why, of some.
    pub code: Option<String>,
}

/// The facts that are known of a session. They only ever grow, as rows do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    facts: BTreeSet<(String, EpochMs)>,
    ingest: Option<(EpochMs, IngestConfiguration)>,
}

impl Known {
    /// Adds a fact of IVS, by the `eventType` of its item.
    pub fn add_fact(&mut self, event_type: &str, time: EpochMs) {
        self.facts.insert((event_type.to_owned(), time));
    }

    /// Adds what IVS said of the encoder; the latest counts.
    pub fn add_ingest(&mut self, time: EpochMs, told: IngestConfiguration) {
        if self.ingest.as_ref().is_none_or(|known| *known < (time, told.clone())) {
            self.ingest = Some((time, told));
        }
    }

    /// Adds a fact that was put into the stream, and is on its way into the rows.
    pub fn add_put(&mut self, put: &LostFact) {
        match &put.said {
            Said::Event { event_type, .. } => self.add_fact(event_type, put.time),
            Said::Ingest(told) => self.add_ingest(put.time, told.clone()),
        }
    }

    /// Returns whether a fact of this kind is known of this second, or one beside it.
    fn has(&self, event_type: &str, time: EpochMs) -> bool {
        let near = |at: &EpochMs| at.0.abs_diff(time.0) <= SAME_MS.unsigned_abs();
        self.facts.iter().any(|(known, at)| known == event_type && near(at))
    }
}

/// Returns the facts of a session that IVS tells and that are not known, although all that arrived up to
/// `done` is in the rows, which is `grace_ms` or more after they happened: the earliest first, the
/// encoder's settings last.
#[must_use]
pub fn missing(session: &IvsSession, known: &Known, done: EpochMs, grace_ms: i64) -> Vec<LostFact> {
    let is_due = |time: EpochMs| time.0.saturating_add(grace_ms) <= done.0;
    // By second and place, so that one that is listed twice is put once.
    let mut lost = BTreeMap::new();
    for (event, place) in told(session) {
        let ((detail_type, name, event_type), time) = (REPEATED[place], second(event.time));
        if is_due(time) && !known.has(event_type, time) {
            let code = event.code.filter(|code| !code.is_empty());
            let said = Said::Event { detail_type, name, event_type, code };
            lost.insert((time, place), fact(session, time, said));
        }
    }
    lost.into_values().chain(changed_ingest(session, known, done)).collect()
}

/// Returns whether nothing more is to be expected of a session: it is over by what IVS says, and the grace
/// of its end has passed.
#[must_use]
pub fn is_over(session: &IvsSession, done: EpochMs, grace_ms: i64) -> bool {
    let last = session.events.iter().map(|event| event.time).chain(session.ended).max();
    session.ended.is_some() && last.is_some_and(|last| last.0.saturating_add(grace_ms) <= done.0)
}

/// Returns the events of a session that can be repeated, each with its place in [`REPEATED`].
fn told(session: &IvsSession) -> Vec<(IvsEvent, usize)> {
    let mut events = session.events.clone();
    let lists = |name: &str| session.events.iter().any(|event| event.name == name);
    let stated = |name: &str, time| IvsEvent { name: name.to_owned(), time, code: None };
    // Where the list has no room for a start, the session itself says when it was. One without events
    // need not have been watchable.
    if let Some(time) = session.started
        && session.events.len() >= MAX_LISTED
        && !lists(STREAM_START)
    {
        events.push(stated(STREAM_START, time));
    }
    // An end without an event is that of the session: whether it was ever watchable, others say.
    if let Some(time) = session.ended
        && !lists(STREAM_END)
        && !lists(SESSION_ENDED)
    {
        events.push(stated(SESSION_ENDED, time));
    }
    let repeated = |event: IvsEvent| {
        let place = REPEATED.iter().position(|(_, name, _)| *name == event.name)?;
        Some((event, place))
    };
    events.into_iter().filter_map(repeated).collect()
}

/// Returns the encoder's settings if they are news: as of the session's start the first time, as of
/// `done` when they are others than were known.
fn changed_ingest(session: &IvsSession, known: &Known, done: EpochMs) -> Option<LostFact> {
    let told = session.ingest.clone().filter(|told| *told != IngestConfiguration::default())?;
    let time = match &known.ingest {
        Some((_, settings)) if *settings == told => return None,
        // Later than what it replaces, whatever the clocks of two workers say.
        Some((since, _)) => second(done).max(EpochMs(since.0.saturating_add(1_000))),
        None => {
            let earliest = session.events.iter().map(|event| event.time).min();
            second(session.started.or(earliest)?)
        }
    };
    Some(fact(session, time, Said::Ingest(told)))
}

fn fact(session: &IvsSession, time: EpochMs, said: Said) -> LostFact {
    let (stream_id, channel_arn) = (session.stream_id.clone(), session.channel_arn.clone());
    LostFact { stream_id, channel_arn, time, said }
}

/// Returns the beginning of a time's second: EventBridge's times have no fractions.
fn second(time: EpochMs) -> EpochMs {
    EpochMs(time.0.div_euclid(1_000) * 1_000)
}
