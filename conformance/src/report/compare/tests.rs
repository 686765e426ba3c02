use super::*;
use crate::report::test_runs as runs;

fn compared(files: &[(&str, &[Event])], tell: impl Fn(&Comparison<'_>) -> String) -> String {
    let spec = runs::spec();
    let named: Vec<NamedRun<'_>> = files.iter().map(|(name, events)| NamedRun { name, events }).collect();
    tell(&Comparison::of(&named, &spec).unwrap())
}

fn told(files: &[(&str, &[Event])]) -> String {
    compared(files, |comparison| text(comparison, 80).plain())
}

#[test]
fn what_changed_between_two_runs_is_told_before_the_matrix() {
    insta::assert_snapshot!(told(&[("monday", &runs::passing()), ("tuesday", &runs::failing())]));
}

#[test]
fn three_runs_are_a_matrix() {
    let (one, two, three) = (runs::passing(), runs::failing(), runs::not_tested());
    insta::assert_snapshot!(told(&[("one", &one), ("two", &two), ("three", &three)]));
}

#[test]
fn markdown_tells_the_same() {
    let (one, two) = (runs::failing(), runs::passing());
    insta::assert_snapshot!(compared(&[("one", &one), ("two", &two)], markdown));
}

#[test]
fn equal_runs_have_no_changes() {
    let told = told(&[("one", &runs::failing()), ("two", &runs::failing())]);
    assert!(told.contains("nothing changed from A to B"), "{told}");
}

#[test]
fn a_run_that_is_not_whole_is_refused() {
    let spec = runs::spec();
    let (whole, mut cut) = (runs::passing(), runs::passing());
    cut.pop();
    let named = [NamedRun { name: "whole", events: &whole }, NamedRun { name: "cut", events: &cut }];
    assert_eq!(Comparison::of(&named, &spec).unwrap_err(), IncompleteStream::NoFooter);
}

#[test]
fn a_scenario_that_was_repeated_counts_by_its_worst_end() {
    let both = runs::of(vec![runs::failed("push/a"), runs::passed("push/a")]);
    assert_eq!(verdicts(&Run::of(&both).unwrap()).into_values().collect::<Vec<_>>(), [Verdict::Fail]);
}

#[test]
fn a_run_of_one_profile_and_one_of_several_know_the_same_scenarios() {
    let one = runs::failing();
    let mut several = runs::failing();
    runs::header(&mut several).subject.profiles.push(Profile::FieldMerge);
    let spec = runs::spec();
    let named = [NamedRun { name: "one", events: &one }, NamedRun { name: "several", events: &several }];
    assert_eq!(Comparison::of(&named, &spec).unwrap().changes.unwrap().scenarios, []);
}

#[test]
fn what_a_hostile_stream_says_is_text() {
    let mut hostile = runs::hostile(100_000);
    hostile.iter_mut().for_each(crate::report::bounds::bound);
    let files: [(&str, &[Event]); 2] = [("one", &runs::passing()), ("two\u{1b}[2J", &hostile)];
    for told in [told(&files), compared(&files, markdown)] {
        assert!(told.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')));
        assert!(told.len() < 20_000, "{}", told.len());
    }
}
