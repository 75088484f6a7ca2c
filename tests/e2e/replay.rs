//! `replay` and `audit`: an archive gives the rows of the online run, whatever happens to either.

mod eventbridge;
mod files;
mod parquet;

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use aws_sdk_dynamodb::types::AttributeValue;
use ivs_processor::cloud::{Clients, clients};
use ivs_processor::config::Aws;

use crate::golden::{EXPECTED, SAMPLE, compare};
use crate::process::{Program, Running, state};

type Item = HashMap<String, AttributeValue>;

/// An attribute that is none of ours.
const NOTE: &str = "reviewedBy";

/// Lines of the sample that are enough where each row costs several calls.
const PART_LINES: usize = 20_000;

/// Returns the lines of the sample.
fn sample() -> Vec<Vec<u8>> {
    let mut text = Vec::new();
    for path in SAMPLE {
        let file = std::fs::File::open(path).unwrap();
        zstd::Decoder::new(file).unwrap().read_to_end(&mut text).unwrap();
    }
    text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// Returns a part of the sample, as a file.
fn part(dir: &Path) -> PathBuf {
    let path = dir.join("part.ndjson");
    std::fs::write(&path, sample()[..PART_LINES].join(&b'\n')).unwrap();
    path
}

fn count(rows: &Path) -> usize {
    std::fs::read_to_string(rows).unwrap().lines().count() - 1
}

fn replay(args: &[&str]) -> Program {
    Program::new(&["replay"]).args(args)
}

/// The sample through the worker with an archive, in one endpoint; then everything that replay and
/// audit promise about it.
struct Online {
    dir: tempfile::TempDir,
    url: String,
    /// Lives as long.
    _endpoint: Running,
}

impl Online {
    fn run() -> Self {
        let dir = state();
        let endpoint = Program::new(&["local", "--endpoint-only", "--port", "0", "--state"])
            .arg(dir.path().join("state"))
            .start();
        let (url, endpoint) = endpoint.wait_for_ready();
        let online = Self { dir, url, _endpoint: endpoint };
        let part = part(online.dir.path());
        Program::new(&["generate"]).args(&online.at()).arg("--input").arg(part).run_to_end();
        Program::new(&["worker", "--until-drained", "--set", "epoch.interval_ms=2000"])
            .args(&online.at())
            .args(&["--set", "fleet.failover_ms=1500", "--set", "stream.poll_interval_ms=100"])
            .args(&["--set", "stream.shard_budget=false", "--set", "tables.writes_per_s=0"])
            .arg("--set")
            .arg(format!("objects.rejects=file://{}", online.dir.path().join("r").display()))
            .arg("--set")
            .arg(format!("objects.archive=file://{}", online.archive().display()))
            .run_to_end();
        online
    }

    fn at(&self) -> [&str; 4] {
        ["--endpoint-url", &self.url, "--set", "tables.writes_per_s=0"]
    }

    fn archive(&self) -> PathBuf {
        self.dir.path().join("archive")
    }

    fn rows(&self, name: &str) -> PathBuf {
        let rows = self.dir.path().join(name);
        Program::new(&["rows"]).args(&self.at()).arg("--out").arg(&rows).run_to_end();
        rows
    }

    fn replayed(&self, name: &str, threads: &str) -> PathBuf {
        let rows = self.dir.path().join(name);
        replay(&["--threads", threads])
            .arg(self.archive())
            .arg("--rows-out")
            .arg(&rows)
            .run_to_end();
        rows
    }

    fn audit(&self) -> (i32, String, String) {
        Program::new(&["audit"]).args(&self.at()).arg(self.archive()).end()
    }

    fn apply(&self) -> Program {
        replay(&["--apply"]).args(&self.at()).arg(self.archive())
    }

    async fn clients(&self) -> Clients {
        clients(&Aws { endpoint_url: self.url.clone(), ..Aws::default() }).await
    }

    /// Returns every segment, the largest first.
    fn segments(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        files(&self.archive(), &mut found);
        found.sort_by_key(|path| std::cmp::Reverse(path.metadata().unwrap().len()));
        found
    }
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in dir.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn same(left: &Path, right: &Path) -> bool {
    std::fs::read(left).unwrap() == std::fs::read(right).unwrap()
}

#[tokio::test]
async fn an_archive_gives_the_rows_of_the_online_run_and_audit_tells_what_was_done_to_them() {
    let online = Online::run();
    let table = online.rows("table.csv");
    assert!(same(&table, &online.replayed("one.csv", "1")), "one thread");
    assert!(same(&table, &online.replayed("three.csv", "3")), "three threads");

    let (code, out, error) = online.audit();
    assert_eq!(code, 0, "an untouched table:\n{out}{error}");
    let out = online.apply().run_to_end();
    assert!(out.contains("rows created               0"), "{out}");
    assert!(out.contains("rows replaced              0"), "{out}");
    assert!(out.contains("rows kept                  0"), "{out}");

    let dynamodb = online.clients().await.dynamodb;
    let noted = tamper(&dynamodb).await;
    let (code, out, error) = online.audit();
    assert_eq!(code, 1, "{out}{error}");
    for said in [
        "records: 1000000, expected ",
        "differing                 2",
        "missing                   2",
        "extra                     1",
    ] {
        assert!(out.contains(said), "{said:?} is not in:\n{out}");
    }
    let out = online.apply().run_to_end();
    assert!(out.contains("rows created               2"), "{out}");
    assert!(out.contains("rows replaced              2"), "{out}");
    notes_are_kept(&dynamodb, noted).await;
    // What is extra is reported, not deleted: a replay cannot know whose it is.
    // A note on a row that is right makes it no less right.
    let (code, out, _) = online.audit();
    assert!(out.contains("annotated                 2"), "{out}");
    assert_eq!(code, 1, "{out}");
    assert!(
        out.contains("differing                 0") && out.contains("extra                     1"),
        "{out}"
    );
    dynamodb
        .delete_item()
        .table_name("StreamingMetrics")
        .key("sessionId", AttributeValue::S("added-by-hand".into()))
        .key("metricTimestamp", AttributeValue::N("1748785620".into()))
        .send()
        .await
        .unwrap();
    assert_eq!(online.audit().0, 0);
    assert!(same(&table, &online.rows("repaired.csv")));
    ahead(&online, &dynamodb).await;
    broken(&online, count(&table));
}

/// Alters a metric row and a summary and notes something of an operator's on both, removes a metric
/// row and a timeline item, adds a row. Returns the altered ones.
async fn tamper(dynamodb: &aws_sdk_dynamodb::Client) -> [Item; 2] {
    let note = || AttributeValue::S("an operator".into());
    let scan = |table: &'static str| dynamodb.scan().table_name(table).limit(50).send();
    let rows = scan("StreamingMetrics").await.unwrap().items.unwrap();
    let mut altered = rows[0].clone();
    altered.insert("records".into(), AttributeValue::N("1000000".into()));
    altered.insert(NOTE.into(), note());
    let row = altered.clone();
    let mut added = rows[1].clone();
    added.insert("sessionId".into(), AttributeValue::S("added-by-hand".into()));
    added.insert("metricTimestamp".into(), AttributeValue::N("1748785620".into()));
    for item in [altered, added] {
        dynamodb
            .put_item()
            .table_name("StreamingMetrics")
            .set_item(Some(item))
            .send()
            .await
            .unwrap();
    }
    dynamodb
        .delete_item()
        .table_name("StreamingMetrics")
        .key("sessionId", rows[2]["sessionId"].clone())
        .key("metricTimestamp", rows[2]["metricTimestamp"].clone())
        .send()
        .await
        .unwrap();
    let sessions = scan("StreamingSessions").await.unwrap().items.unwrap();
    let summary = sessions.iter().find(|item| item["timestamp"].as_n().unwrap() == "0").unwrap();
    let mut altered = summary.clone();
    altered.insert("status".into(), AttributeValue::S("perfect".into()));
    altered.insert(NOTE.into(), note());
    let put = dynamodb.put_item().table_name("StreamingSessions");
    put.set_item(Some(altered.clone())).send().await.unwrap();
    let is_fact = |item: &&Item| item["timestamp"].as_n().unwrap().parse::<f64>().unwrap() > 1.0;
    let fact = sessions.iter().find(is_fact).unwrap();
    dynamodb
        .delete_item()
        .table_name("StreamingSessions")
        .key("sessionId", fact["sessionId"].clone())
        .key("timestamp", fact["timestamp"].clone())
        .send()
        .await
        .unwrap();
    [row, altered]
}

/// Checks that the notes have outlived the repair of their rows.
async fn notes_are_kept(dynamodb: &aws_sdk_dynamodb::Client, [row, summary]: [Item; 2]) {
    for (table, sort, item) in
        [("StreamingMetrics", "metricTimestamp", row), ("StreamingSessions", "timestamp", summary)]
    {
        let key = ["sessionId", sort].map(|name| (name.to_owned(), item[name].clone()));
        let get = dynamodb.get_item().table_name(table).set_key(Some(key.into()));
        let stored = get.send().await.unwrap().item.unwrap();
        assert!(stored.contains_key(NOTE), "the note is gone: {stored:?}");
    }
}

/// A row that holds more than the archive is neither judged nor replaced.
async fn ahead(online: &Online, dynamodb: &aws_sdk_dynamodb::Client) {
    let row = dynamodb.scan().table_name("StreamingMetrics").limit(1).send().await.unwrap();
    let right = row.items.unwrap().remove(0);
    let mut row = right.clone();
    let applied = ivs_core::row::applied::from_bytes(row["applied"].as_b().unwrap().as_ref());
    let far = || AttributeValue::S("9".repeat(56));
    // As an earlier release wrote it.
    let applied = applied.unwrap().into_keys().map(|shard| (shard.as_str().to_owned(), far()));
    row.insert("applied".into(), AttributeValue::M(applied.collect()));
    row.insert("records".into(), AttributeValue::N("1000000".into()));
    dynamodb.put_item().table_name("StreamingMetrics").set_item(Some(row)).send().await.unwrap();
    let (code, out, _) = online.audit();
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("not judged                1"), "{out}");
    let out = online.apply().run_to_end();
    assert!(out.contains("rows kept                  1"), "{out}");
    dynamodb.put_item().table_name("StreamingMetrics").set_item(Some(right)).send().await.unwrap();
}

/// A truncated and a corrupt segment are named, with where; the rest is processed.
fn broken(online: &Online, whole: usize) {
    let segments = online.segments();
    let (cut, bent) = (&segments[0], &segments[1]);
    let bytes = std::fs::read(cut).unwrap();
    std::fs::write(cut, &bytes[..bytes.len() / 2]).unwrap();
    let mut bytes = std::fs::read(bent).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0x55);
    std::fs::write(bent, bytes).unwrap();
    let rows = online.dir.path().join("broken.csv");
    let (code, error) = replay(&["--rows-out"]).arg(&rows).arg(online.archive()).fails();
    assert_eq!(code, 1);
    for path in [cut, bent] {
        let name = path.file_name().unwrap().to_str().unwrap();
        let line = error.lines().find(|line| line.contains(name)).expect("it is named");
        assert!(line.contains("is damaged at byte "), "{line}");
    }
    let written = count(&rows);
    assert!((whole / 4..whole).contains(&written), "{written} rows of {whole}");
    // Nothing in the table is replaced by what is left, and audit says that it cannot be sure.
    let (code, out, error) = online.apply().end();
    assert_eq!(code, 1, "{out}{error}");
    assert!(out.contains("rows replaced              0"), "{out}");
    let (code, out, error) = online.audit();
    assert_eq!(code, 2, "{out}{error}");
}

