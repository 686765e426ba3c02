//! The steps of a scenario, one after another.

use super::deed::Deed;
use super::device_step::Slot;
use super::{Names, Stage, StepLog};
use crate::scenario::Case;
use crate::subject::device::{Credentials, Device, DeviceError, DeviceSetup, Devices, Keeping};
use crate::subject::server::new_data_set;
use crate::tap::{Fault, SeenExchange, Tap, TapPort};
use fieldsync_schemas::adapter::Triggers;
use fieldsync_schemas::control::Verb;
use fieldsync_schemas::event::Failure;
use fieldsync_schemas::id::RuleId;
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::scenario::{
    Action, DeviceSettings, NetworkStep, ReferenceStep, ScopeStep, ServerStep, Step, SyncStep,
};
use futures_util::future::{BoxFuture, join_all};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Who acts a scenario.
#[derive(Clone)]
pub struct Actors {
    /// What makes the devices.
    pub devices: Arc<dyn Devices>,
    /// The proxy through which everything passes.
    pub tap: Tap,
    /// Fixes made-up values, together with the run's number.
    pub seed: u64,
    /// The number of the run, so that two runs against one server do not meet.
    pub run: String,
    /// Notes the steps as they begin.
    pub steps: StepLog,
}

/// What happened.
pub struct Acted {
    /// What was expected and not seen; the scenario ended there.
    pub failures: Vec<Failure>,
    /// How many expectations were looked at.
    pub checks: u64,
    /// What passed on the wire, in the order in which it was sent.
    pub exchanges: Vec<SeenExchange>,
    /// What the names stood for.
    pub names: Names,
    /// The devices as they are now, with whether each has ended its last sync well.
    pub devices: Vec<ActedDevice>,
    /// The stage as it is now.
    pub stage: Stage,
    /// What the users did, in order.
    pub deeds: Vec<Deed>,
}

/// A device after a scenario.
pub struct ActedDevice {
    /// Its name.
    pub name: String,
    /// The device.
    pub device: Arc<dyn Device>,
    /// Its account.
    pub account: String,
    /// Its port, from which all faults are gone.
    pub port: TapPort,
    /// How many exchanges of the port were over, and all before them, when the scenario was.
    pub passed: usize,
}

/// Why a scenario could not be acted to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// The suite's own fault.
    #[error("{0}")]
    Suite(String),
    /// A device could not do what it was told.
    #[error("device {device}: {error}")]
    Device {
        /// Its name.
        device: String,
        /// What it says.
        error: DeviceError,
    },
}

impl ActError {
    pub(super) fn of_device(device: &str) -> impl FnOnce(DeviceError) -> Self {
        let device = device.to_owned();
        |error| ActError::Device { device, error }
    }
}

/// One step that did not go as expected.
pub(super) struct Missed {
    pub what: String,
    pub expected: Value,
    pub got: Value,
    /// The rule that it breaks, whatever the step was about.
    pub rule: Option<&'static str>,
}

impl Missed {
    pub(super) fn new(what: impl Into<String>, expected: impl Into<Value>, got: impl Into<Value>) -> Self {
        Self { what: what.into(), expected: expected.into(), got: got.into(), rule: None }
    }
}

/// How a step ended.
pub(super) enum StepEnd {
    /// As expected; what was looked at was counted.
    Fine,
    /// Not as expected.
    Missed(Missed),
    /// The server need not offer what the rest of the scenario is about.
    Over,
}

/// One scenario being acted.
pub(super) struct Play<'a> {
    pub case: &'a Case,
    pub names: Names,
    pub stage: Stage,
    pub tap: Tap,
    pub slots: BTreeMap<String, Slot>,
    pub raw: Arc<TapPort>,
    pub http: reqwest::Client,
    pub checks: AtomicU64,
    pub over: AtomicBool,
    pub follower: Option<Arc<dyn Device>>,
    /// How much may have changed the server when the follower pulled last.
    followed: AtomicUsize,
    /// How often it was changed by other means than requests.
    controlled: AtomicUsize,
    pub steps: StepLog,
    pub deeds: Mutex<Vec<Deed>>,
}

