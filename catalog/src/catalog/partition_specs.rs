//! How statements name partitions: by the values of all partition columns, or by conditions on some.

use crate::error::CatalogError;
use crate::model::{Partition, TableDefinition, name, partition_value};
use arrow::array::{ArrayRef, BooleanArray, Datum, Scalar};
use arrow::compute::kernels::cmp;
use arrow::compute::{is_not_null, is_null};
use arrow::error::ArrowError;
use std::collections::HashMap;

/// A value per partition column, in any order: `(ds='2024-01-31', hr=1)`. `None` is NULL.
pub type PartitionSpec = Vec<(String, Option<String>)>;

/// How a partition column's value compares with a given one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// A condition on a partition column. Values are compared as values of the column's type. `= NULL` and
/// `<> NULL` mean IS NULL and IS NOT NULL; NULL is neither less nor greater than anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionCondition {
    /// The column, in any case.
    pub column: String,
    /// How its value compares
    pub comparison: Comparison,
    /// with this one.
    pub value: Option<String>,
}

/// The table's values that a statement gives for all partition columns, in the form in which directories
/// have them.
pub(super) fn full_values(
    definition: &TableDefinition,
    spec: &PartitionSpec,
) -> Result<Vec<Option<String>>, CatalogError> {
    let mut values: Vec<Option<Option<String>>> = vec![None; definition.partition_columns.len()];
    for (column, value) in spec {
        let index = column_index(definition, column)?;
        let value = value.as_deref();
        let value = value.map(|value| canonical(definition, index, value));
        let value = value.transpose()?.flatten();
        if values[index].replace(value).is_some() {
            return Err(invalid(definition, format!("'{column}' is given twice")));
        }
    }
    let columns = definition.partition_columns.iter();
    let missing: Vec<&str> = columns
        .zip(&values)
        .filter(|(_, value)| value.is_none())
        .map(|(column, _)| column.name.as_str())
        .collect();
    if !missing.is_empty() {
        let text = format!("a value is missing for {}", missing.join(", "));
        return Err(invalid(definition, text));
    }
    Ok(values.into_iter().flatten().collect())
}

/// The values of partition columns, given in their order, in the form in which directories have them.
pub(super) fn canonical_values(
    definition: &TableDefinition,
    values: &[Option<String>],
) -> Result<Vec<Option<String>>, CatalogError> {
    if values.len() != definition.partition_columns.len() {
        let text = format!(
            "{} partition values where it has {} partition columns",
            values.len(),
            definition.partition_columns.len()
        );
        return Err(invalid(definition, text));
    }
    let canonical = values.iter().enumerate().map(|(index, value)| {
        let value = value.as_deref();
        let value = value.map(|value| canonical(definition, index, value));
        Ok(value.transpose()?.flatten())
    });
    canonical.collect()
}

fn canonical(
    definition: &TableDefinition,
    index: usize,
    value: &str,
) -> Result<Option<String>, CatalogError> {
    let column = &definition.partition_columns[index];
    let mut canonical = partition_value::canonical(vec![Some(value)], &column.data_type)
        .map_err(|value| invalid_value(definition, index, value))?;
    Ok(canonical.pop().flatten())
}

fn invalid_value(definition: &TableDefinition, index: usize, value: String) -> CatalogError {
    let column = &definition.partition_columns[index];
    CatalogError::InvalidPartitionValue {
        column: column.name.clone(),
        value,
        data_type: column.data_type.to_string(),
    }
}

fn invalid(definition: &TableDefinition, reason: String) -> CatalogError {
    CatalogError::InvalidPartition {
        table: definition.name.clone(),
        reason,
    }
}

fn column_index(definition: &TableDefinition, column: &str) -> Result<usize, CatalogError> {
    let wanted = name::normalise(column);
    if definition.partition_columns.is_empty() {
        return Err(invalid(definition, "it is not partitioned".to_owned()));
    }
    definition.partition_column_index(&wanted).ok_or_else(|| {
        let names = definition.partition_columns.iter();
        let names: Vec<&str> = names.map(|column| column.name.as_str()).collect();
        let text = format!(
            "'{wanted}' is not a partition column; it has {}",
            names.join(", ")
        );
        invalid(definition, text)
    })
}

