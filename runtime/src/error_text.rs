//! What the base library says, in the words of SQL: without the structures of its source, its lists of
//! signatures, and its names of types.
//!
//! Decision: What the base library says is put into the words of SQL in one place.

use crate::sql_type::sql_type;
use arrow::datatypes::DataType;
use skep_protocol::ErrorCode;

/// How many ways to call a function a message names.
const CANDIDATES_MAX: usize = 3;

/// What the base library puts before a message, by the kind of its error.
const PREFIXES: &[&str] = &[
    "Error during planning: ",
    "Execution error: ",
    "Internal error: ",
    "This feature is not implemented: ",
    "Schema error: ",
    "Optimizer rule 'type_coercion' failed: ",
    "type_coercion: ",
    "caused by",
];

/// Where what it says about itself begins.
const ABOUT_ITSELF: &str = "This issue was likely caused by a bug in DataFusion's code";

/// The message of an error as people are told it, and its code.
pub(crate) fn in_sql(code: ErrorCode, text: &str) -> (ErrorCode, String) {
    let text = text.split(ABOUT_ITSELF).next().unwrap_or(text);
    let mut text = text.trim().to_owned();
    for prefix in PREFIXES {
        text = text.replace(prefix, "");
    }
    if let Some(told) = call(&text) {
        return (ErrorCode::Semantic, told);
    }
    if let Some((code, told)) = expression_out_of_place(&text) {
        return (code, told);
    }
    if code == ErrorCode::Internal
        && let Some((code, told)) = fault_of_values(&text)
    {
        return (code, told);
    }
    if text.contains("Unnest should be rewritten") {
        let told = "unnest is not supported where it stands";
        return (ErrorCode::Unsupported, told.to_owned());
    }
    if let Some(told) = not_grouped(&text) {
        return (ErrorCode::Semantic, told);
    }
    let told = match node_name(&text) {
        Some(name) => format!("{name} is not supported"),
        None => with_sql_types(without_structures(&text)),
    };
    let told = one_line(&told);
    let told = told.trim_end_matches(['.', ':', ' ']);
    let told = match code == ErrorCode::Unsupported && !says_what(told) {
        true => format!("{told} is not supported"),
        false => lower_first(told),
    };
    (code, told)
}

/// Functions of other libraries call some faults of their arguments their own.
fn fault_of_values(text: &str) -> Option<(ErrorCode, String)> {
    if let Some((_, rest)) = text.split_once("regex parse error:") {
        let told = format!("invalid regular expression: {}", one_line(rest));
        return Some((ErrorCode::Evaluation, told));
    }
    let lower = text.to_lowercase();
    [
        "unsupported data type",
        "is not a decimal",
        "not implemented for type",
        "not supported for",
    ]
    .iter()
    .any(|part| lower.contains(part))
    .then(|| {
        let told = with_sql_types(without_structures(text));
        (ErrorCode::Unsupported, lower_first(&one_line(&told)))
    })
}

/// Whether the message of something that is not implemented says that.
fn says_what(text: &str) -> bool {
    let text = text.to_lowercase();
    ["support", " not ", "cannot", "only", "must"]
        .iter()
        .any(|word| text.contains(word))
}

