//! The program as those use it who run the reference server: beside a server that serves, with devices that sync.

use async_trait::async_trait;
use fieldsync_client::transport::http_client;
use fieldsync_client::{
    Answer, Call, Credentials, Device, DeviceOptions, HttpTransport, NetworkFailure, Password, SqliteStore,
    SyncOutcome, Transport,
};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::telemetry::TELEMETRY;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

const DOMAIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/domain/version-wins.yaml");
const DATA_SET: &str = "version_wins";
const PASSWORD: &str = "a long password";

/// A folder in which servers keep their data.
struct House(tempfile::TempDir);

impl House {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the program: whether it went well, and what it said.
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fieldsync"));
        let command = command.args(arguments).current_dir(self.0.path()).env("PASSWORD", PASSWORD);
        let Output { status, stdout, stderr } = command.output().unwrap();
        (status.success(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
    }

    fn does(&self, arguments: &str) -> String {
        let (went_well, said) = self.run(&arguments.split(' ').collect::<Vec<_>>());
        assert!(went_well, "{arguments}: {said}");
        said
    }

    /// The program refuses, with exit status 2, and says this.
    fn refuses(&self, arguments: &str, why: &str) {
        let (went_well, said) = self.run(&arguments.split(' ').collect::<Vec<_>>());
        assert!(!went_well && said.starts_with("error: ") && said.contains(why), "{arguments}: {said}");
    }

    fn add_user(&self, data: &str, user: &str, role: &str) {
        self.does(&format!("user add {user} --data {data} --grant {DATA_SET}={role} --password-env PASSWORD"));
    }

    fn serve(&self, data: &str, more: &[&str]) -> Served {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fieldsync"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--domain", DOMAIN, "--data", data]).args(more);
        command.current_dir(self.0.path()).env("FIELDSYNC_LOG", "error");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let base = line.trim().strip_prefix("serving ").unwrap_or_else(|| panic!("it says where it serves: {line:?}"));
        Served { url: format!("{base}/{DATA_SET}").parse().unwrap(), child }
    }
}

