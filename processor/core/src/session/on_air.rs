//! Which sessions without a known end are still on air, as a reader with a clock judges them: a
//! report, the page, the lists of the commands.
//!
//! IVS has one stream a channel, so the sessions of a channel tell of each other. No end is made up
//! here, and nothing of it is stored: the next look may know more records.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use kinesis_model::EpochMs;

use super::derived::{LONGEST_STREAM_MS, STALE_MS};
use crate::minute::MINUTE_MS;

/// How much longer one session must have been heard than another of its channel to be what is on
/// air: a live one is heard every few seconds, and both sides are known to the minute only.
const OUTLIVED_MS: i64 = 2 * MINUTE_MS;

/// A session, as far as it must be known to judge it and the others of its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signs {
    /// When it began.
    pub start: EpochMs,
    /// The end of its last minute with a record of its own; of one that has ended, its end.
    pub heard_until: Option<EpochMs>,
    /// Whether IVS speaks of it, and not only the application by an id of its own.
    pub is_ivs: bool,
}

impl Signs {
    /// Returns the signs of a session that looks live by its summary item, which tells of its
    /// records by `staleAfter`: see [`super::SummaryAgg::stale_after`].
    #[must_use]
    pub fn of_live(start: EpochMs, stale_after: Option<EpochMs>, is_ivs: bool) -> Self {
        let heard_until = stale_after
            .filter(|stale| *stale != overdue_at(start))
            .map(|stale| EpochMs(stale.0.saturating_sub(STALE_MS)));
        Self { start, heard_until, is_ivs }
    }

    /// Returns up to where a session without an end counts if it can no longer be on air: because it
    /// fell silent, or because `over_from` has come, which [`over_from`] gives. `None` while it is on
    /// air.
    ///
    /// `heard_until` may know more than its own records do: players and chat prove life, too, but
    /// only where a session sent records of its own is silence odd.
    #[must_use]
    pub fn lost_at(
        &self,
        over_from: EpochMs,
        heard_until: Option<EpochMs>,
        now: EpochMs,
    ) -> Option<EpochMs> {
        let is_silent = self.heard_until.is_some()
            && heard_until.is_some_and(|heard| heard.max(self.start).0 + STALE_MS <= now.0);
        let until = heard_until.map_or(self.start, |heard| heard.min(over_from)).max(self.start);
        (is_silent || over_from <= now).then_some(until)
    }
}

/// A session as it was read, with others of its channel or without.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its channel; empty if that is not known.
    pub channel_id: &'a str,
    /// The signs of it; none of one that never began.
    pub signs: Option<Signs>,
    /// Whether its end is unknown, though it may be past.
    pub is_open: bool,
}

