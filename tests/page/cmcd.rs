//! hls.js plays a stream in Chromium and reports CMCD to `local`, by configuration alone: its view is
//! in the rows.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use crate::chromium;
use crate::devtools::Tab;
use crate::process::{PATIENCE, Program, state};

/// The libraries that `make page` installs.
const HLS_JS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../target/players/node_modules/hls.js/dist/hls.min.js");

const PAGE: &str = r#"<!doctype html><title>Player</title><video muted></video>
<script src="/hls.js"></script>
<script>
const video = document.querySelector('video');
const hls = new Hls({ cmcd: {
  version: 2, sessionId: 'view-1', contentId: 'ch-hls/st-hls',
  eventTargets: [{ url: 'ENDPOINT/cmcd', events: ['ps', 'bc', 'e', 't'], interval: 1, batchSize: 1 }],
} });
hls.loadSource('/stream.m3u8');
hls.attachMedia(video);
video.play();
</script>"#;

const STREAM: &str =
    "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS=\"mp4a.40.2\"\nlevel.m3u8\n";

const LEVEL: &str = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.997,\n0.aac\n\
                     #EXTINF:1.997,\n1.aac\n#EXTINF:1.997,\n2.aac\n#EXT-X-ENDLIST\n";

/// Frames of a segment: 1,024 samples each at 44,100 Hz, so 1.997 s.
const FRAMES: usize = 86;

/// Silence in stereo, AAC-LC, with its ADTS header: 44,100 Hz, two channels, 16 bytes in all.
const FRAME: [u8; 16] = [
    0xff, 0xf1, 0x50, 0x80, 0x02, 0x1f, 0xfc, 0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80,
];

/// Serves the page and its stream until the test ends; returns its address.
fn serve(page: String, player: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for request in listener.incoming() {
            // A browser that hangs up has what it wanted.
            drop(answer(request.unwrap(), &page, &player));
        }
    });
    address
}

fn answer(stream: TcpStream, page: &str, player: &[u8]) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let segment = FRAME.repeat(FRAMES);
    let (kind, body): (&str, &[u8]) = match path {
        "/" => ("text/html", page.as_bytes()),
        "/hls.js" => ("text/javascript", player),
        "/stream.m3u8" => ("application/vnd.apple.mpegurl", STREAM.as_bytes()),
        "/level.m3u8" => ("application/vnd.apple.mpegurl", LEVEL.as_bytes()),
        path if path.ends_with(".aac") => ("audio/aac", &segment),
        _ => ("text/plain", b""),
    };
    let mut stream = reader.into_inner();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    )?;
    stream.write_all(body)
}

/// Returns the rows of the session that its endpoint holds.
fn rows(endpoint: &str, folder: &Path) -> Vec<Value> {
    let file = folder.join("rows.ndjson");
    Program::new(&["rows", "--session", "st-hls", "--endpoint-url", endpoint, "--out"])
        .arg(&file)
        .run_to_end();
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_view_of_hls_js_is_in_the_rows() {
    let dir = state();
    let player = std::fs::read(HLS_JS).expect("hls.js is needed: `make page` installs it");
    let mut local = Program::new(&["local", "--state", ":memory:", "--port", "0", "--shards", "2"])
        .args(&["--page-port", "0", "--channels", "1", "--viewers", "1"])
        .start();
    let endpoint = RefCell::new(String::new());
    local.wait_for(|line| {
        let address = line.strip_prefix("embedded AWS").map(str::trim);
        address.map(|address| address.clone_into(&mut endpoint.borrow_mut())).is_some()
    });
    let endpoint = endpoint.into_inner();
    let page = serve(PAGE.replace("ENDPOINT", &endpoint), player);
    let mut tab = Tab::open(chromium(), &dir.path().join("profile"));
    tab.ask("Page.navigate", serde_json::json!({ "url": page }));
    tab.wait_until("document.querySelector('video')?.ended");
    assert_eq!(tab.complaints, Vec::<String>::new());

    let started = Instant::now();
    let sum = |rows: &[Value], column: &str| -> u64 {
        rows.iter().filter_map(|row| row[column].as_u64()).sum()
    };
    let rows = loop {
        let rows = rows(&endpoint, dir.path());
        if sum(&rows, "views_ended") > 0 {
            break rows;
        }
        assert!(started.elapsed() < PATIENCE, "the view does not end in the rows: {rows:?}");
        std::thread::sleep(std::time::Duration::from_millis(500));
    };
    assert_eq!(sum(&rows, "views_ended"), 1, "{rows:?}");
    // Reports of a state, of every second of six, and of the bitrate.
    assert!(sum(&rows, "player_records") >= 8, "{rows:?}");
    for row in &rows {
        assert_eq!(row["channel_id"], "ch-hls");
        assert_eq!(row["players"], 1, "{row}");
    }
    let playing: Vec<_> = rows.iter().filter(|row| !row["concurrent_views"].is_null()).collect();
    assert!(playing.iter().any(|row| row["concurrent_views"] == 1), "{rows:?}");
    assert!(rows.iter().any(|row| row["player_bitrate_max_bps"] == 64_000), "{rows:?}");
}
