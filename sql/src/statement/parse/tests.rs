//! Statements in their forms, and what is said of those that are none.

use super::*;
use crate::statement::size::{NESTING_MAX, OPERATORS_MAX, RETRIED_OPEN_MAX};
use crate::statement::{ExplainFormat, Show, TableName};
use skep_protocol::Position;

fn options(bytes_max: usize) -> ParseOptions {
    ParseOptions {
        bytes_max,
        dialect: Dialect::Standard,
    }
}

fn parsed(sql: &str) -> Statement {
    parse(sql, options(1 << 20)).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn failed(sql: &str) -> QueryError {
    match parse(sql, options(1 << 20)) {
        Ok(statement) => panic!("{sql}: {statement:?}"),
        Err(error) => error,
    }
}

#[test]
fn queries_go_to_datafusion() {
    for sql in [
        "SELECT 1",
        "select 1;;",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "VALUES (1)",
    ] {
        assert!(matches!(parsed(sql), Statement::Query(_)), "{sql}");
    }
}

#[test]
fn skeps_own_statements() {
    assert!(matches!(
        parsed("show executors"),
        Statement::Show(Show::Executors)
    ));
    assert!(matches!(
        parsed("SHOW QUERIES;"),
        Statement::Show(Show::Queries)
    ));
    assert!(matches!(parsed("SHOW PROFILE 'x'"), Statement::Show(Show::Profile(id)) if id == "x"));
    assert!(matches!(parsed("KILL QUERY 'x'"), Statement::KillQuery(id) if id == "x"));
    let drain = parsed("ALTER EXECUTOR 'x' DRAIN");
    assert!(matches!(drain, Statement::DrainExecutor(id) if id == "x"));
    assert!(matches!(parsed("DESCRIBE QUERY 'x'"), Statement::Show(Show::Query(id)) if id == "x"));
    assert!(matches!(parsed("USE sales"), Statement::Use(name) if name == "sales"));
    assert!(matches!(parsed("RESET ALL"), Statement::Reset(None)));
    let name = TableName {
        database: Some("a".into()),
        table: "B".into(),
    };
    match parsed("DROP TABLE IF EXISTS a.\"B\"") {
        Statement::DropTable {
            name: found,
            if_exists: true,
        } => assert_eq!(found, name),
        other => panic!("{other:?}"),
    }
    match parsed("SET datafusion.execution.batch_size = 100") {
        Statement::Set { name, value } => {
            assert_eq!(name, "datafusion.execution.batch_size");
            assert_eq!(value, "100");
        }
        other => panic!("{other:?}"),
    }
    match parsed("CREATE DATABASE IF NOT EXISTS d COMMENT 'c' LOCATION '/l'") {
        Statement::CreateDatabase(create) => {
            assert!(create.if_not_exists);
            assert_eq!(create.comment.as_deref(), Some("c"));
            assert_eq!(create.location.as_deref(), Some("/l"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_table_may_be_called_query() {
    let expected = Show::Columns(TableName {
        database: None,
        table: "query".into(),
    });
    assert!(matches!(parsed("DESCRIBE query"), Statement::Show(show) if show == expected));
}

#[test]
fn explain_in_its_forms() {
    for (sql, analyze, format) in [
        ("EXPLAIN SELECT 1", false, ExplainFormat::Text),
        ("EXPLAIN ANALYZE SELECT 1", true, ExplainFormat::Text),
        ("EXPLAIN (FORMAT JSON) SELECT 1", false, ExplainFormat::Json),
        (
            "EXPLAIN (ANALYZE, FORMAT JSON) SELECT 1",
            true,
            ExplainFormat::Json,
        ),
        ("EXPLAIN FORMAT JSON SELECT 1", false, ExplainFormat::Json),
        ("EXPLAIN (SELECT 1)", false, ExplainFormat::Text),
    ] {
        match parsed(sql) {
            Statement::Explain(explain) => {
                assert_eq!(
                    (explain.analyze, explain.format),
                    (analyze, format),
                    "{sql}"
                );
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
    assert!(
        failed("EXPLAIN (FORMAT XML) SELECT 1")
            .message
            .contains("TEXT or JSON")
    );
}

#[test]
fn a_mistake_has_its_place() {
    let error = failed("SELECT 1,\n  FROM t WHERE");
    assert_eq!(error.code, ErrorCode::Syntax);
    assert_eq!(
        error.position.map(|position| position.line),
        Some(2),
        "{error}"
    );
    assert!(!error.message.contains("Line:"), "{error}");
    assert!(error.message.contains("end of the statement"), "{error}");
    let error = failed("KILL QUERY 12");
    assert_eq!(
        error.position,
        Some(Position {
            line: 1,
            column: 12
        })
    );
    let error = failed("SELECT 'abc");
    assert_eq!(error.position.map(|position| position.line), Some(1));
}

#[test]
fn one_statement_at_a_time() {
    assert!(
        failed("SELECT 1; SELECT 2")
            .message
            .contains("one statement")
    );
    assert!(failed("  -- nothing\n").message.contains("empty"));
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    for (sql, name) in [
        ("UPDATE t SET a = 1", "UPDATE"),
        ("CREATE FUNCTION f AS 'x'", "CREATE FUNCTION"),
    ] {
        let error = failed(sql);
        assert_eq!(error.code, ErrorCode::Unsupported, "{sql}");
        assert!(error.message.starts_with(name), "{}", error.message);
    }
}

#[test]
fn what_the_parser_misreads_is_refused() {
    for sql in [
        "SELECT 1 FROM t WHERE a IS DISTINCT FROM b AND c",
        "SELECT 1 FROM t WHERE x AND a IS NOT DISTINCT FROM b OR c",
        "SELECT (SELECT 1 FROM t WHERE a IS DISTINCT FROM b AND c)",
    ] {
        let error = failed(sql);
        assert!(error.message.contains("parentheses"), "{sql}: {error}");
    }
    for sql in [
        "SELECT 1 FROM t WHERE (a IS DISTINCT FROM b) AND c",
        "SELECT 1 FROM t WHERE c AND a IS DISTINCT FROM b + 1",
        "SELECT 1 FROM t WHERE a IS DISTINCT FROM (b AND c)",
    ] {
        parsed(sql);
    }
}

#[test]
fn a_mistake_deep_inside_is_found_in_time() {
    for (open, close) in [
        ("(", ")"),
        ("abs(", ")"),
        ("[", "]"),
        ("(SELECT ", ")"),
        ("CAST(", " AS INT)"),
        ("CASE WHEN true THEN ", " END"),
        ("CASE ", " WHEN 1 THEN 2 END"),
        ("NOT EXISTS (SELECT ", ")"),
        ("NOT (", ")"),
        ("NOT ", ""),
        ("EXTRACT(YEAR FROM ", ")"),
        ("substring(", " FROM 1)"),
        ("coalesce(1, (", "))"),
    ] {
        let retried = ["CASE", "CAST", "NOT", "EXTRACT", "substring"];
        let depth = match retried.iter().any(|word| open.starts_with(word)) {
            true => RETRIED_OPEN_MAX / open.matches(' ').count().clamp(1, 2),
            false => NESTING_MAX / 2 - 1,
        };
        let sql = format!("SELECT {}(1 2 3{}", open.repeat(depth), close.repeat(depth));
        let started = std::time::Instant::now();
        failed(&sql);
        let taken = started.elapsed();
        assert!(taken.as_secs() < 5, "{open}: {taken:?}");
        // One more is too much, whatever is inside.
        let deeper = format!("SELECT {}1", open.repeat(NESTING_MAX + 1));
        assert_eq!(failed(&deeper).code, ErrorCode::StatementTooLarge, "{open}");
    }
}

#[test]
fn too_large_is_refused_before_it_is_walked() {
    let deep = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(failed(&deep).code, ErrorCode::StatementTooLarge);
    let long = format!("SELECT 1{}", " + 1".repeat(OPERATORS_MAX + 1));
    assert_eq!(failed(&long).code, ErrorCode::StatementTooLarge);
    assert_eq!(
        parse(&"x".repeat(11), options(10)).unwrap_err().code,
        ErrorCode::StatementTooLarge
    );
}
