//! `information_schema.table_privileges`, `column_privileges`, `enabled_roles` and `applicable_roles`: what the
//! user may know of grants.

use super::InformationSchema;
use super::rows::Rows;
use datafusion::arrow::array::RecordBatch;
use datafusion::error::Result;
use skep_catalog::Relation;
use skep_catalog::model::{Grant, Principal, Securable};

/// The table of that name.
pub(super) fn table(schema: &InformationSchema, name: &str) -> Option<Result<RecordBatch>> {
    Some(match name {
        "applicable_roles" => applicable_roles(schema),
        "column_privileges" => privileges(schema, true),
        "enabled_roles" => enabled_roles(schema),
        "table_privileges" => privileges(schema, false),
        _ => return None,
    })
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "YES" } else { "NO" }
}

fn enabled_roles(schema: &InformationSchema) -> Result<RecordBatch> {
    let mut rows = Rows::new(&["role_name"]);
    for role in schema.snapshot.rights().roles() {
        rows.text(role);
    }
    rows.finish()
}

/// What the user and their roles have been given.
fn applicable_roles(schema: &InformationSchema) -> Result<RecordBatch> {
    let mut rows = Rows::new(&["grantee", "role_name", "is_grantable"]);
    let (rights, snapshot) = (schema.snapshot.rights(), schema.snapshot.permanent());
    let own = rights.own_roles(snapshot);
    for membership in &snapshot.access().memberships {
        let is_own = match &membership.member {
            Principal::User(name) => name == rights.user(),
            Principal::Role(name) => own.contains(name),
        };
        if is_own {
            rows.text(membership.member.name())
                .text(&membership.role)
                .text(yes_no(membership.admin_option));
        }
    }
    rows.finish()
}

/// Grants on tables and views as a whole, or on columns of them.
fn privileges(schema: &InformationSchema, of_columns: bool) -> Result<RecordBatch> {
    let head = [
        "grantor",
        "grantee",
        "table_catalog",
        "table_schema",
        "table_name",
    ];
    let column: &[&str] = if of_columns { &["column_name"] } else { &[] };
    let columns = [&head[..], column, &["privilege_type", "is_grantable"]].concat();
    let mut rows = Rows::new(&columns);
    let snapshot = schema.snapshot.permanent();
    let shown = schema.snapshot.rights().shown_grants(snapshot);
    let is_meant = |grant: &&Grant| grant.key.column.is_some() == of_columns;
    for grant in shown.into_iter().filter(is_meant) {
        let found = match &grant.key.object {
            Securable::Relation(id) => snapshot.relation_by_id(*id),
            _ => None,
        };
        let Some((database, name)) = found.map(Relation::names) else {
            continue;
        };
        rows.text(&grant.grantor)
            .text(grant.key.grantee.name())
            .text(schema.catalog_name)
            .text(database)
            .text(name);
        if let Some(column) = &grant.key.column {
            rows.text(column);
        }
        rows.text(grant.key.privilege.as_str())
            .text(yes_no(grant.grant_option));
    }
    rows.finish()
}
