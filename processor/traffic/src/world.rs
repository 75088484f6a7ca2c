//! The clockwork: what happens when, and to whom.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use seeded::{Rng, mix};

use super::channel::{Channel, Emission, Stream};
use super::ivs;
use super::outbox::{Outbox, Shares};
use super::plan::{self, Step};
use super::viewer::{Occasion, Viewer};
use super::{GeneratorConfig, Produced, Sample};
use crate::incident::Trouble;

/// The account exceeds its limit of viewers about this often.
const ACCOUNT_BREACH_EVERY_MS: i64 = 600_000;

/// Something that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Action {
    /// A planned step of a channel's stream.
    Step { channel: usize, generation: u32, step: Step },
    /// A live channel reports, and its audience adjusts.
    Gauge { channel: usize, generation: u32 },
    /// A player reports. Each viewer has exactly one of these due.
    Report { viewer: usize },
    /// The account exceeds a limit.
    AccountBreach,
}

/// Everything there is. The heap holds one action per viewer and a few dozen per channel.
#[derive(Debug)]
pub(super) struct World {
    config: GeneratorConfig,
    rng: Rng,
    due: BinaryHeap<Reverse<(i64, u64, Action)>>,
    sequence: u64,
    channels: Vec<Channel>,
    viewers: Vec<Viewer>,
    /// Places in `viewers` whose viewer has left.
    vacant: Vec<usize>,
    outbox: Outbox,
}

/// Returns the numbers of a seed, far from those of the seeds next to it.
fn numbers(seed: u64) -> Rng {
    Rng::new(mix(seed ^ 0x1f5_c0de))
}

impl World {
    pub(super) fn new(config: GeneratorConfig) -> Self {
        let mut rng = numbers(config.seed);
        let count = config.channels.max(1);
        // Zipf, exponent 1, in integers so that no libm is involved.
        let weight = |rank: u32| 1_000_000_000 / (u64::from(rank) + 1);
        let total: u64 = (0..count).map(weight).sum();
        let channels = (0..count)
            .map(|rank| Channel::new(&config, &mut rng, rank, weight(rank) * 1_000_000 / total))
            .collect();
        // Channels stay from run to run; sessions, players and events are those of one run.
        let rng = numbers(config.seed ^ mix(config.start_ms.cast_unsigned()));
        let shares = Shares {
            duplicate: config.duplicate_ppm,
            late: config.late_ppm,
            malformed: config.malformed_ppm,
        };
        let mut world = Self {
            config,
            rng,
            due: BinaryHeap::new(),
            sequence: 0,
            channels,
            viewers: Vec::new(),
            vacant: Vec::new(),
            outbox: Outbox::new(shares),
        };
        world.open();
        world
    }

    /// Most channels go on the air at once, so that there is something to see; the rest follow.
    fn open(&mut self) {
        let start_ms = self.config.start_ms;
        for channel in 0..self.channels.len() {
            let spread_ms = if self.rng.chance(70) { 3_000 } else { 90_000 };
            let at_ms = start_ms + self.rng.between(0, spread_ms);
            self.schedule(at_ms, Action::Step { channel, generation: 0, step: Step::Connect });
        }
        let breach_ms = start_ms + self.rng.between(30_000, ACCOUNT_BREACH_EVERY_MS);
        self.schedule(breach_ms, Action::AccountBreach);
    }

    fn schedule(&mut self, at_ms: i64, action: Action) {
        self.sequence += 1;
        self.due.push(Reverse((at_ms, self.sequence, action)));
    }

    /// Returns the next line that arrives up to and including `until_ms`.
    pub(super) fn next_until(&mut self, until_ms: i64) -> Option<Produced> {
        loop {
            if let Some(produced) = self.outbox.pop_ready() {
                return Some(produced);
            }
            let due_ms = self.due.peek().map_or(i64::MAX, |Reverse((at_ms, ..))| *at_ms);
            if let Some(produced) = self.outbox.pop_waiting(until_ms.min(due_ms)) {
                return Some(produced);
            }
            if due_ms > until_ms {
                return None;
            }
            let Reverse((now_ms, _, action)) = self.due.pop()?;
            self.act(now_ms, action);
        }
    }

    fn act(&mut self, now_ms: i64, action: Action) {
        match action {
            Action::Step { channel, step: Step::Connect, .. } => self.connect(now_ms, channel),
            Action::Step { channel, generation, step } => {
                if self.channels[channel].stream.generation == generation {
                    self.step(now_ms, channel, step);
                }
            }
            Action::Gauge { channel, generation } => self.gauge(now_ms, channel, generation),
            Action::Report { viewer } => self.report(now_ms, viewer),
            Action::AccountBreach => self.account_breach(now_ms),
        }
    }

