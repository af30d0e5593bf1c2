//! A result of two columns as a simple chart: labels and numbers, or two columns of numbers.

use crate::format::{self, number_column, width};
use arrow::record_batch::RecordBatch;
use std::str::FromStr;

/// How many rows are kept for a chart, and how many bars are drawn.
pub(crate) const ROWS_MAX: usize = 1000;
const BARS_MAX: usize = 100;

/// How high a line chart is, in lines.
const LINE_CHART_HEIGHT: usize = 12;

/// The kinds of charts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chart {
    /// One horizontal bar per row.
    Bar,
    /// A line over the rows in their order.
    Line,
}

impl FromStr for Chart {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name.to_ascii_lowercase().as_str() {
            "bar" => Ok(Self::Bar),
            "line" => Ok(Self::Line),
            _ => Err(format!("a chart is bar or line, and not '{name}'")),
        }
    }
}

/// What is drawn: the labels, and the numbers with their texts.
struct Points {
    label_name: String,
    value_name: String,
    labels: Vec<String>,
    values: Vec<Option<f64>>,
    texts: Vec<String>,
}

/// Draws the chart in at most `columns`. The error is a message for the user.
pub(crate) fn draw(
    chart: Chart,
    batches: &[RecordBatch],
    columns: usize,
) -> Result<String, String> {
    let points = points(batches)?;
    let numbers = points.values.iter().flatten();
    let (low, high) = numbers.fold((0.0_f64, 0.0_f64), |(low, high), value| {
        (low.min(*value), high.max(*value))
    });
    match chart {
        Chart::Bar => Ok(bars(&points, low, high, columns)),
        Chart::Line => Ok(line(&points, columns)),
    }
}

fn points(batches: &[RecordBatch]) -> Result<Points, String> {
    let Some(schema) = batches.first().map(RecordBatch::schema) else {
        return Err("there is no result to draw: run a query of two columns first".to_owned());
    };
    let [first, second] = schema.fields().as_ref() else {
        let count = schema.fields().len();
        return Err(format!(
            "a chart needs a result of two columns, and this one has {count}"
        ));
    };
    let is_number = [first, second].map(|field| number_column(field.data_type()));
    let (label, value) = match is_number {
        [_, true] => (0, 1),
        [true, false] => (1, 0),
        [false, false] => return Err("a chart needs a column of numbers".to_owned()),
    };
    let name = |column: usize| format::escaped(schema.field(column).name(), false);
    let mut points = Points {
        label_name: name(label),
        value_name: name(value),
        labels: Vec::new(),
        values: Vec::new(),
        texts: Vec::new(),
    };
    for batch in batches {
        let read = |column| format::values(batch, column).map_err(|error| error.to_string());
        for (label, value) in read(label)?.into_iter().zip(read(value)?) {
            let label = label.unwrap_or_else(|| "NULL".to_owned());
            points.labels.push(format::escaped(&label, false));
            let number = value.as_deref().and_then(|value| value.parse().ok());
            points
                .values
                .push(number.filter(|number: &f64| number.is_finite()));
            points
                .texts
                .push(value.unwrap_or_else(|| "NULL".to_owned()));
        }
    }
    if points.values.is_empty() {
        return Err("the result has no rows to draw".to_owned());
    }
    Ok(points)
}

fn bars(points: &Points, low: f64, high: f64, columns: usize) -> String {
    let shown = points.labels.len().min(BARS_MAX);
    let widest = |texts: &[String]| texts.iter().map(|text| width(text)).max().unwrap_or(0);
    let label_width = widest(&points.labels[..shown]).min(columns / 3).max(1);
    let text_width = widest(&points.texts[..shown]);
    let room = columns.saturating_sub(label_width + text_width + 4).max(1);
    let span = if high > low { high - low } else { 1.0 };
    let zero = ((0.0 - low) / span * room as f64).round();
    let mut drawn = format!("{} by {}\n", points.value_name, points.label_name);
    for at in 0..shown {
        let label = padded(&points.labels[at], label_width);
        let bar = match points.values[at] {
            None => String::new(),
            Some(value) => bar(value / span * room as f64, zero),
        };
        drawn.push_str(&format!("{label} │{bar} {}\n", points.texts[at]));
    }
    if shown < points.labels.len() {
        let left = points.labels.len() - shown;
        drawn.push_str(&format!("… and {left} more rows\n"));
    }
    drawn
}

/// A bar from `zero`, in columns and eighths of one; to the left where it is negative.
fn bar(length: f64, zero: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if length < 0.0 {
        let cells = (-length).round().min(zero) as usize;
        let blank = zero as usize - cells;
        return format!("{}{}", " ".repeat(blank), "█".repeat(cells));
    }
    let eighths = (length * 8.0).round() as usize;
    // Whatever is not nothing is to be seen.
    let eighths = if length > 0.0 { eighths.max(1) } else { 0 };
    format!(
        "{}{}{}",
        " ".repeat(zero as usize),
        "█".repeat(eighths / 8),
        EIGHTHS[eighths % 8]
    )
}

