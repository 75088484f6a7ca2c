//! The sessions that a reconciler follows. Bounded, and gone with it: whoever comes next begins with what
//! is live then.

use std::collections::BTreeMap;
use std::time::Duration;

use ivs_core::reconcile::{Known, LostFact};

use super::seam::Live;
use crate::clock::{Instant, instant};

/// Most sessions: a hundred times as many streams as an account may have at once, to begin with.
const MAX_SESSIONS: usize = 10_000;
/// How long a fact that was put may take to be found in the rows, before it is put again: many times an
/// epoch, and an outage or two.
const ON_ITS_WAY: Duration = Duration::from_secs(600);

/// The sessions, by channel and id.
#[derive(Debug, Default)]
pub(super) struct Watched {
    sessions: BTreeMap<Live, Session>,
    /// Questions so far.
    asked: u64,
}

#[derive(Debug, Default)]
struct Session {
    /// The rows, as they were read last.
    known: Known,
    /// Facts that were put, and when.
    put: Vec<(Instant, LostFact)>,
    /// Which question was about it last; 0 for none.
    asked: u64,
}

impl Watched {
    /// Adds those that are not followed yet, while there is room.
    pub(super) fn add(&mut self, live: Vec<Live>) {
        for session in live {
            if self.sessions.len() < MAX_SESSIONS {
                self.sessions.entry(session).or_default();
            }
        }
    }

    /// Returns the sessions to be asked about next, those first that were asked about longest ago.
    pub(super) fn due(&self, limit: usize) -> Vec<Live> {
        let mut due: Vec<_> = self.sessions.iter().map(|(id, s)| (s.asked, id.clone())).collect();
        due.sort();
        due.truncate(limit);
        due.into_iter().map(|(_, id)| id).collect()
    }

    /// Counts a session as asked about, whatever comes of it: one that fails does not stand in the way of
    /// others.
    pub(super) fn ask(&mut self, id: &Live) {
        self.asked += 1;
        if let Some(session) = self.sessions.get_mut(id) {
            session.asked = self.asked;
        }
    }

    /// Returns what is known of a session, with what is on its way into the rows.
    pub(super) fn known(&mut self, id: &Live) -> Known {
        let Some(session) = self.sessions.get_mut(id) else { return Known::default() };
        session.put.retain(|(at, _)| at.elapsed() < ON_ITS_WAY);
        let mut known = session.known.clone();
        session.put.iter().for_each(|(_, fact)| known.add_put(fact));
        known
    }

    /// Takes over what the rows hold.
    pub(super) fn learn(&mut self, id: &Live, known: Known) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.known = known;
        }
    }

    /// Notes that facts were put.
    pub(super) fn note_put(&mut self, id: &Live, put: Vec<LostFact>) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.put.extend(put.into_iter().map(|fact| (instant(), fact)));
        }
    }

    /// Follows a session no more.
    pub(super) fn forget(&mut self, id: &Live) {
        self.sessions.remove(id);
    }
}
