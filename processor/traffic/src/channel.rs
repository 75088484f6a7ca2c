//! A channel and the stream it sends.

use std::sync::Arc;

use seeded::{Rng, mix};

use super::ivs::{About, Detail, ivs_id};
use super::line::Line;
use super::plan::{Profile, Step};
use super::{GeneratorConfig, Kind, Produced, Route, Sample};
use crate::incident::Trouble;

/// Frame rates encoders are set to, in hundredths.
const FRAME_RATES: [u64; 4] = [2_997, 3_000, 5_994, 6_000];
/// IVS's limit for a standard channel, bits/s.
const BITRATE_LIMIT_BPS: u64 = 8_500_000;

/// A channel; it has at most one stream at a time.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) id: String,
    pub(super) arn: String,
    pub(super) profile: Profile,
    name: String,
    streamer: String,
    /// Viewers on an average day.
    audience: u64,
    salt: u64,
    bitrate_bps: u64,
    frame_rate: u64,
    pub(super) stream: Stream,
    /// Trouble on purpose.
    pub(super) trouble: Trouble,
}

/// The channel's current stream, or its last one.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: Arc<str>,
    /// How many streams the channel has had; actions planned for an older one are void.
    pub(super) generation: u32,
    pub(super) live_ms: i64,
    pub(super) on_air: bool,
    pub(super) starving: bool,
    slump: bool,
    spam: bool,
    /// Viewers present.
    pub(super) present: u64,
    /// Viewers that will leave at their next report.
    pub(super) surplus: u64,
    peak: u64,
    chat_messages: u64,
    bitrate_sum_bps: u64,
    gauges: u64,
}

/// The output of a step.
#[derive(Debug)]
pub(super) enum Emission {
    /// An IVS event.
    Ivs(Detail),
    /// A line of the application.
    Application(Kind, Vec<u8>),
}

impl Stream {
    pub(super) fn new(rng: &mut Rng, generation: u32) -> Self {
        Self {
            id: format!("st-{}", ivs_id(rng, 23)).into(),
            generation,
            live_ms: 0,
            on_air: false,
            starving: false,
            slump: false,
            spam: false,
            present: 0,
            surplus: 0,
            peak: 0,
            chat_messages: 0,
            bitrate_sum_bps: 0,
            gauges: 0,
        }
    }
}

impl Channel {
    /// Returns the channel of this rank, counted from 0; `share_ppm` is its part of all viewers.
    pub(super) fn new(config: &GeneratorConfig, rng: &mut Rng, rank: u32, share_ppm: u64) -> Self {
        let id = ivs_id(rng, 12);
        let profile = match rng.below(100) {
            0..=7 => Profile::Flapping,
            8..=24 => Profile::Fragile,
            _ => Profile::Steady,
        };
        Self {
            arn: format!("arn:aws:ivs:{}:{}:channel/{id}", config.region, config.account),
            id,
            profile,
            name: format!("channel-{:03}", rank + 1),
            streamer: format!("user-{:04}", rng.below(10_000)),
            audience: (u64::from(config.viewers) * share_ppm / 1_000_000).max(1),
            salt: rng.next_u64(),
            bitrate_bps: 4_000_000 + rng.below(2_500_000),
            frame_rate: rng.pick(&FRAME_RATES),
            stream: Stream::new(rng, 0),
            trouble: Trouble::default(),
        }
    }

    /// Returns how many viewers would like to watch now: a ramp of a minute, slow waves, and the
    /// slump.
    pub(super) fn wanted(&self, now_ms: i64) -> u64 {
        let age_ms = (now_ms - self.stream.live_ms).unsigned_abs();
        let ramp_permille = (age_ms / 60).min(1_000);
        let wave_permille = 850 + mix(self.salt ^ (age_ms / 60_000)) % 300;
        let has_slump = self.stream.slump || self.trouble.slump;
        let slump_permille = if has_slump { 250 } else { 1_000 };
        let wanted = self.audience * ramp_permille * wave_permille / 1_000_000;
        (wanted * slump_permille).div_ceil(1_000)
    }

    /// Applies a step to the stream, and says what is to be told about it.
    pub(super) fn apply(&mut self, rng: &mut Rng, now_ms: i64, step: Step) -> Option<Emission> {
        match step {
            Step::GoLive => {
                self.stream.live_ms = now_ms;
                self.stream.on_air = true;
            }
            Step::StarvationStart => self.stream.starving = true,
            Step::StarvationEnd => self.stream.starving = false,
            Step::SlumpStart => self.stream.slump = true,
            Step::SlumpEnd => self.stream.slump = false,
            Step::SpamStart => self.stream.spam = true,
            Step::SpamEnd => self.stream.spam = false,
            Step::StreamEnd | Step::SessionEnded => self.stream.on_air = false,
            _ => {}
        }
        match step {
            Step::AppStart => Some(self.app_start(rng, now_ms)),
            Step::AppEnd => Some(self.app_end(rng, now_ms)),
            _ => self.detail(rng, now_ms, step).map(Emission::Ivs),
        }
    }

