//! `fieldsync mutants`: prove that the suite catches what it is there to catch.

use crate::command_error::CommandError;
use clap::{Args, Subcommand};
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_conformance::trace::MutantInfo;
use std::path::PathBuf;

/// The arguments of `mutants`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct MutantsArgs {
    /// Start one mutant as a process, instead of running the matrix.
    #[command(subcommand)]
    pub start: Option<StartMutant>,
    /// Only this mutant.
    #[arg(long, value_name = "NAME")]
    pub mutant: Vec<String>,
    /// Only the mutants that break this rule.
    #[arg(long, value_name = "ID")]
    pub rule: Vec<String>,
    /// Run all scenarios against each mutant, not only those of its rule until it is caught.
    #[arg(long)]
    pub all: bool,
    /// How many mutants run at once; what the machine can do where absent.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs: Option<u32>,
}

/// Start one mutant as a process.
#[derive(Debug, Subcommand)]
pub enum StartMutant {
    /// Run a server with one fault.
    Serve(ServeMutantArgs),
    /// Run a client adapter with one fault, on the standard input and output.
    Adapter(AdaptMutantArgs),
}

/// A server with one fault.
#[derive(Debug, Args)]
pub struct ServeMutantArgs {
    /// The mutant.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How it is served.
    #[command(flatten)]
    pub serve: crate::serve::ServeArgs,
}

/// A client adapter with one fault.
#[derive(Debug, Args)]
pub struct AdaptMutantArgs {
    /// The mutant.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The folder of its store; in memory where absent.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// Every mutant that this binary has.
pub fn known() -> Vec<MutantInfo> {
    Vec::new()
}

/// Runs the matrix, or starts one mutant.
pub fn run(_args: MutantsArgs) -> Result<ExitStatus, CommandError> {
    Err(CommandError::suite("`fieldsync mutants` is not built into this binary"))
}
