//! What every [`CatalogStore`] keeps of roles, memberships and grants.

use super::{commit, create, time};
use crate::model::{
    AccessRules, Grant, GrantKey, Membership, Principal, Privilege, Role, Securable, TableFiles,
    TableId,
};
use crate::store::{CatalogStore, Change};
use skep_protocol::storage_url::StorageUrl;
use std::sync::Arc;

fn role(name: &str) -> Role {
    Role {
        name: name.to_owned(),
        owner: "ada".to_owned(),
        created_at: time(),
    }
}

fn membership(admin_option: bool) -> Membership {
    Membership {
        role: "a".to_owned(),
        member: Principal::User("bob".to_owned()),
        admin_option,
        grantor: "ada".to_owned(),
    }
}

fn grant(object: Securable, column: Option<&str>, grant_option: bool) -> Grant {
    Grant {
        key: GrantKey {
            grantee: Principal::Role("a".to_owned()),
            object,
            privilege: Privilege::Select,
            column: column.map(str::to_owned),
        },
        grant_option,
        grantor: "ada".to_owned(),
    }
}

pub(super) async fn come_change_and_go(store: Arc<dyn CatalogStore>) {
    let rules = async || store.load().await.unwrap().access;
    assert_eq!(rules().await, AccessRules::default());
    let grants = [
        grant(Securable::Catalog, None, false),
        grant(Securable::Database("it's".to_owned()), None, true),
        grant(Securable::Relation(TableId(7)), None, false),
        grant(Securable::Relation(TableId(7)), Some("c"), false),
        grant(
            Securable::Location(StorageUrl::parse("s3://b/a b/").unwrap()),
            None,
            false,
        ),
        grant(Securable::AnyLocation, None, false),
        grant(Securable::System, None, false),
    ];
    let mut changes = vec![
        Change::CreateRole(role("b")),
        Change::CreateRole(role("a")),
        Change::SetMembership(membership(false)),
    ];
    changes.extend(grants.iter().cloned().map(Change::SetGrant));
    let before = store.version().await.unwrap();
    commit(&*store, &changes).await;
    let mut expected = AccessRules {
        roles: vec![role("a"), role("b")],
        memberships: vec![membership(false)],
        grants: grants.to_vec(),
    };
    expected.sort();
    assert_eq!(rules().await, expected);
    let told = store.load_since(before).await.unwrap().unwrap();
    assert_eq!(told.state.access, expected);

    let changed = grant(Securable::Catalog, None, true);
    let changes = [
        Change::SetMembership(membership(true)),
        Change::SetGrant(changed.clone()),
    ];
    commit(&*store, &changes).await;
    let found = rules().await;
    assert_eq!(found.memberships, [membership(true)]);
    assert_eq!(found.grants.len(), grants.len());
    assert!(found.grants.contains(&changed));

    let mut changes: Vec<Change> = grants
        .iter()
        .map(|grant| Change::RemoveGrant(grant.key.clone()))
        .collect();
    changes.extend([
        Change::RemoveMembership {
            role: "a".to_owned(),
            member: Principal::User("bob".to_owned()),
        },
        Change::DropRole {
            name: "a".to_owned(),
        },
        Change::DropRole {
            name: "b".to_owned(),
        },
    ]);
    commit(&*store, &changes).await;
    assert_eq!(rules().await, AccessRules::default());
    for change in changes {
        let base = store.version().await.unwrap();
        store.commit(base, &[change]).await.unwrap_err();
    }
    let table = create(&*store, "t", TableFiles::default()).await;
    let of_created = Change::GrantOnCreated(grant(Securable::Catalog, None, false));
    let base = store.version().await.unwrap();
    store.commit(base, &[of_created]).await.unwrap_err();
    assert_eq!(rules().await.grants, [], "{table:?}");
}
