//! The Action, as GitHub would run it, and the template, as GitLab would, on a release made of the program under test.
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::Command;

const VERSION: &str = "0.0.0-test";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A release below a folder, with the files that the release workflow makes.
fn release(folder: &Path) -> String {
    let files = folder.join(format!("v{VERSION}"));
    std::fs::create_dir_all(&files).unwrap();
    let machine = Command::new("uname").args(["-sm"]).output().unwrap();
    let machine = String::from_utf8(machine.stdout).unwrap();
    let target = match machine.trim() {
        "Linux x86_64" => "x86_64-unknown-linux-musl",
        "Linux aarch64" => "aarch64-unknown-linux-musl",
        "Darwin arm64" => "aarch64-apple-darwin",
        "Darwin x86_64" => "x86_64-apple-darwin",
        other => panic!("no release is made for {other}"),
    };
    let archive = format!("fieldsync-{target}.tar.gz");
    let program = Path::new(env!("CARGO_BIN_EXE_fieldsync"));
    let packed = Command::new("tar")
        .args(["-czf", files.join(&archive).to_str().unwrap(), "-C", program.parent().unwrap().to_str().unwrap()])
        .arg(program.file_name().unwrap())
        .status();
    assert!(packed.unwrap().success());
    let sums =
        Command::new("sh").args(["-c", "sha256sum fieldsync-*.tar.gz > SHA256SUMS"]).current_dir(&files).status();
    assert!(sums.unwrap().success());
    archive
}

struct Job {
    folder: tempfile::TempDir,
}

