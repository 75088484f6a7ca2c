//! Every command that the documents show is one that the program takes.

use std::path::Path;
use std::{fs, io};

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use super::cli::Cli;

/// The placeholders of the documents, each with a value.
const PLACEHOLDERS: &[(&str, &str)] = &[
    ("SHARD", "shardId-000000000000"),
    ("FILE", "events.ndjson"),
    ("FILE…", "events.ndjson"),
    ("SOURCE", "file:archive"),
    ("SOURCE…", "file:archive"),
    ("ARCHIVE", "file:archive"),
    ("URL", "file:out"),
    ("ID", "abc"),
    ("CHANNEL", "abc"),
    ("SESSION", "st-1"),
    ("DATE", "2026-03-01"),
    ("TIME", "2026-03-01T12:00:00Z"),
    ("POSITION", "LATEST"),
];

/// Returns the inline codes and the lines of code blocks that begin with the program's name.
fn commands(text: &str) -> Vec<Vec<String>> {
    let inline = text.split('`').skip(1).step_by(2).filter(|code| !code.contains('\n'));
    let lines = text.lines().map(|line| line.split(" # ").next().unwrap_or_default());
    inline
        .chain(lines)
        .map(|code| code.split_whitespace().filter(|word| *word != "&").collect::<Vec<_>>())
        .filter(|words| words.first() == Some(&"ivs-processor") && words.len() > 1)
        .map(|words| words.into_iter().map(value_of).collect())
        .collect()
}

fn value_of(word: &str) -> String {
    let known = PLACEHOLDERS.iter().find(|(placeholder, _)| *placeholder == word);
    known.map_or(word, |(_, value)| value).to_owned()
}

/// Markdown files of a folder and the folders in it.
fn documents(folder: &Path, into: &mut Vec<(String, String)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            documents(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            into.push((path.display().to_string(), fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

#[test]
fn the_documents_show_commands_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files =
        vec![("README.md".to_owned(), fs::read_to_string(root.join("README.md")).unwrap())];
    documents(&root.join("docs"), &mut files).unwrap();
    documents(&root.join("infra/onprem"), &mut files).unwrap();
    let (mut seen, mut wrong) = (0, Vec::new());
    for (file, text) in &files {
        for words in commands(text) {
            seen += 1;
            let Err(error) = Cli::command().try_get_matches_from(&words) else { continue };
            // A command that is only named lacks its arguments.
            let named = matches!(
                error.kind(),
                ErrorKind::MissingRequiredArgument
                    | ErrorKind::MissingSubcommand
                    | ErrorKind::DisplayHelp
                    | ErrorKind::DisplayVersion
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            );
            if !named {
                wrong.push(format!("{file}: {}: {error}", words.join(" ")));
            }
        }
    }
    assert!(seen >= 30, "only {seen} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_command_that_does_not_exist_is_noticed() {
    let text = "`ivs-processor statuss`\n\n    ivs-processor rows --sesion SESSION   # rows\n";
    let found = commands(text);
    assert_eq!(
        found,
        [vec!["ivs-processor", "statuss"], vec!["ivs-processor", "rows", "--sesion", "st-1"]]
    );
    for words in found {
        let error = Cli::command().try_get_matches_from(words).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument));
    }
}
