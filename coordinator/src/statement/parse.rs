//! Text to [`Statement`].

use super::cursor::{Cursor, position};
use super::size;
use super::{CreateDatabase, Explain, ExplainFormat, Show, Statement};
use datafusion::error::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement as DataFusionStatement};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Spanned, Statement as SqlStatement, visit_expressions,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use skep_protocol::{ErrorCode, Position, QueryError};
use std::ops::ControlFlow;

/// The recursion limit of the parser; every level of nesting takes a few of its levels.
const PARSER_RECURSION_MAX: usize = 1000;

/// Reads one statement; semicolons may follow it.
///
/// # Errors
/// `Syntax` with its place, `Unsupported` naming the statement, `StatementTooLarge`.
pub fn parse(sql: &str, bytes_max: usize) -> Result<Statement, QueryError> {
    if sql.len() > bytes_max {
        let text = format!(
            "the statement has {} bytes, {bytes_max} are allowed",
            sql.len()
        );
        return Err(QueryError::new(ErrorCode::StatementTooLarge, text));
    }
    let mut cursor = Cursor::new(tokenize(sql)?);
    if cursor.is_at_end() {
        return Err(QueryError::new(ErrorCode::Syntax, "the statement is empty"));
    }
    if let Some(statement) = parse_own(&mut cursor)? {
        cursor.end()?;
        return Ok(statement);
    }
    let statement = parse_datafusion(cursor.rest())?;
    match &statement {
        DataFusionStatement::CreateExternalTable(_) => {
            Ok(Statement::CreateExternalTable(Box::new(statement)))
        }
        _ => {
            check_is_query(&statement)?;
            Ok(Statement::Query(Box::new(statement)))
        }
    }
}

fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>, QueryError> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize_with_location()
        .map_err(|error| {
            QueryError::new(ErrorCode::Syntax, lower_first(&error.message))
                .at(position(error.location))
        })?;
    let mut tokens: Vec<TokenWithSpan> = tokens
        .into_iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF))
        .collect();
    while tokens
        .last()
        .is_some_and(|token| token.token == Token::SemiColon)
    {
        tokens.pop();
    }
    size::check(&tokens)?;
    Ok(tokens)
}

fn parse_own(cursor: &mut Cursor) -> Result<Option<Statement>, QueryError> {
    if cursor.accept(&["explain"]) {
        return parse_explain(cursor).map(Some);
    }
    if cursor.accept(&["show"]) {
        return parse_show(cursor).map(|show| Some(Statement::Show(show)));
    }
    if cursor.accept(&["describe"]) || cursor.accept(&["desc"]) {
        return parse_describe(cursor).map(|show| Some(Statement::Show(show)));
    }
    if cursor.accept(&["create", "database"]) || cursor.accept(&["create", "schema"]) {
        return parse_create_database(cursor).map(Some);
    }
    if cursor.accept(&["drop"]) {
        return parse_drop(cursor).map(Some);
    }
    if cursor.accept(&["use"]) {
        let _ = cursor.accept(&["database"]) || cursor.accept(&["schema"]);
        return Ok(Some(Statement::Use(cursor.name("a database's name")?)));
    }
    if cursor.accept(&["refresh", "table"]) || cursor.accept(&["msck", "repair", "table"]) {
        return Ok(Some(Statement::RefreshTable(cursor.table_name()?)));
    }
    if cursor.accept(&["kill"]) {
        cursor.expect(&["query"])?;
        return Ok(Some(Statement::KillQuery(
            cursor.string("the id of a query in quotes")?,
        )));
    }
    if cursor.accept(&["set"]) {
        let name = cursor.setting_name()?;
        if !cursor.accept_token(&Token::Eq) && !cursor.accept(&["to"]) {
            return Err(cursor.unexpected("'=' or TO"));
        }
        let value = cursor.setting_value()?;
        return Ok(Some(Statement::Set { name, value }));
    }
    if cursor.accept(&["reset"]) {
        let name = match cursor.accept(&["all"]) {
            true => None,
            false => Some(cursor.setting_name()?),
        };
        return Ok(Some(Statement::Reset(name)));
    }
    Ok(None)
}

fn parse_explain(cursor: &mut Cursor) -> Result<Statement, QueryError> {
    let mut explain = (false, false, ExplainFormat::Text);
    let is_query = |cursor: &Cursor| {
        let mut inner = cursor.clone();
        inner.accept_token(&Token::LParen);
        ["select", "with", "values", "("]
            .iter()
            .any(|word| inner.is_next(&[word]))
    };
    if !is_query(cursor) && cursor.accept_token(&Token::LParen) {
        loop {
            parse_explain_option(cursor, &mut explain)?;
            if !cursor.accept_token(&Token::Comma) {
                break;
            }
        }
        if !cursor.accept_token(&Token::RParen) {
            return Err(cursor.unexpected("',' or ')'"));
        }
    } else {
        while ["analyze", "verbose", "format"]
            .iter()
            .any(|word| cursor.is_next(&[word]))
        {
            parse_explain_option(cursor, &mut explain)?;
        }
    }
    let statement = parse_datafusion(cursor.rest())?;
    check_is_query(&statement)?;
    *cursor = Cursor::new(vec![]);
    let (analyze, verbose, format) = explain;
    Ok(Statement::Explain(Explain {
        analyze,
        verbose,
        format,
        statement: Box::new(statement),
    }))
}

