//! `channels`: which channels have sessions.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use ivs_schemas::items::sessions::status;
use serde::Serialize;

use super::sessions::{SessionLine, summaries};
use super::text_table::{or_dash, render};
use crate::config::Config;
use crate::printable;

/// `channels …`.
#[derive(Debug, Subcommand)]
pub enum ChannelsCommand {
    /// List the channels that have sessions, the one that was live last first
    List(ListArgs),
}

/// `channels list`.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// A channel and its sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ChannelLine {
    channel_id: String,
    sessions: u64,
    live: u64,
    latest_start: Option<String>,
}

/// Runs `channels …`.
///
/// # Errors
/// When the table cannot be read.
pub(super) async fn run(config: &Config, command: &ChannelsCommand) -> anyhow::Result<()> {
    let ChannelsCommand::List(args) = command;
    let channels = by_channel(&summaries(config, None).await?);
    if args.json {
        println!("{}", printable::json(&channels)?);
    } else if channels.is_empty() {
        eprintln!("no channel has a session yet");
    } else {
        let row = |line: &ChannelLine| {
            let counts = [line.sessions, line.live].map(|count| count.to_string());
            let [sessions, live] = counts;
            [line.channel_id.clone(), sessions, live, or_dash(line.latest_start.clone())]
        };
        let rows: Vec<_> = channels.iter().map(row).collect();
        print!("{}", render(["CHANNEL", "SESSIONS", "LIVE", "LATEST START"], &rows));
    }
    Ok(())
}

fn by_channel(sessions: &[SessionLine]) -> Vec<ChannelLine> {
    let mut found: BTreeMap<&str, ChannelLine> = BTreeMap::new();
    for session in sessions.iter().filter(|session| !session.channel_id.is_empty()) {
        let line = found.entry(&session.channel_id).or_default();
        line.channel_id.clone_from(&session.channel_id);
        line.sessions += 1;
        line.live += u64::from(session.status == status::LIVE);
        line.latest_start = line.latest_start.take().max(session.started_at.clone());
    }
    let mut channels: Vec<_> = found.into_values().collect();
    channels.sort_by(|a, b| b.latest_start.cmp(&a.latest_start));
    channels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_counts_its_sessions() {
        let session = |channel: &str, status: &str, start: &str| SessionLine {
            session_id: start.to_owned(),
            channel_id: channel.to_owned(),
            status: status.to_owned(),
            started_at: Some(start.to_owned()),
            ended_at: None,
            duration: None,
            peak_viewers: None,
            total_chat_messages: None,
            stream_title: None,
        };
        let channels = by_channel(&[
            session("a", "ended", "2026-03-01T00:00:00Z"),
            session("b", "live", "2026-03-02T00:00:00Z"),
            session("a", "lost", "2026-02-01T00:00:00Z"),
        ]);
        let shown: Vec<_> =
            channels.iter().map(|line| (&*line.channel_id, line.sessions, line.live)).collect();
        assert_eq!(shown, [("b", 1, 1), ("a", 2, 0)]);
        assert_eq!(channels[1].latest_start.as_deref(), Some("2026-03-01T00:00:00Z"));
    }
}
