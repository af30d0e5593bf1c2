//! What results look like, to the byte.

use super::{Format, LongValues, Look, Target, writer};
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array,
    Int64Array, ListArray, NullArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use std::sync::Arc;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn people() -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int32Array::from(vec![1, 20]))),
        ("name", texts(&[Some("日本"), Some("René")])),
        ("note", texts(&[None, Some("a \"b\", c\\d\te")])),
    ])
}

fn written(format: Format, for_terminal: bool, batches: &[RecordBatch]) -> String {
    let target = Target {
        is_terminal: for_terminal,
        ..Target::default()
    };
    written_to(format, &Look::default(), target, batches)
}

fn written_to(format: Format, look: &Look, target: Target, batches: &[RecordBatch]) -> String {
    String::from_utf8(bytes(format, look, target, batches)).unwrap()
}

fn bytes(format: Format, look: &Look, target: Target, batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = writer(format, &batches[0].schema(), look, target).unwrap();
    let mut out = Vec::new();
    for batch in batches {
        writer.rows(batch, &mut out).unwrap();
    }
    writer.end(&mut out).unwrap();
    out
}

fn terminal(columns: usize) -> Target {
    Target {
        is_terminal: true,
        columns: Some(columns),
        color: false,
    }
}

fn empty(format: Format) -> String {
    let schema: SchemaRef = people().schema();
    written(format, false, &[RecordBatch::new_empty(schema)])
}

#[test]
fn a_table_is_aligned_by_width_and_numbers_to_the_right() {
    let expected = "\
┌────┬──────┬───────────────┐
│ id │ name │ note          │
├────┼──────┼───────────────┤
│  1 │ 日本 │ NULL          │
│ 20 │ René │ a \"b\", c\\d\\te │
└────┴──────┴───────────────┘
";
    assert_eq!(written(Format::Table, true, &[people()]), expected);
}

#[test]
fn a_table_in_a_file_is_ascii() {
    let expected = "\
+---+
| n |
+---+
| 1 |
+---+
";
    let numbers = batch(vec![("n", Arc::new(Int64Array::from(vec![1])))]);
    assert_eq!(written(Format::Table, false, &[numbers]), expected);
}

#[test]
fn a_text_of_several_lines_keeps_them() {
    let plan = batch(vec![
        ("step", texts(&[Some("scan"), Some("sum")])),
        ("plan", texts(&[Some("a\n  b\n"), Some("c")])),
    ]);
    let expected = "\
┌──────┬──────┐
│ step │ plan │
├──────┼──────┤
│ scan │ a   ↵│
│      │   b  │
│ sum  │ c    │
└──────┴──────┘
";
    assert_eq!(written(Format::Table, true, &[plan]), expected);
}

#[test]
fn a_long_table_grows_wider_when_it_must_and_holds_few_rows() {
    let short = batch(vec![("t", texts(&[Some("a"); 600]))]);
    let long = batch(vec![("t", texts(&[Some("wide"); 600]))]);
    let schema = short.schema();
    let mut writer = writer(Format::Table, &schema, &Look::default(), Target::default()).unwrap();
    let mut out = Vec::new();
    writer.rows(&short, &mut out).unwrap();
    assert!(out.len() > 512 * 6, "the first rows were held back");
    writer.rows(&long, &mut out).unwrap();
    writer.end(&mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches("| t").count(), 2, "one header per width");
    assert_eq!(text.matches("| a").count(), 600);
    assert_eq!(text.matches("| wide |").count(), 600);
    assert!(
        text.contains("| a |\n+------+\n| t    |\n+------+\n| a    |\n"),
        "{text}"
    );
}

#[test]
fn a_monstrous_cell_is_cut() {
    let long = "x".repeat(100_000);
    let text = written(
        Format::Table,
        true,
        &[batch(vec![("t", texts(&[Some(&long)]))])],
    );
    assert!(text.contains("x…") && text.len() < 20_000, "{}", text.len());
    let csv = written(
        Format::Csv,
        true,
        &[batch(vec![("t", texts(&[Some(&long)]))])],
    );
    assert!(csv.contains(&long));
}

