//! Functions of `datafusion-spark` that mean what Spark's manual says.

use crate::registry::{Entry, Example, Family, Functions, Implementation};
use datafusion::logical_expr::ScalarUDF;
use datafusion_spark::function as spark;
use std::sync::Arc;

type Adopted = (
    Arc<ScalarUDF>,
    &'static [&'static str],
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// Adds them.
pub(crate) fn add(functions: &mut Functions) {
    for (function, aliases, syntax, text, examples) in all() {
        let function = match aliases.is_empty() {
            true => function,
            false => Arc::new(
                function
                    .as_ref()
                    .clone()
                    .with_aliases(aliases.iter().copied()),
            ),
        };
        functions.add(Entry {
            name: syntax.split('(').next().unwrap_or(syntax),
            aliases: aliases.to_vec(),
            family: Family::Both,
            syntax: syntax.to_owned(),
            text: text.to_owned(),
            examples: examples
                .iter()
                .map(|(sql, value)| Example { sql, value })
                .collect(),
            implementation: Implementation::Scalar(function),
        });
    }
}

fn all() -> Vec<Adopted> {
    let mut all = hashes();
    all.extend(texts());
    all.extend(urls());
    all.extend(intervals());
    all
}

fn hashes() -> Vec<Adopted> {
    vec![
        (
            spark::hash::sha1(),
            &["sha"],
            "sha1(bytes)",
            "The SHA-1 digest of bytes, or of those of a text, in hexadecimal digits.",
            &[("sha1('Spark')", "85f5955f4b27a9a4c2aab6ffe5d7189fc298b92c")],
        ),
        (
            spark::hash::sha2(),
            &[],
            "sha2(bytes, bits)",
            "The SHA-2 digest of 224, 256, 384 or 512 bits, in hexadecimal digits; 0 stands for 256.",
            &[(
                "sha2('Spark', 256)",
                "529bc3b07127ecb7e53a4dcf1991d9152c24537d919178022b2c42657f79a26b",
            )],
        ),
        (
            spark::hash::xxhash64(),
            &[],
            "xxhash64(value, …)",
            "A hash of 64 bits of all the values together, by xxHash, as Spark computes it.",
            &[("xxhash64('Spark')", "-4294468057691064905")],
        ),
    ]
}

fn texts() -> Vec<Adopted> {
    vec![
        (
            spark::string::format_string(),
            &["printf"],
            "format_string(format, value, …)",
            "The text of values by a format such as `%d %s`.",
            &[(
                "format_string('Hello World %d %s', 100, 'days')",
                "Hello World 100 days",
            )],
        ),
        (
            spark::string::elt(),
            &[],
            "elt(number, value, …)",
            "The value with this number, counted from 1.",
            &[("elt(1, 'scala', 'java')", "scala")],
        ),
        (
            spark::string::quote(),
            &[],
            "quote(text)",
            "The text in single quotes, with a backslash before those within.",
            &[("quote('Spark')", "'Spark'")],
        ),
        (
            spark::string::like(),
            &[],
            "like(text, pattern)",
            "Whether a text matches a pattern of `%` and `_`.",
            &[("like('Spark', '_park')", "true")],
        ),
        (
            spark::string::ilike(),
            &[],
            "ilike(text, pattern)",
            "Whether a text matches a pattern of `%` and `_`, small and capital letters being the same.",
            &[("ilike('Spark', '_PARK')", "true")],
        ),
        (
            spark::string::char(),
            &[],
            "char(code)",
            "The character with this code, of which the lowest eight bits count.",
            &[("char(65)", "A")],
        ),
    ]
}

fn urls() -> Vec<Adopted> {
    vec![
        (
            spark::url::parse_url(),
            &[],
            "parse_url(url, part[, key])",
            "A part of a URL: HOST, PATH, QUERY, REF, PROTOCOL, FILE, AUTHORITY, USERINFO, or QUERY's key.",
            &[(
                "parse_url('http://spark.apache.org/path?query=1', 'HOST')",
                "spark.apache.org",
            )],
        ),
        (
            spark::url::try_parse_url(),
            &[],
            "try_parse_url(url, part[, key])",
            "A part of a URL, or NULL for what is none.",
            &[(
                "try_parse_url('http://spark.apache.org/path?query=1', 'QUERY', 'query')",
                "1",
            )],
        ),
        (
            spark::url::url_encode(),
            &[],
            "url_encode(text)",
            "The text as a part of a URL's query.",
            &[(
                "url_encode('https://spark.apache.org')",
                "https%3A%2F%2Fspark.apache.org",
            )],
        ),
        (
            spark::url::url_decode(),
            &[],
            "url_decode(text)",
            "The text that a part of a URL's query stands for.",
            &[(
                "url_decode('https%3A%2F%2Fspark.apache.org')",
                "https://spark.apache.org",
            )],
        ),
        (
            spark::url::try_url_decode(),
            &[],
            "try_url_decode(text)",
            "The text that a part of a URL's query stands for, or NULL.",
            &[("try_url_decode('%')", "NULL")],
        ),
    ]
}

fn intervals() -> Vec<Adopted> {
    vec![(
        spark::datetime::make_interval(),
        &["try_make_interval"],
        "make_interval([years[, months[, weeks[, days[, hours[, minutes[, seconds]]]]]]])",
        "The interval with these parts.",
        &[("make_interval(0, 1, 0, 1)", "1 mons 1 days")],
    )]
}
