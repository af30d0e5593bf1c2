//! Aggregates over rows in an order of their own.
//!
//! An operator of DataFusion's has its input in one order, so that aggregates with different ORDER BYs cannot stand
//! beside each other, and windows forget the ORDER BY of an aggregate altogether. Here the keys are one more
//! argument, and the rows are kept and sorted before the inner function sees them. The order in which they come
//! does not matter, nor does it that parts of them are aggregated on different nodes.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, ListArray, StructArray, UInt64Array, new_empty_array,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::{SortOptions, concat, take};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::{internal_datafusion_err, internal_err, plan_datafusion_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;
use datafusion::scalar::ScalarValue;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// What the name of such a function begins with; only plans use it.
const ORDERED: &str = "skep_ordered_";

/// How many arguments come behind those of the inner function: the directions, and the keys.
const ADDED: usize = 2;

/// Whether a name is that of a function made by [`ordered`], whose last argument holds keys.
pub fn is_ordered(name: &str) -> bool {
    name.starts_with(ORDERED)
}

/// What the function that does what `name` does, over rows in an order, is called.
pub fn ordered_name(name: &str) -> String {
    format!("{ORDERED}{name}")
}

/// What `inner` is over rows in an order. Behind its own arguments it takes a text with the directions of the keys,
/// see [`direction`], and a struct of the keys.
pub fn ordered(inner: Arc<AggregateUDF>) -> AggregateUDF {
    let name = inner.name().to_owned();
    ordered_as(&name, inner)
}

/// As [`ordered`], of a function that is known by another name.
pub fn ordered_as(name: &str, inner: Arc<AggregateUDF>) -> AggregateUDF {
    AggregateUDF::from(Ordered {
        name: ordered_name(name),
        signature: Signature::user_defined(inner.signature().volatility),
        inner,
    })
}

/// The direction of one key.
pub fn direction(ascending: bool, nulls_first: bool) -> char {
    match (ascending, nulls_first) {
        (true, true) => 'A',
        (true, false) => 'a',
        (false, true) => 'D',
        (false, false) => 'd',
    }
}

fn options(direction: char) -> SortOptions {
    SortOptions {
        descending: direction.eq_ignore_ascii_case(&'d'),
        nulls_first: direction.is_ascii_uppercase(),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Ordered {
    name: String,
    signature: Signature,
    inner: Arc<AggregateUDF>,
}

/// The arguments of the inner function, and those added to them.
fn split<T>(arguments: &[T]) -> Result<(&[T], &[T])> {
    let split = arguments.len().checked_sub(ADDED);
    let split = split.and_then(|split| arguments.split_at_checked(split));
    split.ok_or_else(|| plan_datafusion_err!("an ordered aggregate has no keys"))
}

/// The fields of the rows that are kept: the arguments, and the keys.
fn kept_fields(arguments: &[FieldRef]) -> Result<Fields> {
    let (inner, added) = split(arguments)?;
    let keys = added.get(1).map(|keys| keys.data_type().clone());
    let keys = keys.ok_or_else(|| plan_datafusion_err!("an ordered aggregate has no keys"))?;
    let types = inner.iter().map(|argument| argument.data_type().clone());
    let fields = types.chain([keys]).enumerate();
    let fields = fields.map(|(index, kept)| Field::new(format!("c{index}"), kept, true));
    Ok(fields.collect())
}

impl AggregateUDFImpl for Ordered {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let (inner, added) = split(arguments)?;
        let fields = inner.iter().enumerate();
        let fields = fields.map(|(index, argument)| {
            Arc::new(Field::new(format!("c{index}"), argument.clone(), true))
        });
        let fields: Vec<FieldRef> = fields.collect();
        let coerced = datafusion::logical_expr::type_coercion::functions::fields_with_udf(
            &fields,
            self.inner.as_ref(),
        )?;
        let coerced = coerced.iter().map(|field| field.data_type().clone());
        Ok(coerced.chain(added.iter().cloned()).collect())
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(split(arguments)?.0)
    }

    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        self.inner.return_field(split(arguments)?.0)
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let (exprs, added) = split(arguments.exprs)?;
        let (expr_fields, _) = split(arguments.expr_fields)?;
        let directions = added
            .first()
            .and_then(|text| text.downcast_ref::<Literal>());
        let directions = directions.and_then(|text| text.value().try_as_str().flatten());
        let Some(directions) = directions else {
            return internal_err!("the directions of an ordered aggregate are no text");
        };
        Ok(Box::new(Rows {
            directions: directions.chars().map(options).collect(),
            fields: kept_fields(arguments.expr_fields)?,
            is_distinct: arguments.is_distinct,
            kept: VecDeque::new(),
            call: Call {
                function: Arc::clone(&self.inner),
                return_field: arguments.return_field,
                schema: arguments.schema.clone(),
                ignore_nulls: arguments.ignore_nulls,
                name: arguments.name.to_owned(),
                exprs: exprs.to_vec(),
                expr_fields: expr_fields.to_vec(),
            },
        }))
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let rows = DataType::Struct(kept_fields(arguments.input_fields)?);
        let name = format_state_name(arguments.name, "rows");
        let item = Field::new_list_field(rows, true);
        Ok(vec![Arc::new(Field::new_list(name, item, true))])
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(data_type)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }
}

