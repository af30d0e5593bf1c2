//! Functions that take a lambda: `transform(xs, x -> x + 1)`.

mod run;

use crate::registry::{Entry, Example, Family, Functions, Implementation};
use crate::value::item;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::type_coercion::binary::type_union_coercion;
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs,
    HigherOrderSignature, HigherOrderUDF, HigherOrderUDFImpl, LambdaParametersProgress,
    ValueOrLambda, Volatility,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What is done with a lambda.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Operation {
    Transform,
    Filter,
    AnyMatch,
    AllMatch,
    Aggregate,
    ZipWith,
    MapFilter,
    TransformKeys,
    TransformValues,
    MapZipWith,
    SortBy,
}

/// A function that takes a lambda.
#[derive(Debug)]
struct WithLambda {
    name: String,
    aliases: Vec<String>,
    operation: Operation,
    signature: HigherOrderSignature,
    documentation: Documentation,
}

impl PartialEq for WithLambda {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for WithLambda {}

impl Hash for WithLambda {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

type ValueField = ValueOrLambda<FieldRef, Option<FieldRef>>;

fn nullable(data_type: DataType) -> FieldRef {
    Arc::new(Field::new("", data_type, true))
}

fn items_of(data_type: &DataType) -> Result<FieldRef> {
    match data_type {
        DataType::List(field) => Ok(nullable(field.data_type().clone())),
        _ => plan_err!(
            "an array is expected, not {}",
            crate::types::sql_name(data_type)
        ),
    }
}

fn entries_of(data_type: &DataType) -> Result<(FieldRef, FieldRef)> {
    match crate::arrays::map_types(data_type) {
        Some((key, value)) => Ok((nullable(key), nullable(value))),
        None => plan_err!(
            "a map is expected, not {}",
            crate::types::sql_name(data_type)
        ),
    }
}

/// The type that two have in common; the first where there is none.
fn union(first: &DataType, second: &DataType) -> DataType {
    type_union_coercion(first, second).unwrap_or_else(|| first.clone())
}

impl WithLambda {
    /// How many values stand before the first lambda.
    fn value_count(&self) -> usize {
        match self.operation {
            Operation::Aggregate | Operation::ZipWith | Operation::MapZipWith => 2,
            _ => 1,
        }
    }

    fn parameters(
        &self,
        values: &[&FieldRef],
        merged: Option<&DataType>,
    ) -> Result<Vec<Vec<FieldRef>>> {
        let first = values
            .first()
            .map_or(&DataType::Null, |field| field.data_type());
        let second = values
            .get(1)
            .map_or(&DataType::Null, |field| field.data_type());
        let index = || nullable(DataType::Int64);
        Ok(match self.operation {
            Operation::Transform | Operation::Filter => vec![vec![items_of(first)?, index()]],
            Operation::AnyMatch | Operation::AllMatch => vec![vec![items_of(first)?]],
            Operation::Aggregate => {
                let kept = nullable(match merged {
                    None => second.clone(),
                    Some(merged) => union(second, merged),
                });
                vec![vec![Arc::clone(&kept), items_of(first)?], vec![kept]]
            }
            Operation::ZipWith => vec![vec![items_of(first)?, items_of(second)?]],
            Operation::SortBy => vec![vec![items_of(first)?, items_of(first)?]],
            Operation::MapFilter | Operation::TransformKeys | Operation::TransformValues => {
                let (key, value) = entries_of(first)?;
                vec![vec![key, value]]
            }
            Operation::MapZipWith => {
                let (key, value) = entries_of(first)?;
                vec![vec![key, value, entries_of(second)?.1]]
            }
        })
    }

    fn returned(&self, values: &[&FieldRef], lambdas: &[&FieldRef]) -> Result<DataType> {
        let first = values
            .first()
            .map_or(&DataType::Null, |field| field.data_type());
        let result = lambdas
            .first()
            .map_or(&DataType::Null, |field| field.data_type());
        Ok(match self.operation {
            Operation::Transform | Operation::ZipWith => DataType::List(item(result.clone())),
            Operation::Filter | Operation::SortBy => crate::lists::nullable_list(first),
            Operation::AnyMatch | Operation::AllMatch => DataType::Boolean,
            Operation::Aggregate => match (lambdas, values) {
                ([_, finish], _) => finish.data_type().clone(),
                (_, [_, start]) => union(start.data_type(), result),
                _ => return plan_err!("{} takes an array and a value to start with", self.name),
            },
            Operation::MapFilter => first.clone(),
            Operation::TransformKeys => {
                crate::maps::map_type(result.clone(), entries_of(first)?.1.data_type().clone())
            }
            Operation::TransformValues | Operation::MapZipWith => {
                crate::maps::map_type(entries_of(first)?.0.data_type().clone(), result.clone())
            }
        })
    }
}

impl HigherOrderUDFImpl for WithLambda {
    fn name(&self) -> &str {
        &self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if types.len() != self.value_count() {
            return plan_err!(
                "{} is called as {}",
                self.name,
                self.documentation.syntax_example
            );
        }
        let is_start = |index: usize| index == 1 && self.operation == Operation::Aggregate;
        let coerced = types.iter().enumerate().map(|(index, of)| match of {
            other if is_start(index) => other.clone(),
            DataType::LargeList(field)
            | DataType::FixedSizeList(field, _)
            | DataType::ListView(field) => DataType::List(Arc::clone(field)),
            DataType::Null => DataType::new_list(DataType::Null, true),
            other => other.clone(),
        });
        let mut coerced: Vec<DataType> = coerced.collect();
        if self.operation == Operation::MapZipWith
            && let [first, second] = coerced.as_mut_slice()
            && let (Some((key, value)), Some((other_key, other))) = (
                crate::arrays::map_types(first),
                crate::arrays::map_types(second),
            )
        {
            let key = union(&key, &other_key);
            *first = crate::maps::map_type(key.clone(), value);
            *second = crate::maps::map_type(key, other);
        }
        Ok(coerced)
    }