/// A server that runs until this is dropped.
struct Served {
    url: Url,
    child: Child,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn options(url: &Url, user: &str, name: &str) -> DeviceOptions {
    let password = Password { user: user.to_owned(), password: PASSWORD.to_owned() };
    DeviceOptions {
        credentials: Credentials { token: None, password: Some(password) },
        capabilities: ["restore", "refetch", "scopes", "parents", TELEMETRY].map(|name| name.parse().unwrap()).into(),
        app: Some("visits 3.1".to_owned()),
        device: Some(name.to_owned()),
        ..DeviceOptions::new(url.clone(), http_client().unwrap())
    }
}

fn device(url: &Url, user: &str) -> Device {
    Device::open(options(url, user, "the phone")).unwrap()
}

fn household(id: &str) -> RecordRef {
    RecordRef { type_name: "household".parse().unwrap(), id: id.parse().unwrap() }
}

fn create(device: &Device, id: &str, data: Value) {
    let household = household(id);
    device.create(household.type_name, Some(household.id), data.as_object().unwrap().clone()).unwrap();
}

async fn syncs(device: &Device) {
    let report = device.sync().await;
    assert_eq!(report.outcome, SyncOutcome::Ok);
}

fn shows(device: &Device, id: &str) -> bool {
    device.read(&household(id)).unwrap().is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_and_an_order_are_given_while_it_serves_and_a_wipe_is_not() {
    let house = House::new();
    house.add_user("data", "worker", "read-write");
    house.add_user("data", "nurse", "read-write");
    house.refuses(&format!("user scope nurse --data data --data-set {DATA_SET} --all"), "there is none yet");
    let served = house.serve("data", &[]);
    let (worker, nurse) = (device(&served.url, "worker"), device(&served.url, "nurse"));
    create(&worker, "hut", json!({"village": "south"}));
    create(&worker, "farm", json!({"village": "north"}));
    syncs(&worker).await;
    syncs(&nurse).await;
    assert!(shows(&nurse, "hut") && shows(&nurse, "farm"));

    let scope = format!("user scope nurse --data data --data-set {DATA_SET}");
    assert_eq!(
        house.does(&format!("{scope} --place north")),
        "nurse sees what is at north and below in version_wins\n"
    );
    syncs(&nurse).await;
    assert!(!shows(&nurse, "hut") && shows(&nurse, "farm"));
    house.does(&format!("{scope} --all"));
    syncs(&nurse).await;
    assert!(shows(&nurse, "hut"));

    let refetch = format!("refetch nurse --data data --data-set {DATA_SET}");
    house.does(&format!("{refetch} --type household"));
    syncs(&nurse).await;
    let report = nurse.sync().await;
    assert_eq!(report.counts.pulled, 0, "it is carried out once: {report:?}");

    let wipe = format!("wipe --data data --data-set {DATA_SET}");
    for (line, why) in [
        (format!("{scope} --place nroth"), "has no place nroth; there is north, south"),
        (format!("user scope nurs --data data --data-set {DATA_SET} --all"), "nurs has no grant in version_wins"),
        ("user scope nurse --data data --data-set visits --all".to_owned(), "there is version_wins"),
        (format!("user scope nurse --data none --data-set {DATA_SET} --all"), "there is no database in none"),
        (format!("{refetch} --type hut"), "version_wins has no type hut; it has place, observation"),
        (format!("refetch nurs --data data --data-set {DATA_SET}"), "nurs has no grant"),
        (wipe.clone(), "a server runs on data; stop it first"),
        (format!("serve --listen 127.0.0.1:0 --domain {DOMAIN} --data data"), "a server runs on data"),
    ] {
        house.refuses(&line, why);
    }

    drop(served);
    house.does(&format!("user scope nurse --data data --data-set {DATA_SET} --place north"));
    assert_eq!(house.does(&wipe), "emptied version_wins\n");
    let served = house.serve("data", &[]);
    let (worker, nurse) = (device(&served.url, "worker"), device(&served.url, "nurse"));
    syncs(&worker).await;
    assert!(!shows(&worker, "hut") && !shows(&worker, "farm"));
    create(&worker, "hut", json!({"village": "south"}));
    create(&worker, "farm", json!({"village": "north"}));
    syncs(&worker).await;
    syncs(&nurse).await;
    assert!(!shows(&nurse, "hut") && shows(&nurse, "farm"), "a wipe takes no scope");
}

/// A device with a store on the disk, which goes on wherever the server is.
fn kept(store: &Path, url: &Url, user: &str) -> Device {
    let store = Arc::new(SqliteStore::open(store).unwrap());
    Device::open(DeviceOptions { store, ..options(url, user, "the tablet") }).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_on_another_machine_devices_bring_the_rest_and_scopes_hold() {
    let house = House::new();
    house.add_user("data", "worker", "read-write");
    house.add_user("data", "nurse", "read-write");
    let tablet = house.path("tablet.sqlite");
    let served = house.serve("data", &[]);
    house.does(&format!("user scope nurse --data data --data-set {DATA_SET} --place north"));
    let worker = kept(&tablet, &served.url, "worker");
    create(&worker, "hut", json!({"village": "south"}));
    syncs(&worker).await;
    house.does("backup --data data --to monday.sqlite");
    create(&worker, "farm", json!({"village": "north"}));
    create(&worker, "barn", json!({"village": "south"}));
    syncs(&worker).await;
    assert!(worker.outbox().is_empty(), "all of it is acknowledged");
    drop((worker, served));

    let served = house.serve("elsewhere", &["--restore", "monday.sqlite"]);
    let others = device(&served.url, "worker");
    syncs(&others).await;
    assert!(shows(&others, "hut") && !shows(&others, "farm"), "it has what the backup has");
    let worker = kept(&tablet, &served.url, "worker");
    syncs(&worker).await;
    syncs(&others).await;
    assert!(["hut", "farm", "barn"].iter().all(|id| shows(&others, id)), "and the device brings the rest");
    let nurse = device(&served.url, "nurse");
    syncs(&nurse).await;
    assert!(shows(&nurse, "farm") && !shows(&nurse, "hut") && !shows(&nurse, "barn"), "a scope is in the backup");
    drop(served);

    let served = house.serve("elsewhere", &["--restore", "monday.sqlite"]);
    let others = device(&served.url, "worker");
    syncs(&others).await;
    assert!(shows(&others, "barn"), "a backup is restored once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_finds_the_failing_device_and_what_was_overridden() {
    let house = House::new();
    for (user, role) in [("worker", "read-write"), ("nurse", "read-write"), ("root", "admin")] {
        house.add_user("data", user, role);
    }
    let served = house.serve("data", &[]);
    let (worker, nurse) = (device(&served.url, "worker"), device(&served.url, "nurse"));
    create(&worker, "hut", json!({"village": "south"}));
    syncs(&worker).await;
    syncs(&nurse).await;
    worker.edit(&household("hut"), json!({"rooms": 2}).as_object().unwrap().clone()).unwrap();
    syncs(&worker).await;
    nurse.edit(&household("hut"), json!({"rooms": 3}).as_object().unwrap().clone()).unwrap();
    nurse.edit(&household("hut"), json!({"rooms": 4}).as_object().unwrap().clone()).unwrap();
    syncs(&nurse).await;
    let http = HttpTransport::new(http_client().unwrap(), served.url.clone(), Duration::from_secs(60));
    let transport: Option<Arc<dyn Transport>> = Some(Arc::new(NoPull(http)));
    let broken = DeviceOptions { transport, ..options(&served.url, "nurse", "the old phone") };
    let broken = Device::open(broken).unwrap();
    assert!(matches!(broken.sync().await.outcome, SyncOutcome::Failed(_)));

    let ask = format!("--url {} --user root --password-env PASSWORD", served.url);
    let told = house.does(&format!("telemetry {ask} --expect asha"));
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[1].starts_with("nurse ") && lines[1].contains(" never ") && lines[1].ends_with(" 1"), "{told}");
    assert!(lines[2] == "  with  visits 3.1, the old phone" && lines[3].starts_with("  last  server: "), "{told}");
    assert!(lines.iter().filter(|line| **line == "  with  visits 3.1, the phone").count() == 2, "{told}");
    assert!(lines[lines.len() - 2].starts_with("asha ") && lines[lines.len() - 1].starts_with("  silent: "), "{told}");

    let conflicts = house.does(&format!("conflicts {ask}"));
    assert!(conflicts.starts_with("household hut\n") && conflicts.contains("    lost  {\"rooms\":2"), "{conflicts}");
    assert_eq!(house.does(&format!("conflicts {ask} --type household --record hut")), conflicts);
    for other in ["--type observation", "--record farm"] {
        assert_eq!(house.does(&format!("conflicts {ask} {other}")), "nothing was overridden\n");
    }
    house.refuses(&format!("conflicts --url {} --user root --password-env NOTHING", served.url), "no variable NOTHING");
}

/// A network behind which every pull fails, and nothing else.
struct NoPull(HttpTransport);

#[async_trait]
impl Transport for NoPull {
    async fn send(&self, call: Call) -> Result<Answer, NetworkFailure> {
        match &*call.path {
            "/pull" => Ok(Answer::new(501, None, Vec::new())),
            _ => self.0.send(call).await,
        }
    }
}
