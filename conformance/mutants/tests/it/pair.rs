//! A failure of a pair has an owner.

use fieldsync_conformance::run::{Options, Pair, run_pair};
use fieldsync_conformance::scenario::{self, Case};
use fieldsync_conformance::spec::Spec;
use fieldsync_conformance::subject::reference::{EmbeddedServer, ReferenceDevices};
use fieldsync_mutants::{Fault, Mutant, all};
use fieldsync_schemas::event::{Blame, Event, Verdict};
use std::sync::Arc;
use std::time::Duration;

fn mutant(name: &str) -> Mutant {
    all().into_iter().find(|mutant| mutant.name == name).unwrap()
}

/// Whose every failure is, of a server and devices with these faults.
async fn blamed(server: Option<&str>, devices: Option<&str>, scenario: &str) -> Vec<Blame> {
    let mut reference = ReferenceDevices::default();
    if let Some(Fault::Device(fault)) = devices.map(|name| mutant(name).fault) {
        reference = ReferenceDevices::with(Arc::new(fault));
    }
    let subject = match server.map(|name| mutant(name).fault) {
        Some(Fault::Server(fault)) => EmbeddedServer::start_with(Arc::new(fault)).await.unwrap(),
        _ => EmbeddedServer::start().await.unwrap(),
    };
    let sound = EmbeddedServer::start().await.unwrap();
    let connect = |server: Arc<EmbeddedServer>| async move {
        Arc::new(server.connect().await.unwrap_or_else(|blocked| panic!("{}", blocked.reason)))
    };
    let pair = Pair { server: connect(subject).await, client: Arc::new(reference) };
    let cases: Vec<Case> = scenario::embedded().cases;
    let cases: Vec<&Case> = cases.iter().filter(|case| case.file_id() == scenario).collect();
    assert!(!cases.is_empty(), "{scenario} is a scenario");
    let options = Options { timeout: Duration::from_secs(60), ..Options::default() };
    let spec = Arc::new(Spec::embedded().unwrap());
    let events = run_pair(&cases, &spec, &pair, connect(sound).await, &options, &mut |_| {}).await;
    let ended = events.into_iter().filter_map(|event| match event {
        Event::Scenario(ended) => Some(*ended),
        _ => None,
    });
    let mut blamed = Vec::new();
    for one in ended {
        assert_eq!(one.verdict == Verdict::Fail, one.blame.is_some(), "{one:?}");
        blamed.extend(one.blame);
    }
    blamed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_of_a_pair_has_an_owner() {
    let status = "status/a-change-is-pending-until-it-is-pushed";
    let faulty = Some("what-waits-is-shown-as-synced");
    let all_of = |blamed: Vec<Blame>, one: Blame| !blamed.is_empty() && blamed.iter().all(|blame| *blame == one);
    assert!(blamed(None, None, status).await.is_empty());
    assert!(all_of(blamed(None, faulty, status).await, Blame::Client));
    let decided = "push/decided-mutation-in-another-batch";
    let forgetful = Some("decided-mutations-are-forgotten");
    assert!(all_of(blamed(forgetful, None, decided).await, Blame::Server));
}
