//! The life of one stream, drawn in advance.

use seeded::Rng;

/// The character of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// A good encoder on a good line.
    Steady,
    /// Its ingest starves again and again.
    Fragile,
    /// Goes on and off the air every minute or so.
    Flapping,
}

/// Something that happens to a channel at a planned time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// The encoder connects: a new stream begins and is planned.
    Connect,
    /// IVS fails the stream.
    Fail,
    /// Segments are available.
    GoLive,
    /// The application says so too.
    AppStart,
    /// The recording begins; `false` if it fails to.
    RecordingStart(bool),
    /// The ingest starves.
    StarvationStart,
    /// The ingest recovers.
    StarvationEnd,
    /// The bitrate exceeds its limit.
    BitrateBreach,
    /// The resolution exceeds its limit.
    ResolutionBreach,
    /// Another encoder takes over; `false` if it is refused.
    Takeover(bool),
    /// An ad break.
    AdBreak,
    /// Most of the audience leaves.
    SlumpStart,
    /// The audience may come back.
    SlumpEnd,
    /// The chat is flooded.
    SpamStart,
    /// The flood is over.
    SpamEnd,
    /// No more segments.
    StreamEnd,
    /// The encoder is gone.
    SessionEnded,
    /// The application says so too.
    AppEnd,
    /// The recording is complete; `false` if it could not be completed.
    RecordingEnd(bool),
}

/// Returns what a stream goes through after [`Step::Connect`] at `from_ms`, the next connect
/// included.
///
/// `typical_ms` is the typical length of a stream. Steps come in no order.
pub(super) fn life(
    rng: &mut Rng,
    profile: Profile,
    from_ms: i64,
    typical_ms: i64,
) -> Vec<(i64, Step)> {
    let typical_ms = if profile == Profile::Flapping { typical_ms / 10 } else { typical_ms };
    let live_ms = from_ms + rng.between(1_000, 4_000);
    let end_ms = live_ms + rng.between(typical_ms / 2, typical_ms + typical_ms / 2);
    let pause_ms = match profile {
        Profile::Flapping => rng.between(5_000, 30_000),
        Profile::Steady | Profile::Fragile => rng.between(20_000, 120_000),
    };
    if rng.chance(4) {
        return stillborn(rng, live_ms, pause_ms);
    }
    let mut steps = vec![(live_ms, Step::GoLive), (live_ms + 250, Step::AppStart)];
    starvations(rng, profile, live_ms, end_ms, &mut steps);
    incidents(rng, live_ms, end_ms, &mut steps);
    recording(rng, live_ms, end_ms + pause_ms / 2, &mut steps);
    ending(rng, end_ms, &mut steps);
    steps.push((end_ms + pause_ms, Step::Connect));
    steps
}

/// Returns a stream that never becomes watchable: failed by IVS, or given up without a word.
fn stillborn(rng: &mut Rng, at_ms: i64, pause_ms: i64) -> Vec<(i64, Step)> {
    let mut steps = vec![(at_ms + 30_000, Step::SessionEnded)];
    if rng.chance(60) {
        steps.push((at_ms, Step::Fail));
    }
    steps.push((at_ms + 30_000 + pause_ms, Step::Connect));
    steps
}

fn starvations(
    rng: &mut Rng,
    profile: Profile,
    live_ms: i64,
    end_ms: i64,
    steps: &mut Vec<(i64, Step)>,
) {
    let every_ms = if profile == Profile::Fragile { 90_000 } else { 900_000 };
    let mut at_ms = live_ms + rng.between(10_000, 2 * every_ms);
    while at_ms < end_ms {
        steps.push((at_ms, Step::StarvationStart));
        at_ms += rng.between(3_000, 25_000);
        // A stream that starves to death has no end of starvation: that is normal for IVS.
        if at_ms < end_ms {
            steps.push((at_ms, Step::StarvationEnd));
        }
        at_ms += rng.between(10_000, 2 * every_ms);
    }
}

fn incidents(rng: &mut Rng, live_ms: i64, end_ms: i64, steps: &mut Vec<(i64, Step)>) {
    let mut sometimes = |percent, step, after: Option<(i64, Step)>| {
        let drawn_ms = rng.between(live_ms + 1_000, end_ms.max(live_ms + 1_000));
        if !rng.chance(percent) || drawn_ms >= end_ms {
            return;
        }
        steps.push((drawn_ms, step));
        if let Some((later_ms, step)) = after {
            steps.push((drawn_ms + later_ms, step));
        }
    };
    sometimes(10, Step::BitrateBreach, None);
    sometimes(4, Step::ResolutionBreach, None);
    sometimes(5, Step::Takeover(true), None);
    sometimes(2, Step::Takeover(false), None);
    sometimes(60, Step::AdBreak, None);
    sometimes(30, Step::AdBreak, None);
    sometimes(15, Step::SlumpStart, Some((400_000, Step::SlumpEnd)));
    sometimes(15, Step::SpamStart, Some((150_000, Step::SpamEnd)));
    sometimes(4, Step::SpamStart, Some((800_000, Step::SpamEnd)));
}

fn recording(rng: &mut Rng, live_ms: i64, complete_ms: i64, steps: &mut Vec<(i64, Step)>) {
    if !rng.chance(60) {
        return;
    }
    let starts = rng.chance(96);
    steps.push((live_ms + 1_000, Step::RecordingStart(starts)));
    if starts {
        steps.push((complete_ms, Step::RecordingEnd(rng.chance(97))));
    }
}

/// `Stream End` and `Session Ended` come in either order, and not always both.
fn ending(rng: &mut Rng, end_ms: i64, steps: &mut Vec<(i64, Step)>) {
    let (stream_ms, session_ms) = match rng.below(100) {
        0..=49 => (Some(0), Some(400)),
        50..=89 => (Some(2_500), Some(0)),
        90..=95 => (Some(0), None),
        _ => (None, Some(0)),
    };
    steps.extend(stream_ms.map(|ms| (end_ms + ms, Step::StreamEnd)));
    steps.extend(session_ms.map(|ms| (end_ms + ms, Step::SessionEnded)));
    steps.push((end_ms + 700, Step::AppEnd));
}
