//! Registered consumers (enhanced fan-out).

use serde::Deserialize;
use serde_json::{Value, json};

use super::Kinesis;
use super::ids;
use super::model::{Consumer, Meta, SETTLE_MS};
use super::stream::Stream;
use super::wire;
use crate::service::AwsError;

/// Consumers a stream takes, as AWS grants by default.
const MAX_CONSUMERS: usize = 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConsumerRequest {
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    consumer_name: Option<String>,
    #[serde(rename = "ConsumerARN")]
    consumer_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListStreamConsumers {
    #[serde(rename = "StreamARN")]
    stream_arn: String,
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// Returns the consumer that a name or an ARN means: its name, if it is registered.
pub(super) fn find(meta: &Meta, name: Option<&str>, arn: Option<&str>) -> Option<String> {
    let (name, created_s) = match arn.and_then(wire::consumer_of_arn) {
        Some((name, created_s)) => (name, Some(created_s)),
        None => (name?, None),
    };
    let consumer = meta.consumers.get(name)?;
    created_s.is_none_or(|second| second == consumer.created_ms / 1_000).then(|| name.to_owned())
}

/// Returns the answer for a consumer that is not registered.
pub(super) fn not_found(stream: &Stream, consumer: &str) -> AwsError {
    let (name, account) = (&stream.name, &stream.account);
    wire::not_found(format!(
        "Consumer {consumer} under stream {name} under account {account} not found."
    ))
}

fn view(stream: &Stream, name: &str, consumer: Consumer, now_ms: u64) -> Value {
    let active = now_ms >= consumer.created_ms + SETTLE_MS;
    json!({
        "ConsumerName": name,
        "ConsumerARN": format!("{}/consumer/{name}:{}", stream.arn, consumer.created_ms / 1_000),
        "ConsumerStatus": if active { "ACTIVE" } else { "CREATING" },
        "ConsumerCreationTimestamp": wire::seconds(consumer.created_ms),
    })
}

impl Kinesis {
    pub(super) fn register_stream_consumer(&self, body: &[u8]) -> Result<String, AwsError> {
        let request: ConsumerRequest = wire::parse(body)?;
        let stream = self.stream(wire::stream_name(None, request.stream_arn.as_deref())?)?;
        let name = wire::required("consumerName", request.consumer_name.as_deref())?;
        wire::check_name("consumerName", name)?;
        let now_ms = self.shared.clock.now_ms();
        let consumer = Consumer { created_ms: now_ms };
        stream.change(|meta| {
            let (of, account) = (&stream.name, &stream.account);
            if meta.consumers.contains_key(name) {
                return Err(wire::in_use(format!(
                    "Consumer {name} under stream {of} under account {account} already exists."
                )));
            }
            if meta.consumers.len() >= MAX_CONSUMERS {
                return Err(wire::limit_exceeded(format!(
                    "Stream {of} under account {account} has {MAX_CONSUMERS} consumers already."
                )));
            }
            meta.consumers.insert(name.to_owned(), consumer);
            Ok(())
        })?;
        Ok(json!({"Consumer": view(&stream, name, consumer, now_ms)}).to_string())
    }

    pub(super) fn deregister_stream_consumer(&self, body: &[u8]) -> Result<String, AwsError> {
        let (request, stream) = self.consumer_request(body)?;
        let (name, arn) = (request.consumer_name.as_deref(), request.consumer_arn.as_deref());
        stream.change(|meta| {
            let known = find(meta, name, arn)
                .ok_or_else(|| not_found(&stream, name.or(arn).unwrap_or_default()))?;
            meta.consumers.remove(&known);
            Ok(())
        })?;
        Ok("{}".to_owned())
    }

    pub(super) fn describe_stream_consumer(&self, body: &[u8]) -> Result<String, AwsError> {
        let (request, stream) = self.consumer_request(body)?;
        let (name, arn) = (request.consumer_name.as_deref(), request.consumer_arn.as_deref());
        let state = stream.lock();
        let known = find(&state.meta, name, arn)
            .ok_or_else(|| not_found(&stream, name.or(arn).unwrap_or_default()))?;
        let mut view =
            view(&stream, &known, state.meta.consumers[&known], self.shared.clock.now_ms());
        view["StreamARN"] = stream.arn.as_str().into();
        Ok(json!({"ConsumerDescription": view}).to_string())
    }

    pub(super) fn list_stream_consumers(&self, body: &[u8]) -> Result<String, AwsError> {
        let request: ListStreamConsumers = wire::parse(body)?;
        let most = wire::bounded("maxResults", request.max_results, 1..=10_000, 100)?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let stream = self.stream(wire::stream_name(None, Some(&request.stream_arn))?)?;
        let after: Option<String> = match &request.next_token {
            None => None,
            Some(token) => Some(ids::parse_token(token).ok_or_else(|| {
                AwsError::bad_request("ExpiredNextTokenException", "Invalid NextToken.")
            })?),
        };
        let now_ms = self.shared.clock.now_ms();
        let state = stream.lock();
        let rest = state.meta.consumers.iter().filter(|(name, _)| Some(*name) > after.as_ref());
        let mut page: Vec<_> = rest.take(most + 1).collect();
        let more = page.len() > most;
        page.truncate(most);
        let views = page.iter().map(|(name, consumer)| view(&stream, name, **consumer, now_ms));
        let mut answer = json!({"Consumers": views.collect::<Vec<_>>()});
        if more && let Some((last, _)) = page.last() {
            answer["NextToken"] = ids::token(last).into();
        }
        Ok(answer.to_string())
    }

    fn consumer_request(
        &self,
        body: &[u8],
    ) -> Result<(ConsumerRequest, std::sync::Arc<Stream>), AwsError> {
        let request: ConsumerRequest = wire::parse(body)?;
        let arn = request.consumer_arn.as_deref().or(request.stream_arn.as_deref());
        let stream = self.stream(wire::stream_name(None, arn)?)?;
        Ok((request, stream))
    }
}
