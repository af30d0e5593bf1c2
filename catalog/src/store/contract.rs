//! What every [`CatalogStore`] must do, as tests that are run against each of them.

mod access_rules;
mod state_changes;

use super::{CatalogStore, Change, Cleared, FileChanges, ReaderId, RemovedFile};
use crate::error::CatalogError;
use crate::model::{
    BoundValue, Bucketing, CatalogVersion, Column, ColumnBounds, ColumnId, DataFile, Database,
    FileFormat, Partition, PartitionColumn, RetiredColumn, SortColumn, StorageOptions, Table,
    TableDefinition, TableFiles, TableKind, User, View, ViewColumn, ViewDefinition,
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
    access_rules::come_change_and_go(make_store().await).await;
    databases_change(make_store().await).await;
    views_come_change_and_go(make_store().await).await;
    state_changes::are_told_from_what_stays(make_store().await).await;
    files_go_without_being_named(make_store().await).await;
    files_are_found_by_partition(make_store().await).await;
    a_dropped_table_leaves_its_location(make_store().await).await;
    every_file_of_any_version_is_known(make_store().await).await;
}

fn time() -> DateTime<chrono::Utc> {
    DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap()
}

fn database(name: &str) -> Database {
    Database {
        name: name.to_owned(),
        comment: Some("it's \"quoted\"".to_owned()),
        location: Some(StorageUrl::parse("s3://bucket/a b/").unwrap()),
        properties: [("k".to_owned(), "v".to_owned())].into(),
        owner: "somebody".to_owned(),
        created_at: time(),
    }
}

pub(crate) fn definition(name: &str) -> TableDefinition {
    TableDefinition {
        database: "default".to_owned(),
        name: name.to_owned(),
        kind: TableKind::Managed,
        format: FileFormat::Csv,
        storage: StorageOptions {
            quote: Some('\''),
            ..StorageOptions::default()
        },
        location: StorageUrl::parse("/data/t/").unwrap(),
        columns: vec![Column {
            id: ColumnId(1),
            name: "price".to_owned(),
            source_name: "Price".to_owned(),
            data_type: DataType::Decimal128(15, 2),
            sql_type: None,
            nullable: true,
            comment: None,
        }],
        columns_declared: false,
        retired_columns: vec![RetiredColumn {
            id: ColumnId(0),
            source_name: "gone".to_owned(),
        }],
        partition_columns: vec![PartitionColumn {
            name: "day".to_owned(),
            data_type: DataType::Date32,
            sql_type: None,
            comment: Some("when".to_owned()),
        }],
        bucketing: Some(Bucketing {
            columns: vec![ColumnId(1)],
            sorted_by: vec![SortColumn {
                column: ColumnId(1),
                descending: true,
            }],
            count: 32,
        }),
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
        rows: Some(12),
        last_modified: time(),
        e_tag: Some("\"tag\"".to_owned()),
        partition: Some(partition),
        bounds: [ColumnBounds {
            min: Some(BoundValue::Decimal((-5).into())),
            max: Some(BoundValue::Decimal(i128::MAX.into())),
            min_is_exact: true,
            null_count: Some(0),
            ..ColumnBounds::unknown(ColumnId(1))
        }]
        .iter()
        .collect(),
    }
}

fn removed(path: &str, partition: u32) -> RemovedFile {
    RemovedFile {
        partition: Some(partition),
        path: path.to_owned(),
    }
}

