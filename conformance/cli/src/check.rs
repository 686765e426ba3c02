//! `fieldsync check`: run the scenarios against a subject and report.

use crate::command_error::CommandError;
use crate::suite::{Filters, SuiteOptions};
use clap::{Args, Subcommand, ValueEnum};
use fieldsync_conformance::report::verdict::ExitStatus;
use std::path::PathBuf;

/// The arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// What is judged; the embedded reference where absent.
    #[command(subcommand)]
    pub subject: Option<Subject>,
    /// Which scenarios run.
    #[command(flatten)]
    pub filters: Filters,
    /// Where specification and scenarios come from.
    #[command(flatten)]
    pub suite: SuiteOptions,
    /// How they run.
    #[command(flatten)]
    pub run: RunOptions,
    /// What is told of the run.
    #[command(flatten)]
    pub report: ReportOptions,
}

/// What is judged.
#[derive(Debug, Subcommand)]
pub enum Subject {
    /// Judge a server, by its URL or by the command that starts it.
    Server(ServerArgs),
}

/// A server to judge.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// The base URL of a data set; once for each profile that the server hosts.
    #[arg(long, value_name = "URL", required_unless_present = "serve", conflicts_with = "serve")]
    pub url: Vec<String>,
    /// A command that starts the server; `{port}` and `{dir}` stand for a free port and an empty folder.
    #[arg(long, value_name = "COMMAND")]
    pub serve: Option<String>,
    /// The URL of the control verbs, where the server offers them.
    #[arg(long, value_name = "URL")]
    pub control: Option<String>,
    /// What the data set hosts; once for each profile. The suite's own domains where absent.
    #[arg(long, value_name = "FILE")]
    pub domain: Vec<PathBuf>,
    /// For each account, its user and the environment variable of its password, a bearer token, or a command that
    /// prints one.
    #[arg(long, value_name = "FILE")]
    pub accounts: Option<PathBuf>,
    /// A header of every request, such as `X-Tenant: test`.
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    pub header: Vec<(String, String)>,
    /// Trust the certificates that this PEM file signs.
    #[arg(long, value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,
    /// The most requests a second.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// Delete what the scenarios made.
    #[arg(long)]
    pub cleanup: bool,
}

/// How scenarios run.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// How many scenarios run at once; what the machine can do where absent.
    #[arg(long, value_name = "NUMBER", global = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs: Option<u32>,
    /// How long one scenario may take, in seconds.
    #[arg(long, value_name = "SECONDS", global = true, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// How often each scenario runs.
    #[arg(long, value_name = "NUMBER", global = true, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// Only the scenarios that failed in the run before.
    #[arg(long, global = true)]
    pub last_failed: bool,
    /// Fixes the order and the made-up values; a report names its seed.
    #[arg(long, value_name = "NUMBER", global = true, default_value_t = 0)]
    pub seed: u64,
    /// What was not tested makes the run red.
    #[arg(long, global = true)]
    pub require_all: bool,
}

/// What is told of a run, besides the text on the standard output.
#[derive(Debug, Args)]
pub struct ReportOptions {
    /// Write JUnit XML to this file.
    #[arg(long, value_name = "FILE", global = true)]
    pub junit: Option<PathBuf>,
    /// Write the events as JSON lines to this file.
    #[arg(long, value_name = "FILE", global = true)]
    pub jsonl: Option<PathBuf>,
    /// Whether the text has colour.
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto")]
    pub color: ColorChoice,
    /// The width of the text, in columns.
    #[arg(long, value_name = "COLUMNS", global = true, default_value_t = 80)]
    pub width: usize,
}

/// Whether a text has colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err("a header is `Name: value`".to_owned()),
    }
}

/// Judges the subject.
pub fn run(_args: CheckArgs) -> Result<ExitStatus, CommandError> {
    Err(CommandError::suite("`fieldsync check` is not built into this binary"))
}
