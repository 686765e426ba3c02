//! The suite: scenarios a second against the reference, and how long the mutants take.

use fieldsync_benches::report::{self, Target};
use fieldsync_benches::{Outcome, program, rounds};
use std::process::Command;
use std::time::Instant;

fn main() -> Outcome {
    let release = program::release()?;
    report::begin("the suite, against the embedded reference");
    let (mut rates, mut seconds, mut summary) = (Vec::new(), Vec::new(), String::new());
    for _ in 0..rounds() {
        let began = Instant::now();
        let output = Command::new(&release).arg("check").output()?;
        let took = began.elapsed().as_secs_f64();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stdout).into());
        }
        summary = String::from_utf8_lossy(&output.stdout).into_owned();
        rates.push(scenarios(&summary).ok_or("check prints no count of scenarios")? / took);
        seconds.push(took);
    }
    let count = scenarios(&summary).unwrap_or_default();
    report::line("scenarios", "a second", &rates, Target::AtLeast(500.0), &format!("{count} scenarios"));
    report::line("the whole suite", "s", &seconds, Target::AtMost(5.0), "");
    let began = Instant::now();
    let mutants = Command::new(&release).arg("mutants").output()?;
    let took = began.elapsed().as_secs_f64();
    let verdict = if mutants.status.success() { "all killed" } else { "NOT all killed" };
    report::line("mutation matrix", "s", &[took], Target::AtMost(60.0), &format!("{verdict}; once"));
    Ok(())
}

/// The number before " scenarios:" in the report's last line.
fn scenarios(report: &str) -> Option<f64> {
    report.split_once(" scenarios:")?.0.rsplit(char::is_whitespace).next()?.parse().ok()
}
