//! Finding the objects of sources: files, folders, S3, standard input.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use futures::StreamExt as _;
use object_store::ObjectStoreExt as _;

use super::display;
use super::object::Object;
use crate::cloud::store_error::{in_words, is_missing};
use crate::cloud::store_url::StoreUrl;
use crate::config;
use crate::printable::OneLine;

/// Standard input among the sources.
pub(crate) const STANDARD_INPUT: &str = "-";
/// The worker keeps these beside its archive: rejected records, rows set aside.
const NO_ARCHIVE: [&str; 2] = [".rejects.ndjson", ".rows.ndjson"];
/// The system's code for links that lead in a circle.
const TOO_MANY_LINKS: i32 = 40;

/// The content of sources.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// In the order given, by name within a folder; each once, however often it is named.
    pub(crate) objects: Vec<Object>,
    /// Files that are not objects, or that are there already.
    pub(crate) left_out: Vec<LeftOut>,
}

/// Something in a folder that is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} was left out: {}", OneLine(.name), OneLine(.reason))]
pub(crate) struct LeftOut {
    /// Its path.
    pub(crate) name: String,
    /// Why.
    pub(crate) reason: String,
}

/// A source that is not there, cannot be opened or holds nothing to read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoInput(pub(crate) String);

/// Makes sure that every file and folder of the sources is there, before anything is begun for their
/// sake.
///
/// # Errors
/// Names the one that is not.
#[cfg(feature = "local")]
pub(crate) fn are_there(sources: &[String]) -> Result<(), NoInput> {
    let files = sources.iter().filter(|s| *s != STANDARD_INPUT && !s.starts_with("s3://"));
    for source in files {
        local_path(source)
            .metadata()
            .map_err(|error| NoInput(format!("cannot read {source}: {error}")))?;
    }
    Ok(())
}

/// Finds the objects of all sources. One that cannot be read is left out and named; it does not
/// end the search.
///
/// # Errors
/// Names the source that does not exist, cannot be listed or holds nothing to read.
pub(crate) async fn find(sources: &[String], aws: &config::Aws) -> anyhow::Result<Found> {
    let mut search = Search::default();
    for source in sources {
        let before = search.found.objects.len();
        let known = search.repeated;
        if source == STANDARD_INPUT {
            if !std::mem::replace(&mut search.has_stdin, true) {
                search.found.objects.push(Object::stream("standard input", io::stdin()));
            }
        } else if source.starts_with("s3://") {
            search.s3(source, aws).await.with_context(|| format!("cannot list {source}"))?;
        } else {
            search
                .path(&local_path(source))
                .map_err(|error| NoInput(format!("cannot read {source}: {error}")))?;
        }
        let objects = &mut search.found.objects;
        objects[before..].sort_by(|a: &Object, b: &Object| a.name.cmp(&b.name));
        if objects.len() == before && search.repeated == known && source != STANDARD_INPUT {
            let reasons: Vec<String> =
                search.found.left_out.iter().map(ToString::to_string).collect();
            let reasons = if reasons.is_empty() {
                String::new()
            } else {
                format!(" ({})", reasons.join("; "))
            };
            return Err(NoInput(format!("{source} holds nothing that can be read{reasons}")).into());
        }
    }
    Ok(search.found)
}

/// Returns the path that a source means: one that exists as it is written, else with its `%20`
/// resolved, as file URLs have it.
fn local_path(source: &str) -> PathBuf {
    let Some(path) = source.strip_prefix("file:") else { return PathBuf::from(source) };
    let path = path.strip_prefix("//localhost/").map_or_else(
        || path.strip_prefix("//").unwrap_or(path).to_owned(),
        |rest| format!("/{rest}"),
    );
    match percent_decoded(&path) {
        Some(decoded) if !Path::new(&path).exists() => PathBuf::from(decoded),
        _ => PathBuf::from(path),
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%');
        let byte =
            digits.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).ok()
}

/// Which file it is, whatever its names.
type Identity = (u64, u64);

#[derive(Default)]
struct Search {
    found: Found,
    has_stdin: bool,
    /// By identity the name under which it is read.
    files: HashMap<Identity, Arc<str>>,
    /// How often an object was met again.
    repeated: u64,
}

/// A folder that is searched.
struct Folder {
    /// Without links: what lies elsewhere does not belong to it.
    root: PathBuf,
    visited: HashSet<Identity>,
    /// Looked at when all else was: a link gives way to what it leads to.
    links: VecDeque<PathBuf>,
}