#[test]
fn vertical_has_a_line_per_value() {
    let expected = "\
-[ ROW 1 ]------------------------------
id   | 1
name | 日本
note | NULL
-[ ROW 2 ]------------------------------
id   | 20
name | René
note | a \"b\", c\\d\\te
";
    assert_eq!(written(Format::Vertical, false, &[people()]), expected);
}

#[test]
fn csv_tells_null_from_an_empty_text() {
    let expected = "id,name,note\n1,日本,\n20,René,\"a \"\"b\"\", c\\d\te\"\n";
    assert_eq!(written(Format::Csv, false, &[people()]), expected);
    let empty_text = batch(vec![
        ("a", texts(&[Some(""), None])),
        ("b,", texts(&[None, None])),
    ]);
    assert_eq!(
        written(Format::Csv, false, &[empty_text]),
        "a,\"b,\"\n\"\",\n,\n"
    );
}

#[test]
fn tsv_has_one_line_per_row_whatever_the_data() {
    let expected = "id\tname\tnote\n1\t日本\t\\N\n20\tRené\ta \"b\", c\\\\d\\te\n";
    assert_eq!(written(Format::Tsv, false, &[people()]), expected);
}

#[test]
fn json_is_one_array() {
    let expected = "[\n{\"id\":1,\"name\":\"日本\",\"note\":null},\n\
                    {\"id\":20,\"name\":\"René\",\"note\":\"a \\\"b\\\", c\\\\d\\te\"}\n]\n";
    assert_eq!(written(Format::Json, false, &[people()]), expected);
}

#[test]
fn no_rows_still_make_a_result() {
    assert_eq!(empty(Format::Csv), "id,name,note\n");
    assert_eq!(empty(Format::Tsv), "id\tname\tnote\n");
    assert_eq!(empty(Format::Json), "[\n]\n");
    assert_eq!(empty(Format::Vertical), "");
    let table = "+----+------+------+\n| id | name | note |\n+----+------+------+\n\
                 +----+------+------+\n";
    assert_eq!(empty(Format::Table), table);
}

#[test]
fn values_of_every_kind_have_a_text() {
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None])]);
    let decimals = Decimal128Array::from(vec![-12345])
        .with_precision_and_scale(10, 2)
        .unwrap();
    let times = TimestampMicrosecondArray::from(vec![1_500_000]);
    let kinds = batch(vec![
        ("bool", Arc::new(BooleanArray::from(vec![true]))),
        ("float", Arc::new(Float64Array::from(vec![0.5]))),
        ("decimal", Arc::new(decimals)),
        ("date", Arc::new(Date32Array::from(vec![0]))),
        ("time", Arc::new(times)),
        ("bytes", Arc::new(BinaryArray::from(vec![&b"\x00\xff"[..]]))),
        ("list", Arc::new(lists)),
        ("nothing", Arc::new(NullArray::new(1))),
    ]);
    let expected = "bool,float,decimal,date,time,bytes,list,nothing\n\
                    true,0.5,-123.45,1970-01-01,1970-01-01 00:00:01.500,00ff,\"[1, NULL]\",\n";
    assert_eq!(written(Format::Csv, false, &[kinds]), expected);
}

#[test]
fn terminals_get_no_commands_in_any_format() {
    let evil = batch(vec![("\x1b[31mname", texts(&[Some("\x1b]0;title\x07")]))]);
    for format in Format::all().filter(|format| !format.is_binary()) {
        let text = written(format, true, std::slice::from_ref(&evil));
        assert!(
            !text.contains('\x1b') && !text.contains('\x07'),
            "{format}: {text:?}"
        );
    }
    assert!(
        written(Format::Csv, false, &[evil]).contains('\x1b'),
        "a pipe gets the data"
    );
}

