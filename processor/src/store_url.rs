//! Object stores by URL: `file:///absolute`, `file:relative`, `s3://bucket/prefix`.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Attribute, DynObjectStore, ObjectStore as _, PutOptions};

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
    /// Opens a URL. A folder is created when it is missing; S3 takes region, endpoint and
    /// credentials from the environment, container or instance, as the SDK does.
    ///
    /// # Errors
    /// When the scheme is unknown, the folder cannot be created or S3 is not configured.
    pub fn open(url: &str) -> Result<Self, StoreUrlError> {
        let error = |reason: String| StoreUrlError { url: url.to_owned(), reason };
        if let Some(path) = url.strip_prefix("file:") {
            let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
            std::fs::create_dir_all(&path).map_err(|e| error(e.to_string()))?;
            let store = LocalFileSystem::new_with_prefix(path).map_err(|e| error(e.to_string()))?;
            let store = Arc::new(store);
            return Ok(Self { store, prefix: Path::default(), has_content_types: false });
        }
        let Some(rest) = url.strip_prefix("s3://") else {
            return Err(error("expected file:… or s3://bucket/prefix".to_owned()));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        // reqwest is built without a default TLS provider; a second install is harmless.
        drop(rustls::crypto::ring::default_provider().install_default());
        let store = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .build()
            .map_err(|e| error(e.to_string()))?;
        Ok(Self { store: Arc::new(store), prefix: Path::from(prefix), has_content_types: true })
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<DynObjectStore> {
        &self.store
    }

    /// The prefix below which we work; empty for a folder.
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

    /// A path below the prefix.
    #[must_use]
    pub fn path(&self, name: &str) -> Path {
        name.split('/').fold(self.prefix.clone(), Path::join)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_scheme_is_refused_by_name() {
        let text = StoreUrl::open("ftp://x").unwrap_err().to_string();
        assert!(text.contains("ftp://x") && text.contains("s3://"), "{text}");
    }

    #[test]
    fn paths_lie_below_the_prefix() {
        let dir = tempfile::tempdir().unwrap();
        let url = StoreUrl::open(&format!("file://{}/a", dir.path().display())).unwrap();
        assert_eq!(url.path("x/y.z").to_string(), "x/y.z");
    }
}
