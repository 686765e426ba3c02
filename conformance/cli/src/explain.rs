//! `fieldsync explain RULE`: one sentence, and all that shows and proves it.

use crate::command_error::CommandError;
use crate::output::print;
use crate::suite::{SuiteOptions, covers};
use clap::Args;
use fieldsync_conformance::report::text::{Text, Tone};
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_conformance::spec::{CORE, Rule};
use std::collections::BTreeMap;

const WIDTH: usize = 80;

/// The arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The rule, such as `push.retry.same-outcome`.
    #[arg(value_name = "RULE")]
    rule: String,
    #[command(flatten)]
    suite: SuiteOptions,
}

/// Explains.
pub fn run(args: ExplainArgs) -> Result<ExitStatus, CommandError> {
    let suite = args.suite.load()?;
    let rule = suite.rule(&args.rule)?;
    let title = suite.spec.chapter(&rule.chapter).map_or(rule.chapter.as_str(), |chapter| &chapter.title);
    let mut out = Text::default();
    out.line(Tone::Strong, rule.reference().to_string());
    out.wrapped(Tone::Plain, "  ", &rule.sentence, WIDTH);
    out.blank();
    out.wrapped(Tone::Plain, "chapter    ", &format!("{title} ({}:{})", rule.file, rule.line), WIDTH);
    out.wrapped(Tone::Plain, "level      ", &level(rule), WIDTH);
    out.wrapped(Tone::Plain, "since      ", &rule.since, WIDTH);
    if let Some(reason) = &rule.untested {
        out.wrapped(Tone::Careful, "untested   ", reason, WIDTH);
    }
    let scenarios: BTreeMap<&str, &str> = suite
        .cases
        .iter()
        .filter(|case| covers(case, rule.id.as_str()))
        .map(|case| (case.file_id(), case.scenario.title.as_str()))
        .collect();
    section(&mut out, "scenarios", scenarios);
    let mutants = crate::mutants::known();
    let breaking = mutants.iter().filter(|mutant| mutant.rule.id == rule.id);
    section(&mut out, "mutants", breaking.map(|mutant| (mutant.name.as_str(), mutant.sentence.as_str())));
    let hazards = suite.spec.hazards.iter().filter(|hazard| hazard.rules.iter().any(|named| named.id == rule.id));
    section(&mut out, "hazards", hazards.map(|hazard| (hazard.id.as_str(), hazard.hazard.as_str())));
    print(&out.plain())?;
    Ok(ExitStatus::Conformant)
}

fn level(rule: &Rule) -> String {
    let level = rule.capability.as_ref().map_or(CORE, |capability| capability.as_str());
    match rule.profiles.as_slice() {
        [] => level.to_owned(),
        profiles => {
            let names: Vec<&str> = profiles.iter().map(|profile| profile.as_str()).collect();
            format!("{level}, profile {}", names.join(" or "))
        }
    }
}

fn section<'a>(out: &mut Text, title: &str, rows: impl IntoIterator<Item = (&'a str, &'a str)>) {
    out.blank();
    out.line(Tone::Strong, title);
    let mut any = false;
    for (name, about) in rows {
        any = true;
        out.wrapped(Tone::Plain, "  ", &format!("{name}: {about}"), WIDTH);
    }
    if !any {
        out.line(Tone::Faint, "  none");
    }
}
