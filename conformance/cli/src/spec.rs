//! `fieldsync spec build`: the whole specification as pages in a folder.

use crate::command_error::CommandError;
use crate::output::print;
use crate::report::read;
use crate::suite::SuiteOptions;
use clap::{Args, Subcommand, ValueEnum};
use fieldsync_conformance::report::compare::NamedRun;
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_conformance::scenario::Case;
use fieldsync_conformance::site::{self, BuildSiteError, Sources};
use fieldsync_conformance::trace::{MutantInfo, Trace};
use fieldsync_schemas::event::Event;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a folder of pages holds, one path a line: only these are removed when they are made anew.
const INVENTORY: &str = ".fieldsync-pages";

/// The arguments of `spec`.
#[derive(Debug, Args)]
pub struct SpecArgs {
    #[command(subcommand)]
    command: SpecCommand,
}

#[derive(Debug, Subcommand)]
enum SpecCommand {
    /// Write the whole specification as pages: chapters, scenarios as they happen, messages, mutants, runs.
    #[command(
        after_help = "Exit status: 0 written; 1 the text names a rule, a scenario or a place that is not there, or a scenario does not pass against the reference."
    )]
    Build(BuildArgs),
}

/// The arguments of `spec build`.
#[derive(Debug, Args)]
struct BuildArgs {
    /// The folder; it is new, empty, or was written by this command before.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A run that `check --jsonl FILE` stored, under a name: rules and scenarios say how they fared in it.
    #[arg(long, value_name = "NAME=FILE", value_parser = named_file)]
    run: Vec<(String, PathBuf)>,
    /// Whether the faulty implementations are shown.
    #[arg(long, value_name = "WHICH", default_value = "all")]
    mutants: WhichMutants,
    /// Where specification and scenarios come from.
    #[command(flatten)]
    suite: SuiteOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WhichMutants {
    /// All of them.
    All,
    /// None.
    None,
}

fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    let is_plain = |name: &str| {
        !name.is_empty()
            && !name.starts_with('.')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    match text.split_once('=') {
        Some((name, file)) if is_plain(name) && !file.is_empty() => Ok((name.to_owned(), file.into())),
        _ => {
            Err("write NAME=FILE, with a name of letters, digits, `-`, `_` and `.`, such as kotlin=run.jsonl"
                .to_owned())
        }
    }
}

/// Does it.
pub fn run(args: SpecArgs) -> Result<ExitStatus, CommandError> {
    let SpecCommand::Build(args) = args.command;
    check_folder(&args.out)?;
    for (index, (name, _)) in args.run.iter().enumerate() {
        if args.run[..index].iter().any(|(other, _)| other == name) {
            return Err(CommandError::usage(format!("two runs are called {name:?}: give each a name of its own")));
        }
    }
    let runs: Vec<Vec<Event>> = args.run.iter().map(|(_, path)| read(path)).collect::<Result<_, _>>()?;
    let runs: Vec<NamedRun<'_>> =
        args.run.iter().zip(&runs).map(|((name, _), events)| NamedRun { name, events }).collect();
    let suite = args.suite.load()?;
    let files = args.suite.spec_files()?;
    let known: Vec<MutantInfo> = match args.mutants {
        // Those of a specification of one's own are told as far as it has their rules.
        WhichMutants::All => {
            let all = crate::mutants::known().into_iter();
            all.filter(|mutant| suite.spec.rule(mutant.rule.id.as_str()).is_some()).collect()
        }
        WhichMutants::None => Vec::new(),
    };
    let trace = Trace::of(&suite.spec, &suite.case_infos(), &known);
    // A specification of one's own has no place for what shows the rules of another.
    let is_of_it = |case: &&Case| {
        let shows = case.scenario.covers.iter().any(|rule| suite.spec.rule(rule.as_str()).is_some());
        shows && suite.spec.chapter(&case.chapter).is_some()
    };
    let cases: Vec<Case> = suite.cases.iter().filter(is_of_it).cloned().collect();
    let runtime = tokio::runtime::Runtime::new().map_err(CommandError::suite)?;
    let played = match runtime.block_on(site::play(&cases, &suite.spec)) {
        Ok(played) => played,
        Err(error @ site::PlayError::Start(_)) => return Err(CommandError::suite(error)),
        Err(error) => return flawed(&error.to_string()),
    };
    runtime.shutdown_background();
    let sources = Sources {
        spec: &suite.spec,
        files: &files,
        cases: &cases,
        trace: &trace,
        mutants: &known,
        runs: &runs,
        played: &played,
    };
    match site::build(&sources) {
        Ok(pages) => {
            write(&args.out, &pages)?;
            print(&format!("{} files written to {}\n", pages.len(), args.out.display()))?;
            Ok(ExitStatus::Conformant)
        }
        Err(BuildSiteError::Flawed(flaws)) => {
            flawed(&flaws.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        }
        Err(error @ BuildSiteError::Run { .. }) => Err(CommandError::usage(error)),
        Err(error) => Err(CommandError::suite(error)),
    }
}

fn flawed(told: &str) -> Result<ExitStatus, CommandError> {
    print(&format!("{told}\nnothing was written\n"))?;
    Ok(ExitStatus::NotConformant)
}

fn inventory(folder: &Path) -> Option<String> {
    std::fs::read_to_string(folder.join(INVENTORY)).ok()
}

/// Refuses a folder with something else in it.
fn check_folder(folder: &Path) -> Result<(), CommandError> {
    let is_empty = std::fs::read_dir(folder).map_or(!folder.exists(), |mut entries| entries.next().is_none());
    if is_empty || inventory(folder).is_some() {
        return Ok(());
    }
    let folder = folder.display();
    Err(CommandError::usage(format!("{folder} is no empty folder, and no earlier build made it: name another")))
}

fn write(folder: &Path, pages: &BTreeMap<String, String>) -> Result<(), CommandError> {
    let failed =
        |path: &Path, error: std::io::Error| CommandError::suite(format!("cannot write {}: {error}", path.display()));
    for stale in inventory(folder).unwrap_or_default().lines().filter(|path| !pages.contains_key(*path)) {
        // A page that somebody removed is gone as it should be.
        let within = !Path::new(stale).is_absolute() && !stale.split('/').any(|part| part == "..");
        _ = within.then(|| std::fs::remove_file(folder.join(stale)));
    }
    for (path, text) in pages {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        }
        std::fs::write(&path, text).map_err(|error| failed(&path, error))?;
    }
    let list: String = pages.keys().map(|path| format!("{path}\n")).collect();
    let path = folder.join(INVENTORY);
    std::fs::write(&path, list).map_err(|error| failed(&path, error))
}
