//! `fieldsync list`: what there is.

use crate::command_error::CommandError;
use crate::output::print;
use crate::suite::{Filters, Suite, SuiteOptions};
use clap::{Args, ValueEnum};
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_conformance::spec::{CAPABILITIES, CLIENT_CAPABILITIES, is_of_clients};
use std::fmt::Write;

/// The arguments of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// What to list.
    #[arg(default_value = "scenarios")]
    what: What,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    suite: SuiteOptions,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// The scenarios that the filters select, with their titles.
    Scenarios,
    /// The rules, with their sentences; of the chapters that `--chapter` names.
    Rules,
    /// The chapters, with their titles.
    Chapters,
    /// What a server may offer besides the core.
    Capabilities,
    /// The reference implementations with one fault each.
    Mutants,
}

/// Lists.
pub fn run(args: ListArgs) -> Result<ExitStatus, CommandError> {
    let mut out = String::new();
    match args.what {
        What::Scenarios => {
            for case in args.suite.load()?.select(&args.filters)? {
                line(&mut out, &case.id, &case.scenario.title);
            }
        }
        What::Rules => rules(&mut out, &args.suite.load()?, &args.filters)?,
        What::Chapters => {
            for chapter in args.suite.load_spec()?.chapters {
                line(&mut out, &chapter.name, &chapter.title);
            }
        }
        What::Capabilities => {
            CAPABILITIES.iter().for_each(|name| line(&mut out, name, ""));
            let of_clients = CLIENT_CAPABILITIES.iter().filter(|name| is_of_clients(name));
            of_clients.for_each(|name| line(&mut out, name, "a client's"));
        }
        What::Mutants => {
            for mutant in crate::mutants::known() {
                line(&mut out, &mutant.name, &format!("{}: {}", mutant.rule, mutant.sentence));
            }
        }
    }
    print(&out)?;
    Ok(ExitStatus::Conformant)
}

fn rules(out: &mut String, suite: &Suite, filters: &Filters) -> Result<(), CommandError> {
    suite.check_filters(filters)?;
    for rule in &suite.spec.rules {
        if filters.chapter.is_empty() || filters.chapter.contains(&rule.chapter) {
            line(out, &rule.reference().to_string(), &rule.sentence);
        }
    }
    Ok(())
}

fn line(out: &mut String, name: &str, about: &str) {
    // Writing to a string cannot fail.
    let _ = if about.is_empty() { writeln!(out, "{name}") } else { writeln!(out, "{name}  {about}") };
}
