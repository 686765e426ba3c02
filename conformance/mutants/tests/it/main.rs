//! The suite proves itself: nothing passes a subject that implements nothing.

mod pair;

use fieldsync_conformance::run::{self, Options};
use fieldsync_conformance::scenario::{self, Case};
use fieldsync_conformance::spec::Spec;
use fieldsync_conformance::subject::reference::{EmbeddedServer, ReferenceDevices};
use fieldsync_mutants::null::{Null, passes, verdicts};
use fieldsync_mutants::null_client::{self, NullClient};
use fieldsync_mutants::{Fault, all};
use fieldsync_schemas::event::{Actor, Event, Verdict};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_scenario_passes_a_subject_that_implements_nothing() {
    let cases = scenario::embedded().cases;
    let spec = Arc::new(Spec::embedded().unwrap());
    for null in Null::IDLE {
        let passed = passes(null, &cases, &spec).await.unwrap();
        assert_eq!(passed, Vec::<String>::new(), "a server that {}", null.as_str());
    }
}

/// The follower and the phone fetch the file; then nobody does but the oracle's fresh device.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_file_that_is_lost_is_seen_after_the_scenario() {
    let mutant = all().into_iter().find(|mutant| mutant.name == "a-file-is-given-out-twice").unwrap();
    let Fault::Server(fault) = mutant.fault else { panic!("it is a server's") };
    let embedded = EmbeddedServer::start_with(Arc::new(fault)).await.unwrap();
    let server = Arc::new(embedded.connect().await.unwrap_or_else(|blocked| panic!("{}", blocked.reason)));
    let cases = scenario::embedded().cases;
    let wanted = "attachments/a-file-is-there-for-whoever-comes-later";
    let cases: Vec<&Case> = cases.iter().filter(|case| case.file_id() == wanted).collect();
    let options = Options { judged: vec![Actor::Server], timeout: Duration::from_secs(60), ..Options::default() };
    let spec = Arc::new(Spec::embedded().unwrap());
    let devices = Arc::new(ReferenceDevices::default());
    let events = run::run(&cases, &spec, server, devices, &options, &mut |_| {}).await;
    let failures: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Scenario(ended) => Some(&ended.failures),
            _ => None,
        })
        .flatten()
        .collect();
    assert!(!failures.is_empty(), "{wanted} is a scenario, and fails");
    for failure in failures {
        assert_eq!(failure.rule.to_string(), mutant.rule);
        assert!(failure.what.contains("which stands as stored"), "{}", failure.what);
    }
}

/// Every scenario ends within its time, with a verdict that is the subject's fault, and the suite stays small.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_survives_a_server_that_does_harm() {
    let spec = Arc::new(Spec::embedded().unwrap());
    let wanted = ["push/lost-answer-to-a-create", "pull/mangled-cursor-is-refused"];
    let cases: Vec<_> =
        scenario::embedded().cases.into_iter().filter(|case| wanted.contains(&case.file_id())).collect();
    assert!(cases.len() >= wanted.len(), "{wanted:?} are scenarios");
    for null in Null::HOSTILE {
        for (id, verdict) in verdicts(null, &cases, &spec, Duration::from_secs(2)).await.unwrap() {
            assert_eq!(verdict, Verdict::Fail, "{id} against a server that {}", null.as_str());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_scenario_passes_a_client_that_implements_nothing() {
    // A part of them; the matrix runs them all. Direct uploads need an object storage, which is not here.
    let can_run = |case: &Case| case.scenario.needs.unclaimed.is_empty() && !case.id.starts_with("direct/");
    let cases: Vec<_> = scenario::embedded().cases.into_iter().filter(can_run).step_by(7).collect();
    let spec = Arc::new(Spec::embedded().unwrap());
    for null in NullClient::IDLE {
        let (ended, _) = null_client::run(null, &cases, &spec, Duration::from_secs(10)).await.unwrap();
        assert!(ended.len() > 300, "every scenario with devices is run, in each role");
        for one in ended {
            assert_eq!(one.verdict, Verdict::Fail, "{} {:?}: a client that {}", one.id, one.roles, null.as_str());
        }
    }
}

/// Each scenario fails, says what the client did, and leaves nothing behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_survives_a_client_that_does_harm() {
    let spec = Arc::new(Spec::embedded().unwrap());
    let wanted = ["push/lost-answer-to-a-create", "cycles/nothing-new-is-one-request"];
    let cases: Vec<_> =
        scenario::embedded().cases.into_iter().filter(|case| wanted.contains(&case.file_id())).collect();
    assert!(cases.len() >= wanted.len(), "{wanted:?} are scenarios");
    for null in NullClient::HOSTILE {
        let (ended, left) = null_client::run(null, &cases, &spec, Duration::from_secs(4)).await.unwrap();
        for one in &ended {
            assert_eq!(one.verdict, Verdict::Fail, "{} against a client that {}", one.id, null.as_str());
            let told = one.failures[0].got.as_str().unwrap_or_default();
            assert!(told.contains("`open`"), "a client that {}: {told}", null.as_str());
        }
        assert_eq!(left.is_empty(), null != NullClient::Forks);
        for process in left {
            // A signal is sent at once, and its receiver ends when it is scheduled next.
            let gone = tokio::time::timeout(Duration::from_secs(5), async {
                while is_alive(process) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
            assert!(gone.await.is_ok(), "{process} was left behind");
        }
    }
}

/// Whether a process runs: it is there, and no zombie.
fn is_alive(process: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|state| !state.contains(") Z "))
}
