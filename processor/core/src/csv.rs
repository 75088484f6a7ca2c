//! Windows as CSV (RFC 4180), one row each: what `replay` writes to a file.

use std::fmt::{self, Display, Write};

use crate::window::{WindowAgg, WindowKey};

/// The first line, without its line end.
pub const HEADER: &str = "session_id,window_start,channel_id,records,gauges,\
viewers_sum,viewers_min,viewers_max,viewers_last,\
bitrate_sum_bps,bitrate_min_bps,bitrate_max_bps,frame_rate_sum,chat_rate_sum,chat_rate_max,\
cpu_sum,memory_sum,player_records,players,\
player_bitrate_sum_bps,player_bitrate_min_bps,player_bitrate_max_bps,player_frame_rate_sum,\
dropped_frames,buffering_ms,\
latency_min_ms,latency_max_ms,latency_p50_ms,latency_p95_ms,latency_p99_ms,\
startup_p50_ms,startup_p95_ms,playing_ms,rebuffers,player_errors,chat_messages";

/// Writes a window as a line that ends in `\n`, in the columns of [`HEADER`].
///
/// A figure that no record carried is empty, except counters (`players`, `dropped_frames`,
/// `buffering_ms` and those after the quantiles), which are 0.
///
/// # Errors
/// Those of `out`.
pub fn write_row(out: &mut impl Write, key: &WindowKey, agg: &WindowAgg) -> fmt::Result {
    let WindowAgg { viewers, bitrate, player_bitrate, chat_rate, latency, startup, .. } = agg;
    text(out, &key.session_id)?;
    write!(out, ",{},", key.minute.start_s())?;
    text(out, &agg.channel_id)?;
    write!(out, ",{},{}", agg.records, agg.gauges)?;
    let sum = |total: &crate::merge::Total| (!total.is_empty()).then_some(total.sum);
    cell(out, sum(&viewers.stat.total))?;
    cell(out, viewers.stat.min())?;
    cell(out, viewers.stat.max())?;
    cell(out, viewers.last.map(|last| last.value))?;
    cell(out, sum(&bitrate.total))?;
    cell(out, bitrate.min())?;
    cell(out, bitrate.max())?;
    cell(out, sum(&agg.frame_rate.total))?;
    cell(out, sum(&chat_rate.total))?;
    cell(out, chat_rate.max())?;
    cell(out, sum(&agg.cpu))?;
    cell(out, sum(&agg.memory))?;
    write!(out, ",{},{}", agg.player_records, agg.active_players())?;
    cell(out, sum(&player_bitrate.total))?;
    cell(out, player_bitrate.min())?;
    cell(out, player_bitrate.max())?;
    cell(out, sum(&agg.player_frame_rate))?;
    write!(out, ",{},{}", agg.dropped_frames.total.sum, agg.buffering_ms.sum)?;
    cell(out, latency.min_ms())?;
    cell(out, latency.max_ms())?;
    for p in [0.5, 0.95, 0.99] {
        cell(out, latency.quantile_ms(p))?;
    }
    for p in [0.5, 0.95] {
        cell(out, startup.quantile_ms(p))?;
    }
    write!(out, ",{},{}", agg.playing_ms.sum, agg.rebuffers.sum)?;
    writeln!(out, ",{},{}", agg.player_errors, agg.chat_messages)
}

/// A comma, and the value if there is one.
fn cell(out: &mut impl Write, value: Option<impl Display>) -> fmt::Result {
    match value {
        Some(value) => write!(out, ",{value}"),
        None => out.write_char(','),
    }
}

/// A text, in quotes if it needs them.
fn text(out: &mut impl Write, text: &str) -> fmt::Result {
    if text.contains([',', '"', '\r', '\n']) {
        write!(out, "\"{}\"", text.replace('"', "\"\""))
    } else {
        out.write_str(text)
    }
}

#[cfg(test)]
mod tests;
