//! Clients behind adapters, judged by the program: one with a fault, the reference, and the reference in a storm.

use fieldsync_conformance::scenario::storm;
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fieldsync");

/// Judges a client: the exit status, and all that was said.
fn check(adapter: &str, arguments: &[&str]) -> (i32, String) {
    let command = format!("'{PROGRAM}' {adapter}");
    let Output { status, stdout, stderr } =
        Command::new(PROGRAM).args(["check", "client", "--command", &command]).args(arguments).output().unwrap();
    let said = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).join("\n");
    (status.code().unwrap(), said)
}

#[test]
fn a_client_with_a_fault_breaks_the_rule_of_the_fault_and_one_without_keeps_it() {
    let rule = "cycles.outcomes.by-id";
    let (status, said) = check("mutants adapter outcomes-are-matched-by-their-place", &["--rule", rule]);
    assert!(status == 1 && said.contains(&format!("{rule}  MUST")), "{said}");
    let (status, said) = check("adapter serve", &["--rule", rule]);
    assert!(status == 0, "{said}");
}

#[test]
fn a_process_that_is_killed_again_and_again_comes_to_rest() {
    let folder = tempfile::tempdir().unwrap();
    let chapter = folder.path().join("storm");
    std::fs::create_dir(&chapter).unwrap();
    for seed in 1000..1006 {
        std::fs::write(chapter.join(format!("seed-{seed}.yaml")), storm::text(seed, 5)).unwrap();
    }
    let fixtures = folder.path().display().to_string();
    let (status, said) =
        check("adapter serve", &["--fixtures", &fixtures, "--scenario", "storm/*", "--timeout", "60", "--jobs", "2"]);
    assert!(status == 0 && said.contains("54 pass"), "the name of a scenario is its seed:\n{said}");
}
