use super::*;

const SUMMARY_TEXT: &str =
    "# Summary\n\n[Introduction](introduction.md)\n\n- [Push](push.md)\n- [Hazards](hazards.md)\n";
const PUSH: &str = "# Push\n\nr[push.retry.same-outcome]\n\nA server MUST answer again.\n";
const HAZARD_TABLE: &str =
    "| id | hazard | rules | scenarios |\n|---|---|---|---|\n| H21 | Twice | `push.retry.same-outcome` | `push/x` |\n";

fn files<'a>(push: &'a str, extra: &[(&'a str, &'a str)]) -> SpecFiles {
    let mut all = vec![
        ("SUMMARY.md", SUMMARY_TEXT),
        ("introduction.md", "# Introduction\n\nMUST is read as in BCP 14.\n"),
        ("push.md", push),
        ("hazards.md", HAZARD_TABLE),
    ];
    all.extend(extra);
    SpecFiles::from_texts(all)
}

fn problem(files: &SpecFiles) -> String {
    Spec::read(files).unwrap_err().to_string()
}

#[test]
fn a_specification_is_its_rules_chapters_and_tables() {
    let spec = Spec::read(&files(PUSH, &[])).unwrap();
    assert_eq!(
        spec.chapters.iter().map(|chapter| chapter.title.as_str()).collect::<Vec<_>>(),
        ["Introduction", "Push", "Hazards"]
    );
    let rule = spec.rule("push.retry.same-outcome").unwrap();
    assert_eq!((rule.file.as_str(), rule.line), ("spec/src/push.md", 3));
    assert_eq!(spec.hazards[0].rules, [rule.reference()]);
}

#[test]
fn an_id_stands_once() {
    let twice = format!("{PUSH}\nr[push.retry.same-outcome+2]\n\nA server MUST answer twice.\n");
    assert!(problem(&files(&twice, &[])).contains("spec/src/push.md:7: the id push.retry.same-outcome stands already"));
}

#[test]
fn every_file_is_in_the_table_of_contents_and_there() {
    assert!(
        problem(&files(PUSH, &[("pull.md", "")])).contains("spec/src/pull.md:1: SUMMARY.md does not list this file")
    );
    let missing = files(PUSH, &[("SUMMARY.md", "- [Push](push.md)\n- [Pull](pull.md)\n")]);
    assert!(problem(&missing).contains("spec/src/SUMMARY.md:2: \"Pull\" leads to \"pull.md\""));
    assert!(problem(&SpecFiles::default()).contains("table of contents is missing"));
}

fn example_flaws(block: &str) -> Vec<String> {
    let spec = Spec::read(&files(&format!("{PUSH}\n{block}"), &[])).unwrap();
    check_examples(&spec).iter().map(Flaw::to_string).collect()
}

#[test]
fn an_example_is_held_against_the_closed_schema() {
    let request = Message::named("pull-request").unwrap().example;
    assert_eq!(example_flaws(&format!("```json message=pull-request\n{request}\n```\n")), [""; 0]);
    let unknown_member = request.replacen('{', "{\"surprise\": 1,", 1);
    let flaws = example_flaws(&format!("```json message=pull-request\n{unknown_member}\n```\n"));
    assert!(flaws[0].contains("spec/src/push.md:7") && flaws[0].contains("surprise"), "{flaws:#?}");
    assert!(example_flaws("```json message=pull-request\n{\n```\n")[0].contains("not JSON"));
    assert!(example_flaws("```json message=pul\n{}\n```\n")[0].contains("no message \"pul\""));
}

#[test]
fn the_specification_in_this_program_is_sound() {
    let files = SpecFiles::embedded();
    assert!(!files.texts.is_empty(), "no chapter is embedded");
    let spec = Spec::read(&files).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(check_examples(&spec), []);
}
