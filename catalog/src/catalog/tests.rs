//! The tests of the module above.

use super::*;
use crate::model::{FileFormat, StorageOptions};
use crate::test_files::TestFiles;
use arrow::array::{ArrayRef, Int32Array};
use arrow::datatypes::DataType;
use skep_protocol::ErrorCode;
use std::collections::BTreeMap;
use std::path::Path;

async fn open(path: &Path) -> Catalog {
    try_open(path).await.unwrap()
}

async fn try_open(path: &Path) -> Result<Catalog, CatalogError> {
    Catalog::open(CatalogOptions {
        data_dir: path.to_owned(),
        allowed_roots: AllowedRoots::unrestricted(),
        store: CatalogLocation::default(),
        warehouse: None,
    })
    .await
}

fn new_database(name: &str) -> NewDatabase {
    NewDatabase {
        name: name.to_owned(),
        if_not_exists: false,
        comment: None,
        location: None,
        properties: BTreeMap::new(),
        owner: "me".to_owned(),
    }
}

fn new_table(name: &str, files: &TestFiles) -> NewExternalTable {
    NewExternalTable {
        database: "Default".to_owned(),
        name: name.to_owned(),
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
        owner: "me".to_owned(),
    }
}

fn ints(values: impl IntoIterator<Item = i32>) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(values))
}

fn assert_code<T: std::fmt::Debug>(result: Result<T, CatalogError>, code: ErrorCode) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
}

#[tokio::test]
async fn tables_are_there_after_a_restart() {
    let files = TestFiles::new();
    files.write("t/day=2024-01-31/a.parquet", vec![("Id", ints([1, 2]))]);
    let data_dir = files.path().join("data/new");
    let catalog = open(&data_dir).await;
    assert!(catalog.create_database(new_database("Shop")).await.unwrap());
    let store = TestFiles::store();
    assert!(
        catalog
            .create_external_table(new_table("Orders", &files), &store)
            .await
            .unwrap()
    );
    let before = Arc::clone(catalog.snapshot().table("DEFAULT", "ORDERS").unwrap());
    drop(catalog);

    let catalog = open(&data_dir).await;
    let snapshot = catalog.snapshot();
    let names: Vec<_> = snapshot
        .databases()
        .map(|database| &*database.name)
        .collect();
    assert_eq!(names, ["default", "shop"]);
    let table = snapshot.table("default", "orders").unwrap();
    assert_eq!(*table, before);
    assert_eq!(
        table.definition.partition_columns[0].data_type,
        DataType::Date32
    );
    let found = snapshot.table_files(table).await.unwrap();
    assert_eq!((found.rows(), found.partitions.len()), (Some(2), 1));
    let again = snapshot.table_files(table).await.unwrap();
    assert!(Arc::ptr_eq(&found, &again), "read once");
}

#[tokio::test]
async fn names_that_are_taken_or_missing_are_errors_unless_told_otherwise() {
    let files = TestFiles::new();
    files.write("t/a.parquet", vec![("id", ints([1]))]);
    let catalog = open(&files.path().join("data")).await;
    let store = TestFiles::store();
    catalog.create_database(new_database("shop")).await.unwrap();
    assert_code(
        catalog.create_database(new_database("SHOP")).await,
        ErrorCode::AlreadyExists,
    );
    let relaxed = NewDatabase {
        if_not_exists: true,
        ..new_database("shop")
    };
    assert!(!catalog.create_database(relaxed).await.unwrap());
    assert_code(
        catalog.create_database(new_database("a/b")).await,
        ErrorCode::InvalidArgument,
    );

    let table = new_table("t", &files);
    catalog
        .create_external_table(table.clone(), &store)
        .await
        .unwrap();
    let again = catalog.create_external_table(table.clone(), &store).await;
    assert_code(again, ErrorCode::AlreadyExists);
    let relaxed = NewExternalTable {
        if_not_exists: true,
        ..table.clone()
    };
    assert!(
        !catalog
            .create_external_table(relaxed, &store)
            .await
            .unwrap()
    );
    let nowhere = NewExternalTable {
        database: "shpo".to_owned(),
        ..table
    };
    let error = catalog
        .create_external_table(nowhere, &store)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "database 'shpo' not found; did you mean 'shop'?"
    );

    assert_code(
        catalog.drop_table("default", "x", false).await,
        ErrorCode::TableNotFound,
    );
    assert!(!catalog.drop_table("default", "x", true).await.unwrap());
    assert!(!catalog.drop_table("nowhere", "x", true).await.unwrap());
    assert_code(
        catalog.drop_database("x", false, true).await,
        ErrorCode::DatabaseNotFound,
    );
    assert!(!catalog.drop_database("x", true, false).await.unwrap());
    assert_code(
        catalog.drop_database("default", false, true).await,
        ErrorCode::InvalidState,
    );
}

