//! The program as people run it, on a small specification and a small suite of its own.

mod house;

use house::{HAZARDS, House, PUSH, SCENARIO};

#[test]
fn help_and_usage_have_their_exit_statuses() {
    let house = House::new();
    let (status, out, _) = house.run(&["--help"]);
    assert!(status == 0 && out.contains("Exit status: 0 conformant"), "{out}");
    let (status, _, errors) = house.run(&["chekc"]);
    assert!(status == 2 && errors.contains("'check'"), "{errors}");
    assert_eq!(house.run(&["check", "server"]).0, 2, "a server is named by --url or --serve");
    assert_eq!(house.run(&["check", "server", "--url", "http://x", "--serve", "x"]).0, 2);
    assert_eq!(house.run(&["check", "server", "--serve", "x", "--cleanup"]).0, 2, "its data set is made for the run");
    assert_eq!(house.run(&["check", "server", "--url", "http://x", "--rate", "0"]).0, 2);
}

#[test]
fn list_selects_and_an_empty_selection_is_an_error() {
    let house = House::new();
    let (status, out, errors) = house.run_here(&["list", "--chapter", "push", "--scenario", "push/lost-*"]);
    assert_eq!((status, errors.as_str()), (0, ""));
    assert!(out.contains("push/lost-answer  A lost answer does not apply"), "{out}");
    let (status, _, errors) = house.run_here(&["list", "--rule", "push.retry.quick"]);
    assert!(status == 2 && errors.contains("leave no scenario"), "{errors}");
    let (status, out, _) = house.run_here(&["list", "rules"]);
    assert!(status == 0 && out.contains("push.retry.quick  A server SHOULD answer at once."), "{out}");
}

#[test]
fn an_unknown_name_suggests_the_nearest() {
    let house = House::new();
    for (arguments, suggestion) in [
        (["show", "push/lost-anwser"], "push/lost-answer"),
        (["explain", "push.retry.same-outcom"], "push.retry.same-outcome"),
    ] {
        let (status, _, errors) = house.run_here(&arguments);
        assert_eq!(status, 2);
        assert!(errors.starts_with("error: there is no ") && errors.contains(suggestion), "{errors}");
    }
}

#[test]
fn show_prints_a_fixture_below_its_sentences() {
    let house = House::new();
    let (status, out, _) = house.run_here(&["show", "push/lost-answer"]);
    assert_eq!(status, 0);
    assert!(out.contains("# push.retry.same-outcome: A server MUST answer a batch again"), "{out}");
    assert!(out.ends_with(SCENARIO), "{out}");
}

#[test]
fn explain_leads_to_all_that_speaks_of_a_rule() {
    let house = House::new();
    let (status, out, _) = house.run_here(&["explain", "push.retry.same-outcome"]);
    assert_eq!(status, 0);
    for expected in
        ["A server MUST answer", "Push (spec/src/push.md:1)", "push/lost-answer: A lost", "H7: A record doubles"]
    {
        assert!(out.contains(expected), "{expected} in\n{out}");
    }
}

#[test]
fn a_new_scenario_loads_and_is_never_written_over() {
    let house = House::new();
    let (status, out, errors) = house.run(&["new", "push/answers-at-once", "--spec", "spec"]);
    assert_eq!((status, errors.as_str()), (0, ""));
    assert!(out.contains("fixtures/scenarios/push/answers-at-once.yaml"), "{out}");
    let (status, out, errors) = house.run_here(&["list"]);
    assert!(status == 0 && out.contains("push/answers-at-once"), "{out}{errors}");
    let (status, _, errors) = house.run(&["new", "push/answers-at-once", "--spec", "spec"]);
    assert!(status == 2 && errors.contains("is there already"), "{errors}");
    for wrong in ["answers", "pusch/answers", "push/../x", "push/Answers"] {
        assert_eq!(house.run(&["new", wrong, "--spec", "spec"]).0, 2, "{wrong}");
    }
}

#[test]
fn trace_fails_on_a_gap_and_names_it() {
    let house = House::new();
    let (status, out, _) = house.run_here(&["trace", "--rules"]);
    assert_eq!(status, 1);
    assert!(out.contains("no scenario covers push.retry.quick"), "{out}");
    assert!(!out.contains("no scenario covers push.retry.same-outcome"), "{out}");
}

