//! Object stores by URL: `file:///absolute`, `file:relative`, `s3://bucket/prefix`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::{Path, PathPart};
use object_store::{
    Attribute, ClientConfigKey, DynObjectStore, ObjectStore as _, PutOptions, RetryConfig,
};

use super::s3_profile::{SdkCredentials, region_of_profile, special_endpoint};
use crate::cloud::{LOCAL_KEY, is_plain};
use crate::config;

/// A download that brings nothing for so long is taken up again where it broke off.
const STALL: Duration = Duration::from_secs(30);
/// For so long a large object may be read before a broken connection fails it: a reader that has
/// much to do with each piece is not a reason to give up.
const READ_FOR: Duration = Duration::from_secs(6 * 3_600);

/// A store and the prefix below which we work. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StoreUrl {
    store: Arc<DynObjectStore>,
    prefix: Path,
    /// Files have no content type, and the client refuses to be told one.
    has_content_types: bool,
}

/// Why a URL cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{url}` cannot be used: {reason}")]
pub struct StoreUrlError {
    url: String,
    reason: String,
}

impl StoreUrl {
    /// Opens a URL to write to it. A folder is created when it is missing. S3 has the region and
    /// the endpoint of the configuration, and else those of the environment or the profile; credentials
    /// come as those of the SDK do.
    ///
    /// # Errors
    /// When the scheme is unknown, the folder cannot be created or S3 is not configured.
    pub fn open(url: &str, aws: &config::Aws) -> Result<Self, StoreUrlError> {
        if let Some(path) = url.strip_prefix("file:") {
            let error = |reason: String| StoreUrlError { url: url.to_owned(), reason };
            let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
            std::fs::create_dir_all(&path).map_err(|e| error(e.to_string()))?;
            let store = LocalFileSystem::new_with_prefix(path).map_err(|e| error(e.to_string()))?;
            let store = Arc::new(store);
            return Ok(Self { store, prefix: Path::default(), has_content_types: false });
        }
        Self::s3(url, s3(aws))
    }

    /// Returns the whole of a store that somebody else has opened.
    #[must_use]
    pub fn over(store: Arc<DynObjectStore>) -> Self {
        Self { store, prefix: Path::default(), has_content_types: false }
    }

    /// Opens an S3 URL to read from it: requests may take as long as their reader does.
    ///
    /// # Errors
    /// When it is not an S3 URL, or S3 is not configured.
    pub(crate) fn open_s3_to_read(url: &str, aws: &config::Aws) -> Result<Self, StoreUrlError> {
        let limit = |key, limit: Duration| {
            (AmazonS3ConfigKey::Client(key), format!("{} s", limit.as_secs()))
        };
        let limits =
            [limit(ClientConfigKey::Timeout, READ_FOR), limit(ClientConfigKey::ReadTimeout, STALL)];
        let retry = RetryConfig { retry_timeout: READ_FOR, ..RetryConfig::default() };
        let patient = |builder: AmazonS3Builder, (key, limit)| builder.with_config(key, limit);
        Self::s3(url, limits.into_iter().fold(s3(aws).with_retry(retry), patient))
    }

    fn s3(url: &str, builder: AmazonS3Builder) -> Result<Self, StoreUrlError> {
        let error = |reason: String| StoreUrlError { url: url.to_owned(), reason };
        let Some(rest) = url.strip_prefix("s3://") else {
            return Err(error("expected file:… or s3://bucket/prefix".to_owned()));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        super::use_ring();
        let store = builder.with_bucket_name(bucket).build().map_err(|e| error(e.to_string()))?;
        Ok(Self { store: Arc::new(store), prefix: Path::from(prefix), has_content_types: true })
    }

    /// Returns the store.
    #[must_use]
    pub fn store(&self) -> &Arc<DynObjectStore> {
        &self.store
    }

    /// Returns the prefix below which we work; empty for a folder.
    #[must_use]
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// Writes an object below the prefix, over an earlier one.
    ///
    /// # Errors
    /// When the store does not acknowledge it.
    pub async fn put(
        &self,
        name: &str,
        body: String,
        content_type: &'static str,
    ) -> object_store::Result<()> {
        let mut options = PutOptions::default();
        if self.has_content_types {
            options.attributes.insert(Attribute::ContentType, content_type.into());
        }
        self.store.put_opts(&self.path(name), body.into(), options).await.map(drop)
    }

    /// Returns a path below the prefix. A part that is a valid one stays as it is, percent signs
    /// too; others are encoded.
    #[must_use]
    pub fn path(&self, name: &str) -> Path {
        let part = |part| PathPart::parse(part).unwrap_or_else(|_| PathPart::from(part));
        name.split('/').fold(self.prefix.clone(), |path, name| path.join(part(name)))
    }
}

/// Returns what an S3 client knows of region, endpoint and credentials.
fn s3(aws: &config::Aws) -> AmazonS3Builder {
    let mut builder = AmazonS3Builder::from_env();
    if !aws.region.is_empty() {
        builder = builder.with_region(&aws.region);
    } else if builder.get_config_value(&AmazonS3ConfigKey::Region).is_none()
        && let Some(region) = region_of_profile()
    {
        builder = builder.with_region(region);
    }
    let configured = [&aws.s3_endpoint_url, &aws.endpoint_url];
    if let Some(url) = configured.into_iter().find(|url| !url.is_empty()) {
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, url);
    }
    let keys = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
    let endpoint = keys.iter().find_map(|key| builder.get_config_value(key));
    if !endpoint.as_ref().is_some_and(|url| is_plain(url)) {
        let region = builder.get_config_value(&AmazonS3ConfigKey::Region);
        let special =
            region.and_then(|region| special_endpoint(&region, |name| std::env::var(name).ok()));
        if let (None, Some(url)) = (endpoint, special) {
            builder = builder.with_endpoint(url);
        }
        if builder.get_config_value(&AmazonS3ConfigKey::AccessKeyId).is_none() {
            builder = builder.with_credentials(Arc::new(SdkCredentials::default()));
        }
        return builder;
    }
    if builder.get_config_value(&AmazonS3ConfigKey::AccessKeyId).is_none() {
        builder = builder.with_access_key_id(LOCAL_KEY).with_secret_access_key(LOCAL_KEY);
    }
    builder.with_allow_http(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_scheme_is_refused_by_name() {
        let text = StoreUrl::open("ftp://x", &config::Aws::default()).unwrap_err().to_string();
        assert!(text.contains("ftp://x") && text.contains("s3://"), "{text}");
    }

    #[test]
    fn paths_lie_below_the_prefix() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("file://{}/a", dir.path().display());
        let url = StoreUrl::open(&url, &config::Aws::default()).unwrap();
        assert_eq!(url.path("x/y.z").to_string(), "x/y.z");
        assert_eq!(url.path("a%2Fb/../x").to_string(), "a%2Fb/%2E%2E/x", "encoded once");
    }
}
