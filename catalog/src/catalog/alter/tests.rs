//! The tests of the module above.

use super::*;
use crate::catalog::test_catalog::{TestCatalog, assert_code, column, flat, partitioned};
use crate::catalog::{BucketingSpec, NewDatabase, NewView, ViewChange};
use crate::model::ColumnId;
use arrow::datatypes::DataType;
use skep_protocol::ErrorCode;
use std::sync::Arc;

async fn alter(test: &TestCatalog, change: TableChange) -> Result<(), CatalogError> {
    test.catalog.alter_table("default", "t", change).await
}

fn ids(test: &TestCatalog) -> Vec<(String, u32, String)> {
    let table = test.table("t");
    let columns = table.definition.columns.iter();
    columns
        .map(|column| {
            let source = column.source_name.clone();
            (column.name.clone(), column.id.0, source)
        })
        .collect()
}

fn shape(columns: &[(&str, u32, &str)]) -> Vec<(String, u32, String)> {
    columns
        .iter()
        .map(|(name, id, source)| ((*name).to_owned(), *id, (*source).to_owned()))
        .collect()
}

#[tokio::test]
async fn columns_keep_their_ids_and_their_names_in_the_files() {
    let test = TestCatalog::new().await;
    test.create(partitioned("t")).await;
    let add = TableChange::AddColumns(vec![column("Extra", DataType::Float32)]);
    alter(&test, add.clone()).await.unwrap();
    assert_code(alter(&test, add).await, ErrorCode::AlreadyExists);
    let rename = TableChange::RenameColumn {
        name: "NAME".to_owned(),
        to: "label".to_owned(),
    };
    alter(&test, rename).await.unwrap();
    // The name is free again, but not in the files.
    let again = TableChange::AddColumns(vec![column("name", DataType::Int64)]);
    alter(&test, again).await.unwrap();
    let expected = [
        ("id", 0, "id"),
        ("label", 1, "name"),
        ("extra", 2, "extra"),
        ("name", 3, "name_2"),
    ];
    assert_eq!(ids(&test), shape(&expected));

    let drop = TableChange::DropColumns {
        names: vec!["extra".to_owned(), "nothing".to_owned()],
        if_exists: true,
    };
    alter(&test, drop).await.unwrap();
    let again = TableChange::AddColumns(vec![column("extra", DataType::Utf8)]);
    alter(&test, again).await.unwrap();
    let last = ids(&test).pop().unwrap();
    let expected = ("extra".to_owned(), 4, "extra_2".to_owned());
    assert_eq!(last, expected, "no file of the past has the new column");
    assert_eq!(test.table("t").definition.retired_columns.len(), 1);
}

#[tokio::test]
async fn types_become_wider_and_nothing_else() {
    let test = TestCatalog::new().await;
    test.create(flat("t")).await;
    let change = |data_type| TableChange::ChangeColumn {
        name: "id".to_owned(),
        column: column("id", data_type),
        position: None,
    };
    alter(&test, change(DataType::Int64)).await.unwrap();
    for narrower in [DataType::Int32, DataType::Utf8, DataType::Float64] {
        let message = assert_code(
            alter(&test, change(narrower)).await,
            ErrorCode::InvalidArgument,
        );
        assert!(message.contains("'id'"), "{message}");
    }
    assert_eq!(
        test.table("t").definition.columns[0].data_type,
        DataType::Int64
    );
}

#[tokio::test]
async fn columns_change_their_places() {
    let test = TestCatalog::new().await;
    test.create(flat("t")).await;
    let change = |name: &str, to: &str, data_type, position| TableChange::ChangeColumn {
        name: name.to_owned(),
        column: column(to, data_type),
        position,
    };
    let first = Some(ColumnPosition::First);
    alter(&test, change("name", "label", DataType::Utf8, first))
        .await
        .unwrap();
    assert_eq!(test.columns("t"), ["label", "id"]);
    let after = Some(ColumnPosition::After("ID".to_owned()));
    alter(&test, change("label", "label", DataType::Utf8, after))
        .await
        .unwrap();
    assert_eq!(test.columns("t"), ["id", "label"]);
    let nowhere = Some(ColumnPosition::After("lable".to_owned()));
    let message = assert_code(
        alter(&test, change("id", "id", DataType::Int32, nowhere)).await,
        ErrorCode::ColumnNotFound,
    );
    assert!(message.contains("did you mean 'label'"), "{message}");
    let taken = change("id", "label", DataType::Int32, None);
    assert_code(alter(&test, taken).await, ErrorCode::AlreadyExists);
}

#[tokio::test]
async fn replacing_columns_keeps_those_of_the_same_name() {
    let test = TestCatalog::new().await;
    test.create(flat("t")).await;
    let replace = TableChange::ReplaceColumns(vec![
        column("new", DataType::Utf8),
        column("id", DataType::Int64),
        column("other", DataType::Utf8),
    ]);
    alter(&test, replace).await.unwrap();
    let expected = [("new", 2, "new"), ("id", 0, "id"), ("other", 3, "other")];
    assert_eq!(ids(&test), shape(&expected));
    let definition = test.table("t").definition.clone();
    assert_eq!(definition.retired_columns[0].id, ColumnId(1));
    let nothing = TableChange::ReplaceColumns(Vec::new());
    assert_code(alter(&test, nothing).await, ErrorCode::InvalidArgument);
}

