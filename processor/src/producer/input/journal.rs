//! The journal of a send: an append-only text file, one fact a line. It needs to survive the
//! process, not the machine, so it is written and not synced.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use kinesis_model::EpochMs;
use md5::{Digest, Md5};
use tokio::runtime::Handle;

use crate::archive::object::Object;
use crate::clock::now;
use crate::printable::OneLine;

/// The progress of earlier runs over the same files.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// When the first of them began.
    pub(super) started: EpochMs,
    begun: BTreeSet<u64>,
    acknowledged: BTreeSet<u64>,
    done: bool,
}

impl Past {
    /// Returns whether there are batches of which nobody knows what arrived.
    pub(super) fn has_unknown(&self) -> bool {
        !self.done && self.begun.iter().any(|number| !self.acknowledged.contains(number))
    }

    pub(super) fn is_unknown(&self, number: u64) -> bool {
        self.begun.contains(&number) && !self.is_acknowledged(number)
    }

    pub(super) fn is_acknowledged(&self, number: u64) -> bool {
        self.done || self.acknowledged.contains(&number)
    }

    /// Reads the part of a journal that is about the files with this identity.
    fn parse(text: &str, identity: &str) -> Self {
        let mut past = Self::default();
        let mut ours = false;
        // A last line that was cut short by a crash says nothing.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            let mut words = line.split(' ');
            let number = |word: Option<&str>| word.and_then(|word| word.parse().ok());
            match (words.next(), words.next()) {
                (Some("files"), Some(name)) => {
                    ours = name == identity;
                    if ours && past.started == EpochMs::default() {
                        let at: Option<u64> = number(words.next());
                        past.started = EpochMs(at.map_or(0, |at| i64::try_from(at).unwrap_or(0)));
                    }
                }
                (Some("begin"), word) if ours => past.begun.extend(number(word)),
                (Some("ack"), word) if ours => past.acknowledged.extend(number(word)),
                (Some("done"), _) if ours => past.done = true,
                _ => {}
            }
        }
        past
    }
}

/// Notes what is done. Without a file it notes nothing.
#[derive(Debug)]
pub(super) struct Journal(Option<Mutex<File>>);

impl Journal {
    /// Opens a journal and reads what it says about these files.
    pub(super) async fn open(
        path: Option<&Path>,
        objects: &Arc<[Object]>,
    ) -> anyhow::Result<(Self, Past)> {
        let Some(path) = path else { return Ok((Self(None), Past::default())) };
        let (objects, handle) = (Arc::clone(objects), Handle::current());
        let identity = tokio::task::spawn_blocking(move || identity(&objects, &handle)).await??;
        let context = || format!("cannot use the journal {}", path.display());
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .with_context(context)?;
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(context)?;
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n").with_context(context)?;
        }
        let past = Past::parse(&text, &identity);
        let journal = Self(Some(Mutex::new(file)));
        journal.note(&format!("files {identity} {}", now().0))?;
        Ok((journal, past))
    }

    pub(super) fn begin(&self, number: u64) -> anyhow::Result<()> {
        self.note(&format!("begin {number}"))
    }

    pub(super) fn acknowledge(&self, number: u64) -> anyhow::Result<()> {
        self.note(&format!("ack {number}"))
    }

    pub(super) fn done(&self) -> anyhow::Result<()> {
        self.note("done")
    }

    fn note(&self, fact: &str) -> anyhow::Result<()> {
        if let Some(file) = &self.0 {
            let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            file.write_all(format!("{fact}\n").as_bytes()).context("cannot write the journal")?;
        }
        Ok(())
    }
}

/// Names objects by their content, so that a renamed file is still known and an altered one is not.
fn identity(objects: &[Object], handle: &Handle) -> anyhow::Result<String> {
    let mut digest = Md5::new();
    for object in objects {
        let mut read = || -> io::Result<()> {
            let mut stored = object.stored(handle)?;
            loop {
                let bytes = stored.fill_buf()?;
                if bytes.is_empty() {
                    return Ok(());
                }
                let read = bytes.len();
                digest.update(bytes);
                stored.consume(read);
            }
        };
        read().with_context(|| format!("cannot read {}", OneLine(&object.name)))?;
        digest.update(b"/end of file/");
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_tells_what_was_begun_and_what_was_acknowledged() {
        let text =
            "files a 10\nbegin 1\nbegin 2\nack 1\nfiles b 20\nack 2\nfiles a 30\nack 3\nack 4";
        let past = Past::parse(text, "a");
        assert_eq!(past.started, EpochMs(10));
        assert!(past.is_acknowledged(1) && past.is_acknowledged(3));
        assert!(past.is_unknown(2) && past.has_unknown());
        assert!(!past.is_acknowledged(4), "a line without its end was cut short");
        assert!(!past.is_unknown(5) && !past.is_acknowledged(5));
    }

    #[test]
    fn done_means_every_batch() {
        let past = Past::parse("files a 10\nbegin 1\nack 1\ndone\n", "a");
        assert!(past.is_acknowledged(77) && !past.has_unknown());
        assert!(!Past::parse("files a 10\ndone\n", "b").is_acknowledged(1));
    }

    #[tokio::test]
    async fn objects_are_known_by_content() {
        let known = |texts: &[&str]| {
            let object = |text: &&str| {
                let mut object = Object::stream("-", io::Cursor::new((*text).to_owned()));
                object.keep().unwrap();
                object
            };
            let objects: Vec<Object> = texts.iter().map(object).collect();
            identity(&objects, &Handle::current()).unwrap()
        };
        assert_eq!(known(&["x"]), known(&["x"]));
        assert_ne!(known(&["x"]), known(&["y"]));
        assert_ne!(known(&["x"]), known(&["x", "x"]));
    }
}
