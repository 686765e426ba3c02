//! Where everything stands: the page and the anchor of each chapter, rule, scenario, message, mutant and hazard.

use super::{BuildSiteError, Sources};
use crate::report::{RuleState, Run, rule_states};
use crate::scenario::Case;
use crate::spec::markdown::anchors;
use crate::spec::{Flaw, RuleRef, is_absolute};
use crate::trace::TracedRule;
use fieldsync_schemas::catalog::Message;
use std::collections::{BTreeMap, BTreeSet};

/// The page of a chapter.
pub(super) fn chapter_page(chapter: &str) -> String {
    format!("{chapter}.html")
}

/// The page of a scenario.
pub(super) fn scenario_page(id: &str) -> String {
    format!("scenarios/{id}.html")
}

/// The page of a message.
pub(super) fn message_page(name: &str) -> String {
    format!("messages/{name}.html")
}

/// The page of a stored run.
pub(super) fn run_page(name: &str) -> String {
    format!("runs/{name}.html")
}

/// What a page needs to lead to the others.
pub(super) struct World<'a> {
    pub sources: &'a Sources<'a>,
    /// The scenarios by their files: each with all that its `each` makes of it.
    pub cases: BTreeMap<&'a str, Vec<&'a Case>>,
    pub runs: Vec<(&'a str, Run<'a>)>,
    rows: BTreeMap<&'a str, &'a TracedRule>,
    states: BTreeMap<&'a str, Vec<(&'a str, RuleState)>>,
    anchors: BTreeMap<&'a str, BTreeSet<String>>,
}

/// What a name in the text turned out to be.
pub(super) enum Named {
    /// Something with a page; the address from the root.
    Known(String),
    /// Something that should be there and is not.
    Wrong(String),
    /// Any word.
    Nothing,
}

impl<'a> World<'a> {
    pub(super) fn of(sources: &'a Sources<'a>) -> Result<Self, BuildSiteError> {
        let mut cases: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
        for case in sources.cases {
            cases.entry(case.file_id()).or_default().push(case);
        }
        let mut runs = Vec::new();
        for run in sources.runs {
            let whole =
                Run::of(run.events).map_err(|source| BuildSiteError::Run { name: run.name.to_owned(), source })?;
            runs.push((run.name, whole));
        }
        let mut states: BTreeMap<&str, Vec<(&str, RuleState)>> = BTreeMap::new();
        for (name, run) in &runs {
            for (rule, state) in rule_states(run, sources.spec) {
                states.entry(rule.id.as_str()).or_default().push((name, state));
            }
        }
        let texts = sources.files.texts.iter();
        let anchors = texts.filter_map(|(path, text)| Some((path.strip_suffix(".md")?, anchors(text)))).collect();
        let rows = sources.trace.rows.iter().map(|row| (row.rule.id.as_str(), row)).collect();
        Ok(Self { sources, cases, runs, rows, states, anchors })
    }

    /// What refers to a rule.
    pub(super) fn traced(&self, rule: &str) -> Option<&'a TracedRule> {
        self.rows.get(rule).copied()
    }

    /// How a rule fared in each stored run that it binds.
    pub(super) fn states(&self, rule: &str) -> &[(&'a str, RuleState)] {
        self.states.get(rule).map_or(&[], Vec::as_slice)
    }

    /// Where a rule stands.
    pub(super) fn rule(&self, id: &str) -> Option<String> {
        let rule = self.sources.spec.rule(id)?;
        Some(format!("{}#r-{}", chapter_page(&rule.chapter), rule.id))
    }

    /// Whether a chapter has a page.
    pub(super) fn has_chapter(&self, name: &str) -> bool {
        self.sources.spec.chapter(name).is_some()
    }

    /// What a code span in the text names.
    pub(super) fn named(&self, span: &str) -> Named {
        let spec = self.sources.spec;
        if let Some((chapter, name)) = span.split_once('/') {
            let is_kebab = |text: &str| {
                !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            };
            if spec.chapter(chapter).is_none() || !is_kebab(name) {
                return Named::Nothing;
            }
            return match self.cases.contains_key(span) {
                true => Named::Known(scenario_page(span)),
                false => Named::Wrong(format!("there is no scenario {span}")),
            };
        }
        let chapter = span.split('.').next().unwrap_or_default();
        if spec.chapter(chapter).is_some() && span.split('.').count() == 3 {
            let Ok(named) = span.parse::<RuleRef>() else { return Named::Nothing };
            return match spec.rule(span) {
                None => Named::Wrong(format!("there is no rule {span}")),
                Some(rule) if rule.revision != named.revision => {
                    Named::Wrong(format!("{span} reads {} now: look whether it still fits", rule.reference()))
                }
                Some(_) => self.rule(span).map_or(Named::Nothing, Named::Known),
            };
        }
        if span.contains('-') && Message::named(span).is_some() {
            return Named::Known(message_page(span));
        }
        Named::Nothing
    }

    /// Where a link of a chapter leads from the root, or why it leads nowhere.
    pub(super) fn target(&self, chapter: &str, target: &str) -> Result<String, String> {
        if is_absolute(target) {
            return Ok(target.to_owned());
        }
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let stem = match path.trim_start_matches("./") {
            "" => chapter,
            path => path.strip_suffix(".md").filter(|stem| self.has_chapter(stem)).ok_or_else(|| {
                format!("{target:?} leads to no chapter; write what is outside the specification as a whole URL")
            })?,
        };
        if anchor.is_empty() {
            return Ok(chapter_page(stem));
        }
        match self.anchors.get(stem).is_some_and(|anchors| anchors.contains(anchor)) {
            true => Ok(format!("{}#{anchor}", chapter_page(stem))),
            false => Err(format!("{target:?} leads to #{anchor}, and {stem}.md has no such heading")),
        }
    }

    /// A flaw of a chapter's text.
    pub(super) fn flaw(&self, chapter: &str, line: u32, problem: String) -> Flaw {
        Flaw::new(&self.sources.files.shown(&format!("{chapter}.md")), line, problem)
    }
}

/// Follows every link of the pages.
pub(super) fn check_pages(pages: &BTreeMap<String, String>) -> Result<(), BuildSiteError> {
    let ids: BTreeMap<&str, BTreeSet<&str>> =
        pages.iter().map(|(path, text)| (path.as_str(), values(text, " id=\"").collect())).collect();
    // What a stored run names may be of another specification; its page says so itself.
    let own = pages.iter().filter(|(path, _)| path.ends_with(".html") && !path.starts_with("runs/"));
    for (path, text) in own {
        for target in values(text, " href=\"").filter(|target| !is_absolute(target)) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let leads_to = if file.is_empty() { path.clone() } else { joined(path, file) };
            let is_there = ids.get(leads_to.as_str()).is_some_and(|ids| anchor.is_empty() || ids.contains(anchor));
            if !is_there {
                return Err(BuildSiteError::DeadLink { page: path.clone(), target: target.to_owned() });
            }
        }
    }
    Ok(())
}

/// What stands between this beginning and the next quote.
fn values<'t>(text: &'t str, begin: &'static str) -> impl Iterator<Item = &'t str> {
    text.split(begin).skip(1).filter_map(|rest| rest.split('"').next())
}

/// A relative path from the folder of a page.
fn joined(page: &str, target: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
