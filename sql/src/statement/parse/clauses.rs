//! Clauses that several statements share.

pub(super) use crate::statement::unsupported;
use crate::statement::{Cursor, PartitionSpec, StorageClauses, TableName};
use datafusion::sql::sqlparser::tokenizer::Token;
use skep_protocol::QueryError;
use std::collections::BTreeMap;

pub(super) fn if_not_exists(cursor: &mut Cursor) -> bool {
    cursor.accept(&["if", "not", "exists"])
}

pub(super) fn if_exists(cursor: &mut Cursor) -> bool {
    cursor.accept(&["if", "exists"])
}

/// Reads `COMMENT 'text'` where it comes next.
pub(super) fn comment(cursor: &mut Cursor) -> Result<Option<String>, QueryError> {
    match cursor.accept(&["comment"]) {
        true => cursor.string("a comment in quotes").map(Some),
        false => Ok(None),
    }
}

/// Reads `('key' = 'value', …)`.
pub(super) fn properties(cursor: &mut Cursor) -> Result<BTreeMap<String, String>, QueryError> {
    let pairs = cursor.parenthesised(|cursor| {
        let key = property_key(cursor)?;
        if !cursor.accept_token(&Token::Eq) {
            // Spark allows to leave it out.
            cursor.accept_token(&Token::DoubleEq);
        }
        let value = cursor.literal()?.unwrap_or_default();
        Ok((key, value))
    })?;
    Ok(pairs.into_iter().collect())
}

/// Reads a property's name, in quotes or not.
pub(super) fn property_key(cursor: &mut Cursor) -> Result<String, QueryError> {
    match cursor.peek() {
        Some(Token::Word(_)) => cursor.setting_name(),
        _ => cursor.string("a property in quotes"),
    }
}

/// Reads `PARTITION (ds = '2024-01-01', hr)` where it comes next.
pub(super) fn partition(cursor: &mut Cursor) -> Result<PartitionSpec, QueryError> {
    match cursor.accept(&["partition"]) {
        true => partition_values(cursor),
        false => Ok(Vec::new()),
    }
}

/// Reads `(ds = '2024-01-01', hr)`.
pub(super) fn partition_values(cursor: &mut Cursor) -> Result<PartitionSpec, QueryError> {
    cursor.parenthesised(|cursor| {
        // Columns are kept in lower case, whether or not they are quoted.
        let name = cursor.name("a partition column")?.to_lowercase();
        let value = match cursor.accept_token(&Token::Eq) {
            true => Some(cursor.literal()?),
            false => None,
        };
        Ok((name, value))
    })
}

/// Reads `IN database` or `FROM database` where it comes next.
pub(super) fn in_database(cursor: &mut Cursor) -> Result<Option<String>, QueryError> {
    match cursor.accept(&["in"]) || cursor.accept(&["from"]) {
        true => cursor.name("a database's name").map(Some),
        false => Ok(None),
    }
}

/// A table's name, with its database from an `IN` behind it.
pub(super) fn table_in(cursor: &mut Cursor) -> Result<TableName, QueryError> {
    let mut name = cursor.table_name()?;
    if let Some(database) = in_database(cursor)? {
        name.database = Some(database);
    }
    Ok(name)
}

/// Reads a clause about how files are written where one comes next.
pub(super) fn storage(
    cursor: &mut Cursor,
    storage: &mut StorageClauses,
) -> Result<bool, QueryError> {
    if cursor.accept(&["row", "format"]) {
        row_format(cursor, storage)?;
    } else if cursor.accept(&["stored", "by"]) {
        return Err(unsupported("STORED BY"));
    } else if cursor.accept(&["stored", "as"]) {
        if cursor.accept(&["inputformat"]) {
            storage.format = Some(input_output_format(cursor)?.to_owned());
            return Ok(true);
        }
        if cursor.accept(&["directories"]) {
            return Err(unsupported("STORED AS DIRECTORIES"));
        }
        storage.format = Some(cursor.name("a format")?.to_uppercase());
    } else if cursor.accept(&["with", "serdeproperties"]) || cursor.accept(&["options"]) {
        storage.serde_properties.extend(properties(cursor)?);
    } else if cursor.accept(&["using"]) {
        storage.format = Some(cursor.name("a format")?.to_uppercase());
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// The format of `INPUTFORMAT 'class' OUTPUTFORMAT 'class'`, which is how Hive itself shows a table.
fn input_output_format(cursor: &mut Cursor) -> Result<&'static str, QueryError> {
    let input = cursor.string("a class in quotes")?;
    cursor.expect(&["outputformat"])?;
    let output = cursor.string("a class in quotes")?;
    let name = |class: &str| class.rsplit('.').next().unwrap_or_default().to_owned();
    match (name(&input).as_str(), name(&output).as_str()) {
        ("MapredParquetInputFormat", "MapredParquetOutputFormat") => Ok("PARQUET"),
        ("AvroContainerInputFormat", "AvroContainerOutputFormat") => Ok("AVRO"),
        (
            "TextInputFormat",
            "HiveIgnoreKeyTextOutputFormat" | "IgnoreKeyTextOutputFormat" | "TextOutputFormat",
        ) => Ok("TEXTFILE"),
        _ => Err(unsupported(&format!(
            "INPUTFORMAT '{input}' OUTPUTFORMAT '{output}'"
        ))),
    }
}

fn row_format(cursor: &mut Cursor, storage: &mut StorageClauses) -> Result<(), QueryError> {
    if cursor.accept(&["serde"]) {
        storage.serde = Some(cursor.string("a class in quotes")?);
        return Ok(());
    }
    cursor.expect(&["delimited"])?;
    let one = "one character in quotes";
    loop {
        if cursor.accept(&["fields", "terminated", "by"]) {
            storage.field_delimiter = Some(cursor.character(one)?);
        } else if cursor.accept(&["escaped", "by"]) {
            storage.escape = Some(cursor.character(one)?);
        } else if cursor.accept(&["collection", "items", "terminated", "by"]) {
            storage.collection_delimiter = Some(cursor.character(one)?);
        } else if cursor.accept(&["map", "keys", "terminated", "by"]) {
            storage.map_key_delimiter = Some(cursor.character(one)?);
        } else if cursor.accept(&["lines", "terminated", "by"]) {
            storage.line_delimiter = Some(cursor.character(one)?);
        } else if cursor.accept(&["null", "defined", "as"]) {
            storage.null_text = Some(cursor.string("a text in quotes")?);
        } else {
            return Ok(());
        }
    }
}
