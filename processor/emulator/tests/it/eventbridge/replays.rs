//! Archives, and replays that really deliver.

use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::{ReplayDestination, ReplayState};
use ivs_emulator::{Config, State};

use super::{Local, START_MS, entry, stream_target};
use crate::clients::code;

const BUS: &str = "arn:aws:events:us-east-1:000000000000:event-bus/default";
const ARCHIVE: &str = "arn:aws:events:us-east-1:000000000000:archive/all";
const IVS: &str = r#"{"source":["aws.ivs"]}"#;

fn seconds(after_start: i64) -> DateTime {
    DateTime::from_secs(i64::try_from(START_MS / 1_000).unwrap() + after_start)
}

impl Local {
    async fn create_archive(&self) {
        let create = self.client.create_archive().archive_name("all").event_source_arn(BUS);
        let pattern = r#"{"detail":{"n":[{"numeric":["<",100]}]}}"#;
        create.event_pattern(pattern).retention_days(2).send().await.unwrap();
    }

    /// Puts an event of each number, each a minute after the one before.
    async fn put_numbers(&self, numbers: std::ops::Range<i64>) {
        for n in numbers {
            let time = seconds(60 * n);
            self.put(vec![entry(&format!("{{\"n\":{n}}}")).time(time).build()]).await;
        }
    }

    async fn start_replay(&self, name: &str, from: i64, to: i64, rules: &[&str]) {
        let rules =
            rules.iter().map(|rule| format!("arn:aws:events:us-east-1:000000000000:rule/{rule}"));
        let destination = ReplayDestination::builder().arn(BUS);
        let destination = destination.set_filter_arns(Some(rules.collect())).build().unwrap();
        let start = self.client.start_replay().replay_name(name).event_source_arn(ARCHIVE);
        let start = start.event_start_time(seconds(60 * from)).event_end_time(seconds(60 * to));
        let answer = start.destination(destination).send().await.unwrap();
        assert_eq!(answer.state(), Some(&ReplayState::Starting));
    }

    async fn replay_state(&self, name: &str) -> ReplayState {
        let answer = self.client.describe_replay().replay_name(name).send().await.unwrap();
        answer.state().unwrap().clone()
    }

