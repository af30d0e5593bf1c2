//! Tables and their partitions.

use super::parse_location;
use super::storage::{HEADER_PROPERTY, check_column_type, storage_of};
use crate::engine::Coordinator;
use crate::session::Session;
use crate::statement::unsupported;
use crate::statement::{
    ColumnDefinition, ColumnPlace, Comparison, CreateTable, PartitionCondition, PartitionSpec,
    TableChange, TableName,
};
use skep_catalog::catalog::{
    BucketingSpec, ColumnPosition, ColumnSpec, Comparison as CatalogComparison, NewPartition,
    PartitionColumnSpec, PartitionCondition as CatalogCondition, PartitionSpec as CatalogPartition,
    TableChange as CatalogChange,
};
use skep_catalog::model::{Column, FileFormat, TableDefinition};
use skep_catalog::{Catalog, NewExternalTable, NewManagedTable};
use skep_protocol::{ErrorCode, QueryError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

impl Coordinator {
    /// Creates a table that has no query.
    pub(super) async fn create_table(
        &self,
        session: &Session,
        create: CreateTable,
    ) -> Result<(), QueryError> {
        if create.external {
            check_temporary(&create)?;
            let mut new = self.new_external_table(session, create)?;
            let store = self.object_store(&new.location)?;
            self.find_columns(session, &mut new, &store).await?;
            self.catalog.create_external_table(new, &store).await?;
            return Ok(());
        }
        let columns = column_specs(&create.columns)?;
        let catalog = self.catalog_for_new(session, &create).await?;
        let new = self.managed_table(session, create, columns)?;
        catalog.create_managed_table(new).await?;
        Ok(())
    }

    /// The catalog that a new table goes into.
    pub(crate) async fn catalog_for_new<'a>(
        &'a self,
        session: &'a Session,
        create: &CreateTable,
    ) -> Result<&'a Catalog, QueryError> {
        check_temporary(create)?;
        if !create.temporary {
            return Ok(&self.catalog);
        }
        let database = self.database_of(session, &create.name);
        self.temporary_catalog(session, &database).await
    }

    /// Drops a table. The files of a temporary one go at once.
    pub(super) async fn drop_table(
        &self,
        session: &Session,
        name: &TableName,
        if_exists: bool,
    ) -> Result<(), QueryError> {
        let database = self.database_of(session, name);
        let catalog = self.catalog_of(session, &database, &name.table);
        catalog
            .drop_table(&database, &name.table, if_exists)
            .await?;
        if !std::ptr::eq(catalog, &self.catalog) {
            for location in catalog.snapshot().abandoned_locations() {
                self.vacuum_location(catalog, location, Duration::ZERO, false)
                    .await?;
            }
        }
        Ok(())
    }

    /// What `LIKE` refers to.
    fn model(
        &self,
        session: &Session,
        create: &CreateTable,
    ) -> Result<Option<TableDefinition>, QueryError> {
        let Some(like) = &create.like else {
            return Ok(None);
        };
        if !create.partition_columns.is_empty() {
            let text = "CREATE TABLE … LIKE has the partition columns of its model; leave PARTITIONED BY out";
            return Err(QueryError::new(ErrorCode::Semantic, text));
        }
        let catalog = self.session_catalog(session);
        let table = catalog.table(&self.database_of(session, like), &like.table)?;
        Ok(Some(table.definition.clone()))
    }

    fn managed_table(
        &self,
        session: &Session,
        create: CreateTable,
        columns: Vec<ColumnSpec>,
    ) -> Result<NewManagedTable, QueryError> {
        let model = self.model(session, &create)?;
        let database = self.database_of(session, &create.name);
        let mut new = new_managed_table(session, database, &create, columns)?;
        if let Some(model) = model {
            new.columns = model.columns.iter().map(spec_of).collect();
            new.partition_columns = partition_specs_of(&model);
            if create.storage == Default::default() {
                (new.format, new.storage) = (model.format, model.storage.clone());
            }
            let mut properties = model.shown_properties();
            properties.extend(new.properties);
            new.properties = properties;
        }
        Ok(new)
    }

    fn new_external_table(
        &self,
        session: &Session,
        create: CreateTable,
    ) -> Result<NewExternalTable, QueryError> {
        let Some(location) = &create.location else {
            let text = "CREATE EXTERNAL TABLE needs a LOCATION";
            return Err(QueryError::new(ErrorCode::Semantic, text));
        };
        let model = self.model(session, &create)?;
        let (mut format, mut storage) = storage_of(&create.storage, &create.properties)?;
        let (mut columns, mut partition_columns) = declared_columns(&create)?;
        if let Some(model) = &model {
            columns = model.columns.iter().map(spec_of).collect();
            partition_columns = partition_specs_of(model);
            if create.storage == Default::default() {
                (format, storage) = (model.format, model.storage.clone());
            }
        }
        for column in &columns {
            check_column_type(format, &column.name, &column.data_type)?;
        }
        Ok(NewExternalTable {
            database: self.database_of(session, &create.name),
            name: create.name.table,
            if_not_exists: create.if_not_exists,
            format,
            storage,
            location: parse_location(location)?,
            columns,
            source_names: BTreeMap::new(),
            partition_columns: (!partition_columns.is_empty()).then_some(partition_columns),
            bucketing: bucketing(create.buckets),
            properties: create.properties,
            comment: create.comment,
            owner: session.user.clone(),
        })
    }

    pub(super) async fn alter_table(
        &self,
        session: &Session,
        name: &TableName,
        change: TableChange,
    ) -> Result<(), QueryError> {
        let database = self.database_of(session, name);
        let catalog = self.catalog_of(session, &database, &name.table);
        let table = Arc::clone(catalog.snapshot().table(&database, &name.table)?);
        if let TableChange::Rename(to) = &change
            && to.database.as_ref().is_some_and(|to| *to != database)
            && !std::ptr::eq(catalog, &self.catalog)
        {
            return Err(unsupported(
                "moving a temporary table into another database",
            ));
        }
        match catalog_change(&change, &table.definition)? {
            Some(change) => {
                catalog.alter_table(&database, &name.table, change).await?;
                Ok(())
            }
            None => {
                let definition = &table.definition;
                self.alter_partitions(catalog, &database, definition, change)
                    .await
            }
        }
    }

    async fn alter_partitions(
        &self,
        catalog: &Catalog,
        database: &str,
        definition: &TableDefinition,
        change: TableChange,
    ) -> Result<(), QueryError> {
        let name = &definition.name;
        let store = self.object_store(&definition.location)?;
        match change {
            TableChange::SetLocation {
                partition,
                location,
            } => {
                let location = parse_location(&location)?;
                let store = self.object_store(&location)?;
                match partition {
                    None => {
                        catalog
                            .set_table_location(database, name, &location, &store)
                            .await?;
                    }
                    Some(partition) => {
                        let partition = complete(partition)?;
                        catalog
                            .set_partition_location(database, name, &partition, &location, &store)
                            .await?;
                    }
                }
            }
            TableChange::AddPartitions {
                partitions,
                if_not_exists,
            } => {
                let new = partitions
                    .into_iter()
                    .map(|(values, location)| {
                        Ok(NewPartition {
                            values: complete(values)?,
                            location: location.as_deref().map(parse_location).transpose()?,
                        })
                    })
                    .collect::<Result<Vec<_>, QueryError>>()?;
                catalog
                    .add_partitions(database, name, &new, if_not_exists, &store)
                    .await?;
            }
            TableChange::DropPartitions { filters, if_exists } => {
                let filters: Vec<_> = filters.into_iter().map(conditions).collect();
                catalog
                    .drop_partitions(database, name, &filters, if_exists)
                    .await?;
            }
            TableChange::RenamePartition { from, to } => {
                let (from, to) = (complete(from)?, complete(to)?);
                catalog.rename_partition(database, name, &from, &to).await?;
            }
            _ => return Err(QueryError::internal("the change is one of the table's own")),
        }
        Ok(())
    }

    pub(super) async fn truncate(
        &self,
        session: &Session,
        name: &TableName,
        partition: PartitionSpec,
    ) -> Result<(), QueryError> {
        let database = self.database_of(session, name);
        // A column without a value must not stand for all of its values.
        let filters: Vec<CatalogCondition> = complete(partition)?
            .into_iter()
            .map(|(column, value)| CatalogCondition {
                column,
                comparison: CatalogComparison::Equal,
                value,
            })
            .collect();
        let filters = vec![filters];
        let specs = (!filters[0].is_empty()).then_some(filters.as_slice());
        self.catalog_of(session, &database, &name.table)
            .truncate_table(&database, &name.table, specs)
            .await?;
        Ok(())
    }
}

