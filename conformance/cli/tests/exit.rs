//! The exit statuses, each by what leads to it. Scripts are written against them.

mod answering;

use answering::answering;
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

/// A scenario that the reference passes, and its file.
const SCENARIO: &str = "push/lost-answer-to-a-create";

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fieldsync"));
        command.args(arguments).current_dir(self.path()).env("XDG_CACHE_HOME", self.path().join("cache"));
        command
    }

    /// Runs the program: its exit status, its output, its errors.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// A run of the reference that is one shard of one, stored, in which this was changed.
    fn stored(&self, name: &str, change: impl Fn(&mut Value)) {
        let (status, _, errors) =
            self.run(&["check", "--scenario", SCENARIO, "--shard", "1/1", "--jsonl", name, "--timeout", "60"]);
        assert_eq!(status, 0, "{errors}");
        let stored = self.read(name);
        let changed = stored.lines().map(|line| {
            let mut event: Value = serde_json::from_str(line).unwrap();
            change(&mut event);
            format!("{event}\n")
        });
        let changed: String = changed.collect();
        self.write(name, &changed);
    }
}

fn ended_as(event: &mut Value, verdict: &str) {
    if event["event"] == "scenario" {
        event["verdict"] = json!(verdict);
        event["reason"] = json!("it was made so");
    }
}

fn entry(scenario: &str) -> String {
    format!("[[known]]\nscenario = \"{scenario}\"\nreason = \"it forgets\"\nissue = \"#7\"\nexpires = \"2999-01-01\"\n")
}

#[test]
fn none_where_the_subject_conforms() {
    let place = Place::new();
    let (status, out, errors) = place.run(&["check", "--scenario", SCENARIO, "--timeout", "60"]);
    assert_eq!(status, 0, "{out}{errors}");
    assert!(out.starts_with("no rule broken in "), "{out}");
}

#[test]
fn none_where_the_suite_cannot_try_what_a_client_claims() {
    let place = Place::new();
    let some = ["--scenario", SCENARIO, "--scenario", "direct/*", "--timeout", "60"];
    let (status, out, errors) = place.run(&[&["check", "client"], &some[..]].concat());
    assert_eq!(status, 0, "{out}{errors}");
    let words = out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("name an object storage with --object-storage"), "{out}");
}

#[test]
fn one_where_a_rule_is_broken_and_none_once_it_is_known() {
    let place = Place::new();
    let client =
        format!("{} mutants adapter edits-before-the-first-push-are-not-counted", env!("CARGO_BIN_EXE_fieldsync"));
    let check = ["check", "client", "--command", &client, "--rule", "records.version.counted-up"];
    let check = [&check[..], &["--timeout", "60"]].concat();
    let (status, out, errors) = place.run(&[&check[..], &["--jsonl", "run.jsonl"]].concat());
    assert_eq!(status, 1, "{out}{errors}");
    let update = ["baseline", "update", "--from", "run.jsonl", "--reason", "not yet", "--issue", "#7"];
    let (status, out, errors) = place.run(&[&update[..], &["--expires", "2999-01-01"]].concat());
    assert_eq!(status, 0, "{out}{errors}");
    let (status, out, errors) = place.run(&[&check[..], &["--baseline", "fieldsync-baseline.toml"]].concat());
    assert_eq!(status, 0, "{out}{errors}");
    assert!(out.starts_with("no new failure; ") && !out.contains("conformant"), "{out}");
}

#[test]
fn one_where_the_subject_cannot_be_used() {
    let place = Place::new();
    let url = answering("200 OK", "{}");
    let (status, out, _) = place.run(&["check", "server", "--url", &url]);
    assert_eq!(status, 1, "{out}");
    assert!(out.starts_with("blocked: cannot ask for the discovery"), "{out}");
}

#[test]
fn one_where_an_entry_of_the_baseline_is_of_no_use() {
    let place = Place::new();
    place.write("stale.toml", &entry(SCENARIO));
    place.write("unmatched.toml", &entry("push/no-such-fact"));
    for (file, problem) in [("stale.toml", "stale: "), ("unmatched.toml", "unmatched: ")] {
        let (status, out, errors) =
            place.run(&["check", "--scenario", SCENARIO, "--baseline", file, "--timeout", "60"]);
        assert_eq!(status, 1, "{out}{errors}");
        assert!(out.contains(&format!("{file}:1: {problem}")), "{out}");
    }
    assert_eq!(place.run(&["baseline", "check", "unmatched.toml"]).0, 1);
    assert_eq!(place.run(&["baseline", "check", "stale.toml"]).0, 0, "only a run tells that it is stale");
}