#[tokio::test]
async fn what_cannot_be_leaves_the_table_as_it_was() {
    let test = TestCatalog::new().await;
    let bucketing = BucketingSpec {
        columns: vec!["id".to_owned()],
        sorted_by: vec![("NAME".to_owned(), true)],
        count: 8,
    };
    let table = crate::catalog::NewManagedTable {
        bucketing: Some(bucketing),
        ..partitioned("t")
    };
    let before = test.create(table).await;
    let bucketing = before.definition.bucketing.clone().unwrap();
    assert_eq!((bucketing.columns, bucketing.count), (vec![ColumnId(0)], 8));
    let not_null = crate::catalog::ColumnSpec {
        nullable: false,
        ..column("x", DataType::Utf8)
    };
    let drop = |names: &[&str]| TableChange::DropColumns {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        if_exists: false,
    };
    let changes = [
        (
            TableChange::AddColumns(vec![not_null]),
            ErrorCode::InvalidArgument,
        ),
        (
            TableChange::AddColumns(vec![column("DS", DataType::Utf8)]),
            ErrorCode::AlreadyExists,
        ),
        (drop(&["ds"]), ErrorCode::InvalidArgument),
        (drop(&["name"]), ErrorCode::InvalidArgument),
        (drop(&["nothing"]), ErrorCode::ColumnNotFound),
        (
            TableChange::UnsetProperties {
                keys: vec!["k".to_owned()],
                if_exists: false,
            },
            ErrorCode::InvalidState,
        ),
        (
            TableChange::Rename {
                database: Some("nowhere".to_owned()),
                name: "x".to_owned(),
            },
            ErrorCode::DatabaseNotFound,
        ),
    ];
    for (change, code) in changes {
        assert_code(alter(&test, change).await, code);
    }
    assert_eq!(test.table("t"), before);
}

#[tokio::test]
async fn tables_and_views_share_their_names() {
    let test = TestCatalog::new().await;
    let catalog = &test.catalog;
    let database = NewDatabase {
        name: "other".to_owned(),
        if_not_exists: false,
        comment: None,
        location: None,
        properties: BTreeMap::new(),
        owner: String::new(),
    };
    catalog.create_database(database).await.unwrap();
    test.create(flat("t")).await;
    let view = |name: &str| NewView {
        database: "default".to_owned(),
        name: name.to_owned(),
        if_not_exists: false,
        or_replace: true,
        columns: Vec::new(),
        sql: "SELECT 1".to_owned(),
        resolve_in: "Other".to_owned(),
        properties: BTreeMap::new(),
        comment: None,
        owner: String::new(),
    };
    assert_code(
        catalog.create_view(view("T")).await,
        ErrorCode::AlreadyExists,
    );
    catalog.create_view(view("v")).await.unwrap();
    let first = Arc::clone(catalog.snapshot().view("default", "V").unwrap());
    catalog.create_view(view("v")).await.unwrap();
    let second = Arc::clone(catalog.snapshot().view("default", "v").unwrap());
    assert_eq!(first.id, second.id);
    let rename = |name: &str| TableChange::Rename {
        database: None,
        name: name.to_owned(),
    };
    assert_code(alter(&test, rename("v")).await, ErrorCode::AlreadyExists);
    assert_code(
        catalog.drop_table("default", "v", true).await,
        ErrorCode::Semantic,
    );
    assert_code(
        catalog.drop_view("default", "t", true).await,
        ErrorCode::Semantic,
    );
    assert_code(
        catalog.create_managed_table(flat("v")).await,
        ErrorCode::AlreadyExists,
    );
    let away = ViewChange::Rename {
        database: Some("OTHER".to_owned()),
        name: "t".to_owned(),
    };
    catalog.alter_view("default", "v", away).await.unwrap();
    let snapshot = catalog.snapshot();
    assert_eq!(
        snapshot.view("other", "t").unwrap().definition.resolve_in,
        "other"
    );
    assert_eq!(snapshot.views("default").unwrap().count(), 0);
    assert_code(
        catalog.drop_database("other", false, false).await,
        ErrorCode::InvalidState,
    );
    catalog.drop_database("other", false, true).await.unwrap();
}

#[tokio::test]
async fn a_renamed_table_stays_where_its_files_are() {
    let test = TestCatalog::new().await;
    let before = test.create(flat("t")).await;
    let rename = TableChange::Rename {
        database: None,
        name: "U".to_owned(),
    };
    alter(&test, rename).await.unwrap();
    let after = test.table("u");
    assert_eq!(after.id, before.id);
    assert_eq!(after.definition.location, before.definition.location);
    let again = test.create(flat("t")).await;
    let location = again.definition.location.to_string();
    assert!(location.ends_with("/warehouse/t-2/"), "{location}");
}

#[tokio::test]
async fn properties_come_and_go() {
    let test = TestCatalog::new().await;
    test.create(flat("t")).await;
    let set = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter();
        let properties = pairs.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        TableChange::SetProperties(properties.collect())
    };
    alter(&test, set(&[("a", "1"), ("b", "2")])).await.unwrap();
    alter(&test, set(&[("b", "3")])).await.unwrap();
    let unset = TableChange::UnsetProperties {
        keys: vec!["a".to_owned(), "nothing".to_owned()],
        if_exists: true,
    };
    alter(&test, unset).await.unwrap();
    alter(&test, TableChange::SetComment(Some("said".to_owned())))
        .await
        .unwrap();
    let definition = test.table("t").definition.clone();
    let expected: BTreeMap<String, String> = [("b".to_owned(), "3".to_owned())].into();
    assert_eq!(definition.properties, expected);
    assert_eq!(definition.comment.as_deref(), Some("said"));
}
