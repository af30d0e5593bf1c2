//! How clients are told the SQL type of a column: names, precision and scale, from one table, for
//! results, for table schemas and for GetXdbcTypeInfo.

use crate::engine::{COLUMN_COMMENT, COLUMN_SQL_TYPE};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};
use std::collections::HashMap;

/// Keys of column metadata, as the Flight SQL specification names them.
const CATALOG_NAME: &str = "ARROW:FLIGHT:SQL:CATALOG_NAME";
const SCHEMA_NAME: &str = "ARROW:FLIGHT:SQL:SCHEMA_NAME";
const TABLE_NAME: &str = "ARROW:FLIGHT:SQL:TABLE_NAME";
const TYPE_NAME: &str = "ARROW:FLIGHT:SQL:TYPE_NAME";
const PRECISION: &str = "ARROW:FLIGHT:SQL:PRECISION";
const SCALE: &str = "ARROW:FLIGHT:SQL:SCALE";
const REMARKS: &str = "ARROW:FLIGHT:SQL:REMARKS";

/// The digits of microseconds.
const TIMESTAMP_SCALE: u8 = 6;

/// The SQL name of a type that goes over the wire, and of one that is about to be changed for it.
pub(crate) fn sql_type_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Null => "NULL",
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INT",
        DataType::Int64 => "BIGINT",
        DataType::UInt8 => "TINYINT UNSIGNED",
        DataType::UInt16 => "SMALLINT UNSIGNED",
        DataType::UInt32 => "INT UNSIGNED",
        DataType::UInt64 => "BIGINT UNSIGNED",
        DataType::Float16 | DataType::Float32 => "FLOAT",
        DataType::Float64 => "DOUBLE",
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => "DECIMAL",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING",
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => "BINARY",
        DataType::Date32 | DataType::Date64 => "DATE",
        DataType::Time32(_) | DataType::Time64(_) => "TIME",
        DataType::Timestamp(_, None) => "TIMESTAMP",
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE",
        DataType::Duration(_) | DataType::Interval(_) => "INTERVAL",
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::FixedSizeList(..) => "ARRAY",
        DataType::Struct(_) => "STRUCT",
        DataType::Map(..) => "MAP",
        DataType::Union(..) => "UNION",
        DataType::Dictionary(_, values) => sql_type_name(values),
        DataType::RunEndEncoded(_, values) => sql_type_name(values.data_type()),
    }
}

/// Digits in all and digits after the point, where the type has such.
fn precision_and_scale(data_type: &DataType) -> Option<(u8, i8)> {
    match data_type {
        DataType::Int8 | DataType::UInt8 => Some((3, 0)),
        DataType::Int16 | DataType::UInt16 => Some((5, 0)),
        DataType::Int32 | DataType::UInt32 => Some((10, 0)),
        DataType::Int64 => Some((19, 0)),
        DataType::UInt64 => Some((20, 0)),
        DataType::Float16 | DataType::Float32 => Some((7, 0)),
        DataType::Float64 => Some((15, 0)),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => Some((*precision, *scale)),
        _ => None,
    }
}

/// The metadata of a column of that type.
pub(crate) fn type_metadata(data_type: &DataType) -> HashMap<String, String> {
    let mut metadata = HashMap::from([(TYPE_NAME.to_owned(), sql_type_name(data_type).to_owned())]);
    if let Some((precision, scale)) = precision_and_scale(data_type) {
        metadata.insert(PRECISION.to_owned(), precision.to_string());
        metadata.insert(SCALE.to_owned(), scale.to_string());
    }
    metadata
}

/// `VARCHAR` and `10` of `varchar(10)`.
fn name_and_length(sql_type: &str) -> Option<(String, String)> {
    let (name, rest) = sql_type.split_once('(')?;
    let length = rest.strip_suffix(')')?;
    let is_text = matches!(name, "varchar" | "char");
    is_text.then(|| (name.to_uppercase(), length.to_owned()))
}

/// A table's wire schema with the metadata that drivers read column details from, and with the
/// table's own nullability.
pub(crate) fn table_schema(
    wire_schema: &Schema,
    own_schema: &Schema,
    catalog: &str,
    database: &str,
    table: &str,
) -> Schema {
    let describe = |field: &Field, own: &Field| {
        let mut metadata = field.metadata().clone();
        metadata.insert(CATALOG_NAME.to_owned(), catalog.to_owned());
        metadata.insert(SCHEMA_NAME.to_owned(), database.to_owned());
        metadata.insert(TABLE_NAME.to_owned(), table.to_owned());
        if let Some(comment) = own.metadata().get(COLUMN_COMMENT) {
            metadata.insert(REMARKS.to_owned(), comment.clone());
        }
        let sql_type = own.metadata().get(COLUMN_SQL_TYPE);
        if let Some((name, length)) = sql_type.and_then(|sql_type| name_and_length(sql_type)) {
            metadata.insert(TYPE_NAME.to_owned(), name);
            metadata.insert(PRECISION.to_owned(), length);
        }
        field
            .clone()
            .with_nullable(own.is_nullable())
            .with_metadata(metadata)
    };
    let fields: Vec<Field> = wire_schema
        .fields()
        .iter()
        .zip(own_schema.fields())
        .map(|(field, own)| describe(field, own))
        .collect();
    Schema::new(fields)
}

