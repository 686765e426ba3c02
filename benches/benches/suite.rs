//! The suite: scenarios a second against the reference, in this process and through adapters, and how long the mutants
//! take. What ends devices and starts them again is measured apart: it costs what a start of the client costs.

use fieldsync_benches::report::{self, Target};
use fieldsync_benches::{Outcome, program, rounds};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// A run of the suite that is measured.
struct Measured {
    name: &'static str,
    arguments: Vec<String>,
    /// Scenarios a second.
    target: f64,
}

fn main() -> Outcome {
    let release = program::release()?;
    let client = |command: String| vec!["check".to_owned(), "client".to_owned(), "--command".to_owned(), command];
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reference-impl/python/adapter.py");
    let without_restarts = without_restarts();
    let runs = [
        Measured { name: "server and devices", arguments: vec!["check".to_owned()], target: 500.0 },
        Measured {
            name: "client, in process",
            arguments: vec!["check".to_owned(), "client".to_owned()],
            target: 500.0,
        },
        Measured {
            name: "client, Rust adapter",
            arguments: client(format!("'{}' adapter serve", release.display())),
            target: 500.0,
        },
        Measured {
            name: "client, Python adapter",
            arguments: client(format!("python3 '{}'", python.display())),
            target: 100.0,
        },
    ];
    report::begin("the suite, against the embedded reference");
    for Measured { name, arguments, target } in runs {
        for (which, filters, target) in
            [("no restarts", &without_restarts[..], Target::AtLeast(target)), ("all", &[], Target::None)]
        {
            let (mut rates, mut seconds, mut count) = (Vec::new(), Vec::new(), 0.0);
            for _ in 0..rounds() {
                let began = Instant::now();
                let output = Command::new(&release).args(&arguments).args(filters).output()?;
                let took = began.elapsed().as_secs_f64();
                let summary = String::from_utf8_lossy(&output.stdout).into_owned();
                if !output.status.success() {
                    return Err(summary.into());
                }
                count = scenarios(&summary).ok_or("check prints no count of scenarios")?;
                rates.push(count / took);
                seconds.push(took);
            }
            report::line(&format!("{name}, {which}"), "a second", &rates, target, &format!("{count} scenarios"));
            report::line("all of it", "s", &seconds, Target::None, "");
        }
    }
    let began = Instant::now();
    let mutants = Command::new(&release).arg("mutants").output()?;
    let took = began.elapsed().as_secs_f64();
    let verdict = if mutants.status.success() { "all killed" } else { "NOT all killed" };
    report::line("mutation matrix", "s", &[took], Target::AtMost(60.0), &format!("{verdict}; once"));
    Ok(())
}

/// The filters that select the scenarios in which no device ends and goes on.
fn without_restarts() -> Vec<String> {
    let cases = fieldsync_conformance::scenario::embedded().cases;
    let steady = cases.into_iter().filter(|case| !case.restarts_a_device());
    steady.flat_map(|case| ["--scenario".to_owned(), case.id]).collect()
}

/// The number before " scenarios:" in the report's last line.
fn scenarios(report: &str) -> Option<f64> {
    report.split_once(" scenarios:")?.0.rsplit(char::is_whitespace).next()?.parse().ok()
}
