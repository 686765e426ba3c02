//! `fieldsync check`: run the scenarios against a subject and report.

use crate::command_error::CommandError;
use crate::headers::{header, header_map};
use crate::pair::judge_pair;
use crate::report_files::{ReportFiles, TextOptions, tell_run, write_file};
use crate::suite::{Filters, Suite, SuiteOptions};
use clap::{Args, Subcommand};
use fieldsync_conformance::broken;
use fieldsync_conformance::pace::Pace;
use fieldsync_conformance::report::progress::Progress;
use fieldsync_conformance::report::verdict::{ExitStatus, judge};
use fieldsync_conformance::report::{Background, Run, case_notes, jsonl, quoted};
use fieldsync_conformance::run::{self, Options};
use fieldsync_conformance::scenario::Case;
use fieldsync_conformance::subject::adapter::{AdapterClient, AdapterStartError};
use fieldsync_conformance::subject::reference::{self, EmbeddedServer, ReferenceDevices};
use fieldsync_conformance::subject::server::{AccountSource, HttpServer, ServerAddress};
use fieldsync_conformance::subject::spawned::Spawned;
use fieldsync_schemas::event::{Actor, Blocked, Event, Verdict};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

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
    /// Judge a client, by the command that starts its adapter.
    Client(ClientArgs),
    /// Judge a client and a server together; each failure is tried with the reference on either side, and has an owner.
    Pair(PairArgs),
}

/// A client to judge.
#[derive(Debug, Args)]
pub struct ClientArgs {
    /// A command that starts the client's adapter, such as `python3 adapter.py`; the reference device in this process
    /// where absent.
    #[arg(long, value_name = "COMMAND")]
    pub command: Option<String>,
}

/// A client and a server to judge together.
#[derive(Debug, Args)]
pub struct PairArgs {
    /// The command that starts the client's adapter.
    #[arg(long, value_name = "COMMAND")]
    pub command: String,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// A server to judge.
#[derive(Debug, Default, Args)]
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
    /// Send at most this many requests a second, over all devices, for a server that refuses more. Fewer scenarios run
    /// at once; waiting for a turn takes nothing from a scenario's time. Control verbs are not counted.
    #[arg(long, value_name = "NUMBER")]
    pub rate: Option<NonZeroU32>,
    /// Delete the records that the run made, through the protocol, by an account that may. What cannot be deleted is told
    /// in a warning.
    #[arg(long, conflicts_with_all = ["serve", "control"])]
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

/// What is told of a run.
#[derive(Debug, Args)]
pub struct ReportOptions {
    /// Write the events as JSON lines to this file; `fieldsync report` renders them.
    #[arg(long, value_name = "FILE", global = true)]
    pub jsonl: Option<PathBuf>,
    /// The other files.
    #[command(flatten)]
    pub files: ReportFiles,
    /// The text.
    #[command(flatten)]
    pub text: TextOptions,
}

/// Judges the subject.
pub fn run(args: CheckArgs) -> Result<ExitStatus, CommandError> {
    let suite = args.suite.load()?;
    let cases = select(&suite, &args)?;
    let runtime = tokio::runtime::Runtime::new().map_err(CommandError::suite)?;
    let mut events = runtime.block_on(judge_subject(&suite, &cases, &args))?;
    if !args.run.last_failed {
        broken::tell(&mut events, &suite.select_broken(&args.filters));
    }
    runtime.shutdown_background();
    let background = Background { spec: &suite.spec, cases: case_notes(&suite.cases) };
    if let Some(path) = &args.report.jsonl {
        let mut bytes = Vec::new();
        for event in &events {
            jsonl::write(&mut bytes, event).map_err(CommandError::suite)?;
        }
        write_file(path, &bytes)?;
    }
    tell_run(&events, &background, &args.report.files, &args.report.text)?;
    let run = Run::of(&events).map_err(CommandError::suite)?;
    remember_failures(&run);
    Ok(judge(&run, &suite.spec).status)
}

/// Where the names of the scenarios that failed last in this folder are kept: in the user's cache.
fn last_failed() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    let here = std::env::current_dir().ok()?;
    let name: String =
        here.to_string_lossy().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    Some(cache.join("fieldsync").join(format!("last-failed{name}")))
}

