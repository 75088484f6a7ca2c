//! Signatures (SigV4) for calls to AWS that no SDK makes.

use std::fmt;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;

use super::s3_profile::{SdkCredentials, region_of_profile};
use super::{LOCAL_KEY, is_plain};
use crate::config;

/// Signs requests to one service in one region, with the credentials of the SDK's chain.
pub(crate) struct Signer {
    service: &'static str,
    region: String,
    credentials: Source,
}

/// Where credentials come from.
enum Source {
    /// The SDK's chain.
    Chain(Box<SdkCredentials>),
    /// An endpoint that checks nothing.
    Local(Box<Credentials>),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({} in {})", self.service, self.region)
    }
}

impl Signer {
    /// Returns a signer for requests to a URL: in the region that an AWS host names, else in that of the
    /// configuration, the environment or the profile.
    ///
    /// # Errors
    /// When none of them says a region.
    pub(crate) fn new(
        service: &'static str,
        (url, host): (&str, &str),
        aws: &config::Aws,
    ) -> Result<Self, String> {
        let named = host.strip_prefix(service).and_then(|rest| rest.strip_prefix('.'));
        let in_host = named.filter(|_| is_aws(host)).and_then(|rest| rest.split('.').next());
        let region = in_host
            .map(str::to_owned)
            .or_else(|| (!aws.region.is_empty()).then(|| aws.region.clone()))
            .or_else(super::region_variable)
            .or_else(|| is_plain(url).then(|| ivs_schemas::names::LOCAL_REGION.to_owned()))
            .or_else(region_of_profile)
            .ok_or("no AWS region: set AWS_REGION, or aws.region in the configuration")?;
        let is_local = is_plain(url) && std::env::var_os("AWS_ACCESS_KEY_ID").is_none();
        let local = || Credentials::new(LOCAL_KEY, LOCAL_KEY, None, None, LOCAL_KEY);
        let credentials =
            if is_local { Source::Local(Box::new(local())) } else { Source::Chain(Box::default()) };
        Ok(Self { service, region, credentials })
    }

    /// Returns the headers that sign a POST.
    ///
    /// # Errors
    /// When there are no credentials.
    pub(crate) async fn sign_post(
        &self,
        url: &str,
        body: &[u8],
    ) -> Result<Vec<(&'static str, String)>, String> {
        let credentials = match &self.credentials {
            Source::Chain(chain) => chain.credentials().await?,
            Source::Local(credentials) => Credentials::clone(credentials),
        };
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service)
            .time(crate::clock::wall())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let body = SignableBody::Bytes(body);
        let request = SignableRequest::new("POST", url, std::iter::empty(), body)
            .map_err(|error| error.to_string())?;
        let signed = sign(request, &params).map_err(|error| error.to_string())?;
        let (headers, _) = signed.into_parts().0.into_parts();
        Ok(headers.into_iter().map(|header| (header.name(), header.value().to_owned())).collect())
    }
}

/// Returns whether a host is one of AWS's.
pub(crate) fn is_aws(host: &str) -> bool {
    [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"].iter().any(|end| host.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(url: &str, host: &str, region: &str) -> Signer {
        let aws = config::Aws { region: region.to_owned(), ..config::Aws::default() };
        Signer::new("monitoring", (url, host), &aws).unwrap()
    }

    #[test]
    fn an_aws_host_says_its_region() {
        for (host, region) in [
            ("monitoring.eu-west-1.amazonaws.com", "eu-west-1"),
            ("monitoring.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("collector.example.com", "us-east-1"),
            ("monitoring.example.com", "us-east-1"),
        ] {
            let url = format!("https://{host}/v1/metrics");
            assert_eq!(signer(&url, host, "us-east-1").region, region, "{host}");
        }
    }

    #[tokio::test]
    async fn a_signature_names_key_region_and_service_and_depends_on_the_body() {
        let url = "http://127.0.0.1:4318/v1/metrics";
        let mut signer = signer(url, "127.0.0.1", "us-east-1");
        let credentials =
            Credentials::new("AKID", "secret", Some("token".to_owned()), None, "test");
        signer.credentials = Source::Local(Box::new(credentials));
        let signed = async |body: &[u8]| {
            let headers = signer.sign_post(url, body).await.unwrap();
            let header = |name: &str| {
                let found = headers.iter().find(|(each, _)| each.eq_ignore_ascii_case(name));
                found.unwrap_or_else(|| panic!("no {name}")).1.clone()
            };
            assert_eq!(header("x-amz-security-token"), "token");
            let (date, text) = (header("x-amz-date"), header("authorization"));
            let scope = format!("{}/us-east-1/monitoring/aws4_request", &date[..8]);
            assert!(
                text.starts_with(&format!("AWS4-HMAC-SHA256 Credential=AKID/{scope}")),
                "{text}"
            );
            text
        };
        let (one, other) = (signed(b"one").await, signed(b"other").await);
        assert_ne!(one.rsplit('=').next(), other.rsplit('=').next());
    }
}
