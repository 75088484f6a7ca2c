//! Pages as Chromium shows them: charts and figures are there, wide and narrow, light and dark. Of a
//! report here, of what is live in `live`. `CHROMIUM` names the program where it is not on the path.

#![allow(clippy::disallowed_methods, reason = "tests and benches measure for themselves")]
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

#[path = "../e2e/process.rs"]
#[expect(dead_code, reason = "other tests also kill the program")]
mod process;

mod cmcd;
mod devtools;
mod live;

use std::fmt::Write as _;
use std::path::Path;

use process::{Program, state};
use serde_json::{Value, json};

const MEASURE: &str = include_str!("measure.html");
/// A desktop and a small telephone, CSS pixels.
const WIDTHS: [u32; 2] = [1_280, 360];
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

fn chromium() -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    let named = std::env::var("CHROMIUM").ok();
    named.or_else(|| NAMES.into_iter().find(|name| is_there(name)).map(str::to_owned)).expect(
        "Chromium is needed: `apt-get install chromium` on Debian, or set CHROMIUM to the program",
    )
}

/// Three evenings of a channel, with viewers, players, chat, and a title that is hostile.
fn evenings() -> String {
    let mut lines = String::new();
    let mut add = |line: Value| writeln!(lines, "{line}").unwrap();
    for day in 1..=3 {
        let session = format!("st-{day}");
        let time =
            |minute: i64| format!("2026-03-0{day}T{}:{:02}:07Z", 19 + minute / 60, minute % 60);
        let event = |kind: &str, minute: i64, mut event: Value| {
            event["eventType"] = kind.into();
            event["eventId"] = format!("{kind}-{day}-{minute}").into();
            event["sessionId"] = session.clone().into();
            event["channelId"] = "ch-1".into();
            event["timestamp"] = time(minute).into();
            event
        };
        let title = "<script>document.title = 'x'</script> 夜の配信 & a title that is rather long";
        add(event("stream_start", 30, json!({ "streamTitle": title })));
        for minute in 30..240 {
            let viewers = 1_000 + minute * 7 % 400 + 100 * day;
            add(event(
                "metrics_update",
                minute,
                json!({
                    "currentViewers": viewers, "bitrate": 4_500_000 + 1_000 * minute,
                    "frameRate": 59.94, "chatMessagesPerMinute": minute % 40,
                }),
            ));
            add(json!({
                "type": "player_telemetry", "schemaVersion": 1, "sessionId": session,
                "channelId": "ch-1", "eventId": format!("p-{day}-{minute}"),
                "playerId": format!("player-{}", minute % 60), "timestamp": time(minute),
                "state": "PLAYING", "bitrate": 4_000_000, "playingMs": 58_000,
                "bufferingMs": 10 * minute, "latencyMs": 2_000 + minute, "startupMs": 900,
            }));
        }
        add(event("stream_end", 240, json!({})));
    }
    lines
}