fn select<'a>(suite: &'a Suite, args: &CheckArgs) -> Result<Vec<&'a Case>, CommandError> {
    let mut cases = suite.select(&args.filters)?;
    if args.run.last_failed {
        let names = last_failed()
            .and_then(|path| std::fs::read_to_string(path).ok())
            .ok_or_else(|| CommandError::usage("no run is remembered for this folder; run `fieldsync check` first"))?;
        let names: Vec<&str> = names.lines().collect();
        cases.retain(|case| names.contains(&case.id.as_str()));
        if cases.is_empty() {
            return Err(CommandError::usage("nothing failed in the run before; leave out --last-failed"));
        }
    }
    Ok(cases)
}

/// A folder that cannot be written is no reason to fail: then nothing is remembered.
fn remember_failures(run: &Run<'_>) {
    let failed: Vec<&str> = run
        .scenarios
        .iter()
        .filter(|one| matches!(one.verdict, Verdict::Fail | Verdict::Error))
        .map(|one| one.id.as_str())
        .collect();
    if let Some(path) = last_failed() {
        _ = path.parent().map(std::fs::create_dir_all);
        _ = std::fs::write(path, failed.join("\n"));
    }
}

async fn judge_subject(suite: &Suite, cases: &[&Case], args: &CheckArgs) -> Result<Vec<Event>, CommandError> {
    let mut options = Options {
        timeout: Duration::from_secs(args.run.timeout),
        repeat: args.run.repeat,
        seed: args.run.seed,
        again: again(args),
        filtered: is_filtered(args),
        require_all: args.run.require_all,
        ..Options::default()
    };
    if let Some(jobs) = args.run.jobs {
        options.jobs = jobs as usize;
    }
    let spec = Arc::new(suite.spec.clone());
    let devices = Arc::new(ReferenceDevices::default());
    let mut progress = Progress::on_stderr(cases.len() as u64);
    let mut watch = |event: &Event| match event {
        Event::Header(header) => progress.planned(header.selected),
        Event::Scenario(ended) => progress.ended(ended),
        _ => {}
    };
    let events = match &args.subject {
        None => {
            let embedded = EmbeddedServer::start().await.map_err(CommandError::suite)?;
            let server = embedded.connect().await.map_err(|blocked| CommandError::suite(blocked.reason))?;
            run::run(cases, &spec, Arc::new(server), devices, &options, &mut watch).await
        }
        Some(Subject::Client(client)) => {
            options.judged = vec![Actor::Device];
            options.each_role = true;
            // Each scenario has a process of the client to itself, and some are slow to start.
            options.jobs = args.run.jobs.map_or(2 * run::cores(), |jobs| jobs as usize);
            let embedded = EmbeddedServer::start().await.map_err(CommandError::suite)?;
            let server = embedded.connect().await.map_err(|blocked| CommandError::suite(blocked.reason))?;
            let Some(command) = &client.command else {
                let events = run::run(cases, &spec, Arc::new(server), devices, &options, &mut watch).await;
                progress.finish();
                return Ok(events);
            };
            match AdapterClient::start(command, options.timeout.mul_f64(0.8)).await {
                Ok(client) => run::run(cases, &spec, Arc::new(server), Arc::new(client), &options, &mut watch).await,
                Err(error) => {
                    let unreachable = matches!(error, AdapterStartError::Start { .. });
                    let doing = "start the adapter and say hello".to_owned();
                    let blocked = Blocked { doing, reason: error.to_string(), unreachable };
                    run::blocked(blocked, command.clone(), &options)
                }
            }
        }
        Some(Subject::Pair(pair)) => {
            // Each scenario has a process of the client to itself, and some are slow to start.
            options.jobs = args.run.jobs.map_or(2 * run::cores(), |jobs| jobs as usize);
            judge_pair(cases, &spec, &pair.server, &pair.command, &options, &mut watch).await?
        }
        Some(Subject::Server(server)) => {
            options.judged = vec![Actor::Server];
            options.headers.clone_from(&server.header);
            options.ca_cert.clone_from(&server.ca_cert);
            options.pace = server.rate.map(Pace::new);
            options.cleanup = server.cleanup;
            let (mut address, _process) = address(server).await?;
            address.pace.clone_from(&options.pace);
            match HttpServer::connect(address).await {
                Ok(server) => run::run(cases, &spec, Arc::new(server), devices, &options, &mut watch).await,
                Err(blocked) => run::blocked(blocked, subject_name(server), &options),
            }
        }
    };
    progress.finish();
    Ok(events)
}

