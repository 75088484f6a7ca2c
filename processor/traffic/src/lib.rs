//! The traffic generator: a seeded model of channels, encoders and audiences that yields what IVS,
//! players and an application backend would send.
//!
//! It is pure: no clock, no I/O, no randomness but its own. The same [`GeneratorConfig`] gives the
//! same bytes on every machine, however the time is sliced. The caller moves time by asking for
//! everything up to a moment, and delivers what it gets; a [`Ledger`] keeps count of what was
//! delivered, so that the rows can be checked afterwards.
//!
//! ```text
//! Schedule (times, actions) ─► Channel: stream lifecycle, gauges ─┐
//!                           └► Viewer: joins, reports, leaves ────┴► Outbox: late, repeated, torn ─► Produced
//! ```

mod channel;
mod config;
mod incident;
mod ivs;
mod ledger;
mod line;
mod outbox;
mod plan;
mod produced;
mod viewer;
mod world;

pub use config::GeneratorConfig;
pub use ledger::{Ledger, Mismatch, StoredWindow, Totals, Views, Window};
pub use produced::{BusEvent, Kind, Produced, Route, Sample, Told, ViewEvent};
use world::World;

/// The generator; an endless iterator in order of arrival.
///
/// ```
/// use ivs_traffic::{Generator, GeneratorConfig};
///
/// let config = GeneratorConfig { channels: 2, viewers: 10, ..GeneratorConfig::default() };
/// let until_ms = config.start_ms + 60_000;
/// let minute = Generator::new(config.clone()).next_batch(until_ms);
/// assert_eq!(minute, Generator::new(config).next_batch(until_ms), "one seed, one sequence");
/// ```
#[derive(Debug)]
pub struct Generator {
    world: World,
}

impl Generator {
    /// Sets the scene; nothing has happened yet. Zero channels or intervals count as one.
    #[must_use]
    pub fn new(config: GeneratorConfig) -> Self {
        Self { world: World::new(config) }
    }

    /// Returns everything that arrives up to and including `until_ms`, epoch milliseconds.
    ///
    /// The longer the span, the longer the list: ask second by second.
    pub fn next_batch(&mut self, until_ms: i64) -> Vec<Produced> {
        std::iter::from_fn(|| self.world.next_until(until_ms)).collect()
    }
}

impl Iterator for Generator {
    type Item = Produced;

    fn next(&mut self) -> Option<Produced> {
        self.world.next_until(i64::MAX)
    }
}

#[cfg(test)]
mod tests;
