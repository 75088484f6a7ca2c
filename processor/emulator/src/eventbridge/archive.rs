//! Archives: the events of a bus, kept for replays.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::event::Event;
use super::pattern::Pattern;
use crate::error::StartError;
use crate::journal;
use crate::journal::Journal;
use crate::service::Shared;

/// Without a state folder an archive holds this much and then drops its oldest events.
const MEMORY_BYTES_MAX: usize = 64 << 20;

/// Events held in memory while an archive is copied.
const COPIED_AT_ONCE: usize = 1_000;

/// `CreateArchive`, and `UpdateArchive`, which changes only what is given.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ArchiveInput {
    pub(super) archive_name: String,
    pub(super) event_source_arn: Option<String>,
    pub(super) description: Option<String>,
    pub(super) event_pattern: Option<String>,
    pub(super) retention_days: Option<i64>,
    pub(super) name_prefix: Option<String>,
}

/// The settings of an archive.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ArchiveSpec {
    pub(super) bus: String,
    pub(super) description: Option<String>,
    pub(super) pattern: Option<Pattern>,
    /// 0 keeps events for ever.
    pub(super) retention_days: i64,
    pub(super) created_ms: i64,
}

impl ArchiveSpec {
    /// Returns whether an event of a bus belongs into the archive. Replayed events never do.
    pub(super) fn takes(&self, bus: &str, event: &Event) -> bool {
        self.bus == bus && self.pattern.as_ref().is_none_or(|pattern| pattern.matches(&event.json))
    }

    /// Returns the archive as `DescribeArchive` shows it; `ListArchives` takes a part.
    pub(super) fn describe(&self, name: &str, tape: &Tape, shared: &Shared) -> Value {
        let mut shown = json!({
            "ArchiveArn": archive_arn(shared, name),
            "ArchiveName": name,
            "EventSourceArn": super::bus::bus_arn(shared, &self.bus),
            "State": "ENABLED",
            "RetentionDays": self.retention_days,
            "SizeBytes": tape.bytes,
            "EventCount": tape.count,
            "CreationTime": self.created_ms / 1_000,
        });
        if let Some(description) = &self.description {
            shown["Description"] = description.as_str().into();
        }
        if let Some(pattern) = &self.pattern {
            shown["EventPattern"] = pattern.as_str().into();
        }
        shown
    }
}

/// Returns an archive's ARN.
pub(super) fn archive_arn(shared: &Shared, name: &str) -> String {
    shared.arn("events", &format!("archive/{name}"))
}

/// Where a reader of a tape stands: bytes into the file, or events since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Cursor(u64);

/// The events of one archive, in the order of their arrival.
#[derive(Debug)]
pub(super) struct Tape {
    keep: Keep,
    count: u64,
    bytes: u64,
}

#[derive(Debug)]
enum Keep {
    File { path: PathBuf, journal: Journal },
    Memory { events: VecDeque<Event>, dropped: u64 },
}

fn size(event: &Event) -> u64 {
    u64::try_from(event.json.len()).unwrap_or(u64::MAX)
}

fn file(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("archive-{name}.log"))
}

impl Tape {
    /// Opens an archive's tape, empty if there is none.
    pub(super) fn open(dir: Option<&Path>, name: &str) -> Result<Self, StartError> {
        let Some(dir) = dir else {
            let keep = Keep::Memory { events: VecDeque::new(), dropped: 0 };
            return Ok(Self { keep, count: 0, bytes: 0 });
        };
        let path = file(dir, name);
        let (mut count, mut bytes) = (0, 0);
        let journal = Journal::open(path.clone(), |frame| {
            count += 1;
            bytes += Event::from_bytes(frame).as_ref().map_or(0, size);
        });
        let failed = |reason| StartError::State { path: path.clone(), reason };
        let journal = journal.map_err(failed)?;
        Ok(Self { keep: Keep::File { path, journal }, count, bytes })
    }

    /// Deletes the tape's file.
    pub(super) fn delete(self) {
        if let Keep::File { path, .. } = self.keep
            && let Err(error) = std::fs::remove_file(&path)
        {
            tracing::warn!(path = %path.display(), %error, "an archive's file is not deleted");
        }
    }

    /// Keeps an event.
    pub(super) fn append(&mut self, event: &Event) -> std::io::Result<()> {
        match &mut self.keep {
            Keep::File { journal, .. } => journal.append(&event.to_bytes())?,
            Keep::Memory { events, dropped } => {
                events.push_back(event.clone());
                while self.bytes + size(event) > u64::try_from(MEMORY_BYTES_MAX).unwrap_or(0) {
                    let Some(oldest) = events.pop_front() else { break };
                    *dropped += 1;
                    self.count -= 1;
                    self.bytes -= size(&oldest);
                }
            }
        }
        self.count += 1;
        self.bytes += size(event);
        Ok(())
    }

