//! `fieldsync baseline`: the failures that are known, kept in a file.

use crate::command_error::CommandError;
use crate::output::print;
use crate::report::read;
use crate::report_files::{read_baseline, write_file};
use crate::suite::SuiteOptions;
use clap::{Args, Subcommand};
use fieldsync_conformance::baseline::{self, Baseline, Updated, Why};
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_schemas::baseline::{Day, KnownEntry};
use fieldsync_schemas::event::Event;
use std::path::PathBuf;

/// How a baseline begins.
const BEGINNING: &str = "# What is known to fail, and until when. `fieldsync baseline update` keeps it up to date.\n";

/// The arguments of `baseline`.
#[derive(Debug, Args)]
pub struct BaselineArgs {
    #[command(subcommand)]
    command: BaselineCommand,
    #[command(flatten)]
    suite: SuiteOptions,
}

#[derive(Debug, Subcommand)]
enum BaselineCommand {
    /// Add the new failures of a run, and take out the entries that it shows to be stale. Comments are kept.
    #[command(after_help = "What has expired and still fails gets the new day, and keeps its reason.")]
    Update {
        /// The baseline; it is made where there is none.
        #[arg(value_name = "FILE", default_value = "fieldsync-baseline.toml")]
        file: PathBuf,
        /// The run, as `check --jsonl FILE` or `merge --jsonl FILE` wrote it.
        #[arg(long, value_name = "RUN.jsonl")]
        from: PathBuf,
        /// Why the new failures are there.
        #[arg(long, value_name = "TEXT", value_parser = not_empty)]
        reason: String,
        /// Where they are followed up.
        #[arg(long, value_name = "LINK", value_parser = not_empty)]
        issue: String,
        /// The last day on which they may be there, such as 2027-03-31.
        #[arg(long, value_name = "DAY", value_parser = to_come)]
        expires: Day,
    },
    /// Say what is wrong with the entries, without a run: what has expired, and what names nothing.
    #[command(after_help = "Exit status: 0 nothing is wrong, 1 an entry is to be mended, 2 the file cannot be read.")]
    Check {
        /// The baseline.
        #[arg(value_name = "FILE", default_value = "fieldsync-baseline.toml")]
        file: PathBuf,
    },
}

fn not_empty(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn to_come(text: &str) -> Result<Day, String> {
    let day: Day = text.parse().map_err(|error| format!("{error}"))?;
    if day < Day::today() { Err(format!("{day} is over")) } else { Ok(day) }
}

/// Does it.
pub fn run(args: BaselineArgs) -> Result<ExitStatus, CommandError> {
    match args.command {
        BaselineCommand::Update { file, from, reason, issue, expires } => {
            let baseline = match file.exists() {
                true => read_baseline(&file)?,
                false => Baseline::read(&file.display().to_string(), BEGINNING).map_err(CommandError::suite)?,
            };
            let events = read(&from)?;
            if events.iter().any(|event| matches!(event, Event::Blocked(_))) {
                let words = "the run was blocked before any scenario: it says nothing of what fails";
                return Err(CommandError::usage(format!("{}: {words}", from.display())));
            }
            let suite = args.suite.load()?;
            let names = baseline::Suite { spec: &suite.spec, cases: &suite.cases };
            let why = Why { reason, issue, expires };
            let updated = baseline::update(&baseline, &events, names, &why).map_err(CommandError::usage)?;
            write_file(&file, updated.text.as_bytes())?;
            print(&told(&updated, &baseline.file))?;
            Ok(ExitStatus::Conformant)
        }
        BaselineCommand::Check { file } => {
            let baseline = read_baseline(&file)?;
            let suite = args.suite.load()?;
            let names = baseline::Suite { spec: &suite.spec, cases: &suite.cases };
            let problems = baseline::inspect(&baseline, names, Day::today());
            let mut out: String =
                problems.iter().map(|one| format!("{}:{}: {}\n", baseline.file, one.line, one.problem)).collect();
            let entries = match baseline.entries.len() {
                1 => "1 entry".to_owned(),
                count => format!("{count} entries"),
            };
            out += &match problems.len() {
                0 => format!("{entries}, none to be mended\n"),
                count => format!("{entries}, {count} to be mended\n"),
            };
            print(&out)?;
            Ok(if problems.is_empty() { ExitStatus::Conformant } else { ExitStatus::NotConformant })
        }
    }
}

fn told(updated: &Updated, file: &str) -> String {
    let Updated { added, removed, prolonged, .. } = updated;
    if added.is_empty() && removed.is_empty() && prolonged.is_empty() {
        return format!("{file} is up to date\n");
    }
    let mut out = String::new();
    for (sign, entries) in [("+", added), ("-", removed), ("~", prolonged)] {
        for entry in entries {
            out += &format!("{sign} {}\n", name(entry));
        }
    }
    let count = |entries: &[KnownEntry], what: &str| format!("{} {what}", entries.len());
    let counts = [count(added, "added"), count(removed, "taken out"), count(prolonged, "prolonged")];
    out + &format!("{file}: {}\n", counts.join(", "))
}

/// What an entry speaks of, in a line.
fn name(entry: &KnownEntry) -> String {
    let mut words: Vec<String> = entry.scenario.iter().cloned().collect();
    words.extend(entry.rule.iter().map(|rule| format!("breaks {rule}")));
    words.extend(entry.profile.iter().map(|profile| format!("under {profile}")));
    words.extend(entry.roles.iter().map(|roles| format!("as {roles}")));
    words.join(" ")
}
