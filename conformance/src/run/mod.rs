//! A run: scenarios against a subject, side by side, as a stream of events.

mod footer;
mod opaque;
mod pair;
mod plan;
mod prepared;
mod recorded;
mod runner;
pub mod selection;
mod story;

pub use footer::footer;
pub use pair::{Pair, run_pair};
pub use prepared::{Prepared, PreparedScenario};
pub use recorded::judge_recorded;

use self::plan::{Planned, plan};
use self::runner::{Runner, within};
use crate::cleanup;
use crate::pace::Pace;
use crate::replay::{Acted, StepLog};
use crate::report::bounds;
use crate::scenario::Case;
use crate::spec::Spec;
use crate::subject::cast::Roles;
use crate::subject::client::Client;
use crate::subject::server::Server;
use fieldsync_schemas::event::{Actor, Blocked, Cleanup, Event, Footer, Header, Shard, SubjectDescription};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How scenarios run.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many run at once.
    pub jobs: usize,
    /// How long one may take.
    pub timeout: Duration,
    /// How often each runs.
    pub repeat: u32,
    /// Fixes made-up values.
    pub seed: u64,
    /// Whose rules count.
    pub judged: Vec<Actor>,
    /// Neither side is the reference: both are under test.
    pub pair: bool,
    /// The client plays each device alone before it plays all; only all where this is not set.
    pub each_role: bool,
    /// Each scenario runs under the first of its profiles alone.
    pub one_profile: bool,
    /// What every request to the server carries, and whom its TLS may trust.
    pub headers: Vec<(String, String)>,
    /// A PEM file of certificates to trust.
    pub ca_cert: Option<std::path::PathBuf>,
    /// How many requests a second the server gets.
    pub pace: Option<Pace>,
    /// Deletes, after the run, the records that it made.
    pub cleanup: bool,
    /// The command that runs one scenario again, up to its name; for the header.
    pub again: String,
    /// Only some of the scenarios were selected; for the header.
    pub filtered: bool,
    /// The digest of what was selected; for the header.
    pub selection: String,
    /// The part of it that is run; for the header.
    pub shard: Option<Shard>,
    /// What was not tested makes the run red; for the header.
    pub require_all: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            jobs: 4 * cores(),
            timeout: Duration::from_secs(10),
            repeat: 1,
            seed: 0,
            judged: vec![Actor::Server, Actor::Device],
            pair: false,
            each_role: false,
            one_profile: false,
            headers: Vec::new(),
            ca_cert: None,
            pace: None,
            cleanup: false,
            again: String::new(),
            filtered: false,
            selection: String::new(),
            shard: None,
            require_all: false,
        }
    }
}

/// The cores of this machine. A scenario waits most of its time, so that several to a core keep it busy.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Runs scenarios against a server, acted by this client; `watch` sees every event as it comes.
pub async fn run(
    cases: &[&Case],
    spec: &Arc<Spec>,
    server: Arc<dyn Server>,
    client: Arc<dyn Client>,
    options: &Options,
    watch: &mut (dyn FnMut(&Event) + Send),
) -> Vec<Event> {
    let started = Instant::now();
    let planned = plan(cases, spec, server.as_ref(), client.as_ref(), options);
    let subject = description(server.as_ref(), client.as_ref(), options);
    let header = header(subject, options, planned.len() as u64 * u64::from(options.repeat));
    let mut told = Told { events: Vec::new(), watch };
    told.tell(Event::Header(header));
    let runner = match Runner::new(spec.clone(), server, client, options) {
        Ok(runner) => Arc::new(runner),
        Err(reason) => {
            told.tell(Event::Blocked(Blocked { doing: "start the tap".to_owned(), reason, unreachable: false }));
            return told.end(spec, options, started, None);
        }
    };
    let (alone, together): (Vec<_>, Vec<_>) = planned.into_iter().partition(|one| one.alone);
    let side_by_side = options.pace.as_ref().map_or(options.jobs, |pace| options.jobs.min(pace.side_by_side()));
    let mut numbers = 0..;
    let mut waiting = (0..options.repeat).flat_map(|_| &together).cloned().zip(&mut numbers);
    let mut tasks = JoinSet::new();
    loop {
        // One begins as another ends: what waits for its turn takes no memory.
        while tasks.len() < side_by_side.max(1)
            && let Some((planned, number)) = waiting.next()
        {
            let runner = runner.clone();
            tasks.spawn(async move { runner.one(&planned, number).await });
        }
        let Some(one) = tasks.join_next().await else { break };
        let one = one.expect("a scenario's task does not panic: panics of subjects are theirs");
        told.tell(Event::Scenario(Box::new(one)));
    }
    for (planned, number) in (0..options.repeat).flat_map(|_| &alone).zip(numbers) {
        told.tell(Event::Scenario(Box::new(runner.one(planned, number).await)));
    }
    let cleanup = match &runner.made {
        Some(made) => Some(cleanup::run(runner.server.as_ref(), &runner.actors.tap, &runner.readers, made).await),
        None => None,
    };
    told.end(spec, options, started, cleanup)
}

