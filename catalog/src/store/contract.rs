//! What every [`CatalogStore`] must do, as tests that are run against each of them.

use super::{CatalogStore, Change, FileChanges};
use crate::error::CatalogError;
use crate::model::{
    BoundValue, CatalogVersion, Column, ColumnBounds, ColumnId, DataFile, Database, FileFormat,
    Partition, PartitionColumn, Table, TableDefinition, TableFiles, TableKind, User,
};
use arrow::datatypes::DataType;
use chrono::DateTime;
use skep_protocol::storage_url::StorageUrl;
use std::sync::Arc;

/// Runs every test of the contract, each with a store of its own from `make_store`.
pub(crate) async fn run_contract_suite<F, R>(make_store: F)
where
    F: Fn() -> R,
    R: Future<Output = Arc<dyn CatalogStore>>,
{
    a_new_catalog_has_the_default_database(make_store().await).await;
    a_table_comes_back_as_it_went_in(make_store().await).await;
    an_older_version_keeps_its_files(make_store().await).await;
    a_failed_change_leaves_no_trace(make_store().await).await;
    a_stale_base_conflicts(make_store().await).await;
    concurrent_writers_take_turns(make_store().await).await;
    purging_forgets_only_what_nobody_sees(make_store().await).await;
    many_files_go_in_and_out(make_store().await).await;
    users_come_change_and_go(make_store().await).await;
}

fn time() -> DateTime<chrono::Utc> {
    DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap()
}

fn database(name: &str) -> Database {
    Database {
        name: name.to_owned(),
        comment: Some("it's \"quoted\"".to_owned()),
        location: Some(StorageUrl::parse("s3://bucket/a b/").unwrap()),
        owner: "somebody".to_owned(),
        created_at: time(),
    }
}

fn definition(name: &str) -> TableDefinition {
    TableDefinition {
        database: "default".to_owned(),
        name: name.to_owned(),
        kind: TableKind::External,
        format: FileFormat::Parquet,
        location: StorageUrl::parse("/data/t/").unwrap(),
        columns: vec![Column {
            id: ColumnId(1),
            name: "price".to_owned(),
            source_name: "Price".to_owned(),
            data_type: DataType::Decimal128(15, 2),
            nullable: true,
            comment: None,
        }],
        columns_declared: false,
        partition_columns: vec![PartitionColumn {
            name: "day".to_owned(),
            data_type: DataType::Date32,
            comment: Some("when".to_owned()),
        }],
        properties: [("k".to_owned(), "v".to_owned())].into(),
        comment: None,
        owner: "somebody".to_owned(),
        created_at: time(),
    }
}

fn partition(number: u32, value: Option<&str>) -> Partition {
    Partition {
        number,
        values: vec![value.map(str::to_owned)],
        location: StorageUrl::parse(&format!("/data/t/day={}/", value.unwrap_or("x"))).unwrap(),
    }
}

fn file(path: &str, partition: u32) -> DataFile {
    DataFile {
        path: path.to_owned(),
        size_bytes: 1 << 40,
        rows: 12,
        last_modified: time(),
        e_tag: Some("\"tag\"".to_owned()),
        partition: Some(partition),
        bounds: vec![ColumnBounds {
            min: Some(BoundValue::Decimal((-5).into())),
            max: Some(BoundValue::Decimal(i128::MAX.into())),
            min_is_exact: true,
            null_count: Some(0),
            ..ColumnBounds::unknown(ColumnId(1))
        }],
    }
}

fn two_files() -> TableFiles {
    TableFiles {
        partitions: vec![partition(0, Some("2024-01-31")), partition(1, None)],
        files: vec![file("data/t/a", 0), file("data/t/b", 1)],
    }
}

async fn create(store: &dyn CatalogStore, name: &str, files: TableFiles) -> Table {
    let base = store.load().await.unwrap().version;
    let change = Change::CreateTable {
        definition: definition(name),
        files,
    };
    store.commit(base, &[change]).await.unwrap();
    find(store, name).await
}

