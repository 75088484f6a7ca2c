//! The commands that look at what was stored, and how every command ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process::{Program, state};

/// Returns two sessions of two channels; the second was heard of last in March and never ended.
fn records() -> String {
    let mut lines = String::new();
    let mut add = |session: &str, channel: &str, kind: &str, time: &str, mut event: Value| {
        event["eventType"] = kind.into();
        event["sessionId"] = session.into();
        event["channelId"] = channel.into();
        event["timestamp"] = time.into();
        lines.push_str(&format!("{event}\n"));
    };
    let title = json!({ "streamTitle": "a \u{1b}[31mred title" });
    add("st-1", "ch-1", "stream_start", "2026-03-01T20:00:00Z", title);
    add("st-1", "ch-1", "metrics_update", "2026-03-01T20:01:00Z", json!({ "currentViewers": 7 }));
    add("st-1", "ch-1", "metrics_update", "2026-03-01T20:02:00Z", json!({ "currentViewers": 9 }));
    add("st-1", "ch-1", "stream_end", "2026-03-01T20:05:00Z", json!({}));
    add("=1+1", "ch-2", "stream_start", "2026-03-02T20:00:00Z", json!({}));
    add("=1+1", "ch-2", "metrics_update", "2026-03-02T20:01:00Z", json!({ "currentViewers": 1 }));
    lines
}

#[test]
fn what_is_stored_can_be_looked_at_and_every_command_ends_with_a_code_that_means_something() {
    let dir = state();
    std::fs::write(dir.path().join("records.ndjson"), records()).unwrap();
    let data = dir.path().join("state");
    let local = || Program::new(&["local", "--port", "0", "--state"]).arg(&data);
    let parquet = dir.path().join("rows.parquet");
    let input = dir.path().join("records.ndjson");
    local().arg("--input").arg(&input).arg("--rows-out").arg(&parquet).run_to_end();
    assert_eq!(&std::fs::read(&parquet).unwrap()[..4], b"PAR1", "the name says the format");

    let (url, _endpoint) = local().arg("--endpoint-only").start().wait_for_ready();
    let at = |args: &[&str]| Program::new(args).args(&["--endpoint-url", &url]);
    let json = |args: &[&str]| -> Value {
        serde_json::from_str(&at(args).arg("--json").run_to_end()).unwrap()
    };
    let channels = json(&["channels", "list"]);
    assert_eq!(channels[0]["channelId"], "ch-2", "the latest first: {channels}");
    let sessions = json(&["sessions", "list"]);
    assert_eq!((&sessions[0]["status"], &sessions[1]["status"]), (&json!("lost"), &json!("ended")));
    let one = json(&["sessions", "list", "--channel", "arn:aws:ivs:us-east-1:1:channel/ch-1"]);
    assert_eq!((one.as_array().unwrap().len(), one[0]["peakViewers"].as_f64()), (1, Some(9.0)));
    let shown = json(&["sessions", "show", "st-1"]);
    assert_eq!(shown["summary"]["duration"], 300, "{shown}");
    assert_eq!(shown["timeline"][1]["eventType"], "stream_end", "{shown}");
    for table in [&["sessions", "list"][..], &["sessions", "show", "st-1"]] {
        let text = at(table).run_to_end();
        assert!(text.contains("red title") && !text.contains('\u{1b}'), "{text:?}");
    }

    let rows = |args: &[&str]| at(&["rows"]).args(args).run_to_end();
    assert_eq!(rows(&[]).lines().count(), 4, "a header and three rows");
    assert!(rows(&["--out", "-"]).contains("\"'=1+1\","), "no formula");
    assert_eq!(rows(&["--session", "st-1"]).lines().count(), 3);
    assert_eq!(rows(&["--channel", "ch-2"]).lines().count(), 2);
    let minute = ["--from", "2026-03-01T20:02:00Z", "--to", "2026-03-02"];
    assert_eq!(rows(&minute).lines().count(), 2);
    let ndjson = dir.path().join("rows.ndjson");
    at(&["rows", "--channel", "ch-1"]).arg("--out").arg(&ndjson).run_to_end();
    let text = std::fs::read_to_string(&ndjson).unwrap();
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["viewers_last"], 7, "{text}");

    for (args, code, words) in [
        (&["sessions", "show", "nobody"][..], 65, "no session `nobody`"),
        (&["report", "daily", "--channel", "nobody"], 65, "nothing was ever recorded"),
        (&["report", "daily", "--channel", "ch-1", "--date", "soon"], 64, "2026-03-01"),
        (&["rows", "--from", "tomorrow"], 64, "expected a time such as"),
        (&["rows", "--out", "rows.txt"], 64, ".csv, .ndjson or .parquet"),
        (&["rows", "--from", "2026-03-02", "--to", "2026-03-02"], 64, "nothing can be found"),
        (&["rows", "--explain", "nobody"], 65, "no row of session `nobody`"),
        (&["rows", "--set", "tables.metrics=none"], 1, "cannot read table none: it is not there"),
        (&["rows", "--set", "epoch.interval_ms=soon"], 64, "is not a whole number"),
        (
            &["generate", "--for", "1s", "--set", "stream.name=none"],
            1,
            "check its name and the region",
        ),
    ] {
        let (found, error) = at(args).fails();
        assert_eq!(found, code, "{args:?}: {error}");
        assert!(error.contains(words), "{args:?}: {error}");
    }
    let (_, error) = at(&["sessions", "show", "nobody", "--log-json"]).fails();
    let last: Value = serde_json::from_str(error.lines().last().unwrap()).unwrap();
    assert_eq!((&last["level"], &last["fields"]["exitCode"]), (&json!("ERROR"), &json!(65)));
    let (code, error) = Program::new(&["rows", "--endpoint-url", "http://127.0.0.1:1"]).fails();
    assert!(code == 69 && error.contains("no connection"), "{code}: {error}");
    let (code, error) = Program::new(&["status", "--endpoint-url", "http://127.0.0.1:1"]).fails();
    assert!(
        code == 69 && error.ends_with("no connection: Connection refused\n"),
        "{code}: {error}"
    );
    let (code, error) = Program::new(&["status", "--worker", "http://127.0.0.1:1"]).fails();
    assert!(code == 69 && error.contains("ops.listen"), "{code}: {error}");
}

