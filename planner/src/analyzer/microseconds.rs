//! Timestamps are microseconds, whatever stands beside them.
//!
//! DataFusion counts in nanoseconds wherever a timestamp meets a date, a text or a time of day, and nanoseconds end in
//! 2262: `DATE '9999-12-31' > now()` would fail. After it has made the types of all sides one, this rule makes
//! nanoseconds microseconds in casts and constants, and columns and results that are nanoseconds where an
//! expression uses them. A column of nanoseconds in a file that is only handed on stays what it is.
//!
//! It also gives casts between timestamps and numbers the meaning that they have in Hive and Spark: seconds since
//! 1970. And casts between timestamps with and without a zone go by the session's zone.

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, FieldRef, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::{Cast, InSubquery, ScalarFunction, SetComparison, TryCast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, ScalarUDF,
    Subquery, Union, Values, lit,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::scalar::ScalarValue;
use skep_runtime::functions::time::{date_trunc, of_session, session_zone};
use std::cell::Cell;
use std::sync::Arc;

const NANOS_PER_MICRO: i64 = 1_000;
const MICROS_SCALE: i8 = 6;

/// The rule. It belongs after the one that makes the types of both sides of an operator one.
#[derive(Debug)]
pub(crate) struct Microseconds;

impl AnalyzerRule for Microseconds {
    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let session = Session::new(config);
        let rewritten = plan.transform_up_with_subqueries(|node| rewrite(node, &session))?;
        Ok(rewritten.data)
    }

    fn name(&self) -> &str {
        "microseconds"
    }
}

/// What casts go by.
struct Session {
    zone: Arc<str>,
    timezone: Option<Arc<ScalarUDF>>,
    to_timestamp: Option<Arc<ScalarUDF>>,
    /// Whether some part of the plan is not what it was, so that what is above it may have other types.
    is_changed: Cell<bool>,
}

impl Session {
    fn new(config: &ConfigOptions) -> Self {
        let functions = of_session(config);
        let named = |name: &str| {
            let found = functions.iter().find(|function| function.name() == name);
            found.cloned().map(Arc::new)
        };
        Self {
            zone: session_zone(config),
            timezone: named("timezone"),
            to_timestamp: named("to_timestamp"),
            is_changed: Cell::new(false),
        }
    }
}

fn rewrite(node: LogicalPlan, session: &Session) -> Result<Transformed<LogicalPlan>> {
    let node = match node {
        LogicalPlan::Union(union) => {
            let aligned = align(union)?;
            if aligned.transformed {
                session.is_changed.set(true);
            }
            return Ok(aligned);
        }
        LogicalPlan::TableScan(_) | LogicalPlan::EmptyRelation(_) => {
            return Ok(Transformed::no(node));
        }
        other => other,
    };
    let names = NamePreserver::new(&node);
    let schema = merge_schema(&node.inputs());
    // Both sides of a join's key are of one type.
    let is_join = matches!(node, LogicalPlan::Join(_));
    let rewritten = |expression: Expr| {
        if !is_join && is_bare(&expression) {
            return Ok(Transformed::no(expression));
        }
        let name = names.save(&expression);
        let rewritten = expression.transform_up(|part| rewrite_part(part, &schema, session))?;
        Ok(rewritten.update_data(|expression| name.restore(expression)))
    };
    let mapped = node.map_expressions(|expression| match expression {
        // It is not a column: those that it names are.
        Expr::GroupingSet(_) => expression.map_children(rewritten),
        column => rewritten(column),
    })?;
    if mapped.transformed {
        session.is_changed.set(true);
    }
    match (session.is_changed.get(), mapped.data) {
        (false, node) => Ok(Transformed::no(node)),
        (true, LogicalPlan::Values(values)) => typed_values(values).map(Transformed::yes),
        (true, node) => node.recompute_schema().map(Transformed::yes),
    }
}

