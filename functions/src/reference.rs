//! `docs/functions.md`, made of the functions that are registered.

use crate::registry::{Entry, Family, Implementation, entries};
use std::fmt::Write;

const HEAD: &str = "\
# Functions

This page is made from the registered functions; a test runs its examples and fails where it is not current.
These are Skep's functions besides those of [DataFusion](https://datafusion.apache.org/user-guide/sql/).

There are two families, which `SET skep.sql.dialect` chooses between: `standard` has PostgreSQL's and DuckDB's
names and meanings, `hive` those of Hive and Spark. Most functions work in both. Those of the family `hive` have
another meaning than the function that the standard dialect knows by their name. In the dialect `hive`, moreover,
`array[index]` counts from 0, `map[key]` gives NULL where there is no such key, and whole numbers are divided as
doubles, by 0 to NULL.

`->` and `->>` look into JSON texts. A lambda is written `x -> x + 1` or `(x, y) -> x + y`, behind the first
argument of a function that takes one.

";

fn kind(entry: &Entry) -> &'static str {
    match entry.implementation {
        Implementation::Scalar(_) => "scalar",
        Implementation::Aggregate(_) => "aggregate",
        Implementation::HigherOrder(_) => "with a lambda",
    }
}

/// The page.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut listed: Vec<&Entry> = entries()
        .iter()
        .filter(|entry| !entry.name.starts_with("skep_"))
        .collect();
    listed.sort_by_key(|entry| entry.name);
    for entry in listed {
        let family = match entry.family {
            Family::Both => "both families",
            Family::Hive => "hive",
        };
        // Writing to a text does not fail.
        let _ = writeln!(page, "## {}\n", entry.name);
        let _ = writeln!(page, "`{}` ({}, {family})\n", entry.syntax, kind(entry));
        let _ = writeln!(page, "{}", entry.text);
        if !entry.aliases.is_empty() {
            let _ = writeln!(page, "Also called {}.", entry.aliases.join(", "));
        }
        if !entry.examples.is_empty() {
            let _ = writeln!(page, "\n```sql");
            for example in &entry.examples {
                let _ = writeln!(page, "SELECT {}; -- {}", example.sql, example.value);
            }
            let _ = writeln!(page, "```");
        }
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}
