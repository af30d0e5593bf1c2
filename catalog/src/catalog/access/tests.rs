//! The tests of the module above, and of the rights that follow from grants.

use super::*;
use crate::catalog::test_catalog::{TestCatalog, assert_code, column, flat};
use crate::catalog::{NewDatabase, NewUser, TableChange};
use crate::model::Privilege::{self, Alter, Drop, Insert, ManageUsers, Select};
use crate::rights::{EnabledRoles, Readable, Rights, all_roles};
use arrow::datatypes::DataType;
use skep_protocol::ErrorCode;
use skep_protocol::storage_url::{AllowedRoots, StorageUrl};

/// A catalog with the administrator `ada`, the users `bob` and `eve`, the roles `r` and `s`, and the table `t`.
async fn prepared() -> TestCatalog {
    let test = TestCatalog::new().await;
    for (name, admin) in [("ada", true), ("bob", false), ("eve", false)] {
        let new = NewUser {
            name: name.to_owned(),
            password_hash: "hash".to_owned(),
            admin,
            if_not_exists: false,
        };
        test.catalog.create_user(new, &permitted).await.unwrap();
    }
    for name in ["r", "s"] {
        let created = test.catalog.create_role(name, "ada", false, &permitted);
        assert!(created.await.unwrap());
    }
    test.create(flat("t")).await;
    test
}

fn user(name: &str) -> Principal {
    Principal::User(name.to_owned())
}

fn role(name: &str) -> Principal {
    Principal::Role(name.to_owned())
}

async fn grant_role(test: &TestCatalog, role: &str, member: Principal) -> Result<(), CatalogError> {
    let granting = RoleGranting {
        roles: vec![role.to_owned()],
        members: vec![member],
        admin_option: false,
        grantor: "ada".to_owned(),
    };
    test.catalog.grant_roles(&granting, &permitted).await
}

fn granting(
    grantee: Principal,
    object: Securable,
    privilege: Privilege,
    column: Option<&str>,
) -> Granting {
    Granting {
        keys: vec![GrantKey {
            grantee,
            object,
            privilege,
            column: column.map(str::to_owned),
        }],
        grant_option: false,
        grantor: "ada".to_owned(),
    }
}

async fn grant(
    test: &TestCatalog,
    grantee: Principal,
    object: Securable,
    privilege: Privilege,
    column: Option<&str>,
) -> Result<(), CatalogError> {
    let granting = granting(grantee, object, privilege, column);
    test.catalog.grant(&granting, &permitted).await
}

fn of_table(test: &TestCatalog, name: &str) -> Securable {
    Securable::Relation(test.table(name).id)
}

/// Whether `name` may do that with the table `t`.
fn may(test: &TestCatalog, name: &str, privilege: Privilege) -> bool {
    let snapshot = test.catalog.snapshot();
    let rights = Rights::of(&snapshot, name, &EnabledRoles::All);
    let relation = snapshot.relation("default", "t").unwrap();
    rights.may(&snapshot, relation, &[privilege])
}

/// The columns of `t` that `bob` may read.
fn readable(test: &TestCatalog) -> Vec<String> {
    let snapshot = test.catalog.snapshot();
    let rights = Rights::of(&snapshot, "bob", &EnabledRoles::All);
    let relation = snapshot.relation("default", "t").unwrap();
    match rights.readable(&snapshot, relation) {
        Readable::All => vec!["*".to_owned()],
        Readable::Only(columns) => columns.iter().cloned().collect(),
    }
}

