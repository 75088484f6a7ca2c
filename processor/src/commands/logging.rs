//! Logs: to standard error, so that standard output stays for results.

use tracing_subscriber::EnvFilter;

/// Starts logging. `IVS_LOG` or `RUST_LOG` choose what is logged, else `filter`; `json` makes one
/// object a line.
pub(super) fn start(filter: &str, json: bool) {
    let chosen = ["IVS_LOG", "RUST_LOG"].into_iter().find_map(|name| std::env::var(name).ok());
    let filter = EnvFilter::new(chosen.as_deref().unwrap_or(filter));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(std::io::stderr);
    // A second start, as tests make it, changes nothing.
    let started =
        if json { builder.json().try_init() } else { builder.with_ansi(false).try_init() };
    drop(started);
}