#[tokio::test]
async fn killing_a_replay_in_the_middle_and_running_it_again_gives_the_same_rows() {
    let dir = state();
    let endpoint =
        Program::new(&["local", "--endpoint-only", "--port", "0", "--state", ":memory:"]).start();
    let (url, _endpoint) = endpoint.wait_for_ready();
    let part = part(dir.path());
    let apply = |args: &[&str]| {
        replay(&["--apply", "--json", "--endpoint-url", &url]).args(args).arg(&part)
    };
    let rows = |name: &str| {
        let path = dir.path().join(name);
        Program::new(&["rows", "--endpoint-url", &url, "--out"]).arg(&path).run_to_end();
        path
    };
    let mut running = apply(&["--set", "tables.writes_per_s=300"]).start();
    running.wait_for(|line| line.contains("\"rows\":") && !line.contains("\"rows\":0"));
    running.kill_9();
    let written = count(&rows("half.csv"));
    let free = ["--set", "tables.writes_per_s=0"];
    apply(&free).run_to_end();
    let whole = dir.path().join("file.csv");
    replay(&["--rows-out"]).arg(&whole).arg(&part).run_to_end();
    assert!(same(&whole, &rows("whole.csv")));
    assert!((1..count(&whole)).contains(&written), "{written} rows when it was killed");
    let out = apply(&free).run_to_end();
    assert!(out.contains("\"created\":0") && out.contains("\"replaced\":0"), "{out}");
    assert!(same(&rows("whole.csv"), &rows("again.csv")));
    live_data_is_left_alone(&dir, &url).await;
}