fn padded(text: &str, columns: usize) -> String {
    let mut taken = 0;
    let mut cut = String::new();
    for character in text.chars() {
        let mut utf8 = [0; 4];
        let needed = width(character.encode_utf8(&mut utf8));
        if taken + needed > columns {
            break;
        }
        taken += needed;
        cut.push(character);
    }
    cut.push_str(&" ".repeat(columns - taken));
    cut
}

fn line(points: &Points, columns: usize) -> String {
    let numbers = || points.values.iter().flatten().copied();
    let low = numbers().fold(f64::INFINITY, f64::min);
    let high = numbers().fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        return "all values are NULL\n".to_owned();
    }
    let scale = [short(high), short(low)];
    let margin = scale.iter().map(String::len).max().unwrap_or(0);
    let room = columns
        .saturating_sub(margin + 3)
        .clamp(1, points.values.len().max(2));
    let span = if high > low { high - low } else { 1.0 };
    let mut canvas = vec![vec![' '; room]; LINE_CHART_HEIGHT];
    let mut before: Option<usize> = None;
    for column in 0..room {
        // Where there are more rows than columns, each column shows the mean of its rows.
        let start = column * points.values.len() / room;
        let end = ((column + 1) * points.values.len() / room).max(start + 1);
        let rows = points.values.iter().take(end).skip(start).flatten();
        let (count, sum) = rows.fold((0, 0.0), |(count, sum), value| (count + 1, sum + value));
        if count == 0 {
            before = None;
            continue;
        }
        let height = (sum / f64::from(count) - low) / span * (LINE_CHART_HEIGHT - 1) as f64;
        let line = LINE_CHART_HEIGHT - 1 - (height.round() as usize).min(LINE_CHART_HEIGHT - 1);
        let from = before.unwrap_or(line);
        for row in canvas
            .iter_mut()
            .take(from.max(line))
            .skip(from.min(line) + 1)
        {
            row[column] = '│';
        }
        canvas[line][column] = '●';
        before = Some(line);
    }
    let mut drawn = format!("{} over {}\n", points.value_name, points.label_name);
    for (at, row) in canvas.iter().enumerate() {
        let label = match at {
            0 => scale[0].as_str(),
            _ if at == LINE_CHART_HEIGHT - 1 => scale[1].as_str(),
            _ => "",
        };
        let row: String = row.iter().collect();
        drawn.push_str(&format!("{label:>margin$} ┤{}\n", row.trim_end()));
    }
    let first = points.labels.first().map_or("", String::as_str);
    let last = points.labels.last().map_or("", String::as_str);
    let gap = room.saturating_sub(width(first) + width(last)).max(1);
    drawn.push_str(&format!("{:margin$}  {first}{:gap$}{last}\n", "", ""));
    drawn
}

fn short(value: f64) -> String {
    if value == value.trunc() && value.abs() < 1e15 {
        format!("{value:.0}")
    } else {
        format!("{value:.4}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
    use std::sync::Arc;

    fn batch(labels: &[&str], values: Vec<Option<f64>>) -> RecordBatch {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("k", Arc::new(StringArray::from(labels.to_vec()))),
            ("v", Arc::new(Float64Array::from(values))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let batch = batch(&["a", "日本", "c"], vec![Some(10.0), Some(5.0), None]);
        let drawn = draw(Chart::Bar, &[batch], 20).unwrap();
        assert_eq!(
            drawn,
            "v by k\na    │████████ 10.0\n日本 │████ 5.0\nc    │ NULL\n"
        );
    }

    #[test]
    fn negative_values_go_to_the_left() {
        let batch = batch(&["a", "b"], vec![Some(-5.0), Some(5.0)]);
        let drawn = draw(Chart::Bar, &[batch], 17).unwrap();
        assert_eq!(drawn, "v by k\na │████ -5.0\nb │    ████ 5.0\n");
    }

    #[test]
    fn a_line_goes_from_low_to_high() {
        let values: Vec<_> = (0..40).map(|n| Some(f64::from(n))).collect();
        let labels: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let drawn = draw(Chart::Line, &[batch(&labels, values)], 30).unwrap();
        let lines: Vec<_> = drawn.lines().collect();
        assert_eq!(lines.len(), LINE_CHART_HEIGHT + 2);
        assert!(
            lines[1].starts_with("39 ┤") && lines[1].ends_with('●'),
            "{drawn}"
        );
        assert!(lines[LINE_CHART_HEIGHT].starts_with(" 0 ┤●"), "{drawn}");
        assert!(lines.iter().all(|line| width(line) <= 30), "{drawn}");
    }

    #[test]
    fn what_cannot_be_drawn_says_why() {
        let one: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let one = RecordBatch::try_from_iter([("n", one)]).unwrap();
        assert!(
            draw(Chart::Bar, &[one], 80)
                .unwrap_err()
                .contains("two columns")
        );
        assert!(draw(Chart::Bar, &[], 80).unwrap_err().contains("no result"));
        let empty = batch(&[], vec![]);
        assert!(
            draw(Chart::Line, &[empty], 80)
                .unwrap_err()
                .contains("no rows")
        );
        let nulls = batch(&["a"], vec![None]);
        assert!(draw(Chart::Line, &[nulls], 80).unwrap().contains("NULL"));
    }
}
