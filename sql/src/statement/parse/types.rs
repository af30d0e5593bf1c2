//! Types, in Hive's spelling and in that of standard SQL.

use super::tokenize;
use crate::statement::{Cursor, Dialect, SqlType};
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, Fields, TimeUnit};
use datafusion::sql::sqlparser::tokenizer::Token;
use skep_protocol::{ErrorCode, QueryError};
use std::sync::Arc;

/// How deep types may be nested.
const NESTING_MAX: usize = 32;

/// The longest `varchar(n)`, as in Hive.
const VARCHAR_LENGTH_MAX: u32 = 65_535;

/// The longest `char(n)`, as in Hive.
const CHAR_LENGTH_MAX: u32 = 255;

/// The most digits of a second that a type may ask for.
const DIGITS_MAX: u32 = 9;

/// How many digits of a second there are in values: those of microseconds.
const DIGITS_KEPT: u32 = 6;

/// Reads a type.
///
/// # Errors
/// `Syntax`; `Unsupported` where there is no such type.
pub(super) fn parse_type(cursor: &mut Cursor) -> Result<SqlType, QueryError> {
    parse_nested(&mut TypeCursor { cursor, closing: 0 }, 0)
}

/// Reads a type that is written in a text.
///
/// # Errors
/// As [`parse_type`].
pub fn type_of_text(text: &str) -> Result<SqlType, QueryError> {
    let tokens = tokenize(text, Dialect::Standard)?;
    let mut cursor = Cursor::new(tokens, text);
    let found = parse_type(&mut cursor)?;
    cursor.end()?;
    Ok(found)
}

/// Types end with `>`, two of which the tokenizer takes for one token.
struct TypeCursor<'a> {
    cursor: &'a mut Cursor,
    /// How many `>` have been read that belong to types further out.
    closing: usize,
}

impl TypeCursor<'_> {
    fn open(&mut self) -> Result<(), QueryError> {
        self.cursor.expect_token(&Token::Lt)
    }

    fn close(&mut self) -> Result<(), QueryError> {
        if self.closing > 0 {
            self.closing -= 1;
        } else if self.cursor.accept_token(&Token::ShiftRight) {
            self.closing += 1;
        } else {
            self.cursor.expect_token(&Token::Gt)?;
        }
        Ok(())
    }
}

fn plain(data_type: DataType) -> SqlType {
    SqlType {
        data_type,
        sql_type: None,
    }
}

fn parse_nested(types: &mut TypeCursor, depth: usize) -> Result<SqlType, QueryError> {
    if depth > NESTING_MAX {
        let text = format!("a type is nested more than {NESTING_MAX} deep");
        return Err(QueryError::new(ErrorCode::StatementTooLarge, text));
    }
    let at_name = types.cursor.clone();
    let name = types.cursor.name("a type")?;
    let data_type = match name.as_str() {
        "array" => return parse_array(types, depth),
        "map" => return parse_map(types, depth),
        "struct" => return parse_struct(types, depth),
        "varchar" | "char" | "character" => return parse_text(types.cursor, &name),
        "decimal" | "dec" | "numeric" => return parse_decimal(types.cursor),
        "timestamp" => return parse_timestamp(types.cursor),
        "boolean" | "bool" => DataType::Boolean,
        "tinyint" | "byte" => DataType::Int8,
        "smallint" | "short" => DataType::Int16,
        "int" | "integer" => DataType::Int32,
        "bigint" | "long" => DataType::Int64,
        "float" | "real" => DataType::Float32,
        "double" => {
            types.cursor.accept(&["precision"]);
            DataType::Float64
        }
        "string" | "text" => DataType::Utf8,
        "binary" | "bytea" | "varbinary" | "blob" | "bytes" => {
            return parse_bytes(types.cursor);
        }
        "time" => return parse_time(types.cursor),
        "date" => DataType::Date32,
        "timestamp_ntz" | "datetime" => {
            let digits = parse_digits(types.cursor)?;
            return Ok(rounded(microseconds(), "timestamp", digits));
        }
        "timestamp_ltz" | "timestamptz" => {
            let digits = parse_digits(types.cursor)?;
            return Ok(rounded(utc(), "timestamp", digits));
        }
        other => {
            let at = at_name.unexpected("a type").position;
            let text = format!("the type {} is not supported", other.to_uppercase());
            return Err(QueryError::new(ErrorCode::Unsupported, text).at(at));
        }
    };
    Ok(plain(data_type))
}

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn microseconds() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

/// A type whose values are rounded to so many digits of a second when they are written.
fn rounded(data_type: DataType, name: &str, digits: Option<u32>) -> SqlType {
    let digits = digits.filter(|digits| *digits < DIGITS_KEPT);
    let zone = match &data_type {
        DataType::Timestamp(_, Some(_)) => " with local time zone",
        _ => "",
    };
    SqlType {
        sql_type: digits.map(|digits| format!("{name}({digits}){zone}")),
        data_type,
    }
}

/// Reads how many digits of a second a type has, where that comes next.
fn parse_digits(cursor: &mut Cursor) -> Result<Option<u32>, QueryError> {
    if !cursor.accept_token(&Token::LParen) {
        return Ok(None);
    }
    let at = cursor.unexpected("").position;
    let digits = cursor.number("a number of digits")?;
    cursor.expect_token(&Token::RParen)?;
    if digits > DIGITS_MAX {
        let text = format!("a second has 0 to {DIGITS_MAX} digits");
        return Err(QueryError::new(ErrorCode::Semantic, text).at(at));
    }
    Ok(Some(digits))
}

