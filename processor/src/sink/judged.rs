//! Which closed windows a worker has judged: each once, whichever of its shards comes first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kinesis_model::{EpochMs, Position, ShardId};

/// Windows remembered. The oldest give way; a late record may then judge one again, which changes
/// nothing: its metric is read with Maximum, and its events have the same ids.
const MAX_JUDGED: usize = 100_000;

/// The windows of a worker. Cheap to clone.
///
/// An epoch claims a window, and the claim stands once the epoch has emitted. One that does not get
/// that far is written again by its shard's next owner, who claims the window anew.
#[derive(Clone, Debug, Default)]
pub struct Judged(Arc<Mutex<Windows>>);

/// By start and session.
type Windows = BTreeMap<(EpochMs, Arc<str>), Claim>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    shard: ShardId,
    to: Position,
    stands: bool,
}

impl Judged {
    /// Claims a window for an epoch; `false` if it is another's.
    #[must_use]
    pub fn claim(
        &self,
        session_id: &Arc<str>,
        start: EpochMs,
        (shard, to): (&ShardId, Position),
    ) -> bool {
        let mut windows = self.lock();
        let claim = windows.entry((start, Arc::clone(session_id))).or_insert_with(|| Claim {
            shard: shard.clone(),
            to,
            stands: false,
        });
        let is_ours = !claim.stands && claim.shard == *shard && claim.to == to;
        if windows.len() > MAX_JUDGED {
            windows.pop_first();
        }
        is_ours
    }

    /// Notes that the epoch has emitted: its claims stand.
    pub fn stand(&self, shard: &ShardId, to: Position) {
        for claim in self.lock().values_mut() {
            claim.stands |= claim.shard == *shard && claim.to == to;
        }
    }

    /// Notes that the shard's task is over: what it claimed and did not emit is free again.
    pub fn free(&self, shard: &ShardId) {
        self.lock().retain(|_, claim| claim.stands || claim.shard != *shard);
    }

    fn lock(&self) -> MutexGuard<'_, Windows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_judged_once_unless_its_judge_never_emitted() {
        let judged = Judged::default();
        let (session, start) = (Arc::from("st-1"), EpochMs(300_000));
        let (a, b) = (ShardId::new("a"), ShardId::new("b"));
        let at = |sequence: u128| Position { sequence: sequence.into(), sub: 0 };
        assert!(judged.claim(&session, start, (&a, at(1))));
        assert!(judged.claim(&session, start, (&a, at(1))), "the epoch is emitted again");
        assert!(!judged.claim(&session, start, (&b, at(1))));
        judged.free(&a);
        assert!(judged.claim(&session, start, (&b, at(1))));
        judged.stand(&b, at(1));
        judged.free(&b);
        assert!(!judged.claim(&session, start, (&a, at(2))));
        assert!(judged.claim(&session, EpochMs(600_000), (&a, at(2))));
    }
}
