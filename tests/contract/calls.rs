//! The AWS calls in the sources of the program, read without the compiler.

use std::path::{Path, PathBuf};

/// Calls that only tests make, to bring a stream into the state that they need.
pub(crate) const MADE_BY_TESTS: [&str; 4] =
    ["CreateArchive", "DescribeTimeToLive", "MergeShards", "SplitShard"];

/// The folders whose calls reach AWS.
const SOURCES: [&str; 3] = ["processor/src", "processor/fleet/src", "processor/aws-calls/src"];

/// The names that clients of the SDK have there.
const CLIENTS: [&str; 5] = ["client", "cloudwatch", "dynamodb", "eventbridge", "kinesis"];

/// The words that operations of AWS begin with; other methods of a client make no call.
const VERBS: [&str; 13] = [
    "batch",
    "create",
    "delete",
    "describe",
    "get",
    "list",
    "put",
    "query",
    "register",
    "scan",
    "start",
    "subscribe",
    "update",
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

/// Returns the operations in a text: `client.operation()` with any space between.
fn calls(text: &str) -> Vec<String> {
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let text: String = lines.flat_map(|line| [line.trim(), "\n"]).collect();
    let mut found = vec![];
    for (at, _) in text.match_indices('.') {
        let before = text[..at].trim_end();
        let is_client = CLIENTS.iter().any(|client| {
            let rest = before.strip_suffix(client);
            rest.is_some_and(|rest| !rest.ends_with(|c: char| c.is_ascii_alphanumeric()))
        });
        let Some((method, _)) = text[at + 1..].split_once("()").filter(|_| is_client) else {
            continue;
        };
        let is_name = method.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let first = method.split('_').next().unwrap_or_default();
        if is_name && VERBS.contains(&first) {
            found.push(camel(method));
        }
    }
    found
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
fn calls_are_found_across_lines_and_not_in_comments_or_tests() {
    let text = "// client.get_item()\nlet a = self.client\n    .put_item()\n    .send();\n\
                clients.kinesis.list_shards(); store.list(); table.get_item(); client.config();\n\
                my_client.delete_item(); otherclient.scan();\n\
                #[cfg(test)]\nmod tests {\nclient.query() }";
    assert_eq!(calls(text), ["PutItem", "ListShards", "DeleteItem"]);
}