#[test]
fn a_value_without_a_text_is_an_error_for_programs_and_a_remark_for_people() {
    let beyond: ArrayRef = Arc::new(Date32Array::from(vec![i32::MAX]));
    let schema = Arc::new(Schema::new(vec![Field::new("d", DataType::Date32, true)]));
    let batch = RecordBatch::try_new(schema, vec![beyond]).unwrap();
    let mut out = Vec::new();
    let error = writer(
        Format::Csv,
        &batch.schema(),
        &Look::default(),
        Target::default(),
    )
    .unwrap()
    .rows(&batch, &mut out)
    .unwrap_err();
    assert!(error.to_string().contains("column 'd'"), "{error}");
    assert!(written(Format::Table, true, &[batch]).contains("error: "));
}

#[test]
fn a_table_fits_the_terminal_by_wrapping_or_cutting() {
    let wide = batch(vec![
        ("id", Arc::new(Int32Array::from(vec![1, 2]))),
        (
            "text",
            texts(&[Some("the quick brown fox jumps over it"), Some("x\ny")]),
        ),
    ]);
    let wrapped = "\
┌────┬───────────────────┐
│ id │ text              │
├────┼───────────────────┤
│  1 │ the quick brown   │
│    │ fox jumps over it │
│  2 │ x                ↵│
│    │ y                 │
└────┴───────────────────┘
";
    let look = Look::default();
    let batches = [wide];
    assert_eq!(
        written_to(Format::Table, &look, terminal(26), &batches),
        wrapped
    );
    let look = Look {
        long_values: LongValues::Cut,
        ..Look::default()
    };
    let text = written_to(Format::Table, &look, terminal(26), &batches);
    assert!(text.contains("│  1 │ the quick brown … │"), "{text}");
    let look = Look {
        long_values: LongValues::Full,
        ..Look::default()
    };
    let text = written_to(Format::Table, &look, terminal(26), &batches);
    assert!(text.contains("fox jumps over it │"), "{text}");
}

#[test]
fn a_table_that_is_too_wide_becomes_vertical() {
    let columns = (0..12).map(|n| {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![1_000_000 + n, 5]));
        (format!("column_{n}"), values, true)
    });
    let wide = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let look = Look::default();
    let text = written_to(
        Format::Table,
        &look,
        terminal(60),
        std::slice::from_ref(&wide),
    );
    assert!(text.starts_with("-[ ROW 1 ]---"), "{text}");
    assert!(text.contains("column_11 | 1000011\n-[ ROW 2 ]"), "{text}");
    let text = written_to(Format::Table, &look, terminal(200), &[wide]);
    assert!(text.starts_with('┌'), "{text}");
}

#[test]
fn twenty_columns_are_enough() {
    let look = Look::default();
    for columns in [1, 5, 20] {
        for format in [Format::Table, Format::Vertical] {
            let text = written_to(format, &look, terminal(columns), &[people()]);
            assert!(
                text.contains("1") && text.contains('日'),
                "{columns}: {text}"
            );
        }
    }
    let vertical = "\
-[ ROW 1 ]----------
id   | 1
name | 日本
note | NULL
-[ ROW 2 ]----------
id   | 20
name | René
note | a \"b\", c\\d\\te
";
    assert_eq!(
        written_to(Format::Vertical, &look, terminal(20), &[people()]),
        vertical
    );
    let text = written_to(Format::Table, &look, terminal(20), &[people()]);
    assert!(text.lines().all(|line| super::width(line) <= 20), "{text}");
}

#[test]
fn null_and_digits_look_as_the_user_likes() {
    let values = batch(vec![
        (
            "n",
            Arc::new(Int64Array::from(vec![Some(-1_234_567), None])),
        ),
        ("t", texts(&[Some("NULL"), Some("1234")])),
    ]);
    let look = Look {
        null: "∅".to_owned(),
        group_digits: true,
        ..Look::default()
    };
    let expected = "\
+------------+------+
|          n | t    |
+------------+------+
| -1,234,567 | NULL |
|          ∅ | 1234 |
+------------+------+
";
    let batches = [values];
    let target = Target::default();
    assert_eq!(written_to(Format::Table, &look, target, &batches), expected);
    assert_eq!(
        written_to(Format::Csv, &look, target, &batches),
        "n,t\n-1234567,NULL\n,1234\n"
    );
    let colored = Target {
        color: true,
        ..terminal(80)
    };
    let text = written_to(Format::Table, &Look::default(), colored, &batches);
    assert!(
        text.contains("\x1b[2mNULL\x1b[0m") && text.contains("│ NULL │"),
        "{text}"
    );
}

