//! Catalogs, databases, tables and the other things that drivers ask about the server: from the
//! engine's catalog to the exact schemas of the Flight SQL specification.

use crate::engine::CatalogMetadata;
use crate::errors::{DoorError, metadata_error};
use crate::keys::{foreign_keys_schema, primary_keys_schema};
use crate::sql_info::sql_info;
use crate::sql_types::{table_schema, xdbc_types};
use crate::wire_schema::{WireTypes, wire_schema};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{SqlInfoDataBuilder, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{
    Command, CommandGetCatalogs, CommandGetDbSchemas, CommandGetTableTypes, CommandGetTables,
};
use std::sync::Arc;

/// What tables can be.
const TABLE_TYPES: [&str; 4] = ["LOCAL TEMPORARY", "SYSTEM TABLE", "TABLE", "VIEW"];

/// What some tools call a plain table.
const BASE_TABLE: &str = "BASE TABLE";

/// The schema of a metadata command's answer; none where the command is no such command.
pub(crate) fn metadata_schema(command: &Command) -> Option<SchemaRef> {
    Some(match command {
        Command::CommandGetCatalogs(command) => command.into_builder().schema(),
        Command::CommandGetDbSchemas(command) => command.clone().into_builder().schema(),
        Command::CommandGetTables(command) => command.clone().into_builder().schema(),
        Command::CommandGetTableTypes(command) => command.into_builder().schema(),
        Command::CommandGetSqlInfo(_) => Arc::new(SqlInfoDataBuilder::schema().clone()),
        Command::CommandGetXdbcTypeInfo(_) => XdbcTypeInfoDataBuilder::new().schema(),
        Command::CommandGetPrimaryKeys(_) => Arc::new(primary_keys_schema()),
        Command::CommandGetImportedKeys(_)
        | Command::CommandGetExportedKeys(_)
        | Command::CommandGetCrossReference(_) => Arc::new(foreign_keys_schema()),
        _ => return None,
    })
}

/// Whether answering needs the catalog.
pub(crate) fn needs_catalog(command: &Command) -> bool {
    matches!(
        command,
        Command::CommandGetCatalogs(_)
            | Command::CommandGetDbSchemas(_)
            | Command::CommandGetTables(_)
    )
}

/// The answer to a metadata command.
pub(crate) fn metadata_batch(
    command: Command,
    catalog: &CatalogMetadata,
) -> Result<RecordBatch, DoorError> {
    let schema = metadata_schema(&command);
    let batch = match command {
        Command::CommandGetCatalogs(command) => catalogs(command, catalog),
        Command::CommandGetDbSchemas(command) => databases(command, catalog),
        Command::CommandGetTables(command) => tables(command, catalog),
        Command::CommandGetTableTypes(command) => table_types(command),
        Command::CommandGetSqlInfo(command) => {
            sql_info().and_then(|infos| command.into_builder(&infos).build())
        }
        Command::CommandGetXdbcTypeInfo(command) => {
            xdbc_types().and_then(|types| command.into_builder(&types).build())
        }
        other => {
            return schema.map(RecordBatch::new_empty).ok_or_else(|| {
                DoorError::Unsupported(format!("the command '{}'", other.type_url()))
            });
        }
    };
    batch.map_err(metadata_error)
}

fn catalogs(
    command: CommandGetCatalogs,
    catalog: &CatalogMetadata,
) -> Result<RecordBatch, FlightError> {
    let mut builder = command.into_builder();
    builder.append(&catalog.catalog);
    builder.build()
}

fn databases(
    command: CommandGetDbSchemas,
    catalog: &CatalogMetadata,
) -> Result<RecordBatch, FlightError> {
    let mut builder = CommandGetDbSchemas {
        catalog: given(command.catalog),
        db_schema_filter_pattern: given(command.db_schema_filter_pattern),
    }
    .into_builder();
    for database in &catalog.databases {
        builder.append(&catalog.catalog, &database.name);
    }
    builder.build()
}

fn tables(
    mut command: CommandGetTables,
    catalog: &CatalogMetadata,
) -> Result<RecordBatch, FlightError> {
    command.catalog = given(command.catalog);
    command.db_schema_filter_pattern = given(command.db_schema_filter_pattern);
    command.table_name_filter_pattern = given(command.table_name_filter_pattern);
    for table_type in &mut command.table_types {
        if table_type.eq_ignore_ascii_case(BASE_TABLE) {
            "TABLE".clone_into(table_type);
        }
    }
    let include_schema = command.include_schema;
    let wanted = Wanted::new(&command);
    let mut builder = command.into_builder();
    let none = arrow::datatypes::Schema::empty();
    for database in &catalog.databases {
        if !wanted.database.is_match(&database.name) {
            continue;
        }
        // Only what is wanted is described: a tool that asks for one of many tables does not wait.
        for table in &database.tables {
            if !wanted.table.is_match(&table.name) {
                continue;
            }
            let described = include_schema.then(|| {
                table_schema(
                    &wire_schema(&table.schema, WireTypes::Plain),
                    &table.schema,
                    &catalog.catalog,
                    &database.name,
                    &table.name,
                )
            });
            builder.append(
                &catalog.catalog,
                &database.name,
                &table.name,
                &table.table_type,
                described.as_ref().unwrap_or(&none),
            )?;
        }
    }
    builder.build()
}

/// Names that a command asks for.
struct Wanted {
    database: Pattern,
    table: Pattern,
}

impl Wanted {
    fn new(command: &CommandGetTables) -> Self {
        Self {
            database: Pattern::new(command.db_schema_filter_pattern.as_deref()),
            table: Pattern::new(command.table_name_filter_pattern.as_deref()),
        }
    }
}

/// A pattern as LIKE has it: `%` is anything, `_` one character, a backslash makes them themselves.
struct Pattern(Option<Vec<Part>>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Anything,
    One,
    Letter(char),
}

impl Pattern {
    /// Everything where there is no pattern.
    fn new(text: Option<&str>) -> Self {
        Self(text.map(|text| {
            let mut parts = vec![];
            let mut letters = text.chars();
            while let Some(letter) = letters.next() {
                parts.push(match letter {
                    '%' => Part::Anything,
                    '_' => Part::One,
                    '\\' => Part::Letter(letters.next().unwrap_or('\\')),
                    other => Part::Letter(other),
                });
            }
            parts
        }))
    }

    fn is_match(&self, name: &str) -> bool {
        let Some(parts) = &self.0 else {
            return true;
        };
        let name: Vec<char> = name.chars().collect();
        let (mut part, mut letter) = (0, 0);
        // Where to go on when what follows the last `%` does not fit.
        let mut retry = None;
        while letter < name.len() {
            match parts.get(part) {
                Some(Part::Anything) => {
                    retry = Some((part + 1, letter));
                    part += 1;
                }
                Some(Part::One) => (part, letter) = (part + 1, letter + 1),
                Some(Part::Letter(expected)) if *expected == name[letter] => {
                    (part, letter) = (part + 1, letter + 1);
                }
                _ => match retry {
                    Some((after, from)) => {
                        retry = Some((after, from + 1));
                        (part, letter) = (after, from + 1);
                    }
                    None => return false,
                },
            }
        }
        parts[part..].iter().all(|part| *part == Part::Anything)
    }
}

fn table_types(command: CommandGetTableTypes) -> Result<RecordBatch, FlightError> {
    let mut builder = command.into_builder();
    for table_type in TABLE_TYPES {
        builder.append(table_type);
    }
    builder.build()
}

/// Some tools send an empty filter where they mean none. Everything here has a catalog and a
/// database, so an empty filter could otherwise only answer nothing.
fn given(filter: Option<String>) -> Option<String> {
    filter.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{DatabaseMetadata, TableMetadata};
    use arrow::array::AsArray;
    use arrow::datatypes::{DataType, Field, Schema};

    fn table(name: &str, table_type: &str) -> TableMetadata {
        TableMetadata {
            name: name.into(),
            table_type: table_type.into(),
            schema: Arc::new(Schema::new(vec![Field::new(
                "k",
                DataType::Utf8View,
                false,
            )])),
        }
    }

    fn catalog() -> CatalogMetadata {
        CatalogMetadata {
            catalog: "skep".into(),
            databases: vec![
                DatabaseMetadata {
                    name: "sales".into(),
                    tables: vec![
                        table("order_lines", "TABLE"),
                        table("orderXlines", "TABLE"),
                        table("big_orders", "VIEW"),
                    ],
                },
                DatabaseMetadata {
                    name: "staging".into(),
                    tables: vec![],
                },
            ],
        }
    }

    fn names(command: CommandGetTables) -> Vec<String> {
        let batch = metadata_batch(Command::CommandGetTables(command), &catalog()).unwrap();
        let names = batch.column(2).as_string::<i32>();
        names.iter().flatten().map(str::to_owned).collect()
    }

    #[test]
    fn no_filter_means_everything() {
        assert_eq!(names(CommandGetTables::default()).len(), 3);
        let empty = CommandGetTables {
            catalog: Some(String::new()),
            db_schema_filter_pattern: Some(String::new()),
            table_name_filter_pattern: Some(String::new()),
            ..CommandGetTables::default()
        };
        assert_eq!(names(empty).len(), 3);
    }

    #[test]
    fn patterns_have_wildcards_and_escapes() {
        let like = |pattern: &str| {
            names(CommandGetTables {
                table_name_filter_pattern: Some(pattern.into()),
                ..CommandGetTables::default()
            })
        };
        assert_eq!(like("order%"), ["orderXlines", "order_lines"]);
        assert_eq!(like("order_lines"), ["orderXlines", "order_lines"]);
        assert_eq!(like("order\\_lines"), ["order_lines"]);
        assert_eq!(like("%_orders%"), ["big_orders"]);
        assert_eq!(like("%l%n%s"), ["orderXlines", "order_lines"]);
        assert_eq!(like("%%"), ["big_orders", "orderXlines", "order_lines"]);
        assert!(like("order").is_empty());
        assert!(like("nothing").is_empty());
    }

    #[test]
    fn table_types_select_and_base_tables_are_tables() {
        let of_type = |table_type: &str| {
            names(CommandGetTables {
                table_types: vec![table_type.into()],
                ..CommandGetTables::default()
            })
        };
        assert_eq!(of_type("VIEW"), ["big_orders"]);
        assert_eq!(of_type("BASE TABLE"), of_type("TABLE"));
        assert_eq!(of_type("TABLE").len(), 2);
    }

    #[test]
    fn other_catalogs_are_empty_and_databases_are_listed() {
        let other = CommandGetTables {
            catalog: Some("elsewhere".into()),
            ..CommandGetTables::default()
        };
        assert!(names(other).is_empty());
        let command = Command::CommandGetDbSchemas(CommandGetDbSchemas {
            catalog: None,
            db_schema_filter_pattern: Some("st%".into()),
        });
        let batch = metadata_batch(command, &catalog()).unwrap();
        assert_eq!(batch.column(1).as_string::<i32>().value(0), "staging");
        assert_eq!(batch.num_rows(), 1);
    }

    #[test]
    fn key_sets_are_empty_and_have_columns() {
        for command in [
            Command::CommandGetPrimaryKeys(Default::default()),
            Command::CommandGetImportedKeys(Default::default()),
            Command::CommandGetExportedKeys(Default::default()),
            Command::CommandGetCrossReference(Default::default()),
        ] {
            let batch = metadata_batch(command, &catalog()).unwrap();
            assert_eq!(batch.num_rows(), 0);
            assert!(batch.num_columns() > 5);
        }
    }
}
