//! Files whose columns are not quite those of their table: each is read as the table says, whatever
//! filters are pushed down to it, or refused.
//!
//! What a table of such files returns is compared with a table of the same rows that Skep has written
//! with the final columns: for every filter both must have the same rows.

mod managed;

use arrow::datatypes::{DataType, Field, Fields, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use skep_client::Client;
use skep_protocol::ErrorCode;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::session::{error, rows, value};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// Rows of a row group: small, so that pruning within files has something to do.
const GROUP_ROWS: usize = 4;

struct Evolving {
    cluster: Cluster,
    client: Client,
    data: TempDir,
}

impl Evolving {
    async fn start() -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let cluster = Cluster::start(Setup::standalone().with_root(data.path())).await;
        let mut client = cluster.connect().await;
        rows(&mut client, "SET skep.scan_partition_bytes = 1").await;
        Self {
            cluster,
            client,
            data,
        }
    }

    async fn run(&mut self, sql: &str) {
        rows(&mut self.client, sql).await;
    }

    /// Writes a file with rows that are given as JSON objects, one per line.
    fn write(&self, path: &str, fields: Vec<Field>, lines: &str) {
        write_parquet(&self.data.path().join(path), fields, lines);
    }

    fn location(&self, directory: &str) -> String {
        self.data.path().join(directory).display().to_string()
    }

    /// Both tables have the same rows for every filter.
    async fn assert_same(&mut self, left: &str, right: &str, filters: &[&str]) {
        for filter in filters {
            let mut found = Vec::new();
            for table in [left, right] {
                let sql = format!("SELECT * FROM {table} WHERE {filter}");
                let mut all = rows(&mut self.client, &sql).await;
                let sql = format!("SELECT count(*) FROM {table} WHERE {filter}");
                let count = value(&mut self.client, &sql).await;
                assert_eq!(count, all.len().to_string(), "{sql}");
                all.sort();
                found.push(all);
            }
            assert_eq!(found[0], found[1], "{left} and {right} WHERE {filter}");
        }
    }

    async fn refused(&mut self, sql: &str, code: ErrorCode, part: &str) {
        let failed = error(&mut self.client, sql).await;
        assert_eq!(failed.code, code, "{sql}: {failed}");
        assert!(failed.message.contains(part), "{sql}: {failed}");
    }
}

fn write_parquet(path: &Path, fields: Vec<Field>, lines: &str) {
    let schema = Arc::new(Schema::new(fields));
    let mut reader = arrow::json::ReaderBuilder::new(Arc::clone(&schema))
        .build(std::io::Cursor::new(lines.to_owned()))
        .expect("a reader of JSON");
    std::fs::create_dir_all(path.parent().expect("a directory")).expect("created");
    let file = File::create(path).expect("a file");
    let properties = WriterProperties::builder()
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_data_page_row_count_limit(2)
        .set_write_batch_size(2)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .build();
    let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).expect("a writer");
    for batch in &mut reader {
        writer.write(&batch.expect("rows")).expect("written");
    }
    writer.close().expect("written");
}

fn field(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn structure(fields: Vec<Field>) -> DataType {
    DataType::Struct(Fields::from(fields))
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("element", item, true)))
}

fn map(value: DataType) -> DataType {
    let entries = structure(vec![
        Field::new("key", DataType::Utf8, false),
        field("value", value),
    ]);
    DataType::Map(Arc::new(Field::new("key_value", entries, false)), false)
}

