//! The tests of the module above, and those of partitions whose files are somebody else's.

use super::*;
use crate::catalog::test_catalog::{TestCatalog, assert_code, column, flat, spec};
use crate::catalog::{Comparison, NewExternalTable, NewPartition, PartitionCondition, TableChange};
use crate::model::{FileFormat, StorageOptions};
use crate::test_files::TestFiles;
use arrow::array::{ArrayRef, Int32Array, Int64Array};
use arrow::datatypes::DataType;
use skep_protocol::ErrorCode;
use std::collections::BTreeMap;

fn ints(values: &[i32]) -> ArrayRef {
    Arc::new(Int32Array::from(values.to_vec()))
}

fn external(files: &TestFiles) -> NewExternalTable {
    NewExternalTable {
        database: "default".to_owned(),
        name: "t".to_owned(),
        if_not_exists: false,
        format: FileFormat::Parquet,
        storage: StorageOptions::default(),
        location: files.location("t"),
        columns: Vec::new(),
        source_names: Default::default(),
        partition_columns: None,
        bucketing: None,
        properties: BTreeMap::new(),
        comment: None,
        owner: String::new(),
    }
}

async fn with_table(files: &TestFiles) -> TestCatalog {
    let test = TestCatalog::new().await;
    let created = test
        .catalog
        .create_external_table(external(files), &TestFiles::store())
        .await;
    assert!(created.unwrap());
    test
}

async fn layout(test: &TestCatalog) -> String {
    let layout = test.layout("t").await.into_iter();
    let parts: Vec<String> = layout
        .map(|(partition, files)| format!("{partition}: {}", files.join(" ")))
        .collect();
    parts.join("; ")
}

async fn repair(test: &TestCatalog, mode: RepairMode) -> RefreshSummary {
    test.catalog
        .repair_table("default", "t", mode, &TestFiles::store())
        .await
        .unwrap()
}

#[tokio::test]
async fn repairs_do_what_they_are_told_and_no_more() {
    let files = TestFiles::new();
    files.write("t/k=1/a", vec![("id", ints(&[1]))]);
    let gone = files.write("t/k=2/b", vec![("id", ints(&[2]))]);
    let test = with_table(&files).await;
    std::fs::remove_dir_all(gone.parent().unwrap()).unwrap();
    files.write("t/k=3/c", vec![("id", ints(&[3]))]);
    files.write("t/k=1/d", vec![("id", ints(&[4]))]);

    let added = repair(&test, RepairMode::Add).await;
    assert_eq!((added.partitions_added, added.partitions_removed), (1, 0));
    assert_eq!(layout(&test).await, "1: a d; 2: ; 3: c");
    files.write("t/k=4/e", vec![("id", ints(&[5]))]);
    let dropped = repair(&test, RepairMode::Drop).await;
    assert_eq!(
        (dropped.partitions_added, dropped.partitions_removed),
        (0, 1)
    );
    assert_eq!(layout(&test).await, "1: a d; 3: c");
    repair(&test, RepairMode::Sync).await;
    assert_eq!(layout(&test).await, "1: a d; 3: c; 4: e");
    let nothing = repair(&test, RepairMode::Sync).await;
    assert_eq!(nothing, RefreshSummary::default());
}

