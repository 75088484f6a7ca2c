//! The parts of the page that are no charts.

use std::fmt;

use ivs_schemas::report::{Session, SessionStatus};

use super::Page;
use super::text::{
    Escaped, UNKNOWN, bitrate, date_time, duration, frame_rate, known, milliseconds, number,
    percent,
};

impl Page<'_> {
    pub(super) fn tiles(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (report, labels) = (self.report, self.labels);
        let (summary, quality) = (&report.summary, &report.quality_metrics);
        let of = |score: Option<f64>, most: u8| known(score, |s| format!("{} / {most}", number(s)));
        let chat = report.chat_analytics.chat_engagement_score.map(f64::from);
        let tiles = [
            (labels.sessions, number(summary.total_sessions as f64)),
            (labels.stream_time, duration(summary.total_stream_time, labels)),
            (labels.avg_duration, known(summary.avg_session_duration, |s| duration(s, labels))),
            (labels.peak_viewers, known(summary.max_concurrent_viewers, number)),
            (labels.avg_viewers, known(summary.avg_viewers, number)),
            (labels.viewer_minutes, known(summary.viewer_minutes, |v| number(v.round()))),
            (labels.chat_messages, number(summary.total_chat_messages as f64)),
            (
                labels.unique_players,
                known(report.player_experience.unique_players, |p| number(p as f64)),
            ),
            (labels.quality_score, of(quality.quality_score, 100)),
            (labels.engagement_score, of(chat, 10)),
        ];
        f.write_str("<section class=\"tiles\">\n")?;
        for (label, value) in tiles {
            writeln!(f, "<div class=\"tile\"><b>{value}</b><span>{label}</span></div>")?;
        }
        f.write_str("</section>\n")
    }

    /// What players saw: totals, and quantiles of latency and start-up.
    pub(super) fn experience(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seen, labels) = (&self.report.player_experience, self.labels);
        writeln!(f, "<h2>{}</h2>\n<div class=\"card scroll\"><table>", labels.experience)?;
        write!(
            f,
            "<tr><th class=\"text\"></th><th>{}</th><th>p95</th><th>p99</th>",
            labels.median
        )?;
        writeln!(f, "<th>{}</th></tr>", labels.largest)?;
        for (label, quantiles) in
            [(labels.latency, &seen.latency_ms), (labels.startup, &seen.startup_ms)]
        {
            write!(f, "<tr><th class=\"text\" scope=\"row\">{label}</th>")?;
            let values = quantiles.as_ref().map(|q| [q.p50, q.p95, q.p99, q.max].map(Some));
            for value in values.unwrap_or_default() {
                write!(f, "<td>{}</td>", known(value, milliseconds))?;
            }
            f.write_str("</tr>\n")?;
        }
        f.write_str("</table></div>\n<section class=\"tiles\">\n")?;
        let tiles = [
            (labels.watch_time, known(seen.watch_minutes, |m| duration(m * 60.0, labels))),
            (labels.stalls, known(seen.rebuffer_ratio, percent)),
            (labels.player_bitrate, known(seen.avg_bitrate, bitrate)),
            (labels.player_errors, known(seen.player_errors, |errors| number(errors as f64))),
        ];
        for (label, value) in tiles {
            writeln!(f, "<div class=\"tile\"><b>{value}</b><span>{label}</span></div>")?;
        }
        f.write_str("</section>\n")
    }

    pub(super) fn scores(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (labels, quality) = (self.labels, &self.report.quality_metrics);
        let (parts, chat) = (&quality.quality_score_parts, &self.report.chat_analytics);
        writeln!(
            f,
            "<h2>{}</h2>\n<section class=\"scores\">\n<div class=\"card\">",
            labels.scores
        )?;
        writeln!(f, "<h3>{}</h3>", labels.quality_score)?;
        self.total(f, quality.quality_score, 100)?;
        let stability = known(quality.bitrate_stability, percent);
        let frames = known(quality.frame_rate_stability, percent);
        self.part(
            f,
            &format!("{} · {}", labels.bitrate, known(quality.avg_bitrate, bitrate)),
            (parts.bitrate, 40),
            labels.bitrate_rule,
        )?;
        self.part(
            f,
            &format!("{} · {}", labels.frame_rate, known(quality.avg_frame_rate, frame_rate)),
            (parts.frame_rate, 30),
            labels.frame_rate_rule,
        )?;
        self.part(
            f,
            &format!(
                "{} · {} {stability}, {} {frames}",
                labels.stability, labels.bitrate, labels.frame_rate
            ),
            (parts.stability, 30),
            labels.stability_rule,
        )?;
        writeln!(f, "</div>\n<div class=\"card\">\n<h3>{}</h3>", labels.engagement_score)?;
        let score = chat.chat_engagement_score.map(f64::from);
        self.total(f, score, 10)?;
        let rate = known(chat.messages_per_minute, number);
        let title = format!("{rate} {}", labels.messages_per_minute);
        self.part(f, &title, (score, 10), labels.engagement_rule)?;
        f.write_str("</div>\n</section>\n")
    }

    fn total(&self, f: &mut fmt::Formatter<'_>, score: Option<f64>, most: u8) -> fmt::Result {
        match score {
            Some(score) => writeln!(f, "<p class=\"total\">{} / {most}</p>", number(score)),
            None => writeln!(f, "<p class=\"note\">{}</p>", self.labels.score_unknown),
        }
    }

    fn part(
        &self,
        f: &mut fmt::Formatter<'_>,
        title: &str,
        (score, most): (Option<f64>, u8),
        rule: &str,
    ) -> fmt::Result {
        let shown = known(score, number);
        write!(
            f,
            "<div class=\"part\"><div><span>{title}</span><span>{shown} / {most}</span></div>"
        )?;
        if let Some(score) = score {
            write!(f, "<meter min=\"0\" max=\"{most}\" value=\"{score}\">{shown}</meter>")?;
        }
        writeln!(f, "<p class=\"note\">{rule}</p></div>")
    }

    pub(super) fn sessions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = self.labels;
        writeln!(f, "<h2>{}</h2>", labels.latest_sessions)?;
        if self.report.sessions.is_empty() {
            return writeln!(f, "<p class=\"note\">{}</p>", labels.no_data);
        }
        f.write_str("<div class=\"card scroll\"><table>\n<tr>")?;
        for label in [labels.started, labels.stream, labels.status] {
            write!(f, "<th class=\"text\" scope=\"col\">{label}</th>")?;
        }
        for label in [
            labels.in_period,
            labels.peak_viewers,
            labels.avg_viewers,
            labels.viewer_minutes,
            labels.chat_messages,
            labels.bitrate,
            labels.frame_rate,
        ] {
            write!(f, "<th scope=\"col\">{label}</th>")?;
        }
        f.write_str("</tr>\n")?;
        for session in &self.report.sessions {
            self.session(f, session)?;
        }
        f.write_str("</table></div>\n")
    }

    fn session(&self, f: &mut fmt::Formatter<'_>, session: &Session) -> fmt::Result {
        let labels = self.labels;
        let status = labels.statuses[match session.status {
            SessionStatus::Live => 0,
            SessionStatus::Ended => 1,
            SessionStatus::Failed => 2,
            SessionStatus::Lost => 3,
        }];
        let title = session.stream_title.as_deref().unwrap_or(UNKNOWN);
        let (title, id) = (Escaped(title), Escaped(&session.session_id));
        write!(f, "<tr><td class=\"text\">{}</td>", date_time(&session.started_at))?;
        write!(f, "<td class=\"text name\">{title}<div class=\"note\">{id}</div></td>")?;
        write!(f, "<td class=\"text\">{status}</td>")?;
        for figure in [
            duration(session.duration_in_period, labels),
            known(session.peak_viewers, number),
            known(session.avg_viewers, number),
            known(session.viewer_minutes, |v| number(v.round())),
            known(session.total_chat_messages, |messages| number(messages as f64)),
            known(session.avg_bitrate, bitrate),
            known(session.avg_frame_rate, frame_rate),
        ] {
            write!(f, "<td>{figure}</td>")?;
        }
        f.write_str("</tr>\n")
    }
}
