//! Has EventBridge send an archive to its bus again. The rule brings the events to the stream, and
//! the workers to the rows: lifecycle events are known by what they say, so a row that has them
//! stays as it is.

use std::time::Duration;

use anyhow::Context as _;
use aws_calls::explain;
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::{ReplayDestination, ReplayState};
use serde_json::json;

use super::args::ReplayArgs;
use crate::clock::now;
use crate::cloud;
use crate::config::Config;

/// How often the replay is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// EventBridge's longest name of a replay.
const MAX_NAME: usize = 64;

/// Starts a replay and follows it to its end. It goes on by itself when this program is stopped.
///
/// # Errors
/// When there is no such archive, or the replay fails or is cancelled.
pub(super) async fn run(config: &Config, args: &ReplayArgs, archive: &str) -> anyhow::Result<()> {
    let (Some(from), Some(until)) = (args.from, args.until) else {
        anyhow::bail!("--eventbridge-archive needs --from and --to");
    };
    let eventbridge = cloud::clients(&config.aws).await.eventbridge;
    let described = eventbridge.describe_archive().archive_name(archive).send().await;
    let described =
        described.map_err(|e| anyhow::anyhow!("cannot find archive {archive}: {}", explain(&e)))?;
    let (arn, bus) = (described.archive_arn, described.event_source_arn);
    let arn = arn.context("EventBridge named no ARN of the archive")?;
    let bus = bus.context("EventBridge named no bus of the archive")?;
    let name = format!("{}-{archive}", now().0);
    let name = &name[..name.len().min(MAX_NAME)];
    eventbridge
        .start_replay()
        .replay_name(name)
        .event_source_arn(arn)
        .event_start_time(DateTime::from_millis(from.as_millisecond()))
        .event_end_time(DateTime::from_millis(until.as_millisecond()))
        .destination(ReplayDestination::builder().arn(bus).build()?)
        .send()
        .await
        .map_err(|e| anyhow::anyhow!("cannot start the replay: {}", explain(&e)))?;
    loop {
        let seen = eventbridge.describe_replay().replay_name(name).send().await;
        let seen = seen.map_err(|e| anyhow::anyhow!("cannot follow {name}: {}", explain(&e)))?;
        let state = seen.state.unwrap_or(ReplayState::Starting);
        let at_s = seen.event_last_replayed_time.map(|time| time.secs());
        if args.how.json {
            println!("{}", json!({ "replay": name, "state": state.as_str(), "lastEventS": at_s }));
        } else {
            let at = at_s.and_then(|s| jiff::Timestamp::from_second(s).ok());
            let at = at.map_or_else(String::new, |at| format!(", sent up to {at}"));
            println!("replay {name}: {state}{at}");
        }
        match state {
            ReplayState::Completed => return Ok(()),
            ReplayState::Failed | ReplayState::Cancelled => {
                let reason = seen.state_reason.unwrap_or_default();
                anyhow::bail!("the replay {name} ended as {state} {reason}");
            }
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}
