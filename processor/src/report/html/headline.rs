//! The one number, what stands out, and how both compare with the period before.

use std::fmt;

use ivs_schemas::report::{Previous, Session, Summary};

use super::Page;
use super::date;
use super::text::{Escaped, duration, fill, known, long_time, number};

/// Changes below this share are none.
const LEAST_CHANGE: f64 = 0.005;
/// From so many times as much on, a change is told as a multiple.
const MULTIPLE: f64 = 3.0;

/// How a figure changed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    More(f64),
    Less(f64),
    Same,
    /// There was none.
    None,
}

impl Change {
    fn of(now: f64, before: f64) -> Self {
        if before <= 0.0 {
            return if now > 0.0 { Self::None } else { Self::Same };
        }
        let share = now / before - 1.0;
        if share.abs() < LEAST_CHANGE {
            Self::Same
        } else if share > 0.0 {
            Self::More(share)
        } else {
            Self::Less(-share)
        }
    }

    /// `12%`, `4.1×`.
    fn size(share: f64) -> String {
        if is_multiple(share) {
            format!("{}×", times(share))
        } else {
            format!("{}%", number((share * 100.0).round().max(1.0)))
        }
    }

    /// `▲ 12%`; nothing if there is nothing to say.
    fn arrow(self) -> Option<String> {
        match self {
            Self::More(share) => Some(format!("▲ {}", Self::size(share))),
            Self::Less(share) => Some(format!("▼ {}", Self::size(share))),
            Self::Same => Some("=".to_owned()),
            Self::None => None,
        }
    }
}

fn is_multiple(share: f64) -> bool {
    share + 1.0 >= MULTIPLE
}

/// `4.1`.
fn times(share: f64) -> String {
    number(((share + 1.0) * 10.0).round() / 10.0)
}

