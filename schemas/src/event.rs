//! The event stream — one run as JSON lines: a header, one event a scenario, a footer. Every report is drawn from it.
//!
//! Chapter: reports.

use crate::id::RuleId;
use crate::registry::Profile;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// One line of the stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The first line.
    Header(Header),
    /// The subject could not be used at all.
    Blocked(Blocked),
    /// A scenario has ended.
    Scenario(Box<ScenarioEnded>),
    /// The last line. A stream without one is truncated.
    Footer(Footer),
}

/// What was run, against what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Header {
    /// The version of this format.
    pub format: u32,
    /// The version of the suite.
    pub suite: String,
    /// The protocol version.
    pub protocol: String,
    /// What was judged.
    pub subject: SubjectDescription,
    /// Fixes order and made-up values.
    pub seed: u64,
    /// How many scenarios were selected, expanded ones counted singly.
    pub selected: u64,
    /// What was selected, of which a shard runs a part: the SHA-256 of the ids, sorted, each with a line feed. Absent in
    /// format 1.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub selection: String,
    /// The part of the selection that was run, where it was split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// The command that runs one scenario again, up to its name: `fieldsync check server --url http://host --scenario`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub again: String,
    /// Only some of the scenarios were selected, so that the run proves no conformance.
    #[serde(default, skip_serializing_if = "is_false")]
    pub filtered: bool,
    /// What was not tested makes the run red.
    #[serde(default, skip_serializing_if = "is_false")]
    pub require_all: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// One of the parts into which a run was split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Shard {
    /// Which one, from 1.
    pub index: u32,
    /// Of how many.
    pub of: u32,
}

/// What was judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SubjectDescription {
    /// Whose rules count.
    pub judged: Vec<Actor>,
    /// Its name for people: a URL, a command, or `reference`.
    pub name: String,
    /// The name of the client, where a server and a client that are both foreign were judged together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The profiles it claims.
    pub profiles: Vec<Profile>,
    /// The capabilities it claims.
    pub capabilities: Vec<String>,
    /// The control verbs it offers.
    pub control: Vec<String>,
}

/// Whom a rule binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// A server.
    Server,
    /// A device.
    Device,
}

/// Why nothing could be run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Blocked {
    /// What was being done.
    pub doing: String,
    /// What was wrong, and what to do.
    pub reason: String,
    /// Whether the subject could not be reached at all.
    pub unreachable: bool,
}

/// How a scenario ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ScenarioEnded {
    /// Its path: `chapter/name`, with `[name=value]` where it was expanded.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The profile it ran under.
    pub profile: Profile,
    /// The devices that the client under test played: one by its name, or `all`. Absent where a server was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<String>,
    /// The rules it covers.
    pub covers: Vec<RuleId>,
    /// The capabilities that it needs of the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it did not run (`unsupported`, `not-tested`), or what the suite did wrong (`error`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the baseline says of it, where it was known to fail (`known-failure`, `unexpected-pass`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
    /// Whose fault a failure is, where a server and a client that are both foreign were judged together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blame: Option<Blame>,
    /// What was expected and not seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    /// What was done, as far as it came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepTaken>,
    /// What passed on the wire, in the order in which it was sent; without bodies where the scenario passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<Exchange>,
    /// The end of what the client under test wrote to its log; kept where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// How many expectations were looked at.
    pub checks: u64,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

/// What is one scenario in every run: its id, the profile it ran under, and the devices that the client played.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScenarioKey {
    /// Its id.
    pub id: String,
    /// Its profile.
    pub profile: Profile,
    /// The devices that the client under test played.
    pub roles: Option<String>,
}

impl ScenarioEnded {
    /// What it is in every run.
    pub fn key(&self) -> ScenarioKey {
        ScenarioKey { id: self.id.clone(), profile: self.profile.clone(), roles: self.roles.clone() }
    }
}

/// What a baseline says of a scenario that is known to fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Known {
    /// The line of its entry in the baseline.
    pub line: u32,
    /// Why it fails.
    pub reason: String,
    /// Where that is followed up.
    pub issue: String,
    /// The last day on which it may: `2027-03-31`.
    pub expires: String,
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// The client's: it fails with the reference server, too.
    Client,
    /// The server's: it fails with the reference client, too.
    Server,
    /// Both fail with the reference.
    Both,
    /// Each passes with the reference: only the two together fail.
    Together,
}

