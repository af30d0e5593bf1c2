//! What happens at a terminal.

use crate::pty::{CTRL_C, CTRL_D, Start, TAB, UP};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A query that takes far longer than any test.
const ENDLESS: &str = "SELECT count(*) FROM demo.lineitem a, demo.lineitem b, demo.lineitem c \
                       WHERE a.l_comment < b.l_comment AND b.l_comment < c.l_comment;";

fn home() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn somebody_new_is_told_three_things_and_the_demo_works() {
    let home = home();
    let mut shell = Start::new(&[], home.path()).start();
    let greeting = shell.wait_for("anonymous@embedded/default> ");
    for part in ["Three things to type", "\\demo", "SELECT 1 + 1;", "\\?"] {
        assert!(greeting.contains(part), "no {part} in {greeting}");
    }
    shell.line("\\demo");
    let shown = shell.wait_for("now try");
    assert!(
        shown.contains("│ nation") && shown.contains("(5 rows"),
        "{shown}"
    );
    shell.wait_for("anonymous@embedded/demo> ");
    shell.line("\\profile");
    let profile = shell.wait_for("(1 row");
    assert!(
        profile.contains("rows") && profile.contains("customer"),
        "{profile}"
    );
    shell.wait_for("demo> ");
    shell.press(CTRL_D);
    assert_eq!(shell.ended(), 0);
    let mut again = Start::new(&[], home.path()).start();
    let greeting = again.wait_for("default> ");
    assert!(!greeting.contains("Three things"), "{greeting}");
}

#[test]
fn a_statement_may_have_several_lines_and_the_prompt_shows_what_is_open() {
    let home = home();
    let mut shell = Start::new(&[], home.path()).start();
    shell.wait_for("default> ");
    shell.line("select");
    shell.wait_for("-> ");
    shell.line("(1");
    shell.wait_for("(> ");
    shell.line("+ 41) as answer, 'a");
    shell.wait_for("'> ");
    shell.line("b' as text;");
    let shown = shell.wait_for("(1 row");
    assert!(shown.contains("│     42 │ a   ↵│"), "{shown}");
    shell.wait_for("default> ");
    // The whole statement is one entry, and is one again when it is recalled.
    shell.press(UP);
    shell.wait_for("as text;");
    shell.press("\r");
    let again = shell.wait_for("(1 row");
    assert!(again.contains("│     42 │ a   ↵│"), "{again}");
}

#[test]
fn what_is_typed_ahead_is_not_lost() {
    let home = home();
    let mut shell = Start::new(&[], home.path()).start();
    shell.wait_for("default> ");
    shell.press("select 'first' as a;\rselect 'second'\ras b;\r\\set null -\rselect null as c;\r");
    for part in ["│ first │", "│ second │", "│ - │"] {
        shell.wait_for(part);
    }
}

#[test]
fn history_outlives_the_shell_and_knows_no_passwords() {
    let home = home();
    let mut shell = Start::new(&[], home.path()).start();
    shell.wait_for("default> ");
    shell.line("select 'remembered' as m;");
    shell.wait_for("(1 row");
    shell.wait_for("default> ");
    shell.line("create user x password 'hush';");
    shell.wait_for("default> ");
    shell.line("\\q");
    assert_eq!(shell.ended(), 0);
    let history = home.path().join(".local/state/skep/history");
    let history = std::fs::read_to_string(history).expect("a history");
    assert!(
        history.contains("remembered") && !history.contains("hush"),
        "{history}"
    );
    let mut again = Start::new(&[], home.path()).start();
    again.wait_for("default> ");
    // Ctrl-R searches.
    again.press("\x12memb");
    again.wait_for("select 'remembered' as m;");
    again.press("\r");
    again.wait_for("(1 row");
}

