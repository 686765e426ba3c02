//! `fieldsync trace`: rules, scenarios, mutants and hazards held against one another.

use crate::command_error::CommandError;
use crate::output::print;
use crate::suite::SuiteOptions;
use clap::Args;
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_conformance::spec::check_examples;
use fieldsync_conformance::trace::Trace;

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

/// Traces. A gap, or an example of the text that is not valid, is exit status 1.
pub fn run(args: TraceArgs) -> Result<ExitStatus, CommandError> {
    let suite = args.suite.load()?;
    let trace = Trace::of(&suite.spec, &suite.case_infos(), &crate::mutants::known());
    let flaws = check_examples(&suite.spec);
    let mut out = String::new();
    for flaw in &flaws {
        out += &format!("{flaw}\n");
    }
    out += &trace.text(&suite.spec, args.width);
    if args.rules {
        out.push('\n');
        out += &trace.rules_text();
    }
    print(&out)?;
    let is_whole = trace.gaps.is_empty() && flaws.is_empty();
    Ok(if is_whole { ExitStatus::Conformant } else { ExitStatus::NotConformant })
}
