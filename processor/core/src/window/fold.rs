//! Folding events into windows: the hot path of the worker and of `replay`.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::{WindowAgg, WindowKey};
use crate::channel::SaidBy;
use crate::decode::{ChatMessage, Gauge, PlayerSample};
use crate::experience::{Dimensions, SliceSlots};
use crate::fixed::Fixed;
use crate::merge::{Merge, Range};
use crate::minute::Minute;
use crate::sketch::quantile::whole_ms;
use crate::sketch::{Coupon, Sketch};
use kinesis_model::EpochMs;

/// Sketches take values in batches of this many: large enough that most windows sort and merge once,
/// small enough that a window's three batches stay below 12 KB, about what its sketches take.
const BATCH: usize = 1_024;

/// Room for a window's first values: a small window never grows its batches.
const FIRST_BATCH: usize = 8;

/// The windows of an open epoch. Sessions are interned, so a record of a known one allocates
/// nothing but the growth of its window's sketches.
#[derive(Debug)]
pub struct WindowFold {
    /// The dimensions by which views are broken down; `None` leaves views and breakdowns out.
    dimensions: Option<Arc<Dimensions>>,
    sessions: Vec<Session>,
    /// Indices into `sessions`, hashed by the session's id.
    by_id: HashTable<usize>,
    /// Keyed anew for each fold, since ids come from outside; no result depends on it.
    hasher: DefaultHashBuilder,
    windows: Vec<(WindowKey, WindowAgg)>,
    /// For each window the values that its sketches have not taken yet.
    batches: Vec<Batches>,
    /// Indices into `windows` by index into `sessions` and minute.
    by_key: HashMap<(usize, Minute), usize>,
    /// Heap memory of ids and sketches.
    grown_bytes: usize,
}

#[derive(Debug)]
struct Session {
    id: Arc<str>,
    /// The channel that a window of the session was last given, shared by its windows.
    channel_id: Arc<str>,
    /// The window of the session's last record, most records fall into the same one; `None` while
    /// there is none.
    recent: Option<(Minute, usize)>,
}

/// The values that a window's sketches have not taken yet.
#[derive(Debug, Default)]
struct Batches {
    players: Vec<Coupon>,
    latencies: Vec<u32>,
    startups: Vec<u32>,
    /// Views that played.
    playing: Vec<Coupon>,
    slices: SliceSlots,
}

impl Default for WindowFold {
    fn default() -> Self {
        Self::with(Some(Dimensions::shared()))
    }
}

impl WindowFold {
    /// Returns a fold of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a fold of nothing by other dimensions, or without views and breakdowns.
    #[must_use]
    pub fn with(dimensions: Option<Arc<Dimensions>>) -> Self {
        Self {
            dimensions,
            sessions: Vec::new(),
            by_id: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            windows: Vec::new(),
            batches: Vec::new(),
            by_key: HashMap::new(),
            grown_bytes: 0,
        }
    }

    /// Returns how many windows are open, that is rows to write.
    #[must_use]
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// Returns how many sessions have open windows.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Returns whether no event was folded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// Returns the windows as they are, in no order; their sketches may lack the latest values.
    pub fn iter(&self) -> impl Iterator<Item = &(WindowKey, WindowAgg)> {
        self.windows.iter()
    }