async fn find(store: &dyn CatalogStore, name: &str) -> Table {
    let state = store.load().await.unwrap();
    let table = state
        .tables
        .iter()
        .find(|table| table.definition.name == name);
    table.unwrap().clone()
}

async fn a_new_catalog_has_the_default_database(store: Arc<dyn CatalogStore>) {
    let state = store.load().await.unwrap();
    assert_eq!(state.version, super::FIRST_VERSION);
    let names: Vec<_> = state.databases.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["default"]);
    assert_eq!(state.tables, []);
}

async fn a_table_comes_back_as_it_went_in(store: Arc<dyn CatalogStore>) {
    let base = store.load().await.unwrap().version;
    let changes = [
        Change::CreateDatabase(database("shop")),
        Change::CreateTable {
            definition: definition("t"),
            files: two_files(),
        },
    ];
    let version = store.commit(base, &changes).await.unwrap();
    assert!(version > base);
    let state = store.load().await.unwrap();
    assert_eq!(state.version, version);
    assert!(state.databases.contains(&database("shop")));
    let table = &state.tables[0];
    assert_eq!(
        (&table.definition, table.version),
        (&definition("t"), version)
    );
    assert_eq!(
        store.load_files(table.id, version).await.unwrap(),
        two_files()
    );
}

async fn an_older_version_keeps_its_files(store: Arc<dyn CatalogStore>) {
    let old = create(&*store, "t", two_files()).await;
    let added = TableFiles {
        partitions: vec![partition(2, Some("2024-02-01"))],
        files: vec![
            DataFile {
                rows: 13,
                ..file("data/t/a", 0)
            },
            file("data/t/c", 2),
        ],
    };
    let change = Change::UpdateTable {
        id: old.id,
        definition: TableDefinition {
            comment: Some("refreshed".to_owned()),
            ..definition("t")
        },
        files: FileChanges {
            removed_files: vec!["data/t/a".to_owned(), "data/t/b".to_owned()],
            removed_partitions: vec![1],
            added: added.clone(),
        },
    };
    store.commit(old.version, &[change]).await.unwrap();
    let new = find(&*store, "t").await;
    assert_eq!(new.definition.comment.as_deref(), Some("refreshed"));
    assert_eq!(
        store.load_files(old.id, old.version).await.unwrap(),
        two_files()
    );
    let expected = TableFiles {
        partitions: vec![
            partition(0, Some("2024-01-31")),
            partition(2, Some("2024-02-01")),
        ],
        files: added.files,
    };
    assert_eq!(
        store.load_files(new.id, new.version).await.unwrap(),
        expected
    );

    let drop = [Change::DropTable { id: new.id }];
    let dropped = store.commit(new.version, &drop).await.unwrap();
    assert_eq!(store.load().await.unwrap().tables, []);
    assert_eq!(
        store.load_files(new.id, new.version).await.unwrap(),
        expected
    );
    let again = create(&*store, "t", TableFiles::default()).await;
    assert_ne!(again.id, new.id, "an id is used once");
    assert!(again.version > dropped);
}

async fn a_failed_change_leaves_no_trace(store: Arc<dyn CatalogStore>) {
    let before = store.load().await.unwrap();
    let changes = [
        Change::CreateDatabase(database("shop")),
        Change::CreateDatabase(database("shop")),
    ];
    store.commit(before.version, &changes).await.unwrap_err();
    let missing = [
        Change::CreateDatabase(database("shop")),
        Change::DropDatabase {
            name: "missing".to_owned(),
        },
    ];
    store.commit(before.version, &missing).await.unwrap_err();
    assert_eq!(store.load().await.unwrap(), before);
}

