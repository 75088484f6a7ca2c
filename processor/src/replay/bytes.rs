//! Windows as bytes, for files that this process alone reads.

use std::sync::Arc;

use ivs_core::channel::SaidBy;
use ivs_core::experience::{Breakdown, Dimension, Slice, Views};
use ivs_core::fixed::{Fixed, FixedSum};
use ivs_core::merge::{Gauge, Last, Range, Stat, Total};
use ivs_core::sketch::{Hll, Quantiles};
use ivs_core::window::WindowAgg;
use ivs_schemas::items::metrics::slice::FIGURES;
use kinesis_model::EpochMs;

pub(super) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_le_bytes());
}

/// Writes length and bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u64(out, bytes.len() as u64);
    out.extend(bytes);
}

fn put_sum(out: &mut Vec<u8>, sum: FixedSum) {
    out.extend(sum.0.to_le_bytes());
}

fn put_fixed(out: &mut Vec<u8>, value: Fixed) {
    put_u64(out, value.micros().cast_unsigned());
}

fn put_total(out: &mut Vec<u8>, total: &Total) {
    put_sum(out, total.sum);
    put_u64(out, total.count);
}

fn put_stat(out: &mut Vec<u8>, stat: &Stat) {
    put_total(out, &stat.total);
    put_range(out, stat.range);
}

fn put_range(out: &mut Vec<u8>, range: Option<Range>) {
    out.push(u8::from(range.is_some()));
    if let Some(range) = range {
        put_fixed(out, range.min);
        put_fixed(out, range.max);
    }
}

pub(super) fn write_window(out: &mut Vec<u8>, agg: &WindowAgg) {
    put_bytes(out, agg.channel_id.as_bytes());
    put_bytes(out, agg.channel_said_by.as_str().as_bytes());
    let records = [agg.records, agg.gauges, agg.player_records];
    let others = [agg.player_errors, agg.chat_messages, agg.latency_sum_ms, agg.startup_sum_ms];
    for count in records.into_iter().chain(others) {
        put_u64(out, count);
    }
    put_range(out, agg.stalled_percent);
    put_range(out, agg.errors_range);
    put_stat(out, &agg.viewers.stat);
    out.push(u8::from(agg.viewers.last.is_some()));
    if let Some(last) = agg.viewers.last {
        put_u64(out, last.time.0.cast_unsigned());
        put_fixed(out, last.value);
    }
    let stream = [&agg.bitrate, &agg.frame_rate, &agg.chat_rate];
    for stat in stream.into_iter().chain([&agg.player_bitrate, &agg.dropped_frames]) {
        put_stat(out, stat);
    }
    let stream = [&agg.cpu, &agg.memory];
    let player = [&agg.player_frame_rate, &agg.buffering_ms, &agg.playing_ms, &agg.rebuffers];
    for total in stream.into_iter().chain(player) {
        put_total(out, total);
    }
    put_sum(out, agg.watch_buffering_ms);
    for sketch in [agg.latency.to_bytes(), agg.startup.to_bytes(), agg.players.to_bytes()] {
        put_bytes(out, &sketch.unwrap_or_default());
    }
    put_bytes(out, &agg.playing.to_bytes().unwrap_or_default());
    write_views(out, &agg.views);
    put_u64(out, agg.breakdown.iter().count() as u64);
    for (dimension, value, slice) in agg.breakdown.iter() {
        put_bytes(out, dimension.as_str().as_bytes());
        put_bytes(out, value.as_bytes());
        slice.figures().into_iter().for_each(|figure| put_sum(out, figure));
    }
}

fn write_views(out: &mut Vec<u8>, views: &Views) {
    let Views {
        events,
        attempts,
        starts,
        start_failures_technical,
        start_failures_business,
        exits_before_start,
        playback_failures,
        ended,
    } = *views;
    for count in [events, attempts, starts, start_failures_technical] {
        put_u64(out, count);
    }
    for count in [start_failures_business, exits_before_start, playback_failures, ended] {
        put_u64(out, count);
    }
}

