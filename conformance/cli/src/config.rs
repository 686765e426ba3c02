//! `fieldsync.toml`: what would else be told by options. An option goes before what stands in the file.

use crate::check::{CheckArgs, RunOptions, Subject};
use crate::command_error::CommandError;
use crate::headers::header;
use crate::report_files::{Annotations, ReportOptions};
use crate::suite::SuiteOptions;
use clap::Args;
use fieldsync_schemas::config::{AnnotationsOf, Config, ReportConfig, RunConfig, ServerConfig};
use std::io::ErrorKind;
use std::num::NonZero;
use std::path::{Path, PathBuf};

/// The file that is read where none is named.
const FILE: &str = "fieldsync.toml";

/// Where the configuration is.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Where more of this stands")]
pub struct ConfigOptions {
    /// Read options from this file instead of `fieldsync.toml`. Those of the command line go first.
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "no_config")]
    config: Option<PathBuf>,
    /// Read no `fieldsync.toml`.
    #[arg(long, global = true)]
    no_config: bool,
}

/// A configuration, and the folder to which its paths are relative.
#[derive(Debug, Default)]
pub struct Configuration {
    file: PathBuf,
    text: String,
    config: Config,
}

impl ConfigOptions {
    /// Reads the configuration; an empty one where there is no file.
    pub fn load(&self) -> Result<Configuration, CommandError> {
        if self.no_config {
            return Ok(Configuration::default());
        }
        let file = self.config.clone().unwrap_or_else(|| PathBuf::from(FILE));
        match std::fs::read_to_string(&file) {
            Ok(text) => Configuration::read(file, text),
            Err(error) if self.config.is_none() && error.kind() == ErrorKind::NotFound => Ok(Configuration::default()),
            Err(error) => {
                Err(CommandError::usage(format!("cannot read the configuration {}: {error}", file.display())))
            }
        }
    }
}

impl Configuration {
    fn read(file: PathBuf, text: String) -> Result<Self, CommandError> {
        let config = toml_edit::de::from_str(&text).map_err(|error| {
            let line = line_at(&text, error.span().map_or(0, |span| span.start));
            // The reader speaks of types; people write numbers.
            let words =
                error.message().replace("a nonzero u32", "a number from 1").replace("a nonzero u64", "a number from 1");
            CommandError::usage(format!("{}:{line}: {words}", file.display()))
        })?;
        Ok(Self { file, text, config })
    }

    /// Puts into `check` what its command line leaves open.
    pub fn complete(&self, args: &mut CheckArgs) -> Result<(), CommandError> {
        match &mut args.subject {
            Some(Subject::Server(server)) => {
                if let Some(config) = &self.config.server {
                    self.complete_server(server, config)?;
                }
            }
            Some(Subject::Client(client)) => {
                let config = self.config.client.as_ref();
                fill(&mut client.command, config.and_then(|config| config.command.clone()));
            }
            Some(Subject::Pair(pair)) => {
                let config = self.config.client.as_ref();
                fill(&mut pair.command, config.and_then(|config| config.command.clone()));
                if let Some(config) = &self.config.server {
                    self.complete_server(&mut pair.server, config)?;
                }
            }
            None => {}
        }
        if let Some(config) = &self.config.run {
            self.complete_run(&mut args.run, &mut args.suite, config);
        }
        self.complete_report(&mut args.report);
        Ok(())
    }

    fn complete_server(
        &self,
        server: &mut crate::server_args::ServerArgs,
        config: &ServerConfig,
    ) -> Result<(), CommandError> {
        if !config.url.is_empty() && config.serve.is_some() {
            return Err(self.mistake("serve", "`url` and `serve` both name the server: leave one of them out"));
        }
        // Who names another server on the command line means all of it.
        if server.url.is_empty() && server.serve.is_none() {
            server.url.clone_from(&config.url);
            server.serve.clone_from(&config.serve);
            fill(&mut server.control, config.control.clone());
        }
        if server.domain.is_empty() {
            server.domain = config.domain.iter().map(|path| self.path(path)).collect();
        }
        fill(&mut server.accounts, config.accounts.as_ref().map(|path| self.path(path)));
        if server.header.is_empty() {
            let parsed = config.header.iter().map(|text| header(text));
            server.header = parsed.collect::<Result<_, _>>().map_err(|problem| self.mistake("header", &problem))?;
        }
        fill(&mut server.ca_cert, config.ca_cert.as_ref().map(|path| self.path(path)));
        fill(&mut server.rate, config.rate);
        server.cleanup |= config.cleanup.unwrap_or(false);
        Ok(())
    }

    fn complete_run(&self, run: &mut RunOptions, suite: &mut SuiteOptions, config: &RunConfig) {
        fill(&mut run.jobs, config.jobs.map(NonZero::get));
        fill(&mut run.timeout, config.timeout.map(NonZero::get));
        fill(&mut run.repeat, config.repeat.map(NonZero::get));
        fill(&mut run.seed, config.seed);
        run.require_all |= config.require_all.unwrap_or(false);
        fill(&mut suite.fixtures, config.fixtures.as_ref().map(|path| self.path(path)));
        fill(&mut suite.spec, config.spec.as_ref().map(|path| self.path(path)));
    }

