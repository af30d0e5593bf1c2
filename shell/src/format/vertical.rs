//! One line per value under a line per row, for rows that are too wide for a table.

use super::text::{self, width};
use super::{FormatError, Look, ResultWriter, Target};
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use std::io::Write;

/// The line above a row is at least this long, so that rows are told apart at a glance.
const RULE_WIDTH: usize = 40;

/// Where a value would have less room than this beside its name, it goes below it.
const VALUE_WIDTH_MIN: usize = 10;

pub(super) struct VerticalWriter {
    names: Vec<String>,
    is_number: Vec<bool>,
    name_width: usize,
    look: Look,
    target: Target,
    row: u64,
}

/// A value as it is shown.
struct Shown<'a> {
    text: &'a str,
    is_null: bool,
}

impl VerticalWriter {
    pub(super) fn new(schema: &Schema, look: &Look, target: Target) -> Self {
        let fields = schema.fields();
        let names: Vec<String> = fields
            .iter()
            .map(|field| text::escaped(field.name(), false))
            .collect();
        let name_width = names.iter().map(|name| width(name)).max().unwrap_or(0);
        Self {
            names,
            is_number: fields
                .iter()
                .map(|field| text::number_column(field.data_type()))
                .collect(),
            name_width,
            look: look.clone(),
            target,
            row: 0,
        }
    }

    /// Goes on counting where another writer has stopped.
    pub(super) fn after_row(mut self, row: u64) -> Self {
        self.row = row;
        self
    }

    /// How much room is beside the names, and whether that is enough to use it.
    fn room(&self) -> (usize, bool) {
        match self.target.columns {
            None => (usize::MAX, true),
            Some(columns) => {
                let beside = columns.saturating_sub(self.name_width + 3);
                match beside >= VALUE_WIDTH_MIN {
                    true => (beside, true),
                    false => (columns.saturating_sub(2).max(1), false),
                }
            }
        }
    }

    // Writing into memory cannot fail.
    fn value(&self, column: usize, value: &Shown, out: &mut Vec<u8>) {
        let (room, is_beside) = self.room();
        let mut name = self.names[column].as_str();
        if !is_beside {
            let _ = writeln!(out, "{name}");
        }
        for line in value.text.trim_end_matches('\n').split('\n') {
            let pieces = match self.target.columns {
                Some(_) => text::wrap(line, room),
                None => vec![line.to_owned()],
            };
            for piece in pieces {
                let (on, off) = match value.is_null && self.target.color {
                    true => ("\x1b[2m", "\x1b[0m"),
                    false => ("", ""),
                };
                if is_beside {
                    let padding = self.name_width - width(name);
                    let _ = writeln!(out, "{name}{:padding$} | {on}{piece}{off}", "");
                    name = "";
                } else {
                    let _ = writeln!(out, "  {on}{piece}{off}");
                }
            }
        }
    }
}

impl ResultWriter for VerticalWriter {
    fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let columns = text::columns(batch, true)?;
        let (mut value, mut escaped) = (String::new(), String::new());
        let rule_width = self.target.columns.unwrap_or(RULE_WIDTH).min(RULE_WIDTH);
        for at in 0..batch.num_rows() {
            self.row += 1;
            let title = format!("-[ ROW {} ]", self.row);
            let _ = writeln!(out, "{title:-<rule_width$}");
            for (index, column) in columns.iter().enumerate() {
                value.clear();
                escaped.clear();
                let is_null = !column.write(at, &mut value)?;
                if is_null {
                    escaped.push_str(&self.look.null);
                } else if self.is_number[index] && self.look.group_digits {
                    escaped.push_str(&text::group_digits(&value));
                } else {
                    text::escape_into(&value, true, &mut escaped);
                }
                let shown = Shown {
                    text: &escaped,
                    is_null,
                };
                self.value(index, &shown, out);
            }
        }
        Ok(())
    }

    fn end(&mut self, _out: &mut Vec<u8>) -> Result<(), FormatError> {
        Ok(())
    }
}
