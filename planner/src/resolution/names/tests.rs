//! What names stand for, and the text that the planner is given.

use super::*;
use skep_sql::statement::{ParseOptions, Statement as Parsed, parse};

fn tables() -> Tables {
    let table = |name: &str, columns: &[&str]| {
        let key = ("default".to_owned(), name.to_owned());
        (
            key,
            columns.iter().map(|name| Column::named(name)).collect(),
        )
    };
    Tables::from([
        table("a", &["k", "x"]),
        table("b", &["k", "y"]),
        table("c", &["k", "z"]),
    ])
}

/// The query with its names resolved, and what its columns are called.
fn resolved(sql: &str) -> Result<(String, Option<Vec<String>>), QueryError> {
    let options = ParseOptions {
        bytes_max: 10_000,
        dialect: Default::default(),
    };
    let Parsed::Query(mut statement) = parse(sql, options)? else {
        panic!("no query: {sql}");
    };
    let DataFusionStatement::Statement(inner) = statement.as_mut() else {
        panic!("no query: {sql}");
    };
    let Statement::Query(query) = inner.as_mut() else {
        panic!("no query: {sql}");
    };
    let tables = tables();
    let mut names = Names::new(&tables, "default");
    let columns = names.query(query, None, Purpose::Result)?;
    let columns = columns.map(|columns| columns.into_iter().map(|column| column.name).collect());
    Ok((query.to_string(), columns))
}

fn text(sql: &str) -> String {
    resolved(sql).unwrap().0
}

fn columns(sql: &str) -> Vec<String> {
    resolved(sql).unwrap().1.unwrap()
}

fn message(sql: &str) -> String {
    resolved(sql).unwrap_err().message
}

#[test]
fn what_the_planner_understands_stays_as_it_is() {
    for sql in [
        "SELECT * FROM a",
        "SELECT a.k, x AS v FROM a JOIN b ON a.k = b.k WHERE y > 1 ORDER BY v",
        "SELECT * FROM a JOIN b ON a.k = b.k",
        "SELECT nothing FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.k = a.k AND x = 1)",
        "WITH q AS (SELECT k FROM a) SELECT k, count(*) FROM q GROUP BY k HAVING count(*) > 1",
        "SELECT g.value FROM generate_series(1, 2) AS g, a",
        "SELECT k FROM a UNION SELECT k FROM b ORDER BY k",
    ] {
        assert_eq!(text(sql), sql);
    }
}

#[test]
fn merged_columns_are_the_value_of_either_side() {
    assert_eq!(
        text("SELECT k FROM a FULL JOIN b USING (k) WHERE k = 4"),
        "SELECT coalesce(a.\"k\", b.\"k\") AS \"k\" FROM a FULL JOIN b ON a.\"k\" = b.\"k\" \
         WHERE coalesce(a.\"k\", b.\"k\") = 4"
    );
    assert_eq!(
        text("SELECT k FROM a JOIN b USING (k) ORDER BY k"),
        "SELECT a.\"k\" FROM a JOIN b ON a.\"k\" = b.\"k\" ORDER BY k"
    );
    assert_eq!(
        columns("SELECT * FROM a NATURAL FULL JOIN b NATURAL RIGHT JOIN c"),
        ["k", "x", "y", "z"]
    );
    assert_eq!(
        columns("SELECT * FROM a LEFT SEMI JOIN b USING (k)"),
        ["k", "x"]
    );
    assert_eq!(
        message("SELECT 1 FROM a JOIN b USING (x)"),
        "column 'x' of USING is not in the tables on the right of the join"
    );
}

#[test]
fn columns_of_one_name_have_others_for_the_planner() {
    assert_eq!(
        text("SELECT a.*, a.k FROM a"),
        "SELECT a.\"k\", a.\"x\", a.k AS \"k:1\" FROM a"
    );
    assert_eq!(columns("SELECT a.*, a.k FROM a"), ["k", "x", "k"]);
    let derived = "(SELECT 1 AS n, 2 AS n, 3 AS m) AS d";
    assert_eq!(
        columns(&format!("SELECT * FROM {derived}")),
        ["n", "n", "m"]
    );
    assert_eq!(columns(&format!("SELECT m FROM {derived}")), ["m"]);
    for used in ["n", "d.n", "m + n"] {
        let found = message(&format!("SELECT {used} FROM {derived}"));
        assert!(found.contains("column 'n' is"), "{found}");
    }
    assert_eq!(
        message("SELECT 1 AS k, k FROM a ORDER BY k"),
        "column 'k' of ORDER BY is more than one column of the result"
    );
}

#[test]
fn names_are_found_in_another_case() {
    let derived = "(SELECT 1 AS \"Id\") AS \"D\"";
    assert_eq!(
        text(&format!("SELECT id FROM {derived} WHERE d.ID = 1")),
        format!("SELECT \"D\".\"Id\" FROM {derived} WHERE \"D\".\"Id\" = 1")
    );
    assert_eq!(text("SELECT \"K\" FROM a"), "SELECT a.\"k\" FROM a");
    assert_eq!(columns("SELECT \"K\" FROM a"), ["K"]);
    let both = "(SELECT 1 AS \"ID\", 2 AS id) AS d";
    let sql = format!("SELECT \"ID\", id FROM {both}");
    assert_eq!(text(&sql), sql);
}

#[test]
fn repeated_grouping_columns_count_once_in_each_set() {
    assert_eq!(
        text("SELECT k FROM a GROUP BY ROLLUP (k, a.k)"),
        "SELECT k FROM a GROUP BY GROUPING SETS ((k), (k), ())"
    );
    assert_eq!(
        text("SELECT k FROM a GROUP BY ROLLUP (k, x)"),
        "SELECT k FROM a GROUP BY ROLLUP (k, x)"
    );
}
