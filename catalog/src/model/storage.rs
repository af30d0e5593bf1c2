//! How a table's files are written: the format, and what a text format leaves open.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a table's files are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileFormat {
    /// Apache Parquet.
    #[default]
    Parquet,
    /// Apache Avro object container files.
    Avro,
    /// One JSON object per line.
    Json,
    /// Hive's delimited text: `ROW FORMAT DELIMITED`, no quotes.
    Text,
    /// Comma-separated values with quotes: OpenCSVSerde.
    Csv,
}

impl FileFormat {
    /// Every format.
    pub const ALL: &'static [Self] =
        &[Self::Parquet, Self::Avro, Self::Json, Self::Text, Self::Csv];

    /// The name under which it is kept and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "PARQUET",
            Self::Avro => "AVRO",
            Self::Json => "JSON",
            Self::Text => "TEXT",
            Self::Csv => "CSV",
        }
    }

    /// The format of that name in upper case, as it is kept or as Hive's STORED AS has it.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "PARQUET" => Self::Parquet,
            "AVRO" => Self::Avro,
            "JSON" | "JSONFILE" => Self::Json,
            "TEXT" | "TEXTFILE" => Self::Text,
            "CSV" => Self::Csv,
            _ => return None,
        })
    }

    /// Whether its files say how many rows they have and within which bounds.
    pub fn has_footer(self) -> bool {
        self == Self::Parquet
    }
}

/// What a statement said of how files are written. What it did not say is `None`, and is what
/// [`TextLayout::new`] makes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StorageOptions {
    /// ROW FORMAT SERDE: the class, as given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serde: Option<String>,
    /// WITH SERDEPROPERTIES, as given.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub serde_properties: BTreeMap<String, String>,
    /// FIELDS TERMINATED BY.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_delimiter: Option<char>,
    /// COLLECTION ITEMS TERMINATED BY.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection_delimiter: Option<char>,
    /// MAP KEYS TERMINATED BY.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map_key_delimiter: Option<char>,
    /// LINES TERMINATED BY.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_delimiter: Option<char>,
    /// ESCAPED BY.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escape: Option<char>,
    /// NULL DEFINED AS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_text: Option<String>,
    /// What CSV fields may be enclosed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<char>,
    /// How many lines at the beginning of each file are no rows: `skip.header.line.count`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_lines: Option<u32>,
}

/// How the lines of a text file are to be read and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextLayout {
    /// Between two fields.
    pub field_delimiter: char,
    /// Between two items of a collection.
    pub collection_delimiter: char,
    /// Between a map's key and its value.
    pub map_key_delimiter: char,
    /// Between two lines.
    pub line_delimiter: char,
    /// What takes the meaning from the next character, if anything does.
    pub escape: Option<char>,
    /// What stands for NULL; `None` where an empty field does.
    pub null_text: Option<String>,
    /// What fields may be enclosed in, if anything.
    pub quote: Option<char>,
    /// How many lines at the beginning of a file are no rows.
    pub header_lines: u32,
}

impl TextLayout {
    /// What a table of `format` with `options` has. What the options leave open is as in Hive:
    /// LazySimpleSerDe for text, OpenCSVSerde for CSV.
    pub fn new(format: FileFormat, options: &StorageOptions) -> Self {
        let is_csv = format == FileFormat::Csv;
        let (field_delimiter, escape, quote, null_text) = match is_csv {
            true => (',', Some('\\'), Some('"'), None),
            false => ('\u{1}', None, None, Some("\\N".to_owned())),
        };
        Self {
            field_delimiter: options.field_delimiter.unwrap_or(field_delimiter),
            collection_delimiter: options.collection_delimiter.unwrap_or('\u{2}'),
            map_key_delimiter: options.map_key_delimiter.unwrap_or('\u{3}'),
            line_delimiter: options.line_delimiter.unwrap_or('\n'),
            escape: options.escape.or(escape),
            null_text: options.null_text.clone().or(null_text),
            quote: options.quote.or(quote),
            header_lines: options.header_lines.unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_the_names_under_which_they_are_kept() {
        for format in FileFormat::ALL {
            assert_eq!(FileFormat::from_name(format.as_str()), Some(*format));
        }
        assert_eq!(FileFormat::from_name("TEXTFILE"), Some(FileFormat::Text));
        assert_eq!(FileFormat::from_name("ORC"), None);
    }

    #[test]
    fn options_survive_json_and_nothing_is_an_empty_object() {
        let nothing = StorageOptions::default();
        assert_eq!(serde_json::to_string(&nothing).unwrap(), "{}");
        let options = StorageOptions {
            serde: Some("a.b.C".to_owned()),
            serde_properties: [("k".to_owned(), "v".to_owned())].into(),
            field_delimiter: Some('\u{1}'),
            null_text: Some(String::new()),
            header_lines: Some(1),
            ..nothing.clone()
        };
        let json = serde_json::to_string(&options).unwrap();
        assert_eq!(
            serde_json::from_str::<StorageOptions>(&json).unwrap(),
            options
        );
        assert_eq!(
            serde_json::from_str::<StorageOptions>("{}").unwrap(),
            nothing
        );
    }

    #[test]
    fn what_is_left_open_is_as_in_hive() {
        let options = StorageOptions {
            field_delimiter: Some(';'),
            ..StorageOptions::default()
        };
        let text = TextLayout::new(FileFormat::Text, &StorageOptions::default());
        assert_eq!((text.field_delimiter, text.quote), ('\u{1}', None));
        assert_eq!(text.null_text.as_deref(), Some("\\N"));
        let csv = TextLayout::new(FileFormat::Csv, &options);
        assert_eq!((csv.field_delimiter, csv.quote), (';', Some('"')));
        assert_eq!(csv.null_text, None);
    }
}
