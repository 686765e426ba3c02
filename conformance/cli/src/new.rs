//! `fieldsync new SCENARIO`: the file of a new scenario, which loads as it stands.

use crate::command_error::CommandError;
use crate::output::print;
use crate::suite::{Suite, SuiteOptions, covers};
use clap::Args;
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_conformance::scenario::parse;
use fieldsync_conformance::spec::Rule;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

const TEMPLATE: &str = include_str!("new_scenario.yaml");

/// The arguments of `new`.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// The scenario, such as `push/lost-answer`: a chapter, and a name that is a fact.
    #[arg(value_name = "SCENARIO")]
    scenario: String,
    /// A rule that it covers, at most three; the first of the chapter that nothing covers, unless given.
    #[arg(long, value_name = "ID")]
    rule: Vec<String>,
    /// The folder of the fixtures; the file goes into `scenarios/<chapter>/` below it.
    #[arg(long, value_name = "DIR", default_value = "fixtures")]
    fixtures: PathBuf,
    /// Read the specification from this mdBook instead of the embedded one.
    #[arg(long, value_name = "DIR")]
    spec: Option<PathBuf>,
}

/// Writes the file.
pub fn run(args: NewArgs) -> Result<ExitStatus, CommandError> {
    let suite = SuiteOptions { fixtures: None, spec: args.spec.clone() }.load()?;
    let (chapter, name) = split(&args.scenario)?;
    if suite.spec.chapter(chapter).is_none() {
        let known = suite.spec.chapters.iter().map(|chapter| chapter.name.as_str());
        return Err(CommandError::unknown("chapter", chapter, known));
    }
    let rules = rules(&suite, chapter, &args.rule)?;
    let text = fill(&rules);
    let folder = args.fixtures.join("scenarios").join(chapter);
    let path = folder.join(format!("{name}.yaml"));
    let shown = path.display().to_string();
    parse(&shown, &text).map_err(|error| CommandError::suite(format!("the template does not load: {error}")))?;
    let written = std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::File::create_new(&path))
        .and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(CommandError::usage(format!("{shown} is there already: choose another name, or edit it")));
        }
        Err(error) => return Err(CommandError::usage(format!("cannot write {shown}: {error}"))),
    }
    let covered: Vec<String> =
        rules.iter().map(|rule| format!("  {}: {}\n", rule.reference(), rule.sentence)).collect();
    print(&format!("{shown}\n{}", covered.concat()))?;
    Ok(ExitStatus::Conformant)
}

fn split(scenario: &str) -> Result<(&str, &str), CommandError> {
    let wrong =
        || CommandError::usage(format!("a scenario is `chapter/what-it-shows`, in lower case; got {scenario:?}"));
    let (chapter, name) = scenario.split_once('/').ok_or_else(wrong)?;
    let is_plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if is_plain(chapter) && is_plain(name) { Ok((chapter, name)) } else { Err(wrong()) }
}

fn rules<'a>(suite: &'a Suite, chapter: &str, named: &[String]) -> Result<Vec<&'a Rule>, CommandError> {
    if named.len() > 3 {
        return Err(CommandError::usage("a scenario covers at most three rules: make it two scenarios"));
    }
    if !named.is_empty() {
        return named.iter().map(|id| suite.rule(id)).collect();
    }
    let of_chapter = || suite.spec.rules.iter().filter(|rule| rule.chapter == chapter);
    let is_covered = |rule: &Rule| suite.cases.iter().any(|case| covers(case, rule.id.as_str()));
    let first = of_chapter().find(|rule| !is_covered(rule)).or_else(|| of_chapter().next());
    let first =
        first.ok_or_else(|| CommandError::usage(format!("the chapter {chapter} has no rule: name one with --rule")))?;
    Ok(vec![first])
}

fn fill(rules: &[&Rule]) -> String {
    let names: Vec<String> = rules.iter().map(|rule| rule.reference().to_string()).collect();
    TEMPLATE.replace("@covers@", &names.join(", "))
}
