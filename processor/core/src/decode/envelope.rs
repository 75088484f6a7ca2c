//! EventBridge envelopes of Amazon IVS.
//!
//! Types and fields: the IVS user guides, "Using Amazon EventBridge" (low-latency and real-time).
//! IVS adds types over time, so one not known here is a fact too.

use super::fact::{
    AdBreak, Fact, FactKind, FactOrigin, FactScope, LimitBreach, Recording, RecordingPhase,
    StageEvent,
};
use super::field::{Fields, ill_typed, metric, optional_id, resource_id, text};
use super::flat::{no_kind, word};
use super::ingest;
use super::json::{self, Value};
use super::reject::{Reason, Rejection};
use super::slots::slots;

/// The source of IVS itself, and what the source of a substitute ends in: PutEvents refuses sources
/// that begin with `aws.`, so events sent by hand come from, say, `local.ivs`.
const SOURCE: &str = "aws.ivs";
const SOURCE_SUFFIX: &str = ".ivs";
/// The source of what a worker asked IVS for, since EventBridge never brought it: the same facts, told by
/// IVS itself, so nothing else tells them apart.
const RECONCILER: &str = "reconciler";
/// The types whose events have a name of their own.
const IS_NAMED: [&str; 6] = [
    "IVS Stream State Change",
    "IVS Stream Health Change",
    "IVS Ad Break State Change",
    "IVS Stage Update",
    "IVS Composition State Change",
    "IVS Participant Recording State Change",
];
/// The most streams one recording may list: more than a day of reconnects, one a minute.
const MAX_STREAM_IDS: usize = 2_000;

slots! {
    Envelope {
        id: "id",
        detail_type: "detail-type",
        source: "source",
        account: "account",
        time: "time",
        region: "region",
        resources: "resources",
        detail: "detail",
    }
}

slots! {
    Detail {
        event_name: "event_name",
        stream_id: "stream_id",
        reason: "reason",
        code: "code",
        limit_name: "limit_name",
        limit: "limit",
        limit_value: "limit_value",
        exceeded_by: "exceeded_by",
        limit_unit: "limit_unit",
        recording_status: "recording_status",
        recording_status_reason: "recording_status_reason",
        bucket: "recording_s3_bucket_name",
        key_prefix: "recording_s3_key_prefix",
        recording_duration_ms: "recording_duration_ms",
        recording_session_id: "recording_session_id",
        recording_stream_ids: "recording_session_stream_ids",
        ad_break_id: "ad_break_id",
        duration_seconds: "duration_seconds",
        target_start_time: "target_start_time",
        video: "video",
        audio: "audio",
        session_id: "session_id",
        participant_id: "participant_id",
        error_code: "error_code",
        stage_arn: "stage_arn",
        destination_id: "id",
    }
}

pub(super) fn fact(line: &str, fields: Fields<'_>) -> Result<Fact, Rejection> {
    let mut envelope = Envelope::EMPTY;
    envelope.fill(line)?;
    let source = word("source", envelope.source())?.ok_or_else(|| fields.missing("source"))?;
    if ![SOURCE, RECONCILER].contains(&&*source) && !source.ends_with(SOURCE_SUFFIX) {
        return Err(no_kind("source", &source));
    }
    let detail_type = fields.id("detail-type", envelope.detail_type())?;
    let mut detail = Detail::EMPTY;
    match envelope.detail() {
        Value::Object(text) => detail.fill(text)?,
        Value::Null => return Err(fields.missing("detail")),
        other => return Err(ill_typed("detail", "an object", other)),
    }
    let kind = kind(&detail_type, &detail, fields)?;
    Ok(Fact {
        scope: scope(&kind, &envelope, &detail, fields)?,
        time: fields.time("time", envelope.time())?,
        kind,
        event_id: optional_id("id", envelope.id())?.map(Into::into),
        origin: FactOrigin::Ivs,
    })
}