/// The events so far, and who watches them.
struct Told<'a> {
    events: Vec<Event>,
    watch: &'a mut (dyn FnMut(&Event) + Send),
}

impl Told<'_> {
    fn tell(&mut self, mut event: Event) {
        bounds::bound(&mut event);
        (self.watch)(&event);
        self.events.push(event);
    }

    fn end(mut self, spec: &Spec, options: &Options, started: Instant, cleanup: Option<Cleanup>) -> Vec<Event> {
        // In the order in which they ended no two runs are alike.
        self.events[1..].sort_by_cached_key(|event| match event {
            Event::Scenario(ended) => (true, Some(ended.key())),
            _ => (false, None),
        });
        let ended = self.events.iter().filter_map(|event| match event {
            Event::Scenario(ended) => Some(&**ended),
            _ => None,
        });
        let footer = Footer { cleanup, ..footer(ended, spec, &options.judged, millis(started)) };
        self.tell(Event::Footer(footer));
        self.events
    }
}

/// The time since then.
fn millis(started: Instant) -> u64 {
    started.elapsed().as_millis() as u64
}

/// What is judged.
fn description(server: &dyn Server, client: &dyn Client, options: &Options) -> SubjectDescription {
    let judges_client = options.judged == [Actor::Device];
    SubjectDescription {
        judged: options.judged.clone(),
        name: if judges_client { client.name() } else { server.name() },
        client: options.pair.then(|| client.name()),
        capabilities: if judges_client {
            client.capabilities().iter().map(ToString::to_string).collect()
        } else {
            let all: BTreeSet<String> = server
                .profiles()
                .iter()
                .flat_map(|profile| server.capabilities(profile))
                .map(ToString::to_string)
                .collect();
            all.into_iter().collect()
        },
        control: server.verbs().keys().map(ToString::to_string).collect(),
        profiles: if judges_client { client.profiles() } else { server.profiles() },
    }
}

fn header(subject: SubjectDescription, options: &Options, selected: u64) -> Header {
    Header {
        format: crate::report::jsonl::FORMAT,
        suite: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: fieldsync_schemas::PROTOCOL_VERSION.to_owned(),
        subject,
        seed: options.seed,
        selected,
        selection: options.selection.clone(),
        shard: options.shard,
        again: options.again.clone(),
        filtered: options.filtered,
        require_all: options.require_all,
    }
}

/// The events of a run in which the subject could not be used at all.
pub fn blocked(blocked: Blocked, name: String, options: &Options) -> Vec<Event> {
    let judged = options.judged.clone();
    let subject =
        SubjectDescription { judged, name, client: None, profiles: vec![], capabilities: vec![], control: vec![] };
    let header = header(subject, options, 0);
    let footer = Footer {
        verdicts: BTreeMap::new(),
        rules_passed: 0,
        rules_failed: 0,
        rules_untested: 0,
        millis: 0,
        conformant: false,
        cleanup: None,
        baseline: None,
    };
    let mut events = vec![Event::Header(header), Event::Blocked(blocked), Event::Footer(footer)];
    events.iter_mut().for_each(bounds::bound);
    events
}

/// Acts one scenario and judges nothing: what happened.
pub async fn acted(
    case: &Case,
    spec: &Arc<Spec>,
    server: Arc<dyn Server>,
    client: Arc<dyn Client>,
    options: &Options,
) -> Result<Acted, String> {
    let profile = plan::profiles(case, spec, server.as_ref()).into_iter().next().ok_or("its rules share no profile")?;
    let runner = Runner::new(spec.clone(), server, client, options)?;
    let planned = Planned { case: case.clone(), profile, roles: Roles::All, alone: true, skip: None };
    let devices = runner.client.devices().await.map_err(|error| error.to_string())?;
    let acting = async {
        runner.act(&planned, 0, devices, &runner.actors.tap, &StepLog::default()).await.map(|(acted, ..)| acted)
    };
    let acted = within(options.timeout, &runner.actors.tap, acting).await.ok_or("it has no end")?;
    acted.map_err(|error| error.to_string())
}
