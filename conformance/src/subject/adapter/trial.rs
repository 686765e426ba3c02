//! A first walk through every verb of an adapter, for somebody who is writing one: what works, what is missing, and what
//! to do about the first thing that does not work.

use super::client::AdapterClient;
use crate::replay::Stage;
use crate::subject::client::Client;
use crate::subject::device::{Credentials, Device, DeviceError, DeviceSetup, Devices, Keeping, SyncEnd};
use fieldsync_schemas::adapter::AdapterErrorCode;
use fieldsync_schemas::id::RecordId;
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::record::Data;
use fieldsync_schemas::scenario::Status;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// One verb that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The verb.
    pub verb: &'static str,
    /// What was to be seen.
    pub expected: String,
    /// What was wrong instead; nothing where it was as expected.
    pub missing: Option<String>,
}

/// What was expected and not seen.
struct Missing(String);

impl From<DeviceError> for Missing {
    fn from(error: DeviceError) -> Self {
        Missing(error.to_string())
    }
}

/// Walks through the verbs, against a data set of a reference server, until something is missing.
pub async fn walk(command: &str, stage: &Stage, patience: Duration) -> Vec<Tried> {
    let mut walk = Walk { tried: Vec::new() };
    // What is missing stands in the list already.
    _ = walk.all(command, stage, patience).await;
    walk.tried
}

struct Walk {
    tried: Vec<Tried>,
}

impl Walk {
    /// Notes what came of a verb; the walk ends where something is missing.
    fn note<T>(&mut self, verb: &'static str, expected: &str, result: Result<T, Missing>) -> Option<T> {
        let (value, missing) = match result {
            Ok(value) => (Some(value), None),
            Err(Missing(missing)) => (None, Some(missing)),
        };
        self.tried.push(Tried { verb, expected: expected.to_owned(), missing });
        value
    }

    async fn all(&mut self, command: &str, stage: &Stage, patience: Duration) -> Option<()> {
        let started = AdapterClient::start(command, patience).await.map_err(|error| Missing(error.to_string()));
        let client = self.note("hello", "the adapter starts and says what it is", started)?;
        let profile = &stage.session.profile;
        let claims = match client.profiles().contains(profile) {
            true => Ok(()),
            false => Err(Missing(format!("it claims {:?}; the suite has scenarios for {profile}", client.profiles()))),
        };
        self.note("hello", "it claims a profile that can be judged", claims)?;
        let refusal = client.refusal("juggle").await.map_err(Missing::from).and_then(|error| match error.code {
            AdapterErrorCode::UnknownVerb => Ok(()),
            code => Err(Missing(format!("the verb `juggle` was answered with {code}"))),
        });
        self.note("unknown", "a verb that there is not is answered with unknown-verb", refusal)?;
        let devices = match client.devices().await {
            Ok(devices) => devices,
            Err(error) => return self.note("hello", "a process is ready for devices", Err(error.into())),
        };
        let tablet = self.open("tablet", devices.as_ref(), stage).await?;
        self.work(tablet.as_ref()).await?;
        let phone = self.open("phone", devices.as_ref(), stage).await?;
        self.meet(tablet.as_ref(), phone.as_ref()).await?;
        self.last(tablet.as_ref()).await?;
        let copied = phone.become_clone_of(tablet.as_ref()).await.map_err(Missing::from);
        self.note("close", "both are closed, a store is copied, and both go on", copied)
    }

    async fn open(&mut self, name: &'static str, devices: &dyn Devices, stage: &Stage) -> Option<Arc<dyn Device>> {
        let token = stage.accounts.get("worker").map(|account| account.token.clone()).unwrap_or_default();
        let setup = DeviceSetup {
            name: name.to_owned(),
            base_url: stage.base.clone(),
            credentials: Credentials::Token(token),
            clock_offset_ms: 0,
            page: None,
            batch: None,
            replica: None,
            seed: 0,
            keeping: Keeping::Durable,
            triggers: None,
            telemetry: false,
        };
        let opened = devices.open(setup).await.map_err(Missing::from);
        self.note("open", &format!("a device, {name}, is opened on an empty store"), opened)
    }