/// The rows seen so far.
#[derive(Debug)]
struct Rows {
    directions: Vec<SortOptions>,
    fields: Fields,
    is_distinct: bool,
    /// The columns of each batch: the arguments, and the keys.
    kept: VecDeque<Vec<ArrayRef>>,
    call: Call,
}

/// The inner function with what it is called with.
#[derive(Debug)]
struct Call {
    function: Arc<AggregateUDF>,
    return_field: FieldRef,
    schema: Schema,
    ignore_nulls: bool,
    name: String,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    expr_fields: Vec<FieldRef>,
}

impl Call {
    fn accumulator(&self) -> Result<Box<dyn Accumulator>> {
        self.function.accumulator(AccumulatorArgs {
            return_field: Arc::clone(&self.return_field),
            schema: &self.schema,
            ignore_nulls: self.ignore_nulls,
            order_bys: &[],
            is_reversed: false,
            name: &self.name,
            // The rows that it gets are distinct.
            is_distinct: false,
            exprs: &self.exprs,
            expr_fields: &self.expr_fields,
        })
    }
}

impl Rows {
    fn keep(&mut self, columns: Vec<ArrayRef>) -> Result<()> {
        let rows = columns.first().map_or(0, |column| column.len());
        if rows == 0 {
            return Ok(());
        }
        // A copy: what comes may be a small part of a large batch.
        let all = UInt64Array::from_iter_values(0..rows as u64);
        let columns = columns.iter().map(|column| take(column, &all, None));
        self.kept.push_back(columns.collect::<Result<_, _>>()?);
        Ok(())
    }

    /// All rows as one batch.
    fn columns(&self) -> Result<Vec<ArrayRef>> {
        let columns = self.fields.iter().enumerate().map(|(index, field)| {
            let parts = self.kept.iter().filter_map(|columns| columns.get(index));
            let parts: Vec<&dyn Array> = parts.map(AsRef::as_ref).collect();
            match parts.is_empty() {
                true => Ok(new_empty_array(field.data_type())),
                false => Ok(concat(&parts)?),
            }
        });
        columns.collect()
    }

    /// The arguments of the rows, in the order of their keys.
    fn sorted(&self) -> Result<Vec<ArrayRef>> {
        let mut columns = self.columns()?;
        let Some(keys) = columns.pop() else {
            return internal_err!("an ordered aggregate has no keys");
        };
        let keys = keys.as_struct().columns();
        let fields = keys.iter().zip(&self.directions);
        let fields = fields
            .map(|(key, options)| SortField::new_with_options(key.data_type().clone(), *options));
        let rows = RowConverter::new(fields.collect())?.convert_columns(keys)?;
        let mut order: Vec<usize> = (0..rows.num_rows()).collect();
        order.sort_by(|one, other| rows.row(*one).cmp(&rows.row(*other)));
        if self.is_distinct {
            let fields = columns.iter();
            let fields = fields.map(|column| SortField::new(column.data_type().clone()));
            let rows = RowConverter::new(fields.collect())?.convert_columns(&columns)?;
            let mut seen: HashSet<OwnedRow> = HashSet::new();
            order.retain(|index| seen.insert(rows.row(*index).owned()));
        }
        let order = UInt64Array::from_iter_values(order.into_iter().map(|index| index as u64));
        let columns = columns.iter().map(|column| take(column, &order, None));
        Ok(columns.collect::<Result<_, _>>()?)
    }
}

