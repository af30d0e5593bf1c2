//! From a query to a plan that writes its rows into a table.
//!
//! The query's columns are put in the order of the table's and made of their types; then they go into
//! [`TableWriteExec`], which every task runs on its share. What the plan returns is what was written.

use crate::resolution::resolve;
use crate::resolution::shown_names::ShownNames;
use crate::{PlanningContext, ResolvedQuery};
use async_trait::async_trait;
use datafusion::arrow::compute::can_cast_types;
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Column, ScalarValue, not_impl_err};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, TableType, cast, lit,
};
use datafusion::physical_plan::ExecutionPlan;
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::error::from_datafusion;
use skep_runtime::functions::ROUND_TIME;
use skep_runtime::sql_type::sql_type;
use skep_writer::{TableWriteExec, WriteSpec};
use std::collections::HashSet;
use std::sync::Arc;

/// The function that rounds timestamps.
const ROUND_TIMESTAMP: &str = "skep_round_timestamp";

/// A column of the table that is written.
#[derive(Clone, Debug)]
pub struct TargetColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// The value that all rows have, as text, where the statement gives one; `Some(None)` is NULL.
    pub fixed: Option<Option<String>>,
    /// How many digits of a second its values have, where they are fewer than microseconds have.
    pub digits: Option<u8>,
}

/// What a query is written into.
#[derive(Clone, Debug)]
pub struct WriteTarget {
    /// The table's name, for people.
    pub table: String,
    /// All columns, those of the partitions last.
    pub columns: Vec<TargetColumn>,
    /// The columns that the query has, in its order, where the statement lists them.
    pub listed: Vec<String>,
    /// How the rows are written.
    pub spec: WriteSpec,
}

impl PlanningContext {
    /// Makes a query into one that writes its rows.
    ///
    /// # Errors
    /// `Semantic` where the query's columns are not the table's.
    pub fn write(
        &self,
        source: ResolvedQuery,
        target: WriteTarget,
    ) -> Result<ResolvedQuery, QueryError> {
        let values = target.values_of(&source.logical)?;
        let expressions = target
            .columns
            .iter()
            .zip(values)
            .map(|(column, value)| column.rounded(value, &source.state))
            .collect::<Result<Vec<_>, QueryError>>()?;
        let logical = write_plan(source.logical, expressions, &target)
            .map_err(|error| resolve::semantic_error(&error))?;
        Ok(ResolvedQuery {
            logical,
            names: ShownNames::default(),
            ..source
        })
    }
}

fn write_plan(
    source: LogicalPlan,
    expressions: Vec<Expr>,
    target: &WriteTarget,
) -> Result<LogicalPlan> {
    let projected = LogicalPlanBuilder::from(source)
        .project(expressions)?
        .build()?;
    let sink = Sink {
        schema: Arc::new(projected.schema().as_arrow().clone()),
        spec: Arc::new(target.spec.clone()),
    };
    LogicalPlanBuilder::insert_into(
        projected,
        target.table.as_str(),
        provider_as_source(Arc::new(sink)),
        InsertOp::Append,
    )?
    .build()
}

impl WriteTarget {
    /// Whether the columns of `source` can be written into those of the table.
    ///
    /// # Errors
    /// `Semantic` and `ColumnNotFound` where they cannot.
    pub fn check(&self, source: &ResolvedQuery) -> Result<(), QueryError> {
        self.values_of(&source.logical).map(|_| ())
    }

    /// What every column of the table gets from `source`.
    fn values_of(&self, source: &LogicalPlan) -> Result<Vec<Expr>, QueryError> {
        let columns = source.schema().columns();
        let taken = self.taken()?;
        if columns.len() != taken.len() {
            let names: Vec<&str> = taken.iter().map(|column| column.name.as_str()).collect();
            let text = format!(
                "the query has {} columns, table {} takes {}: {}",
                columns.len(),
                self.table,
                taken.len(),
                names.join(", ")
            );
            return Err(QueryError::new(ErrorCode::Semantic, text));
        }
        let given: Vec<(&str, Column)> = taken
            .iter()
            .map(|column| column.name.as_str())
            .zip(columns)
            .collect();
        self.columns
            .iter()
            .map(|column| {
                let source_column = given.iter().find(|(name, _)| *name == column.name);
                let value = column.value(source_column.map(|(_, from)| from), source)?;
                Ok(value.alias(&column.name))
            })
            .collect()
    }

    /// The types of the columns that the query has to have, in its order.
    ///
    /// # Errors
    /// `Semantic` and `ColumnNotFound` where the columns that are listed are not the table's.
    pub fn taken_types(&self) -> Result<Vec<DataType>, QueryError> {
        let taken = self.taken()?.into_iter();
        Ok(taken.map(|column| column.data_type.clone()).collect())
    }

