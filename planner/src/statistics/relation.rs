//! What is known of the rows that a logical plan has.

use super::predicate::{column, filtered};
use super::profile::ColumnProfile;
use super::scans::ScanProfiles;
use super::values::usual_bytes;
use datafusion::common::{DFSchema, JoinType};
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, FetchType, Join, Limit, LogicalPlan, Projection, SkipType,
    TableScan, UserDefinedLogicalNode,
};
use datafusion::scalar::ScalarValue;

mod node;

pub use node::{Build, Estimated};

/// The rows that something is taken to have of which nothing is known.
const UNKNOWN_ROWS: f64 = 1_000.0;

/// What a result is taken to have in the place of one list.
const UNNESTED_ROWS: f64 = 5.0;

/// What is known of the rows of a plan.
#[derive(Clone, Debug)]
pub struct Estimate {
    /// How many there are.
    pub rows: f64,
    /// Whether that follows from statistics.
    pub is_known: bool,
    /// The columns, in the order of the plan's schema.
    pub columns: Vec<ColumnProfile>,
}

impl Estimate {
    /// The bytes of a row.
    pub fn row_bytes(&self) -> f64 {
        self.columns.iter().map(|column| column.bytes).sum()
    }

    fn unknown(schema: &DFSchema, rows: f64) -> Self {
        let fields = schema.fields().iter();
        let columns =
            fields.map(|field| ColumnProfile::unknown(rows, usual_bytes(field.data_type())));
        Self {
            rows,
            is_known: false,
            columns: columns.collect(),
        }
    }

    /// At most so many of its rows.
    fn at_most(self, rows: f64) -> Self {
        match self.rows <= rows {
            true => self,
            false => self.with_rows(rows),
        }
    }

    fn with_rows(self, rows: f64) -> Self {
        let rows = rows.max(1.0);
        let columns = self.columns.iter();
        Self {
            rows,
            is_known: self.is_known,
            columns: columns.map(|column| column.among(rows)).collect(),
        }
    }
}

/// Follows statistics through plans.
pub struct Estimator<'s> {
    scans: &'s ScanProfiles,
}

impl<'s> Estimator<'s> {
    /// With what is known of the scans.
    pub fn new(scans: &'s ScanProfiles) -> Self {
        Self { scans }
    }

