//! A stream that keeps its records for a day, and workers that stay away for longer.
//!
//! The endpoint runs in this process, on a clock that begins yesterday and can be moved; the workers are
//! processes, as ever.

use std::path::Path;
use std::time::Duration;

use aws_sdk_cloudwatch::types::{ComparisonOperator, StateValue, Statistic};
use aws_sdk_kinesis::primitives::Blob;
use ivs_emulator::{Clock, Endpoint};
use ivs_processor::cloud::{Clients, clients};
use ivs_processor::commands::local::setup;
use ivs_processor::config::Config;
use ivs_schemas::catalogue::metrics::RETENTION_GAPS;
use ivs_schemas::names::STREAM;
use serde_json::Value;

use crate::fleet::logs;
use crate::process::{PATIENCE, Program, state};

const HOUR_MS: u64 = 3_600_000;
const STEP_MS: u64 = 20;
const STEP: Duration = Duration::from_millis(STEP_MS);
/// Hash keys: the first of the second shard, and of the second child of the first.
const SECOND: u128 = 1 << 127;
const CHILD: u128 = 1 << 126;
const ALARM: &str = "gap";

struct World {
    dir: tempfile::TempDir,
    clock: Clock,
    endpoint: Endpoint,
    aws: Clients,
}

impl World {
    /// A stream of two shards that has begun more than a day ago.
    async fn new() -> Self {
        let now_ms = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap();
        let clock = Clock::manual(now_ms - 26 * HOUR_MS);
        let running = clock.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(STEP).await;
                running.advance(STEP_MS);
            }
        });
        let config =
            ivs_emulator::Config { clock: clock.clone(), ..ivs_emulator::Config::default() };
        let endpoint = Endpoint::start(config).await.unwrap();
        let mut config = Config::default();
        config.aws.endpoint_url = endpoint.url().to_owned();
        let aws = clients(&config.aws).await;
        setup::create(&aws, &config, 2).await.unwrap();
        Self { dir: state(), clock, endpoint, aws }
    }

    async fn put(&self, hash_key: u128, session: &str) {
        let line = format!(
            r#"{{"eventType":"metrics_update","sessionId":"{session}","channelId":"c","timestamp":"2025-06-01T12:00:00Z","currentViewers":7}}"#
        );
        let put = self.aws.kinesis.put_record().stream_name(STREAM).partition_key("k");
        put.explicit_hash_key(hash_key.to_string()).data(Blob::new(line)).send().await.unwrap();
    }

    async fn split_the_first(&self) {
        let split = self.aws.kinesis.split_shard().stream_name(STREAM);
        let split = split.shard_to_split("shardId-000000000000");
        split.new_starting_hash_key(CHILD.to_string()).send().await.unwrap();
        loop {
            let stream = self.aws.kinesis.describe_stream_summary().stream_name(STREAM);
            let stream = stream.send().await.unwrap().stream_description_summary.unwrap();
            if stream.open_shard_count == 3 {
                break;
            }
            tokio::time::sleep(STEP).await;
        }
    }

    fn url(&self, folder: &str) -> String {
        format!("file://{}", self.dir.path().join(folder).display())
    }

    /// Reads all that there is; returns what the worker counted.
    async fn drain(&self, log: &Path) -> Value {
        let program = Program::new(&["worker", "--until-drained", "--endpoint-url"])
            .arg(self.endpoint.url())
            .args(&["--set", "fleet.failover_ms=2000", "--set", "epoch.interval_ms=200"])
            .args(&["--set", "stream.poll_interval_ms=100", "--set"])
            .arg(format!("objects.rejects={}", self.url("rejects")))
            .arg("--set")
            .arg(format!("objects.archive={}", self.url("archive")))
            .log_to(log);
        // The endpoint needs this thread.
        let out = tokio::task::spawn_blocking(|| program.run_to_end()).await.unwrap();
        serde_json::from_str(out.lines().last().unwrap()).unwrap()
    }

    async fn ends(&self, program: Program) -> (i32, String, String) {
        tokio::task::spawn_blocking(|| program.end()).await.unwrap()
    }

    async fn rows(&self) -> Vec<String> {
        let rows = Program::new(&["rows", "--endpoint-url", self.endpoint.url()]);
        let (_, out, _) = self.ends(rows).await;
        out.lines().skip(1).map(|row| row.split(',').next().unwrap().to_owned()).collect()
    }

    /// As the alarm of the catalogue, which looks at the minute that has just passed.
    async fn create_alarm(&self) {
        let alarm = self.aws.cloudwatch.put_metric_alarm().alarm_name(ALARM);
        let alarm = alarm.namespace(RETENTION_GAPS.namespace.as_str());
        let alarm = alarm.metric_name(RETENTION_GAPS.name).statistic(Statistic::Sum).period(60);
        let alarm = alarm.threshold(0.0).evaluation_periods(1).treat_missing_data("notBreaching");
        let over = ComparisonOperator::GreaterThanThreshold;
        alarm.comparison_operator(over).send().await.unwrap();
    }

    /// Waits until the alarm rings, letting time pass.
    async fn alarm_rings(&self) {
        let since = std::time::Instant::now();
        loop {
            let alarms = self.aws.cloudwatch.describe_alarms().alarm_names(ALARM);
            let alarms = alarms.send().await.unwrap();
            if alarms.metric_alarms()[0].state_value() == Some(&StateValue::Alarm) {
                return;
            }
            assert!(since.elapsed() < PATIENCE, "the alarm does not ring");
            self.clock.advance(1_000);
            tokio::time::sleep(STEP).await;
        }
    }

    /// Gaps that were counted in the last minutes, over all shards.
    async fn gaps_lately(&self) -> f64 {
        let now = jiff::Timestamp::now().as_second();
        let at = |s: i64| aws_sdk_cloudwatch::primitives::DateTime::from_secs(s);
        let sums = self.aws.cloudwatch.get_metric_statistics();
        let sums =
            sums.namespace(RETENTION_GAPS.namespace.as_str()).metric_name(RETENTION_GAPS.name);
        let sums = sums.start_time(at(now - 1_800)).end_time(at(now + 1_800)).period(60);
        let sums = sums.statistics(Statistic::Sum).send().await.unwrap();
        sums.datapoints().iter().filter_map(aws_sdk_cloudwatch::types::Datapoint::sum).sum()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stream_lost_under_a_stopped_worker_is_counted_logged_archived_and_alarmed() {
    let world = World::new().await;
    world.put(0, "kept-first").await;
    world.put(SECOND, "kept-second").await;
    let counted = world.drain(&world.dir.path().join("before.log")).await;
    assert_eq!((&counted["accepted"], &counted["retentionGaps"]), (&2.into(), &0.into()));

    // The first shard closes with a record that nobody reads and then leaves the stream; the second
    // goes on. Its children hold records of both days.
    world.put(0, "lost-first").await;
    world.put(SECOND, "lost-second").await;
    world.split_the_first().await;
    world.put(0, "lost-child").await;
    world.clock.advance(26 * HOUR_MS);
    world.put(SECOND, "new-second").await;
    world.put(0, "new-child").await;
    world.put(CHILD, "new-other-child").await;
    world.create_alarm().await;

    let log = world.dir.path().join("after.log");
    let counted = world.drain(&log).await;
    assert_eq!(counted["retentionGaps"], 2, "{counted}");
    assert_eq!(counted["accepted"], 3, "{counted}");
    let rows = ["kept-first", "kept-second", "new-child", "new-other-child", "new-second"];
    assert_eq!(world.rows().await, rows, "children start, and what was there is there");

    let lines = logs::read(&log);
    let logged = lines.iter().filter(|line| line.message.starts_with("records expired from"));
    let mut gaps: Vec<(&str, &str)> =
        logged.map(|line| (line.text("shard"), line.text("gap"))).collect();
    gaps.sort_unstable();
    let [first, second] = gaps[..] else { panic!("{gaps:?}") };
    let is_position =
        |text: &str| text.len() > 40 && text.bytes().all(|byte| byte.is_ascii_digit());
    let after = |gap: &str| gap.split(' ').nth(1).unwrap().to_owned();
    assert_eq!((first.0, second.0), ("shardId-000000000000", "shardId-000000000001"));
    assert!(is_position(&after(first.1)) && first.1.ends_with(" up to its end"), "{first:?}");
    let up_to = second.1.rsplit(' ').next().unwrap();
    assert!(is_position(&after(second.1)) && is_position(up_to), "{second:?}");

    let audit = Program::new(&["audit", "--endpoint-url", world.endpoint.url()])
        .arg(world.dir.path().join("archive"));
    let (code, out, error) = world.ends(audit).await;
    assert_eq!(code, 2, "nothing is wrong, and not all is proven: {out}{error}");
    for (shard, from) in [(first.0, after(first.1)), (second.0, after(second.1))] {
        let named = format!("{shard} of {STREAM}: the archive has nothing from {from} up to ");
        assert!(error.contains(&named), "{named}: {error}");
    }
    assert!(error.contains("its end, which the stream had lost"), "{error}");

    assert!((world.gaps_lately().await - 2.0).abs() < f64::EPSILON);
    world.alarm_rings().await;
}
