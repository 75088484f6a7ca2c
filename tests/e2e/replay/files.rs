//! Files as people have them: cut off, padded, packed otherwise, beside things that are not files.

use std::io::{Read as _, Write as _};
use std::path::Path;

use super::replay;
use crate::process::{Program, state};

fn record(n: usize) -> String {
    format!(
        r#"{{"type":"player_telemetry","schemaVersion":1,"eventId":"e{n}","sessionId":"s","channelId":"c","playerId":"p{n}","timestamp":"2026-03-31T12:00:00Z","state":"PLAYING","latencyMs":{n}}}"#
    )
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Replays a source; exit code, how many records were read, standard error.
fn replayed(dir: &Path, source: &Path) -> (i32, u64, String) {
    let (code, out, error) =
        replay(&["--json", "--rows-out"]).arg(dir.join("rows.csv")).arg(source).end();
    let summary = out.lines().last().unwrap_or_else(|| panic!("no summary: {error}"));
    let summary: serde_json::Value = serde_json::from_str(summary).unwrap();
    (code, summary["summary"]["read"].as_u64().unwrap(), error)
}

/// With and without newlines, in one member or after a whole one: what was whole is read.
#[test]
fn a_cut_object_gives_every_whole_record() {
    let dir = state();
    for separator in ["", "\n"] {
        let text: String = (0..3_000).map(|n| record(n) + separator).collect();
        let packed = gzip(&text);
        let cut = &packed[..packed.len() * 2 / 3];
        let mut readable = Vec::new();
        flate2::read::GzDecoder::new(cut).read_to_end(&mut readable).unwrap_err();
        let whole = readable.iter().filter(|byte| **byte == b'}').count() as u64;
        assert!((1_000..3_000).contains(&whole));
        let first: String = (9_000..9_100).map(|n| record(n) + separator).collect();
        for (name, bytes, expected) in [
            ("cut.gz", cut.to_vec(), whole),
            ("two.gz", [gzip(&first), cut.to_vec()].concat(), whole + 100),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let (code, read, error) = replayed(dir.path(), &path);
            assert_eq!((code, read), (1, expected), "{name}: {error}");
            assert!(error.contains(&format!("{name} is damaged at byte")), "{error}");
        }
    }
}

#[test]
fn zeros_behind_gzip_are_no_damage_and_a_wrong_checksum_is() {
    let dir = state();
    let text: String = (0..3).map(record).collect();
    let path = dir.path().join("padded.gz");
    std::fs::write(&path, [gzip(&text), vec![0; 600]].concat()).unwrap();
    assert_eq!(replayed(dir.path(), &path), (0, 3, String::new()));
    let mut bent = gzip(&text);
    let at = bent.len() - 6;
    bent[at] ^= 0xff;
    std::fs::write(&path, bent).unwrap();
    let (code, read, error) = replayed(dir.path(), &path);
    assert_eq!((code, read), (1, 3), "{error}");
    assert!(error.contains("checksum does not match"), "{error}");
}

/// One good file among others must come through, whatever the others are; each is named.
#[test]
fn nothing_in_a_folder_ends_the_run() {
    let dir = state();
    let folder = dir.path().join("in");
    std::fs::create_dir(&folder).unwrap();
    let at = |name: &str| folder.join(name);
    std::fs::write(at("good.json"), record(1) + "\n" + &record(2)).unwrap();
    std::fs::write(at("pack.ndjson"), b"PK\x03\x04 and so on").unwrap();
    std::os::unix::fs::symlink("nowhere", at("dangling")).unwrap();
    std::os::unix::fs::symlink("..", at("up")).unwrap();
    std::os::unix::fs::symlink("good.json", at("twice")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    let (code, read, error) = replayed(dir.path(), &folder);
    assert_eq!((code, read), (1, 2), "the archive holds records that were not read: {error}");
    for (name, why) in [
        ("pack.ndjson", "a ZIP archive"),
        ("dangling", "not there"),
        ("up", "out of the folder"),
        ("twice", "the same file"),
        ("pipe", "a pipe"),
    ] {
        let line = error.lines().find(|line| line.contains(&format!("{name} was left out")));
        assert!(line.is_some_and(|line| line.contains(why)), "{name}: {error}");
    }
    std::fs::remove_file(at("pack.ndjson")).unwrap();
    assert_eq!(replayed(dir.path(), &folder).0, 0);
}

/// All commands see the same records: side by side as Firehose writes them, blank lines, a line of
/// form feed, from a file and from a pipe.
#[test]
fn every_command_reads_the_same_records() {
    let dir = state();
    let path = dir.path().join("odd.gz");
    let text = format!("{}{}\n \t\r\n\u{c}\n{}", record(1), record(2), record(3));
    std::fs::write(&path, gzip(&text)).unwrap();
    let (_, read, _) = replayed(dir.path(), &path);
    assert_eq!(read, 4, "a form feed is not white space of JSON");
    let (code, read, error) = {
        let (code, out, error) = replay(&["--json", "-", "--rows-out"])
            .arg(dir.path().join("rows.csv"))
            .stdin(&path)
            .end();
        let summary = out.lines().last().unwrap_or_default().to_owned();
        (code, summary, error)
    };
    assert!(code == 0 && read.contains("\"read\":4"), "{read} {error}");
    let from_pipe = Program::new(&["validate", "-"]).stdin(&path);
    for validate in [Program::new(&["validate"]).arg(&path), from_pipe] {
        let (_, out, _) = validate.end();
        assert!(out.contains("3 sound, 0 accepted but outside their schema, 1 rejected"), "{out}");
    }
    let out = Program::new(&["local", "--port", "0", "--state", ":memory:", "--input"])
        .arg(&path)
        .run_to_end();
    assert!(out.contains("sent 4 records;"), "{out}");
    assert!(out.contains("accepted                 3"), "{out}");
}

/// Folders as Hive and Spark lay them out, names with everything that URLs and shells care about.
#[test]
fn names_of_all_kinds_are_read() {
    let dir = state();
    let folder = dir.path().join("year=2026/月=03");
    std::fs::create_dir_all(&folder).unwrap();
    for (n, name) in
        ["日本.ndjson", "a b+c%20d#e?f=1.ndjson", "x'y\"z.json", "_SUCCESS", ".part.crc"]
            .into_iter()
            .enumerate()
    {
        let text = if name == "_SUCCESS" { String::new() } else { record(n) };
        std::fs::write(folder.join(name), text).unwrap();
    }
    assert_eq!(replayed(dir.path(), &dir.path().join("year=2026")), (0, 3, String::new()));
    let packed = gzip(&(0..3_000).map(record).collect::<String>());
    let path = dir.path().join("a\u{1b}[2J.gz");
    std::fs::write(&path, &packed[..packed.len() / 2]).unwrap();
    let (code, _, error) = replayed(dir.path(), &path);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("is damaged at byte") && !error.contains('\u{1b}'), "{error:?}");
}

/// As IVS writes chat logs to S3, in their folders and copied out of them: the room is in the name.
#[test]
fn a_chat_log_of_ivs_is_read_with_the_room_of_its_name() {
    let dir = state();
    let own =
        "111122223333_IVSChatLogs_1.0_us-east-1_room_0wgOPVl4ZRdu_202603311200_ab12cd34.log.gz";
    let folder = "AWSLogs/111122223333/IVSChatLogs/1.0/us-east-1/room_0wgOPVl4ZRdu/2026/03/31/12";
    let folder = dir.path().join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    let message = |n: u32| {
        format!(
            r#"{{"event_timestamp":"2026-03-31T12:00:0{n}Z","type":"MESSAGE","payload":{{"Type":"MESSAGE","Id":"m{n}","Content":"hi"}},"version":"1.0"}}"#
        )
    };
    let log = gzip(&(0..3).map(message).collect::<Vec<_>>().join("\n"));
    std::fs::write(folder.join(own), &log).unwrap();
    std::fs::write(dir.path().join(own), &log).unwrap();
    let rows = dir.path().join("rows.csv");
    for source in [dir.path().join("AWSLogs"), dir.path().join(own)] {
        replay(&["--rows-out"]).arg(&rows).arg(&source).run_to_end();
        let text = std::fs::read_to_string(&rows).unwrap();
        assert_eq!(
            text.matches("0wgOPVl4ZRdu").count(),
            2,
            "session and channel of one row: {text}"
        );
    }
    // The stream carries no names, so the records themselves must tell the room there.
    let out = Program::new(&["local", "--port", "0", "--state", ":memory:", "--rows-out"])
        .arg(&rows)
        .arg("--input")
        .arg(dir.path().join("AWSLogs"))
        .run_to_end();
    assert!(out.contains("accepted                 3"), "{out}");
}
