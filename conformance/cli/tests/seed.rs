//! One seed, one run: two runs with the same seed are told in the same bytes, times aside.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Fails, so that everything that passed is told: revs, cursors, tokens, the ids of mutations and replicas.
const WRONG: &str = "title: A scenario that fails is told whole
covers: [push.retry.same-outcome]
devices: [tablet, phone]
steps:
  - tablet: {create: {observation: fever, data: {temp: 38.1}}}
  - tablet: {sync: ok}
  - phone: {sync: ok}
  - phone: {edit: {fever: {temp: 39}}}
  - phone: {sync: ok}
  - tablet: {sync: ok}
  - tablet: {reads: {fever: {temp: 40}}}
";

#[test]
fn two_runs_with_one_seed_are_told_in_the_same_bytes_times_aside() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("suite/push");
    std::fs::create_dir_all(&wrong).unwrap();
    std::fs::write(wrong.join("told-whole.yaml"), WRONG).unwrap();
    let told = |name: &str, seed: &str| {
        let run = folder.path().join(name);
        let output = Command::new(env!("CARGO_BIN_EXE_fieldsync"))
            .current_dir(folder.path())
            .env("XDG_CACHE_HOME", folder.path().join("cache"))
            .args(["check", "--fixtures", "suite", "--timeout", "60", "--seed", seed, "--jsonl", name])
            .args(["--scenario", "push/*", "--scenario", "attachments/a-file-*"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        lines(&run)
    };
    let (one, again, other) = (told("one.jsonl", "7"), told("again.jsonl", "7"), told("other.jsonl", "8"));
    for (one, again) in one.iter().zip(&again) {
        assert!(one == again, "{}", apart(one, again));
    }
    assert_eq!(one.len(), again.len());
    assert_ne!(one, other, "another seed is told in the header");
}

/// Where two lines part.
fn apart(one: &str, again: &str) -> String {
    let same = one.chars().zip(again.chars()).take_while(|(one, again)| one == again).count();
    let there = |line: &str| line.chars().skip(same.saturating_sub(80)).take(160).collect::<String>();
    format!("{}\n{}", there(one), there(again))
}

/// The lines of a run, without what says when.
fn lines(run: &Path) -> Vec<String> {
    let run = std::fs::read_to_string(run).unwrap();
    run.lines().map(|line| timeless(serde_json::from_str(line).unwrap()).to_string()).collect()
}

fn timeless(tree: Value) -> Value {
    /// How long something took, and in which order what was under way at once began and ended.
    const TIMES: [&str; 4] = ["millis", "place", "began", "ended"];
    match tree {
        Value::Object(members) => members
            .into_iter()
            .filter(|(name, _)| !TIMES.contains(&name.as_str()))
            .map(|(name, value)| (name, timeless(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(timeless).collect(),
        // A time of the server's clock, such as 2026-11-30T08:15:00Z.
        Value::String(text) if text.len() >= 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z') => Value::Null,
        other => other,
    }
}