pub(crate) fn subject_name(server: &ServerArgs) -> String {
    server.serve.clone().unwrap_or_else(|| server.url.join(" "))
}

/// Where the server is; one that is to be started is started.
pub(crate) async fn address(args: &ServerArgs) -> Result<(ServerAddress, Option<Arc<Spawned>>), CommandError> {
    let url =
        |text: &str| Url::parse(text).map_err(|error| CommandError::usage(format!("{text:?} is no URL: {error}")));
    let headers = header_map(&args.header)?;
    let ca_cert = match &args.ca_cert {
        None => None,
        Some(path) => {
            Some(std::fs::read(path).map_err(|error| CommandError::usage(format!("{}: {error}", path.display())))?)
        }
    };
    let accounts = match &args.accounts {
        None => BTreeMap::new(),
        Some(path) => read_accounts(path)?,
    };
    let mut address = ServerAddress {
        name: subject_name(args),
        bases: args.url.iter().map(|text| url(text)).collect::<Result<_, _>>()?,
        control: None,
        accounts,
        domains: match args.domain.as_slice() {
            [] => reference::domains(),
            files => files.iter().map(|path| crate::serve::read_domain(path)).collect::<Result<_, _>>()?,
        },
        restart: None,
        headers,
        ca_cert,
        pace: None,
    };
    let Some(command) = &args.serve else {
        address.control = args.control.as_deref().map(url).transpose()?;
        return Ok((address, None));
    };
    let process = Spawned::start(command).await.map_err(CommandError::usage)?;
    address.bases.push(process.default_base().await.map_err(CommandError::usage)?);
    address.restart = Some(process.clone());
    address.control = args
        .control
        .as_deref()
        .map(|path| {
            process.root().join(path).map_err(|error| CommandError::usage(format!("{path:?} is no URL: {error}")))
        })
        .transpose()?;
    Ok((address, Some(process)))
}

fn read_accounts(path: &std::path::Path) -> Result<BTreeMap<String, AccountSource>, CommandError> {
    let wrong = |error: &dyn std::fmt::Display| CommandError::usage(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    serde_saphyr::from_str(&text).map_err(|error| wrong(&error))
}

fn is_filtered(args: &CheckArgs) -> bool {
    args.run.last_failed || !args.filters.is_empty()
}

/// The command that was run, with one scenario in place of its filters. What a header says may be a secret.
fn again(args: &CheckArgs) -> String {
    let option = |name: &str, value: &str| format!("--{name} {}", quoted(value));
    let path = |name: &str, path: &Path| option(name, &path.display().to_string());
    let mut words = vec!["fieldsync check".to_owned()];
    if let Some(Subject::Client(client)) = &args.subject {
        words.push("client".to_owned());
        words.extend(client.command.iter().map(|command| option("command", command)));
    }
    if let Some(Subject::Pair(pair)) = &args.subject {
        words.push("pair".to_owned());
        words.push(option("command", &pair.command));
    }
    let server = match &args.subject {
        Some(Subject::Server(server)) => {
            words.push("server".to_owned());
            Some(server)
        }
        Some(Subject::Pair(pair)) => Some(&pair.server),
        _ => None,
    };
    if let Some(server) = server {
        words.extend(server.url.iter().map(|url| option("url", url)));
        words.extend(server.serve.iter().map(|command| option("serve", command)));
        words.extend(server.control.iter().map(|url| option("control", url)));
        words.extend(server.domain.iter().map(|file| path("domain", file)));
        words.extend(server.accounts.iter().map(|file| path("accounts", file)));
        words.extend(server.header.iter().map(|(name, _)| option("header", &format!("{name}: …"))));
        words.extend(server.ca_cert.iter().map(|file| path("ca-cert", file)));
        words.extend(server.rate.map(|rate| format!("--rate {rate}")));
        words.extend(server.cleanup.then(|| "--cleanup".to_owned()));
    }
    words.extend(args.suite.fixtures.iter().map(|folder| path("fixtures", folder)));
    words.extend(args.suite.spec.iter().map(|folder| path("spec", folder)));
    words.push("--scenario".to_owned());
    words.join(" ")
}