/// The same objects under other names are other data: rows that hold the first are not touched.
async fn live_data_is_left_alone(dir: &tempfile::TempDir, url: &str) {
    let copy = dir.path().join("copy.ndjson.zst");
    let text = sample()[..PART_LINES].join(&b'\n');
    std::fs::write(&copy, zstd::encode_all(&text[..], 3).unwrap()).unwrap();
    let out =
        replay(&["--apply", "--json", "--endpoint-url", url, "--set", "tables.writes_per_s=0"])
            .arg(&copy)
            .run_to_end();
    assert!(out.contains("\"created\":0") && out.contains("\"replaced\":0"), "{out}");
    assert!(out.contains("\"same\":0"), "{out}");
}

#[test]
fn the_sample_replays_to_the_expected_rows_with_any_number_of_threads() {
    let dir = state();
    let rows = |name: &str, args: &[&str]| {
        let path = dir.path().join(name);
        let out = replay(args).args(SAMPLE).arg("--rows-out").arg(&path).run_to_end();
        for said in
            ["read          200000", "duplicate             1963", "rejected                20"]
        {
            assert!(out.contains(said), "{said:?} is not in:\n{out}");
        }
        path
    };
    let one = rows("1.csv", &["--threads", "1"]);
    compare(&one, EXPECTED);
    for threads in ["2", "5"] {
        assert!(same(&one, &rows("n.csv", &["--threads", threads])), "{threads} threads");
    }
    let plain = dir.path().join("sample.ndjson");
    std::fs::write(&plain, sample().join(&b'\n')).unwrap();
    let cut = dir.path().join("cut.csv");
    replay(&["--threads", "3", "--rows-out"]).arg(&cut).arg(&plain).run_to_end();
    assert!(same(&one, &cut), "one plain file, cut for three threads");
    let rejects = dir.path().join("rejects.ndjson");
    rows("r.ndjson", &["--rejects-out", rejects.to_str().unwrap()]);
    let kept = std::fs::read_to_string(&rejects).unwrap();
    assert_eq!(kept.lines().count(), 20);
    let first: serde_json::Value = serde_json::from_str(kept.lines().next().unwrap()).unwrap();
    assert!(first["object"].as_str().unwrap().contains("part-0000"), "{first}");
    let row = std::fs::read_to_string(dir.path().join("r.ndjson")).unwrap();
    let row: serde_json::Value = serde_json::from_str(row.lines().next().unwrap()).unwrap();
    assert_eq!((&row["records"], &row["player_records"]), (&2.into(), &1.into()));
}

