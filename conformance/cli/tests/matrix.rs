//! Every client with every server: the table, whose fault it is, and the files that are left.

use fieldsync_conformance::report::jsonl;
use fieldsync_object_storage::{BUCKET, Keys, ObjectStorage};
use fieldsync_schemas::event::{Event, Verdict};
use std::io::BufReader;
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_fieldsync");
const DOMAIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/domain/version-wins.yaml");
/// What the faulty client breaks, and what the faulty server breaks.
const RULES: [&str; 2] = ["cycles.outcomes.by-id", "push.id.reused-is-rejected"];

/// Two clients and two servers, one of each faulty.
fn write_lists(folder: &Path) {
    let client =
        |name: &str, words: &str| format!("[[client]]\nname = '{name}'\ncommand = '''\"{PROGRAM}\" {words}'''\n\n");
    let clients =
        client("good", "adapter serve") + &client("hasty", "mutants adapter outcomes-are-matched-by-their-place");
    let servers = server("good", "serve") + &server("forgetful", "mutants serve decided-mutations-are-forgotten");
    std::fs::write(folder.join("clients.toml"), clients).unwrap();
    std::fs::write(folder.join("servers.toml"), servers).unwrap();
}

fn server(name: &str, words: &str) -> String {
    let listening = "--data {dir} --listen 127.0.0.1:{port}";
    let serve = format!("\"{PROGRAM}\" {words} {listening} --domain \"{DOMAIN}\" --control");
    format!("[[server]]\nname = '{name}'\nserve = '''{serve}'''\ncontrol = '/control'\n\n")
}

#[test]
fn every_pair_has_its_cell_and_each_fault_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    write_lists(folder.path());
    let rules = RULES.iter().flat_map(|rule| ["--rule", rule]);
    let output = Command::new(PROGRAM)
        .args(["matrix", "clients.toml", "servers.toml", "--timeout", "60"])
        .args(rules)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "two of them are faulty:\n{said}\n{errors}");

    let rows: Vec<Vec<&str>> = said
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let [head, _, good, hasty] = &rows[..] else { panic!("a head, a ruler, a row for each client:\n{said}") };
    assert_eq!(head[..], ["client", "good", "forgetful"], "{said}");
    assert_eq!(good[..], ["good", "no rule broken", "rules broken: server 1"], "{said}");
    assert_eq!(hasty[..], ["hasty", "rules broken: client 1", "rules broken: client 1, server 1"], "{said}");

    let linked = std::fs::read_to_string(folder.path().join("matrix/matrix.md")).unwrap();
    for (file, conforms) in
        [("good--good", true), ("good--forgetful", false), ("hasty--good", false), ("hasty--forgetful", false)]
    {
        assert!(linked.contains(&format!("]({file}.html)")), "the table leads to {file}:\n{linked}");
        let page = std::fs::read_to_string(folder.path().join(format!("matrix/{file}.html"))).unwrap();
        assert_eq!(page.contains("Whose fault."), !conforms, "{file}");
        let stored = std::fs::File::open(folder.path().join(format!("matrix/{file}.jsonl"))).unwrap();
        jsonl::read(BufReader::new(stored)).unwrap();
    }

    let told = Command::new(PROGRAM)
        .args(["report", "matrix/good--good.jsonl", "matrix/hasty--forgetful.jsonl", "--markdown", "-"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(RULES.iter().all(|rule| told.contains(rule)), "rule by rule:\n{told}");
}

#[test]
fn a_list_that_cannot_be_used_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    write_lists(folder.path());
    let matrix = |servers: &str| {
        std::fs::write(folder.path().join("servers.toml"), servers).unwrap();
        let output = Command::new(PROGRAM)
            .args(["matrix", "clients.toml", "servers.toml"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let twice = "[[server]]\nname = 'a'\nurl = ['http://127.0.0.1:1/x']\n".repeat(2);
    assert!(matrix(&twice).contains("servers.toml: \"a\" is there twice"));
    assert!(matrix("[[server]]\nname = 'a'\n").contains("the server \"a\" has `url` or `serve`, one of them"));
    assert!(matrix("server = []\n").contains("there is nobody in it"));
}

#[test]
fn files_go_straight_into_the_object_storage_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys { access: "tests".to_owned(), secret: "a secret of this test".to_owned() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let storage = runtime.block_on(ObjectStorage::start(&keys)).unwrap();
    let bucket = format!("{}/{BUCKET}", storage.endpoint());
    let signing = format!("serve --object-storage {bucket} --storage-address {{storage}}");
    let scenario = "direct/another-device-gets-what-went-into-the-storage";
    write_lists(folder.path());
    let matrix = |servers: &str| {
        std::fs::write(folder.path().join("servers.toml"), servers).unwrap();
        let output = Command::new(PROGRAM)
            .args(["matrix", "clients.toml", "servers.toml", "--timeout", "60", "--object-storage", &bucket])
            .args(["--scenario", scenario])
            .env("AWS_ACCESS_KEY_ID", &keys.access)
            .env("AWS_SECRET_ACCESS_KEY", &keys.secret)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        (output.status.code(), said)
    };
    let (status, said) = matrix(&server("good", &signing));
    assert_eq!(status, Some(0), "{said}");
    let stored = std::fs::File::open(folder.path().join("matrix/good--good.jsonl")).unwrap();
    let events = jsonl::read(BufReader::new(stored)).unwrap();
    let verdicts: Vec<Verdict> = events
        .iter()
        .filter_map(|event| match event {
            Event::Scenario(ended) => Some(ended.verdict),
            _ => None,
        })
        .collect();
    assert!(!verdicts.is_empty() && verdicts.iter().all(|verdict| *verdict == Verdict::Pass), "{said}");

    let (status, said) = matrix("[[server]]\nname = 'a'\nurl = ['http://127.0.0.1:1/x']\n");
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("--object-storage is for servers that are started by `serve`"), "{said}");
}