    /// Puts into what is told of a run what its command line leaves open.
    pub fn complete_report(&self, report: &mut ReportOptions) {
        let ReportConfig { jsonl, html, markdown, junit, badge, annotations, width } =
            self.config.report.clone().unwrap_or_default();
        for (option, path) in [
            (&mut report.jsonl, jsonl),
            (&mut report.files.html, html),
            (&mut report.files.markdown, markdown),
            (&mut report.files.junit, junit),
            (&mut report.files.badge, badge),
            (&mut report.baseline, self.config.baseline.as_ref().map(|baseline| baseline.file.clone())),
        ] {
            fill(option, path.map(|path| self.path(&path)));
        }
        fill(&mut report.annotations, annotations.map(|AnnotationsOf::Github| Annotations::Github));
        fill(&mut report.text.width, width.and_then(|width| usize::try_from(width.get()).ok()));
    }

    /// A path of the file. `-` is the standard output.
    fn path(&self, path: &Path) -> PathBuf {
        match self.file.parent() {
            Some(folder) if path.as_os_str() != "-" => folder.join(path),
            _ => path.to_owned(),
        }
    }

    /// What is wrong with a key of `[server]`.
    fn mistake(&self, key: &str, problem: &str) -> CommandError {
        let span = toml_edit::Document::parse(self.text.as_str())
            .ok()
            .and_then(|document| document.get("server")?.as_table_like()?.get(key)?.span());
        let line = line_at(&self.text, span.map_or(0, |span| span.start));
        CommandError::usage(format!("{}:{line}: {problem}", self.file.display()))
    }
}

fn fill<T>(option: &mut Option<T>, from: Option<T>) {
    if option.is_none() {
        *option = from;
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        check: CheckArgs,
    }

    fn completed(file: &str, text: &str, line: &str) -> Result<CheckArgs, String> {
        let mut args = Line::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{error}")).check;
        let configuration = Configuration::read(file.into(), text.to_owned()).map_err(|error| error.to_string())?;
        configuration.complete(&mut args).map_err(|error| error.to_string())?;
        Ok(args)
    }

    fn server(args: &CheckArgs) -> &crate::server_args::ServerArgs {
        match &args.subject {
            Some(Subject::Server(server)) => server,
            other => panic!("{other:?}"),
        }
    }

    const TEXT: &str = "[server]\nurl = [\"http://a\"]\ncontrol = \"http://a/control\"\naccounts = \"accounts.yaml\"\n\
         header = [\"X-Tenant: test\"]\n[run]\ntimeout = 30\nseed = 7\n[report]\nhtml = \"out/page.html\"\nmarkdown = \"-\"\n\
         [baseline]\nfile = \"known.toml\"\n";

    #[test]
    fn what_the_command_line_leaves_open_stands_in_the_file() {
        let args = completed("ci/fieldsync.toml", TEXT, "check server --seed 8").unwrap();
        assert_eq!(server(&args).url, ["http://a"]);
        assert_eq!(server(&args).control.as_deref(), Some("http://a/control"));
        assert_eq!(server(&args).accounts.as_deref(), Some(Path::new("ci/accounts.yaml")));
        assert_eq!(server(&args).header, [("X-Tenant".to_owned(), "test".to_owned())]);
        assert_eq!((args.run.timeout, args.run.seed), (Some(30), Some(8)));
        assert_eq!(args.report.files.html.as_deref(), Some(Path::new("ci/out/page.html")));
        assert_eq!(args.report.files.markdown.as_deref(), Some(Path::new("-")));
        assert_eq!(args.report.baseline.as_deref(), Some(Path::new("ci/known.toml")));
    }

    #[test]
    fn another_server_is_another_server() {
        let args = completed("fieldsync.toml", TEXT, "check server --serve run").unwrap();
        assert!(server(&args).url.is_empty() && server(&args).control.is_none());
        let args = completed("fieldsync.toml", TEXT, "check").unwrap();
        assert!(args.subject.is_none(), "without a word it is the reference that is judged");
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        let told = |text: &str| completed("fieldsync.toml", text, "check server").unwrap_err();
        assert!(told("[server]\nurls = []\n").starts_with("fieldsync.toml:2: unknown field `urls`"));
        assert!(told("[run]\n\ntimeout = 0\n").starts_with("fieldsync.toml:3: "), "{}", told("[run]\n\ntimeout = 0\n"));
        assert_eq!(told("[server]\nurl = [\"x\"]\nheader = [\"y\"]\n"), "fieldsync.toml:3: a header is `Name: value`");
        assert!(told("[server]\nserve = \"x\"\nurl = [\"y\"]\n").starts_with("fieldsync.toml:2: `url` and `serve`"));
        assert!(told("[server\n").starts_with("fieldsync.toml:1: "));
    }
}