/// Plain, gzip in several members, without newlines, in objects out of order: the same rows.
#[test]
fn whatever_the_form_of_the_objects_the_rows_are_the_same() {
    let dir = state();
    let mut lines = sample();
    // Lines that are cut cannot stand beside others without a newline.
    lines.retain(|line| serde_json::from_slice::<serde_json::Value>(line).is_ok());
    lines.truncate(60_000);
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let rows = |paths: &[PathBuf], name: &str, threads: &str| {
        let out = dir.path().join(name);
        replay(&["--threads", threads, "--rows-out"]).arg(&out).args(paths).run_to_end();
        out
    };
    let text = lines.join(&b'\n');
    let plain = rows(&[write("plain.ndjson", &text)], "plain.csv", "1");
    let mut members = Vec::new();
    for part in text.chunks(1 << 20) {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(part).unwrap();
        members.extend(encoder.finish().unwrap());
    }
    assert!(same(&plain, &rows(&[write("members.ndjson.gz", &members)], "gzip.csv", "1")));
    let parts: Vec<PathBuf> = lines
        .chunks(9_000)
        .enumerate()
        .map(|(index, part)| write(&format!("firehose-{index}"), &part.concat()))
        .collect();
    assert!(same(&plain, &rows(&parts, "firehose.csv", "3")), "objects side by side, ranges");
    // Out of order nothing is looked for far back, but the number of threads changes nothing.
    let mut mixed = parts;
    mixed.reverse();
    let one = rows(&mixed, "mixed1.csv", "1");
    assert!(same(&one, &rows(&mixed, "mixed3.csv", "3")));
}

