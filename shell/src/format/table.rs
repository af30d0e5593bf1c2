//! Aligned columns. The widths come from the first rows; where later rows need more, the table is
//! closed and begun again, wider, so that a result of any length needs little memory and every row
//! stands under a header that fits it.
//!
//! On a terminal the table is no wider than that: columns of text give way, and where not even that
//! is enough the rows are shown one value per line.

use super::fit::{UNBROKEN_WIDTH_MAX, Wish, fit};
use super::text::{self, width};
use super::vertical::VerticalWriter;
use super::{FormatError, LongValues, Look, ResultWriter, Target};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use std::sync::Arc;

/// How many rows, and how many bytes of text, are held before they are written.
const CHUNK_ROWS: usize = 512;
const CHUNK_BYTES: usize = 1 << 20;

/// A wider value is cut, with a `…`: no terminal shows it, and it would pad every other row. The
/// other formats never cut.
const CELL_WIDTH_MAX: usize = 1000;

/// A cell of more lines is cut when it is wrapped: the rows around it would be out of sight.
const CELL_LINES_MAX: usize = 200;

pub(super) struct TableWriter {
    schema: SchemaRef,
    look: Look,
    target: Target,
    borders: &'static Borders,
    headers: Vec<String>,
    is_number: Vec<bool>,
    wishes: Vec<Wish>,
    widths: Vec<usize>,
    begun: bool,
    pending: Vec<Row>,
    pending_batches: Vec<RecordBatch>,
    pending_bytes: usize,
    rows_before: u64,
    /// Where a table turned out to be too wide, the writer of everything from there on.
    vertical: Option<VerticalWriter>,
}

/// The cells of a row.
type Row = Vec<Cell>;

/// A value's lines, before they are broken to the column's width.
struct Cell {
    lines: Vec<String>,
    is_null: bool,
}