async fn a_stale_base_conflicts(store: Arc<dyn CatalogStore>) {
    let base = store.load().await.unwrap().version;
    let first = [Change::CreateDatabase(database("first"))];
    store.commit(base, &first).await.unwrap();
    let second = [Change::CreateDatabase(database("second"))];
    let error = store.commit(base, &second).await.unwrap_err();
    assert!(matches!(error, CatalogError::Conflict), "{error}");
    let future = CatalogVersion(base.0 + 100);
    let error = store.commit(future, &second).await.unwrap_err();
    assert!(matches!(error, CatalogError::Conflict), "{error}");
    assert_eq!(store.load().await.unwrap().databases.len(), 2);
}

async fn concurrent_writers_take_turns(store: Arc<dyn CatalogStore>) {
    const WRITERS: usize = 8;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            loop {
                let base = store.load().await.unwrap().version;
                let change = Change::CreateDatabase(database(&format!("d{writer}")));
                match store.commit(base, &[change]).await {
                    Ok(version) => return version,
                    Err(CatalogError::Conflict) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    let mut versions = writers.join_all().await;
    versions.sort();
    versions.dedup();
    assert_eq!(
        versions.len(),
        WRITERS,
        "each commit has a version of its own"
    );
    assert_eq!(store.load().await.unwrap().databases.len(), WRITERS + 1);
}

async fn purging_forgets_only_what_nobody_sees(store: Arc<dyn CatalogStore>) {
    let old = create(&*store, "t", two_files()).await;
    let change = Change::UpdateTable {
        id: old.id,
        definition: definition("t"),
        files: FileChanges {
            removed_files: vec!["data/t/b".to_owned()],
            removed_partitions: vec![1],
            added: TableFiles::default(),
        },
    };
    let new = store.commit(old.version, &[change]).await.unwrap();
    assert_eq!(store.purge(old.version).await.unwrap(), 0);
    assert_eq!(
        store.load_files(old.id, old.version).await.unwrap(),
        two_files()
    );
    assert_eq!(store.purge(new).await.unwrap(), 2);
    let rest = store.load_files(old.id, new).await.unwrap();
    assert_eq!((rest.partitions.len(), rest.files.len()), (1, 1));

    let dropped = store
        .commit(new, &[Change::DropTable { id: old.id }])
        .await
        .unwrap();
    store.purge(dropped).await.unwrap();
    assert_eq!(
        store.load_files(old.id, new).await.unwrap(),
        TableFiles::default()
    );
}

async fn many_files_go_in_and_out(store: Arc<dyn CatalogStore>) {
    const FILES: u32 = 1_201;
    let files = TableFiles {
        partitions: (0..FILES)
            .map(|n| partition(n, Some(&format!("{n:06}"))))
            .collect(),
        files: (0..FILES)
            .map(|n| file(&format!("data/t/{n:06}"), n))
            .collect(),
    };
    let table = create(&*store, "t", files.clone()).await;
    assert_eq!(
        store.load_files(table.id, table.version).await.unwrap(),
        files
    );
}

async fn users_come_change_and_go(store: Arc<dyn CatalogStore>) {
    let user = |hash: &str| User {
        name: "ada".to_owned(),
        password_hash: hash.to_owned(),
        admin: true,
        created_at: time(),
    };
    let commit = async |change: Change| {
        let base = store.load().await.unwrap().version;
        store.commit(base, &[change]).await?;
        Ok::<_, CatalogError>(store.load().await.unwrap().users)
    };
    let created = commit(Change::CreateUser(user("one"))).await.unwrap();
    assert_eq!(created, [user("one")]);
    commit(Change::CreateUser(user("x"))).await.unwrap_err();
    let altered = commit(Change::AlterUser(user("two"))).await.unwrap();
    assert_eq!(altered, [user("two")]);
    let drop = || Change::DropUser {
        name: "ada".to_owned(),
    };
    assert_eq!(commit(drop()).await.unwrap(), []);
    commit(drop()).await.unwrap_err();
    commit(Change::AlterUser(user("x"))).await.unwrap_err();
}