fn parse_explain_option(
    cursor: &mut Cursor,
    (analyze, verbose, format): &mut (bool, bool, ExplainFormat),
) -> Result<(), QueryError> {
    if cursor.accept(&["analyze"]) {
        *analyze = true;
    } else if cursor.accept(&["verbose"]) {
        *verbose = true;
    } else if cursor.accept(&["format"]) {
        *format = if cursor.accept(&["json"]) {
            ExplainFormat::Json
        } else if cursor.accept(&["text"]) {
            ExplainFormat::Text
        } else {
            return Err(cursor.unexpected("TEXT or JSON"));
        };
    } else {
        return Err(cursor.unexpected("ANALYZE, VERBOSE or FORMAT"));
    }
    Ok(())
}

fn parse_show(cursor: &mut Cursor) -> Result<Show, QueryError> {
    if cursor.accept(&["databases"]) || cursor.accept(&["schemas"]) {
        return Ok(Show::Databases(parse_like(cursor)?));
    }
    if cursor.accept(&["tables"]) {
        let database = match cursor.accept(&["in"]) || cursor.accept(&["from"]) {
            true => Some(cursor.name("a database's name")?),
            false => None,
        };
        let like = parse_like(cursor)?;
        return Ok(Show::Tables { database, like });
    }
    if cursor.accept(&["columns"]) {
        if !cursor.accept(&["in"]) && !cursor.accept(&["from"]) {
            return Err(cursor.unexpected("IN or FROM"));
        }
        return Ok(Show::Columns(cursor.table_name()?));
    }
    if cursor.accept(&["partitions"]) {
        return Ok(Show::Partitions(cursor.table_name()?));
    }
    if cursor.accept(&["executors"]) {
        return Ok(Show::Executors);
    }
    if cursor.accept(&["queries"]) {
        return Ok(Show::Queries);
    }
    if cursor.accept(&["profile"]) {
        return Ok(Show::Profile(cursor.string("the id of a query in quotes")?));
    }
    if cursor.accept(&["all"]) {
        return Ok(Show::Setting(None));
    }
    Ok(Show::Setting(Some(cursor.setting_name()?)))
}

fn parse_like(cursor: &mut Cursor) -> Result<Option<String>, QueryError> {
    match cursor.accept(&["like"]) {
        true => cursor.string("a pattern in quotes").map(Some),
        false => Ok(None),
    }
}

fn parse_describe(cursor: &mut Cursor) -> Result<Show, QueryError> {
    if cursor.is_next(&["query"]) {
        let mut query = cursor.clone();
        query.accept(&["query"]);
        if let Ok(id) = query.string("the id of a query in quotes") {
            *cursor = query;
            return Ok(Show::Query(id));
        }
    }
    cursor.accept(&["table"]);
    Ok(Show::Columns(cursor.table_name()?))
}

fn parse_create_database(cursor: &mut Cursor) -> Result<Statement, QueryError> {
    let if_not_exists = cursor.accept(&["if", "not", "exists"]);
    let name = cursor.name("a database's name")?;
    let comment = match cursor.accept(&["comment"]) {
        true => Some(cursor.string("a comment in quotes")?),
        false => None,
    };
    let location = match cursor.accept(&["location"]) {
        true => Some(cursor.string("a location in quotes")?),
        false => None,
    };
    Ok(Statement::CreateDatabase(CreateDatabase {
        name,
        if_not_exists,
        comment,
        location,
    }))
}

fn parse_drop(cursor: &mut Cursor) -> Result<Statement, QueryError> {
    if cursor.accept(&["table"]) {
        let if_exists = cursor.accept(&["if", "exists"]);
        let name = cursor.table_name()?;
        return Ok(Statement::DropTable { name, if_exists });
    }
    if cursor.accept(&["database"]) || cursor.accept(&["schema"]) {
        let if_exists = cursor.accept(&["if", "exists"]);
        let name = cursor.name("a database's name")?;
        let cascade = cursor.accept(&["cascade"]);
        if !cascade {
            cursor.accept(&["restrict"]);
        }
        return Ok(Statement::DropDatabase {
            name,
            if_exists,
            cascade,
        });
    }
    Err(cursor.unexpected("TABLE or DATABASE"))
}

fn parse_datafusion(tokens: Vec<TokenWithSpan>) -> Result<DataFusionStatement, QueryError> {
    let end = tokens.last().and_then(|token| position(token.span.end));
    // What the parser misses at the end has no place of its own.
    let placed = |error: DataFusionError| {
        let error = syntax_error(&error);
        match error.position {
            None if error.code == ErrorCode::Syntax => error.at(end),
            _ => error,
        }
    };
    let mut parser = DFParserBuilder::new(tokens)
        .with_dialect(&GenericDialect {})
        .with_recursion_limit(PARSER_RECURSION_MAX)
        .build()
        .map_err(placed)?;
    let mut statements = parser.parse_statements().map_err(placed)?;
    match (statements.pop_front(), statements.is_empty()) {
        (Some(statement), true) => {
            check_precedence(&statement)?;
            Ok(statement)
        }
        _ => Err(QueryError::new(ErrorCode::Syntax, "expected one statement")),
    }
}