fn parse_time(cursor: &mut Cursor) -> Result<SqlType, QueryError> {
    let digits = parse_digits(cursor)?;
    if cursor.is_next(&["with", "time", "zone"]) {
        let text = "the type TIME WITH TIME ZONE is not supported";
        return Err(QueryError::new(ErrorCode::Unsupported, text));
    }
    cursor.accept(&["without", "time", "zone"]);
    let data_type = DataType::Time64(TimeUnit::Microsecond);
    Ok(rounded(data_type, "time", digits))
}

fn parse_bytes(cursor: &mut Cursor) -> Result<SqlType, QueryError> {
    if !cursor.accept_token(&Token::LParen) {
        return Ok(plain(DataType::Binary));
    }
    let at = cursor.unexpected("").position;
    let length = cursor.number("a length")?;
    cursor.expect_token(&Token::RParen)?;
    if length == 0 {
        let text = "the length of varbinary is 1 at least";
        return Err(QueryError::new(ErrorCode::Semantic, text).at(at));
    }
    Ok(SqlType {
        data_type: DataType::Binary,
        sql_type: Some(format!("varbinary({length})")),
    })
}

fn parse_timestamp(cursor: &mut Cursor) -> Result<SqlType, QueryError> {
    let digits = parse_digits(cursor)?;
    if cursor.accept(&["with", "local", "time", "zone"]) || cursor.accept(&["with", "time", "zone"])
    {
        return Ok(rounded(utc(), "timestamp", digits));
    }
    cursor.accept(&["without", "time", "zone"]);
    Ok(rounded(microseconds(), "timestamp", digits))
}

fn parse_text(cursor: &mut Cursor, name: &str) -> Result<SqlType, QueryError> {
    let is_varchar = name == "varchar" || cursor.accept(&["varying"]);
    let (name, length_max) = match is_varchar {
        true => ("varchar", VARCHAR_LENGTH_MAX),
        false => ("char", CHAR_LENGTH_MAX),
    };
    if !cursor.accept_token(&Token::LParen) {
        // VARCHAR alone has no bound; CHAR alone is CHAR(1).
        let sql_type = (!is_varchar).then(|| "char(1)".to_owned());
        return Ok(SqlType {
            data_type: DataType::Utf8,
            sql_type,
        });
    }
    let at = cursor.unexpected("").position;
    let length = cursor.number("a length")?;
    cursor.expect_token(&Token::RParen)?;
    if length == 0 || length > length_max {
        let text = format!("the length of {name} is 1 to {length_max}");
        return Err(QueryError::new(ErrorCode::Semantic, text).at(at));
    }
    Ok(SqlType {
        data_type: DataType::Utf8,
        sql_type: Some(format!("{name}({length})")),
    })
}

fn parse_decimal(cursor: &mut Cursor) -> Result<SqlType, QueryError> {
    let mut numbers = (10, 0);
    let at = cursor.unexpected("").position;
    if cursor.accept_token(&Token::LParen) {
        numbers.0 = cursor.number("a precision")?;
        if cursor.accept_token(&Token::Comma) {
            numbers.1 = cursor.number("a scale")?;
        }
        cursor.expect_token(&Token::RParen)?;
    }
    let precision = u8::try_from(numbers.0).ok();
    let precision =
        precision.filter(|precision| (1..=DECIMAL128_MAX_PRECISION).contains(precision));
    match (precision, i8::try_from(numbers.1)) {
        (Some(precision), Ok(scale)) if numbers.1 <= numbers.0 => {
            Ok(plain(DataType::Decimal128(precision, scale)))
        }
        _ => {
            let text = format!(
                "a decimal has 1 to {DECIMAL128_MAX_PRECISION} digits, of which no more are behind \
                 the point"
            );
            Err(QueryError::new(ErrorCode::Semantic, text).at(at))
        }
    }
}

fn parse_array(types: &mut TypeCursor, depth: usize) -> Result<SqlType, QueryError> {
    types.open()?;
    let item = parse_nested(types, depth + 1)?;
    types.close()?;
    let field = Field::new_list_field(item.data_type, true);
    Ok(plain(DataType::List(Arc::new(field))))
}

fn parse_map(types: &mut TypeCursor, depth: usize) -> Result<SqlType, QueryError> {
    types.open()?;
    let key = parse_nested(types, depth + 1)?;
    types.cursor.expect_token(&Token::Comma)?;
    let value = parse_nested(types, depth + 1)?;
    types.close()?;
    let entries = Fields::from(vec![
        Field::new("key", key.data_type, false),
        Field::new("value", value.data_type, true),
    ]);
    let entries = Field::new("entries", DataType::Struct(entries), false);
    Ok(plain(DataType::Map(Arc::new(entries), false)))
}

fn parse_struct(types: &mut TypeCursor, depth: usize) -> Result<SqlType, QueryError> {
    types.open()?;
    let mut fields = Vec::new();
    loop {
        let name = types.cursor.name("a field's name")?;
        types.cursor.accept_token(&Token::Colon);
        let field = parse_nested(types, depth + 1)?;
        if types.cursor.accept(&["comment"]) {
            let text = "COMMENT on a field of a STRUCT is not supported";
            return Err(QueryError::new(ErrorCode::Unsupported, text));
        }
        fields.push(Field::new(name, field.data_type, true));
        if types.closing > 0 || !types.cursor.accept_token(&Token::Comma) {
            break;
        }
    }
    types.close()?;
    Ok(plain(DataType::Struct(Fields::from(fields))))
}
