//! A fixture of this program that cannot be read: the suite's own fault, and told as the end of that scenario alone.

use crate::scenario::{LoadError, id_of};
use fieldsync_schemas::event::{Event, ScenarioEnded, Verdict};
use fieldsync_schemas::registry::Profile;

/// Puts the fixtures that were to run and cannot be read into the events of a run.
pub fn tell(events: &mut Vec<Event>, broken: &[&LoadError]) {
    let profile = events.iter().find_map(|event| match event {
        Event::Header(header) => header.subject.profiles.first().cloned(),
        _ => None,
    });
    let profile = profile.unwrap_or(Profile::VersionWins);
    let was_run = !events.iter().any(|event| matches!(event, Event::Blocked(_)));
    let count = broken.len() as u64;
    if count == 0 || !was_run {
        return;
    }
    for event in events.iter_mut() {
        match event {
            Event::Header(header) => header.selected += count,
            Event::Footer(footer) => {
                *footer.verdicts.entry(Verdict::Error.as_str().to_owned()).or_default() += count;
                footer.conformant = false;
            }
            _ => {}
        }
    }
    let end = events.len().saturating_sub(1);
    let ended = broken.iter().map(|error| Event::Scenario(Box::new(ended(error, profile.clone()))));
    events.splice(end..end, ended);
}

fn ended(error: &LoadError, profile: Profile) -> ScenarioEnded {
    ScenarioEnded {
        id: id_of(&error.file),
        title: "A fixture that cannot be read".to_owned(),
        profile,
        roles: None,
        covers: Vec::new(),
        needs: Vec::new(),
        verdict: Verdict::Error,
        reason: Some(error.to_string()),
        known: None,
        blame: None,
        failures: Vec::new(),
        steps: Vec::new(),
        exchanges: Vec::new(),
        log: None,
        checks: 0,
        millis: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Run;
    use crate::report::test_runs as runs;
    use crate::report::verdict::{ExitStatus, judge};
    use crate::scenario::parse;

    #[test]
    fn a_fixture_that_cannot_be_read_is_an_error_of_the_suite() {
        let error = parse("fixtures/scenarios/push/odd.yaml", "title: [\n").unwrap_err();
        let mut events = runs::of(vec![runs::passed("push/a")]);
        tell(&mut events, &[&error]);
        let run = Run::of(&events).unwrap();
        let odd = run.scenarios.iter().find(|one| one.id == "push/odd").unwrap();
        assert!(odd.reason.as_ref().unwrap().starts_with("fixtures/scenarios/push/odd.yaml:"), "{odd:?}");
        assert_eq!(judge(&run, &runs::spec()).status, ExitStatus::SuiteError);
        assert_eq!(run.footer.verdicts.get("error"), Some(&1));
        let before = runs::blocked(false);
        let mut after = before.clone();
        tell(&mut after, &[&error]);
        assert_eq!(after, before, "a subject that cannot be used is all there is to tell");
    }
}
