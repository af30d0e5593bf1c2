//! The columns that statements describe, and what becomes of them when a table changes.

use crate::discovery::ExpectedPartitionColumn;
use crate::error::CatalogError;
use crate::model::types::can_become;
use crate::model::{
    Bucketing, Column, PartitionColumn, RetiredColumn, SortColumn, TableDefinition, TableKind,
    name, partition_value,
};
use arrow::datatypes::DataType;
use std::collections::HashSet;

/// A column in a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSpec {
    /// In any case.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// The type as SQL calls it, where that says more: `varchar(10)`.
    pub sql_type: Option<String>,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// COMMENT.
    pub comment: Option<String>,
}

/// A partition column in a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionColumnSpec {
    /// In any case.
    pub name: String,
    /// Its type; `None` where the directories' values are to say.
    pub data_type: Option<DataType>,
    /// The type as SQL calls it, where that says more: `varchar(10)`.
    pub sql_type: Option<String>,
    /// COMMENT.
    pub comment: Option<String>,
}

/// CLUSTERED BY in a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketingSpec {
    /// Names of columns, in any case.
    pub columns: Vec<String>,
    /// SORTED BY: names of columns, each with whether the largest comes first.
    pub sorted_by: Vec<(String, bool)>,
    /// INTO n BUCKETS.
    pub count: u32,
}

/// Where a column goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnPosition {
    /// Before all others.
    First,
    /// Behind that one.
    After(String),
}

/// What a statement says of a new table's columns.
pub(super) struct NewColumns {
    pub columns: Vec<Column>,
    /// `None` where the directories are to say.
    pub partition_columns: Option<Vec<ExpectedPartitionColumn>>,
}

impl NewColumns {
    pub(super) fn new(
        table: &str,
        columns: &[ColumnSpec],
        partition_columns: Option<&[PartitionColumnSpec]>,
    ) -> Result<Self, CatalogError> {
        let mut names = HashSet::new();
        let mut new_name = |text: &str| {
            let name = name::validate("column", text)?;
            match names.insert(name.clone()) {
                true => Ok(name),
                false => Err(invalid(table, format!("column '{name}' is listed twice"))),
            }
        };
        let columns = (0..)
            .zip(columns)
            .map(|(id, spec)| {
                let name = new_name(&spec.name)?;
                Ok(new_column(
                    crate::model::ColumnId(id),
                    name.clone(),
                    name,
                    spec,
                ))
            })
            .collect::<Result<Vec<_>, CatalogError>>()?;
        let partition_columns = partition_columns
            .map(|specs| {
                let expected = specs.iter().map(|spec| {
                    let name = new_name(&spec.name)?;
                    expected_partition_column(table, name, spec)
                });
                expected.collect::<Result<Vec<_>, CatalogError>>()
            })
            .transpose()?;
        Ok(Self {
            columns,
            partition_columns,
        })
    }

    /// The partition columns, each of which must have a type.
    pub(super) fn typed_partition_columns(
        &self,
        table: &str,
    ) -> Result<Vec<PartitionColumn>, CatalogError> {
        let expected = self.partition_columns.iter().flatten();
        let typed = expected.map(|column| {
            let data_type = column.data_type.clone().ok_or_else(|| {
                invalid(
                    table,
                    format!("partition column '{}' has no type", column.name),
                )
            })?;
            Ok(PartitionColumn {
                name: column.name.clone(),
                data_type,
                sql_type: column.sql_type.clone(),
                comment: column.comment.clone(),
            })
        });
        typed.collect()
    }
}

fn expected_partition_column(
    table: &str,
    name: String,
    spec: &PartitionColumnSpec,
) -> Result<ExpectedPartitionColumn, CatalogError> {
    if let Some(data_type) = &spec.data_type
        && !partition_value::is_supported(data_type)
    {
        return Err(invalid(
            table,
            format!("partition column '{name}' cannot have type {data_type}"),
        ));
    }
    Ok(ExpectedPartitionColumn {
        name,
        data_type: spec.data_type.clone(),
        sql_type: spec.sql_type.clone(),
        comment: spec.comment.clone(),
    })
}

fn new_column(
    id: crate::model::ColumnId,
    name: String,
    source_name: String,
    spec: &ColumnSpec,
) -> Column {
    Column {
        id,
        name,
        source_name,
        data_type: spec.data_type.clone(),
        sql_type: spec.sql_type.clone(),
        nullable: spec.nullable,
        comment: spec.comment.clone(),
    }
}

