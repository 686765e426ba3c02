use super::*;
use crate::spec::SpecFiles;

const SUMMARY: &str =
    "- [Push](push.md)\n- [Hazards](hazards.md)\n- [From ODE](from-ode.md)\n- [Questions](ambiguities.md)\n";
const PUSH: &str = "r[push.a.must+2]\n\nA server MUST x.\n\nr[push.a.should] (untested: only seen inside the server, where no request reaches, whatever a suite may do to it)\n\nA device SHOULD y.\n";

/// Nine more rules, so that one untested rule is no more than one in ten.
fn push(rest: &str) -> String {
    let more: String = (1..=9).map(|n| format!("\nr[push.more.n{n}]\n\nA device MAY z.\n")).collect();
    format!("{PUSH}{more}{rest}")
}

fn spec(push: &str, tables: [&str; 3]) -> Spec {
    let hazards = format!("| id | hazard | rules | scenarios |\n|---|---|---|---|\n{}", tables[0]);
    let origins = format!("| sentence | rules | scenarios | deviation |\n|---|---|---|---|\n{}", tables[1]);
    let questions = format!("| question | ruling | rules |\n|---|---|---|\n{}", tables[2]);
    let files = [
        ("SUMMARY.md", SUMMARY),
        ("push.md", push),
        ("hazards.md", &hazards),
        ("from-ode.md", &origins),
        ("ambiguities.md", &questions),
    ];
    Spec::read(&SpecFiles::from_texts(files)).unwrap()
}

fn case(id: &str, covers: &[&str]) -> CaseInfo {
    let covers = covers.iter().map(|rule| rule.parse().unwrap()).collect();
    CaseInfo { id: id.to_owned(), covers, step_rules: Vec::new() }
}

fn mutant(name: &str, rule: &str) -> MutantInfo {
    MutantInfo { name: name.to_owned(), rule: rule.parse().unwrap(), sentence: "Does not.".to_owned() }
}

fn whole_cases() -> Vec<CaseInfo> {
    let mut cases = vec![case("push/one", &["push.a.must+2"])];
    cases.extend((1..=9).map(|n| case(&format!("push/n{n}"), &[&format!("push.more.n{n}")])));
    cases
}

fn gaps(spec: &Spec, cases: &[CaseInfo], mutants: &[MutantInfo]) -> Vec<String> {
    Trace::of(spec, cases, mutants).gaps.iter().map(Gap::to_string).collect()
}

#[test]
fn what_is_whole_has_no_gap() {
    let tables = [
        "| H1 | x | `push.a.must+2` | `push/one` |\n",
        "| x | `push.a.must+2` | `push/one` | |\n| y | | | later |\n",
        "| x | y | `push.a.should` |\n",
    ];
    let exchange = "\n```http scenario=push/one\nPOST {base}/push\n\nHTTP/1.1 200 OK\n```\n";
    let spec = spec(&push(exchange), tables);
    assert_eq!(gaps(&spec, &whole_cases(), &[mutant("m", "push.a.must+2")]), [""; 0]);
}

#[test]
fn a_rule_without_scenario_or_mutant_is_a_gap() {
    let spec = spec(&push(""), [""; 3]);
    let cases = &whole_cases()[1..];
    assert_eq!(gaps(&spec, cases, &[]), ["no scenario covers push.a.must+2", "no mutant breaks push.a.must+2"]);
}

#[test]
fn exclusions_are_few_and_never_requirements() {
    let spec = spec("r[push.a.b] (untested: x)\n\nA server MUST NOT x.\n", [""; 3]);
    let found = gaps(&spec, &[], &[mutant("m", "push.a.b")]);
    assert_eq!(
        found,
        [
            "push.a.b is a requirement and untested: cover it, or make it a SHOULD",
            "1 of 1 rules are untested; at most one in 10 may be",
        ]
    );
    let covered = gaps(&spec, &[case("push/x", &["push.a.b"])], &[mutant("m", "push.a.b")]);
    assert_eq!(covered[0], "push.a.b is said to be untested, but push/x covers it");
}

