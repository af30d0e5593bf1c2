//! What a statement needs, besides the right to read what it reads: decided from the statement alone.

use crate::statement::{
    CreateTable, CreateView, DatabaseChange, Show, Statement, TableChange, TableName, ViewChange,
};
use skep_catalog::model::Privilege::{
    self, Alter, Create, Delete, Drop, Insert, ManageCluster, Select,
};

/// One thing that must be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// One of the privileges on a table or a view.
    OnRelation {
        name: TableName,
        any_of: &'static [Privilege],
        /// Whether nothing happens where it is not there.
        if_exists: bool,
    },
    /// All columns of a table or a view may be known.
    KnowsRelation(TableName),
    /// All columns of a table may be read.
    ReadsRelation(TableName),
    /// A table or a view is the user's, or its database is.
    OwnsRelation(TableName),
    /// A view is the user's own: with another query it reads what its owner may.
    RedefinesView(TableName),
    /// The view of that name, where there is one, is the user's own.
    ReplacesView(TableName),
    /// The privilege on a database.
    InDatabase {
        /// The session's where it is absent.
        name: Option<String>,
        privilege: Privilege,
        /// Whether nothing happens where it is not there.
        if_exists: bool,
    },
    /// The database is the user's.
    OwnsDatabase(String),
    /// There is a user of that name, who may own things.
    IsUser(String),
    /// The privilege on the catalog.
    OnCatalog(Privilege),
    /// The privilege on the server.
    OnSystem(Privilege),
    /// All of the privileges at a place.
    AtLocation {
        location: String,
        all_of: &'static [Privilege],
    },
}

fn on(name: &TableName, any_of: &'static [Privilege]) -> Need {
    Need::OnRelation {
        name: name.clone(),
        any_of,
        if_exists: false,
    }
}

fn in_database(name: &Option<String>) -> Need {
    Need::InDatabase {
        name: name.clone(),
        privilege: Create,
        if_exists: false,
    }
}

fn at(location: &str, all_of: &'static [Privilege]) -> Need {
    Need::AtLocation {
        location: location.to_owned(),
        all_of,
    }
}

/// What a name needs to which something is moved: it may be in another database.
fn moved_to(from: &TableName, to: &TableName) -> Option<Need> {
    match &to.database {
        Some(database) if Some(database) != from.database.as_ref() => {
            Some(in_database(&to.database))
        }
        _ => None,
    }
}

/// What a statement needs. It is carried out where all of it is so.
pub(super) fn needs(statement: &Statement) -> Vec<Need> {
    match statement {
        // What these read is asked for where it is looked up; what is of the session is its user's.
        Statement::Query(_)
        | Statement::Explain(_)
        | Statement::Use(_)
        | Statement::Set { .. }
        | Statement::Reset(_)
        // Whose query it is decides, and whose password, and what is granted.
        | Statement::KillQuery(_)
        | Statement::User(_)
        | Statement::Access(_) => Vec::new(),
        Statement::CreateDatabase(create) => {
            let location = create.location.as_ref();
            let location = location.map(|location| at(location, &[Create]));
            [Need::OnCatalog(Create)].into_iter().chain(location).collect()
        }
        Statement::AlterDatabase { name, change } => alter_database(name, change),
        Statement::DropDatabase {
            name, if_exists, ..
        } => vec![Need::InDatabase {
            name: Some(name.clone()),
            privilege: Drop,
            if_exists: *if_exists,
        }],
        Statement::CreateTable(create) => create_table(create),
        Statement::AlterTable { name, change } => alter_table(name, change),
        Statement::DropTable { name, if_exists } | Statement::DropView { name, if_exists } => {
            vec![Need::OnRelation {
                name: name.clone(),
                any_of: &[Drop],
                if_exists: *if_exists,
            }]
        }
        Statement::Truncate { name, .. } => vec![on(name, &[Delete])],
        Statement::RefreshTable(name) | Statement::RepairTable { name, .. } => {
            vec![on(name, &[Insert, Alter])]
        }
        Statement::Vacuum { name, .. } => vec![match name {
            Some(name) => on(name, &[Alter]),
            None => Need::OnSystem(ManageCluster),
        }],
        // Its result says what values there are.
        Statement::Analyze(analyze) => vec![
            on(&analyze.name, &[Insert, Alter]),
            Need::ReadsRelation(analyze.name.clone()),
        ],
        Statement::DrainExecutor(_) => vec![Need::OnSystem(ManageCluster)],
        Statement::CreateView(create) => create_view(create),
        Statement::AlterView { name, change } => alter_view(name, change),
        Statement::Insert(inserts) => {
            let needs = inserts.iter().flat_map(|insert| writes(&insert.table, insert.overwrite));
            needs.collect()
        }
        Statement::InsertDirectory(insert) => vec![at(&insert.location, &[Insert, Delete])],
        Statement::CopyTo(copy) => vec![at(&copy.place, &[Insert, Delete])],
        Statement::CopyFrom(copy) => writes(&copy.table, false),
        Statement::LoadData(load) => {
            let mut needs = writes(&load.table, load.overwrite);
            needs.push(match load.local {
                true => at(&load.location, &[Select]),
                false => at(&load.location, &[Select, Delete]),
            });
            needs
        }
        Statement::Show(show) => shown(show),
    }
}

