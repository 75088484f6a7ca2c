//! The outbox as a worker knows it: which objects wait, for whom, since when.

use std::collections::VecDeque;

use kinesis_model::{EpochMs, Position, ShardId};

/// The service that an object waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// CloudWatch.
    Metrics,
    /// EventBridge.
    Events,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Metrics, Self::Events];

    /// Returns the name in an object's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Events => "events",
        }
    }
}

/// An object that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) name: String,
    pub(super) shard: ShardId,
    pub(super) epoch: String,
    pub(super) kind: Kind,
    /// Whether it was the last of its epoch to be written: all of the epoch is there, or was sent.
    pub(super) is_last: bool,
    pub(super) bytes: u64,
    pub(super) made: EpochMs,
}

impl Waiting {
    /// Returns the object's name below the outbox:
    /// `<stream>/<shard>/<to>.<number>.<kind>[.last].json`.
    pub(super) fn name(
        stream: &str,
        shard: &ShardId,
        epoch: &str,
        (number, kind, is_last): (usize, Kind, bool),
    ) -> String {
        let last = if is_last { ".last" } else { "" };
        format!("{}/{shard}/{epoch}.{number:05}.{}{last}.json", folder(stream), kind.as_str())
    }

    /// Returns what an object is, by its name; `None` if it is none of the outbox.
    pub(super) fn of(name: &str, bytes: u64, made: EpochMs) -> Option<Self> {
        let mut parts = name.rsplit('/');
        let (file, shard) = (parts.next()?, parts.next()?);
        let rest = file.strip_suffix(".json")?;
        let (rest, is_last) = match rest.strip_suffix(".last") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (rest, kind) = rest.rsplit_once('.')?;
        let kind = Kind::ALL.into_iter().find(|each| each.as_str() == kind)?;
        let (epoch, number) = rest.rsplit_once('.')?;
        number.parse::<usize>().ok()?;
        Some(Self {
            name: name.to_owned(),
            shard: ShardId::new(shard),
            epoch: epoch.to_owned(),
            kind,
            is_last,
            bytes,
            made,
        })
    }
}

/// Returns where the objects of a stream lie.
pub(super) fn folder(stream: &str) -> String {
    format!("outbox/{stream}")
}

/// Returns an epoch's end in a name.
pub(super) fn epoch_text(to: Position) -> String {
    to.to_string().replace('/', ".")
}

/// The objects that this worker sends, oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: u64,
    /// Kinds whose service did not answer when it was last tried.
    away: Vec<Kind>,
}

impl Queue {
    pub(super) fn push(&mut self, waiting: Waiting) {
        if self.waiting.iter().rev().any(|known| known.name == waiting.name) {
            return;
        }
        self.bytes += waiting.bytes;
        let later = self.waiting.iter().rev().take_while(|known| known.made > waiting.made).count();
        self.waiting.insert(self.waiting.len() - later, waiting);
    }

    pub(super) fn first(&self, kind: Kind) -> Option<Waiting> {
        self.waiting.iter().find(|waiting| waiting.kind == kind).cloned()
    }

    pub(super) fn remove(&mut self, name: &str) {
        if let Some(at) = self.waiting.iter().position(|waiting| waiting.name == name) {
            self.bytes -= self.waiting.remove(at).map_or(0, |waiting| waiting.bytes);
        }
    }

    /// Forgets a shard that is another worker's now.
    pub(super) fn forget(&mut self, shard: &ShardId) {
        self.keep(|other| other != shard);
    }

    /// Forgets all but these shards.
    pub(super) fn keep(&mut self, is_ours: impl Fn(&ShardId) -> bool) {
        self.waiting.retain(|waiting| is_ours(&waiting.shard));
        self.bytes = self.waiting.iter().map(|waiting| waiting.bytes).sum();
    }

    /// Returns the oldest of all while there are more bytes than `most`.
    pub(super) fn beyond(&self, most: u64) -> Option<Waiting> {
        self.waiting.front().filter(|_| self.bytes > most).cloned()
    }

    pub(super) fn has_epoch(&self, shard: &ShardId, epoch: &str) -> bool {
        let is_it = |waiting: &&Waiting| waiting.shard == *shard && waiting.epoch == epoch;
        self.waiting.iter().filter(is_it).any(|waiting| waiting.is_last)
    }

    /// Returns whether what comes now has to queue up: its service is away, or has not caught up
    /// with this shard.
    pub(super) fn is_behind(&self, shard: &ShardId, kind: Kind) -> bool {
        self.away.contains(&kind)
            || self.waiting.iter().any(|waiting| waiting.kind == kind && waiting.shard == *shard)
    }

    pub(super) fn set_away(&mut self, kind: Kind, is_away: bool) {
        self.away.retain(|each| *each != kind);
        if is_away {
            self.away.push(kind);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn oldest(&self) -> Option<EpochMs> {
        self.waiting.front().map(|waiting| waiting.made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(shard: &str, number: usize, kind: Kind, made: i64) -> Waiting {
        let shard = ShardId::new(shard);
        let name = Waiting::name("s", &shard, "9.2", (number, kind, number == 2));
        Waiting::of(&name, 10, EpochMs(made)).unwrap()
    }

    #[test]
    fn a_name_tells_what_an_object_is() {
        let last = waiting("shardId-1", 2, Kind::Events, 5);
        assert_eq!(last.name, "outbox/s/shardId-1/9.2.00002.events.last.json");
        assert_eq!((last.epoch.as_str(), last.kind, last.is_last), ("9.2", Kind::Events, true));
        assert_eq!(Waiting::of("outbox/s/x/notes.txt", 1, EpochMs(0)), None);
    }

    #[test]
    fn the_oldest_goes_first_and_each_service_by_itself() {
        let mut queue = Queue::default();
        queue.push(waiting("a", 1, Kind::Metrics, 20));
        queue.push(waiting("a", 2, Kind::Events, 20));
        queue.push(waiting("b", 1, Kind::Metrics, 10));
        queue.push(waiting("b", 1, Kind::Metrics, 10));
        assert_eq!((queue.len(), queue.bytes()), (3, 30), "one object is one");
        let first = queue.first(Kind::Metrics).unwrap();
        assert_eq!(first.shard.as_str(), "b");
        assert_eq!(queue.beyond(29), Some(first.clone()));
        queue.remove(&first.name);
        assert_eq!(queue.beyond(29), None);
        assert!(queue.has_epoch(&ShardId::new("a"), "9.2"));
        assert!(queue.is_behind(&ShardId::new("a"), Kind::Events));
        assert!(!queue.is_behind(&ShardId::new("b"), Kind::Events));
        queue.set_away(Kind::Events, true);
        assert!(queue.is_behind(&ShardId::new("b"), Kind::Events));
        queue.forget(&ShardId::new("a"));
        assert_eq!((queue.len(), queue.bytes(), queue.oldest()), (0, 0, None));
    }

    #[test]
    fn an_epoch_whose_last_object_is_missing_was_not_wholly_written() {
        let mut queue = Queue::default();
        queue.push(waiting("a", 1, Kind::Metrics, 20));
        assert!(!queue.has_epoch(&ShardId::new("a"), "9.2"));
    }
}
