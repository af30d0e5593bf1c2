//! What every [`CatalogStore`] tells of the changes since a version.

use super::{commit, create, database, definition, time};
use crate::model::{CatalogVersion, TableFiles, TableId, ViewDefinition};
use crate::store::{CatalogState, CatalogStore, Change, FileChanges, ReaderId};
use std::collections::HashSet;
use std::sync::Arc;

/// What [`CatalogStore::load_since`] tells, at every version against every later one.
pub(super) async fn are_told_from_what_stays(store: Arc<dyn CatalogStore>) {
    let renamed = |name: &str, id| Change::UpdateTable {
        id,
        definition: definition(name),
        files: FileChanges::default(),
    };
    let mut states = vec![store.load().await.unwrap()];
    for name in ["a", "b", "c"] {
        create(&*store, name, TableFiles::default()).await;
        states.push(store.load().await.unwrap());
    }
    let id = |number: i64| TableId(number);
    let view = |name: &str| ViewDefinition {
        database: "default".to_owned(),
        name: name.to_owned(),
        columns: Vec::new(),
        sql: "SELECT 1".to_owned(),
        resolve_in: "default".to_owned(),
        properties: Default::default(),
        comment: None,
        owner: String::new(),
        created_at: time(),
    };
    for change in [
        renamed("d", id(1)),
        Change::DropTable { id: id(2) },
        Change::CreateView(view("v")),
        Change::CreateView(view("b")),
        Change::DropView { id: id(4) },
        Change::CreateDatabase(database("shop")),
        renamed("v", id(3)),
        Change::DropTable { id: id(1) },
    ] {
        commit(&*store, &[change]).await;
        let latest = store.load().await.unwrap();
        for before in &states {
            let told = store.load_since(before.version).await.unwrap().unwrap();
            let is_new = |version: CatalogVersion| version > before.version;
            let mut expected = latest.clone();
            expected.tables.retain(|table| is_new(table.version));
            expected.views.retain(|view| is_new(view.version));
            assert_eq!(told.state, expected);
            let ids = |state: &CatalogState| {
                let tables = state.tables.iter().map(|table| table.id);
                let ids = tables.chain(state.views.iter().map(|view| view.id));
                ids.collect::<HashSet<TableId>>()
            };
            let told: HashSet<TableId> = told.dropped.into_iter().collect();
            let is_missing = |id: &&TableId| !told.contains(id);
            let gone = &ids(before) - &ids(&latest);
            assert_eq!(gone.iter().find(is_missing), None, "{told:?}");
            assert!(told.is_disjoint(&ids(&latest)), "{told:?}");
        }
        states.push(latest);
    }
    let latest = store.version().await.unwrap();
    store.purge(&ReaderId::new("me"), latest).await.unwrap();
    let forgotten = store.load_since(states[0].version).await.unwrap();
    assert_eq!(forgotten, None, "what has gone is not known any more");
    let told = store.load_since(latest).await.unwrap().unwrap();
    assert_eq!((told.state.tables.len(), told.dropped.len()), (0, 0));
}