/// Returns what a browser shows of the page at a width, measured.
fn measure(folder: &Path, width: u32, is_dark: bool) -> Value {
    let wrapper = folder.join("measure.html");
    std::fs::write(&wrapper, MEASURE.replace("WIDTH", &width.to_string())).unwrap();
    let mut browser = Program::of(chromium())
        // Chromium's own sandbox needs what containers do not give; the page is ours.
        .args(&["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(&["--allow-file-access-from-files", "--hide-scrollbars", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()));
    if is_dark {
        browser = browser.arg("--force-dark-mode");
    }
    let dom = browser.arg(format!("file://{}", wrapper.display())).run_to_end();
    let (_, rest) = dom.split_once("<pre id=\"measures\">").unwrap();
    let (text, _) = rest.split_once("</pre>").unwrap();
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: nothing measured: {text}"))
}

/// Returns how many sheets the page takes on paper.
fn printed_pages(folder: &Path) -> usize {
    let (page, pdf) = (folder.join("page.html"), folder.join("page.pdf"));
    Program::of(chromium())
        .args(&["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(&["--no-pdf-header-footer"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("--print-to-pdf={}", pdf.display()))
        .arg(format!("file://{}", page.display()))
        .run_to_end();
    let bytes = std::fs::read(pdf).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let pages = text.matches("/Type /Page").count() - text.matches("/Type /Pages").count();
    assert!(pages >= 1, "no page in {} bytes", bytes.len());
    pages
}

/// `12,345`.
fn grouped(value: &Value) -> String {
    let digits = format!("{:.0}", value.as_f64().unwrap());
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().collect();
    String::from_utf8(groups.join(&b',')).unwrap()
}

fn figures_are_those_of(report: &Value, measured: &Value) {
    let hours = report["summary"]["viewerMinutes"].as_f64().unwrap() / 60.0;
    assert_eq!(measured["headline"], format!("{} h", grouped(&hours.round().into())));
    let tiles = &measured["tiles"];
    let (summary, players) = (&report["summary"], &report["playerExperience"]);
    for (label, wanted) in [
        ("Streams", grouped(&summary["totalSessions"])),
        ("Peak viewers", grouped(&summary["maxConcurrentViewers"])),
        ("Average viewers", grouped(&summary["avgViewers"])),
        ("Chat messages", grouped(&summary["totalChatMessages"])),
        ("Unique viewers", grouped(&players["uniquePlayers"])),
        ("Quality score", {
            let score = report["qualityMetrics"]["qualityScore"].as_f64().unwrap();
            format!("{score:.1} / 100")
        }),
        ("Playback errors", grouped(&players["playerErrors"])),
    ] {
        assert_eq!(tiles[label], wanted, "{label}");
    }
}

fn charts_can_be_read(measured: &Value, width: u32, count: usize) {
    let charts = measured["charts"].as_array().unwrap();
    assert_eq!(charts.len(), count);
    for chart in charts {
        let number = |name: &str| chart[name].as_f64().unwrap();
        assert!(number("width") > 250.0 && number("height") > 100.0, "{width}: {chart}");
        assert!(number("marks") >= 1.0, "{width}: nothing is drawn in {chart}");
        assert!(number("textHeight") >= 9.0, "{width}: too small to read: {chart}");
        assert_eq!((number("collisions"), number("outside")), (0.0, 0.0), "{width}: {chart}");
    }
}

#[test]
fn charts_and_figures_are_there_wide_and_narrow_light_and_dark() {
    let dir = state();
    std::fs::write(dir.path().join("evenings.ndjson"), evenings()).unwrap();
    let data = dir.path().join("state");
    let local = || Program::new(&["local", "--port", "0", "--state"]).arg(&data);
    local().arg("--input").arg(dir.path().join("evenings.ndjson")).run_to_end();
    let (url, _endpoint) = local().arg("--endpoint-only").start().wait_for_ready();
    for kind in ["daily", "weekly", "monthly"] {
        let report = |format: &str| {
            Program::new(&["report", kind, "--endpoint-url", &url, "--channel", "ch-1"])
                .args(&["--date", "2026-03-01", "--tz", "UTC", "--format", format])
                .run_to_end()
        };
        let json: Value = serde_json::from_str(&report("json")).unwrap();
        std::fs::write(dir.path().join("page.html"), report("html")).unwrap();
        let mut papers = Vec::new();
        for (width, is_dark) in WIDTHS.into_iter().flat_map(|w| [(w, false), (w, true)]) {
            let measured = measure(dir.path(), width, is_dark);
            figures_are_those_of(&json, &measured);
            // The hours of one day would be its first chart again.
            charts_can_be_read(&measured, width, if kind == "daily" { 5 } else { 6 });
            assert_eq!(measured["streamsTooWide"], false, "{kind}, {width}: streams are cut off");
            assert_eq!(measured["streamsHidden"], 0, "{kind}, {width}: a figure is not shown");
            assert!(measured["streams"].as_u64().unwrap() >= 1);
            assert_eq!(measured["cut"], 0, "{kind}, {width}: a figure is cut off");
            assert_eq!(measured["tooWide"], false, "{kind}, {width}: the page scrolls sideways");
            if width == WIDTHS[0] {
                assert_eq!(measured["tableTooWide"], false, "{kind}: a table is cut off");
            }
            assert_ne!(measured["ink"], measured["paper"]);
            papers.push(measured["paper"].clone());
        }
        if kind == "daily" {
            assert!(printed_pages(dir.path()) <= 2, "a day takes more than two sheets");
        }
        assert!(papers[0] == papers[2] && papers[1] == papers[3], "{papers:?}");
        assert_ne!(papers[0], papers[1], "dark is like light");
    }
}
