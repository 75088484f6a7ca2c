//! The rules about the quality of streams.

use ivs_core::quality::{Rule, RuleError, default_rules};
use serde::{Deserialize, Serialize};

/// The rules.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Rules(pub Vec<Rule>);

impl Default for Rules {
    fn default() -> Self {
        Self(default_rules())
    }
}

impl Rules {
    /// Returns what is wrong with them.
    pub(super) fn problems(&self) -> Vec<String> {
        let broken = self.0.iter().filter_map(|rule| rule.check().err());
        let repeated = self.0.iter().enumerate().filter_map(|(at, rule)| {
            let earlier = self.0[..at].iter().any(|other| other.name == rule.name);
            earlier.then(|| RuleError::Repeated(rule.name.clone()))
        });
        broken.chain(repeated).map(|error| error.to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_with_defaults_and_their_faults_are_named() {
        let text = r#"
            [[rules]]
            name = "stalls"
            figure = "rebuffering"
            bad_when = "above"
            threshold = 4.0
            recover = 2
            bad = 2
            of = 3
            severity = "critical"

            [[rules]]
            name = "stalls"
            figure = "startup_time"
            bad_when = "above"
            threshold = 3000
            minutes = 7
        "#;
        let config: crate::config::Config = toml::from_str(text).unwrap();
        let [stalls, _] = &config.rules.0[..] else { panic!("{:?}", config.rules) };
        assert_eq!((stalls.minutes, stalls.hold_minutes, stalls.enabled), (5, 10, true));
        let problems = config.rules.problems();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems.iter().any(|text| text.contains("minutes is 7")));
        assert!(problems.iter().any(|text| text.contains("two rules are called `stalls`")));
        assert_eq!(Rules::default().problems(), Vec::<String>::new());
    }
}
