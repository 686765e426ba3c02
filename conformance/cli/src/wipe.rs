//! `fieldsync wipe`: empties a data set on purpose, while no server runs on it.

use crate::command_error::CommandError;
use clap::Args;
use fieldsync_conformance::report::verdict::ExitStatus;
use std::path::PathBuf;

/// The arguments of `wipe`.
#[derive(Debug, Args)]
pub struct WipeArgs {
    /// The folder of the server's data.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The data set. What its devices pushed and was acknowledged is not sent again; make a backup first.
    #[arg(long, value_name = "DATA SET")]
    pub data_set: String,
}

/// Empties it, down to its reference records, in a new epoch.
pub fn run(args: &WipeArgs) -> Result<ExitStatus, CommandError> {
    let runtime = tokio::runtime::Runtime::new().map_err(CommandError::suite)?;
    runtime.block_on(fieldsync_server::wipe(&args.data, &args.data_set)).map_err(CommandError::usage)?;
    println!("emptied {}", args.data_set);
    Ok(ExitStatus::Conformant)
}