/// Whether it hands a column on as it is.
fn is_bare(expression: &Expr) -> bool {
    match expression {
        Expr::Column(_) => true,
        Expr::Alias(alias) => is_bare(&alias.expr),
        _ => false,
    }
}

fn is_nanoseconds(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(TimeUnit::Nanosecond, _))
}

/// The type with microseconds in the place of nanoseconds, also within lists, structures and maps.
fn in_microseconds(data_type: &DataType) -> DataType {
    let field = |field: &FieldRef| -> FieldRef {
        let data_type = in_microseconds(field.data_type());
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    match data_type {
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
        }
        DataType::List(item) => DataType::List(field(item)),
        DataType::LargeList(item) => DataType::LargeList(field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(field(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        other => other.clone(),
    }
}

fn cast(expression: Expr, data_type: DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(expression), data_type))
}

fn rewrite_part(part: Expr, schema: &DFSchema, session: &Session) -> Result<Transformed<Expr>> {
    Ok(match part {
        Expr::Literal(ScalarValue::TimestampNanosecond(value, zone), metadata) => {
            // What a microsecond has no place for is cut, as in text that is read.
            let value = value.map(|nanos| nanos.div_euclid(NANOS_PER_MICRO));
            let value = ScalarValue::TimestampMicrosecond(value, zone);
            Transformed::yes(Expr::Literal(value, metadata))
        }
        Expr::Cast(cast) => rewrite_cast(cast, schema, session)?,
        Expr::TryCast(TryCast { expr, field }) => {
            let target = in_microseconds(field.data_type());
            let is_same = target == *field.data_type();
            let field = retyped(&field, target);
            let cast = Expr::TryCast(TryCast { expr, field });
            Transformed::new_transformed(cast, !is_same)
        }
        Expr::Column(_)
        | Expr::OuterReferenceColumn(_, _)
        | Expr::ScalarFunction(_)
        | Expr::HigherOrderFunction(_)
        | Expr::ScalarSubquery(_) => match part.get_type(schema) {
            Ok(data_type) if is_nanoseconds(&data_type) => {
                Transformed::yes(cast(part, in_microseconds(&data_type)))
            }
            _ => Transformed::no(part),
        },
        Expr::BinaryExpr(binary) => with_durations(binary, schema)?,
        Expr::InSubquery(within) => {
            let InSubquery {
                expr,
                subquery,
                negated,
            } = within;
            aligned(subquery)?.update_data(|subquery| {
                Expr::InSubquery(InSubquery {
                    expr,
                    subquery,
                    negated,
                })
            })
        }
        Expr::SetComparison(comparison) => {
            let SetComparison {
                expr,
                subquery,
                op,
                quantifier,
            } = comparison;
            aligned(subquery)?.update_data(|subquery| {
                Expr::SetComparison(SetComparison {
                    expr,
                    subquery,
                    op,
                    quantifier,
                })
            })
        }
        other => Transformed::no(other),
    })
}

fn rewrite_cast(
    Cast { expr, field }: Cast,
    schema: &DFSchema,
    session: &Session,
) -> Result<Transformed<Expr>> {
    let from = expr.get_type(schema)?;
    let target = in_microseconds(field.data_type());
    Ok(match Meaning::of(&from, &target, session) {
        Some(meaning) => Transformed::yes(meaning.cast(*expr, target)),
        None => {
            let is_same = target == *field.data_type();
            let cast = Cast::new_from_field(expr, retyped(&field, target));
            Transformed::new_transformed(Expr::Cast(cast), !is_same)
        }
    })
}

fn retyped(field: &FieldRef, data_type: DataType) -> FieldRef {
    match *field.data_type() == data_type {
        true => Arc::clone(field),
        false => Arc::new(field.as_ref().clone().with_data_type(data_type)),
    }
}

/// What a cast means where it is not what Arrow makes of it.
enum Meaning {
    /// A whole number counts seconds.
    OfSeconds,
    /// As does one with a fraction.
    OfFraction(Arc<ScalarUDF>),
    /// A number of seconds is wanted.
    ToSeconds,
    /// What clocks show at a moment, or the moment at which they show it.
    InZone(Arc<ScalarUDF>, Arc<str>),
}

impl Meaning {
    fn of(from: &DataType, target: &DataType, session: &Session) -> Option<Self> {
        let is_utc = |zone: &str| matches!(zone, "UTC" | "+00:00" | "Z");
        let in_session_zone = || {
            let function = session.timezone.as_ref()?;
            Some(Self::InZone(
                Arc::clone(function),
                Arc::clone(&session.zone),
            ))
        };
        let zone = match target {
            DataType::Timestamp(TimeUnit::Microsecond, zone) => zone.as_deref(),
            number if number.is_numeric() && matches!(from, DataType::Timestamp(_, _)) => {
                return Some(Self::ToSeconds);
            }
            _ => return None,
        };
        match (from, zone) {
            (number, _) if number.is_integer() => Some(Self::OfSeconds),
            (number, _) if number.is_numeric() => {
                session.to_timestamp.clone().map(Self::OfFraction)
            }
            // Text is read, and moments are shown, in the session's zone.
            (DataType::Timestamp(_, Some(from)), None) => {
                let is_utc = is_utc(from) && is_utc(&session.zone);
                in_session_zone().filter(|_| !is_utc)
            }
            // Arrow has no answer where clocks skip or repeat an hour.
            (DataType::Timestamp(_, None) | DataType::Date32, Some(zone)) => {
                let is_usual = is_utc(zone) || *zone != *session.zone;
                in_session_zone().filter(|_| !is_usual)
            }
            _ => None,
        }
    }

    fn cast(self, value: Expr, target: DataType) -> Expr {
        let call = |function: Arc<ScalarUDF>, arguments: Vec<Expr>| {
            Expr::ScalarFunction(ScalarFunction::new_udf(function, arguments))
        };
        match self {
            Self::OfSeconds => {
                let seconds = DataType::Timestamp(TimeUnit::Second, None);
                cast(cast(cast(value, DataType::Int64), seconds), target)
            }
            Self::OfFraction(function) => {
                let number = DataType::Decimal128(DECIMAL128_MAX_PRECISION, MICROS_SCALE);
                cast(call(function, vec![cast(value, number)]), target)
            }
            Self::ToSeconds => {
                use datafusion::functions::datetime::expr_fn::date_part;
                match target.is_integer() {
                    // A double has no place for the microseconds of far years.
                    true => {
                        let seconds = call(date_trunc(), vec![lit("second"), value]);
                        cast(date_part(lit("epoch"), seconds), target)
                    }
                    false => cast(date_part(lit("epoch"), value), target),
                }
            }
            Self::InZone(function, zone) => {
                let zone = lit(zone.as_ref());
                match target {
                    DataType::Timestamp(_, None) => call(function, vec![zone, value]),
                    _ => {
                        let local = DataType::Timestamp(TimeUnit::Microsecond, None);
                        call(function, vec![zone, cast(value, local)])
                    }
                }
            }
        }
    }
}

/// Times of day are added to timestamps as durations of nanoseconds.
fn with_durations(binary: BinaryExpr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if !matches!(binary.op, Operator::Plus | Operator::Minus) {
        return Ok(Transformed::no(Expr::BinaryExpr(binary)));
    }
    let is_micros =
        |data_type: &DataType| matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, _));
    let is_nanos = |data_type: &DataType| *data_type == DataType::Duration(TimeUnit::Nanosecond);
    let micros = DataType::Duration(TimeUnit::Microsecond);
    let types = (binary.left.get_type(schema), binary.right.get_type(schema));
    let BinaryExpr { left, op, right } = binary;
    let (left, right, is_changed) = match types {
        (Ok(one), Ok(other)) if is_micros(&one) && is_nanos(&other) => {
            (left, Box::new(cast(*right, micros)), true)
        }
        (Ok(one), Ok(other)) if is_nanos(&one) && is_micros(&other) => {
            (Box::new(cast(*left, micros)), right, true)
        }
        _ => (left, right, false),
    };
    let binary = Expr::BinaryExpr(BinaryExpr { left, op, right });
    Ok(Transformed::new_transformed(binary, is_changed))
}

