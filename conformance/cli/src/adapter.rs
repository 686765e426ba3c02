//! `fieldsync adapter`: what the author of a client needs to plug it in.

use crate::command_error::CommandError;
use clap::{Args, Subcommand};
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_conformance::subject::adapter;
use fieldsync_conformance::subject::reference::{DeviceFault, ReferenceDevices, description};
use std::sync::Arc;

/// The arguments of `adapter`.
#[derive(Debug, Args)]
pub struct AdapterArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: AdapterAction,
}

/// What to do with adapters.
#[derive(Debug, Subcommand)]
pub enum AdapterAction {
    /// Be the adapter of the reference device: lines come on the standard input.
    Serve,
}

/// Does it.
pub fn run(args: AdapterArgs) -> Result<ExitStatus, CommandError> {
    match args.action {
        AdapterAction::Serve => serve(Arc::new(|parts| parts)),
    }
}

/// Answers lines with a reference device whose parts are changed, as a mutant's are.
pub fn serve(fault: DeviceFault) -> Result<ExitStatus, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::suite)?;
    let devices = Arc::new(ReferenceDevices::with(fault));
    let served = adapter::serve(description(), devices, tokio::io::stdin(), tokio::io::stdout());
    runtime.block_on(served).map_err(CommandError::usage)?;
    // A read of the standard input that is under way must not keep the process.
    runtime.shutdown_background();
    Ok(ExitStatus::Conformant)
}
