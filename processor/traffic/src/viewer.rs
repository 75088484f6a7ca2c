//! One viewer's player.

use std::sync::Arc;

use seeded::{Rng, mix};

use super::channel::Channel;
use super::line::{Line, player_id};
use super::{Kind, Produced, Route, Sample, Told, ViewEvent};

const COUNTRIES: [&str; 12] =
    ["JP", "US", "DE", "BR", "GB", "FR", "IN", "KR", "MX", "ES", "CA", "AU"];
const DEVICES: [&str; 8] =
    ["web-chrome", "web-safari", "web-firefox", "android", "ios", "fire-tv", "roku", "apple-tv"];
/// The operating system of each device.
const SYSTEMS: [&str; 8] =
    ["windows", "macos", "linux", "android", "ios", "fire os", "roku", "tvos"];
const VERSIONS: [&str; 3] = ["1.56.1", "1.55.0", "1.49.0"];
const CDNS: [&str; 2] = ["ivs", "cloudfront"];
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
    fate: Fate,
}

/// The outcome of a play request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It plays until the viewer leaves.
    Plays,
    /// It plays, and breaks off with an error.
    Breaks,
    /// It cannot start.
    Fails,
    /// It may not start.
    Refused,
    /// The viewer does not wait for it.
    GivesUp,
}

impl Fate {
    fn draw(rng: &mut Rng) -> Self {
        match rng.below(100) {
            0..=1 => Self::Fails,
            2 => Self::Refused,
            3..=6 => Self::GivesUp,
            7..=8 => Self::Breaks,
            _ => Self::Plays,
        }
    }

    fn plays(self) -> bool {
        matches!(self, Self::Plays | Self::Breaks)
    }
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
    /// Returns a viewer who is about to ask for the picture.
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
            fate: Fate::draw(rng),
        }
    }

    /// Returns whether the next report is the last: the viewer has seen enough, or no picture.
    pub(super) fn wants_to_leave(&self, now_ms: i64) -> bool {
        now_ms >= self.leaves_ms || self.reports == 1 && !self.fate.plays()
    }

    /// Returns whether the viewer has asked to play and seen no picture yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.reports <= 1
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
        if self.reports == 0 || self.reports == 1 && occasion == Occasion::Leaving {
            return self.before_the_picture(rng, channel, now_ms);
        }
        let is_first = self.reports == 1;
        if now_ms >= self.bad_until_ms && rng.chance(1) {
            self.bad_until_ms = now_ms + rng.between(15_000, 60_000);
        }
        let is_bad = now_ms < self.bad_until_ms || channel.stream.starving;
        let stalled = !is_first && is_bad && rng.chance(60);
        let buffering_ms = if stalled { rng.below(elapsed_ms) } else { 0 };
        let rendition = if is_bad { LADDER[LADDER.len() - 1] } else { self.rendition };
        let state = match occasion {
            Occasion::Leaving => "ENDED",
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
        let event = match occasion {
            Occasion::Regular if is_first => Some(ViewEvent::Start),
            Occasion::Leaving if self.fate == Fate::Breaks => Some(ViewEvent::Error),
            Occasion::Leaving => Some(ViewEvent::End),
            Occasion::Regular => None,
        };
        let line = if is_first { line.number("startupMs", elapsed_ms) } else { line };
        let line = told(line, event);
        let line =
            if is_bad && rng.chance(4) { line.text("errorCode", rng.pick(&ERRORS)) } else { line };
        let line = line.number("sequence", self.reports).text("resolution", rendition.name);
        self.reports += 1;
        self.reported_ms = now_ms;
        let playing_ms = if is_first { 0 } else { elapsed_ms - buffering_ms };
        let told = Told { buffering_ms, playing_ms: Some(playing_ms), event };
        self.produced(channel, now_ms, self.tail(line), told)
    }

    /// Returns the play request, or how it came to nothing.
    fn before_the_picture(&mut self, rng: &mut Rng, channel: &Channel, now_ms: i64) -> Produced {
        let (state, event) = match self.fate {
            _ if self.reports == 0 => ("READY", ViewEvent::Attempt),
            Fate::Fails => ("IDLE", ViewEvent::FailureTechnical),
            Fate::Refused => ("IDLE", ViewEvent::FailureBusiness),
            // The stream is over, or the viewer does not wait.
            Fate::GivesUp | Fate::Plays | Fate::Breaks => ("ENDED", ViewEvent::ExitBeforeStart),
        };
        let line = self.head(rng, channel, now_ms).text("state", state).number("bufferingMs", 0);
        let line = told(line, Some(event)).number("sequence", self.reports);
        self.reports += 1;
        self.reported_ms = now_ms;
        let told = Told { buffering_ms: 0, playing_ms: None, event: Some(event) };
        self.produced(channel, now_ms, self.tail(line), told)
    }

    fn head(&self, rng: &mut Rng, channel: &Channel, now_ms: i64) -> Line {
        let line = Line::new()
            .text("type", "player_telemetry")
            .number("schemaVersion", 1)
            .uuid("eventId", rng)
            .text("sessionId", &channel.stream.id)
            .text("channelId", &channel.id)
            .text("playerId", &player_id(self.player))
            .text("viewId", &view_id(self.player));
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
        let device = choose(DEVICES.len(), 2);
        line.text("country", COUNTRIES[choose(COUNTRIES.len(), 1)])
            .text("device", DEVICES[device])
            .text("os", SYSTEMS[device])
            .text("playerVersion", VERSIONS[choose(VERSIONS.len(), 3)])
            .text("cdn", CDNS[choose(CDNS.len(), 4)])
            .finish()
    }

    /// Keyed by player, so that one popular channel does not heat one shard.
    fn produced(&self, channel: &Channel, now_ms: i64, line: Vec<u8>, told: Told) -> Produced {
        Produced {
            line,
            partition_key: player_id(self.player),
            kind: Kind::PlayerTelemetry,
            event_time_ms: now_ms,
            arrival_ms: now_ms,
            is_duplicate: false,
            is_malformed: false,
            route: Route::Stream,
            sample: Sample::Player { session_id: Arc::clone(&channel.stream.id), told },
        }
    }
}

/// Returns the id of a player's only view.
fn view_id(player: u64) -> String {
    player_id(player).replacen('p', "v", 1)
}

/// Adds what the record tells of the view.
fn told(line: Line, event: Option<ViewEvent>) -> Line {
    match event {
        None => line,
        Some(ViewEvent::Attempt) => line.text("viewEvent", "attempt"),
        Some(ViewEvent::Start) => line.text("viewEvent", "start"),
        Some(ViewEvent::FailureTechnical) => {
            line.text("viewEvent", "failure").text("failureKind", "technical")
        }
        Some(ViewEvent::FailureBusiness) => {
            line.text("viewEvent", "failure").text("failureKind", "business")
        }
        Some(ViewEvent::Error) => line.text("viewEvent", "error"),
        Some(ViewEvent::End) => line.text("viewEvent", "end").raw("viewStarted", "true"),
        Some(ViewEvent::ExitBeforeStart) => {
            line.text("viewEvent", "end").raw("viewStarted", "false")
        }
    }
}