#[test]
fn tab_completes_words_commands_tables_and_columns() {
    let home = home();
    let mut shell = Start::new(&[], home.path()).start();
    shell.wait_for("default> ");
    shell.line("\\demo");
    shell.wait_for("demo> ");
    shell.press(&format!("\\tim{TAB}"));
    shell.wait_for("\\timing");
    shell.press(" off\r");
    shell.wait_for("timing is off");
    shell.wait_for("demo> ");
    shell.press(&format!("SEL{TAB}"));
    shell.wait_for("SELECT");
    shell.press(" count(*) FROM nati");
    shell.press_until(TAB, "nation");
    // Columns are asked for while the statement is typed, and come when they come.
    shell.press(" WHERE n_nam");
    shell.wait_for("n_nam");
    shell.press_until(TAB, "n_name");
    shell.press(" = 'KENYA';\r");
    let shown = shell.wait_for("(1 row)");
    assert!(shown.contains("│        1 │"), "{shown}");
}

#[test]
fn ctrl_c_cancels_on_the_server_and_keeps_the_shell() {
    let home = home();
    let mut shell = Start::new(&[], home.path()).start();
    shell.wait_for("default> ");
    shell.line("\\demo");
    shell.wait_for("demo> ");
    shell.line(ENDLESS);
    // The line of progress is there while it runs, and gone after it.
    let progress = shell.wait_until("progress", |text| {
        let line = text.split("stages").nth(1)?;
        line.contains("rows").then_some(text.len())
    });
    assert!(progress.contains("tasks"), "{progress}");
    shell.press(CTRL_C);
    shell.wait_for("cancelled");
    shell.wait_for("demo> ");
    assert!(shell.raw().contains("\r\x1b[K"), "the line was removed");
    // A second Ctrl-C leaves only within a second.
    let cancelled = Instant::now();
    shell.line("select 'later' as l;");
    shell.wait_for("│ later │");
    shell.wait_for("demo> ");
    while cancelled.elapsed() < Duration::from_millis(1100) {
        std::thread::yield_now();
    }
    shell.press(CTRL_C);
    // What is typed at the same moment goes with the signal.
    shell.wait_for("demo> ");
    shell.line("\\set pager off");
    shell.wait_for("demo> ");
    shell.line("\\queries");
    let queries = shell.wait_for("rows, ");
    assert!(
        queries.contains("CANCELED") && !queries.contains("RUNNING "),
        "{queries}"
    );
    shell.line("select 6 * 7 as n;");
    let shown = shell.wait_for("(1 row");
    assert!(shown.contains("42"), "{shown}");
}

#[test]
fn ctrl_c_twice_leaves() {
    let home = home();
    let mut shell = Start::new(&[], home.path()).start();
    shell.wait_for("default> ");
    shell.line("\\demo");
    shell.wait_for("demo> ");
    shell.line(ENDLESS);
    shell.wait_for("stages");
    shell.press(CTRL_C);
    shell.wait_for("cancelled");
    // Whether the editor reads already or not.
    shell.press(CTRL_C);
    assert_eq!(shell.ended(), 130);
}

#[test]
fn keys_wait_unseen_while_a_statement_runs() {
    let home = home();
    let mut shell = Start::new(&[], home.path()).start();
    shell.wait_for("default> ");
    // Some seconds at most, and long enough for a line of progress.
    shell.line("select sum(value % 7) as total from range(0, 200000000);");
    shell.wait_until("progress", |text| {
        let is_time = |part: &str| part.len() < 12 && part.ends_with(" s");
        text.split('\r').any(is_time).then_some(text.len())
    });
    shell.press("select 'typed' as t;\r");
    shell.press(CTRL_D);
    let result = shell.wait_for("default> ");
    assert!(
        result.contains("total │") && !result.contains("typed"),
        "{result}"
    );
    shell.wait_for("│ typed │");
    assert_eq!(shell.ended(), 0);
}

#[test]
fn commands_work_in_the_middle_of_a_line_and_of_a_statement() {
    let home = home();
    let mut shell = Start::new(&[], home.path()).start();
    shell.wait_for("default> ");
    shell.line("select 'one' as a; \\format vertical");
    shell.wait_for("│ one │");
    shell.wait_for("the format is vertical");
    shell.line("select 41");
    shell.wait_for("-> ");
    shell.line("\\timing off");
    shell.wait_for("timing is off");
    shell.wait_for("-> ");
    shell.line("+ 1 as n;");
    let shown = shell.wait_for("(1 row)");
    assert!(shown.contains("n | 42"), "{shown}");
    shell.line("select (");
    shell.wait_for("(> ");
    shell.line("\\q");
    assert_eq!(shell.ended(), 0);
}

