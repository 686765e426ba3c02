//! One scenario from its stage to its verdict.

use super::Options;
use super::opaque;
use super::plan::Planned;
use super::story::{self, Detail};
use crate::judge::oracle::{self, Readers};
use crate::judge::verdict::{binds, verdict};
use crate::replay::{ActError, Acted, Actors, Stage, StepLog, act};
use crate::spec::Spec;
use crate::subject::cast::{Cast, Roles};
use crate::subject::client::Client;
use crate::subject::device::{Credentials, Device, DeviceError, DeviceSetup, Devices, Keeping};
use crate::subject::reference::{DeviceParts, ReferenceDevices};
use crate::subject::server::Server;
use crate::tap::wire::{self, Forms};
use crate::tap::{Made, Settings as TapSettings, Tap, TapPort};
use fieldsync_schemas::catalog::Form;
use fieldsync_schemas::event::{Actor, Failure, ScenarioEnded, Verdict};
use fieldsync_schemas::id::RuleId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The devices of the oracle. The last reads for an account that does not see everything.
const READERS: [&str; 3] = ["follower", "fresh", "scoped"];

/// A subject that hangs and a machine that is too busy look alike.
const OUT_OF_TIME: &str = "no end: the subject hangs, goes on without end, or had too little of the machine; a longer \
     --timeout and fewer --jobs (under cargo test, fewer --test-threads) tell which";

/// What every scenario of a run needs.
pub(super) struct Runner {
    pub(super) spec: Arc<Spec>,
    pub(super) server: Arc<dyn Server>,
    pub(super) client: Arc<dyn Client>,
    each_role: bool,
    pub(super) actors: Actors,
    http: reqwest::Client,
    forms: Forms,
    judged: Vec<Actor>,
    pair: bool,
    timeout: Duration,
    pub(super) readers: ReferenceDevices,
    pub(super) made: Option<Made>,
}

impl Runner {
    pub(super) fn new(
        spec: Arc<Spec>,
        server: Arc<dyn Server>,
        client: Arc<dyn Client>,
        options: &Options,
    ) -> Result<Self, String> {
        let closed = |actor| {
            let is_reference = !options.judged.contains(&actor) || (options.judged.len() == 2 && !options.pair);
            if is_reference { Form::Closed } else { Form::Open }
        };
        let forms = Forms { device: closed(Actor::Device), server: closed(Actor::Server) };
        let made = options.cleanup.then(Made::default);
        let (pace, storage) = (options.pace.clone(), server.storage());
        let in_process = server.in_process().filter(|_| options.judged == [Actor::Device]);
        let mut settings =
            TapSettings { forms, pace, made: made.clone(), storage, in_process, ..TapSettings::default() };
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
        let actors = Actors { devices, tap, seed: options.seed, run, steps: StepLog::default() };
        Ok(Self {
            spec,
            server,
            client,
            each_role: options.each_role,
            actors,
            http,
            forms,
            judged: options.judged.clone(),
            pair: options.pair,
            timeout: options.timeout,
            readers: ReferenceDevices::default(),
            made,
        })
    }

