use super::*;
use crate::transport::NetworkFailure;
use async_trait::async_trait;
use fieldsync_core::device::memory::MemoryStore;
use fieldsync_core::device::store::{Saved, ServerCopy};
use fieldsync_core::device::{Answer, Call, DeviceStore, Reaction, Rules, StandardRules, Write};
use fieldsync_schemas::scenario::{CallKind, ErrorCause};
use serde_json::{Value, json};
use std::collections::VecDeque;
use tokio::sync::{Notify, Semaphore};
use url::Url;

/// A network that is the test: it gives these answers in order, each when it is let through.
struct Script {
    answers: Mutex<VecDeque<Result<Value, NetworkFailure>>>,
    sent: Mutex<Vec<Call>>,
    arrived: Notify,
    pass: Semaphore,
}

impl Script {
    fn new(answers: Vec<Result<Value, NetworkFailure>>, passes: usize) -> Arc<Self> {
        let (sent, arrived) = (Mutex::default(), Notify::new());
        Arc::new(Self { answers: Mutex::new(answers.into()), sent, arrived, pass: Semaphore::new(passes) })
    }

    fn kinds(&self) -> Vec<CallKind> {
        lock(&self.sent).iter().map(|call| call.kind).collect()
    }
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, call: Call) -> Result<Answer, NetworkFailure> {
        let mut body = lock(&self.answers).pop_front().expect("the script has an answer for every call");
        // Outcomes are for the mutations of the batch that was pushed.
        if let (Ok(Value::Object(members)), Some(text)) = (&mut body, &call.body)
            && let Some(Value::Object(outcome)) = members.remove("outcome")
        {
            let batch: Value = serde_json::from_str(text).unwrap();
            let outcomes = batch["mutations"].as_array().unwrap().iter().map(|mutation| {
                let mut outcome = outcome.clone();
                outcome.insert("mutation_id".to_owned(), mutation["mutation_id"].clone());
                Value::Object(outcome)
            });
            members.insert("outcomes".to_owned(), outcomes.collect());
        }
        lock(&self.sent).push(call);
        self.arrived.notify_one();
        self.pass.acquire().await.expect("the script goes on").forget();
        let media_type = Some("application/json".to_owned());
        Ok(Answer::new(200, media_type, body?.to_string().into_bytes()))
    }
}

fn session() -> Result<Value, NetworkFailure> {
    Ok(json!({
        "tag": "s1", "principal": "p", "role": "read-write", "scope": "all", "epoch": "e1",
        "server_time": "2026-12-01T08:00:00.000Z", "profile": "version-wins",
        "limits": {"body_bytes": 8388608, "batch_mutations": 500, "page_changes": 1000, "record_bytes": 262144,
            "string_bytes": 65536, "nesting": 32},
        "registry": {"types": [
            {"name": "observation", "class": "transactional", "merge": {"policy": "version-wins"}}]},
    }))
}

fn applied(rev: &str, version: u64) -> Result<Value, NetworkFailure> {
    Ok(json!({"token": "b", "epoch": "e1", "session": "s1",
        "outcome": {"outcome": "applied", "rev": rev, "version": version}}))
}

fn nothing() -> Result<Value, NetworkFailure> {
    Ok(json!({"epoch": "e1", "session": "s1", "server_time": "2026-12-01T08:00:00.000Z"}))
}

fn lost() -> Result<Value, NetworkFailure> {
    Err(NetworkFailure { doing: "POST /push".to_owned(), reason: "cut".to_owned() })
}

fn device(script: &Arc<Script>, store: Arc<dyn DeviceStore>) -> Device {
    let http = crate::transport::http_client().unwrap();
    let mut options = DeviceOptions::new(Url::parse("http://device.test/").unwrap(), http);
    options.credentials.token = Some("t".to_owned());
    options.transport = Some(script.clone());
    options.store = store;
    Device::open(options).unwrap()
}

fn observation() -> TypeName {
    TypeName::new("observation").unwrap()
}

fn data(value: Value) -> Data {
    serde_json::from_value(value).unwrap()
}

fn create(device: &Device, value: Value) -> RecordRef {
    let id = device.create(observation(), None, data(value)).unwrap();
    RecordRef { type_name: observation(), id }
}

