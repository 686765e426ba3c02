//! The page of a run as a browser shows it. Needs Chromium: `FIELDSYNC_CHROMIUM` names it, else it is looked for; where
//! there is none the tests say so and pass.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const DOMAIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/domain/version-wins.yaml");
/// Every way into a page that a text may try. Each leaves its mark on the root of the page.
const HOSTILE: &str = "\"'></title></style></pre></svg><script>document.documentElement.id='owned'</script><img src=x onerror=\"document.documentElement.id='owned'\"><svg onload=\"document.documentElement.id='owned'\">\u{1b}]0;owned\u{7}\u{202e}desrever";

/// Chromium, or nothing where there is none.
fn chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("FIELDSYNC_CHROMIUM") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = std::env::split_paths(&path)
        .find_map(|folder| names.iter().map(|name| folder.join(name)).find(|program| program.is_file()));
    if found.is_none() {
        eprintln!("skipped: no Chromium is installed, so nobody opens the page");
    }
    found
}

/// The page as it is once its script has run, opened with this fragment.
fn opened(chromium: &Path, page: &Path, fragment: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"])
        // Time runs by itself until the page has come to rest.
        .arg("--virtual-time-budget=10000")
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}{fragment}", page.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8(output.stdout).unwrap();
    assert!(
        dom.contains("</html>"),
        "{} did not show the page: {}",
        chromium.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    dom
}

fn fieldsync(arguments: &[&str]) -> i32 {
    let output = Command::new(env!("CARGO_BIN_EXE_fieldsync")).args(arguments).output().unwrap();
    output.status.code().unwrap()
}

/// Runs a few scenarios against a server that writes again what comes again. Returns the stored run and its page.
fn run_of_a_mutant(folder: &Path) -> (PathBuf, PathBuf) {
    let (run, page) = (folder.join("run.jsonl"), folder.join("page.html"));
    let serve = format!(
        "{} mutants serve a-repetition-writes-again --data {{dir}} --listen 127.0.0.1:{{port}} --domain {DOMAIN} --control",
        env!("CARGO_BIN_EXE_fieldsync")
    );
    let server = ["check", "server", "--control", "/control", "--serve", &serve];
    let some = ["--scenario", "push/lost-answer-to-a*", "--scenario", "push/applied-names-*"];
    let files = ["--jsonl", run.to_str().unwrap(), "--html", page.to_str().unwrap()];
    assert_eq!(fieldsync(&[&server[..], &some, &files].concat()), 1, "the mutant does not conform");
    (run, page)
}

/// How many scenarios of this verdict are seen, and how many are not.
fn scenarios(dom: &str, verdict: &str) -> (usize, usize) {
    let begins = format!("<details class=\"s f {verdict}\"");
    let tags = dom.match_indices(&begins).map(|(place, _)| dom[place..].split('>').next().unwrap_or_default());
    let (hidden, seen): (Vec<&str>, Vec<&str>) = tags.partition(|tag| tag.contains("hidden"));
    (seen.len(), hidden.len())
}

/// The number of the first scenario of this verdict.
fn number_of(dom: &str, verdict: &str) -> String {
    let (_, rest) = dom.split_once(&format!("<details class=\"s f {verdict}\" id=\"s")).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn the_page_of_a_mutant_filters_and_runs_nothing_of_the_stream() {
    let Some(chromium) = chromium() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (run, page) = run_of_a_mutant(folder.path());

    let whole = opened(&chromium, &page, "");
    let (failed, passed) = (scenarios(&whole, "fail"), scenarios(&whole, "pass"));
    assert!(failed.0 >= 3 && passed.0 >= 1 && failed.1 + passed.1 == 0, "{failed:?} {passed:?}");
    assert!(whole.contains("<svg class=\"d\""), "scenarios are drawn");

    let by_verdict = opened(&chromium, &page, "#?v=fail");
    assert_eq!((scenarios(&by_verdict, "fail"), scenarios(&by_verdict, "pass")), (failed, (0, passed.0)));
    assert!(by_verdict.contains(&format!("{} of {} scenarios", failed.0, failed.0 + passed.0)));
    let by_words = opened(&chromium, &page, "#?q=applied-names+push");
    assert_eq!((scenarios(&by_words, "fail").0, scenarios(&by_words, "pass").0), (0, passed.0));
    let unfolded = opened(&chromium, &page, "#s1");
    assert!(unfolded.contains("id=\"s1\" open=\"\""), "a link unfolds what it leads to");

    let drawings = |dom: &str| dom.matches("<svg class=\"d\"").count();
    let passed_one = number_of(&whole, "pass");
    let unpacked = opened(&chromium, &page, &format!("#s{passed_one}"));
    assert_eq!(drawings(&unpacked), drawings(&whole) + 1, "what is unfolded is drawn: {passed_one}");
    let (_, row) = unpacked.split_once(&format!("id=\"s{passed_one}\"")).unwrap();
    assert!(row.split("</details>").next().unwrap().contains("<svg class=\"d\""), "in its place");

    let hostile = folder.path().join("hostile.jsonl");
    let told = folder.path().join("hostile.html");
    std::fs::write(&hostile, made_hostile(&std::fs::read_to_string(run).unwrap())).unwrap();
    assert_eq!(fieldsync(&["report", hostile.to_str().unwrap(), "--html", told.to_str().unwrap()]), 0);
    let dom = opened(&chromium, &told, "#?v=fail");
    assert!(dom.contains("scenarios</span>"), "the page's own script ran");
    assert!(dom.contains("<html lang=\"en\">"), "nothing has marked the root");
    assert_eq!(dom.matches("<script").count(), 1, "the page's own");
    assert!(!dom.contains("<img") && dom.contains("&lt;img"), "what was said is text");
    assert!(!dom.contains(['\u{1b}', '\u{202e}']), "and visible");
}

/// The run, in which everything that a subject may have said is hostile.
fn made_hostile(run: &str) -> String {
    let lines = run.lines().map(|line| {
        let mut event: Value = serde_json::from_str(line).unwrap();
        for pointer in ["/subject/name", "/again", "/title", "/reason", "/log"] {
            if let Some(text) = event.pointer_mut(pointer) {
                *text = HOSTILE.into();
            }
        }
        for list in ["steps", "failures", "exchanges"] {
            for one in event.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                for member in ["what", "by", "request", "got", "answered", "fault"] {
                    if let Some(value) = one.get_mut(member) {
                        *value = HOSTILE.into();
                    }
                }
            }
        }
        event.to_string() + "\n"
    });
    lines.collect()
}
