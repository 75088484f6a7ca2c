//! The folder that keeps an endpoint's state: its lock, and the mark that says that it is ours.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::error::StartError;

/// How often and how long a start waits for the state folder's last owner to let go of it: an
/// endpoint dropped a moment ago in the same process needs a few milliseconds.
const LOCK_TRIES: u32 = 50;
const LOCK_WAIT: Duration = Duration::from_millis(20);
/// The lock's file.
const LOCK_FILE: &str = "lock";
/// The file that says that a folder is ours, and what it says.
const MARK_FILE: &str = "state-of-ivs-processor.txt";
const MARK: &str = "This folder holds the state of `ivs-processor local`, which made it and may \
                    empty it (--fresh). Keep nothing else here.\n";

fn state_error(path: &Path) -> impl FnOnce(io::Error) -> StartError {
    let path = path.to_owned();
    |reason| StartError::State { path, reason }
}

/// Makes the folder and takes its lock, which the returned handle holds until it is dropped. A new
/// or empty folder is marked as ours; one that is to be emptied must be.
pub(crate) async fn lock(dir: &Path, fresh: bool) -> Result<File, StartError> {
    std::fs::create_dir_all(dir).map_err(state_error(dir))?;
    let is_empty = dir.read_dir().map_err(state_error(dir))?.next().is_none();
    let mark = dir.join(MARK_FILE);
    // Before anything is put there.
    if fresh && !is_empty && std::fs::read_to_string(&mark).map_or(true, |text| text != MARK) {
        return Err(StartError::NotOurs { dir: dir.to_owned(), mark: MARK_FILE });
    }
    if is_empty {
        std::fs::write(&mark, MARK).map_err(state_error(&mark))?;
    }
    let path = dir.join(LOCK_FILE);
    let file = File::options().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(state_error(&path))?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_WAIT).await,
            Err(TryLockError::Error(source)) => return Err(state_error(&path)(source)),
        }
    }
    Err(StartError::InUse(dir.to_owned()))
}

/// Removes everything but lock and mark.
pub(crate) fn empty(dir: &Path) -> Result<(), StartError> {
    for entry in dir.read_dir().map_err(state_error(dir))? {
        let entry = entry.map_err(state_error(dir))?;
        let path = entry.path();
        if entry.file_name() == LOCK_FILE || entry.file_name() == MARK_FILE {
            continue;
        }
        let kind = entry.file_type().map_err(state_error(&path))?;
        let removed = if kind.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        removed.map_err(state_error(&path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{Config, Endpoint, State};

    fn config(dir: &Path, fresh: bool) -> Config {
        Config { state: State::Dir(dir.to_owned()), fresh, ..Config::default() }
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = dir.read_dir().unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_folder_is_emptied_only_by_who_has_its_lock_and_port_and_made_it() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("state");
        let running = Endpoint::start(config(&dir, false)).await.unwrap();
        std::fs::write(dir.join("kept"), "x").unwrap();
        let error = Endpoint::start(config(&dir, true)).await.unwrap_err();
        assert!(matches!(error, StartError::InUse(_)), "{error}");
        assert!(dir.join("kept").exists(), "another process uses it");
        running.shutdown().await;
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = taken.local_addr().unwrap();
        let error = Endpoint::start(Config { listen, ..config(&dir, true) }).await.unwrap_err();
        assert!(matches!(error, StartError::Listen { .. }), "{error}");
        assert!(dir.join("kept").exists(), "the port was taken");
        Endpoint::start(config(&dir, true)).await.unwrap().shutdown().await;
        assert!(!dir.join("kept").exists());
        assert!(dir.join(MARK_FILE).exists(), "it can be emptied again");
    }

    #[tokio::test]
    async fn a_folder_of_somebody_else_is_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        for name in [LOCK_FILE, "thesis.txt"] {
            std::fs::write(dir.path().join(name), "mine").unwrap();
        }
        for _ in 0..2 {
            let error = Endpoint::start(config(dir.path(), true)).await.unwrap_err();
            assert!(matches!(error, StartError::NotOurs { .. }), "{error}");
            assert_eq!(names(dir.path()), [LOCK_FILE, "thesis.txt"]);
            assert_eq!(std::fs::read_to_string(dir.path().join(LOCK_FILE)).unwrap(), "mine");
        }
        // One that was used all the same is not ours by that.
        Endpoint::start(config(dir.path(), false)).await.unwrap().shutdown().await;
        let error = Endpoint::start(config(dir.path(), true)).await.unwrap_err();
        assert!(matches!(error, StartError::NotOurs { .. }), "{error}");
        assert!(dir.path().join("thesis.txt").exists());
    }
}
