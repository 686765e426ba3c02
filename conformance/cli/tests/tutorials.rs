//! The tutorials of the specification, done as a reader does them: the files written, the commands typed, and what they
//! print held against the text. Needs Python; where there is none the tests say so and pass.

use fieldsync_conformance::spec::{Command as Typed, Spec, Tutorial, TutorialStep};
use std::path::Path;
use std::process::{Command, Stdio};

/// The path on which the program is found first.
fn path() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_fieldsync"));
    let others = std::env::var("PATH").unwrap_or_default();
    format!("{}:{others}", program.parent().unwrap().display())
}

fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_ok_and(|it| it.success());
    if !found {
        eprintln!("skipped: no Python is installed, so nobody does the tutorial");
    }
    found
}

fn tutorial(name: &str) -> Tutorial {
    let all = Spec::embedded().unwrap().tutorials;
    all.into_iter().find(|one| one.name == name).unwrap_or_else(|| panic!("there is no {name}"))
}

fn follow(name: &str) {
    if !has_python() {
        return;
    }
    let tutorial = tutorial(name);
    let folder = tempfile::tempdir().unwrap();
    for step in &tutorial.steps {
        match step {
            TutorialStep::Write { path, text, appends } => {
                let path = folder.path().join(path);
                let before = if *appends { std::fs::read_to_string(&path).unwrap() } else { String::new() };
                std::fs::write(&path, before + text).unwrap();
            }
            TutorialStep::Run(typed) => run(typed, folder.path(), &tutorial.file),
        }
    }
}

fn run(typed: &Typed, folder: &Path, file: &str) {
    let output = Command::new("sh")
        .args(["-c", &typed.line])
        .current_dir(folder)
        .env("PATH", path())
        .env("XDG_CACHE_HOME", folder)
        // Python need not keep what it compiles: a file that is written twice within a second would look unchanged.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    if let Some(line) = typed.differs(&printed) {
        panic!(
            "{file}:{}: {}\nis to print\n  {line}\nand it prints\n{printed}\n{}",
            typed.at,
            typed.line,
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn a_server_comes_to_its_first_green_chapter() {
    follow("tutorial-server");
}

#[test]
fn a_client_comes_to_its_first_green_scenario() {
    follow("tutorial-client");
}
