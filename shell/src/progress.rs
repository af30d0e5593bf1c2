//! The line that shows how far a running query is, gone when its result comes.

use crate::format::width;
use crate::session::Aside;
use skep_client::QueryProgress;
use std::time::{Duration, Instant};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// A query that is faster than this gets no line: it would only flicker.
const FIRST_AFTER: Duration = Duration::from_millis(500);

/// How often the line is drawn anew.
const EVERY: Duration = Duration::from_millis(250);

/// How long the server may take to answer; after that the line shows the time alone.
const ANSWER_PATIENCE: Duration = Duration::from_millis(500);

/// Below this share no estimate is made: it would jump.
const SHARE_MIN: f64 = 0.02;

/// When a statement began and when its line is drawn next.
#[derive(Debug)]
pub(crate) struct Pace {
    started: Instant,
    next: Instant,
    is_shown: bool,
    /// Whether there is no room for a line any more: the result stands there.
    pub has_output: bool,
}

impl Pace {
    /// A statement begins.
    pub(crate) fn start() -> Self {
        let started = Instant::now();
        Self {
            started,
            next: started + FIRST_AFTER,
            is_shown: false,
            has_output: false,
        }
    }

    /// What removes the line, where there is one.
    pub(crate) fn clear(&mut self) -> Option<&'static str> {
        std::mem::take(&mut self.is_shown).then_some("\r\x1b[K")
    }
}

/// The line, for as long as something is waited for.
pub(crate) struct ProgressLine<'a> {
    out: &'a mut (dyn AsyncWrite + Send + Unpin),
    aside: Option<&'a mut Box<dyn Aside>>,
    columns: usize,
    pace: &'a mut Pace,
}

impl<'a> ProgressLine<'a> {
    /// A line on `out`, a terminal of so many columns, or no line where `aside` is `None`.
    pub(crate) fn new(
        out: &'a mut (dyn AsyncWrite + Send + Unpin),
        aside: Option<&'a mut Box<dyn Aside>>,
        columns: usize,
        pace: &'a mut Pace,
    ) -> Self {
        Self {
            out,
            aside,
            columns,
            pace,
        }
    }

    /// Waits until it is time and draws the line. Never resolves where there is none.
    pub(crate) async fn tick(&mut self) {
        let Some(aside) = &mut self.aside else {
            return std::future::pending().await;
        };
        tokio::time::sleep_until(self.pace.next.into()).await;
        self.pace.next = Instant::now() + EVERY;
        let asked = tokio::time::timeout(ANSWER_PATIENCE, aside.progress()).await;
        let progress = asked.ok().and_then(Result::ok).unwrap_or_default();
        let elapsed = self.pace.started.elapsed();
        let line = render(progress.last(), elapsed, self.columns);
        self.pace.is_shown = true;
        self.draw(&format!("\r{line}\x1b[K")).await;
    }

    async fn draw(&mut self, text: &str) {
        // A line that cannot be drawn is no reason to fail.
        let _ = self.out.write_all(text.as_bytes()).await;
        let _ = self.out.flush().await;
    }
}

/// The line as text of less than `columns`, the most important first.
fn render(progress: Option<&QueryProgress>, elapsed: Duration, columns: usize) -> String {
    let mut parts = vec![time(elapsed)];
    if let Some(progress) = progress {
        match progress.state.as_str() {
            "QUEUED" => parts.push("waits for its turn".to_owned()),
            "PLANNING" => parts.push("planning".to_owned()),
            _ => running(progress, elapsed, &mut parts),
        }
    }
    let mut line = String::new();
    for part in parts {
        let separator = if line.is_empty() { "" } else { " · " };
        if width(&line) + width(separator) + width(&part) >= columns {
            break;
        }
        line.push_str(separator);
        line.push_str(&part);
    }
    line
}