    /// A new stream: its life is drawn and put on the schedule.
    fn connect(&mut self, now_ms: i64, channel: usize) {
        let generation = self.channels[channel].stream.generation.wrapping_add(1);
        self.channels[channel].stream = Stream::new(&mut self.rng, generation);
        let typical_ms = i64::from(self.config.stream_ms.max(1));
        let profile = self.channels[channel].profile;
        for (at_ms, step) in plan::life(&mut self.rng, profile, now_ms, typical_ms) {
            self.schedule(at_ms, Action::Step { channel, generation, step });
        }
        self.step(now_ms, channel, Step::Connect);
    }

    fn step(&mut self, now_ms: i64, channel: usize, step: Step) {
        if step == Step::GoLive {
            let generation = self.channels[channel].stream.generation;
            let first_ms = now_ms + self.rng.between(100, 1_000);
            self.schedule(first_ms, Action::Gauge { channel, generation });
        }
        let produced = match self.channels[channel].apply(&mut self.rng, now_ms, step) {
            None => return,
            Some(Emission::Ivs(detail)) => {
                let resource = Some(self.channels[channel].arn.as_str());
                ivs::event(&self.config, &mut self.rng, now_ms, resource, detail)
            }
            Some(Emission::Application(kind, line)) => {
                self.channels[channel].produced(now_ms, kind, line, Sample::Fact)
            }
        };
        self.outbox.send(&mut self.rng, produced);
    }

    fn gauge(&mut self, now_ms: i64, channel: usize, generation: u32) {
        let interval_ms = self.config.gauge_interval_ms.max(1);
        let stream = &self.channels[channel].stream;
        if stream.generation != generation || !stream.on_air {
            return;
        }
        let trouble = Trouble::of(self.config.incidents_from_ms, channel, now_ms);
        self.channels[channel].trouble = trouble;
        self.adjust_audience(now_ms, channel, i64::from(interval_ms));
        let produced = self.channels[channel].gauge(&mut self.rng, now_ms, u64::from(interval_ms));
        self.outbox.send(&mut self.rng, produced);
        let next_ms = now_ms + i64::from(interval_ms);
        self.schedule(next_ms, Action::Gauge { channel, generation });
    }

    /// Lets viewers in over the next interval, or marks some as wanting to leave.
    fn adjust_audience(&mut self, now_ms: i64, channel: usize, interval_ms: i64) {
        let wanted = self.channels[channel].wanted(now_ms);
        let stream = &mut self.channels[channel].stream;
        let joining = wanted.saturating_sub(stream.present);
        stream.surplus = stream.present.saturating_sub(wanted);
        stream.present += joining;
        let generation = stream.generation;
        for _ in 0..joining {
            let joins_ms = now_ms + self.rng.between(0, interval_ms);
            let viewer = Viewer::new(&mut self.rng, channel, generation, joins_ms);
            let place = self.seat(viewer);
            self.schedule(joins_ms, Action::Report { viewer: place });
        }
    }

    fn seat(&mut self, viewer: Viewer) -> usize {
        match self.vacant.pop() {
            Some(place) => {
                self.viewers[place] = viewer;
                place
            }
            None => {
                self.viewers.push(viewer);
                self.viewers.len() - 1
            }
        }
    }

    fn report(&mut self, now_ms: i64, place: usize) {
        let viewer = &mut self.viewers[place];
        let channel = &mut self.channels[viewer.channel];
        let same_stream = channel.stream.generation == viewer.generation;
        let pushed_out = same_stream && channel.stream.surplus > 0;
        let leaves = pushed_out || !channel.stream.on_air || viewer.wants_to_leave(now_ms);
        if !same_stream || leaves {
            self.vacant.push(place);
        }
        if !same_stream {
            return;
        }
        let occasion = if leaves { Occasion::Leaving } else { Occasion::Regular };
        if leaves {
            channel.stream.present -= 1;
            channel.stream.surplus = channel.stream.surplus.saturating_sub(1);
        }
        // A third of those who leave just close the page.
        if !leaves || self.rng.chance(67) {
            let is_broken = channel.trouble.broken_player;
            let produced = viewer.report(&mut self.rng, channel, now_ms, occasion);
            if is_broken {
                self.outbox.send_broken(&mut self.rng, produced);
            } else {
                self.outbox.send(&mut self.rng, produced);
            }
        }
        if !leaves {
            let wait_ms = if self.viewers[place].is_waiting() {
                self.rng.between(300, 2_500)
            } else {
                let interval_ms = i64::from(self.config.report_interval_ms.max(1));
                let tenth_ms = interval_ms / 10;
                interval_ms + self.rng.between(-tenth_ms, tenth_ms)
            };
            let next_ms = now_ms + wait_ms;
            self.schedule(next_ms, Action::Report { viewer: place });
        }
    }

    fn account_breach(&mut self, now_ms: i64) {
        let detail = ivs::account_breach(1 + self.rng.below(500));
        let produced = ivs::event(&self.config, &mut self.rng, now_ms, None, detail);
        self.outbox.send(&mut self.rng, produced);
        let next_ms =
            now_ms + self.rng.between(ACCOUNT_BREACH_EVERY_MS / 2, 2 * ACCOUNT_BREACH_EVERY_MS);
        self.schedule(next_ms, Action::AccountBreach);
    }
}
