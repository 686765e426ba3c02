//! The counts of a run.

use crate::judge::verdict::binds;
use crate::spec::Spec;
use fieldsync_schemas::event::{Actor, Footer, ScenarioEnded, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// Counts how scenarios ended, and how the rules of the judged side fared.
pub fn footer<'a>(
    ended: impl Iterator<Item = &'a ScenarioEnded>,
    spec: &Spec,
    judged: &[Actor],
    millis: u64,
) -> Footer {
    let mut verdicts: BTreeMap<String, u64> = BTreeMap::new();
    let (mut passed, mut failed) = (BTreeSet::new(), BTreeSet::new());
    for one in ended {
        *verdicts.entry(one.verdict.as_str().to_owned()).or_default() += 1;
        match one.verdict {
            Verdict::Pass | Verdict::UnexpectedPass => {
                passed.extend(one.covers.iter().map(|rule| rule.as_str().to_owned()))
            }
            Verdict::Fail | Verdict::KnownFailure => {
                failed.extend(one.failures.iter().map(|failure| failure.rule.as_str().to_owned()))
            }
            _ => {}
        }
    }
    passed.retain(|rule| binds(spec, rule, judged) && !failed.contains(rule));
    let of_subject = spec.rules.iter().filter(|rule| judged.contains(&rule.actor)).count() as u64;
    let errors = verdicts.get("error").copied().unwrap_or(0);
    Footer {
        rules_passed: passed.len() as u64,
        rules_failed: failed.len() as u64,
        rules_untested: of_subject.saturating_sub((passed.len() + failed.len()) as u64),
        conformant: failed.is_empty() && errors == 0 && verdicts.get("pass").copied().unwrap_or(0) > 0,
        millis,
        cleanup: None,
        baseline: None,
        verdicts,
    }
}