/// The types that GetXdbcTypeInfo tells of.
pub(crate) fn xdbc_types() -> Result<XdbcTypeInfoData, FlightError> {
    use XdbcDataType as Xdbc;
    let mut builder = XdbcTypeInfoDataBuilder::new();
    for (data_type, xdbc) in [
        (DataType::Boolean, Xdbc::XdbcBit),
        (DataType::Int8, Xdbc::XdbcTinyint),
        (DataType::Int16, Xdbc::XdbcSmallint),
        (DataType::Int32, Xdbc::XdbcInteger),
        (DataType::Int64, Xdbc::XdbcBigint),
        (DataType::Float32, Xdbc::XdbcReal),
        (DataType::Float64, Xdbc::XdbcDouble),
    ] {
        let radix = precision_and_scale(&data_type).map(|_| 10);
        builder.append(XdbcTypeInfo {
            unsigned_attribute: radix.map(|_| false),
            num_prec_radix: radix,
            ..plain_type(&data_type, xdbc)
        });
    }
    builder.append(XdbcTypeInfo {
        column_size: Some(i32::from(arrow::datatypes::DECIMAL128_MAX_PRECISION)),
        create_params: Some(vec!["precision".to_owned(), "scale".to_owned()]),
        unsigned_attribute: Some(false),
        minimum_scale: Some(0),
        maximum_scale: Some(i32::from(arrow::datatypes::DECIMAL128_MAX_SCALE)),
        num_prec_radix: Some(10),
        ..plain_type(&DataType::Decimal128(38, 0), Xdbc::XdbcDecimal)
    });
    builder.append(XdbcTypeInfo {
        case_sensitive: true,
        column_size: Some(i32::MAX),
        ..quoted_type(&DataType::Utf8, Xdbc::XdbcVarchar, "'")
    });
    builder.append(XdbcTypeInfo {
        column_size: Some(i32::MAX),
        ..quoted_type(&DataType::Binary, Xdbc::XdbcVarbinary, "X'")
    });
    append_datetimes(&mut builder);
    builder.build()
}

fn append_datetimes(builder: &mut XdbcTypeInfoDataBuilder) {
    use XdbcDataType as Xdbc;
    use XdbcDatetimeSubcode as Subcode;
    let microseconds = TimeUnit::Microsecond;
    for (data_type, xdbc, subcode, literal_prefix, size, scale) in [
        (
            DataType::Date32,
            Xdbc::XdbcDate,
            // ODBC has the same number for dates and for years.
            Subcode::XdbcSubcodeYear,
            "DATE '",
            10,
            None,
        ),
        (
            DataType::Time64(microseconds),
            Xdbc::XdbcTime,
            Subcode::XdbcSubcodeTime,
            "TIME '",
            15,
            Some(i32::from(TIMESTAMP_SCALE)),
        ),
        (
            DataType::Timestamp(microseconds, None),
            Xdbc::XdbcTimestamp,
            Subcode::XdbcSubcodeTimestamp,
            "TIMESTAMP '",
            26,
            Some(i32::from(TIMESTAMP_SCALE)),
        ),
    ] {
        builder.append(XdbcTypeInfo {
            column_size: Some(size),
            minimum_scale: scale.map(|_| 0),
            maximum_scale: scale,
            sql_data_type: Xdbc::XdbcDatetime,
            datetime_subcode: Some(subcode),
            ..quoted_type(&data_type, xdbc, literal_prefix)
        });
    }
}

fn plain_type(data_type: &DataType, xdbc: XdbcDataType) -> XdbcTypeInfo {
    let name = sql_type_name(data_type);
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type: xdbc,
        column_size: precision_and_scale(data_type).map(|(precision, _)| i32::from(precision)),
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Full,
        local_type_name: Some(name.to_owned()),
        sql_data_type: xdbc,
        auto_increment: Some(false),
        ..XdbcTypeInfo::default()
    }
}

fn quoted_type(data_type: &DataType, xdbc: XdbcDataType, prefix: &str) -> XdbcTypeInfo {
    XdbcTypeInfo {
        literal_prefix: Some(prefix.to_owned()),
        literal_suffix: Some("'".to_owned()),
        ..plain_type(data_type, xdbc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;

    #[test]
    fn columns_tell_their_type() {
        let decimal = type_metadata(&DataType::Decimal128(15, 2));
        assert_eq!(decimal[TYPE_NAME], "DECIMAL");
        assert_eq!(decimal[PRECISION], "15");
        assert_eq!(decimal[SCALE], "2");
        let text = type_metadata(&DataType::Utf8);
        assert_eq!(text[TYPE_NAME], "STRING");
        assert!(!text.contains_key(PRECISION));
    }

    #[test]
    fn type_info_names_the_types_that_columns_name() {
        let batch = xdbc_types().unwrap().record_batch(None).unwrap();
        let names: Vec<&str> = batch
            .column(0)
            .as_string::<i32>()
            .iter()
            .flatten()
            .collect();
        for data_type in [
            DataType::Int64,
            DataType::Utf8,
            DataType::Date32,
            DataType::Decimal128(1, 0),
        ] {
            assert!(names.contains(&sql_type_name(&data_type)), "{data_type}");
        }
    }
}
