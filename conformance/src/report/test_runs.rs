//! Runs for the tests of the reports.

use super::{Background, CaseNote};
use crate::spec::{Spec, SpecFiles};
use fieldsync_schemas::event::*;
use fieldsync_schemas::id::RuleId;
use fieldsync_schemas::registry::Profile;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PUSH: &str = "r[push.retry.same-outcome]\n\nA server MUST answer a batch that it has answered before with the same outcomes, and MUST NOT apply it again.\n\nr[push.answer.quick]\n\nA server SHOULD answer within a second.\n";
const PULL: &str = "r[pull.page.order]\n\nA server MUST send the changes of a feed in the order of their places.\n";
const SESSION: &str = "r[session.roles.kept] (roles)\n\nA server MUST keep roles.\n";

pub fn spec() -> Spec {
    let summary = "- [Session](session.md)\n- [Push](push.md)\n- [Pull](pull.md)\n";
    let files = [("SUMMARY.md", summary), ("session.md", SESSION), ("push.md", PUSH), ("pull.md", PULL)];
    Spec::read(&SpecFiles::from_texts(files)).unwrap()
}

pub fn background(spec: &Spec) -> Background<'_> {
    let lost = CaseNote {
        source: "title: An answer lost after the commit does not apply the record twice\n".into(),
        file: "fixtures/scenarios/push/lost-answer.yaml".to_owned(),
        harm: Some(
            "A visit that was recorded once is counted twice, and nobody can tell which of the two is real.".to_owned(),
        ),
    };
    Background { spec, cases: BTreeMap::from([("push/lost-answer".to_owned(), lost)]) }
}

/// The header of a run.
pub fn header(events: &mut [Event]) -> &mut Header {
    match events.first_mut() {
        Some(Event::Header(header)) => header,
        _ => panic!("a run begins with a header"),
    }
}

/// The run, in which everything is required.
pub fn all_required(mut events: Vec<Event>) -> Vec<Event> {
    header(&mut events).require_all = true;
    events
}

/// A whole run of these scenarios.
pub fn of(scenarios: Vec<Event>) -> Vec<Event> {
    let header = Header {
        format: super::jsonl::FORMAT,
        suite: "0.1.0".to_owned(),
        protocol: "2026-12-01".to_owned(),
        subject: SubjectDescription {
            judged: vec![Actor::Server],
            name: "http://localhost:8080".to_owned(),
            client: None,
            profiles: vec![Profile::VersionWins],
            capabilities: vec!["roles".to_owned()],
            control: vec![],
        },
        seed: 7,
        selected: scenarios.len() as u64,
        selection: String::new(),
        shard: None,
        again: "fieldsync check server --url http://localhost:8080 --scenario".to_owned(),
        filtered: false,
        require_all: false,
    };
    let footer = Footer {
        cleanup: None,
        baseline: None,
        verdicts: BTreeMap::new(),
        rules_passed: 3,
        rules_failed: 1,
        rules_untested: 2,
        millis: 4210,
        conformant: true,
    };
    let mut events = vec![Event::Header(header)];
    events.extend(scenarios);
    events.push(Event::Footer(footer));
    events
}

fn scenario(id: &str, verdict: Verdict) -> ScenarioEnded {
    ScenarioEnded {
        roles: None,
        needs: Vec::new(),
        log: None,
        id: id.to_owned(),
        title: "An answer lost after the commit does not apply the record twice".to_owned(),
        profile: Profile::VersionWins,
        covers: vec![RuleId::new("push.retry.same-outcome").unwrap()],
        verdict,
        reason: None,
        known: None,
        blame: None,
        failures: vec![],
        steps: vec![],
        exchanges: vec![],
        checks: 4,
        millis: 6,
    }
}

fn event(ended: ScenarioEnded) -> Event {
    Event::Scenario(Box::new(ended))
}

fn failure(rule: &str, what: &str, expected: Value, got: Value) -> Failure {
    Failure { rule: RuleId::new(rule).unwrap(), line: 12, what: what.to_owned(), expected, got, exchange: Some(0) }
}

fn exchange(answered: Value) -> Exchange {
    Exchange {
        by: "tablet".to_owned(),
        request: "POST /push".to_owned(),
        sent: json!({"replica": "tablet-1", "seq": 1, "mutations": [{"type": "observation", "id": "fever-1", "op": "create", "data": {"temp": 38.1, "note": "x".repeat(300)}}]}),
        status: Some(200),
        answered,
        fault: Some("the answer was lost".to_owned()),
        course: Course::Lost,
        began: 3,
        ended: Some(4),
    }
}

pub fn passed(id: &str) -> Event {
    event(scenario(id, Verdict::Pass))
}

pub fn skipped(id: &str, verdict: Verdict, reason: &str) -> Event {
    event(ScenarioEnded { reason: Some(reason.to_owned()), ..scenario(id, verdict) })
}

/// The scenario, with another id and another rule.
pub fn covering(id: &str, rule: &str, mut of: Event) -> Event {
    if let Event::Scenario(ended) = &mut of {
        ended.id = id.to_owned();
        ended.covers = vec![RuleId::new(rule).unwrap()];
    }
    of
}

