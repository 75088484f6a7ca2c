//! Metrics as text: OpenMetrics 1.0, or Prometheus's own format 0.0.4 for who does not ask for it.
//! Families with their metadata, then samples.

use std::fmt::{Display, Write as _};

/// Every family of the processor's begins so.
const PREFIX: &str = "ivs_processor_";

/// How the text is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's text format, version 0.0.4, which every tool reads.
    #[default]
    Plain,
    /// OpenMetrics, version 1.0.
    OpenMetrics,
}

impl Format {
    /// Returns the format for the value of a request's `Accept` header: OpenMetrics if it is named,
    /// and plain text not preferred to it.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        let weight = |wanted: &str| {
            let ranges = accept.unwrap_or_default().split(',');
            ranges.filter_map(|range| weight_of(range, wanted)).fold(0.0, f32::max)
        };
        let open = weight("application/openmetrics-text");
        if open > 0.0 && open >= weight("text/plain") { Self::OpenMetrics } else { Self::Plain }
    }

    /// Returns what HTTP says of it.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Returns the weight that one range of an `Accept` header gives to a media type; none if it is
/// about another.
fn weight_of(range: &str, wanted: &str) -> Option<f32> {
    let mut parts = range.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(wanted) {
        return None;
    }
    let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    Some(weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)))
}

/// An exposition under construction.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
    format: Format,
}

impl Exposition {
    /// Begins a text.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { text: String::new(), format }
    }

    /// Returns a family of counters; its samples are called `<name>_total`.
    pub fn counter(&mut self, name: &str, unit: &str, help: &str) -> Family<'_> {
        self.family(name, "counter", unit, help, "_total")
    }

    /// Returns a family of counters by its whole name.
    pub fn counter_of(&mut self, name: &str, unit: &str, help: &str) -> Family<'_> {
        self.begin(name.to_owned(), "counter", unit, help, "_total")
    }

    /// Returns a family of gauges by its whole name.
    pub fn gauge_of(&mut self, name: &str, unit: &str, help: &str) -> Family<'_> {
        self.begin(name.to_owned(), "gauge", unit, help, "")
    }

    /// Returns a family of gauges.
    pub fn gauge(&mut self, name: &str, unit: &str, help: &str) -> Family<'_> {
        self.family(name, "gauge", unit, help, "")
    }

    /// Returns a family whose labels are the information; its samples are called `<name>_info`.
    pub fn info(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(name, "info", "", help, "_info")
    }

    /// Writes a count and a sum.
    pub fn summary(&mut self, name: &str, unit: &str, help: &str, count: u64, sum: f64) {
        let Family { text, name, .. } = self.family(name, "summary", unit, help, "");
        writeln!(text, "{name}_count {count}\n{name}_sum {sum}").expect("a text takes everything");
    }

    fn family(
        &mut self,
        name: &str,
        kind: &str,
        unit: &str,
        help: &str,
        suffix: &'static str,
    ) -> Family<'_> {
        self.begin(format!("{PREFIX}{name}"), kind, unit, help, suffix)
    }

    /// Writes the metadata. `unit`, if there is one, is the end of the name. Plain text knows
    /// neither units nor infos, and calls a family by the name of its samples.
    fn begin(
        &mut self,
        name: String,
        kind: &str,
        unit: &str,
        help: &str,
        suffix: &'static str,
    ) -> Family<'_> {
        debug_assert!(name.ends_with(unit), "{name} does not end in its unit {unit}");
        let plain = self.format == Format::Plain;
        let (called, kind) = match kind {
            "info" if plain => (format!("{name}{suffix}"), "gauge"),
            _ if plain => (format!("{name}{suffix}"), kind),
            _ => (name.clone(), kind),
        };
        let help =
            if plain { help.replace('\\', r"\\").replace('\n', r"\n") } else { escaped(help) };
        let text = &mut self.text;
        writeln!(text, "# TYPE {called} {kind}").expect("a text takes everything");
        if !unit.is_empty() && !plain {
            writeln!(text, "# UNIT {name} {unit}").expect("a text takes everything");
        }
        writeln!(text, "# HELP {called} {help}").expect("a text takes everything");
        Family { text, name, suffix }
    }

    /// Returns the whole text.
    #[must_use]
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// One family, taking samples.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    name: String,
    suffix: &'static str,
}

impl Family<'_> {
    /// Adds a sample without labels.
    pub fn set(&mut self, value: impl Display) -> &mut Self {
        self.put(&[], value)
    }

    /// Adds a sample.
    pub fn put(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = match labels.as_slice() {
            [] => String::new(),
            labels => format!("{{{}}}", labels.join(",")),
        };
        writeln!(self.text, "{}{}{labels} {value}", self.name, self.suffix)
            .expect("a text takes everything");
        self
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_come_with_their_metadata_and_escaped_labels() {
        let mut all = Exposition::new(Format::OpenMetrics);
        all.counter("records", "", "Records").put(&[("why", "a\"b\\c\nd")], 7);
        all.gauge("lag_seconds", "seconds", "Lag").set(0.25);
        all.summary("epoch_seconds", "seconds", "Epochs", 3, 1.5);
        let expected = r#"# TYPE ivs_processor_records counter
# HELP ivs_processor_records Records
ivs_processor_records_total{why="a\"b\\c\nd"} 7
# TYPE ivs_processor_lag_seconds gauge
# UNIT ivs_processor_lag_seconds seconds
# HELP ivs_processor_lag_seconds Lag
ivs_processor_lag_seconds 0.25
# TYPE ivs_processor_epoch_seconds summary
# UNIT ivs_processor_epoch_seconds seconds
# HELP ivs_processor_epoch_seconds Epochs
ivs_processor_epoch_seconds_count 3
ivs_processor_epoch_seconds_sum 1.5
# EOF
"#;
        assert_eq!(all.finish(), expected);
    }
    #[test]
    fn plain_text_has_no_units_and_calls_families_by_their_samples() {
        let mut all = Exposition::new(Format::Plain);
        all.counter("records", "", "Records").set(7);
        all.info("build", "The \"program\"").put(&[("version", "1")], 1);
        all.gauge_of("ivs_channel_lag_seconds", "seconds", "Lag").set(0.25);
        let expected = r#"# TYPE ivs_processor_records_total counter
# HELP ivs_processor_records_total Records
ivs_processor_records_total 7
# TYPE ivs_processor_build_info gauge
# HELP ivs_processor_build_info The "program"
ivs_processor_build_info{version="1"} 1
# TYPE ivs_channel_lag_seconds gauge
# HELP ivs_channel_lag_seconds Lag
ivs_channel_lag_seconds 0.25
"#;
        assert_eq!(all.finish(), expected);
    }

    #[test]
    fn openmetrics_only_for_who_names_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0,\
                          application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let cases = [
            (None, Format::Plain),
            (Some("*/*"), Format::Plain),
            (Some("text/plain"), Format::Plain),
            (Some("text/html, */*;q=0.8"), Format::Plain),
            (Some(prometheus), Format::OpenMetrics),
            (Some("application/openmetrics-text; version=1.0.0"), Format::OpenMetrics),
            (Some("application/openmetrics-text;q=0.3, text/plain;q=0.9"), Format::Plain),
            (Some("application/openmetrics-text;q=0"), Format::Plain),
        ];
        for (accept, expected) in cases {
            assert_eq!(Format::accepted(accept), expected, "{accept:?}");
        }
    }
}