#[test]
fn a_stale_or_unknown_name_is_a_gap() {
    let tables = [
        "| H1 | x | `push.no.rule` | `push/none` |\n",
        "| x | `push.a.must` | `push/none` | |\n",
        "| x | y | `push.a.b` |\n",
    ];
    let spec = spec(&push("\n```http scenario=push/none\nGET {base}\n\nHTTP/1.1 200 OK\n```\n"), tables);
    let mut cases = whole_cases();
    cases.push(CaseInfo { step_rules: vec!["push.no.step".parse().unwrap()], ..case("nowhere/x", &["push.a.must"]) });
    let found = gaps(&spec, &cases, &[mutant("m", "push.a.must+2"), mutant("m", "push.no.rule")]);
    assert_eq!(
        found,
        [
            "scenario nowhere/x names push.a.must, but the rule reads push.a.must+2 now: look whether it still fits",
            "scenario nowhere/x names push.no.step, which is no rule",
            "nowhere/x stands in a folder that is no chapter",
            "two mutants are called m",
            "mutant m names push.no.rule, which is no rule",
            "hazard H1 names push.no.rule, which is no rule",
            "hazard H1 names push/none, which is no scenario",
            "spec/src/from-ode.md:3 names push.a.must, but the rule reads push.a.must+2 now: look whether it still fits",
            "spec/src/from-ode.md:3 names push/none, which is no scenario",
            "spec/src/ambiguities.md:3 names push.a.b, which is no rule",
            "spec/src/push.md:45 names push/none, which is no scenario",
        ]
    );
}

#[test]
fn an_empty_row_is_a_gap() {
    let spec = spec(&push(""), ["| H1 | x | | |\n", "| x | | | |\n", "| x | y | |\n"]);
    let found = gaps(&spec, &whole_cases(), &[mutant("m", "push.a.must+2")]);
    assert_eq!(
        found,
        [
            "hazard H1 names no rule",
            "hazard H1 names no scenario",
            "spec/src/from-ode.md:3 names no rule",
            "spec/src/from-ode.md:3 names no scenario",
            "spec/src/ambiguities.md:3 names no rule",
        ]
    );
}

#[test]
fn what_a_draft_lacks_is_no_error() {
    let draft = format!("# Push\n\n> **Draft.** Not all is shown.\n\n{}", push(""));
    let tables = ["| H1 | x | `push.a.must+2` | planned |\n", "| x | `push.a.should` | `push/none`, planned | |\n", ""];
    let drafted = spec(&draft, tables);
    let trace = Trace::of(&drafted, &whole_cases()[1..], &[]);
    let found: Vec<String> = trace.gaps.iter().map(Gap::to_string).collect();
    assert_eq!(found, ["spec/src/from-ode.md:3 names push/none, which is no scenario"]);
    insta::assert_snapshot!(trace.text(&drafted, 80).split_once("\nin drafts, ").unwrap().1, @r"
    and no error: 4 gaps
      rules without a scenario and a mutant: 1
        push.a.must+2
      rows whose scenarios are planned: 2
        H1 spec/src/from-ode.md:3
    ");

    let whole = spec(&push(""), tables);
    let found = gaps(&whole, &whole_cases(), &[mutant("m", "push.a.must+2")]);
    assert_eq!(found[0], "the scenarios of hazard H1 are only planned, and no rule of it is a draft's");
    assert_eq!(found.len(), 3);
}

#[test]
fn the_text_is_readable() {
    let spec = spec(&push(""), [""; 3]);
    let trace = Trace::of(&spec, &whole_cases(), &[]);
    insta::assert_snapshot!(trace.text(&spec, 80), @r"
    1 gap
      - no mutant breaks push.a.must+2

    chapter      rules  MUST  scenarios  mutants  untested
    push            11     1         10        0         1
    all             11     1         10        0         1

    not tested, and why
      push.a.should (SHOULD)
        only seen inside the server, where no request reaches, whatever a suite may
        do to it
    ");
    let rules = trace.rules_text();
    assert!(rules.lines().nth(1).unwrap().starts_with("push.a.must+2"), "{rules}");
}
