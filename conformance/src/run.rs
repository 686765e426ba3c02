//! A run: scenarios against a subject, side by side, as a stream of events.

use crate::cleanup;
use crate::judge::oracle::{self, Readers};
use crate::judge::verdict::{binds, verdict};
use crate::pace::Pace;
use crate::replay::{ActError, Acted, Actors, Stage, act};
use crate::scenario::Case;
use crate::spec::{Spec, is_of_clients};
use crate::subject::cast::{Cast, Roles};
use crate::subject::client::Client;
use crate::subject::device::{Credentials, DeviceError, DeviceSetup, Devices, Keeping};
use crate::subject::reference::ReferenceDevices;
use crate::subject::server::Server;
use crate::tap::wire::{self, Forms};
use crate::tap::{Made, Settings as TapSettings, Tap, TapPort, redact};
use fieldsync_schemas::catalog::Form;
use fieldsync_schemas::control::{Reach, Verb};
use fieldsync_schemas::event::{
    Actor, Blocked, Event, Failure, Footer, Header, ScenarioEnded, SubjectDescription, Verdict,
};
use fieldsync_schemas::id::RuleId;
use fieldsync_schemas::registry::Profile;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
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
    /// The client plays each device alone before it plays all; only all where this is not set.
    pub each_role: bool,
    /// What every request to the server carries, and whom its TLS may trust.
    pub headers: Vec<(String, String)>,
    /// A PEM file of certificates to trust.
    pub ca_cert: Option<std::path::PathBuf>,
    /// How many requests a second the server gets.
    pub pace: Option<Pace>,
    /// Deletes, after the run, the records that it made.
    pub cleanup: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            jobs: 16,
            timeout: Duration::from_secs(10),
            repeat: 1,
            seed: 0,
            judged: vec![Actor::Server, Actor::Device],
            each_role: false,
            headers: Vec::new(),
            ca_cert: None,
            pace: None,
            cleanup: false,
        }
    }
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
    let mut events = Vec::new();
    let planned = plan(cases, spec, server.as_ref(), client.as_ref(), options);
    let subject = description(server.as_ref(), client.as_ref(), options);
    let header = header(subject, options, planned.len());
    let mut tell = |event: Event| {
        watch(&event);
        events.push(event);
    };
    tell(Event::Header(header));
    let runner = match Runner::new(spec.clone(), server, client, options) {
        Ok(runner) => Arc::new(runner),
        Err(reason) => {
            tell(Event::Blocked(Blocked { doing: "start the tap".to_owned(), reason, unreachable: false }));
            tell(Event::Footer(footer(&[], spec, options, started)));
            return events;
        }
    };
    let mut ended = Vec::new();
    let (alone, together): (Vec<Planned>, Vec<Planned>) = planned.into_iter().partition(|one| one.alone);
    let side_by_side = options.pace.as_ref().map_or(options.jobs, |pace| options.jobs.min(pace.side_by_side()));
    let permits = Arc::new(Semaphore::new(side_by_side.max(1)));
    let mut tasks = JoinSet::new();
    for planned in together {
        let (runner, permits) = (runner.clone(), permits.clone());
        tasks.spawn(async move {
            let _permit = permits.acquire_owned().await.expect("the semaphore is never closed");
            runner.one(planned).await
        });
    }
    while let Some(one) = tasks.join_next().await {
        let one = one.expect("a scenario's task does not panic: panics of subjects are theirs");
        tell(Event::Scenario(Box::new(one.clone())));
        ended.push(one);
    }
    for planned in alone {
        let one = runner.one(planned).await;
        tell(Event::Scenario(Box::new(one.clone())));
        ended.push(one);
    }
    let mut footer = footer(&ended, spec, options, started);
    if let Some(made) = &runner.made {
        footer.cleanup = Some(cleanup::run(runner.server.as_ref(), &runner.actors.tap, &runner.readers, made).await);
    }
    tell(Event::Footer(footer));
    events
}

/// What is judged.
fn description(server: &dyn Server, client: &dyn Client, options: &Options) -> SubjectDescription {
    let judges_client = options.judged == [Actor::Device];
    SubjectDescription {
        judged: options.judged.clone(),
        name: if judges_client { client.name() } else { server.name() },
        capabilities: if judges_client {
            client.capabilities().iter().map(ToString::to_string).collect()
        } else {
            server.capabilities().iter().map(ToString::to_string).collect()
        },
        control: server.verbs().keys().map(ToString::to_string).collect(),
        profiles: if judges_client { client.profiles() } else { server.profiles() },
    }
}

