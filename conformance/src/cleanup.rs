//! After a run on a data set that others use, too: the records that the run made are deleted, through the protocol, by the
//! accounts that may.
//!
//! A device of each account in turn pulls what is there, deletes what is left and pushes that. What no account can delete
//! stays, and is told with its reason: it is no verdict on the server.

use crate::subject::device::{Credentials, Device, DeviceSetup, Devices, Keeping, SyncEnd};
use crate::subject::server::Server;
use crate::tap::{Made, Tap};
use fieldsync_schemas::event::Cleanup;
use fieldsync_schemas::pull::RecordRef;
use std::collections::{BTreeMap, BTreeSet};
use url::Url;

/// The accounts that may write, in the order in which they try.
const WRITERS: [&str; 3] = ["worker", "other", "admin"];
/// How often a device syncs at most: what waits behind an outcome goes with the next sync.
const SYNCS: usize = 3;

/// Deletes the records that a run made.
pub async fn run(server: &dyn Server, tap: &Tap, devices: &dyn Devices, made: &Made) -> Cleanup {
    let mut done = Cleanup::default();
    for profile in server.profiles() {
        let stage = match server.stage(&profile).await {
            Ok(stage) => stage,
            Err(reason) => {
                *done.left.entry(reason).or_default() += 1;
                continue;
            }
        };
        let mut left: BTreeMap<RecordRef, String> = BTreeMap::new();
        let mut records = made.at(&stage.base);
        let mut deleted = 0;
        for account in WRITERS {
            let Some(access) = stage.accounts.get(account).filter(|_| !records.is_empty()) else { continue };
            match by(access.token.clone(), &stage.base, tap, devices, &records).await {
                Ok(tried) => {
                    deleted += tried.deleted;
                    records = tried.left.keys().cloned().collect();
                    left = tried.left;
                }
                Err(reason) => {
                    let reason = format!("{account} cannot sync: {reason}");
                    left = records.iter().map(|record| (record.clone(), reason.clone())).collect();
                }
            }
        }
        done.deleted += deleted;
        left.into_values().for_each(|reason| *done.left.entry(reason).or_default() += 1);
    }
    done
}

/// What one account could do.
struct Tried {
    deleted: u64,
    left: BTreeMap<RecordRef, String>,
}

async fn by(
    token: String,
    base: &Url,
    tap: &Tap,
    devices: &dyn Devices,
    records: &BTreeSet<RecordRef>,
) -> Result<Tried, String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let port = tap.port("cleanup", base).map_err(|error| told(&error))?;
    let setup = DeviceSetup {
        name: "cleanup".to_owned(),
        base_url: port.base_url().clone(),
        credentials: Credentials::Token(token),
        clock_offset_ms: 0,
        page: None,
        batch: None,
        replica: Some(format!("cleanup-{:032x}", rand::random::<u128>()).parse().map_err(|error| told(&error))?),
        seed: rand::random(),
        keeping: Keeping::Memory,
        triggers: None,
        telemetry: false,
    };
    let device = devices.open(setup).await.map_err(|error| told(&error))?;
    sync(device.as_ref()).await?;
    let mut tried = Tried { deleted: 0, left: BTreeMap::new() };
    let mut asked = Vec::new();
    for record in records {
        if is_live(device.as_ref(), record).await {
            match device.delete(record).await {
                Ok(()) => asked.push(record),
                Err(error) => drop(tried.left.insert(record.clone(), told(&error))),
            }
        }
    }
    for _ in 0..SYNCS {
        sync(device.as_ref()).await?;
        if device.outbox().await.map_err(|error| told(&error))?.is_empty() {
            break;
        }
    }
    let refused = device.quarantine().await.map_err(|error| told(&error))?;
    for record in asked {
        if is_live(device.as_ref(), record).await {
            let code = refused.iter().find(|one| one.record == *record).map(|one| one.code.clone());
            tried.left.insert(record.clone(), code.unwrap_or_else(|| "it is there again".to_owned()));
        } else {
            tried.deleted += 1;
        }
    }
    Ok(tried)
}