#[tokio::test]
async fn a_record_can_be_edited_while_a_sync_waits_for_its_answer() {
    let script = Script::new(vec![session(), applied("r1", 1), applied("r2", 2), nothing()], 1);
    let device = device(&script, Arc::new(MemoryStore::default()));
    let record = create(&device, json!({"a": 1}));
    let sync = tokio::spawn({
        let device = device.clone();
        async move { device.sync().await }
    });
    while script.kinds() != [CallKind::Session, CallKind::Push] {
        script.arrived.notified().await;
    }
    assert_eq!((device.status(&record), device.is_syncing()), (Status::Syncing, true));
    device.edit(&record, data(json!({"a": 2}))).unwrap();
    assert_eq!(device.read(&record).unwrap().unwrap().data, data(json!({"a": 2})));
    let other = tokio::spawn({
        let device = device.clone();
        async move { device.sync().await }
    });
    tokio::task::yield_now().await;
    script.pass.add_permits(10);
    let report = sync.await.unwrap();
    assert_eq!(report.outcome, SyncOutcome::Ok);
    assert_eq!(other.await.unwrap(), report, "a second sync joins the one that runs");
    assert_eq!(script.kinds(), [CallKind::Session, CallKind::Push, CallKind::Push, CallKind::Pull]);
    let shown = device.read(&record).unwrap().unwrap();
    assert_eq!((shown.server.unwrap().version.get(), device.status(&record)), (2, Status::Synced));
}

#[tokio::test]
async fn a_device_that_stops_in_a_push_sends_the_same_batch_after_it() {
    let store: Arc<MemoryStore> = Arc::default();
    let script = Script::new(vec![session(), applied("r1", 1)], 1);
    let device_before = device(&script, store.clone());
    let record = create(&device_before, json!({"a": 1}));
    let sync = tokio::spawn({
        let device = device_before.clone();
        async move { device.sync().await }
    });
    while script.kinds() != [CallKind::Session, CallKind::Push] {
        script.arrived.notified().await;
    }
    device_before.stop();
    assert!(matches!(sync.await.unwrap().outcome, SyncOutcome::Failed(_)));

    let script_after = Script::new(vec![applied("r1", 1), nothing()], 10);
    let device_after = device(&script_after, store);
    assert_eq!(device_after.replica_id(), device_before.replica_id());
    assert_eq!(device_after.sync().await.outcome, SyncOutcome::Ok);
    assert_eq!(lock(&script_after.sent)[0].body, lock(&script.sent)[1].body);
    assert_eq!((device_after.status(&record), device_after.outbox()), (Status::Synced, vec![]));
}

#[tokio::test]
async fn a_lost_answer_is_told_with_its_reason() {
    let script = Script::new(vec![session(), lost()], 10);
    let device = device(&script, Arc::new(MemoryStore::default()));
    let record = create(&device, json!({"a": 1}));
    let SyncOutcome::Failed(failure) = device.sync().await.outcome else { panic!("the sync ended well") };
    assert_eq!(failure.cause, FailureCause::Network);
    assert!(failure.detail.contains("cut"), "{}", failure.detail);
    assert_eq!(device.status(&record), Status::Error(ErrorCause::Network));
}

/// A store whose disk is full, or cannot be read, now and then.
#[derive(Default)]
struct FullDisk {
    content: MemoryStore,
    full: AtomicBool,
    unreadable: AtomicBool,
}

impl DeviceStore for FullDisk {
    fn load(&self) -> Result<Saved, StoreError> {
        if self.unreadable.load(Ordering::Relaxed) {
            return Err(StoreError { doing: "reading", source: "the disk is away".into() });
        }
        self.content.load()
    }

    fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        if self.full.load(Ordering::Relaxed) {
            return Err(StoreError { doing: "writing", source: "the disk is full".into() });
        }
        self.content.commit(writes)
    }

    fn record(&self, record: &RecordRef) -> Result<Option<ServerCopy>, StoreError> {
        self.content.record(record)
    }

    fn records(&self, type_name: &TypeName) -> Result<Vec<ServerCopy>, StoreError> {
        self.content.records(type_name)
    }

    fn conflicts(&self) -> Result<Vec<(RecordId, ConflictEntry)>, StoreError> {
        self.content.conflicts()
    }
}

