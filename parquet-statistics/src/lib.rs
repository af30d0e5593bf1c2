//! Which of a Parquet file's statistics may be believed.
//!
//! Readers take a null count that is missing for zero, and bounds that were compared as signed bytes for bounds
//! of text. Files are allowed to say less than that, and old ones do: row groups with rows of the result would be
//! left out. Here what cannot be relied on is taken out of the metadata before anybody looks at it. The values of
//! statistics that can be are not changed. NaN is not dealt with here: who prunes must know that bounds of
//! floating-point columns do not speak of it.

use parquet::basic::{SortOrder, Type};
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use std::sync::Arc;

/// The metadata without the statistics that cannot be relied on; the same where all can be.
///
/// # Errors
/// Those of putting the metadata together again.
pub fn trusted(metadata: Arc<ParquetMetaData>) -> Result<Arc<ParquetMetaData>> {
    let orders_are_said = metadata.file_metadata().column_orders().is_some();
    let verdict = |column: &ColumnChunkMetaData| Verdict::on(column, orders_are_said);
    let is_trusted = |group: &RowGroupMetaData| {
        let mut columns = group.columns().iter();
        columns.all(|column| verdict(column) == Verdict::Trusted)
    };
    if metadata.row_groups().iter().all(is_trusted) {
        return Ok(metadata);
    }
    let groups = metadata.row_groups().iter().map(|group| {
        let columns = group.columns().iter().map(|column| {
            let rebuilt = column.clone().into_builder().clear_statistics();
            match (verdict(column), column.statistics()) {
                (Verdict::Trusted, _) => Ok(column.clone()),
                (Verdict::CountsOnly, Some(statistics)) => {
                    rebuilt.set_statistics(without_bounds(statistics)).build()
                }
                _ => rebuilt.build(),
            }
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let group = group.clone().into_builder();
        group.set_column_metadata(columns).build()
    });
    let groups = groups.collect::<Result<Vec<_>>>()?;
    let metadata = Arc::unwrap_or_clone(metadata).into_builder();
    Ok(Arc::new(metadata.set_row_groups(groups).build()))
}

/// Whether a column can have no NULL, so that a null count that is missing is zero.
pub fn is_required(column: &ColumnChunkMetaData) -> bool {
    column.column_descr().max_def_level() == 0
}

/// What of a column's statistics may be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Trusted,
    /// The counts, not the bounds.
    CountsOnly,
    Nothing,
}

impl Verdict {
    fn on(column: &ColumnChunkMetaData, orders_are_said: bool) -> Self {
        let Some(statistics) = column.statistics() else {
            return Self::Trusted;
        };
        let nulls = statistics.null_count_opt();
        if nulls.is_none() && !is_required(column) {
            return Self::Nothing;
        }
        if nulls.is_some_and(|nulls| nulls > column.num_values().unsigned_abs()) {
            return Self::Nothing;
        }
        let has_bounds =
            statistics.min_bytes_opt().is_some() || statistics.max_bytes_opt().is_some();
        match has_bounds && !bounds_are_ordered(column, statistics, orders_are_said) {
            true => Self::CountsOnly,
            false => Self::Trusted,
        }
    }
}

/// Whether the bounds were found by the order in which the column's values are compared.
///
/// The fields `min` and `max` of old files are compared as signed, whatever the type. `min_value` and `max_value`
/// have the type's order only where the file says so in `column_orders`.
fn bounds_are_ordered(
    column: &ColumnChunkMetaData,
    statistics: &Statistics,
    orders_are_said: bool,
) -> bool {
    let descriptor = column.column_descr();
    let is_signed = descriptor.sort_order() == SortOrder::SIGNED;
    match column.column_type() {
        // Their order is not defined.
        Type::INT96 => false,
        Type::BYTE_ARRAY => orders_are_said && !statistics.is_min_max_deprecated(),
        Type::FIXED_LEN_BYTE_ARRAY => {
            let length = usize::try_from(descriptor.type_length()).unwrap_or(0);
            let has_length = |bound: Option<&[u8]>| bound.is_none_or(|bound| bound.len() == length);
            let (min, max) = (statistics.min_bytes_opt(), statistics.max_bytes_opt());
            // A number's bytes mean nothing where some are missing; a text's bound may be cut.
            let is_whole = !is_signed || (has_length(min) && has_length(max));
            is_whole && orders_are_said && !statistics.is_min_max_deprecated()
        }
        _ => is_signed || (orders_are_said && !statistics.is_min_max_deprecated()),
    }
}

fn without_bounds(statistics: &Statistics) -> Statistics {
    let distinct = statistics.distinct_count_opt();
    let nulls = statistics.null_count_opt();
    match statistics.physical_type() {
        Type::BOOLEAN => Statistics::boolean(None, None, distinct, nulls, false),
        Type::INT32 => Statistics::int32(None, None, distinct, nulls, false),
        Type::INT64 => Statistics::int64(None, None, distinct, nulls, false),
        Type::INT96 => Statistics::int96(None, None, distinct, nulls, false),
        Type::FLOAT => Statistics::float(None, None, distinct, nulls, false),
        Type::DOUBLE => Statistics::double(None, None, distinct, nulls, false),
        Type::BYTE_ARRAY => Statistics::byte_array(None, None, distinct, nulls, false),
        Type::FIXED_LEN_BYTE_ARRAY => {
            Statistics::fixed_len_byte_array(None, None, distinct, nulls, false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::basic::{ConvertedType, Repetition};
    use parquet::data_type::{ByteArray, Int96};
    use parquet::file::metadata::{FileMetaData, ParquetMetaDataBuilder};
    use parquet::schema::types::{SchemaDescriptor, Type as SchemaType};

    struct File {
        physical: Type,
        converted: ConvertedType,
        repetition: Repetition,
        orders: bool,
    }

    impl Default for File {
        fn default() -> Self {
            Self {
                physical: Type::INT32,
                converted: ConvertedType::NONE,
                repetition: Repetition::OPTIONAL,
                orders: true,
            }
        }
    }

    impl File {
        fn judge(&self, statistics: Statistics) -> Option<Statistics> {
            let column = SchemaType::primitive_type_builder("v", self.physical)
                .with_repetition(self.repetition)
                .with_converted_type(self.converted)
                .build()
                .unwrap();
            let schema = SchemaType::group_type_builder("schema")
                .with_fields(vec![Arc::new(column)])
                .build()
                .unwrap();
            let schema = Arc::new(SchemaDescriptor::new(Arc::new(schema)));
            let chunk = ColumnChunkMetaData::builder(schema.column(0))
                .set_num_values(10)
                .set_statistics(statistics)
                .build()
                .unwrap();
            let group = RowGroupMetaData::builder(Arc::clone(&schema))
                .set_num_rows(10)
                .set_column_metadata(vec![chunk])
                .build()
                .unwrap();
            let orders = self.orders.then(|| {
                let order = schema.column(0).sort_order();
                vec![parquet::basic::ColumnOrder::TYPE_DEFINED_ORDER(order)]
            });
            let file = FileMetaData::new(2, 10, None, None, schema, orders);
            let metadata = ParquetMetaDataBuilder::new(file)
                .set_row_groups(vec![group])
                .build();
            let trusted = trusted(Arc::new(metadata)).unwrap();
            trusted.row_group(0).column(0).statistics().cloned()
        }
    }

    fn text(deprecated: bool) -> Statistics {
        let value = |text: &str| Some(ByteArray::from(text));
        Statistics::byte_array(value("a"), value("z"), None, Some(1), deprecated)
    }

    #[test]
    fn a_null_count_that_is_missing_is_not_zero() {
        let bounds = |nulls| Statistics::int32(Some(1), Some(2), None, nulls, false);
        let file = File::default();
        assert_eq!(file.judge(bounds(None)), None);
        assert_eq!(file.judge(bounds(Some(0))), Some(bounds(Some(0))));
        assert_eq!(file.judge(bounds(Some(11))), None);
        let required = File {
            repetition: Repetition::REQUIRED,
            ..File::default()
        };
        assert_eq!(required.judge(bounds(None)), Some(bounds(None)));
    }

    #[test]
    fn bounds_of_another_order_go_and_counts_stay() {
        let words = |orders| File {
            physical: Type::BYTE_ARRAY,
            converted: ConvertedType::UTF8,
            orders,
            ..File::default()
        };
        let counts = Some(Statistics::byte_array(None, None, None, Some(1), false));
        assert_eq!(words(true).judge(text(false)), Some(text(false)));
        assert_eq!(words(true).judge(text(true)), counts);
        assert_eq!(words(false).judge(text(false)), counts);

        let old = Statistics::int32(Some(1), Some(-2), None, Some(0), true);
        let signed = File::default();
        assert_eq!(signed.judge(old.clone()), Some(old.clone()));
        let unsigned = File {
            converted: ConvertedType::UINT_32,
            ..File::default()
        };
        let counts = Statistics::int32(None, None, None, Some(0), false);
        assert_eq!(unsigned.judge(old), Some(counts));
    }

    #[test]
    fn timestamps_of_96_bits_have_no_bounds() {
        let file = File {
            physical: Type::INT96,
            ..File::default()
        };
        let statistics = Statistics::int96(Some(Int96::new()), None, None, Some(3), false);
        let counts = Statistics::int96(None, None, None, Some(3), false);
        assert_eq!(file.judge(statistics), Some(counts));
    }
}
