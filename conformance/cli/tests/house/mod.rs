//! A small specification and a small suite, in a folder of their own, in which the program runs.

use std::path::Path;
use std::process::{Command, Output};

const SUMMARY: &str = "- [Push](push.md)\n- [Hazards](hazards.md)\n";
pub const PUSH: &str = "r[push.retry.same-outcome]\n\nA server MUST answer a batch again with the same outcomes.\n\nr[push.retry.quick]\n\nA server SHOULD answer at once.\n";
pub const HAZARDS: &str = "| id | hazard | rules | scenarios |\n|---|---|---|---|\n| H7 | A record doubles | `push.retry.same-outcome` | `push/lost-answer` |\n";
pub const SCENARIO: &str = "title: A lost answer does not apply the record twice\ncovers: [push.retry.same-outcome]\ndevices: [tablet]\nsteps:\n  - tablet: {create: {observation: fever, data: {temp: 38.1}}}\n  - tablet: {sync: ok}\n  - tablet: {reads: {fever: {temp: 38.1}}}\n";

pub struct House(tempfile::TempDir);

impl House {
    pub fn new() -> Self {
        let house = Self(tempfile::tempdir().unwrap());
        house.write("spec/src/SUMMARY.md", SUMMARY);
        house.write("spec/src/push.md", PUSH);
        house.write("spec/src/hazards.md", HAZARDS);
        house.write("fixtures/scenarios/push/lost-answer.yaml", SCENARIO);
        house
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Runs the program in this house: its exit status, its output, its errors.
    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } =
            Command::new(env!("CARGO_BIN_EXE_fieldsync")).args(arguments).current_dir(self.path()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }

    /// Runs it on the specification and the suite of this house.
    #[allow(dead_code, reason = "not every test in this house needs it")]
    pub fn run_here(&self, arguments: &[&str]) -> (i32, String, String) {
        self.run(&[arguments, &["--spec", "spec", "--fixtures", "fixtures"]].concat())
    }
}
