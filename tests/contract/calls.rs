//! The AWS calls in the sources of the program, read without the compiler.

use std::path::{Path, PathBuf};

/// Calls that only tests make, to bring a stream into the state that they need.
pub(crate) const MADE_BY_TESTS: [&str; 4] =
    ["CreateArchive", "DescribeTimeToLive", "MergeShards", "SplitShard"];

/// The folders whose calls reach AWS.
const SOURCES: [&str; 3] = ["processor/src", "processor/fleet/src", "processor/aws-calls/src"];

/// The words that operations of AWS begin with.
const VERBS: [&str; 11] = [
    "batch",
    "create",
    "delete",
    "describe",
    "get",
    "list",
    "put",
    "register",
    "start",
    "subscribe",
    "update",
];
/// Operations of one word.
const BARE: [&str; 2] = ["query", "scan"];
/// Methods without arguments that read like an operation, and are none.
const OTHERS: [&str; 7] = [
    "get_credential",
    "get_mut",
    "get_name",
    "get_subcommands",
    "get_table_name",
    "list_children",
    "start_s",
];

/// Returns the names of the operations, as AWS spells them, each once.
pub(crate) fn made_by_the_program() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = vec![];
    for folder in SOURCES {
        for file in files(&root.join(folder)) {
            found.extend(calls(&std::fs::read_to_string(file).expect("a file of ours")));
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Returns the sources of a folder, without unit tests.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).expect("a folder of ours") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if name == "tests" {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

/// Returns the operations in a text. Any receiver counts, for a client may have any name.
fn calls(text: &str) -> Vec<String> {
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let methods = lines.flat_map(|line| line.split('.').skip(1)).filter_map(|rest| {
        let (method, _) = rest.split_once("()")?;
        let is_name = method.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let verb = method.split_once('_').map(|(verb, _)| verb);
        let is_call = BARE.contains(&method) || verb.is_some_and(|verb| VERBS.contains(&verb));
        (is_name && is_call && !OTHERS.contains(&method)).then(|| camel(method))
    });
    methods.collect()
}

/// Returns `GetItem` for `get_item`.
fn camel(snake: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    };
    snake.split('_').map(word).collect()
}

#[test]
fn calls_are_found_whoever_makes_them_and_not_in_comments_or_tests() {
    let text = "// client.get_item()\nlet a = self.client\n    .put_item()\n    .send();\n\
                self.0.list_shards(); store.list(); map.get_mut(); client.config();\n\
                dynamodb.query().limit(1); client.get(url).send();\n\
                #[cfg(test)]\nmod tests {\nclient.scan() }";
    assert_eq!(calls(text), ["PutItem", "ListShards", "Query"]);
}
