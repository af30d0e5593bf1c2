//! How fast the shell is there and how little memory it takes: a benchmark, which `docs/shell.md` says
//! how to run, since a busy machine would fail it for no reason.

use crate::pty::Start;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::process::binary;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often a start is measured; the median counts.
const STARTS: usize = 11;

/// How many rows the large result has.
const ROWS: u64 = 10_000_000;

/// What the issue allows.
const START_MAX: Duration = Duration::from_millis(150);
const EMBEDDED_START_MAX: Duration = Duration::from_millis(400);
const MEMORY_KIB_MAX: u64 = 100 * 1024;

fn median_start(arguments: &[&str]) -> Duration {
    let home = tempfile::tempdir().expect("a directory");
    let mut times: Vec<_> = (0..STARTS)
        .map(|_| {
            let begun = Instant::now();
            let mut shell = Start::new(arguments, home.path()).start();
            shell.wait_for("default> ");
            let time = begun.elapsed();
            shell.line("\\q");
            assert_eq!(shell.ended(), 0);
            time
        })
        .collect();
    times.sort();
    times[STARTS / 2]
}

#[tokio::test]
#[ignore = "a benchmark"]
async fn the_prompt_is_there_at_once() {
    let server = Cluster::start(Setup::standalone()).await;
    let connected = median_start(&["shell", "--connect", &server.url]);
    let embedded = median_start(&[]);
    println!(
        "start to prompt: {connected:?} connected, {embedded:?} embedded (median of {STARTS})"
    );
    assert!(connected < START_MAX, "{connected:?}");
    assert!(embedded < EMBEDDED_START_MAX, "{embedded:?}");
}

#[tokio::test]
#[ignore = "a benchmark"]
async fn ten_million_rows_take_little_memory() {
    let home = tempfile::tempdir().expect("a directory");
    let server = Cluster::start(Setup::standalone()).await;
    let sql = format!(
        "select value as id, 'a text of some length' as text, value * 0.5 as half from range(0, {ROWS})"
    );
    let begun = Instant::now();
    let mut child = Command::new(binary())
        .args([
            "shell",
            "--connect",
            &server.url,
            "--format",
            "csv",
            "-e",
            &sql,
        ])
        .env_clear()
        .env("HOME", home.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("skep starts");
    let status = format!("/proc/{}/status", child.id());
    let mut out = child.stdout.take().expect("its output");
    let (mut lines, mut bytes, mut peak_kib) = (0_u64, [0; 1 << 16], 0);
    loop {
        let count = out.read(&mut bytes).expect("its output");
        if count == 0 {
            break;
        }
        lines += bytes[..count].iter().filter(|byte| **byte == b'\n').count() as u64;
        peak_kib = peak_kib.max(peak_of(&status));
    }
    assert!(child.wait().expect("it ends").success());
    println!(
        "{ROWS} rows as CSV: {:?}, {} MiB at most",
        begun.elapsed(),
        peak_kib / 1024
    );
    assert_eq!(lines, ROWS + 1);
    assert!(peak_kib > 0 && peak_kib < MEMORY_KIB_MAX, "{peak_kib} KiB");
}

#[tokio::test]
#[ignore = "a benchmark"]
async fn ten_million_rows_on_a_terminal_take_little_memory() {
    let home = tempfile::tempdir().expect("a directory");
    let server = Cluster::start(Setup::standalone()).await;
    let arguments = ["shell", "--connect", &server.url];
    for pager in ["", "cat"] {
        let mut shell = Start::new(&arguments, home.path())
            .variable("PAGER", pager)
            .keeps_end_only()
            .start();
        let is_prompt = |end: &str| end.trim_end().ends_with("default>");
        shell.end("prompt", is_prompt);
        if pager.is_empty() {
            shell.line("\\set pager off");
            shell.end("prompt", |end| end.contains("off") && is_prompt(end));
        }
        let begun = Instant::now();
        shell.line(&format!(
            "select value as id, 'a text of some length' as text from range(0, {ROWS});"
        ));
        shell.end("result", |end| {
            end.contains(&format!("({ROWS} rows")) && is_prompt(end)
        });
        let peak_kib = peak_of(&format!("/proc/{}/status", shell.id()));
        println!(
            "{ROWS} rows on a terminal, pager '{pager}': {:?}, {} MB of text, {} MiB at most",
            begun.elapsed(),
            shell.count() / 1_000_000,
            peak_kib / 1024
        );
        assert!(peak_kib > 0 && peak_kib < MEMORY_KIB_MAX, "{peak_kib} KiB");
    }
}

/// The most memory that the process has had, in KiB; 0 where it has ended.
fn peak_of(status: &str) -> u64 {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
