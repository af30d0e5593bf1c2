//! Timestamps as programs write them: of every unit, with a zone and without one, and the legacy 96-bit ones.

use super::{batch, write_parquet};
use arrow::array::{
    ArrayRef, Date64Array, Int64Array, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray,
};
use parquet::data_type::{Int96, Int96Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Microseconds of 2024-01-01T12:00:00.
const NOON: i64 = 1_704_110_400_000_000;
/// Microseconds of 9999-12-31T00:00:00.
const LAST_DAY: i64 = 253_402_214_400_000_000;
/// The Julian day of 1970-01-01.
const JULIAN_DAY_OF_EPOCH: i64 = 2_440_588;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Writes a folder of one file for each way to write `id` and `t`: `times/ns`, `times/int96` and so on.
pub(super) fn write(directory: &Path) {
    let micros = [Some(NOON), None, Some(-1_500_000), Some(LAST_DAY)];
    let millis = micros.map(|value| value.map(|micros| micros / 1_000));
    let nanos = [
        Some(NOON * 1_000 + 123_456_789),
        None,
        Some(-1_500_000_000),
        Some(0),
    ];
    let utc = Some("UTC");
    let columns: [(&str, ArrayRef); 5] = [
        (
            "ms",
            Arc::new(TimestampMillisecondArray::from(millis.to_vec())),
        ),
        (
            "ns",
            Arc::new(TimestampNanosecondArray::from(nanos.to_vec())),
        ),
        (
            "utc",
            Arc::new(TimestampMicrosecondArray::from(micros.to_vec()).with_timezone_opt(utc)),
        ),
        (
            "ns_utc",
            Arc::new(TimestampNanosecondArray::from(nanos.to_vec()).with_timezone_opt(utc)),
        ),
        (
            "berlin",
            Arc::new(
                TimestampMicrosecondArray::from(micros.to_vec()).with_timezone("Europe/Berlin"),
            ),
        ),
    ];
    for (name, column) in columns {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![0, 1, 2, 3]));
        let path = directory.join(format!("times/{name}/part-0.parquet"));
        write_parquet(&path, &batch(vec![("id", ids), ("t", column)]));
    }
    let days: ArrayRef = Arc::new(Date64Array::from(vec![
        Some(NOON / MICROS_PER_DAY * MICROS_PER_DAY / 1_000),
        None,
        Some(LAST_DAY / 1_000),
    ]));
    let path = directory.join("times/date64/part-0.parquet");
    write_parquet(&path, &batch(vec![("d", days)]));
    write_int96(&directory.join("times/int96/part-0.parquet"), &micros);
}

/// Without Arrow's schema, as Hive and Spark write them.
fn write_int96(path: &Path, micros: &[Option<i64>]) {
    std::fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("a directory");
    let schema = "message schema { required int64 id; optional int96 t; }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let properties = Arc::new(WriterProperties::default());
    let file = File::create(path).expect("a file");
    let mut writer = SerializedFileWriter::new(file, schema, properties).expect("a writer");
    let mut group = writer.next_row_group().expect("a row group");
    let ids: Vec<i64> = (0..).take(micros.len()).collect();
    let mut column = group.next_column().expect("a column").expect("the first");
    let typed = column.typed::<parquet::data_type::Int64Type>();
    typed
        .write_batch(&ids, None, None)
        .expect("ids are written");
    column.close().expect("a column is written");
    let levels: Vec<i16> = micros
        .iter()
        .map(|value| i16::from(value.is_some()))
        .collect();
    let values: Vec<Int96> = micros
        .iter()
        .flatten()
        .map(|micros| int96(*micros))
        .collect();
    let mut column = group.next_column().expect("a column").expect("the second");
    let typed = column.typed::<Int96Type>();
    typed
        .write_batch(&values, Some(&levels), None)
        .expect("times are written");
    column.close().expect("a column is written");
    group.close().expect("a row group is written");
    writer.close().expect("a footer is written");
}

/// Nanoseconds within a day, and its Julian number.
fn int96(micros: i64) -> Int96 {
    let day = micros.div_euclid(MICROS_PER_DAY) + JULIAN_DAY_OF_EPOCH;
    let nanos = micros.rem_euclid(MICROS_PER_DAY) * 1_000;
    let mut value = Int96::new();
    value.set_data(nanos as u32, (nanos >> 32) as u32, day as u32);
    value
}
