//! The suite: scenarios a second against the reference, in this process and through adapters, and how long the mutants
//! take.

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
    for run in runs {
        let (mut rates, mut seconds, mut count) = (Vec::new(), Vec::new(), 0.0);
        for _ in 0..rounds() {
            let began = Instant::now();
            let output = Command::new(&release).args(&run.arguments).output()?;
            let took = began.elapsed().as_secs_f64();
            let summary = String::from_utf8_lossy(&output.stdout).into_owned();
            if !output.status.success() {
                return Err(summary.into());
            }
            count = scenarios(&summary).ok_or("check prints no count of scenarios")?;
            rates.push(count / took);
            seconds.push(took);
        }
        report::line(run.name, "a second", &rates, Target::AtLeast(run.target), &format!("{count} scenarios"));
        report::line("all of it", "s", &seconds, Target::AtMost(count / run.target), "");
    }
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
