//! `fieldsync doc`: for those who write about the protocol.

use crate::command_error::CommandError;
use crate::output::print;
use crate::suite::SuiteOptions;
use clap::{Args, Subcommand};
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_conformance::spec::{Flaw, check_document};
use std::path::PathBuf;

/// The arguments of `doc`.
#[derive(Debug, Args)]
pub struct DocArgs {
    #[command(subcommand)]
    command: DocCommand,
    #[command(flatten)]
    suite: SuiteOptions,
}

#[derive(Debug, Subcommand)]
enum DocCommand {
    /// Hold the JSON and HTTP examples of Markdown files against the schemas, and the rules that they name against the
    /// specification.
    Check {
        /// The files.
        #[arg(value_name = "FILE.md", required = true)]
        files: Vec<PathBuf>,
    },
}

/// Does it. A flaw is exit status 1.
pub fn run(args: DocArgs) -> Result<ExitStatus, CommandError> {
    let DocCommand::Check { files } = &args.command;
    let spec = args.suite.load_spec()?;
    let mut flaws: Vec<Flaw> = Vec::new();
    for path in files {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| CommandError::usage(format!("cannot read {name}: {error}")))?;
        flaws.extend(check_document(&spec, &name, &text));
    }
    let mut out: String = flaws.iter().map(|flaw| format!("{flaw}\n")).collect();
    out += &match (flaws.len(), files.len()) {
        (0, 1) => "1 file without a flaw\n".to_owned(),
        (0, files) => format!("{files} files without a flaw\n"),
        (1, _) => "1 flaw\n".to_owned(),
        (flaws, _) => format!("{flaws} flaws\n"),
    };
    print(&out)?;
    Ok(if flaws.is_empty() { ExitStatus::Conformant } else { ExitStatus::NotConformant })
}
