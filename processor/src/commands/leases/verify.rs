//! `leases verify`.

use std::time::Duration;

use kinesis_fleet::LeaseStore;
use kinesis_fleet::admin::{self, Finding, stream};
use kinesis_fleet::store::{Consistency, Rows};

use super::Unread;
use crate::cloud::Clients;
use crate::commands::text_table::count;
use crate::config::Config;
use crate::printable::{self, OneLine};

/// Looks at everything that a running fleet does not leave behind, and prints what it finds. The
/// table is read twice, half a failover time apart, which holds at least one heartbeat.
///
/// # Errors
/// When table or stream cannot be read, or something was found.
pub(super) async fn run(
    config: &Config,
    clients: &Clients,
    store: &LeaseStore,
    json: bool,
) -> anyhow::Result<()> {
    let unread = |error: &dyn std::fmt::Display| Unread(error.to_string());
    let (kinesis, name) = (&clients.kinesis, &config.stream.name);
    let started = crate::clock::instant();
    let before = store.list().await.map_err(|error| unread(&error))?;
    let described = stream::describe(kinesis, name).await.map_err(|error| unread(&error))?;
    let foreign = stream::verify_checkpoints(kinesis, name, &before).await;
    let foreign = foreign.map_err(|error| unread(&error))?;
    if before.iter().any(|lease| lease.owner.is_some()) {
        let watch = Duration::from_millis(config.fleet.failover_ms / 2);
        tokio::time::sleep(watch.saturating_sub(started.elapsed())).await;
    }
    let Rows { leases, left_out } =
        store.read(Consistency::Strong).await.map_err(|error| unread(&error))?;
    let mut findings = admin::verify(&leases);
    findings.extend(stream::verify_stream(&leases, &described));
    findings.extend(foreign);
    findings.extend(admin::silent_owners(&before, &leases));
    findings.extend(admin::left_out(&left_out));
    if json {
        let findings = as_json(&findings);
        let all = serde_json::json!({ "leases": leases.len(), "findings": findings });
        println!("{}", printable::json(&all)?);
    } else {
        for finding in &findings {
            println!("{}", OneLine(finding));
        }
        println!("{}, {}", count(leases.len(), "lease"), count(findings.len(), "finding"));
    }
    anyhow::ensure!(findings.is_empty(), "{}", count(findings.len(), "finding"));
    Ok(())
}

fn as_json(findings: &[Finding]) -> Vec<serde_json::Value> {
    let one = |finding: &Finding| serde_json::json!({ "kind": finding.kind(), "says": finding.to_string() });
    findings.iter().map(one).collect()
}