/// Messages are one line: some libraries put hints on lines of their own.
pub(crate) fn one_line(text: &str) -> String {
    text.split('\n')
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

/// `Unsupported ast node in sqltorel: MatchAgainst { …` as `MATCH AGAINST`.
fn node_name(text: &str) -> Option<String> {
    let rest = text.strip_prefix("Unsupported ast node ")?;
    let rest = rest.strip_prefix("in sqltorel: ").unwrap_or(rest);
    let name: String = rest
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    (!name.is_empty()).then(|| words(&name).to_uppercase())
}

/// `MatchRecognize` as `match recognize`.
fn words(camel: &str) -> String {
    let mut words = String::new();
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// The message up to the first structure of the source: `Field { name: …` or `ObjectName([…`.
fn without_structures(text: &str) -> &str {
    let mut end = text.len();
    for opening in [" { ", "([", "(Ident", "(Field"] {
        if let Some(at) = text.find(opening) {
            let before = text.get(..at).unwrap_or_default();
            let word = before.rfind(|letter: char| !letter.is_ascii_alphanumeric());
            let start = word.map_or(0, |index| index + 1);
            let is_structure = before
                .get(start..)
                .and_then(|word| word.chars().next())
                .is_some_and(|first| first.is_ascii_uppercase());
            if is_structure {
                end = end.min(start);
            }
        }
    }
    text.get(..end)
        .unwrap_or(text)
        .trim_end_matches([' ', ':', ',', '('])
}

/// What is wrong with a call of a function.
fn call(text: &str) -> Option<String> {
    if let Some((_, rest)) =
        text.split_once("No function matches the given name and argument types '")
    {
        let (signature, rest) = rest.split_once("'.")?;
        let (name, arguments) = signature.split_once('(')?;
        let arguments = arguments.strip_suffix(')').unwrap_or(arguments);
        return Some(cannot_call(name, arguments, candidates(name, rest)));
    }
    let (before, rest) = text.split_once("' failed to match any signature, errors: ")?;
    let name = before.rsplit('\'').next()?;
    let given = rest.split_once("(DataType: ").map(|(_, rest)| rest);
    let given = given.and_then(|rest| rest.split_once(")."));
    Some(match given {
        Some((given, _)) => format!("function '{name}' does not take {}", type_in_sql(given)),
        None => format!("function '{name}' cannot be called with these arguments"),
    })
}

fn cannot_call(name: &str, arguments: &str, candidates: Vec<String>) -> String {
    let types = split_types(arguments);
    let given: Vec<String> = types.iter().map(|name| type_in_sql(name)).collect();
    let told = match given.is_empty() {
        true => format!("function '{name}' cannot be called without arguments"),
        false => format!(
            "function '{name}' cannot be called with ({})",
            given.join(", ")
        ),
    };
    match candidates.is_empty() {
        true => told,
        false => format!("{told}; it takes {}", candidates.join(" or ")),
    }
}

/// The ways to call a function that can be told in the types of SQL.
fn candidates(name: &str, text: &str) -> Vec<String> {
    let Some((_, list)) = text.split_once("Candidate functions:") else {
        return Vec::new();
    };
    let mut told: Vec<String> = Vec::new();
    for line in list.lines().map(str::trim) {
        let arguments = line
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('(')?.strip_suffix(')'));
        let Some(arguments) = arguments else {
            continue;
        };
        let types = split_types(arguments);
        let types: Option<Vec<String>> = types.iter().map(|name| candidate_type(name)).collect();
        if let Some(types) = types {
            let candidate = format!("({})", types.join(", "));
            if !told.contains(&candidate) {
                told.push(candidate);
            }
        }
    }
    told.truncate(CANDIDATES_MAX);
    told
}

/// A type of a signature, or what it calls a kind of types.
fn candidate_type(written: &str) -> Option<String> {
    let (label, name) = match written.split_once(": ") {
        Some((label, name)) => (format!("{label} "), name),
        None => (String::new(), written),
    };
    if let Ok(data_type) = name.parse::<DataType>() {
        let name = sql_type(&data_type);
        // What SQL has no name for is left as it is.
        let is_named = name.chars().all(|letter| !letter.is_ascii_uppercase());
        return is_named.then(|| format!("{label}{name}"));
    }
    let is_word = !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphabetic());
    let is_kind = !matches!(name, "UserDefined" | "VariadicAny" | "Any" | "Comparable");
    (is_word && is_kind).then(|| format!("{label}{}", name.to_lowercase()))
}

/// Splits a list of types at the commas that are not within one.
fn split_types(text: &str) -> Vec<&str> {
    let mut types = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (index, letter) in text.char_indices() {
        match letter {
            '(' | '<' | '[' | '{' => depth += 1,
            ')' | '>' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                types.extend(text.get(start..index));
                start = index + 1;
            }
            _ => {}
        }
    }
    types.extend(text.get(start..));
    let types = types.into_iter().map(str::trim);
    types.filter(|name| !name.is_empty()).collect()
}

fn type_in_sql(written: &str) -> String {
    match written.trim().parse::<DataType>() {
        Ok(data_type) => sql_type(&data_type),
        Err(_) => written.trim().to_owned(),
    }
}

