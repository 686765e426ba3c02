//! The words of one finding: the same on a terminal and in JUnit.

use super::findings::{Finding, findings};
use super::moments::answer;
use super::text::{Text, Tone};
use super::{Background, IncompleteStream, Run, diff, unexpanded};
use crate::tap::redact::cut;
use fieldsync_schemas::event::{Event, Exchange, ScenarioEnded};
use serde_json::Value;

/// The scenarios that are named besides the one that is shown.
const MOST_NAMES: usize = 5;

/// The last lines of a client's log that are shown.
const LOG_LINES: usize = 6;

/// Tells what a run of one scenario found, in lines of at most `width` columns.
pub fn of_scenario(events: &[Event], background: &Background<'_>, width: usize) -> Result<String, IncompleteStream> {
    let run = Run::of(events)?;
    let found = findings(&run, background.spec);
    Ok(found.iter().map(|finding| tell(finding, &run, background, width).plain()).collect::<Vec<_>>().join("\n"))
}

/// Tells a finding in lines of at most `width` columns.
pub(super) fn tell(finding: &Finding<'_>, run: &Run<'_>, background: &Background<'_>, width: usize) -> Text {
    let mut out = Text::default();
    write_rule(&mut out, finding, background, width);
    out.wrapped(Tone::Plain, "  checked   ", &finding.failure.what, width);
    diff::write(&mut out, finding.failure, width);
    out.append(exchange(finding, width));
    write_scenario(&mut out, finding, run, background, width);
    out
}

/// Tells the exchange that shows a finding, and what the suite did to those before it.
pub(super) fn exchange(finding: &Finding<'_>, width: usize) -> Text {
    let mut out = Text::default();
    write_faults(&mut out, finding, width);
    if let Some(exchange) = exchange_of(finding) {
        write_exchange(&mut out, exchange, width);
    }
    out
}

fn write_rule(out: &mut Text, finding: &Finding<'_>, background: &Background<'_>, width: usize) {
    let rule = background.spec.rule(finding.rule.as_str());
    let tone = if finding.is_required { Tone::Bad } else { Tone::Careful };
    let count = match finding.scenarios.len() {
        1 => "1 scenario".to_owned(),
        count => format!("{count} scenarios"),
    };
    let strength = rule.map_or("", |rule| rule.strength.as_str());
    out.spans([
        (tone, finding.rule.as_str()),
        (Tone::Faint, "  "),
        (Tone::Plain, strength),
        (Tone::Faint, "  "),
        (Tone::Plain, &count),
    ]);
    match rule {
        Some(rule) => {
            out.wrapped(Tone::Strong, "  ", &rule.sentence, width);
            // Where the pages are is told only where somebody said it.
            if let Some(link) = background.spec.pages.as_ref().and_then(|_| background.spec.link(rule)) {
                out.spans([(Tone::Plain, "  see       "), (Tone::Plain, &link)]);
            }
        }
        None => out.wrapped(Tone::Strong, "  ", "This rule is not in the specification that was read.", width),
    }
}

/// What the suite did to the network before: without it the exchange that is shown may look harmless.
fn write_faults(out: &mut Text, finding: &Finding<'_>, width: usize) {
    let shown = finding.failure.exchange.and_then(|index| usize::try_from(index).ok());
    for (index, exchange) in finding.shown.exchanges.iter().enumerate() {
        if let Some(fault) = exchange.fault.as_ref().filter(|_| shown != Some(index)) {
            let status = answer(exchange);
            let told = format!("{}: {} -> {status}; the suite put in: {fault}", exchange.by, exchange.request);
            out.wrapped(Tone::Plain, "  before    ", &told, width);
        }
    }
}

fn exchange_of<'a>(finding: &Finding<'a>) -> Option<&'a Exchange> {
    let index = usize::try_from(finding.failure.exchange?).ok()?;
    finding.shown.exchanges.get(index)
}

fn write_exchange(out: &mut Text, exchange: &Exchange, width: usize) {
    let status = answer(exchange);
    let fault = exchange.fault.as_ref().map_or_else(String::new, |fault| format!(" (the suite put in: {fault})"));
    out.wrapped(
        Tone::Plain,
        "  exchange  ",
        &format!("{}: {} -> {status}{fault}", exchange.by, exchange.request),
        width,
    );
    for (label, body) in [("    sent:     ", &exchange.sent), ("    answered: ", &exchange.answered)] {
        if !body.is_null() {
            let words = match body {
                Value::String(text) => text.clone(),
                tree => tree.to_string(),
            };
            out.folded(Tone::Plain, label, &cut(&words, width.saturating_sub(label.len()).max(20) * 3), width);
        }
    }
}

fn write_scenario(out: &mut Text, finding: &Finding<'_>, run: &Run<'_>, background: &Background<'_>, width: usize) {
    let id = &finding.shown.id;
    let case = background.case(id);
    if let Some(harm) = case.and_then(|case| case.harm.as_ref()) {
        out.wrapped(Tone::Careful, "  means     ", harm, width);
    }
    out.wrapped(
        Tone::Plain,
        "  scenario  ",
        &format!("{}: {}", run.name_of(finding.shown), finding.shown.title),
        width,
    );
    match finding.shown.roles.as_deref() {
        None => {}
        Some("all") => out.line(Tone::Plain, "  client    plays every device"),
        Some(name) => out.wrapped(Tone::Plain, "  client    ", &format!("plays {name}"), width),
    }
    if let Some(blame) = finding.blame() {
        out.wrapped(Tone::Strong, "  fault     ", blame, width);
    }
    let file = case.map_or_else(|| format!("fixtures/scenarios/{}.yaml", unexpanded(id)), |case| case.file.clone());
    match finding.failure.line {
        0 => out.line(Tone::Faint, format!("            {file}, seen beside its steps")),
        line => {
            out.line(Tone::Faint, format!("            {file}:{line}"));
            // A step that goes over several lines begins with nothing but its name.
            if let Some(step) = case.and_then(|case| case.line(line)).filter(|step| !step.ends_with(':')) {
                out.line(Tone::Faint, cut(&format!("            {step}"), width));
            }
        }
    }
    let others: Vec<String> = finding.scenarios.iter().skip(1).map(|scenario| run.name_of(scenario)).collect();
    if !others.is_empty() {
        let mut names = others[..others.len().min(MOST_NAMES)].join(", ");
        if others.len() > MOST_NAMES {
            names += &format!(" and {} more", others.len() - MOST_NAMES);
        }
        out.wrapped(Tone::Faint, "  also in   ", &names, width);
    }
    if let Some(log) = &finding.shown.log {
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        out.folded(Tone::Faint, "  its log   ", &last, width);
    }
    // Not wrapped: it is there to be copied.
    out.spans([(Tone::Faint, "  run       "), (Tone::Plain, &reproduce(run, finding.shown))]);
}

/// The line that runs a scenario again.
pub(super) fn reproduce(run: &Run<'_>, scenario: &ScenarioEnded) -> String {
    let again = if run.header.again.is_empty() { "fieldsync check --scenario" } else { &run.header.again };
    format!("{again} {}", quoted(&scenario.id))
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    if word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.:=".contains(&byte)) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
