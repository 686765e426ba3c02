//! The matrix of mutants and scenarios: every mutant must be caught, and for the right reason.

use crate::{Fault, Mutant};
use fieldsync_conformance::run::{self, Options};
use fieldsync_conformance::scenario::Case;
use fieldsync_conformance::spec::{RuleRef, Spec};
use fieldsync_conformance::subject::client::Client;
use fieldsync_conformance::subject::reference::{EmbeddedServer, ReferenceDevices};
use fieldsync_schemas::event::{Actor, Event, Failure, ScenarioEnded, Verdict};
use fieldsync_server::Bucket;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// What became of one mutant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// A scenario failed at an expectation of the mutant's rule.
    Killed {
        /// The scenario.
        by: String,
    },
    /// Scenarios failed, but none at an expectation of its rule.
    WrongReason {
        /// The first scenario that failed.
        by: String,
        /// The rule that it blamed.
        blamed: String,
    },
    /// Every scenario passed.
    Survived {
        /// How many ran.
        ran: usize,
    },
    /// It could not be run.
    Broken {
        /// Why.
        reason: String,
    },
}

/// One row of the matrix.
#[derive(Debug, Clone)]
pub struct Row {
    /// The name of the mutant.
    pub name: &'static str,
    /// The rule that it breaks.
    pub rule: &'static str,
    /// The fault, in one sentence.
    pub sentence: &'static str,
    /// What became of it.
    pub fate: Fate,
}

/// Runs the matrix: for each mutant the scenarios of its rule, until one of them kills it; all scenarios where `all` says
/// so. Files are in this bucket, where there is one.
pub async fn run(
    mutants: Vec<Mutant>,
    cases: &[Case],
    spec: &Arc<Spec>,
    jobs: usize,
    all: bool,
    bucket: Option<&Bucket>,
) -> Vec<Row> {
    let cases: Arc<Vec<Case>> = Arc::new(cases.to_vec());
    let permits = Arc::new(Semaphore::new(jobs.max(1)));
    let mut tasks = JoinSet::new();
    for (place, mutant) in mutants.into_iter().enumerate() {
        let (cases, spec, permits, bucket) = (cases.clone(), spec.clone(), permits.clone(), bucket.cloned());
        tasks.spawn(async move {
            let _permit = permits.acquire_owned().await.expect("the semaphore is never closed");
            let fate = fate(&mutant, &cases, &spec, all, bucket).await;
            (place, Row { name: mutant.name, rule: mutant.rule, sentence: mutant.sentence, fate })
        });
    }
    let mut rows = Vec::new();
    while let Some(row) = tasks.join_next().await {
        rows.push(row.expect("the task of a mutant does not panic: panics of servers are theirs"));
    }
    rows.sort_by_key(|(place, _)| *place);
    rows.into_iter().map(|(_, row)| row).collect()
}

async fn fate(mutant: &Mutant, cases: &[Case], spec: &Arc<Spec>, all: bool, bucket: Option<Bucket>) -> Fate {
    let covers =
        |case: &&Case| case.scenario.covers.iter().any(|rule| RuleRef::from(rule).id.as_str() == mutant.rule_id());
    let (own, other): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(covers);
    let (embedded, devices, actor): (_, Arc<dyn Client>, Actor) = match mutant.fault {
        Fault::Server(fault) => {
            let embedded = EmbeddedServer::start_on(bucket, Arc::new(fault)).await;
            (embedded, Arc::new(ReferenceDevices::default()), Actor::Server)
        }
        Fault::Device(fault) => {
            let embedded = EmbeddedServer::start_on(bucket, Arc::new(|parts| parts)).await;
            (embedded, Arc::new(ReferenceDevices::with(Arc::new(fault))), Actor::Device)
        }
    };
    let embedded = match embedded {
        Ok(embedded) => embedded,
        Err(error) => return Fate::Broken { reason: error.to_string() },
    };
    let server = match embedded.connect().await {
        Ok(server) => Arc::new(server),
        // A fault that keeps everybody out is caught before any scenario runs, but by no rule.
        Err(blocked) => return Fate::Broken { reason: format!("{}: {}", blocked.doing, blocked.reason) },
    };
    let options = Options { jobs: 4, judged: vec![actor], timeout: Duration::from_secs(5), ..Options::default() };
    let kills = |event: &Event| {
        let ended = ended(event)?;
        let is_own = |failure: &Failure| RuleRef::from(&failure.rule).id.as_str() == mutant.rule_id();
        ended.failures.iter().any(is_own).then(|| ended.id.clone())
    };
    let mut wrong = None;
    let mut ran = 0;
    for batch in [own, if all { other } else { Vec::new() }] {
        // The first that kills is enough: a mutant may let its devices pull until their time is out, in each of the others.
        let (killed, mut killer) = watch::channel(None);
        let mut look = |event: &Event| {
            if let Some(by) = kills(event) {
                killed.send_replace(Some(by));
            }
        };
        let running = run::run(&batch, spec, server.clone(), devices.clone(), &options, &mut look);
        let events = tokio::select! {
            events = running => events,
            _ = killer.wait_for(Option::is_some) => Vec::new(),
        };
        if let Some(by) = killer.borrow().clone() {
            return Fate::Killed { by };
        }
        for ended in events.iter().filter_map(ended) {
            ran += usize::from(ended.verdict.has_run() || ended.verdict == Verdict::Error);
            if let Some(failure) = ended.failures.first() {
                wrong.get_or_insert((ended.id.clone(), failure.rule.to_string()));
            }
            if ended.verdict == Verdict::Error {
                wrong.get_or_insert((ended.id.clone(), ended.reason.clone().unwrap_or_default()));
            }
        }
    }
    match wrong {
        Some((by, blamed)) => Fate::WrongReason { by, blamed },
        None => Fate::Survived { ran },
    }
}

fn ended(event: &Event) -> Option<&ScenarioEnded> {
    match event {
        Event::Scenario(ended) => Some(ended),
        _ => None,
    }
}
