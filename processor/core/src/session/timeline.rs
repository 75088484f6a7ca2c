//! The timeline of a session: one immutable item per lifecycle fact.

use std::sync::Arc;

use ivs_schemas::items::sessions as names;

use super::attribute::{Attribute, AttributeValue, Attributes, Fingerprint};
use crate::decode::{Fact, FactKind, FactOrigin, FactScope, Recording, RecordingPhase};
use crate::fixed::FixedSum;
use kinesis_model::EpochMs;

/// Attributes of timeline items that are named here: each is a field of an event, in our spelling.
pub mod attribute_names {
    /// S: `ivs` or `application`: who reported the fact.
    pub const SOURCE: &str = "source";
    /// Value of [`SOURCE`]: Amazon IVS, through EventBridge or because it was asked.
    pub const SOURCE_IVS: &str = "ivs";
    /// Value of [`SOURCE`]: the application's own backend.
    pub const SOURCE_APPLICATION: &str = "application";
    /// N: the content's fingerprint; see [`super::TimelineItem::fingerprint`].
    pub const FINGERPRINT: &str = "fingerprint";
    /// S: an IVS code, or the reason of a failure.
    pub const REASON: &str = "reason";
    /// S: the limit's name.
    pub const LIMIT: &str = "limitName";
    /// S: the limit's unit.
    pub const LIMIT_UNIT: &str = "limitUnit";
    /// N: the limit, in `limitUnit`.
    pub const LIMIT_VALUE: &str = "limitValue";
    /// N: the amount over the limit, in `limitUnit`.
    pub const EXCEEDED_BY: &str = "exceededBy";
    /// S: the S3 bucket of a recording.
    pub const BUCKET: &str = "bucket";
    /// S: the S3 key prefix of a recording.
    pub const KEY_PREFIX: &str = "keyPrefix";
    /// N: length of a recording, milliseconds.
    pub const DURATION_MS: &str = "durationMs";
    /// S: id of a recording session.
    pub const RECORDING_ID: &str = "recordingId";
    /// L of S: every stream merged into a recording.
    pub const STREAM_IDS: &str = "streamIds";
    /// S: id of an ad break.
    pub const AD_BREAK_ID: &str = "adBreakId";
    /// S: when an ad break is to begin, as IVS wrote it.
    pub const TARGET_START: &str = "targetStart";
    /// S: `detail-type` of an event this version does not know.
    pub const DETAIL_TYPE: &str = "detailType";
    /// S: name of an event this version does not know.
    pub const EVENT_NAME: &str = "eventName";
    /// S: a participant of a real-time stage.
    pub const PARTICIPANT_ID: &str = "participantId";
    /// S: a real-time stage.
    pub const STAGE_ID: &str = "stageId";
    /// S: a composition of a stage.
    pub const COMPOSITION_ID: &str = "compositionId";
    /// S: a destination of a composition.
    pub const DESTINATION_ID: &str = "destinationId";
}
use attribute_names as own;

/// A timeline item of `StreamingSessions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineItem {
    /// Partition key.
    pub session_id: Arc<str>,
    /// Key of `ChannelIdIndex`; `None` keeps the item out of the index.
    pub channel_id: Option<Arc<str>>,
    /// Sort key × 1,000: the second of the event × 1,000 + a rank below 1,000. Stored as epoch
    /// seconds with three decimals.
    pub sort_key_ms: i64,
    /// `eventType`.
    pub event_type: &'static str,
    /// Everything else, event time and tutorial attributes included; the event's id is not: a
    /// replayed event may have another, and is the same fact.
    pub attributes: Vec<Attribute>,
    /// Names the content. Two facts of one second can share a sort key only within the range of a
    /// kind (1 in 10 to 1 in 200); the smaller fingerprint stays. So the put is conditional on
    /// `attribute_not_exists(sessionId) OR fingerprint > :fingerprint`, and the outcome is the
    /// same for every order.
    pub fingerprint: u64,
}