/// Expressions that no operator can compute where they stand.
fn expression_out_of_place(text: &str) -> Option<(ErrorCode, String)> {
    let (_, rest) = text.split_once("Physical plan does not support logical expression ")?;
    let name: String = rest
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    Some(match name.as_str() {
        "OuterReferenceColumn" => {
            let column = outer_column(rest).unwrap_or_default();
            let told = format!(
                "a subquery cannot be planned that names column {column} of the query around it here"
            );
            (ErrorCode::Unsupported, told.replace("  ", " "))
        }
        "ScalarSubquery" | "InSubquery" | "Exists" | "SetComparison" => (
            ErrorCode::Unsupported,
            "this subquery cannot be planned where it stands".to_owned(),
        ),
        "WindowFunction" => (
            ErrorCode::Semantic,
            "window functions stand in SELECT, QUALIFY and ORDER BY alone".to_owned(),
        ),
        "AggregateFunction" => (
            ErrorCode::Semantic,
            "aggregate functions stand in SELECT, HAVING and ORDER BY alone".to_owned(),
        ),
        _ => (
            ErrorCode::Unsupported,
            format!("{} is not supported here", words(&name)),
        ),
    })
}

/// The column of `…, Column { relation: Some(Bare { table: "a" }), name: "k" })`.
fn outer_column(text: &str) -> Option<String> {
    let (_, column) = text.split_once("Column { relation: ")?;
    let quoted = |text: &str| Some(text.split_once('"')?.1.split_once('"')?.0.to_owned());
    let (relation, name) = column.split_once("name: ")?;
    let name = quoted(name)?;
    let table = relation.split_once("table: ");
    Some(match table.and_then(|(_, table)| quoted(table)) {
        Some(table) => format!("'{table}.{name}'"),
        None => format!("'{name}'"),
    })
}

/// `column "t.k" must appear in the GROUP BY clause or …`.
fn not_grouped(text: &str) -> Option<String> {
    let (before, _) = text.split_once("must appear in the GROUP BY clause")?;
    let written = match before.split_once("column \"") {
        Some((_, column)) => column.trim().trim_end_matches('"').to_owned(),
        None => before.rsplit_once("references: ")?.1.trim().to_owned(),
    };
    let written = with_sql_types(&written);
    Some(format!(
        "'{written}' must be in GROUP BY or within an aggregate function"
    ))
}

/// The types and literals in a message as SQL writes them. What is in quotes stays as it is.
pub(crate) fn with_sql_types(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    let mut is_quoted = false;
    let mut before = ' ';
    while let Some(letter) = rest.chars().next() {
        // The one in `isn't` quotes nothing.
        let behind = rest.chars().nth(1).is_some_and(char::is_alphanumeric);
        if letter == '\'' && !(before.is_alphanumeric() && behind && !is_quoted) {
            is_quoted = !is_quoted;
        }
        let begins = letter.is_ascii_uppercase() && !is_quoted && !before.is_alphanumeric();
        if begins && let Some((length, name)) = type_or_literal(rest) {
            told.push_str(&name);
            rest = rest.get(length..).unwrap_or_default();
            before = ' ';
            continue;
        }
        told.push(letter);
        before = letter;
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
    }
    told
}

/// The type or the literal that a text begins with, and its length.
fn type_or_literal(text: &str) -> Option<(usize, String)> {
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric());
    let word = text.get(..end.unwrap_or(text.len()))?;
    let arguments = text.get(word.len()..)?;
    if arguments.starts_with('(')
        && let Some(close) = closing(arguments)
    {
        let length = word.len() + close + 1;
        let whole = text.get(..length)?;
        if let Ok(data_type) = whole.parse::<DataType>() {
            return Some((length, sql_type(&data_type)));
        }
        let inner = arguments.get(1..close)?;
        return is_simple(word).then(|| (length, inner.replace('"', "'")));
    }
    if !is_simple(word) {
        return None;
    }
    let data_type = word.parse::<DataType>().ok()?;
    Some((word.len(), sql_type(&data_type)))
}

/// Whether a word names one of Arrow's types, and nothing else that people say.
fn is_simple(word: &str) -> bool {
    matches!(
        word,
        "Utf8" | "LargeUtf8" | "Utf8View" | "Boolean" | "BinaryView" | "LargeBinary"
    ) || ["Int", "UInt", "Float", "Date", "Decimal"]
        .iter()
        .any(|prefix| {
            word.strip_prefix(prefix)
                .is_some_and(|bits| bits.parse::<u16>().is_ok())
        })
}

