//! `ALTER TABLE`.

use super::access::new_owner;
use super::clauses::{
    comment, if_exists, if_not_exists, partition_values, properties, property_key, unsupported,
};
use super::table::column;
use super::types::parse_type;
use crate::statement::{
    ColumnDefinition, ColumnPlace, Comparison, Cursor, PartitionCondition, PartitionSpec,
    Statement, TableChange,
};
use datafusion::sql::sqlparser::tokenizer::Token;
use skep_protocol::{ErrorCode, QueryError};

/// Reads what follows `ALTER TABLE`.
pub(super) fn alter_table(cursor: &mut Cursor) -> Result<Statement, QueryError> {
    let name = cursor.table_name()?;
    let change = table_change(cursor)?;
    Ok(Statement::AlterTable { name, change })
}

fn table_change(cursor: &mut Cursor) -> Result<TableChange, QueryError> {
    if cursor.accept(&["partition"]) {
        let partition = partition_values(cursor)?;
        return partition_change(cursor, partition);
    }
    if let Some(owner) = new_owner(cursor)? {
        return Ok(TableChange::SetOwner(owner));
    }
    if cursor.accept(&["rename", "to"]) {
        return Ok(TableChange::Rename(cursor.table_name()?));
    }
    if cursor.accept(&["rename", "column"]) {
        let name = cursor.name("a column")?;
        cursor.expect(&["to"])?;
        let to = without_type(cursor.name("a column's new name")?);
        let place = None;
        return Ok(TableChange::ChangeColumn { name, to, place });
    }
    if cursor.accept(&["set"]) {
        return set(cursor, None);
    }
    if cursor.accept(&["unset", "tblproperties"]) {
        let if_exists = if_exists(cursor);
        let keys = cursor.parenthesised(property_key)?;
        return Ok(TableChange::UnsetProperties { keys, if_exists });
    }
    if cursor.accept(&["add"]) {
        return add(cursor);
    }
    if cursor.accept(&["replace", "columns"]) {
        return Ok(TableChange::ReplaceColumns(cursor.parenthesised(column)?));
    }
    if cursor.accept(&["change"]) {
        cursor.accept(&["column"]);
        let name = cursor.name("a column")?;
        return change_column(cursor, name);
    }
    if cursor.accept(&["alter", "column"]) || cursor.accept(&["alter"]) {
        return alter_column(cursor);
    }
    if cursor.accept(&["drop"]) {
        return drop(cursor);
    }
    if cursor.accept(&["recover", "partitions"]) {
        return Err(unsupported(
            "ALTER TABLE … RECOVER PARTITIONS; write MSCK REPAIR TABLE",
        ));
    }
    Err(refused(cursor))
}

/// What else follows `ALTER TABLE t`: refused by name where it is known.
fn refused(cursor: &Cursor) -> QueryError {
    for (words, name) in [
        (&["exchange"][..], "EXCHANGE PARTITION"),
        (&["compact"], "COMPACT"),
        (&["concatenate"], "CONCATENATE"),
        (&["clustered"], "ALTER TABLE … CLUSTERED BY"),
        (&["touch"], "TOUCH"),
        (&["update", "statistics"], "UPDATE STATISTICS"),
        (&["skewed"], "SKEWED BY"),
        (&["archive"], "ARCHIVE PARTITION"),
        (&["unarchive"], "UNARCHIVE PARTITION"),
        (&["enable"], "ENABLE"),
        (&["disable"], "DISABLE"),
    ] {
        if cursor.is_next(words) {
            return unsupported(name);
        }
    }
    cursor.unexpected("RENAME, SET, UNSET, ADD, REPLACE, CHANGE, DROP or PARTITION")
}

fn partition_change(
    cursor: &mut Cursor,
    partition: PartitionSpec,
) -> Result<TableChange, QueryError> {
    if cursor.accept(&["rename", "to", "partition"]) {
        let to = partition_values(cursor)?;
        return Ok(TableChange::RenamePartition {
            from: partition,
            to,
        });
    }
    if cursor.accept(&["set"]) {
        return set(cursor, Some(partition));
    }
    Err(match refused(cursor) {
        error if error.code == ErrorCode::Unsupported => error,
        _ => cursor.unexpected("RENAME TO PARTITION or SET LOCATION"),
    })
}

fn set(cursor: &mut Cursor, partition: Option<PartitionSpec>) -> Result<TableChange, QueryError> {
    if cursor.accept(&["location"]) {
        let location = cursor.string("a location in quotes")?;
        return Ok(TableChange::SetLocation {
            partition,
            location,
        });
    }
    for (word, name) in [
        ("fileformat", "SET FILEFORMAT"),
        ("serde", "SET SERDE"),
        ("serdeproperties", "SET SERDEPROPERTIES"),
        ("owner", "ALTER TABLE … SET OWNER"),
        ("skewed", "SET SKEWED LOCATION"),
    ] {
        if cursor.is_next(&[word]) {
            return Err(unsupported(name));
        }
    }
    if partition.is_none() && cursor.accept(&["tblproperties"]) {
        return properties(cursor).map(TableChange::SetProperties);
    }
    Err(cursor.unexpected("TBLPROPERTIES or LOCATION"))
}