    /// Returns the IVS event of a step, if it has one.
    fn detail(&self, rng: &mut Rng, now_ms: i64, step: Step) -> Option<Detail> {
        let about = About { channel_name: &self.name, stream_id: &self.stream.id };
        let recorded_ms = (now_ms - self.stream.live_ms).unsigned_abs();
        Some(match step {
            Step::Connect => about.state("Session Created", None),
            Step::Fail => about.state("Stream Failure", Some(("reason", "capacity exceeded"))),
            Step::GoLive => about.state("Stream Start", None),
            Step::StreamEnd => about.state("Stream End", None),
            Step::SessionEnded => about.state("Session Ended", None),
            Step::Takeover(true) => about.state("Stream Takeover", None),
            Step::Takeover(false) => {
                let code = ("code", "StreamTakeoverInvalidPriority");
                about.state("Stream Takeover Failure", Some(code))
            }
            Step::StarvationStart => about.health("Starvation Start"),
            Step::StarvationEnd => about.health("Starvation End"),
            Step::BitrateBreach => {
                let over_bps = 10_000 + rng.below(900_000);
                about.breach("Ingest Bitrate", BITRATE_LIMIT_BPS, over_bps, "bits per second")
            }
            Step::ResolutionBreach => {
                about.breach("Ingest Resolution", 2_073_600, 1_612_800, "total pixels")
            }
            Step::RecordingStart(true) => about.recording("Recording Start", "", 0),
            Step::RecordingStart(false) => {
                about.recording("Recording Start Failure", "ValidationException", 0)
            }
            Step::RecordingEnd(true) => about.recording("Recording End", "", recorded_ms),
            Step::RecordingEnd(false) => {
                about.recording("Recording End Failure", "InternalServerException", recorded_ms)
            }
            Step::AdBreak => {
                about.ad_break(&ivs_id(rng, 12), rng.pick(&[15, 30, 60]), now_ms + 5_000)
            }
            Step::AppStart
            | Step::AppEnd
            | Step::SlumpStart
            | Step::SlumpEnd
            | Step::SpamStart
            | Step::SpamEnd => return None,
        })
    }

    /// Lines of the application begin alike.
    fn line(&self, rng: &mut Rng, event_type: &str, now_ms: i64) -> Line {
        Line::new()
            .text("eventType", event_type)
            .uuid("eventId", rng)
            .text("sessionId", &self.stream.id)
            .text("channelId", &self.id)
            .time("timestamp", now_ms)
    }

    fn app_start(&self, rng: &mut Rng, now_ms: i64) -> Emission {
        let quality = if self.frame_rate > 3_000 { "1080p" } else { "720p" };
        let line = self
            .line(rng, "stream_start", now_ms)
            .text("streamerUserId", &self.streamer)
            .text("streamTitle", &format!("{} on air", self.name))
            .text("streamQuality", quality);
        Emission::Application(Kind::StreamStart, line.finish())
    }

    fn app_end(&self, rng: &mut Rng, now_ms: i64) -> Emission {
        let stream = &self.stream;
        let line = self
            .line(rng, "stream_end", now_ms)
            .number("duration", (now_ms - stream.live_ms).unsigned_abs() / 1000)
            .number("peakViewers", stream.peak)
            .number("totalChatMessages", stream.chat_messages);
        let line = match stream.bitrate_sum_bps.checked_div(stream.gauges) {
            Some(mean_bps) => line.number("avgBitrate", mean_bps),
            None => line,
        };
        Emission::Application(Kind::StreamEnd, line.finish())
    }

    /// Returns the report on the live stream; `interval_ms` is the time since the last one.
    pub(super) fn gauge(&mut self, rng: &mut Rng, now_ms: i64, interval_ms: u64) -> Produced {
        let starving = self.stream.starving || self.trouble.slow_encoder;
        let jitter_bps = rng.below(self.bitrate_bps / 8);
        let full_bps = self.bitrate_bps - self.bitrate_bps / 16 + jitter_bps;
        let bitrate_bps = if starving { full_bps / 5 } else { full_bps };
        let frame_rate =
            if starving { 800 + rng.below(1_000) } else { self.frame_rate - rng.below(60) };
        let chatter = rng.below(self.stream.present / 12 + 8);
        let is_flooded = self.stream.spam || self.trouble.spam;
        let flood = if is_flooded { 200 + rng.below(800) } else { 0 };
        let chat_rate = chatter + flood;

        let stream = &mut self.stream;
        stream.peak = stream.peak.max(stream.present);
        stream.chat_messages += chat_rate * interval_ms / 60_000;
        stream.bitrate_sum_bps += bitrate_bps;
        stream.gauges += 1;
        let line = self
            .line(rng, "metrics_update", now_ms)
            .number("currentViewers", self.stream.present)
            .number("bitrate", bitrate_bps)
            .hundredths("frameRate", frame_rate)
            .number("chatMessagesPerMinute", chat_rate)
            .hundredths("cpuUsage", 3_000 + self.salt % 3_000 + rng.below(1_500))
            .hundredths("memoryUsage", 4_000 + self.salt % 2_000 + rng.below(300));
        let session_id = Arc::clone(&self.stream.id);
        let sample = Sample::Gauge { session_id, viewers: self.stream.present };
        self.produced(now_ms, Kind::MetricsUpdate, line.finish(), sample)
    }

    /// Returns a line of the application, to be put into the stream; a session stays in one shard.
    pub(super) fn produced(
        &self,
        now_ms: i64,
        kind: Kind,
        line: Vec<u8>,
        sample: Sample,
    ) -> Produced {
        Produced {
            line,
            partition_key: self.stream.id.to_string(),
            kind,
            event_time_ms: now_ms,
            arrival_ms: now_ms,
            is_duplicate: false,
            is_malformed: false,
            route: Route::Stream,
            sample,
        }
    }
}
