//! Tags of streams, by the older operations and by those that all services have.

use serde::Deserialize;
use serde_json::json;

use super::Kinesis;
use super::wire::{self, Target};
use crate::service::AwsError;
use crate::tags::{self, TagSet, Words};

/// Kinesis's codes.
pub(super) const TAG_WORDS: Words =
    Words { invalid: "InvalidArgumentException", too_many: "InvalidArgumentException" };

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tagging {
    #[serde(flatten)]
    target: Target,
    #[serde(rename = "ResourceARN")]
    resource_arn: Option<String>,
    #[serde(default)]
    tags: TagSet,
    #[serde(default)]
    tag_keys: Vec<String>,
    exclusive_start_tag_key: Option<String>,
    limit: Option<i64>,
}

impl Kinesis {
    /// Returns the stream that is meant, and what is asked of its tags.
    fn tagged(&self, body: &[u8]) -> Result<(String, Tagging), AwsError> {
        let request: Tagging = wire::parse(body)?;
        let name = match &request.resource_arn {
            Some(arn) => wire::stream_name(None, Some(arn))?,
            None => request.target.name()?,
        };
        Ok((self.stream(name)?.arn.clone(), request))
    }

    /// Answers `AddTagsToStream` and `TagResource`.
    pub(super) fn add_tags(&self, body: &[u8]) -> Result<String, AwsError> {
        let (arn, request) = self.tagged(body)?;
        self.shared.tags.add(&arn, request.tags, TAG_WORDS)?;
        Ok("{}".to_owned())
    }

    /// Answers `RemoveTagsFromStream` and `UntagResource`.
    pub(super) fn remove_tags(&self, body: &[u8]) -> Result<String, AwsError> {
        let (arn, request) = self.tagged(body)?;
        self.shared.tags.remove(&arn, &request.tag_keys)?;
        Ok("{}".to_owned())
    }

    /// Answers `ListTagsForStream`, by pages.
    pub(super) fn list_tags_for_stream(&self, body: &[u8]) -> Result<String, AwsError> {
        let (arn, request) = self.tagged(body)?;
        let most = wire::bounded("limit", request.limit, 1..=50, 50)?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let after = request.exclusive_start_tag_key;
        let mut page = self.shared.tags.of(&arn);
        page.retain(|key, _| after.as_ref().is_none_or(|after| key > after));
        let more = page.len() > most;
        let page: TagSet = page.into_iter().take(most).collect();
        Ok(json!({ "Tags": tags::to_list(page), "HasMoreTags": more }).to_string())
    }

    /// Answers `ListTagsForResource`.
    pub(super) fn list_tags_for_resource(&self, body: &[u8]) -> Result<String, AwsError> {
        let (arn, _) = self.tagged(body)?;
        Ok(json!({ "Tags": tags::to_list(self.shared.tags.of(&arn)) }).to_string())
    }
}
