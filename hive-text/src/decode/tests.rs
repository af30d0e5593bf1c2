//! The tests of the module above.

use super::*;
use crate::TextEncoder;
use arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringArray};
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema};
use datafusion::error::DataFusionError;
use datafusion_datasource::decoder::{BatchDeserializer, DecoderDeserializer, DeserializerOutput};
use skep_protocol::ErrorCode;

fn schema(types: &[DataType]) -> SchemaRef {
    let field = |(index, data_type): (usize, &DataType)| {
        Field::new(format!("c{index}"), data_type.clone(), true)
    };
    let fields: Vec<Field> = types.iter().enumerate().map(field).collect();
    Arc::new(Schema::new(fields))
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

fn map(key: DataType, value: DataType) -> DataType {
    let fields = Fields::from(vec![
        Field::new("key", key, false),
        Field::new("value", value, true),
    ]);
    let entries = Field::new("entries", DataType::Struct(fields), false);
    DataType::Map(Arc::new(entries), false)
}

fn commas() -> TextFormat {
    TextFormat {
        delimiters: [b',', b'|', b':', 4, 5, 6, 7, 8],
        ..TextFormat::default()
    }
}

/// Decodes `text` in pieces of `piece` bytes.
fn decode_pieces(
    text: &[u8],
    format: &TextFormat,
    schema: &SchemaRef,
    indices: &[usize],
    piece: usize,
) -> Result<RecordBatch, ArrowError> {
    let decoder = LineDecoder::new(Arc::new(format.clone()), schema, indices, 3, true)?;
    let mut deserializer = DecoderDeserializer::new(decoder);
    let mut batches = Vec::new();
    let mut pieces = text.chunks(piece);
    loop {
        match deserializer.next()? {
            DeserializerOutput::RecordBatch(batch) => batches.push(batch),
            DeserializerOutput::RequiresMoreData => match pieces.next() {
                Some(piece) => {
                    deserializer.digest(bytes::Bytes::copy_from_slice(piece));
                }
                None => deserializer.finish(),
            },
            DeserializerOutput::InputExhausted => break,
        }
    }
    let schema = Arc::new(schema.project(indices)?);
    match indices.is_empty() {
        true => {
            let rows = batches.iter().map(RecordBatch::num_rows).sum();
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            RecordBatch::try_new_with_options(schema, Vec::new(), &options)
        }
        false => arrow::compute::concat_batches(&schema, &batches),
    }
}

fn decode(text: &str, format: &TextFormat, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let indices: Vec<usize> = (0..schema.fields().len()).collect();
    decode_pieces(text.as_bytes(), format, schema, &indices, 1 << 20)
}

fn texts(array: &ArrayRef) -> Vec<Option<String>> {
    let array = arrow::compute::cast(array, &DataType::Utf8).unwrap();
    let texts = array.as_string::<i32>().iter();
    texts.map(|text| text.map(str::to_owned)).collect()
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

#[test]
fn lines_are_rows_however_the_bytes_come() {
    let schema = schema(&[DataType::Int32, DataType::Utf8View]);
    let text = "1,a\r\n2,\n\\N,\\N\n,x y\n5";
    for piece in 1..=text.len() {
        let batch = decode_pieces(text.as_bytes(), &commas(), &schema, &[0, 1], piece).unwrap();
        let numbers = batch.column(0).as_primitive::<Int32Type>();
        let numbers: Vec<Option<i32>> = numbers.iter().collect();
        assert_eq!(numbers, [Some(1), Some(2), None, None, Some(5)]);
        let texts = texts(batch.column(1));
        let expected = [Some("a"), Some(""), None, Some("x y"), None];
        assert_eq!(texts, expected.map(|text| text.map(str::to_owned)));
    }
}

#[test]
fn columns_are_chosen_and_lines_without_any_are_counted() {
    let schema = schema(&[DataType::Int32, DataType::Utf8, DataType::Utf8]);
    let text = b"1,a,b,ignored\n2,c,d\n";
    let batch = decode_pieces(text, &commas(), &schema, &[2, 0], 4).unwrap();
    assert_eq!(texts(batch.column(0)), some(&["b", "d"]));
    assert_eq!(texts(batch.column(1)), some(&["1", "2"]));
    let batch = decode_pieces(text, &commas(), &schema, &[], 4).unwrap();
    assert_eq!(batch.num_rows(), 2);
}

#[test]
fn header_lines_are_left_out() {
    let format = TextFormat {
        header_lines: 2,
        ..commas()
    };
    let batch = decode("x\ny\n1\n", &format, &schema(&[DataType::Int32])).unwrap();
    assert_eq!(texts(batch.column(0)), some(&["1"]));
}

#[test]
fn what_is_no_value_is_an_error_with_its_column() {
    let schema = schema(&[DataType::Utf8, DataType::Int32]);
    for (text, shown) in [("a,x1\n", "x1"), ("a,99999999999\n", "99999999999")] {
        let error: DataFusionError = decode(text, &commas(), &schema).unwrap_err().into();
        let error = skep_runtime::error::from_datafusion(&error);
        assert_eq!(error.code, ErrorCode::DataCorrupt);
        assert!(error.message.starts_with("column 'c1': "), "{error}");
        assert!(error.message.contains(shown), "{error}");
    }
}

#[test]
fn collections_nest() {
    let pair = DataType::Struct(Fields::from(vec![
        Field::new("x", DataType::Int32, true),
        Field::new("y", list(DataType::Utf8), true),
    ]));
    let schema = schema(&[
        list(DataType::Int32),
        map(DataType::Utf8, DataType::Int32),
        pair,
    ]);
    let text = "1|2|\\N,a:1|b:\\N|c,7|p:q\n,,\n\\N,\\N,\\N\n";
    let batch = decode(text, &commas(), &schema).unwrap();
    let shown = |column: usize| {
        let options = arrow::util::display::FormatOptions::default().with_null("NULL");
        let column = batch.column(column);
        let format =
            arrow::util::display::ArrayFormatter::try_new(column.as_ref(), &options).unwrap();
        (0..3)
            .map(|row| format.value(row).to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(0), ["[1, 2, NULL]", "[]", "NULL"]);
    assert_eq!(shown(1), ["{a: 1, b: NULL, c: NULL}", "{}", "NULL"]);
    assert_eq!(
        shown(2),
        ["{x: 7, y: [p, q]}", "{x: NULL, y: NULL}", "NULL"]
    );
    // What was read is written as it was, but for what was left out at the end.
    let mut encoder = TextEncoder::new(commas(), &schema).unwrap();
    let written = String::from_utf8(encoder.encode(&batch).unwrap()).unwrap();
    assert_eq!(
        written,
        "1|2|\\N,a:1|b:\\N|c:\\N,7|p:q\n,,\\N|\\N\n\\N,\\N,\\N\n"
    );
    assert_eq!(decode(&written, &commas(), &schema).unwrap(), batch);
}

/// Values that are hard to write come back as they were, or are refused.
#[test]
fn what_is_written_is_read_back_or_refused() {
    let pieces = [
        "", "a", ",", "|", ":", "\\", "\\N", "N", "\n", "é", "\u{1}", "\r",
    ];
    let schema = schema(&[DataType::Utf8, list(DataType::Utf8)]);
    let mut refused = 0;
    let mut written = 0;
    for escape in [None, Some(b'\\'), Some(b'!')] {
        for null_text in ["\\N", "", "NULL"] {
            let format = TextFormat {
                escape,
                null_text: null_text.to_owned(),
                ..commas()
            };
            for first in pieces {
                for second in pieces {
                    let text = format!("{first}{second}");
                    let flat: ArrayRef = Arc::new(StringArray::from(vec![
                        Some(text.as_str()),
                        None,
                        Some("NULL"),
                    ]));
                    let mut builder =
                        arrow::array::ListBuilder::new(arrow::array::StringBuilder::new());
                    builder.append_value([Some(first), Some(second)]);
                    builder.append_value([Some(text.as_str())]);
                    builder.append_null();
                    let lists: ArrayRef = Arc::new(builder.finish());
                    for columns in [
                        vec![
                            Arc::clone(&flat),
                            arrow::array::new_null_array(&list(DataType::Utf8), 3),
                        ],
                        vec![
                            arrow::array::new_null_array(&DataType::Utf8, 3),
                            Arc::clone(&lists),
                        ],
                    ] {
                        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
                        let mut encoder = TextEncoder::new(format.clone(), &schema).unwrap();
                        let Ok(lines) = encoder.encode(&batch) else {
                            refused += 1;
                            continue;
                        };
                        written += 1;
                        let lines = String::from_utf8(lines).unwrap();
                        let found = decode(&lines, &format, &schema).unwrap();
                        assert_eq!(found, batch, "{lines:?} {format:?}");
                    }
                }
            }
        }
    }
    assert!(refused > 200 && written > 200, "{refused} {written}");
}

#[test]
fn values_of_every_type_come_back() {
    let types = [
        DataType::Boolean,
        DataType::Int64,
        DataType::Float64,
        DataType::Decimal128(10, 2),
        DataType::Date32,
        DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None),
        DataType::Binary,
    ];
    let schema = schema(&types);
    let text = "true,-5,1.5e300,12.30,2024-02-29,2024-02-29 23:59:59.123456,aGVsbG8=\n\
                false,0,NaN,-0.01,1969-12-31,1969-12-31 00:00:00,\n\
                \\N,\\N,\\N,\\N,\\N,\\N,\\N\n";
    let batch = decode(text, &commas(), &schema).unwrap();
    assert_eq!(batch.column(6).as_binary::<i32>().value(0), b"hello");
    assert_eq!(batch.column(6).null_count(), 1);
    let mut encoder = TextEncoder::new(commas(), &schema).unwrap();
    let written = String::from_utf8(encoder.encode(&batch).unwrap()).unwrap();
    assert_eq!(decode(&written, &commas(), &schema).unwrap(), batch);
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let batch = RecordBatch::try_from_iter([("a", numbers)]).unwrap();
    let header = TextFormat {
        header_lines: 1,
        ..commas()
    };
    let mut encoder = TextEncoder::new(header, &batch.schema()).unwrap();
    assert_eq!(encoder.encode(&batch).unwrap(), b"a\n1\n");
}