pub(super) fn invalid(table: &str, reason: String) -> CatalogError {
    CatalogError::InvalidDefinition {
        table: name::normalise(table),
        reason,
    }
}

/// CLUSTERED BY, checked against the columns.
pub(super) fn bucketing(
    table: &str,
    columns: &[Column],
    spec: &BucketingSpec,
) -> Result<Bucketing, CatalogError> {
    let find = |text: &String| {
        let wanted = name::normalise(text);
        let found = columns.iter().find(|column| column.name == wanted);
        found
            .map(|column| column.id)
            .ok_or_else(|| column_not_found(table, &wanted, columns))
    };
    if spec.count == 0 || spec.columns.is_empty() {
        return Err(invalid(
            table,
            "buckets need columns and a count".to_owned(),
        ));
    }
    let sorted_by = spec.sorted_by.iter().map(|(name, descending)| {
        Ok(SortColumn {
            column: find(name)?,
            descending: *descending,
        })
    });
    Ok(Bucketing {
        columns: spec.columns.iter().map(find).collect::<Result<_, _>>()?,
        sorted_by: sorted_by.collect::<Result<_, CatalogError>>()?,
        count: spec.count,
    })
}

fn column_not_found(table: &str, column: &str, columns: &[Column]) -> CatalogError {
    CatalogError::ColumnNotFound {
        table: name::normalise(table),
        column: column.to_owned(),
        suggestion: name::nearest(column, columns.iter().map(|column| column.name.as_str())),
    }
}

/// Changes the columns of a definition. From the first change on they are the user's, even where they
/// came from the files.
pub(super) struct ColumnEditor<'a> {
    definition: &'a mut TableDefinition,
}

impl<'a> ColumnEditor<'a> {
    pub(super) fn new(definition: &'a mut TableDefinition) -> Self {
        definition.columns_declared = true;
        Self { definition }
    }

    pub(super) fn add(&mut self, specs: &[ColumnSpec]) -> Result<(), CatalogError> {
        specs.iter().try_for_each(|spec| {
            let name = self.new_name(&spec.name)?;
            if !spec.nullable {
                let reason = format!(
                    "column '{name}' cannot be NOT NULL: the rows that are there have no value for it"
                );
                return Err(invalid(&self.definition.name, reason));
            }
            let column = self.fresh_column(name, spec);
            self.definition.columns.push(column);
            Ok(())
        })
    }

    /// Columns of the same name stay the same columns.
    pub(super) fn replace(&mut self, specs: &[ColumnSpec]) -> Result<(), CatalogError> {
        if specs.is_empty() {
            return Err(invalid(
                &self.definition.name,
                "a table needs at least one column".to_owned(),
            ));
        }
        let old = std::mem::take(&mut self.definition.columns);
        let wanted: HashSet<String> = specs.iter().map(|s| name::normalise(&s.name)).collect();
        for column in old.iter().filter(|column| !wanted.contains(&column.name)) {
            self.retire(column)?;
        }
        for spec in specs {
            let name = self.new_name(&spec.name)?;
            let column = match old.iter().find(|column| column.name == name) {
                Some(column) => changed(column, name, spec)?,
                None => {
                    // The names and ids of those that are yet to come are taken, too.
                    let mut column = self.fresh_column(name, spec);
                    let next = old.iter().map(|column| column.id.0 + 1).max();
                    column.id.0 = column.id.0.max(next.unwrap_or(0));
                    column.source_name = self.free_source_name(&column.name, &old);
                    column
                }
            };
            self.definition.columns.push(column);
        }
        Ok(())
    }

    pub(super) fn change(
        &mut self,
        column: &str,
        spec: &ColumnSpec,
        position: Option<&ColumnPosition>,
    ) -> Result<(), CatalogError> {
        let index = self.index_of(column)?;
        let name = name::normalise(&spec.name);
        let old = self.definition.columns.remove(index);
        let name = match name == old.name {
            true => name,
            false => self.new_name(&spec.name)?,
        };
        let new = changed(&old, name, spec)?;
        let index = match position {
            None => index,
            Some(ColumnPosition::First) => 0,
            Some(ColumnPosition::After(other)) => self.index_of(other)? + 1,
        };
        self.definition.columns.insert(index, new);
        Ok(())
    }