    pub(super) async fn one(&self, planned: &Planned, number: u64) -> ScenarioEnded {
        let started = Instant::now();
        let mut ended = ScenarioEnded {
            id: planned.case.id.clone(),
            title: planned.case.scenario.title.clone(),
            profile: planned.profile.clone(),
            roles: self.each_role.then(|| planned.roles.as_str().to_owned()),
            covers: planned.case.scenario.covers.clone(),
            needs: self.needs(planned),
            verdict: Verdict::Pass,
            reason: None,
            known: None,
            blame: None,
            failures: Vec::new(),
            steps: Vec::new(),
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
                self.device_broke(planned, &mut ended, "the start of the client", &error);
                return ended;
            }
        };
        let tap = self.actors.tap.for_scenario();
        let steps = StepLog::default();
        match within(self.timeout, &tap, self.judge(planned, number, devices.clone(), &tap, &steps, &mut ended)).await {
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
                    what: "the end of the scenario, without which its rules are not shown".to_owned(),
                    expected: format!("within {} s", self.timeout.as_secs()).into(),
                    got: OUT_OF_TIME.into(),
                    exchange: None,
                }];
            }
        }
        if ended.verdict != Verdict::Pass {
            ended.log = devices.log().await;
        }
        if ended.steps.is_empty() {
            // It was not played to its end: what is known is told.
            (ended.steps, ended.exchanges) = story::tell(steps.steps(), &tap.exchanges(&READERS), None, Detail::Whole);
        }
        self.blame(&mut ended);
        opaque::number(&mut ended.exchanges, &mut ended.failures);
        ended.millis = started.elapsed().as_millis() as u64;
        ended
    }

    /// The capabilities that a scenario needs of the subject.
    fn needs(&self, planned: &Planned) -> Vec<String> {
        let of_client = planned.roles.needs(&planned.case);
        let of_server = &planned.case.scenario.needs.capabilities;
        match self.judged[..] {
            [Actor::Device] => of_client.iter().map(ToString::to_string).collect(),
            _ if self.pair => {
                let all: BTreeSet<String> = of_client
                    .iter()
                    .map(ToString::to_string)
                    .chain(of_server.iter().map(ToString::to_string))
                    .collect();
                all.into_iter().collect()
            }
            _ => of_server.iter().map(ToString::to_string).collect(),
        }
    }

    /// A device that cannot do what it was told is a failure where the client is judged, and else the suite's own.
    fn device_broke(&self, planned: &Planned, ended: &mut ScenarioEnded, what: &str, error: &DeviceError) {
        if self.judged != [Actor::Device] && !self.pair {
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
    pub(super) async fn act(
        &self,
        planned: &Planned,
        number: u64,
        devices: Arc<dyn Devices>,
        tap: &Tap,
        steps: &StepLog,
    ) -> Result<(Acted, Readers, Vec<TapPort>), ActError> {
        let stage = self.server.stage(&planned.profile).await.map_err(ActError::Suite)?;
        // In a data set that others fill, too, made-up ids must be new; where they need not, they follow from the seed.
        let run = if stage.is_shared() { format!("{}-{number}", self.actors.run) } else { String::new() };
        let actors = Actors { devices, tap: tap.clone(), run, steps: steps.clone(), ..self.actors.clone() };
        let scoped = planned.case.scoped_accounts();
        let (readers, ports) = self.readers(&stage, &actors, &scoped).await.map_err(ActError::Suite)?;
        let follower = readers.follower.clone();
        let acted = act(&planned.case, stage, &actors, self.http.clone(), follower).await?;
        Ok((acted, readers, ports))
    }

    async fn judge(
        &self,
        planned: &Planned,
        number: u64,
        devices: Arc<dyn Devices>,
        tap: &Tap,
        steps: &StepLog,
        ended: &mut ScenarioEnded,
    ) -> Result<(), String> {
        let (acted, readers, ports) = match self.act(planned, number, devices, tap, steps).await {
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
            let of_devices = acted.devices.iter().map(|one| (&one.port, one.passed));
            for (port, passed) in of_devices.chain(ports.iter().map(|port| (port, 0))) {
                self.wire(&planned.roles, &port.exchanges_from(passed), &mut failures)?;
            }
            failures.iter_mut().for_each(|failure| failure.exchange = None);
            failures.extend(found);
        }
        ended.checks = acted.checks;
        ended.verdict = verdict(&failures, &self.spec);
        let detail = if failures.is_empty() { Detail::Outline } else { Detail::Whole };
        (ended.steps, ended.exchanges) = story::tell(steps.steps(), &acted.exchanges, Some(&acted.names), detail);
        if !failures.is_empty() {
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
    async fn readers(
        &self,
        stage: &Stage,
        actors: &Actors,
        scoped: &BTreeSet<String>,
    ) -> Result<(Readers, Vec<TapPort>), String> {
        let mut ports = Vec::new();
        // Whether a cursor of some moment leaves something out is asked of servers.
        let follower = match self.judged[..] {
            [Actor::Device] => None,
            _ => Some(self.reader(READERS[0], "worker", stage, actors, &mut ports).await?),
        };
        let fresh = self.reader(READERS[1], "worker", stage, actors, &mut ports).await?;
        let mut of_scopes = BTreeMap::new();
        for account in scoped {
            let reader = self.reader(READERS[2], account, stage, actors, &mut ports).await?;
            of_scopes.insert(account.clone(), reader);
        }
        Ok((Readers { follower, fresh, of_scopes }, ports))
    }

    /// A device of the oracle, on a port of its own.
    async fn reader(
        &self,
        name: &str,
        account: &str,
        stage: &Stage,
        actors: &Actors,
        ports: &mut Vec<TapPort>,
    ) -> Result<Arc<dyn Device>, String> {
        let access = stage.accounts.get(account).ok_or_else(|| format!("there is no account {account}"))?;
        let credentials = match &access.password {
            Some(password) if stage.session.capabilities.iter().any(|one| one.as_str() == "password-login") => {
                Credentials::PasswordAndToken {
                    user: access.user.clone(),
                    password: password.clone(),
                    token: access.token.clone(),
                }
            }
            _ => Credentials::Token(access.token.clone()),
        };
        let port = actors.tap.port(name, &stage.base).map_err(|error| error.to_string())?;
        let setup = DeviceSetup {
            name: name.to_owned(),
            base_url: port.base_url().clone(),
            credentials,
            clock_offset_ms: 0,
            page: None,
            batch: None,
            replica: Some(format!("{name}-{}", actors.run).parse().map_err(|error| format!("{error}"))?),
            seed: actors.seed,
            keeping: Keeping::Memory,
            triggers: None,
            telemetry: false,
        };
        let way = port.direct(&self.http);
        let readers = self.readers.changed(Arc::new(move |parts| DeviceParts { transport: way.clone(), ..parts }));
        let device = readers.open(setup).await.map_err(|error| error.to_string())?;
        ports.push(port);
        Ok(device)
    }
}

/// What comes of it within this time, to which the time is added for which its requests wait for their turn.
pub(super) async fn within<T>(limit: Duration, tap: &Tap, acting: impl Future<Output = T>) -> Option<T> {
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
