//! The rules of the house that no compiler checks: the crates that the image links, the length of
//! files, who imports whom, how comments begin, where links lead.

mod imports;
mod links;
mod prose;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use imports::{Graph, Module};

/// The longest file; the habit is two hundred lines.
const MAX_LINES: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn stdout(command: &mut Command) -> String {
    let output = command.current_dir(root()).output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Tracked files, with their texts, that end in one of `endings`.
fn sources(endings: &[&str]) -> Vec<(String, String)> {
    let listed = stdout(Command::new("git").args(["ls-files"]));
    let wanted = |path: &&str| endings.iter().any(|ending| path.ends_with(ending));
    let read =
        |path: &str| Some((path.to_owned(), std::fs::read_to_string(root().join(path)).ok()?));
    listed.lines().filter(wanted).filter_map(read).collect()
}

/// Crates that the program links when it is built with `features`.
fn linked(features: &[&str]) -> Vec<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--locked", "-p", "ivs-processor", "--edges", "normal,build"]);
    let tree = stdout(cargo.args(["--prefix", "none", "--format", "{p}"]).args(features));
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_image_links_neither_the_embedded_aws_nor_traffic() {
    let test_only =
        ["ivs-emulator", "ivs-traffic", "dynoxide-rs", "libsqlite3-sys", "axum", "quamina"];
    let image = linked(&["--no-default-features", "--features", "jemalloc"]);
    for name in test_only {
        assert!(!image.iter().any(|linked| linked == name), "the image links {name}");
    }
    let local = linked(&[]);
    for name in test_only {
        assert!(local.iter().any(|linked| linked == name), "`local` does without {name}");
    }
}

#[test]
fn files_stay_short() {
    let long: Vec<_> = sources(&[".rs", ".ts"])
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .collect();
    assert!(long.is_empty(), "split by job: {long:?}");
}

#[test]
fn comments_are_read_once() {
    let mut found = vec![];
    for (path, text) in sources(&[".rs"]) {
        let is_product = path.contains("src/") && !path.ends_with("tests.rs");
        let openings = if is_product { prose::wrong_openings(&text) } else { vec![] };
        for (line, says) in prose::clumsy(&text).into_iter().chain(openings) {
            found.push(format!("{path}:{line}: {says}"));
        }
    }
    let rule = "a function begins with a verb in the third person, a type with a noun phrase";
    assert!(found.is_empty(), "{rule}; say it plainly:\n{}", found.join("\n"));
}

/// Each crate's folder of sources, and who imports whom in it. Unit tests may import anything.
fn imports_by_crate() -> BTreeMap<String, Graph> {
    let mut crates: BTreeMap<String, BTreeMap<Module, String>> = BTreeMap::new();
    for (path, text) in sources(&[".rs"]) {
        let Some((folder, file)) = path.split_once("/src/") else { continue };
        let module = file.trim_end_matches(".rs").split('/').map(str::to_owned);
        let module: Module = module.filter(|name| name != "lib").collect();
        let is_test = |name: &String| ["tests", "testing", "main"].contains(&name.as_str());
        if !module.iter().any(is_test) {
            crates.entry(folder.to_owned()).or_default().insert(module, text);
        }
    }
    crates.iter().map(|(folder, files)| (folder.clone(), imports::graph(files))).collect()
}

#[test]
fn files_do_not_import_each_other_in_circles() {
    let graphs = imports_by_crate();
    assert!(graphs.len() >= 9, "{:?}", graphs.keys());
    assert!(graphs["processor"].values().map(std::collections::BTreeSet::len).sum::<usize>() > 500);
    for (folder, graph) in &graphs {
        let circles = imports::circles(graph);
        let names: Vec<Vec<_>> =
            circles.iter().map(|one| one.iter().map(|file| file.join("/")).collect()).collect();
        assert!(names.is_empty(), "{folder}: move what both need into a third file: {names:#?}");
    }
}

/// The folders of the program: each may use those behind it, as `docs/architecture.md` says.
const FLOORS: [&str; 12] = [
    "commands", "page", "ops", "worker", "replay", "producer", "sink", "report", "archive",
    "items", "cloud", "config",
];

#[test]
fn folders_use_only_those_below_them() {
    let floor =
        |module: &Module| FLOORS.iter().position(|name| module.first().is_some_and(|f| f == name));
    let mut found = vec![];
    for (from, imported) in &imports_by_crate()["processor"] {
        for to in imported {
            if floor(from).zip(floor(to)).is_some_and(|(from, to)| to < from) {
                found.push(format!("{} uses {}", from.join("/"), to.join("/")));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn nothing_is_left_behind() {
    let listed = stdout(Command::new("git").args(["ls-files"]));
    let is_stray =
        |path: &&str| [".orig", ".rej", ".bak", ".swp"].iter().any(|e| path.ends_with(e));
    let stray: Vec<_> = listed.lines().filter(is_stray).collect();
    assert!(stray.is_empty(), "nobody needs {stray:?}");
}

#[test]
fn links_lead_somewhere() {
    let broken = links::broken(&sources(&[".md"]), |path| root().join(path).exists());
    assert!(broken.is_empty(), "nothing is there:\n{}", broken.join("\n"));
}

/// A fault that does not fit the source any more proves nothing.
#[test]
fn every_mutant_fits_its_file() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect("a file of ours");
    let list: toml::Table = read("tests/mutants/mutants.toml").parse().expect("a list in TOML");
    let mutants = list["mutant"].as_array().expect("a list of mutants");
    assert!(mutants.len() >= 30, "only {} mutants", mutants.len());
    let text = |mutant: &toml::Value, key: &str| mutant[key].as_str().expect("a text").to_owned();
    for mutant in mutants {
        let (name, file) = (text(mutant, "name"), text(mutant, "file"));
        let found = read(&file).matches(&text(mutant, "find")).count();
        assert_eq!(
            found, 1,
            "the mutant `{name}` does not fit {file}: mend tests/mutants/mutants.toml"
        );
    }
}

/// None of these is on unless it is named, and a profile that needs one of them fails only where it is
/// used.
#[test]
fn profiles_of_every_kind_are_compiled_in() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("it is there");
    let manifest: toml::Table = manifest.parse().expect("a manifest in TOML");
    let features = manifest["workspace"]["dependencies"]["aws-config"]["features"].as_array();
    let features = features.expect("a list of features");
    for name in ["sso", "credentials-login", "credentials-process"] {
        assert!(features.iter().any(|one| one.as_str() == Some(name)), "aws-config lacks {name}");
    }
}

/// A promise of the threat model is held by a test, or it is a wish.
#[test]
fn every_line_of_the_threat_model_names_a_test_that_exists() {
    let text = std::fs::read_to_string(root().join("docs/threat-model.md")).expect("it is there");
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| ")).collect();
    let tests = rows.iter().filter_map(|row| row.split('|').nth(3)).map(str::trim);
    let tests: Vec<_> = tests.filter(|cell| cell.starts_with('`')).collect();
    assert!(tests.len() >= 20, "only {} lines", tests.len());
    let sources: String = sources(&[".rs"]).into_iter().map(|(_, text)| text).collect();
    for test in tests {
        let function = format!("fn {}(", test.trim_matches('`'));
        assert!(
            sources.contains(&function),
            "docs/threat-model.md names {test}, which is not there"
        );
    }
}