impl Job {
    fn new() -> Self {
        let job = Self { folder: tempfile::tempdir().unwrap() };
        release(&job.path("releases"));
        job
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the step with these inputs: its exit status, its outputs, its summary, and what it printed.
    fn step(&self, inputs: &[(&str, &str)]) -> (i32, String, String, String) {
        let mut step = Command::new("bash");
        step.arg(repository().join("action/check.sh")).current_dir(self.folder.path());
        step.env("FIELDSYNC_RELEASES", format!("file://{}", self.path("releases").display()));
        step.env("RUNNER_TEMP", self.path("temp")).env("INPUT_VERSION", VERSION);
        step.env("GITHUB_OUTPUT", self.path("output")).env("GITHUB_STEP_SUMMARY", self.path("summary"));
        for (name, value) in inputs {
            step.env(format!("INPUT_{}", name.to_uppercase()), value);
        }
        let output = step.output().unwrap();
        let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let read = |name: &str| std::fs::read_to_string(self.path(name)).unwrap_or_default();
        (output.status.code().unwrap(), read("output"), read("summary"), printed)
    }
}

#[test]
fn a_job_is_green_where_the_server_conforms_and_leaves_its_reports() {
    let job = Job::new();
    let domain = repository().join("fixtures/domain/version-wins.yaml");
    let serve = format!(
        "{} serve --data {{dir}} --listen 127.0.0.1:{{port}} --domain {} --control",
        env!("CARGO_BIN_EXE_fieldsync"),
        domain.display()
    );
    let args = "--chapter\ndiscovery\n--timeout\n60\n";
    let inputs = [("serve", serve.as_str()), ("control", "/control"), ("args", args), ("reports", "out")];
    let (status, outputs, summary, printed) = job.step(&inputs);
    assert_eq!(status, 0, "{printed}");
    assert!(outputs.contains("status=0\nconformant=true\nhtml=out/report.html\n"), "{outputs}");
    assert!(summary.contains("no rule broken"), "{summary}");
    for file in ["report.html", "run.jsonl", "junit.xml", "badge.svg"] {
        assert!(job.path("out").join(file).metadata().is_ok_and(|file| file.len() > 0), "{file}");
    }
}

#[test]
fn two_jobs_of_the_gitlab_template_judge_a_part_each_and_a_third_puts_them_together() {
    let job = Job::new();
    let template = std::fs::read_to_string(repository().join("ci/gitlab.yml")).unwrap();
    let template: serde_json::Value = serde_saphyr::from_str(&template).unwrap();
    let before = template[".fieldsync-program"]["before_script"][0].as_str().unwrap();
    let domain = repository().join("fixtures/domain/version-wins.yaml");
    let serve =
        format!("'fieldsync serve --data {{dir}} --listen 127.0.0.1:{{port}} --domain {} --control'", domain.display());
    let run = |script: &str, index: &str| {
        let script = template[script]["script"][0].as_str().unwrap();
        let output = Command::new("sh")
            .args(["-c", &format!("{before}\nset -e\n{script}")])
            .current_dir(job.folder.path())
            .env("FIELDSYNC_VERSION", VERSION)
            .env("FIELDSYNC_RELEASES", format!("file://{}", job.path("releases").display()))
            .env(
                "FIELDSYNC_CHECK",
                format!("server --serve {serve} --control /control --chapter discovery --timeout 60"),
            )
            .envs([("CI_NODE_TOTAL", "2"), ("CI_NODE_INDEX", index)])
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{printed}");
        printed
    };
    for index in ["1", "2"] {
        let printed = run(".fieldsync", index);
        assert!(printed.contains(&format!("shard {index} of 2")), "{printed}");
        for file in ["report-N.html", "run-N.jsonl", "junit-N.xml"] {
            let file = job.path("fieldsync-report").join(file.replace('N', index));
            assert!(file.metadata().is_ok_and(|file| file.len() > 0), "{}", file.display());
        }
    }
    let printed = run(".fieldsync-merge", "1");
    assert!(printed.contains("no rule broken") && !printed.contains("shard"), "{printed}");
    assert!(job.path("fieldsync-report/report.html").exists() && job.path("fieldsync-report/junit.xml").exists());
}

#[test]
fn a_job_is_red_where_nobody_answers_and_says_so() {
    let job = Job::new();
    let (status, outputs, _, printed) = job.step(&[("url", "http://127.0.0.1:1/visits")]);
    assert_eq!(status, 4, "{printed}");
    assert!(outputs.contains("status=4\nconformant=false\n"), "{outputs}");
}

#[test]
fn what_is_not_as_its_checksum_says_is_not_run() {
    let job = Job::new();
    let files = job.path("releases").join(format!("v{VERSION}"));
    let sums = std::fs::read_to_string(files.join("SHA256SUMS")).unwrap();
    let wrong = sums.replacen(|c: char| c.is_ascii_hexdigit(), if sums.starts_with('0') { "1" } else { "0" }, 1);
    std::fs::write(files.join("SHA256SUMS"), wrong).unwrap();
    let (status, outputs, _, printed) = job.step(&[("url", "http://127.0.0.1:1/visits")]);
    assert!(status == 2 && printed.contains("nothing was unpacked"), "{printed}");
    assert!(outputs.is_empty(), "{outputs}");
}

/// The inputs that a text names under `with:`.
fn inputs_of(action: &str) -> Vec<String> {
    let inputs = action.split_once("\ninputs:\n").unwrap().1.split_once("\noutputs:\n").unwrap().0;
    let named = inputs.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    named.filter_map(|line| Some(line.trim().strip_suffix(':')?.to_owned())).collect()
}

#[test]
fn the_script_reads_every_input_and_the_readme_names_no_other() {
    let read = |name: &str| std::fs::read_to_string(repository().join(name)).unwrap();
    let inputs = inputs_of(&read("action.yml"));
    assert!(inputs.len() > 8, "{inputs:?}");
    let (action, script, readme) = (read("action.yml"), read("action/check.sh"), read("README.md"));
    for input in &inputs {
        let variable = format!("INPUT_{}", input.to_uppercase());
        assert!(action.contains(&format!("        {variable}: ${{{{ inputs.{input} }}}}")), "{input}");
        let by_name = ["serve", "command", "control", "accounts", "config", "baseline", "shard"];
        assert!(script.contains(&variable) || by_name.contains(&input.as_str()), "{input} is not read");
    }
    let with = readme.split_once("\n        with:\n").expect("the README shows the Action").1;
    let with = with.lines().take_while(|line| line.starts_with("          "));
    for line in with.filter(|line| !line.starts_with("           ")) {
        let input = line.trim().split(':').next().unwrap();
        assert!(inputs.iter().any(|known| known == input), "{input} is no input of the Action");
    }
}
