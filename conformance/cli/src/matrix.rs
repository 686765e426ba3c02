//! `fieldsync matrix`: every client against every server.

use crate::command_error::CommandError;
use crate::object_storage::ObjectStorageOptions;
use crate::output::print;
use crate::pair::judge_pair;
use crate::report_files::write_file;
use crate::server_args::ServerArgs;
use crate::suite::{Filters, SuiteOptions};
use clap::Args;
use fieldsync_conformance::report::findings::findings;
use fieldsync_conformance::report::verdict::{ExitStatus, judge};
use fieldsync_conformance::report::{Background, Run, case_notes, html, jsonl};
use fieldsync_conformance::run::{Options, cores};
use fieldsync_conformance::spec::Spec;
use fieldsync_schemas::event::{Blame, Event};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// As the help of `check` calls it.
const HOW: &str = "How they run";

/// The arguments of `matrix`.
#[derive(Debug, Args)]
#[command(after_help = "\
clients.toml:                          servers.toml:
  [[client]]                             [[server]]
  name = \"kotlin\"                        name = \"go\"
  command = \"java -jar adapter.jar\"      serve = \"./server --port {port} --data {dir}\"
                                         control = \"/control\"
A server has `url` (a list) or `serve`, and may have `control`, `accounts` and `domain` (a list).
With --object-storage, `{storage}` in `serve` stands for the address to sign for.

Exit status: 0 every pair conforms, 1 one does not, 2 usage, 3 error of the suite, 4 nothing ran or not reachable.")]
pub struct MatrixArgs {
    /// The clients.
    #[arg(value_name = "CLIENTS")]
    pub clients: PathBuf,
    /// The servers.
    #[arg(value_name = "SERVERS")]
    pub servers: PathBuf,
    /// The folder for what came of it: for each pair its run and its page, and an overview in Markdown.
    #[arg(long, value_name = "DIR", default_value = "matrix")]
    pub out: PathBuf,
    /// Which scenarios run.
    #[command(flatten)]
    pub filters: Filters,
    /// Where specification and scenarios come from.
    #[command(flatten)]
    pub suite: SuiteOptions,
    /// How many scenarios run at once; what the machine can do where absent.
    #[arg(long, help_heading = HOW, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs: Option<u32>,
    /// Where the files of the servers are.
    #[command(flatten, next_help_heading = HOW)]
    pub storage: ObjectStorageOptions,
    /// How long one scenario may take, in seconds.
    #[arg(long, help_heading = HOW, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// Fixes the order and the made-up values.
    #[arg(long, help_heading = HOW, value_name = "NUMBER", default_value_t = 0)]
    pub seed: u64,
}

/// The clients of a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Clients {
    client: Vec<ClientEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientEntry {
    name: String,
    command: String,
}

/// The servers of a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Servers {
    server: Vec<ServerEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerEntry {
    name: String,
    #[serde(default)]
    url: Vec<String>,
    serve: Option<String>,
    control: Option<String>,
    accounts: Option<PathBuf>,
    #[serde(default)]
    domain: Vec<PathBuf>,
}

impl ServerEntry {
    fn arguments(&self) -> ServerArgs {
        ServerArgs {
            url: self.url.clone(),
            serve: self.serve.clone(),
            control: self.control.clone(),
            domain: self.domain.clone(),
            accounts: self.accounts.clone(),
            ..ServerArgs::default()
        }
    }
}

/// What came of one pair.
struct Cell {
    /// The name of its files.
    file: String,
    status: ExitStatus,
    words: String,
}