fn running(progress: &QueryProgress, elapsed: Duration, parts: &mut Vec<String>) {
    let share = share(progress);
    if let Some(share) = share {
        parts.push(format!("{:.0} %", share * 100.0));
    }
    if progress.stages > 0 {
        parts.push(format!(
            "stages {}/{}",
            progress.stages_done, progress.stages
        ));
        parts.push(format!("tasks {}/{}", progress.tasks_done, progress.tasks));
    }
    if progress.read_rows > 0 {
        parts.push(format!("{} rows", count(progress.read_rows)));
        parts.push(bytes(progress.read_bytes));
    }
    if let Some(share) = share.filter(|share| (SHARE_MIN..1.0).contains(share)) {
        let left = elapsed.as_secs_f64() * (1.0 - share) / share;
        parts.push(format!(
            "about {} left",
            time(Duration::from_secs_f64(left))
        ));
    }
}

/// How much of the work is done, as far as that can be told: by rows that were read, or by tasks.
fn share(progress: &QueryProgress) -> Option<f64> {
    if progress.input_rows > 0 {
        let share = progress.read_rows as f64 / progress.input_rows as f64;
        // What has been read has still to be worked on.
        return Some(share.min(0.99));
    }
    (progress.tasks > 0 && progress.tasks_done > 0)
        .then(|| f64::from(progress.tasks_done) / f64::from(progress.tasks))
}

/// A time as people say it.
pub(crate) fn time(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", elapsed.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..7200 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

fn count(number: u64) -> String {
    match number {
        0..10_000 => number.to_string(),
        10_000..10_000_000 => format!("{:.1} k", number as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} M", number as f64 / 1e6),
        _ => format!("{:.1} G", number as f64 / 1e9),
    }
}

fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (number as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{number} B"),
        _ => format!("{value:.1} {}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running() -> QueryProgress {
        QueryProgress {
            state: "RUNNING".to_owned(),
            stages: 4,
            stages_done: 1,
            tasks: 8,
            tasks_done: 3,
            input_rows: 4_000_000,
            read_rows: 1_000_000,
            read_bytes: 300 << 20,
            ..QueryProgress::default()
        }
    }

    #[test]
    fn everything_is_on_the_line_and_the_rest_is_estimated() {
        let line = render(Some(&running()), Duration::from_secs(12), 80);
        assert_eq!(
            line,
            "12 s · 25 % · stages 1/4 · tasks 3/8 · 1000.0 k rows · 300.0 MiB · about 36 s left"
                .chars()
                .take(67)
                .collect::<String>()
                .trim_end_matches([' ', '·', 'a'])
        );
        let line = render(Some(&running()), Duration::from_secs(12), 120);
        assert!(line.ends_with("about 36 s left"), "{line}");
    }

    #[test]
    fn a_narrow_terminal_gets_what_fits() {
        for columns in 1..100 {
            let line = render(Some(&running()), Duration::from_secs(12), columns);
            assert!(width(&line) < columns.max(1), "{columns}: {line}");
        }
        assert_eq!(
            render(Some(&running()), Duration::from_secs(12), 20),
            "12 s · 25 %"
        );
        assert_eq!(render(None, Duration::from_millis(700), 20), "0.7 s");
    }

    #[test]
    fn tasks_tell_the_share_where_rows_do_not() {
        let mut progress = running();
        progress.input_rows = 0;
        assert_eq!(share(&progress), Some(0.375));
        progress.tasks_done = 0;
        assert_eq!(share(&progress), None);
        progress.state = "QUEUED".to_owned();
        let line = render(Some(&progress), Duration::from_secs(1), 80);
        assert_eq!(line, "1.0 s · waits for its turn");
    }

    #[test]
    fn numbers_as_people_say_them() {
        assert_eq!(time(Duration::from_secs(130)), "2 min 10 s");
        assert_eq!(time(Duration::from_secs(7300)), "2 h 1 min");
        assert_eq!(
            (count(9_999), count(12_500_000)),
            ("9999".into(), "12.5 M".into())
        );
        assert_eq!(
            (bytes(12), bytes(3 << 30)),
            ("12 B".into(), "3.0 GiB".into())
        );
    }
}