#[test]
fn a_merged_run_has_the_status_that_check_would_have() {
    let place = Place::new();
    for (name, verdict, requires, expected) in [
        ("passed.jsonl", "pass", false, 0),
        ("not-tested.jsonl", "not-tested", true, 4),
        ("error.jsonl", "error", false, 3),
        ("unsupported.jsonl", "unsupported", false, 4),
    ] {
        place.stored(name, |event| {
            ended_as(event, verdict);
            if event["event"] == "header" {
                event["require_all"] = json!(requires);
            }
        });
        let (status, out, errors) = place.run(&["merge", name]);
        assert_eq!(status, expected, "{name}: {out}{errors}");
    }
    // One that was not tested, beside those that passed.
    let mut lines: Vec<String> = place.read("passed.jsonl").lines().map(str::to_owned).collect();
    lines[0] = lines[0].replace("\"require_all\":false", "\"require_all\":true");
    let skipped = lines[1].replace("\"verdict\":\"pass\"", "\"verdict\":\"not-tested\"");
    lines.insert(1, skipped.replace(SCENARIO, "push/other"));
    place.write("required.jsonl", &lines.join("\n"));
    let (status, out, errors) = place.run(&["merge", "required.jsonl"]);
    assert_eq!(status, 1, "{out}{errors}");
    assert!(out.contains("not tested, and all are required"), "{out}");
}

#[test]
fn two_where_the_command_line_or_a_file_is_wrong() {
    let place = Place::new();
    place.write("known.toml", "[[known]]\nscenario = \"push/x\"\n");
    place.write("ci.toml", "[run]\n\ntimeuot = 3\n");
    place.write("no-run.jsonl", "hello\n");
    for (line, words) in [
        ("check --no-such-option", "--no-such-option"),
        ("check --scenario push/no-such-fact", "there is no scenario"),
        ("check --shard 5/4", "a shard is one of several"),
        ("check server", "name it with --url"),
        ("check server --url visits", "begins with http:// or https://"),
        ("check server --url http://user:secret@127.0.0.1/visits", "has a user or a password in it"),
        ("check --hold", "it needs `check server --serve`"),
        ("check pair --url http://127.0.0.1", "which client?"),
        ("check pair --command adapter", "which server?"),
        ("check --markdown - --junit -", "both want the standard output"),
        ("check --jsonl - --html -", "both want the standard output"),
        ("check --html no/such/folder/page.html", "--html: there is no folder no/such/folder"),
        ("check --baseline no-such-file.toml", "cannot read the baseline no-such-file.toml"),
        ("check --baseline known.toml", "known.toml:1: missing field `reason`"),
        ("check --config ci.toml", "ci.toml:3: unknown field `timeuot`"),
        ("check --config no-such-file.toml", "cannot read the configuration no-such-file.toml"),
        ("report no-run.jsonl", "it is no run of fieldsync"),
        ("merge no-run.jsonl", "it is no run of fieldsync"),
    ] {
        let (status, out, errors) = place.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!((status, out.as_str()), (2, ""), "{line}: {errors}");
        assert!(errors.contains(words), "{line}: {errors}");
        assert!(!errors.contains("secret"), "{errors}");
    }
    assert!(!place.path().join("-").exists() && !place.path().join("page.html").exists());
}

#[test]
fn four_where_nothing_can_be_reached() {
    let place = Place::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (status, out, _) = place.run(&["check", "server", "--url", &format!("http://{closed}/visits")]);
    assert_eq!(status, 4, "{out}");
    assert!(out.contains("connection refused: is the server running"), "{}", out.replace('\n', " "));
    let (status, out, _) =
        place.run(&["check", "server", "--serve", "echo {port} is bad >&2; exit 9", "--junit", "out.xml"]);
    assert_eq!(status, 4, "{out}");
    assert!(out.starts_with("not reached: cannot start the server"), "{out}");
    assert!(place.read("out.xml").contains("start the server"), "a job has its report, whatever happens");
}

#[test]
fn what_is_held_waits_for_enter_before_the_first_scenario_and_after_the_last() {
    let place = Place::new();
    let client = format!("{} adapter serve", env!("CARGO_BIN_EXE_fieldsync"));
    let check = ["check", "client", "--command", &client, "--hold", "--scenario", SCENARIO, "--jsonl", "run.jsonl"];
    let mut child =
        place.command(&check).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"\n").unwrap();
    let mut told = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let mut until = |words: &str| told.find(|line| line.as_ref().unwrap().contains(words)).unwrap().unwrap();
    let place_of = until("held: process ");
    assert!(place_of.contains("with its data in /"), "{place_of}");
    until("the last scenario has ended");
    assert!(!place.path().join("run.jsonl").exists() && child.try_wait().unwrap().is_none(), "it waits");
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(place.path().join("run.jsonl").exists());
}
