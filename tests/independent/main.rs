//! The path once more on emulators that other people wrote, so that a mistake of our embedded AWS
//! does not hide the same mistake in the program.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]
#![allow(clippy::disallowed_methods, reason = "tests and benches measure for themselves")]

mod contract;
mod emulators;
mod objects;
#[path = "../e2e/process.rs"]
#[expect(dead_code, reason = "shared with the end-to-end tests, which need all of it")]
mod process;
#[path = "../contract/suite.rs"]
#[expect(dead_code, reason = "shared with the contract, which needs all of it")]
mod suite;

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use emulators::Emulator;
use ivs_processor::cloud::{Clients, clients};
use ivs_processor::commands::local::setup;
use ivs_processor::config::Config;
use process::{Program, state};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/sample/part-00000.ndjson.zst");
/// Records per half: `kinesis-local` takes some hundreds a second.
const HALF: usize = 800;

/// Two halves of traffic with a split between them, two workers killed at work, and one that ends
/// it: the same rows, byte for byte, as the embedded AWS gives.
#[test]
fn another_kinesis_and_another_dynamodb_give_the_same_rows() {
    let dir = state();
    let halves = [0, 1].map(|half| write_half(dir.path(), half));
    let expected = dir.path().join("expected.csv");
    Program::new(&["local", "--port", "0", "--state", ":memory:", "--rows-out"])
        .arg(&expected)
        .arg("--input")
        .args(&halves)
        .run_to_end();

    let (kinesis, ministack) = (Emulator::kinesis_local(), Emulator::ministack(dir.path()));
    let site = Site::new(&kinesis, &ministack, dir.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(setup::create(&site.clients, &site.config, 2)).unwrap();

    let kill_a_worker_at_work = |rows_before: usize| {
        let mut worker = site.worker(&[]).start();
        while site.rows().lines().count() <= rows_before {
            std::thread::sleep(Duration::from_millis(300));
        }
        worker.kill_9();
        site.rows().lines().count()
    };
    site.send(&halves[0]);
    let rows = kill_a_worker_at_work(1);
    runtime.block_on(site.split_first_shard());
    site.send(&halves[1]);
    kill_a_worker_at_work(rows);
    site.worker(&["--until-drained"]).run_to_end();
    assert_eq!(site.rows(), std::fs::read_to_string(&expected).unwrap());
}

/// The two emulators as the program is told of them.
struct Site {
    settings: Vec<String>,
    config: Config,
    clients: Clients,
    dir: PathBuf,
}

impl Site {
    fn new(kinesis: &Emulator, ministack: &Emulator, dir: &Path) -> Self {
        let mut config = Config::default();
        config.aws.endpoint_url = ministack.url.clone();
        config.aws.kinesis_endpoint_url = kinesis.url.clone();
        let settings = [
            format!("aws.endpoint_url={}", ministack.url),
            format!("aws.kinesis_endpoint_url={}", kinesis.url),
            format!("objects.rejects=file://{}", dir.join("rejects").display()),
            "fleet.failover_ms=3000".to_owned(),
            "epoch.interval_ms=1000".to_owned(),
            "stream.poll_interval_ms=300".to_owned(),
        ];
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let clients = runtime.block_on(clients(&config.aws));
        Self { settings: settings.to_vec(), config, clients, dir: dir.to_owned() }
    }

    fn program(&self, args: &[&str]) -> Program {
        let settings = self.settings.iter().flat_map(|setting| ["--set", setting]);
        Program::new(&[]).args(&settings.collect::<Vec<_>>()).args(args)
    }

    fn send(&self, file: &Path) {
        self.program(&["generate", "--input"]).arg(file).run_to_end();
    }

    fn worker(&self, args: &[&str]) -> Program {
        self.program(&["worker"]).args(args)
    }

    fn rows(&self) -> String {
        let file = self.dir.join("rows.csv");
        self.program(&["rows", "--out"]).arg(&file).run_to_end();
        std::fs::read_to_string(file).unwrap()
    }

    async fn split_first_shard(&self) {
        let kinesis = &self.clients.kinesis;
        let stream = &self.config.stream.name;
        let shards = kinesis.list_shards().stream_name(stream).send().await.unwrap();
        let first = &shards.shards()[0];
        let range = first.hash_key_range().unwrap();
        let ends = [range.starting_hash_key(), range.ending_hash_key()];
        let [from, to] = ends.map(|end| end.parse::<u128>().unwrap());
        kinesis
            .split_shard()
            .stream_name(stream)
            .shard_to_split(first.shard_id())
            .new_starting_hash_key((from + (to - from) / 2).to_string())
            .send()
            .await
            .unwrap();
        loop {
            let summary = kinesis.describe_stream_summary().stream_name(stream).send();
            let summary = summary.await.unwrap().stream_description_summary.unwrap();
            if summary.stream_status().as_str() == "ACTIVE" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Writes a part of the sample without repeated events: the second copy of one would count anew
/// where the split sends it to another shard.
fn write_half(dir: &Path, half: usize) -> PathBuf {
    let file = std::fs::File::open(SAMPLE).unwrap();
    let lines = BufReader::new(zstd::Decoder::new(file).unwrap()).lines().map(Result::unwrap);
    let mut seen = HashSet::new();
    let mut is_new = |line: &String| {
        let record: Option<serde_json::Value> = serde_json::from_str(line).ok();
        let id = record.and_then(|record| record["eventId"].as_str().map(str::to_owned));
        id.is_none_or(|id| seen.insert(id))
    };
    let chosen: Vec<String> =
        lines.filter(|line| is_new(line)).skip(half * HALF).take(HALF).collect();
    let path = dir.join(format!("half-{half}.ndjson"));
    std::fs::write(&path, chosen.join("\n") + "\n").unwrap();
    path
}
