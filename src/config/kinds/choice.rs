//! Values that are one of a few words.

use super::{Kind, Raw, quoted};
use std::fmt;
use std::marker::PhantomData;

/// A type whose values have one word each.
pub trait Options: Copy + fmt::Debug + PartialEq + 'static {
    /// Every value with its word.
    const ALL: &'static [(&'static str, Self)];
}

/// One of the words of `T`.
pub struct Choice<T>(PhantomData<T>);

impl<T: Options> Kind for Choice<T> {
    type Value = T;

    fn syntax() -> String {
        let words: Vec<_> = T::ALL.iter().map(|(word, _)| format!("`{word}`")).collect();
        match words.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => words.join(""),
        }
    }

    fn parse(raw: &Raw) -> Result<T, String> {
        let text = raw.scalar()?;
        T::ALL
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value)
            .ok_or_else(|| format!("expected {}", Self::syntax()))
    }

    fn show(value: &T) -> Option<String> {
        T::ALL
            .iter()
            .find(|(_, other)| other == value)
            .map(|(word, _)| quoted(word))
    }
}

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl Options for $name {
            const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$variant),)*];
        }
    )*};
}

options! {
    /// How log lines look.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }

    /// How batches are compressed between hosts.
    Compression {
        /// As they are.
        None = "none",
        /// LZ4 frames.
        Lz4 = "lz4",
    }

    /// How the shell shows rows.
    ResultFormat {
        /// A table on a terminal, comma-separated values elsewhere.
        Auto = "auto",
        /// Aligned columns.
        Table = "table",
        /// One line per column.
        Vertical = "vertical",
        /// Comma-separated values with a header.
        Csv = "csv",
        /// Tab-separated values.
        Tsv = "tsv",
        /// One JSON array of objects.
        Json = "json",
        /// One JSON object per line.
        Ndjson = "ndjson",
        /// A Markdown table.
        Markdown = "markdown",
        /// An HTML table.
        Html = "html",
        /// An Arrow IPC file.
        Arrow = "arrow",
        /// A Parquet file.
        Parquet = "parquet",
    }

    /// Whether the shell uses colour.
    Color {
        /// On a terminal.
        Auto = "auto",
        /// Nowhere.
        Never = "never",
    }

    /// What the benchmark's results are compared with.
    Verify {
        /// The answers that are kept for a few scales.
        Answers = "answers",
        /// The same query on plain DataFusion in one process.
        Oracle = "oracle",
        /// Nothing.
        None = "none",
    }

    /// What the benchmark's times are compared with.
    Compare {
        /// Plain DataFusion in one process with as many cores.
        Single = "single",
    }

    /// The format of the benchmark's files.
    DataFormat {
        /// Apache Parquet.
        Parquet = "parquet",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_one_of_its_words() {
        type Format = Choice<LogFormat>;
        assert_eq!(Format::parse(&Raw::One("json".into())), Ok(LogFormat::Json));
        let error = Format::parse(&Raw::One("yaml".into())).unwrap_err();
        assert_eq!(error, "expected `text` or `json`");
        assert_eq!(Format::show(&LogFormat::Text).as_deref(), Some("\"text\""));
        assert_eq!(Choice::<Compare>::syntax(), "`single`");
    }
}