/// What a temporary table cannot have.
fn check_temporary(create: &CreateTable) -> Result<(), QueryError> {
    match create.temporary {
        true if create.external => Err(unsupported("CREATE EXTERNAL TEMPORARY TABLE")),
        true if create.location.is_some() => {
            Err(unsupported("CREATE TEMPORARY TABLE with a LOCATION"))
        }
        _ => Ok(()),
    }
}

/// A managed table as CREATE TABLE describes it, with `columns`.
pub(crate) fn new_managed_table(
    session: &Session,
    database: String,
    create: &CreateTable,
    columns: Vec<ColumnSpec>,
) -> Result<NewManagedTable, QueryError> {
    let (format, storage) = storage_of(&create.storage, &create.properties)?;
    let mut columns = columns;
    let mut partition_columns = Vec::new();
    for column in &create.partition_columns {
        partition_columns.push(match &column.sql_type {
            Some(_) => partition_spec(column),
            // Spark names columns of the table.
            None => {
                let place = columns.iter().position(|found| found.name == column.name);
                let Some(place) = place else {
                    let text = format!("partition column '{}' has no type", column.name);
                    return Err(QueryError::new(ErrorCode::Semantic, text));
                };
                let found = columns.remove(place);
                PartitionColumnSpec {
                    name: found.name,
                    data_type: Some(found.data_type),
                    sql_type: found.sql_type,
                    comment: found.comment,
                }
            }
        });
    }
    for column in &columns {
        check_column_type(format, &column.name, &column.data_type)?;
    }
    Ok(NewManagedTable {
        database,
        name: create.name.table.clone(),
        if_not_exists: create.if_not_exists,
        format,
        storage,
        location: create.location.as_deref().map(parse_location).transpose()?,
        columns,
        partition_columns,
        bucketing: bucketing(create.buckets.clone()),
        properties: create.properties.clone(),
        comment: create.comment.clone(),
        owner: session.user.clone(),
    })
}