    /// One device, by itself.
    async fn work(&mut self, tablet: &dyn Device) -> Option<()> {
        let fever = record("fever-1");
        let created = tablet.create(&fever, data(json!({"temp": 38.1, "note": "since Monday"})), None).await;
        self.note("create", "a record is made while nothing is sent", created.map_err(Missing::from))?;
        let shown = shows(tablet, &fever, Some(json!({"temp": 38.1, "note": "since Monday"})), Status::Pending).await;
        self.note("read", "it is shown, pending", shown)?;
        let outbox = tablet.outbox().await.map_err(Missing::from).and_then(|outbox| match outbox.as_slice() {
            [one] if *one == fever => Ok(()),
            other => Err(Missing(format!("the outbox is {}", json!(other)))),
        });
        self.note("read", "it waits in the outbox", outbox)?;
        self.note("sync", "it is pushed", synced(tablet).await)?;
        let shown = shows(tablet, &fever, Some(json!({"temp": 38.1, "note": "since Monday"})), Status::Synced).await;
        self.note("read", "it is synced", shown)?;
        let held = tablet.read(&fever).await.map_err(Missing::from).and_then(|shown| match shown.server {
            Some(server) if server.version.get() == 1 => Ok(()),
            Some(server) => Err(Missing(format!("the server's state has version {}", server.version))),
            None => Err(Missing("`server` is null".to_owned())),
        });
        self.note("read", "the server's state of it is held, with rev and version", held)?;
        let edited = tablet.edit(&fever, data(json!({"temp": 39, "note": null}))).await;
        self.note("edit", "it is edited: one member set, one cleared", edited.map_err(Missing::from))?;
        let shown = shows(tablet, &fever, Some(json!({"temp": 39})), Status::Pending).await;
        self.note("read", "what was edited is shown, pending", shown)?;
        let cough = record("cough-1");
        let discarded = async {
            tablet.create(&cough, data(json!({"days": 3})), None).await?;
            tablet.discard(&cough).await?;
            match tablet.read(&cough).await?.data {
                None => Ok(()),
                Some(data) => Err(Missing(format!("it still shows {}", Value::Object(data)))),
            }
        };
        let discarded = discarded.await;
        self.note("edit", "work is given up by `discard`", discarded)
    }

    /// Two devices.
    async fn meet(&mut self, tablet: &dyn Device, phone: &dyn Device) -> Option<()> {
        let fever = record("fever-1");
        self.note("sync", "the edit is pushed", synced(tablet).await)?;
        self.note("sync", "another device pulls", synced(phone).await)?;
        let shown = shows(phone, &fever, Some(json!({"temp": 39})), Status::Synced).await;
        self.note("read", "it shows what was pushed", shown)?;
        self.note("delete", "a record is deleted", phone.delete(&fever).await.map_err(Missing::from))?;
        self.note("sync", "the delete is pushed", synced(phone).await)?;
        self.note("sync", "and pulled", synced(tablet).await)?;
        let gone = shows(tablet, &fever, None, Status::Synced).await;
        self.note("read", "the record is shown no more, `deleted` is true", gone)
    }

    /// The clock, and the end of the process.
    async fn last(&mut self, tablet: &dyn Device) -> Option<()> {
        let set = tablet.set_clock(3_600_000).await.map_err(Missing::from);
        self.note("set", "the device's clock is set an hour ahead", set)?;
        let rash = record("rash-1");
        let created = tablet.create(&rash, data(json!({"where": "arm"})), None).await.map_err(Missing::from);
        self.note("create", "a record is made before the process ends", created)?;
        self.note(
            "open",
            "after a kill, the device goes on with its store",
            tablet.restart().await.map_err(Missing::from),
        )?;
        let shown = shows(tablet, &rash, Some(json!({"where": "arm"})), Status::Pending).await;
        self.note("read", "what was not pushed is still there", shown)?;
        self.note("sync", "and is pushed", synced(tablet).await)
    }
}

fn record(id: &str) -> RecordRef {
    RecordRef {
        type_name: "observation".parse().expect("a constant that is a type name"),
        id: RecordId::new(id).expect("a constant that is a record id"),
    }
}

fn data(value: Value) -> Data {
    value.as_object().cloned().unwrap_or_default()
}

async fn synced(device: &dyn Device) -> Result<(), Missing> {
    match device.sync().await? {
        SyncEnd::Ok => Ok(()),
        SyncEnd::Failed { cause, detail } => {
            Err(Missing(format!("the sync failed, cause {}: {detail}", json!(cause).as_str().unwrap_or_default())))
        }
    }
}

/// Whether a device shows this of a record, with this status.
async fn shows(
    device: &dyn Device,
    record: &RecordRef,
    expected: Option<Value>,
    status: Status,
) -> Result<(), Missing> {
    let shown = device.read(record).await?;
    let got = shown.data.map(Value::Object);
    if !crate::judge::matching::same(&json!(expected), &json!(got)) || (expected.is_none() && !shown.deleted) {
        let deleted = shown.deleted;
        return Err(Missing(format!("`data` is {}, `deleted` is {deleted}; expected {}", json!(got), json!(expected))));
    }
    match device.status(record).await? {
        Some(got) if got == status => Ok(()),
        got => Err(Missing(format!("the status is {}; expected {}", json!(got), json!(status)))),
    }
}
