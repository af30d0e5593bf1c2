//! The columns of external tables whose files have no footer: found out from a sample where the statement does not
//! list them.

use super::storage::HEADER_PROPERTY;
use crate::engine::Coordinator;
use crate::session::Session;
use object_store::{ObjectMeta, ObjectStore};
use skep_catalog::NewExternalTable;
use skep_catalog::catalog::ColumnSpec;
use skep_catalog::discovery::list_files;
use skep_catalog::model::{Column, FileFormat, TextLayout, partition_value};
use skep_hive_text::{CsvFormat, CsvHints, RowFormat};
use skep_planner::{FileColumns, ReadOptions, infer_columns};
use skep_protocol::QueryError;
use skep_protocol::ids::QueryIdGenerator;
use std::sync::Arc;

impl Coordinator {
    /// Fills in the columns of a new table where it lists none, and how its files spell them.
    pub(super) async fn find_columns(
        &self,
        session: &Session,
        new: &mut NewExternalTable,
        store: &Arc<dyn ObjectStore>,
    ) -> Result<(), QueryError> {
        let is_wanted = match new.format {
            // Fields are found by their names as the file spells them.
            FileFormat::Avro => true,
            FileFormat::Json | FileFormat::Csv => new.columns.is_empty(),
            _ => false,
        };
        if !is_wanted {
            return Ok(());
        }
        let roots = &self.config.allowed_roots;
        let files = match list_files(store, &new.location, roots).await {
            // What is wrong with a place of known columns is said by whoever creates the table.
            Err(_) if !new.columns.is_empty() => return Ok(()),
            files => files?,
        };
        if files.is_empty() {
            return Ok(());
        }
        // Looking at files is not a query of its own: it is not in the list.
        let id = QueryIdGenerator::new().next(chrono::Utc::now());
        let state = self.planning_context(session, &id).session_state()?;
        let options = read_options(new);
        let found =
            infer_columns(&state, (store, &new.location), new.format, &files, &options).await?;
        let FileColumns { columns, rows } = found;
        if new.format == FileFormat::Avro {
            let names = columns.iter();
            new.source_names = names
                .map(|column| (column.name.clone(), column.source_name.clone()))
                .collect();
        }
        if !new.columns.is_empty() {
            return Ok(());
        }
        if let Some(RowFormat::Csv(csv)) = rows {
            let delimiter = char::from(csv.delimiter);
            new.storage.field_delimiter = Some(delimiter);
            if new.storage.serde.is_some() {
                let shown = ("separatorChar".to_owned(), delimiter.to_string());
                new.storage.serde_properties.extend([shown]);
            }
            // As if the statement had said it, which SHOW CREATE TABLE tells.
            if new.storage.header_lines.is_none() && csv.has_header {
                let lines = 1;
                new.storage.header_lines = Some(lines);
                let property = (HEADER_PROPERTY.to_owned(), lines.to_string());
                new.properties.extend([property]);
            }
        }
        let partition_columns = partition_columns(new, &files);
        new.columns = columns
            .into_iter()
            .filter(|column| !partition_columns.contains(&column.name))
            .map(spec_of)
            .collect();
        Ok(())
    }
}

fn spec_of(column: Column) -> ColumnSpec {
    ColumnSpec {
        name: column.name,
        data_type: column.data_type,
        sql_type: column.sql_type,
        nullable: column.nullable,
        comment: column.comment,
    }
}

/// What the statement says of how lines are written.
fn read_options(new: &NewExternalTable) -> ReadOptions {
    let layout = TextLayout::new(FileFormat::Csv, &new.storage);
    let byte = |letter: char| u8::try_from(letter).unwrap_or(b',');
    ReadOptions {
        csv: CsvHints {
            format: CsvFormat {
                quote: layout.quote.map(byte),
                escape: layout.escape.map(byte),
                ..CsvFormat::default()
            },
            delimiter: new.storage.field_delimiter.map(byte),
            has_header: new.storage.header_lines.map(|lines| lines > 0),
            all_text: false,
        },
        ..ReadOptions::default()
    }
}

/// The names of the partition columns, which the statement or the directories say.
fn partition_columns(new: &NewExternalTable, files: &[ObjectMeta]) -> Vec<String> {
    if let Some(columns) = &new.partition_columns {
        return columns
            .iter()
            .map(|column| column.name.to_lowercase())
            .collect();
    }
    let depth = new.location.key().split('/').count();
    let parts = files.first().map(|file| file.location.parts().skip(depth));
    parts
        .into_iter()
        .flatten()
        .filter_map(|part| partition_value::parse_directory(part.as_ref()))
        .map(|(column, _)| column.to_lowercase())
        .collect()
}