    /// Returns about how much memory the windows take, for the limit of an epoch.
    #[must_use]
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        let index_entry = size_of::<((usize, Minute), usize)>();
        let sessions = self.sessions.len() * (size_of::<Session>() + size_of::<usize>());
        let window = size_of::<(WindowKey, WindowAgg)>() + size_of::<Batches>();
        sessions + self.windows.len() * (window + index_entry) + self.grown_bytes
    }

    /// Folds a report of a stream's backend.
    #[inline]
    pub fn add_gauge(&mut self, event: &Gauge<'_>) {
        let (agg, _) =
            self.window(&event.session_id, &event.channel_id, SaidBy::Backend, event.time);
        agg.gauges += 1;
        agg.viewers.add_some(event.time, event.viewers);
        agg.bitrate.add_some(event.bitrate_bps);
        agg.frame_rate.add_some(event.frame_rate);
        agg.chat_rate.add_some(event.chat_rate);
        agg.cpu.add_some(event.cpu);
        agg.memory.add_some(event.memory);
    }

    /// Folds a record of a player.
    #[inline]
    pub fn add_player(&mut self, event: &PlayerSample<'_>) {
        let slots = self.dimensions.as_deref().map(|known| SliceSlots::of(known, event));
        let (agg, batches) =
            self.window(&event.session_id, &event.channel_id, SaidBy::Player, event.time);
        agg.player_records += 1;
        agg.player_bitrate.add_some(event.bitrate_bps);
        agg.player_frame_rate.add_some(event.frame_rate);
        agg.dropped_frames.add_some(event.dropped_frames);
        agg.buffering_ms.add_some(event.buffering_ms);
        agg.rebuffers.add_some(event.rebuffer_count);
        if let Some(playing) = event.playing_ms {
            let stalled = event.buffering_ms.unwrap_or_default();
            agg.playing_ms.add(playing);
            agg.watch_buffering_ms += stalled;
            agg.stalled_percent.merge(&percent_of_watch(stalled, playing));
        }
        let errors = match event.error_count {
            Some(count) => count.round().max(0),
            None => i64::from(event.error_code.is_some()),
        };
        agg.player_errors.merge(&errors.unsigned_abs());
        agg.errors_range.merge(&Fixed::from_int(errors).map(Range::of));
        let mut grown = push(&mut batches.players, &mut agg.players, Coupon::of(&event.player_id));
        if let Some(latency) = event.latency_ms.map(whole_ms) {
            agg.latency_sum_ms.merge(&u64::from(latency));
            grown += push(&mut batches.latencies, &mut agg.latency, latency);
        }
        if let Some(startup) = event.startup_ms.map(whole_ms) {
            agg.startup_sum_ms.merge(&u64::from(startup));
            grown += push(&mut batches.startups, &mut agg.startup, startup);
        }
        if let Some(slots) = slots {
            if let Some(told) = event.view_event {
                agg.views.add(told);
            }
            if let Some(view_id) = event.view_id.as_deref().filter(|_| event.has_played()) {
                grown += push(&mut batches.playing, &mut agg.playing, Coupon::of(view_id));
            }
            grown += batches.slices.add(&slots, event);
        }
        self.grown_bytes += grown;
    }

    /// Folds a record of a chat log.
    pub fn add_chat(&mut self, event: &ChatMessage<'_>) {
        let (session_id, channel_id) = (&event.session_id, &event.channel_id);
        let (agg, _) = self.window(session_id, channel_id, event.channel_said_by, event.time);
        agg.chat_messages += u64::from(event.messages);
    }

    /// Takes the windows out, sorted by key, and starts anew.
    pub fn drain(&mut self) -> Vec<(WindowKey, WindowAgg)> {
        let fresh = Self::with(self.dimensions.clone());
        let Self { mut windows, batches, dimensions, .. } = std::mem::replace(self, fresh);
        for ((_, agg), batches) in windows.iter_mut().zip(batches) {
            batches.settle(agg, dimensions.as_deref());
        }
        // Windows are large: their order is found first, and then each is moved once.
        let mut order: Vec<usize> = (0..windows.len()).collect();
        order.sort_unstable_by(|&a, &b| windows[a].0.cmp(&windows[b].0));
        for at in 0..order.len() {
            let mut from = order[at];
            // What stood in a place already filled was swapped to where that place's own came from.
            while from < at {
                from = order[from];
            }
            windows.swap(at, from);
        }
        windows
    }

    /// Returns the window that an event belongs to, with the event counted.
    fn window(
        &mut self,
        session_id: &str,
        channel_id: &str,
        said_by: SaidBy,
        time: EpochMs,
    ) -> (&mut WindowAgg, &mut Batches) {
        let minute = Minute::of(time);
        let hash = self.hasher.hash_one(session_id);
        let known = self.by_id.find(hash, |&index| *self.sessions[index].id == *session_id);
        let session = match known {
            Some(&session) => session,
            None => self.new_session(hash, session_id),
        };
        let index = match self.sessions[session].recent {
            Some((recent, index)) if recent == minute => index,
            _ => self.turn_to(session, minute),
        };
        let agg = &mut self.windows[index].1;
        if agg.channel_said_by.yields_to(&agg.channel_id, channel_id, said_by) {
            let channel = &mut self.sessions[session].channel_id;
            if **channel != *channel_id {
                *channel = Arc::from(channel_id);
            }
            agg.see_channel(channel, said_by);
        }
        agg.records += 1;
        (agg, &mut self.batches[index])
    }

    /// Adds a session that has no window yet.
    fn new_session(&mut self, hash: u64, session_id: &str) -> usize {
        let session = self.sessions.len();
        let (id, channel_id) = (Arc::from(session_id), Arc::default());
        self.sessions.push(Session { id, channel_id, recent: None });
        let (sessions, hasher) = (&self.sessions, &self.hasher);
        let hash_of = |&index: &usize| hasher.hash_one(&*sessions[index].id);
        self.by_id.insert_unique(hash, session, hash_of);
        self.grown_bytes += session_id.len();
        session
    }

    /// Makes a window the session's recent one, opening it if need be.
    fn turn_to(&mut self, session: usize, minute: Minute) -> usize {
        let next = self.windows.len();
        let index = *self.by_key.entry((session, minute)).or_insert(next);
        if index == next {
            let session_id = Arc::clone(&self.sessions[session].id);
            self.windows.push((WindowKey { session_id, minute }, WindowAgg::default()));
            self.batches.push(Batches::default());
        }
        self.sessions[session].recent = Some((minute, index));
        index
    }
}

