//! Managed tables whose columns change under their files, and files without statistics or footers.

use super::Evolving;
use skep_protocol::ErrorCode;
use skep_tests::session::rows;

#[tokio::test]
async fn a_managed_table_may_change_its_columns_under_its_files() {
    let mut test = Evolving::start().await;
    for sql in [
        "CREATE TABLE t (a INT, b STRING, c FLOAT, s STRUCT<x: INT>)",
        "INSERT INTO t SELECT 1, 'b1', 1.5, named_struct('x', 1)",
        "INSERT INTO t SELECT 2, '2', 2.5, NULL",
        "ALTER TABLE t CHANGE a a BIGINT",
        "INSERT INTO t SELECT 3000000000, 'b3', 3.5, named_struct('x', 3)",
        "ALTER TABLE t CHANGE c c DOUBLE",
        "ALTER TABLE t CHANGE s s STRUCT<y: STRING, x: BIGINT>",
        "ALTER TABLE t DROP COLUMN b",
        "ALTER TABLE t ADD COLUMNS (b INT)",
        "INSERT INTO t SELECT 4, 4.1, named_struct('y', 'four', 'x', 4000000000), 4",
        "ALTER TABLE t RENAME COLUMN a TO id",
        "ALTER TABLE t ADD COLUMNS (a STRING)",
        "INSERT INTO t SELECT 5, 5.5, NULL, NULL, 'five'",
    ] {
        test.run(sql).await;
    }
    let found = rows(&mut test.client, "SELECT * FROM t ORDER BY id").await;
    let expected = [
        ["1", "1.5", "{y: NULL, x: 1}", "NULL", "NULL"],
        ["2", "2.5", "NULL", "NULL", "NULL"],
        ["4", "4.1", "{y: four, x: 4000000000}", "4", "NULL"],
        ["5", "5.5", "NULL", "NULL", "five"],
        ["3000000000", "3.5", "{y: NULL, x: 3}", "NULL", "NULL"],
    ];
    assert_eq!(found, expected);
    test.run("CREATE TABLE plain AS SELECT * FROM t").await;
    let filters = [
        "id = 1",
        "id > 2147483647",
        "id < 3",
        "b IS NULL",
        "b = 4",
        "b = 2",
        "b IS NOT NULL",
        "a IS NULL",
        "a = 'five'",
        "a <> 'five'",
        "c > 2.5",
        "c = 4.1",
        "c = 1.5",
        "s IS NULL",
        "s.x = 1",
        "s.x > 3",
        "s.y IS NULL",
        "s.y = 'four'",
    ];
    test.assert_same("t", "plain", &filters).await;
    for (sql, part) in [
        ("ALTER TABLE t CHANGE id id INT", "cannot become"),
        (
            "ALTER TABLE t CHANGE s s STRUCT<x: BIGINT>",
            "cannot become",
        ),
        (
            "ALTER TABLE t CHANGE s s STRUCT<y: INT, x: BIGINT>",
            "cannot become",
        ),
        ("ALTER TABLE t CHANGE b b STRING", "cannot become"),
    ] {
        test.refused(sql, ErrorCode::InvalidArgument, part).await;
    }
}

/// NaN is larger than every number here, and no statistics speak of it.
#[tokio::test]
async fn numbers_that_are_none_are_found() {
    let mut test = Evolving::start().await;
    test.run("CREATE TABLE f (n INT, d DOUBLE, f FLOAT)").await;
    for values in [
        "(1, '1', '1'), (2, 'NaN', 'NaN')",
        "(3, '3', '3'), (4, '-0', '-0')",
        "(5, 'NaN', 'NaN'), (6, NULL, NULL)",
        "(7, 'Infinity', '-Infinity')",
    ] {
        test.run(&format!(
            "INSERT INTO f SELECT column1, CAST(column2 AS DOUBLE), CAST(column3 AS FLOAT) \
             FROM (VALUES {values}) v"
        ))
        .await;
    }
    for column in ["d", "f"] {
        for filter in [
            "> 2", "< 2", ">= 1", "<> 1", "= 'NaN'", "= 0", "<= 0", "IS NULL",
        ] {
            // Without statistics and pushed-down filters: what is right.
            let filter = format!("{column} {filter}");
            let plain = format!(
                "SELECT n FROM (SELECT n, {column} FROM f ORDER BY n LIMIT 1000) x \
                 WHERE {filter} ORDER BY n"
            );
            let expected = rows(&mut test.client, &plain).await;
            let sql = format!("SELECT n FROM f WHERE {filter} ORDER BY n");
            assert_eq!(rows(&mut test.client, &sql).await, expected, "{filter}");
        }
    }
}

#[tokio::test]
async fn formats_without_footers_keep_their_columns_apart_too() {
    let mut test = Evolving::start().await;
    for format in ["AVRO", "JSONFILE"] {
        for sql in [
            &format!("CREATE TABLE t (a INT, b STRING, c INT) STORED AS {format}"),
            "INSERT INTO t VALUES (1, 'b1', 10), (2, NULL, 20)",
            "ALTER TABLE t DROP COLUMN b",
            "ALTER TABLE t ADD COLUMNS (d STRING)",
            "ALTER TABLE t ADD COLUMNS (b INT)",
            "ALTER TABLE t CHANGE a id BIGINT",
            "INSERT INTO t VALUES (3000000000, 30, 'd3', 3)",
        ] {
            test.run(sql).await;
        }
        let found = rows(&mut test.client, "SELECT * FROM t ORDER BY id").await;
        let expected = [
            ["1", "10", "NULL", "NULL"],
            ["2", "20", "NULL", "NULL"],
            ["3000000000", "30", "d3", "3"],
        ];
        assert_eq!(found, expected, "{format}");
        test.run("CREATE TABLE plain AS SELECT * FROM t").await;
        let filters = [
            "id > 1",
            "c = 20",
            "d IS NULL",
            "d = 'd3'",
            "b IS NULL",
            "b = 3",
        ];
        test.assert_same("t", "plain", &filters).await;
        test.run("DROP TABLE t").await;
        test.run("DROP TABLE plain").await;
    }
    // Nothing in such files says which column is which.
    let csv = "ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'";
    for sql in [
        &format!("CREATE TABLE t (a INT, b STRING, c INT) {csv} STORED AS TEXTFILE"),
        "INSERT INTO t VALUES (1, 'b1', 10)",
        "ALTER TABLE t RENAME COLUMN a TO id",
        "ALTER TABLE t ADD COLUMNS (d STRING)",
    ] {
        test.run(sql).await;
    }
    for sql in [
        "ALTER TABLE t DROP COLUMN b",
        "ALTER TABLE t CHANGE c c INT FIRST",
        "ALTER TABLE t REPLACE COLUMNS (id INT, c INT)",
    ] {
        test.refused(sql, ErrorCode::Unsupported, "by their places")
            .await;
    }
    let found = rows(&mut test.client, "SELECT * FROM t").await;
    assert_eq!(found, [["1", "b1", "10", "NULL"]]);
}
