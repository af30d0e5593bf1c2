//! Makes one list of columns of many files' columns.

use super::Expectation;
use super::footer::Footer;
use crate::error::CatalogError;
use crate::model::types;
use crate::model::{Column, ColumnId, name};
use arrow::datatypes::DataType;
use std::collections::HashSet;

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

/// Whether a file that is to become part of a table can be read as the table says. Columns that it lacks
/// are NULL.
pub(super) fn check_fits(columns: &[Column], footer: &Footer) -> Result<(), CatalogError> {
    let unfit = |reason: String| CatalogError::UnfitFile {
        file: footer.file.clone(),
        reason,
    };
    for column in columns {
        let wanted = name::normalise(&column.source_name);
        let mut same = footer
            .fields
            .iter()
            .filter(|field| name::normalise(&field.source_name) == wanted);
        let Some(field) = same.next() else {
            if !column.nullable {
                let reason = format!("it lacks column '{}', which is NOT NULL", column.name);
                return Err(unfit(reason));
            }
            continue;
        };
        if same.next().is_some() {
            return Err(unfit(format!("it has several columns named '{wanted}'")));
        }
        fit_type(&footer.file, &mut column.clone(), &field.data_type, true)?;
    }
    Ok(())
}

/// A file may have a narrower type than the table, or a structure with fewer fields: its values are
/// widened when they are read. Where the columns are the files' own and a file has a wider one, so has
/// the table from now on.
fn fit_type(
    file: &str,
    column: &mut Column,
    found: &DataType,
    is_final: bool,
) -> Result<(), CatalogError> {
    // Where the files say what the type is, none of their timestamps loses digits or its zone.
    let is_open = !is_final && matches!(found, DataType::Timestamp(_, _));
    if !is_open && types::can_read(&column.data_type, found) {
        return Ok(());
    }
    if !is_final && let Some(merged) = types::merge(&column.data_type, found) {
        column.data_type = merged;
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
