//! Aggregates that need all values of a group at once.

use super::Described;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, UInt64Array, new_empty_array};
use datafusion::arrow::compute::{SortOptions, concat, take_arrays};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::exec_err;
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, DocSection, Documentation, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// All values of a group.
pub(super) struct Gathered<'a> {
    /// The arguments.
    pub(super) columns: Vec<ArrayRef>,
    /// The type of the result.
    pub(super) returned: &'a DataType,
    /// How WITHIN GROUP orders the first argument.
    pub(super) order: Option<SortOptions>,
}

impl Gathered<'_> {
    pub(super) fn column(&self, index: usize) -> Result<&ArrayRef> {
        match self.columns.get(index) {
            Some(column) => Ok(column),
            None => exec_err!("argument {} is missing", index + 1),
        }
    }
}

type Coerce = fn(&[DataType]) -> Option<Vec<DataType>>;
type Returns = fn(&[DataType]) -> Result<DataType>;
type Finish = fn(&Gathered) -> Result<ScalarValue>;

/// An aggregate that is computed when all values of a group are there.
pub(super) struct Collected {
    name: &'static str,
    aliases: Vec<String>,
    signature: Signature,
    documentation: Documentation,
    is_ordered_set: bool,
    coerce: Coerce,
    returns: Returns,
    finish: Finish,
}

impl Collected {
    pub(super) fn new(
        described: &Described,
        coerce: Coerce,
        returns: Returns,
        finish: Finish,
    ) -> Self {
        Self {
            name: described.name(),
            aliases: described.aliases.iter().map(|a| (*a).to_owned()).collect(),
            signature: Signature::user_defined(Volatility::Immutable),
            documentation: Documentation::builder(
                DocSection::default(),
                described.text,
                described.syntax,
            )
            .build(),
            is_ordered_set: false,
            coerce,
            returns,
            finish,
        }
    }

    /// WITHIN GROUP may give the first argument.
    pub(super) fn within_group(mut self) -> Self {
        self.is_ordered_set = true;
        self
    }
}

impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Collected {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Collected {}

impl Hash for Collected {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl AggregateUDFImpl for Collected {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match (self.coerce)(types) {
            Some(types) => Ok(types),
            None => {
                let types: Vec<String> = types.iter().map(crate::types::sql_name).collect();
                datafusion::common::plan_err!(
                    "{} does not take ({}); it is called as {}",
                    self.name,
                    types.join(", "),
                    self.documentation.syntax_example
                )
            }
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        (self.returns)(types)
    }

    fn supports_within_group_clause(&self) -> bool {
        self.is_ordered_set
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let fields = args.input_fields.iter().enumerate().map(|(index, field)| {
            let name = format_state_name(args.name, &index.to_string());
            let items = Field::new_list_field(field.data_type().clone(), true);
            Arc::new(Field::new_list(name, items, true))
        });
        Ok(fields.collect())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let types = args
            .expr_fields
            .iter()
            .map(|field| field.data_type().clone());
        Ok(Box::new(Collector {
            types: types.collect(),
            batches: VecDeque::new(),
            returned: args.return_field.data_type().clone(),
            order: args.order_bys.first().map(|order| order.options),
            is_distinct: args.is_distinct,
            finish: self.finish,
        }))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

struct Collector {
    types: Vec<DataType>,
    /// Batches of all arguments, the oldest first.
    batches: VecDeque<Vec<ArrayRef>>,
    returned: DataType,
    order: Option<SortOptions>,
    is_distinct: bool,
    finish: Finish,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} batches", self.batches.len())
    }
}

impl Collector {
    fn columns(&self) -> Result<Vec<ArrayRef>> {
        let columns = self.types.iter().enumerate().map(|(index, of)| {
            let parts = self.batches.iter().filter_map(|batch| batch.get(index));
            let parts: Vec<&dyn Array> = parts.map(AsRef::as_ref).collect();
            match parts.is_empty() {
                true => Ok(new_empty_array(of)),
                false => Ok(concat(&parts)?),
            }
        });
        columns.collect()
    }

    /// One row of each kind.
    fn distinct(columns: Vec<ArrayRef>) -> Result<Vec<ArrayRef>> {
        let fields = columns
            .iter()
            .map(|column| SortField::new(column.data_type().clone()));
        let rows = RowConverter::new(fields.collect())?.convert_columns(&columns)?;
        let mut known = HashSet::new();
        let kept = rows
            .iter()
            .enumerate()
            .filter(|(_, row)| known.insert(row.owned()));
        let kept: UInt64Array = kept.map(|(index, _)| Some(index as u64)).collect();
        Ok(take_arrays(&columns, &kept, None)?)
    }
}

impl Accumulator for Collector {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if values.first().is_some_and(|values| !values.is_empty()) {
            self.batches.push_back(values.to_vec());
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |state| state.len());
        for row in 0..rows {
            let columns = states.iter().map(|state| match state.as_list_opt::<i32>() {
                Some(list) => Ok(list.value(row)),
                None => exec_err!("the state of an aggregate is not a list"),
            });
            let columns: Vec<ArrayRef> = columns.collect::<Result<_>>()?;
            self.update_batch(&columns)?;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut left = values.first().map_or(0, |values| values.len());
        while left > 0 {
            let Some(batch) = self.batches.pop_front() else {
                return Ok(());
            };
            let length = batch.first().map_or(0, |column| column.len());
            if length > left {
                let kept = batch.iter().map(|column| column.slice(left, length - left));
                self.batches.push_front(kept.collect());
            }
            left = left.saturating_sub(length);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let columns = self.columns()?.into_iter();
        Ok(columns
            .map(|column| SingleRowListArrayBuilder::new(column).build_list_scalar())
            .collect())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut columns = self.columns()?;
        if self.is_distinct && !columns.is_empty() {
            columns = Self::distinct(columns)?;
        }
        (self.finish)(&Gathered {
            columns,
            returned: &self.returned,
            order: self.order,
        })
    }

    fn size(&self) -> usize {
        let arrays = self.batches.iter().flatten();
        size_of_val(self)
            + arrays
                .map(|array| array.get_array_memory_size())
                .sum::<usize>()
    }
}
