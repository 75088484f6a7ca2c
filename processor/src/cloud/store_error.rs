//! The words for what a store of objects answers: the service's own code and message, or the cause
//! at the bottom, and none of the client's layers between.

use std::error::Error;
use std::io;

/// Returns why a call failed, in one line.
pub(crate) fn in_words(error: &object_store::Error) -> String {
    let text = error.to_string();
    if let Some(code) = element(&text, "Code") {
        return match code {
            "NoSuchBucket" => "there is no such bucket".to_owned(),
            "NoSuchKey" => "there is no such object".to_owned(),
            "AccessDenied" => {
                "access is denied: the role or user lacks a permission, or the policy of \
                               bucket or key forbids it"
                    .to_owned()
            }
            code => format!("{code}: {}", element(&text, "Message").unwrap_or("no more is said")),
        };
    }
    if let Some(status) = between(&text, "status code: ", ":") {
        return match error {
            object_store::Error::NotFound { .. } => "there is no such object or bucket".to_owned(),
            _ => format!("the service answered {status}"),
        };
    }
    let bottom = bottom(error);
    let reason = bottom.to_string();
    let reason = reason.split(" (os error").next().unwrap_or_default();
    match error {
        object_store::Error::NotFound { .. } => "it is not there".to_owned(),
        object_store::Error::Generic { store: "S3", .. } if bottom.is::<io::Error>() => {
            format!("S3 does not answer: {reason}")
        }
        _ => reason.to_owned(),
    }
}

/// Returns whether the bucket or the object is not there.
pub(crate) fn is_missing(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. })
        || matches!(element(&error.to_string(), "Code"), Some("NoSuchBucket" | "NoSuchKey"))
}

/// Returns the cause that has none.
fn bottom(error: &object_store::Error) -> &(dyn Error + 'static) {
    let mut cause: &(dyn Error + 'static) = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause
}

/// Returns what an element of an XML answer holds.
fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    between(text, &format!("<{name}>"), &format!("</{name}>"))
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt as _;
    use object_store::RetryConfig;
    use object_store::aws::AmazonS3Builder;
    use object_store::path::Path;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// The words for an object that is asked for at `address`.
    async fn asked(address: &str) -> String {
        crate::cloud::use_ring();
        let store = AmazonS3Builder::new()
            .with_endpoint(format!("http://{address}"))
            .with_allow_http(true)
            .with_bucket_name("b")
            .with_access_key_id("k")
            .with_secret_access_key("s")
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .build()
            .unwrap();
        in_words(&store.get(&Path::from("a/b")).await.unwrap_err())
    }

    /// A service that answers one request with this.
    async fn service(status: &str, body: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _request = socket.read(&mut [0; 8_192]).await.unwrap();
            socket.write_all(answer.as_bytes()).await.unwrap();
        });
        address
    }

    #[tokio::test]
    async fn an_answer_of_the_service_is_told_in_its_words_or_ours() {
        let error = |code: &str| {
            format!("<Error><Code>{code}</Code><Message>Do this.</Message><Key>a</Key></Error>")
        };
        for (status, body, words) in [
            ("403 Forbidden", error("AccessDenied"), "access is denied"),
            ("403 Forbidden", error("ExpiredToken"), "ExpiredToken: Do this."),
            ("404 Not Found", error("NoSuchBucket"), "there is no such bucket"),
            ("400 Bad Request", String::new(), "the service answered 400 Bad Request"),
        ] {
            let address = service(status, &body).await;
            let told = asked(&address).await;
            assert!(told.starts_with(words), "{told}");
        }
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_is_told_without_the_layers_between() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        assert_eq!(asked(&address).await, "S3 does not answer: Connection refused");
    }
}
