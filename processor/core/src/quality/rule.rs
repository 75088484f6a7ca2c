//! A rule, and the figures that it can be about.

use serde::{Deserialize, Serialize};

use crate::fixed::FixedSum;
use crate::minute::{MINUTE_MS, WINDOW_MS};

/// Most windows that one judgment may look back: rows of four hours.
const MAX_LOOK_BACK: u32 = 48;

/// The figure that a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Mean ingest frame rate, frames/s.
    FrameRate,
    /// Mean ingest bitrate, bits/s.
    Bitrate,
    /// Share of watch time that was stalled, percent.
    Rebuffering,
    /// Share of views that could not start for a technical reason, percent.
    StartFailures,
    /// Share of play requests that came to nothing, percent.
    ExitsBeforeStart,
    /// Share of started views that broke off, percent.
    PlaybackFailures,
    /// Mean time to the first frame, milliseconds.
    StartupTime,
    /// Score of the experience, 0 to 100.
    ExperienceScore,
}

/// On which side of its threshold a figure is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// When it is above.
    Above,
    /// When it is below.
    Below,
}

/// How much it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Somebody should know.
    #[default]
    Warning,
    /// Somebody should act.
    Critical,
}

impl Severity {
    /// Returns its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, in events and their ids.
    pub name: String,
    /// Its subject.
    pub figure: Figure,
    /// When the figure is bad.
    pub bad_when: Side,
    /// From where on it is bad, in the figure's unit.
    pub threshold: f64,
    /// Up to where it must come back to be good; absent: the threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recover: Option<f64>,
    /// Minutes that are judged together, a multiple of five.
    #[serde(default = "five")]
    pub minutes: u32,
    /// Fewer viewers than this on average are not judged: of what the backend reports, else of views,
    /// else of players.
    #[serde(default)]
    pub minimum_audience: f64,
    /// So many bad judgments make it degraded, and so many good ones good again,
    #[serde(default = "one")]
    pub bad: u32,
    /// of so many latest ones.
    #[serde(default = "one")]
    pub of: u32,
    /// How much it matters.
    #[serde(default)]
    pub severity: Severity,
    /// A stream is good again only after so many minutes without a bad verdict, so that one which goes
    /// to and fro is told once.
    #[serde(default)]
    pub suppress_minutes: u32,
    /// A stream without a clear verdict stays as it was for so many minutes.
    #[serde(default = "ten")]
    pub hold_minutes: u32,
    /// Whether it is judged at all.
    #[serde(default = "yes")]
    pub enabled: bool,
}

const fn one() -> u32 {
    1
}

const fn five() -> u32 {
    5
}

const fn ten() -> u32 {
    10
}

const fn yes() -> bool {
    true
}

/// A rule that cannot be followed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RuleError {
    /// It has no name.
    #[error("a rule has no name: give it one, it is in the events that it makes")]
    Unnamed,
    /// Two have the same.
    #[error("two rules are called `{0}`: events tell them apart by name, so give one another")]
    Repeated(String),
    /// The minutes are no windows.
    #[error(
        "rule `{0}`: minutes is {1}, and windows are of five minutes: write 5, 10, 15 up to 60"
    )]
    Minutes(String, u32),
    /// The persistence cannot be met.
    #[error("rule `{0}`: {1} bad of {2} judgments cannot be: bad is 1 or more and at most of")]
    Persistence(String, u32, u32),
    /// The recovery is on the wrong side.
    #[error(
        "rule `{0}`: recover is {1}, on the bad side of the threshold {2}: a stream could be bad \
         and good at once"
    )]
    Recover(String, f64, f64),
    /// A number is none.
    #[error("rule `{0}`: {1} is not a number from 0 to 10^12")]
    Number(String, &'static str),
    /// It looks back too far.
    #[error(
        "rule `{0}` looks back {1} minutes (minutes, 5 × of, and twice the larger of hold_minutes and suppress_minutes), the \
         limit is {limit}: each judgment reads their rows", limit = MAX_LOOK_BACK * 5
    )]
    LookBack(String, u32),
}

/// Returns a number of a configuration as the figures have it: rounded to a millionth.
fn fixed(value: f64) -> FixedSum {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be at most 10^12")]
    FixedSum((value * 1e6).round() as i128)
}

/// Windows that so many minutes take.
fn windows(minutes: u32) -> u32 {
    minutes.div_ceil(u32::try_from(WINDOW_MS / MINUTE_MS).unwrap_or(1))
}

