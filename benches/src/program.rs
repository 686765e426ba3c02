//! The program `fieldsync`, built as people build it.

use crate::Outcome;
use std::path::PathBuf;
use std::process::Command;

/// Builds the release program, unless it is fresh, and says where it is.
pub fn release() -> Outcome<PathBuf> {
    // Cargo says its own place to the benchmarks that it runs.
    if let Some(cargo) = std::env::var_os("CARGO") {
        let built = Command::new(cargo).args(["build", "--release", "--quiet", "--package", "fieldsync"]).status()?;
        if !built.success() {
            return Err("the program does not build".into());
        }
    }
    let program = target_dir()?.join("release/fieldsync");
    if !program.is_file() {
        return Err(format!("{} is not there; cargo build --release makes it", program.display()).into());
    }
    Ok(program)
}

/// The small program that is published, where someone has built it.
pub fn dist() -> Option<PathBuf> {
    let program = target_dir().ok()?.join("dist/fieldsync");
    program.is_file().then_some(program)
}

/// A benchmark stands in `<target>/release/deps`.
fn target_dir() -> Outcome<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.ancestors().nth(3).ok_or("the benchmark stands outside a target folder")?.to_owned())
}
