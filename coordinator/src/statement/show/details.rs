//! `DESCRIBE FORMATTED` and `SHOW CREATE`: all that is known of a table, a view or a database.

use super::catalog::{ShownColumn, check_names, columns_of, is_wanted, partition_name, rows_of};
use crate::engine::Coordinator;
use crate::session::Session;
use crate::statement::{HEADER_PROPERTY, PartitionSpec, TableName};
use skep_catalog::Relation;
use skep_catalog::model::{Database, StorageOptions, Table, TableDefinition, View};
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::sql_type::sql_type;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// A row of DESCRIBE FORMATTED: a name, what it is, and a comment.
pub(super) type DetailRow = (String, String, Option<String>);

fn row(name: &str, value: impl Into<String>) -> DetailRow {
    (name.to_owned(), value.into(), None)
}

fn section(rows: &mut Vec<DetailRow>, title: &str) {
    rows.push(row("", ""));
    rows.push(row(&format!("# {title}"), ""));
}

/// A table or one of its partitions, or a view.
pub(super) async fn details(
    engine: &Coordinator,
    session: &Session,
    name: &TableName,
    partition: &PartitionSpec,
) -> Result<Vec<DetailRow>, QueryError> {
    let catalog = engine.session_catalog(session);
    let database = engine.database_of(session, name);
    let snapshot = catalog.owner(&database, &name.table);
    let is_temporary = catalog.is_temporary(&database, &name.table);
    let columns = super::catalog::columns(engine, session, name).await?;
    let mut rows: Vec<DetailRow> = columns
        .iter()
        .filter(|column| !column.is_partition)
        .map(column_row)
        .collect();
    match catalog.relation(&database, &name.table)? {
        Relation::View(view) => {
            if !partition.is_empty() {
                let text = "a view has no partitions";
                return Err(QueryError::new(ErrorCode::Semantic, text));
            }
            view_rows(&mut rows, view);
        }
        Relation::Table(table) => {
            check_names(table, partition)?;
            let partitioning: Vec<_> = columns
                .iter()
                .filter(|column| column.is_partition)
                .map(column_row)
                .collect();
            if !partitioning.is_empty() {
                section(&mut rows, "Partition Information");
                rows.extend(partitioning);
            }
            let files = snapshot.table_files(table).await?;
            match partition.is_empty() {
                true => table_rows(&mut rows, table, is_temporary, &files),
                false => partition_rows(&mut rows, table, &files, partition)?,
            }
        }
    }
    Ok(rows)
}

fn column_row(column: &ShownColumn) -> DetailRow {
    let name = column.name.clone();
    (name, column.sql_type.clone(), column.comment.clone())
}

fn table_rows(
    rows: &mut Vec<DetailRow>,
    table: &Arc<Table>,
    is_temporary: bool,
    files: &skep_catalog::model::TableFiles,
) {
    let definition = &table.definition;
    section(rows, "Detailed Table Information");
    rows.push(row("Database:", &definition.database));
    rows.push(row("Table:", &definition.name));
    rows.push(row("Owner:", &definition.owner));
    rows.push(row("CreateTime:", definition.created_at.to_rfc3339()));
    rows.push(row("Location:", definition.location.to_string()));
    let kind = match is_temporary {
        true => "TEMPORARY",
        false => definition.kind.as_str(),
    };
    rows.push(row("Table Type:", kind));
    if let Some(comment) = &definition.comment {
        rows.push(row("Comment:", comment));
    }
    rows.push(row("Partitions:", files.partitions.len().to_string()));
    rows.push(row("Files:", files.files.len().to_string()));
    let count = files.rows().map(|rows| rows.to_string());
    rows.push(row("Rows:", count.unwrap_or_else(|| "unknown".to_owned())));
    rows.push(row("Bytes:", files.size_bytes().to_string()));
    rows.push(row("Catalog Version:", table.version.0.to_string()));
    property_rows(rows, &definition.shown_properties());
    summary_rows(rows, definition);
    section(rows, "Storage Information");
    rows.push(row("Format:", definition.format.as_str()));
    for (name, value) in storage_parts(&definition.storage) {
        rows.push(row(&name, value));
    }
    if let Some(bucketing) = &definition.bucketing {
        let names = |id| {
            let column = definition.columns.iter().find(|column| column.id == id);
            column.map_or_else(String::new, |column| column.name.clone())
        };
        let columns: Vec<_> = bucketing.columns.iter().map(|id| names(*id)).collect();
        rows.push(row("Num Buckets:", bucketing.count.to_string()));
        rows.push(row("Bucket Columns:", format!("[{}]", columns.join(", "))));
        let sorted = bucketing.sorted_by.iter().map(|sorted| {
            let order = if sorted.descending { " DESC" } else { "" };
            format!("{}{order}", names(sorted.column))
        });
        let sorted: Vec<_> = sorted.collect();
        rows.push(row("Sort Columns:", format!("[{}]", sorted.join(", "))));
    }
}

