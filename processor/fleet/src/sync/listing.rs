//! ListShards and DescribeStreamSummary.

use std::fmt;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::types::Shard;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kinesis_model::{EpochMs, HashRange, ShardId};

use super::ShardInfo;
use aws_calls::{Pages, RetryPolicy, persist};

/// The questions of a fleet to its stream, whoever answers: the seam beside
/// [`crate::store::LeaseRows`].
///
/// [`StreamShape::shards`] must list every shard that still holds records, closed ones too; the
/// list may contradict itself for a moment while shards are split or merged. Errors name the call
/// that failed and why, after the retries that may help.
pub trait StreamShape: fmt::Debug + Send + Sync {
    /// Returns what the stream says of itself.
    fn info(&self) -> BoxFuture<'_, Result<StreamInfo, CallError>>;

    /// Returns its shards, open and closed.
    fn shards(&self) -> BoxFuture<'_, Result<Vec<ShardInfo>, CallError>>;
}

/// A stream of Kinesis.
#[derive(Clone, Debug)]
pub struct KinesisStream {
    pub(crate) client: Client,
    pub(crate) stream: String,
    /// For the shard list and the description; a shard's own calls are made once.
    pub(crate) retry: RetryPolicy,
}

impl KinesisStream {
    /// Returns `stream` through `client`, at most `request` for one request. The SDK's own retries
    /// are off: they would count twice against a shard's budget.
    #[must_use]
    pub fn new(client: &Client, stream: &str, retry: RetryPolicy, request: Duration) -> Self {
        let config = client
            .config()
            .to_builder()
            .retry_config(RetryConfig::disabled())
            .timeout_config(aws_calls::bounded(request))
            .build();
        Self { client: Client::from_conf(config), stream: stream.to_owned(), retry }
    }
}

impl StreamShape for KinesisStream {
    fn info(&self) -> BoxFuture<'_, Result<StreamInfo, CallError>> {
        stream_info(&self.client, &self.stream, self.retry).boxed()
    }

    fn shards(&self) -> BoxFuture<'_, Result<Vec<ShardInfo>, CallError>> {
        list_shards(&self.client, &self.stream, self.retry).boxed()
    }
}

/// A failed call: its name and why.
pub type CallError = (&'static str, String);

/// Creation times are seconds with a fraction, which encodings round.
pub(crate) const CREATION_TOLERANCE_MS: u64 = 1_000;

/// An account has at most 20,000 shards by default and a page holds 1,000.
const PAGES_MAX: usize = 1_000;

/// A page's token lives for five minutes. A list that takes longer is begun anew, this often.
const LISTS_MAX: u32 = 3;

/// The result of asking for one list.
enum Listed {
    Whole(Vec<ShardInfo>),
    /// A token was too old: the pages read so far belong to another moment.
    Expired,
}

/// Returns the stream's shards, open and closed, as far as it still lists them. The pages are not
/// of one moment: who depends on that compares them with each other, see [`super::plan_sync`].
pub(crate) async fn list_shards(
    client: &Client,
    stream: &str,
    retry: RetryPolicy,
) -> Result<Vec<ShardInfo>, CallError> {
    for _ in 0..LISTS_MAX {
        match list_once(client, stream, retry).await? {
            Listed::Whole(shards) => return Ok(shards),
            Listed::Expired => tracing::debug!(stream, "the list of shards took too long"),
        }
    }
    Err((CALL, format!("{LISTS_MAX} lists in a row took longer than their tokens live")))
}

const CALL: &str = "ListShards";

async fn list_once(client: &Client, stream: &str, retry: RetryPolicy) -> Result<Listed, CallError> {
    let mut shards = Vec::new();
    let mut pages = Pages::new(retry, |token: Option<String>| async move {
        // The name may be given on the first page only.
        let name = token.is_none().then(|| stream.to_owned());
        let page = client.list_shards().set_stream_name(name).set_next_token(token).send().await?;
        Ok((page.shards, page.next_token))
    });
    for _ in 0..PAGES_MAX {
        let page = match pages.next().await {
            Ok(Some(page)) => page,
            Ok(None) => return Ok(Listed::Whole(shards)),
            Err(error) if aws_calls::code(&error) == Some("ExpiredNextTokenException") => {
                return Ok(Listed::Expired);
            }
            Err(error) => return Err((CALL, aws_calls::explain(&error))),
        };
        for shard in page.unwrap_or_default() {
            shards.push(info(&shard).map_err(|problem| (CALL, problem))?);
        }
    }
    Err((CALL, format!("more than {PAGES_MAX} pages")))
}

fn info(shard: &Shard) -> Result<ShardInfo, String> {
    let id = ShardId::new(&shard.shard_id);
    let key = |text: &str| text.parse().map_err(|_| format!("`{id}`: `{text}` is not a hash key"));
    let range = shard.hash_key_range.as_ref().ok_or_else(|| format!("`{id}` has no hash keys"))?;
    let hash_range =
        HashRange { start: key(&range.starting_hash_key)?, end: key(&range.ending_hash_key)? };
    let numbers = shard.sequence_number_range.as_ref();
    let parents = shard.parent_shard_id.iter().chain(&shard.adjacent_parent_shard_id);
    Ok(ShardInfo {
        parents: parents.map(|parent| ShardId::new(parent)).collect(),
        hash_range,
        closed: numbers.is_some_and(|range| range.ending_sequence_number.is_some()),
        id,
    })
}

/// The description of a stream by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// When it was created: tells it from a later one of the same name.
    pub created: EpochMs,
    /// How long it keeps records, in milliseconds.
    pub retention_ms: u64,
}

const HOUR_MS: u64 = 3_600_000;

/// Asks with DescribeStreamSummary.
pub(crate) async fn stream_info(
    client: &Client,
    stream: &str,
    retry: RetryPolicy,
) -> Result<StreamInfo, CallError> {
    const CALL: &str = "DescribeStreamSummary";
    let request = client.describe_stream_summary().stream_name(stream);
    let output = persist(retry, || request.clone().send()).await;
    let output = output.map_err(|error| match aws_calls::code(&error) {
        Some("ResourceNotFoundException") => {
            (CALL, "there is no such stream here; check its name and the region".to_owned())
        }
        _ => (CALL, aws_calls::explain(&error)),
    })?;
    let Some(summary) = output.stream_description_summary else {
        return Err((CALL, "no description".to_owned()));
    };
    let created = summary.stream_creation_timestamp.to_millis();
    let created = created.map_err(|error| (CALL, error.to_string()))?;
    let hours = u64::try_from(summary.retention_period_hours).unwrap_or(0);
    Ok(StreamInfo { created: EpochMs(created), retention_ms: hours.saturating_mul(HOUR_MS) })
}