#[tokio::test]
async fn grants_hold_for_users_roles_and_everybody() {
    let test = prepared().await;
    assert!(may(&test, "ada", Drop), "an administrator may everything");
    assert!(!may(&test, "bob", Select));
    grant(&test, user("bob"), of_table(&test, "t"), Select, None)
        .await
        .unwrap();
    assert!(may(&test, "bob", Select) && !may(&test, "eve", Select));
    assert!(!may(&test, "bob", Insert));
    grant_role(&test, "r", role("s")).await.unwrap();
    grant_role(&test, "s", user("eve")).await.unwrap();
    grant(&test, role("r"), of_table(&test, "t"), Insert, None)
        .await
        .unwrap();
    assert!(may(&test, "eve", Insert) && !may(&test, "bob", Insert));
    let everybody = role(PUBLIC);
    grant(
        &test,
        everybody,
        Securable::Database("default".to_owned()),
        Alter,
        None,
    )
    .await
    .unwrap();
    assert!(may(&test, "bob", Alter) && may(&test, "nobody", Alter));
    grant(&test, user("eve"), Securable::Catalog, Drop, None)
        .await
        .unwrap();
    assert!(may(&test, "eve", Drop) && !may(&test, "bob", Drop));
}

#[tokio::test]
async fn roles_count_as_far_as_they_are_enabled() {
    let test = prepared().await;
    for (name, member) in [("r", user("bob")), ("s", role("r"))] {
        grant_role(&test, name, member).await.unwrap();
    }
    let snapshot = test.catalog.snapshot();
    let roles = |enabled| {
        let rights = Rights::of(&snapshot, "bob", &enabled);
        rights.roles().map(str::to_owned).collect::<Vec<_>>()
    };
    let one = |name: &str| EnabledRoles::One(name.to_owned());
    assert_eq!(roles(EnabledRoles::All), [PUBLIC, "r", "s"]);
    assert_eq!(roles(EnabledRoles::None), [PUBLIC]);
    assert_eq!(roles(one("s")), [PUBLIC, "s"]);
    assert_eq!(roles(one("r")), [PUBLIC, "r", "s"]);
    assert_eq!(roles(one("x")), [PUBLIC], "one that bob does not have");
    let all = all_roles(snapshot.access(), &user("bob"));
    assert_eq!(all.into_iter().collect::<Vec<_>>(), ["r", "s"]);
}

#[tokio::test]
async fn a_role_never_has_itself() {
    let test = prepared().await;
    grant_role(&test, "r", role("s")).await.unwrap();
    let circle = grant_role(&test, "s", role("r")).await;
    assert_code(circle, ErrorCode::InvalidState);
    let itself = grant_role(&test, "r", role("r")).await;
    assert_code(itself, ErrorCode::InvalidState);
}

#[tokio::test]
async fn names_are_of_users_or_of_roles() {
    let test = prepared().await;
    for (name, code) in [
        ("bob", ErrorCode::AlreadyExists),
        ("r", ErrorCode::AlreadyExists),
        ("public", ErrorCode::InvalidArgument),
        ("none", ErrorCode::InvalidArgument),
        ("", ErrorCode::InvalidArgument),
    ] {
        let created = test.catalog.create_role(name, "ada", false, &permitted);
        assert_code(created.await, code);
    }
    for name in ["r", "PUBLIC"] {
        let new = NewUser {
            name: name.to_owned(),
            password_hash: "hash".to_owned(),
            admin: false,
            if_not_exists: false,
        };
        let created = test.catalog.create_user(new, &permitted).await;
        assert_code(created, ErrorCode::AlreadyExists);
    }
    let unknown = grant_role(&test, "x", user("bob")).await;
    assert_code(unknown, ErrorCode::UserNotFound);
    let unknown = grant_role(&test, "r", user("x")).await;
    assert_code(unknown, ErrorCode::UserNotFound);
}

