//! The live lines of `local`: one line that is written anew on a terminal, and above it what
//! happens, each once: alarms, and new reasons for which records are refused.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use ivs_emulator::{Notice, Notices};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::clock::Instant;
use crate::page::{Headlines, Page};
use crate::printable::Printable;
use crate::worker::Worker;

/// How often the line is written on a terminal, and elsewhere.
const PACES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// Columns of a terminal that is narrow.
const WIDTH: usize = 80;

/// The lines.
pub(super) struct Live<'a> {
    worker: &'a Worker,
    headlines: Option<Headlines>,
    notices: Notices,
    rejects: String,
    is_terminal: bool,
    /// Whether the line stands on the terminal and is to be written over.
    stands: bool,
    started: Instant,
    read: u64,
    told: BTreeMap<String, u64>,
}

impl<'a> Live<'a> {
    /// Speaks of a worker; of streams too, where there is a page that knows them.
    pub(super) fn new(
        worker: &'a Worker,
        page: Option<&Page>,
        notices: Notices,
        rejects: &str,
    ) -> Self {
        Self {
            worker,
            headlines: page.and_then(Page::headlines),
            notices,
            rejects: rejects.trim_start_matches("file://").to_owned(),
            is_terminal: std::io::stdout().is_terminal(),
            stands: false,
            started: crate::clock::instant(),
            read: 0,
            told: BTreeMap::new(),
        }
    }

    /// Speaks while something runs.
    pub(super) async fn show_while<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let pace = PACES[usize::from(!self.is_terminal)];
        let mut every = tokio::time::interval_at(crate::clock::instant() + pace, pace);
        let mut before = crate::clock::instant();
        loop {
            tokio::select! {
                biased;
                done = &mut work => {
                    self.tell_rejects();
                    self.clear();
                    return done;
                }
                Some(notice) = self.notices.recv() => {
                    let now = Timestamp::from_millisecond(crate::clock::now().0).unwrap_or_default();
                    let now = now.to_zoned(TimeZone::system());
                    let clock = now.strftime("%H:%M:%S").to_string();
                    if let Some(text) = alarm_text(&notice, &clock) {
                        self.say(&text);
                    }
                }
                _ = every.tick() => {
                    self.tell_rejects();
                    let passed = before.elapsed();
                    before = crate::clock::instant();
                    self.progress(passed);
                }
            }
        }
    }

    /// Prints a line of its own, above the one that is written anew.
    fn say(&mut self, text: &str) {
        self.clear();
        println!("{}", Printable(text));
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.stands) {
            print!("\r\x1b[2K");
            // A terminal that is gone has nobody to tell.
            let _flushed = std::io::stdout().flush().is_ok();
        }
    }

    fn progress(&mut self, passed: Duration) {
        let read: u64 = self.worker.shards().values().map(|view| view.read).sum();
        // A shard whose task starts again is counted from the start again.
        let rate = read.saturating_sub(self.read) as f64 / passed.as_secs_f64().max(0.001);
        self.read = read;
        let mut line = format!("{:>4} s", self.started.elapsed().as_secs());
        if let Some(headlines) = &self.headlines {
            let now = headlines.latest();
            let alarms = match now.firing {
                0 => "no alarm".to_owned(),
                1 => "1 ALARM".to_owned(),
                count => format!("{count} ALARMS"),
            };
            line += &format!("  {} streams  {:.0} viewers  {alarms}", now.streams, now.viewers);
        }
        let stats = self.worker.stats().snapshot();
        line += &format!("  {rate:.0}/s");
        if stats.rejected > 0 {
            line += &format!("  {} rejected", stats.rejected);
        }
        line += &format!("  {} epochs", stats.epochs);
        let line: String = line.chars().take(WIDTH - 1).collect();
        if self.is_terminal {
            self.clear();
            print!("{line}");
            self.stands = std::io::stdout().flush().is_ok();
        } else {
            println!("{line}");
        }
    }

    /// The first records of every reason, as soon as they are known.
    fn tell_rejects(&mut self) {
        for reject in self.worker.stats().rejects() {
            if self.told.contains_key(reject.reason) {
                continue;
            }
            self.told.insert(reject.reason.to_owned(), reject.count);
            let detail = reject.examples.first().map(|example| example.detail.as_str());
            let detail = detail.filter(|detail| !detail.is_empty()).unwrap_or("no more is known");
            self.say(&format!(
                "rejected  {}: {detail}\n          kept whole in {}",
                reject.reason, self.rejects
            ));
        }
    }
}

/// Prints a line in the place of the one that may stand on the terminal.
pub(super) fn say_over(text: &str) {
    let over = if std::io::stdout().is_terminal() { "\r\x1b[2K" } else { "" };
    println!("{over}{text}");
}

/// Returns an alarm's message in one line, and what it means; none of an alarm that begins well.
fn alarm_text(notice: &Notice, clock: &str) -> Option<String> {
    let Ok(message) = serde_json::from_str::<serde_json::Value>(&notice.message) else {
        return Some(format!("{clock}  {}", notice.subject));
    };
    let text = |name: &str| message[name].as_str().unwrap_or_default();
    if (text("OldStateValue"), text("NewStateValue")) == ("INSUFFICIENT_DATA", "OK") {
        return None;
    }
    let what = text("AlarmDescription").lines().next().unwrap_or_default();
    let (state, name) = (text("NewStateValue"), text("AlarmName"));
    Some(format!("{clock}  {state:<5}  {name}\n          {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_told_by_state_name_and_meaning() {
        let message = r#"{"AlarmName":"LiveStreaming-X","NewStateValue":"ALARM","AlarmDescription":"It is bad.\n\nRunbook: x"}"#;
        let notice = Notice { subject: "s".to_owned(), message: message.to_owned() };
        assert_eq!(
            alarm_text(&notice, "10:00:00").unwrap(),
            "10:00:00  ALARM  LiveStreaming-X\n          It is bad."
        );
        let begins = r#"{"OldStateValue":"INSUFFICIENT_DATA","NewStateValue":"OK"}"#;
        let begins = Notice { message: begins.to_owned(), ..notice };
        assert_eq!(alarm_text(&begins, "10:00:00"), None);
        let other = Notice { subject: "hello".to_owned(), message: "text".to_owned() };
        assert_eq!(alarm_text(&other, "10:00:00").unwrap(), "10:00:00  hello");
    }
}
