//! S3 clients that learn as the SDK does: credentials from profiles, single sign-on, `aws login`
//! and credential processes, the region of a profile, FIPS and dual-stack addresses.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::meta::region::ProvideRegion as _;
use aws_config::profile::ProfileFileRegionProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::{Mutex, OnceCell};

/// How credentials are given.
const HOW: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE";

/// Returns why there are no credentials: what the last source asked says, if one was.
fn refusal(error: &CredentialsError) -> String {
    if matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
        return HOW.to_owned();
    }
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let words = cause.to_string();
    let words = words.split(" (os error").next().unwrap_or_default();
    format!("{HOW} (the last source asked said: {words})")
}

/// Credentials are fetched anew when they expire within so long.
const EXPIRY_MARGIN: Duration = Duration::from_secs(60);

/// The SDK's chain of credentials, for calls that no SDK makes. Asked at the first request and then once per expiry.
#[derive(Default)]
pub(super) struct SdkCredentials {
    chain: OnceCell<Option<SharedCredentialsProvider>>,
    latest: Mutex<Option<Credentials>>,
}

impl fmt::Debug for SdkCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SdkCredentials")
    }
}

impl SdkCredentials {
    /// Returns the latest credentials, or fetches new ones.
    ///
    /// # Errors
    /// When no source has any.
    pub(super) async fn credentials(&self) -> Result<Credentials, String> {
        let mut latest = self.latest.lock().await;
        let soon = crate::clock::wall() + EXPIRY_MARGIN;
        if let Some(known) =
            latest.as_ref().filter(|known| known.expiry().is_none_or(|at| at > soon))
        {
            return Ok(known.clone());
        }
        let chain = self.chain.get_or_init(chain).await.as_ref();
        let chain = chain.ok_or("there is no chain of credentials")?;
        let fetched = chain.provide_credentials().await.map_err(|error| refusal(&error))?;
        Ok(latest.insert(fetched).clone())
    }

    async fn get(&self) -> object_store::Result<Arc<AwsCredential>> {
        match self.credentials().await {
            Ok(found) => Ok(Arc::new(credential(&found))),
            Err(reason) => Err(object_store::Error::Generic {
                store: "S3",
                source: format!("no credentials for S3: {reason}").into(),
            }),
        }
    }
}

impl CredentialProvider for SdkCredentials {
    type Credential = AwsCredential;

    fn get_credential<'a, 'async_trait>(
        &'a self,
    ) -> Pin<Box<dyn Future<Output = object_store::Result<Arc<AwsCredential>>> + Send + 'async_trait>>
    where
        'a: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(self.get())
    }
}

async fn chain() -> Option<SharedCredentialsProvider> {
    let http = super::clients::https_client();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    config.credentials_provider()
}

fn credential(from: &Credentials) -> AwsCredential {
    AwsCredential {
        key_id: from.access_key_id().to_owned(),
        secret_key: from.secret_access_key().to_owned(),
        token: from.session_token().map(ToOwned::to_owned),
    }
}

/// Returns the region of the profile in use, for who names none; none if no profile says one.
///
/// The files are read on a thread of its own, for this is asked from within and outside of a runtime.
pub(super) fn region_of_profile() -> Option<String> {
    let read = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let region = runtime.block_on(ProfileFileRegionProvider::new().region());
        region.map(|region| region.to_string())
    };
    std::thread::spawn(read).join().ok().flatten()
}

/// Returns the address of S3 in a region if FIPS or dual stack is asked for as the SDK's variables do.
pub(super) fn special_endpoint(
    region: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let on = |name: &str| variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let end = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    match (on("AWS_USE_FIPS_ENDPOINT"), on("AWS_USE_DUALSTACK_ENDPOINT")) {
        (false, false) => None,
        (true, false) => Some(format!("https://s3-fips.{region}.{end}")),
        (false, true) => Some(format!("https://s3.dualstack.{region}.{end}")),
        (true, true) => Some(format!("https://s3-fips.dualstack.{region}.{end}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fips_and_dual_stack_have_their_own_addresses() {
        let address = |region: &str, on: &[&str]| {
            special_endpoint(region, |name| on.contains(&name).then(|| "true".to_owned()))
        };
        let (fips, dual) = ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT");
        assert_eq!(address("us-east-1", &[]), None);
        let expected = "https://s3-fips.us-gov-west-1.amazonaws.com";
        assert_eq!(address("us-gov-west-1", &[fips]).as_deref(), Some(expected));
        let expected = "https://s3.dualstack.cn-north-1.amazonaws.com.cn";
        assert_eq!(address("cn-north-1", &[dual]).as_deref(), Some(expected));
        let expected = "https://s3-fips.dualstack.us-east-1.amazonaws.com";
        assert_eq!(address("us-east-1", &[fips, dual]).as_deref(), Some(expected));
        assert_eq!(special_endpoint("us-east-1", |_| Some("false".to_owned())), None);
    }

    #[tokio::test]
    async fn credentials_are_kept_until_they_are_about_to_expire() {
        let given = |key: &str, expires: Option<Duration>| {
            let at = expires.map(|after| crate::clock::wall() + after);
            Credentials::new(key, "secret", Some("token".to_owned()), at, "test")
        };
        let second = SharedCredentialsProvider::new(given("second", None));
        for (expires, expected) in [
            (None, "first"),
            (Some(Duration::from_secs(3_600)), "first"),
            (Some(Duration::from_secs(30)), "second"),
        ] {
            let store = SdkCredentials {
                chain: OnceCell::new_with(Some(Some(second.clone()))),
                latest: Mutex::new(Some(given("first", expires))),
            };
            let found = store.get_credential().await.unwrap();
            assert_eq!((found.key_id.as_str(), found.token.as_deref()), (expected, Some("token")));
        }
    }
}
