//! `fieldsync`: judge any sync server or client against the Fieldsync protocol.
//!
//! One module a command. Nothing heavy happens before the command line is understood, so that `--help` is quick.

mod adapter;
mod backup;
mod baseline;
mod check;
mod command_error;
#[cfg(test)]
mod command_lines;
mod completions;
mod config;
mod conflicts;
mod doc;
mod doctor;
mod explain;
mod headers;
mod hold;
mod judge;
mod list;
mod man;
mod matrix;
mod merge;
mod mutants;
mod new;
mod object_storage;
mod output;
mod pair;
mod refetch;
mod remote;
mod report;
mod report_files;
mod schemas;
mod serve;
mod server_args;
mod show;
mod spec;
mod suite;
mod telemetry;
mod trace;
mod user;
mod wipe;

use clap::{Parser, Subcommand};
use command_error::CommandError;
use fieldsync_conformance::report::verdict::ExitStatus;
use std::process::ExitCode;

/// Much is made in one thread and dropped in another, for which the system's allocator takes locks.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Judge any sync server or client against the Fieldsync protocol.
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "Exit status: 0 conformant or done, 1 not conformant, 2 usage, 3 error of the suite, 4 nothing ran or not reachable."
)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Judge a server or a client; without more, the reference in this program.
    Check(Box<check::CheckArgs>),
    /// Judge every client against every server.
    Matrix(matrix::MatrixArgs),
    /// Judge recorded traffic of a real deployment, as far as traffic alone shows something.
    Judge(judge::JudgeArgs),
    /// Tell a stored run anew, or put several beside one another.
    Report(Box<report::ReportArgs>),
    /// Put the shards of a run together, and tell it as one.
    Merge(Box<merge::MergeArgs>),
    /// Keep the failures that are known.
    Baseline(baseline::BaselineArgs),
    /// List scenarios, rules, chapters, capabilities or mutants.
    List(list::ListArgs),
    /// Show a scenario with the sentences that it covers.
    Show(show::ShowArgs),
    /// Explain a rule: its sentence, and what shows and proves it.
    Explain(explain::ExplainArgs),
    /// Begin a new scenario from a template.
    New(new::NewArgs),
    /// List, write or check the JSON Schemas of the messages.
    Schemas(schemas::SchemasArgs),
    /// Hold rules, scenarios, mutants and hazards against one another.
    Trace(trace::TraceArgs),
    /// Prove the suite: every mutant must be caught by the rule that it breaks.
    Mutants(mutants::MutantsArgs),
    /// Plug in a client: try its adapter, or be one.
    Adapter(adapter::AdapterArgs),
    /// Write about the protocol: check examples, links and names, and draw scenarios.
    Doc(doc::DocArgs),
    /// Make the specification's pages.
    Spec(spec::SpecArgs),
    /// Run the reference server.
    Serve(serve::ServeArgs),
    /// Make a backup of the reference server's data, also while it serves.
    Backup(backup::BackupArgs),
    /// Look after the accounts of the reference server, and their scopes.
    User(user::UserArgs),
    /// Tell what is in the way between here and a server.
    Doctor(doctor::DoctorArgs),
    /// Show what devices tell of their syncs, by user.
    Telemetry(telemetry::TelemetryArgs),
    /// Print what a shell needs to complete commands and options.
    Completions(completions::CompletionsArgs),
    /// Write a manual page for each command.
    Man(man::ManArgs),
    /// Order the devices of a user to pull once more, also while the reference server serves.
    Refetch(refetch::RefetchArgs),
    /// Empty a data set of the reference server on purpose.
    Wipe(wipe::WipeArgs),
    /// Show what was overridden in a data set, by record.
    Conflicts(conflicts::ConflictsArgs),
}

impl Command {
    fn run(self) -> Result<ExitStatus, CommandError> {
        match self {
            Command::Check(args) => check::run(*args),
            Command::Matrix(args) => matrix::run(args),
            Command::Judge(args) => judge::run(args),
            Command::Report(args) => report::run(*args),
            Command::Merge(args) => merge::run(*args),
            Command::Baseline(args) => baseline::run(args),
            Command::List(args) => list::run(args),
            Command::Show(args) => show::run(args),
            Command::Explain(args) => explain::run(args),
            Command::New(args) => new::run(args),
            Command::Schemas(args) => schemas::run(args),
            Command::Trace(args) => trace::run(args),
            Command::Mutants(args) => mutants::run(args),
            Command::Adapter(args) => adapter::run(args),
            Command::Doc(args) => doc::run(args),
            Command::Spec(args) => spec::run(args),
            Command::Serve(args) => serve::run(args),
            Command::Backup(args) => backup::run(&args),
            Command::User(args) => user::run(args),
            Command::Doctor(args) => doctor::run(args),
            Command::Telemetry(args) => telemetry::run(args),
            Command::Completions(args) => completions::run(args),
            Command::Man(args) => man::run(args),
            Command::Refetch(args) => refetch::run(args),
            Command::Wipe(args) => wipe::run(&args),
            Command::Conflicts(args) => conflicts::run(args),
        }
    }
}

