//! Numbers and texts as people read them, safe to put into HTML.

use std::fmt;

use super::labels::Labels;

/// A text with everything escaped that means something in HTML, inside attributes too. Control
/// characters are shown as what they are: not to be shown.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let special =
            |c: char| matches!(c, '&' | '<' | '>' | '"' | '\'') || (c.is_control() && c != '\n');
        while let Some(at) = rest.find(special) {
            let length = rest[at..].chars().next().map_or(1, char::len_utf8);
            f.write_str(&rest[..at])?;
            f.write_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                b'\'' => "&#39;",
                _ => "\u{fffd}",
            })?;
            rest = &rest[at + length..];
        }
        f.write_str(rest)
    }
}

/// The sign for an unknown figure.
pub(super) const UNKNOWN: &str = "–";

/// Returns a figure, or [`UNKNOWN`].
pub(super) fn known<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), show)
}

/// Formats a number: `12,345`, `99.5`, `0.07`, with as many decimals as matter.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    let text = if size >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else if size >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    };
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        let left = whole.len() - at;
        if at > 0 && left.is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match decimals.trim_end_matches('0') {
        "" => grouped,
        decimals => format!("{grouped}.{decimals}"),
    }
}

/// Shortens a number for axes: `1.2k`, `5M`. As exact as the step between two of them needs.
pub(super) fn short(value: f64, step: f64) -> String {
    for (unit, name) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if value >= unit {
            return format!("{}{name}", number(value / unit));
        }
    }
    if value == 0.0 || step >= 1.0 {
        return number(value);
    }
    let (mut decimals, mut size) = (0, step);
    while size < 0.999 && decimals < 4 {
        size *= 10.0;
        decimals += 1;
    }
    format!("{value:.decimals$}")
}

/// Formats bits per second.
pub(super) fn bitrate(bps: f64) -> String {
    if bps >= 1e6 {
        format!("{:.2} Mbit/s", bps / 1e6)
    } else {
        format!("{} kbit/s", number((bps / 1e3).round()))
    }
}

/// Formats frames per second.
pub(super) fn frame_rate(fps: f64) -> String {
    format!("{} fps", number(fps))
}

/// Returns a share, 0 to 1.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

/// Returns milliseconds as seconds.
pub(super) fn wait(ms: u32, labels: &Labels) -> String {
    format!("{:.2}{}", f64::from(ms) / 1_000.0, labels.seconds)
}

/// Returns seconds as hours and minutes, below a minute as seconds.
pub(super) fn duration(seconds: f64, labels: &Labels) -> String {
    if seconds < 60.0 {
        return format!("{}{}", number(seconds.round()), labels.seconds);
    }
    let minutes = (seconds / 60.0).round();
    let (hours, minutes) = ((minutes / 60.0).floor(), minutes % 60.0);
    if hours == 0.0 {
        return format!("{minutes}{}", labels.minutes);
    }
    format!("{}{}{minutes:02}{}", number(hours), labels.hours, labels.minutes)
}

/// Formats a duration: hours and minutes where there are hours to be proud of, rounded to hours
/// from 100 on.
pub(super) fn long_time(minutes: f64, labels: &Labels) -> String {
    if minutes >= 6_000.0 {
        format!("{}{}", number((minutes / 60.0).round()), labels.hours.trim_end())
    } else {
        duration(minutes * 60.0, labels)
    }
}

/// Fills in the placeholders of a text; the values must be safe.
pub(super) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
}

#[cfg(test)]
mod tests {
    use super::super::labels::Lang;
    use super::*;

    #[test]
    fn numbers_are_grouped_and_have_few_decimals() {
        let shown: Vec<_> = [0.0, 0.066, 7.0, 59.94, 99.96, 999.6, 12_345.0, 1_234_567.8]
            .into_iter()
            .map(number)
            .collect();
        assert_eq!(shown, ["0", "0.07", "7", "59.9", "100", "1,000", "12,345", "1,234,568"]);
        assert_eq!([short(1_260.0, 20.0), short(5e6, 1e6), short(12.0, 2.0)], ["1.3k", "5M", "12"]);
        assert_eq!([short(4.0, 0.5), short(4.5, 0.5), short(59.92, 0.02)], ["4.0", "4.5", "59.92"]);
        assert_eq!([bitrate(5_755_375.0), bitrate(64_400.0)], ["5.76 Mbit/s", "64 kbit/s"]);
    }

    #[test]
    fn durations_are_rounded_to_minutes_above_one() {
        let labels = Labels::of(Lang::En);
        let shown: Vec<_> = [0.0, 59.0, 60.0, 3_599.0, 7_500.0].map(|s| duration(s, labels)).into();
        assert_eq!(shown, ["0 s", "59 s", "1 min", "1 h 00 min", "2 h 05 min"]);
        assert_eq!(duration(7_500.0, Labels::of(Lang::Ja)), "2時間05分");
    }

    #[test]
    fn everything_with_a_meaning_in_html_is_escaped() {
        let text = Escaped(r#"<b a="1" b='2'>&</b>日本"#).to_string();
        assert_eq!(Escaped("a\u{1b}[31m\0b").to_string(), "a\u{fffd}[31m\u{fffd}b");
        assert_eq!(text, "&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;&lt;/b&gt;日本");
    }
}
