//! The run as annotations of a CI job: a line for each finding, and for each entry of a baseline that is to be mended.

use super::findings::new_and_known;
use super::summary::{self, plural};
use super::verdict::judge;
use super::{Background, IncompleteStream, Run, finding_text};
use fieldsync_schemas::event::Event;
use std::fmt::Write;

/// A job shows so many of a kind, and drops the others without a word.
const MOST: usize = 10;

/// The run as commands of a workflow on GitHub.
pub fn github(events: &[Event], background: &Background<'_>) -> Result<String, IncompleteStream> {
    let run = Run::of(events)?;
    let mut all: Vec<(&str, String, String)> = Vec::new();
    if run.blocked.is_some() {
        let (_, line) = summary::verdict_line(&run, &judge(&run, background.spec));
        all.push(("error", "title=fieldsync".to_owned(), line));
    }
    if let Some(baseline) = &run.footer.baseline {
        all.extend(baseline.problems.iter().map(|one| {
            let place = format!("file={},line={},title=baseline", property(&baseline.file), one.line);
            ("error", place, one.problem.clone())
        }));
    }
    let (new, _) = new_and_known(&run, background.spec);
    for finding in &new {
        let sentence = background.spec.rule(finding.rule.as_str()).map_or("", |rule| &rule.sentence);
        let scenario = run.name_of(finding.shown);
        let count = match finding.scenarios.len() {
            1 => String::new(),
            count => format!(" and {}", plural(count - 1, "more scenario")),
        };
        let again = finding_text::reproduce(&run, finding.shown);
        let words = format!("{sentence}\n{}; {scenario}{count}\n{again}", finding.failure.what);
        let kind = if finding.is_required { "error" } else { "warning" };
        all.push((kind, format!("title={}", property(finding.rule.as_str())), words));
    }
    let mut out = String::new();
    let shown = if all.len() > MOST { MOST - 1 } else { MOST };
    for (kind, properties, words) in all.iter().take(shown) {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "::{kind} {properties}::{}", message(words));
    }
    if all.len() > shown {
        let more = plural(all.len() - shown, "more finding");
        let _ = writeln!(out, "::error title=fieldsync::{more}: the reports have them all");
    }
    Ok(out)
}

/// A text behind the colons.
fn message(words: &str) -> String {
    let escaped = words.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    super::text::visible(&escaped)
}

/// A text before the colons.
fn property(words: &str) -> String {
    message(words).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{bounds, test_runs as runs};
    use fieldsync_schemas::event::{BaselineProblem, BaselineUse};

    fn told(events: &[Event]) -> String {
        let spec = runs::spec();
        github(events, &runs::background(&spec)).unwrap()
    }

    #[test]
    fn a_finding_is_a_line() {
        let told = told(&runs::failing());
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            lines[0],
            "::error title=push.retry.same-outcome::A server MUST answer a batch that it has answered before with the \
             same outcomes, and MUST NOT apply it again.%0Athe version of fever; push/lost-answer and 1 more scenario\
             %0Afieldsync check server --url http://localhost:8080 --scenario push/lost-answer"
        );
        assert!(lines[2].starts_with("::warning title=push.answer.quick::"));
    }

    #[test]
    fn an_entry_of_the_baseline_has_its_place() {
        let mut events = runs::passing();
        if let Some(Event::Footer(footer)) = events.last_mut() {
            let problems = vec![BaselineProblem { line: 4, problem: "stale: 100 %".to_owned() }];
            footer.baseline = Some(BaselineUse { file: "ci/a,b.toml".to_owned(), used: 0, problems });
        }
        assert_eq!(told(&events), "::error file=ci/a%2Cb.toml,line=4,title=baseline::stale: 100 %25\n");
    }

    #[test]
    fn no_more_than_ten_are_told_and_nothing_begins_a_line_of_its_own() {
        let mut events = runs::hostile(1000);
        events.iter_mut().for_each(bounds::bound);
        let mut many: Vec<Event> = events.clone();
        let hostile = many.remove(1);
        for number in 0..20 {
            let mut one = hostile.clone();
            if let Event::Scenario(ended) = &mut one {
                ended.failures.iter_mut().for_each(|failure| failure.got = number.into());
                ended.id = format!("push/{number}");
            }
            many.insert(1, one);
        }
        let told = told(&many);
        assert_eq!(told.lines().count(), MOST);
        assert!(told.lines().all(|line| line.starts_with("::error ") || line.starts_with("::warning ")), "{told}");
        assert!(told.chars().all(|c| c == '\n' || !c.is_control()), "{told}");
    }
}
