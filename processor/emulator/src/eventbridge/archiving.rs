//! The operations on archives and replays.

use serde_json::{Value, json};

use super::archive::{ArchiveInput, ArchiveSpec, Tape, archive_arn};
use super::bus::{absent, check_name, invalid, too_many};
use super::event::bus_name;
use super::pattern::Pattern;
use super::replay::{ReplaySelection, StartReplay};
use super::{EventBridge, Inner, not_stored, read};
use crate::journal;
use crate::service::{AwsError, Call};

const ARCHIVES_MAX: usize = 100;
const DAY_MS: i64 = 86_400_000;

/// Between two looks for expired events.
const EXPIRE_MS: i64 = 3_600_000;

fn no_archive(name: &str) -> AwsError {
    absent(format!("Archive {name} does not exist."))
}

fn pattern(text: Option<&str>) -> Result<Option<Pattern>, AwsError> {
    text.filter(|text| !text.is_empty()).map(Pattern::parse).transpose()
}

fn retention(days: Option<i64>) -> Result<i64, AwsError> {
    let days = days.unwrap_or(0);
    // Ten thousand years.
    if (0..=3_650_000).contains(&days) {
        return Ok(days);
    }
    Err(invalid("RetentionDays must be 0 or more."))
}

impl EventBridge {
    pub(super) fn answer_archives(&self, call: &Call) -> Result<Value, AwsError> {
        let (shared, now_ms) = (&*self.shared, self.now_ms());
        match call.operation.as_str() {
            "CreateArchive" => self.create_archive(&read(call)?),
            "UpdateArchive" => self.update_archive(&read(call)?),
            "DeleteArchive" => self.delete_archive(&read(call)?),
            "DescribeArchive" => {
                let input: ArchiveInput = read(call)?;
                let Inner { book, tapes, .. } = &*self.lock();
                let name = input.archive_name.as_str();
                let found = book.archives.get(name).zip(tapes.get(name));
                let (archive, tape) = found.ok_or_else(|| no_archive(name))?;
                Ok(archive.describe(name, tape, shared))
            }
            "ListArchives" => {
                let input: ArchiveInput = read(call)?;
                let prefix = input.name_prefix.unwrap_or_default();
                let Inner { book, tapes, .. } = &*self.lock();
                let archives = book.archives.iter().filter(|(name, archive)| {
                    name.starts_with(&prefix)
                        && input
                            .event_source_arn
                            .as_deref()
                            .is_none_or(|source| bus_name(Some(source)) == archive.bus)
                });
                let archives: Vec<Value> = archives
                    .filter_map(|(name, one)| Some(one.describe(name, tapes.get(name)?, shared)))
                    .collect();
                Ok(json!({"Archives": archives}))
            }
            "StartReplay" => {
                let input: StartReplay = read(call)?;
                let mut inner = self.lock();
                let Inner { book, tapes, .. } = &mut *inner;
                let source = input.event_source_arn.clone();
                let name = source.rsplit_once("archive/").map_or(source.as_str(), |(_, name)| name);
                let found = book.archives.get(name).zip(tapes.get(name));
                let (archive, tape) = found.ok_or_else(|| no_archive(name))?;
                let of = (name, archive.bus.as_str(), tape.end());
                let answer = book.replays.start(input, of, shared, now_ms)?;
                self.save(&inner)?;
                Ok(answer)
            }
            "DescribeReplay" => {
                let input: ReplaySelection = read(call)?;
                self.lock().book.replays.describe(&input.replay_name, shared)
            }
            "ListReplays" => Ok(self.lock().book.replays.list(&read(call)?, shared)),
            "CancelReplay" => {
                let input: ReplaySelection = read(call)?;
                self.change(|book| book.replays.cancel(&input.replay_name, shared, now_ms))
            }
            _ => Err(AwsError::unknown_operation(call)),
        }
    }

    fn create_archive(&self, input: &ArchiveInput) -> Result<Value, AwsError> {
        let (name, now_ms) = (input.archive_name.as_str(), self.now_ms());
        check_name(name, 48)?;
        let source = input.event_source_arn.as_deref();
        let source = source.ok_or_else(|| invalid("EventSourceArn is needed."))?;
        let bus = bus_name(Some(source));
        let mut inner = self.lock();
        if !inner.book.buses.has(bus) {
            return Err(absent(format!("Event bus {bus} does not exist.")));
        }
        if inner.book.archives.contains_key(name) {
            let message = format!("Archive {name} already exists.");
            return Err(AwsError::bad_request("ResourceAlreadyExistsException", message));
        }
        if inner.book.archives.len() >= ARCHIVES_MAX {
            return Err(too_many(format!("There are {ARCHIVES_MAX} archives already.")));
        }
        let archive = ArchiveSpec {
            bus: bus.to_owned(),
            description: input.description.clone(),
            pattern: pattern(input.event_pattern.as_deref())?,
            retention_days: retention(input.retention_days)?,
            created_ms: now_ms,
        };
        let tape = Tape::open(self.shared.state_dir.as_deref(), name)
            .map_err(|error| not_stored(&std::io::Error::other(error)))?;
        inner.tapes.insert(name.to_owned(), tape);
        inner.book.archives.insert(name.to_owned(), archive);
        self.save(&inner)?;
        Ok(self.created(name, now_ms))
    }

    fn created(&self, name: &str, created_ms: i64) -> Value {
        json!({
            "ArchiveArn": archive_arn(&self.shared, name),
            "State": "ENABLED",
            "CreationTime": created_ms / 1_000,
        })
    }

    fn update_archive(&self, input: &ArchiveInput) -> Result<Value, AwsError> {
        let name = input.archive_name.as_str();
        let changed = pattern(input.event_pattern.as_deref())?;
        let days = input.retention_days.map(|days| retention(Some(days))).transpose()?;
        self.change(|book| {
            let archive = book.archives.get_mut(name).ok_or_else(|| no_archive(name))?;
            if let Some(description) = &input.description {
                archive.description = Some(description.clone());
            }
            if let Some(pattern) = changed {
                archive.pattern = Some(pattern);
            }
            archive.retention_days = days.unwrap_or(archive.retention_days);
            Ok(self.created(name, archive.created_ms))
        })
    }

    fn delete_archive(&self, input: &ArchiveInput) -> Result<Value, AwsError> {
        let name = input.archive_name.as_str();
        let mut inner = self.lock();
        inner.book.archives.remove(name).ok_or_else(|| no_archive(name))?;
        let tape = inner.tapes.remove(name);
        self.save(&inner)?;
        if let Some(tape) = tape {
            tape.delete();
        }
        Ok(json!({}))
    }

    fn save(&self, inner: &Inner) -> Result<(), AwsError> {
        journal::write_json(self.file.as_deref(), &inner.book).map_err(|error| not_stored(&error))
    }

    /// Drops what archives need not keep any longer, now and then. An archive that a replay reads
    /// has to wait.
    pub(super) fn expire_archives(&self, now_ms: i64) {
        let mut inner = self.lock();
        if now_ms - inner.expired_ms < EXPIRE_MS {
            return;
        }
        inner.expired_ms = now_ms;
        let Inner { book, tapes, .. } = &mut *inner;
        for (name, archive) in &book.archives {
            if archive.retention_days == 0 || book.replays.reads(name) {
                continue;
            }
            let before_s = (now_ms - archive.retention_days * DAY_MS) / 1_000;
            let expired = tapes.get_mut(name).map(|tape| tape.expire(before_s));
            if let Some(Err(error)) = expired {
                tracing::warn!(archive = name, %error, "expired events are not dropped");
            }
        }
    }
}