    /// Returns the numbers of the events received with the name of a replay, or without any.
    async fn numbers(&self, replay: Option<&str>) -> Vec<i64> {
        let received = self.received().await;
        let of = received.iter().filter(|(_, event)| event["replay-name"].as_str() == replay);
        of.map(|(_, event)| event["detail"]["n"].as_i64().unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_sends_the_events_of_its_time_range_again() {
    let local = Local::start().await;
    local.create_archive().await;
    local.put_rule("r", IVS).await;
    local.put_numbers(0..6).await;
    local.put(vec![entry("{\"n\":100}").build()]).await;
    let archive = local.client.describe_archive().archive_name("all").send().await.unwrap();
    assert_eq!(archive.event_count(), 6, "the pattern keeps the last event out");

    local.start_replay("again", 1, 4, &[]).await;
    assert_eq!(local.replay_state("again").await, ReplayState::Starting);
    local.local("POST /_local/tick");
    assert_eq!(local.replay_state("again").await, ReplayState::Completed);
    assert_eq!(local.numbers(Some("again")).await, [1, 2, 3]);
    assert_eq!(local.numbers(None).await, [0, 1, 2, 3, 4, 5, 100]);
    let received = local.received().await;
    let ids = |n: i64| -> Vec<&str> {
        let of = received.iter().filter(|(_, event)| event["detail"]["n"] == n);
        of.map(|(_, event)| event["id"].as_str().unwrap()).collect()
    };
    assert_eq!(ids(2)[0], ids(2)[1], "a replayed event keeps its id");

    let archive = local.client.describe_archive().archive_name("all").send().await.unwrap();
    assert_eq!(archive.event_count(), 6, "replayed events are not archived again");
    let shown = local.client.describe_replay().replay_name("again").send().await.unwrap();
    assert_eq!(shown.event_last_replayed_time(), Some(&seconds(180)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_reaches_only_the_rules_it_names() {
    let local = Local::start().await;
    local.create_archive().await;
    local.put_numbers(0..3).await;
    local.put_rule("one", IVS).await;
    local.put_rule("two", IVS).await;
    local.start_replay("some", 0, 9, &["one"]).await;
    local.start_replay("none", 0, 9, &["three"]).await;
    local.local("POST /_local/tick");
    assert_eq!(local.numbers(Some("some")).await, [0, 1, 2]);
    assert_eq!(local.numbers(Some("none")).await, [0; 0]);
    let list = local.client.list_replays().state(ReplayState::Completed).send().await.unwrap();
    assert_eq!(list.replays().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_goes_on_after_an_abrupt_end() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config { state: State::Dir(folder.path().to_owned()), ..Config::default() };
    let local = Local::start_with(config()).await;
    local.create_stream().await;
    local.create_archive().await;
    local.put_numbers(0..5).await;
    local.put_rule("r", IVS).await;
    local.start_replay("again", 0, 9, &[]).await;
    drop(local);
    let local = Local::start_with(config()).await;
    // The clock begins anew: the stream was made ACTIVE a moment later.
    local.clock.advance(100);
    local.local("POST /_local/tick");
    assert_eq!(local.replay_state("again").await, ReplayState::Completed);
    assert_eq!(local.numbers(Some("again")).await, [0, 1, 2, 3, 4]);
    let targets = local.client.list_targets_by_rule().rule("r").send().await.unwrap();
    assert_eq!(targets.targets(), [stream_target()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archived_events_expire_and_archives_are_deleted() {
    let local = Local::start().await;
    local.create_archive().await;
    local.put_numbers(0..3).await;
    local.clock.advance(2 * 86_400_000 + 60_000);
    local.local("POST /_local/tick");
    let archive = local.client.describe_archive().archive_name("all").send().await.unwrap();
    assert_eq!(archive.event_count(), 2);
    let update = local.client.update_archive().archive_name("all").retention_days(0);
    update.send().await.unwrap();
    local.clock.advance(9 * 86_400_000);
    local.local("POST /_local/tick");
    let archives = local.client.list_archives().name_prefix("a").send().await.unwrap();
    assert_eq!(archives.archives()[0].event_count(), 2);
    local.client.delete_archive().archive_name("all").send().await.unwrap();
    let gone = local.client.describe_archive().archive_name("all").send().await;
    assert_eq!(code(gone), "ResourceNotFoundException");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn impossible_replays_are_refused() {
    let local = Local::start().await;
    local.create_archive().await;
    let start = |name: &str, archive: &str, bus: &str, to: i64| {
        let destination = ReplayDestination::builder().arn(bus).build().unwrap();
        let start = local.client.start_replay().replay_name(name).event_source_arn(archive);
        let start = start.event_start_time(seconds(0)).event_end_time(seconds(to));
        start.destination(destination).send()
    };
    let other = "arn:aws:events:us-east-1:000000000000:event-bus/other";
    assert_eq!(code(start("a", ARCHIVE, other, 60).await), "ValidationException");
    assert_eq!(code(start("a", ARCHIVE, BUS, 0).await), "ValidationException");
    let nowhere = "arn:aws:events:us-east-1:000000000000:archive/nowhere";
    assert_eq!(code(start("a", nowhere, BUS, 60).await), "ResourceNotFoundException");
    assert!(start("a", ARCHIVE, BUS, 60).await.is_ok());
    assert_eq!(code(start("a", ARCHIVE, BUS, 60).await), "ResourceAlreadyExistsException");
    local.client.cancel_replay().replay_name("a").send().await.unwrap();
    assert_eq!(local.replay_state("a").await, ReplayState::Cancelled);
    let cancel = local.client.cancel_replay().replay_name("a").send().await;
    assert_eq!(code(cancel), "IllegalStatusException");
}