#[tokio::test]
async fn a_database_goes_with_its_tables_only_when_told_so() {
    let files = TestFiles::new();
    let path = files.write("t/a.parquet", vec![("id", ints([1]))]);
    let catalog = open(&files.path().join("data")).await;
    catalog.create_database(new_database("shop")).await.unwrap();
    let table = NewExternalTable {
        database: "shop".to_owned(),
        ..new_table("t", &files)
    };
    catalog
        .create_external_table(table, &TestFiles::store())
        .await
        .unwrap();
    assert_code(
        catalog.drop_database("shop", false, false).await,
        ErrorCode::InvalidState,
    );
    assert!(catalog.drop_database("Shop", false, true).await.unwrap());
    assert!(catalog.snapshot().database("shop").is_err());
    assert!(path.exists(), "the files of an external table stay");
}

#[tokio::test]
async fn a_snapshot_does_not_change_and_keeps_its_files() {
    let files = TestFiles::new();
    files.write("t/k=1/a.parquet", vec![("id", ints([1]))]);
    let gone = files.write("t/k=2/b.parquet", vec![("id", ints([2, 3]))]);
    let catalog = open(&files.path().join("data")).await;
    let store = TestFiles::store();
    catalog
        .create_external_table(new_table("t", &files), &store)
        .await
        .unwrap();
    let old = catalog.snapshot();
    let unchanged = catalog.refresh_table("default", "T", &store).await.unwrap();
    assert_eq!(unchanged, RefreshSummary::default());
    assert_eq!(catalog.snapshot().version(), old.version());

    std::fs::remove_file(gone).unwrap();
    files.write(
        "t/k=3/c.parquet",
        vec![("id", ints([4, 5, 6])), ("more", ints([7, 8, 9]))],
    );
    let summary = catalog.refresh_table("default", "T", &store).await.unwrap();
    let expected = RefreshSummary {
        files_added: 1,
        files_removed: 1,
        partitions_added: 1,
        partitions_removed: 1,
    };
    assert_eq!(summary, expected);
    catalog.drop_table("default", "t", false).await.unwrap();

    // The files of the old version are read only now, after they have left the catalog.
    let table = old.table("default", "t").unwrap();
    let found = old.table_files(table).await.unwrap();
    assert_eq!((found.rows(), found.partitions.len()), (Some(3), 2));
    assert!(catalog.snapshot().table("default", "t").is_err());
}

#[tokio::test]
async fn old_versions_are_forgotten_when_nobody_holds_them() {
    let files = TestFiles::new();
    files.write("t/a.parquet", vec![("id", ints([1]))]);
    let catalog = open(&files.path().join("data")).await;
    catalog
        .create_external_table(new_table("t", &files), &TestFiles::store())
        .await
        .unwrap();
    let held = catalog.snapshot();
    catalog.drop_table("default", "t", false).await.unwrap();
    let rows = || async {
        let known = catalog.store.known_paths("").await.unwrap();
        known.len()
    };
    assert_eq!(rows().await, 1);
    drop(held);
    catalog.create_database(new_database("x")).await.unwrap();
    assert_eq!(rows().await, 0);
}

