//! Structs in which nothing is left of what they were before they became NULL.
//!
//! A struct is an array per field, and whether a row is NULL is kept beside them. CASE and `nullif` set the one and
//! leave the others as they are; to read a field, or to unnest the struct, looks at the others alone.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, StructArray, make_array,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::scalar::ScalarValue;
use std::sync::{Arc, LazyLock};

/// The function's name; only plans use it.
const NAME: &str = "skep_null_fields";

static NULL_FIELDS: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(NullFields {
        signature: Signature::any(1, Volatility::Immutable),
    }))
});

/// The function from a struct to the same struct with NULL for the fields of rows that are NULL.
pub fn null_fields() -> Arc<ScalarUDF> {
    Arc::clone(&NULL_FIELDS)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct NullFields {
    signature: Signature,
}

impl ScalarUDFImpl for NullFields {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [value] => Ok(nullable(value)),
            _ => internal_err!("{NAME} takes one value"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [value] => {
                let data_type = nullable(value.data_type());
                Ok(Arc::new(value.as_ref().clone().with_data_type(data_type)))
            }
            _ => internal_err!("{NAME} takes one value"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Array(values)] => Ok(ColumnarValue::Array(below(values, None)?)),
            [ColumnarValue::Scalar(value)] => {
                let value = below(&value.to_array()?, None)?;
                let value = ScalarValue::try_from_array(&value, 0)?;
                Ok(ColumnarValue::Scalar(value))
            }
            _ => internal_err!("{NAME} takes one value"),
        }
    }
}

/// A type whose fields, and those of items of lists, may all be NULL.
pub fn nullable(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Struct(fields) => DataType::Struct(nullable_fields(fields)),
        DataType::List(item) => DataType::List(nullable_item(item)),
        DataType::LargeList(item) => DataType::LargeList(nullable_item(item)),
        other => other.clone(),
    }
}

fn nullable_item(item: &FieldRef) -> FieldRef {
    let data_type = nullable(item.data_type());
    let item: Field = item.as_ref().clone();
    Arc::new(item.with_data_type(data_type).with_nullable(true))
}

fn nullable_fields(fields: &Fields) -> Fields {
    fields.iter().map(nullable_item).collect()
}

/// The values with NULL where what holds them is NULL.
fn below(values: &ArrayRef, holder: Option<&NullBuffer>) -> Result<ArrayRef> {
    let nulls = NullBuffer::union(values.nulls(), holder);
    match values.data_type() {
        DataType::Struct(fields) => {
            let columns = values.as_struct().columns().iter();
            let columns = columns.map(|column| below(column, nulls.as_ref()));
            Ok(Arc::new(StructArray::try_new_with_length(
                nullable_fields(fields),
                columns.collect::<Result<_>>()?,
                nulls,
                values.len(),
            )?))
        }
        DataType::List(item) => list_below::<i32>(values, item, nulls),
        DataType::LargeList(item) => list_below::<i64>(values, item, nulls),
        DataType::Null => Ok(Arc::clone(values)),
        DataType::Union(..) | DataType::RunEndEncoded(..) => Ok(Arc::clone(values)),
        _ if holder.is_none_or(|holder| holder.null_count() == 0) => Ok(Arc::clone(values)),
        _ => {
            let data = values.to_data().into_builder().nulls(nulls);
            Ok(make_array(data.build()?))
        }
    }
}

fn list_below<O: OffsetSizeTrait>(
    values: &ArrayRef,
    item: &FieldRef,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    let list = values.as_list::<O>();
    Ok(Arc::new(GenericListArray::<O>::try_new(
        nullable_item(item),
        list.offsets().clone(),
        below(list.values(), None)?,
        nulls,
    )?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Int32Array, StringArray};
    use datafusion::arrow::datatypes::Int32Type;

    #[test]
    fn fields_of_null_rows_are_null() {
        let number: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("c")]));
        let inner = StructArray::new(
            vec![Field::new("n", DataType::Int32, false)].into(),
            vec![Arc::clone(&number)],
            None,
        );
        let fields = vec![
            Field::new("i", inner.data_type().clone(), false),
            Field::new("t", DataType::Utf8, true),
        ];
        let nulls = NullBuffer::from(vec![true, true, false]);
        let outer = StructArray::new(fields.into(), vec![Arc::new(inner), text], Some(nulls));
        let outer: ArrayRef = Arc::new(outer);

        let found = below(&outer, None).unwrap();
        assert_eq!(found.data_type(), &nullable(outer.data_type()));
        let found = found.as_struct();
        assert!(found.is_valid(1) && found.is_null(2));
        assert!(found.column(1).is_null(1) && found.column(1).is_null(2));
        let inner = found.column(0).as_struct();
        assert!(inner.is_null(2) && inner.column(0).is_null(2));
        assert_eq!(inner.column(0).as_primitive::<Int32Type>().value(1), 2);
    }
}
