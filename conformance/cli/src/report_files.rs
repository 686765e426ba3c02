//! Where a run is told: as text on the standard output, and in files of other forms; and what is known of it before.

use crate::command_error::CommandError;
use crate::output::print;
use crate::suite::Suite;
use clap::{Args, ValueEnum};
use fieldsync_conformance::baseline::{self, Baseline};
use fieldsync_conformance::report::text::Text;
use fieldsync_conformance::report::verdict::{ExitStatus, judge};
use fieldsync_conformance::report::{
    Background, Run, annotations, badge, case_notes, html, jsonl, junit, markdown, terminal,
};
use fieldsync_schemas::baseline::Day;
use fieldsync_schemas::event::Event;
use std::io::{ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};
use url::Url;

/// Files besides the text. `-` stands for the standard output, which then has no text.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "What is told")]
pub struct ReportFiles {
    /// Write a page for a browser to this file: findings, verdicts, and every scenario drawn.
    #[arg(long, value_name = "FILE", global = true)]
    pub html: Option<PathBuf>,
    /// Write a summary in Markdown to this file, for the page of a CI job.
    #[arg(long, value_name = "FILE", global = true)]
    pub markdown: Option<PathBuf>,
    /// Write JUnit XML to this file.
    #[arg(long, value_name = "FILE", global = true)]
    pub junit: Option<PathBuf>,
    /// Write a badge to this file, as SVG.
    #[arg(long, value_name = "FILE", global = true)]
    pub badge: Option<PathBuf>,
    /// Where the pages of `fieldsync spec build` are: what is told leads to the rules there.
    #[arg(long, value_name = "URL", global = true, value_parser = web_address)]
    pub spec_url: Option<Url>,
}

fn web_address(text: &str) -> Result<Url, String> {
    let url: Url =
        text.parse().map_err(|error| format!("{error}; write it whole, such as https://example.org/spec"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(format!("a page cannot lead to {scheme}: write an address of http or https")),
    }
}

/// How the text looks.
#[derive(Debug, Args)]
#[command(next_help_heading = "What is told")]
pub struct TextOptions {
    /// Whether the text has colour.
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto")]
    pub color: ColorChoice,
    /// The width of the text, in columns; 80 where absent.
    #[arg(long, value_name = "COLUMNS", global = true)]
    pub width: Option<usize>,
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

impl TextOptions {
    /// The width of the text.
    pub fn width(&self) -> usize {
        self.width.unwrap_or(80)
    }

    /// Prints a text.
    pub fn print(&self, text: &Text) -> Result<(), CommandError> {
        let coloured = match self.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        };
        print(&if coloured { text.coloured() } else { text.plain() })
    }
}

impl ReportFiles {
    /// Whether one of them goes to the standard output.
    pub fn take_the_output(&self) -> bool {
        self.all().any(|(_, path)| is_output(path))
    }

    /// Refuses, before anything runs, what could not be written after it.
    pub fn check(&self) -> Result<(), CommandError> {
        check_files(self.all())
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let all = [("html", &self.html), ("markdown", &self.markdown), ("junit", &self.junit), ("badge", &self.badge)];
        all.into_iter().filter_map(|(name, path)| Some((name, path.as_deref()?)))
    }
}

/// What is told of a run, and what is known before.
#[derive(Debug, Args)]
#[command(next_help_heading = "What is told")]
pub struct ReportOptions {
    /// Write the events as JSON lines to this file; `fieldsync report` renders them.
    #[arg(long, value_name = "FILE", global = true)]
    pub jsonl: Option<PathBuf>,
    /// The failures that are known: a run without others is green, and one that shows an entry to be of no use is red.
    #[arg(long, value_name = "FILE", global = true)]
    pub baseline: Option<PathBuf>,
    /// Print the findings as annotations of a CI job.
    #[arg(long, value_name = "OF", global = true)]
    pub annotations: Option<Annotations>,
    /// The other files.
    #[command(flatten)]
    pub files: ReportFiles,
    /// The text.
    #[command(flatten)]
    pub text: TextOptions,
}

/// Who shows annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Annotations {
    /// GitHub Actions: at most ten.
    Github,
}

impl ReportOptions {
    /// Reads the baseline, and refuses what could not be written, before anything runs.
    pub fn prepare(&self) -> Result<Option<Baseline>, CommandError> {
        check_files(self.files.all().chain(self.jsonl.as_deref().map(|path| ("jsonl", path))))?;
        self.baseline.as_deref().map(read_baseline).transpose()
    }

