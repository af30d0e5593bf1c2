//! Reads one Parquet file's footer and keeps what the catalog wants of it.

use super::listing::storage_error;
use super::logical_types::{in_microseconds, logical_type};
use crate::error::CatalogError;
use crate::model::{BoundValue, ColumnBounds, ColumnId, name};
use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal128Type, Field, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Schema, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::async_reader::MetadataFetch;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::schema::types::SchemaDescriptor;
use skep_parquet_statistics::is_required;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// How much of the end of a file is read at first; most footers are smaller.
const PREFETCH_BYTES: usize = 64 * 1024;

/// What a footer says.
#[derive(Debug)]
pub(super) struct Footer {
    /// The file's name for messages.
    pub file: String,
    /// How many rows the file has.
    pub rows: u64,
    /// Its columns.
    pub fields: Vec<FooterField>,
    /// What is known of the columns, by their names in lower case, with the types that they have in the file.
    /// The column's id is not yet known.
    pub bounds: HashMap<String, (DataType, ColumnBounds)>,
}

/// A column of a file.
#[derive(Debug)]
pub(super) struct FooterField {
    /// As the file spells it.
    pub source_name: String,
    /// See [`logical_type`].
    pub data_type: DataType,
    /// Whether it may be NULL.
    pub nullable: bool,
}

/// Reads the footer of a file, whose name is `file` in messages.
pub(super) async fn read(
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
    file: String,
) -> Result<Footer, CatalogError> {
    let mut failure = None;
    let fetch = Fetch {
        store: &*store,
        meta: &meta,
        failure: &mut failure,
    };
    let loaded = ParquetMetaDataReader::new()
        .with_prefetch_hint(Some(PREFETCH_BYTES))
        .load_and_finish(fetch, meta.size)
        .await;
    if let Some(error) = failure {
        return Err(storage_error(file, error));
    }
    let corrupt = |error: ParquetError| CatalogError::CorruptFile {
        file: file.clone(),
        reason: reason(&error),
    };
    let metadata = loaded
        .map(Arc::new)
        .and_then(skep_parquet_statistics::trusted);
    let metadata = metadata.map_err(corrupt)?;
    let file_metadata = metadata.file_metadata();
    let schema = parquet_to_arrow_schema(
        file_metadata.schema_descr(),
        file_metadata.key_value_metadata(),
    )
    .map_err(corrupt)?;
    let rows = metadata
        .row_groups()
        .iter()
        .map(|group| group.num_rows().unsigned_abs())
        .sum();
    let bounds = schema
        .fields()
        .iter()
        .map(|field| {
            let bounds = column_bounds(&metadata, &schema, field).shortened();
            let known = (field.data_type().clone(), bounds);
            (name::normalise(field.name()), known)
        })
        .collect();
    let descriptor = file_metadata.schema_descr();
    let fields = schema.fields().iter();
    let fields = fields
        .map(|field| footer_field(field, descriptor))
        .collect();
    Ok(Footer {
        file,
        rows,
        fields,
        bounds,
    })
}

fn footer_field(field: &Field, descriptor: &SchemaDescriptor) -> FooterField {
    let is_int96 = descriptor.columns().iter().any(|column| {
        let first = column.path().parts().first();
        column.physical_type() == PhysicalType::INT96
            && first.is_some_and(|part| part == field.name())
    });
    let data_type = logical_type(field.data_type());
    FooterField {
        source_name: field.name().clone(),
        data_type: match is_int96 {
            // Days and nanoseconds within a day reach further than nanoseconds alone: these columns are read
            // in microseconds.
            true => in_microseconds(&data_type),
            false => data_type,
        },
        nullable: field.is_nullable(),
    }
}

/// The message without the kind of error before it, which says nothing to users.
fn reason(error: &ParquetError) -> String {
    match error {
        ParquetError::General(reason) | ParquetError::EOF(reason) => reason.clone(),
        other => other.to_string(),
    }
}

/// Reads from the store, and keeps its error, which the Parquet reader would turn into text.
struct Fetch<'a> {
    store: &'a dyn ObjectStore,
    meta: &'a ObjectMeta,
    failure: &'a mut Option<object_store::Error>,
}

impl MetadataFetch for Fetch<'_> {
    fn fetch(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        async move {
            let result = self.store.get_range(&self.meta.location, range).await;
            result.map_err(|error| {
                let message = error.to_string();
                *self.failure = Some(error);
                ParquetError::General(message)
            })
        }
        .boxed()
    }
}