/// Returns of each session up to where it counts if it is lost: it has no end and is not on air any
/// more.
#[must_use]
pub fn lost(sessions: &[Seen<'_>], now: EpochMs) -> Vec<Option<EpochMs>> {
    let mut channels: BTreeMap<&str, Vec<(usize, Signs)>> = BTreeMap::new();
    for (at, session) in sessions.iter().enumerate() {
        let began = session.signs.map(|signs| (at, signs));
        channels.entry(session.channel_id).or_default().extend(began);
    }
    let mut lost = vec![None; sessions.len()];
    let mut judge = |together: &[(usize, Signs)]| {
        let all: Vec<_> = together.iter().map(|(_, signs)| *signs).collect();
        for ((at, signs), over_from) in together.iter().zip(over_from(&all, now)) {
            let until = signs.lost_at(over_from, signs.heard_until, now);
            lost[*at] = until.filter(|_| sessions[*at].is_open);
        }
    };
    for (channel_id, together) in channels {
        if channel_id.is_empty() {
            // Nothing says that they share a channel.
            together.chunks(1).for_each(&mut judge);
        } else {
            judge(&together);
        }
    }
    lost
}

fn overdue_at(start: EpochMs) -> EpochMs {
    EpochMs(start.0.saturating_add(LONGEST_STREAM_MS))
}

/// Returns for each session of a channel from when on it is over if it has no end: 48 hours after
/// its start, IVS's limit, or earlier because of the others.
///
/// Of two streams that IVS speaks of, the one that began later is on air. A session of the
/// application's own, which may go on beside that of IVS, is over when it sent nothing more once
/// another began. And whichever is heard longer outlives the other.
#[must_use]
pub fn over_from(channel: &[Signs], now: EpochMs) -> Vec<EpochMs> {
    let mut latest_first: Vec<usize> = (0..channel.len()).collect();
    latest_first.sort_by_key(|at| Reverse(channel[*at].start));
    let heard = channel.iter().filter_map(|one| one.heard_until).max();
    let mut over = vec![now; channel.len()];
    let mut later = Later { now, heard: heard.map(|heard| heard.min(now)), ..Later::default() };
    for together in latest_first.chunk_by(|a, b| channel[*a].start == channel[*b].start) {
        for at in together {
            over[*at] = later.ends(&channel[*at]);
        }
        for at in together {
            later.add(&channel[*at]);
        }
    }
    over
}

/// The sessions of a channel that began after the one in question.
#[derive(Debug, Default)]
struct Later {
    now: EpochMs,
    /// Until when any session of the channel was heard.
    heard: Option<EpochMs>,
    /// When the first of them began.
    next: Option<EpochMs>,
    /// When the first of them that IVS speaks of began.
    next_ivs: Option<EpochMs>,
    /// Until when any of those is known to have been on air.
    ivs_until: Option<EpochMs>,
}

impl Later {
    fn add(&mut self, one: &Signs) {
        self.next = Some(one.start);
        if one.is_ivs {
            self.next_ivs = Some(one.start);
            self.ivs_until = self.ivs_until.max(Some(one.start)).max(one.heard_until);
        }
    }

    fn ends(&self, one: &Signs) -> EpochMs {
        let outlives = |longer: Option<EpochMs>, shorter: Option<EpochMs>| {
            longer.zip(shorter).is_some_and(|(long, short)| long.0 >= short.0 + OUTLIVED_MS)
        };
        // Its record of this minute may still come, also after the other's first one.
        let is_silent_since = |next: &EpochMs| {
            one.heard_until.is_none_or(|heard| {
                heard.0 - MINUTE_MS <= next.0 && heard.0 + MINUTE_MS <= self.now.0
            })
        };
        let by_next = self.next.filter(is_silent_since);
        let is_replaced = one.is_ivs && !outlives(one.heard_until, self.ivs_until);
        let by_stream = self.next_ivs.filter(|_| is_replaced);
        let outlived = one.heard_until.filter(|_| outlives(self.heard, one.heard_until));
        let because_of_others = [by_next, by_stream, outlived].into_iter().flatten().min();
        because_of_others.map_or(overdue_at(one.start), |over| over.min(overdue_at(one.start)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = MINUTE_MS;
    const NOW: EpochMs = EpochMs(1_000 * MINUTE);

    /// Times in minutes before now.
    fn at(minutes_ago: i64) -> EpochMs {
        EpochMs(NOW.0 - minutes_ago * MINUTE)
    }

    fn stream(start: i64, heard: Option<i64>) -> Signs {
        Signs { start: at(start), heard_until: heard.map(at), is_ivs: true }
    }

    fn own(start: i64, heard: Option<i64>) -> Signs {
        Signs { is_ivs: false, ..stream(start, heard) }
    }

    /// Which of the sessions are on air.
    fn live(channel: &[Signs]) -> Vec<bool> {
        let seen = |signs: &Signs| Seen { channel_id: "c", signs: Some(*signs), is_open: true };
        let seen: Vec<_> = channel.iter().map(seen).collect();
        lost(&seen, NOW).into_iter().map(|lost| lost.is_none()).collect()
    }

    #[test]
    fn a_new_stream_of_the_channel_ends_the_older_one_at_once() {
        // Players of the older one still send, and the new one was not heard yet.
        let channel = [stream(60, Some(0)), stream(0, None)];
        assert_eq!(live(&channel), [false, true]);
        assert_eq!(over_from(&channel, NOW)[0], at(0));
    }

    #[test]
    fn a_stream_that_goes_on_while_the_newer_one_is_silent_is_on_air() {
        assert_eq!(live(&[stream(60, Some(0)), stream(30, Some(5))]), [true, false]);
        assert_eq!(live(&[stream(60, Some(0)), stream(30, None)]), [true, true]);
    }

    #[test]
    fn an_own_session_beside_the_stream_of_ivs_is_not_ended_by_it() {
        assert_eq!(live(&[own(60, Some(0)), stream(59, None)]), [true, true]);
        assert_eq!(live(&[own(60, Some(0)), own(30, Some(0))]), [true, true]);
    }

    #[test]
    fn an_own_session_that_sent_nothing_more_once_another_began_is_over() {
        let channel = [own(60, Some(5)), own(5, Some(4))];
        assert_eq!(live(&channel), [false, true]);
        assert_eq!(over_from(&channel, NOW)[0], at(5));
        assert_eq!(live(&[stream(60, None), own(30, Some(0))]), [false, true]);
    }

    #[test]
    fn a_stray_record_of_another_session_does_not_end_one_that_sends() {
        // Its minute began when the other's last one ended; the other's next record is on its way.
        assert_eq!(live(&[own(60, Some(0)), own(0, Some(-1))]), [true, true]);
        // A clock that is ahead outlives nobody.
        assert_eq!(live(&[stream(60, Some(0)), own(30, Some(-9))]), [true, true]);
    }

    #[test]
    fn who_is_heard_longer_outlives_the_other_whichever_began_first() {
        assert_eq!(live(&[own(60, Some(0)), own(30, Some(2))]), [true, false]);
        assert_eq!(live(&[own(60, Some(0)), own(30, Some(1))]), [true, true]);
    }

    #[test]
    fn one_that_nothing_else_is_known_of_is_lost_by_silence_or_by_its_age() {
        assert_eq!(live(&[stream(60, Some(9))]), [true]);
        assert_eq!(live(&[stream(60, Some(10))]), [false]);
        assert_eq!(live(&[stream(60, None)]), [true]);
        assert_eq!(live(&[stream(48 * 60, Some(0))]), [false]);
    }

    #[test]
    fn only_sessions_of_the_same_known_channel_end_each_other() {
        let lost_at = |a, b, is_open| {
            let [older, newer] = [stream(60, Some(1)), stream(5, Some(0))].map(Some);
            let older = Seen { channel_id: a, signs: older, is_open };
            let never_began = Seen { signs: None, ..older };
            let newer = Seen { channel_id: b, signs: newer, is_open: true };
            lost(&[older, never_began, newer], NOW)
        };
        assert_eq!(lost_at("c", "c", true), [Some(at(5)), None, None]);
        for (a, b, is_open) in [("c", "d", true), ("", "", true), ("c", "c", false)] {
            assert_eq!(lost_at(a, b, is_open), [None; 3], "{a} {b}");
        }
    }

    #[test]
    fn an_item_tells_its_records_by_the_time_when_it_is_stale() {
        let of = |stale| Signs::of_live(at(60), stale, true);
        assert_eq!(of(Some(at(-7))), stream(60, Some(3)));
        assert_eq!(of(Some(at(60 - 48 * 60))), stream(60, None));
        assert_eq!(of(None), stream(60, None));
    }
}
