//! What `read_parquet`, `read_csv`, `read_json` and `read_avro` take.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, Ident, UnaryOperator, Value,
};
use skep_catalog::model::FileFormat;
use skep_hive_text::CsvHints;
use skep_protocol::{ErrorCode, Position, QueryError};
use skep_sql::statement::{SqlType, type_of_text};

/// One relation of files.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// How the files are written; otherwise their names say it.
    pub(super) format: Option<FileFormat>,
    /// Files, directories and patterns.
    pub(super) places: Vec<String>,
    pub(super) options: ReadOptions,
    /// Where in the statement it stands.
    pub(super) position: Option<Position>,
}

/// How files are to be read.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// What is said of the lines of CSV files.
    pub csv: CsvHints,
    /// All columns, where they are said.
    pub columns: Vec<(String, SqlType)>,
    /// The types of some of those that are found.
    pub types: Vec<(String, SqlType)>,
    /// The names of the columns, in their order.
    pub names: Vec<String>,
    /// Whether directories such as `year=2024` are columns; otherwise they are where all files have them.
    pub hive_partitioning: Option<bool>,
    /// Whether there is a column with the file's name.
    pub filename: bool,
    /// Whether columns that only some files have are columns.
    pub union_by_name: bool,
    /// Whether lines that are no rows are left out.
    pub skips_bad_lines: bool,
    /// Whether as much of a file as can be is looked at for its columns' types.
    pub has_large_sample: bool,
}

/// The format that a function reads.
pub(super) fn function(name: &Ident) -> Option<FileFormat> {
    if name.quote_style.is_some() {
        return None;
    }
    Some(match name.value.to_ascii_lowercase().as_str() {
        "read_parquet" | "parquet_scan" => FileFormat::Parquet,
        "read_csv" | "read_csv_auto" => FileFormat::Csv,
        "read_json" | "read_json_auto" | "read_ndjson" => FileFormat::Json,
        "read_avro" => FileFormat::Avro,
        _ => return None,
    })
}

impl Request {
    /// What `FROM 'file'` asks for.
    pub(super) fn of_file(place: &str, position: Option<Position>) -> Self {
        Self {
            format: None,
            places: vec![place.to_owned()],
            options: ReadOptions::default(),
            position,
        }
    }

    /// What a call asks for.
    ///
    /// # Errors
    /// `Semantic` naming the argument that is wrong.
    pub(super) fn of_function(
        format: FileFormat,
        args: &[FunctionArg],
        position: Option<Position>,
    ) -> Result<Self, QueryError> {
        let mut request = Self {
            format: Some(format),
            places: Vec::new(),
            options: ReadOptions::default(),
            position,
        };
        for arg in args {
            match arg {
                FunctionArg::Named {
                    name,
                    arg: FunctionArgExpr::Expr(value),
                    ..
                } => request.options.set(format, &name.value, value)?,
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => match value {
                    // The parser reads `header = true` as a comparison.
                    Expr::BinaryOp {
                        left,
                        op: BinaryOperator::Eq,
                        right,
                    } if matches!(left.as_ref(), Expr::Identifier(_)) => {
                        let name = left.to_string();
                        request.options.set(format, name.trim_matches('"'), right)?;
                    }
                    _ if request.places.is_empty() => request.places = texts("the file", value)?,
                    _ => return Err(semantic("one file, or one list of files, is read".into())),
                },
                other => {
                    let text = format!("'{other}' is not an argument for reading files");
                    return Err(semantic(text));
                }
            }
        }
        match request.places.is_empty() {
            true => Err(semantic("no file is named".to_owned())),
            false => Ok(request),
        }
    }
}

impl ReadOptions {
    fn set(&mut self, format: FileFormat, name: &str, value: &Expr) -> Result<(), QueryError> {
        let key = name.to_ascii_lowercase();
        if self.set_common(&key, value)? {
            return Ok(());
        }
        let is_known = match format {
            FileFormat::Csv => self.set_csv(&key, value)? || self.set_text(&key, value)?,
            FileFormat::Json => self.set_json(&key, value)? || self.set_text(&key, value)?,
            _ => false,
        };
        match is_known {
            true => Ok(()),
            false => {
                let text = format!("reading {} files has no option '{name}'", format.as_str());
                Err(QueryError::new(ErrorCode::Unsupported, text))
            }
        }
    }

