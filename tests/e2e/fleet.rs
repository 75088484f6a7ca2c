//! A fleet under fire: workers as processes of their own, killed, stopped, paused and replaced
//! while the stream is split and merged under them. In the end every row must be right.

pub(crate) mod logs;
pub(crate) mod pace;
pub(crate) mod sample;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ivs_processor::cloud::{Clients, clients};
use ivs_processor::config::Aws;
use kinesis_fleet::{Lease, LeaseStore};

use crate::golden::{EXPECTED, compare};
use crate::process::{Program, Running, state};
use logs::Succession;
use pace::Pace;

/// Long enough that a busy machine does not lose leases by itself, short enough for a test.
const FAILOVER_MS: u64 = 8_000;
/// How long the paused worker sleeps: several failovers.
const PAUSE: Duration = Duration::from_secs(30);
/// Whatever takes longer never happens.
const NEVER: Duration = Duration::from_secs(180);
const STREAM: &str = "ivs-events";
/// Requests one after the other between the end of what a worker may take to close its epochs and
/// a successor's first reading: release, scan, take, a parent's row, iterator, records.
const STEPS: i64 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_under_fire_ends_with_exactly_the_expected_rows() {
    let dir = state();
    let (slices, lines) = sample::write(dir.path(), 100, 4);
    assert_eq!(lines, 200_000);
    let mut fire = Fire::start(dir.path(), &[]).await;
    fire.run(&slices).await;
    compare(&fire.rows(), EXPECTED);
    assert_eq!(fire.account(), [200_000, 198_017, 1_963, 20], "E6");
}

/// The same with one call in twenty failing, in every way in which a call can fail. What is right
/// comes from a run without any of this.
#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_under_fire_whose_calls_fail_ends_with_the_rows_of_a_quiet_run() {
    let dir = state();
    let (slices, lines) = sample::write(dir.path(), 25, 4);
    let quiet = dir.path().join("quiet.csv");
    let out = Program::new(&["local", "--set", "fleet.failover_ms=30000", "--port", "0"])
        .args(&["--state", ":memory:", "--rows-out"])
        .arg(&quiet)
        .arg("--input")
        .args(&slices)
        .run_to_end();
    let mut fire = Fire::start(dir.path(), &FAULTS).await;
    fire.run(&slices).await;
    let rows = std::fs::read_to_string(fire.rows()).unwrap();
    assert!(rows == std::fs::read_to_string(&quiet).unwrap(), "rows differ from the quiet run's");
    let [read, accepted, duplicate, rejected] = fire.account();
    assert_eq!(read, lines as u64);
    assert_eq!(read, accepted + duplicate + rejected, "E6");
    for (name, count) in [("records read", read), ("accepted", accepted), ("duplicate", duplicate)]
    {
        let said = out.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        let said = said.trim_start()[name.len()..].split_whitespace().next();
        assert_eq!(said, Some(count.to_string().as_str()), "{name} of the quiet run");
    }
}

/// One call in a hundred each, and one GetRecords in twenty finds its iterator expired.
const FAULTS: [&str; 7] = [
    "chaos.lost_requests_percent=1",
    "chaos.lost_replies_percent=1",
    "chaos.delays_percent=1",
    "chaos.throttles_percent=1",
    "chaos.errors_percent=1",
    "chaos.resets_percent=1",
    "chaos.expired_iterators_percent=5",
];

/// An endpoint and a fleet.
struct Fire<'a> {
    dir: &'a Path,
    url: String,
    _endpoint: Running,
    clients: Clients,
    leases: LeaseStore,
    settings: &'a [&'a str],
    workers: BTreeMap<String, Running>,
    started: usize,
}

