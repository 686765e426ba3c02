//! A first walk through every verb of an adapter, for somebody who is writing one: what works, what is missing, and what
//! to do about the first thing that does not work.

use super::client::AdapterClient;
use crate::replay::Stage;
use crate::subject::client::Client;
use crate::subject::device::{Credentials, Device, DeviceError, DeviceSetup, Devices, Keeping, SyncEnd};
use crate::subject::server::Server;
use fieldsync_schemas::adapter::{AdapterCapability, AdapterErrorCode, Damage, Triggers};
use fieldsync_schemas::id::{GroupId, RecordId};
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
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a verb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was as expected.
    Works,
    /// This was wrong instead.
    Missing(String),
    /// It was left out: only clients that claim this are asked.
    NotClaimed(AdapterCapability),
}

impl Tried {
    /// What was wrong.
    pub fn missing(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Missing(missing) => Some(missing),
            Outcome::Works | Outcome::NotClaimed(_) => None,
        }
    }
}

/// What was expected and not seen.
struct Missing(String);

impl From<DeviceError> for Missing {
    fn from(error: DeviceError) -> Self {
        Missing(error.to_string())
    }
}

/// Walks through the verbs, against a data set of a reference server, until something is missing. The data set has the
/// first profile that the client claims.
pub async fn walk(command: &str, server: &dyn Server, patience: Duration) -> Vec<Tried> {
    let mut walk = Walk { tried: Vec::new() };
    // What is missing stands in the list already.
    _ = walk.all(command, server, patience).await;
    walk.tried
}

struct Walk {
    tried: Vec<Tried>,
}

impl Walk {
    /// Notes what came of a verb; the walk ends where something is missing.
    fn note<T>(&mut self, verb: &'static str, expected: &str, result: Result<T, Missing>) -> Option<T> {
        let (value, outcome) = match result {
            Ok(value) => (Some(value), Outcome::Works),
            Err(Missing(missing)) => (None, Outcome::Missing(missing)),
        };
        self.tried.push(Tried { verb, expected: expected.to_owned(), outcome });
        value
    }

    async fn all(&mut self, command: &str, server: &dyn Server, patience: Duration) -> Option<()> {
        let started = AdapterClient::start(command, patience).await.map_err(|error| Missing(error.to_string()));
        let client = self.note("hello", "the adapter starts and says what it is", started)?;
        let (claimed, judged) = (client.profiles(), server.profiles());
        let names = |profiles: &[_]| profiles.iter().map(ToString::to_string).collect::<Vec<String>>().join(", ");
        let profile = claimed.iter().find(|profile| judged.contains(profile)).ok_or_else(|| match claimed.is_empty() {
            true => Missing(format!("`profiles` is empty; the suite has scenarios for {}", names(&judged))),
            false => Missing(format!("it claims {}; the suite has scenarios for {}", names(&claimed), names(&judged))),
        });
        let expected = match &profile {
            Ok(profile) => format!("it claims a profile that can be judged, {profile}"),
            Err(_) => "it claims a profile that can be judged".to_owned(),
        };
        let profile = self.note("hello", &expected, profile)?;
        let stage = server.stage(profile).await.map_err(|error| Missing(format!("no fault of the adapter: {error}")));
        let stage = match stage {
            Ok(stage) => stage,
            Err(error) => return self.note("open", "there is a server for the device", Err(error)),
        };
        let refusal = client.refusal("juggle").await.map_err(Missing::from).and_then(|error| match error.code {
            AdapterErrorCode::UnknownVerb => Ok(()),
            code => Err(Missing(format!("the verb `juggle` was answered with {code}"))),
        });
        self.note("unknown", "a verb that there is not is answered with unknown-verb", refusal)?;
        let devices = match client.devices().await {
            Ok(devices) => devices,
            Err(error) => return self.note("hello", "a process is ready for devices", Err(error.into())),
        };
        let tablet = self.open("tablet", devices.as_ref(), &stage, None).await?;
        self.work(tablet.as_ref()).await?;
        let phone = self.open("phone", devices.as_ref(), &stage, None).await?;
        self.meet(tablet.as_ref(), phone.as_ref()).await?;
        self.quarrel(tablet.as_ref(), phone.as_ref()).await?;
        let claimed = client.capabilities();
        self.claimed(&claimed, tablet.as_ref(), phone.as_ref()).await?;
        match claimed.contains(&AdapterCapability::Triggers) {
            true => self.start_by_itself(devices.as_ref(), &stage).await?,
            false => self.left_out("set", "`online`: a device learns of the network", AdapterCapability::Triggers),
        }
        self.last(tablet.as_ref(), credentials(&stage)).await?;
        let copied = phone.become_clone_of(tablet.as_ref()).await.map_err(Missing::from);
        self.note("close", "both are closed, a store is copied, and both go on", copied)
    }

