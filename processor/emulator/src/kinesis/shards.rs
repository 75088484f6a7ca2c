//! ListShards.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Kinesis;
use super::ids::{self, TOKEN_LIFE_MS};
use super::model::{Meta, Shard};
use super::wire::{self, Target};
use crate::service::AwsError;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListShards {
    #[serde(flatten)]
    target: Target,
    next_token: Option<String>,
    exclusive_start_shard_id: Option<String>,
    max_results: Option<i64>,
    shard_filter: Option<ShardFilter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ShardFilter {
    r#type: String,
    shard_id: Option<String>,
    timestamp: Option<f64>,
}

/// Which shards are wanted.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Filter {
    /// All that are listed.
    All,
    /// Those with a higher id.
    After(u32),
    /// The open ones.
    Latest,
    /// Those open at the oldest record kept.
    Horizon,
    /// Those open at a time.
    At(u64),
    /// Those open at a time or later.
    From(u64),
}

/// The content of a `NextToken`.
#[derive(Serialize, Deserialize)]
struct Token {
    stream: String,
    stream_id: u64,
    after: u32,
    filter: Filter,
    issued_ms: u64,
}

impl Kinesis {
    pub(super) fn list_shards(&self, body: &[u8]) -> Result<String, AwsError> {
        let request: ListShards = wire::parse(body)?;
        let most = wire::bounded("maxResults", request.max_results, 1..=10_000, 1_000)?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let now_ms = self.shared.clock.now_ms();
        let (name, id, filter, after) = match &request.next_token {
            Some(token) => {
                let token = read_token(&request, token, now_ms)?;
                (token.stream, Some(token.stream_id), token.filter, Some(token.after))
            }
            None => {
                let after = match request.exclusive_start_shard_id.as_deref() {
                    None => None,
                    Some(id) => Some(shard_index("ExclusiveStartShardId", id)?),
                };
                let filter = request.shard_filter.as_ref().map_or(Ok(Filter::All), filter_of)?;
                (request.target.name()?.to_owned(), None, filter, after)
            }
        };
        let stream = self.stream(&name)?;
        if id.is_some_and(|id| id != stream.id) {
            return Err(expired());
        }
        let state = stream.lock();
        let meta = &state.meta;
        let wanted = meta.shards.iter().filter(|(index, shard)| {
            Some(**index) > after
                && meta.listed(shard, now_ms)
                && filter.admits(meta, **index, shard, now_ms)
        });
        let mut page: Vec<(&u32, &Shard)> = wanted.take(most + 1).collect();
        let more = page.len() > most;
        page.truncate(most);
        let views: Vec<Value> = page.iter().map(|(index, shard)| shard.view(**index)).collect();
        let mut answer = json!({"Shards": views});
        if more && let Some((last, _)) = page.last() {
            let token = Token {
                stream: name,
                stream_id: stream.id,
                after: **last,
                filter,
                issued_ms: now_ms,
            };
            answer["NextToken"] = ids::token(&token).into();
        }
        Ok(answer.to_string())
    }
}

fn read_token(request: &ListShards, token: &str, now_ms: u64) -> Result<Token, AwsError> {
    if request.target.is_given() {
        return Err(wire::invalid_argument(
            "NextToken and StreamName cannot be provided together.",
        ));
    }
    ids::parse_token::<Token>(token)
        .filter(|token| now_ms.saturating_sub(token.issued_ms) <= TOKEN_LIFE_MS)
        .ok_or_else(expired)
}

fn expired() -> AwsError {
    AwsError::bad_request("ExpiredNextTokenException", "The pagination token is expired.")
}

fn shard_index(field: &str, id: &str) -> Result<u32, AwsError> {
    ids::parse_shard_id(id)
        .ok_or_else(|| wire::invalid_argument(format!("{field} {id} is not a shard id.")))
}

fn filter_of(filter: &ShardFilter) -> Result<Filter, AwsError> {
    let time = || {
        let seconds = filter.timestamp.ok_or_else(|| {
            wire::invalid_argument(format!("ShardFilter {} needs a Timestamp.", filter.r#type))
        })?;
        Ok(wire::timestamp_ms(seconds))
    };
    Ok(match filter.r#type.as_str() {
        "AFTER_SHARD_ID" => {
            let id = filter.shard_id.as_deref().ok_or_else(|| {
                wire::invalid_argument("ShardFilter AFTER_SHARD_ID needs a ShardId.")
            })?;
            Filter::After(shard_index("ShardId", id)?)
        }
        "AT_LATEST" => Filter::Latest,
        "AT_TRIM_HORIZON" => Filter::Horizon,
        "AT_TIMESTAMP" => Filter::At(time()?),
        "FROM_TIMESTAMP" => Filter::From(time()?),
        "FROM_TRIM_HORIZON" => Filter::All,
        other => {
            return Err(wire::invalid_value(
                "shardFilter.type",
                other,
                "Member must satisfy enum value set: [AFTER_SHARD_ID, AT_TRIM_HORIZON, \
                 FROM_TRIM_HORIZON, AT_LATEST, AT_TIMESTAMP, FROM_TIMESTAMP]",
            ));
        }
    })
}

impl Filter {
    fn admits(self, meta: &Meta, index: u32, shard: &Shard, now_ms: u64) -> bool {
        let oldest_ms = meta.created_ms.max(meta.horizon_ms(now_ms));
        let open_at = |at_ms: u64| {
            shard.opened_ms <= at_ms && shard.closed.is_none_or(|closed| closed.at_ms > at_ms)
        };
        match self {
            Self::All => true,
            Self::After(after) => index > after,
            Self::Latest => shard.closed.is_none(),
            // A stream's first shards count even if they were split in its first millisecond.
            Self::Horizon => {
                open_at(oldest_ms) || (shard.parents.is_empty() && meta.created_ms == oldest_ms)
            }
            Self::At(at_ms) => open_at(at_ms.max(oldest_ms)),
            Self::From(at_ms) => shard.closed.is_none_or(|closed| closed.at_ms >= at_ms),
        }
    }
}
