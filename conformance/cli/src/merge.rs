//! `fieldsync merge`: put the shards of a run together, and tell it as one.

use crate::command_error::CommandError;
use crate::config::ConfigOptions;
use crate::report::read;
use crate::report_files::ReportOptions;
use crate::suite::SuiteOptions;
use clap::Args;
use fieldsync_conformance::merge::{Part, merge};
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_schemas::event::Event;
use std::path::PathBuf;

/// The arguments of `merge`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: that of `check` for the whole run; 2 where the files are not the shards of one.")]
pub struct MergeArgs {
    /// What `check --shard N/M --jsonl FILE` wrote: every shard once, in any order.
    #[arg(value_name = "FILE", required = true)]
    shards: Vec<PathBuf>,
    /// What is told of the run.
    #[command(flatten)]
    report: ReportOptions,
    /// Where specification and scenarios come from.
    #[command(flatten)]
    suite: SuiteOptions,
    /// Where more of this stands.
    #[command(flatten)]
    config: ConfigOptions,
}

/// Merges the shards, and judges the whole.
pub fn run(mut args: MergeArgs) -> Result<ExitStatus, CommandError> {
    args.config.load()?.complete_report(&mut args.report);
    let shards: Vec<Vec<Event>> = args.shards.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
    let names: Vec<String> = args.shards.iter().map(|path| path.display().to_string()).collect();
    let parts: Vec<Part<'_>> = names.iter().zip(&shards).map(|(name, events)| Part { name, events }).collect();
    let baseline = args.report.prepare()?;
    let suite = args.suite.load()?;
    let mut events = merge(&parts, &suite.spec).map_err(CommandError::usage)?;
    args.report.finish(&mut events, &suite, baseline.as_ref())
}
