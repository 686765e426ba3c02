//! `fieldsync mutants`: prove that the suite catches what it is there to catch.

use crate::command_error::CommandError;
use crate::object_storage::ObjectStorageOptions;
use crate::output::print;
use crate::suite::{Suite, SuiteOptions};
use clap::{Args, Subcommand};
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_conformance::spec::{RuleRef, Spec};
use fieldsync_conformance::trace::MutantInfo;
use fieldsync_mutants::matrix::{self, Fate, Row};
use fieldsync_mutants::null::{self, Null};
use fieldsync_mutants::null_client::{self, NullClient};
use fieldsync_mutants::{Fault, Mutant};
use fieldsync_schemas::event::Verdict;
use fieldsync_schemas::id::RuleId;
use std::sync::Arc;

/// The arguments of `mutants`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct MutantsArgs {
    /// Start one mutant as a process, instead of running the matrix.
    #[command(subcommand)]
    pub start: Option<StartMutant>,
    /// Only this mutant.
    #[arg(long, value_name = "NAME")]
    pub mutant: Vec<String>,
    /// Only the mutants that break this rule.
    #[arg(long, value_name = "ID")]
    pub rule: Vec<String>,
    /// Run all scenarios against each mutant, not only those of its rule until it is caught.
    #[arg(long)]
    pub all: bool,
    /// How many mutants run at once; what the machine can do where absent.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs: Option<u32>,
    /// Where specification and scenarios come from.
    #[command(flatten)]
    pub suite: SuiteOptions,
    /// Where files are. The mutants of `attachments-direct` need it.
    #[command(flatten)]
    pub files: ObjectStorageOptions,
}

/// Start one mutant as a process.
#[derive(Debug, Subcommand)]
pub enum StartMutant {
    /// Run a server with one fault.
    Serve(ServeMutantArgs),
    /// Be the adapter of a device with one fault.
    Adapter(AdapterMutantArgs),
}

