//! `fieldsync check`: run the scenarios against a subject and report.

use crate::command_error::CommandError;
use crate::config::ConfigOptions;
use crate::hold::{Hold, NO_TIMEOUT};
use crate::object_storage::ObjectStorageOptions;
use crate::pair::judge_pair;
use crate::report_files::ReportOptions;
use crate::server_args::{ServerArgs, address, one_line, subject_name};
use crate::suite::{Filters, Suite, SuiteOptions};
use clap::{Args, Subcommand};
use fieldsync_conformance::broken;
use fieldsync_conformance::pace::Pace;
use fieldsync_conformance::report::progress::Progress;
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_conformance::report::{Run, quoted};
use fieldsync_conformance::run::{self, Options, selection};
use fieldsync_conformance::scenario::{Case, LoadError, id_of};
use fieldsync_conformance::subject::adapter::{AdapterClient, AdapterStartError};
use fieldsync_conformance::subject::reference::{EmbeddedServer, ReferenceDevices};
use fieldsync_conformance::subject::server::HttpServer;
use fieldsync_schemas::event::{Actor, Blocked, Event, Shard, Verdict};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

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
    /// Where more of this stands.
    #[command(flatten)]
    pub config: ConfigOptions,
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
    #[arg(long, value_name = "COMMAND", value_parser = one_line)]
    pub command: Option<String>,
}

/// A client and a server to judge together.
#[derive(Debug, Args)]
pub struct PairArgs {
    /// The command that starts the client's adapter.
    #[arg(long, value_name = "COMMAND", value_parser = one_line)]
    pub command: Option<String>,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// How scenarios run.
#[derive(Debug, Args)]
#[command(next_help_heading = "How they run")]
pub struct RunOptions {
    /// How many scenarios run at once; what the machine can do where absent.
    #[arg(long, value_name = "NUMBER", global = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs: Option<u32>,
    /// How long one scenario may take, in seconds; 10 where absent.
    #[arg(long, value_name = "SECONDS", global = true, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,
    /// How often each scenario runs; once where absent.
    #[arg(long, value_name = "NUMBER", global = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: Option<u32>,
    /// Only the scenarios that failed in the run before.
    #[arg(long, global = true)]
    pub last_failed: bool,
    /// Fixes the order and the made-up values; a report names its seed. 0 where absent.
    #[arg(long, value_name = "NUMBER", global = true)]
    pub seed: Option<u64>,
    /// What was not tested makes the run red.
    #[arg(long, global = true)]
    pub require_all: bool,
    /// Where files are. A server that is started gets, in the place of `{storage}`, the address to sign for.
    #[command(flatten)]
    pub files: ObjectStorageOptions,
    /// Run one part of several, such as `1/4`; `fieldsync merge` puts the parts' JSON lines together.
    #[arg(long, value_name = "N/M", global = true, value_parser = selection::shard)]
    pub shard: Option<Shard>,
    /// Keep the subject that --serve or --command starts for a debugger: it waits for Enter before the first scenario and
    /// after the last, scenarios run one at a time, and none runs out of time.
    #[arg(long, global = true)]
    pub hold: bool,
}

/// Judges the subject.
pub fn run(mut args: CheckArgs) -> Result<ExitStatus, CommandError> {
    args.config.load()?.complete(&mut args)?;
    look_at(&args)?;
    let baseline = args.report.prepare()?;
    let mut suite = args.suite.load()?;
    suite.spec.pages = args.report.files.spec_url.as_ref().map(ToString::to_string);
    let selected = select(&suite, &args)?;
    let runtime = tokio::runtime::Runtime::new().map_err(CommandError::suite)?;
    let mut events = runtime.block_on(judge_subject(&suite, &selected, &args))?;
    broken::tell(&mut events, &selected.broken);
    runtime.shutdown_background();
    let status = args.report.finish(&mut events, &suite, baseline.as_ref())?;
    remember_failures(&Run::of(&events).map_err(CommandError::suite)?);
    Ok(status)
}

/// Where the names of the scenarios that failed last in this folder are kept: in the user's cache.
fn last_failed() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .or_else(|| std::env::var_os("LOCALAPPDATA").map(PathBuf::from))?;
    let here = std::env::current_dir().ok()?;
    let name: String =
        here.to_string_lossy().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    Some(cache.join("fieldsync").join(format!("last-failed{name}")))
}

/// What is run, and the name of what it was selected from.
struct Selected<'a> {
    cases: Vec<&'a Case>,
    broken: Vec<&'a LoadError>,
    digest: String,
}

fn select<'a>(suite: &'a Suite, args: &CheckArgs) -> Result<Selected<'a>, CommandError> {
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
    let mut broken = if args.run.last_failed { Vec::new() } else { suite.select_broken(&args.filters) };
    let files_of_broken: Vec<String> = broken.iter().map(|error| id_of(&error.file)).collect();
    let ids = cases.iter().map(|case| case.id.as_str());
    let digest = selection::digest(ids.chain(files_of_broken.iter().map(String::as_str)));
    if let Some(shard) = args.run.shard {
        let files = cases.iter().map(|case| case.file_id()).chain(files_of_broken.iter().map(String::as_str));
        let part = selection::part(files, shard);
        broken.retain(|error| part.contains(id_of(&error.file).as_str()));
        cases.retain(|case| part.contains(case.file_id()));
    }
    Ok(Selected { cases, broken, digest })
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

