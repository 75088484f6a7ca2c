//! Metrics of single shards: which are asked for is kept and told; none are sent here.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::json;

use super::Kinesis;
use super::wire::{self, Target};
use crate::service::AwsError;

/// Every metric there is, and the word for all of them.
const METRICS: [&str; 7] = [
    "IncomingBytes",
    "IncomingRecords",
    "IteratorAgeMilliseconds",
    "OutgoingBytes",
    "OutgoingRecords",
    "ReadProvisionedThroughputExceeded",
    "WriteProvisionedThroughputExceeded",
];
const ALL: &str = "ALL";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Monitoring {
    #[serde(flatten)]
    target: Target,
    shard_level_metrics: Vec<String>,
}

impl Kinesis {
    /// Answers `EnableEnhancedMonitoring` and `DisableEnhancedMonitoring`.
    pub(super) fn switch_monitoring(&self, body: &[u8], on: bool) -> Result<String, AwsError> {
        let request: Monitoring = wire::parse(body)?;
        let mut named = BTreeSet::new();
        for metric in &request.shard_level_metrics {
            match metric.as_str() {
                ALL => named.extend(METRICS.map(str::to_owned)),
                name if METRICS.contains(&name) => drop(named.insert(name.to_owned())),
                other => {
                    let set = METRICS.join(", ");
                    let constraint = format!("Member must satisfy enum value set: [{set}, {ALL}]");
                    return Err(wire::invalid_value("shardLevelMetrics", other, &constraint));
                }
            }
        }
        if named.is_empty() {
            let constraint = "Member must have length greater than or equal to 1";
            return Err(wire::invalid_value("shardLevelMetrics", "[]", constraint));
        }
        let stream = self.stream(request.target.name()?)?;
        let mut current = BTreeSet::new();
        let mut desired = BTreeSet::new();
        stream.change_active(self.shared.clock.now_ms(), |meta| {
            current.clone_from(&meta.shard_metrics);
            if on {
                meta.shard_metrics.extend(named.iter().cloned());
            } else {
                meta.shard_metrics.retain(|metric| !named.contains(metric));
            }
            desired.clone_from(&meta.shard_metrics);
            Ok(())
        })?;
        Ok(json!({
            "StreamName": stream.name,
            "StreamARN": stream.arn,
            "CurrentShardLevelMetrics": current,
            "DesiredShardLevelMetrics": desired,
        })
        .to_string())
    }
}
