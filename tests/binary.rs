//! The program starts. That this is a test of its package makes cargo build the program before the
//! end-to-end tests in `tests/tests` need it.

use std::process::Command;

#[test]
fn the_program_says_which_it_is() {
    let output = Command::new(env!("CARGO_BIN_EXE_skep"))
        .arg("--version")
        .output()
        .expect("it starts");
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("skep "), "{text}");
    assert!(text.contains("datafusion"), "{text}");
}
