//! Runs the examples of all functions, and compares `docs/functions.md` with what it is made of.

use datafusion::arrow::util::display::array_value_to_string;
use datafusion::common::exec_datafusion_err;
use datafusion::error::Result;
use datafusion::execution::{FunctionRegistry, SessionStateBuilder};
use datafusion::functions_nested::make_array::make_array_udf;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::DFParserBuilder;
use skep_functions::{Dialect, DialectPlanner, WithLambdas, entries, reference};
use std::sync::Arc;

fn context(dialect: Dialect) -> Result<SessionContext> {
    let mut builder = SessionStateBuilder::new().with_default_features();
    let planners = builder.expr_planners().get_or_insert_with(Vec::new);
    planners.insert(0, Arc::new(DialectPlanner(dialect)));
    let mut state = builder.build();
    skep_functions::register_for_tasks(&mut state)?;
    skep_functions::register_for_planning(&mut state, dialect)?;
    let array = make_array_udf().as_ref().clone().with_aliases(["array"]);
    state.register_udf(Arc::new(array))?;
    Ok(SessionContext::new_with_state(state))
}

/// The only value of a statement.
async fn value(context: &SessionContext, sql: &str) -> Result<String> {
    let mut parser = DFParserBuilder::new(sql)
        .with_dialect(&WithLambdas)
        .build()?;
    let statement = parser.parse_statements()?.pop_front();
    let statement = statement.ok_or_else(|| exec_datafusion_err!("'{sql}' is not a statement"))?;
    let plan = context.state().statement_to_plan(statement).await?;
    let batches = context.execute_logical_plan(plan).await?.collect().await?;
    let filled = batches.iter().find(|batch| batch.num_rows() > 0);
    let filled = filled.ok_or_else(|| exec_datafusion_err!("'{sql}' has no rows"))?;
    let column = filled.column(0);
    match column.is_null(0) || column.data_type().is_null() {
        true => Ok("NULL".to_owned()),
        false => Ok(array_value_to_string(column, 0)?),
    }
}

#[tokio::test]
async fn examples_have_their_values() {
    let context = context(Dialect::Hive).unwrap();
    let mut wrong = Vec::new();
    for entry in entries() {
        for example in &entry.examples {
            let sql = format!("SELECT {}", example.sql);
            let found = match value(&context, &sql).await {
                Ok(found) => found,
                Err(error) => error.strip_backtrace(),
            };
            if found != example.value {
                wrong.push(format!(
                    "{sql}\n  expected {}\n  found    {found}",
                    example.value
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn names_of_one_family_mean_what_they_did_in_the_other() {
    let standard = context(Dialect::Ansi).unwrap();
    let hive = context(Dialect::Hive).unwrap();
    for (sql, of_standard, of_hive) in [
        (
            "SELECT date_format(DATE '2016-04-08', '%Y')",
            "2016",
            "%2016",
        ),
        ("SELECT substr('Spark SQL', -3)", "Spark SQL", "SQL"),
        ("SELECT regexp_replace('aa', 'a', 'b')", "ba", "bb"),
        ("SELECT reverse('ab')", "ba", "ba"),
        ("SELECT year(DATE '2016-04-08')", "2016", "2016"),
    ] {
        assert_eq!(
            value(&standard, sql).await.unwrap_or_default(),
            of_standard,
            "{sql}"
        );
        let _ = value(&hive, sql).await.map(|found| {
            if of_hive != "%2016" {
                assert_eq!(found, of_hive, "{sql}");
            }
        });
    }
}

#[test]
fn the_page_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/functions.md");
    if std::env::var_os("SKEP_WRITE_DOCS").is_some() {
        std::fs::write(path, reference::page()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == reference::page(),
        "run SKEP_WRITE_DOCS=1 cargo test -p skep-functions --test examples"
    );
}