/// Acts a scenario on a stage.
///
/// The follower, where there is one, pulls before the first step and after every sync before which something may have
/// changed the server, so that a cursor of every moment is put to use.
pub async fn act(
    case: &Case,
    stage: Stage,
    actors: &Actors,
    http: reqwest::Client,
    follower: Option<Arc<dyn Device>>,
) -> Result<Acted, ActError> {
    let failed = |error: &dyn std::fmt::Display| ActError::Suite(error.to_string());
    let keeping = if case.restarts_a_device() { Keeping::Durable } else { Keeping::Memory };
    let names = Names::new(format!("{}/{}/{}", actors.run, actors.seed, case.id));
    let raw = actors.tap.raw_port("request", &stage.base).map_err(|error| failed(&error))?;
    let mut slots = BTreeMap::new();
    for (number, (name, settings)) in case.scenario.devices.settings().into_iter().enumerate() {
        let port = actors.tap.port(&name, &stage.base).map_err(|error| failed(&error))?;
        let setup = setup(&name, &settings, &stage, &names, &port, actors.seed.wrapping_add(number as u64))?;
        let setup = DeviceSetup { keeping: keeping.clone(), ..setup };
        let device =
            open(setup, stage.is_shared(), actors.devices.as_ref()).await.map_err(ActError::of_device(&name))?;
        slots.insert(name, Slot::new(device, port, settings));
    }
    let play = Play {
        case,
        names,
        stage,
        tap: actors.tap.clone(),
        slots,
        raw: Arc::new(raw),
        http,
        checks: AtomicU64::new(0),
        over: AtomicBool::new(false),
        follower,
        followed: AtomicUsize::new(usize::MAX),
        controlled: AtomicUsize::new(0),
        steps: actors.steps.clone(),
        deeds: Mutex::default(),
    };
    for (name, access) in &play.stage.accounts {
        play.names.save(&format!("user.{name}"), json!(access.user));
        if let Some(password) = &access.password {
            play.names.save(&format!("password.{name}"), json!(password));
        }
    }
    if let Some(control) =
        play.stage.control.as_ref().filter(|_| case.scenario.needs.control.contains(&Verb::NewDataSet))
    {
        let made = new_data_set(control, &play.stage.session.profile, &play.stage.accounts).await;
        let (other, _) = made.map_err(|blocked| failed(&blocked.reason))?;
        play.names.save("base.other", json!(other.path().trim_end_matches('/')));
    }
    play.follow().await;
    let mut failures = Vec::new();
    for step in &case.scenario.steps {
        let mut missed = play.step(step).await?;
        if !missed.is_empty() {
            failures.append(&mut missed);
            break;
        }
        if play.over.load(Ordering::Relaxed) {
            break;
        }
    }
    for slot in play.slots.values() {
        slot.settle().await;
    }
    let mut exchanges = play.raw.exchanges();
    let mut devices = Vec::new();
    for (name, slot) in play.slots {
        let (device, port, settings) = slot.into_parts();
        let seen = port.exchanges();
        let passed = seen.iter().position(|seen| seen.ended.is_none()).unwrap_or(seen.len());
        exchanges.extend(seen);
        devices.push(ActedDevice { name, device, account: settings.account, port, passed });
    }
    exchanges.sort_by_key(|seen| seen.started);
    Ok(Acted {
        failures,
        checks: play.checks.into_inner(),
        exchanges,
        names: play.names,
        devices,
        stage: play.stage,
        deeds: play.deeds.into_inner().unwrap_or_default(),
    })
}

/// How somebody with this account gets in.
pub(super) fn credentials(stage: &Stage, account: &str, by_password: bool) -> Result<Credentials, ActError> {
    let access =
        stage.accounts.get(account).ok_or_else(|| ActError::Suite(format!("there is no account {account:?}")))?;
    match (&access.password, by_password) {
        (Some(password), true) => Ok(Credentials::Password { user: access.user.clone(), password: password.clone() }),
        (None, true) => Err(ActError::Suite(format!("the password of {account:?} is not known"))),
        (_, false) => Ok(Credentials::Token(access.token.clone())),
    }
}

/// Makes a device. Small pages are for what the scenario itself makes: of a data set that others fill, too, the device
/// first pulls what is there in pages of the server's choice.
async fn open(
    setup: DeviceSetup,
    data_set_is_shared: bool,
    devices: &dyn Devices,
) -> Result<Arc<dyn Device>, DeviceError> {
    let page = setup.page.filter(|_| data_set_is_shared);
    if page.is_none() {
        return devices.open(setup).await;
    }
    let device = devices.open(DeviceSetup { page: None, ..setup }).await?;
    // Where this fails, so does the first sync of the scenario, which tells what is wrong.
    _ = device.sync().await;
    device.set_page(page).await?;
    Ok(device)
}