/// What ANALYZE found; SHOW STATS says more of each column.
fn summary_rows(rows: &mut Vec<DetailRow>, definition: &TableDefinition) {
    let Some(summary) = definition.summary() else {
        return;
    };
    rows.push(row("Analyzed:", summary.at.to_rfc3339()));
    rows.push(row("Analyzed Rows:", summary.rows.to_string()));
    for column in &summary.columns {
        let known = definition
            .columns
            .iter()
            .find(|known| known.id == column.column);
        if let Some((known, distinct)) = known.zip(column.distinct) {
            let name = format!("  {}", known.name);
            rows.push(row(
                &name,
                format!("{distinct} values, {} NULL", column.nulls),
            ));
        }
    }
}

fn property_rows(rows: &mut Vec<DetailRow>, properties: &BTreeMap<String, String>) {
    if !properties.is_empty() {
        rows.push(row("Properties:", ""));
        rows.extend(
            properties
                .iter()
                .map(|(key, value)| row(&format!("  {key}"), value)),
        );
    }
}

fn storage_parts(storage: &StorageOptions) -> Vec<(String, String)> {
    let mut parts = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        parts.extend(value.map(|value| (format!("{name}:"), value)));
    };
    let letter = |letter: Option<char>| letter.map(|letter| letter.escape_default().to_string());
    add("SerDe", storage.serde.clone());
    add("Field Delimiter", letter(storage.field_delimiter));
    add("Collection Delimiter", letter(storage.collection_delimiter));
    add("Map Key Delimiter", letter(storage.map_key_delimiter));
    add("Quote", letter(storage.quote));
    add("Escape", letter(storage.escape));
    add("Null", storage.null_text.clone());
    add(
        "Header Lines",
        storage.header_lines.map(|lines| lines.to_string()),
    );
    parts
}

fn partition_rows(
    rows: &mut Vec<DetailRow>,
    table: &Arc<Table>,
    files: &skep_catalog::model::TableFiles,
    wanted: &PartitionSpec,
) -> Result<(), QueryError> {
    let definition = &table.definition;
    let mut found = files
        .partitions
        .iter()
        .filter(|partition| is_wanted(definition, &partition.values, wanted));
    let (Some(partition), None) = (found.next(), found.next()) else {
        let text = format!("table '{}' has not one such partition", definition.name);
        return Err(QueryError::new(ErrorCode::Semantic, text));
    };
    let own = || {
        let all = files.files.iter();
        all.filter(|file| file.partition == Some(partition.number))
    };
    section(rows, "Detailed Partition Information");
    let name = partition_name(definition, &partition.values);
    rows.push(row("Partition:", name));
    rows.push(row("Database:", &definition.database));
    rows.push(row("Table:", &definition.name));
    rows.push(row("Location:", partition.location.to_string()));
    rows.push(row("Files:", own().count().to_string()));
    rows.push(row("Rows:", own().map(rows_of).sum::<u64>().to_string()));
    let bytes: u64 = own().map(|file| file.size_bytes).sum();
    rows.push(row("Bytes:", bytes.to_string()));
    Ok(())
}

fn view_rows(rows: &mut Vec<DetailRow>, view: &Arc<View>) {
    let definition = &view.definition;
    section(rows, "Detailed View Information");
    rows.push(row("Database:", &definition.database));
    rows.push(row("View:", &definition.name));
    rows.push(row("Owner:", &definition.owner));
    rows.push(row("CreateTime:", definition.created_at.to_rfc3339()));
    rows.push(row("Table Type:", "VIEW"));
    if let Some(comment) = &definition.comment {
        rows.push(row("Comment:", comment));
    }
    property_rows(rows, &definition.properties);
    section(rows, "View Information");
    rows.push(row("View Text:", &definition.sql));
    rows.push(row("Names Resolved In:", &definition.resolve_in));
}

