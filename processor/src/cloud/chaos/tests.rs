//! The real SDK against an endpoint that counts, with every kind of fault between them.

use std::sync::Mutex;

use aws_calls::{code, explain, is_transient};
use aws_sdk_cloudwatch::types::MetricDatum;
use aws_smithy_runtime_api::client::http::http_client_fn;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

use super::*;
use crate::cloud::Clients;
use crate::config::{Aws, Config};

/// An endpoint that agrees to everything and counts what reaches it.
#[derive(Clone, Debug, Default)]
struct Endpoint(Arc<Mutex<u64>>);

impl Endpoint {
    fn reached(&self) -> u64 {
        *self.0.lock().unwrap()
    }
}

impl HttpConnector for Endpoint {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        *self.0.lock().unwrap() += 1;
        let ok = StatusCode::try_from(200).unwrap();
        HttpConnectorFuture::ready(Ok(HttpResponse::new(ok, SdkBody::from("{}"))))
    }
}

async fn clients(chaos: &Chaos, endpoint: &Endpoint) -> Clients {
    let connector = SharedHttpConnector::new(endpoint.clone());
    let inner = http_client_fn(move |_, _| connector.clone());
    let aws = Aws { endpoint_url: "http://localhost:1".to_owned(), ..Aws::default() };
    crate::cloud::build(&aws, SharedHttpClient::new(FaultyClient::new(inner, chaos))).await
}

fn get_records() -> Operation {
    let mut request = HttpRequest::new(SdkBody::empty());
    request.headers_mut().insert("x-amz-target", "Kinesis_20131202.GetRecords");
    Operation::of(&request)
}

fn fates(chaos: &Chaos, calls: u64) -> Vec<Fate> {
    let plan = Plan { chaos: chaos.clone(), calls: AtomicU64::new(0) };
    (0..calls).map(|_| plan.next(&get_records())).collect()
}

#[test]
fn a_seed_decides_every_call_and_rates_are_kept() {
    let chaos = Chaos {
        seed: 7,
        lost_requests_percent: 5,
        lost_replies_percent: 10,
        delays_percent: 1,
        throttles_percent: 2,
        errors_percent: 3,
        resets_percent: 4,
        expired_iterators_percent: 20,
        logic: 0,
    };
    let first = fates(&chaos, 20_000);
    assert_eq!(first, fates(&chaos, 20_000));
    assert_ne!(first, fates(&Chaos { seed: 8, ..chaos.clone() }, 20_000));
    let share = |is: &dyn Fn(&Fate) -> bool| first.iter().filter(|fate| is(fate)).count() / 200;
    let near = |have: usize, want: usize| have.abs_diff(want) <= 1;
    assert!(near(share(&|fate| *fate == Fate::LostRequest), 5));
    assert!(near(share(&|fate| *fate == Fate::LostReply), 10));
    assert!(near(share(&|fate| matches!(fate, Fate::Delayed(_))), 1));
    assert!(near(share(&|fate| *fate == Fate::Refused(Refusal::Throttled)), 2));
    assert!(near(share(&|fate| *fate == Fate::Refused(Refusal::Internal)), 3));
    assert!(near(share(&|fate| *fate == Fate::Reset), 4));
    // A fifth of the three quarters that nothing else hits.
    assert!(near(share(&|fate| *fate == Fate::Refused(Refusal::ExpiredIterator)), 15));
}

#[test]
fn without_rates_every_call_is_spared() {
    let quiet = Chaos { seed: 3, ..Chaos::default() };
    assert!(!quiet.is_on());
    assert!(fates(&quiet, 1_000).iter().all(|fate| *fate == Fate::Spared));
}

