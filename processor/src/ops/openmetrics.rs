//! The OpenMetrics text format, version 1.0: families with their metadata, then samples.

use std::fmt::{Display, Write as _};

/// What HTTP says of it.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every family's name begins so.
const PREFIX: &str = "ivs_processor_";

/// An exposition under construction.
#[derive(Debug, Default)]
pub struct Exposition(String);

impl Exposition {
    /// A family of counters; its samples are called `<name>_total`.
    pub fn counter(&mut self, name: &str, unit: &str, help: &str) -> Family<'_> {
        self.family(name, "counter", unit, help, "_total")
    }

    /// A family of gauges.
    pub fn gauge(&mut self, name: &str, unit: &str, help: &str) -> Family<'_> {
        self.family(name, "gauge", unit, help, "")
    }

    /// A family whose labels are the information; its samples are called `<name>_info`.
    pub fn info(&mut self, name: &str, help: &str) -> Family<'_> {
        self.family(name, "info", "", help, "_info")
    }

    /// A count and a sum.
    pub fn summary(&mut self, name: &str, unit: &str, help: &str, count: u64, sum: f64) {
        let Family { text, name, .. } = self.family(name, "summary", unit, help, "");
        writeln!(text, "{name}_count {count}\n{name}_sum {sum}").expect("a text takes everything");
    }

    /// `unit`, if there is one, is the end of the name.
    fn family(
        &mut self,
        name: &str,
        kind: &str,
        unit: &str,
        help: &str,
        suffix: &'static str,
    ) -> Family<'_> {
        debug_assert!(name.ends_with(unit), "{name} does not end in its unit {unit}");
        let name = format!("{PREFIX}{name}");
        let text = &mut self.0;
        writeln!(text, "# TYPE {name} {kind}").expect("a text takes everything");
        if !unit.is_empty() {
            writeln!(text, "# UNIT {name} {unit}").expect("a text takes everything");
        }
        writeln!(text, "# HELP {name} {}", escaped(help)).expect("a text takes everything");
        Family { text, name, suffix }
    }

    /// The whole text.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.0.push_str("# EOF\n");
        self.0
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
        let mut all = Exposition::default();
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
}
