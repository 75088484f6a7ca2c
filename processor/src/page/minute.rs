//! One minute of a session as the page shows it: what a stored row says, and what an open epoch
//! holds beyond it.

use ivs_core::window::WindowAgg;
use ivs_schemas::items::metrics as names;
use serde::Serialize;

use crate::items::codec::{Item, ItemError, Reader};

/// The attributes that [`Minute::of`] reads, the keys included.
pub(super) const ATTRIBUTES: [&str; 21] = [
    names::SESSION_ID,
    names::METRIC_TIMESTAMP,
    names::CHANNEL_ID,
    names::CURRENT_VIEWERS,
    names::CURRENT_VIEWERS_AT_MS,
    names::BITRATE_SUM,
    names::BITRATE_COUNT,
    names::FRAME_RATE_SUM,
    names::FRAME_RATE_COUNT,
    names::CHAT_RATE_SUM,
    names::CHAT_RATE_COUNT,
    names::CHAT_MESSAGES,
    names::PLAYING_MS,
    names::WATCH_BUFFERING_MS,
    names::PLAYER_ERRORS,
    names::ACTIVE_PLAYERS,
    names::PLAYER_RECORDS,
    names::REBUFFER_COUNT,
    names::LATENCY_P95_MS,
    names::STARTUP_P95_MS,
    names::CONCURRENT_VIEWS,
];

/// A sum and how many values are in it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    fn of(item: &Reader<'_>, sum: &str, count: &str) -> Result<Self, ItemError> {
        Ok(Self { sum: item.number_or_default(sum)?, count: item.number_or_default(count)? })
    }

    fn add(&mut self, other: Self) {
        self.sum += other.sum;
        self.count += other.count;
    }

    pub(super) fn value(self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }
}

/// A minute's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Minute {
    /// Viewers at the latest report of the minute, and its time in epoch milliseconds.
    pub(super) viewers: Option<(i64, f64)>,
    /// Bits a second.
    pub(super) bitrate: Mean,
    /// Frames a second.
    pub(super) frame_rate: Mean,
    chat_rate: Mean,
    chat_messages: f64,
    playing_ms: f64,
    stalled_ms: f64,
    stalls: f64,
    /// Errors of players.
    pub(super) errors: f64,
    /// Distinct players.
    pub(super) players: f64,
    player_records: f64,
    latency_p95_ms: Option<f64>,
    startup_p95_ms: Option<f64>,
    /// Distinct views that played.
    views: Option<f64>,
}

/// A minute as the browser gets it.
#[derive(Clone, Copy, Debug, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct MinuteView {
    ms: i64,
    viewers: Option<f64>,
    players: Option<f64>,
    bitrate: Option<f64>,
    frame_rate: Option<f64>,
    chat_rate: Option<f64>,
    stalled_percent: Option<f64>,
    stalls: Option<f64>,
    errors: Option<f64>,
    latency_p95_ms: Option<f64>,
    startup_p95_ms: Option<f64>,
    concurrent_views: Option<f64>,
}

impl Minute {
    /// Returns what a stored row says. Attributes that are missing count as nothing.
    pub(super) fn of(item: &Item) -> Result<Self, ItemError> {
        let item = &Reader(item);
        let viewers: Option<f64> = item.number_if(names::CURRENT_VIEWERS)?;
        let at_ms: i64 = item.number_or_default(names::CURRENT_VIEWERS_AT_MS)?;
        Ok(Self {
            viewers: viewers.map(|viewers| (at_ms, viewers)),
            bitrate: Mean::of(item, names::BITRATE_SUM, names::BITRATE_COUNT)?,
            frame_rate: Mean::of(item, names::FRAME_RATE_SUM, names::FRAME_RATE_COUNT)?,
            chat_rate: Mean::of(item, names::CHAT_RATE_SUM, names::CHAT_RATE_COUNT)?,
            chat_messages: item.number_or_default(names::CHAT_MESSAGES)?,
            playing_ms: item.number_or_default(names::PLAYING_MS)?,
            stalled_ms: item.number_or_default(names::WATCH_BUFFERING_MS)?,
            stalls: item.number_or_default(names::REBUFFER_COUNT)?,
            errors: item.number_or_default(names::PLAYER_ERRORS)?,
            players: item.number_or_default(names::ACTIVE_PLAYERS)?,
            player_records: item.number_or_default(names::PLAYER_RECORDS)?,
            latency_p95_ms: item.number_if(names::LATENCY_P95_MS)?,
            startup_p95_ms: item.number_if(names::STARTUP_P95_MS)?,
            views: item.number_if(names::CONCURRENT_VIEWS)?,
        })
    }

    /// Returns what an open epoch holds of the minute.
    #[must_use]
    pub(super) fn open(agg: &WindowAgg) -> Self {
        let mean = |total: &ivs_core::merge::Total| Mean {
            sum: total.sum.to_f64(),
            count: total.count as f64,
        };
        Self {
            viewers: agg.viewers.last.map(|last| (last.time.0, last.value.to_f64())),
            bitrate: mean(&agg.bitrate.total),
            frame_rate: mean(&agg.frame_rate.total),
            chat_rate: mean(&agg.chat_rate.total),
            chat_messages: agg.chat_messages as f64,
            playing_ms: agg.playing_ms.sum.to_f64(),
            stalled_ms: agg.watch_buffering_ms.to_f64(),
            stalls: agg.rebuffers.sum.to_f64(),
            errors: agg.player_errors as f64,
            players: agg.active_players() as f64,
            player_records: agg.player_records as f64,
            latency_p95_ms: agg.latency.quantile_ms(0.95).map(f64::from),
            startup_p95_ms: agg.startup.quantile_ms(0.95).map(f64::from),
            views: agg.concurrent_views().map(|views| views as f64),
        }
    }

