//! One viewer's player.

use std::sync::Arc;

use seeded::{Rng, mix};

use super::channel::Channel;
use super::line::{Line, player_id};
use super::{Kind, Produced, Route, Sample};

const COUNTRIES: [&str; 12] =
    ["JP", "US", "DE", "BR", "GB", "FR", "IN", "KR", "MX", "ES", "CA", "AU"];
const DEVICES: [&str; 8] =
    ["web-chrome", "web-safari", "web-firefox", "android", "ios", "fire-tv", "roku", "apple-tv"];
const ERRORS: [&str; 4] = ["ErrorNetwork", "ErrorNetworkIO", "ErrorTimeout", "ErrorInvalidData"];

/// A rendition of the stream.
#[derive(Clone, Copy, Debug)]
struct Rendition {
    name: &'static str,
    bitrate_bps: u64,
    /// In hundredths.
    frame_rate: u64,
}

const fn rendition(name: &'static str, bitrate_bps: u64, frame_rate: u64) -> Rendition {
    Rendition { name, bitrate_bps, frame_rate }
}

/// From the best to the one that is left when the line is bad.
const LADDER: [Rendition; 5] = [
    rendition("1080p", 6_000_000, 6_000),
    rendition("1080p", 4_500_000, 2_997),
    rendition("720p", 2_400_000, 2_997),
    rendition("480p", 1_200_000, 3_000),
    rendition("360p", 630_000, 3_000),
];

/// A player that watches one stream.
#[derive(Clone, Debug)]
pub(super) struct Viewer {
    pub(super) channel: usize,
    /// Which stream of the channel; see [`super::channel::Stream::generation`].
    pub(super) generation: u32,
    player: u64,
    rendition: Rendition,
    reported_ms: i64,
    leaves_ms: i64,
    /// Until when the viewer's line is bad.
    bad_until_ms: i64,
    reports: u64,
}

/// Why a player makes its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// The interval has passed.
    Regular,
    /// It is the player's last report.
    Leaving,
}

impl Viewer {
    pub(super) fn new(rng: &mut Rng, channel: usize, generation: u32, now_ms: i64) -> Self {
        // Most stay for minutes, a third only takes a look.
        let stay_ms = if rng.chance(33) {
            rng.between(5_000, 60_000)
        } else {
            rng.between(60_000, 1_800_000)
        };
        Self {
            channel,
            generation,
            player: rng.next_u64(),
            rendition: rng.pick(&LADDER),
            reported_ms: now_ms,
            leaves_ms: now_ms + stay_ms,
            bad_until_ms: 0,
            reports: 0,
        }
    }

    pub(super) fn wants_to_leave(&self, now_ms: i64) -> bool {
        now_ms >= self.leaves_ms
    }

    /// Returns what the player saw since its last report.
    pub(super) fn report(
        &mut self,
        rng: &mut Rng,
        channel: &Channel,
        now_ms: i64,
        occasion: Occasion,
    ) -> Produced {
        let elapsed_ms = (now_ms - self.reported_ms).unsigned_abs();
        let is_first = self.reports == 0;
        if now_ms >= self.bad_until_ms && rng.chance(1) {
            self.bad_until_ms = now_ms + rng.between(15_000, 60_000);
        }
        let is_bad = now_ms < self.bad_until_ms || channel.stream.starving;
        let stalled = !is_first && is_bad && rng.chance(60);
        let buffering_ms = if stalled { rng.below(elapsed_ms) } else { 0 };
        let rendition = if is_bad { LADDER[LADDER.len() - 1] } else { self.rendition };
        let state = match occasion {
            Occasion::Leaving => "ENDED",
            Occasion::Regular if is_first => "READY",
            Occasion::Regular if stalled => "BUFFERING",
            Occasion::Regular => "PLAYING",
        };
        let bitrate_jitter_bps = rng.below(rendition.bitrate_bps / 10);
        let lost_frames = rng.below(if stalled { 2_000 } else { 60 });
        let dropped = if is_bad || rng.chance(5) { rng.below(40) } else { 0 };
        let tail_ms = if rng.chance(2) { rng.below(20_000) } else { 0 };
        let latency_ms = 1_500 + rng.below(1_200) + rng.below(1_200) + tail_ms;

        let line = self
            .head(rng, channel, now_ms)
            .text("state", state)
            .number("bitrate", rendition.bitrate_bps * 19 / 20 + bitrate_jitter_bps)
            .hundredths("frameRate", rendition.frame_rate - lost_frames)
            .number("droppedFrames", dropped)
            .number("bufferingMs", buffering_ms)
            .number("latencyMs", latency_ms)
            .number("playingMs", if is_first { 0 } else { elapsed_ms - buffering_ms })
            .number("rebufferCount", if stalled { 1 + rng.below(3) } else { 0 });
        let line = if is_first { line.number("startupMs", elapsed_ms) } else { line };
        let line =
            if is_bad && rng.chance(4) { line.text("errorCode", rng.pick(&ERRORS)) } else { line };
        let line = line.number("sequence", self.reports).text("resolution", rendition.name);
        self.reports += 1;
        self.reported_ms = now_ms;
        self.produced(channel, now_ms, self.tail(line), buffering_ms)
    }

    fn head(&self, rng: &mut Rng, channel: &Channel, now_ms: i64) -> Line {
        let line = Line::new()
            .text("type", "player_telemetry")
            .number("schemaVersion", 1)
            .uuid("eventId", rng)
            .text("sessionId", &channel.stream.id)
            .text("channelId", &channel.id)
            .text("playerId", &player_id(self.player));
        // Some players send epoch milliseconds.
        if self.player.is_multiple_of(8) {
            line.number("timestamp", now_ms.unsigned_abs())
        } else {
            line.time("timestamp", now_ms)
        }
    }

    fn tail(&self, line: Line) -> Vec<u8> {
        let choose = |count: usize, salt: u64| {
            usize::try_from(mix(self.player ^ salt) % count as u64).expect("an index fits usize")
        };
        line.text("country", COUNTRIES[choose(COUNTRIES.len(), 1)])
            .text("device", DEVICES[choose(DEVICES.len(), 2)])
            .finish()
    }

    /// Keyed by player, so that one popular channel does not heat one shard.
    fn produced(
        &self,
        channel: &Channel,
        now_ms: i64,
        line: Vec<u8>,
        buffering_ms: u64,
    ) -> Produced {
        Produced {
            line,
            partition_key: player_id(self.player),
            kind: Kind::PlayerTelemetry,
            event_time_ms: now_ms,
            arrival_ms: now_ms,
            is_duplicate: false,
            is_malformed: false,
            route: Route::Stream,
            sample: Sample::Player { session_id: Arc::clone(&channel.stream.id), buffering_ms },
        }
    }
}