/// The subquery of a comparison, whose value is microseconds where it would be nanoseconds.
fn aligned(subquery: Subquery) -> Result<Transformed<Subquery>> {
    let schema = subquery.subquery.schema();
    let fields = schema.fields();
    let [field] = fields.as_ref() else {
        return Ok(Transformed::no(subquery));
    };
    if !is_nanoseconds(field.data_type()) {
        return Ok(Transformed::no(subquery));
    }
    let column = Expr::Column(schema.columns().remove(0));
    let value = cast(column, in_microseconds(field.data_type())).alias(field.name());
    let plan = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone());
    Ok(Transformed::yes(Subquery {
        subquery: Arc::new(plan.project([value])?.build()?),
        ..subquery
    }))
}

/// A list of rows, whose types are those of its expressions.
fn typed_values(values: Values) -> Result<LogicalPlan> {
    let Values { schema, values } = values;
    if !schema
        .fields()
        .iter()
        .any(|field| is_nanoseconds(field.data_type()))
    {
        return Ok(LogicalPlan::Values(Values { schema, values }));
    }
    let fields = schema.iter().map(|(qualifier, field)| {
        let data_type = in_microseconds(field.data_type());
        (qualifier.cloned(), retyped(field, data_type))
    });
    let metadata = schema.metadata().clone();
    let schema = DFSchema::new_with_metadata(fields.collect(), metadata)?;
    let schema = Arc::new(schema);
    Ok(LogicalPlan::Values(Values { schema, values }))
}

