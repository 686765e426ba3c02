//! What is wrong with the subject: failures with one rule and one first difference are one finding.

use super::Run;
use crate::spec::Spec;
use fieldsync_schemas::event::{Blame, Failure, Known, ScenarioEnded, Verdict};
use fieldsync_schemas::id::RuleId;
use serde_json::Value;

/// One thing that is wrong, wherever it was seen.
#[derive(Debug, Clone)]
pub struct Finding<'a> {
    /// The rule that is broken.
    pub rule: &'a RuleId,
    /// Whether the subject does not conform because of it; else it is advice.
    pub is_required: bool,
    /// What the baseline says of the scenario that it is shown from. All that failed so are known to.
    pub known: Option<&'a Known>,
    /// The failure that is shown.
    pub failure: &'a Failure,
    /// The scenario that it is shown from.
    pub shown: &'a ScenarioEnded,
    /// Every scenario that failed so, the shown one first.
    pub scenarios: Vec<&'a ScenarioEnded>,
}

impl Finding<'_> {
    /// Whose fault it is, where two foreign sides were judged together.
    pub fn blame(&self) -> Option<&'static str> {
        Some(match self.shown.blame? {
            Blame::Client => "the client's: it fails with the reference server, too",
            Blame::Server => "the server's: it fails with the reference devices, too",
            Blame::Both => "both sides': each fails with the reference, too",
            Blame::Together => "neither side's alone: each passes with the reference, and only the two together fail",
        })
    }
}

/// The findings of a run: what is required first, then by the number of scenarios; last, what was known.
pub fn findings<'a>(run: &Run<'a>, spec: &Spec) -> Vec<Finding<'a>> {
    let mut found: Vec<(Difference<'a>, Finding<'a>)> = Vec::new();
    for &scenario in &run.scenarios {
        for failure in &scenario.failures {
            let difference = first_difference(&failure.expected, &failure.got);
            let known = scenario.known.as_ref().filter(|_| scenario.verdict == Verdict::KnownFailure);
            let same = found.iter_mut().find(|(other, finding)| {
                *finding.rule == failure.rule && *other == difference && finding.known.is_some() == known.is_some()
            });
            match same {
                Some((_, finding)) => {
                    if !finding.scenarios.iter().any(|seen| std::ptr::eq(*seen, scenario)) {
                        finding.scenarios.push(scenario);
                    }
                }
                None => {
                    let finding = Finding {
                        rule: &failure.rule,
                        is_required: is_required(failure, scenario, spec),
                        known,
                        failure,
                        shown: scenario,
                        scenarios: vec![scenario],
                    };
                    found.push((difference, finding));
                }
            }
        }
    }
    let mut findings: Vec<Finding<'a>> = found.into_iter().map(|(_, finding)| finding).collect();
    findings.sort_by_key(|finding| {
        (finding.known.is_some(), !finding.is_required, std::cmp::Reverse(finding.scenarios.len()))
    });
    findings
}

/// The findings that are new, and those that were known.
pub fn new_and_known<'a>(run: &Run<'a>, spec: &Spec) -> (Vec<Finding<'a>>, Vec<Finding<'a>>) {
    findings(run, spec).into_iter().partition(|finding| finding.known.is_none())
}

fn is_required(failure: &Failure, scenario: &ScenarioEnded, spec: &Spec) -> bool {
    match spec.rule(failure.rule.as_str()) {
        Some(rule) => rule.strength.is_required(),
        None => scenario.verdict != Verdict::Warn,
    }
}

/// The first place where two values differ: its JSON Pointer, and what stands there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Difference<'a> {
    pub path: String,
    pub expected: Option<&'a Value>,
    pub got: Option<&'a Value>,
}

/// Where two values differ first. Members that were expected are looked at before those that were not.
pub(super) fn first_difference<'a>(expected: &'a Value, got: &'a Value) -> Difference<'a> {
    differing(String::new(), Some(expected), Some(got)).unwrap_or(Difference {
        path: String::new(),
        expected: Some(expected),
        got: Some(got),
    })
}

fn differing<'a>(path: String, expected: Option<&'a Value>, got: Option<&'a Value>) -> Option<Difference<'a>> {
    let below = |name: &str| format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
    match (expected, got) {
        (Some(Value::Object(wanted)), Some(Value::Object(seen))) => {
            let unexpected = seen.keys().filter(|name| !wanted.contains_key(*name));
            wanted.keys().chain(unexpected).find_map(|name| differing(below(name), wanted.get(name), seen.get(name)))
        }
        (Some(Value::Array(wanted)), Some(Value::Array(seen))) => (0..wanted.len().max(seen.len()))
            .find_map(|index| differing(below(&index.to_string()), wanted.get(index), seen.get(index))),
        _ if expected == got || stands_for(expected, got) => None,
        _ => Some(Difference { path, expected, got }),
    }
}

/// Whether the expected value is a placeholder that the seen one fills.
fn stands_for(expected: Option<&Value>, got: Option<&Value>) -> bool {
    match expected.and_then(Value::as_str) {
        Some("$any") => got.is_some(),
        Some("$string" | "$time") => got.is_some_and(Value::is_string),
        Some("$absent") => got.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test_runs;
    use serde_json::json;

    #[test]
    fn the_first_difference_is_the_first_expected_member_that_differs() {
        let (expected, got) =
            (json!({"b": [1, {"c/d": 2}], "a": "$any"}), json!({"a": 7, "b": [1, {"c/d": 3}], "0": 1}));
        let difference = first_difference(&expected, &got);
        assert_eq!(difference.path, "/b/1/c~1d");
        assert_eq!((difference.expected, difference.got), (Some(&json!(2)), Some(&json!(3))));
        assert_eq!(first_difference(&json!([1]), &json!([1, 2])).path, "/1");
        assert_eq!(first_difference(&json!({}), &json!({"x": 1})).path, "/x");
        assert_eq!(first_difference(&json!(1), &json!([])).path, "");
    }

    #[test]
    fn failures_with_one_rule_and_one_difference_are_one_finding() {
        let events = test_runs::failing();
        let run = Run::of(&events).unwrap();
        let spec = test_runs::spec();
        let seen: Vec<(&str, bool, usize)> = findings(&run, &spec)
            .iter()
            .map(|finding| (finding.rule.as_str(), finding.is_required, finding.scenarios.len()))
            .collect();
        assert_eq!(
            seen,
            [("push.retry.same-outcome", true, 2), ("pull.page.order", true, 1), ("push.answer.quick", false, 1),]
        );
    }
}
