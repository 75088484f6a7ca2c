//! Settings of a fleet worker.

use kinesis_model::EpochMs;

use crate::clock::Clock;
use crate::lease::WorkerId;

/// Where reading starts on a shard that nobody has read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialPosition {
    /// The oldest record that the stream still keeps.
    TrimHorizon,
    /// Now. The time is stored when the lease is created, so a restart before the first
    /// checkpoint does not move it.
    Latest,
    /// The first record that arrived at or after this time.
    AtTimestamp(EpochMs),
}

/// Settings of one worker. All workers of an application share `table`, `stream` and, within a
/// factor of two, `failover_ms`.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// The lease table; KCL names it after the application.
    pub table: String,
    /// Create the lease table (on-demand) when it does not exist.
    pub create_table: bool,
    /// The stream's name.
    pub stream: String,
    /// This process; unique per process life.
    pub worker_id: WorkerId,
    /// A lease whose counter has not moved for this long may be taken by others.
    pub failover_ms: u64,
    /// Between two readings of the lease table; `None` means a tenth of `failover_ms`, in which a
    /// lease that was given back is seen, plus 10 ms per lease so that large tables are not read at
    /// full speed, at most `2 × failover_ms`.
    pub scan_interval_ms: Option<u64>,
    /// Between two comparisons of the lease table with the stream's shards.
    pub sync_interval_ms: u64,
    /// A holder of ours that was asked to hand over and has not done so after this long loses
    /// the lease abruptly. KCL's graceful hand-off waits as long.
    pub hand_over_timeout_ms: u64,
    /// Where new shards without a known ancestor start.
    pub initial_position: InitialPosition,
    /// Hold no more leases than this.
    pub max_leases: usize,
    /// Ask for no more leases of others per scan than this; `None` means one per hundred leases,
    /// at least one (KCL: always one).
    pub max_steals: Option<usize>,
    /// Time source; replaced in tests.
    pub clock: Clock,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            table: String::new(),
            create_table: true,
            stream: String::new(),
            worker_id: WorkerId::unique("worker"),
            failover_ms: 10_000,
            scan_interval_ms: None,
            sync_interval_ms: 60_000,
            hand_over_timeout_ms: 30_000,
            initial_position: InitialPosition::TrimHorizon,
            max_leases: usize::MAX,
            max_steals: None,
            clock: Clock::system(),
        }
    }
}

/// A setting that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A name that must be set is empty.
    #[error("`{0}` must not be empty")]
    Empty(&'static str),
    /// A number is outside its range.
    #[error("`{name}` is {value}, it must be between {min} and {max}")]
    OutOfRange {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: u64,
        /// Smallest value allowed.
        min: u64,
        /// Largest value allowed.
        max: u64,
    },
}

/// Shortest failover: renewals every third of it must fit a few round trips to DynamoDB.
const FAILOVER_MIN_MS: u64 = 500;
/// Longest failover and interval: an hour without an owner is a configuration mistake.
const INTERVAL_MAX_MS: u64 = 3_600_000;
/// KCL's `epsilonMillis`.
const EPSILON_MS: u64 = 25;
/// Added to the scan interval for each lease in the table: one worker then reads about a hundred
/// rows a second whatever the size of the table.
const SCAN_MS_PER_LEASE: u64 = 10;

impl FleetConfig {
    /// Checks all settings.
    ///
    /// # Errors
    /// The first setting that is empty or out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let names = [
            ("table", self.table.as_str()),
            ("stream", self.stream.as_str()),
            ("worker_id", self.worker_id.as_str()),
        ];
        if let Some((name, _)) = names.into_iter().find(|(_, value)| value.is_empty()) {
            return Err(ConfigError::Empty(name));
        }
        let in_range = |name, value, min, max| {
            if (min..=max).contains(&value) {
                Ok(())
            } else {
                Err(ConfigError::OutOfRange { name, value, min, max })
            }
        };
        in_range("failover_ms", self.failover_ms, FAILOVER_MIN_MS, INTERVAL_MAX_MS)?;
        in_range("sync_interval_ms", self.sync_interval_ms, 100, INTERVAL_MAX_MS)?;
        in_range("hand_over_timeout_ms", self.hand_over_timeout_ms, 100, INTERVAL_MAX_MS)?;
        if let Some(ms) = self.scan_interval_ms {
            in_range("scan_interval_ms", ms, 50, 2 * self.failover_ms)?;
        }
        let max_leases = u64::try_from(self.max_leases).unwrap_or(u64::MAX);
        in_range("max_leases", max_leases, 1, u64::MAX)
    }

    /// Returns the time between two renewals: a third of the failover time less KCL's 25 ms.
    #[must_use]
    pub fn renew_interval_ms(&self) -> u64 {
        self.failover_ms / 3 - EPSILON_MS
    }

    /// Returns how long a lease counts as ours after the last successful write to it was
    /// *sent*. A tenth of the failover time is left for clocks that run at different speeds and for
    /// work that takes a moment to stop.
    #[must_use]
    pub fn safe_hold_ms(&self) -> u64 {
        self.failover_ms - self.failover_ms / 10
    }

    /// Returns the time between two readings of a lease table with `leases` rows.
    #[must_use]
    pub fn scan_interval_for(&self, leases: usize) -> u64 {
        let extra = u64::try_from(leases).unwrap_or(u64::MAX).saturating_mul(SCAN_MS_PER_LEASE);
        self.scan_interval_ms
            .unwrap_or_else(|| (self.failover_ms / 10 + extra).min(2 * self.failover_ms))
    }

    /// Returns how many leases of others to ask for in one round.
    #[must_use]
    pub fn steals_for(&self, leases: usize) -> usize {
        self.max_steals.unwrap_or_else(|| leases.div_ceil(100).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named() -> FleetConfig {
        FleetConfig { table: "t".into(), stream: "s".into(), ..FleetConfig::default() }
    }

    #[test]
    fn defaults_need_only_names() {
        assert_eq!(named().validate(), Ok(()));
        assert_eq!(FleetConfig::default().validate(), Err(ConfigError::Empty("table")));
    }

    #[test]
    fn renewals_follow_kcl_and_expiry_comes_before_the_failover() {
        assert_eq!(named().renew_interval_ms(), 3_308);
        assert!(named().safe_hold_ms() < named().failover_ms);
    }

    #[test]
    fn out_of_range_settings_are_named() {
        let config = FleetConfig { failover_ms: 10, ..named() };
        let error = config.validate().unwrap_err().to_string();
        assert_eq!(error, "`failover_ms` is 10, it must be between 500 and 3600000");
    }
}