/// Where the parenthesis closes that a text begins with.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        in_sql(ErrorCode::Semantic, text).1
    }

    #[test]
    fn faults_of_values_are_no_faults_of_the_engine() {
        for (text, code, expected) in [
            (
                "External error: regex parse error: (?x\n^ error: unrecognized flag",
                ErrorCode::Evaluation,
                "invalid regular expression: (?x ^ error: unrecognized flag",
            ),
            (
                "Min/Max accumulator not implemented for type Int64",
                ErrorCode::Unsupported,
                "min/Max accumulator not implemented for type bigint",
            ),
        ] {
            let told = in_sql(ErrorCode::Internal, text);
            assert_eq!(told, (code, expected.to_owned()));
        }
        let other = in_sql(ErrorCode::Internal, "lost a column");
        assert_eq!(other.0, ErrorCode::Internal);
        assert_eq!(
            told("There isn't a common type to coerce Int64 and Utf8 in LIKE expression"),
            "there isn't a common type to coerce bigint and string in LIKE expression"
        );
    }

    #[test]
    fn structures_of_the_source_are_left_out() {
        assert_eq!(
            told("Unsupported ast node in sqltorel: MatchAgainst { columns: [ObjectName([Iden"),
            "MATCH AGAINST is not supported"
        );
        assert_eq!(
            told("Substring without for/from is not valid Substring { expr: Value(ValueWithSpan {"),
            "substring without for/from is not valid"
        );
        assert_eq!(
            told(
                "Physical plan does not support logical expression OuterReferenceColumn(Field { name: \
                 \"k\", data_type: Int32, nullable: true }, Column { relation: Some(Bare { table: \"a\" \
                 }), name: \"k\" })"
            ),
            "a subquery cannot be planned that names column 'a.k' of the query around it here"
        );
    }

    #[test]
    fn calls_are_told_with_the_types_of_sql() {
        assert_eq!(
            told(
                "Failed to coerce arguments to satisfy a call to 'f' function: coercion from Utf8View to \
                 the signature OneOf([Exact(LargeUtf8, Utf8)]) failed. No function matches the given \
                 name and argument types 'f(Utf8View, Decimal128(10, 2))'. You might need to add \
                 explicit type casts.\n\tCandidate functions:\n\tf(LargeUtf8, Utf8)\n\tf(Utf8, Utf8)\n\t\
                 f(Utf8, Int64)\n\tf(UserDefined)"
            ),
            "function 'f' cannot be called with (string, decimal(10,2)); it takes (string, string) or \
             (string, bigint)"
        );
        assert_eq!(
            told(
                "Internal error: Function 'sum' failed to match any signature, errors: Error during \
                 planning: Function 'sum' requires Decimal, but received String (DataType: Utf8View).. \
                 This issue was likely caused by a bug in DataFusion's code. Please help us"
            ),
            "function 'sum' does not take string"
        );
        assert_eq!(
            told(
                "'sum' does not support zero arguments. No function matches the given name and \
                  argument types 'sum()'. You might need to add explicit type casts."
            ),
            "function 'sum' cannot be called without arguments"
        );
    }

    #[test]
    fn types_and_literals_are_those_of_sql() {
        for (text, expected) in [
            (
                "Cannot coerce arithmetic expression Date32 + Utf8View to valid types",
                "cannot coerce arithmetic expression date + string to valid types",
            ),
            (
                "Unsupported CAST from List(Int32) to Int32",
                "unsupported CAST from array<int> to int",
            ),
            ("'Int32' is not a name", "'Int32' is not a name"),
            (
                "HAVING clause references: t.k > Int64(1) must appear in the GROUP BY clause or be used",
                "'t.k > 1' must be in GROUP BY or within an aggregate function",
            ),
            (
                "UNION queries have different numbers",
                "UNION queries have different numbers",
            ),
            (
                "Date part 'foo' not supported",
                "date part 'foo' not supported",
            ),
        ] {
            assert_eq!(told(text), expected);
        }
        assert_eq!(
            in_sql(ErrorCode::Unsupported, "TOP").1,
            "TOP is not supported"
        );
    }
}
