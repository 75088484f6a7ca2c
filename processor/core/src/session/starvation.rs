//! Starvation of a stream's ingest, from the times at which it began and ended.

use kinesis_model::EpochMs;

/// A time of starvation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// When it began.
    pub start: EpochMs,
    /// When it ended; `None` while it goes on.
    pub end: Option<EpochMs>,
    /// Whether it was the end of the stream that ended it.
    pub ends_with_stream: bool,
}

/// The starvation of a session in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Starvation {
    /// Intervals, the open one included.
    pub count: u64,
    /// Length of the closed intervals together, milliseconds.
    pub closed_ms: i64,
    /// When the interval that is still open began; none once the stream has ended.
    pub open_since: Option<EpochMs>,
}

impl FromIterator<Interval> for Starvation {
    fn from_iter<I: IntoIterator<Item = Interval>>(intervals: I) -> Self {
        let mut found = Self::default();
        for interval in intervals {
            found.count += 1;
            match interval.end {
                Some(end) => found.closed_ms += end.0 - interval.start.0,
                None => found.open_since = Some(interval.start),
            }
        }
        found
    }
}

/// Pairs starts and ends, both in ascending order.
///
/// A start within an open interval and an end without a start add nothing (their partners were
/// lost). At one instant an open interval closes before the next one opens. `stream_end` closes
/// what is open, and what comes later is none of the stream's.
pub(super) fn pair(
    starts: impl Iterator<Item = EpochMs>,
    ends: impl Iterator<Item = EpochMs>,
    stream_end: Option<EpochMs>,
) -> Vec<Interval> {
    let (mut starts, mut ends) = (starts.peekable(), ends.peekable());
    let mut intervals = Vec::new();
    while let Some(start) = starts.next() {
        if stream_end.is_some_and(|end| start > end) {
            break;
        }
        while ends.next_if(|end| *end < start).is_some() {}
        let recovery = ends.next().filter(|end| stream_end.is_none_or(|last| *end <= last));
        let end = recovery.or(stream_end);
        intervals.push(Interval {
            start,
            end,
            ends_with_stream: recovery.is_none() && end.is_some(),
        });
        let Some(end) = end else { break };
        while starts.next_if(|within| *within < end).is_some() {}
    }
    intervals
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts, ends, end of the stream; the intervals. All in milliseconds.
    type Case = (&'static [i64], &'static [i64], Option<i64>, &'static [(i64, Option<i64>)]);

    const CASES: &[Case] = &[
        (&[], &[], None, &[]),
        (&[10], &[15], None, &[(10, Some(15))]),
        // Open while live; closed by the end of the stream.
        (&[10], &[], None, &[(10, None)]),
        (&[10], &[], Some(40), &[(10, Some(40))]),
        // Lost partners.
        (&[], &[15], None, &[]),
        (&[10, 12], &[15], None, &[(10, Some(15))]),
        (&[10], &[5, 15, 18], None, &[(10, Some(15))]),
        // One instant: close, then open; or open and close.
        (&[10, 15], &[15, 20], None, &[(10, Some(15)), (15, Some(20))]),
        (&[10], &[10], None, &[(10, Some(10))]),
        // Beyond the end of the stream.
        (&[10, 50], &[45, 60], Some(40), &[(10, Some(40))]),
        (&[40], &[], Some(40), &[(40, Some(40))]),
    ];

    #[test]
    fn starts_and_ends_pair_up() {
        for &(starts, ends, end, expected) in CASES {
            let times = |ms: &'static [i64]| ms.iter().map(|ms| EpochMs(*ms));
            let found: Vec<(i64, Option<i64>)> = pair(times(starts), times(ends), end.map(EpochMs))
                .iter()
                .map(|interval| (interval.start.0, interval.end.map(|end| end.0)))
                .collect();
            assert_eq!(found, expected, "{starts:?} {ends:?} {end:?}");
        }
    }

    #[test]
    fn who_closed_an_interval_is_known() {
        let close = |ends: &[i64], stream_end: Option<i64>| {
            let ends = ends.iter().map(|ms| EpochMs(*ms));
            let found = pair([EpochMs(10)].into_iter(), ends, stream_end.map(EpochMs));
            found[0].ends_with_stream
        };
        assert!(!close(&[], None));
        assert!(!close(&[20], Some(20)));
        assert!(close(&[21], Some(20)));
    }

    #[test]
    fn intervals_add_up() {
        let interval = |start, end: Option<i64>| Interval {
            start: EpochMs(start),
            end: end.map(EpochMs),
            ends_with_stream: false,
        };
        let sum: Starvation =
            [interval(5, Some(8)), interval(9, Some(10)), interval(12, None)].into_iter().collect();
        let open_since = Some(EpochMs(12));
        assert_eq!(sum, Starvation { count: 3, closed_ms: 4, open_since });
    }
}