fn kind(detail_type: &str, detail: &Detail<'_>, fields: Fields<'_>) -> Result<FactKind, Rejection> {
    let event_name = match word("event_name", detail.event_name()) {
        Err(rejection) if IS_NAMED.contains(&detail_type) => return Err(rejection),
        name => name.ok().flatten(),
    };
    Ok(match (detail_type, event_name.as_deref()) {
        ("IVS Stream State Change", Some("Session Created")) => FactKind::SessionCreated,
        ("IVS Stream State Change", Some("Session Ended")) => {
            FactKind::SessionEnded { code: text("code", detail.code())? }
        }
        ("IVS Stream State Change", Some("Stream Start")) => FactKind::StreamStart,
        ("IVS Stream State Change", Some("Stream End")) => FactKind::StreamEnd,
        ("IVS Stream State Change", Some("Stream Failure")) => {
            FactKind::StreamFailure { reason: text("reason", detail.reason())? }
        }
        ("IVS Stream State Change", Some("Stream Takeover")) => FactKind::Takeover,
        ("IVS Stream State Change", Some("Stream Takeover Failure")) => {
            FactKind::TakeoverFailure { code: text("code", detail.code())? }
        }
        ("IVS Stream Health Change", Some("Starvation Start")) => FactKind::StarvationStart,
        ("IVS Stream Health Change", Some("Starvation End")) => FactKind::StarvationEnd,
        ("IVS Limit Breach", _) => FactKind::LimitBreach(limit_breach(detail, fields)?),
        ("IVS Recording State Change", _) => recording(detail_type, detail)?,
        ("IVS Ad Break State Change", Some("Ad Break Inserted")) => {
            FactKind::AdBreak(ad_break(detail)?)
        }
        ("IVS Ingest Configuration", _) => {
            FactKind::Ingest(Box::new(ingest::configuration(detail.video(), detail.audio())?))
        }
        (
            "IVS Stage Update"
            | "IVS Composition State Change"
            | "IVS Participant Recording State Change",
            _,
        ) => FactKind::Stage(stage_event(detail_type, detail)?),
        ("AWS API Call via CloudTrail", _) => FactKind::Ignored,
        // Of a type that is not known nothing is known to be wrong.
        _ => unknown(detail_type, text("event_name", detail.event_name()).ok().flatten()),
    })
}

fn unknown(detail_type: &str, name: Option<String>) -> FactKind {
    FactKind::Unknown { detail_type: detail_type.to_owned(), name }
}

fn limit_breach(detail: &Detail<'_>, fields: Fields<'_>) -> Result<LimitBreach, Rejection> {
    // The schema registry, and CDK with it, names it `limit`; the service sends `limit_name`.
    let limit = match (detail.limit_name(), detail.limit()) {
        (Value::Null, limit) if limit != Value::Null => fields.id("limit", limit)?,
        (name, _) => fields.id("limit_name", name)?,
    };
    Ok(LimitBreach {
        limit: limit.into_owned(),
        value: metric("limit_value", detail.limit_value())?,
        exceeded_by: metric("exceeded_by", detail.exceeded_by())?,
        unit: text("limit_unit", detail.limit_unit())?,
    })
}

fn recording(detail_type: &str, detail: &Detail<'_>) -> Result<FactKind, Rejection> {
    let status = text("recording_status", detail.recording_status())?;
    let phase = match status.as_deref() {
        Some("Recording Start") => RecordingPhase::Start,
        Some("Recording End") => RecordingPhase::End,
        Some("Recording Start Failure") => RecordingPhase::StartFailure,
        Some("Recording End Failure") => RecordingPhase::EndFailure,
        _ => return Ok(unknown(detail_type, status)),
    };
    Ok(FactKind::Recording(Recording {
        phase,
        reason: text("recording_status_reason", detail.recording_status_reason())?,
        bucket: text("recording_s3_bucket_name", detail.bucket())?,
        key_prefix: text("recording_s3_key_prefix", detail.key_prefix())?,
        duration_ms: metric("recording_duration_ms", detail.recording_duration_ms())?,
        recording_id: text("recording_session_id", detail.recording_session_id())?,
        stream_ids: ids("recording_session_stream_ids", detail.recording_stream_ids())?,
    }))
}

