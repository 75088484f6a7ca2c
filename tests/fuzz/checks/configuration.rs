//! The configuration, as TOML and as settings.

use std::sync::LazyLock;

use ivs_processor::config::{Config, ConfigError, Layers, load};

/// Checks that a text is a configuration or refused in words that name what is wrong, and that a
/// configuration that is printed is the same one.
pub(crate) fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for line in text.lines().filter(|line| line.contains('=')) {
        let settings = vec![line.to_owned()];
        judged(&load(&Layers { settings, ..Layers::default() }), Some(line));
    }
    let Ok(base) = text.parse() else { return };
    let loaded = load(&Layers { base, ..Layers::default() });
    judged(&loaded, None);
    let Ok(config) = loaded else { return };
    let printed = toml::to_string(&config).expect("a configuration can be printed");
    let base = printed.parse().expect("what is printed is TOML");
    let again = load(&Layers { base, ..Layers::default() }).expect("it was printed by us");
    assert_eq!(format!("{again:?}"), format!("{config:?}"));
}

fn judged(loaded: &Result<Config, ConfigError>, setting: Option<&str>) {
    match loaded {
        Ok(config) => assert_eq!(config.problems(), Vec::<String>::new()),
        Err(ConfigError::Values(problems)) => {
            assert!(!problems.is_empty(), "refused, and nothing is wrong");
            for problem in problems {
                assert!(names_a_key(problem), "no key is named: {problem}");
            }
        }
        Err(ConfigError::Layer { origin, reason }) => {
            assert!(!reason.is_empty(), "refused without a reason");
            let is_named = setting.is_none_or(|setting| origin.contains(setting));
            assert!(is_named, "{origin} does not name the setting");
        }
        Err(error @ ConfigError::Read { .. }) => panic!("no file was named: {error}"),
    }
}

/// The sections of the configuration.
static SECTIONS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let all = serde_json::to_value(Config::default()).expect("a configuration can be printed");
    all.as_object().expect("it has sections").keys().cloned().collect()
});

/// Returns whether a problem names a section, or one of the rules, which have names of their own.
fn names_a_key(problem: &str) -> bool {
    problem.contains("rule") || SECTIONS.iter().any(|section| problem.contains(section))
}
