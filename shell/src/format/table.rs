//! Aligned columns. The widths come from the first rows; where later rows need more, the table is
//! closed and begun again, wider, so that a result of any length needs little memory and every row
//! stands under a header that fits it.

use super::text::{self, NULL};
use super::{FormatError, ResultWriter};
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;

/// How many rows, and how many bytes of text, are held before they are written.
const CHUNK_ROWS: usize = 512;
const CHUNK_BYTES: usize = 1 << 20;

/// A wider value is cut, with a `…`: no terminal shows it, and it would pad every other row. The
/// other formats never cut.
const CELL_WIDTH_MAX: usize = 1000;

pub(super) struct TableWriter {
    borders: &'static Borders,
    headers: Vec<Vec<String>>,
    right_aligned: Vec<bool>,
    widths: Vec<usize>,
    begun: bool,
    pending: Vec<Row>,
    pending_bytes: usize,
}

/// The cells of a row, each of one or more lines.
type Row = Vec<Vec<String>>;

struct Borders {
    vertical: &'static str,
    horizontal: &'static str,
    top: [&'static str; 3],
    middle: [&'static str; 3],
    bottom: [&'static str; 3],
    /// Stands behind a line of a cell that goes on in the next line.
    continued: &'static str,
}

/// For terminals.
static LINES: Borders = Borders {
    vertical: "│",
    horizontal: "─",
    top: ["┌", "┬", "┐"],
    middle: ["├", "┼", "┤"],
    bottom: ["└", "┴", "┘"],
    continued: "↵",
};

/// For files and pipes, which may be read as anything.
static ASCII: Borders = Borders {
    vertical: "|",
    horizontal: "-",
    top: ["+", "+", "+"],
    middle: ["+", "+", "+"],
    bottom: ["+", "+", "+"],
    continued: "+",
};

impl TableWriter {
    pub(super) fn new(schema: &Schema, for_terminal: bool) -> Self {
        let fields = schema.fields();
        let headers: Vec<_> = fields.iter().map(|field| cell(field.name())).collect();
        let widths = headers.iter().map(|lines| width_of(lines)).collect();
        let right_aligned = fields
            .iter()
            .map(|field| is_number(field.data_type()))
            .collect();
        Self {
            borders: if for_terminal { &LINES } else { &ASCII },
            headers,
            right_aligned,
            widths,
            begun: false,
            pending: Vec::new(),
            pending_bytes: 0,
        }
    }

    fn write_pending(&mut self, out: &mut Vec<u8>) {
        let mut wider = false;
        for row in &self.pending {
            for (lines, width) in row.iter().zip(&mut self.widths) {
                let needed = width_of(lines);
                if needed > *width {
                    *width = needed;
                    wider = true;
                }
            }
        }
        // The widths of the table so far are gone, but its bottom line is as long as the new header:
        // a line between the two parts.
        if !self.begun || wider {
            let edge = if self.begun {
                self.borders.middle
            } else {
                self.borders.top
            };
            self.rule(edge, out);
            self.row(&self.headers, out);
            self.rule(self.borders.middle, out);
            self.begun = true;
        }
        for row in &self.pending {
            self.row(row, out);
        }
        self.pending.clear();
        self.pending_bytes = 0;
    }

    fn rule(&self, [left, cross, right]: [&str; 3], out: &mut Vec<u8>) {
        out.extend_from_slice(left.as_bytes());
        for (at, width) in self.widths.iter().enumerate() {
            if at > 0 {
                out.extend_from_slice(cross.as_bytes());
            }
            for _ in 0..width + 2 {
                out.extend_from_slice(self.borders.horizontal.as_bytes());
            }
        }
        out.extend_from_slice(right.as_bytes());
        out.push(b'\n');
    }

    fn row(&self, row: &Row, out: &mut Vec<u8>) {
        let height = row.iter().map(Vec::len).max().unwrap_or(1);
        for at in 0..height {
            for (column, lines) in row.iter().enumerate() {
                self.cell_line(column, lines, at, out);
            }
            out.extend_from_slice(self.borders.vertical.as_bytes());
            out.push(b'\n');
        }
    }

    /// One line of one cell, with the border to its left.
    fn cell_line(&self, column: usize, lines: &[String], at: usize, out: &mut Vec<u8>) {
        let line = lines.get(at).map_or("", String::as_str);
        let padding = self.widths[column].saturating_sub(text::width(line));
        let (before, after) = if self.right_aligned[column] {
            (padding, 0)
        } else {
            (0, padding)
        };
        out.extend_from_slice(self.borders.vertical.as_bytes());
        out.resize(out.len() + before + 1, b' ');
        out.extend_from_slice(line.as_bytes());
        out.resize(out.len() + after, b' ');
        let goes_on = at + 1 < lines.len();
        out.extend_from_slice(if goes_on {
            self.borders.continued.as_bytes()
        } else {
            b" "
        });
    }
}

impl ResultWriter for TableWriter {
    fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let columns = text::columns(batch, true)?;
        let mut value = String::new();
        for at in 0..batch.num_rows() {
            let mut row = Vec::with_capacity(columns.len());
            for column in &columns {
                value.clear();
                if !column.write(at, &mut value)? {
                    value.push_str(NULL);
                }
                let lines = cell(&value);
                self.pending_bytes += lines.iter().map(String::len).sum::<usize>();
                row.push(lines);
            }
            self.pending.push(row);
            if self.pending.len() >= CHUNK_ROWS || self.pending_bytes >= CHUNK_BYTES {
                self.write_pending(out);
            }
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        if !self.pending.is_empty() || !self.begun {
            self.write_pending(out);
        }
        self.rule(self.borders.bottom, out);
        Ok(())
    }
}

/// A value as the lines of a cell: a text of several lines keeps them, as plans and documents need.
fn cell(value: &str) -> Vec<String> {
    let mut escaped = String::with_capacity(value.len());
    text::escape_into(value.trim_end_matches('\n'), true, &mut escaped);
    let lines = escaped.split('\n').map(|line| {
        let mut line = line.to_owned();
        text::cut(&mut line, CELL_WIDTH_MAX);
        line
    });
    lines.collect()
}

fn width_of(lines: &[String]) -> usize {
    lines
        .iter()
        .map(|line| text::width(line))
        .max()
        .unwrap_or(0)
}

fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_number(values),
        other => other.is_numeric(),
    }
}
