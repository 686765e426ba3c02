//! The program: how fast `fieldsync --help` answers, and how large the published binary is.
//!
//! The published binary is that of `cargo build --profile dist`; its size is reported where someone has built it, for
//! that takes minutes.

use fieldsync_benches::report::{self, Target};
use fieldsync_benches::{Outcome, program, rounds};
use std::process::{Command, Stdio};
use std::time::Instant;

const STARTS: usize = 20;

fn main() -> Outcome {
    let release = program::release()?;
    report::begin("the program");
    let (mut help, mut nothing) = (Vec::new(), Vec::new());
    for _ in 0..rounds() {
        help.push(start(Command::new(&release).arg("--help"))?);
        nothing.push(start(&mut Command::new("true"))?);
    }
    report::line("fieldsync --help", "ms", &help, Target::AtMost(10.0), "release build");
    report::line("a program that does nothing", "ms", &nothing, Target::None, "");
    match program::dist() {
        Some(dist) => {
            let megabytes = std::fs::metadata(dist)?.len() as f64 / 1e6;
            report::line("published binary", "MB", &[megabytes], Target::AtMost(15.0), "");
        }
        None => report::missing("published binary", "cargo build --profile dist makes it"),
    }
    Ok(())
}

/// The milliseconds from start to end, in the mean of a few.
fn start(command: &mut Command) -> Outcome<f64> {
    let began = Instant::now();
    for _ in 0..STARTS {
        if !command.stdout(Stdio::null()).status()?.success() {
            return Err("the program failed".into());
        }
    }
    Ok(began.elapsed().as_secs_f64() * 1000.0 / STARTS as f64)
}