/// Partition values for people: `ds='2024-01-31', hr='1'`.
pub(super) fn describe(definition: &TableDefinition, values: &[Option<String>]) -> String {
    let columns = definition.partition_columns.iter().zip(values);
    let parts = columns.map(|(column, value)| match value {
        Some(value) => format!("{}='{value}'", column.name),
        None => format!("{}=NULL", column.name),
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// Conditions for people.
pub(super) fn describe_conditions(conditions: &[PartitionCondition]) -> String {
    let parts = conditions.iter().map(|condition| {
        let PartitionCondition {
            column,
            comparison,
            value,
        } = condition;
        match value {
            Some(value) => format!("{column} {} '{value}'", comparison.as_str()),
            None => format!("{column} {} NULL", comparison.as_str()),
        }
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// The numbers of partitions by their values, in the form in which directories have them. Of several
/// with the same values the first counts.
pub(super) fn by_values(
    definition: &TableDefinition,
    partitions: &[Partition],
) -> Result<HashMap<Vec<Option<String>>, u32>, CatalogError> {
    let mut columns = Vec::with_capacity(definition.partition_columns.len());
    for (index, column) in definition.partition_columns.iter().enumerate() {
        let values = values_of(partitions, index);
        let canonical = partition_value::canonical(values, &column.data_type)
            .map_err(|value| invalid_value(definition, index, value))?;
        columns.push(canonical.into_iter());
    }
    let mut result = HashMap::with_capacity(partitions.len());
    for partition in partitions {
        let values = columns.iter_mut().map(|column| column.next().flatten());
        result.entry(values.collect()).or_insert(partition.number);
    }
    Ok(result)
}

fn values_of(partitions: &[Partition], index: usize) -> Vec<Option<&str>> {
    partitions
        .iter()
        .map(|partition| partition.values.get(index).and_then(Option::as_deref))
        .collect()
}

/// The partitions that satisfy all conditions.
pub(super) fn matching<'p>(
    definition: &TableDefinition,
    partitions: &'p [Partition],
    conditions: &[PartitionCondition],
) -> Result<Vec<&'p Partition>, CatalogError> {
    let mut matches = vec![true; partitions.len()];
    for condition in conditions {
        let index = column_index(definition, &condition.column)?;
        let data_type = &definition.partition_columns[index].data_type;
        let typed = |values: Vec<Option<&str>>| {
            partition_value::to_array(values, data_type)
                .map_err(|value| invalid_value(definition, index, value))
        };
        let value = canonical_condition(definition, index, condition.value.as_deref())?;
        let found = typed(values_of(partitions, index))?;
        let wanted = typed(vec![value.as_deref()])?;
        let outcome = compare(condition.comparison, &found, value.is_none(), wanted);
        let outcome = outcome.map_err(|error| invalid(definition, error.to_string()))?;
        for (matches, outcome) in matches.iter_mut().zip(&outcome) {
            *matches &= outcome == Some(true);
        }
    }
    Ok(partitions
        .iter()
        .zip(matches)
        .filter_map(|(partition, matches)| matches.then_some(partition))
        .collect())
}

fn canonical_condition(
    definition: &TableDefinition,
    index: usize,
    value: Option<&str>,
) -> Result<Option<String>, CatalogError> {
    match value {
        Some(value) => canonical(definition, index, value),
        None => Ok(None),
    }
}

fn compare(
    comparison: Comparison,
    found: &ArrayRef,
    wanted_is_null: bool,
    wanted: ArrayRef,
) -> Result<BooleanArray, ArrowError> {
    if wanted_is_null {
        return match comparison {
            Comparison::Equal => is_null(found),
            Comparison::NotEqual => is_not_null(found),
            _ => Ok(BooleanArray::from(vec![false; found.len()])),
        };
    }
    let wanted = Scalar::new(wanted);
    let (found, wanted): (&dyn Datum, &dyn Datum) = (found, &wanted);
    match comparison {
        Comparison::Equal => cmp::eq(found, wanted),
        Comparison::NotEqual => cmp::neq(found, wanted),
        Comparison::Less => cmp::lt(found, wanted),
        Comparison::LessOrEqual => cmp::lt_eq(found, wanted),
        Comparison::Greater => cmp::gt(found, wanted),
        Comparison::GreaterOrEqual => cmp::gt_eq(found, wanted),
    }
}