/// Bytes that are read from the front; everything is `None` where they end early.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (found, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*found)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u64()?).ok()?;
        let (found, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(found)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn is_some(&mut self) -> Option<bool> {
        self.take::<1>().map(|[byte]| byte != 0)
    }

    fn sum(&mut self) -> Option<FixedSum> {
        self.take().map(|bytes| FixedSum(i128::from_le_bytes(bytes)))
    }

    fn fixed(&mut self) -> Option<Fixed> {
        self.u64().map(|bits| Fixed::from_micros(bits.cast_signed()))
    }

    fn total(&mut self) -> Option<Total> {
        Some(Total { sum: self.sum()?, count: self.u64()? })
    }

    fn stat(&mut self) -> Option<Stat> {
        Some(Stat { total: self.total()?, range: self.range()? })
    }

    fn range(&mut self) -> Option<Option<Range>> {
        Some(match self.is_some()? {
            true => Some(Range { min: self.fixed()?, max: self.fixed()? }),
            false => None,
        })
    }

    fn last(&mut self) -> Option<Option<Last>> {
        Some(match self.is_some()? {
            true => Some(Last { time: EpochMs(self.u64()?.cast_signed()), value: self.fixed()? }),
            false => None,
        })
    }

    fn quantiles(&mut self) -> Option<Quantiles> {
        match self.bytes()? {
            [] => Some(Quantiles::default()),
            bytes => Quantiles::from_bytes(bytes).ok(),
        }
    }

    fn distinct<const LG: u8>(&mut self) -> Option<Hll<LG>> {
        match self.bytes()? {
            [] => Some(Hll::default()),
            bytes => Hll::from_bytes(bytes).ok(),
        }
    }

    fn views(&mut self) -> Option<Views> {
        Some(Views {
            events: self.u64()?,
            attempts: self.u64()?,
            starts: self.u64()?,
            start_failures_technical: self.u64()?,
            start_failures_business: self.u64()?,
            exits_before_start: self.u64()?,
            playback_failures: self.u64()?,
            ended: self.u64()?,
        })
    }

    fn breakdown(&mut self) -> Option<Breakdown> {
        let count = self.u64()?;
        let entry = |_| {
            let key = (Dimension::of_name(self.text()?)?, Arc::from(self.text()?));
            let mut figures = [FixedSum::ZERO; FIGURES.len()];
            for figure in &mut figures {
                *figure = self.sum()?;
            }
            Some((key, Slice::of_figures(&figures)?))
        };
        (0..count).map(entry).collect()
    }
}

/// Reads fields in the order of [`write_window`], which is the order of evaluation here.
pub(super) fn read_window(from: &mut Reader<'_>) -> Option<WindowAgg> {
    Some(WindowAgg {
        channel_id: Arc::from(from.text()?),
        channel_said_by: SaidBy::of_word(from.text()?)?,
        records: from.u64()?,
        gauges: from.u64()?,
        player_records: from.u64()?,
        player_errors: from.u64()?,
        chat_messages: from.u64()?,
        latency_sum_ms: from.u64()?,
        startup_sum_ms: from.u64()?,
        stalled_percent: from.range()?,
        errors_range: from.range()?,
        viewers: Gauge { stat: from.stat()?, last: from.last()? },
        bitrate: from.stat()?,
        frame_rate: from.stat()?,
        chat_rate: from.stat()?,
        player_bitrate: from.stat()?,
        dropped_frames: from.stat()?,
        cpu: from.total()?,
        memory: from.total()?,
        player_frame_rate: from.total()?,
        buffering_ms: from.total()?,
        playing_ms: from.total()?,
        rebuffers: from.total()?,
        watch_buffering_ms: from.sum()?,
        latency: from.quantiles()?,
        startup: from.quantiles()?,
        players: from.distinct()?,
        playing: from.distinct()?,
        views: from.views()?,
        breakdown: from.breakdown()?,
    })
}

#[cfg(test)]
mod tests {
    use ivs_core::decode::{DecodeLimits, Event, decode};
    use ivs_core::window::WindowFold;

    use super::*;

    #[test]
    fn a_window_comes_back_exactly() {
        let mut fold = WindowFold::default();
        let lines = [
            r#"{"eventType":"metrics_update","sessionId":"s","channelId":"c","timestamp":1750000000123,"currentViewers":12,"bitrate":5000000,"frameRate":59.94,"chatMessagesPerMinute":3,"cpuUsage":41.5,"memoryUsage":7}"#.to_owned(),
            r#"{"type":"player_telemetry","schemaVersion":1,"eventId":"e","sessionId":"s","channelId":"c","playerId":"q","timestamp":1750000001000,"state":"PLAYING","bitrate":3000000,"frameRate":29.97,"droppedFrames":2,"bufferingMs":10,"playingMs":9990,"startupMs":700,"rebufferCount":1,"errorCode":"E","viewId":"v","viewEvent":"start","country":"JP","device":"a phone"}"#.to_owned(),
        ];
        let players = (0..5_000).map(|i| format!(
            r#"{{"type":"player_telemetry","schemaVersion":1,"eventId":"{i}","sessionId":"s","channelId":"c","playerId":"p{i}","timestamp":1750000001000,"state":"PLAYING","latencyMs":{}}}"#,
            i * 7
        ));
        for line in lines.into_iter().chain(players) {
            let at = EpochMs(1_750_000_002_000);
            match decode(line.as_bytes(), at, &DecodeLimits::default()).unwrap() {
                Event::Gauge(gauge) => fold.add_gauge(&gauge),
                Event::Player(sample) => fold.add_player(&sample),
                other => panic!("{other:?}"),
            }
        }
        for agg in [fold.drain().remove(0).1, WindowAgg::default()] {
            let mut bytes = Vec::new();
            write_window(&mut bytes, &agg);
            let mut reader = Reader(&bytes);
            assert_eq!(read_window(&mut reader), Some(agg));
            assert!(reader.0.is_empty());
            for cut in 0..bytes.len().min(200) {
                assert_eq!(read_window(&mut Reader(&bytes[..cut])), None);
            }
        }
    }
}
