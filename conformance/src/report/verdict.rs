//! From a whole run to one exit status.

use super::Run;
use super::findings::new_and_known;
use crate::spec::Spec;
use fieldsync_schemas::event::Verdict;
use fieldsync_schemas::id::RuleId;

/// The exit status of the program. The numbers never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ExitStatus {
    /// The subject conforms, as far as it was tested; with a baseline, nothing new is broken.
    Conformant = 0,
    /// The subject breaks a rule, could be reached but not used, claims what it does not offer, or, where everything is
    /// required, was not tested whole; or the baseline is out of date.
    NotConformant = 1,
    /// The command line or a file that it names is wrong.
    Usage = 2,
    /// The suite itself went wrong.
    SuiteError = 3,
    /// No scenario ran, or the subject could not be reached.
    NothingRan = 4,
}

impl From<ExitStatus> for std::process::ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// What a run says of its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The exit status.
    pub status: ExitStatus,
    /// The requirements that are broken, each once.
    pub broken: Vec<RuleId>,
    /// The capabilities that the subject claims, and that every one of their scenarios skipped as not offered.
    pub empty_claims: Vec<String>,
    /// The claimed capabilities that a scenario has shown to hold.
    pub shown: Vec<String>,
    /// How many scenarios were run to an end.
    pub ran: usize,
    /// How many failed, and were not known to.
    pub failed: usize,
    /// How many were not tested.
    pub not_tested: usize,
    /// How many the suite could not judge.
    pub errors: usize,
    /// How many failed as the baseline says.
    pub known: usize,
    /// How many entries of the baseline are to be mended.
    pub stale: usize,
}

/// Judges a run. What was not tested is held against the subject where the run requires all.
///
/// A broken rule outweighs an error of the suite: it is proven, whatever else went wrong.
pub fn judge(run: &Run<'_>, spec: &Spec) -> Judgement {
    let count = |verdict: Verdict| run.scenarios.iter().filter(|scenario| scenario.verdict == verdict).count();
    let failed = count(Verdict::Fail);
    let mut broken: Vec<RuleId> = Vec::new();
    let (new, _) = new_and_known(run, spec);
    for finding in new.into_iter().filter(|finding| finding.is_required) {
        if !broken.contains(finding.rule) {
            broken.push(finding.rule.clone());
        }
    }
    let claims = Claims::of(run, spec);
    let ran = run.scenarios.iter().filter(|scenario| scenario.verdict.has_run()).count();
    let known = count(Verdict::KnownFailure);
    let stale = run.footer.baseline.as_ref().map_or(0, |baseline| baseline.problems.len());
    let (not_tested, errors) = (count(Verdict::NotTested), count(Verdict::Error));
    let status = match run.blocked {
        Some(blocked) if blocked.unreachable => ExitStatus::NothingRan,
        Some(_) => ExitStatus::NotConformant,
        None if failed > 0 || !broken.is_empty() || !claims.empty.is_empty() || stale > 0 => ExitStatus::NotConformant,
        None if errors > 0 => ExitStatus::SuiteError,
        // The scenarios that can run may all be in other shards.
        None if ran == 0 && run.header.shard.is_none() => ExitStatus::NothingRan,
        None if run.header.require_all && not_tested > 0 => ExitStatus::NotConformant,
        None => ExitStatus::Conformant,
    };
    Judgement {
        status,
        broken,
        empty_claims: claims.empty,
        shown: claims.shown,
        ran,
        failed,
        not_tested,
        errors,
        known,
        stale,
    }
}

/// What became of the capabilities that the subject claims.
#[derive(Default)]
struct Claims {
    empty: Vec<String>,
    shown: Vec<String>,
}

impl Claims {
    /// A scenario speaks of a capability where it covers a rule of it, and its profile is hosted. One that only lacks a
    /// control verb is no proof against the claim: it is counted as not tested.
    fn of(run: &Run<'_>, spec: &Spec) -> Self {
        let mut claims = Self::default();
        let is_shard = run.header.shard.is_some();
        for capability in &run.header.subject.capabilities {
            let verdicts: Vec<Verdict> = run
                .scenarios
                .iter()
                .filter(|scenario| run.header.subject.profiles.contains(&scenario.profile))
                .filter(|scenario| {
                    scenario.needs.contains(capability)
                        || scenario.covers.iter().any(|rule| belongs_to(spec, rule, capability))
                })
                .map(|scenario| scenario.verdict)
                .collect();
            let skipped = |verdict: &Verdict| matches!(verdict, Verdict::Unsupported | Verdict::NotTested);
            // The scenarios that show it may be in other shards.
            if !is_shard && verdicts.iter().all(skipped) && verdicts.contains(&Verdict::Unsupported) {
                claims.empty.push(capability.clone());
            }
            if verdicts.iter().any(|verdict| verdict.has_passed() || *verdict == Verdict::Warn) {
                claims.shown.push(capability.clone());
            }
        }
        claims
    }
}

