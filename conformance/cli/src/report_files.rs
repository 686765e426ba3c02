//! Where a run is told: as text on the standard output, and in files of other forms.

use crate::command_error::CommandError;
use crate::output::print;
use clap::{Args, ValueEnum};
use fieldsync_conformance::report::text::Text;
use fieldsync_conformance::report::{Background, badge, html, junit, markdown, terminal};
use fieldsync_schemas::event::Event;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use url::Url;

/// Files besides the text. `-` stands for the standard output, which then has no text.
#[derive(Debug, Default, Args)]
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
    /// Where the pages of `fieldsync spec build` are: the links of the page lead to the rules there.
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
pub struct TextOptions {
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

impl TextOptions {
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
        [&self.html, &self.markdown, &self.junit, &self.badge].into_iter().flatten().any(|path| is_output(path))
    }
}

/// Tells one run: the files that are asked for, and the text.
pub fn tell_run(
    events: &[Event],
    background: &Background<'_>,
    files: &ReportFiles,
    text: &TextOptions,
) -> Result<(), CommandError> {
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
    if files.take_the_output() {
        return Ok(());
    }
    text.print(&terminal::render(events, background, text.width).map_err(CommandError::suite)?)
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