    /// The columns that the query has to have, in its order.
    fn taken(&self) -> Result<Vec<&TargetColumn>, QueryError> {
        let open = || self.columns.iter().filter(|column| column.fixed.is_none());
        if self.listed.is_empty() {
            return Ok(open().collect());
        }
        let mut seen = HashSet::new();
        let taken = self
            .listed
            .iter()
            .map(|name| {
                if !seen.insert(name) {
                    let text = format!("column '{name}' is listed twice");
                    return Err(QueryError::new(ErrorCode::Semantic, text));
                }
                open().find(|column| column.name == *name).ok_or_else(|| {
                    let text = format!("table {} has no column '{name}' to insert", self.table);
                    QueryError::new(ErrorCode::ColumnNotFound, text)
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        match open().find(|column| !column.nullable && !seen.contains(&column.name)) {
            None => Ok(taken),
            Some(column) => {
                let text = format!("column '{}' is NOT NULL and not listed", column.name);
                Err(QueryError::new(ErrorCode::Semantic, text))
            }
        }
    }
}

impl TargetColumn {
    /// The column's value: from the query, fixed, or NULL where neither gives one.
    fn value(&self, from: Option<&Column>, source: &LogicalPlan) -> Result<Expr, QueryError> {
        if let Some(fixed) = &self.fixed {
            return self.literal(fixed.as_deref());
        }
        let Some(from) = from else {
            return self.literal(None);
        };
        let value = Expr::Column(from.clone());
        let found = value
            .get_type(source.schema())
            .map_err(|error| from_datafusion(&error))?;
        if found == self.data_type {
            return Ok(value);
        }
        if found == DataType::Null {
            return self.literal(None);
        }
        let is_possible = can_cast_types(&found, &self.data_type);
        if !is_possible || is_lossy(&found, &self.data_type) {
            let text = format!(
                "column '{}' is {}, and the query has {} for it, which cannot be cast",
                self.name,
                sql_type(&self.data_type),
                sql_type(&found)
            );
            return Err(QueryError::new(ErrorCode::Semantic, text));
        }
        Ok(cast(value, self.data_type.clone()))
    }

    /// The value with as many digits of a second as the column has.
    fn rounded(&self, value: Expr, state: &SessionState) -> Result<Expr, QueryError> {
        let Some(digits) = self.digits else {
            return Ok(value);
        };
        let name = match self.data_type {
            DataType::Timestamp(_, _) => ROUND_TIMESTAMP,
            _ => ROUND_TIME,
        };
        let function = state
            .scalar_functions()
            .get(name)
            .ok_or_else(|| QueryError::internal(format!("function '{name}' is not registered")))?;
        let digits = lit(i64::from(digits));
        Ok(function
            .call(vec![value.unalias(), digits])
            .alias(&self.name))
    }

    fn literal(&self, text: Option<&str>) -> Result<Expr, QueryError> {
        let value = match text {
            // Not a cast: that of a NULL to a list is a list of one NULL.
            None => ScalarValue::try_from(&self.data_type),
            Some(text) => ScalarValue::Utf8(Some(text.to_owned())).cast_to(&self.data_type),
        };
        let value = value.map_err(|_| {
            let text = format!(
                "'{}' is not a valid value for column '{}', which is {}",
                text.unwrap_or("NULL"),
                self.name,
                sql_type(&self.data_type)
            );
            QueryError::new(ErrorCode::Semantic, text)
        })?;
        Ok(lit(value))
    }
}

/// What Arrow casts although nobody means it: numbers are no times, and text is not a truth value.
fn is_lossy(from: &DataType, to: &DataType) -> bool {
    let is_time = |data_type: &DataType| data_type.is_temporal();
    let is_number = |data_type: &DataType| data_type.is_numeric();
    (is_number(from) && is_time(to)) || (is_time(from) && is_number(to))
}

/// The type that a table stores for a column of a query.
///
/// # Errors
/// `Unsupported` where no table can hold the type.
pub fn stored_type(name: &str, data_type: &DataType) -> Result<DataType, QueryError> {
    use datafusion::arrow::datatypes::TimeUnit;
    let nested = |field: &Field| -> Result<Field, QueryError> {
        let data_type = stored_type(name, field.data_type())?;
        Ok(field.clone().with_data_type(data_type))
    };
    Ok(match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::Float16 => DataType::Float32,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Date64 => DataType::Date32,
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale) => stored_decimal(*precision, *scale),
        DataType::Decimal256(precision, scale) if *precision <= DECIMAL128_MAX_PRECISION => {
            stored_decimal(*precision, *scale)
        }
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, Some(_)) => {
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Dictionary(_, value) => stored_type(name, value)?,
        DataType::RunEndEncoded(_, value) => stored_type(name, value.data_type())?,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => {
            let item = nested(item)?;
            DataType::List(Arc::new(Field::new_list_field(
                item.data_type().clone(),
                true,
            )))
        }
        DataType::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|field| nested(field))
                .collect::<Result<Vec<_>, _>>()?
                .into(),
        ),
        DataType::Map(entries, sorted) => DataType::Map(Arc::new(nested(entries)?), *sorted),
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::Binary
        | DataType::Date32 => data_type.clone(),
        DataType::Null => {
            let text = format!("column '{name}' has no type: cast its NULL to one");
            return Err(QueryError::new(ErrorCode::Semantic, text));
        }
        other => {
            let text = format!("column '{name}' is {other}, which no table can hold: cast it");
            return Err(QueryError::new(ErrorCode::Unsupported, text));
        }
    })
}

/// Files know no scale below zero, and none above the precision: such decimals get the digits that they lack.
fn stored_decimal(precision: u8, scale: i8) -> DataType {
    let lacking = scale.min(0).unsigned_abs();
    let precision = precision.saturating_add(lacking);
    let scale = scale.max(0);
    let precision = precision
        .max(scale.unsigned_abs())
        .min(DECIMAL128_MAX_PRECISION);
    DataType::Decimal128(precision, scale)
}

/// The table as something to insert into. It cannot be read.
#[derive(Debug)]
struct Sink {
    schema: SchemaRef,
    spec: Arc<WriteSpec>,
}

#[async_trait]
impl TableProvider for Sink {
    fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        not_impl_err!("what is written is not read")
    }

    async fn insert_into(
        &self,
        _state: &dyn Session,
        input: Arc<dyn ExecutionPlan>,
        _op: InsertOp,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(TableWriteExec::new(input, Arc::clone(&self.spec))))
    }
}