fn header(subject: SubjectDescription, options: &Options, selected: usize) -> Header {
    Header {
        format: crate::report::jsonl::FORMAT,
        suite: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: fieldsync_schemas::PROTOCOL_VERSION.to_owned(),
        subject,
        seed: options.seed,
        selected: selected as u64,
    }
}

/// A run whose scenarios somebody else starts, one by one: a test runner.
pub struct Prepared {
    runner: Runner,
    planned: Vec<Planned>,
    options: Options,
    subject: SubjectDescription,
}

/// One scenario of a prepared run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedScenario {
    /// Its id; with the role of the client, where a client is judged.
    pub name: String,
    /// It reaches the whole server, so nothing may run beside it.
    pub alone: bool,
    /// Why it cannot be run against this subject.
    pub skipped: Option<String>,
}

impl Prepared {
    /// Plans a run.
    pub fn new(
        cases: &[&Case],
        spec: &Arc<Spec>,
        server: Arc<dyn Server>,
        client: Arc<dyn Client>,
        options: &Options,
    ) -> Result<Self, String> {
        let planned = plan(cases, spec, server.as_ref(), client.as_ref(), options);
        let subject = description(server.as_ref(), client.as_ref(), options);
        let runner = Runner::new(spec.clone(), server, client, options)?;
        Ok(Self { runner, planned, options: options.clone(), subject })
    }

    /// What is to be run.
    pub fn scenarios(&self) -> Vec<PreparedScenario> {
        let prepared = |planned: &Planned| PreparedScenario {
            name: match self.options.each_role {
                true => format!("{} as {}", planned.case.id, planned.roles.as_str()),
                false => planned.case.id.clone(),
            },
            alone: planned.alone,
            skipped: planned.skip.as_ref().map(|(_, reason)| reason.clone()),
        };
        self.planned.iter().map(prepared).collect()
    }

    /// Runs the scenario at this place, and tells it as the events of a run.
    pub async fn run(&self, place: usize) -> Vec<Event> {
        let started = Instant::now();
        let ended = self.runner.one(self.planned[place].clone()).await;
        let footer = footer(std::slice::from_ref(&ended), &self.runner.spec, &self.options, started);
        let header = header(self.subject.clone(), &self.options, 1);
        vec![Event::Header(header), Event::Scenario(Box::new(ended)), Event::Footer(footer)]
    }
}

/// The events of a run in which the subject could not be used at all.
pub fn blocked(blocked: Blocked, name: String, options: &Options) -> Vec<Event> {
    let judged = options.judged.clone();
    let subject =
        SubjectDescription { judged, name, profiles: Vec::new(), capabilities: Vec::new(), control: Vec::new() };
    let header = header(subject, options, 0);
    let footer = Footer {
        verdicts: BTreeMap::new(),
        rules_passed: 0,
        rules_failed: 0,
        rules_untested: 0,
        millis: 0,
        conformant: false,
        cleanup: None,
    };
    vec![Event::Header(header), Event::Blocked(blocked), Event::Footer(footer)]
}

/// Acts one scenario and judges nothing: what happened.
pub async fn acted(
    case: &Case,
    spec: &Arc<Spec>,
    server: Arc<dyn Server>,
    client: Arc<dyn Client>,
    options: &Options,
) -> Result<Acted, String> {
    let profile = match case.scenario.profile.clone() {
        Some(profile) => profile,
        None => server.profiles().first().cloned().ok_or("the server hosts no profile")?,
    };
    let runner = Runner::new(spec.clone(), server, client, options)?;
    let planned = Planned { case: case.clone(), profile, roles: Roles::All, number: 0, alone: true, skip: None };
    let devices = runner.client.devices().await.map_err(|error| error.to_string())?;
    let acting = async { runner.act(&planned, devices, &runner.actors.tap).await.map(|(acted, ..)| acted) };
    let acted = within(options.timeout, &runner.actors.tap, acting).await.ok_or("it has no end")?;
    acted.map_err(|error| error.to_string())
}