    /// Adds what an open epoch holds. Distinct players and views cannot be added without their sketches: the
    /// larger number is shown until the row is written; of quantiles the stored one stays.
    pub(super) fn add(&mut self, open: &Self) {
        self.viewers = self.viewers.into_iter().chain(open.viewers).max_by_key(|(at_ms, _)| *at_ms);
        self.bitrate.add(open.bitrate);
        self.frame_rate.add(open.frame_rate);
        self.chat_rate.add(open.chat_rate);
        self.chat_messages += open.chat_messages;
        self.playing_ms += open.playing_ms;
        self.stalled_ms += open.stalled_ms;
        self.stalls += open.stalls;
        self.errors += open.errors;
        self.players = self.players.max(open.players);
        self.player_records += open.player_records;
        self.latency_p95_ms = self.latency_p95_ms.or(open.latency_p95_ms);
        self.startup_p95_ms = self.startup_p95_ms.or(open.startup_p95_ms);
        self.views = self.views.into_iter().chain(open.views).reduce(f64::max);
    }

    /// Returns messages a minute: as reported, else as counted.
    pub(super) fn chat_per_minute(&self) -> Option<f64> {
        let counted = (self.chat_messages > 0.0).then_some(self.chat_messages);
        self.chat_rate.value().or(counted)
    }

    /// Returns the stalled share of the watch time of some minutes, percent.
    pub(super) fn stalled_percent<'a>(minutes: impl Iterator<Item = &'a Self>) -> Option<f64> {
        let (mut stalled_ms, mut watched_ms) = (0.0, 0.0);
        for minute in minutes {
            stalled_ms += minute.stalled_ms;
            watched_ms += minute.stalled_ms + minute.playing_ms;
        }
        (watched_ms > 0.0).then(|| stalled_ms / watched_ms * 100.0)
    }

    /// Returns the minute that begins at `start_s`, for the browser.
    pub(super) fn view(&self, start_s: i64) -> MinuteView {
        let of_players = |value: f64| (self.player_records > 0.0).then_some(value);
        MinuteView {
            ms: start_s * 1_000,
            viewers: self.viewers.map(|(_, viewers)| viewers),
            players: of_players(self.players),
            bitrate: self.bitrate.value(),
            frame_rate: self.frame_rate.value(),
            chat_rate: self.chat_per_minute(),
            stalled_percent: Self::stalled_percent(std::iter::once(self)),
            stalls: of_players(self.stalls),
            errors: of_players(self.errors),
            latency_p95_ms: self.latency_p95_ms,
            startup_p95_ms: self.startup_p95_ms,
            concurrent_views: self.views,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ivs_core::decode::{DecodeLimits, Event, decode};
    use ivs_core::merge::Merge as _;
    use ivs_core::row::Row;
    use ivs_core::window::{WindowFold, WindowKey};
    use kinesis_model::EpochMs;

    use super::*;
    use crate::items::metric;

    fn windows(lines: &[&str]) -> Vec<(WindowKey, WindowAgg)> {
        let mut fold = WindowFold::new();
        for line in lines {
            match decode(line.as_bytes(), EpochMs(1_772_000_060_000), &DecodeLimits::default()) {
                Ok(Event::Gauge(gauge)) => fold.add_gauge(&gauge),
                Ok(Event::Player(sample)) => fold.add_player(&sample),
                other => panic!("{other:?}"),
            }
        }
        fold.drain()
    }

    const EARLY: &str = r#"{"eventType":"metrics_update","sessionId":"s","channelId":"c","timestamp":1772000000000,"currentViewers":10,"bitrate":4000000,"frameRate":30,"chatMessagesPerMinute":6}"#;
    const LATE: &str = r#"{"eventType":"metrics_update","sessionId":"s","channelId":"c","timestamp":1772000030000,"currentViewers":14,"bitrate":5000000,"frameRate":20,"chatMessagesPerMinute":12}"#;
    const PLAYER: &str = r#"{"type":"player_telemetry","schemaVersion":1,"sessionId":"s","channelId":"c","eventId":"e","playerId":"p","timestamp":1772000031000,"state":"PLAYING","playingMs":9500,"bufferingMs":500,"rebufferCount":1}"#;

    #[test]
    fn a_stored_row_and_an_open_epoch_give_what_one_row_of_both_gives() {
        let (stored, open) = (windows(&[EARLY]), windows(&[LATE, PLAYER]));
        let item = |agg: &WindowAgg| {
            let row = Row { agg: agg.clone(), applied: Default::default(), version: 1 };
            metric::encode(
                &WindowKey { session_id: Arc::from("s"), ..stored[0].0.clone() },
                &row,
                None,
            )
        };
        let mut live = Minute::of(&item(&stored[0].1)).unwrap();
        live.add(&Minute::open(&open[0].1));
        let mut both = stored[0].1.clone();
        both.merge(&open[0].1);
        assert_eq!(live, Minute::of(&item(&both)).unwrap());
        let view = live.view(1_772_000_000);
        assert_eq!(view.viewers, Some(14.0));
        assert_eq!(view.bitrate, Some(4_500_000.0));
        assert_eq!(view.stalled_percent, Some(5.0));
        assert_eq!(view.chat_rate, Some(9.0));
    }

    #[test]
    fn what_nobody_told_is_absent_and_not_zero() {
        let view = Minute::default().view(60);
        assert_eq!((view.viewers, view.players, view.errors), (None, None, None));
        assert_eq!((view.stalled_percent, view.bitrate), (None, None));
    }
}
