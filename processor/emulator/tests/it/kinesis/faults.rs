//! Faults on request.

use super::*;
use crate::clients::{code, http};
use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::operation::put_record::{PutRecordError, PutRecordOutput};
use ivs_emulator::{FaultKind, FaultRule};

impl Local {
    async fn admin(&self, method: &str, path: &str, body: &'static str) -> u16 {
        let (url, head) = (self.endpoint.url().to_owned(), format!("{method} {path} HTTP/1.1"));
        let answer = move || http(&url, &head, body.as_bytes()).0;
        tokio::task::spawn_blocking(answer).await.unwrap()
    }

    async fn try_put(&self) -> Result<PutRecordOutput, SdkError<PutRecordError>> {
        let request = self.client.put_record().stream_name(STREAM).partition_key("k");
        request.data(Blob::new(b"x")).send().await
    }
}

#[tokio::test]
async fn throttles_and_errors_hit_the_calls_they_are_meant_for() {
    let local = Local::start().await;
    local.create(1).await;
    let rule = r#"{"service":"kinesis","operation":"PutRecord","kind":"throttle","every_nth":2,"count":1}"#;
    assert_eq!(local.admin("POST", "/_local/faults", rule).await, 200);
    local.try_put().await.unwrap();
    assert_eq!(code(local.try_put().await), "ProvisionedThroughputExceededException");
    local.try_put().await.unwrap();
    local.try_put().await.unwrap();
    let rule = r#"{"operation":"PutRecord","kind":"error500"}"#;
    assert_eq!(local.admin("POST", "/_local/faults", rule).await, 200);
    let error = local.try_put().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 500);
    assert_eq!(local.admin("DELETE", "/_local/faults", "").await, 200);
    local.try_put().await.unwrap();
    assert_eq!(local.read_all(&shard_id(0)).await.len(), 4);
}

#[tokio::test]
async fn a_reset_loses_the_call_and_a_dropped_reply_only_the_answer() {
    let once = |kind| FaultRule {
        service: None,
        operation: Some("PutRecord".to_owned()),
        kind,
        every_nth: None,
        probability: None,
        seed: 0,
        count: Some(1),
    };
    let faults = vec![once(FaultKind::Reset), once(FaultKind::DropReply)];
    let local = Local::start_with(Config { faults, ..Config::default() }).await;
    local.create(1).await;
    assert!(matches!(local.try_put().await, Err(SdkError::DispatchFailure(_))));
    assert!(local.read_all(&shard_id(0)).await.is_empty());
    assert!(matches!(local.try_put().await, Err(SdkError::DispatchFailure(_))));
    assert_eq!(local.read_all(&shard_id(0)).await.len(), 1);
    local.try_put().await.unwrap();
}

#[tokio::test]
async fn a_delay_lasts_on_the_endpoints_clock() {
    let local = Local::start().await;
    local.create(1).await;
    let rule = r#"{"operation":"PutRecord","kind":{"delay_ms":500}}"#;
    assert_eq!(local.admin("POST", "/_local/faults", rule).await, 200);
    let put = local.try_put();
    tokio::pin!(put);
    let early = tokio::time::timeout(std::time::Duration::from_millis(50), &mut put).await;
    assert!(early.is_err());
    local.clock.advance(500);
    put.await.unwrap();
}

#[tokio::test]
async fn the_local_paths_answer_health_and_refuse_the_rest() {
    let local = Local::start().await;
    assert_eq!(local.admin("GET", "/_local/health", "").await, 200);
    assert_eq!(local.admin("GET", "/_local/other", "").await, 404);
    for bad in ["", "{}", r#"{"kind":"explode"}"#, r#"{"kind":"reset","servce":"kinesis"}"#] {
        assert_eq!(local.admin("POST", "/_local/faults", bad).await, 400, "{bad}");
    }
}
