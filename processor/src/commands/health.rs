//! `health`: a container's health check, without a shell.

use anyhow::Context as _;

use crate::config::Config;
use crate::ops::client;
use crate::printable::{self, Printable};
use clap::Args;
use serde_json::json;

/// `health`.
#[derive(Args, Debug)]
pub struct HealthArgs {
    /// Operations server; without it, the one that ops.listen names
    #[arg(long, value_name = "http://HOST:PORT", value_parser = worker_url)]
    pub worker: Option<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Reads the address of a worker's operations server.
pub(super) fn worker_url(text: &str) -> Result<String, &'static str> {
    let host = text.strip_prefix("http://").filter(|host| !host.is_empty());
    host.map(|_| text.to_owned()).ok_or("expected http://HOST:PORT")
}

/// Asks `/healthz` and prints the answer.
///
/// # Errors
/// When the worker does not answer or says that it stands still.
pub(super) async fn run(config: &Config, args: &HealthArgs) -> anyhow::Result<()> {
    let url = match &args.worker {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => {
            let address = config.ops.address().map_err(anyhow::Error::msg)?;
            format!("http://{}", address.context("ops.listen is empty, nothing serves /healthz")?)
        }
    };
    let (status, body) = client::get(&format!("{url}/healthz")).await?;
    if args.json {
        let says: Vec<_> = body.lines().collect();
        let told = json!({ "worker": url, "healthy": status.is_success(), "says": says });
        println!("{}", printable::json(&told)?);
    } else {
        print!("{}", Printable(body));
    }
    anyhow::ensure!(status.is_success(), "the worker is not healthy");
    Ok(())
}
