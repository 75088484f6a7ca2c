use std::sync::Arc;

use super::*;
use crate::decode::ViewEvent;
use crate::experience::{Dimension, Slice};
use crate::minute::Minute;
use crate::sketch::Coupon;
use crate::sketch::Sketch as _;
use kinesis_model::EpochMs;

/// Returns a window in which every figure was carried.
fn full() -> WindowAgg {
    let mut agg = WindowAgg { channel_id: Arc::from("c"), records: 2, ..WindowAgg::default() };
    let value = Some(Fixed::from_micros(1_500_000));
    agg.viewers.add_some(EpochMs(1), value);
    for stat in [&mut agg.bitrate, &mut agg.frame_rate, &mut agg.chat_rate, &mut agg.player_bitrate]
    {
        stat.add_some(value);
    }
    for total in [&mut agg.cpu, &mut agg.memory, &mut agg.player_frame_rate] {
        total.add_some(value);
    }
    agg.latency.insert_all(&mut vec![7]);
    agg.startup.insert_all(&mut vec![8]);
    agg.startup_sum_ms = 8;
    agg.playing_ms.add_some(value);
    agg.playing.insert_all(&mut vec![Coupon::of("v")]);
    agg.views.add(ViewEvent::Attempt);
    let slice = Slice { records: 1, ..Slice::default() };
    agg.breakdown = [((Dimension::Cdn, Arc::from("a\"b")), slice)].into_iter().collect();
    agg
}

#[test]
fn every_cell_is_of_its_columns_kind() {
    let key = WindowKey { session_id: Arc::from("s"), minute: Minute::of(EpochMs(60_000)) };
    for (agg, is_full) in [(full(), true), (WindowAgg::default(), false)] {
        for (column, cell) in COLUMNS.iter().zip(cells(&key, &agg)) {
            let kind = match cell {
                Cell::Empty => None,
                Cell::Text(_) => Some(Kind::Text),
                Cell::Int(_) => Some(Kind::Int),
                Cell::Decimal(_) => Some(Kind::Decimal),
            };
            let is_filled = is_full || !column.may_be_empty;
            assert_eq!(kind, is_filled.then_some(column.kind), "{}", column.name);
        }
    }
}

#[test]
fn a_cell_stands_under_its_name() {
    let key = WindowKey { session_id: Arc::from("s"), minute: Minute::of(EpochMs(60_000)) };
    let agg = full();
    let cells = cells(&key, &agg);
    let cell = |name| cells[COLUMNS.iter().position(|column| column.name == name).unwrap()].clone();
    assert_eq!(cell("window_start"), Cell::Int(60));
    assert_eq!(cell("viewers_last"), Cell::Decimal(FixedSum(1_500_000)));
    assert_eq!((cell("latency_p99_ms"), cell("startup_p95_ms")), (Cell::Int(7), Cell::Int(8)));
    assert_eq!(cell("chat_messages"), Cell::Int(0));
    assert_eq!((cell("view_attempts"), cell("view_starts")), (Cell::Int(1), Cell::Int(0)));
    let slice = r#"{"cdn":{"a\"b":{"records":1,"attempts":0,"starts":0,"failures":0,"playingMs":0,"stalledMs":0,"stalls":0}}}"#;
    assert_eq!(cell("breakdowns"), Cell::Text(slice.into()));
    let json: serde_json::Value = serde_json::from_str(slice).unwrap();
    assert_eq!(json["cdn"]["a\"b"]["records"], 1);
}
