//! The contract of the embedded SNS and STS, over plain HTTP.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use ivs_emulator::{Clock, Config, Endpoint, State};
use serde_json::Value;

use crate::clients;

const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:alerts";

/// Calls an operation of a service; returns the status and the XML.
fn call(url: &str, service: &str, form: &str) -> (u16, String) {
    let head = format!(
        "POST / HTTP/1.1\r\nauthorization: AWS4-HMAC-SHA256 \
         Credential=test/20260301/us-east-1/{service}/aws4_request, Signature=0"
    );
    let (status, body) = clients::http(url, &head, form.as_bytes());
    (status, String::from_utf8(body).unwrap())
}

fn sns(endpoint: &Endpoint, form: &str) -> String {
    let (status, body) = call(endpoint.url(), "sns", form);
    assert_eq!(status, 200, "{form}: {body}");
    body
}

/// Returns what stands in the first element of a name.
fn inside<'a>(xml: &'a str, element: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{element}>")).unwrap();
    rest.split_once(&format!("</{element}>")).unwrap().0
}

fn messages(endpoint: &Endpoint) -> Vec<Value> {
    let (_, body) = clients::http(endpoint.url(), "GET /_local/sns HTTP/1.1", b"");
    let report: Value = serde_json::from_slice(&body).unwrap();
    report["topics"][0]["messages"].as_array().unwrap().clone()
}

/// Answers each request on a listener with the next status and returns the bodies.
fn listen(listener: &TcpListener, statuses: &[u16]) -> Vec<String> {
    let mut bodies = Vec::new();
    for status in statuses {
        let (mut socket, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut part = [0; 4_096];
        let body = loop {
            let read = socket.read(&mut part).unwrap();
            assert_ne!(read, 0, "the request ended early");
            request.extend(&part[..read]);
            let text = String::from_utf8_lossy(&request).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if length.and_then(|length| length.parse().ok()) == Some(body.len()) {
                break body.to_owned();
            }
        };
        bodies.push(body);
        let answer =
            format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        socket.write_all(answer.as_bytes()).unwrap();
    }
    bodies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_on_loopback_gets_the_envelope_and_refusals_are_repeated() {
    let clock = Clock::manual(1_772_366_400_000);
    let config = Config { clock: clock.clone(), ..Config::default() };
    let endpoint = Endpoint::start(config).await.unwrap();
    assert_eq!(inside(&sns(&endpoint, "Action=CreateTopic&Name=alerts"), "TopicArn"), TOPIC);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let subscribe = format!(
        "Action=Subscribe&TopicArn={TOPIC}&Protocol=http&Endpoint=http%3A%2F%2F{address}%2Fhook"
    );
    let first = sns(&endpoint, &subscribe);
    assert_eq!(
        inside(&sns(&endpoint, &subscribe), "SubscriptionArn"),
        inside(&first, "SubscriptionArn")
    );
    let receiver = tokio::task::spawn_blocking(move || listen(&listener, &[500, 200]));
    let published = sns(
        &endpoint,
        &format!("Action=Publish&TopicArn={TOPIC}&Subject=Hot+news&Message=%7B%22a%22%3A1%7D+%26"),
    );
    while !receiver.is_finished() {
        clock.advance(100);
        tokio::task::yield_now().await;
    }
    let bodies = receiver.await.unwrap();
    assert_eq!(bodies[0], bodies[1], "the refused message comes again");
    let envelope: Value = serde_json::from_str(&bodies[1]).unwrap();
    assert_eq!(envelope["Type"], "Notification");
    assert_eq!(envelope["MessageId"], inside(&published, "MessageId"));
    assert_eq!(envelope["TopicArn"], TOPIC);
    assert_eq!(envelope["Subject"], "Hot news");
    assert_eq!(envelope["Message"], "{\"a\":1} &");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_and_messages_survive_an_abrupt_end() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config { state: State::Dir(folder.path().to_owned()), ..Config::default() };
    let endpoint = Endpoint::start(config()).await.unwrap();
    sns(&endpoint, "Action=CreateTopic&Name=alerts");
    let mail = format!("Action=Subscribe&TopicArn={TOPIC}&Protocol=email&Endpoint=a%40b.example");
    let subscription = inside(&sns(&endpoint, &mail), "SubscriptionArn").to_owned();
    let name = "AttributeName=DisplayName&AttributeValue=%E9%85%8D%E4%BF%A1";
    sns(&endpoint, &format!("Action=SetTopicAttributes&TopicArn={TOPIC}&{name}"));
    for i in 0..120 {
        sns(&endpoint, &format!("Action=Publish&TopicArn={TOPIC}&Message=m{i}"));
    }
    drop(endpoint);
    let endpoint = Endpoint::start(config()).await.unwrap();
    let kept = messages(&endpoint);
    assert_eq!(kept.len(), 100, "the latest are kept");
    assert_eq!((&kept[0]["message"], &kept[99]["message"]), (&"m20".into(), &"m119".into()));
    let attributes = sns(&endpoint, &format!("Action=GetTopicAttributes&TopicArn={TOPIC}"));
    assert!(attributes.contains("<key>DisplayName</key><value>配信</value>"), "{attributes}");
    assert!(attributes.contains("<key>SubscriptionsConfirmed</key><value>1</value>"));
    let listed = sns(&endpoint, &format!("Action=ListSubscriptionsByTopic&TopicArn={TOPIC}"));
    assert_eq!(inside(&listed, "SubscriptionArn"), subscription);
    sns(&endpoint, &format!("Action=Unsubscribe&SubscriptionArn={subscription}"));
    assert!(!sns(&endpoint, "Action=ListSubscriptions").contains("<member>"));
    sns(&endpoint, &format!("Action=DeleteTopic&TopicArn={TOPIC}"));
    assert!(!sns(&endpoint, "Action=ListTopics").contains("<member>"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_calls_are_refused() {
    let endpoint = Endpoint::start(Config::default()).await.unwrap();
    sns(&endpoint, "Action=CreateTopic&Name=alerts");
    let publish = format!("Action=Publish&TopicArn={TOPIC}");
    let long_subject = format!("{publish}&Message=m&Subject={}", "x".repeat(101));
    let long_message = format!("{publish}&Message={}", "x".repeat((256 << 10) + 1));
    for (form, status, expected) in [
        ("Action=Publish&TopicArn=arn:nowhere&Message=m", 404, "NotFound"),
        (publish.as_str(), 400, "ValidationError"),
        (long_subject.as_str(), 400, "InvalidParameter"),
        (long_message.as_str(), 400, "InvalidParameter"),
        ("Action=CreateTopic&Name=a+b", 400, "InvalidParameter"),
        (
            "Action=Subscribe&TopicArn=arn:nowhere&Protocol=pigeon&Endpoint=x",
            400,
            "InvalidParameter",
        ),
        ("Action=Fly", 400, "UnknownOperationException"),
    ] {
        let (found, body) = call(endpoint.url(), "sns", form);
        assert_eq!((found, inside(&body, "Code")), (status, expected));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caller_is_the_endpoint_s_account() {
    let endpoint = Endpoint::start(Config::default()).await.unwrap();
    let (status, body) = call(endpoint.url(), "sts", "Action=GetCallerIdentity&Version=2011-06-15");
    assert_eq!((status, inside(&body, "Account")), (200, "000000000000"));
}