#[tokio::test]
async fn columns_that_are_missing_reordered_or_narrower_are_read_as_the_table_says() {
    let mut test = Evolving::start().await;
    let old = vec![
        field("id", DataType::Int32),
        field("price", DataType::Float32),
        field("amount", DataType::Decimal128(9, 2)),
        field("extra", DataType::Utf8),
        field("tiny", DataType::Int8),
    ];
    let lines = (0..12).map(|n| {
        let price = if n % 5 == 0 { "null".to_owned() } else { format!("{n}.5") };
        format!(
            "{{\"id\": {n}, \"price\": {price}, \"amount\": \"{n}.25\", \"extra\": \"e{n}\", \"tiny\": {}}}",
            n - 6
        )
    });
    test.write("t/old.parquet", old, &lines.collect::<Vec<_>>().join("\n"));
    let new = vec![
        field("tiny", DataType::Int64),
        field("name", DataType::Utf8),
        field("amount", DataType::Decimal128(20, 2)),
        field("id", DataType::Int64),
    ];
    let lines = (10..22).map(|n| {
        let name = if n % 4 == 0 {
            "null".to_owned()
        } else {
            format!("\"n{n}\"")
        };
        format!(
            "{{\"tiny\": {}, \"name\": {name}, \"amount\": \"{}.25\", \"id\": {}}}",
            n * 100_000_000_000_i64,
            n * 1_000_000_000_000_i64,
            n * 1_000_000_000_i64
        )
    });
    test.write("t/new.parquet", new, &lines.collect::<Vec<_>>().join("\n"));
    test.run(&format!(
        "CREATE EXTERNAL TABLE t (id BIGINT, name STRING, price DOUBLE, amount DECIMAL(20,2), \
         tiny BIGINT, nowhere DATE) STORED AS PARQUET LOCATION '{}'",
        test.location("t")
    ))
    .await;
    let old_rows = (0..12).map(|n| {
        let price = if n % 5 == 0 {
            "NULL".to_owned()
        } else {
            format!("{n}.5")
        };
        format!("({n}, NULL, {price}, {n}.25, {}, NULL)", n - 6)
    });
    let new_rows = (10..22).map(|n| {
        let name = if n % 4 == 0 {
            "NULL".to_owned()
        } else {
            format!("'n{n}'")
        };
        format!(
            "({}, {name}, NULL, {}.25, {}, NULL)",
            n * 1_000_000_000_i64,
            n * 1_000_000_000_000_i64,
            n * 100_000_000_000_i64
        )
    });
    test.run(
        "CREATE TABLE plain (id BIGINT, name STRING, price DOUBLE, amount DECIMAL(20,2), \
         tiny BIGINT, nowhere DATE)",
    )
    .await;
    let all: Vec<String> = old_rows.chain(new_rows).collect();
    test.run(&format!("INSERT INTO plain VALUES {}", all.join(", ")))
        .await;
    let filters = [
        "true",
        "id = 7",
        "id > 5 AND id < 9",
        "id = 11000000000",
        "id > 3000000000",
        "id < -3000000000",
        "id IN (3, 12000000000, 4)",
        "id NOT IN (3, 4)",
        "id <> 5000000000",
        "id + 1 = 8",
        "name IS NULL",
        "name IS NOT NULL",
        "name = 'n13'",
        "name <> 'n13'",
        "name IS DISTINCT FROM 'n13'",
        "name LIKE 'n1%'",
        "coalesce(name, 'none') = 'none'",
        "price IS NULL",
        "price > 3",
        "price = 7.5",
        "price IS NOT NULL AND id > 100",
        "amount = 5.25",
        "amount > 99999999.99",
        "amount < 3",
        "tiny < -2",
        "tiny = 1100000000000",
        "tiny > 127",
        "nowhere IS NULL",
        "nowhere IS NOT NULL",
        "nowhere = DATE '2024-01-01'",
        "nowhere IS NULL AND id = 3",
        "nowhere IS NOT NULL OR id = 3",
        "NOT (nowhere > DATE '2024-01-01')",
    ];
    test.assert_same("t", "plain", &filters).await;
    let plan = "EXPLAIN SELECT * FROM t WHERE id > 3000000000";
    let plan = rows(&mut test.client, plan).await;
    assert!(plan[0][1].contains("1 of 2 files"), "{plan:?}");
}

