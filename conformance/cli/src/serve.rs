//! `fieldsync serve`: the reference server.

use crate::command_error::CommandError;
use clap::Args;
use fieldsync_conformance::report::verdict::ExitStatus;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The folder of the data; made where it is missing.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Where to listen; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// A data set to host, as YAML; once for each.
    #[arg(long, value_name = "FILE", required = true)]
    pub domain: Vec<PathBuf>,
    /// Offer the control verbs, for tests; refused on any address but loopback.
    #[arg(long)]
    pub control: bool,
}

/// Serves until it is told to stop.
pub fn run(_args: ServeArgs) -> Result<ExitStatus, CommandError> {
    Err(CommandError::suite("`fieldsync serve` is not built into this binary"))
}