#[test]
fn a_flaw_in_the_text_is_told_with_its_place() {
    let house = House::new();
    house.write("spec/src/push.md", "It MUST be.\n");
    let (status, _, errors) = house.run_here(&["trace"]);
    assert_eq!(status, 2);
    assert!(errors.contains("spec/src/push.md:1: normative words outside a rule"), "{errors}");
}

#[test]
fn schemas_are_written_and_checked() {
    let house = House::new();
    assert_eq!(house.run(&["schemas", "--check"]).0, 2, "there is no folder yet");
    assert_eq!(house.run(&["schemas", "--write"]).0, 0);
    assert_eq!(house.run(&["schemas", "--check"]).0, 0);
    house.write("schemas/json/2026-12-01/record.json", "{}");
    let (status, out, _) = house.run(&["schemas", "--check"]);
    assert!(status == 1 && out.contains("record.json: differs"), "{out}");
}

#[test]
fn doc_check_names_each_flaw_with_its_line() {
    let house = House::new();
    house.write("good.md", "It keeps `push.retry.same-outcome`.\n\n```json\n{}\n```\n");
    let (status, out, _) = house.run_here(&["doc", "check", "good.md"]);
    assert_eq!((status, out.as_str()), (0, "1 file without a flaw\n"));
    house.write("bad.md", "It keeps\n`push.retry.other`.\n\n```json\n{]\n```\n");
    let (status, out, _) = house.run_here(&["doc", "check", "good.md", "bad.md"]);
    assert_eq!(status, 1);
    assert!(out.starts_with("bad.md:2: there is no rule push.retry.other"), "{out}");
    assert!(out.contains("bad.md:5: this is not JSON") && out.ends_with("2 flaws\n"), "{out}");
    assert_eq!(house.run_here(&["doc", "check", "none.md"]).0, 2);
}

#[test]
fn doc_check_follows_links() {
    let house = House::new();
    house.write("links.md", "# Top\n\n[a](spec/src/push.md) [b](#top)\n\n[c](none.md)\n[d](#bottom)\n");
    let (status, out, _) = house.run_here(&["doc", "check", "links.md"]);
    assert_eq!(status, 1);
    assert!(out.starts_with("links.md:5: the link \"c\" leads to none.md"), "{out}");
    assert!(out.contains("links.md:6: the link \"d\" leads to #bottom") && out.ends_with("2 flaws\n"), "{out}");
}

#[test]
fn a_scenario_is_drawn_for_a_document() {
    let house = House::new();
    let (status, drawn, errors) = house.run_here(&["doc", "diagram", "push/lost-answer"]);
    assert_eq!((status, errors.as_str()), (0, ""));
    assert!(drawn.starts_with("sequenceDiagram\n") && drawn.contains("participant d0 as tablet"), "{drawn}");
    assert!(drawn.contains("d0->>server: ") && drawn.contains("POST /push"), "{drawn}");
    let (_, again, _) = house.run_here(&["doc", "diagram", "push/lost-answer", "--mermaid"]);
    assert_eq!(again, drawn, "the same scenario is the same drawing");
    let (status, picture, _) = house.run_here(&["doc", "diagram", "push/lost-answer", "--svg"]);
    assert!(status == 0 && picture.starts_with("<svg xmlns=") && picture.contains("<style>"), "{picture}");
    let (status, _, errors) = house.run_here(&["doc", "diagram", "push/lost-answr"]);
    assert!(status == 2 && errors.contains("push/lost-answer"), "{errors}");
    house.write(
        "fixtures/scenarios/push/lost-answer.yaml",
        &SCENARIO.replace("38.1}}}\n", "39}}}\n").replacen("39", "38.1", 1),
    );
    let (status, _, errors) = house.run_here(&["doc", "diagram", "push/lost-answer"]);
    assert!(status == 1 && errors.contains("does not pass against the reference"), "{errors}");
}

