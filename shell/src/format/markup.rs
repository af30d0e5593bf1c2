//! Tables for documents: Markdown and HTML. Values are never taken for markup.

use super::text;
use super::{FormatError, Look, ResultWriter};
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;

/// What both have in common.
struct Columns {
    names: Vec<String>,
    is_number: Vec<bool>,
    look: Look,
    begun: bool,
}

/// A value of a row, as text.
enum Value<'a> {
    Null,
    Text(&'a str),
}

impl Columns {
    fn new(schema: &Schema, look: &Look) -> Self {
        let fields = schema.fields();
        Self {
            names: fields.iter().map(|field| field.name().clone()).collect(),
            is_number: fields
                .iter()
                .map(|field| text::number_column(field.data_type()))
                .collect(),
            look: look.clone(),
            begun: false,
        }
    }

    /// Calls `cell` for every value of the batch and `row_end` after every row.
    fn each(
        &self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        cell: impl Fn(usize, Value, &mut Vec<u8>),
        row_end: &[u8],
    ) -> Result<(), FormatError> {
        let columns = text::columns(batch, true)?;
        let mut value = String::new();
        for row in 0..batch.num_rows() {
            for (at, column) in columns.iter().enumerate() {
                value.clear();
                if !column.write(row, &mut value)? {
                    cell(at, Value::Null, out);
                } else if self.is_number[at] && self.look.group_digits {
                    cell(at, Value::Text(&text::group_digits(&value)), out);
                } else {
                    cell(at, Value::Text(&text::escaped(&value, true)), out);
                }
            }
            out.extend_from_slice(row_end);
        }
        Ok(())
    }
}

/// A table as GitHub's Markdown has it: it needs a header, so that there always is one.
pub(super) struct MarkdownWriter(Columns);

impl MarkdownWriter {
    pub(super) fn new(schema: &Schema, look: &Look) -> Self {
        Self(Columns::new(schema, look))
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.0.begun {
            return;
        }
        self.0.begun = true;
        let (mut names, mut rule) = (String::new(), String::new());
        for (name, is_number) in self.0.names.iter().zip(&self.0.is_number) {
            let name = match self.0.look.header {
                true => markdown(&text::escaped(name, false)),
                false => String::new(),
            };
            names.push_str(&format!("| {name} "));
            rule.push_str(if *is_number { "| ---: " } else { "| --- " });
        }
        out.extend_from_slice(format!("{names}|\n{rule}|\n").as_bytes());
    }
}

fn markdown(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '\n' => escaped.push_str("<br>"),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '~' => {
                escaped.push('\\');
                escaped.push(character);
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

impl ResultWriter for MarkdownWriter {
    fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.begin(out);
        let null = &self.0.look.null;
        let cell = |_: usize, value: Value, out: &mut Vec<u8>| {
            let text = match value {
                Value::Null => format!("| *{}* ", markdown(null)),
                Value::Text(text) => format!("| {} ", markdown(text)),
            };
            out.extend_from_slice(text.as_bytes());
        };
        self.0.each(batch, out, cell, b"|\n")
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.begin(out);
        Ok(())
    }
}

/// An HTML table, without style sheets.
pub(super) struct HtmlWriter(Columns);

impl HtmlWriter {
    pub(super) fn new(schema: &Schema, look: &Look) -> Self {
        Self(Columns::new(schema, look))
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.0.begun {
            return;
        }
        self.0.begun = true;
        out.extend_from_slice(b"<table>\n");
        if self.0.look.header {
            out.extend_from_slice(b"<thead><tr>");
            for name in &self.0.names {
                let name = html(&text::escaped(name, false));
                out.extend_from_slice(format!("<th>{name}</th>").as_bytes());
            }
            out.extend_from_slice(b"</tr></thead>\n");
        }
        out.extend_from_slice(b"<tbody>\n");
    }
}

fn html(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '\n' => escaped.push_str("<br>"),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

impl ResultWriter for HtmlWriter {
    fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.begin(out);
        let (null, is_number) = (&self.0.look.null, &self.0.is_number);
        let cell = |column: usize, value: Value, out: &mut Vec<u8>| {
            if column == 0 {
                out.extend_from_slice(b"<tr>");
            }
            let tag = match is_number[column] {
                true => "<td style=\"text-align:right\">",
                false => "<td>",
            };
            let text = match value {
                Value::Null => format!("{tag}<em>{}</em></td>", html(null)),
                Value::Text(text) => format!("{tag}{}</td>", html(text)),
            };
            out.extend_from_slice(text.as_bytes());
        };
        self.0.each(batch, out, cell, b"</tr>\n")
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.begin(out);
        out.extend_from_slice(b"</tbody>\n</table>\n");
        Ok(())
    }
}
