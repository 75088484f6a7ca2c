//! Reports: what rows and sessions of a channel add up to over a day, a week or a month.
//!
//! One pass over the rows, in any number of pages: [`ReportFold`] keeps a few sums per hour, per
//! step of the charts and per session, however many rows there are. What is now and which zone's
//! calendar counts are data.

mod bucket;
mod experience;
mod fold;
mod period;
mod score;
mod session;
mod slots;
#[cfg(test)]
mod tests;
mod unnamed;

pub use experience::breakdowns;
pub use fold::{LATEST_SESSIONS, MAX_SESSIONS, ReportFold};
pub use period::{Period, PeriodError};