    fn set_common(&mut self, key: &str, value: &Expr) -> Result<bool, QueryError> {
        match key {
            "filename" => self.filename = flag(key, value)?,
            "hive_partitioning" => self.hive_partitioning = Some(flag(key, value)?),
            "union_by_name" => self.union_by_name = flag(key, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn set_text(&mut self, key: &str, value: &Expr) -> Result<bool, QueryError> {
        match key {
            "columns" => self.columns = typed(key, value)?,
            "types" | "dtypes" | "column_types" => self.types = typed(key, value)?,
            "ignore_errors" => {
                self.skips_bad_lines = flag(key, value)?;
                self.csv.format.skips_bad_lines = self.skips_bad_lines;
            }
            // The sample is bounded by its bytes; -1 asks for as much as can be.
            "sample_size" => self.has_large_sample = number(key, value)? < 0,
            "auto_detect" if flag(key, value)? => {}
            "compression" if text(key, value)?.eq_ignore_ascii_case("auto") => {}
            "compression" => {
                let text = "compression is known by the names of files: .gz, .bz2, .xz, .zst";
                return Err(QueryError::new(ErrorCode::Unsupported, text));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn set_csv(&mut self, key: &str, value: &Expr) -> Result<bool, QueryError> {
        let csv = &mut self.csv;
        match key {
            "header" => csv.has_header = Some(flag(key, value)?),
            "delim" | "sep" | "delimiter" => {
                let byte = byte(key, value)?;
                csv.delimiter = Some(byte.ok_or_else(|| semantic(format!("'{key}' is empty")))?);
            }
            "quote" => csv.format.quote = byte(key, value)?,
            "escape" => {
                // A quote that is written twice is one, whatever else is said.
                csv.format.escape = byte(key, value)?.filter(|byte| *byte != b'"');
            }
            "nullstr" | "null" => csv.format.null_texts = texts(key, value)?,
            "skip" => {
                let lines = u32::try_from(number(key, value)?);
                csv.format.skipped_lines =
                    lines.map_err(|_| semantic(format!("'{key}' takes a number of lines")))?;
            }
            "all_varchar" => csv.all_text = flag(key, value)?,
            "null_padding" => csv.format.lacks_fields = flag(key, value)?,
            "names" | "column_names" => self.names = texts(key, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The layout of JSON files is seen by their beginning, so that there is nothing to choose.
    fn set_json(&mut self, key: &str, value: &Expr) -> Result<bool, QueryError> {
        if key != "format" {
            return Ok(false);
        }
        let layouts = ["auto", "newline_delimited", "nd", "array", "unstructured"];
        let layout = text(key, value)?.to_ascii_lowercase();
        match layouts.contains(&layout.as_str()) {
            true => Ok(true),
            false => Err(semantic(format!(
                "'format' takes {}, not '{layout}'",
                layouts.join(", ")
            ))),
        }
    }
}

fn semantic(text: String) -> QueryError {
    QueryError::new(ErrorCode::Semantic, text)
}

fn literal(value: &Expr) -> Option<&Value> {
    match value {
        Expr::Value(value) => Some(&value.value),
        Expr::Nested(inner) => literal(inner),
        _ => None,
    }
}

fn flag(key: &str, value: &Expr) -> Result<bool, QueryError> {
    let found = match literal(value) {
        Some(Value::Boolean(value)) => Some(*value),
        Some(Value::Number(number, _)) if number == "0" || number == "1" => Some(number == "1"),
        Some(Value::SingleQuotedString(text)) => text.to_ascii_lowercase().parse().ok(),
        _ => None,
    };
    found.ok_or_else(|| semantic(format!("'{key}' takes true or false, not {value}")))
}

fn text(key: &str, value: &Expr) -> Result<String, QueryError> {
    match literal(value) {
        Some(Value::SingleQuotedString(text) | Value::DoubleQuotedString(text)) => Ok(text.clone()),
        _ => Err(semantic(format!(
            "'{key}' takes a text in quotes, not {value}"
        ))),
    }
}

fn texts(key: &str, value: &Expr) -> Result<Vec<String>, QueryError> {
    match value {
        Expr::Array(array) => array.elem.iter().map(|item| text(key, item)).collect(),
        _ => Ok(vec![text(key, value)?]),
    }
}

fn number(key: &str, value: &Expr) -> Result<i64, QueryError> {
    let wrong = || semantic(format!("'{key}' takes a whole number, not {value}"));
    match value {
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => number(key, expr).map(|number| -number),
        _ => match literal(value) {
            Some(Value::Number(text, _)) => text.parse().map_err(|_| wrong()),
            _ => Err(wrong()),
        },
    }
}

/// One byte; `None` where the text is empty.
fn byte(key: &str, value: &Expr) -> Result<Option<u8>, QueryError> {
    let text = text(key, value)?;
    match text.as_bytes() {
        [] => Ok(None),
        [byte] if byte.is_ascii() => Ok(Some(*byte)),
        _ if text == "\\t" => Ok(Some(b'\t')),
        _ => Err(semantic(format!(
            "'{key}' takes one ASCII character, not '{text}'"
        ))),
    }
}

/// `{'name': 'TYPE', …}`.
fn typed(key: &str, value: &Expr) -> Result<Vec<(String, SqlType)>, QueryError> {
    let Expr::Dictionary(fields) = value else {
        let text = format!("'{key}' takes {{'column': 'TYPE', …}}, not {value}");
        return Err(semantic(text));
    };
    let one = |name: &str, value: &Expr| {
        let sql_type = type_of_text(&text(key, value)?)?;
        Ok((name.to_owned(), sql_type))
    };
    fields
        .iter()
        .map(|field| one(&field.key.value, &field.value))
        .collect()
}