    /// Holds a run against what is known, tells it, and comes to its exit status.
    pub fn finish(
        &self,
        events: &mut [Event],
        suite: &Suite,
        baseline: Option<&Baseline>,
    ) -> Result<ExitStatus, CommandError> {
        if let Some(baseline) = baseline {
            let names = baseline::Suite { spec: &suite.spec, cases: &suite.cases };
            baseline::apply(events, baseline, names, Day::today());
        }
        let mut takes_output = self.files.take_the_output();
        if let Some(path) = &self.jsonl {
            let mut bytes = Vec::new();
            for event in &*events {
                jsonl::write(&mut bytes, event).map_err(CommandError::suite)?;
            }
            takes_output |= is_output(path);
            write(path, &String::from_utf8(bytes).map_err(CommandError::suite)?)?;
        }
        let background = Background { spec: &suite.spec, cases: case_notes(&suite.cases) };
        write_files(events, &background, &self.files)?;
        if !takes_output {
            print_run(events, &background, &self.text)?;
        }
        if let Some(Annotations::Github) = self.annotations {
            let told = annotations::github(events, &background).map_err(CommandError::suite)?;
            if takes_output { eprint!("{told}") } else { print(&told)? }
        }
        let run = Run::of(events).map_err(CommandError::suite)?;
        Ok(judge(&run, &suite.spec).status)
    }
}

/// Reads a baseline.
pub fn read_baseline(path: &Path) -> Result<Baseline, CommandError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::NotFound => "; `fieldsync baseline update --from RUN.jsonl` makes one",
            _ => "",
        };
        CommandError::usage(format!("cannot read the baseline {name}: {error}{hint}"))
    })?;
    Baseline::read(&name, &text).map_err(CommandError::usage)
}

/// Each file can be written, and one at most is the standard output.
fn check_files<'a>(files: impl Iterator<Item = (&'static str, &'a Path)>) -> Result<(), CommandError> {
    let mut output: Option<&str> = None;
    for (name, path) in files {
        if is_output(path) {
            if let Some(other) = output.replace(name) {
                let words =
                    format!("--{other} - and --{name} - both want the standard output: give one of them a file");
                return Err(CommandError::usage(words));
            }
            continue;
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
            let words = format!("--{name}: there is no folder {}: make it, or name another", folder.display());
            return Err(CommandError::usage(words));
        }
        let was_there = path.exists();
        std::fs::File::options()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|error| CommandError::usage(format!("--{name}: cannot write {}: {error}", path.display())))?;
        if !was_there {
            // It was only to see whether it can be made.
            _ = std::fs::remove_file(path);
        }
    }
    Ok(())
}

/// Tells one run: the files that are asked for, and the text.
pub fn tell_run(
    events: &[Event],
    background: &Background<'_>,
    files: &ReportFiles,
    text: &TextOptions,
) -> Result<(), CommandError> {
    write_files(events, background, files)?;
    if files.take_the_output() { Ok(()) } else { print_run(events, background, text) }
}

fn print_run(events: &[Event], background: &Background<'_>, text: &TextOptions) -> Result<(), CommandError> {
    text.print(&terminal::render(events, background, text.width()).map_err(CommandError::suite)?)
}

fn write_files(events: &[Event], background: &Background<'_>, files: &ReportFiles) -> Result<(), CommandError> {
    if let Some(path) = &files.html {
        write(path, &html::render(events, background).map_err(CommandError::suite)?)?;
    }
    if let Some(path) = &files.markdown {
        write(path, &markdown::render(events, background).map_err(CommandError::suite)?)?;
    }
    if let Some(path) = &files.junit {
        write(path, &junit::render(events, background).map_err(CommandError::suite)?)?;
    }
    if let Some(path) = &files.badge {
        write(path, &badge::render(events, background).map_err(CommandError::suite)?)?;
    }
    Ok(())
}

/// Writes a text to a file, or to the standard output where it is `-`.
pub fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    if is_output(path) { print(text) } else { write_file(path, text.as_bytes()) }
}

/// Writes a file.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    std::fs::write(path, bytes)
        .map_err(|error| CommandError::suite(format!("cannot write {}: {error}", path.display())))
}

fn is_output(path: &Path) -> bool {
    path.as_os_str() == "-"
}