/// How a scenario ended, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every expectation was seen.
    Pass,
    /// One was not.
    Fail,
    /// Only rules with SHOULD were broken.
    Warn,
    /// It failed as the baseline says that it does.
    KnownFailure,
    /// It passed, and the baseline says that it fails.
    UnexpectedPass,
    /// The suite itself went wrong.
    Error,
    /// The subject does not claim what it needs.
    Unsupported,
    /// The run lacks a control verb or an account that it needs.
    NotTested,
}

impl Verdict {
    /// All verdicts, in the order of a report.
    pub const ALL: [Verdict; 8] = [
        Verdict::Pass,
        Verdict::UnexpectedPass,
        Verdict::Warn,
        Verdict::KnownFailure,
        Verdict::Fail,
        Verdict::Error,
        Verdict::Unsupported,
        Verdict::NotTested,
    ];

    /// Whether every expectation was seen.
    pub fn has_passed(self) -> bool {
        matches!(self, Verdict::Pass | Verdict::UnexpectedPass)
    }

    /// Whether it was run to an end that says something of the subject.
    pub fn has_run(self) -> bool {
        !matches!(self, Verdict::Error | Verdict::Unsupported | Verdict::NotTested)
    }

    /// The verdict as it stands in a report.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Warn => "warn",
            Verdict::KnownFailure => "known-failure",
            Verdict::UnexpectedPass => "unexpected-pass",
            Verdict::Error => "error",
            Verdict::Unsupported => "unsupported",
            Verdict::NotTested => "not-tested",
        }
    }
}

/// One expectation that was not seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Failure {
    /// The rule it breaks.
    pub rule: RuleId,
    /// Its line in the fixture; 0 for what the oracle or the tap saw.
    pub line: u32,
    /// What was looked at, in words.
    pub what: String,
    /// What should have been seen.
    pub expected: Value,
    /// What was seen.
    pub got: Value,
    /// The exchange that shows it, as an index into `exchanges`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<u64>,
}

/// One step of a scenario that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StepTaken {
    /// Its place in the order of all that happened: beginnings of steps, and both ends of exchanges.
    pub place: u64,
    /// Its line in the fixture; 0 where it stands in no file.
    pub line: u32,
    /// Who acts, as the fixture says: a device, `network`, `server`, `release` or `request`.
    pub actor: String,
    /// What is done, in one line, cut where it is long.
    pub what: String,
}

/// One request and its answer, as the tap saw them. Secrets are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Exchange {
    /// Who asked: a device of the scenario, or `request`.
    pub by: String,
    /// The method and the path below the base URL.
    pub request: String,
    /// The request's body, parsed where it is JSON, cut where it is long.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub sent: Value,
    /// The answer's status; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The answer's body, parsed where it is JSON, cut where it is long.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub answered: Value,
    /// The fault that the tap put in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// How far request and answer came.
    #[serde(default, skip_serializing_if = "Course::is_whole")]
    pub course: Course,
    /// The place of its beginning in the order of all that happened.
    #[serde(default)]
    pub began: u64,
    /// The place of its end; absent where it had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
}

/// How far a request and its answer came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Course {
    /// To the server and back to the device.
    #[default]
    Whole,
    /// The request did not come to the server whole.
    Unsent,
    /// The server gave no answer that could be passed on.
    Unanswered,
    /// The server answered, and the device got nothing of it.
    Lost,
    /// The device got a part of the answer.
    Cut,
    /// The device got an answer that the server was not asked for.
    MadeUp,
    /// The second copy of a request, whose answer is nobody's.
    Copy,
    /// It was under way when the scenario ended.
    UnderWay,
}

impl Course {
    fn is_whole(&self) -> bool {
        *self == Course::Whole
    }
}

/// The counts of a whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Footer {
    /// Scenarios by verdict.
    pub verdicts: BTreeMap<String, u64>,
    /// The rules of the subject's side: how many held, of how many that were looked at.
    pub rules_passed: u64,
    /// The rules that were broken.
    pub rules_failed: u64,
    /// The rules that no scenario looked at in this run.
    pub rules_untested: u64,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// Whether the subject conforms.
    pub conformant: bool,
    /// What became of the records that the run made, where it was to clean up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleanup: Option<Cleanup>,
    /// What the baseline was good for, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineUse>,
}

/// What a baseline was good for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BaselineUse {
    /// Its file.
    pub file: String,
    /// How many of its entries matched a failure.
    pub used: u64,
    /// What is wrong with its entries; each makes the run red.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<BaselineProblem>,
}

/// What is wrong with an entry of a baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BaselineProblem {
    /// The line of the entry.
    pub line: u32,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// What became of the records that a run made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Cleanup {
    /// How many were deleted.
    pub deleted: u64,
    /// How many are still there, by the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left: BTreeMap<String, u64>,
}
