//! Incidents on purpose, so that whoever tries the system sees alarms fire and recover: which
//! channel has which trouble when.

/// From the start of the incidents, milliseconds.
type Span = (i64, i64);

/// The channel of this rank loses three quarters of its audience.
const SLUMP: (usize, Span) = (0, (30_000, 660_000));
/// The encoder of this one is too slow.
const SLOW_ENCODER: (usize, Span) = (1, (5_000, 330_000));
/// The players of this one send mostly broken reports.
const BROKEN_PLAYER: (usize, Span) = (2, (10_000, 300_000));
/// The chat of this one is flooded.
const SPAM: (usize, Span) = (3, (0, 780_000));

/// The trouble of a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) slump: bool,
    pub(crate) slow_encoder: bool,
    pub(crate) broken_player: bool,
    pub(crate) spam: bool,
}

impl Trouble {
    /// Returns the trouble of the channel of a rank, of incidents that began at `from_ms`.
    pub(crate) fn of(from_ms: Option<i64>, rank: usize, now_ms: i64) -> Self {
        let Some(from_ms) = from_ms else { return Self::default() };
        let is_on = |(of_rank, (first_ms, last_ms)): (usize, Span)| {
            rank == of_rank && (first_ms..last_ms).contains(&(now_ms - from_ms))
        };
        Self {
            slump: is_on(SLUMP),
            slow_encoder: is_on(SLOW_ENCODER),
            broken_player: is_on(BROKEN_PLAYER),
            spam: is_on(SPAM),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Generator, GeneratorConfig, Kind, Produced};

    fn minutes(incidents_from_ms: Option<i64>) -> Vec<Produced> {
        let config = GeneratorConfig {
            channels: 12,
            viewers: 300,
            incidents_from_ms,
            ..GeneratorConfig::default()
        };
        let start_ms = config.start_ms;
        Generator::new(config).next_batch(start_ms + 4 * 60_000)
    }

    #[test]
    fn incidents_show_in_frame_rates_chat_and_broken_lines() {
        let from_ms = GeneratorConfig::default().start_ms;
        let (calm, troubled) = (minutes(None), minutes(Some(from_ms)));
        let broken = |lines: &[Produced]| lines.iter().filter(|line| line.is_malformed).count();
        assert!(broken(&troubled) > 10 * broken(&calm) + 10);
        let with = |lines: &[Produced], part: &mut dyn FnMut(&serde_json::Value) -> bool| {
            lines
                .iter()
                .filter(|line| line.kind == Kind::MetricsUpdate && !line.is_malformed)
                .filter_map(|line| serde_json::from_slice(&line.line).ok())
                .filter(|line| part(line))
                .count()
        };
        let mut slow =
            |line: &serde_json::Value| line["frameRate"].as_f64().is_some_and(|f| f < 15.0);
        let counts = [with(&troubled, &mut slow), with(&calm, &mut slow)];
        assert!(counts[0] > 20 && counts[0] > 3 * counts[1], "{counts:?}");
        // Chats are flooded by chance, too, but not from the first minute to the last.
        let flooded = |lines: &[Produced]| {
            let mut channels = std::collections::BTreeMap::<String, (u32, bool)>::new();
            with(lines, &mut |line: &serde_json::Value| {
                let is_loud = line["chatMessagesPerMinute"].as_u64().is_some_and(|rate| rate > 150);
                let channel = line["channelId"].as_str().unwrap_or_default().to_owned();
                let (reports, all) = channels.get(&channel).copied().unwrap_or((0, true));
                channels.insert(channel, (reports + 1, all && is_loud));
                true
            });
            channels.into_values().filter(|(reports, all)| *reports > 20 && *all).count()
        };
        assert!(flooded(&troubled) > flooded(&calm));
    }
}