/// What comes of it within this time, to which the time is added for which its requests wait for their turn.
async fn within<T>(limit: Duration, tap: &Tap, acting: impl Future<Output = T>) -> Option<T> {
    let started = tokio::time::Instant::now();
    let mut acting = std::pin::pin!(acting);
    loop {
        let waited = tap.waited();
        match tokio::time::timeout_at(started + limit + waited, acting.as_mut()).await {
            Ok(done) => return Some(done),
            Err(_) if tap.waited() > waited => {}
            Err(_) => return None,
        }
    }
}

/// One scenario under one profile, in one casting.
#[derive(Clone)]
struct Planned {
    case: Case,
    profile: Profile,
    roles: Roles,
    number: u64,
    alone: bool,
    skip: Option<(Verdict, String)>,
}

/// Which scenarios run under which profiles, and which cannot.
fn plan(cases: &[&Case], spec: &Spec, server: &dyn Server, client: &dyn Client, options: &Options) -> Vec<Planned> {
    let mut planned = Vec::new();
    for repeat in 0..options.repeat {
        for case in cases {
            let scenario = &case.scenario;
            let castings = if options.each_role { Roles::of(case) } else { vec![Roles::All] };
            // A client has its part in every scenario that speaks of devices, whoever's rules it shows.
            let concerns =
                options.each_role || scenario.covers.iter().any(|rule| binds(spec, rule.as_str(), &options.judged));
            if !concerns {
                continue;
            }
            let profiles = match &scenario.profile {
                Some(profile) => vec![profile.clone()],
                None => server.profiles(),
            };
            for profile in profiles {
                let verbs = case.needed_verbs();
                let reaches_server = verbs.iter().any(|verb| server.verbs().get(verb) == Some(&Reach::Server));
                // Where all share one data set, the pages of such a device would be filled by its neighbours.
                let counts_pages = case.scenario.devices.settings().iter().any(|(_, device)| device.page.is_some());
                let alone = reaches_server || (counts_pages && !server.verbs().contains_key(&Verb::NewDataSet));
                for roles in castings.clone() {
                    let skip =
                        skip(case, &profile, spec, server).or_else(|| cannot_play(case, &profile, &roles, client));
                    let number = u64::from(repeat) * cases.len() as u64 + planned.len() as u64;
                    let (case, profile) = ((*case).clone(), profile.clone());
                    planned.push(Planned { case, profile, roles, number, alone, skip });
                }
            }
        }
    }
    planned
}

fn skip(case: &Case, profile: &Profile, spec: &Spec, server: &dyn Server) -> Option<(Verdict, String)> {
    if !server.profiles().contains(profile) {
        return Some((Verdict::Unsupported, format!("the profile {profile} is not claimed")));
    }
    let of_rules = case.scenario.covers.iter().filter_map(|rule| spec.rule(rule.as_str())?.capability.clone());
    let of_rules = of_rules.filter(|capability| !is_of_clients(capability.as_str()));
    for capability in case.scenario.needs.capabilities.iter().cloned().chain(of_rules) {
        if !server.capabilities().contains(&capability) {
            return Some((Verdict::Unsupported, format!("the capability {capability} is not claimed")));
        }
    }
    if let Some(claimed) = case.scenario.needs.unclaimed.iter().find(|one| server.capabilities().contains(one)) {
        return Some((Verdict::Unsupported, format!("the capability {claimed} is claimed")));
    }
    let missing: Vec<String> =
        case.needed_verbs().iter().filter(|verb| !server.verbs().contains_key(verb)).map(ToString::to_string).collect();
    if !missing.is_empty() {
        return Some((Verdict::NotTested, format!("the server offers no control verb {}", missing.join(", "))));
    }
    let accounts = server.account_names();
    let missing: Vec<String> = case.accounts().into_iter().filter(|name| !accounts.contains(name)).collect();
    if !missing.is_empty() {
        return Some((
            Verdict::NotTested,
            format!("there is no account {}; name one with --accounts", missing.join(", ")),
        ));
    }
    None
}

/// Why a client has no part in a scenario.
fn cannot_play(case: &Case, profile: &Profile, roles: &Roles, client: &dyn Client) -> Option<(Verdict, String)> {
    if !client.profiles().contains(profile) {
        return Some((Verdict::Unsupported, format!("the client does not claim the profile {profile}")));
    }
    let claimed = client.capabilities();
    let missing = roles.needs(case).into_iter().find(|needed| !claimed.contains(needed))?;
    Some((Verdict::Unsupported, format!("the client does not claim {missing}")))
}

