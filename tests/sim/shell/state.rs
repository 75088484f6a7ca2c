//! Everything that outlives a worker, and the promises that are checked when it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ivs_processor::clock::{Instant, instant};
use ivs_processor::items::codec::Item;
use ivs_tests::rng::Rng;
use kinesis_fleet::store::codec;
use kinesis_fleet::{Checkpoint, Lease, ShardId};

use super::net::{Fate, Service};
use super::plan::{Plan, Span};
use crate::log::{HORIZON_MS, Line};
use crate::world::{EpochId, Variant, World};

/// Names a row: its table, its session and its sort key.
pub(crate) type RowKey = (String, String, String);

/// The services' state.
pub(crate) struct Shell {
    pub(crate) world: World,
    pub(crate) spans: Vec<Span>,
    pub(crate) ends_ms: u64,
    pub(crate) rng: Rng,
    began: Instant,
    pub(crate) lease_rows: BTreeMap<String, Arc<Item>>,
    /// The lease table of a while ago: scans are not consistent.
    pub(crate) earlier: BTreeMap<String, Arc<Item>>,
    pub(crate) rows: BTreeMap<RowKey, Arc<Item>>,
    /// Epochs whose checkpoint was moved, each shard's in order.
    pub(crate) committed: BTreeSet<EpochId>,
    /// Samples that CloudWatch holds, by metric, channel and minute.
    pub(crate) samples: BTreeMap<(&'static str, String, i64), f64>,
    /// Domain events that the bus has taken, by id.
    pub(crate) events: BTreeSet<String>,
    /// Until when each service is away.
    pub(crate) away_until_ms: [u64; Service::ALL.len()],
    /// Calls fail and take long.
    pub(crate) chaos: bool,
    /// Broken promises, as they were noticed.
    pub(crate) broken: Vec<String>,
}

impl Shell {
    pub(crate) fn new(plan: Plan, rng: Rng) -> Self {
        let mut world = World::new(Variant::Full, plan.log);
        world.leases.iter_mut().for_each(|lease| lease.exists = false);
        Self {
            world,
            spans: plan.spans,
            ends_ms: plan.ends_ms,
            rng,
            began: instant(),
            lease_rows: BTreeMap::new(),
            earlier: BTreeMap::new(),
            rows: BTreeMap::new(),
            committed: BTreeSet::new(),
            samples: BTreeMap::new(),
            events: BTreeSet::new(),
            away_until_ms: [0; Service::ALL.len()],
            chaos: true,
            broken: vec![],
        }
    }

    /// Returns how long the run has lasted.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).expect("minutes")
    }

    pub(crate) fn fate(&mut self, service: Service) -> Fate {
        let now_ms = self.now_ms();
        let rng = &mut self.rng;
        let well =
            |there_ms, back_ms| Fate { is_throttled: false, is_lost: false, there_ms, back_ms };
        if !self.chaos {
            return well(0, rng.below(4));
        }
        if now_ms < self.away_until_ms[service as usize] {
            return Fate { is_throttled: true, ..well(rng.below(30), 0) };
        }
        match rng.below(100) {
            0..=1 => Fate { is_throttled: true, ..well(rng.below(10), 0) },
            2..=3 => Fate { is_lost: true, ..well(rng.below(20), 0) },
            4 => well(200 + rng.below(6_000), rng.below(10)),
            5..=14 => well(rng.below(60), rng.below(60)),
            15..=50 => well(rng.below(4), rng.below(8)),
            _ => well(0, rng.below(5)),
        }
    }

    pub(crate) fn breaks(&mut self, promise: String) {
        self.broken.push(promise);
    }

    /// Returns a shard's number.
    pub(crate) fn number(shard: &ShardId) -> usize {
        let digits = shard.as_str().trim_start_matches("shardId-");
        digits.parse().expect("the run's own shard names")
    }

    /// Looks at every change of the lease table.
    pub(crate) fn lease_changed(&mut self, before: Option<&Item>, after: &Item) {
        let read = |item| codec::decode(item).ok().flatten();
        let before: Option<Lease> = before.and_then(read);
        let Some(after) = read(after) else {
            return self.breaks("a row of the lease table is not a lease".to_owned());
        };
        let shard = Self::number(&after.key);
        if before.is_none() {
            if self.world.leases[shard].done {
                self.breaks(format!("E3: the lease of {}, which is finished, is back", after.key));
            }
            self.world.leases[shard].exists = true;
        }
        let pending_before = before.as_ref().and_then(|lease| lease.pending);
        if let Some(Checkpoint::Sequence(to)) = after.pending
            && after.pending != pending_before
        {
            self.world.prepared.insert((shard, to));
        }
        let checkpoint_before = before.as_ref().map(|lease| lease.checkpoint);
        if checkpoint_before.is_some_and(|checkpoint| checkpoint != after.checkpoint) {
            self.checkpoint_moved(shard, pending_before, &after);
        }
        let lease = &mut self.world.leases[shard];
        lease.arrival = after.checkpoint_arrival;
        lease.pending = match after.pending {
            Some(Checkpoint::Sequence(to)) => Some(to),
            _ => None,
        };
    }

    /// Lets records of a shard that nobody works on expire, some of them unread. What repeats one of
    /// them comes later than the horizon, so that it is not a duplicate for anybody.
    pub(crate) fn expire(&mut self, shard: usize) {
        let visible = self.visible(shard);
        let lease = &self.world.leases[shard];
        if lease.pending.is_some() || lease.done || !lease.exists {
            return;
        }
        let log = &mut self.world.log[shard];
        let mut latest_ms = i64::MIN;
        let mut ends = vec![0];
        for (number, record) in log.records.iter().enumerate().take(visible) {
            if record.arrival.0.saturating_sub(latest_ms) > HORIZON_MS {
                ends.push(number);
            }
            latest_ms = latest_ms.max(record.arrival.0);
        }
        let end = ends[self.rng.index(ends.len())];
        if end <= self.world.trimmed[shard] {
            return;
        }
        self.world.trimmed[shard] = end;
        let gone = log.records[end - 1].sequence;
        let lost = log.lines.iter().map(Line::position);
        let lost = lost.filter(|at| at.sequence <= gone && Some(*at) > lease.checkpoint);
        let before = log.lost.len();
        log.lost.extend(lost);
        if log.lost.len() > before {
            self.world.mark("records expired unread");
        }
    }

    fn checkpoint_moved(&mut self, shard: usize, pending: Option<Checkpoint>, after: &Lease) {
        let key = &after.key;
        match after.checkpoint {
            Checkpoint::ShardEnd => {
                if pending.is_some() {
                    self.breaks(format!("E3: {key} was finished with an epoch prepared"));
                }
                self.world.leases[shard].done = true;
            }
            Checkpoint::Sequence(to) => {
                if pending != Some(Checkpoint::Sequence(to)) {
                    self.breaks(format!("E3: {to} of {key} was committed, {pending:?} prepared"));
                }
                if self.world.leases[shard].checkpoint >= Some(to) {
                    self.breaks(format!("E3: the checkpoint of {key} moved back to {to}"));
                }
                self.world.leases[shard].checkpoint = Some(to);
                self.committed.insert((shard, to));
            }
            other => self.breaks(format!("E3: the checkpoint of {key} became {other}")),
        }
    }
}