#[tokio::test]
async fn partitions_bring_the_files_that_lie_in_them() {
    let files = TestFiles::new();
    files.write("t/k=1/a", vec![("id", ints(&[1]))]);
    files.write("t/k=2/b", vec![("id", ints(&[2]))]);
    files.write("elsewhere/c", vec![("id", ints(&[3, 4]))]);
    files.write("t/odd/d", vec![("id", ints(&[5]))]);
    let test = TestCatalog::new().await;
    let declared = NewExternalTable {
        columns: vec![column("id", DataType::Int32)],
        partition_columns: Some(vec![crate::catalog::PartitionColumnSpec {
            name: "k".to_owned(),
            data_type: Some(DataType::Int32),
            sql_type: None,
            comment: None,
        }]),
        location: files.location("nothing/"),
        ..external(&files)
    };
    let catalog = &test.catalog;
    let store = TestFiles::store();
    std::fs::create_dir(files.path().join("nothing")).unwrap();
    catalog
        .create_external_table(declared, &store)
        .await
        .unwrap();
    // An empty table of which the partitions are yet to come.
    assert_eq!(layout(&test).await, "");
    let new = |value: &str, location: &str| NewPartition {
        values: spec(&[("K", Some(value))]),
        location: Some(files.location(location)),
    };
    let added = catalog
        .add_partitions(
            "default",
            "t",
            &[
                new("1", "t/k=1"),
                new("9", "elsewhere/"),
                new("8", "t/odd"),
                new("7", "missing"),
            ],
            false,
            &store,
        )
        .await
        .unwrap();
    assert_eq!(added, 4);
    assert_eq!(layout(&test).await, "1: a; 7: ; 8: d; 9: c");
    assert_eq!(test.files("t").await.rows(), Some(4));
    let again = [new("01", "t/k=1")];
    assert_code(
        catalog
            .add_partitions("default", "t", &again, false, &store)
            .await,
        ErrorCode::AlreadyExists,
    );
    let added = catalog
        .add_partitions("default", "t", &again, true, &store)
        .await
        .unwrap();
    assert_eq!(added, 0);

    // A repair finds them again, wherever they lie, and keeps what the catalog says of them.
    catalog
        .rename_partition(
            "default",
            "t",
            &spec(&[("k", Some("8"))]),
            &spec(&[("k", Some("80"))]),
        )
        .await
        .unwrap();
    files.write("elsewhere/e", vec![("id", ints(&[6]))]);
    repair(&test, RepairMode::Sync).await;
    assert_eq!(layout(&test).await, "1: a; 80: d; 9: c e");

    catalog
        .set_partition_location(
            "default",
            "t",
            &spec(&[("k", Some("1"))]),
            &files.location("t/k=2"),
            &store,
        )
        .await
        .unwrap();
    assert_eq!(layout(&test).await, "1: b; 80: d; 9: c e");
    let nine = PartitionCondition {
        column: "k".to_owned(),
        comparison: Comparison::LessOrEqual,
        value: Some("9".to_owned()),
    };
    catalog
        .drop_partitions("default", "t", &[vec![nine]], false)
        .await
        .unwrap();
    assert_eq!(layout(&test).await, "80: d");
    assert!(files.path().join("elsewhere/c").exists());
}

#[tokio::test]
async fn a_table_that_lies_elsewhere_has_the_files_that_are_there() {
    let files = TestFiles::new();
    files.write("t/a", vec![("id", ints(&[1]))]);
    files.write("new/b", vec![("id", ints(&[2, 3]))]);
    let test = with_table(&files).await;
    test.catalog
        .set_table_location("default", "t", &files.location("new"), &TestFiles::store())
        .await
        .unwrap();
    let found = test.files("t").await;
    assert_eq!((found.files.len(), found.rows()), (1, Some(2)));
    assert_eq!(test.table("t").definition.location, files.location("new/"));
}