#[tokio::test]
async fn structures_are_read_by_the_names_of_their_fields() {
    let mut test = Evolving::start().await;
    let old = vec![
        field("id", DataType::Int32),
        field(
            "s",
            structure(vec![
                field("y", DataType::Utf8),
                field("x", DataType::Int32),
            ]),
        ),
        field("l", list(structure(vec![field("b", DataType::Int32)]))),
        field("m", map(DataType::Int32)),
    ];
    let lines = [
        r#"{"id": 1, "s": {"y": "one", "x": 10}, "l": [{"b": 1}, null], "m": {"k": 1}}"#,
        r#"{"id": 2, "s": {"y": null, "x": 20}, "l": [], "m": {}}"#,
        r#"{"id": 3, "s": null, "l": null, "m": null}"#,
        r#"{"id": 4, "s": {"y": "four", "x": null}, "l": [{"b": null}], "m": {"k": null}}"#,
        r#"{"id": 5, "s": {"y": "five", "x": 50}, "l": [{"b": 5}], "m": {"j": 5, "k": 6}}"#,
    ];
    test.write("n/old.parquet", old, &lines.join("\n"));
    let inner = structure(vec![field("z", DataType::Int64)]);
    let new = vec![
        field("m", map(DataType::Int64)),
        field(
            "s",
            structure(vec![
                field("x", DataType::Int64),
                field("inner", inner),
                field("y", DataType::Utf8),
            ]),
        ),
        field(
            "l",
            list(structure(vec![
                field("a", DataType::Utf8),
                field("b", DataType::Int64),
            ])),
        ),
        field("id", DataType::Int32),
    ];
    let lines = [
        r#"{"id": 6, "s": {"x": 6000000000, "inner": {"z": 1}, "y": "six"}, "l": [{"a": "a", "b": 6000000000}], "m": {"k": 6000000000}}"#,
        r#"{"id": 7, "s": {"x": 70, "inner": null, "y": "seven"}, "l": null, "m": {"k": 7}}"#,
        r#"{"id": 8, "s": null, "l": [null], "m": null}"#,
    ];
    test.write("n/new.parquet", new, &lines.join("\n"));
    let columns = "id INT, s STRUCT<x: BIGINT, y: STRING, inner: STRUCT<z: BIGINT>>, \
                   l ARRAY<STRUCT<a: STRING, b: BIGINT>>, m MAP<STRING, BIGINT>";
    let location = test.location("n");
    test.run(&format!(
        "CREATE EXTERNAL TABLE n ({columns}) STORED AS PARQUET LOCATION '{location}'"
    ))
    .await;
    let found = rows(&mut test.client, "SELECT * FROM n ORDER BY id").await;
    let expected = [
        [
            "1",
            "{x: 10, y: one, inner: NULL}",
            "[{a: NULL, b: 1}, NULL]",
            "{k: 1}",
        ],
        ["2", "{x: 20, y: NULL, inner: NULL}", "[]", "{}"],
        ["3", "NULL", "NULL", "NULL"],
        [
            "4",
            "{x: NULL, y: four, inner: NULL}",
            "[{a: NULL, b: NULL}]",
            "{k: NULL}",
        ],
        [
            "5",
            "{x: 50, y: five, inner: NULL}",
            "[{a: NULL, b: 5}]",
            "{j: 5, k: 6}",
        ],
        [
            "6",
            "{x: 6000000000, y: six, inner: {z: 1}}",
            "[{a: a, b: 6000000000}]",
            "{k: 6000000000}",
        ],
        ["7", "{x: 70, y: seven, inner: NULL}", "NULL", "{k: 7}"],
        ["8", "NULL", "[NULL]", "NULL"],
    ];
    assert_eq!(found, expected);
    for (filter, ids) in [
        ("s.x = 20", "2"),
        ("s.x > 15", "2,5,6,7"),
        ("s.x > 3000000000", "6"),
        ("s.y = 'five'", "5"),
        ("s.y IS NULL", "2,3,8"),
        ("s.inner.z IS NULL", "1,2,3,4,5,7,8"),
        ("s.inner.z = 1", "6"),
        ("s.inner IS NOT NULL", "6"),
        ("s IS NULL", "3,8"),
        ("l IS NULL", "3,7"),
        ("l[1]['b'] = 5", "5"),
        ("l[1]['a'] IS NULL", "1,2,3,4,5,7,8"),
        ("m['k'] > 5", "5,6,7"),
        ("m IS NULL", "3,8"),
    ] {
        let sql = format!("SELECT id FROM n WHERE {filter} ORDER BY id");
        let found = rows(&mut test.client, &sql).await;
        let found: Vec<String> = found.into_iter().flatten().collect();
        assert_eq!(found.join(","), ids, "{filter}");
    }
    // The same without a declaration: the columns are what the files have together.
    test.run(&format!(
        "CREATE EXTERNAL TABLE inferred STORED AS PARQUET LOCATION '{location}'"
    ))
    .await;
    let sql = "SELECT id, s.x, s.y, s.inner.z, l[1]['a'], l[1]['b'], m['k'] FROM";
    let declared = rows(&mut test.client, &format!("{sql} n ORDER BY id")).await;
    let inferred = rows(&mut test.client, &format!("{sql} inferred ORDER BY id")).await;
    assert_eq!(inferred, declared);
}