#[tokio::test]
async fn grants_go_with_what_they_are_about() {
    let test = prepared().await;
    let catalog = &test.catalog;
    let database = NewDatabase {
        name: "d".to_owned(),
        ..NewDatabase::default()
    };
    catalog.create_database(database).await.unwrap();
    grant(&test, user("bob"), of_table(&test, "t"), Select, None)
        .await
        .unwrap();
    grant(
        &test,
        user("bob"),
        Securable::Database("d".to_owned()),
        Select,
        None,
    )
    .await
    .unwrap();
    grant(&test, role("r"), of_table(&test, "t"), Select, None)
        .await
        .unwrap();
    for (name, member) in [("r", user("bob")), ("r", role("s"))] {
        grant_role(&test, name, member).await.unwrap();
    }
    let counts = || {
        let snapshot = catalog.snapshot();
        let rules = snapshot.access();
        (rules.grants.len(), rules.memberships.len())
    };
    assert_eq!(counts(), (3, 2));
    catalog.drop_database("d", false, false).await.unwrap();
    assert_eq!(counts(), (2, 2));
    catalog.drop_role("r", false, &permitted).await.unwrap();
    assert_eq!(counts(), (1, 0));
    grant_role(&test, "s", user("bob")).await.unwrap();
    catalog.drop_user("bob", false, &permitted).await.unwrap();
    assert_eq!(counts(), (0, 0));
    grant(&test, user("eve"), of_table(&test, "t"), Select, None)
        .await
        .unwrap();
    catalog.drop_table("default", "t", false).await.unwrap();
    test.create(flat("t")).await;
    assert_eq!(counts(), (0, 0));
    assert!(!may(&test, "eve", Select), "another table of that name");
}

#[tokio::test]
async fn grants_on_columns_follow_the_columns() {
    let test = prepared().await;
    let catalog = &test.catalog;
    let add = TableChange::AddColumns(vec![column("other", DataType::Int32)]);
    catalog.alter_table("default", "t", add).await.unwrap();
    grant(
        &test,
        user("bob"),
        of_table(&test, "t"),
        Select,
        Some("name"),
    )
    .await
    .unwrap();
    assert_eq!(readable(&test), ["name"]);
    let rename = |name: &str, to: &str| TableChange::RenameColumn {
        name: name.to_owned(),
        to: to.to_owned(),
    };
    for (name, to) in [("name", "x"), ("other", "name")] {
        let change = rename(name, to);
        catalog.alter_table("default", "t", change).await.unwrap();
    }
    assert_eq!(
        readable(&test),
        ["x"],
        "not the column that has its name now"
    );
    let drop = TableChange::DropColumns {
        names: vec!["x".to_owned()],
        if_exists: false,
    };
    catalog.alter_table("default", "t", drop).await.unwrap();
    assert_eq!(readable(&test), [] as [&str; 0]);
    let add = TableChange::AddColumns(vec![column("x", DataType::Int32)]);
    catalog.alter_table("default", "t", add).await.unwrap();
    assert_eq!(readable(&test), [] as [&str; 0]);
    for (privilege, column) in [(Select, "missing"), (Insert, "id")] {
        let object = of_table(&test, "t");
        let granted = grant(&test, user("bob"), object, privilege, Some(column)).await;
        granted.unwrap_err();
    }
}

#[tokio::test]
async fn revoking_takes_what_was_granted() {
    let test = prepared().await;
    let (bob, t) = (user("bob"), of_table(&test, "t"));
    for column in [None, Some("id"), Some("name")] {
        grant(&test, bob.clone(), t.clone(), Select, column)
            .await
            .unwrap();
    }
    let revoke = async |column: Option<&str>| {
        let revoking = granting(bob.clone(), t.clone(), Select, column);
        test.catalog.revoke(&revoking, &permitted).await.unwrap();
    };
    revoke(Some("id")).await;
    assert_eq!(readable(&test), ["*"]);
    revoke(None).await;
    assert_eq!(readable(&test), [] as [&str; 0], "those of columns go, too");
    let with_option = Granting {
        grant_option: true,
        ..granting(bob.clone(), t.clone(), Select, None)
    };
    test.catalog.grant(&with_option, &permitted).await.unwrap();
    let grantable = || {
        let snapshot = test.catalog.snapshot();
        let rights = Rights::of(&snapshot, "bob", &EnabledRoles::All);
        rights.may_grant(&snapshot, &with_option.keys[0])
    };
    assert!(grantable());
    test.catalog.revoke(&with_option, &permitted).await.unwrap();
    assert!(!grantable() && may(&test, "bob", Select));
}

#[tokio::test]
async fn what_is_refused_within_a_change_is_not_done() {
    let test = prepared().await;
    let refuse = |_: &CatalogSnapshot| Err(CatalogError::NotPermitted("no".to_owned()));
    let version = test.catalog.snapshot().version();
    let created = test.catalog.create_role("x", "bob", false, &refuse).await;
    assert_code(created, ErrorCode::PermissionDenied);
    let dropped = test.catalog.drop_role("r", false, &refuse).await;
    assert_code(dropped, ErrorCode::PermissionDenied);
    assert_eq!(test.catalog.snapshot().version(), version);
}