fn add(cursor: &mut Cursor) -> Result<TableChange, QueryError> {
    let if_not_exists = if_not_exists(cursor);
    if cursor.is_next(&["partition"]) {
        let mut partitions = Vec::new();
        while cursor.accept(&["partition"]) {
            let values = partition_values(cursor)?;
            let location = match cursor.accept(&["location"]) {
                true => Some(cursor.string("a location in quotes")?),
                false => None,
            };
            partitions.push((values, location));
            cursor.accept_token(&Token::Comma);
        }
        return Ok(TableChange::AddPartitions {
            partitions,
            if_not_exists,
        });
    }
    if cursor.is_next(&["constraint"]) || cursor.is_next(&["primary"]) {
        return Err(unsupported("ADD CONSTRAINT"));
    }
    if cursor.accept(&["columns"]) || cursor.accept(&["column"]) {
        let columns = match cursor.peek() {
            Some(Token::LParen) => cursor.parenthesised(column)?,
            _ => vec![column(cursor)?],
        };
        for word in ["cascade", "restrict"] {
            if cursor.accept(&[word]) && word == "restrict" {
                // A partition's columns are always those of its table.
                return Err(unsupported("ADD COLUMNS … RESTRICT"));
            }
        }
        return Ok(TableChange::AddColumns(columns));
    }
    Err(cursor.unexpected("COLUMNS or PARTITION"))
}

fn without_type(name: String) -> ColumnDefinition {
    ColumnDefinition {
        name,
        sql_type: None,
        nullable: true,
        comment: None,
    }
}

fn place(cursor: &mut Cursor) -> Result<Option<ColumnPlace>, QueryError> {
    if cursor.accept(&["first"]) {
        return Ok(Some(ColumnPlace::First));
    }
    match cursor.accept(&["after"]) {
        true => Ok(Some(ColumnPlace::After(cursor.name("a column")?))),
        false => Ok(None),
    }
}

/// `CHANGE [COLUMN] a b type [COMMENT 'c'] [FIRST | AFTER d] [CASCADE]`
fn change_column(cursor: &mut Cursor, name: String) -> Result<TableChange, QueryError> {
    let mut to = without_type(cursor.name("a column's new name")?);
    to.sql_type = Some(parse_type(cursor)?);
    to.comment = comment(cursor)?;
    let place = place(cursor)?;
    if !cursor.accept(&["cascade"]) && cursor.accept(&["restrict"]) {
        return Err(unsupported("CHANGE COLUMN … RESTRICT"));
    }
    Ok(TableChange::ChangeColumn { name, to, place })
}

/// Spark's `ALTER COLUMN a TYPE bigint`, `… COMMENT 'c'`, `… FIRST`.
fn alter_column(cursor: &mut Cursor) -> Result<TableChange, QueryError> {
    let name = cursor.name("a column")?;
    let mut to = without_type(name.clone());
    if cursor.accept(&["type"]) || cursor.accept(&["set", "data", "type"]) {
        to.sql_type = Some(parse_type(cursor)?);
    }
    to.comment = comment(cursor)?;
    let place = place(cursor)?;
    if to.sql_type.is_none() && to.comment.is_none() && place.is_none() {
        return Err(cursor.unexpected("TYPE, COMMENT, FIRST or AFTER"));
    }
    Ok(TableChange::ChangeColumn { name, to, place })
}

fn drop(cursor: &mut Cursor) -> Result<TableChange, QueryError> {
    let if_exists = if_exists(cursor);
    if cursor.is_next(&["partition"]) {
        let filters = cursor.list(|cursor| {
            cursor.expect(&["partition"])?;
            cursor.parenthesised(condition)
        })?;
        // Files of external tables stay, those of managed tables go: PURGE changes nothing.
        cursor.accept(&["purge"]);
        return Ok(TableChange::DropPartitions { filters, if_exists });
    }
    if cursor.is_next(&["constraint"]) {
        return Err(unsupported("DROP CONSTRAINT"));
    }
    if !cursor.accept(&["columns"]) && !cursor.accept(&["column"]) {
        return Err(cursor.unexpected("COLUMN or PARTITION"));
    }
    let if_exists = if_exists || self::if_exists(cursor);
    let names = match cursor.peek() {
        Some(Token::LParen) => cursor.parenthesised(|cursor| cursor.name("a column"))?,
        _ => vec![cursor.name("a column")?],
    };
    Ok(TableChange::DropColumns { names, if_exists })
}

fn condition(cursor: &mut Cursor) -> Result<PartitionCondition, QueryError> {
    let column = cursor.name("a partition column")?;
    let comparison = [
        (Token::Eq, Comparison::Equal),
        (Token::DoubleEq, Comparison::Equal),
        (Token::Neq, Comparison::NotEqual),
        (Token::Lt, Comparison::Less),
        (Token::LtEq, Comparison::LessOrEqual),
        (Token::Gt, Comparison::Greater),
        (Token::GtEq, Comparison::GreaterOrEqual),
    ]
    .into_iter()
    .find(|(token, _)| cursor.accept_token(token));
    let Some((_, comparison)) = comparison else {
        return Err(cursor.unexpected("a comparison"));
    };
    let value = cursor.literal()?;
    Ok(PartitionCondition {
        column,
        comparison,
        value,
    })
}