#[tokio::test]
async fn what_cannot_be_read_as_the_table_says_is_refused() {
    let mut test = Evolving::start().await;
    let cases: Vec<(&str, Field, &str, &str)> = vec![
        ("wide", field("a", DataType::Int64), "5", "a INT"),
        ("text", field("a", DataType::Utf8), "\"5\"", "a INT"),
        (
            "scale",
            field("a", DataType::Decimal128(9, 3)),
            "\"5.125\"",
            "a DECIMAL(9,2)",
        ),
        (
            "date",
            field("a", DataType::Date32),
            "\"2024-01-01\"",
            "a TIMESTAMP",
        ),
        (
            "other_fields",
            field(
                "a",
                structure(vec![
                    field("p", DataType::Int32),
                    field("q", DataType::Int32),
                ]),
            ),
            "{\"p\": 1, \"q\": 2}",
            "a STRUCT<x: INT, y: INT>",
        ),
        (
            "field_case",
            field(
                "a",
                structure(vec![
                    field("x", DataType::Int32),
                    field("Y", DataType::Int32),
                ]),
            ),
            "{\"x\": 1, \"Y\": 2}",
            "a STRUCT<x: INT, y: INT>",
        ),
        (
            "field_type",
            field("a", structure(vec![field("x", DataType::Utf8)])),
            "{\"x\": \"1\"}",
            "a STRUCT<x: INT>",
        ),
        (
            "map_of_structures",
            field(
                "a",
                map(structure(vec![
                    field("y", DataType::Int32),
                    field("x", DataType::Int32),
                ])),
            ),
            "{\"k\": {\"y\": 2, \"x\": 1}}",
            "a MAP<STRING, STRUCT<x: INT, y: INT>>",
        ),
    ];
    for (name, column, json, declared) in cases {
        let line = format!("{{\"{}\": {json}}}", column.name());
        test.write(&format!("{name}/f.parquet"), vec![column], &line);
        let location = test.location(name);
        if name != "case" {
            let sql = format!(
                "CREATE EXTERNAL TABLE {name} ({declared}) STORED AS PARQUET LOCATION '{location}'"
            );
            test.refused(&sql, ErrorCode::DataCorrupt, "f.parquet")
                .await;
        }
        // Nor does it become part of a table that is there.
        test.run(&format!(
            "CREATE TABLE {name} ({declared}) STORED AS PARQUET"
        ))
        .await;
        let sql = format!("LOAD DATA LOCAL INPATH '{location}' INTO TABLE {name}");
        test.refused(&sql, ErrorCode::DataCorrupt, ".parquet").await;
        let count = value(&mut test.client, &format!("SELECT count(*) FROM {name}")).await;
        assert_eq!(count, "0");
    }
    test.cluster.wait_for_active(1).await;
}

#[tokio::test]
async fn partition_columns_that_are_in_the_files_too_are_those_of_the_directories() {
    let mut test = Evolving::start().await;
    for (directory, inside) in [("k=1", 100), ("k=2", 200), ("k=3", 1)] {
        let lines = format!("{{\"a\": 1, \"k\": {inside}}}\n{{\"a\": 2, \"k\": {inside}}}");
        let fields = vec![field("a", DataType::Int32), field("k", DataType::Int32)];
        test.write(&format!("p/{directory}/f.parquet"), fields, &lines);
    }
    let location = test.location("p");
    for (name, columns) in [
        ("inferred", String::new()),
        ("declared", "(a INT) PARTITIONED BY (k INT)".to_owned()),
    ] {
        test.run(&format!(
            "CREATE EXTERNAL TABLE {name} {columns} STORED AS PARQUET LOCATION '{location}'"
        ))
        .await;
        for (filter, expected) in [
            ("true", "1/1,1/2,1/3,2/1,2/2,2/3"),
            ("k = 1", "1/1,2/1"),
            ("k = 100", ""),
            ("k > 1 AND a = 2", "2/2,2/3"),
            ("k = 2 OR a = 1", "1/1,1/2,1/3,2/2"),
            ("a + k = 4", "1/3,2/2"),
        ] {
            let sql = format!("SELECT a, k FROM {name} WHERE {filter} ORDER BY a, k");
            let found = rows(&mut test.client, &sql).await;
            let found: Vec<String> = found.iter().map(|row| row.join("/")).collect();
            assert_eq!(found.join(","), expected, "{sql}");
        }
    }
}
