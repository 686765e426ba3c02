use super::*;
use crate::report::test_runs as runs;
use crate::report::verdict::{ExitStatus, judge};
use crate::report::{Run, verdict_line};
use crate::scenario::Case;
use crate::spec::Spec;
use fieldsync_schemas::event::{BaselineProblem, Event, Verdict};

const SUITE: [&str; 6] =
    ["push/two-at-once", "push/calm", "push/slow", "push/lost-answer", "push/not-there", "pull/order"];

/// The names that the run of the tests has, and one more.
fn cases() -> Vec<Case> {
    let steps = "title: A lost answer does not apply the record twice\ncovers: [push.retry.same-outcome]\n\
        profile: version-wins\ndevices: [tablet]\nsteps:\n\
        \x20 - tablet: {create: {observation: fever, data: {temp: 38.1}}}\n\
        \x20 - tablet: {sync: ok}\n\x20 - tablet: {reads: {fever: {temp: 38.1}}}\n";
    SUITE
        .iter()
        .flat_map(|id| crate::scenario::parse(&format!("fixtures/scenarios/{id}.yaml"), steps).unwrap())
        .map(|case| match case.id.as_str() {
            "pull/order" => Case { id: "pull/order[page=2]".to_owned(), ..case },
            _ => case,
        })
        .collect()
}

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn entry(what: &str) -> String {
    format!("[[known]]\n{what}\nreason = \"it forgets\"\nissue = \"#7\"\nexpires = \"2999-01-01\"\n")
}

fn read(text: &str) -> Baseline {
    Baseline::read("known.toml", text).unwrap()
}

/// The run, held against this baseline, and what it came to.
fn applied(mut events: Vec<Event>, text: &str) -> (Vec<Event>, ExitStatus, String) {
    let (spec, cases) = (runs::spec(), cases());
    apply(&mut events, &read(text), Suite { spec: &spec, cases: &cases }, day("2026-12-01"));
    let run = Run::of(&events).unwrap();
    let judgement = judge(&run, &spec);
    let (_, line) = verdict_line(&run, &judgement);
    (events.clone(), judgement.status, line)
}

fn problems(events: &[Event]) -> Vec<BaselineProblem> {
    match events.last() {
        Some(Event::Footer(footer)) => footer.baseline.clone().unwrap().problems,
        _ => panic!("a run ends with a footer"),
    }
}

fn verdict(events: &[Event], id: &str) -> Verdict {
    apply::scenarios(events).find(|ended| ended.id == id).unwrap().verdict
}

const BOTH: &str = "rule = \"push.retry.same-outcome\"";

#[test]
fn a_run_whose_failures_are_all_known_is_green_and_never_conformant() {
    let (events, status, line) = applied(runs::failing(), &(entry(BOTH) + &entry("scenario = \"pull/*\"")));
    assert_eq!(status, ExitStatus::Conformant);
    assert_eq!(line, "no new failure; 3 known");
    assert_eq!(problems(&events), []);
    assert_eq!(verdict(&events, "push/two-at-once"), Verdict::KnownFailure);
    let Some(Event::Footer(footer)) = events.last() else { panic!() };
    assert!(!footer.conformant);
    assert_eq!((footer.verdicts.get("known-failure"), footer.verdicts.get("fail")), (Some(&3), None));
    assert_eq!(footer.baseline.as_ref().unwrap().used, 2);
}

#[test]
fn a_failure_that_no_entry_speaks_of_is_new() {
    let (events, status, line) = applied(runs::failing(), &entry(BOTH));
    assert_eq!(status, ExitStatus::NotConformant);
    assert_eq!(line, "not conformant: 1 rule broken; 2 failures are known");
    assert_eq!(verdict(&events, "pull/order[page=2]"), Verdict::Fail);
}

#[test]
fn a_scenario_is_known_only_by_every_failure_of_it() {
    let mut events = runs::failing();
    for event in &mut events {
        if let Event::Scenario(ended) = event
            && ended.id == "push/two-at-once"
        {
            let mut more = ended.failures[0].clone();
            more.rule = "pull.page.order".parse().unwrap();
            ended.failures.push(more);
        }
    }
    let (events, ..) = applied(events, &entry(BOTH));
    assert_eq!(verdict(&events, "push/two-at-once"), Verdict::Fail);
    assert_eq!(verdict(&events, "push/lost-answer"), Verdict::KnownFailure);
}

#[test]
fn an_entry_whose_scenario_passes_is_stale_and_a_flaky_one_is_not() {
    let (events, status, line) = applied(runs::passing(), &entry("scenario = \"push/lost-answer\""));
    assert_eq!(status, ExitStatus::NotConformant);
    assert_eq!(line, "the baseline is out of date: 1 entry to mend");
    let problem = "stale: push/lost-answer does not fail any more; take the entry out".to_owned();
    assert_eq!(problems(&events), [BaselineProblem { line: 1, problem }]);
    assert_eq!(verdict(&events, "push/lost-answer"), Verdict::UnexpectedPass);
    let flaky = entry("scenario = \"push/lost-answer\"\nkind = \"flaky\"");
    assert_eq!(applied(runs::passing(), &flaky).1, ExitStatus::Conformant);
}

#[test]
fn what_was_not_selected_or_could_not_run_may_fail_yet() {
    let mut part = runs::of(vec![runs::passed("push/calm")]);
    runs::header(&mut part).filtered = true;
    for known in ["scenario = \"push/lost-answer\"", "scenario = \"push/*\"", BOTH] {
        assert_eq!(applied(part.clone(), &entry(known)).1, ExitStatus::Conformant, "{known}");
    }
    assert_eq!(applied(part, &entry("scenario = \"push/calm\"")).1, ExitStatus::NotConformant);
    let skipped = runs::skipped("push/lost-answer", Verdict::NotTested, "no verb");
    let skipped = runs::of(vec![runs::passed("push/calm"), skipped]);
    assert_eq!(applied(skipped, &entry("scenario = \"push/lost-answer\"")).1, ExitStatus::Conformant);
}

