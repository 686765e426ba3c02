use super::*;
use crate::report::test_runs as runs;

fn told(events: &[Event]) -> String {
    let spec = runs::spec();
    render(events, &runs::background(&spec), 80).unwrap().plain()
}

#[test]
fn a_run_that_passes() {
    insta::assert_snapshot!(told(&runs::passing()), @r"
    core + version-wins: conformant; 1 of 17 capabilities
    http://localhost:8080; suite 0.1.0, protocol 2026-12-01, seed 7

    chapter  pass
    session     1
    push        2
    all         3

    3 scenarios: 3 pass. Rules: 3 held, 1 broken, 2 not looked at
    (push.answer.quick, pull.page.order). 4.2 s.
    ");
}

#[test]
fn a_run_that_fails() {
    insta::assert_snapshot!(told(&runs::failing()), @r#"
    not conformant: 2 rules broken
    http://localhost:8080; suite 0.1.0, protocol 2026-12-01, seed 7

    FINDINGS (3)

    push.retry.same-outcome  MUST  2 scenarios
      A server MUST answer a batch that it has answered before with the same
      outcomes, and MUST NOT apply it again.
      checked   the version of fever
        expected: 1
        got:      2
      exchange  tablet: POST /push -> 200 (the suite put in: the answer was lost)
        sent:     {"mutations":[{"data":{"note":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
                  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
                  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
                  … (427 characters)
        answered: {"note":"\u001b[2Jgone","replayed":false}
      means     A visit that was recorded once is counted twice, and nobody can tell
                which of the two is real.
      scenario  push/lost-answer: An answer lost after the commit does not apply the
                record twice
                fixtures/scenarios/push/lost-answer.yaml:12
      also in   push/two-at-once
      run       fieldsync check server --url http://localhost:8080 --scenario push/lost-answer

    pull.page.order  MUST  1 scenario
      A server MUST send the changes of a feed in the order of their places.
      checked   the answer's body
        first at: /feeds/observation/changes/0
        expected: "a"
        got:      "b"
              "observation": {
                "changes": [
        -         "a",
        -         "b"
        +         "b",
        +         "a"
                ]
              }
      scenario  pull/order[page=2]: An answer lost after the commit does not apply
                the record twice
                fixtures/scenarios/pull/order.yaml:12
      run       fieldsync check server --url http://localhost:8080 --scenario 'pull/order[page=2]'

    push.answer.quick  SHOULD  1 scenario
      A server SHOULD answer within a second.
      checked   the time of the answer
        expected: "1s"
        got:      "3s"
      scenario  push/slow: An answer lost after the commit does not apply the record
                twice
                fixtures/scenarios/push/slow.yaml:12
      run       fieldsync check server --url http://localhost:8080 --scenario push/slow

    chapter  pass  warn  fail
    push        1     1     2
    pull        -     -     1
    all         1     1     3

    5 scenarios: 1 pass, 1 warn, 3 fail. Rules: 3 held, 1 broken, 2 not looked at.
    4.2 s.
    "#);
}

#[test]
fn a_run_with_what_was_not_tested() {
    insta::assert_snapshot!(told(&runs::not_tested()), @r"
    core + version-wins: conformant; 0 of 17 capabilities
    http://localhost:8080; suite 0.1.0, protocol 2026-12-01, seed 7

    chapter  pass  unsupported  not-tested
    session     -            1           -
    push        1            -           2
    all         1            1           2

    not tested
         2  needs the control verb kill

    not claimed
         1  the session does not list password-login

    4 scenarios: 1 pass, 1 unsupported, 2 not-tested. Rules: 3 held, 1 broken, 2 not
    looked at. 4.2 s.
    ");
}

#[test]
fn a_run_that_was_blocked() {
    insta::assert_snapshot!(told(&runs::blocked(false)), @r"
    blocked while asking for the session: the answer is no session: /tag is missing
    http://localhost:8080; suite 0.1.0, protocol 2026-12-01, seed 7
    ");
    insta::assert_snapshot!(told(&runs::blocked(true)), @r"
    not reached while asking for discovery: connection refused: is the server
    running, and is this its address?
    http://localhost:8080; suite 0.1.0, protocol 2026-12-01, seed 7
    ");
}

#[test]
fn a_part_of_the_suite_proves_no_conformance() {
    let mut events = runs::passing();
    runs::header(&mut events).filtered = true;
    let told = told(&events);
    assert!(told.starts_with("no rule broken in 3 scenarios that ran; a part of the suite\n"), "{told}");
}

#[test]
fn all_required_makes_the_untested_red() {
    let told = told(&runs::all_required(runs::not_tested()));
    assert!(told.starts_with("not conformant: 2 scenarios not tested, and all are required\n"), "{told}");
}

#[test]
fn no_line_is_wider_than_asked_but_the_one_to_copy() {
    for events in [runs::failing(), runs::not_tested(), runs::blocked(true)] {
        for line in told(&events).lines().filter(|line| !line.trim_start().starts_with("run ")) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    let spec = runs::spec();
    let text = render(&runs::failing(), &runs::background(&spec), 80).unwrap();
    let mut bare = String::new();
    let mut escaped = false;
    for character in text.coloured().chars() {
        match character {
            '\u{1b}' => escaped = true,
            'm' if escaped => escaped = false,
            _ if !escaped => bare.push(character),
            _ => {}
        }
    }
    assert_eq!(bare, text.plain());
}

#[test]
fn what_a_hostile_stream_says_is_text() {
    let spec = runs::spec();
    let mut events = runs::hostile(100_000);
    events.iter_mut().for_each(crate::report::bounds::bound);
    let told = render(&events, &runs::background(&spec), 80).unwrap().plain();
    assert!(told.len() < 100_000, "{}", told.len());
    assert!(told.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "what a terminal obeys");
    assert!(told.contains("<script>") && told.contains("\\u{202e}"), "it is told");
}