/// A stream gives the rows of the records that it still holds.
#[test]
fn a_stream_gives_the_same_rows_as_its_file() {
    let dir = state();
    let endpoint =
        Program::new(&["local", "--endpoint-only", "--port", "0", "--state", ":memory:"]).start();
    let (url, _endpoint) = endpoint.wait_for_ready();
    let at = ["--endpoint-url", url.as_str()];
    Program::new(&["generate"]).args(&at).arg("--input").args(SAMPLE).run_to_end();
    let rows = dir.path().join("rows.csv");
    replay(&at).args(&["kinesis:ivs-events", "--rows-out"]).arg(&rows).run_to_end();
    compare(&rows, EXPECTED);
    let none = dir.path().join("none.csv");
    replay(&at)
        .args(&["kinesis:ivs-events", "--to", "2001-01-01T00:00:00Z", "--rows-out"])
        .arg(&none)
        .run_to_end();
    assert_eq!(std::fs::read_to_string(&none).unwrap().lines().count(), 1);
    let (code, error) = replay(&at).args(&["kinesis:ivs-events", "--apply"]).fails();
    assert_eq!(code, 1);
    assert!(error.contains("inside epochs"), "{error}");
}

/// A useless source must not look like a success.
#[test]
fn a_source_without_use_is_told_by_the_exit_code() {
    let dir = state();
    let rows = dir.path().join("rows.csv");
    let noise: Vec<u8> =
        (0..20_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let file = dir.path().join("noise");
    std::fs::write(&file, noise).unwrap();
    let (code, error) = replay(&["--rows-out"]).arg(&rows).arg(&file).fails();
    assert_eq!(code, 65, "{error}");
    assert!(error.contains("were rejected") && error.contains("--allow-rejects"), "{error}");
    replay(&["--allow-rejects", "--rows-out"]).arg(&rows).arg(&file).run_to_end();
    let local = || Program::new(&["local", "--port", "0", "--state", ":memory:"]);
    let (code, error) = local().arg("--input").arg(&file).fails();
    assert_eq!(code, 65, "{error}");
    let (code, error) = replay(&["--from", "2026-03-02T00:00:00Z", "--to", "2026-03-01T00:00:00Z"])
        .args(&["kinesis:ivs-events", "--endpoint-url", "http://127.0.0.1:1", "--rows-out"])
        .arg(&rows)
        .fails();
    assert_eq!(code, 65, "{error}");
    assert!(error.contains("--from is not before --to"), "{error}");
}
