//! `fieldsync completions`: what a shell completes.

use crate::command_error::CommandError;
use crate::output::print;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use fieldsync_conformance::report::verdict::ExitStatus;

/// The arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "For bash: fieldsync completions bash > ~/.local/share/bash-completion/completions/fieldsync")]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Prints the script for the shell.
pub fn run(args: CompletionsArgs) -> Result<ExitStatus, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::Program::command(), "fieldsync", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitStatus::Conformant)
}