#[test]
fn every_answer_comes_as_json_too() {
    let dir = state();
    let input = dir.path().join("records.ndjson");
    std::fs::write(&input, records()).unwrap();
    let data = dir.path().join("state");
    let local = || Program::new(&["local", "--port", "0", "--state"]).arg(&data);
    let told = local().arg("--json").arg("--input").arg(&input).run_to_end();
    let summary: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!((&summary["read"], &summary["rejected"]), (&json!(6), &json!(0)), "{told}");
    assert!(!told.contains("summary of this run"), "{told}");

    let (url, _endpoint) = local().arg("--endpoint-only").start().wait_for_ready();
    let at = |args: &[&str]| Program::new(args).args(&["--endpoint-url", &url]);
    let explained = at(&["rows", "--explain", "st-1", "--json"]).run_to_end();
    let explained: Value = serde_json::from_str(&explained).unwrap();
    assert_eq!(explained.as_array().unwrap().len(), 3, "a summary and two minutes: {explained}");
    let first = &explained[0];
    assert_eq!(first["table"], "StreamingSessions", "{first}");
    assert!(!first["shards"].as_object().unwrap().is_empty(), "{first}");
    let rows = at(&["rows", "--session", "st-1", "--json"]).run_to_end();
    let sessions: Vec<Value> = rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert!(sessions.len() == 2 && sessions[0]["session_id"] == "st-1", "{rows}");
    let json = |args: &[&str]| -> Value {
        serde_json::from_str(&at(args).run_to_end()).unwrap_or_else(|_| panic!("{args:?}"))
    };
    let file = input.display().to_string();
    let sent = json(&["generate", "--json", "--input", &file]);
    assert_eq!((&sent["sent"], &sent["tooLarge"]), (&json!(6), &json!(0)), "{sent}");
    let made = json(&["generate", "--json", "--fast", "--for", "5s"]);
    assert!(made["records"].as_u64().unwrap() > 0, "{made}");
    let words = at(&["generate", "--fast", "--for", "5s"]).run_to_end();
    assert!(words.contains(" records; of these "), "{words}");
    let (code, out, words) = at(&["sessions", "list", "--channel", "nobody"]).end();
    assert_eq!((code, &*out), (0, ""));
    assert!(words.contains("no session of channel `nobody` is recorded"), "{words}");
}

#[test]
fn a_reader_who_leaves_within_a_report_is_no_failure() {
    let dir = state();
    let input = dir.path().join("records.ndjson");
    std::fs::write(&input, records()).unwrap();
    let data = dir.path().join("state");
    let local = || Program::new(&["local", "--port", "0", "--state"]).arg(&data);
    local().arg("--input").arg(&input).run_to_end();
    let (url, _endpoint) = local().arg("--endpoint-only").start().wait_for_ready();
    // Its series makes a daily report longer than what a pipe holds.
    let daily = ["report", "daily", "--all-channels", "--date", "2026-03-01"];
    let mut running = Program::new(&daily).args(&["--endpoint-url", &url]).start();
    running.take_stdout().read_exact(&mut [0]).unwrap();
    let (code, error) = running.ends();
    assert_eq!(code, 0, "{error}");
    assert!(!error.contains("Broken pipe"), "{error}");
}