#[test]
fn tab_completes_partitions_settings_and_paths() {
    let home = home();
    let data = home.path().join("some_data");
    std::fs::create_dir(&data).expect("a directory");
    let mut shell = Start::new(&[], home.path()).start();
    shell.wait_for("default> ");
    shell.line("create table p (n int) partitioned by (ds string);");
    shell.wait_for("(ok");
    shell.line("insert into p values (1, '2026-01-31');");
    shell.wait_for("affected");
    shell.press("select n from p where ds = '202");
    shell.press_until(TAB, "2026-01-31");
    shell.press("';\r");
    shell.wait_for("(1 row");
    shell.press(&format!("set datafusion.execution.batch{TAB}"));
    shell.wait_for("batch_size");
    shell.press(CTRL_C);
    shell.wait_for("default> ");
    let place = home.path().join("some").display().to_string();
    shell.press(&format!("create external table x location '{place}{TAB}"));
    shell.wait_for("some_data");
    shell.press(CTRL_C);
    shell.wait_for("default> ");
    // How a function is called is shown while its parenthesis is open.
    shell.press("select starts_with(");
    shell.wait_for("str, substr)");
}

#[test]
fn colour_is_for_those_who_want_it() {
    let home = home();
    for (variable, is_colored) in [("NO_COLOR", false), ("OTHER", true)] {
        let mut shell = Start::new(&[], home.path()).variable(variable, "1").start();
        shell.wait_for("default> ");
        shell.line("select 1 as n, oops;");
        shell.wait_for("oops");
        shell.wait_for("default> ");
        shell.line("select NULL as n;");
        shell.wait_for("(1 row");
        shell.line("\\q");
        assert_eq!(shell.ended(), 0);
        let is_color = |part: &&str| {
            let end = part.find(|c: char| c.is_ascii_alphabetic());
            end.is_some_and(|end| part[end..].starts_with('m'))
        };
        let raw = shell.raw();
        let colors = raw.split("\x1b[").skip(1).filter(is_color).count();
        assert_eq!(colors > 0, is_colored, "{raw:?}");
    }
}

#[test]
fn an_endless_result_on_the_terminal_stops_at_ctrl_c() {
    let home = home();
    let mut shell = Start::new(&[], home.path()).keeps_end_only().start();
    shell.end("prompt", |end| end.trim_end().ends_with("default>"));
    shell.line("\\set pager off");
    shell.end("prompt", |end| end.trim_end().ends_with("default>"));
    shell.line("select value, 'a text' as t from range(0, 10000000000);");
    shell.end("rows", |end| end.matches("│ a text │").count() > 20);
    shell.press(CTRL_C);
    shell.end("prompt", |end| {
        end.contains("cancelled") && end.trim_end().ends_with("default>")
    });
    // A pager that has seen enough ends the query, too.
    shell.line("\\q");
    let mut paged = Start::new(&[], home.path())
        .variable("PAGER", "head -n 4")
        .start();
    paged.wait_for("default> ");
    paged.line("select value, 'a text' as t from range(0, 10000000000);");
    paged.wait_for("│ a text │");
    paged.wait_for("default> ");
    paged.line("\\set pager off");
    paged.wait_for("default> ");
    // The server notices when it writes next.
    paged.press_until("\\queries\r", "CANCELED");
}

#[test]
fn the_editor_is_opened_on_the_last_statement() {
    let home = home();
    let editor = home.path().join("editor");
    std::fs::write(&editor, "#!/bin/sh\nsed -i s/one/two/ \"$1\"\n").expect("a script");
    std::fs::set_permissions(&editor, PermissionsExt::from_mode(0o755)).expect("its mode");
    let editor = editor.display().to_string();
    let mut shell = Start::new(&[], home.path())
        .variable("EDITOR", &editor)
        .start();
    shell.wait_for("default> ");
    shell.line("select 'one' as n;");
    shell.wait_for("(1 row");
    shell.line("\\e");
    shell.wait_for("select 'two' as n;");
    shell.press("\r");
    let shown = shell.wait_for("(1 row");
    assert!(shown.contains("│ two │"), "{shown}");
}

