//! Whole documents, good and bad. A bad one must fail with its line.

use super::*;
use fieldsync_schemas::scenario::{CallKind, DeviceStep, Reading};
use serde_json::json;

const GOOD: &str = r#"title: An answer lost after the commit does not apply the record twice
covers: [push.retry.same-outcome, push.retry.no-self-conflict]
devices: [tablet, phone]
steps:
  - tablet: {create: {observation: fever, data: {temp: 38.1}}}
  - network: {drop: push, of: tablet, at: after_answer}
  - tablet: {sync: {fails: network}}
  - tablet: {sync: ok}
  - phone: {sync: ok}
  - phone: {reads: {fever: {temp: 38.1}}}
  - tablet: {conflicts: none}
    rule: push.retry.no-self-conflict
"#;

fn one(text: &str) -> Case {
    let mut cases = parse("fixtures/scenarios/push/lost-answer.yaml", text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(cases.len(), 1);
    cases.remove(0)
}

/// A scenario of one device and these steps, each on a line of its own from line 5.
fn with_steps(steps: &[&str]) -> String {
    let lines: Vec<String> = steps.iter().map(|step| format!("  - {step}\n")).collect();
    format!(
        "title: A thing that is so\ncovers: [push.retry.same-outcome]\ndevices: [tablet]\nsteps:\n{}",
        lines.concat()
    )
}

fn refused(text: &str) -> String {
    let error = parse("push/x.yaml", text).expect_err(text).to_string();
    error.strip_prefix("push/x.yaml:").unwrap_or(&error).to_owned()
}

#[test]
fn a_good_fixture_keeps_its_place_and_its_lines() {
    let case = one(GOOD);
    assert_eq!((case.id.as_str(), case.chapter.as_str()), ("push/lost-answer", "push"));
    assert_eq!(case.scenario.steps.iter().map(|step| step.line).collect::<Vec<_>>(), [5, 6, 7, 8, 9, 10, 11]);
    let Action::Network(step) = &case.scenario.steps[1].action else { panic!("line 6 is a network step") };
    assert_eq!(step.drop, Some(CallKind::Push));
}

#[test]
fn steps_inside_together_have_lines_too() {
    let case = one(&with_steps(&[
        "tablet: {create: {observation: fever, data: {}}}",
        "together:\n    - tablet: {sync: ok}\n    - request: {path: /session, expect: {}}",
    ]));
    let Action::Together(inner) = &case.scenario.steps[1].action else { panic!("a together") };
    assert_eq!((case.scenario.steps[1].line, inner[0].line, inner[1].line), (6, 7, 8));
}

#[test]
fn each_makes_one_scenario_a_combination() {
    let text = with_steps(&[
        "tablet: {create: {observation: fever, data: {size: '${size}', note: 'x${size}-${word} ${other}'}}}",
    ])
    .replace("A thing that is so", "Pages of ${size} with ${word} hold")
    .replace("steps:", "each: {size: [1, 20], word: [a, b]}\nsteps:");
    let cases = parse("pull/pages.yaml", &text).unwrap();
    let ids: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "pull/pages[size=1,word=a]",
            "pull/pages[size=1,word=b]",
            "pull/pages[size=20,word=a]",
            "pull/pages[size=20,word=b]"
        ]
    );
    assert_eq!(cases[3].scenario.title, "Pages of 20 with b hold");
    assert_eq!(cases[3].file_id(), "pull/pages");
    let Action::Device(_, step) = &cases[3].scenario.steps[0].action else { panic!("a device step") };
    assert_eq!(json!(step.create.as_ref().unwrap().data), json!({"size": 20, "note": "x20-b ${other}"}));
    assert_eq!(cases[3].scenario.steps[0].line, 6);
}

