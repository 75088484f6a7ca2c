//! Calls as the bus gets them.

use std::collections::BTreeSet;
use std::sync::Mutex;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use ivs_schemas::domain::AccountLimitBreached;
use serde_json::{Value, json};

use super::*;
use crate::cloud;
use crate::config::Aws;

/// A bus that notes its calls, and refuses some events when it first sees them.
#[derive(Clone, Debug, Default)]
struct Bus {
    calls: Arc<Mutex<Vec<Vec<Value>>>>,
    refusing: Arc<Mutex<BTreeSet<String>>>,
}

impl HttpConnector for Bus {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let entries = request["Entries"].as_array().unwrap().clone();
        let mut refusing = self.refusing.lock().unwrap();
        let answers: Vec<Value> = entries
            .iter()
            .map(|entry| match refusing.remove(&id(entry)) {
                true => json!({ "ErrorCode": "InternalFailure", "ErrorMessage": "again" }),
                false => json!({ "EventId": "e" }),
            })
            .collect();
        let failed = answers.iter().filter(|answer| answer["ErrorCode"].is_string()).count();
        self.calls.lock().unwrap().push(entries);
        let answer = json!({ "FailedEntryCount": failed, "Entries": answers }).to_string();
        let ok = StatusCode::try_from(200).unwrap();
        HttpConnectorFuture::ready(Ok(HttpResponse::new(ok, SdkBody::from(answer))))
    }
}

impl Bus {
    /// Has events sent; returns the calls, and how many events count as sent.
    async fn take(&self, events: &[DomainEvent]) -> (Vec<Vec<Value>>, u64) {
        let connector = SharedHttpConnector::new(self.clone());
        let http = SharedHttpClient::new(http_client_fn(move |_, _| connector.clone()));
        let endpoint_url = "http://localhost:1".to_owned();
        let clients = cloud::build(&Aws { endpoint_url, ..Aws::default() }, http).await;
        let stats = Arc::new(Stats::default());
        let config = config::Events::default();
        let sink = EventSink::new(clients.eventbridge, &config, Arc::clone(&stats));
        let patience = Patience::of(std::time::Duration::from_secs(60));
        let left = sink.try_send(sink.entries(events), &patience).await;
        assert!(left.waiting.is_empty() && left.refused.is_empty(), "{left:?}");
        (std::mem::take(&mut self.calls.lock().unwrap()), stats.domain_events.load(Relaxed))
    }
}

fn id(entry: &Value) -> String {
    let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
    detail["eventId"].as_str().unwrap().to_owned()
}

fn ids(calls: &[Vec<Value>]) -> Vec<Vec<String>> {
    calls.iter().map(|entries| entries.iter().map(id).collect()).collect()
}

