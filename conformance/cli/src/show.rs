//! `fieldsync show SCENARIO`: a fixture as it stands, below the sentences that it covers.

use crate::command_error::CommandError;
use crate::output::print;
use crate::suite::SuiteOptions;
use clap::Args;
use fieldsync_conformance::report::verdict::ExitStatus;

/// The arguments of `show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The scenario, such as `push/lost-answer`.
    #[arg(value_name = "SCENARIO")]
    scenario: String,
    #[command(flatten)]
    suite: SuiteOptions,
}

/// Shows.
pub fn run(args: ShowArgs) -> Result<ExitStatus, CommandError> {
    let suite = args.suite.load()?;
    let case = suite
        .cases
        .iter()
        .find(|case| case.id == args.scenario || case.file_id() == args.scenario)
        .ok_or_else(|| suite.unknown_scenario(&args.scenario))?;
    // The sentences are comments, so that what is printed can be saved as a fixture.
    let mut out = format!("# {}\n", case.file);
    for rule in &case.scenario.covers {
        let sentence = suite.spec.rule(rule.as_str()).map_or("no such rule", |rule| &rule.sentence);
        out += &textwrap::fill(
            &format!("{rule}: {sentence}"),
            textwrap::Options::new(100).initial_indent("# ").subsequent_indent("#   ").break_words(false),
        );
        out.push('\n');
    }
    out.push_str(&case.source);
    print(&out)?;
    Ok(ExitStatus::Conformant)
}