impl Search {
    /// Takes a source: unlike in a folder, a link or pipe that is named is meant.
    fn path(&mut self, path: &Path) -> io::Result<()> {
        let meta = path.metadata()?;
        if meta.is_dir() {
            let root = path.canonicalize()?;
            let mut folder = Folder { root, visited: HashSet::new(), links: VecDeque::new() };
            self.folder(path, &meta, &mut folder)?;
            while let Some(link) = folder.links.pop_front() {
                self.link(&link, &mut folder);
            }
        } else if meta.is_file() {
            self.file(path, &meta)?;
        } else {
            let file = fs::File::open(path)?;
            self.found.objects.push(Object::stream(&display(path), file));
        }
        Ok(())
    }

    fn folder(&mut self, path: &Path, meta: &Metadata, folder: &mut Folder) -> io::Result<()> {
        if !folder.visited.insert((meta.dev(), meta.ino())) {
            return Ok(());
        }
        let mut entries = path.read_dir()?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            if is_archive_name(&entry.file_name().to_string_lossy())
                && let Err(error) = self.entry(&path, folder)
            {
                self.leave_out(&path, error.to_string());
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, folder: &mut Folder) -> io::Result<()> {
        let meta = path.symlink_metadata()?;
        let kind = meta.file_type();
        if kind.is_dir() {
            return self.folder(path, &meta, folder);
        }
        if kind.is_file() {
            return self.file(path, &meta);
        }
        if kind.is_symlink() {
            folder.links.push_back(path.to_owned());
            return Ok(());
        }
        let what = if kind.is_fifo() {
            "it is a pipe, whose end may never come; name it by itself if it is meant"
        } else if kind.is_socket() {
            "it is a socket"
        } else {
            "it is a device"
        };
        self.leave_out(path, what);
        Ok(())
    }

    fn link(&mut self, path: &Path, folder: &mut Folder) {
        let target = match path.canonicalize() {
            Ok(target) => target,
            Err(error) => {
                let reason = match error.raw_os_error() {
                    Some(TOO_MANY_LINKS) => "it is a link that leads in a circle".to_owned(),
                    _ if error.kind() == io::ErrorKind::NotFound => {
                        "it is a link to something that is not there".to_owned()
                    }
                    _ => error.to_string(),
                };
                return self.leave_out(path, reason);
            }
        };
        if !target.starts_with(&folder.root) {
            let target = display(&target);
            let reason = format!("it is a link out of the folder; name {target} if it is meant");
            return self.leave_out(path, reason);
        }
        let taken = target.metadata().and_then(|meta| {
            if !meta.is_dir() {
                return if meta.is_file() { self.file(path, &meta) } else { Ok(()) };
            }
            if folder.visited.contains(&(meta.dev(), meta.ino())) {
                self.leave_out(path, "it is a link to a folder that is read already");
                return Ok(());
            }
            self.folder(path, &meta, folder)
        });
        if let Err(error) = taken {
            self.leave_out(path, error.to_string());
        }
    }

    fn file(&mut self, path: &Path, meta: &Metadata) -> io::Result<()> {
        let object = Object::file(&std::path::absolute(path)?, &display(path), meta.len());
        let known = self.files.entry((meta.dev(), meta.ino()));
        let name = known.or_insert_with(|| Arc::clone(&object.name));
        if Arc::ptr_eq(name, &object.name) {
            self.found.objects.push(object);
            return Ok(());
        }
        self.repeated += 1;
        if **name != *object.name {
            let reason = format!("it is the same file as {name}, which counts once");
            self.leave_out(path, reason);
        }
        Ok(())
    }

    fn leave_out(&mut self, path: &Path, reason: impl Into<String>) {
        self.found.left_out.push(LeftOut { name: display(path), reason: reason.into() });
    }

    async fn s3(&mut self, url: &str, aws: &config::Aws) -> anyhow::Result<()> {
        let opened = StoreUrl::open_s3_to_read(url, aws)?;
        let (store, prefix) = (opened.store(), opened.prefix());
        let bucket = url["s3://".len()..].split('/').next().unwrap_or_default();
        let known: HashSet<Arc<str>> =
            self.found.objects.iter().map(|object| Arc::clone(&object.name)).collect();
        let mut push = |meta: object_store::ObjectMeta| {
            let object = Object::remote(bucket, store, meta);
            if known.contains(&object.name) {
                self.repeated += 1;
            } else {
                self.found.objects.push(object);
            }
        };
        // A prefix never lists the object that has exactly its name.
        if !prefix.as_ref().is_empty()
            && let Ok(meta) = store.head(prefix).await
            && meta.size > 0
        {
            push(meta);
            return Ok(());
        }
        let mut listed = store.list(Some(prefix));
        while let Some(meta) = listed.next().await {
            let meta = meta.map_err(|error| match is_missing(&error) {
                true => anyhow::Error::new(NoInput(in_words(&error))),
                false => anyhow::anyhow!("{}", in_words(&error)),
            })?;
            // Consoles make empty objects that stand for folders.
            if meta.size > 0 && meta.location.filename().is_some_and(is_archive_name) {
                push(meta);
            }
        }
        Ok(())
    }
}

/// Returns whether a folder's entry of this name may be an object.
fn is_archive_name(name: &str) -> bool {
    !name.starts_with('.') && !NO_ARCHIVE.iter().any(|suffix| name.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    async fn found(sources: &[String]) -> Found {
        find(sources, &config::Aws::default()).await.unwrap()
    }

    #[tokio::test]
    async fn a_folder_is_its_objects_by_name_each_once_and_without_rejects() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "a", ".hidden", "x.rejects.ndjson", "x.rows.ndjson"] {
            fs::write(dir.path().join(name), "{}").unwrap();
        }
        let folder = dir.path().display().to_string();
        let found = found(&[format!("{folder}/b"), format!("file://{folder}")]).await;
        let names: Vec<&str> = found.objects.iter().map(|one| &*one.name).collect();
        assert_eq!(names, [format!("file://{folder}/b"), format!("file://{folder}/a")]);
        assert_eq!(found.left_out, []);
    }