fn setup(
    name: &str,
    settings: &DeviceSettings,
    stage: &Stage,
    names: &Names,
    port: &TapPort,
    seed: u64,
) -> Result<DeviceSetup, ActError> {
    let triggers = settings.triggers.as_ref().map(|triggers| {
        let interval_ms = offset(&triggers.interval)?.unsigned_abs();
        Ok::<_, ActError>(Triggers { interval_ms, online: triggers.online })
    });
    let replica = match &settings.replica {
        Some(replica) => names.fill_plain(replica.as_str()),
        None => names.value(&format!("replica-{name}")).as_str().unwrap_or_default().to_owned(),
    };
    Ok(DeviceSetup {
        name: name.to_owned(),
        base_url: port.base_url().clone(),
        credentials: credentials(stage, &settings.account, settings.password)?,
        clock_offset_ms: settings.clock.as_deref().map_or(Ok(0), offset)?,
        page: settings.page,
        batch: settings.batch,
        replica: Some(replica.parse().map_err(|error| ActError::Suite(format!("device {name}: {error}")))?),
        seed,
        keeping: Keeping::Memory,
        triggers: triggers.transpose()?,
        telemetry: settings.telemetry,
    })
}

/// Reads an offset such as `+1d`, `-5m` or `0s`, in milliseconds.
pub fn offset(text: &str) -> Result<i64, ActError> {
    let wrong =
        || ActError::Suite(format!("{text:?} is no offset; write a sign, a number and ms, s, m, h or d, such as +1d"));
    let (sign, rest) = match text.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => (1, text),
    };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: i64 = rest[..digits].parse().map_err(|_| wrong())?;
    let unit = match &rest[digits..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    Ok(sign * number * unit)
}

