//! Where `local` keeps its state and its rejects, and the configuration that suits one machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::Context as _;
use toml::{Table, Value};

/// The word for a state that is gone at the end.
const MEMORY: &str = ":memory:";

/// The folder of a run: the state's, or one that is removed at the end.
#[derive(Debug)]
pub(super) struct Place {
    folder: PathBuf,
    passes: bool,
}

impl Place {
    /// Returns the place that `--state` names. A state in memory has a folder for its rejects only.
    ///
    /// # Errors
    /// When the folder of a state in memory cannot be made.
    pub(super) fn of(state: &str) -> anyhow::Result<Self> {
        let (folder, passes) = (folder(state)?, state == MEMORY);
        if passes {
            let problem = || format!("cannot make the folder {}", folder.display());
            fs::create_dir(&folder).with_context(problem)?;
        }
        Ok(Self { folder, passes })
    }

    /// Returns the state folder; `None` for a state in memory.
    pub(super) fn state(&self) -> Option<&Path> {
        (!self.passes).then_some(self.folder.as_path())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.passes {
            // Nothing else is kept there, and nobody is left to be told.
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

/// Returns the layer of configuration below all that a user sets: short epochs, quick fail-over, no
/// shard budget, no limit of writes, rejects beside the state.
///
/// # Errors
/// When the current folder is gone, so that a relative `--state` means nothing.
pub(crate) fn layer(state: &str) -> anyhow::Result<Table> {
    let rejects = Value::String(format!("file://{}/rejects", folder(state)?.display()));
    let section = |values: &[(&str, Value)]| {
        Value::Table(values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
    };
    let sections = [
        ("epoch", section(&[("interval_ms", Value::Integer(5_000))])),
        ("fleet", section(&[("failover_ms", Value::Integer(3_000))])),
        (
            "stream",
            section(&[
                ("poll_interval_ms", Value::Integer(200)),
                ("shard_budget", Value::Boolean(false)),
            ]),
        ),
        ("tables", section(&[("writes_per_s", Value::Integer(0))])),
        ("objects", section(&[("rejects", rejects)])),
    ];
    Ok(sections.into_iter().map(|(name, values)| (name.to_owned(), values)).collect())
}

/// Returns a folder of this process that is not there: one that was killed left its own, and the
/// system gives its process id again.
fn unused(temp: &Path, process: u32) -> PathBuf {
    let named = temp.join(format!("ivs-local-{process}"));
    let others = (1..=u16::MAX).map(|n| temp.join(format!("ivs-local-{process}-{n}")));
    let is_free = |folder: &PathBuf| folder.symlink_metadata().is_err();
    std::iter::once(named.clone()).chain(others).find(is_free).unwrap_or(named)
}

/// Returns the folder of a state, absolute, without links to wherever the program is started.
fn folder(state: &str) -> anyhow::Result<PathBuf> {
    if state == MEMORY {
        // Looked for once: it is there later, and is ours.
        static OURS: OnceLock<PathBuf> = OnceLock::new();
        let look = || unused(&std::env::temp_dir(), std::process::id());
        return Ok(OURS.get_or_init(look).clone());
    }
    Ok(std::path::absolute(state)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_not_taken() {
        let temp = tempfile::tempdir().unwrap();
        let first = unused(temp.path(), 7);
        assert_eq!(first, temp.path().join("ivs-local-7"));
        fs::create_dir(&first).unwrap();
        assert_eq!(unused(temp.path(), 7), temp.path().join("ivs-local-7-1"));
    }
}