    fn coerce_values_for_lambdas(
        &self,
        fields: &[ValueOrLambda<DataType, DataType>],
    ) -> Result<Option<Vec<DataType>>> {
        match (self.operation, fields) {
            (
                Operation::Aggregate,
                [
                    ValueOrLambda::Value(list),
                    ValueOrLambda::Value(start),
                    ValueOrLambda::Lambda(merged),
                    ..,
                ],
            ) => Ok(Some(vec![list.clone(), union(start, merged)])),
            _ => Ok(None),
        }
    }

    fn lambda_parameters(
        &self,
        _step: usize,
        fields: &[ValueField],
    ) -> Result<LambdaParametersProgress> {
        let (mut values, mut lambdas) = (Vec::new(), Vec::new());
        for field in fields {
            match field {
                ValueOrLambda::Value(field) => values.push(field),
                ValueOrLambda::Lambda(result) => lambdas.push(result),
            }
        }
        if lambdas.is_empty() {
            return plan_err!(
                "{} is called as {}",
                self.name,
                self.documentation.syntax_example
            );
        }
        let merged = lambdas.first().and_then(|result| result.as_ref());
        let mut parameters = self.parameters(&values, merged.map(|field| field.data_type()))?;
        parameters.truncate(lambdas.len());
        if parameters.len() < lambdas.len() {
            return plan_err!(
                "{} is called as {}",
                self.name,
                self.documentation.syntax_example
            );
        }
        if self.operation == Operation::Aggregate && merged.is_none() {
            let mut known: Vec<Option<Vec<FieldRef>>> = vec![None; lambdas.len()];
            if let (Some(first), Some(merge)) = (known.first_mut(), parameters.into_iter().next()) {
                *first = Some(merge);
            }
            return Ok(LambdaParametersProgress::Partial(known));
        }
        Ok(LambdaParametersProgress::Complete(parameters))
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        let (mut values, mut lambdas) = (Vec::new(), Vec::new());
        for field in args.arg_fields {
            match field {
                ValueOrLambda::Value(field) => values.push(field),
                ValueOrLambda::Lambda(field) => lambdas.push(field),
            }
        }
        Ok(nullable(self.returned(&values, &lambdas)?))
    }