/// The devices of the oracle.
const READERS: [&str; 2] = ["follower", "fresh"];

/// What every scenario of a run needs.
struct Runner {
    spec: Arc<Spec>,
    server: Arc<dyn Server>,
    client: Arc<dyn Client>,
    each_role: bool,
    actors: Actors,
    http: reqwest::Client,
    forms: Forms,
    judged: Vec<Actor>,
    timeout: Duration,
    readers: ReferenceDevices,
    made: Option<Made>,
}

impl Runner {
    fn new(
        spec: Arc<Spec>,
        server: Arc<dyn Server>,
        client: Arc<dyn Client>,
        options: &Options,
    ) -> Result<Self, String> {
        let closed = |actor| {
            if options.judged.len() == 2 || !options.judged.contains(&actor) { Form::Closed } else { Form::Open }
        };
        let forms = Forms { device: closed(Actor::Device), server: closed(Actor::Server) };
        let made = options.cleanup.then(Made::default);
        let mut settings =
            TapSettings { forms, pace: options.pace.clone(), made: made.clone(), ..TapSettings::default() };
        settings.headers = options
            .headers
            .iter()
            .map(|(name, value)| {
                let name = name.parse::<http::HeaderName>().map_err(|error| format!("header {name}: {error}"))?;
                let value = value.parse::<http::HeaderValue>().map_err(|error| format!("header {name}: {error}"))?;
                Ok((name, value))
            })
            .collect::<Result<_, String>>()?;
        if let Some(path) = &options.ca_cert {
            let pem = std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            settings.ca_cert = Some(pem);
        }
        let tap = Tap::start(settings).map_err(|error| error.to_string())?;
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(options.timeout)
            // A raw request says by itself what it accepts, and sees how the answer is coded.
            .no_gzip()
            .no_zstd()
            .no_proxy()
            .build()
            .map_err(|error| error.to_string())?;
        let run: String = format!("{:08x}", rand::random::<u32>());
        let devices = Arc::new(ReferenceDevices::default());
        let actors = Actors { devices, tap, seed: options.seed, run };
        Ok(Self {
            spec,
            server,
            client,
            each_role: options.each_role,
            actors,
            http,
            forms,
            judged: options.judged.clone(),
            timeout: options.timeout,
            readers: ReferenceDevices::default(),
            made,
        })
    }

    async fn one(&self, planned: Planned) -> ScenarioEnded {
        let started = Instant::now();
        let mut ended = ScenarioEnded {
            id: planned.case.id.clone(),
            title: planned.case.scenario.title.clone(),
            profile: planned.profile.clone(),
            roles: self.each_role.then(|| planned.roles.as_str().to_owned()),
            covers: planned.case.scenario.covers.clone(),
            needs: self.needs(&planned),
            verdict: Verdict::Pass,
            reason: None,
            failures: Vec::new(),
            exchanges: Vec::new(),
            log: None,
            checks: 0,
            millis: 0,
        };
        if let Some((verdict, reason)) = planned.skip.clone() {
            return ScenarioEnded { verdict, reason: Some(reason), ..ended };
        }
        let devices = match self.client.devices().await {
            Ok(client) => Arc::new(Cast { client, roles: planned.roles.clone(), reference: self.readers.clone() }),
            Err(error) => {
                self.device_broke(&planned, &mut ended, "the start of the client", &error);
                return ended;
            }
        };
        let tap = self.actors.tap.for_scenario();
        match within(self.timeout, &tap, self.judge(&planned, devices.clone(), &tap, &mut ended)).await {
            Some(Ok(())) => {}
            Some(Err(reason)) => {
                ended.verdict = Verdict::Error;
                ended.reason = Some(reason);
            }
            None => {
                ended.verdict = Verdict::Fail;
                ended.failures = vec![Failure {
                    rule: planned.case.scenario.covers[0].clone(),
                    line: 0,
                    what: "the time that the scenario took".to_owned(),
                    expected: format!("at most {} s", self.timeout.as_secs()).into(),
                    got: "no end".into(),
                    exchange: None,
                }];
            }
        }
        if ended.verdict != Verdict::Pass {
            ended.log = devices.log().await;
        }
        self.blame(&mut ended);
        ended.millis = started.elapsed().as_millis() as u64;
        ended
    }