    pub(super) fn rename(&mut self, column: &str, to: &str) -> Result<(), CatalogError> {
        let index = self.index_of(column)?;
        let old = &self.definition.columns[index];
        let spec = ColumnSpec {
            name: to.to_owned(),
            data_type: old.data_type.clone(),
            sql_type: old.sql_type.clone(),
            nullable: old.nullable,
            comment: old.comment.clone(),
        };
        self.change(column, &spec, None)
    }

    pub(super) fn drop(&mut self, names: &[String], if_exists: bool) -> Result<(), CatalogError> {
        for column in names {
            let index = match self.index_of(column) {
                Err(CatalogError::ColumnNotFound { .. }) if if_exists => continue,
                found => found?,
            };
            let column = self.definition.columns.remove(index);
            self.retire(&column)?;
        }
        match self.definition.columns.is_empty() {
            true => Err(invalid(
                &self.definition.name,
                "its last column cannot be dropped".to_owned(),
            )),
            false => Ok(()),
        }
    }

    fn retire(&mut self, column: &Column) -> Result<(), CatalogError> {
        let in_use = self.definition.bucketing.as_ref().is_some_and(|bucketing| {
            let sorted = bucketing.sorted_by.iter().map(|sort| sort.column);
            let mut used = bucketing.columns.iter().copied().chain(sorted);
            used.any(|id| id == column.id)
        });
        if in_use {
            let reason = format!("column '{}' is used by CLUSTERED BY", column.name);
            return Err(invalid(&self.definition.name, reason));
        }
        self.definition.retired_columns.push(RetiredColumn {
            id: column.id,
            source_name: column.source_name.clone(),
        });
        Ok(())
    }

    fn index_of(&self, column: &str) -> Result<usize, CatalogError> {
        let wanted = name::normalise(column);
        if self.definition.partition_column_index(&wanted).is_some() {
            let reason = format!("'{wanted}' is a partition column, which cannot be changed");
            return Err(invalid(&self.definition.name, reason));
        }
        let columns = &self.definition.columns;
        columns
            .iter()
            .position(|column| column.name == wanted)
            .ok_or_else(|| column_not_found(&self.definition.name, &wanted, columns))
    }

    /// A name that no column has yet.
    fn new_name(&self, text: &str) -> Result<String, CatalogError> {
        let name = name::validate("column", text)?;
        let is_partition_column = self.definition.partition_column_index(&name).is_some();
        match is_partition_column || self.definition.column(&name).is_some() {
            true => Err(CatalogError::ColumnExists {
                table: self.definition.name.clone(),
                column: name,
            }),
            false => Ok(name),
        }
    }

    fn fresh_column(&self, name: String, spec: &ColumnSpec) -> Column {
        let source_name = self.free_source_name(&name, &[]);
        new_column(self.definition.next_column_id(), name, source_name, spec)
    }

    /// The name that a new column has in the files. Other columns, `others` among them, have or had
    /// theirs; for an external table only those of today count, since its files are not our business.
    fn free_source_name(&self, name: &str, others: &[Column]) -> String {
        let columns = self.definition.columns.iter().chain(others);
        let mut taken: HashSet<String> = columns
            .map(|column| name::normalise(&column.source_name))
            .collect();
        if self.definition.kind == TableKind::Managed {
            let retired = self.definition.retired_columns.iter();
            taken.extend(retired.map(|column| name::normalise(&column.source_name)));
        }
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        std::iter::once(name.to_owned())
            .chain(numbered)
            .find(|candidate| !taken.contains(candidate))
            .unwrap_or_else(|| name.to_owned())
    }
}

/// The column with another name, type or comment.
fn changed(old: &Column, name: String, spec: &ColumnSpec) -> Result<Column, CatalogError> {
    if !can_become(&spec.data_type, &old.data_type) {
        return Err(CatalogError::TypeNotWider {
            column: old.name.clone(),
            from: old.data_type.to_string(),
            to: spec.data_type.to_string(),
        });
    }
    Ok(Column {
        id: old.id,
        name,
        source_name: old.source_name.clone(),
        data_type: spec.data_type.clone(),
        sql_type: spec.sql_type.clone(),
        // Rows that are there may have none.
        nullable: old.nullable || spec.nullable,
        comment: spec.comment.clone().or_else(|| old.comment.clone()),
    })
}