#[test]
fn what_could_not_be_done_in_the_end_is_refused_in_the_beginning() {
    let dir = state();
    let data = dir.path().join("state").display().to_string();
    let daily = ["report", "daily", "--channel", "c", "--endpoint-url", "http://127.0.0.1:1"];
    for (args, words) in [
        (&["local", "--state", &data, "--rows-out", "rows.txt"][..], ".csv, .ndjson or .parquet"),
        (&["config", "check", "--config", "none.toml"], "cannot read none.toml: No such file"),
        (&["status", "--worker", "localhost:9464"], "expected http://HOST:PORT"),
        (&["replay", "none.ndjson", "--rows-out", "rows"], ".csv, .ndjson or .parquet"),
        (
            &[&daily[..], &["--tz", "Mars/Base"]].concat(),
            "the name of a time zone such as Asia/Tokyo",
        ),
    ] {
        let (code, error) = Program::new(args).fails();
        assert_eq!(code, 64, "{args:?}: {error}");
        assert!(error.contains(words), "{args:?}: {error}");
    }
    assert!(!Path::new(&data).exists(), "nothing was begun");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, error) = Program::new(&["local", "--state", ":memory:", "--port", &port]).fails();
    assert!(code == 64 && error.contains("address in use"), "{code}: {error}");
}

#[test]
fn a_missing_input_and_an_empty_one_have_codes_of_their_own_in_every_command() {
    let dir = state();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (absent, empty, rows) = (path("absent.ndjson"), path("empty.ndjson"), path("rows.csv"));
    std::fs::write(&empty, "").unwrap();
    let nowhere = ["--endpoint-url", "http://127.0.0.1:1"];
    let local = ["local", "--state", ":memory:", "--port", "0", "--page-port", "0", "--input"];
    for (command, source, want, words) in [
        (&["validate"][..], &absent, 66, "absent.ndjson: No such file or directory\n"),
        (&["validate"], &empty, 65, "empty.ndjson holds no record"),
        (&["replay", "--rows-out", &rows], &absent, 66, "absent.ndjson: No such file"),
        (&["replay", "--rows-out", &rows], &empty, 65, "empty.ndjson holds no record"),
        (&[&["generate"], &nowhere[..], &["--input"]].concat(), &absent, 66, "absent.ndjson: No"),
        (&local, &absent, 66, "absent.ndjson: No such file"),
        (&local, &empty, 65, "empty.ndjson holds no record"),
        (&["check-trace"], &absent, 66, "absent.ndjson: No such file"),
        (&["check-trace"], &empty, 65, "no line tells of an epoch"),
        (&[&["audit"], &nowhere[..]].concat(), &absent, 2, "absent.ndjson: No such file"),
    ] {
        let (code, error) = Program::new(command).arg(source).fails();
        assert_eq!(code, want, "{command:?}: {error}");
        assert!(error.contains(words), "{command:?}: {error}");
    }
}

/// Answers every request with this refusal of DynamoDB's, as long as the tests run; returns its URL.
fn refuses(status: &'static str, code: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            // A caller that gives up in the middle calls again.
            drop(refuse(socket.unwrap(), status, code));
        }
    });
    url
}

