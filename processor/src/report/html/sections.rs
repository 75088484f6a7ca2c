//! The parts of the page that are tables: what viewers experienced, streams, scores.

use std::fmt;

use ivs_core::experience::Dimension;
use ivs_schemas::report::{PlayerExperience, Session, SessionStatus};

use super::Page;
use super::date;
use super::text::{
    Escaped, bitrate, duration, fill, frame_rate, known, long_time, number, percent, wait,
};

impl Page<'_> {
    /// Writes how viewers fared: totals, and how long they waited. Nothing of it without a player
    /// that reports.
    pub(super) fn experience(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seen, labels) = (&self.report.player_experience, self.labels);
        if seen.unique_players.is_none() {
            return Ok(());
        }
        writeln!(f, "<section class=\"part-of\">\n<h2>{}</h2>", labels.experience)?;
        self.waits(f, seen)?;
        f.write_str("<div class=\"tiles\">\n")?;
        let tiles = [
            (labels.watch_time, known(seen.watch_minutes, |m| long_time(m, labels))),
            (labels.stalls, known(seen.rebuffer_ratio, percent)),
            (labels.player_bitrate, known(seen.avg_bitrate, bitrate)),
            (labels.player_errors, known(seen.player_errors, |errors| number(errors as f64))),
        ];
        for (label, value) in tiles.into_iter().chain(self.views(seen)) {
            writeln!(f, "<div class=\"tile\"><b>{value}</b><span>{label}</span></div>")?;
        }
        f.write_str("</div>\n")?;
        self.breakdowns(f, seen)?;
        if seen.watch_minutes.is_some() && self.report.summary.viewer_minutes.is_some() {
            writeln!(f, "<p class=\"note\">{}</p>", labels.watch_note)?;
        }
        f.write_str("</section>\n")
    }

    /// Returns tiles of what became of views; none where players do not tell.
    fn views(&self, seen: &PlayerExperience) -> Vec<(&'static str, String)> {
        let labels = self.labels;
        let mut tiles = Vec::new();
        if let Some(score) = &seen.score {
            tiles.push((labels.experience_score, number(score.score)));
        }
        if let Some(views) = &seen.views {
            let failed = views.start_failures_technical + views.playback_failures;
            tiles.push((labels.views_started, number(views.starts as f64)));
            tiles.push((labels.views_failed, number(failed as f64)));
            if let Some(exits) = views.exits_before_start {
                tiles.push((labels.exits_before_start, number(exits as f64)));
            }
        }
        tiles
    }

    /// Writes a table for each dimension that players tell: the values with most time watched.
    fn breakdowns(&self, f: &mut fmt::Formatter<'_>, seen: &PlayerExperience) -> fmt::Result {
        /// Values of a dimension that are shown.
        const MOST: usize = 8;
        let labels = self.labels;
        for of in &seen.breakdowns {
            let known = Dimension::of_name(&of.dimension);
            let title = known.map_or("", |dimension| labels.dimensions[dimension as usize]);
            f.write_str("<div class=\"card scroll\"><table>\n<tr>")?;
            write!(f, "<th class=\"text\" scope=\"col\">{title}</th>")?;
            for label in [labels.share_of_watching, labels.buffering, labels.views_failed] {
                write!(f, "<th scope=\"col\">{label}</th>")?;
            }
            f.write_str("</tr>\n")?;
            for value in of.values.iter().take(MOST) {
                write!(f, "<tr><th class=\"text\" scope=\"row\">{}</th>", Escaped(&value.value))?;
                let failed = number(value.failures as f64);
                let share = known_percent(value.share_of_watch_time);
                for cell in [share, known_percent(value.rebuffer_ratio), failed] {
                    write!(f, "<td>{cell}</td>")?;
                }
                f.write_str("</tr>\n")?;
            }
            f.write_str("</table></div>\n")?;
        }
        Ok(())
    }

    fn waits(&self, f: &mut fmt::Formatter<'_>, seen: &PlayerExperience) -> fmt::Result {
        let labels = self.labels;
        let all = [(labels.latency, &seen.latency_ms), (labels.startup, &seen.startup_ms)];
        let known: Vec<_> =
            all.into_iter().filter_map(|(label, waits)| Some((label, waits.as_ref()?))).collect();
        if known.is_empty() {
            return Ok(());
        }
        f.write_str("<div class=\"card scroll\"><table>\n<tr><td></td>")?;
        for label in [labels.median, labels.nearly_all, labels.slowest] {
            write!(f, "<th scope=\"col\">{label}</th>")?;
        }
        f.write_str("</tr>\n")?;
        for (label, waits) in known {
            write!(f, "<tr><th class=\"text\" scope=\"row\">{label}</th>")?;
            for value in [waits.p50, waits.p95, waits.max] {
                write!(f, "<td>{}</td>", wait(value, labels))?;
            }
            f.write_str("</tr>\n")?;
        }
        f.write_str("</table></div>\n")
    }

    pub(super) fn scores(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (labels, quality) = (self.labels, &self.report.quality_metrics);
        let (parts, chat) = (&quality.quality_score_parts, &self.report.chat_analytics);
        writeln!(f, "<section class=\"part-of\">\n<h2>{}</h2>", labels.scores)?;
        f.write_str("<div class=\"scores\">\n<div class=\"card\">\n")?;
        writeln!(f, "<h3>{}</h3>", labels.quality_score)?;
        self.total(f, quality.quality_score, 100)?;
        let stability = known(quality.bitrate_stability, percent);
        let frames = known(quality.frame_rate_stability, percent);
        let title = format!("{} · {}", labels.bitrate, known(quality.avg_bitrate, bitrate));
        part(f, &title, (parts.bitrate, 40), labels.bitrate_rule)?;
        let title =
            format!("{} · {}", labels.frame_rate, known(quality.avg_frame_rate, frame_rate));
        part(f, &title, (parts.frame_rate, 30), labels.frame_rate_rule)?;
        let (bits, fps) = (labels.bitrate, labels.frame_rate);
        let title = format!("{} · {bits} {stability}, {fps} {frames}", labels.stability);
        part(f, &title, (parts.stability, 30), labels.stability_rule)?;
        writeln!(f, "</div>\n<div class=\"card\">\n<h3>{}</h3>", labels.engagement_score)?;
        let score = chat.chat_engagement_score.map(f64::from);
        self.total(f, score, 10)?;
        let rate = known(chat.messages_per_minute, number);
        let title = format!("{rate} {}", labels.messages_per_minute);
        part(f, &title, (score, 10), labels.engagement_rule)?;
        f.write_str("</div>\n</div>\n</section>\n")
    }

    fn total(&self, f: &mut fmt::Formatter<'_>, score: Option<f64>, most: u8) -> fmt::Result {
        match score {
            Some(score) => writeln!(f, "<p class=\"total\">{} / {most}</p>", number(score)),
            None => writeln!(f, "<p class=\"note\">{}</p>", self.labels.score_unknown),
        }
    }

    /// Writes the latest sessions: a table where there is room, a card each where there is not.
    pub(super) fn sessions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (labels, sessions) = (self.labels, &self.report.sessions);
        if sessions.is_empty() {
            return Ok(());
        }
        writeln!(f, "<section class=\"part-of\">\n<h2>{}</h2>", labels.streams)?;
        let all = self.report.summary.total_sessions;
        if all > sessions.len() as u64 {
            let (shown, all) = (sessions.len().to_string(), number(all as f64));
            let text = fill(labels.latest_of, &[("{shown}", &shown), ("{all}", &all)]);
            writeln!(f, "<p class=\"note\">{text}</p>")?;
        }
        f.write_str("<div class=\"card scroll\"><table class=\"streams\">\n<thead><tr>")?;
        for label in [labels.started, labels.stream] {
            write!(f, "<th class=\"text\" scope=\"col\">{label}</th>")?;
        }
        for label in [
            labels.length,
            labels.watched,
            labels.peak_viewers,
            labels.avg_viewers,
            labels.chat,
            labels.buffering,
        ] {
            write!(f, "<th scope=\"col\">{label}</th>")?;
        }
        f.write_str("</tr></thead>\n<tbody>\n")?;
        for session in sessions {
            self.session(f, session)?;
        }
        f.write_str("</tbody></table></div>\n</section>\n")
    }

    fn session(&self, f: &mut fmt::Formatter<'_>, session: &Session) -> fmt::Result {
        let labels = self.labels;
        let started = date::moment(&session.started_at, self.lang);
        write!(f, "<tr><td class=\"text when\">{}</td>", Escaped(&started))?;
        let (title, id) = (Escaped(self.title_of(session)), Escaped(&session.session_id));
        write!(f, "<td class=\"text name\">{title}")?;
        // That it is over is what one expects.
        let status = match session.status {
            SessionStatus::Live => Some(labels.statuses[0]),
            SessionStatus::Ended => None,
            SessionStatus::Failed => Some(labels.statuses[2]),
            SessionStatus::Lost => Some(labels.statuses[3]),
        };
        if let Some(status) = status {
            write!(f, " <span class=\"badge\">{status}</span>")?;
        }
        write!(f, "<div class=\"note\">{id}</div></td>")?;
        for (label, figure) in [
            (labels.length, duration(session.duration_in_period, labels)),
            (labels.watched, known(session.viewer_minutes, |minutes| long_time(minutes, labels))),
            (labels.peak_viewers, known(session.peak_viewers, number)),
            (labels.avg_viewers, known(session.avg_viewers, |viewers| number(viewers.round()))),
            (labels.chat, known(session.total_chat_messages, |count| number(count as f64))),
            (labels.buffering, known(session.rebuffer_ratio, percent)),
        ] {
            write!(f, "<td data-label=\"{label}\">{figure}</td>")?;
        }
        f.write_str("</tr>\n")
    }
}

fn known_percent(share: Option<f64>) -> String {
    known(share, percent)
}

/// Writes a part of a score, as a bar.
fn part(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    (score, most): (Option<f64>, u8),
    rule: &str,
) -> fmt::Result {
    let shown = known(score, number);
    write!(f, "<div class=\"part\"><div><span>{title}</span><span>{shown} / {most}</span></div>")?;
    if let Some(score) = score {
        let percent = score / f64::from(most) * 100.0;
        write!(f, "<div class=\"bar\"><i style=\"width: {percent:.1}%\"></i></div>")?;
    }
    writeln!(f, "<p class=\"note\">{rule}</p></div>")
}