impl TimelineItem {
    /// Returns the item of a fact of a session, a stage or a composition; `None` for a fact that
    /// belongs into no timeline. The items of a stage stand under its own session, or its id where
    /// the event names none, and in no channel's index.
    #[must_use]
    pub fn of(fact: &Fact) -> Option<Self> {
        let (session_id, channel_id): (Arc<str>, _) = match &fact.scope {
            FactScope::Session { session_id, channel_id } => {
                (Arc::from(session_id.as_str()), Some(Arc::<str>::from(channel_id.as_str())))
            }
            FactScope::Stage { session_id: Some(id), .. } => (Arc::from(id.as_str()), None),
            FactScope::Stage { stage_id, session_id: None } => {
                (Arc::from(format!("stage:{stage_id}")), None)
            }
            FactScope::Composition { composition_id } => {
                (Arc::from(format!("composition:{composition_id}")), None)
            }
            FactScope::Channel { .. } | FactScope::Account { .. } => return None,
        };
        let event_type = fact.kind.event_type()?;
        let attributes = attributes(fact);
        let fingerprint = Fingerprint::of("timeline")
            .text(&session_id)
            .text(channel_id.as_deref().unwrap_or_default())
            .text(event_type)
            .attributes(&attributes)
            .short();
        let second_ms = fact.time.0.div_euclid(1_000).saturating_mul(1_000);
        Some(Self {
            session_id,
            channel_id,
            sort_key_ms: second_ms.saturating_add(rank(&fact.kind, fingerprint)),
            event_type,
            attributes,
            fingerprint,
        })
    }

    /// Returns the second of the event.
    #[must_use]
    pub fn second(&self) -> EpochMs {
        EpochMs(self.sort_key_ms.div_euclid(1_000) * 1_000)
    }

    /// Returns an attribute that is a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<FixedSum> {
        self.attributes.iter().find_map(|(own, value)| match value {
            AttributeValue::Number(number) if *own == name => Some(*number),
            _ => None,
        })
    }

    /// Returns an attribute that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find_map(|(own, value)| match value {
            AttributeValue::Text(text) if *own == name => Some(&**text),
            _ => None,
        })
    }

    /// Returns whether this item is to be put where one with `stored` as fingerprint is.
    #[must_use]
    pub fn replaces(&self, stored: u64) -> bool {
        self.fingerprint < stored
    }
}

/// Returns the place of a fact within its second, below 1,000.
///
/// The order is that in which a stream passes through them. Kinds that can occur several times in
/// a second with different content have a range, and the fingerprint says where in it.
fn rank(kind: &FactKind, fingerprint: u64) -> i64 {
    let (first, width) = match kind {
        FactKind::SessionCreated => (10, 1),
        FactKind::StreamStart => (20, 1),
        FactKind::AppStart(_) => (30, 10),
        FactKind::Takeover => (50, 1),
        FactKind::TakeoverFailure { .. } => (60, 20),
        FactKind::StarvationEnd => (90, 1),
        FactKind::StarvationStart => (91, 1),
        FactKind::LimitBreach(_) => (100, 200),
        FactKind::AdBreak(_) => (300, 100),
        // A timeline of its own, of many participants.
        FactKind::Stage(_) => (10, 980),
        FactKind::Unknown { .. } | FactKind::Ingest(_) | FactKind::Ignored | FactKind::Foreign => {
            (400, 200)
        }
        FactKind::Recording(recording) => (recording_rank(recording), 50),
        FactKind::StreamFailure { .. } => (700, 20),
        FactKind::StreamEnd => (800, 1),
        FactKind::AppEnd(_) => (810, 20),
        FactKind::SessionEnded { .. } => (840, 20),
    };
    first + i64::try_from(fingerprint % width).expect("widths are below 1,000")
}

fn recording_rank(recording: &Recording) -> i64 {
    match recording.phase {
        RecordingPhase::Start => 600,
        RecordingPhase::StartFailure => 650,
        RecordingPhase::End => 900,
        RecordingPhase::EndFailure => 950,
    }
}