/// Reads one request to its end and refuses it.
fn refuse(socket: TcpStream, status: &str, code: &str) -> std::io::Result<()> {
    let mut socket = BufReader::new(socket);
    let (mut line, mut length) = (String::new(), 0);
    while socket.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    socket.read_exact(&mut vec![0; length])?;
    let body =
        format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"not now"}}"#);
    let head = "content-type: application/x-amz-json-1.0\r\nconnection: close";
    let length = body.len();
    write!(
        socket.get_mut(),
        "HTTP/1.1 {status}\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

#[test]
fn a_service_that_is_too_busy_or_at_fault_is_told_by_the_code_that_says_later() {
    let refusals = [
        ("400 Bad Request", "ProvisionedThroughputExceededException", 75),
        ("500 Internal Server Error", "InternalServerError", 75),
        ("400 Bad Request", "AccessDeniedException", 1),
    ];
    // Each tries for half a minute, so they do it side by side.
    let running = refusals.map(|(status, code, want)| {
        let url = refuses(status, code);
        (Program::new(&["rows", "--endpoint-url", &url]).start(), code, want)
    });
    for (program, name, want) in running {
        let (code, error) = program.ends();
        assert_eq!(code, want, "{name}: {error}");
        assert!(error.contains("cannot read table StreamingMetrics"), "{name}: {error}");
        assert_eq!(error.contains("try again later"), want == 75, "{name}: {error}");
    }
}

/// The program in a home of its own, where no variable says who it is.
fn alone(home: &Path, args: &[&str]) -> Program {
    let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"];
    names.into_iter().fold(Program::new(args), Program::without).env("HOME", home)
}

#[test]
fn without_credentials_or_region_one_line_names_the_variables() {
    let home = state();
    let alone = |args: &[&str]| alone(home.path(), args).fails();
    let (code, error) = alone(&["rows"]);
    assert_eq!((code, error.lines().count()), (64, 1), "{error}");
    assert!(error.contains("AWS_REGION"), "{error}");
    let (code, error) =
        alone(&["report", "daily", "--channel", "c", "--set", "aws.region=eu-west-1"]);
    assert_eq!((code, error.lines().count()), (64, 1), "{error}");
    assert!(error.contains("AWS_ACCESS_KEY_ID"), "{error}");
}

/// The SDK's clients and that of S3 are two, and have credentials from one place.
#[test]
fn a_profile_may_name_a_program_that_gives_credentials() {
    let home = state();
    let (folder, asked) = (home.path().join(".aws"), home.path().join("asked"));
    let script = folder.join("give.sh");
    std::fs::create_dir(&folder).unwrap();
    let keys = r#"{"Version":1,"AccessKeyId":"a","SecretAccessKey":"b"}"#;
    let text = format!("echo once >> '{}'\necho '{keys}'\n", asked.display());
    std::fs::write(&script, text).unwrap();
    let script = script.display();
    let profile = format!("[profile p]\nregion = eu-west-1\ncredential_process = sh {script}\n");
    std::fs::write(folder.join("config"), profile).unwrap();
    let times = || std::fs::read_to_string(&asked).map_or(0, |text| text.lines().count());
    let away = "https://127.0.0.1:1";
    let run = |args: &[&str]| {
        alone(home.path(), args).args(&["--endpoint-url", away]).env("AWS_PROFILE", "p")
    };
    let (code, error) = run(&["rows"]).fails();
    assert!(code == 69 && error.contains("no connection"), "{code}: {error}");
    let before = times();
    assert!(before > 0, "{error}");
    let rows = home.path().join("rows.csv");
    let mut replay = run(&["replay", "s3://bucket/x"]).arg("--rows-out").arg(rows).start();
    let since = Instant::now();
    while times() == before {
        assert!(since.elapsed() < Duration::from_secs(60), "S3 has no credentials of the profile");
        std::thread::sleep(Duration::from_millis(50));
    }
    replay.kill_9();
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    for args in [&["man"][..], &["completions", "bash"], &["config", "check"]] {
        assert!(!Program::new(args).run_to_end().is_empty(), "{args:?}");
    }
    let dir = state();
    let noise = dir.path().join("noise.ndjson");
    std::fs::write(&noise, "not JSON\n".repeat(30_000)).unwrap();
    for args in [&["generate", "--fast", "--for", "10m", "--out", "-"][..], &["validate"]] {
        let mut program = Program::new(args);
        if args == ["validate"] {
            program = program.arg(&noise);
        }
        let mut running = program.start();
        let mut line = String::new();
        BufReader::with_capacity(16, running.take_stdout()).read_line(&mut line).unwrap();
        let (code, error) = running.ends();
        assert!(!line.is_empty() && code <= 1, "{args:?}: {code}");
        assert!(!error.contains("panicked") && !error.contains("Broken pipe"), "{args:?}: {error}");
    }
}

/// Kinesis takes records of 10 MiB since October 2025, where a stream is told to.
#[test]
fn a_large_record_of_a_file_goes_through_and_one_beyond_all_limits_is_named() {
    let dir = state();
    let input = dir.path().join("large.ndjson");
    let line = |session: &str, bytes: usize| {
        format!(
            r#"{{"eventType":"metrics_update","sessionId":"{session}","channelId":"c","timestamp":"2026-03-01T20:00:00Z","currentViewers":7,"x":"{}"}}"#,
            "x".repeat(bytes)
        )
    };
    let lines =
        [line("small", 1), line("large", 3 << 20), line("beyond", 11 << 20), line("last", 9 << 20)];
    std::fs::write(&input, lines.join("\n")).unwrap();
    let rows = dir.path().join("rows.csv");
    let (code, out, error) = Program::new(&["local", "--port", "0", "--state"])
        .arg(dir.path().join("state"))
        .arg("--input")
        .arg(&input)
        .arg("--rows-out")
        .arg(&rows)
        .end();
    assert_eq!(code, 65, "something was left out: {out}{error}");
    assert!(error.contains("large.ndjson:3: a record of 11534"), "{error}");
    let written = std::fs::read_to_string(&rows).unwrap();
    let sessions: Vec<&str> =
        written.lines().skip(1).map(|row| row.split(',').next().unwrap()).collect();
    assert_eq!(sessions, ["large", "last", "small"]);
}
