//! A rule in its box: the sentence, what it belongs to, what shows it, what proves it, and how it fared.

use super::links::{World, scenario_page};
use super::runs::class as runs_class;
use crate::report::RuleState;
use crate::report::html::{RuleView, rule_view};
use crate::spec::{CORE, Rule};
use askama::Template;
use fieldsync_schemas::event::Actor;

#[derive(Template)]
#[template(path = "rule.html")]
struct RuleBox<'a> {
    rule: RuleView<'a>,
    reference: String,
    actor: &'static str,
    level: String,
    since: &'a str,
    untested: Option<&'a str>,
    scenarios: Vec<Named<'a>>,
    mutants: Vec<Named<'a>>,
    hazards: Vec<Named<'a>>,
    runs: Vec<(&'a str, RuleState)>,
}

/// A name, where it leads to, and what it says.
pub(super) struct Named<'a> {
    pub name: &'a str,
    pub page: String,
    pub about: &'a str,
}

/// A rule in its box.
pub(super) fn render(world: &World<'_>, rule: &Rule) -> Result<String, askama::Error> {
    let sources = world.sources;
    let traced = world.traced(rule.id.as_str());
    let scenarios = traced.map_or(&[][..], |row| &row.scenarios).iter();
    let title = |id: &str| world.cases.get(id).and_then(|cases| cases.first()).map_or("", |case| &case.scenario.title);
    let mutants = sources.mutants.iter().filter(|mutant| mutant.rule.id == rule.id);
    let hazards = sources.spec.hazards.iter().filter(|hazard| hazard.rules.iter().any(|named| named.id == rule.id));
    let text = RuleBox {
        rule: rule_view(rule.id.as_str(), Some(rule), None, None),
        reference: rule.reference().to_string(),
        actor: actor(rule.actor),
        level: level(rule),
        since: &rule.since,
        untested: rule.untested.as_deref(),
        scenarios: scenarios.map(|id| Named { name: id, page: scenario_page(id), about: title(id) }).collect(),
        mutants: mutants
            .map(|mutant| Named {
                name: &mutant.name,
                page: format!("mutants.html#m-{}", mutant.name),
                about: &mutant.sentence,
            })
            .collect(),
        hazards: hazards
            .map(|hazard| Named {
                name: &hazard.id,
                page: format!("hazards.html#h-{}", hazard.id),
                about: &hazard.hazard,
            })
            .collect(),
        runs: world.states(rule.id.as_str()).to_vec(),
    };
    text.render()
}

/// Whom a rule binds.
fn actor(actor: Actor) -> &'static str {
    match actor {
        Actor::Server => "server",
        Actor::Device => "device",
    }
}

/// The level of a rule, and its profiles where it has some.
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

/// So many of a thing.
fn counted(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}
