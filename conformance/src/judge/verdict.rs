//! From failures to a verdict.

use crate::spec::Spec;
use fieldsync_schemas::event::{Actor, Failure, Verdict};

/// The verdict of a scenario with these failures: a broken SHOULD warns, a broken MUST fails.
pub fn verdict(failures: &[Failure], spec: &Spec) -> Verdict {
    let required = |failure: &Failure| spec.rule(failure.rule.as_str()).is_none_or(|rule| rule.strength.is_required());
    if failures.is_empty() {
        Verdict::Pass
    } else if failures.iter().any(required) {
        Verdict::Fail
    } else {
        Verdict::Warn
    }
}

/// Whether a rule binds one of these actors; a rule that the specification lacks binds both.
pub fn binds(spec: &Spec, rule: &str, judged: &[Actor]) -> bool {
    spec.rule(rule).is_none_or(|rule| judged.contains(&rule.actor))
}
