//! Rows as Parquet: whole numbers INT64, decimals DOUBLE (the nearest), texts UTF-8.

use std::io::{self, Write};
use std::sync::Arc;

use ivs_core::columns::{COLUMNS, Cell, Column, Kind, cells};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::Result;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

use crate::replay::entry::MetricPart;

/// Rows of a group: some 10 MB are held, and readers still share a large file among threads.
const GROUP_ROWS: usize = 32_768;
/// Level 3, as the archive.
const ZSTD_LEVEL: i32 = 3;
/// Rows are sorted by session, then by minute.
const SORTED_BY: [i32; 2] = [0, 1];

/// Writes all rows, and the footer.
///
/// # Errors
/// When the rows cannot be read back, or `out` does not take them.
pub(super) fn write(
    rows: impl Iterator<Item = io::Result<MetricPart>>,
    out: &mut (impl Write + Send),
) -> io::Result<()> {
    let mut file = open(out).map_err(io::Error::other)?;
    let mut group = Group::new();
    for row in rows {
        let row = row?;
        group.push(&row);
        if group.rows == GROUP_ROWS {
            group.write(&mut file).map_err(io::Error::other)?;
            group = Group::new();
        }
    }
    if group.rows > 0 {
        group.write(&mut file).map_err(io::Error::other)?;
    }
    file.close().map(drop).map_err(io::Error::other)
}

fn open<W: Write + Send>(out: W) -> Result<SerializedFileWriter<W>> {
    let sorted = |column_idx| SortingColumn { column_idx, descending: false, nulls_first: false };
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_sorting_columns(Some(SORTED_BY.map(sorted).to_vec()))
        .build();
    SerializedFileWriter::new(out, schema()?, Arc::new(properties))
}

fn schema() -> Result<TypePtr> {
    let field = |column: &Column| {
        let (physical, logical) = match column.kind {
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Int => (Physical::INT64, None),
            Kind::Decimal => (Physical::DOUBLE, None),
        };
        let repetition =
            if column.may_be_empty { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        Type::primitive_type_builder(column.name, physical)
            .with_logical_type(logical)
            .with_repetition(repetition)
            .build()
            .map(Arc::new)
    };
    let fields = COLUMNS.iter().map(field).collect::<Result<_>>()?;
    Type::group_type_builder("rows").with_fields(fields).build().map(Arc::new)
}

/// The values of a column that are there.
enum Values {
    Text(Vec<ByteArray>),
    Int(Vec<i64>),
    Decimal(Vec<f64>),
}

/// Rows on their way into a row group, column by column.
struct Group {
    columns: Vec<(Values, Vec<i16>)>,
    rows: usize,
}

impl Group {
    fn new() -> Self {
        let empty = |column: &Column| match column.kind {
            Kind::Text => Values::Text(Vec::new()),
            Kind::Int => Values::Int(Vec::new()),
            Kind::Decimal => Values::Decimal(Vec::new()),
        };
        let columns = COLUMNS.iter().map(|column| (empty(column), Vec::new())).collect();
        Self { columns, rows: 0 }
    }

    fn push(&mut self, row: &MetricPart) {
        for ((values, present), cell) in self.columns.iter_mut().zip(cells(&row.key, &row.agg)) {
            present.push(i16::from(cell != Cell::Empty));
            match (values, cell) {
                (Values::Text(values), Cell::Text(text)) => values.push((&*text).into()),
                (Values::Int(values), Cell::Int(value)) => values.push(value),
                (Values::Decimal(values), Cell::Decimal(sum)) => values.push(sum.to_f64()),
                // A test of the columns holds every cell to its column's kind.
                _ => {}
            }
        }
        self.rows += 1;
    }

    fn write<W: Write + Send>(&self, file: &mut SerializedFileWriter<W>) -> Result<()> {
        let mut group = file.next_row_group()?;
        for (column, (values, present)) in COLUMNS.iter().zip(&self.columns) {
            let present = column.may_be_empty.then_some(&present[..]);
            if let Some(mut writer) = group.next_column()? {
                write_column(&mut writer, values, present)?;
                writer.close()?;
            }
        }
        group.close().map(drop)
    }
}

fn write_column(
    writer: &mut SerializedColumnWriter<'_>,
    values: &Values,
    present: Option<&[i16]>,
) -> Result<usize> {
    match values {
        Values::Text(values) => writer.typed::<ByteArrayType>().write_batch(values, present, None),
        Values::Int(values) => writer.typed::<Int64Type>().write_batch(values, present, None),
        Values::Decimal(values) => writer.typed::<DoubleType>().write_batch(values, present, None),
    }
}