#[test]
fn the_specification_is_built_and_built_again() {
    let house = House::new();
    house.write("spec/src/push.md", &format!("{PUSH}\nSee `push/lost-answer` and [hazards](hazards.md#hazards).\n"));
    house.write("spec/src/hazards.md", &format!("# Hazards\n\n{HAZARDS}"));
    let check = ["check", "--scenario", "push/lost-answer", "--jsonl", "run.jsonl", "--html", "run.html"];
    assert_eq!(house.run_here(&[&check[..], &["--spec-url", "https://example.org/spec/"]].concat()).0, 0);
    let read = |name: &str| std::fs::read_to_string(house.path().join(name)).unwrap();
    assert!(read("run.html").contains("href=\"https://example.org/spec/push.html#r-push.retry.same-outcome\""));

    let build = ["spec", "build", "--run", "mine=run.jsonl", "--out"];
    let (status, out, errors) = house.run_here(&[&build[..], &["pages"]].concat());
    assert_eq!(status, 0, "{out}{errors}");
    for (page, words) in [
        ("index.html", "Push"),
        ("push.html", "mine: held"),
        ("scenarios/push/lost-answer.html", "<svg class=\"d\""),
        ("hazards.html", "id=\"h-H7\""),
        ("runs/mine.html", "../push.html#r-push.retry.same-outcome"),
        ("messages/push-request.html", "POST /push"),
        ("search.html", "push/lost-answer"),
    ] {
        assert!(read(&format!("pages/{page}")).contains(words), "{words} in {page}");
    }
    house.write("pages/messages/old.html", "");
    let list = read("pages/.fieldsync-pages") + "messages/old.html\n";
    house.write("pages/.fieldsync-pages", &list);
    assert_eq!(house.run_here(&[&build[..], &["other"]].concat()).0, 0);
    assert_eq!(house.run_here(&[&build[..], &["pages"]].concat()).0, 0, "into the folder that it made");
    assert!(!house.path().join("pages/messages/old.html").exists(), "a page that is made no more is gone");
    for path in read("other/.fieldsync-pages").lines() {
        assert!(read(&format!("pages/{path}")) == read(&format!("other/{path}")), "{path} is the same each time");
    }
    assert_eq!(house.run_here(&[&build[..], &["spec"]].concat()).0, 2, "what is there is not written over");

    house.write("spec/src/push.md", &format!("{PUSH}\n[x](none.md) `push/no-such`\n"));
    let (status, out, _) = house.run_here(&[&build[..], &["pages"]].concat());
    assert!(status == 1 && out.contains("push.md:9: \"none.md\" leads to no chapter"), "{out}");
    assert!(out.contains("push.md:9: there is no scenario push/no-such"), "{out}");
}

#[test]
fn a_stored_run_is_told_anew_and_compared() {
    let house = House::new();
    let check = ["check", "--scenario", "push/lost-answer", "--jsonl", "run.jsonl", "--html", "run.html"];
    let (status, told, errors) = house.run_here(&check);
    assert_eq!(status, 0, "{told}{errors}");
    let read = |name: &str| std::fs::read_to_string(house.path().join(name)).unwrap();

    let files = ["--html", "again.html", "--junit", "run.xml", "--badge", "run.svg"];
    let (status, again, errors) = house.run_here(&[&["report", "run.jsonl"], &files[..]].concat());
    assert_eq!((status, errors.as_str()), (0, ""));
    assert_eq!(again, told, "a stored run is judged as the run itself was");
    assert!(read("again.html") == read("run.html"), "and its page is the same");
    assert!(read("run.xml").contains("push/lost-answer") && read("run.svg").starts_with("<svg"));
    let (status, markdown, _) = house.run_here(&["report", "run.jsonl", "--markdown", "-"]);
    assert!(status == 0 && markdown.starts_with("## ✅ no rule broken in "), "{markdown}");

    std::fs::copy(house.path().join("run.jsonl"), house.path().join("other.jsonl")).unwrap();
    let (status, compared, _) = house.run_here(&["report", "run.jsonl", "other.jsonl", "--html", "both.html"]);
    assert!(status == 0 && compared.contains("nothing changed from A to B"), "{compared}");
    assert!(read("both.html").contains("2 runs compared"));
    let (status, _, errors) = house.run_here(&["report", "run.jsonl", "other.jsonl", "--badge", "both.svg"]);
    assert!(status == 2 && errors.contains("tell one run"), "{errors}");

    let whole = read("run.jsonl");
    house.write("cut.jsonl", &whole[..whole.len() - 10]);
    let (status, _, errors) = house.run_here(&["report", "cut.jsonl"]);
    assert!(status == 2 && errors.contains("cut.jsonl") && errors.contains("truncated"), "{errors}");
    assert_eq!(house.run_here(&["report", "none.jsonl"]).0, 2);
}
