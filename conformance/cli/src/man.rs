//! `fieldsync man`: a manual page for each command.

use crate::command_error::CommandError;
use crate::output::print;
use clap::{Args, CommandFactory};
use fieldsync_conformance::report::verdict::ExitStatus;
use std::path::PathBuf;

/// The arguments of `man`.
#[derive(Debug, Args)]
#[command(after_help = "To read one: fieldsync man --out man && man man/fieldsync-check.1")]
pub struct ManArgs {
    /// The folder that the pages are written to.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Writes the pages.
pub fn run(args: ManArgs) -> Result<ExitStatus, CommandError> {
    let wrong = |error: std::io::Error| CommandError::usage(format!("{}: {error}", args.out.display()));
    std::fs::create_dir_all(&args.out).map_err(wrong)?;
    clap_mangen::generate_to(crate::Program::command(), &args.out).map_err(wrong)?;
    let pages = std::fs::read_dir(&args.out).map_err(wrong)?.count();
    print(&format!("{pages} pages in {}\n", args.out.display()))?;
    Ok(ExitStatus::Conformant)
}
