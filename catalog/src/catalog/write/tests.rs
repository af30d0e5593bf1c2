//! The tests of the module above.

use super::*;
use crate::catalog::TableChange;
use crate::catalog::test_catalog::{
    TestCatalog, assert_code, column, flat, new_file, partitioned, spec, write,
};
use arrow::datatypes::DataType;
use skep_protocol::ErrorCode;

fn values(values: &[Option<&str>]) -> Vec<Option<String>> {
    values
        .iter()
        .map(|value| value.map(str::to_owned))
        .collect()
}

async fn layout(test: &TestCatalog) -> String {
    let layout = test.layout("t").await.into_iter();
    let parts: Vec<String> = layout
        .map(|(partition, files)| format!("{partition}: {}", files.join(" ")))
        .collect();
    parts.join("; ")
}

#[tokio::test]
async fn appends_create_the_partitions_that_they_need() {
    let test = TestCatalog::new().await;
    let table = test.create(partitioned("t")).await;
    let files = vec![
        new_file("b", &[Some("x/y=z%"), Some("01")]),
        new_file("a", &[None, None]),
        new_file("c", &[Some("two words ü"), Some("2")]),
        new_file("d", &[Some("x/y=z%"), Some("1")]),
    ];
    let done = test
        .catalog
        .commit_write(&write(&table, WriteMode::Append, files))
        .await
        .unwrap();
    assert_eq!((done.tables[0].files, done.tables[0].partitions), (4, 3));
    assert_eq!(done.version, Some(test.catalog.snapshot().version()));
    assert_eq!(
        layout(&test).await,
        "NULL/NULL: a; two words ü/2: c; x/y=z%/1: b d"
    );
    let found = test.files("t").await;
    let directories: Vec<&str> = found
        .partitions
        .iter()
        .map(|partition| partition.location.key().split_once("/t/").unwrap().1)
        .collect();
    assert_eq!(
        directories,
        [
            "ds=x%2Fy%3Dz%25/hr=1",
            "ds=__HIVE_DEFAULT_PARTITION__/hr=__HIVE_DEFAULT_PARTITION__",
            "ds=two words ü/hr=2"
        ]
    );
    assert_eq!(found.rows(), Some(40));
    let wrong = vec![new_file("e", &[Some("x"), Some("noon")])];
    let message = assert_code(
        test.catalog
            .commit_write(&write(&table, WriteMode::Append, wrong))
            .await,
        ErrorCode::InvalidArgument,
    );
    assert!(
        message.contains("'noon'") && message.contains("'hr'"),
        "{message}"
    );
}

#[tokio::test]
async fn an_append_bears_with_other_appends() {
    let test = TestCatalog::new().await;
    let planned = test.create(partitioned("t")).await;
    for name in ["a", "b"] {
        // Both were planned on the same version.
        let files = vec![new_file(name, &[Some("d"), Some("1")])];
        test.catalog
            .commit_write(&write(&planned, WriteMode::Append, files))
            .await
            .unwrap();
    }
    assert_eq!(layout(&test).await, "d/1: a b");
}

#[tokio::test]
async fn overwriting_takes_what_it_names() {
    let test = TestCatalog::new().await;
    let table = test.create(partitioned("t")).await;
    let in_hour = |name: &str, hour: &str| new_file(name, &[Some("d"), Some(hour)]);
    let commit = async |mode, files| {
        test.catalog
            .commit_write(&write(&table, mode, files))
            .await
            .unwrap()
    };
    commit(
        WriteMode::Append,
        vec![in_hour("a", "1"), in_hour("b", "2"), in_hour("c", "3")],
    )
    .await;
    commit(
        WriteMode::OverwriteDynamic,
        vec![in_hour("d", "2"), in_hour("e", "4")],
    )
    .await;
    assert_eq!(layout(&test).await, "d/1: a; d/2: d; d/3: c; d/4: e");
    let named = |hours: &[&str], if_not_exists| WriteMode::OverwritePartitions {
        partitions: hours
            .iter()
            .map(|hour| values(&[Some("d"), Some(hour)]))
            .collect(),
        if_not_exists,
    };
    commit(named(&["1", "5"], false), Vec::new()).await;
    assert_eq!(layout(&test).await, "d/1: ; d/2: d; d/3: c; d/4: e; d/5: ");
    let done = commit(named(&["3"], true), vec![in_hour("x", "3")]).await;
    assert!(done.tables[0].skipped && done.version.is_none());
    commit(named(&["6"], true), vec![in_hour("f", "6")]).await;
    let before = test.catalog.snapshot();
    commit(WriteMode::OverwriteTable, vec![in_hour("g", "1")]).await;
    assert_eq!(layout(&test).await, "d/1: g");
    // Whoever reads the old version goes on reading it.
    let old = before.table("default", "t").unwrap();
    assert_eq!(before.table_files(old).await.unwrap().files.len(), 4);
}

