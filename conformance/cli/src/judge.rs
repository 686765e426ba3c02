//! `fieldsync judge`: recorded traffic of a real deployment.

use crate::command_error::CommandError;
use crate::report_files::ReportOptions;
use crate::suite::SuiteOptions;
use clap::{Args, ValueEnum};
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_conformance::{har, run};
use fieldsync_schemas::event::Actor;
use std::path::PathBuf;
use url::Url;

/// The arguments of `judge`.
#[derive(Debug, Args)]
#[command(
    after_help = "Traffic proves no conformance: what nobody did is not seen. What it shows to be broken is broken.\n\
                  Exit status: 0 nothing is broken, 1 a rule is, 2 the file cannot be judged, 4 it shows nothing."
)]
pub struct JudgeArgs {
    /// The recording: HAR 1.2, as browsers, proxies and test tools export it.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The base URL of a data set; may be given several times. Found by its sessions, pushes and pulls where absent.
    #[arg(long, value_name = "URL")]
    pub base: Vec<Url>,
    /// Whose rules count; both sides' where absent.
    #[arg(long, value_name = "SIDE")]
    pub judge: Option<Side>,
    /// What is told of it.
    #[command(flatten)]
    pub report: ReportOptions,
    /// Where the specification comes from.
    #[command(flatten)]
    pub suite: SuiteOptions,
}

/// A side of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Side {
    /// The server's rules.
    Server,
    /// The devices' rules.
    Device,
}

/// Judges, and tells.
pub fn run(args: JudgeArgs) -> Result<ExitStatus, CommandError> {
    let wrong = |error: &dyn std::fmt::Display| CommandError::usage(format!("{}: {error}", args.file.display()));
    let baseline = args.report.prepare()?;
    let text = std::fs::read(&args.file).map_err(|error| wrong(&error))?;
    let traffic = har::read(&text, &args.base).map_err(|error| wrong(&error))?;
    let suite = args.suite.load()?;
    let judged = match args.judge {
        None => vec![Actor::Server, Actor::Device],
        Some(Side::Server) => vec![Actor::Server],
        Some(Side::Device) => vec![Actor::Device],
    };
    let mut events = run::judge_recorded(&args.file.display().to_string(), &traffic, &suite.spec, &judged);
    args.report.finish(&mut events, &suite, baseline.as_ref())
}
