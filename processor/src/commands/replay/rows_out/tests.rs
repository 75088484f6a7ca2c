use std::sync::Arc;

use ::parquet::file::reader::{FileReader as _, SerializedFileReader};
use ivs_core::fixed::FixedSum;
use ivs_core::minute::Minute;
use ivs_core::window::{WindowAgg, WindowKey};
use kinesis_model::EpochMs;

use super::*;

fn row(index: i64) -> MetricPart {
    let key = WindowKey { session_id: "s,1".into(), minute: Minute::of(EpochMs(index * 60_000)) };
    let mut agg = WindowAgg { channel_id: Arc::from("7"), records: 2, ..WindowAgg::default() };
    agg.cpu.sum = FixedSum(65_590_000);
    agg.cpu.count = 1;
    agg.playing_ms.sum = FixedSum(5_000_000);
    MetricPart { key, agg, stamps: Vec::new() }
}

#[test]
fn a_row_becomes_an_object_of_its_columns() {
    let row = object(&row(1));
    assert_eq!((&row["session_id"], &row["window_start"]), (&"s,1".into(), &60.into()));
    assert_eq!(row["channel_id"], "7", "an id of digits is a text all the same");
    assert_eq!((&row["cpu_sum"], &row["playing_ms"]), (&65.59.into(), &5.into()));
    assert!(row["viewers_sum"].is_null());
}

#[test]
fn a_name_without_a_known_ending_is_refused() {
    assert_eq!(Format::of(Path::new("a/b.jsonl")).unwrap(), Format::Ndjson);
    assert_eq!(Format::of(Path::new("rows.parquet")).unwrap(), Format::Parquet);
    assert!(Format::of(Path::new("rows.arrow")).is_err());
}

#[test]
fn parquet_files_hold_all_rows_in_groups() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.parquet");
    for (count, groups) in [(0, 0), (1, 1), (32_768, 1), (32_769, 2)] {
        let rows = (0..count).map(|index| Ok(row(index)));
        let written = write(rows, &path, Format::Parquet).unwrap();
        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        let file = reader.metadata().file_metadata();
        assert_eq!((written.cast_signed(), file.num_rows()), (count, count));
        assert_eq!(reader.num_row_groups(), groups);
    }
    let left: Vec<_> = dir.path().read_dir().unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}