    fn left_out(&mut self, verb: &'static str, expected: &str, capability: AdapterCapability) {
        self.tried.push(Tried { verb, expected: expected.to_owned(), outcome: Outcome::NotClaimed(capability) });
    }

    async fn open(
        &mut self,
        name: &'static str,
        devices: &dyn Devices,
        stage: &Stage,
        triggers: Option<Triggers>,
    ) -> Option<Arc<dyn Device>> {
        let setup = DeviceSetup {
            name: name.to_owned(),
            base_url: stage.base.clone(),
            credentials: credentials(stage),
            clock_offset_ms: 0,
            page: None,
            batch: None,
            replica: None,
            seed: 0,
            keeping: Keeping::Durable,
            triggers,
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

    /// Two devices that do not agree, and one that is refused.
    async fn quarrel(&mut self, tablet: &dyn Device, phone: &dyn Device) -> Option<()> {
        let ache = record("ache-1");
        let contested = async {
            tablet.create(&ache, data(json!({"where": "head"})), None).await?;
            synced(tablet).await?;
            synced(phone).await?;
            phone.edit(&ache, data(json!({"where": "back"}))).await?;
            synced(phone).await?;
            tablet.edit(&ache, data(json!({"where": "knee"}))).await?;
            synced(tablet).await?;
            synced(phone).await
        };
        self.note("sync", "two devices edit one record, and both push", contested.await)?;
        for (device, expected) in
            [(tablet, "the conflict log says on the one device what was overridden"), (phone, "and on the other")]
        {
            let logged = device.conflicts().await.map_err(Missing::from).and_then(|log| {
                match log.iter().filter(|(_, entry)| entry.record == ache).count() {
                    1 => Ok(()),
                    count => Err(Missing(format!("`conflicts` has {count} entries of the record; expected 1"))),
                }
            });
            self.note("read", expected, logged)?;
        }
        let dose =
            RecordRef { type_name: "reading".parse().expect("a constant that is a type name"), ..record("dose-1") };
        let refused = async {
            phone.create(&dose, data(json!({"ml": 5})), None).await?;
            synced(phone).await?;
            tablet.create(&dose, data(json!({"ml": 10})), None).await?;
            synced(tablet).await
        };
        self.note("sync", "a record that the server refuses does not make the sync fail", refused.await)?;
        let quarantined = tablet.quarantine().await.map_err(Missing::from).and_then(|all| match all.as_slice() {
            [one] if one.record == dose && !one.code.is_empty() => Ok(()),
            [] => Err(Missing("`quarantine` is empty; expected the refused record, with the server's code".to_owned())),
            other => Err(Missing(format!("`quarantine` is {other:?}; expected the refused record alone"))),
        });
        self.note("read", "it is in the quarantine, with its code", quarantined)?;
        let given_up = async {
            tablet.discard(&dose).await?;
            match tablet.quarantine().await?.is_empty() {
                true => Ok(()),
                false => Err(Missing("it is still in the quarantine".to_owned())),
            }
        };
        let given_up = given_up.await;
        self.note("edit", "refused work is given up by `discard`, too", given_up)
    }

    /// What only clients are asked that claim it.
    async fn claimed(&mut self, claimed: &[AdapterCapability], tablet: &dyn Device, phone: &dyn Device) -> Option<()> {
        let in_group = "`group`: two records go to the server together";
        if claimed.contains(&AdapterCapability::Groups) {
            let group: GroupId = "visit-1".parse().expect("a constant that is the name of a group");
            let (first, second) = (record("group-1"), record("group-2"));
            let made = async {
                for one in [&first, &second] {
                    tablet.create(one, data(json!({"of": "a visit"})), Some(group.clone())).await?;
                }
                synced(tablet).await?;
                for one in [&first, &second] {
                    shows(tablet, one, Some(json!({"of": "a visit"})), Status::Synced).await?;
                }
                Ok(())
            };
            let made = made.await;
            self.note("create", in_group, made)?;
        } else {
            self.left_out("create", in_group, AdapterCapability::Groups);
        }
        let file = "a file is added to a record, uploaded, and shown on another device";
        let metered = "`metered`: a device learns that the network costs by the byte";
        if claimed.contains(&AdapterCapability::AttachmentsProxied) {
            let scan =
                RecordRef { type_name: "scan".parse().expect("a constant that is a type name"), ..record("scan-1") };
            let carried = async {
                tablet.create(&scan, data(json!({"of": "a card"})), None).await?;
                tablet.attach(&scan, "text/plain", b"vaccinated", false).await?;
                synced(tablet).await?;
                synced(phone).await?;
                match phone.files(&scan).await?.as_slice() {
                    [one] if one.content.as_deref() == Some(b"vaccinated") => Ok(()),
                    other => Err(Missing(format!("the other device shows the files {other:?}"))),
                }
            };
            let carried = carried.await;
            self.note("attach", file, carried)?;
            let set = async {
                tablet.set_metered(true).await?;
                tablet.set_metered(false).await
            };
            self.note("set", metered, set.await.map_err(Missing::from))?;
        } else {
            self.left_out("attach", file, AdapterCapability::AttachmentsProxied);
            self.left_out("set", metered, AdapterCapability::AttachmentsProxied);
        }
        let damaged = "`damage`: what a store has lost is pulled again";
        if claimed.contains(&AdapterCapability::Digest) {
            let ache = record("ache-1");
            let mended = async {
                let shown = phone.read(&ache).await?.data.map(Value::Object);
                phone.damage(Damage { loses: vec![ache.clone()], alters: Vec::new() }).await?;
                synced(phone).await?;
                shows(phone, &ache, shown, Status::Synced).await
            };
            let mended = mended.await;
            self.note("set", damaged, mended)?;
        } else {
            self.left_out("set", damaged, AdapterCapability::Digest);
        }
        Some(())
    }

    /// A device that starts its syncs.
    async fn start_by_itself(&mut self, devices: &dyn Devices, stage: &Stage) -> Option<()> {
        let triggers = Triggers { online: false, interval_ms: 900_000 };
        let watch = self.open("watch", devices, stage, Some(triggers)).await?;
        let set = watch.set_online(true).await.map_err(Missing::from);
        self.note("set", "`online`: a device learns of the network", set)
    }

    /// The clock, the login, and the end of the process.
    async fn last(&mut self, tablet: &dyn Device, credentials: Credentials) -> Option<()> {
        let set = tablet.log_in(credentials).await.map_err(Missing::from);
        self.note("set", "`credentials`: the same user logs in anew", set)?;
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

/// How a device gets in.
fn credentials(stage: &Stage) -> Credentials {
    Credentials::Token(stage.accounts.get("worker").map(|account| account.token.clone()).unwrap_or_default())
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
