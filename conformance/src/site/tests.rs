use super::*;
use crate::report::test_runs as runs;
use crate::scenario::parse;
use crate::spec::RuleRef;
use crate::trace::CaseInfo;

const SUMMARY: &str = "- [Push](push.md)\n- [Hazards](hazards.md)\n";
const PUSH: &str = "# Push\n\nA `push-request`, and [what goes wrong](hazards.md#hazards).\n\n## The `rules`\n\n\
    r[push.retry.same-outcome]\nA server MUST answer `again` with the same outcomes.\n\n\
    r[push.retry.quick] (since 2026-12-01)\n\nA server SHOULD answer at once.\n\nSee `push.retry.quick` and [above](#the-rules), <b>not HTML</b>.\n\n\
    ```json\n{\"a\": \"<b>\"}\n```\n";
const HAZARDS: &str = "# Hazards\n\n| id | hazard | rules | scenarios |\n|---|---|---|---|\n| H7 | A record doubles | `push.retry.same-outcome` | `push/lost-answer` |\n";
const SCENARIO: &str = "title: A lost answer is given again\ncovers: [push.retry.same-outcome]\nharm: A visit counts twice.\ndevices: [tablet]\nsteps:\n  - tablet: {sync: ok}\n";

fn built(push: &str, events: &[NamedRun<'_>]) -> Result<BTreeMap<String, String>, BuildSiteError> {
    let files = SpecFiles::from_texts([("SUMMARY.md", SUMMARY), ("push.md", push), ("hazards.md", HAZARDS)]);
    let spec = Spec::read(&files).unwrap();
    let cases = parse("fixtures/scenarios/push/lost-answer.yaml", SCENARIO).unwrap();
    let covers: Vec<RuleRef> = crate::trace::references(&cases[0].scenario.covers);
    let infos = [CaseInfo { id: cases[0].id.clone(), covers, step_rules: Vec::new() }];
    let mutants = [MutantInfo {
        name: "answers-otherwise".to_owned(),
        rule: "push.retry.same-outcome".parse().unwrap(),
        sentence: "It answers a second time otherwise.".to_owned(),
    }];
    let trace = Trace::of(&spec, &infos, &mutants);
    let played = BTreeMap::new();
    build(&Sources {
        spec: &spec,
        files: &files,
        cases: &cases,
        trace: &trace,
        mutants: &mutants,
        runs: events,
        played: &played,
    })
}

#[test]
fn a_rule_stands_in_a_box_with_all_that_refers_to_it() {
    let pages = built(PUSH, &[]).unwrap();
    let push = &pages["push.html"];
    let (_, rule) = push.split_once("id=\"r-push.retry.same-outcome\"").unwrap();
    let (rule, rest) = rule.split_once("</section>").unwrap();
    for part in [
        "A server MUST answer <code>again</code> with the same outcomes.",
        "<span class=\"tag\">MUST</span>",
        "1 scenario, 1 mutant, 1 hazard",
        "href=\"scenarios/push/lost-answer.html\"",
        "href=\"mutants.html#m-answers-otherwise\"",
        "href=\"hazards.html#h-H7\"",
    ] {
        assert!(rule.contains(part), "{part} in {rule}");
    }
    assert!(rest.contains("A server SHOULD answer at once."), "whose sentence is a paragraph of its own");
    assert_eq!(rest.matches("A server SHOULD answer at once.").count(), 1);
}

#[test]
fn names_become_links_and_what_looks_like_html_stays_text() {
    let pages = built(PUSH, &[]).unwrap();
    let push = &pages["push.html"];
    assert!(push.contains("<a href=\"messages/push-request.html\"><code>push-request</code></a>"), "{push}");
    assert!(push.contains("<a href=\"push.html#r-push.retry.quick\"><code>push.retry.quick</code></a>"));
    assert!(push.contains("<h2 id=\"the-rules\">") && push.contains("href=\"push.html#the-rules\""));
    assert!(push.contains("&lt;b&gt;not HTML&lt;/b&gt;") && push.contains("{&quot;a&quot;: &quot;&lt;b&gt;&quot;}"));
    assert!(pages["hazards.html"].contains("<span id=\"h-H7\"></span>H7"));
    assert!(pages["hazards.html"].contains("<a href=\"scenarios/push/lost-answer.html\">"));
    let message = &pages["messages/push-request.html"];
    assert!(message.contains("<code>POST /push</code>: the request") && message.contains("id=\"t-Mutation\""));
    assert!(pages["scenarios/push/lost-answer.html"].contains("A visit counts twice."));
}

#[test]
fn what_leads_nowhere_is_a_flaw_with_its_line() {
    let flaws = |line: &str| {
        let text = PUSH.replace("## The `rules`", line);
        let text = text.replace("[above](#the-rules)", "above");
        match built(&text, &[]) {
            Err(BuildSiteError::Flawed(flaws)) => flaws.iter().map(Flaw::to_string).collect::<Vec<_>>().join("\n"),
            other => panic!("{line}: {:?}", other.map(|pages| pages.len())),
        }
    };
    for (line, problem) in [
        ("[x](none.md)", "spec/src/push.md:5: \"none.md\" leads to no chapter"),
        ("[x](../README.md)", "leads to no chapter"),
        ("[x](hazards.md#no-such)", "spec/src/push.md:5: \"hazards.md#no-such\" leads to #no-such"),
        ("[x](#no-such)", "leads to #no-such"),
        ("`push.retry.slow`", "spec/src/push.md:5: there is no rule push.retry.slow"),
        ("`push.retry.quick+2`", "push.retry.quick+2 reads push.retry.quick now"),
        ("`push/no-such`", "spec/src/push.md:5: there is no scenario push/no-such"),
    ] {
        let told = flaws(line);
        assert!(told.contains(problem), "{line}: {told}");
    }
}

#[test]
fn stored_runs_say_how_rules_fared() {
    let (good, bad) = (runs::passing(), runs::failing());
    let named = [NamedRun { name: "kotlin", events: &bad }, NamedRun { name: "swift", events: &good }];
    let pages = built(PUSH, &named).unwrap();
    assert!(pages["push.html"].contains("kotlin: broken"), "{}", pages["push.html"]);
    assert!(pages["runs.html"].contains("href=\"runs/kotlin.html\"") && pages["runs.html"].contains("not conformant"));
    assert!(pages["runs/kotlin.html"].contains("href=\"../push.html#r-push.retry.same-outcome\""));
    assert!(pages["scenarios/push/lost-answer.html"].contains("kotlin: fail"));
}

#[test]
fn pages_ask_nobody_and_run_nothing_of_their_own() {
    for (path, page) in built(PUSH, &[]).unwrap().iter().filter(|(path, _)| path.ends_with(".html")) {
        let tags: Vec<&str> = page.split('<').skip(1).map(|tag| tag.split('>').next().unwrap()).collect();
        for tag in tags {
            assert!(!tag.contains("http://") && !tag.contains("https://"), "{path}: {tag}");
            assert!(!tag.contains(" style=") && !tag.contains(" on"), "{path}: {tag}");
            assert!(!tag.starts_with("script") || tag.contains("site.js\""), "{path}: {tag}");
        }
    }
}