async fn sync(device: &dyn Device) -> Result<(), String> {
    match device.sync().await {
        Ok(SyncEnd::Ok) => Ok(()),
        Ok(SyncEnd::Failed { detail, .. }) => Err(detail),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether the server has the record, as far as the device knows.
async fn is_live(device: &dyn Device, record: &RecordRef) -> bool {
    let server = device.read(record).await.ok().and_then(|shown| shown.server);
    server.is_some_and(|state| !state.deleted)
}

#[cfg(test)]
mod tests {
    use crate::pace::Pace;
    use crate::run::{self, Options};
    use crate::scenario;
    use crate::spec::Spec;
    use crate::subject::reference::{ReferenceDevices, domains};
    use crate::subject::server::{AccountSource, HttpServer, ServerAddress, below};
    use fieldsync_core::store::DataSetName;
    use fieldsync_schemas::event::{Actor, Event};
    use fieldsync_schemas::session::Role;
    use fieldsync_schemas::{PROTOCOL_VERSION, VERSION_HEADER};
    use fieldsync_server::{Parts, PasswordCost, Server, Settings, SqliteStore, add_user};
    use serde_json::{Value, json};
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use tokio::net::TcpListener;
    use url::Url;

    async fn post(url: Url, token: &str, body: Value) -> Value {
        let request = reqwest::Client::new().post(url).bearer_auth(token).header(VERSION_HEADER, PROTOCOL_VERSION);
        let request = request.header("content-type", "application/json").body(body.to_string());
        serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_a_run_made_is_gone_after_it_and_what_stays_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path()).unwrap();
        let grant = (DataSetName("version_wins".to_owned()), Role::ReadWrite);
        add_user(&store, "amina", "a long password", PasswordCost::LEAST, &[grant]).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = Settings { password_cost: PasswordCost::LEAST, ..Settings::new(domains()) };
        let server = Server::start(settings, Parts::standard(Arc::new(store)).unwrap(), listener).await.unwrap();
        let base = Url::parse(&server.base_url().to_string()).unwrap().join("version_wins").unwrap();
        let login = json!({"user": "amina", "password": "a long password"});
        let token = post(below(&base, "login"), "", login).await["access_token"].as_str().unwrap().to_owned();
        let worker = AccountSource {
            user: Some("amina".to_owned()),
            password_env: None,
            token_env: None,
            token_command: Some(format!("printf %s {token}")),
        };
        let options = Options {
            judged: vec![Actor::Server],
            pace: Some(Pace::new(300.try_into().unwrap())),
            cleanup: true,
            ..Options::default()
        };
        let subject = HttpServer::connect(ServerAddress {
            bases: vec![base.clone()],
            accounts: BTreeMap::from([("worker".to_owned(), worker)]),
            domains: domains(),
            pace: options.pace.clone(),
            ..ServerAddress::named("by URL")
        });
        let subject = subject.await.unwrap_or_else(|blocked| panic!("{blocked:?}"));
        let cases = scenario::embedded().cases;
        let wanted = [
            "push/lost-answer-to-a-create",
            "deletes/tombstone-hides-the-record",
            "merge/appended-record-is-never-changed",
        ];
        let cases: Vec<_> = cases.iter().filter(|case| wanted.contains(&case.file_id())).collect();
        let spec = Arc::new(Spec::embedded().unwrap());
        let devices = Arc::new(ReferenceDevices::default());
        let events = run::run(&cases, &spec, Arc::new(subject), devices, &options, &mut |_| {}).await;
        let Some(Event::Footer(footer)) = events.last() else { panic!("{events:#?}") };
        assert!(footer.conformant, "{events:#?}");
        let cleanup = footer.cleanup.clone().unwrap();
        assert!(cleanup.deleted >= 1, "{cleanup:?}");
        assert_eq!(cleanup.left.keys().collect::<Vec<_>>(), ["append-only"], "{cleanup:?}");

        let pull = json!({"replica": "reader", "feeds": {"observation": null, "household": null, "reading": null}});
        let pulled = post(below(&base, "pull"), &token, pull).await;
        let feeds = pulled["feeds"].as_array().unwrap();
        let live = |feed: &str| {
            let pages = feeds.iter().filter(|page| page["feed"] == feed);
            let changes = pages.flat_map(|page| page["changes"].as_array().unwrap());
            changes.filter(|change| change["op"] == "put").count() as u64
        };
        assert_eq!((live("observation"), live("household")), (0, 0), "{pulled:#}");
        assert_eq!(Some(&live("reading")), cleanup.left.get("append-only"), "{pulled:#}");
        server.stop().await;
    }
}