pub fn failed(id: &str) -> Event {
    event(ScenarioEnded {
        failures: vec![failure("push.retry.same-outcome", "the version of fever", json!(1), json!(2))],
        exchanges: vec![exchange(json!({"replayed": false, "note": "\u{1b}[2Jgone"}))],
        ..scenario(id, Verdict::Fail)
    })
}

pub fn warned(id: &str) -> Event {
    event(ScenarioEnded {
        failures: vec![failure("push.answer.quick", "the time of the answer", json!("1s"), json!("3s"))],
        ..scenario(id, Verdict::Warn)
    })
}

pub fn passing() -> Vec<Event> {
    of(vec![
        passed("push/lost-answer"),
        passed("push/two-at-once"),
        covering("session/roles", "session.roles.kept", passed("")),
    ])
}

pub fn failing() -> Vec<Event> {
    let page = |first: &str, second: &str| json!({"feeds": {"observation": {"changes": [first, second]}}, "note": "n".repeat(50)});
    let order = event(ScenarioEnded {
        failures: vec![failure("pull.page.order", "the answer's body", page("a", "b"), page("b", "a"))],
        ..scenario("pull/order[page=2]", Verdict::Fail)
    });
    of(vec![order, failed("push/two-at-once"), passed("push/calm"), warned("push/slow"), failed("push/lost-answer")])
}

pub fn not_tested() -> Vec<Event> {
    of(vec![
        passed("push/calm"),
        skipped("push/killed", Verdict::NotTested, "needs the control verb kill"),
        skipped("push/killed-twice", Verdict::NotTested, "needs the control verb kill"),
        skipped("session/login", Verdict::Unsupported, "the session does not list password-login"),
    ])
}

pub fn blocked(unreachable: bool) -> Vec<Event> {
    let reason = if unreachable {
        "connection refused: is the server running, and is this its address?"
    } else {
        "the answer is no session: /tag is missing"
    };
    let doing = if unreachable { "ask for the discovery" } else { "ask for the session" };
    of(vec![Event::Blocked(Blocked { doing: doing.to_owned(), reason: reason.to_owned(), unreachable })])
}

/// What a hostile subject might say: a script, escape sequences, marks of direction, Markdown, and this many characters.
pub fn hostile_text(length: usize) -> String {
    let words = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">'\"&]]>-->\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}desrever\u{2066}\u{200b}\u{feff}\r\n```\n| a | b |\n[x](javascript:alert(1)) ![y](http://evil.example/z.png) @everyone {{ x }} {% x %}</svg></textarea></style>";
    format!("{words}{}", "A".repeat(length))
}

/// A run in which everything that may come from a subject or a foreign stream is hostile.
pub fn hostile(length: usize) -> Vec<Event> {
    let text = || hostile_text(length);
    let tree = |more: &str| json!({text(): [text(), {"deep": text()}], "password": "pw", "more": more});
    let mut events = of(vec![
        event(ScenarioEnded {
            title: text(),
            profile: Profile::Other(text()),
            roles: Some(text()),
            known: Some(Known { line: 3, reason: text(), issue: text(), expires: text() }),
            blame: Some(Blame::Together),
            needs: vec![text()],
            log: Some(text()),
            steps: ["tablet", "network", "server", "release", "request"]
                .into_iter()
                .map(str::to_owned)
                .chain([text()])
                .zip(0..)
                .map(|(actor, place)| StepTaken { place, line: 7 + place as u32, actor, what: text() })
                .collect(),
            failures: vec![
                Failure { line: 12, ..failure("push.retry.same-outcome", &text(), tree("one"), tree("two")) },
                failure("no.such.rule", "short", json!(text()), json!(1)),
            ],
            exchanges: vec![Exchange {
                by: text(),
                request: text(),
                sent: tree("sent"),
                answered: json!(text()),
                fault: Some(text()),
                began: 20,
                ended: Some(21),
                ..exchange(json!(null))
            }],
            ..scenario(&format!("push/{}", text()), Verdict::Fail)
        }),
        event(ScenarioEnded { title: text(), ..scenario(&text(), Verdict::Pass) }),
        skipped("push/error", Verdict::Error, &text()),
        skipped("push/not", Verdict::NotTested, &text()),
        skipped("push/unsupported", Verdict::Unsupported, &text()),
    ]);
    let header = header(&mut events);
    header.suite = text();
    header.protocol = text();
    header.again = text();
    header.selection = text();
    header.shard = Some(Shard { index: 2, of: 4 });
    header.subject = SubjectDescription {
        name: text(),
        client: Some(text()),
        profiles: vec![Profile::Other(text())],
        capabilities: vec![text(), "roles".to_owned()],
        control: vec![text()],
        ..header.subject.clone()
    };
    if let Some(Event::Footer(footer)) = events.last_mut() {
        let problems = vec![BaselineProblem { line: 9, problem: text() }];
        footer.baseline = Some(BaselineUse { file: text(), used: 1, problems });
        footer.cleanup = Some(Cleanup { deleted: 1, left: BTreeMap::from([(text(), 2)]) });
        footer.verdicts.insert(text(), 1);
    }
    events
}
