//! The stages as text for people.

use super::metrics::{Measured, Work};
use super::model::{OperatorView, StageView};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

const INDENT: &str = "  ";

/// Writes all stages, each indented by how far it is from the head.
pub(super) fn render(head: &StageView) -> String {
    let mut out = String::new();
    for (depth, stage) in head.flattened() {
        let margin = INDENT.repeat(depth);
        line(&mut out, &format!("{margin}{}", title(stage)));
        for operator in &stage.operators {
            let inner = INDENT.repeat(operator.depth + 1);
            line(
                &mut out,
                &format!("{margin}{inner}{}", operator_line(operator)),
            );
        }
    }
    out
}

fn line(out: &mut String, text: &str) {
    // Writing into a string cannot fail.
    let _ = writeln!(out, "{}", text.trim_end());
}

/// `Stage 3: 2 tasks of 4 partitions on h1:8091 (task 0), h2:8091 (task 1)`
fn title(stage: &StageView) -> String {
    let name = match stage.number {
        None => "Head".to_owned(),
        Some(number) => format!("Stage {number}"),
    };
    let tasks = count(stage.tasks, "task");
    let partitions = count(stage.partitions, "partition");
    let mut title = format!("{name}: {tasks} of {partitions}{}", places(stage));
    if let Some(measured) = &stage.measured {
        let _ = write!(title, " [{}]", numbers(measured, true));
    }
    title
}

fn places(stage: &StageView) -> String {
    let mut tasks: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (task, place) in stage.runs_on.iter().enumerate() {
        if let Some(place) = place {
            tasks.entry(place).or_default().push(task.to_string());
        }
    }
    let alone = stage.tasks == 1;
    let places: Vec<String> = tasks
        .into_iter()
        .map(|(place, tasks)| match (alone, tasks.len()) {
            (true, _) => place.to_owned(),
            (false, 1) => format!("{place} (task {})", tasks.join(", ")),
            (false, _) => format!("{place} (tasks {})", tasks.join(", ")),
        })
        .collect();
    match places.is_empty() {
        true => String::new(),
        false => format!(" on {}", places.join(", ")),
    }
}

fn operator_line(operator: &OperatorView) -> String {
    match &operator.measured {
        None => operator.text.clone(),
        Some(measured) => format!("{} [{}]", operator.text, numbers(measured, false)),
    }
}

/// `rows=1,204, time=3.2ms, exchanged=1.5 MiB, slowest task 1: 2.9ms, fastest task 0: 0.3ms`. An operator
/// says what it spilled where it did, a stage always.
fn numbers(measured: &Measured, is_stage: bool) -> String {
    let Work {
        rows,
        compute_ns,
        exchanged_bytes,
        spilled_bytes,
        rejected_lines,
    } = &measured.all;
    let mut parts = vec![];
    if let Some(rows) = rows {
        parts.push(format!("rows={}", grouped(*rows)));
    }
    parts.push(format!("time={}", time(*compute_ns)));
    if let Some(bytes) = exchanged_bytes {
        parts.push(format!("exchanged={}", size(*bytes)));
    }
    if is_stage || *spilled_bytes > 0 {
        parts.push(format!("spilled={}", size(*spilled_bytes)));
    }
    if !is_stage && *rejected_lines > 0 {
        parts.push(format!("rejected_lines={}", grouped(*rejected_lines)));
    }
    if let Some(extremes) = measured.extremes() {
        for (name, (task, work)) in [("slowest", extremes.slowest), ("fastest", extremes.fastest)] {
            parts.push(format!("{name} task {task}: {}", time(work.compute_ns)));
        }
    }
    parts.join(", ")
}

fn count(number: usize, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn time(nanoseconds: u64) -> String {
    let seconds = Duration::from_nanos(nanoseconds).as_secs_f64();
    match seconds {
        _ if nanoseconds == 0 => "0".to_owned(),
        _ if seconds < 0.001 => format!("{:.0}µs", seconds * 1e6),
        _ if seconds < 1.0 => format!("{:.1}ms", seconds * 1e3),
        _ => format!("{seconds:.2}s"),
    }
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.1} {}", UNITS[unit])
}