/// `DESCRIBE DATABASE`.
pub(super) fn database(
    engine: &Coordinator,
    session: &Session,
    name: &str,
    extended: bool,
) -> Result<Vec<(String, String)>, QueryError> {
    let snapshot = engine.session_catalog(session);
    let database = snapshot.database(name)?;
    let location = engine.catalog.database_location(database)?;
    let mut rows = vec![
        ("Database".to_owned(), database.name.clone()),
        (
            "Comment".to_owned(),
            database.comment.clone().unwrap_or_default(),
        ),
        ("Location".to_owned(), location.to_string()),
        ("Owner".to_owned(), database.owner.clone()),
    ];
    if extended {
        rows.push(("CreateTime".to_owned(), database.created_at.to_rfc3339()));
        rows.push(("Properties".to_owned(), property_list(&database.properties)));
    }
    Ok(rows)
}

fn property_list(properties: &BTreeMap<String, String>) -> String {
    let pairs: Vec<_> = properties
        .iter()
        .map(|(key, value)| format!("{} = {}", quoted(key), quoted(value)))
        .collect();
    format!("({})", pairs.join(", "))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn name_text(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The statement that makes a database like this one.
pub(super) fn create_database(database: &Database) -> String {
    let mut sql = format!("CREATE DATABASE {}", name_text(&database.name));
    if let Some(comment) = &database.comment {
        let _ = write!(sql, "\nCOMMENT {}", quoted(comment));
    }
    if let Some(location) = &database.location {
        let _ = write!(sql, "\nLOCATION {}", quoted(&location.to_string()));
    }
    if !database.properties.is_empty() {
        let _ = write!(
            sql,
            "\nWITH DBPROPERTIES {}",
            property_list(&database.properties)
        );
    }
    sql
}

/// The statement that makes a table or a view like this one.
pub(super) fn create_relation(relation: &Relation, is_temporary: bool) -> String {
    match relation {
        Relation::Table(table) => create_table(&table.definition, is_temporary),
        Relation::View(view) => create_view(view, is_temporary),
    }
}

fn create_view(view: &Arc<View>, is_temporary: bool) -> String {
    let definition = &view.definition;
    let temporary = if is_temporary { "TEMPORARY " } else { "" };
    let mut sql = format!(
        "CREATE {temporary}VIEW {}.{}",
        name_text(&definition.database),
        name_text(&definition.name)
    );
    if !definition.columns.is_empty() {
        let columns: Vec<_> = definition
            .columns
            .iter()
            .map(|column| match &column.comment {
                Some(comment) => format!("{} COMMENT {}", name_text(&column.name), quoted(comment)),
                None => name_text(&column.name),
            })
            .collect();
        let _ = write!(sql, " ({})", columns.join(", "));
    }
    if let Some(comment) = &definition.comment {
        let _ = write!(sql, "\nCOMMENT {}", quoted(comment));
    }
    if !definition.properties.is_empty() {
        let _ = write!(
            sql,
            "\nTBLPROPERTIES {}",
            property_list(&definition.properties)
        );
    }
    let _ = write!(sql, "\nAS {}", definition.sql);
    sql
}

fn create_table(definition: &TableDefinition, is_temporary: bool) -> String {
    let kind = match definition.kind {
        _ if is_temporary => "TEMPORARY ",
        skep_catalog::model::TableKind::External => "EXTERNAL ",
        _ => "",
    };
    let mut sql = format!(
        "CREATE {kind}TABLE {}.{} (",
        name_text(&definition.database),
        name_text(&definition.name)
    );
    let columns = columns_of(definition);
    let list = |is_partition: bool| {
        let own = columns
            .iter()
            .filter(move |column| column.is_partition == is_partition);
        let parts: Vec<_> = own.map(column_text).collect();
        parts.join(",\n")
    };
    let _ = write!(sql, "\n{}\n)", list(false));
    if let Some(comment) = &definition.comment {
        let _ = write!(sql, "\nCOMMENT {}", quoted(comment));
    }
    if !definition.partition_columns.is_empty() {
        let _ = write!(sql, "\nPARTITIONED BY (\n{}\n)", list(true));
    }
    add_buckets(&mut sql, definition);
    add_storage(&mut sql, definition);
    if !is_temporary {
        let location = definition.location.to_string();
        let _ = write!(sql, "\nLOCATION {}", quoted(&location));
    }
    let properties = definition.shown_properties();
    if !properties.is_empty() {
        let _ = write!(sql, "\nTBLPROPERTIES {}", property_list(&properties));
    }
    sql
}

fn column_text(column: &ShownColumn) -> String {
    let mut text = format!("  {} {}", name_text(&column.name), column.sql_type);
    if !column.nullable {
        text.push_str(" NOT NULL");
    }
    if let Some(comment) = &column.comment {
        let _ = write!(text, " COMMENT {}", quoted(comment));
    }
    text
}

fn add_buckets(sql: &mut String, definition: &TableDefinition) {
    let Some(bucketing) = &definition.bucketing else {
        return;
    };
    let name = |id| {
        let column = definition.columns.iter().find(|column| column.id == id);
        column.map_or_else(String::new, |column| name_text(&column.name))
    };
    let columns: Vec<_> = bucketing.columns.iter().map(|id| name(*id)).collect();
    let _ = write!(sql, "\nCLUSTERED BY ({})", columns.join(", "));
    if !bucketing.sorted_by.is_empty() {
        let sorted = bucketing.sorted_by.iter().map(|sorted| {
            let order = if sorted.descending { " DESC" } else { "" };
            format!("{}{order}", name(sorted.column))
        });
        let sorted: Vec<_> = sorted.collect();
        let _ = write!(sql, " SORTED BY ({})", sorted.join(", "));
    }
    let _ = write!(sql, " INTO {} BUCKETS", bucketing.count);
}

fn add_storage(sql: &mut String, definition: &TableDefinition) {
    let storage = &definition.storage;
    if let Some(serde) = &storage.serde {
        let _ = write!(sql, "\nROW FORMAT SERDE {}", quoted(serde));
        if !storage.serde_properties.is_empty() {
            let list = property_list(&storage.serde_properties);
            let _ = write!(sql, "\nWITH SERDEPROPERTIES {list}");
        }
    } else {
        add_delimiters(sql, storage);
    }
    let name = match definition.format.as_str() {
        "TEXT" => "TEXTFILE",
        "JSON" => "JSONFILE",
        "CSV" if storage.serde.is_some() => "TEXTFILE",
        other => other,
    };
    let _ = write!(sql, "\nSTORED AS {name}");
    if storage.serde.is_none() {
        add_options(sql, definition);
    }
}

/// What no other clause says of CSV files.
fn add_options(sql: &mut String, definition: &TableDefinition) {
    let storage = &definition.storage;
    let has_header = storage.header_lines.is_some_and(|lines| lines > 0);
    let is_said = definition.properties.contains_key(HEADER_PROPERTY);
    let header = (has_header && !is_said).then(|| ("header", "true".to_owned()));
    let quote = storage.quote.map(|quote| ("quote", quote.to_string()));
    let options = header.into_iter().chain(quote);
    let options: BTreeMap<String, String> = options
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    if !options.is_empty() {
        let _ = write!(sql, "\nOPTIONS {}", property_list(&options));
    }
}

fn add_delimiters(sql: &mut String, storage: &StorageOptions) {
    let clauses = [
        ("FIELDS TERMINATED BY", storage.field_delimiter),
        ("ESCAPED BY", storage.escape),
        (
            "COLLECTION ITEMS TERMINATED BY",
            storage.collection_delimiter,
        ),
        ("MAP KEYS TERMINATED BY", storage.map_key_delimiter),
        ("LINES TERMINATED BY", storage.line_delimiter),
    ];
    let mut said = String::new();
    for (clause, letter) in clauses {
        if let Some(letter) = letter {
            let _ = write!(said, "\n  {clause} {}", quoted(&character(letter)));
        }
    }
    if let Some(null) = &storage.null_text {
        let _ = write!(said, "\n  NULL DEFINED AS {}", quoted(null));
    }
    if !said.is_empty() {
        let _ = write!(sql, "\nROW FORMAT DELIMITED{said}");
    }
}

/// A character as a statement's clause takes it.
fn character(letter: char) -> String {
    match letter {
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        '\\' => "\\\\".to_owned(),
        control if control.is_control() => format!("\\{:03o}", u32::from(control)),
        other => other.to_string(),
    }
}

/// The columns of a query.
pub(super) fn query_columns(schema: &arrow::datatypes::Schema) -> Vec<ShownColumn> {
    let fields = schema.fields().iter();
    fields
        .map(|field| ShownColumn {
            name: field.name().clone(),
            sql_type: sql_type(field.data_type()),
            nullable: true,
            is_partition: false,
            comment: None,
        })
        .collect()
}