#[test]
fn verbs_and_accounts_come_from_needs_and_steps() {
    let text = with_steps(&[
        "tablet: {sync: ok}",
        "server: {clock: +1h}",
        "together:\n    - server: {kill: true}\n    - request: {as: reader, expect: {}}",
        "request: {as: nobody, expect: {}}",
    ])
    .replace("devices: [tablet]", "devices: {tablet: {account: other}}\nneeds: {control: [horizon]}");
    let case = one(&text);
    assert_eq!(case.needed_verbs(), [Verb::Clock, Verb::Horizon, Verb::Kill].into());
    assert_eq!(case.accounts(), ["other".to_owned(), "reader".to_owned()].into());
}

#[test]
fn a_raw_request_brings_records_about() {
    one(&with_steps(&[
        "request: {path: /push, body: {id: '${fever}'}, expect: {}}",
        "tablet: {reads: {fever: absent}}",
    ]));
}

#[test]
fn what_has_not_the_form_of_a_step_is_refused_where_it_stands() {
    let create = "tablet: {create: {observation: fever, data: {}}}";
    for (steps, message) in [
        (
            &["tablet: {snyc: ok}"][..],
            "5:14: steps[0].tablet.snyc: has not the form of a scenario: unknown field `snyc`",
        ),
        (
            &["netwrok: {drop: push}"],
            "5:5: steps[0].netwrok: `netwrok` is no actor: name one of tablet, network, server, release, together, request, or declare it under devices",
        ),
        (
            &["{tablet: {sync: ok}, server: {kill: true}}"],
            "5:5: steps[0]: has not the form of a scenario: a step has exactly one actor",
        ),
        (
            &["tablet: {outbox: many}"],
            "5:14: steps[0].tablet.outbox: has not the form of a scenario: invalid type: string \"many\", expected u64",
        ),
        (
            &["together:\n    - tablet: {sync: ok}\n    - tablet: {sync: {fails: badly}}"],
            "7:23: steps[0].together[1].tablet.sync.fails: has not the form of a scenario: unknown variant `badly`",
        ),
        (
            &["tablet: {sync: ok, outbox: 0}"],
            "5:5: steps[0].tablet: has sync and outbox: give each action a step of its own",
        ),
        (&["tablet: {}"], "5:5: steps[0].tablet: has no action: write one of create, edit"),
        (
            &["tablet: {delete: fever}"],
            "5:14: steps[0].tablet.delete: no step before this one made the record `fever`: create it first, or mend the name",
        ),
        (
            &[create, "tablet: {reads: {fevre: absent}}"],
            "6:22: steps[1].tablet.reads.fevre: no step before this one made the record `fevre`",
        ),
        (
            &["tablet: {create: {observation: a, reading: b}}"],
            "5:14: steps[0].tablet.create: names 2 types: write exactly one",
        ),
        (
            &[create, "tablet: {conflicts: [{record: fever, lost_by: phone}]}"],
            "6:42: steps[1].tablet.conflicts[0].lost_by: `phone` is no device of this scenario",
        ),
        (
            &["network: {of: tablet, drop: push, hold: push, at: answer}"],
            "5:5: steps[0].network: has drop and hold: give each fault a step of its own",
        ),
        (
            &["network: {of: tablet, drop: push}"],
            "5:5: steps[0].network.at: a drop is at before_send, mid_request, after_answer or mid_answer: write one of them",
        ),
        (
            &["network: {of: tablet, hold: push, at: mid_answer}"],
            "5:39: steps[0].network.at: a hold is at request or answer: write one of them",
        ),
        (
            &["network: {of: tablet, replay: pull, at: answer}"],
            "5:41: steps[0].network.at: only a drop, a kill or a hold has a place: take `at` out",
        ),
        (
            &["network: {of: tablet, kill: push, at: request}"],
            "5:39: steps[0].network.at: a kill is at before_send, mid_request, after_answer, mid_answer or answer",
        ),
        (
            &["network: {of: tablet, kill: push, at: answer, bytes: 3}"],
            "5:51: steps[0].network.bytes: bytes are counted at mid_answer or mid_request",
        ),
        (
            &["network: {of: tablet, drop: push, at: mid_answer, delay_ms: 3}"],
            "5:55: steps[0].network.delay_ms: only a kill at answer can be late",
        ),
        (
            &["network: {of: tablet, kill: push, at: answer, times: 2}"],
            "5:51: steps[0].network.times: a process ends once",
        ),
        (
            &["network: {of: tablet, kill: push, at: answer}", "tablet: {sync: ok}"],
            "6:14: steps[1].tablet.sync: the process is killed in this sync",
        ),
        (
            &["network: {of: tablet, kill: push, at: answer}", "tablet: {sync: ends}", "tablet: {sync: ok}"],
            "7:5: steps[2].tablet: `tablet` was killed: write `tablet: {restart: true}` first",
        ),
        (
            &["network: {of: tablet, kill: push, at: answer}", "network: {of: tablet, kill: pull, at: answer}"],
            "6:27: steps[1].network.kill: `tablet` is killed already",
        ),
        (&["network: {of: tablet, answer: pull}"], "5:5: steps[0].network: an `answer` needs what to answer"),
        (
            &["network: {of: tablet, alter: pull, change: {}}"],
            "5:40: steps[0].network.change: changes nothing: write what to change",
        ),
        (&["network: {of: phone, replay: pull}"], "5:15: steps[0].network.of: `phone` is no device of this scenario"),
        (&["release: tablet"], "5:5: steps[0].release: nothing of `tablet` is held"),
        (
            &["server: {kill: true, horizon: true}"],
            "5:5: steps[0].server: has kill and horizon: give each action a step of its own",
        ),
        (
            &["request: {body: {}, text: x, expect: {}}"],
            "5:25: steps[0].request.text: the request has body already: it has one body",
        ),
        (
            &["tablet: {sync: ok}\n    rule: push.retry.other-thing"],
            "6:5: steps[0].rule: `push.retry.other-thing` is not one of the rules under covers",
        ),
    ] {
        let got = refused(&with_steps(steps));
        assert!(got.starts_with(message), "\n got: {got}\nwant: {message}");
    }
}