#[tokio::test]
async fn a_table_that_is_no_longer_what_it_was_is_not_written() {
    let test = TestCatalog::new().await;
    let catalog = &test.catalog;
    let planned = test.create(flat("t")).await;
    let overwrite = || {
        write(
            &planned,
            WriteMode::OverwriteTable,
            vec![new_file("a", &[])],
        )
    };

    let properties = TableChange::SetComment(Some("no matter".to_owned()));
    catalog
        .alter_table("default", "t", properties)
        .await
        .unwrap();
    catalog.commit_write(&overwrite()).await.unwrap();

    let mut own_rows = overwrite();
    own_rows.tables[0].reads_target = true;
    let message = assert_code(
        catalog.commit_write(&own_rows).await,
        ErrorCode::WriteConflict,
    );
    assert!(message.contains("'t' was changed"), "{message}");

    let add = TableChange::AddColumns(vec![column("more", DataType::Utf8)]);
    catalog.alter_table("default", "t", add).await.unwrap();
    assert_code(
        catalog.commit_write(&overwrite()).await,
        ErrorCode::WriteConflict,
    );

    let planned = test.table("t");
    catalog.drop_table("default", "t", false).await.unwrap();
    test.create(flat("t")).await;
    let late = write(&planned, WriteMode::Append, vec![new_file("b", &[])]);
    let message = assert_code(catalog.commit_write(&late).await, ErrorCode::WriteConflict);
    assert!(message.contains("was dropped or replaced"), "{message}");
    assert_eq!(test.files("t").await.files, []);
}

#[tokio::test]
async fn a_table_and_its_first_rows_come_together() {
    let test = TestCatalog::new().await;
    let catalog = &test.catalog;
    let planned = catalog
        .plan_managed_table(&partitioned("t"))
        .await
        .unwrap()
        .unwrap();
    assert!(catalog.snapshot().table("default", "t").is_err());
    let create = |if_not_exists| WriteCommit {
        tables: vec![TableWrite {
            target: WriteTarget::New {
                definition: Box::new(planned.clone()),
                if_not_exists,
                replaces: None,
            },
            mode: WriteMode::Append,
            files: vec![new_file("a", &[Some("d"), Some("1")])],
            reads_target: false,
        }],
    };
    catalog.commit_write(&create(false)).await.unwrap();
    assert_eq!(layout(&test).await, "d/1: a");
    assert_code(
        catalog.commit_write(&create(false)).await,
        ErrorCode::AlreadyExists,
    );
    let done = catalog.commit_write(&create(true)).await.unwrap();
    assert!(done.tables[0].skipped);
    let new = crate::catalog::NewManagedTable {
        if_not_exists: true,
        ..partitioned("T")
    };
    assert_eq!(catalog.plan_managed_table(&new).await.unwrap(), None);
}

#[tokio::test]
async fn a_table_gives_way_to_another_in_one_version() {
    let test = TestCatalog::new().await;
    let catalog = &test.catalog;
    catalog
        .create_managed_table(partitioned("t"))
        .await
        .unwrap();
    let old = catalog.snapshot().table("default", "t").unwrap().id;
    let planned = catalog
        .plan_replacing_table(&partitioned("t"), Some(old))
        .await
        .unwrap();
    let replace = WriteCommit {
        tables: vec![TableWrite {
            target: WriteTarget::New {
                definition: Box::new(planned),
                if_not_exists: false,
                replaces: Some(old),
            },
            mode: WriteMode::Append,
            files: vec![new_file("a", &[Some("d"), Some("1")])],
            reads_target: false,
        }],
    };
    let before = catalog.snapshot();
    let done = catalog.commit_write(&replace).await.unwrap();
    assert_eq!(done.version.unwrap().0, before.version().0 + 1);
    let now = catalog.snapshot();
    assert_ne!(now.table("default", "t").unwrap().id, old);
    assert!(before.table("default", "t").unwrap().id == old);
    assert_eq!(layout(&test).await, "d/1: a");
    // The table that was to go has gone already.
    assert_code(
        catalog.commit_write(&replace).await,
        ErrorCode::WriteConflict,
    );
    assert_code(
        catalog.plan_replacing_table(&partitioned("t"), None).await,
        ErrorCode::AlreadyExists,
    );
}