#[test]
fn a_header_may_be_left_out() {
    let look = Look {
        header: false,
        ..Look::default()
    };
    let of = |format| written_to(format, &look, Target::default(), &[people()]);
    assert!(of(Format::Csv).starts_with("1,"));
    assert!(of(Format::Tsv).starts_with("1\t"));
    assert!(of(Format::Table).starts_with("+----+------+---------------+\n|  1 |"));
    assert!(!of(Format::Html).contains("<th>"));
    assert!(of(Format::Markdown).starts_with("|  |  |  |\n| ---: |"));
}

#[test]
fn a_text_of_several_lines_alone_has_no_borders() {
    let plan = batch(vec![("plan", texts(&[Some("Sort\n  Scan\n")]))]);
    let batches = [plan];
    let text = written_to(Format::Table, &Look::default(), terminal(80), &batches);
    assert_eq!(text, "Sort\n  Scan\n");
    assert!(written(Format::Table, false, &batches).starts_with('+'));
}

#[test]
fn ndjson_has_an_object_per_line() {
    let expected = "{\"id\":1,\"name\":\"日本\",\"note\":null}\n\
                    {\"id\":20,\"name\":\"René\",\"note\":\"a \\\"b\\\", c\\\\d\\te\"}\n";
    assert_eq!(written(Format::Ndjson, false, &[people()]), expected);
    assert_eq!(empty(Format::Ndjson), "");
}

#[test]
fn json_on_a_terminal_is_harmless_and_still_json() {
    let evil = batch(vec![("t", texts(&[Some("\u{9b}31m\u{202e}")]))]);
    assert_eq!(
        written(Format::Ndjson, true, &[evil]),
        "{\"t\":\"\\u009b31m\\u202e\"}\n"
    );
}

#[test]
fn markdown_and_html_take_no_value_for_markup() {
    let values = batch(vec![
        ("a|b", texts(&[Some("<b>&*x*\n|"), None])),
        ("n", Arc::new(Int32Array::from(vec![1, 2]))),
    ]);
    let markdown = "\
| a\\|b | n |
| --- | ---: |
| &lt;b>&amp;\\*x\\*<br>\\| | 1 |
| *NULL* | 2 |
";
    assert_eq!(
        written(Format::Markdown, false, std::slice::from_ref(&values)),
        markdown
    );
    let html = "\
<table>
<thead><tr><th>a|b</th><th>n</th></tr></thead>
<tbody>
<tr><td>&lt;b&gt;&amp;*x*<br>|</td><td style=\"text-align:right\">1</td></tr>
<tr><td><em>NULL</em></td><td style=\"text-align:right\">2</td></tr>
</tbody>
</table>
";
    assert_eq!(written(Format::Html, false, &[values]), html);
}

#[test]
fn files_for_programs_are_read_back() {
    let batches = [people(), people()];
    let look = Look::default();
    let arrow = bytes(Format::Arrow, &look, Target::default(), &batches);
    let reader = arrow::ipc::reader::FileReader::try_new(std::io::Cursor::new(arrow), None);
    let read: Vec<_> = reader.unwrap().map(Result::unwrap).collect();
    assert_eq!(read, batches);
    let parquet = bytes(Format::Parquet, &look, Target::default(), &batches);
    let parquet = bytes::Bytes::from(parquet);
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(parquet, 1024);
    let read: Vec<_> = reader.unwrap().map(Result::unwrap).collect();
    assert_eq!(read.iter().map(RecordBatch::num_rows).sum::<usize>(), 4);
    assert_eq!(
        read[0].column(1),
        &arrow::compute::concat(&[batches[0].column(1), batches[1].column(1)]).unwrap()
    );
    let none = bytes(
        Format::Parquet,
        &look,
        Target::default(),
        &[RecordBatch::new_empty(people().schema())],
    );
    assert!(none.ends_with(b"PAR1"));
}