/// A catalog without users gets an administrator first, and never loses its last one, whichever change is first.
#[tokio::test]
async fn somebody_is_always_left_who_can_create_others() {
    let test = TestCatalog::new().await;
    let new = |name: &str, admin| NewUser {
        name: name.to_owned(),
        password_hash: "hash".to_owned(),
        admin,
        if_not_exists: false,
    };
    let first = test
        .catalog
        .create_user(new("bob", false), &permitted)
        .await;
    assert_code(first, ErrorCode::InvalidState);
    for name in ["a", "b"] {
        let created = test.catalog.create_user(new(name, true), &permitted);
        created.await.unwrap();
    }
    let drop = |name| test.catalog.drop_user(name, false, &permitted);
    let (one, other) = tokio::join!(drop("a"), drop("b"));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
}

#[tokio::test]
async fn who_owns_something_is_not_dropped() {
    let test = prepared().await;
    let owner = |name: &str| TableChange::SetOwner(name.to_owned());
    let catalog = &test.catalog;
    catalog
        .alter_table("default", "t", owner("bob"))
        .await
        .unwrap();
    assert!(may(&test, "bob", Drop), "owners own");
    let dropped = catalog.drop_user("bob", false, &permitted).await;
    assert_code(dropped, ErrorCode::InvalidState);
    catalog
        .alter_table("default", "t", owner("eve"))
        .await
        .unwrap();
    assert!(catalog.drop_user("bob", false, &permitted).await.unwrap());
}

#[tokio::test]
async fn places_are_open_as_far_as_they_were_granted() {
    let test = prepared().await;
    let url = |text: &str| StorageUrl::parse(text).unwrap();
    let open = AllowedRoots::unrestricted();
    let may_read = |location: &str| {
        let snapshot = test.catalog.snapshot();
        let rights = Rights::of(&snapshot, "bob", &EnabledRoles::All);
        rights
            .narrow(&open, &[Select])
            .check(&url(location))
            .is_ok()
    };
    assert!(!may_read("s3://b/x/y"));
    let object = Securable::Location(url("s3://b/x/"));
    grant(&test, user("bob"), object, Select, None)
        .await
        .unwrap();
    for (location, expected) in [
        ("s3://b/x/y", true),
        ("s3://b/x", true),
        ("s3://b/xy", false),
        ("s3://b/", false),
        ("s3://c/x/y", false),
    ] {
        assert_eq!(may_read(location), expected, "{location}");
    }
    let directory = test.directory.path().join("granted");
    std::fs::create_dir_all(&directory).unwrap();
    let local = StorageUrl::from_local_path(&directory).unwrap();
    grant(
        &test,
        user("bob"),
        Securable::Location(local.clone()),
        Select,
        None,
    )
    .await
    .unwrap();
    assert!(may_read(&format!("{local}/file")));
    let link = directory.join("link");
    std::os::unix::fs::symlink("/etc", &link).unwrap();
    assert!(
        !may_read(&format!("{local}/link/hosts")),
        "a link out of it"
    );
    let anywhere = Securable::AnyLocation;
    grant(&test, user("bob"), anywhere, Select, None)
        .await
        .unwrap();
    assert!(may_read("s3://c/"));
}

#[tokio::test]
async fn what_nobody_owns_is_an_administrators() {
    let test = prepared().await;
    let snapshot = test.catalog.snapshot();
    let caller = Rights::of(&snapshot, "eve", &EnabledRoles::All);
    assert!(caller.of_owner(&snapshot, "long gone").are_everything());
    assert!(!caller.of_owner(&snapshot, "bob").are_everything());
    let unchecked = Rights::unchecked("eve");
    assert!(unchecked.of_owner(&snapshot, "bob").are_unchecked());
    assert!(!caller.may_with_system(ManageUsers) && unchecked.may_with_system(ManageUsers));
}
