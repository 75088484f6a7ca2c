//! Who suffers most: the value of a dimension whose part of a problem exceeds its part of the audience
//! by most.

use std::sync::Arc;

use super::Figure;
use crate::experience::{Breakdown, Dimension, Slice};
use crate::fixed::FixedSum;

/// One, in millionths.
const ONE: i128 = 1_000_000;

/// A value and its parts, in millionths of the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    /// The dimension.
    pub dimension: Dimension,
    /// Its value.
    pub value: Arc<str>,
    /// Its part of the problem: of stalled time, or of failed views.
    pub of_problem: FixedSum,
    /// Its part of the audience: of watch time, or of views.
    pub of_audience: FixedSum,
}

impl Excess {
    fn size(&self) -> i128 {
        self.of_problem.0 - self.of_audience.0
    }
}

/// Returns the largest excess; of equal ones the first by dimension and value. `None` of a figure that
/// is not the viewers', or where nobody exceeds: `other` is nobody.
#[must_use]
pub fn largest_excess(figure: Figure, breakdown: &Breakdown) -> Option<Excess> {
    let part: fn(&Slice) -> (i128, i128) = match figure {
        Figure::FrameRate | Figure::Bitrate => return None,
        Figure::Rebuffering | Figure::ExperienceScore => by_stalls,
        Figure::StartFailures | Figure::PlaybackFailures => by_failures,
        Figure::ExitsBeforeStart | Figure::StartupTime => by_unstarted,
    };
    let mut largest: Option<Excess> = None;
    for dimension in Dimension::ALL {
        let slices: Vec<_> = breakdown.of(dimension).collect();
        let parts = slices.iter().map(|(_, slice)| part(slice));
        let (problem, audience) = parts.fold((0, 0), |(p, a), (q, b)| (p + q, a + b));
        if problem <= 0 || audience <= 0 {
            continue;
        }
        for (value, slice) in slices {
            let (own_problem, own_audience) = part(slice);
            let found = Excess {
                dimension,
                value: Arc::clone(value),
                of_problem: FixedSum(own_problem.saturating_mul(ONE) / problem),
                of_audience: FixedSum(own_audience.saturating_mul(ONE) / audience),
            };
            let floor = largest.as_ref().map_or(0, Excess::size);
            if found.size() > floor && &**value != crate::experience::OTHER {
                largest = Some(found);
            }
        }
    }
    largest
}

fn by_stalls(slice: &Slice) -> (i128, i128) {
    (slice.stalled_ms.0, slice.watched_ms().0)
}

fn by_failures(slice: &Slice) -> (i128, i128) {
    let views = slice.attempts.max(slice.starts).max(slice.failures);
    (slice.failures.into(), views.into())
}

fn by_unstarted(slice: &Slice) -> (i128, i128) {
    (slice.attempts.saturating_sub(slice.starts).into(), slice.attempts.into())
}