    /// What is known of the rows of `plan`.
    pub fn estimate(&self, plan: &LogicalPlan) -> Estimate {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::Filter(filter) => {
                let mut input = self.estimate(&filter.input);
                let schema = filter.input.schema();
                let kept = filtered(&filter.predicate, schema, &mut input.columns);
                input.rows = (input.rows * kept).max(1.0);
                input
            }
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Distinct(distinct) => self.distinct(distinct),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Sort(sort) => {
                let input = self.estimate(&sort.input);
                input.at_most(sort.fetch.map_or(f64::INFINITY, |fetch| fetch as f64))
            }
            LogicalPlan::SubqueryAlias(alias) => self.estimate(&alias.input),
            LogicalPlan::Repartition(repartition) => self.estimate(&repartition.input),
            LogicalPlan::Window(window) => {
                let input = self.estimate(&window.input);
                self.widened(input, &window.schema)
            }
            LogicalPlan::Union(union) => {
                let inputs: Vec<Estimate> = union
                    .inputs
                    .iter()
                    .map(|input| self.estimate(input))
                    .collect();
                Estimate {
                    is_known: inputs.iter().all(|input| input.is_known),
                    ..Estimate::unknown(&union.schema, inputs.iter().map(|input| input.rows).sum())
                }
            }
            LogicalPlan::Unnest(unnest) => {
                let rows = self.estimate(&unnest.input).rows * UNNESTED_ROWS;
                Estimate::unknown(&unnest.schema, rows)
            }
            LogicalPlan::Values(values) => Estimate {
                is_known: true,
                ..Estimate::unknown(&values.schema, values.values.len() as f64)
            },
            LogicalPlan::EmptyRelation(empty) => Estimate {
                is_known: true,
                ..Estimate::unknown(&empty.schema, 1.0)
            },
            LogicalPlan::Extension(extension) => self.extension(extension.node.as_ref()),
            other => Estimate::unknown(other.schema(), UNKNOWN_ROWS),
        }
    }

    fn scan(&self, scan: &TableScan) -> Estimate {
        let Some(table) = self.scans.of(scan) else {
            return Estimate::unknown(&scan.projected_schema, UNKNOWN_ROWS);
        };
        let all = 0..table.columns.len();
        let read = scan.projection.clone().unwrap_or_else(|| all.collect());
        let columns = read.iter().filter_map(|index| table.columns.get(*index));
        let estimate = Estimate {
            rows: table.rows.max(1.0),
            is_known: table.is_known,
            columns: columns.cloned().collect(),
        };
        estimate.at_most(scan.fetch.map_or(f64::INFINITY, |fetch| fetch as f64))
    }

    fn projection(&self, projection: &Projection) -> Estimate {
        let input = self.estimate(&projection.input);
        let schema = projection.input.schema();
        let fields = projection.schema.fields().iter();
        let columns = projection
            .expr
            .iter()
            .zip(fields)
            .map(|(expression, field)| {
                computed(expression, schema, &input, usual_bytes(field.data_type()))
            });
        Estimate {
            columns: columns.collect(),
            ..input
        }
    }

    fn aggregate(&self, aggregate: &Aggregate) -> Estimate {
        let input = self.estimate(&aggregate.input);
        let schema = aggregate.input.schema();
        let fields = aggregate.schema.fields();
        let is_known = input.is_known;
        if let [Expr::GroupingSet(_)] = aggregate.group_expr.as_slice() {
            return Estimate {
                is_known,
                ..Estimate::unknown(&aggregate.schema, input.rows)
            };
        }
        let groups: Vec<ColumnProfile> = aggregate
            .group_expr
            .iter()
            .zip(fields)
            .map(|(expression, field)| {
                computed(expression, schema, &input, usual_bytes(field.data_type()))
            })
            .collect();
        let rows = combinations(&groups, input.rows);
        let others = fields.iter().skip(groups.len());
        let others =
            others.map(|field| ColumnProfile::unknown(rows, usual_bytes(field.data_type())));
        Estimate {
            rows,
            is_known: is_known || groups.is_empty(),
            columns: groups
                .iter()
                .map(|group| group.among(rows))
                .chain(others)
                .collect(),
        }
    }

    fn distinct(&self, distinct: &Distinct) -> Estimate {
        match distinct {
            Distinct::All(input) => {
                let input = self.estimate(input);
                let rows = combinations(&input.columns, input.rows);
                input.with_rows(rows)
            }
            Distinct::On(on) => {
                let input = self.estimate(&on.input);
                let schema = on.input.schema();
                let keys: Vec<ColumnProfile> = on
                    .on_expr
                    .iter()
                    .map(|expression| computed(expression, schema, &input, 8.0))
                    .collect();
                let rows = combinations(&keys, input.rows);
                Estimate {
                    is_known: input.is_known,
                    ..Estimate::unknown(&on.schema, rows)
                }
            }
        }
    }

    /// A join that has no better estimate: by its keys, one of which is taken as the key of a table.
    fn join(&self, join: &Join) -> Estimate {
        let (left, right) = (self.estimate(&join.left), self.estimate(&join.right));
        let domain = join.on.iter().filter_map(|(one, other)| {
            let of = |side: &Estimate, schema: &DFSchema, expression: &Expr| {
                let index = schema.maybe_index_of_column(column(expression)?)?;
                side.columns.get(index).map(|column| column.distinct)
            };
            let one = of(&left, join.left.schema(), one)?;
            let other = of(&right, join.right.schema(), other)?;
            Some(one.min(other))
        });
        let domain = domain.fold(1.0, f64::max);
        let inner = (left.rows * right.rows / domain).max(1.0);
        let rows = match join.join_type {
            JoinType::Inner => inner,
            JoinType::Left => inner.max(left.rows),
            JoinType::Right => inner.max(right.rows),
            JoinType::Full => inner.max(left.rows).max(right.rows),
            JoinType::LeftMark => left.rows,
            JoinType::RightMark => right.rows,
            JoinType::LeftSemi | JoinType::LeftAnti => left.rows / 2.0,
            JoinType::RightSemi | JoinType::RightAnti => right.rows / 2.0,
        };
        let is_known = left.is_known && right.is_known;
        let columns = match join.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left.columns,
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right.columns,
            _ => left.columns.into_iter().chain(right.columns).collect(),
        };
        let estimate = Estimate {
            rows: rows.max(1.0),
            is_known,
            columns,
        };
        self.widened(estimate, &join.schema)
    }

    /// What has more columns behind those that it had.
    fn widened(&self, mut estimate: Estimate, schema: &DFSchema) -> Estimate {
        let rows = estimate.rows;
        let more = schema.fields().iter().skip(estimate.columns.len());
        let more = more.map(|field| ColumnProfile::unknown(rows, usual_bytes(field.data_type())));
        estimate.columns.extend(more);
        estimate
    }

    fn limit(&self, limit: &Limit) -> Estimate {
        let input = self.estimate(&limit.input);
        match (limit.get_skip_type(), limit.get_fetch_type()) {
            (Ok(SkipType::Literal(_)), Ok(FetchType::Literal(Some(fetch)))) => {
                input.at_most(fetch as f64)
            }
            _ => input,
        }
    }

    fn extension(&self, node: &dyn UserDefinedLogicalNode) -> Estimate {
        if let Some(known) = node.as_any().downcast_ref::<Estimated>() {
            let input = self.estimate(known.input());
            return Estimate {
                rows: known.rows(),
                is_known: input.is_known,
                columns: input.columns,
            };
        }
        match node.inputs().as_slice() {
            [input] => {
                let input = self.estimate(input);
                Estimate {
                    is_known: input.is_known,
                    ..Estimate::unknown(node.schema(), input.rows)
                }
            }
            _ => Estimate::unknown(node.schema(), UNKNOWN_ROWS),
        }
    }
}

/// The column that an expression makes of a result.
fn computed(expression: &Expr, schema: &DFSchema, input: &Estimate, bytes: f64) -> ColumnProfile {
    let found = column(expression).and_then(|column| schema.maybe_index_of_column(column));
    if let Some(known) = found.and_then(|index| input.columns.get(index)) {
        return known.clone();
    }
    if let Expr::Literal(value, _) = expression.clone().unalias() {
        let is_null = matches!(value, ScalarValue::Null) || value.is_null();
        return ColumnProfile {
            null_fraction: f64::from(u8::from(is_null)),
            ..ColumnProfile::constant(input.rows, bytes)
        };
    }
    let read: Vec<ColumnProfile> = expression
        .column_refs()
        .into_iter()
        .filter_map(|column| input.columns.get(schema.maybe_index_of_column(column)?))
        .cloned()
        .collect();
    ColumnProfile {
        distinct: combinations(&read, input.rows),
        ..ColumnProfile::unknown(input.rows, bytes)
    }
}

/// How many combinations of values several columns have in so many rows.
fn combinations(columns: &[ColumnProfile], rows: f64) -> f64 {
    let product: f64 = columns.iter().map(|column| column.distinct).product();
    product.min(rows).max(1.0)
}
