//! The page of a thousand scenarios: how long it takes to write, how large it is, and how long a browser takes to open and
//! filter it.
//!
//! The run is a real one, cut after its first thousand scenarios. The browser is Chromium, where there is one, and its own
//! start is measured with an empty page and taken off.

use fieldsync_benches::report::{self, Target};
use fieldsync_benches::{Outcome, program, rounds};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const SCENARIOS: usize = 1000;

fn main() -> Outcome {
    let release = program::release()?;
    let folder = tempfile::tempdir()?;
    let (run, page, empty) =
        (folder.path().join("run.jsonl"), folder.path().join("page.html"), folder.path().join("empty.html"));
    // A run in which something failed is told as well as any other.
    Command::new(&release).args(["check", "--jsonl"]).arg(&run).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    let whole = std::fs::read_to_string(&run)?;
    let lines: Vec<&str> = whole.lines().collect();
    let [head @ .., footer] = &lines[..] else { return Err("the run has no event".into()) };
    let kept: Vec<&str> = head.iter().take(SCENARIOS + 1).chain([footer]).copied().collect();
    std::fs::write(&run, kept.join("\n") + "\n")?;

    report::begin(&format!("the page of {} scenarios", kept.len() - 2));
    let mut written = Vec::new();
    for _ in 0..rounds() {
        let began = Instant::now();
        let told =
            Command::new(&release).arg("report").arg(&run).arg("--html").arg(&page).stdout(Stdio::null()).status()?;
        if !told.success() {
            return Err("the run could not be told".into());
        }
        written.push(began.elapsed().as_secs_f64());
    }
    report::line("read the run, write the page", "s", &written, Target::AtMost(1.0), "with the start of the program");
    let megabytes = std::fs::metadata(&page)?.len() as f64 / 1e6;
    report::line("its size", "MB", &[megabytes], Target::AtMost(5.0), "");

    let Some(chromium) = chromium() else {
        report::missing("open and filter it", "there is no chromium");
        return Ok(());
    };
    std::fs::write(&empty, "<!doctype html><title>empty</title>")?;
    let mut opened = Vec::new();
    for _ in 0..rounds() {
        let nothing = open(&chromium, &empty, "")?;
        opened.push((open(&chromium, &page, "#?q=push&v=pass")? - nothing).max(0.0));
    }
    report::line("open and filter it", "s", &opened, Target::AtMost(1.0), "an empty page taken off");
    Ok(())
}

fn chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("FIELDSYNC_CHROMIUM") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("chromium")).find(|program| program.is_file())
}

/// The seconds until the browser has shown a page and ended.
fn open(chromium: &Path, page: &Path, fragment: &str) -> Outcome<f64> {
    let profile = tempfile::tempdir()?;
    let began = Instant::now();
    let shown = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}{fragment}", page.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if !shown.success() {
        return Err("the browser did not show the page".into());
    }
    Ok(began.elapsed().as_secs_f64())
}