#[tokio::test]
async fn several_tables_are_written_at_once_or_not_at_all() {
    let test = TestCatalog::new().await;
    let catalog = &test.catalog;
    let one = test.create(flat("t")).await;
    let two = test.create(flat("u")).await;
    let both = |name: &str| WriteCommit {
        tables: [&one, &two]
            .into_iter()
            .flat_map(|table| write(table, WriteMode::Append, vec![new_file(name, &[])]).tables)
            .collect(),
    };
    let before = catalog.snapshot().version();
    catalog.commit_write(&both("a")).await.unwrap();
    assert_eq!(catalog.snapshot().version().0, before.0 + 1);
    assert_eq!(test.files("u").await.files.len(), 1);
    catalog.drop_table("default", "u", false).await.unwrap();
    assert_code(
        catalog.commit_write(&both("b")).await,
        ErrorCode::WriteConflict,
    );
    assert_eq!(test.files("t").await.files.len(), 1);
}

#[tokio::test]
async fn truncating_leaves_the_partitions() {
    let test = TestCatalog::new().await;
    let catalog = &test.catalog;
    let table = test.create(partitioned("t")).await;
    let files = ["1", "2", "3"].map(|hour| new_file(hour, &[Some("d"), Some(hour)]));
    catalog
        .commit_write(&write(&table, WriteMode::Append, files.to_vec()))
        .await
        .unwrap();
    let condition = crate::catalog::PartitionCondition {
        column: "HR".to_owned(),
        comparison: crate::catalog::Comparison::Less,
        value: Some("3".to_owned()),
    };
    catalog
        .truncate_table("default", "t", Some(&[vec![condition]]))
        .await
        .unwrap();
    assert_eq!(layout(&test).await, "d/1: ; d/2: ; d/3: 3");
    catalog.truncate_table("default", "t", None).await.unwrap();
    assert_eq!(layout(&test).await, "d/1: ; d/2: ; d/3: ");

    let flat = test.create(flat("u")).await;
    catalog
        .commit_write(&write(&flat, WriteMode::Append, vec![new_file("x", &[])]))
        .await
        .unwrap();
    catalog.truncate_table("default", "u", None).await.unwrap();
    assert_eq!(test.files("u").await.files, []);
}

#[tokio::test]
async fn partitions_change_by_value() {
    let test = TestCatalog::new().await;
    let catalog = &test.catalog;
    let table = test.create(partitioned("t")).await;
    let files = ["1", "2", "10"].map(|hour| new_file(hour, &[Some("d"), Some(hour)]));
    catalog
        .commit_write(&write(&table, WriteMode::Append, files.to_vec()))
        .await
        .unwrap();
    let at = |hour| spec(&[("hr", Some(hour)), ("ds", Some("d"))]);
    catalog
        .rename_partition("default", "t", &at("02"), &at("3"))
        .await
        .unwrap();
    assert_eq!(layout(&test).await, "d/1: 1; d/10: 10; d/3: 2");
    assert_code(
        catalog
            .rename_partition("default", "t", &at("3"), &at("1"))
            .await,
        ErrorCode::AlreadyExists,
    );
    assert_code(
        catalog
            .rename_partition("default", "t", &at("2"), &at("7"))
            .await,
        ErrorCode::PartitionNotFound,
    );
    let condition = |comparison, value: &str| crate::catalog::PartitionCondition {
        column: "hr".to_owned(),
        comparison,
        value: Some(value.to_owned()),
    };
    use crate::catalog::Comparison::{Equal, GreaterOrEqual, NotEqual};
    // As numbers: as text, '10' is less than '3'.
    let many = vec![condition(GreaterOrEqual, "3"), condition(NotEqual, "10")];
    let dropped = catalog
        .drop_partitions("default", "t", &[many], false)
        .await
        .unwrap();
    assert_eq!(dropped, 1);
    let missing = [vec![condition(Equal, "99")]];
    let message = assert_code(
        catalog
            .drop_partitions("default", "t", &missing, false)
            .await,
        ErrorCode::PartitionNotFound,
    );
    assert!(message.contains("hr = '99'"), "{message}");
    let dropped = catalog
        .drop_partitions("default", "t", &missing, true)
        .await
        .unwrap();
    assert_eq!(dropped, 0);
    assert_eq!(layout(&test).await, "d/1: 1; d/10: 10");
    let unknown = [vec![crate::catalog::PartitionCondition {
        column: "day".to_owned(),
        ..condition(Equal, "1")
    }]];
    let message = assert_code(
        catalog
            .drop_partitions("default", "t", &unknown, true)
            .await,
        ErrorCode::InvalidArgument,
    );
    assert!(message.contains("it has ds, hr"), "{message}");
}