#[tokio::test]
async fn nothing_is_sent_that_is_not_stored() {
    let store = Arc::new(FullDisk::default());
    let script = Script::new(vec![session(), applied("r1", 1), nothing()], 10);
    let device = device(&script, store.clone());
    create(&device, json!({"a": 1}));
    store.full.store(true, Ordering::Relaxed);
    assert!(device.create(observation(), None, data(json!({}))).is_err());
    assert_eq!(device.outbox().len(), 1, "what could not be stored is not there");
    assert!(matches!(device.sync().await.outcome, SyncOutcome::Failed(_)));
    assert_eq!(script.kinds(), [CallKind::Session], "the batch was not frozen on disk");
    store.full.store(false, Ordering::Relaxed);
    lock(&script.answers).push_front(session());
    assert_eq!(device.sync().await.outcome, SyncOutcome::Ok);
    assert_eq!(device.outbox().len(), 0);
}

#[tokio::test]
async fn nothing_is_built_on_what_is_not_stored_even_where_the_store_cannot_be_read() {
    let store = Arc::new(FullDisk::default());
    let device = device(&Script::new(Vec::new(), 0), store.clone());
    store.full.store(true, Ordering::Relaxed);
    store.unreadable.store(true, Ordering::Relaxed);
    assert!(device.create(observation(), None, data(json!({}))).is_err());
    store.full.store(false, Ordering::Relaxed);
    let error = device.create(observation(), None, data(json!({}))).unwrap_err();
    assert!(error.to_string().contains("reading"), "{error}");
    store.unreadable.store(false, Ordering::Relaxed);
    assert_eq!(device.outbox().len(), 0);
    create(&device, json!({"a": 1}));
    assert_eq!((device.outbox().len(), store.load().unwrap().outbox.len()), (1, 1));
}

/// Rules with a bug: they fail over a record that says so, once they have made something of it.
struct Panicking;

impl Rules for Panicking {
    fn handle(&self, machine: &mut Machine, event: Event, context: &Context<'_>) -> Result<Reaction, DeviceError> {
        let panics = matches!(&event, Event::Local(LocalChange::Create { data, .. }) if data.contains_key("panic"));
        let reaction = machine.handle(event, context);
        assert!(!panics, "a bug");
        reaction
    }

    fn status(&self, machine: &Machine, record: &RecordRef) -> Status {
        StandardRules.status(machine, record)
    }

    fn shown(&self, machine: &Machine, record: &RecordRef, server: Option<&ServerCopy>) -> Option<ShownCopy> {
        StandardRules.shown(machine, record, server)
    }
}

#[test]
fn nothing_is_left_of_what_a_panic_broke_off() {
    let http = crate::transport::http_client().unwrap();
    let options = DeviceOptions::new(Url::parse("http://device.test/").unwrap(), http);
    let device = Device::open(DeviceOptions { rules: Arc::new(Panicking), ..options }).unwrap();
    create(&device, json!({"a": 1}));
    let broken = device.clone();
    std::thread::spawn(move || broken.create(observation(), None, data(json!({"panic": true})))).join().unwrap_err();
    assert_eq!(device.outbox().len(), 1);
    create(&device, json!({"b": 1}));
    assert_eq!(device.outbox().len(), 2);
}

#[tokio::test]
async fn who_logged_in_stays_logged_in_when_the_disk_is_full() {
    let store = Arc::new(FullDisk::default());
    let script = Script::new(vec![session(), nothing()], 10);
    let device = device(&script, store.clone());
    device.log_in(Credentials { token: Some("renewed".to_owned()), password: None }).unwrap();
    store.full.store(true, Ordering::Relaxed);
    assert!(device.create(observation(), None, data(json!({}))).is_err());
    store.full.store(false, Ordering::Relaxed);
    assert_eq!(device.sync().await.outcome, SyncOutcome::Ok);
    assert_eq!(lock(&script.sent)[0].token.as_deref(), Some("renewed"));
}

#[tokio::test]
async fn what_only_the_device_knows_is_listed_and_read_once_it_is_opened_again() {
    let store: Arc<MemoryStore> = Arc::default();
    let script = Script::new(Vec::new(), 0);
    let before = device(&script, store.clone());
    let (kept, gone) = (create(&before, json!({"a": 1})), create(&before, json!({"a": 2})));
    before.delete(&gone).unwrap();
    let after = device(&script, store);
    assert_eq!(after.list(&observation()).unwrap(), std::slice::from_ref(&kept.id));
    assert_eq!(after.read(&kept).unwrap().unwrap().data, data(json!({"a": 1})));
    assert!(after.read(&gone).unwrap().is_none());
}