#[tokio::test]
async fn only_a_lost_reply_leaves_an_effect_and_all_failures_are_passing() {
    let kinds: [(Chaos, u64); 5] = [
        (Chaos { lost_requests_percent: 100, ..Chaos::default() }, 0),
        (Chaos { lost_replies_percent: 100, ..Chaos::default() }, 1),
        (Chaos { throttles_percent: 100, ..Chaos::default() }, 0),
        (Chaos { errors_percent: 100, ..Chaos::default() }, 0),
        (Chaos { resets_percent: 100, ..Chaos::default() }, 0),
    ];
    for (chaos, reached) in kinds {
        let endpoint = Endpoint::default();
        let clients = clients(&chaos, &endpoint).await;
        let error = clients.dynamodb.list_tables().send().await.unwrap_err();
        assert!(is_transient(&error), "{chaos:?}: {}", explain(&error));
        assert_eq!(endpoint.reached(), reached, "{chaos:?}");
    }
}

#[tokio::test]
async fn a_delayed_call_goes_through() {
    let endpoint = Endpoint::default();
    let chaos = Chaos { delays_percent: 100, ..Chaos::default() };
    let clients = clients(&chaos, &endpoint).await;
    clients.dynamodb.list_tables().send().await.unwrap();
    assert_eq!(endpoint.reached(), 1);
}

/// The SDK reads the codes out of the answers, so these are the services' own forms.
#[tokio::test]
async fn every_service_refuses_in_its_own_words() {
    for (chaos, codes) in [
        (
            Chaos { throttles_percent: 100, ..Chaos::default() },
            [
                "ProvisionedThroughputExceededException",
                "ProvisionedThroughputExceededException",
                "ThrottlingException",
                "Throttling",
            ],
        ),
        (
            Chaos { errors_percent: 100, ..Chaos::default() },
            [
                "InternalFailureException",
                "InternalServerError",
                "InternalException",
                "InternalServiceFault",
            ],
        ),
    ] {
        let clients = clients(&chaos, &Endpoint::default()).await;
        let kinesis = clients.kinesis.list_streams().send().await.unwrap_err();
        let dynamodb = clients.dynamodb.list_tables().send().await.unwrap_err();
        let events = clients.eventbridge.list_rules().send().await.unwrap_err();
        let datum = MetricDatum::builder().metric_name("m").value(1.0).build();
        let metrics = clients.cloudwatch.put_metric_data().namespace("n").metric_data(datum);
        let metrics = metrics.send().await.unwrap_err();
        let have = [code(&kinesis), code(&dynamodb), code(&events), code(&metrics)];
        assert_eq!(have, codes.map(Some));
        assert!(is_transient(&kinesis) && is_transient(&dynamodb));
        assert!(is_transient(&events) && is_transient(&metrics));
    }
}

#[tokio::test]
async fn iterators_expire_for_get_records_only() {
    let endpoint = Endpoint::default();
    let chaos = Chaos { expired_iterators_percent: 100, ..Chaos::default() };
    let clients = clients(&chaos, &endpoint).await;
    let error = clients.kinesis.get_records().shard_iterator("i").send().await.unwrap_err();
    assert_eq!(code(&error), Some("ExpiredIteratorException"));
    assert_eq!(endpoint.reached(), 0);
    clients.kinesis.list_streams().send().await.unwrap();
    assert_eq!(endpoint.reached(), 1);
}

#[test]
fn faults_without_an_endpoint_and_impossible_rates_are_refused() {
    let problems = |chaos: Chaos, endpoint_url: &str| {
        let aws = Aws { endpoint_url: endpoint_url.to_owned(), ..Aws::default() };
        Config { aws, chaos, ..Config::default() }.problems()
    };
    let some = Chaos { resets_percent: 1, ..Chaos::default() };
    assert_eq!(problems(some.clone(), ""), ["chaos is for tests: it needs aws.endpoint_url"]);
    assert!(problems(some, "http://localhost:1").is_empty());
    assert!(problems(Chaos::default(), "").is_empty());
    let many = Chaos { resets_percent: 60, delays_percent: 60, ..Chaos::default() };
    assert_eq!(problems(many, "http://localhost:1").len(), 1);
}