impl<'a> Fire<'a> {
    async fn start(dir: &'a Path, settings: &'a [&'a str]) -> Self {
        let (url, endpoint) =
            Program::new(&["local", "--endpoint-only", "--port", "0", "--shards", "8"])
                .arg("--state")
                .arg(dir.join("state"))
                .start()
                .wait_for_ready();
        let clients = clients(&Aws { endpoint_url: url.clone(), ..Aws::default() }).await;
        let leases = LeaseStore::new(&clients.dynamodb, "ivs-processor", Duration::from_secs(10));
        let workers = BTreeMap::new();
        Self { dir, url, _endpoint: endpoint, clients, leases, settings, workers, started: 0 }
    }

    /// Everything that may happen to a fleet, in the middle of its work.
    async fn run(&mut self, slices: &[PathBuf]) {
        let [w0, w1, w2, w3] = [0; 4].map(|_| self.add_worker());
        let all = [&w0, &w1, &w2, &w3];
        self.until("every worker has a shard", |rows| {
            rows.len() == 8 && all.iter().all(|worker| owned(rows, worker) > 0)
        })
        .await;
        // A lease may bear the name of a worker that has yet to take it.
        self.until("every worker reads", |_| {
            let reads =
                |worker| logs::read(&self.log(worker)).iter().any(|l| l.message == "first read");
            all.iter().all(|worker| reads(worker))
        })
        .await;
        self.send(&slices[0]);

        self.workers[&w3].signal("STOP");
        let paused = Instant::now();
        self.split_and_merge().await;
        let sending = self.sender(&slices[1]);
        self.kill_9(&w0).await;
        self.until("the killed worker has no shard", |rows| owned(rows, &w0) == 0).await;
        self.kill_9(&w1).await;
        sending.join().unwrap();

        let sending = self.sender(&slices[2]);
        self.add_worker();
        self.leave_in_order(&w2).await;
        sending.join().unwrap();

        // What it held is somebody else's by now: it wakes up in the middle of its work, late.
        self.until("the paused worker has no shard", |rows| owned(rows, &w3) == 0).await;
        tokio::time::sleep(PAUSE.saturating_sub(paused.elapsed())).await;
        self.workers[&w3].signal("CONT");
        self.send(&slices[3]);
        // A call that was under way for thirty seconds may fail before the lease is known to be lost.
        let lost = || {
            logs::read(&self.log(&w3)).iter().any(|line| {
                line.text("ended") == "LeaseLost" || line.message.starts_with("shard task failed")
            })
        };
        let woke = Instant::now();
        while !lost() {
            assert!(woke.elapsed() < NEVER, "the paused worker did not notice what it lost");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.drain();
    }

    fn log(&self, worker: &str) -> PathBuf {
        self.dir.join(format!("{worker}.log"))
    }

    fn logs(&self) -> Vec<PathBuf> {
        (0..self.started).map(|number| self.log(&format!("w{number}"))).collect()
    }

    /// Returns a worker's command line; its id is `w` and its number.
    fn worker(&mut self) -> (String, Program) {
        let id = format!("w{}", self.started);
        self.started += 1;
        let mut program = Program::new(&["worker", "--endpoint-url", &self.url])
            .args(&["--set", "epoch.interval_ms=1000", "--set", "tables.writes_per_s=0"])
            .args(&["--set", "stream.shard_budget=false", "--set", "stream.poll_interval_ms=200"])
            .args(&["--set".to_owned(), format!("fleet.failover_ms={FAILOVER_MS}")])
            .args(&["--set".to_owned(), format!("fleet.worker_id={id}"), "--set".to_owned()])
            .arg(format!("objects.rejects=file://{}", self.dir.join("rejects").display()));
        // Each worker has faults of its own.
        let seed = format!("chaos.seed={}", self.started);
        for setting in self.settings.iter().copied().chain([seed.as_str()]) {
            program = program.args(&["--set", setting]);
        }
        let log = self.log(&id);
        (id, program.log_to(&log))
    }

    fn add_worker(&mut self) -> String {
        let (id, program) = self.worker();
        self.workers.insert(id.clone(), program.start());
        id
    }

    /// SIGKILL: what it held expires, and another worker reads it within five seconds of that.
    async fn kill_9(&mut self, id: &str) {
        let killed_ms = now_ms();
        self.workers.remove(id).unwrap().kill_9();
        self.add_worker();
        let (successions, slack_ms) = self.successions(id, killed_ms).await;
        let most_ms = i64::try_from(FAILOVER_MS).unwrap() + 5_000 + slack_ms;
        for Succession { shard, read_ms, .. } in &successions {
            println!("{shard}: read by another {read_ms:?} of {most_ms} ms after SIGKILL");
            assert!(*read_ms <= Some(most_ms), "{shard}: {read_ms:?} ms of {most_ms}");
        }
    }

    /// SIGTERM: what it gives back is taken as released, and read by another within five seconds.
    async fn leave_in_order(&mut self, id: &str) {
        let worker = self.workers.remove(id).unwrap();
        let asked_ms = now_ms();
        worker.signal("TERM");
        let (mut successions, slack_ms) = self.successions(id, asked_ms).await;
        worker.ends_well();
        let most_ms = 5_000 + slack_ms;
        // A starved worker may lose a lease before it can give it back.
        successions.retain(|succession| succession.given_back_ms.is_some());
        assert!(!successions.is_empty(), "{id} gave no shard back");
        for Succession { shard, given_back_ms, read_ms, from } in &successions {
            println!(
                "{shard}: given back {given_back_ms:?} ms after SIGTERM, read by another \
                 {read_ms:?} of {most_ms} ms after it"
            );
            assert!(*read_ms <= Some(most_ms), "{shard}: {read_ms:?} ms of {most_ms}");
            assert!(!from.contains(id), "{shard} was not given back, it expired: {from}");
        }
    }

    /// Waits until others read what `leaver` was reading at `asked_ms`; returns that, and the time
    /// which the machine may have added.
    ///
    /// The times are those of the workers' own logs, so nothing that this test does counts. What a
    /// busy machine adds is measured, not guessed: meanwhile a probe goes to the same endpoint, and
    /// of steps such as the slowest probe a succession has [`STEPS`]. On a calm machine that adds
    /// some tens of milliseconds.
    async fn successions(&self, leaver: &str, asked_ms: i64) -> (Vec<Succession>, i64) {
        let pace = Pace::start(self.leases.clone());
        let own = self.log(leaver);
        let others: Vec<_> = self.logs().into_iter().filter(|log| *log != own).collect();
        let since = Instant::now();
        loop {
            let all = logs::successions(&own, &others, asked_ms);
            let rows = self.leases.list().await.unwrap();
            let is_open = |shard: &str| {
                rows.iter().any(|row| row.key.as_str() == shard && !row.is_finished())
            };
            if all.iter().all(|s| s.read_ms.is_some() || !is_open(&s.shard)) {
                let read = all.into_iter().filter(|s| s.read_ms.is_some());
                return (read.collect(), STEPS * pace.slowest_ms());
            }
            assert!(since.elapsed() < NEVER, "a shard is read by nobody: {all:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Sends a file in the background.
    fn sender(&self, file: &Path) -> std::thread::JoinHandle<()> {
        let program = Program::new(&["generate", "--endpoint-url", &self.url, "--input"]).arg(file);
        std::thread::spawn(move || drop(program.run_to_end()))
    }

    fn send(&self, file: &Path) {
        self.sender(file).join().unwrap();
    }

    /// Splits one shard in two and merges two others.
    async fn split_and_merge(&self) {
        let kinesis = &self.clients.kinesis;
        let shards = kinesis.list_shards().stream_name(STREAM).send().await.unwrap();
        let mut shards = shards.shards.unwrap();
        let start = |shard: &aws_sdk_kinesis::types::Shard| {
            let range = shard.hash_key_range.as_ref().unwrap();
            range.starting_hash_key.parse::<u128>().unwrap()
        };
        shards.sort_by_key(start);
        let middle = start(&shards[1]).midpoint(start(&shards[2]));
        let split = kinesis.split_shard().stream_name(STREAM).shard_to_split(&shards[1].shard_id);
        split.new_starting_hash_key(middle.to_string()).send().await.unwrap();
        self.until_active().await;
        let merge = kinesis.merge_shards().stream_name(STREAM);
        let merge = merge.shard_to_merge(&shards[5].shard_id);
        merge.adjacent_shard_to_merge(&shards[6].shard_id).send().await.unwrap();
        self.until_active().await;
    }

    async fn until_active(&self) {
        let since = Instant::now();
        loop {
            let request = self.clients.kinesis.describe_stream_summary().stream_name(STREAM);
            let summary = request.send().await.unwrap().stream_description_summary.unwrap();
            if summary.stream_status == aws_sdk_kinesis::types::StreamStatus::Active {
                return;
            }
            assert!(since.elapsed() < NEVER, "the stream does not become active");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn until(&self, what: &str, holds: impl Fn(&[Lease]) -> bool) {
        let since = Instant::now();
        loop {
            let rows = self.leases.list().await.unwrap();
            if holds(&rows) {
                return;
            }
            assert!(since.elapsed() < NEVER, "{what}: never; {rows:#?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Stops all that run, then lets one more worker read the rest.
    fn drain(&mut self) {
        let workers = std::mem::take(&mut self.workers);
        workers.values().for_each(|worker| worker.signal("TERM"));
        workers.into_values().for_each(Running::ends_well);
        let (_, program) = self.worker();
        // Alone with everything that is left, it need not prove its life every few seconds.
        let program = program.args(&["--set", "fleet.failover_ms=24000"]);
        program.arg("--until-drained").start().ends_well();
    }

    fn rows(&self) -> PathBuf {
        let rows = self.dir.join("rows.csv");
        let program = Program::new(&["rows", "--endpoint-url", &self.url, "--out"]).arg(&rows);
        drop(program.run_to_end());
        rows
    }

    /// Read, accepted, duplicate and rejected, with every rejected record in its file.
    fn account(&self) -> logs::Account {
        let judged = Program::new(&["check-trace"]).args(&self.logs()).run_to_end();
        println!("{judged}");
        let account = logs::account(&self.logs());
        let kept: usize = files(&self.dir.join("rejects"))
            .iter()
            .map(|path| std::fs::read_to_string(path).unwrap().lines().count())
            .sum();
        assert_eq!(kept as u64, account[3], "E6: rejected records that were kept");
        account
    }
}

fn owned(rows: &[Lease], worker: &str) -> usize {
    let owner = |row: &&Lease| row.owner.as_ref().is_some_and(|owner| owner.as_str() == worker);
    rows.iter().filter(|row| !row.is_finished()).filter(owner).count()
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// Returns all files below a folder.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let (mut all, mut open) = (vec![], vec![dir.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { all.push(path) }
        }
    }
    all
}
