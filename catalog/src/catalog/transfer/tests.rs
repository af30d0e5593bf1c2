//! The tests of the module above.

use super::*;
use crate::catalog::test_catalog::{
    TestCatalog, assert_code, column, flat, new_file, partitioned, write,
};
use crate::catalog::{
    Granting, NewDatabase, NewUser, NewView, RoleGranting, TableChange, WriteMode, permitted,
};
use crate::model::{GrantKey, Principal, Privilege};
use crate::rights::{EnabledRoles, Rights};
use crate::store::CatalogLocation;
use crate::test_postgres::TestPostgres;
use arrow::datatypes::DataType;
use skep_protocol::ErrorCode;
use skep_protocol::storage_url::StorageUrl;
use std::collections::BTreeMap;

async fn filled() -> TestCatalog {
    let test = TestCatalog::new().await;
    let catalog = &test.catalog;
    let database = NewDatabase {
        name: "shop".to_owned(),
        if_not_exists: false,
        comment: Some("it's \"quoted\"".to_owned()),
        location: None,
        properties: [("k".to_owned(), "v".to_owned())].into(),
        owner: "me".to_owned(),
    };
    catalog.create_database(database).await.unwrap();
    let user = NewUser {
        name: "ada".to_owned(),
        password_hash: "hash".to_owned(),
        admin: true,
        if_not_exists: false,
    };
    catalog.create_user(user, &permitted).await.unwrap();
    let view = NewView {
        database: "shop".to_owned(),
        name: "v".to_owned(),
        if_not_exists: false,
        or_replace: false,
        columns: Vec::new(),
        sql: "SELECT 1".to_owned(),
        resolve_in: "shop".to_owned(),
        properties: BTreeMap::new(),
        comment: None,
        owner: "me".to_owned(),
    };
    catalog.create_view(view).await.unwrap();
    let table = test.create(partitioned("many")).await;
    // More partitions and files than go into one change or one read.
    let files = (0..6_000).map(|number| {
        let hour = (number % 3_000).to_string();
        new_file(&format!("{number:05}"), &[Some("d é"), Some(&hour)])
    });
    let commit = write(&table, WriteMode::Append, files.collect());
    catalog.commit_write(&commit).await.unwrap();
    let table = test.create(flat("few")).await;
    let commit = write(&table, WriteMode::Append, vec![new_file("one", &[])]);
    catalog.commit_write(&commit).await.unwrap();
    for change in [
        TableChange::AddColumns(vec![column("more", DataType::Date32)]),
        TableChange::DropColumns {
            names: vec!["name".to_owned()],
            if_exists: false,
        },
    ] {
        catalog.alter_table("default", "few", change).await.unwrap();
    }
    grant_something(catalog).await;
    test.create(flat("gone")).await;
    catalog.drop_table("default", "gone", false).await.unwrap();
    test
}

/// Roles, and grants of every kind.
async fn grant_something(catalog: &Catalog) {
    catalog
        .create_role("r", "ada", false, &permitted)
        .await
        .unwrap();
    let user = Principal::User("ada".to_owned());
    let roles = RoleGranting {
        roles: vec!["r".to_owned()],
        members: vec![user.clone()],
        admin_option: true,
        grantor: "ada".to_owned(),
    };
    catalog.grant_roles(&roles, &permitted).await.unwrap();
    let snapshot = catalog.snapshot();
    let id = |database: &str, name: &str| snapshot.relation(database, name).unwrap().id();
    let on = |object, column: Option<&str>| GrantKey {
        grantee: Principal::Role("r".to_owned()),
        object,
        privilege: Privilege::Select,
        column: column.map(str::to_owned),
    };
    let granting = Granting {
        keys: vec![
            on(Securable::Relation(id("shop", "v")), None),
            on(Securable::Relation(id("default", "many")), None),
            on(Securable::Relation(id("default", "few")), Some("more")),
            on(Securable::Database("shop".to_owned()), None),
            on(
                Securable::Location(StorageUrl::parse("/x y/").unwrap()),
                None,
            ),
        ],
        grant_option: true,
        grantor: "ada".to_owned(),
    };
    catalog.grant(&granting, &permitted).await.unwrap();
}

async fn exported(test: &TestCatalog) -> Vec<u8> {
    let mut text = Vec::new();
    test.catalog.export(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn a_catalog_moves_to_postgres_and_back_as_it_is() {
    let original = filled().await;
    let text = exported(&original).await;
    let mut locations = vec![CatalogLocation::Sqlite];
    let server = TestPostgres::start().await;
    if let Some(server) = &server {
        locations.insert(0, CatalogLocation::Postgres(server.new_database().await));
    }
    for location in locations {
        let copy = TestCatalog::at(location).await;
        let summary = copy.catalog.import(text.as_slice()).await.unwrap();
        let expected = TransferSummary {
            databases: 2,
            relations: 3,
            files: 6_001,
        };
        assert_eq!(summary, expected);
        assert_eq!(exported(&copy).await, text, "it says the same of itself");
        assert_eq!(copy.files("many").await, original.files("many").await);
        assert_eq!(
            copy.table("few").definition,
            original.table("few").definition
        );
        assert_code(
            copy.catalog.import(text.as_slice()).await,
            ErrorCode::InvalidState,
        );
    }
}

#[tokio::test]
async fn what_is_not_whole_leaves_the_catalog_empty() {
    let text = String::from_utf8(exported(&filled().await).await).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let without = |index: usize| {
        let mut lines = lines.clone();
        lines.remove(index);
        lines.join("\n")
    };
    let damaged = [
        String::new(),
        "no JSON\n".to_owned(),
        without(0),
        without(lines.len() - 1),
        without(lines.len() / 2),
        text.replace("\"form\":2", "\"form\":3"),
        text.replacen("\"kind\":\"MANAGED\"", "\"kind\":\"x\"", 1),
    ];
    let copy = TestCatalog::new().await;
    let before = exported(&copy).await;
    for text in damaged {
        copy.catalog.import(text.as_bytes()).await.unwrap_err();
        assert_eq!(exported(&copy).await, before);
    }
    copy.catalog.import(text.as_bytes()).await.unwrap();
}

/// Users of exports from before there were grants may do what they could.
#[tokio::test]
async fn users_of_older_exports_keep_what_they_could() {
    let test = TestCatalog::new().await;
    let user = |name: &str, admin| NewUser {
        name: name.to_owned(),
        password_hash: "hash".to_owned(),
        admin,
        if_not_exists: false,
    };
    for new in [user("ada", true), user("bob", false)] {
        test.catalog.create_user(new, &permitted).await.unwrap();
    }
    test.create(flat("t")).await;
    let text = String::from_utf8(exported(&test).await).unwrap();
    let may_read = async |text: String| {
        let copy = TestCatalog::new().await;
        copy.catalog.import(text.as_bytes()).await.unwrap();
        let snapshot = copy.catalog.snapshot();
        let rights = Rights::of(&snapshot, "bob", &EnabledRoles::All);
        let relation = snapshot.relation("default", "t").unwrap();
        rights.may(&snapshot, relation, &[Privilege::Select])
    };
    assert!(!may_read(text.clone()).await, "nothing was granted");
    assert!(may_read(text.replace("\"form\":2", "\"form\":1")).await);
}
