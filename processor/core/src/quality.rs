//! Rules about the quality of a stream, judged from its rows alone.
//!
//! Time is cut into windows of five minutes. A rule looks at the figures of one or more of them
//! together and calls them bad, good or neither (too few viewers, no samples, between the two
//! thresholds). `bad` of the `of` latest ones are a bad verdict, as many good ones a good one. A stream is as its latest
//! verdict says, for [`Rule::hold`] windows at most, and good again only after the rule's suppression
//! without a bad one. So where a stream stands at the end of a window follows from the rows before it: every worker and every
//! replay finds the same.

mod excess;
mod rule;
mod spans;
#[cfg(test)]
mod tests;

pub use excess::{Excess, largest_excess};
pub use rule::{Figure, Rule, RuleError, Severity, Side, default_rules};
pub use spans::{Change, Spans, Transition};