    /// The capabilities that a scenario needs of the subject.
    fn needs(&self, planned: &Planned) -> Vec<String> {
        match self.judged[..] {
            [Actor::Device] => planned.roles.needs(&planned.case).iter().map(ToString::to_string).collect(),
            _ => planned.case.scenario.needs.capabilities.iter().map(ToString::to_string).collect(),
        }
    }

    /// A device that cannot do what it was told is a failure where the client is judged, and else the suite's own.
    fn device_broke(&self, planned: &Planned, ended: &mut ScenarioEnded, what: &str, error: &DeviceError) {
        if self.judged != [Actor::Device] {
            ended.verdict = Verdict::Error;
            ended.reason = Some(format!("{what}: {error}"));
            return;
        }
        ended.verdict = Verdict::Fail;
        ended.failures = vec![Failure {
            rule: planned.case.scenario.covers[0].clone(),
            line: 0,
            what: what.to_owned(),
            expected: "done".into(),
            got: error.to_string().into(),
            exchange: None,
        }];
    }

    /// A run counts only rules whose actor is its subject. Where a device does not do its part in showing a rule of the
    /// server, it breaks the rule of its own that the scenario covers, or that it shows what it was given.
    fn blame(&self, ended: &mut ScenarioEnded) {
        if self.judged.len() != 1 {
            return;
        }
        let own = |rule: &&RuleId| self.spec.rule(rule.as_str()).is_some_and(|rule| self.judged.contains(&rule.actor));
        let instead = ended.covers.iter().find(own).cloned();
        for failure in &mut ended.failures {
            if !binds(&self.spec, failure.rule.as_str(), &self.judged) {
                failure.rule = match (&instead, self.judged[0]) {
                    (Some(rule), _) => rule.clone(),
                    (None, Actor::Device) => oracle::SHOWS.parse().expect("a constant that is a rule id"),
                    (None, Actor::Server) => continue,
                };
            }
        }
    }

    /// What happens, and the devices of the oracle with their ports.
    async fn act(
        &self,
        planned: &Planned,
        devices: Arc<dyn Devices>,
        tap: &Tap,
    ) -> Result<(Acted, Readers, Vec<TapPort>), ActError> {
        let stage = self.server.stage(&planned.profile).await.map_err(ActError::Suite)?;
        let run = format!("{}-{}", self.actors.run, planned.number);
        let actors = Actors { devices, tap: tap.clone(), run, ..self.actors.clone() };
        let (readers, ports) = self.readers(&stage, &actors).await.map_err(ActError::Suite)?;
        let follower = readers.follower.clone();
        let acted = act(&planned.case, stage, &actors, self.http.clone(), follower).await?;
        Ok((acted, readers, ports))
    }

    async fn judge(
        &self,
        planned: &Planned,
        devices: Arc<dyn Devices>,
        tap: &Tap,
        ended: &mut ScenarioEnded,
    ) -> Result<(), String> {
        let (acted, readers, ports) = match self.act(planned, devices, tap).await {
            Ok(acted) => acted,
            Err(ActError::Device { device, error }) if planned.roles.plays(&device) => {
                self.device_broke(planned, ended, &format!("what device {device} was told to do"), &error);
                return Ok(());
            }
            Err(error) => return Err(error.to_string()),
        };
        let mut failures = acted.failures.clone();
        self.wire(&planned.roles, &acted.exchanges, &mut failures)?;
        if failures.is_empty() {
            let found = oracle::examine(&acted, &readers, &self.judged, &planned.roles).await;
            // What the oracle was told on the wire is judged first: an answer that is none explains what was not seen.
            for port in acted.devices.iter().map(|one| &one.port).chain(&ports) {
                self.wire(&planned.roles, &port.exchanges(), &mut failures)?;
            }
            failures.iter_mut().for_each(|failure| failure.exchange = None);
            failures.extend(found);
        }
        ended.checks = acted.checks;
        ended.verdict = verdict(&failures, &self.spec);
        if !failures.is_empty() {
            ended.exchanges = acted
                .exchanges
                .iter()
                .map(|seen| {
                    let mut exchange = redact::exchange(seen);
                    exchange.sent = acted.names.unfill(&exchange.sent);
                    exchange.answered = acted.names.unfill(&exchange.answered);
                    exchange
                })
                .collect();
            let last = ended.exchanges.len().checked_sub(1).map(|last| last as u64);
            for failure in &mut failures {
                failure.exchange = failure.exchange.or(last);
            }
        }
        ended.failures = failures;
        Ok(())
    }