/// Returns an event of somewhat more than `bytes`.
fn event(number: usize, bytes: usize) -> DomainEvent {
    DomainEvent::AccountLimitBreached(AccountLimitBreached {
        event_id: number.to_string(),
        account: "111122223333".to_owned(),
        region: "us-east-1".to_owned(),
        time: "2026-03-01T12:00:00Z".to_owned(),
        limit_name: "x".repeat(bytes),
        limit_value: None,
        exceeded_by: None,
        limit_unit: None,
    })
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn a_call_has_ten_entries_in_their_order() {
    let events: Vec<_> = (0..23).map(|number| event(number, 10)).collect();
    let (calls, sent) = Bus::default().take(&events).await;
    assert_eq!(ids(&calls), [numbers(0..10), numbers(10..20), numbers(20..23)]);
    assert_eq!(sent, 23);
    assert!(Bus::default().take(&[]).await.0.is_empty(), "no call for nothing");
}

#[tokio::test]
async fn a_call_stays_below_256_kilobytes() {
    let events: Vec<_> = (0..10).map(|number| event(number, 60_000)).collect();
    let (calls, sent) = Bus::default().take(&events).await;
    assert_eq!(ids(&calls), [numbers(0..4), numbers(4..8), numbers(8..10)]);
    assert_eq!(sent, 10);
    for entries in calls {
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().len();
        let parts = ["Source", "DetailType", "Detail"];
        let size = |entry: &Value| parts.map(|part| text(entry, part)).iter().sum::<usize>();
        assert!(entries.iter().map(size).sum::<usize>() < 262_144);
    }
}

#[tokio::test]
async fn only_the_entries_that_were_refused_are_sent_again() {
    let bus = Bus::default();
    *bus.refusing.lock().unwrap() = ["3", "11"].map(str::to_owned).into();
    let events: Vec<_> = (0..12).map(|number| event(number, 10)).collect();
    let (calls, sent) = bus.take(&events).await;
    assert_eq!(ids(&calls), [numbers(0..10), numbers(3..4), numbers(10..12), numbers(11..12)]);
    assert_eq!(sent, 12);
}

/// A bus that leaves out the answer to the last entry of its first call.
#[derive(Debug, Default)]
struct Forgetful(Mutex<Vec<usize>>);

impl EventCalls for Forgetful {
    fn put<'a>(
        &'a self,
        entries: &'a [Entry],
    ) -> BoxFuture<'a, Result<Vec<EntryAnswer>, NotTaken>> {
        let mut calls = self.0.lock().unwrap();
        let answered = entries.len() - usize::from(calls.is_empty());
        calls.push(entries.len());
        async move { Ok(vec![Ok(()); answered]) }.boxed()
    }
}

#[tokio::test]
async fn an_entry_that_is_not_answered_for_is_sent_again() {
    let (bus, stats) = (Arc::new(Forgetful::default()), Arc::new(Stats::default()));
    let calls: Arc<dyn EventCalls> = bus.clone();
    let sink = EventSink::over(calls, &config::Events::default(), Arc::clone(&stats));
    let events: Vec<_> = (0..3).map(|number| event(number, 10)).collect();
    let patience = Patience::of(std::time::Duration::from_secs(60));
    let left = sink.try_send(sink.entries(&events), &patience).await;
    assert!(left.waiting.is_empty() && left.refused.is_empty(), "{left:?}");
    assert_eq!((&*bus.0.lock().unwrap(), stats.domain_events.load(Relaxed)), (&vec![3, 1], 3));
}

/// A bus that never takes one of the events, and says so of its entry or of the whole call.
#[derive(Debug)]
struct Picky {
    of_the_call: bool,
}

impl EventCalls for Picky {
    fn put<'a>(
        &'a self,
        entries: &'a [Entry],
    ) -> BoxFuture<'a, Result<Vec<EntryAnswer>, NotTaken>> {
        let is_bad = |entry: &Entry| entry.detail().contains(r#""eventId":"1""#);
        let each = |entry: &Entry| match is_bad(entry) {
            true => Err(("MalformedDetail".to_owned(), "no".to_owned())),
            false => Ok(()),
        };
        let is_refused = self.of_the_call && entries.iter().any(is_bad);
        let answer: Result<Vec<EntryAnswer>, NotTaken> = match is_refused {
            true => Err(NotTaken::Refused("no".to_owned())),
            false => Ok(entries.iter().map(each).collect()),
        };
        async move { answer }.boxed()
    }
}

#[tokio::test]
async fn an_event_that_the_bus_will_never_take_costs_only_itself() {
    for of_the_call in [false, true] {
        let (bus, stats) = (Arc::new(Picky { of_the_call }), Arc::new(Stats::default()));
        let sink = EventSink::over(bus, &config::Events::default(), Arc::clone(&stats));
        let events: Vec<_> = (0..3).map(|number| event(number, 10)).collect();
        let patience = Patience::of(std::time::Duration::from_secs(60));
        let left = sink.try_send(sink.entries(&events), &patience).await;
        assert_eq!((left.waiting.len(), left.refused.len()), (0, 1), "{left:?}");
        assert_eq!(stats.domain_events.load(Relaxed), 2);
    }
}
