//! What is offered where.

use super::*;
use skep_client::Column;

fn column(name: &str) -> Column {
    Column {
        name: name.to_owned(),
        data_type: "Int64".to_owned(),
    }
}

/// Completions that nobody answers questions of.
fn idle(knowledge: Arc<Knowledge>) -> Completions {
    let asker = Asker::new(Arc::clone(&knowledge));
    Completions::new(knowledge, asker)
}

/// Offers what would be offered at the `|`.
fn offered(line: &str) -> Vec<String> {
    offered_after("", line)
}

fn offered_after(before: &str, line: &str) -> Vec<String> {
    let knowledge = Arc::new(Knowledge::default());
    knowledge.change(|names| {
        names.database = "sales".to_owned();
        names.databases = vec!["default".into(), "sales".into()];
        for table in ["orders", "Odd name", "customers"] {
            names.tables.push(("sales".into(), table.into()));
        }
        names.tables.push(("default".into(), "other".into()));
        let key = |table: &str| ("sales".to_owned(), table.to_owned());
        let columns = ["id", "total", "day"].map(column).to_vec();
        names.columns.insert(key("orders"), columns);
        names.columns.insert(key("customers"), vec![column("name")]);
        let day = |day: &str| vec![("day".to_owned(), day.to_owned())];
        let partitions = vec![day("2026-01-01"), day("2026-01-02"), day("it's")];
        names.partitions.insert(key("orders"), partitions);
        names.functions = vec![("to_char".into(), "to_char(expression, format)".into())];
        names.settings = vec!["datafusion.execution.batch_size".into()];
    });
    let completions = idle(knowledge);
    let cursor = line.find('|').expect("a cursor");
    let line = line.replacen('|', "", 1);
    let (start, candidates) = completions.complete(before, &line, cursor);
    assert!(start <= cursor);
    candidates
        .into_iter()
        .map(|pair| pair.replacement)
        .collect()
}

#[test]
fn tables_come_where_tables_are_expected() {
    assert_eq!(offered("select * from ord|"), ["orders"]);
    assert_eq!(
        offered("select * from |"),
        ["orders", "\"Odd name\"", "customers", "default.", "sales."]
    );
    assert_eq!(offered("select * from default.|"), ["other"]);
    assert_eq!(offered("select 1 from orders, cu|")[0], "customers");
    assert_eq!(offered("describe ord|")[0], "orders");
    assert_eq!(
        offered("select * from \"O|"),
        ["\"orders\"", "\"Odd name\""]
    );
}

#[test]
fn columns_are_those_of_the_statements_tables() {
    assert_eq!(offered("select | from orders"), ["id", "total", "day"]);
    assert_eq!(
        offered("select to| from orders"),
        ["total", "to_char(", "to"]
    );
    assert_eq!(
        offered("select o.| from orders o, customers c"),
        ["id", "total", "day"]
    );
    assert_eq!(offered("select c.| from orders o, customers c"), ["name"]);
    assert_eq!(offered_after("select\n", "to| from orders")[0], "total");
    assert_eq!(
        offered_after("select * from orders\n", "where tot|"),
        ["total"]
    );
}

#[test]
fn words_come_in_the_case_that_is_typed() {
    assert_eq!(offered("sel|"), ["select"]);
    assert_eq!(offered("SEL|"), ["SELECT"]);
    assert_eq!(offered("select 1 ha|"), ["having"]);
}

#[test]
fn values_of_partitions_and_paths() {
    assert_eq!(
        offered("select * from orders where day = '|"),
        ["2026-01-01", "2026-01-02", "it''s"]
    );
    assert_eq!(
        offered("select * from orders where day in ('x', '2026-01-02|"),
        ["2026-01-02"]
    );
    assert!(offered("select * from orders where total = '|").is_empty());
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("data.parquet"), "").expect("written");
    let path = directory.path().display();
    let paths = offered(&format!(
        "create external table t stored as parquet location '{path}/da|"
    ));
    assert_eq!(paths, [format!("{path}/data.parquet")]);
    for begun in [
        "select * from",
        "select * from read_parquet(",
        "select * from read_csv([",
        "copy t to",
        "describe",
    ] {
        let paths = offered(&format!("{begun} '{path}/da|"));
        assert_eq!(paths, [format!("{path}/data.parquet")], "{begun}");
    }
    assert!(offered(&format!("select concat('{path}/da|")).is_empty());
}

#[test]
fn databases_settings_and_commands() {
    assert_eq!(offered("use |"), ["default", "sales"]);
    assert_eq!(offered("set data|")[0], "datafusion.execution.batch_size");
    assert_eq!(
        offered("set datafusion.exec|"),
        ["datafusion.execution.batch_size"]
    );
    assert_eq!(offered("\\tim|"), ["\\timing"]);
    assert_eq!(offered("\\format t|"), ["table", "tsv"]);
    assert_eq!(offered("\\d ord|"), ["orders"]);
    assert_eq!(offered("\\d default.o|"), ["other"]);
    assert_eq!(offered("\\h show|"), ["SHOW"]);
}

#[test]
fn nothing_is_offered_in_comments_and_texts() {
    assert!(offered("select 1 -- fr|").is_empty());
    assert!(offered("select 'fr|").is_empty());
    assert!(offered_after("select 'a\n", "b|").is_empty());
}

#[test]
fn functions_tell_how_they_are_called() {
    let knowledge = Arc::new(Knowledge::default());
    knowledge.change(|names| {
        names.functions = vec![("to_char".into(), "to_char(expression, format)".into())];
    });
    let completions = idle(knowledge);
    let hint = |line: &str| completions.signature(line, line.len());
    assert_eq!(
        hint("select to_char(").as_deref(),
        Some("expression, format)")
    );
    assert_eq!(hint("select x("), None);
    assert_eq!(hint("select to_char(a"), None);
}