struct Borders {
    vertical: &'static str,
    horizontal: &'static str,
    top: [&'static str; 3],
    middle: [&'static str; 3],
    bottom: [&'static str; 3],
    /// Stands behind a line of a cell that has a line end there.
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

/// A line of a cell that is ready to be written.
struct Line {
    text: String,
    /// Whether the value has a line end here.
    ends: bool,
    is_null: bool,
}

impl TableWriter {
    pub(super) fn new(schema: &SchemaRef, look: &Look, target: Target) -> Self {
        let fields = schema.fields();
        let headers: Vec<_> = fields
            .iter()
            .map(|field| text::escaped(field.name(), false))
            .collect();
        let is_number: Vec<_> = fields
            .iter()
            .map(|field| text::number_column(field.data_type()))
            .collect();
        let wishes = headers
            .iter()
            .zip(&is_number)
            .map(|(name, is_number)| Wish {
                values: 0,
                name: if look.header { width(name) } else { 0 },
                is_whole: *is_number,
                is_unbroken: true,
            });
        Self {
            schema: Arc::clone(schema),
            look: look.clone(),
            target,
            borders: if target.is_terminal { &LINES } else { &ASCII },
            wishes: wishes.collect(),
            headers,
            is_number,
            widths: Vec::new(),
            begun: false,
            pending: Vec::new(),
            pending_batches: Vec::new(),
            pending_bytes: 0,
            rows_before: 0,
            vertical: None,
        }
    }

    fn write_pending(&mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        for row in &self.pending {
            for (cell, wish) in row.iter().zip(&mut self.wishes) {
                let width = width_of(&cell.lines);
                wish.values = wish.values.max(width);
                wish.is_unbroken &= width <= UNBROKEN_WIDTH_MAX
                    && !cell.lines.iter().any(|line| line.contains(' '));
            }
        }
        let Some(widths) = self.chosen_widths() else {
            return self.become_vertical(out);
        };
        // The widths of the table so far are gone, but its bottom line is as long as the new header:
        // a line between the two parts.
        if !self.begun || widths != self.widths {
            let edge = if self.begun {
                self.borders.middle
            } else {
                self.borders.top
            };
            self.widths = widths;
            self.rule(edge, out);
            if self.look.header {
                let names = self.headers.iter().enumerate();
                let names: Vec<_> = names.map(|(at, name)| self.header(at, name)).collect();
                self.row(&names, out);
                self.rule(self.borders.middle, out);
            }
            self.begun = true;
        }
        for row in std::mem::take(&mut self.pending) {
            self.rows_before += 1;
            let cells = row.into_iter().enumerate();
            let lines: Vec<_> = cells.map(|(at, cell)| self.lines(at, cell)).collect();
            self.row(&lines, out);
        }
        self.pending_batches.clear();
        self.pending_bytes = 0;
        Ok(())
    }

    /// `None` where the terminal is too narrow for a table.
    fn chosen_widths(&self) -> Option<Vec<usize>> {
        let natural = || self.wishes.iter().map(|wish| wish.natural()).collect();
        let Some(columns) = self.target.columns else {
            return Some(natural());
        };
        let borders = 3 * self.wishes.len() + 1;
        let room = columns.saturating_sub(borders);
        let fitting = fit(&self.wishes, room);
        match self.look.long_values {
            LongValues::Full => Some(natural()),
            _ if fitting.is_none() && !self.look.auto_vertical => Some(natural()),
            _ => fitting,
        }
    }

    fn become_vertical(&mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        if self.begun {
            self.rule(self.borders.bottom, out);
        }
        let writer = VerticalWriter::new(&self.schema, &self.look, self.target);
        let mut writer = writer.after_row(self.rows_before);
        self.pending.clear();
        for batch in std::mem::take(&mut self.pending_batches) {
            writer.rows(&batch, out)?;
        }
        self.vertical = Some(writer);
        Ok(())
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

    fn header(&self, column: usize, name: &str) -> Vec<Line> {
        let pieces = text::wrap(name, self.widths[column]).into_iter();
        let lines = pieces.map(|text| Line {
            text,
            ends: false,
            is_null: false,
        });
        lines.collect()
    }

    /// The lines of a cell as they fit into its column.
    fn lines(&self, column: usize, cell: Cell) -> Vec<Line> {
        let room = self.widths[column];
        let last = cell.lines.len().saturating_sub(1);
        let mut lines = Vec::with_capacity(cell.lines.len());
        for (at, mut text) in cell.lines.into_iter().enumerate() {
            let mut pieces = match self.look.long_values {
                LongValues::Cut => {
                    text::cut(&mut text, room);
                    vec![text]
                }
                LongValues::Wrap | LongValues::Full => text::wrap(&text, room),
            };
            let final_piece = pieces.pop();
            let ends = at < last;
            lines.extend(pieces.into_iter().map(|piece| (piece, false)));
            lines.extend(final_piece.map(|piece| (piece, ends)));
        }
        if lines.len() > CELL_LINES_MAX {
            lines.truncate(CELL_LINES_MAX);
            lines.push(("…".to_owned(), false));
        }
        let is_null = cell.is_null;
        let lines = lines.into_iter().map(|(text, ends)| Line {
            text,
            ends,
            is_null,
        });
        lines.collect()
    }

    fn row(&self, row: &[Vec<Line>], out: &mut Vec<u8>) {
        let height = row.iter().map(Vec::len).max().unwrap_or(1);
        for at in 0..height {
            for (column, lines) in row.iter().enumerate() {
                self.cell_line(column, lines.get(at), out);
            }
            out.extend_from_slice(self.borders.vertical.as_bytes());
            out.push(b'\n');
        }
    }

    /// One line of one cell, with the border to its left.
    fn cell_line(&self, column: usize, line: Option<&Line>, out: &mut Vec<u8>) {
        let text = line.map_or("", |line| line.text.as_str());
        let padding = self.widths[column].saturating_sub(width(text));
        let (before, after) = if self.is_number[column] {
            (padding, 0)
        } else {
            (0, padding)
        };
        out.extend_from_slice(self.borders.vertical.as_bytes());
        out.resize(out.len() + before + 1, b' ');
        if line.is_some_and(|line| line.is_null) && self.target.color {
            out.extend_from_slice(format!("\x1b[2m{text}\x1b[0m").as_bytes());
        } else {
            out.extend_from_slice(text.as_bytes());
        }
        out.resize(out.len() + after, b' ');
        out.extend_from_slice(match line {
            Some(Line { ends: true, .. }) => self.borders.continued.as_bytes(),
            _ => b" ",
        });
    }

    /// Whether the result is one text of several lines, such as a statement or a plan: on a terminal
    /// borders would only be in its way.
    fn is_document(&self) -> bool {
        let [row] = self.pending.as_slice() else {
            return false;
        };
        let lines: usize = row.iter().map(|cell| cell.lines.len()).max().unwrap_or(0);
        let is_plan = self.headers == ["plan_type", "plan"];
        self.target.is_terminal && !self.begun && lines > 1 && (row.len() == 1 || is_plan)
    }
}

impl ResultWriter for TableWriter {
    fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), FormatError> {
        if let Some(vertical) = &mut self.vertical {
            return vertical.rows(batch, out);
        }
        let columns = text::columns(batch, true)?;
        let mut value = String::new();
        let mut first = 0;
        for at in 0..batch.num_rows() {
            let mut row = Vec::with_capacity(columns.len());
            for (index, column) in columns.iter().enumerate() {
                value.clear();
                let is_null = !column.write(at, &mut value)?;
                let lines = if is_null {
                    vec![self.look.null.clone()]
                } else if self.is_number[index] && self.look.group_digits {
                    vec![text::group_digits(&value)]
                } else {
                    cell_lines(&value)
                };
                self.pending_bytes += lines.iter().map(String::len).sum::<usize>();
                row.push(Cell { lines, is_null });
            }
            self.pending.push(row);
            if self.pending.len() >= CHUNK_ROWS || self.pending_bytes >= CHUNK_BYTES {
                self.pending_batches
                    .push(batch.slice(first, at + 1 - first));
                first = at + 1;
                self.write_pending(out)?;
                if let Some(vertical) = &mut self.vertical {
                    return vertical.rows(&batch.slice(first, batch.num_rows() - first), out);
                }
            }
        }
        if first < batch.num_rows() {
            let rest = batch.slice(first, batch.num_rows() - first);
            self.pending_batches.push(rest);
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        if let Some(vertical) = &mut self.vertical {
            return vertical.end(out);
        }
        if self.is_document() {
            let cell = self.pending.pop().and_then(|mut row| row.pop());
            for line in cell.into_iter().flat_map(|cell| cell.lines) {
                out.extend_from_slice(line.as_bytes());
                out.push(b'\n');
            }
            return Ok(());
        }
        if !self.pending.is_empty() || !self.begun {
            self.write_pending(out)?;
        }
        if self.vertical.is_none() {
            self.rule(self.borders.bottom, out);
        }
        Ok(())
    }
}

/// A value as the lines of a cell: a text of several lines keeps them, as plans and documents need.
fn cell_lines(value: &str) -> Vec<String> {
    let escaped = text::escaped(value.trim_end_matches('\n'), true);
    let lines = escaped.split('\n').map(|line| {
        let mut line = line.to_owned();
        text::cut(&mut line, CELL_WIDTH_MAX);
        line
    });
    lines.collect()
}

fn width_of(lines: &[String]) -> usize {
    lines.iter().map(|line| width(line)).max().unwrap_or(0)
}