fn ad_break(detail: &Detail<'_>) -> Result<AdBreak, Rejection> {
    Ok(AdBreak {
        ad_break_id: text("ad_break_id", detail.ad_break_id())?,
        duration_s: metric("duration_seconds", detail.duration_seconds())?,
        target_start: text("target_start_time", detail.target_start_time())?,
    })
}

fn stage_event(detail_type: &str, detail: &Detail<'_>) -> Result<StageEvent, Rejection> {
    let stage = text("stage_arn", detail.stage_arn())?;
    let stage = stage.map(|arn| resource_id(arn.into()).into_owned());
    Ok(StageEvent {
        detail_type: detail_type.to_owned(),
        name: text("event_name", detail.event_name())?,
        participant_id: text("participant_id", detail.participant_id())?,
        stage_id: stage.filter(|id| !id.is_empty()),
        destination_id: text("id", detail.destination_id())?,
        error_code: text("error_code", detail.error_code())?,
        reason: text("reason", detail.reason())?,
    })
}

fn scope(
    kind: &FactKind,
    envelope: &Envelope<'_>,
    detail: &Detail<'_>,
    fields: Fields<'_>,
) -> Result<FactScope, Rejection> {
    let resource = ids("resources", envelope.resources())?.into_iter().next();
    let resource = resource.map(|arn| resource_id(arn.into()).into_owned());
    let resource = resource.filter(|id| !id.is_empty());
    if let FactKind::Stage(stage) = kind {
        let id = resource.ok_or_else(|| fields.missing("resources"))?;
        return Ok(if stage.detail_type == "IVS Composition State Change" {
            FactScope::Composition { composition_id: id }
        } else {
            let session_id = optional_id("session_id", detail.session_id())?.map(Into::into);
            FactScope::Stage { stage_id: id, session_id }
        });
    }
    let session = match optional_id("stream_id", detail.stream_id()) {
        Err(_) if matches!(kind, FactKind::Unknown { .. }) => None,
        id => id?,
    };
    if session.is_none() && matches!(kind, FactKind::Ingest(_)) {
        return Err(fields.missing("stream_id"));
    }
    match (session, resource) {
        (Some(session), Some(channel_id)) => {
            Ok(FactScope::Session { session_id: session.into_owned(), channel_id })
        }
        (None, Some(channel_id)) => Ok(FactScope::Channel { channel_id }),
        (_, None) => match kind {
            FactKind::LimitBreach(_)
            | FactKind::Unknown { .. }
            | FactKind::Ignored
            | FactKind::Foreign => Ok(FactScope::Account {
                account: text("account", envelope.account())?.unwrap_or_default(),
                region: text("region", envelope.region())?.unwrap_or_default(),
            }),
            _ => Err(fields.missing("resources")),
        },
    }
}

/// Returns a list of ids, which may be absent.
fn ids(name: &'static str, value: Value<'_>) -> Result<Vec<String>, Rejection> {
    let list = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(list) => list,
        other => return Err(ill_typed(name, "an array", other)),
    };
    let (mut ids, mut refused, mut count) = (Vec::new(), None, 0);
    json::array(list, |element| {
        count += 1;
        if refused.is_some() || count > MAX_STREAM_IDS {
            return;
        }
        match optional_id(name, element) {
            Ok(Some(id)) => ids.push(id.into_owned()),
            Ok(None) => refused = Some(ill_typed(name, "a string", element)),
            Err(rejection) => refused = Some(rejection),
        }
    })?;
    if count > MAX_STREAM_IDS {
        let detail = format!("{count} elements, the limit is {MAX_STREAM_IDS}");
        refused = Some(Rejection::of_field(Reason::TooLarge, name, detail));
    }
    refused.map_or(Ok(ids), Err)
}