fn declared_columns(
    create: &CreateTable,
) -> Result<(Vec<ColumnSpec>, Vec<PartitionColumnSpec>), QueryError> {
    let mut columns = column_specs(&create.columns)?;
    let mut partition_columns = Vec::new();
    for column in &create.partition_columns {
        let mut spec = partition_spec(column);
        if spec.data_type.is_none()
            && let Some(place) = columns.iter().position(|found| found.name == column.name)
        {
            let found = columns.remove(place);
            spec.data_type = Some(found.data_type);
            spec.sql_type = found.sql_type;
        }
        partition_columns.push(spec);
    }
    Ok((columns, partition_columns))
}

/// Columns with their types as the catalog takes them.
pub(crate) fn column_specs(columns: &[ColumnDefinition]) -> Result<Vec<ColumnSpec>, QueryError> {
    let spec = |column: &ColumnDefinition| {
        let Some(sql_type) = &column.sql_type else {
            let text = format!("column '{}' has no type", column.name);
            return Err(QueryError::new(ErrorCode::Semantic, text));
        };
        Ok(ColumnSpec {
            name: column.name.clone(),
            data_type: sql_type.data_type.clone(),
            sql_type: sql_type.sql_type.clone(),
            nullable: column.nullable,
            comment: column.comment.clone(),
        })
    };
    columns.iter().map(spec).collect()
}

fn partition_spec(column: &ColumnDefinition) -> PartitionColumnSpec {
    let sql_type = column.sql_type.as_ref();
    PartitionColumnSpec {
        name: column.name.clone(),
        data_type: sql_type.map(|sql_type| sql_type.data_type.clone()),
        sql_type: sql_type.and_then(|sql_type| sql_type.sql_type.clone()),
        comment: column.comment.clone(),
    }
}

fn spec_of(column: &Column) -> ColumnSpec {
    ColumnSpec {
        name: column.name.clone(),
        data_type: column.data_type.clone(),
        sql_type: column.sql_type.clone(),
        nullable: column.nullable,
        comment: column.comment.clone(),
    }
}

fn partition_specs_of(definition: &TableDefinition) -> Vec<PartitionColumnSpec> {
    let columns = definition.partition_columns.iter();
    columns
        .map(|column| PartitionColumnSpec {
            name: column.name.clone(),
            data_type: Some(column.data_type.clone()),
            sql_type: column.sql_type.clone(),
            comment: column.comment.clone(),
        })
        .collect()
}

fn bucketing(buckets: Option<crate::statement::Buckets>) -> Option<BucketingSpec> {
    buckets.map(|buckets| BucketingSpec {
        columns: buckets.columns,
        sorted_by: buckets.sorted_by,
        count: buckets.count,
    })
}