    /// What the wire shows against the judged side. An invalid message of the other side is the suite's own fault.
    fn wire(
        &self,
        roles: &Roles,
        exchanges: &[crate::tap::SeenExchange],
        failures: &mut Vec<Failure>,
    ) -> Result<(), String> {
        for finding in wire::examine(exchanges, self.forms) {
            let by = &exchanges[finding.exchange].by;
            let is_of_reference = finding.side == Actor::Device && (!roles.plays(by) || READERS.contains(&by.as_str()));
            if !self.judged.contains(&finding.side) || is_of_reference {
                return Err(format!("the suite's own {:?} broke {}: {}", finding.side, finding.rule, finding.message));
            }
            if failures.iter().any(|failure| failure.rule == finding.rule) {
                continue;
            }
            failures.push(Failure {
                rule: finding.rule,
                line: 0,
                what: format!("a message on the wire, at {:?}", finding.pointer),
                expected: "valid".into(),
                got: finding.message.into(),
                exchange: Some(finding.exchange as u64),
            });
        }
        Ok(())
    }

    /// The devices of the oracle, on ports of their own. They log in by password where they can: a scenario may move
    /// the clock past the end of every token.
    async fn readers(&self, stage: &Stage, actors: &Actors) -> Result<(Readers, Vec<TapPort>), String> {
        let account = stage.accounts.get("worker").ok_or("there is no account worker")?;
        let credentials = match &account.password {
            Some(password) if stage.session.capabilities.iter().any(|one| one.as_str() == "password-login") => {
                Credentials::PasswordAndToken {
                    user: account.user.clone(),
                    password: password.clone(),
                    token: account.token.clone(),
                }
            }
            _ => Credentials::Token(account.token.clone()),
        };
        let mut ports = Vec::new();
        let mut devices = Vec::new();
        for name in READERS {
            let port = actors.tap.port(name, &stage.base).map_err(|error| error.to_string())?;
            let setup = DeviceSetup {
                name: name.to_owned(),
                base_url: port.base_url().clone(),
                credentials: credentials.clone(),
                clock_offset_ms: 0,
                page: None,
                batch: None,
                replica: Some(format!("{name}-{}", actors.run).parse().map_err(|error| format!("{error}"))?),
                seed: actors.seed,
                keeping: Keeping::Memory,
                triggers: None,
            };
            devices.push(self.readers.open(setup).await.map_err(|error| error.to_string())?);
            ports.push(port);
        }
        let fresh = devices.pop().expect("two were made");
        let follower = devices.pop().expect("two were made");
        Ok((Readers { follower, fresh }, ports))
    }
}

fn footer(ended: &[ScenarioEnded], spec: &Spec, options: &Options, started: Instant) -> Footer {
    let mut verdicts: BTreeMap<String, u64> = BTreeMap::new();
    let (mut passed, mut failed) = (BTreeSet::new(), BTreeSet::new());
    for one in ended {
        *verdicts.entry(one.verdict.as_str().to_owned()).or_default() += 1;
        match one.verdict {
            Verdict::Pass => passed.extend(one.covers.iter().map(|rule| rule.as_str().to_owned())),
            Verdict::Fail => failed.extend(one.failures.iter().map(|failure| failure.rule.as_str().to_owned())),
            _ => {}
        }
    }
    passed.retain(|rule| binds(spec, rule, &options.judged) && !failed.contains(rule));
    let of_subject = spec.rules.iter().filter(|rule| options.judged.contains(&rule.actor)).count() as u64;
    let errors = verdicts.get("error").copied().unwrap_or(0);
    Footer {
        rules_passed: passed.len() as u64,
        rules_failed: failed.len() as u64,
        rules_untested: of_subject.saturating_sub((passed.len() + failed.len()) as u64),
        conformant: failed.is_empty() && errors == 0 && verdicts.get("pass").copied().unwrap_or(0) > 0,
        millis: started.elapsed().as_millis() as u64,
        cleanup: None,
        verdicts,
    }
}