/// What the row groups' statistics say of a column. Damaged statistics are no statistics.
fn column_bounds(metadata: &ParquetMetaData, schema: &Schema, field: &Field) -> ColumnBounds {
    let unknown = ColumnBounds::unknown(ColumnId(0));
    let descriptor = metadata.file_metadata().schema_descr();
    let Ok(converter) = StatisticsConverter::try_new(field.name(), schema, descriptor) else {
        return unknown;
    };
    let converter = converter.with_missing_null_counts_as_zero(false);
    let groups = metadata.row_groups();
    let Some(index) = converter
        .parquet_column_index()
        .filter(|_| !field.data_type().is_nested())
    else {
        return unknown;
    };
    let is_required = |group: &RowGroupMetaData| is_required(group.column(index));
    let null_count = match groups.iter().all(is_required) {
        true => Some(0),
        false => converter
            .row_group_null_counts(groups)
            .ok()
            .and_then(|counts| counts.iter().sum::<Option<u64>>()),
    };
    let size_bytes = groups
        .iter()
        .map(|group| group.column(index).uncompressed_size().unsigned_abs())
        .sum();
    let mut bounds = ColumnBounds {
        null_count,
        size_bytes: Some(size_bytes),
        ..unknown
    };
    let row_counts: Vec<i64> = groups.iter().map(|group| group.num_rows()).collect();
    let nulls = converter.row_group_null_counts(groups).ok();
    let has_values = |group: usize| {
        let all_null = nulls.as_ref().is_some_and(|nulls| {
            nulls.is_valid(group) && nulls.value(group) == row_counts[group].unsigned_abs()
        });
        row_counts[group] > 0 && !all_null
    };
    if let (Ok(values), Ok(exact)) = (
        converter.row_group_mins(groups),
        converter.row_group_is_min_value_exact(groups),
    ) {
        (bounds.min, bounds.min_is_exact) = extreme(&*values, &exact, has_values, Ordering::Less);
    }
    if let (Ok(values), Ok(exact)) = (
        converter.row_group_maxes(groups),
        converter.row_group_is_max_value_exact(groups),
    ) {
        (bounds.max, bounds.max_is_exact) =
            extreme(&*values, &exact, has_values, Ordering::Greater);
    }
    // Not-a-number is left out of the statistics, but not of the data.
    if field.data_type().is_floating() {
        bounds.min_is_exact = false;
        bounds.max_is_exact = false;
    }
    bounds
}

/// The value of all row groups that is `wanted` than all others, and whether it occurs. One group that
/// has values and no bound makes the whole unknown.
fn extreme(
    values: &dyn Array,
    exact: &BooleanArray,
    has_values: impl Fn(usize) -> bool,
    wanted: Ordering,
) -> (Option<BoundValue>, bool) {
    let mut best: Option<(BoundValue, bool)> = None;
    for index in (0..values.len()).filter(|index| has_values(*index)) {
        let Some(value) = bound_value(values, index) else {
            return (None, false);
        };
        let is_exact = exact.is_valid(index) && exact.value(index);
        let replaces = match &best {
            None => true,
            Some((best, best_is_exact)) => match value.compare(best) {
                Some(Ordering::Equal) => is_exact && !best_is_exact,
                Some(ordering) => ordering == wanted,
                None => return (None, false),
            },
        };
        if replaces {
            best = Some((value, is_exact));
        }
    }
    match best {
        Some((value, is_exact)) => (Some(value), is_exact),
        None => (None, false),
    }
}

fn bound_value(values: &dyn Array, index: usize) -> Option<BoundValue> {
    macro_rules! number {
        ($type:ty, $variant:ident) => {
            BoundValue::$variant(values.as_primitive::<$type>().value(index).into())
        };
    }
    if values.is_null(index) {
        return None;
    }
    let value = match values.data_type() {
        DataType::Boolean => BoundValue::Boolean(values.as_boolean().value(index)),
        DataType::Int8 => number!(Int8Type, Int),
        DataType::Int16 => number!(Int16Type, Int),
        DataType::Int32 => number!(Int32Type, Int),
        DataType::Int64 => number!(Int64Type, Int),
        DataType::UInt8 => number!(UInt8Type, UInt),
        DataType::UInt16 => number!(UInt16Type, UInt),
        DataType::UInt32 => number!(UInt32Type, UInt),
        DataType::UInt64 => number!(UInt64Type, UInt),
        DataType::Float32 => number!(Float32Type, Float),
        DataType::Float64 => number!(Float64Type, Float),
        DataType::Date32 => number!(Date32Type, Int),
        DataType::Date64 => number!(Date64Type, Int),
        DataType::Time32(TimeUnit::Second) => number!(Time32SecondType, Int),
        DataType::Time32(_) => number!(Time32MillisecondType, Int),
        DataType::Time64(TimeUnit::Microsecond) => number!(Time64MicrosecondType, Int),
        DataType::Time64(_) => number!(Time64NanosecondType, Int),
        DataType::Timestamp(TimeUnit::Second, _) => number!(TimestampSecondType, Int),
        DataType::Timestamp(TimeUnit::Millisecond, _) => number!(TimestampMillisecondType, Int),
        DataType::Timestamp(TimeUnit::Microsecond, _) => number!(TimestampMicrosecondType, Int),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => number!(TimestampNanosecondType, Int),
        DataType::Decimal128(_, _) => number!(Decimal128Type, Decimal),
        DataType::Utf8 => BoundValue::Text(values.as_string::<i32>().value(index).into()),
        DataType::LargeUtf8 => BoundValue::Text(values.as_string::<i64>().value(index).into()),
        DataType::Utf8View => BoundValue::Text(values.as_string_view().value(index).into()),
        DataType::Binary => BoundValue::Binary(values.as_binary::<i32>().value(index).into()),
        DataType::LargeBinary => BoundValue::Binary(values.as_binary::<i64>().value(index).into()),
        DataType::BinaryView => BoundValue::Binary(values.as_binary_view().value(index).into()),
        _ => return None,
    };
    match value {
        BoundValue::Float(number) if !number.is_finite() => None,
        value => Some(value),
    }
}