impl Batches {
    /// Gives all values to the sketches.
    fn settle(mut self, agg: &mut WindowAgg, dimensions: Option<&Dimensions>) {
        agg.players.insert_all(&mut self.players);
        agg.latency.insert_all(&mut self.latencies);
        agg.startup.insert_all(&mut self.startups);
        agg.playing.insert_all(&mut self.playing);
        if let Some(dimensions) = dimensions {
            agg.breakdown = self.slices.named(dimensions);
        }
    }
}

/// Adds a value to a batch, and a full batch to its sketch; returns by how many bytes both grew.
#[inline]
fn push<S: Sketch>(batch: &mut Vec<S::Value>, sketch: &mut S, value: S::Value) -> usize {
    let before = batch.capacity();
    if before == 0 {
        batch.reserve_exact(FIRST_BATCH);
    }
    batch.push(value);
    let mut grown = (batch.capacity() - before) * size_of::<S::Value>();
    if batch.len() >= BATCH {
        let before = sketch.heap_bytes();
        sketch.insert_all(batch);
        grown += sketch.heap_bytes().saturating_sub(before);
    }
    grown
}

/// Returns what share of a record's watch time was stalled, rounded down and up to a millionth of a
/// percent; `None` without watch time. Neither time is negative: decode refuses negative numbers.
fn percent_of_watch(stalled_ms: Fixed, playing_ms: Fixed) -> Option<Range> {
    /// Percent, in millionths.
    const WHOLE: u128 = 100_000_000;

    let [stalled, playing] =
        [stalled_ms, playing_ms].map(|ms| u128::from(ms.micros().unsigned_abs()));
    let watched = stalled + playing;
    let down = (stalled * WHOLE).checked_div(watched)?;
    let up = down + u128::from(down * watched != stalled * WHOLE);
    let percent = |micros| i64::try_from(micros).ok().map(Fixed::from_micros);
    Some(Range { min: percent(down)?, max: percent(up)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_hashed_by_a_key_of_each_fold() {
        let hash = || WindowFold::new().hasher.hash_one("st-1");
        let first = hash();
        assert!((0..8).any(|_| hash() != first), "ids could be chosen to collide");
    }
}
