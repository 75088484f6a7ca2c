//! The stream: iterators that expire, pages of any size, shards that close, lists that contradict
//! themselves for a moment.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kinesis_fleet::source::{CallFailed, ShardCalls, ShardPage, Why};
use kinesis_fleet::sync::ShardInfo;
use kinesis_fleet::sync::listing::{CallError, StreamInfo, StreamShape};
use kinesis_fleet::{ChildShard, EpochMs, ShardId, StartAt};

use super::net::{Net, Service};
use super::state::Shell;

/// The list of shards is this much behind the stream at most.
const LIST_LAG_MS: u64 = 800;
/// A worker that asks how far behind a shard is reads so many records, and folds none.
const LAG_ASKS: u16 = 1;
/// An iterator lives for so long.
const ITERATOR_LIVES_MS: u64 = 20_000;

fn passing(reason: String) -> CallFailed {
    CallFailed { why: Why::Passing, reason }
}

impl StreamShape for Net {
    fn info(&self) -> BoxFuture<'_, Result<StreamInfo, CallError>> {
        let info = |_: &mut Shell| StreamInfo { created: EpochMs(1), retention_ms: 24 * 3_600_000 };
        self.list_call("DescribeStreamSummary", info).boxed()
    }

    fn shards(&self) -> BoxFuture<'_, Result<Vec<ShardInfo>, CallError>> {
        self.list_call("ListShards", Shell::list).boxed()
    }
}

impl ShardCalls for Net {
    fn iterator<'a>(
        &'a self,
        shard: &'a ShardId,
        start: StartAt,
    ) -> BoxFuture<'a, Result<String, CallFailed>> {
        let shard = Shell::number(shard);
        async move {
            let answer = self.call(Service::Stream, move |shell| shell.iterator(shard, start));
            answer.await.map_err(passing)
        }
        .boxed()
    }

    fn records<'a>(
        &'a self,
        iterator: &'a str,
        limit: u16,
    ) -> BoxFuture<'a, Result<ShardPage, CallFailed>> {
        let iterator = iterator.to_owned();
        async move {
            let answer = self.call(Service::Stream, move |shell| shell.page(&iterator, limit));
            answer.await.map_err(passing)?
        }
        .boxed()
    }
}

impl Net {
    /// Tries a few times, as the product does.
    async fn list_call<T: Send + 'static>(
        &self,
        operation: &'static str,
        effect: impl FnOnce(&mut Shell) -> T + Send + Clone + 'static,
    ) -> Result<T, CallError> {
        let mut reason = String::new();
        for attempt in 0..4 {
            match self.call(Service::Stream, effect.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => reason = error,
            }
            super::net::sleep_ms(50 << attempt).await;
        }
        Err((operation, reason))
    }
}

impl Shell {
    /// Returns the shards that there were a moment ago, now and then with newer marks of what is
    /// closed.
    fn list(&mut self) -> Vec<ShardInfo> {
        let now_ms = self.now_ms();
        let lag_ms = if self.chaos { self.rng.below(LIST_LAG_MS) } else { 0 };
        let seen_ms = now_ms.saturating_sub(lag_ms);
        let closed_ms = if self.chaos && self.rng.chance(20) { now_ms } else { seen_ms };
        let all = self.world.log.iter().zip(&self.spans).enumerate();
        let listed = all.filter(|(_, (_, span))| span.opens_ms <= seen_ms);
        let info = |(number, (log, _)): (usize, (&crate::log::ShardLog, _))| ShardInfo {
            id: log.id.clone(),
            parents: log.parents.iter().map(|parent| self.world.log[*parent].id.clone()).collect(),
            hash_range: log.range,
            closed: self.children(number).any(|(_, opens_ms)| opens_ms <= closed_ms),
        };
        listed.map(info).collect()
    }

    /// Returns the shards that continue a shard, and when they open.
    fn children(&self, shard: usize) -> impl Iterator<Item = (usize, u64)> {
        let all = self.world.log.iter().zip(&self.spans).enumerate();
        let children = all.filter(move |(_, (log, _))| log.parents.contains(&shard));
        children.map(|(number, (_, span))| (number, span.opens_ms))
    }

    fn iterator(&mut self, shard: usize, start: StartAt) -> String {
        let records = &self.world.log[shard].records;
        let index = match start {
            StartAt::TrimHorizon => 0,
            StartAt::Latest => self.visible(shard),
            StartAt::AtTimestamp(at) => {
                records.iter().position(|r| r.arrival >= at).unwrap_or(records.len())
            }
            StartAt::At(at) => records.partition_point(|r| r.sequence < at.sequence),
            StartAt::After(at) => records.partition_point(|r| r.sequence <= at.sequence),
        };
        format!("{shard}/{index}/{}", self.now_ms())
    }

    /// Returns how many records of a shard can be read by now.
    pub(super) fn visible(&self, shard: usize) -> usize {
        let now_ms = self.now_ms();
        self.spans[shard].appears_ms.partition_point(|at_ms| *at_ms <= now_ms)
    }

    fn page(&mut self, iterator: &str, limit: u16) -> Result<ShardPage, CallFailed> {
        let mut parts = iterator.split('/').map(|part| part.parse::<u64>().expect("our own"));
        let mut next = || parts.next().expect("three parts");
        let (shard, index, issued_ms) = (next(), next(), next());
        let [shard, index] = [shard, index].map(|n| usize::try_from(n).expect("small"));
        let now_ms = self.now_ms();
        if now_ms - issued_ms > ITERATOR_LIVES_MS || self.chaos && self.rng.chance(1) {
            self.world.mark("an iterator expired");
            return Err(CallFailed { why: Why::Expired, reason: "too old".to_owned() });
        }
        if limit > LAG_ASKS {
            self.check_parents(shard);
        }
        let index = index.max(self.world.trimmed[shard]);
        let (all, visible) = (self.world.log[shard].records.len(), self.visible(shard));
        let most = match self.rng.below(10) {
            0 if self.chaos => 0,
            1..=5 => 1 + self.rng.index(6),
            _ => usize::from(limit),
        };
        let until = visible.min(index + most.min(usize::from(limit))).max(index);
        let records = self.world.log[shard].records[index..until].to_vec();
        let is_closed = self.children(shard).any(|(_, opens_ms)| opens_ms <= now_ms);
        let is_over = until == all && is_closed;
        let children = if is_over { self.child_shards(shard) } else { vec![] };
        Ok(ShardPage {
            records,
            millis_behind: if until < visible { 1_000 } else { 0 },
            next: (!is_over).then(|| format!("{shard}/{until}/{now_ms}")),
            children,
        })
    }

    /// The service tells of the children, or forgets to.
    fn child_shards(&mut self, shard: usize) -> Vec<ChildShard> {
        if self.chaos && self.rng.chance(20) {
            self.world.mark("a shard ended without a word of its children");
            return vec![];
        }
        let id = |number: &usize| self.world.log[*number].id.clone();
        let child = |(number, _): (usize, u64)| ChildShard {
            shard: id(&number),
            parents: self.world.log[number].parents.iter().map(id).collect(),
            hash_range: self.world.log[number].range,
        };
        self.children(shard).map(child).collect()
    }

    /// E5: nothing of a shard is read before its parents are finished.
    fn check_parents(&mut self, shard: usize) {
        if !self.world.parents_done(shard) {
            self.breaks(format!("E5: shard {shard} is read before its parents are finished"));
        }
    }
}