#[test]
fn nobody_goes_on_beside_a_process_that_ended_which_may_be_that_of_all() {
    let steps =
        |last| ["network: {of: tablet, kill: push, at: answer}", "tablet: {sync: ends}", last, "phone: {sync: ok}"];
    let of_two = |last| with_steps(&steps(last)).replace("devices: [tablet]", "devices: [tablet, phone]");
    one(&of_two("tablet: {restart: true}"));
    let text = of_two("phone: {sync: ok}");
    assert_eq!(refused(&text), "7:5: steps[2].phone: `tablet` was killed: write `tablet: {restart: true}` first");
}

#[test]
fn what_the_head_says_is_looked_at() {
    let good = with_steps(&["tablet: {sync: ok}"]);
    for (from, to, message) in [
        ("A thing that is so", "Short", "1:1: title: has 5 characters: say the fact in 10 to 120"),
        ("[push.retry.same-outcome]", "[a.b.c, a.b.c]", "2:17: covers[1]: `a.b.c` stands twice: take one out"),
        ("[push.retry.same-outcome]", "[a.b.c, a.b.d]", "2:17: covers[1]: no step says `rule: a.b.d`"),
        ("[push.retry.same-outcome]", "[a.b]", "2:10: covers[0]: has not the form of a scenario: a rule id must match"),
        ("[tablet]", "[tablet, phone]", "3:1: devices.phone: `phone` does nothing: use it, or take it out"),
        ("[tablet]", "[tablet, tablet]", "3:1: devices: `tablet` is declared twice: take one out"),
        (
            "[tablet]",
            "[tablet, server]",
            "3:1: devices: `server` has a meaning of its own: give the device another name",
        ),
        ("devices:", "each: {size: []}\ndevices:", "3:8: each.size: lists no value"),
        (
            "devices:",
            "each: {size: [1]}\ndevices:",
            "3:8: each.size: no step says ${size}: use it, or take it out of each",
        ),
        ("devices:", "harmful: x\ndevices:", "3:1: harmful: has not the form of a scenario: unknown field `harmful`"),
        ("steps:", "harm: no\nsteps:", "4:7: harm: `no` is read differently by different YAML versions"),
    ] {
        let got = refused(&good.replacen(from, to, 1));
        assert!(got.starts_with(message), "\n got: {got}\nwant: {message}");
    }
}

