//! The options of COPY.

use crate::statement::{CopyOption, unsupported};
use skep_catalog::model::{FileFormat, StorageOptions};
use skep_protocol::{ErrorCode, QueryError};
use skep_writer::{FileOptions, WriteSpec};
use std::collections::BTreeMap;

/// What happens to files that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// They are an error.
    Refuse,
    /// They stay.
    Keep,
    /// They go when the new ones are there.
    Replace,
}

/// How `COPY … TO` writes.
#[derive(Debug)]
pub(super) struct WriteOptions {
    pub(super) format: FileFormat,
    pub(super) storage: StorageOptions,
    /// Those of tables that say how files are written.
    pub(super) properties: BTreeMap<String, String>,
    /// In lower case.
    pub(super) partition_by: Vec<String>,
    pub(super) existing: Existing,
    pub(super) is_one_file: bool,
    /// What stands for NULL in CSV files.
    null_text: String,
}

/// The format that FORMAT or a file's name tells.
fn format(place: &str, options: &[CopyOption]) -> Result<FileFormat, QueryError> {
    let said = options.iter().find(|option| option.name == "format");
    let name = match said {
        Some(option) => one_word(option)?.to_ascii_lowercase(),
        None => extension(place).unwrap_or_default(),
    };
    match name.as_str() {
        "parquet" => Ok(FileFormat::Parquet),
        "csv" => Ok(FileFormat::Csv),
        "json" | "jsonl" | "ndjson" => Ok(FileFormat::Json),
        "avro" => Ok(FileFormat::Avro),
        "" => {
            let text =
                format!("the format of '{place}' cannot be seen by its name: FORMAT says it");
            Err(QueryError::new(ErrorCode::Semantic, text))
        }
        _ => Err(unsupported(&format!("COPY with the format '{name}'"))),
    }
}

fn extension(place: &str) -> Option<String> {
    let name = place.rsplit('/').next()?;
    let (_, extension) = name.rsplit_once('.')?;
    Some(extension.to_ascii_lowercase())
}

/// The function that reads what `COPY … FROM` names.
pub(super) fn function(
    places: &[String],
    options: &[CopyOption],
) -> Result<&'static str, QueryError> {
    let place = places.first().map(String::as_str).unwrap_or_default();
    // A compressed file has another extension before.
    let place = ["gz", "bz2", "xz", "zst"]
        .iter()
        .find_map(|packed| place.strip_suffix(&format!(".{packed}")))
        .unwrap_or(place);
    Ok(match format(place, options)? {
        FileFormat::Csv => "read_csv",
        FileFormat::Json => "read_json",
        FileFormat::Avro => "read_avro",
        _ => "read_parquet",
    })
}

impl WriteOptions {
    /// What the statement says.
    ///
    /// # Errors
    /// `Semantic` and `Unsupported` naming the option.
    pub(super) fn new(place: &str, options: &[CopyOption]) -> Result<Self, QueryError> {
        let format = format(place, options)?;
        let mut result = Self {
            format,
            storage: StorageOptions {
                header_lines: (format == FileFormat::Csv).then_some(1),
                // A quote is doubled, as most programs have it.
                escape: (format == FileFormat::Csv).then_some('"'),
                ..StorageOptions::default()
            },
            properties: BTreeMap::new(),
            partition_by: Vec::new(),
            existing: Existing::Refuse,
            is_one_file: !place.ends_with('/') && extension(place).is_some(),
            null_text: String::new(),
        };
        for option in options {
            result.set(option)?;
        }
        result.is_one_file &= result.partition_by.is_empty();
        Ok(result)
    }

    fn set(&mut self, option: &CopyOption) -> Result<(), QueryError> {
        let mut property = |name: &str| -> Result<(), QueryError> {
            let value = one_word(option)?.to_ascii_lowercase();
            self.properties.insert(name.to_owned(), value);
            Ok(())
        };
        let is_csv = self.format == FileFormat::Csv;
        let is_parquet = self.format == FileFormat::Parquet;
        match option.name.as_str() {
            "format" => {}
            "partition_by" => {
                let names = option.words.iter();
                self.partition_by = names.map(|name| name.to_lowercase()).collect();
                if self.partition_by.is_empty() {
                    return Err(wrong(option, "columns"));
                }
            }
            "overwrite" if flag(option)? => self.existing = Existing::Replace,
            "append" | "overwrite_or_ignore" if flag(option)? => self.existing = Existing::Keep,
            "overwrite" | "append" | "overwrite_or_ignore" => {}
            "per_thread_output" => self.is_one_file &= !flag(option)?,
            "file_size_bytes" => {
                property("skep.file.bytes")?;
                self.is_one_file = false;
            }
            "compression" | "codec" if is_parquet => property("parquet.compression")?,
            "row_group_size" if is_parquet => property("skep.row_group.rows")?,
            "header" if is_csv => self.storage.header_lines = Some(u32::from(flag(option)?)),
            "delimiter" | "delim" | "sep" if is_csv => {
                self.storage.field_delimiter = Some(character(option)?);
            }
            "quote" if is_csv => self.storage.quote = Some(character(option)?),
            "escape" if is_csv => self.storage.escape = Some(character(option)?),
            "null" | "nullstr" if is_csv => self.null_text = one_word(option)?.to_owned(),
            other => {
                let what = format!("COPY to {} files with '{other}'", self.format.as_str());
                return Err(unsupported(&what));
            }
        }
        Ok(())
    }

    /// Has files be written as the options say, where tables cannot say it.
    pub(super) fn adjust(&self, spec: &mut WriteSpec) {
        spec.is_one_file = self.is_one_file;
        if let FileOptions::Csv(csv) = &mut spec.format {
            csv.null_text = Some(self.null_text.clone());
        }
    }
}

fn wrong(option: &CopyOption, wanted: &str) -> QueryError {
    let text = format!("'{}' takes {wanted}, not '{}'", option.name, option.text);
    QueryError::new(ErrorCode::Semantic, text)
}

fn one_word(option: &CopyOption) -> Result<&str, QueryError> {
    match option.words.as_slice() {
        [word] => Ok(word),
        _ => Err(wrong(option, "one value")),
    }
}

fn flag(option: &CopyOption) -> Result<bool, QueryError> {
    if option.text.is_empty() {
        return Ok(true);
    }
    match one_word(option)?.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" => Ok(true),
        "false" | "0" | "off" => Ok(false),
        _ => Err(wrong(option, "true or false")),
    }
}

fn character(option: &CopyOption) -> Result<char, QueryError> {
    let text = one_word(option)?;
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) if letter.is_ascii() => Ok(letter),
        (Some('\\'), Some('t')) => Ok('\t'),
        _ => Err(wrong(option, "one ASCII character")),
    }
}