/// Returns what a fact says, apart from whom it is about.
pub(super) fn attributes(fact: &Fact) -> Vec<Attribute> {
    let mut found = Attributes::default();
    let source = match fact.origin {
        FactOrigin::Ivs => own::SOURCE_IVS,
        FactOrigin::Application => own::SOURCE_APPLICATION,
    };
    found.0.push((names::EVENT_TIME_MS, AttributeValue::integer(fact.time.0)));
    found.text(own::SOURCE, Some(source));
    match &fact.kind {
        FactKind::SessionEnded { code } | FactKind::TakeoverFailure { code } => {
            found.text(own::REASON, code.as_deref());
        }
        FactKind::StreamFailure { reason } => found.text(own::REASON, reason.as_deref()),
        FactKind::LimitBreach(breach) => {
            found.text(own::LIMIT, Some(&breach.limit));
            found.number(own::LIMIT_VALUE, breach.value);
            found.number(own::EXCEEDED_BY, breach.exceeded_by);
            found.text(own::LIMIT_UNIT, breach.unit.as_deref());
        }
        FactKind::Recording(recording) => recording_attributes(recording, &mut found),
        FactKind::AdBreak(ad) => {
            let duration_ms = ad.duration_s.map(|s| FixedSum(i128::from(s.micros()) * 1_000));
            found.text(own::AD_BREAK_ID, ad.ad_break_id.as_deref());
            found.number(own::DURATION_MS, duration_ms);
            found.text(own::TARGET_START, ad.target_start.as_deref());
        }
        FactKind::AppStart(start) => {
            found.text(names::STREAMER_USER_ID, start.streamer_user_id.as_deref());
            found.text(names::STREAM_TITLE, start.title.as_deref());
            found.text(names::STREAM_QUALITY, start.quality.as_deref());
        }
        FactKind::AppEnd(end) => {
            found.number(names::DURATION, end.duration_s);
            found.number(names::PEAK_VIEWERS, end.peak_viewers);
            found.number(names::TOTAL_CHAT_MESSAGES, end.total_chat_messages);
            found.number(names::AVG_BITRATE, end.avg_bitrate_bps);
        }
        FactKind::Unknown { detail_type, name } => {
            found.text(own::DETAIL_TYPE, Some(detail_type));
            found.text(own::EVENT_NAME, name.as_deref());
        }
        FactKind::Stage(stage) => {
            found.text(own::DETAIL_TYPE, Some(&stage.detail_type));
            found.text(own::EVENT_NAME, stage.name.as_deref());
            let (stage_id, composition_id) = match &fact.scope {
                FactScope::Stage { stage_id, .. } => (Some(stage_id.as_str()), None),
                FactScope::Composition { composition_id } => {
                    (stage.stage_id.as_deref(), Some(composition_id.as_str()))
                }
                _ => (None, None),
            };
            found.text(own::STAGE_ID, stage_id);
            found.text(own::COMPOSITION_ID, composition_id);
            found.text(own::DESTINATION_ID, stage.destination_id.as_deref());
            found.text(own::PARTICIPANT_ID, stage.participant_id.as_deref());
            found.text(own::REASON, stage.error_code.as_deref().or(stage.reason.as_deref()));
        }
        FactKind::SessionCreated
        | FactKind::StreamStart
        | FactKind::StreamEnd
        | FactKind::Takeover
        | FactKind::StarvationStart
        | FactKind::StarvationEnd
        | FactKind::Ingest(_)
        | FactKind::Ignored
        | FactKind::Foreign => {}
    }
    found.0
}

fn recording_attributes(recording: &Recording, found: &mut Attributes) {
    found.text(own::REASON, recording.reason.as_deref());
    found.text(own::BUCKET, recording.bucket.as_deref());
    found.text(own::KEY_PREFIX, recording.key_prefix.as_deref());
    found.number(own::DURATION_MS, recording.duration_ms);
    found.text(own::RECORDING_ID, recording.recording_id.as_deref());
    let streams = recording.stream_ids.iter().map(|id| AttributeValue::text(id)).collect();
    found.list(own::STREAM_IDS, streams);
}