/// All inputs of a union with the same types, and the union with theirs.
fn align(union: Union) -> Result<Transformed<LogicalPlan>> {
    let types = |plan: &LogicalPlan| -> Vec<DataType> {
        let fields = plan.schema().fields().iter();
        fields.map(|field| field.data_type().clone()).collect()
    };
    let all: Vec<Vec<DataType>> = union.inputs.iter().map(|input| types(input)).collect();
    let wanted: Vec<DataType> = union
        .schema
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| {
            let mut found = all.iter().filter_map(|types| types.get(index));
            let first = found.next().unwrap_or(field.data_type()).clone();
            match found.all(|other| *other == first) {
                true => first,
                false => in_microseconds(field.data_type()),
            }
        })
        .collect();
    let is_same = |types: &Vec<DataType>| *types == wanted;
    if all.iter().all(is_same) && is_same(&types(&LogicalPlan::Union(union.clone()))) {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let inputs = union
        .inputs
        .into_iter()
        .zip(&all)
        .map(|(input, types)| match is_same(types) {
            true => Ok(input),
            false => typed_columns(input, &wanted).map(Arc::new),
        });
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    let fields = union.schema.iter().zip(wanted);
    let fields = fields
        .map(|((qualifier, field), data_type)| (qualifier.cloned(), retyped(field, data_type)));
    let metadata = union.schema.metadata().clone();
    let schema = Arc::new(DFSchema::new_with_metadata(fields.collect(), metadata)?);
    Ok(Transformed::yes(LogicalPlan::Union(Union {
        inputs,
        schema,
    })))
}

fn typed_columns(input: Arc<LogicalPlan>, wanted: &[DataType]) -> Result<LogicalPlan> {
    let schema = Arc::clone(input.schema());
    let columns = schema
        .iter()
        .zip(wanted)
        .map(|((qualifier, field), wanted)| {
            let column = Expr::from((qualifier, field));
            match field.data_type() == wanted {
                true => column,
                false => {
                    cast(column, wanted.clone()).alias_qualified(qualifier.cloned(), field.name())
                }
            }
        });
    LogicalPlanBuilder::from(Arc::unwrap_or_clone(input))
        .project(columns.collect::<Vec<_>>())?
        .build()
}

#[cfg(test)]
mod tests;
