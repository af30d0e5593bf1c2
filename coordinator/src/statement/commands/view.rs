//! Views.

use crate::engine::Coordinator;
use crate::session::Session;
use crate::statement::{CreateView, Dialect, TableName, ViewChange};
use skep_catalog::catalog::{NewView, ViewChange as CatalogChange};
use skep_catalog::model::ViewColumn;
use skep_planner::DIALECT_PROPERTY;
use skep_protocol::{ErrorCode, QueryError};

impl Coordinator {
    /// Creates a view whose query has been resolved once, so that it is known to make sense, and has
    /// `query_columns` columns.
    pub(crate) async fn create_view(
        &self,
        session: &Session,
        create: CreateView,
        query_columns: usize,
    ) -> Result<(), QueryError> {
        let database = self.database_of(session, &create.name);
        if create.must_exist {
            self.check_dialect(session, &database, &create.name)?;
            let change = CatalogChange::SetQuery {
                sql: create.query.sql,
                resolve_in: session.database.clone(),
            };
            self.catalog_of(session, &database, &create.name.table)
                .alter_view(&database, &create.name.table, change)
                .await?;
            return Ok(());
        }
        if !create.columns.is_empty() && create.columns.len() != query_columns {
            let text = format!(
                "the view lists {} columns and its query has {query_columns}",
                create.columns.len()
            );
            return Err(QueryError::new(ErrorCode::Semantic, text));
        }
        let mut properties = create.properties;
        let dialect = session.settings.dialect();
        if dialect != Dialect::default() {
            // The query will have to be read again.
            properties.insert(DIALECT_PROPERTY.to_owned(), dialect.to_string());
        }
        let columns = create.columns.into_iter();
        let new = NewView {
            database,
            name: create.name.table,
            if_not_exists: create.if_not_exists,
            or_replace: create.or_replace,
            columns: columns
                .map(|(name, comment)| ViewColumn { name, comment })
                .collect(),
            sql: create.query.sql,
            resolve_in: session.database.clone(),
            properties,
            comment: create.comment,
            owner: session.user.clone(),
        };
        let catalog = match create.temporary {
            true => self.temporary_catalog(session, &new.database).await?,
            false => &self.catalog,
        };
        catalog.create_view(new).await?;
        Ok(())
    }

    /// A view's query is read as it was when the view was created: another one must be meant alike.
    fn check_dialect(
        &self,
        session: &Session,
        database: &str,
        name: &TableName,
    ) -> Result<(), QueryError> {
        let snapshot = self.session_catalog(session);
        let view = snapshot.view(database, &name.table)?;
        let recorded = view.definition.properties.get(DIALECT_PROPERTY);
        let recorded = recorded.map_or_else(|| Dialect::default().to_string(), Clone::clone);
        let meant = session.settings.dialect().to_string();
        if recorded == meant {
            return Ok(());
        }
        let text = format!(
            "view '{database}.{}' was written in the dialect {recorded}, and this session has {meant}: \
             SET {DIALECT_PROPERTY} = {recorded}",
            name.table
        );
        Err(QueryError::new(ErrorCode::Semantic, text))
    }

    pub(super) async fn alter_view(
        &self,
        session: &Session,
        name: &TableName,
        change: ViewChange,
    ) -> Result<(), QueryError> {
        let change = match change {
            ViewChange::Rename(to) => CatalogChange::Rename {
                database: to.database,
                name: to.table,
            },
            ViewChange::SetOwner(owner) => CatalogChange::SetOwner(owner),
            ViewChange::SetProperties(properties) => CatalogChange::SetProperties(properties),
            ViewChange::UnsetProperties(keys) => CatalogChange::UnsetProperties {
                keys,
                if_exists: true,
            },
        };
        let database = self.database_of(session, name);
        self.catalog_of(session, &database, &name.table)
            .alter_view(&database, &name.table, change)
            .await?;
        Ok(())
    }
}
