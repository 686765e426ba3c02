//! `fieldsync doc`: for those who write about the protocol.

use crate::command_error::CommandError;
use crate::output::print;
use crate::suite::SuiteOptions;
use clap::{Args, Subcommand};
use fieldsync_conformance::report::drawn;
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_conformance::site::{PlayError, play_one};
use fieldsync_conformance::spec::{Flaw, check_document, check_links};
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
    /// Hold the JSON and HTTP examples of Markdown files against the schemas, the rules that they name against the
    /// specification, and their relative links against what is there.
    Check {
        /// The files.
        #[arg(value_name = "FILE.md", required = true)]
        files: Vec<PathBuf>,
    },
    /// Draw a scenario as it happens between the reference's devices and server.
    Diagram(DiagramArgs),
}

/// The arguments of `doc diagram`.
#[derive(Debug, Args)]
struct DiagramArgs {
    /// The scenario, such as `push/lost-answer-to-a-create`.
    #[arg(value_name = "SCENARIO")]
    scenario: String,
    /// As text for Mermaid, which Markdown on GitHub and GitLab draws; this is what is printed without more.
    #[arg(long, conflicts_with = "svg")]
    mermaid: bool,
    /// As a picture with its style in it.
    #[arg(long)]
    svg: bool,
}

/// Does it. A flaw is exit status 1.
pub fn run(args: DocArgs) -> Result<ExitStatus, CommandError> {
    match &args.command {
        DocCommand::Check { files } => check(files, &args.suite),
        DocCommand::Diagram(diagram) => draw(diagram, &args.suite),
    }
}

fn check(files: &[PathBuf], suite: &SuiteOptions) -> Result<ExitStatus, CommandError> {
    let spec = suite.load_spec()?;
    let mut flaws: Vec<Flaw> = Vec::new();
    for path in files {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| CommandError::usage(format!("cannot read {name}: {error}")))?;
        let mut of_file = check_document(&spec, &name, &text);
        of_file.extend(check_links(path, &text));
        of_file.sort_by_key(|flaw| flaw.line);
        flaws.extend(of_file);
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

fn draw(args: &DiagramArgs, suite: &SuiteOptions) -> Result<ExitStatus, CommandError> {
    let suite = suite.load()?;
    let named = suite.cases.iter().find(|case| case.id == args.scenario || case.file_id() == args.scenario);
    let case = named.ok_or_else(|| suite.unknown_scenario(&args.scenario))?;
    let runtime = tokio::runtime::Runtime::new().map_err(CommandError::suite)?;
    let ended = runtime.block_on(play_one(case, &suite.spec)).map_err(|error| match error {
        PlayError::Failed { .. } => CommandError::not_conformant(error),
        error => CommandError::suite(error),
    })?;
    runtime.shutdown_background();
    print(&if args.svg { drawn::svg(&ended).map_err(CommandError::suite)? } else { drawn::mermaid(&ended) })?;
    Ok(ExitStatus::Conformant)
}
