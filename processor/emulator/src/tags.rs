//! Tags of resources, by ARN, for all services.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::StartError;
use crate::journal;
use crate::service::AwsError;

/// AWS's bounds.
const TAGS_MAX: usize = 50;
const KEY_CHARS_MAX: usize = 128;
const VALUE_CHARS_MAX: usize = 256;

/// The tags of one resource.
pub(crate) type TagSet = BTreeMap<String, String>;

/// The tags of all resources.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    sets: Mutex<BTreeMap<String, TagSet>>,
    file: Option<PathBuf>,
}

/// How a service words what is wrong with tags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    /// The code for a tag that may not be.
    pub(crate) invalid: &'static str,
    /// The code for too many.
    pub(crate) too_many: &'static str,
}

impl Tags {
    /// Opens the tags kept in `dir`, or none in memory.
    pub(crate) fn open(dir: Option<&Path>) -> Result<Self, StartError> {
        let file = dir.map(|dir| dir.join("tags.json"));
        let sets = Mutex::new(journal::read_json(file.as_deref())?);
        Ok(Self { sets, file })
    }

    /// Returns the tags of a resource.
    pub(crate) fn of(&self, arn: &str) -> TagSet {
        self.lock().get(arn).cloned().unwrap_or_default()
    }

    /// Adds tags to a resource; a key that is there gets the new value.
    pub(crate) fn add(&self, arn: &str, tags: TagSet, words: Words) -> Result<(), AwsError> {
        let refuse = |code, message: String| Err(AwsError::bad_request(code, message));
        for (key, value) in &tags {
            let fits = (1..=KEY_CHARS_MAX).contains(&key.chars().count())
                && value.chars().count() <= VALUE_CHARS_MAX
                && !key.starts_with("aws:");
            if !fits {
                return refuse(words.invalid, format!("The tag `{key}` is not valid."));
            }
        }
        let mut sets = self.lock();
        let mut set = sets.get(arn).cloned().unwrap_or_default();
        set.extend(tags);
        if set.len() > TAGS_MAX {
            return refuse(words.too_many, format!("A resource has at most {TAGS_MAX} tags."));
        }
        if !set.is_empty() {
            sets.insert(arn.to_owned(), set);
            self.save(&sets)?;
        }
        Ok(())
    }

    /// Removes tags of a resource; those that are not there are removed already.
    pub(crate) fn remove(&self, arn: &str, keys: &[String]) -> Result<(), AwsError> {
        let mut sets = self.lock();
        if let Some(set) = sets.get_mut(arn) {
            set.retain(|key, _| !keys.contains(key));
            if set.is_empty() {
                sets.remove(arn);
            }
            self.save(&sets)?;
        }
        Ok(())
    }

    /// Forgets a resource that is deleted.
    pub(crate) fn forget(&self, arn: &str) -> Result<(), AwsError> {
        let mut sets = self.lock();
        if sets.remove(arn).is_some() {
            self.save(&sets)?;
        }
        Ok(())
    }

    fn save(&self, sets: &BTreeMap<String, TagSet>) -> Result<(), AwsError> {
        journal::write_json(self.file.as_deref(), sets).map_err(|error| AwsError {
            status: 500,
            code: "InternalFailure",
            message: format!("the tags could not be stored: {error}"),
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, TagSet>> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads `[{"Key": …, "Value": …}]` as a set; of a repeated key the last value counts.
pub(crate) fn from_list(list: Vec<Tag>) -> TagSet {
    list.into_iter().map(|tag| (tag.key, tag.value.unwrap_or_default())).collect()
}

/// A tag as most services write it.
#[derive(Clone, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
}

/// Returns a set as a list of tags, in the order of keys.
pub(crate) fn to_list(set: TagSet) -> Vec<Tag> {
    set.into_iter().map(|(key, value)| Tag { key, value: Some(value) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: Words = Words { invalid: "Invalid", too_many: "TooMany" };

    fn set(pairs: &[(&str, &str)]) -> TagSet {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn tags_are_kept_replaced_and_removed_and_survive_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let tags = Tags::open(Some(dir.path())).unwrap();
        tags.add("arn:a", set(&[("team", "live"), ("stage", "dev")]), WORDS).unwrap();
        tags.add("arn:a", set(&[("stage", "prod")]), WORDS).unwrap();
        tags.remove("arn:a", &["team".to_owned(), "absent".to_owned()]).unwrap();
        let again = Tags::open(Some(dir.path())).unwrap();
        assert_eq!(again.of("arn:a"), set(&[("stage", "prod")]));
        again.forget("arn:a").unwrap();
        assert!(again.of("arn:a").is_empty());
    }

    #[test]
    fn what_aws_refuses_is_refused_whole() {
        let tags = Tags::default();
        let refused =
            |pairs: &[(&str, &str)]| tags.add("arn:a", set(pairs), WORDS).unwrap_err().code;
        assert_eq!(refused(&[("aws:x", "y"), ("fine", "z")]), "Invalid");
        assert_eq!(refused(&[("", "y")]), "Invalid");
        assert_eq!(refused(&[("k", &"v".repeat(257))]), "Invalid");
        let many: Vec<String> = (0..51).map(|at| at.to_string()).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "")).collect();
        assert_eq!(refused(&many), "TooMany");
        assert!(tags.of("arn:a").is_empty());
    }
}