/// The parser takes all of `b AND c` for the right side of `a IS DISTINCT FROM b AND c`, which would be
/// a wrong result without an error.
fn check_precedence(statement: &DataFusionStatement) -> Result<(), QueryError> {
    let DataFusionStatement::Statement(statement) = statement else {
        return Ok(());
    };
    let is_misread = |expression: &Expr| match expression {
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => {
            let connects = |op: &BinaryOperator| {
                matches!(
                    op,
                    BinaryOperator::And | BinaryOperator::Or | BinaryOperator::Xor
                )
            };
            matches!(right.as_ref(), Expr::BinaryOp { op, .. } if connects(op))
        }
        _ => false,
    };
    let found = visit_expressions(statement.as_ref(), |expression| {
        match is_misread(expression) {
            true => ControlFlow::Break(expression.span().start),
            false => ControlFlow::Continue(()),
        }
    });
    match found {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(location) => {
            let text = "put parentheses around 'a IS DISTINCT FROM b' where AND or OR follows it";
            Err(QueryError::new(ErrorCode::Syntax, text).at(position(location)))
        }
    }
}

/// Refuses by name what is not supported, rather than letting it fail somewhere inside.
fn check_is_query(statement: &DataFusionStatement) -> Result<(), QueryError> {
    let refused = match statement {
        DataFusionStatement::Statement(statement) => match statement.as_ref() {
            SqlStatement::Query(_) => return Ok(()),
            other => first_words(&other.to_string()),
        },
        DataFusionStatement::CopyTo(_) => "COPY".to_owned(),
        DataFusionStatement::CreateExternalTable(_) => "CREATE EXTERNAL TABLE here".to_owned(),
        DataFusionStatement::Explain(_) => "EXPLAIN of EXPLAIN".to_owned(),
        DataFusionStatement::Reset(_) => "RESET here".to_owned(),
    };
    let text = format!("{refused} is not supported");
    Err(QueryError::new(ErrorCode::Unsupported, text))
}

/// The words that name a statement, e.g. `CREATE VIEW`.
fn first_words(sql: &str) -> String {
    sql.split_whitespace()
        .take(2)
        .take_while(|word| word.chars().all(|letter| letter.is_ascii_uppercase()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn syntax_error(error: &DataFusionError) -> QueryError {
    match error {
        DataFusionError::SQL(inner, _) => match inner.as_ref() {
            ParserError::RecursionLimitExceeded => QueryError::new(
                ErrorCode::StatementTooLarge,
                "the statement is nested too deep",
            ),
            ParserError::ParserError(text) | ParserError::TokenizerError(text) => {
                let (text, position) = split_position(text);
                let text = text.replace("found: EOF", "found: the end of the statement");
                QueryError::new(ErrorCode::Syntax, lower_first(&text)).at(position)
            }
        },
        DataFusionError::Diagnostic(_, inner) => syntax_error(inner),
        other => skep_exchange::error::from_datafusion(other),
    }
}

/// The parser keeps its place only as the end of its text: ` at Line: 1, Column: 8`.
fn split_position(text: &str) -> (&str, Option<Position>) {
    let Some((message, place)) = text.rsplit_once(" at Line: ") else {
        return (text, None);
    };
    let parsed = place.split_once(", Column: ").and_then(|(line, column)| {
        Some(Position {
            line: line.trim().parse().ok()?,
            column: column.trim().parse().ok()?,
        })
    });
    match parsed {
        Some(position) if position.line > 0 => (message, Some(position)),
        _ => (message, None),
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::TableName;
    use crate::statement::size::{NESTING_MAX, OPERATORS_MAX, RETRIED_OPEN_MAX};

    fn parsed(sql: &str) -> Statement {
        parse(sql, 1 << 20).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    fn failed(sql: &str) -> QueryError {
        match parse(sql, 1 << 20) {
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
        assert!(
            matches!(parsed("SHOW PROFILE 'x'"), Statement::Show(Show::Profile(id)) if id == "x")
        );
        assert!(matches!(parsed("KILL QUERY 'x'"), Statement::KillQuery(id) if id == "x"));
        assert!(
            matches!(parsed("DESCRIBE QUERY 'x'"), Statement::Show(Show::Query(id)) if id == "x")
        );
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
            ("CREATE VIEW v AS SELECT 1", "CREATE VIEW"),
            ("INSERT INTO t VALUES (1)", "INSERT INTO"),
            ("COPY t TO 'x'", "COPY"),
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
            parse(&"x".repeat(11), 10).unwrap_err().code,
            ErrorCode::StatementTooLarge
        );
    }
}