#[tokio::test]
async fn a_data_directory_has_one_owner() {
    let files = TestFiles::new();
    let data_dir = files.path().join("data");
    let catalog = open(&data_dir).await;
    let error = try_open(&data_dir).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidState);
    assert!(
        error.to_string().contains(&std::process::id().to_string()),
        "{error}"
    );
    drop(catalog);
    open(&data_dir).await;
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_written_is_named() {
    let files = TestFiles::new();
    let path = files.path().join("file");
    std::fs::write(&path, "").unwrap();
    let error = try_open(&path.join("data")).await.unwrap_err();
    assert!(
        matches!(error, CatalogError::DataDirectory { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("file/data"), "{error}");
}

#[tokio::test]
async fn a_location_outside_the_roots_is_refused() {
    let files = TestFiles::new();
    files.write("t/a.parquet", vec![("id", ints([1]))]);
    let catalog = Catalog::open(CatalogOptions {
        data_dir: files.path().join("data"),
        allowed_roots: AllowedRoots::new(Vec::new()),
        store: CatalogLocation::default(),
        warehouse: None,
    })
    .await
    .unwrap();
    let result = catalog
        .create_external_table(new_table("t", &files), &TestFiles::store())
        .await;
    assert_code(result, ErrorCode::PermissionDenied);
    assert!(catalog.snapshot().table("default", "t").is_err());
}

#[tokio::test]
async fn declared_columns_hold_even_where_files_have_more() {
    let files = TestFiles::new();
    files.write("t/a.parquet", vec![("Id", ints([1])), ("extra", ints([2]))]);
    let catalog = open(&files.path().join("data")).await;
    let column = |name: &str| ColumnSpec {
        name: name.to_owned(),
        data_type: DataType::Int32,
        sql_type: None,
        nullable: false,
        comment: Some("said so".to_owned()),
    };
    let table = |columns| NewExternalTable {
        columns,
        ..new_table("t", &files)
    };
    let store = TestFiles::store();
    let twice = table(vec![column("id"), column("ID")]);
    assert_code(
        catalog.create_external_table(twice, &store).await,
        ErrorCode::InvalidArgument,
    );
    let declared = table(vec![column("missing"), column("id")]);
    catalog
        .create_external_table(declared, &store)
        .await
        .unwrap();
    let snapshot = catalog.snapshot();
    let columns = &snapshot.table("default", "t").unwrap().definition.columns;
    let shape: Vec<_> = columns
        .iter()
        .map(|column| (&*column.name, &*column.source_name, column.nullable))
        .collect();
    assert_eq!(shape, [("missing", "missing", true), ("id", "Id", false)]);
}

#[tokio::test]
async fn concurrent_statements_all_happen() {
    let files = TestFiles::new();
    let catalog = Arc::new(open(&files.path().join("data")).await);
    let mut statements = tokio::task::JoinSet::new();
    for number in 0..20 {
        let catalog = Arc::clone(&catalog);
        statements.spawn(async move {
            let name = format!("d{number}");
            catalog.create_database(new_database(&name)).await.unwrap()
        });
    }
    assert!(
        statements
            .join_all()
            .await
            .into_iter()
            .all(|created| created)
    );
    assert_eq!(catalog.snapshot().databases().count(), 21);
}

#[tokio::test]
async fn users_are_known_by_their_names_in_any_case() {
    let files = TestFiles::new();
    let catalog = open(&files.path().join("data")).await;
    let new = |name: &str, if_not_exists| NewUser {
        name: name.to_owned(),
        password_hash: "one".to_owned(),
        admin: true,
        if_not_exists,
    };
    assert!(
        catalog
            .create_user(new("Ada@x.org", false), &permitted)
            .await
            .unwrap()
    );
    assert!(
        !catalog
            .create_user(new("ada@X.org", true), &permitted)
            .await
            .unwrap()
    );
    assert_code(
        catalog
            .create_user(new("ada@x.org", false), &permitted)
            .await,
        ErrorCode::AlreadyExists,
    );
    for bad in ["", "a b", "a:b"] {
        let created = catalog.create_user(new(bad, false), &permitted).await;
        assert_code(created, ErrorCode::InvalidArgument);
    }
    catalog
        .alter_user("ADA@x.org", "two", &permitted)
        .await
        .unwrap();
    let snapshot = catalog.snapshot();
    let user = snapshot.user("Ada@X.org").unwrap();
    assert_eq!((&*user.password_hash, user.admin), ("two", true));
    assert_eq!(snapshot.users().count(), 1);
    assert_code(
        catalog.alter_user("bob", "x", &permitted).await,
        ErrorCode::UserNotFound,
    );
    assert_code(
        catalog.drop_user("bob", false, &permitted).await,
        ErrorCode::UserNotFound,
    );
    assert!(!catalog.drop_user("bob", true, &permitted).await.unwrap());
    assert_code(
        catalog.drop_user("ada@x.org", false, &permitted).await,
        ErrorCode::InvalidState,
    );
    catalog
        .create_user(new("eve", false), &permitted)
        .await
        .unwrap();
    assert!(
        catalog
            .drop_user("ada@x.org", false, &permitted)
            .await
            .unwrap()
    );
    assert!(catalog.snapshot().user("ada@x.org").is_err());
    assert!(snapshot.user("ada@x.org").is_ok(), "a snapshot stays");
}
