//! `SUMMARIZE`: a row for each column of a table or query, with what is to be said of its values. The table is
//! read once: one row of aggregates is made, and then a row of each column's.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::sql::sqlparser::ast::{Query, Statement, TableFactor};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use skep_runtime::sql_type::sql_type;

/// What a row has: a name, and the type in which all columns' values are shown.
const COLUMNS: &[(&str, &str)] = &[
    ("column_name", "VARCHAR"),
    ("column_type", "VARCHAR"),
    ("min", "VARCHAR"),
    ("max", "VARCHAR"),
    ("approx_unique", "BIGINT"),
    ("avg", "DOUBLE"),
    ("std", "DOUBLE"),
    ("q25", "DOUBLE"),
    ("q50", "DOUBLE"),
    ("q75", "DOUBLE"),
    ("count", "BIGINT"),
    ("null_percentage", "DOUBLE"),
];

/// Plans the summary of `subquery`.
pub(super) fn plan(
    subquery: Box<Query>,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let input = context.plan(derived(subquery.clone()))?;
    let fields = input.schema().fields().iter();
    let columns: Vec<(String, DataType)> = fields
        .map(|field| (field.name().clone(), field.data_type().clone()))
        .collect();
    if columns.is_empty() {
        return plan_err!("there are no columns to summarise");
    }
    let mut parsed = Parser::parse_sql(&GenericDialect {}, &sql(&columns))?;
    let Some(Statement::Query(mut summary)) = parsed.pop() else {
        return plan_err!("the summary is not a query");
    };
    let first = summary
        .with
        .as_mut()
        .and_then(|with| with.cte_tables.first_mut());
    if let Some(cte) = first {
        cte.query = subquery;
    }
    context.plan(derived(summary))
}

fn derived(subquery: Box<Query>) -> TableFactor {
    TableFactor::Derived {
        lateral: false,
        subquery,
        alias: None,
        sample: None,
    }
}

/// The query, in which the first one of WITH is yet to be put into place.
fn sql(columns: &[(String, DataType)]) -> String {
    let names: Vec<String> = (0..columns.len())
        .map(|index| format!("c{index}"))
        .collect();
    let types = columns.iter().map(|(_, data_type)| data_type);
    let aggregates: Vec<String> = types
        .enumerate()
        .flat_map(|(index, data_type)| aggregates(index, data_type))
        .collect();
    let rows: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(index, (name, data_type))| row(index, name, data_type))
        .collect();
    let shown: Vec<String> = COLUMNS
        .iter()
        .map(|(name, _)| format!("one_row['{name}'] AS {name}"))
        .collect();
    format!(
        "WITH summarised({names}) AS (SELECT 1), aggregated AS (SELECT count(*) AS row_count, {aggregates} \
         FROM summarised) SELECT {shown} FROM (SELECT unnest(make_array({rows})) AS one_row FROM aggregated) \
         AS each_row",
        names = names.join(", "),
        aggregates = aggregates.join(", "),
        shown = shown.join(", "),
        rows = rows.join(", "),
    )
}

/// Whether values have an order that says something.
fn is_ordered(data_type: &DataType) -> bool {
    !data_type.is_nested() && !matches!(data_type, DataType::Null | DataType::Interval(_))
}

fn aggregates(index: usize, data_type: &DataType) -> Vec<String> {
    let column = format!("c{index}");
    let mut aggregates = vec![format!("count({column}) AS n{index}")];
    if is_ordered(data_type) {
        aggregates.push(format!("min({column}) AS low{index}"));
        aggregates.push(format!("max({column}) AS high{index}"));
        aggregates.push(format!(
            "approx_distinct(CAST({column} AS VARCHAR)) AS unique{index}"
        ));
    }
    if data_type.is_numeric() {
        let number = format!("CAST({column} AS DOUBLE)");
        aggregates.push(format!("avg({number}) AS mean{index}"));
        aggregates.push(format!("stddev({number}) AS deviation{index}"));
        for percent in [25, 50, 75] {
            aggregates.push(format!(
                "approx_percentile_cont(0.{percent}) WITHIN GROUP (ORDER BY {number}) AS q{percent}_{index}"
            ));
        }
    }
    aggregates
}

fn row(index: usize, name: &str, data_type: &DataType) -> String {
    let values = COLUMNS.iter().map(|(column, shown_as)| {
        let ordered = |value: String| is_ordered(data_type).then_some(value);
        let numeric = |value: String| data_type.is_numeric().then_some(value);
        let value = match *column {
            "column_name" => Some(text(name)),
            "column_type" => Some(text(&sql_type(data_type))),
            "min" => ordered(format!("low{index}")),
            "max" => ordered(format!("high{index}")),
            "approx_unique" => ordered(format!("unique{index}")),
            "avg" => numeric(format!("mean{index}")),
            "std" => numeric(format!("deviation{index}")),
            "q25" => numeric(format!("q25_{index}")),
            "q50" => numeric(format!("q50_{index}")),
            "q75" => numeric(format!("q75_{index}")),
            "count" => Some("row_count".to_owned()),
            _ => Some(format!(
                "CASE WHEN row_count > 0 THEN round(100.0e0 * (row_count - n{index}) / row_count, 2) END"
            )),
        };
        let value = value.unwrap_or_else(|| "NULL".to_owned());
        format!("'{column}', CAST({value} AS {shown_as})")
    });
    let values: Vec<String> = values.collect();
    format!("named_struct({})", values.join(", "))
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_of_a_summary_is_one() {
        let columns = [
            ("it's".to_owned(), DataType::Int32),
            ("l".to_owned(), DataType::new_list(DataType::Int32, true)),
        ];
        let sql = sql(&columns);
        assert!(Parser::parse_sql(&GenericDialect {}, &sql).is_ok(), "{sql}");
        assert!(
            sql.contains("'it''s'") && sql.contains("'array<int>'"),
            "{sql}"
        );
        assert!(!sql.contains("low1"), "{sql}");
    }
}
