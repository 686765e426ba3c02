//! A foreign client against a foreign server. Where a scenario fails, each side plays it once more with the reference, so
//! that the failure has an owner.

use super::{Options, run};
use crate::scenario::Case;
use crate::spec::Spec;
use crate::subject::client::Client;
use crate::subject::reference::ReferenceDevices;
use crate::subject::server::Server;
use fieldsync_schemas::event::{Actor, Blame, Event, ScenarioKey, Verdict};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The two sides that are judged together.
#[derive(Clone)]
pub struct Pair {
    /// The server.
    pub server: Arc<dyn Server>,
    /// The client.
    pub client: Arc<dyn Client>,
}

/// Runs scenarios with a pair, and says of each failure whose it is. The repetitions with the reference are not told.
pub async fn run_pair(
    cases: &[&Case],
    spec: &Arc<Spec>,
    pair: &Pair,
    reference: Arc<dyn Server>,
    options: &Options,
    watch: &mut (dyn FnMut(&Event) + Send),
) -> Vec<Event> {
    let options =
        Options { judged: vec![Actor::Server, Actor::Device], each_role: true, pair: true, ..options.clone() };
    let mut events = run(cases, spec, pair.server.clone(), pair.client.clone(), &options, watch).await;
    let failed: BTreeSet<String> = failures(&events).into_iter().map(|key| key.id).collect();
    if failed.is_empty() {
        return events;
    }
    let again: Vec<&Case> = cases.iter().copied().filter(|case| failed.contains(&case.id)).collect();
    let alone = Options { pair: false, repeat: 1, cleanup: false, ..options };
    let of_client =
        Options { judged: vec![Actor::Device], headers: Vec::new(), ca_cert: None, pace: None, ..alone.clone() };
    let of_client = failures(&run(&again, spec, reference, pair.client.clone(), &of_client, &mut |_| {}).await);
    let of_server = Options { judged: vec![Actor::Server], each_role: false, ..alone };
    let devices = Arc::new(ReferenceDevices::default());
    let of_server = failures(&run(&again, spec, pair.server.clone(), devices, &of_server, &mut |_| {}).await);
    for event in &mut events {
        let Event::Scenario(ended) = event else { continue };
        if ended.verdict == Verdict::Fail {
            let key = ended.key();
            let client = of_client.contains(&key);
            // The reference plays every device, whichever the client played.
            let server = of_server.contains(&ScenarioKey { roles: None, ..key });
            ended.blame = Some(match (client, server) {
                (true, true) => Blame::Both,
                (true, false) => Blame::Client,
                (false, true) => Blame::Server,
                (false, false) => Blame::Together,
            });
        }
    }
    events
}

/// The scenarios that failed.
fn failures(events: &[Event]) -> BTreeSet<ScenarioKey> {
    let failed = events.iter().filter_map(|event| match event {
        Event::Scenario(ended) if ended.verdict == Verdict::Fail => Some(ended.key()),
        _ => None,
    });
    failed.collect()
}