pub(crate) fn two_files() -> TableFiles {
    TableFiles {
        partitions: [partition(0, Some("2024-01-31")), partition(1, None)].into(),
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
        partitions: [partition(2, Some("2024-02-01"))].into(),
        files: vec![
            DataFile {
                rows: None,
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
            removed_files: vec![removed("data/t/a", 0), removed("data/t/b", 1)],
            removed_partitions: vec![1],
            added: added.clone(),
            ..FileChanges::default()
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
        partitions: [
            partition(0, Some("2024-01-31")),
            partition(2, Some("2024-02-01")),
        ]
        .into(),
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
            removed_files: vec![removed("data/t/b", 1)],
            removed_partitions: vec![1],
            ..FileChanges::default()
        },
    };
    let new = store.commit(old.version, &[change]).await.unwrap();
    let reader = ReaderId::new("me");
    assert_eq!(store.purge(&reader, old.version).await.unwrap(), 0);
    assert_eq!(
        store.load_files(old.id, old.version).await.unwrap(),
        two_files()
    );
    assert_eq!(store.purge(&reader, new).await.unwrap(), 2);
    let error = store.load_files(old.id, old.version).await.unwrap_err();
    assert!(
        matches!(error, CatalogError::VersionForgotten(_)),
        "{error}"
    );
    let rest = store.load_files(old.id, new).await.unwrap();
    assert_eq!((rest.partitions.len(), rest.files.len()), (1, 1));

    let dropped = store
        .commit(new, &[Change::DropTable { id: old.id }])
        .await
        .unwrap();
    store.purge(&reader, dropped).await.unwrap();
    assert_eq!(
        store.load_files(old.id, dropped).await.unwrap(),
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

async fn commit(store: &dyn CatalogStore, changes: &[Change]) -> CatalogVersion {
    let base = store.version().await.unwrap();
    store.commit(base, changes).await.unwrap()
}

async fn databases_change(store: Arc<dyn CatalogStore>) {
    commit(&*store, &[Change::CreateDatabase(database("shop"))]).await;
    let altered = Database {
        location: None,
        properties: [("a".to_owned(), "b".to_owned())].into(),
        owner: "another".to_owned(),
        ..database("shop")
    };
    let version = commit(&*store, &[Change::AlterDatabase(altered.clone())]).await;
    let state = store.load().await.unwrap();
    assert!(state.databases.contains(&altered));
    let missing = [Change::AlterDatabase(database("missing"))];
    store.commit(version, &missing).await.unwrap_err();
    assert_eq!(store.version().await.unwrap(), version);
}

async fn views_come_change_and_go(store: Arc<dyn CatalogStore>) {
    let definition = ViewDefinition {
        database: "default".to_owned(),
        name: "v".to_owned(),
        columns: vec![ViewColumn {
            name: "a".to_owned(),
            comment: Some("first".to_owned()),
        }],
        sql: "SELECT 'it''s'".to_owned(),
        resolve_in: "shop".to_owned(),
        properties: [("k".to_owned(), "v".to_owned())].into(),
        comment: None,
        owner: "somebody".to_owned(),
        created_at: time(),
    };
    let version = commit(&*store, &[Change::CreateView(definition.clone())]).await;
    let state = store.load().await.unwrap();
    let id = state.views[0].id;
    let expected = |definition, version| View {
        id,
        version,
        definition,
    };
    assert_eq!(state.views, [expected(definition.clone(), version)]);
    let table = create(&*store, "t", TableFiles::default()).await;
    assert_ne!(table.id, id, "views and tables share ids");
    let renamed = ViewDefinition {
        name: "w".to_owned(),
        ..definition
    };
    let update = Change::UpdateView {
        id,
        definition: renamed.clone(),
    };
    let version = commit(&*store, &[update]).await;
    let state = store.load().await.unwrap();
    assert_eq!(state.views, [expected(renamed, version)]);
    commit(&*store, &[Change::DropView { id }]).await;
    assert_eq!(store.load().await.unwrap().views, []);
    let base = store.version().await.unwrap();
    store
        .commit(base, &[Change::DropView { id }])
        .await
        .unwrap_err();
}

async fn files_go_without_being_named(store: Arc<dyn CatalogStore>) {
    let old = create(&*store, "t", two_files()).await;
    let clear = |cleared| Change::UpdateTable {
        id: old.id,
        definition: definition("t"),
        files: FileChanges {
            cleared,
            added: TableFiles {
                partitions: Arc::default(),
                files: vec![file("data/t/new", 1)],
            },
            ..FileChanges::default()
        },
    };
    let version = commit(&*store, &[clear(Cleared::Partitions(vec![1]))]).await;
    let found = store.load_files(old.id, version).await.unwrap();
    let paths: Vec<&str> = found.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["data/t/a", "data/t/new"]);
    assert_eq!(found.partitions.len(), 2, "the partitions stay");
    let version = commit(&*store, &[clear(Cleared::Everything)]).await;
    let found = store.load_files(old.id, version).await.unwrap();
    assert_eq!(found.files, [file("data/t/new", 1)]);
    assert_eq!(*found.partitions, []);
    assert_eq!(
        store.load_files(old.id, old.version).await.unwrap(),
        two_files()
    );
}

async fn files_are_found_by_partition(store: Arc<dyn CatalogStore>) {
    const PARTITIONS: u32 = 3_000;
    let files = TableFiles {
        partitions: (0..PARTITIONS)
            .map(|n| partition(n, Some(&format!("{n}"))))
            .collect(),
        files: (0..PARTITIONS)
            .map(|n| file(&format!("data/t/{n:06}"), n))
            .collect(),
    };
    let table = create(&*store, "t", files.clone()).await;
    for wanted in [vec![], vec![7, 2_999], (5..2_500).collect::<Vec<u32>>()] {
        let found = store
            .load_data_files(table.id, table.version, Some(&wanted))
            .await
            .unwrap();
        let expected: Vec<DataFile> = wanted
            .iter()
            .map(|number| files.files[*number as usize].clone())
            .collect();
        assert_eq!(found, expected);
    }
}

async fn a_dropped_table_leaves_its_location(store: Arc<dyn CatalogStore>) {
    let location = definition("t").location;
    for _ in 0..2 {
        let table = create(&*store, "t", two_files()).await;
        commit(&*store, &[Change::DropTable { id: table.id }]).await;
        let state = store.load().await.unwrap();
        assert_eq!(state.abandoned_locations, std::slice::from_ref(&location));
    }
    commit(&*store, &[Change::ForgetLocation(location)]).await;
    assert_eq!(store.load().await.unwrap().abandoned_locations, []);
    let external = Change::CreateTable {
        definition: TableDefinition {
            kind: TableKind::External,
            ..definition("t")
        },
        files: TableFiles::default(),
    };
    commit(&*store, &[external]).await;
    let table = find(&*store, "t").await;
    commit(&*store, &[Change::DropTable { id: table.id }]).await;
    assert_eq!(store.load().await.unwrap().abandoned_locations, []);
}

async fn every_file_of_any_version_is_known(store: Arc<dyn CatalogStore>) {
    let known = async |prefix| {
        let mut paths: Vec<String> = store
            .known_paths(prefix)
            .await
            .unwrap()
            .into_iter()
            .collect();
        paths.sort();
        paths
    };
    let table = create(&*store, "t", two_files()).await;
    let version = commit(&*store, &[Change::DropTable { id: table.id }]).await;
    assert_eq!(known("data/t").await, ["data/t/a", "data/t/b"]);
    assert_eq!(known("data/t/b").await, ["data/t/b"]);
    assert_eq!(known("data/%").await, [] as [String; 0]);
    store.purge(&ReaderId::new("me"), version).await.unwrap();
    assert_eq!(known("").await, [] as [String; 0]);
}
