//! Makes one list of columns of many files' columns.

use super::Expectation;
use super::footer::Footer;
use crate::error::CatalogError;
use crate::model::types::is_wider;
use crate::model::{Column, ColumnId, name};
use arrow::datatypes::DataType;
use std::collections::HashSet;

/// A type without regard to how its values are laid out in memory, about which files written by
/// different programs disagree.
pub(super) fn logical_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => logical_type(values),
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        other => other.clone(),
    }
}

/// The columns of all files together with those that are expected, in the order in which they are
/// first met. Columns that a file does not have may be NULL.
pub(super) fn merge(
    expectation: &Expectation<'_>,
    footers: &[Footer],
    is_partition_column: impl Fn(&str) -> bool,
) -> Result<Vec<Column>, CatalogError> {
    let mut columns = expectation.columns.to_vec();
    // Names in the files are binding once a file has been read; a declaration's are not.
    let mut spelled_by_file: HashSet<String> = match expectation.known {
        Some(known) if !known.files.is_empty() => {
            let names = columns.iter();
            names
                .map(|column| name::normalise(&column.source_name))
                .collect()
        }
        _ => HashSet::new(),
    };
    let mut has_earlier_files = !spelled_by_file.is_empty();
    for footer in footers {
        let mut met: HashSet<String> = HashSet::new();
        for field in &footer.fields {
            let name = name::normalise(&field.source_name);
            if !met.insert(name.clone()) {
                return Err(CatalogError::UnfitFile {
                    file: footer.file.clone(),
                    reason: format!("it has several columns named '{name}'"),
                });
            }
            if is_partition_column(&name) {
                continue;
            }
            // A column that has been renamed keeps its name in the files.
            let is_same = |column: &&mut Column| name::normalise(&column.source_name) == name;
            let Some(column) = columns.iter_mut().find(is_same) else {
                if !expectation.columns_are_final {
                    columns.push(Column {
                        id: next_id(&columns),
                        name: name.clone(),
                        source_name: field.source_name.clone(),
                        data_type: field.data_type.clone(),
                        sql_type: None,
                        nullable: field.nullable || has_earlier_files,
                        comment: None,
                    });
                    spelled_by_file.insert(name);
                }
                continue;
            };
            fit_type(
                &footer.file,
                column,
                &field.data_type,
                expectation.columns_are_final,
            )?;
            if spelled_by_file.insert(name) {
                column.source_name.clone_from(&field.source_name);
            } else if column.source_name != field.source_name {
                return Err(CatalogError::UnfitFile {
                    file: footer.file.clone(),
                    reason: format!(
                        "it spells column '{}', where other files have '{}'",
                        field.source_name, column.source_name
                    ),
                });
            }
            column.nullable |= field.nullable;
        }
        for column in &mut columns {
            column.nullable |= !met.contains(&name::normalise(&column.source_name));
        }
        has_earlier_files = true;
    }
    Ok(columns)
}

/// A file may have a narrower type than the table: its values are widened when they are read. Where the
/// columns are the files' own and a file has a wider one, so has the table from now on.
fn fit_type(
    file: &str,
    column: &mut Column,
    found: &DataType,
    is_final: bool,
) -> Result<(), CatalogError> {
    if column.data_type.equals_datatype(found) || is_wider(&column.data_type, found) {
        return Ok(());
    }
    if !is_final && is_wider(found, &column.data_type) {
        column.data_type = found.clone();
        return Ok(());
    }
    Err(CatalogError::SchemaMismatch {
        file: file.to_owned(),
        column: column.name.clone(),
        expected: column.data_type.to_string(),
        found: found.to_string(),
    })
}

fn next_id(columns: &[Column]) -> ColumnId {
    let used = columns.iter().map(|column| column.id.0 + 1);
    ColumnId(used.max().unwrap_or(0))
}
