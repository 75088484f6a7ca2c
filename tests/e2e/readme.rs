//! The commands of the README, run as they are shown.

use std::path::Path;

use crate::process::{Program, Running, state};

const README: &str = include_str!("../../README.md");

/// Returns the lines of the code blocks of a section, each with its comment.
fn shown(section: &str) -> Vec<(&'static str, &'static str)> {
    let (_, text) = README.split_once(&format!("## {section}\n")).expect("the section is there");
    let text = text.split_once("\n## ").map_or(text, |(text, _)| text);
    let blocks = text.split("```").skip(1).step_by(2);
    let lines = blocks.filter_map(|block| block.strip_prefix("sh\n")).flat_map(str::lines);
    let cut = |line: &'static str| line.split_once(" # ").unwrap_or((line, ""));
    lines.map(cut).map(|(line, comment)| (line.trim(), comment)).collect()
}

#[test]
fn first_steps_work_as_shown() {
    let dir = state();
    let (mut endpoint, mut url): (Option<Running>, _) = (None, None);
    let (mut ran, mut out) = (0, String::new());
    for (line, comment) in shown("First steps") {
        if line.starts_with("alias ") {
            continue;
        }
        if let Some(value) = line.strip_prefix("export AWS_ENDPOINT_URL=") {
            assert_eq!(value, "http://127.0.0.1:4566", "the port that `local` takes by itself");
            continue;
        }
        let words = line.strip_prefix("ivs-processor ").expect(line).split_whitespace();
        let mut args: Vec<_> = words.filter(|word| *word != "&").collect();
        if args[0] == "local" {
            // The one difference: other tests run at the same time, on ports of their own.
            args.extend(["--port", "0"]);
        }
        let mut program = Program::new(&args).in_folder(dir.path());
        if let Some(url) = &url {
            program = program.env("AWS_ENDPOINT_URL", url);
        }
        if line.ends_with('&') {
            let (found, running) = program.start().wait_for_ready();
            (url, endpoint) = (Some(found), Some(running));
        } else {
            let (code, printed, error) = program.end();
            let expected = i32::from(comment.contains("exits with 1"));
            assert_eq!(code, expected, "{line}\n{printed}\n{error}");
            out.push_str(&printed);
        }
        ran += 1;
    }
    drop(endpoint);
    assert!(ran >= 10, "only {ran} commands were found");
    left_behind(dir.path(), &out);
}

/// Looks at what the commands are said to make.
fn left_behind(dir: &Path, out: &str) {
    let read = |name: &str| std::fs::read(dir.join(name)).expect(name);
    assert!(!read("rows.csv").is_empty());
    assert_eq!(read("rows.csv"), read("again.csv"), "replay gives the same rows");
    assert_eq!(read("five.parquet")[..4], *b"PAR1");
    let pages = dir.join("pages/reports");
    assert_eq!(std::fs::read_dir(&pages).expect("reports").count(), 3, "one for each channel");
    assert!(out.contains("SHARD_END") || out.contains("shardId-"), "{out}");
}
