//! Faults between the program and its endpoint.

use serde::{Deserialize, Serialize};

use super::Aws;

/// For tests only: a worker whose calls fail on purpose, each kind at its rate. Equal seeds make
/// the same calls fail in the same way.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Chaos {
    /// Together with a call's number it decides the call's fate.
    pub seed: u64,
    /// Calls that never reach the endpoint, in per cent.
    pub lost_requests_percent: u8,
    /// Calls that are carried out but never answered, in per cent.
    pub lost_replies_percent: u8,
    /// Calls that take up to two seconds longer, in per cent.
    pub delays_percent: u8,
    /// Calls that are refused as too many, in per cent.
    pub throttles_percent: u8,
    /// Calls that meet an internal error, in per cent.
    pub errors_percent: u8,
    /// Calls whose connection is reset before they are carried out, in per cent.
    pub resets_percent: u8,
    /// GetRecords calls, of those that none of the above hits, that are told their iterator has
    /// expired, in per cent.
    pub expired_iterators_percent: u8,
    /// Poses as a release with this version of the processing rules; 0 poses as none.
    pub logic: u32,
}

impl Chaos {
    /// Returns the rates of the kinds of which one call meets at most one, and that all calls may
    /// meet.
    pub(crate) fn rates(&self) -> [u8; 6] {
        [
            self.lost_requests_percent,
            self.lost_replies_percent,
            self.delays_percent,
            self.throttles_percent,
            self.errors_percent,
            self.resets_percent,
        ]
    }

    /// Returns whether anything fails.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.expired_iterators_percent > 0 || self.rates().iter().any(|rate| *rate > 0)
    }

    pub(super) fn problems(&self, aws: &Aws) -> Vec<String> {
        let mut problems = vec![];
        let is_on = self.is_on() || self.logic > 0;
        if is_on && cfg!(not(feature = "chaos")) {
            problems.push("chaos is for tests: this build has the feature `chaos` off".to_owned());
        }
        if is_on && aws.endpoint_url.is_empty() {
            problems.push("chaos is for tests: it needs aws.endpoint_url".to_owned());
        }
        if self.rates().into_iter().map(u32::from).sum::<u32>() > 100 {
            problems.push("the rates of chaos add up to more than 100 per cent".to_owned());
        }
        if self.expired_iterators_percent > 100 {
            problems.push("chaos.expired_iterators_percent is above 100".to_owned());
        }
        problems
    }
}