fn writes(table: &TableName, overwrite: bool) -> Vec<Need> {
    let mut needs = vec![on(table, &[Insert])];
    if overwrite {
        needs.push(on(table, &[Delete]));
    }
    needs
}

fn alter_database(name: &str, change: &DatabaseChange) -> Vec<Need> {
    match change {
        DatabaseChange::SetProperties(_) => vec![Need::InDatabase {
            name: Some(name.to_owned()),
            privilege: Alter,
            if_exists: false,
        }],
        DatabaseChange::SetOwner(owner) => vec![
            Need::OwnsDatabase(name.to_owned()),
            Need::IsUser(owner.clone()),
        ],
        DatabaseChange::SetLocation(location) => vec![
            Need::InDatabase {
                name: Some(name.to_owned()),
                privilege: Alter,
                if_exists: false,
            },
            at(location, &[Create]),
        ],
    }
}

fn create_table(create: &CreateTable) -> Vec<Need> {
    let mut needs = Vec::new();
    // What is temporary is the session's own; the database is only a name for it.
    if !create.temporary {
        needs.push(in_database(&create.name.database));
    }
    if let Some(location) = &create.location {
        needs.push(at(location, &[Create]));
    }
    if let Some(like) = &create.like {
        needs.push(Need::KnowsRelation(like.clone()));
    }
    needs
}

fn alter_table(name: &TableName, change: &TableChange) -> Vec<Need> {
    let mut needs = vec![on(name, &[Alter])];
    match change {
        TableChange::Rename(to) => needs.extend(moved_to(name, to)),
        TableChange::SetOwner(owner) => {
            return vec![
                Need::OwnsRelation(name.clone()),
                Need::IsUser(owner.clone()),
            ];
        }
        TableChange::SetLocation { location, .. } => needs.push(at(location, &[Create])),
        TableChange::AddPartitions { partitions, .. } => {
            let locations = partitions
                .iter()
                .filter_map(|(_, location)| location.as_ref());
            needs.extend(locations.map(|location| at(location, &[Create])));
        }
        TableChange::DropPartitions { .. } => needs.push(on(name, &[Delete])),
        TableChange::SetProperties(_)
        | TableChange::UnsetProperties { .. }
        | TableChange::AddColumns(_)
        | TableChange::ReplaceColumns(_)
        | TableChange::ChangeColumn { .. }
        | TableChange::DropColumns { .. }
        | TableChange::RenamePartition { .. } => {}
    }
    needs
}

fn create_view(create: &CreateView) -> Vec<Need> {
    if create.must_exist {
        return vec![Need::RedefinesView(create.name.clone())];
    }
    if create.temporary {
        return Vec::new();
    }
    let mut needs = vec![in_database(&create.name.database)];
    if create.or_replace {
        needs.push(Need::ReplacesView(create.name.clone()));
    }
    needs
}

fn alter_view(name: &TableName, change: &ViewChange) -> Vec<Need> {
    match change {
        ViewChange::Rename(to) => {
            let mut needs = vec![on(name, &[Alter])];
            needs.extend(moved_to(name, to));
            needs
        }
        // A property says how the query is read, another with whose rights.
        ViewChange::SetProperties(_) | ViewChange::UnsetProperties(_) => {
            vec![Need::RedefinesView(name.clone())]
        }
        ViewChange::SetOwner(owner) => vec![
            Need::OwnsRelation(name.clone()),
            Need::IsUser(owner.clone()),
        ],
    }
}

fn shown(show: &Show) -> Vec<Need> {
    match show {
        Show::Details { table, .. } | Show::TableProperties { table, .. } => {
            vec![Need::KnowsRelation(table.clone())]
        }
        Show::CreateTable(name) => vec![Need::KnowsRelation(name.clone())],
        // The values of partition columns are rows' values, and so are the least and the greatest of others.
        Show::Partitions { table, .. } | Show::Statistics(table) => {
            vec![Need::ReadsRelation(table.clone())]
        }
        // What these show is what the user may see.
        Show::Databases(_)
        | Show::Tables { .. }
        | Show::Views { .. }
        | Show::Functions(_)
        | Show::Function(_)
        | Show::ColumnNames { .. }
        | Show::Columns(_)
        | Show::Column { .. }
        | Show::Database { .. }
        | Show::CreateDatabase(_)
        | Show::QueryColumns(_)
        | Show::Executors
        | Show::Queries
        | Show::Users
        | Show::Query(_)
        | Show::Profile(_)
        | Show::Setting(_)
        | Show::Access(_) => Vec::new(),
    }
}
