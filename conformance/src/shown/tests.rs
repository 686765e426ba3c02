use super::*;
use crate::scenario;
use crate::spec::SpecFiles;

async fn flaws(spec: Spec) -> Vec<String> {
    let cases = scenario::embedded().cases;
    let flaws = check(&Arc::new(spec), &cases).await.unwrap();
    flaws.iter().map(Flaw::to_string).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_specification_shows_happens() {
    let spec = Spec::embedded().unwrap();
    assert!(spec.exchanges.len() >= 8, "{} blocks", spec.exchanges.len());
    assert_eq!(flaws(spec).await, [""; 0]);
}

/// The block of the replayed push, with something of it in the place of what happens.
fn drifted(what: &str, by: &str) -> (Spec, u32) {
    let mut files = SpecFiles::embedded();
    let push = files.texts.get_mut("push.md").unwrap();
    let block = push.find("```http scenario=push/same-batch-same-answer").unwrap();
    let at = block + push[block..].find(what).unwrap();
    let line = push[..at].lines().count() as u32 + 1;
    push.replace_range(at..at + what.len(), by);
    let mut spec = Spec::read(&files).unwrap();
    spec.exchanges.retain(|block| block.scenario == "push/same-batch-same-answer");
    (spec, line)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_specification_shows_otherwise_is_named() {
    for (what, by, told) in [
        ("\"outcome\": \"applied\"", "\"outcome\": \"merged\"", "/outcomes/0/outcome in the body of the answer"),
        ("\"replayed\": true", "\"replayed\": false", "/replayed in the body of the answer"),
        ("HTTP/1.1 200 OK", "HTTP/1.1 201 Created", "the status of the answer"),
        ("HTTP/1.1 200 OK", "HTTP/1.1 200 OK\nContent-Type: text/html", "the header Content-Type of the answer"),
        ("\"seq\": 2", "\"seq\": 3", "/seq in the body of the request"),
        ("POST {base}/push", "POST {base}/pull", "there is no POST {base}/pull"),
        ("\"previous\": \"${answer}\"", "\"previous\": \"${rev}\"", "/previous in the body of the request"),
        ("\"rev\": \"${rev}\"", "\"rev\": \"${answer}\"", "/token in the body of the answer"),
        ("\"token\": \"${next answer}\"", "\"token\": \"${answer}\"", "/token in the body of the answer"),
        ("\"rev\": \"${rev}\"", "\"rev\": \"${m1}\"", "/outcomes/0/rev in the body"),
    ] {
        let (spec, line) = drifted(what, by);
        let flaws = flaws(spec).await;
        assert_eq!(flaws.len(), 1, "{by}: {flaws:#?}");
        assert!(flaws[0].contains(told), "{by}: {}", flaws[0]);
        let named: u32 = flaws[0].split(':').nth(1).unwrap().parse().unwrap();
        assert!(named <= line && line - named < 12, "{by}: line {named}, not near {line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_names_are_two_values() {
    let (spec, _) =
        drifted("\"token\": \"${answer}\",\n  \"replayed\": true", "\"token\": \"${other}\",\n  \"replayed\": true");
    assert!(flaws(spec).await[0].contains("${other}, which differs from ${answer}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scenario_that_fails_shows_nothing() {
    let mut cases = scenario::embedded().cases;
    let spec = drifted("seq", "seq").0;
    cases.retain(|case| case.file_id() == "push/same-batch-same-answer");
    let text = cases[0].source.replace("replayed: false", "replayed: true");
    let cases = scenario::parse("push/same-batch-same-answer.yaml", &text).unwrap();
    let flaws = check(&Arc::new(spec), &cases).await.unwrap();
    assert!(flaws[0].problem.contains("push/same-batch-same-answer fails: /replayed"), "{}", flaws[0]);
}
