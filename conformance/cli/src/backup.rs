//! `fieldsync backup`: a backup of a server's data, while it serves.

use crate::command_error::CommandError;
use clap::Args;
use fieldsync_conformance::report::verdict::ExitStatus;
use std::path::PathBuf;

/// The arguments of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The folder of the data.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The file to make; it must not exist.
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
}

/// Makes the backup. A server that runs on the folder tells its devices within seconds what they need not keep.
pub fn run(args: &BackupArgs) -> Result<ExitStatus, CommandError> {
    fieldsync_server::back_up(&args.data, &args.to).map_err(CommandError::usage)?;
    println!("{}", args.to.display());
    Ok(ExitStatus::Conformant)
}
