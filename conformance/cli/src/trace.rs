//! `fieldsync trace`: rules, scenarios, mutants and hazards held against one another, and the examples of the text executed.

use crate::command_error::CommandError;
use crate::output::print;
use crate::suite::SuiteOptions;
use clap::Args;
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_conformance::shown;
use fieldsync_conformance::spec::check_examples;
use fieldsync_conformance::trace::Trace;
use std::sync::Arc;

/// The arguments of `trace`.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// Also list every rule with the number of its scenarios, mutants and hazards.
    #[arg(long)]
    rules: bool,
    /// The width of the text, in columns.
    #[arg(long, default_value_t = 80)]
    width: usize,
    #[command(flatten)]
    suite: SuiteOptions,
}

/// Traces. A gap, an example of the text that is not valid, or an exchange that does not happen is exit status 1.
pub fn run(args: TraceArgs) -> Result<ExitStatus, CommandError> {
    let suite = args.suite.load()?;
    let trace = Trace::of(&suite.spec, &suite.case_infos(), &crate::mutants::known());
    let mut flaws = check_examples(&suite.spec);
    let runtime = tokio::runtime::Runtime::new().map_err(CommandError::suite)?;
    let spec = Arc::new(suite.spec.clone());
    flaws.extend(runtime.block_on(shown::check(&spec, &suite.cases)).map_err(CommandError::suite)?);
    let mut out: String = suite.broken.iter().map(|error| format!("{error}\n")).collect();
    for flaw in &flaws {
        out += &format!("{flaw}\n");
    }
    out += &trace.text(&suite.spec, args.width);
    if args.rules {
        out.push('\n');
        out += &trace.rules_text();
    }
    print(&out)?;
    let is_whole = trace.gaps.is_empty() && flaws.is_empty() && suite.broken.is_empty();
    Ok(if is_whole { ExitStatus::Conformant } else { ExitStatus::NotConformant })
}