/// A device with one fault.
#[derive(Debug, Args)]
pub struct AdapterMutantArgs {
    /// The mutant.
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// A server with one fault.
#[derive(Debug, Args)]
pub struct ServeMutantArgs {
    /// The mutant.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How it is served.
    #[command(flatten)]
    pub serve: crate::serve::ServeArgs,
}

/// Every mutant that this binary has.
pub fn known() -> Vec<MutantInfo> {
    let info = |mutant: Mutant| MutantInfo {
        name: mutant.name.to_owned(),
        rule: RuleRef::from(&mutant.rule.parse::<RuleId>().expect("a mutant names a rule id")),
        sentence: mutant.sentence.to_owned(),
    };
    fieldsync_mutants::all().into_iter().map(info).collect()
}

/// Runs the matrix, or starts one mutant.
pub fn run(args: MutantsArgs) -> Result<ExitStatus, CommandError> {
    match args.start {
        Some(StartMutant::Serve(start)) => match named(&start.name)?.fault {
            Fault::Server(fault) => crate::serve::serve(start.serve, fault),
            Fault::Device(_) => {
                Err(CommandError::usage(format!("{} is a fault of devices, not of servers", start.name)))
            }
        },
        Some(StartMutant::Adapter(start)) => match named(&start.name)?.fault {
            Fault::Device(fault) => crate::adapter::serve(Arc::new(fault)),
            Fault::Server(_) => {
                Err(CommandError::usage(format!("{} is a fault of servers, not of devices", start.name)))
            }
        },
        None => matrix(&args),
    }
}

fn named(name: &str) -> Result<Mutant, CommandError> {
    let all = fieldsync_mutants::all();
    let found = all.iter().find(|mutant| mutant.name == name).copied();
    found.ok_or_else(|| CommandError::unknown("mutant", name, all.iter().map(|mutant| mutant.name)))
}

fn matrix(args: &MutantsArgs) -> Result<ExitStatus, CommandError> {
    let suite = args.suite.load()?;
    for name in &args.mutant {
        named(name)?;
    }
    for id in &args.rule {
        suite.rule(id)?;
    }
    let wanted = |list: &[String], name: &str| list.is_empty() || list.iter().any(|one| one == name);
    let breaks = |mutant: &Mutant| wanted(&args.rule, mutant.rule) || wanted(&args.rule, mutant.rule_id());
    let mutants: Vec<Mutant> = fieldsync_mutants::all()
        .into_iter()
        .filter(|mutant| wanted(&args.mutant, mutant.name) && breaks(mutant))
        .collect();
    if mutants.is_empty() {
        return Err(CommandError::usage("no mutant is selected; `fieldsync list mutants` shows what there is"));
    }
    let bucket = args.files.bucket()?;
    let is_direct = |mutant: &Mutant| {
        let capability = suite.spec.rule(mutant.rule_id()).and_then(|rule| rule.capability.as_ref());
        capability.is_some_and(|capability| capability.as_str() == "attachments-direct")
    };
    let (mutants, not_run): (Vec<_>, Vec<_>) =
        mutants.into_iter().partition(|mutant| bucket.is_some() || !is_direct(mutant));
    if mutants.is_empty() {
        return Err(CommandError::usage("these mutants need an object storage: name one with --object-storage"));
    }
    let started = std::time::Instant::now();
    let runtime = tokio::runtime::Runtime::new().map_err(CommandError::suite)?;
    let spec = Arc::new(suite.spec.clone());
    let jobs = args.jobs.map_or(4, |jobs| jobs as usize);
    let rows = runtime.block_on(matrix::run(mutants, &suite.cases, &spec, jobs, args.all, bucket.as_ref()));
    let nothing = match args.mutant.is_empty() && args.rule.is_empty() {
        true => runtime.block_on(null_subjects(&suite, &spec))?,
        false => Vec::new(),
    };
    runtime.shutdown_background();
    print(&told(&rows, started.elapsed()))?;
    if !not_run.is_empty() {
        print(&format!("{} mutants were not run: they need --object-storage\n", not_run.len()))?;
    }
    let mut idle = String::new();
    for (null, ran, passed) in &nothing {
        idle += &format!("{} of {ran} scenarios pass a {null}\n", passed.len());
        passed.iter().for_each(|id| idle += &format!("  {id}\n"));
    }
    print(&idle)?;
    let is_whole = rows.iter().all(|row| matches!(row.fate, Fate::Killed { .. }))
        && nothing.iter().all(|(_, _, passed)| passed.is_empty());
    Ok(if is_whole { ExitStatus::Conformant } else { ExitStatus::NotConformant })
}

/// A subject that implements nothing, how many scenarios it was put under, and those that it passes.
type Idle = (String, usize, Vec<String>);

/// What passes subjects which implement nothing.
async fn null_subjects(suite: &Suite, spec: &Arc<Spec>) -> Result<Vec<Idle>, CommandError> {
    let mut all = Vec::new();
    for null in Null::IDLE {
        let passed = null::passes(null, &suite.cases, spec).await.map_err(CommandError::suite)?;
        all.push((format!("server that {}", null.as_str()), suite.cases.len(), passed));
    }
    for null in NullClient::IDLE {
        let timeout = std::time::Duration::from_secs(10);
        let (ended, _) = null_client::run(null, &suite.cases, spec, timeout).await.map_err(CommandError::suite)?;
        let passed = ended.iter().filter(|one| matches!(one.verdict, Verdict::Pass | Verdict::Warn));
        let passed = passed.map(|one| one.id.clone()).collect();
        all.push((format!("client that {}", null.as_str()), ended.len(), passed));
    }
    Ok(all)
}

/// The matrix as text: what was not caught first, with its reason.
fn told(rows: &[Row], took: std::time::Duration) -> String {
    let mut out = String::new();
    let mut killed = 0;
    for row in rows {
        let why = match &row.fate {
            Fate::Killed { .. } => {
                killed += 1;
                continue;
            }
            Fate::WrongReason { by, blamed } => format!("caught by {by}, which blames {blamed}"),
            Fate::Survived { ran: 0 } => "no scenario of its rule ran".to_owned(),
            Fate::Survived { ran } => format!("passed all {ran} scenarios of its rule"),
            Fate::Broken { reason } => format!("could not be run: {reason}"),
        };
        out += &format!("NOT CAUGHT {}\n  breaks {}: {}\n  {why}\n", row.name, row.rule, row.sentence);
    }
    if killed < rows.len() {
        out.push('\n');
    }
    let width = rows.iter().map(|row| row.rule.len()).max().unwrap_or(0);
    for row in rows {
        if let Fate::Killed { by } = &row.fate {
            out += &format!("killed {:width$}  {}\n  by {by}\n", row.rule, row.name);
        }
    }
    out += &format!("\n{killed} of {} mutants killed by their own rule in {:.1} s\n", rows.len(), took.as_secs_f64());
    out
}