#[test]
fn folders_add_and_override_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let chapter = folder.path().join("scenarios/push");
    std::fs::create_dir_all(&chapter).unwrap();
    std::fs::write(chapter.join("lost-answer.yaml"), GOOD.replace("An answer", "Another answer")).unwrap();
    std::fs::write(chapter.join("notes.md"), "not a fixture").unwrap();
    let over = from_dir(folder.path()).unwrap();
    let expanded = with_steps(&["tablet: {create: {observation: a, data: {size: '${size}'}}}"])
        .replace("steps:", "each: {size: [1, 2]}\nsteps:");
    let mut base = parse("fixtures/scenarios/push/lost-answer.yaml", &expanded).unwrap();
    base.extend(parse("fixtures/scenarios/pull/other.yaml", &with_steps(&["tablet: {sync: ok}"])).unwrap());
    let merged = merge(base, over);
    let ids: Vec<&str> = merged.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids, ["pull/other", "push/lost-answer"]);
    assert!(merged[1].scenario.title.starts_with("Another answer"));
}

#[test]
fn a_folder_without_fixtures_and_a_misplaced_one_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(from_dir(folder.path()).unwrap_err().kind, LoadErrorKind::Empty));
    std::fs::create_dir(folder.path().join("push")).unwrap();
    std::fs::write(folder.path().join("push/a.yml"), GOOD).unwrap();
    assert!(matches!(from_dir(folder.path()).unwrap_err().kind, LoadErrorKind::Misplaced));
    assert!(matches!(from_dir(&folder.path().join("nowhere")).unwrap_err().kind, LoadErrorKind::Unreadable(_)));
}

#[test]
fn every_embedded_fixture_loads() {
    let Loaded { cases, broken } = embedded();
    assert_eq!(broken, []);
    assert!(cases.is_sorted_by(|one, other| one.id < other.id));
}

#[test]
fn readings_keep_their_kind() {
    let case =
        one(&with_steps(&["tablet: {create: {observation: fever, data: {}}}", "tablet: {reads: {fever: deleted}}"]));
    let Action::Device(_, step) = &case.scenario.steps[1].action else { panic!("a device step") };
    let DeviceStep { reads: Some(reads), .. } = &**step else { panic!("reads") };
    assert!(matches!(reads["fever"], Reading::Gone(_)));
}

#[test]
fn a_replica_id_may_carry_what_is_made_up() {
    let text = GOOD.replace("devices: [tablet, phone]", "devices: {tablet: {replica: \"a-${r}\"}, phone: {}}");
    let settings = one(&text).scenario.devices.settings();
    let tablet = settings.iter().find(|(name, _)| name == "tablet").unwrap();
    assert_eq!(tablet.1.replica.as_deref(), Some("a-${r}"));
}

#[test]
fn a_record_that_a_raw_request_made_is_named_with_its_type() {
    let made = "request: {path: /push, body: {id: \"${hut}\"}, expect: {status: 200}}";
    let reads = |alias: &str| with_steps(&[made, &format!("tablet: {{reads: {{\"{alias}\": {{rooms: 1}}}}}}")]);
    one(&reads("household:hut"));
    assert!(refused(&reads("household:tent")).contains("made the record `tent`"));
    assert!(refused(&reads("House:hut")).contains("`House` is no type"));
}
