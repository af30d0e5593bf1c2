//! Prints a run for people: events while it goes on, a table at its end.

use std::io::{self, Write};
use std::sync::Arc;

use indicatif::HumanBytes;

use super::{EventCallback, QueryReport, RunEvent, RunReport, Verification};

/// A callback that prints plans to standard output, and for somebody at a terminal (`terminal`)
/// what is being done to standard error.
pub fn console_events(terminal: bool) -> EventCallback {
    Arc::new(move |event| match event {
        RunEvent::Plan { query, text } => println!("-- plan of query {query}\n{text}\n"),
        RunEvent::Prepared { database, .. } if terminal => {
            eprintln!("database {database} is ready")
        }
        RunEvent::Started { query } if terminal => eprint!("query {query} … "),
        RunEvent::Finished(report) if terminal => match report.median() {
            Some(seconds) => eprintln!("{seconds:.3} s, {}", verdict(report)),
            None => eprintln!("{}", verdict(report)),
        },
        _ => (),
    })
}

/// Prints a report to standard output. Somebody who closed it has seen enough: that is no error.
pub fn print_report(report: &RunReport) {
    if let Err(error) = write_report(report, &mut io::stdout().lock()) {
        tracing::debug!(%error, "the report was not printed");
    }
}

/// Writes a report's table, its totals, and what went wrong.
pub fn write_report(report: &RunReport, out: &mut impl Write) -> io::Result<()> {
    let with_minimum = report.queries.iter().any(|query| query.seconds.len() > 1);
    let with_single = report.single.is_some();
    let table = rows(report, with_minimum, with_single);
    let widths: Vec<usize> = (0..table[0].len())
        .map(|column| {
            table
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for (index, row) in table.iter().enumerate() {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell:>width$}"))
            .collect();
        writeln!(out, "{}", cells.join("  "))?;
        if index == 0 {
            let rules: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
            writeln!(out, "{}", rules.join("  "))?;
        }
    }
    print_totals(report, out)
}

fn rows(report: &RunReport, with_minimum: bool, with_single: bool) -> Vec<Vec<String>> {
    let mut header = vec![
        "query",
        if with_minimum {
            "median (s)"
        } else {
            "time (s)"
        },
    ];
    if with_minimum {
        header.push("min (s)");
    }
    if with_single {
        header.extend(["single (s)", "ratio"]);
    }
    header.extend(["rows", "verified"]);
    let mut table = vec![header.into_iter().map(str::to_string).collect::<Vec<_>>()];
    let seconds = |value: Option<f64>| value.map_or("-".to_string(), |value| format!("{value:.3}"));
    for query in &report.queries {
        let mut row = vec![query.query.to_string(), seconds(query.median())];
        if with_minimum {
            row.push(seconds(query.minimum()));
        }
        if with_single {
            row.push(seconds(query.single_median()));
            row.push(
                query
                    .ratio()
                    .map_or("-".to_string(), |ratio| format!("{ratio:.2}")),
            );
        }
        row.push(query.rows.map_or("-".to_string(), |rows| rows.to_string()));
        row.push(verdict(query).to_string());
        table.push(row);
    }
    table
}

fn verdict(query: &QueryReport) -> &'static str {
    match &query.verified {
        _ if query.failed() => "FAILED",
        Verification::Right => "yes",
        Verification::Wrong(_) => "WRONG",
        Verification::Skipped => "not checked",
    }
}

fn print_totals(report: &RunReport, out: &mut impl Write) -> io::Result<()> {
    let total: f64 = report.queries.iter().filter_map(QueryReport::median).sum();
    let passed = report.queries.iter().filter(|query| query.passed()).count();
    writeln!(out)?;
    write!(
        out,
        "{passed} of {} queries passed, {total:.3} s in all",
        report.queries.len()
    )?;
    match report.peak_memory_bytes {
        Some(bytes) => writeln!(out, ", peak memory {}", HumanBytes(bytes))?,
        None => writeln!(out)?,
    }
    if let Some(single) = &report.single {
        writeln!(
            out,
            "compared with one process on {} cores: {:.3} s against {:.3} s, ratio {:.3}, \
             geometric mean of the ratios {:.3}",
            single.cores,
            single.cluster_seconds,
            single.single_seconds,
            single.total_ratio,
            single.geometric_mean_ratio
        )?;
    }
    for query in report.queries.iter().filter(|query| !query.passed()) {
        let error = query.error.as_deref().unwrap_or("unknown");
        writeln!(out, "query {}: {error}", query.query)?;
    }
    Ok(())
}