    /// Returns where the next event will be put.
    pub(super) fn end(&self) -> Cursor {
        match &self.keep {
            Keep::File { journal, .. } => Cursor(journal.bytes()),
            Keep::Memory { dropped, .. } => Cursor(dropped + self.count),
        }
    }

    /// Returns up to `max` events from `from` on and before `to`, and where the next read begins.
    pub(super) fn read(
        &self,
        from: Cursor,
        to: Cursor,
        max: usize,
    ) -> std::io::Result<(Vec<Event>, Cursor)> {
        match &self.keep {
            Keep::Memory { events, dropped } => {
                let from = from.0.max(*dropped);
                let skip = usize::try_from(from - dropped).unwrap_or(usize::MAX);
                let left = usize::try_from(to.0.saturating_sub(from)).unwrap_or(usize::MAX);
                let read: Vec<Event> =
                    events.iter().skip(skip).take(left.min(max)).cloned().collect();
                let next = from + u64::try_from(read.len()).unwrap_or(u64::MAX);
                Ok((read, Cursor(next)))
            }
            Keep::File { path, .. } => read_file(path, from, to, max),
        }
    }

    /// Drops the events of before a time; cursors into the tape are void then.
    pub(super) fn expire(&mut self, before_s: i64) -> std::io::Result<()> {
        let (first, _) = self.read(Cursor::default(), self.end(), 1)?;
        if first.first().is_none_or(|event| event.time_s >= before_s) {
            return Ok(());
        }
        let (end, mut from) = (self.end(), Cursor::default());
        let (mut count, mut bytes) = (0, 0);
        match &mut self.keep {
            Keep::File { path, journal } => {
                let mut copy = journal.rewrite()?;
                while from < end {
                    let (events, next) = read_file(path, from, end, COPIED_AT_ONCE)?;
                    if next == from {
                        break;
                    }
                    from = next;
                    for event in events.iter().filter(|event| event.time_s >= before_s) {
                        copy.append(&event.to_bytes())?;
                        count += 1;
                        bytes += size(event);
                    }
                }
                journal.adopt(copy)?;
            }
            Keep::Memory { events, dropped } => {
                events.retain(|event| event.time_s >= before_s);
                *dropped = 0;
                count = u64::try_from(events.len()).unwrap_or(u64::MAX);
                bytes = events.iter().map(size).sum();
            }
        }
        (self.count, self.bytes) = (count, bytes);
        Ok(())
    }
}

fn read_file(
    path: &Path,
    from: Cursor,
    to: Cursor,
    max: usize,
) -> std::io::Result<(Vec<Event>, Cursor)> {
    let mut read = Vec::new();
    let mut frames = 0;
    let length = journal::read_frames(path, from.0, to.0, |frame| {
        frames += 1;
        read.extend(Event::from_bytes(frame));
        frames < max
    })?;
    Ok((read, Cursor(from.0 + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(time_s: i64) -> Event {
        Event { id: format!("id-{time_s}"), time_s, json: format!("{{\"t\":{time_s}}}") }
    }

    fn times(tape: &Tape, from: Cursor, max: usize) -> (Vec<i64>, Cursor) {
        let (events, next) = tape.read(from, tape.end(), max).unwrap();
        (events.iter().map(|event| event.time_s).collect(), next)
    }

    #[test]
    fn both_kinds_of_tape_read_in_parts_and_expire() {
        let dir = tempfile::tempdir().unwrap();
        for dir in [None, Some(dir.path())] {
            let mut tape = Tape::open(dir, "a").unwrap();
            (0..10).for_each(|time_s| tape.append(&event(time_s)).unwrap());
            let (first, next) = times(&tape, Cursor::default(), 4);
            assert_eq!(first, [0, 1, 2, 3]);
            let (rest, end) = times(&tape, next, 100);
            assert_eq!((rest, end), ((4..10).collect(), tape.end()));
            assert_eq!(times(&tape, end, 100).0, [0; 0]);
            tape.expire(7).unwrap();
            tape.append(&event(10)).unwrap();
            assert_eq!(times(&tape, Cursor::default(), 100).0, [7, 8, 9, 10]);
            assert_eq!((tape.count, tape.bytes), (4, 3 * 7 + 8));
        }
        assert_eq!(Tape::open(Some(dir.path()), "a").unwrap().count, 4);
    }
}