impl Play<'_> {
    /// Plays one step; what was missed comes as failures, with the blame on its rule.
    pub(super) fn step<'s>(&'s self, step: &'s Step) -> BoxFuture<'s, Result<Vec<Failure>, ActError>> {
        Box::pin(async move {
            self.steps.begin(step);
            let end = match &step.action {
                Action::Device(name, what) => {
                    let end = self.device_step(name, what).await?;
                    if what.sync.is_some() {
                        self.follow().await;
                    }
                    if what.sync == Some(SyncStep::Ok) && matches!(end, StepEnd::Fine) {
                        self.note(Deed::Synced(name.clone()));
                    }
                    end
                }
                Action::Network(what) => self.network(what)?,
                Action::Server(what) => self.server(what).await?,
                Action::Release(name) => {
                    self.slot(name)?.port().release();
                    StepEnd::Fine
                }
                Action::Request(what) => self.request(what).await?,
                Action::Together(steps) => {
                    let mut failures = Vec::new();
                    for end in join_all(steps.iter().map(|step| self.step(step))).await {
                        failures.extend(end?);
                    }
                    return Ok(failures);
                }
            };
            Ok(match end {
                StepEnd::Fine => Vec::new(),
                StepEnd::Missed(missed) => vec![self.failure(step, missed)],
                StepEnd::Over => {
                    self.over.store(true, Ordering::Relaxed);
                    Vec::new()
                }
            })
        })
    }

    /// A pull of the follower that fails is told by the oracle, which pulls once more.
    async fn follow(&self) {
        let Some(follower) = &self.follower else { return };
        let of_devices: usize = self.slots.values().map(|slot| slot.port().writes()).sum();
        let changes = of_devices + self.raw.writes() + self.controlled.load(Ordering::Relaxed);
        if self.followed.swap(changes, Ordering::Relaxed) != changes {
            _ = follower.sync().await;
        }
    }

    fn failure(&self, step: &Step, missed: Missed) -> Failure {
        // What the step itself names is what it is there to show.
        let own = || Some(missed.rule?.parse::<RuleId>().expect("a constant that is a rule id"));
        Failure {
            rule: step.rule.clone().or_else(own).unwrap_or_else(|| self.case.scenario.covers[0].clone()),
            line: step.line,
            what: missed.what,
            expected: self.names.unfill(&missed.expected),
            got: self.names.unfill(&missed.got),
            exchange: None,
        }
    }

    pub(super) fn slot(&self, name: &str) -> Result<&Slot, ActError> {
        self.slots.get(name).ok_or_else(|| ActError::Suite(format!("there is no device {name:?}")))
    }

    pub(super) fn note(&self, deed: Deed) {
        self.deeds.lock().expect("nothing panics while it holds this").push(deed);
    }

    pub(super) fn checked(&self) {
        self.checks.fetch_add(1, Ordering::Relaxed);
    }

    fn network(&self, step: &NetworkStep) -> Result<StepEnd, ActError> {
        let mut step = step.clone();
        if let Some(reply) = &mut step.reply
            && let Some(json) = &reply.json
        {
            reply.json = Some(self.names.fill(json));
        }
        let about = step.about.as_ref().map(|alias| self.names.record(alias).id.to_string());
        let fault = Fault::of(&step, about).map_err(|error| ActError::Suite(error.to_string()))?;
        self.slot(&step.of)?.port().inject(fault);
        Ok(StepEnd::Fine)
    }

    async fn server(&self, step: &ServerStep) -> Result<StepEnd, ActError> {
        self.controlled.fetch_add(1, Ordering::Relaxed);
        let stage = &self.stage;
        let broke = |error: &dyn std::fmt::Display| ActError::Suite(error.to_string());
        if step.kill.is_some() {
            let restart =
                stage.restart.clone().ok_or_else(|| ActError::Suite("the suite does not own the server".to_owned()))?;
            restart.restart().await.map_err(ActError::Suite)?;
            self.tap.forget_connections();
            return Ok(StepEnd::Fine);
        }
        let (Some(control), Some(data_set)) = (&stage.control, &stage.data_set) else {
            return Err(ActError::Suite("the server offers no control verbs".to_owned()));
        };
        if let Some(clock) = &step.clock {
            control.clock(data_set, offset(clock)?).await.map_err(|error| broke(&error))?;
        }
        let user = |account: &str| {
            let access = stage.accounts.get(account);
            access.map(|access| access.user.clone()).ok_or_else(|| broke(&format!("there is no account {account:?}")))
        };
        for (account, scope) in step.scope.iter().flatten() {
            let places = match scope {
                ScopeStep::All(_) => None,
                ScopeStep::Places(places) => Some(places.clone()),
            };
            control.scope(data_set, &user(account)?, places).await.map_err(|error| broke(&error))?;
        }
        if let Some(ReferenceStep { type_name, id, data }) = &step.reference {
            let record = RecordRef { type_name: type_name.clone(), id: id.clone() };
            control.reference(data_set, record, data.clone()).await.map_err(|error| broke(&error))?;
        }
        for (account, types) in step.refetch.iter().flatten() {
            control.refetch(data_set, &user(account)?, types.clone()).await.map_err(|error| broke(&error))?;
        }
        for (asked, verb) in [
            (step.horizon, Verb::Horizon),
            (step.hold_commit, Verb::HoldCommit),
            (step.release_commit, Verb::ReleaseCommit),
            (step.backup, Verb::Backup),
            (step.restore, Verb::Restore),
            (step.wipe, Verb::Wipe),
        ] {
            if asked.is_some() {
                control.on_data_set(verb, data_set).await.map_err(|error| broke(&error))?;
            }
        }
        Ok(StepEnd::Fine)
    }

    /// Compares, counts, and tells what was missed.
    pub(super) fn expect(&self, what: String, expected: Value, got: Value) -> StepEnd {
        self.checked();
        if crate::judge::matching::same(&expected, &got) {
            StepEnd::Fine
        } else {
            StepEnd::Missed(Missed::new(what, expected, got))
        }
    }
}

/// A word as JSON.
pub(super) fn word(text: &str) -> Value {
    json!(text)
}

#[cfg(test)]
mod tests {
    use super::offset;

    #[test]
    fn offsets_have_a_sign_a_number_and_a_unit() {
        assert_eq!(offset("+1d"), Ok(86_400_000));
        assert_eq!(offset("-5m"), Ok(-300_000));
        assert_eq!(offset("250ms"), Ok(250));
        for wrong in ["1", "d", "+", "1 d", "1w", ""] {
            assert!(offset(wrong).is_err(), "{wrong}");
        }
    }
}