/// Judges every pair.
pub fn run(args: MatrixArgs) -> Result<ExitStatus, CommandError> {
    let clients = read::<Clients>(&args.clients)?.client;
    let servers = read::<Servers>(&args.servers)?.server;
    distinct(&args.clients, clients.iter().map(|one| one.name.as_str()))?;
    distinct(&args.servers, servers.iter().map(|one| one.name.as_str()))?;
    for one in &servers {
        if one.url.is_empty() == one.serve.is_none() {
            let words =
                format!("{}: the server {:?} has `url` or `serve`, one of them", args.servers.display(), one.name);
            return Err(CommandError::usage(words));
        }
    }
    let bucket = args.storage.bucket()?;
    if bucket.is_some() && servers.iter().all(|one| one.serve.is_none()) {
        let words = "--object-storage is for servers that are started by `serve`, and there is none";
        return Err(CommandError::usage(format!("{}: {words}", args.servers.display())));
    }
    let suite = args.suite.load()?;
    let cases = suite.select(&args.filters)?;
    let spec = Arc::new(suite.spec.clone());
    let background = Background { spec: &suite.spec, cases: case_notes(&suite.cases) };
    std::fs::create_dir_all(&args.out)
        .map_err(|error| CommandError::usage(format!("{}: {error}", args.out.display())))?;
    let options = Options {
        jobs: args.jobs.map_or(2 * cores(), |jobs| jobs as usize),
        timeout: Duration::from_secs(args.timeout),
        seed: args.seed,
        filtered: !args.filters.is_empty(),
        ..Options::default()
    };
    let runtime = tokio::runtime::Runtime::new().map_err(CommandError::suite)?;
    let mut cells = Vec::new();
    for client in &clients {
        let mut row = Vec::new();
        for server in &servers {
            eprintln!("{} with {}", client.name, server.name);
            let arguments = server.arguments();
            // A server that runs already has its files where it has them.
            let files = server.serve.as_ref().and(bucket.as_ref());
            let events = runtime.block_on(async {
                judge_pair(&cases, &spec, &arguments, &client.command, files, &options, &mut |_| {}).await
            })?;
            let file = format!("{}--{}", file_name(&client.name), file_name(&server.name));
            keep(&args.out, &file, &events, &background)?;
            row.push(cell(file, &events, &suite.spec)?);
        }
        cells.push(row);
    }
    runtime.shutdown_background();
    let told = table(&clients, &servers, &cells, false);
    write_file(&args.out.join("matrix.md"), table(&clients, &servers, &cells, true).as_bytes())?;
    print(&format!("{told}\n{}\n", next(&args.out)))?;
    Ok(cells.iter().flatten().map(|cell| cell.status).max().unwrap_or(ExitStatus::NothingRan))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, CommandError> {
    let wrong = |error: &dyn std::fmt::Display| CommandError::usage(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    toml_edit::de::from_str(&text).map_err(|error| wrong(&error))
}

/// Two of one name would write the same files.
fn distinct<'a>(path: &Path, names: impl Iterator<Item = &'a str>) -> Result<(), CommandError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(file_name(name)) {
            return Err(CommandError::usage(format!("{}: {name:?} is there twice", path.display())));
        }
    }
    if seen.is_empty() {
        return Err(CommandError::usage(format!("{}: there is nobody in it", path.display())));
    }
    Ok(())
}

/// A name as a part of a file's name.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' }).collect()
}

fn keep(out: &Path, file: &str, events: &[Event], background: &Background<'_>) -> Result<(), CommandError> {
    let mut bytes = Vec::new();
    for event in events {
        jsonl::write(&mut bytes, event).map_err(CommandError::suite)?;
    }
    write_file(&out.join(format!("{file}.jsonl")), &bytes)?;
    let page = html::render(events, background).map_err(CommandError::suite)?;
    write_file(&out.join(format!("{file}.html")), page.as_bytes())
}

fn cell(file: String, events: &[Event], spec: &Spec) -> Result<Cell, CommandError> {
    let run = Run::of(events).map_err(CommandError::suite)?;
    let judgement = judge(&run, spec);
    let words = match judgement.status {
        // A part of the suite proves no conformance.
        ExitStatus::Conformant if run.header.filtered => "no rule broken".to_owned(),
        ExitStatus::Conformant => "conformant".to_owned(),
        ExitStatus::NotConformant if run.blocked.is_none() => {
            let mut blamed: BTreeMap<Blame, BTreeSet<&str>> = BTreeMap::new();
            for finding in findings(&run, spec).iter().filter(|finding| finding.is_required) {
                if let Some(blame) = finding.shown.blame {
                    blamed.entry(blame).or_default().insert(finding.rule.as_str());
                }
            }
            let of = |blame: &Blame| match blame {
                Blame::Client => "client",
                Blame::Server => "server",
                Blame::Both => "both",
                Blame::Together => "together",
            };
            let counts: Vec<String> =
                blamed.iter().map(|(blame, rules)| format!("{} {}", of(blame), rules.len())).collect();
            match counts.is_empty() {
                true => "not conformant".to_owned(),
                false => format!("rules broken: {}", counts.join(", ")),
            }
        }
        ExitStatus::NotConformant => "blocked".to_owned(),
        ExitStatus::NothingRan => "nothing ran".to_owned(),
        ExitStatus::SuiteError | ExitStatus::Usage => "error of the suite".to_owned(),
    };
    Ok(Cell { file, status: judgement.status, words })
}

/// The overview: a client a row, a server a column. With links to the pages where it is Markdown for the same folder.
fn table(clients: &[ClientEntry], servers: &[ServerEntry], cells: &[Vec<Cell>], linked: bool) -> String {
    let mut rows = vec![["client"].into_iter().chain(servers.iter().map(|one| one.name.as_str())).map(shown).collect()];
    for (client, row) in clients.iter().zip(cells) {
        let told = row.iter().map(|cell| match linked {
            true => format!("[{}]({}.html)", cell.words, cell.file),
            false => cell.words.clone(),
        });
        rows.push([shown(&client.name)].into_iter().chain(told).collect::<Vec<String>>());
    }
    let columns = servers.len() + 1;
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let ruler: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let mut out = line(&rows[0]);
    out += &format!("| {} |\n", ruler.join(" | "));
    rows[1..].iter().for_each(|row| out += &line(row));
    out
}

/// A name as a cell takes it.
fn shown(name: &str) -> String {
    name.replace('|', "/").escape_debug().to_string()
}

fn next(out: &Path) -> String {
    let out = out.display();
    format!(
        "Each pair has its page in {out}, and {out}/matrix.md is this table with links.\n\
         The same, rule by rule: fieldsync report {out}/*.jsonl --html rules.html"
    )
}