fn main() -> ExitCode {
    match Program::parse().command.run() {
        Ok(status) => status.into(),
        Err(error) => {
            eprintln!("error: {error}");
            error.status.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Program::command().debug_assert();
    }

    #[test]
    fn a_subject_is_one_server_with_its_settings() {
        let parses = |line: &str| Program::try_parse_from(line.split(' ')).is_ok();
        for line in [
            "fieldsync check",
            "fieldsync check --scenario push/x --jobs 2",
            "fieldsync check server --url http://a --url http://b --control http://c --header X:1 --scenario push/x",
            "fieldsync check server --serve run --junit out.xml",
            "fieldsync check client",
            "fieldsync check --html page.html --markdown - --badge badge.svg --jsonl run.jsonl",
            "fieldsync report a.jsonl --html page.html --junit out.xml",
            "fieldsync report a.jsonl b.jsonl c.jsonl --markdown -",
            "fieldsync check --shard 2/4 --baseline known.toml --annotations github",
            "fieldsync check server --config ci.toml",
            "fieldsync check client --command run --hold --no-config",
            "fieldsync merge a.jsonl b.jsonl --baseline known.toml --html page.html",
            "fieldsync baseline update --from a.jsonl --reason why --issue #7 --expires 2999-01-01",
            "fieldsync baseline check known.toml",
            "fieldsync check --html page.html --spec-url https://example.org/spec",
            "fieldsync spec build --out pages --run kotlin=a.jsonl --run swift=b.jsonl --mutants none",
            "fieldsync doc diagram push/x --svg",
            "fieldsync check client --command run --scenario push/x",
            "fieldsync adapter serve",
            "fieldsync mutants adapter some-fault",
            "fieldsync mutants --all",
            "fieldsync backup --data d --to f",
            "fieldsync serve --data d --domain f.yaml --restore b",
            "fieldsync mutants serve some-fault --data d --domain f.yaml --control",
            "fieldsync user add anna --data d --grant visits=read-write",
            "fieldsync user scope anna --data d --data-set visits --place north --place south",
            "fieldsync user scope anna --data d --data-set visits --all",
            "fieldsync refetch anna --data d --data-set visits",
            "fieldsync refetch anna --data d --data-set visits --type household --type member",
            "fieldsync wipe --data d --data-set visits",
            "fieldsync telemetry --url http://a/visits --token-env TOKEN",
            "fieldsync doctor http://a/visits",
            "fieldsync check pair --url http://a --command run --scenario push/x",
            "fieldsync matrix clients.toml servers.toml --out cells --chapter push",
            "fieldsync completions zsh",
            "fieldsync man --out man",
            "fieldsync doctor https://a/visits --user anna --password-env PASSWORD --control http://a/control",
            "fieldsync judge traffic.har --base http://a/visits --judge server --html page.html",
            "fieldsync telemetry --url http://a/visits --user root --password-env PASSWORD --all",
            "fieldsync telemetry --url http://a/visits --user root --password-env PASSWORD --all --expect amina",
            "fieldsync conflicts --url http://a/visits --token-env TOKEN",
            "fieldsync conflicts --url http://a/visits --user root --password-env PASSWORD --type household --record hut",
        ] {
            assert!(parses(line), "{line}");
        }
        for line in [
            "fieldsync check server --url http://a --serve run",
            "fieldsync check --jobs 0",
            "fieldsync report",
            "fieldsync merge",
            "fieldsync check --shard 0/4",
            "fieldsync check --shard 5/4",
            "fieldsync baseline update --from a.jsonl --reason why --issue #7 --expires 2020-01-01",
            "fieldsync report a.jsonl --spec-url javascript:alert(1)",
            "fieldsync spec build",
            "fieldsync spec build --out pages --run a.jsonl",
            "fieldsync spec build --out pages --run ../x=a.jsonl",
            "fieldsync doc diagram push/x --svg --mermaid",
            "fieldsync check server --url http://a --header nothing",
            "fieldsync serve --data d",
            "fieldsync user add anna --data d --grant visits=owner",
            "fieldsync user scope anna --data d --data-set visits",
            "fieldsync user scope anna --data d --data-set visits --place north --all",
            "fieldsync refetch anna --data d",
            "fieldsync wipe --data d",
            "fieldsync telemetry --url http://a/visits",
            "fieldsync doctor",
            "fieldsync doctor http://a/visits --user anna",
            "fieldsync judge",
            "fieldsync check pair --url http://a --serve run --command run",
            "fieldsync matrix clients.toml",
            "fieldsync completions csh",
            "fieldsync judge traffic.har --judge tablet",
            "fieldsync telemetry --url http://a/visits --user root",
            "fieldsync conflicts --url http://a/visits",
            "fieldsync conflicts --url http://a/visits --token-env TOKEN --user root --password-env PASSWORD",
        ] {
            assert!(!parses(line), "{line}");
        }
    }
}