#[test]
fn an_entry_that_names_nothing_is_unmatched() {
    let text = entry("scenario = \"push/no-such\"") + &entry("rule = \"push.no.such\"");
    let (events, status, _) = applied(runs::passing(), &text);
    assert_eq!(status, ExitStatus::NotConformant);
    let told: Vec<(u32, bool)> =
        problems(&events).iter().map(|one| (one.line, one.problem.starts_with("unmatched:"))).collect();
    assert_eq!(told, [(1, true), (6, true)]);
}

#[test]
fn an_entry_that_has_expired_hides_nothing() {
    let text = entry(BOTH).replace("2999-01-01", "2026-11-30");
    let (events, status, _) = applied(runs::failing(), &text);
    assert_eq!((status, verdict(&events, "push/lost-answer")), (ExitStatus::NotConformant, Verdict::Fail));
    assert_eq!(problems(&events)[0].problem, "expired on 2026-11-30: mend the failure, or decide anew (#7)");
    let last_day = entry(BOTH).replace("2999-01-01", "2026-12-01");
    assert_eq!(verdict(&applied(runs::failing(), &last_day).0, "push/lost-answer"), Verdict::KnownFailure);
}

#[test]
fn an_entry_of_one_profile_or_part_speaks_of_no_other() {
    let of = |more: &str| applied(runs::failing(), &entry(&format!("scenario = \"push/lost-answer\"\n{more}")));
    assert_eq!(verdict(&of("profile = \"version-wins\"").0, "push/lost-answer"), Verdict::KnownFailure);
    assert_eq!(verdict(&of("profile = \"field-merge\"").0, "push/lost-answer"), Verdict::Fail);
    assert_eq!(verdict(&of("as = \"tablet\"").0, "push/lost-answer"), Verdict::Fail);
}

#[test]
fn what_was_applied_can_be_taken_back() {
    let (mut events, ..) = applied(runs::failing(), &entry(BOTH));
    forget(&mut events);
    assert_eq!(verdict(&events, "push/lost-answer"), Verdict::Fail);
}

#[test]
fn a_mistake_is_told_with_its_line() {
    let told = |text: &str| Baseline::read("known.toml", text).unwrap_err().to_string();
    let wrong = |from: &str, to: &str| told(&format!("# known\n\n{}", entry(BOTH).replace(from, to)));
    assert_eq!(wrong("\"#7\"", "\"\""), "known.toml:3: `issue` is empty; it says where that is followed up");
    assert!(wrong("reason = \"it forgets\"\n", "").starts_with("known.toml:3: missing field `reason`"));
    assert!(wrong(BOTH, "").starts_with("known.toml:3: the entry names neither a scenario nor a rule"));
    assert!(wrong(BOTH, "scenaria = \"x\"").starts_with("known.toml:4: unknown field `scenaria`"));
    assert_eq!(wrong("2999-01-01", "soon"), "known.toml:7: a day is written such as 2027-03-31; got \"soon\"");
    assert!(wrong("expires = ", "expires ").starts_with("known.toml:7: "));
}

#[test]
fn a_date_needs_no_quotation_marks() {
    let text = entry(BOTH).replace("\"2999-01-01\"", "2999-01-01");
    assert_eq!(read(&text).entries[0].known.expires, day("2999-01-01"));
}

fn updated(events: &[Event], text: &str) -> Updated {
    let (spec, cases): (Spec, Vec<Case>) = (runs::spec(), cases());
    let why = Why { reason: "new".to_owned(), issue: "#8".to_owned(), expires: day("2999-12-31") };
    update(&read(text), events, Suite { spec: &spec, cases: &cases }, &why).unwrap()
}

#[test]
fn an_update_makes_a_run_green_and_changes_nothing_when_run_again() {
    let first = updated(&runs::failing(), "");
    assert_eq!(first.added.len(), 3);
    insta::assert_snapshot!(first.text, @r##"
    [[known]]
    scenario = "pull/order[page=2]"
    rule = "pull.page.order"
    reason = "new"
    issue = "#8"
    expires = "2999-12-31"

    [[known]]
    scenario = "push/lost-answer"
    rule = "push.retry.same-outcome"
    reason = "new"
    issue = "#8"
    expires = "2999-12-31"

    [[known]]
    scenario = "push/two-at-once"
    rule = "push.retry.same-outcome"
    reason = "new"
    issue = "#8"
    expires = "2999-12-31"
    "##);
    assert_eq!(applied(runs::failing(), &first.text).1, ExitStatus::Conformant);
    assert_eq!(updated(&runs::failing(), &first.text).text, first.text);
}

#[test]
fn an_update_keeps_the_words_of_people_and_takes_out_what_is_stale() {
    let text = format!(
        "# What our server does not do yet.\n\n# of calm\n{}\n# about both\n{}",
        entry("scenario = \"push/calm\""),
        entry(BOTH).replace("2999-01-01", "2020-01-01"),
    );
    let updated = updated(&runs::failing(), &text);
    assert_eq!((updated.added.len(), updated.removed.len(), updated.prolonged.len()), (1, 1, 1));
    insta::assert_snapshot!(updated.text, @r##"
    # What our server does not do yet.

    # about both
    [[known]]
    rule = "push.retry.same-outcome"
    reason = "it forgets"
    issue = "#7"
    expires = "2999-12-31"

    [[known]]
    scenario = "pull/order[page=2]"
    rule = "pull.page.order"
    reason = "new"
    issue = "#8"
    expires = "2999-12-31"
    "##);
}