#[tokio::test]
async fn files_of_other_shapes_read_as_the_table_says() {
    let files = TestFiles::new();
    files.write("t/a", vec![("Id", ints(&[1])), ("b", ints(&[1]))]);
    // Reordered, wider, and with one more and one less.
    let wide: ArrayRef = Arc::new(Int64Array::from(vec![1_i64 << 40]));
    files.write("t/b", vec![("more", ints(&[7])), ("Id", wide)]);
    let test = with_table(&files).await;
    let columns = test.table("t").definition.columns.clone();
    let shape: Vec<_> = columns
        .iter()
        .map(|column| (&*column.name, &column.data_type, column.nullable))
        .collect();
    let expected = [
        ("id", &DataType::Int64, false),
        ("b", &DataType::Int32, true),
        ("more", &DataType::Int32, true),
    ];
    assert_eq!(shape, expected);

    // A column that the user renamed is still found in files under its old name.
    let rename = TableChange::RenameColumn {
        name: "b".to_owned(),
        to: "c".to_owned(),
    };
    test.catalog
        .alter_table("default", "t", rename)
        .await
        .unwrap();
    files.write("t/c", vec![("b", ints(&[5])), ("Id", ints(&[2]))]);
    repair(&test, RepairMode::Sync).await;
    assert_eq!(test.columns("t"), ["id", "c", "more"]);
    let found = test.files("t").await;
    let bounds = found.files[2].bounds_of(columns[1].id).unwrap();
    assert_eq!(bounds.min, Some(crate::model::BoundValue::Int(5)));

    // Since then the columns are the user's: a file may have others, but not wider ones.
    files.write("t/d", vec![("surplus", ints(&[5]))]);
    repair(&test, RepairMode::Sync).await;
    assert_eq!(test.columns("t"), ["id", "c", "more"]);
    let wide: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    files.write("t/e", vec![("more", wide)]);
    let refused = test
        .catalog
        .refresh_table("default", "t", &TestFiles::store())
        .await;
    let message = assert_code(refused, ErrorCode::DataCorrupt);
    assert!(
        message.contains("t/e") && message.contains("'more'"),
        "{message}"
    );
}

#[tokio::test]
async fn formats_without_footers_leave_rows_unknown() {
    let files = TestFiles::new();
    std::fs::create_dir_all(files.path().join("t/k=1")).unwrap();
    std::fs::write(files.path().join("t/k=1/a.csv"), "1\n2\n").unwrap();
    let test = TestCatalog::new().await;
    let csv = |columns| NewExternalTable {
        format: FileFormat::Csv,
        columns,
        ..external(&files)
    };
    let store = TestFiles::store();
    let refused = test
        .catalog
        .create_external_table(csv(Vec::new()), &store)
        .await;
    let message = assert_code(refused, ErrorCode::InvalidArgument);
    assert!(message.contains("list the table's columns"), "{message}");
    test.catalog
        .create_external_table(csv(vec![column("id", DataType::Int32)]), &store)
        .await
        .unwrap();
    let found = test.files("t").await;
    assert_eq!(found.rows(), None);
    assert_eq!((found.size_bytes(), found.partitions.len()), (4, 1));
    assert_eq!(found.files[0].bounds.iter().count(), 0);
}

#[tokio::test]
async fn nobody_lies_where_the_catalog_owns_the_files() {
    let files = TestFiles::new();
    files.write("outer/t/a", vec![("id", ints(&[1]))]);
    let test = TestCatalog::new().await;
    let catalog = &test.catalog;
    let store = TestFiles::store();
    let managed = crate::catalog::NewManagedTable {
        location: Some(files.location("outer/managed")),
        ..flat("m")
    };
    test.create(managed).await;
    for place in ["outer", "outer/managed", "outer/managed/below"] {
        let inside = NewExternalTable {
            location: files.location(place),
            ..external(&files)
        };
        let refused = catalog.create_external_table(inside, &store).await;
        let message = assert_code(refused, ErrorCode::InvalidState);
        assert!(message.contains("'default.m'"), "{message}");
        let inside = crate::catalog::NewManagedTable {
            location: Some(files.location(place)),
            ..flat("n")
        };
        let refused = catalog.create_managed_table(inside).await;
        assert_code(refused, ErrorCode::InvalidState);
    }
    let beside = NewExternalTable {
        location: files.location("outer/t"),
        ..external(&files)
    };
    catalog.create_external_table(beside, &store).await.unwrap();
    let moved = catalog
        .set_table_location("default", "t", &files.location("outer"), &store)
        .await;
    assert_code(moved, ErrorCode::InvalidState);
    for refused in [
        catalog
            .refresh_table("default", "m", &store)
            .await
            .map(|_| ()),
        catalog.truncate_table("default", "t", None).await,
    ] {
        assert_code(refused, ErrorCode::InvalidState);
    }
}