async fn judge_subject(suite: &Suite, selected: &Selected<'_>, args: &CheckArgs) -> Result<Vec<Event>, CommandError> {
    let cases = &selected.cases[..];
    let mut options = Options {
        timeout: args.run.timeout.map_or(Options::default().timeout, Duration::from_secs),
        repeat: args.run.repeat.unwrap_or(1),
        seed: args.run.seed.unwrap_or(0),
        again: again(args),
        filtered: is_filtered(args),
        selection: selected.digest.clone(),
        shard: args.run.shard,
        require_all: args.run.require_all,
        ..Options::default()
    };
    if let Some(jobs) = args.run.jobs {
        options.jobs = jobs as usize;
    }
    let bucket = args.run.files.bucket()?;
    let start = || EmbeddedServer::start_on(bucket.clone(), Arc::new(|parts| parts));
    if args.run.hold {
        (options.jobs, options.timeout) = (1, NO_TIMEOUT);
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
            let embedded = start().await.map_err(CommandError::suite)?;
            let server = embedded.connect().await.map_err(|blocked| CommandError::suite(blocked.reason))?;
            run::run(cases, &spec, Arc::new(server), devices, &options, &mut watch).await
        }
        Some(Subject::Client(client)) => {
            options.judged = vec![Actor::Device];
            options.each_role = true;
            // Each scenario has a process of the client to itself, and some are slow to start.
            if args.run.jobs.is_none() && !args.run.hold {
                options.jobs = 2 * run::cores();
            }
            let embedded = start().await.map_err(CommandError::suite)?;
            let server = embedded.connect().await.map_err(|blocked| CommandError::suite(blocked.reason))?;
            let Some(command) = &client.command else {
                let events = run::run(cases, &spec, Arc::new(server), devices, &options, &mut watch).await;
                progress.finish();
                return Ok(events);
            };
            match AdapterClient::start(command, options.timeout.mul_f64(0.8)).await {
                Ok(client) => {
                    let hold = match args.run.hold {
                        true => Some(Hold::before(client.pid(), None, client.folder(), cases.len()).await?),
                        false => None,
                    };
                    let client = Arc::new(client);
                    let events = run::run(cases, &spec, Arc::new(server), client, &options, &mut watch).await;
                    if let Some(hold) = hold {
                        hold.after().await;
                    }
                    events
                }
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
            let command = pair.command.as_deref().unwrap_or_default();
            judge_pair(cases, &spec, &pair.server, command, bucket.as_ref(), &options, &mut watch).await?
        }
        Some(Subject::Server(server)) => {
            options.judged = vec![Actor::Server];
            options.headers.clone_from(&server.header);
            options.ca_cert.clone_from(&server.ca_cert);
            options.pace = server.rate.map(Pace::new);
            options.cleanup = server.cleanup;
            match address(server, bucket.as_ref()).await? {
                Err(blocked) => run::blocked(blocked, subject_name(server), &options),
                Ok((mut address, process)) => {
                    address.pace.clone_from(&options.pace);
                    address.patience = options.timeout;
                    let hold = match process.as_ref().filter(|_| args.run.hold) {
                        Some(process) => {
                            let (pid, root) = (process.pid().await, process.root().as_str());
                            Some(Hold::before(pid, Some(root), &process.folder(), cases.len()).await?)
                        }
                        None => None,
                    };
                    let events = match HttpServer::connect(address).await {
                        Ok(server) => run::run(cases, &spec, Arc::new(server), devices, &options, &mut watch).await,
                        Err(blocked) => run::blocked(blocked, subject_name(server), &options),
                    };
                    if let Some(hold) = hold {
                        hold.after().await;
                    }
                    events
                }
            }
        }
    };
    progress.finish();
    Ok(events)
}

/// Refuses what the command line and the configuration do not say together.
fn look_at(args: &CheckArgs) -> Result<(), CommandError> {
    let server = match &args.subject {
        Some(Subject::Server(server)) => Some(server),
        Some(Subject::Pair(pair)) => Some(&pair.server),
        _ => None,
    };
    let is_started = match &args.subject {
        Some(Subject::Client(client)) => client.command.is_some(),
        Some(Subject::Pair(pair)) if pair.command.is_none() => {
            return Err(CommandError::usage(
                "which client? start its adapter with --command, here or under [client] in fieldsync.toml",
            ));
        }
        _ => server.is_some_and(|server| server.serve.is_some()) && !matches!(args.subject, Some(Subject::Pair(_))),
    };
    if let Some(server) = server {
        if server.url.is_empty() && server.serve.is_none() {
            return Err(CommandError::usage(
                "which server? name it with --url, or start it with --serve, here or under [server] in fieldsync.toml",
            ));
        }
        if server.cleanup && (server.serve.is_some() || server.control.is_some()) {
            return Err(CommandError::usage(
                "--cleanup is for a server that stays: with --serve or --control the data sets are made for the run",
            ));
        }
    }
    if args.run.hold && !is_started {
        return Err(CommandError::usage(
            "--hold keeps what the suite starts: it needs `check server --serve` or `check client --command`",
        ));
    }
    Ok(())
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
        words.extend(pair.command.iter().map(|command| option("command", command)));
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
    words.extend(args.run.files.object_storage.iter().map(|url| option("object-storage", url)));
    words.extend(args.suite.fixtures.iter().map(|folder| path("fixtures", folder)));
    words.extend(args.suite.spec.iter().map(|folder| path("spec", folder)));
    words.push("--scenario".to_owned());
    words.join(" ")
}