    /// Every odd thing that a folder may hold, and one good file that must be read all the same.
    #[tokio::test]
    async fn what_cannot_be_read_is_named_and_costs_nothing_else() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        fs::write(at("sub/good"), "{}").unwrap();
        fs::write(elsewhere.path().join("other"), "{}").unwrap();
        for (link, target) in [
            ("dangling", PathBuf::from("nowhere")),
            ("circle", PathBuf::from("circle")),
            ("sub/up", PathBuf::from("..")),
            ("again", PathBuf::from("sub/good")),
            ("out", elsewhere.path().join("other")),
            ("out-folder", elsewhere.path().to_owned()),
        ] {
            symlink(target, at(link)).unwrap();
        }
        fs::hard_link(at("sub/good"), at("sub/hard")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let found = found(&[dir.path().display().to_string()]).await;
        let names: Vec<&str> = found.objects.iter().map(|one| &*one.name).collect();
        assert_eq!(names, [format!("file://{}", at("sub/good").display())]);
        let reason = |name: &str| {
            let path = display(&at(name));
            let one = found.left_out.iter().find(|one| one.name == path);
            one.unwrap_or_else(|| panic!("{name} is not named")).reason.clone()
        };
        for (name, why) in [
            ("dangling", "not there"),
            ("circle", "in a circle"),
            ("sub/up", "read already"),
            ("again", "the same file"),
            ("sub/hard", "the same file"),
            ("out", "out of the folder"),
            ("out-folder", "out of the folder"),
            ("pipe", "a pipe"),
        ] {
            assert!(reason(name).contains(why), "{name}: {}", reason(name));
        }
        assert_eq!(found.left_out.len(), 8);
    }

    /// As Kubernetes mounts files: each is a link into a folder with a hidden name.
    #[tokio::test]
    async fn a_link_inside_the_folder_is_read_where_its_target_is_hidden() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("..data")).unwrap();
        fs::write(dir.path().join("..data/a.ndjson"), "{}").unwrap();
        symlink("..data/a.ndjson", dir.path().join("a.ndjson")).unwrap();
        let found = found(&[dir.path().display().to_string()]).await;
        assert_eq!((found.objects.len(), found.left_out), (1, vec![]));
    }

    #[tokio::test]
    async fn a_file_url_may_be_written_as_urls_are() {
        let dir = tempfile::tempdir().unwrap();
        let url = |name: &str| format!("file://{}/{name}", dir.path().display());
        fs::write(dir.path().join("a b+c%20d#e?f=1"), "{}").unwrap();
        fs::write(dir.path().join("x y"), "{}").unwrap();
        let sources = [url("a b+c%20d#e?f=1"), url("x%20y")];
        assert_eq!(found(&sources).await.objects.len(), 2);
        let error = find(&[url("absent")], &config::Aws::default()).await.unwrap_err();
        assert!(error.to_string().contains("absent") && error.is::<NoInput>(), "{error}");
    }

    #[tokio::test]
    async fn a_source_of_which_nothing_can_be_read_says_why() {
        let dir = tempfile::tempdir().unwrap();
        symlink("nowhere", dir.path().join("link")).unwrap();
        let source = dir.path().display().to_string();
        let error = find(&[source], &config::Aws::default()).await.unwrap_err();
        assert!(error.to_string().contains("link was left out"), "{error}");
        assert!(error.is::<NoInput>());
    }
}
