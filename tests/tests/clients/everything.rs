//! A table with a column of every type that a Parquet file can have.

use arrow::array::*;
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Int32Type, i256};
use arrow::record_batch::RecordBatch;
use skep_tests::dataset;
use std::sync::Arc;

/// Two values and a NULL of each type.
pub fn batch() -> RecordBatch {
    let mut columns = numbers();
    columns.extend(times());
    columns.extend(texts());
    columns.extend(nested());
    dataset::batch(columns)
}

type Columns = Vec<(&'static str, ArrayRef)>;

fn numbers() -> Columns {
    let price = Decimal128Array::from(vec![Some(125), Some(-9_999_999), None]);
    let small = Decimal32Array::from(vec![Some(125), Some(-99), None]);
    let wide = Decimal256Array::from(vec![Some(i256::from_i128(1)), Some(i256::MINUS_ONE), None]);
    vec![
        ("id", Arc::new(Int64Array::from(vec![0, 1, 2]))),
        (
            "text",
            Arc::new(StringArray::from(vec![Some("a"), Some("b"), None])),
        ),
        (
            "price",
            Arc::new(price.with_precision_and_scale(12, 2).expect("it fits")),
        ),
        (
            "small",
            Arc::new(small.with_precision_and_scale(7, 2).expect("it fits")),
        ),
        (
            "wide",
            Arc::new(wide.with_precision_and_scale(50, 5).expect("it fits")),
        ),
        (
            "flag",
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        ),
        (
            "i8",
            Arc::new(Int8Array::from(vec![Some(i8::MIN), Some(i8::MAX), None])),
        ),
        (
            "i16",
            Arc::new(Int16Array::from(vec![Some(i16::MIN), Some(i16::MAX), None])),
        ),
        (
            "i32",
            Arc::new(Int32Array::from(vec![Some(i32::MIN), Some(i32::MAX), None])),
        ),
        (
            "u8",
            Arc::new(UInt8Array::from(vec![Some(0), Some(u8::MAX), None])),
        ),
        (
            "u16",
            Arc::new(UInt16Array::from(vec![Some(0), Some(u16::MAX), None])),
        ),
        (
            "u32",
            Arc::new(UInt32Array::from(vec![Some(0), Some(u32::MAX), None])),
        ),
        (
            "u64",
            Arc::new(UInt64Array::from(vec![Some(0), Some(u64::MAX), None])),
        ),
        (
            "f32",
            Arc::new(Float32Array::from(vec![Some(-1.5), Some(3.25), None])),
        ),
        (
            "f64",
            Arc::new(Float64Array::from(vec![Some(-1.5), Some(1e300), None])),
        ),
    ]
}

fn times() -> Columns {
    // The first and the last day that SQL knows.
    let days = vec![Some(-719_162), Some(2_932_896), None];
    let stamps = vec![Some(-1), Some(1_709_164_800_000_000), None];
    vec![
        ("day", Arc::new(Date32Array::from(days))),
        (
            "clock",
            Arc::new(Time64MicrosecondArray::from(vec![
                Some(0),
                Some(86_399_999_999),
                None,
            ])),
        ),
        (
            "micros",
            Arc::new(TimestampMicrosecondArray::from(stamps.clone())),
        ),
        (
            "zoned",
            Arc::new(TimestampMicrosecondArray::from(stamps).with_timezone("UTC")),
        ),
        (
            "nanos",
            Arc::new(TimestampNanosecondArray::from(vec![
                Some(1_000),
                Some(2_000),
                None,
            ])),
        ),
        (
            "millis",
            Arc::new(TimestampMillisecondArray::from(vec![
                Some(1),
                Some(2),
                None,
            ])),
        ),
    ]
}

fn texts() -> Columns {
    let long = "a string longer than twelve bytes";
    let fixed = [Some(*b"abc"), Some([0, 0, 0]), None];
    let fixed = FixedSizeBinaryArray::try_from_sparse_iter_with_size(fixed.into_iter(), 3);
    let words: DictionaryArray<Int32Type> = vec![Some("x"), Some("y"), None].into_iter().collect();
    vec![
        (
            "bytes",
            Arc::new(BinaryArray::from_opt_vec(vec![
                Some(b""),
                Some(b"\x00\xff"),
                None,
            ])),
        ),
        ("fixed", Arc::new(fixed.expect("three bytes each"))),
        (
            "large",
            Arc::new(LargeStringArray::from(vec![Some("x"), Some(long), None])),
        ),
        (
            "views",
            Arc::new(StringViewArray::from(vec![Some("short"), Some(long), None])),
        ),
        ("words", Arc::new(words)),
    ]
}

fn nested() -> Columns {
    let numbers = vec![Some(vec![Some(1), None]), Some(vec![]), None];
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(numbers);
    let inner = StructArray::from(vec![
        (
            Arc::new(Field::new("x", DataType::Int64, true)),
            Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("y", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![Some("p"), None, Some("q")])) as ArrayRef,
        ),
    ]);
    let structs = ListArray::new(
        Arc::new(Field::new("item", inner.data_type().clone(), true)),
        OffsetBuffer::from_lengths([2, 1, 0]),
        Arc::new(inner.clone()),
        None,
    );
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    map.keys().append_value("k");
    map.values().append_value(1);
    map.append(true).expect("a key and a value");
    map.append(true).expect("nothing");
    map.append(false).expect("NULL");
    vec![
        ("list", Arc::new(lists)),
        ("nested", Arc::new(inner)),
        ("structs", Arc::new(structs)),
        ("map", Arc::new(map.finish())),
    ]
}