impl Accumulator for Rows {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (arguments, added) = split(values)?;
        let keys = added.iter().skip(1);
        self.keep(arguments.iter().chain(keys).cloned().collect())
    }

    /// Rows leave a window in the order in which they came.
    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut rows = values.first().map_or(0, |column| column.len());
        while rows > 0 {
            let Some(columns) = self.kept.front_mut() else {
                return internal_err!("more rows leave a window than came");
            };
            let held = columns.first().map_or(0, |column| column.len());
            if held <= rows {
                self.kept.pop_front();
            } else {
                for column in columns {
                    *column = column.slice(rows, held - rows);
                }
            }
            rows -= held.min(rows);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states.first().and_then(|lists| lists.as_list_opt::<i32>());
        let lists = lists
            .ok_or_else(|| internal_datafusion_err!("the rows of an aggregate are no list"))?;
        for rows in lists.iter().flatten() {
            self.keep(rows.as_struct().columns().to_vec())?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let columns = self.columns()?;
        let rows = columns.first().map_or(0, |column| column.len());
        let structs = StructArray::try_new_with_length(self.fields.clone(), columns, None, rows)?;
        let item = Field::new_list_field(structs.data_type().clone(), true);
        let list = ListArray::try_new(
            Arc::new(item),
            OffsetBuffer::from_lengths([rows]),
            Arc::new(structs),
            None,
        )?;
        Ok(vec![ScalarValue::List(Arc::new(list))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut inner = self.call.accumulator()?;
        inner.update_batch(&self.sorted()?)?;
        inner.evaluate()
    }

    fn size(&self) -> usize {
        let columns = self.kept.iter().flatten();
        let kept: usize = columns.map(|column| column.get_array_memory_size()).sum();
        size_of_val(self) + kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::Int64Array;
    use datafusion::functions_aggregate::array_agg::array_agg_udaf;
    use datafusion::logical_expr::lit as logical_lit;
    use datafusion::physical_expr::expressions::{Column, lit};

    /// `array_agg(v ORDER BY k DESC NULLS FIRST)`, or of what is distinct.
    fn accumulator(is_distinct: bool) -> Box<dyn Accumulator> {
        let keys = DataType::Struct(vec![Field::new("c0", DataType::Int64, true)].into());
        let schema = Schema::new(vec![
            Field::new("v", DataType::Int64, true),
            Field::new("d", DataType::Utf8, false),
            Field::new("k", keys, true),
        ]);
        let fields: Vec<FieldRef> = schema.fields().to_vec();
        let function = ordered(array_agg_udaf());
        let directions = String::from(direction(false, true));
        assert_eq!(logical_lit(directions.as_str()), logical_lit("D"));
        let arguments = AccumulatorArgs {
            return_field: function.return_field(&fields).unwrap(),
            schema: &schema,
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: "a",
            is_distinct,
            exprs: &[
                Arc::new(Column::new("v", 0)),
                lit(directions),
                Arc::new(Column::new("k", 2)),
            ],
            expr_fields: &fields,
        };
        function.accumulator(arguments).unwrap()
    }

    fn rows(values: Vec<Option<i64>>, keys: Vec<Option<i64>>) -> Vec<ArrayRef> {
        let directions = ScalarValue::from("D").to_array_of_size(values.len());
        let keys: ArrayRef = Arc::new(Int64Array::from(keys));
        let field = Arc::new(Field::new("c0", DataType::Int64, true));
        vec![
            Arc::new(Int64Array::from(values)),
            directions.unwrap(),
            Arc::new(StructArray::from(vec![(field, keys)])),
        ]
    }

    fn list(accumulator: &mut dyn Accumulator) -> String {
        accumulator.evaluate().unwrap().to_string()
    }

    #[test]
    fn parts_are_sorted_together() {
        let (mut one, mut other) = (accumulator(false), accumulator(false));
        one.update_batch(&rows(vec![Some(1), Some(2)], vec![Some(5), None]))
            .unwrap();
        other
            .update_batch(&rows(vec![Some(3), None], vec![Some(7), Some(6)]))
            .unwrap();
        assert_eq!(list(one.as_mut()), "[2, 1]");
        let state = other.state().unwrap();
        let state: Vec<ArrayRef> = state.iter().map(|part| part.to_array().unwrap()).collect();
        one.merge_batch(&state).unwrap();
        assert_eq!(list(one.as_mut()), "[2, 3, , 1]");
        one.retract_batch(&rows(vec![Some(1)], vec![Some(5)]))
            .unwrap();
        assert_eq!(list(one.as_mut()), "[2, 3, ]");
    }

    #[test]
    fn of_equal_values_the_first_is_kept() {
        let mut distinct = accumulator(true);
        distinct
            .update_batch(&rows(
                vec![Some(1), Some(2), Some(1)],
                vec![Some(1), Some(2), Some(3)],
            ))
            .unwrap();
        assert_eq!(list(distinct.as_mut()), "[1, 2]");
    }
}
