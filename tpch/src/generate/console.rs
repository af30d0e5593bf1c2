//! Shows a generation's progress on standard error: a bar on a terminal, plain lines elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{GenerateProgress, ProgressCallback};

/// Plain lines appear at every such share of the whole, in percent.
const LINE_EVERY_PERCENT: u64 = 25;

/// A callback that shows progress; `terminal` says whether standard error is one.
pub fn console_progress(label: &str, terminal: bool) -> ProgressCallback {
    if terminal { bar(label) } else { lines(label) }
}

fn bar(label: &str) -> ProgressCallback {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    let template = "{prefix} [{bar:30}] {percent:>3} %  {human_pos} rows, {msg}  {eta} left";
    bar.set_style(
        ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> "),
    );
    bar.set_prefix(label.to_string());
    Arc::new(move |progress: GenerateProgress| {
        // The expected number is an estimate: the bar never runs over its end.
        bar.set_length(progress.rows_expected.max(progress.rows));
        bar.set_position(progress.rows);
        bar.set_message(HumanBytes(progress.bytes).to_string());
    })
}

fn lines(label: &str) -> ProgressCallback {
    let label = label.to_string();
    let next_percent = AtomicU64::new(0);
    Arc::new(move |progress: GenerateProgress| {
        let percent = 100 * progress.rows / progress.rows_expected.max(1);
        let step = percent - percent % LINE_EVERY_PERCENT;
        let next = next_percent.load(Ordering::Relaxed);
        let claimed = step >= next
            && next_percent
                .compare_exchange(
                    next,
                    step + LINE_EVERY_PERCENT,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok();
        if claimed {
            let (rows, bytes) = (HumanCount(progress.rows), HumanBytes(progress.bytes));
            eprintln!("{label}: {step} % ({rows} rows, {bytes})");
        }
    })
}