    fn invoke_with_args(&self, args: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let returned = args.return_field.data_type().clone();
        let (mut values, mut lambdas) = (Vec::new(), Vec::new());
        for arg in args.args {
            match arg {
                ValueOrLambda::Value(value) => values.push(value.into_array(args.number_rows)?),
                ValueOrLambda::Lambda(lambda) => lambdas.push(lambda),
            }
        }
        let call = run::LambdaCall {
            values,
            lambdas,
            rows: args.number_rows,
            returned,
        };
        let result = match self.operation {
            Operation::Transform => call.transform(),
            Operation::Filter => call.filter(),
            Operation::AnyMatch => call.matches(true),
            Operation::AllMatch => call.matches(false),
            Operation::Aggregate => call.aggregate(),
            Operation::ZipWith => call.zip_with(),
            Operation::MapFilter => call.map_filter(),
            Operation::TransformKeys => call.map_transform(true),
            Operation::TransformValues => call.map_transform(false),
            Operation::MapZipWith => call.map_zip_with(),
            Operation::SortBy => call.sort_by(),
        };
        result.map(ColumnarValue::Array)
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

struct Described {
    syntax: &'static str,
    aliases: &'static [&'static str],
    operation: Operation,
    text: &'static str,
    example: (&'static str, &'static str),
}

impl From<Described> for Entry {
    fn from(described: Described) -> Self {
        let name = described.syntax.split('(').next().unwrap_or_default();
        let (sql, value) = described.example;
        let function = WithLambda {
            name: name.to_owned(),
            aliases: described
                .aliases
                .iter()
                .map(|alias| (*alias).to_owned())
                .collect(),
            operation: described.operation,
            signature: HigherOrderSignature::variadic_any(Volatility::Immutable),
            documentation: Documentation::builder(
                DocSection::default(),
                described.text,
                described.syntax,
            )
            .build(),
        };
        Entry {
            name,
            aliases: described.aliases.to_vec(),
            family: Family::Both,
            syntax: described.syntax.to_owned(),
            text: described.text.to_owned(),
            examples: vec![Example { sql, value }],
            implementation: Implementation::HigherOrder(Arc::new(HigherOrderUDF::new_from_impl(
                function,
            ))),
        }
    }
}

/// Adds them.
pub(crate) fn add(functions: &mut Functions) {
    for described in of_arrays() {
        functions.add(described);
    }
    for described in of_maps() {
        functions.add(described);
    }
    functions.add(sort_by());
}

fn of_arrays() -> [Described; 6] {
    [
        Described {
            syntax: "transform(array, x -> value)",
            aliases: &["list_transform", "array_transform"],
            operation: Operation::Transform,
            text: "The array of what the lambda makes of each item, and of its index from 0 where it takes two.",
            example: ("transform(array(1, 2, 3), x -> x + 1)", "[2, 3, 4]"),
        },
        Described {
            syntax: "filter(array, x -> condition)",
            aliases: &["list_filter", "array_filter"],
            operation: Operation::Filter,
            text: "The items for which the lambda is true; it may take their index from 0, too.",
            example: ("filter(array(1, 2, 3), x -> x % 2 = 1)", "[1, 3]"),
        },
        Described {
            syntax: "any_match(array, x -> condition)",
            aliases: &["array_any_match", "list_any_match", "exists_item"],
            operation: Operation::AnyMatch,
            text: "Whether the lambda is true for some item; Hive's dialect calls it exists, too.",
            example: ("any_match(array(1, 2, 3), x -> x % 2 = 0)", "true"),
        },
        Described {
            syntax: "forall(array, x -> condition)",
            aliases: &["all_match"],
            operation: Operation::AllMatch,
            text: "Whether the lambda is true for all items.",
            example: ("forall(array(2, 4, 8), x -> x % 2 = 0)", "true"),
        },
        Described {
            syntax: "aggregate(array, start, (kept, x) -> value[, kept -> result])",
            aliases: &["reduce"],
            operation: Operation::Aggregate,
            text: "What the first lambda makes of a value to start with and of one item after the other, and \
                   the second of the last.",
            example: (
                "aggregate(array(1, 2, 3), 0, (acc, x) -> acc + x, acc -> acc * 10)",
                "60",
            ),
        },
        Described {
            syntax: "zip_with(a, b, (x, y) -> value)",
            aliases: &[],
            operation: Operation::ZipWith,
            text: "The array of what the lambda makes of the items at one place in two arrays, NULL where one is \
                   shorter.",
            example: (
                "zip_with(array(1, 2), array(3, 4), (x, y) -> x + y)",
                "[4, 6]",
            ),
        },
    ]
}

fn of_maps() -> [Described; 4] {
    [
        Described {
            syntax: "map_filter(map, (key, value) -> condition)",
            aliases: &[],
            operation: Operation::MapFilter,
            text: "The entries for which the lambda is true.",
            example: (
                "map_filter(map(1, 0, 2, 2, 3, -1), (k, v) -> k > v)",
                "{1: 0, 3: -1}",
            ),
        },
        Described {
            syntax: "transform_keys(map, (key, value) -> key)",
            aliases: &[],
            operation: Operation::TransformKeys,
            text: "The map with what the lambda makes of its entries for keys.",
            example: (
                "transform_keys(map(1, 'a', 2, 'b'), (k, v) -> k + 1)",
                "{2: a, 3: b}",
            ),
        },
        Described {
            syntax: "transform_values(map, (key, value) -> value)",
            aliases: &[],
            operation: Operation::TransformValues,
            text: "The map with what the lambda makes of its entries for values.",
            example: (
                "transform_values(map(1, 10, 2, 20), (k, v) -> v + k)",
                "{1: 11, 2: 22}",
            ),
        },
        Described {
            syntax: "map_zip_with(a, b, (key, x, y) -> value)",
            aliases: &[],
            operation: Operation::MapZipWith,
            text: "The map of what the lambda makes of the values that two maps have for each key, NULL where one \
                   has none.",
            example: (
                "map_zip_with(map(1, 'a', 2, 'b'), map(1, 'x', 2, 'y'), (k, v1, v2) -> concat(v1, v2))",
                "{1: ax, 2: by}",
            ),
        },
    ]
}

fn sort_by() -> Described {
    Described {
        syntax: "array_sort_by(array, (a, b) -> order)",
        aliases: &[],
        operation: Operation::SortBy,
        text: "The array sorted by a lambda that is negative, 0 or positive for two items.",
        example: (
            "array_sort_by(array(5, 6, 1), (a, b) -> a - b)",
            "[1, 5, 6]",
        ),
    }
}
