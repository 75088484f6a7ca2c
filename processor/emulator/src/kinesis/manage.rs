//! Making, changing, describing and listing streams.

use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::{Arc, PoisonError};

use super::ids;
use super::model::{Meta, Status};
use super::stream::{self, Stream, StreamState};
use super::tagging::TAG_WORDS;
use super::wire::{self, Target};
use super::{Kinesis, MAX_SHARDS, MAX_STREAMS};
use crate::service::AwsError;
use crate::tags::TagSet;

/// Shards that an on-demand stream begins with.
const ON_DEMAND_SHARDS: u32 = 4;

const MIN_RETENTION_HOURS: u32 = 24;
const MAX_RETENTION_HOURS: u32 = 8_760;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateStream {
    stream_name: String,
    shard_count: Option<i64>,
    stream_mode_details: Option<ModeDetails>,
    #[serde(rename = "MaxRecordSizeInKiB")]
    max_record_size_in_kib: Option<i64>,
    #[serde(default)]
    tags: TagSet,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ModeDetails {
    stream_mode: String,
}

impl ModeDetails {
    fn is_on_demand(&self) -> Result<bool, AwsError> {
        match self.stream_mode.as_str() {
            "ON_DEMAND" => Ok(true),
            "PROVISIONED" => Ok(false),
            other => Err(wire::invalid_value(
                "streamModeDetails.streamMode",
                other,
                "Member must satisfy enum value set: [PROVISIONED, ON_DEMAND]",
            )),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeStream {
    #[serde(flatten)]
    target: Target,
    limit: Option<i64>,
    exclusive_start_shard_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListStreams {
    limit: Option<i64>,
    exclusive_start_stream_name: Option<String>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Retention {
    #[serde(flatten)]
    target: Target,
    retention_period_hours: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateStreamMode {
    #[serde(rename = "StreamARN")]
    stream_arn: String,
    stream_mode_details: ModeDetails,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateMaxRecordSize {
    #[serde(rename = "StreamARN")]
    stream_arn: String,
    #[serde(rename = "MaxRecordSizeInKiB")]
    max_record_size_in_kib: i64,
}

impl Kinesis {
    pub(super) fn create_stream(&self, body: &[u8]) -> Result<String, AwsError> {
        let request: CreateStream = wire::parse(body)?;
        let name = &request.stream_name;
        wire::check_name("streamName", name)?;
        let on_demand = match &request.stream_mode_details {
            None => false,
            Some(mode) => mode.is_on_demand()?,
        };
        if !on_demand && request.shard_count.is_none() {
            return Err(wire::validation(
                "ShardCount must be provided for a stream in PROVISIONED mode",
            ));
        }
        let count =
            wire::bounded("shardCount", request.shard_count, 1..=u32::MAX, ON_DEMAND_SHARDS)?;
        let max_record_kib = record_kib(request.max_record_size_in_kib)?;
        let additional = usize::try_from(count).unwrap_or(usize::MAX);
        let others = self.open_shards();
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        let account = &self.shared.account;
        if streams.contains_key(name) {
            return Err(wire::in_use(format!(
                "Stream {name} under account {account} already exists."
            )));
        }
        if streams.len() >= MAX_STREAMS {
            return Err(wire::limit_exceeded(format!("There are {MAX_STREAMS} streams already.")));
        }
        if others.saturating_add(additional) > MAX_SHARDS {
            return Err(self.too_many_shards(additional));
        }
        let id = self.take_id();
        let mut meta = Meta::new(name, id, self.shared.clock.now_ms(), count, on_demand);
        meta.max_record_kib = max_record_kib;
        let (arn, folder) = (self.arn(name), self.folder(id));
        let stream = Stream::create(meta, account, arn, folder, Arc::clone(&self.memory))
            .map_err(|error| wire::internal(format!("cannot make the stream: {error}")))?;
        self.shared.tags.add(&stream.arn, request.tags, TAG_WORDS)?;
        streams.insert(name.clone(), Arc::new(stream));
        Ok("{}".to_owned())
    }

    pub(super) fn delete_stream(&self, body: &[u8]) -> Result<String, AwsError> {
        let target: Target = wire::parse(body)?;
        let name = target.name()?;
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        let stream =
            streams.get(name).ok_or_else(|| stream::not_found(name, &self.shared.account))?;
        stream
            .delete()
            .map_err(|error| wire::internal(format!("cannot delete the stream: {error}")))?;
        self.shared.tags.forget(&stream.arn)?;
        streams.remove(name);
        Ok("{}".to_owned())
    }

    pub(super) fn list_streams(&self, body: &[u8]) -> Result<String, AwsError> {
        let request: ListStreams = wire::parse(body)?;
        let most = wire::bounded("limit", request.limit, 1..=10_000, 100)?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let after = match &request.next_token {
            None => request.exclusive_start_stream_name,
            Some(token) => Some(ids::parse_token(token).ok_or_else(|| {
                AwsError::bad_request("ExpiredNextTokenException", "Invalid NextToken.")
            })?),
        };
        let now_ms = self.shared.clock.now_ms();
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        let rest = streams.iter().filter(|(name, _)| Some(*name) > after.as_ref());
        let mut page: Vec<_> = rest.take(most + 1).collect();
        let more = page.len() > most;
        page.truncate(most);
        let summaries = page.iter().map(|(_, stream)| {
            let state = stream.lock();
            json!({
                "StreamName": stream.name,
                "StreamARN": stream.arn,
                "StreamStatus": state.meta.status(now_ms).as_str(),
                "StreamModeDetails": {"StreamMode": mode(&state.meta)},
                "StreamCreationTimestamp": wire::seconds(state.meta.created_ms),
            })
        });
        let mut answer = json!({
            "StreamNames": page.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "StreamSummaries": summaries.collect::<Vec<_>>(),
            "HasMoreStreams": more,
        });
        if more && let Some((last, _)) = page.last() {
            answer["NextToken"] = ids::token(last).into();
        }
        Ok(answer.to_string())
    }

    pub(super) fn describe_stream_summary(&self, body: &[u8]) -> Result<String, AwsError> {
        let target: Target = wire::parse(body)?;
        let stream = self.stream(target.name()?)?;
        let state = stream.lock();
        let mut view = describe(&stream, &state, self.shared.clock.now_ms());
        view["OpenShardCount"] = state.meta.open_shards().len().into();
        view["ConsumerCount"] = state.meta.consumers.len().into();
        Ok(json!({"StreamDescriptionSummary": view}).to_string())
    }

    pub(super) fn describe_stream(&self, body: &[u8]) -> Result<String, AwsError> {
        let request: DescribeStream = wire::parse(body)?;
        let most = wire::bounded("limit", request.limit, 1..=10_000, 100)?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let after = match request.exclusive_start_shard_id.as_deref() {
            None => None,
            Some(id) => Some(ids::parse_shard_id(id).ok_or_else(|| {
                wire::invalid_argument(format!("Invalid ExclusiveStartShardId {id}."))
            })?),
        };
        let stream = self.stream(request.target.name()?)?;
        let now_ms = self.shared.clock.now_ms();
        let state = stream.lock();
        let meta = &state.meta;
        let listed = meta.shards.iter().filter(|(_, shard)| meta.listed(shard, now_ms));
        let mut shards: Vec<Value> = listed
            .filter(|(index, _)| Some(**index) > after)
            .take(most + 1)
            .map(|(index, shard)| shard.view(*index))
            .collect();
        let more = shards.len() > most;
        shards.truncate(most);
        let mut view = describe(&stream, &state, now_ms);
        view["Shards"] = shards.into();
        view["HasMoreShards"] = more.into();
        Ok(json!({"StreamDescription": view}).to_string())
    }

    pub(super) fn increase_retention(&self, body: &[u8]) -> Result<String, AwsError> {
        self.change_retention(body, |hours, current, name| {
            (hours < current).then(|| {
                format!(
                    "Requested retention period ({hours} hours) for stream {name} can not be \
                     shorter than existing retention period ({current} hours). Use \
                     DecreaseRetentionPeriod API."
                )
            })
        })
    }

    pub(super) fn decrease_retention(&self, body: &[u8]) -> Result<String, AwsError> {
        self.change_retention(body, |hours, current, name| {
            (hours > current).then(|| {
                format!(
                    "Requested retention period ({hours} hours) for stream {name} can not be \
                     longer than existing retention period ({current} hours). Use \
                     IncreaseRetentionPeriod API."
                )
            })
        })
    }

    fn change_retention(
        &self,
        body: &[u8],
        refusal: impl Fn(u32, u32, &str) -> Option<String>,
    ) -> Result<String, AwsError> {
        let request: Retention = wire::parse(body)?;
        let hours = u32::try_from(request.retention_period_hours).unwrap_or(0);
        if !(MIN_RETENTION_HOURS..=MAX_RETENTION_HOURS).contains(&hours) {
            let (bound, wrong) = if hours > MAX_RETENTION_HOURS {
                (format!("Maximum allowed retention period is {MAX_RETENTION_HOURS}"), "long")
            } else {
                (format!("Minimum allowed retention period is {MIN_RETENTION_HOURS}"), "short")
            };
            let asked = request.retention_period_hours;
            return Err(wire::invalid_argument(format!(
                "{bound} hours. Requested retention period ({asked} hours) is too {wrong}."
            )));
        }
        let stream = self.stream(request.target.name()?)?;
        let now_ms = self.shared.clock.now_ms();
        stream.change_active(now_ms, |meta| {
            if let Some(message) = refusal(hours, meta.retention_hours, &meta.name) {
                return Err(wire::invalid_argument(message));
            }
            meta.expired_before_ms = meta.horizon_ms(now_ms);
            meta.retention_hours = hours;
            Ok(())
        })?;
        Ok("{}".to_owned())
    }

    pub(super) fn update_stream_mode(&self, body: &[u8]) -> Result<String, AwsError> {
        let request: UpdateStreamMode = wire::parse(body)?;
        let on_demand = request.stream_mode_details.is_on_demand()?;
        let stream = self.stream(wire::stream_name(None, Some(&request.stream_arn))?)?;
        stream.change_active(self.shared.clock.now_ms(), |meta| {
            meta.on_demand = on_demand;
            Ok(())
        })?;
        Ok("{}".to_owned())
    }

    pub(super) fn update_max_record_size(&self, body: &[u8]) -> Result<String, AwsError> {
        let request: UpdateMaxRecordSize = wire::parse(body)?;
        let max_record_kib = record_kib(Some(request.max_record_size_in_kib))?;
        let stream = self.stream(wire::stream_name(None, Some(&request.stream_arn))?)?;
        stream.change_active(self.shared.clock.now_ms(), |meta| {
            meta.max_record_kib = max_record_kib;
            Ok(())
        })?;
        Ok("{}".to_owned())
    }

    pub(super) fn describe_limits(&self) -> String {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        let on_demand = streams.values().filter(|stream| stream.lock().meta.on_demand).count();
        drop(streams);
        json!({
            "ShardLimit": MAX_SHARDS,
            "OpenShardCount": self.open_shards(),
            "OnDemandStreamCount": on_demand,
            "OnDemandStreamCountLimit": MAX_STREAMS,
        })
        .to_string()
    }
}

/// Largest record of a stream: 1 to 10 MiB.
fn record_kib(value: Option<i64>) -> Result<u32, AwsError> {
    wire::bounded("maxRecordSizeInKiB", value, 1_024..=10_240, 1_024)
}

fn mode(meta: &Meta) -> &'static str {
    if meta.on_demand { "ON_DEMAND" } else { "PROVISIONED" }
}

fn describe(stream: &Stream, state: &StreamState, now_ms: u64) -> Value {
    let meta = &state.meta;
    let status: Status = meta.status(now_ms);
    json!({
        "StreamName": stream.name,
        "StreamARN": stream.arn,
        "StreamStatus": status.as_str(),
        "StreamModeDetails": {"StreamMode": mode(meta)},
        "RetentionPeriodHours": meta.retention_hours,
        "StreamCreationTimestamp": wire::seconds(meta.created_ms),
        "MaxRecordSizeInKiB": meta.max_record_kib,
        "EnhancedMonitoring": [{"ShardLevelMetrics": meta.shard_metrics}],
        "EncryptionType": "NONE",
    })
}