impl Rule {
    fn new(figure: Figure, name: &str, bad_when: Side, threshold: f64) -> Self {
        Self {
            name: name.to_owned(),
            figure,
            bad_when,
            threshold,
            recover: None,
            minutes: five(),
            minimum_audience: 0.0,
            bad: one(),
            of: one(),
            severity: Severity::Warning,
            suppress_minutes: 0,
            hold_minutes: ten(),
            enabled: true,
        }
    }

    /// Checks that it makes sense.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self) -> Result<(), RuleError> {
        let name = || self.name.clone();
        if self.name.is_empty() {
            return Err(RuleError::Unnamed);
        }
        let numbers = [
            ("threshold", self.threshold),
            ("recover", self.recovers_at()),
            ("minimum_audience", self.minimum_audience),
        ];
        for (key, value) in numbers {
            if !(0.0..=1e12).contains(&value) {
                return Err(RuleError::Number(name(), key));
            }
        }
        if !(5..=60).contains(&self.minutes) || !self.minutes.is_multiple_of(5) {
            return Err(RuleError::Minutes(name(), self.minutes));
        }
        if !(1..=self.of).contains(&self.bad) {
            return Err(RuleError::Persistence(name(), self.bad, self.of));
        }
        let recover = self.recovers_at();
        let crosses = match self.bad_when {
            Side::Above => recover > self.threshold,
            Side::Below => recover < self.threshold,
        };
        if crosses {
            return Err(RuleError::Recover(name(), recover, self.threshold));
        }
        if self.look_back() > MAX_LOOK_BACK {
            return Err(RuleError::LookBack(name(), self.look_back() * 5));
        }
        Ok(())
    }

    fn recovers_at(&self) -> f64 {
        self.recover.unwrap_or(self.threshold)
    }

    /// Returns whether a value is bad, good, or neither.
    #[must_use]
    pub(super) fn verdict(&self, value: FixedSum) -> Option<bool> {
        let (threshold, recover) = (fixed(self.threshold), fixed(self.recovers_at()));
        let (is_bad, is_good) = match self.bad_when {
            Side::Above => (value > threshold, value <= recover),
            Side::Below => (value < threshold, value >= recover),
        };
        if is_bad { Some(true) } else { is_good.then_some(false) }
    }

    /// Returns the smallest audience that is judged.
    pub(super) fn audience_floor(&self) -> FixedSum {
        fixed(self.minimum_audience)
    }

    /// Windows that are judged together.
    pub(super) fn width(&self) -> u32 {
        windows(self.minutes).max(1)
    }

    /// Windows for which a verdict holds without another.
    #[must_use]
    pub fn hold(&self) -> u32 {
        windows(self.hold_minutes)
    }

    /// Windows without a bad verdict before it is good again.
    pub(super) fn suppression(&self) -> u32 {
        windows(self.suppress_minutes)
    }

    /// Windows before another that its state depends on, besides what its verdicts are made of.
    pub(super) fn memory(&self) -> u32 {
        self.hold().max(self.suppression()).max(1)
    }

    /// Windows before the judged one that the judgment depends on.
    #[must_use]
    pub fn look_back(&self) -> u32 {
        // Where it stood before may be as far back as a verdict holds, and that needs as much again.
        let memory = self.memory();
        self.width().saturating_add(self.of).saturating_add(memory).saturating_add(memory)
    }
}

/// Returns the rules that hold unless the configuration says otherwise: the tutorial's frame rate;
/// a bitrate at which even 480p shows artifacts, and which the tutorial's quality score gives less
/// than a quarter of the points; and stalls at which viewers begin to leave.
#[must_use]
pub fn default_rules() -> Vec<Rule> {
    vec![
        Rule::new(Figure::FrameRate, "frame_rate", Side::Below, 20.0),
        Rule::new(Figure::Bitrate, "bitrate", Side::Below, 1_000_000.0),
        Rule::new(Figure::Rebuffering, "rebuffering", Side::Above, 5.0),
        Rule {
            recover: Some(3.0),
            minimum_audience: 50.0,
            bad: 2,
            of: 3,
            suppress_minutes: 10,
            severity: Severity::Critical,
            ..Rule::new(Figure::StartFailures, "start_failures", Side::Above, 5.0)
        },
        Rule {
            recover: Some(2.0),
            minimum_audience: 50.0,
            bad: 2,
            of: 3,
            suppress_minutes: 10,
            severity: Severity::Critical,
            ..Rule::new(Figure::PlaybackFailures, "playback_failures", Side::Above, 3.0)
        },
    ]
}
