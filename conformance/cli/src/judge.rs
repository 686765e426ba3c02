//! `fieldsync judge`: recorded traffic of a real deployment.

use crate::command_error::CommandError;
use crate::report_files::{ReportFiles, TextOptions, tell_run, write_file};
use crate::suite::SuiteOptions;
use clap::{Args, ValueEnum};
use fieldsync_conformance::report::verdict::{ExitStatus, judge};
use fieldsync_conformance::report::{Background, Run, jsonl};
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
    /// Write the events as JSON lines to this file; `fieldsync report` renders them.
    #[arg(long, value_name = "FILE")]
    pub jsonl: Option<PathBuf>,
    /// The other files.
    #[command(flatten)]
    pub files: ReportFiles,
    /// The text.
    #[command(flatten)]
    pub text: TextOptions,
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
    let text = std::fs::read(&args.file).map_err(|error| wrong(&error))?;
    let traffic = har::read(&text, &args.base).map_err(|error| wrong(&error))?;
    let suite = args.suite.load()?;
    let judged = match args.judge {
        None => vec![Actor::Server, Actor::Device],
        Some(Side::Server) => vec![Actor::Server],
        Some(Side::Device) => vec![Actor::Device],
    };
    let events = run::judge_recorded(&args.file.display().to_string(), &traffic, &suite.spec, &judged);
    if let Some(path) = &args.jsonl {
        let mut bytes = Vec::new();
        for event in &events {
            jsonl::write(&mut bytes, event).map_err(CommandError::suite)?;
        }
        write_file(path, &bytes)?;
    }
    let background = Background { spec: &suite.spec, cases: Default::default() };
    tell_run(&events, &background, &args.files, &args.text)?;
    let run = Run::of(&events).map_err(CommandError::suite)?;
    Ok(judge(&run, &suite.spec).status)
}
