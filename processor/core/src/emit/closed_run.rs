//! Closed windows that are judged from one reading.
//!
//! Rules look back: by those that hold unless configured otherwise, a window of five minutes is judged by the rows of 45. A
//! backlog closes many windows of a session in one epoch, whose rows are nearly the same.

use std::ops::Range;
use std::sync::Arc;

use super::closed_window::minutes_needed;
use crate::minute::{MINUTE_MS, Minute};
use crate::quality::Rule;
use kinesis_model::EpochMs;

/// The longest reading, unless one window alone needs a longer one: of two hours. A row has up to 24 KB.
const MAX_MINUTES: u32 = 120;

/// Closed windows of a session, with the minutes that any of them is judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedRun {
    /// The session.
    pub session_id: Arc<str>,
    /// The starts of the windows, ascending.
    pub starts: Vec<EpochMs>,
    /// The minutes, half-open.
    pub minutes: Range<Minute>,
}

impl ClosedRun {
    /// Returns how many minutes there are.
    #[must_use]
    pub fn len_minutes(&self) -> u32 {
        length(&self.minutes)
    }

    /// Takes another window in if its minutes join on to these.
    fn extend(&mut self, session_id: &Arc<str>, start: EpochMs, needed: &Range<Minute>) -> bool {
        let joined = self.minutes.start..needed.end;
        let fits = self.session_id == *session_id
            && needed.start <= self.minutes.end
            && length(&joined) <= MAX_MINUTES;
        if fits {
            self.starts.push(start);
            self.minutes = joined;
        }
        fits
    }
}

/// Returns runs of these windows, which ascend by session and start, in their order.
#[must_use]
pub fn closed_runs(windows: Vec<(Arc<str>, EpochMs)>, rules: &[Rule]) -> Vec<ClosedRun> {
    let mut runs = Vec::<ClosedRun>::new();
    for (session_id, start) in windows {
        let minutes = minutes_needed(start, rules);
        let joins = runs.last_mut().is_some_and(|run| run.extend(&session_id, start, &minutes));
        if !joins {
            runs.push(ClosedRun { session_id, starts: vec![start], minutes });
        }
    }
    runs
}

fn length(minutes: &Range<Minute>) -> u32 {
    let ms = minutes.end.start().0 - minutes.start.start().0;
    u32::try_from(ms / MINUTE_MS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::minute::WINDOW_MS;
    use crate::quality::default_rules;

    fn window(session: &str, number: i64) -> (Arc<str>, EpochMs) {
        (Arc::from(session), EpochMs(number * WINDOW_MS))
    }

    #[test]
    fn windows_of_a_session_whose_minutes_join_are_one_reading() {
        let rules = default_rules();
        let windows = vec![window("a", 100), window("a", 101), window("a", 104), window("b", 104)];
        let runs = closed_runs(windows.clone(), &rules);
        assert_eq!(runs.len(), 2);
        let of = |start: EpochMs| minutes_needed(start, &rules);
        assert_eq!(runs[0].starts, [windows[0].1, windows[1].1, windows[2].1]);
        assert_eq!(runs[0].minutes, of(windows[0].1).start..of(windows[2].1).end);
        assert_eq!(runs[1].minutes, of(windows[3].1));
    }

    #[test]
    fn a_reading_is_split_where_minutes_do_not_join_and_where_it_grows_too_long() {
        let rules = default_rules();
        let apart = closed_runs(vec![window("a", 100), window("a", 200)], &rules);
        assert_eq!(apart.len(), 2);
        let long = closed_runs((0..100).map(|number| window("a", number)).collect(), &rules);
        assert!(long.iter().all(|run| run.len_minutes() <= MAX_MINUTES) && long.len() < 10);
        let starts: Vec<_> = long.into_iter().flat_map(|run| run.starts).collect();
        assert_eq!(starts, (0..100).map(|number| EpochMs(number * WINDOW_MS)).collect::<Vec<_>>());
    }
}