/// Chooses the figure that the report begins with: the time that viewers spent, else what players measured, else the
/// time on air.
fn main_figure(summary: &Summary, watch_minutes: Option<f64>) -> (Main, f64) {
    match (summary.viewer_minutes, watch_minutes) {
        (Some(minutes), _) => (Main::Viewers, minutes),
        (None, Some(minutes)) => (Main::Players, minutes),
        (None, None) => (Main::OnAir, summary.total_stream_time / 60.0),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Main {
    Viewers,
    Players,
    OnAir,
}

impl Page<'_> {
    /// Writes the headline, its comparison, and what stands out.
    pub(super) fn headline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (report, labels) = (self.report, self.labels);
        let (main, minutes) = main_figure(&report.summary, report.player_experience.watch_minutes);
        let label = if main == Main::OnAir { labels.on_air } else { labels.hours_watched };
        let value = long_time(minutes, labels);
        f.write_str("<section class=\"headline\">\n<div class=\"main\">")?;
        writeln!(f, "<p class=\"big\"><b>{}</b> <span>{label}</span></p>", value.trim_end())?;
        writeln!(f, "<p>{}</p></div>", self.compared(main, minutes))?;
        self.highlights(f)?;
        f.write_str("</section>\n")
    }

    fn compared(&self, main: Main, minutes: f64) -> String {
        let labels = self.labels;
        let before = labels.before[self.kind()][usize::from(self.is_going_on())];
        let figure = |previous: &Previous| match main {
            Main::Viewers => previous.summary.viewer_minutes,
            Main::OnAir => Some(previous.summary.total_stream_time / 60.0),
            Main::Players => None,
        };
        let Some(was) = self.report.previous.as_ref().and_then(figure) else {
            return fill(labels.nothing_before, &[("{before}", before)]);
        };
        match Change::of(minutes, was) {
            Change::More(share) if is_multiple(share) => {
                fill(labels.times, &[("{change}", &times(share)), ("{before}", before)])
            }
            Change::More(share) => {
                fill(labels.more, &[("{change}", &Change::size(share)), ("{before}", before)])
            }
            Change::Less(share) => {
                fill(labels.less, &[("{change}", &Change::size(share)), ("{before}", before)])
            }
            Change::Same => fill(labels.same, &[("{before}", before)]),
            Change::None => fill(labels.none_before, &[("{before}", before)]),
        }
    }

    fn highlights(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (highlights, labels) = (&self.report.highlights, self.labels);
        if let Some(peak) = &highlights.peak {
            let at = date::moment(&peak.at, self.lang);
            let (viewers, at) = (number(peak.viewers), Escaped(&at).to_string());
            let text = fill(labels.viewers_at, &[("{viewers}", &viewers), ("{at}", &at)]);
            writeln!(f, "<div><h2>{}</h2><p><b>{text}</b></p>", labels.peak_moment)?;
            if let Some(session) = peak.session_id.as_deref().and_then(|id| self.session_of(id)) {
                writeln!(f, "<p class=\"name\">{}</p>", Escaped(self.title_of(session)))?;
            }
            f.write_str("</div>\n")?;
        }
        if let Some(best) = &highlights.best_session {
            let name = Escaped(self.title_of(best));
            writeln!(f, "<div><h2>{}</h2><p class=\"name\"><b>{name}</b></p>", labels.best_stream)?;
            let at = date::moment(&best.started_at, self.lang);
            write!(f, "<p>{} · {}", Escaped(&at), duration(best.duration_in_period, labels))?;
            if let Some(viewers) = best.avg_viewers {
                let viewers = number(viewers.round());
                write!(f, " · {}", fill(labels.on_average, &[("{}", &viewers)]))?;
            }
            f.write_str("</p></div>\n")?;
        }
        Ok(())
    }

    /// Returns the session, if the report tells of it.
    fn session_of(&self, id: &str) -> Option<&Session> {
        let report = self.report;
        let shown = report.sessions.iter().chain(&report.highlights.best_session);
        shown.into_iter().find(|session| session.session_id == id)
    }

    pub(super) fn title_of<'s>(&self, session: &'s Session) -> &'s str {
        session
            .stream_title
            .as_deref()
            .filter(|title| !title.trim().is_empty())
            .unwrap_or(self.labels.untitled)
    }

    /// Writes totals, each with what it was before.
    pub(super) fn tiles(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (report, labels) = (self.report, self.labels);
        let previous = report.previous.as_ref();
        let was = |figure: &dyn Fn(&Summary) -> Option<f64>| {
            previous.and_then(|previous| figure(&previous.summary))
        };
        let time = |seconds: f64| duration(seconds, labels);
        let count = |value: f64| number(value.round());
        let score = |score: f64| format!("{} / 100", number(score));
        let (now, players) = (&report.summary, &report.player_experience);
        f.write_str("<section class=\"tiles\">\n")?;
        self.tile(
            f,
            labels.sessions,
            (Some(now.total_sessions as f64), was(&|s| Some(s.total_sessions as f64))),
            count,
        )?;
        self.tile(
            f,
            labels.stream_time,
            (Some(now.total_stream_time), was(&|s| Some(s.total_stream_time))),
            time,
        )?;
        self.tile(
            f,
            labels.peak_viewers,
            (now.max_concurrent_viewers, was(&|s| s.max_concurrent_viewers)),
            number,
        )?;
        self.tile(f, labels.avg_viewers, (now.avg_viewers, was(&|s| s.avg_viewers)), number)?;
        let unique = players.unique_players.map(|players| players as f64);
        self.tile(f, labels.unique_players, (unique, None), count)?;
        self.tile(
            f,
            labels.chat_messages,
            (Some(now.total_chat_messages as f64), was(&|s| Some(s.total_chat_messages as f64))),
            count,
        )?;
        let quality = report.quality_metrics.quality_score;
        let before = previous.and_then(|previous| previous.quality_score);
        self.tile(f, labels.quality_score, (quality, before), score)?;
        f.write_str("</section>\n")
    }

    fn tile(
        &self,
        f: &mut fmt::Formatter<'_>,
        label: &str,
        (now, before): (Option<f64>, Option<f64>),
        show: impl Fn(f64) -> String,
    ) -> fmt::Result {
        write!(f, "<div class=\"tile\"><b>{}</b><span>{label}</span>", known(now, &show))?;
        if let Some((now, before)) = now.zip(before) {
            let arrow =
                Change::of(now, before).arrow().map_or_else(String::new, |arrow| arrow + " · ");
            let was = fill(self.labels.was, &[("{}", &show(before))]);
            write!(f, "<small>{arrow}{was}</small>")?;
        }
        f.write_str("</div>\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_in_plain_words() {
        let arrows = [(112.0, 100.0), (50.0, 100.0), (100.0, 100.2), (410.0, 100.0), (5.0, 0.0)]
            .map(|(now, before)| Change::of(now, before).arrow());
        let wanted = [Some("▲ 12%"), Some("▼ 50%"), Some("="), Some("▲ 4.1×"), None];
        assert_eq!(arrows, wanted.map(|text| text.map(str::to_owned)));
        assert_eq!(Change::of(0.0, 0.0), Change::Same);
        assert_eq!(Change::size(0.006), "1%");
    }
}
