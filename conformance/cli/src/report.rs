//! `fieldsync report`: tell a run that was stored, or several beside one another.

use crate::command_error::CommandError;
use crate::report_files::{ReportFiles, TextOptions, tell_run, write};
use crate::suite::SuiteOptions;
use clap::Args;
use fieldsync_conformance::report::compare::{self, Comparison, NamedRun};
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_conformance::report::{Background, case_notes, html, jsonl};
use fieldsync_schemas::event::Event;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// The arguments of `report`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 told, whatever the verdict; 2 a file is no whole run. `check` is what tells by its status."
)]
pub struct ReportArgs {
    /// Runs that `check --jsonl FILE` stored. Several are put beside one another; of two, what changed is told.
    #[arg(value_name = "FILE", required = true)]
    runs: Vec<PathBuf>,
    /// The files to write.
    #[command(flatten)]
    files: ReportFiles,
    /// The text.
    #[command(flatten)]
    text: TextOptions,
    /// Where specification and scenarios come from.
    #[command(flatten)]
    suite: SuiteOptions,
}

/// Tells the runs.
pub fn run(args: ReportArgs) -> Result<ExitStatus, CommandError> {
    args.files.check()?;
    let runs: Vec<Vec<Event>> = args.runs.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
    let mut suite = args.suite.load()?;
    suite.spec.pages = args.files.spec_url.as_ref().map(ToString::to_string);
    match &runs[..] {
        [events] => {
            let background = Background { spec: &suite.spec, cases: case_notes(&suite.cases) };
            tell_run(events, &background, &args.files, &args.text)?;
        }
        several => {
            if args.files.junit.is_some() || args.files.badge.is_some() {
                return Err(CommandError::usage(
                    "JUnit XML and a badge tell one run: give one file, or leave them out",
                ));
            }
            let names = names(&args.runs);
            let named = names.iter().zip(several).map(|(name, events)| NamedRun { name, events });
            let named: Vec<NamedRun<'_>> = named.collect();
            let comparison = Comparison::of(&named, &suite.spec).map_err(CommandError::usage)?;
            tell_comparison(&comparison, &args)?;
        }
    }
    Ok(ExitStatus::Conformant)
}

fn tell_comparison(comparison: &Comparison<'_>, args: &ReportArgs) -> Result<(), CommandError> {
    if let Some(path) = &args.files.html {
        write(path, &html::render_comparison(comparison).map_err(CommandError::suite)?)?;
    }
    if let Some(path) = &args.files.markdown {
        write(path, &compare::markdown(comparison))?;
    }
    if args.files.take_the_output() {
        return Ok(());
    }
    args.text.print(&compare::text(comparison, args.text.width()))
}

/// Reads a stored run.
pub fn read(path: &Path) -> Result<Vec<Event>, CommandError> {
    let wrong = |error: &dyn std::fmt::Display| CommandError::usage(format!("{}: {error}", path.display()));
    let file = File::open(path)
        .map_err(|error| CommandError::usage(format!("cannot read the run {}: {error}", path.display())))?;
    jsonl::read(BufReader::new(file)).map_err(|error| wrong(&error))
}

/// The names of the files, as short as they still tell them apart.
fn names(paths: &[PathBuf]) -> Vec<String> {
    let stem = |path: &PathBuf| path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let stems: Vec<String> = paths.iter().map(stem).collect();
    let is_alone = |name: &String| stems.iter().filter(|other| *other == name).count() == 1;
    let full = |path: &PathBuf| path.display().to_string();
    stems.iter().zip(paths).map(|(name, path)| if is_alone(name) { name.clone() } else { full(path) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_by_its_file_unless_another_has_that_name() {
        let named = |paths: &[&str]| names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(named(&["runs/a.jsonl", "runs/b.jsonl"]), ["a", "b"]);
        assert_eq!(named(&["x/run.jsonl", "y/run.jsonl", "c.jsonl"]), ["x/run.jsonl", "y/run.jsonl", "c"]);
    }
}