/// The change as the catalog takes it; `None` where it is about partitions or locations.
fn catalog_change(
    change: &TableChange,
    definition: &TableDefinition,
) -> Result<Option<CatalogChange>, QueryError> {
    check_places(change, definition)?;
    Ok(Some(match change {
        TableChange::Rename(to) => CatalogChange::Rename {
            database: to.database.clone(),
            name: to.table.clone(),
        },
        TableChange::SetProperties(properties) => {
            if properties.contains_key(HEADER_PROPERTY) {
                return Err(unsupported(&format!(
                    "changing '{HEADER_PROPERTY}' of a table that is there"
                )));
            }
            storage_of(&Default::default(), properties)?;
            match properties.get("comment").filter(|_| properties.len() == 1) {
                Some(comment) => CatalogChange::SetComment(Some(comment.clone())),
                None => CatalogChange::SetProperties(properties.clone()),
            }
        }
        TableChange::SetOwner(owner) => CatalogChange::SetOwner(owner.clone()),
        TableChange::UnsetProperties { keys, if_exists } => CatalogChange::UnsetProperties {
            keys: keys.clone(),
            if_exists: *if_exists,
        },
        TableChange::AddColumns(columns) => {
            let columns = column_specs(columns)?;
            for column in &columns {
                check_column_type(definition.format, &column.name, &column.data_type)?;
            }
            CatalogChange::AddColumns(columns)
        }
        TableChange::ReplaceColumns(columns) => {
            CatalogChange::ReplaceColumns(column_specs(columns)?)
        }
        TableChange::ChangeColumn { name, to, place } => {
            changed_column(definition, name, to, place.as_ref())?
        }
        TableChange::DropColumns { names, if_exists } => CatalogChange::DropColumns {
            names: names.clone(),
            if_exists: *if_exists,
        },
        TableChange::SetLocation { .. }
        | TableChange::AddPartitions { .. }
        | TableChange::DropPartitions { .. }
        | TableChange::RenamePartition { .. } => return Ok(None),
    }))
}

/// Lines know their columns by their places: where these moved, rows that are there would have other
/// values in them.
fn check_places(change: &TableChange, definition: &TableDefinition) -> Result<(), QueryError> {
    let moves = matches!(
        change,
        TableChange::ReplaceColumns(_)
            | TableChange::DropColumns { .. }
            | TableChange::ChangeColumn { place: Some(_), .. }
    );
    match definition.format {
        format @ (FileFormat::Csv | FileFormat::Text) if moves => Err(unsupported(&format!(
            "dropping, replacing or moving columns of {} files, which know them by their places,",
            format.as_str()
        ))),
        _ => Ok(()),
    }
}

fn changed_column(
    definition: &TableDefinition,
    name: &str,
    to: &ColumnDefinition,
    place: Option<&ColumnPlace>,
) -> Result<CatalogChange, QueryError> {
    let old = definition.column(&name.to_lowercase());
    let column = match (&to.sql_type, old) {
        (Some(sql_type), old) => ColumnSpec {
            name: to.name.clone(),
            data_type: sql_type.data_type.clone(),
            sql_type: sql_type.sql_type.clone(),
            nullable: old.is_none_or(|old| old.nullable),
            comment: to.comment.clone(),
        },
        (None, Some(old)) => ColumnSpec {
            name: to.name.clone(),
            comment: to.comment.clone(),
            ..spec_of(old)
        },
        // The catalog says which column is missing.
        (None, None) => {
            return Ok(CatalogChange::RenameColumn {
                name: name.to_owned(),
                to: to.name.clone(),
            });
        }
    };
    Ok(CatalogChange::ChangeColumn {
        name: name.to_owned(),
        column,
        position: place.map(|place| match place {
            ColumnPlace::First => ColumnPosition::First,
            ColumnPlace::After(name) => ColumnPosition::After(name.clone()),
        }),
    })
}

/// A partition with a value for each column that is named.
pub(crate) fn complete(partition: PartitionSpec) -> Result<CatalogPartition, QueryError> {
    let value = |(name, value): (String, Option<Option<String>>)| match value {
        Some(value) => Ok((name, value)),
        None => {
            let text = format!("partition column '{name}' needs a value");
            Err(QueryError::new(ErrorCode::Semantic, text))
        }
    };
    partition.into_iter().map(value).collect()
}

fn conditions(filter: Vec<PartitionCondition>) -> Vec<CatalogCondition> {
    let condition = |condition: PartitionCondition| CatalogCondition {
        column: condition.column,
        comparison: match condition.comparison {
            Comparison::Equal => CatalogComparison::Equal,
            Comparison::NotEqual => CatalogComparison::NotEqual,
            Comparison::Less => CatalogComparison::Less,
            Comparison::LessOrEqual => CatalogComparison::LessOrEqual,
            Comparison::Greater => CatalogComparison::Greater,
            Comparison::GreaterOrEqual => CatalogComparison::GreaterOrEqual,
        },
        value: condition.value,
    };
    filter.into_iter().map(condition).collect()
}
