//! The layers of the configuration, merged as TOML tables before they are typed.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::Config;
use super::plain::plain;

/// Environment variables with this prefix are configuration: `IVS_EPOCH__INTERVAL_MS=5000`.
const PREFIX: &str = "IVS_";

/// Where configuration comes from, weakest first.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// Values that suit the command and give way to all others.
    pub base: Table,
    /// The TOML file, if one was named.
    pub file: Option<PathBuf>,
    /// The process's environment.
    pub environment: Vec<(String, String)>,
    /// `section.key=value` pairs from flags.
    pub settings: Vec<String>,
}

/// The reason why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not TOML, or holds a key or value that is not known.
    #[error("{origin}: {reason}")]
    Layer {
        /// The file, variable or flag.
        origin: String,
        /// The problem, with the key.
        reason: String,
    },
    /// The values do not make sense.
    #[error("{}", .0.join("\n"))]
    Values(Vec<String>),
}

/// Merges the layers and checks the result.
///
/// ```
/// use ivs_processor::config::{Layers, load};
///
/// let settings = vec!["epoch.interval_ms=5000".to_owned()];
/// let config = load(&Layers { settings, ..Layers::default() }).unwrap();
/// assert_eq!(config.epoch.interval_ms, 5_000);
///
/// let settings = vec!["epoch.interval=5000".to_owned()];
/// assert!(load(&Layers { settings, ..Layers::default() }).is_err(), "no setting has that name");
/// ```
///
/// # Errors
/// Names the layer and the key that is unknown, ill-typed or out of range.
pub fn load(layers: &Layers) -> Result<Config, ConfigError> {
    let mut merged = layers.base.clone();
    if let Some(path) = &layers.file {
        merge(&mut merged, read(path)?);
    }
    for (name, value) in &layers.environment {
        if let Some(key) = name.strip_prefix(PREFIX) {
            let path = key.to_lowercase().replace("__", ".");
            apply(&mut merged, setting(&path, value, name)?, name)?;
        }
    }
    for text in &layers.settings {
        let origin = format!("--set {text}");
        let Some((key, value)) = text.split_once('=') else {
            return Err(layer(&origin, "expected section.key=value"));
        };
        apply(&mut merged, setting(key, value, &origin)?, &origin)?;
    }
    let config: Config = Value::Table(merged)
        .try_into()
        .map_err(|e: toml::de::Error| layer("configuration", e.message()))?;
    match config.problems() {
        problems if problems.is_empty() => Ok(config),
        problems => Err(ConfigError::Values(problems)),
    }
}

fn layer(origin: &str, reason: impl std::fmt::Display) -> ConfigError {
    let reason = plain(&reason.to_string());
    ConfigError::Layer { origin: origin.to_owned(), reason }
}

/// Reads and checks a file; what is wrong with it is named with its line.
fn read(path: &Path) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let error = |error: &toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        layer(&format!("{}:{line}", path.display()), error.message())
    };
    toml::from_str::<Config>(&text).map_err(|e| error(&e))?;
    text.parse().map_err(|e| error(&e))
}

/// `section.key` and a TOML literal, or text where the literal is none, as a table of its own.
fn setting(path: &str, value: &str, origin: &str) -> Result<Table, ConfigError> {
    let Some((section, key)) = path.split_once('.') else {
        return Err(layer(origin, format!("`{path}` names no section; write section.key")));
    };
    let literal = format!("v = {value}").parse::<Table>().ok().and_then(|mut t| t.remove("v"));
    let value = literal.unwrap_or_else(|| Value::String(value.to_owned()));
    let section_table = Table::from_iter([(key.to_owned(), value)]);
    Ok(Table::from_iter([(section.to_owned(), Value::Table(section_table))]))
}

/// Merges `from` over `into`, checking it by itself first so that an error names its origin.
fn apply(into: &mut Table, from: Table, origin: &str) -> Result<(), ConfigError> {
    Value::Table(from.clone())
        .try_into::<Config>()
        .map_err(|e: toml::de::Error| layer(origin, e.message()))?;
    merge(into, from);
    Ok(())
}

/// Merges `from` over `into`.
fn merge(into: &mut Table, from: Table) {
    for (section, values) in from {
        match (into.get_mut(&section), values) {
            (Some(Value::Table(old)), Value::Table(new)) => old.extend(new),
            (_, values) => {
                into.insert(section, values);
            }
        }
    }
}