#[test]
fn a_statement_is_watched_until_ctrl_c() {
    let home = home();
    let mut shell = Start::new(&[], home.path()).start();
    shell.wait_for("default> ");
    shell.line("select 'again' as w \\watch 0.1");
    for _ in 0..3 {
        shell.wait_for("│ again │");
    }
    shell.press(CTRL_C);
    shell.wait_for("default> ");
    shell.line("select 1;");
    shell.wait_for("(1 row");
}

#[test]
fn long_results_go_through_the_pager() {
    let home = home();
    let many = "select * from unnest(range(0, 100)) as t(n);";
    let mut shell = Start::new(&[], home.path())
        .variable("PAGER", "sed s/^/paged:/")
        .start();
    shell.wait_for("default> ");
    shell.line(many);
    let shown = shell.wait_for("(100 rows");
    assert_eq!(shown.matches("paged:").count(), 104, "{shown}");
    shell.line("select 1 as short;");
    let shown = shell.wait_for("(1 row");
    assert!(!shown.contains("paged:"), "{shown}");
    shell.line("\\set pager off");
    shell.line(many);
    let shown = shell.wait_for("(100 rows");
    assert!(!shown.contains("paged:"), "{shown}");
}

#[test]
fn twenty_columns_are_enough() {
    let home = home();
    let mut shell = Start::new(&[], home.path()).columns(20).start();
    shell.wait_for("> ");
    shell.line("\\set timing off");
    shell.line("select 'a rather long text' as t, 1 as n;");
    let shown = shell.wait_for("(1 row)");
    assert!(
        shown.contains("│ a rather ") && shown.contains("│ long text"),
        "{shown}"
    );
    shell.line("\\format vertical");
    shell.line("select 'a rather long text' as t;");
    let shown = shell.wait_for("(1 row)");
    assert!(shown.contains("t | a rather long"), "{shown}");
    shell.line("\\?");
    shell.wait_for("\\q");
    shell.line("\\q");
    assert_eq!(shell.ended(), 0);
}

#[test]
fn a_dumb_terminal_gets_no_escape_sequences() {
    let home = home();
    let mut shell = Start::new(&[], home.path())
        .variable("TERM", "dumb")
        .start();
    shell.wait_for("> ");
    shell.line("select 1 as n, oops;");
    shell.wait_for("oops");
    shell.line("select 42 as n;");
    shell.wait_for("42");
    shell.line("exit");
    assert_eq!(shell.ended(), 0);
    assert!(!shell.raw().contains('\x1b'), "{:?}", shell.raw());
}

#[test]
fn data_and_errors_cannot_command_the_terminal() {
    let home = home();
    let mut shell = Start::new(&[], home.path()).start();
    shell.wait_for("default> ");
    let evil = "chr(27) || ']0;owned' || chr(7)";
    for format in [
        "table", "vertical", "csv", "tsv", "json", "ndjson", "markdown", "html",
    ] {
        shell.line(&format!("\\format {format}"));
        shell.wait_for("the format is");
        shell.line(&format!("select {evil} as e;"));
        shell.wait_for("]0;owned");
    }
    shell.line("\\format table");
    shell.line(&format!("select cast({evil} as int);"));
    shell.wait_for("error:");
    shell.line("\\q");
    assert_eq!(shell.ended(), 0);
    assert!(!shell.raw().contains("\x1b]0;owned"));
}

#[test]
fn an_unknown_command_names_the_nearest_and_a_broken_init_file_does_no_harm() {
    let home = home();
    let configuration = home.path().join(".config/skep");
    std::fs::create_dir_all(&configuration).expect("a directory");
    std::fs::write(
        configuration.join("init.sql"),
        "\\set digits grouped\nselect oops;\n",
    )
    .expect("an init file");
    let mut shell = Start::new(&[], home.path()).start();
    let shown = shell.wait_for("default> ");
    assert!(
        shown.contains("oops") && shown.contains("init.sql:2:8"),
        "{shown}"
    );
    shell.line("\\fromat csv");
    shell.wait_for("did you mean \\format?");
    shell.line("select 1234567 as n;");
    let shown = shell.wait_for("(1 row");
    assert!(shown.contains("1,234,567"), "{shown}");
}
