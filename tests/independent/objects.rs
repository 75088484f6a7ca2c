//! The archive in S3: written by a worker, read by `replay` and `audit`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use futures::TryStreamExt as _;
use ivs_processor::cloud::store_url::StoreUrl;
use ivs_processor::config::Aws;
use object_store::{ObjectMeta, ObjectStoreExt as _};

use crate::emulators::Emulator;
use crate::process::{Program, state};
use crate::write_half;

const ARCHIVE: &str = "s3://archive/ivs";

/// Kinesis and DynamoDB of our own, S3 of others.
struct Site {
    url: String,
    ministack: Emulator,
}

impl Site {
    fn at(&self) -> Vec<String> {
        let settings = [
            format!("aws.endpoint_url={}", self.url),
            format!("aws.s3_endpoint_url={}", self.ministack.url),
            "tables.writes_per_s=0".to_owned(),
        ];
        settings.into_iter().flat_map(|setting| ["--set".to_owned(), setting]).collect()
    }

    fn program(&self, args: &[&str]) -> Program {
        Program::new(args).args(&self.at())
    }

    fn rows(&self, out: &Path, sources: &[&str]) -> Vec<u8> {
        self.program(&["replay", "--threads", "2"])
            .args(sources)
            .arg("--rows-out")
            .arg(out)
            .run_to_end();
        std::fs::read(out).unwrap()
    }

    fn store(&self, url: &str) -> StoreUrl {
        let s3_endpoint_url = self.ministack.url.clone();
        StoreUrl::open(url, &Aws { s3_endpoint_url, ..Aws::default() }).unwrap()
    }
}

/// Creates a bucket, as `aws s3 mb` does.
fn create_bucket(endpoint: &str, bucket: &str) {
    let host = endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "PUT /{bucket} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn an_archive_in_s3_gives_the_rows_that_a_folder_gives() {
    let dir = state();
    let half = write_half(dir.path(), 0);
    let expected = dir.path().join("expected.csv");
    Program::new(&["local", "--port", "0", "--state", ":memory:", "--rows-out"])
        .arg(&expected)
        .arg("--input")
        .arg(&half)
        .run_to_end();
    let expected = std::fs::read(expected).unwrap();

    let endpoint =
        Program::new(&["local", "--endpoint-only", "--port", "0", "--state", ":memory:"]).start();
    let (url, _endpoint) = endpoint.wait_for_ready();
    let site = Site { url, ministack: Emulator::ministack(dir.path()) };
    create_bucket(&site.ministack.url, "archive");
    site.program(&["generate"]).arg("--input").arg(&half).run_to_end();
    site.program(&["worker", "--until-drained"])
        .args(&["--set", "epoch.interval_ms=1000"])
        .args(&["--set", "stream.shard_budget=false", "--set", "stream.poll_interval_ms=100"])
        .args(&["--set", "objects.rejects=s3://archive/rejects"])
        .args(&["--set", &format!("objects.archive={ARCHIVE}")])
        .run_to_end();

    let out = dir.path().join("rows.csv");
    assert_eq!(site.rows(&out, &[ARCHIVE]), expected);
    let (code, text, error) = site.program(&["audit", ARCHIVE]).end();
    assert_eq!(code, 0, "{text}{error}");

    // The same bytes in a folder, and an object of others beside the archive.
    let objects = segments(&site).await;
    let folder = dir.path().join("copy");
    for (meta, bytes) in &objects {
        let path = folder.join(meta.location.as_ref());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    assert_eq!(site.rows(&out, &[folder.to_str().unwrap()]), expected);
    let text = std::fs::read(&half).unwrap();
    let foreign = "s3://archive/of others/part 1.ndjson.zst";
    let store = site.store("s3://archive");
    let path = object_store::path::Path::from("of others/part 1.ndjson.zst");
    store.store().put(&path, zstd::encode_all(&text[..], 3).unwrap().into()).await.unwrap();
    let by_folder = site.rows(&out, &["s3://archive/of others"]);
    assert_eq!(by_folder, site.rows(&out, &[foreign]), "one object by its name");
    assert_eq!(by_folder, site.rows(&out, &[half.to_str().unwrap()]));

    broken(&site, &objects, &out).await;
}

/// Returns every segment with its bytes, the largest first.
async fn segments(site: &Site) -> Vec<(ObjectMeta, Vec<u8>)> {
    let archive = site.store(ARCHIVE);
    let (store, prefix) = (archive.store(), archive.prefix());
    let mut found = Vec::new();
    let listed: Vec<ObjectMeta> = store.list(Some(prefix)).try_collect().await.unwrap();
    for meta in listed {
        let bytes = store.get(&meta.location).await.unwrap().bytes().await.unwrap();
        found.push((meta, bytes.to_vec()));
    }
    found.sort_by_key(|(meta, _)| std::cmp::Reverse(meta.size));
    assert!(found.len() >= 2, "{} segments", found.len());
    found
}

/// A truncated segment is named with where; the rest is read. So is what is not there.
async fn broken(site: &Site, objects: &[(ObjectMeta, Vec<u8>)], out: &Path) {
    let (meta, bytes) = &objects[0];
    let half = bytes.len() / 2;
    let store = site.store(ARCHIVE);
    store.store().put(&meta.location, bytes[..half].to_vec().into()).await.unwrap();
    let (code, _, error) = site.program(&["replay", ARCHIVE]).arg("--rows-out").arg(out).end();
    assert_eq!(code, 1, "{error}");
    let named = format!("s3://archive/{} is damaged at byte {half} ", meta.location);
    assert!(error.contains(&named), "{named:?} is not in:\n{error}");
    assert!(std::fs::read_to_string(out).unwrap().lines().count() > 1, "the rest is processed");
    for (source, said) in [
        ("s3://archive/nothing", "holds nothing that can be read"),
        ("s3://no-such-bucket/a", "no-such-bucket"),
    ] {
        let (code, error) = site.program(&["replay", source]).arg("--rows-out").arg(out).fails();
        assert_eq!(code, 66, "there is no input: {error}");
        assert!(error.contains(said), "{error}");
    }
}