fn belongs_to(spec: &Spec, rule: &RuleId, capability: &str) -> bool {
    spec.rule(rule.as_str())
        .and_then(|rule| rule.capability.as_ref())
        .is_some_and(|of_rule| of_rule.as_str() == capability)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test_runs as runs;
    use fieldsync_schemas::event::{Event, Shard};
    use fieldsync_schemas::registry::Profile;

    fn judged(events: &[Event]) -> Judgement {
        judge(&Run::of(events).unwrap(), &runs::spec())
    }

    fn status(events: &[Event]) -> ExitStatus {
        judged(events).status
    }

    #[test]
    fn a_run_without_a_broken_rule_conforms() {
        let judgement = judged(&runs::passing());
        assert_eq!(judgement.status, ExitStatus::Conformant);
        assert_eq!(judgement.shown, ["roles"]);
    }

    #[test]
    fn a_broken_requirement_does_not_conform_and_advice_does() {
        let judgement = judged(&runs::failing());
        assert_eq!(judgement.status, ExitStatus::NotConformant);
        assert_eq!(
            judgement.broken.iter().map(RuleId::as_str).collect::<Vec<_>>(),
            ["push.retry.same-outcome", "pull.page.order"]
        );
        assert_eq!(status(&runs::of(vec![runs::passed("push/a"), runs::warned("push/b")])), ExitStatus::Conformant);
    }

    #[test]
    fn what_was_not_tested_is_red_only_where_all_is_required() {
        assert_eq!(status(&runs::not_tested()), ExitStatus::Conformant);
        assert_eq!(status(&runs::all_required(runs::not_tested())), ExitStatus::NotConformant);
    }

    #[test]
    fn nothing_ran_is_never_green() {
        assert_eq!(status(&runs::of(vec![])), ExitStatus::NothingRan);
        assert_eq!(
            status(&runs::of(vec![runs::skipped("push/a", Verdict::NotTested, "no kill")])),
            ExitStatus::NothingRan
        );
        assert_eq!(status(&runs::blocked(true)), ExitStatus::NothingRan);
    }

    #[test]
    fn a_subject_that_cannot_be_used_does_not_conform() {
        assert_eq!(status(&runs::blocked(false)), ExitStatus::NotConformant);
    }

    #[test]
    fn an_error_of_the_suite_is_no_verdict_on_the_subject() {
        let error = || runs::skipped("push/b", Verdict::Error, "the tap has no port");
        assert_eq!(status(&runs::of(vec![runs::passed("push/a"), error()])), ExitStatus::SuiteError);
        let mut events = runs::failing();
        events.insert(1, error());
        assert_eq!(status(&events), ExitStatus::NotConformant);
    }

    #[test]
    fn a_claim_whose_scenarios_are_all_skipped_is_a_failure() {
        let skipped =
            |verdict| runs::covering("session/roles", "session.roles.kept", runs::skipped("", verdict, "why"));
        let with = |verdict| runs::of(vec![runs::passed("push/a"), skipped(verdict)]);
        assert_eq!(judged(&with(Verdict::Unsupported)).empty_claims, ["roles"]);
        assert_eq!(status(&with(Verdict::Unsupported)), ExitStatus::NotConformant);
        assert_eq!(status(&with(Verdict::NotTested)), ExitStatus::Conformant);
        let mut elsewhere = with(Verdict::Unsupported);
        for event in &mut elsewhere {
            if let Event::Scenario(one) = event
                && one.verdict == Verdict::Unsupported
            {
                one.profile = Profile::FieldMerge;
            }
        }
        assert!(judged(&elsewhere).empty_claims.is_empty(), "a profile that is not hosted says nothing of the claim");
    }

    #[test]
    fn a_shard_says_nothing_of_claims_and_need_not_run_anything() {
        let skipped =
            |verdict| runs::covering("session/roles", "session.roles.kept", runs::skipped("", verdict, "why"));
        let mut events = runs::of(vec![skipped(Verdict::Unsupported)]);
        assert_eq!(status(&events), ExitStatus::NotConformant);
        runs::header(&mut events).shard = Some(Shard { index: 1, of: 2 });
        assert_eq!(status(&events), ExitStatus::Conformant);
    }
}
