use super::*;
use fieldsync_core::device::memory::MemoryStore;
use fieldsync_core::device::outbox::{Entry, Progress};
use fieldsync_core::device::store::{FrozenBatch, LastFailure, Marks, Quarantined, Reason, Replica, Resync};
use fieldsync_schemas::id::{MutationId, ReplicaId, Seq};
use fieldsync_schemas::push::Mutation;
use fieldsync_schemas::scenario::FailureCause;
use serde_json::json;
use std::sync::Arc;

fn named(id: &str) -> RecordRef {
    RecordRef { type_name: TypeName::new("observation").unwrap(), id: RecordId::new(id).unwrap() }
}

fn server(id: &str, feed: &str, mark: u64) -> Write {
    let record = json!({"type": "observation", "id": id, "rev": "r", "version": 1, "data": {"a": 1.50},
        "modified_at": "2026-12-01T08:00:00.000Z", "accepted_at": "2026-12-01T08:00:00.000Z"});
    let record = serde_json::from_str(&record.to_string()).unwrap();
    Write::Server(Box::new(ServerCopy { record, feed: FeedName::new(feed).unwrap(), mark }))
}

fn mutation(id: &str) -> Arc<Mutation> {
    let text = json!({"mutation_id": id, "op": "create", "type": "observation", "id": id, "base": null, "data": {}});
    Arc::new(serde_json::from_str(&text.to_string()).unwrap())
}

fn entry(place: u64, id: &str) -> Write {
    Write::Entry(Box::new(Entry { place, progress: Progress::Unsent, mutation: mutation(id), snapshot: None }))
}

/// Whether a commit of these is on the disk when it returns.
fn is_on_the_disk(writes: &[Write]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("device.sqlite")).unwrap();
    store.commit(writes).unwrap();
    let synchronous = store.connection().query_row("PRAGMA synchronous", [], |row| row.get::<_, u8>(0)).unwrap();
    synchronous == 2
}

#[test]
fn only_what_is_found_out_again_may_be_lost_with_the_power() {
    let came = || Write::WantedGone(AttachmentId::new(format!("sha256:{}", "0".repeat(64))).unwrap());
    assert!(is_on_the_disk(&[entry(1, "a")]));
    assert!(!is_on_the_disk(&[came()]));
    assert!(is_on_the_disk(&[came(), entry(1, "a")]), "with something else, all of it is");
}

/// Every kind of write, each with one that undoes it where there is one.
fn writes() -> Vec<Vec<Write>> {
    let feed = |name: &str| FeedName::new(name).unwrap();
    let cursor = || Some(Cursor::new("c1").unwrap());
    let conflict = |lost: i32| {
        let entry = json!({"record": named("x"), "path": "", "lost": lost, "lost_by": {}, "kept_by": {},
            "time": "2026-12-01T08:00:00.000Z"});
        Write::Conflict(RecordId::new("c-1").unwrap(), serde_json::value::to_raw_value(&entry).unwrap())
    };
    let batch = FrozenBatch {
        replica: ReplicaId::new("n1").unwrap(),
        seq: Seq::FIRST,
        mutations: vec![MutationId::new("x").unwrap()],
        body: "{ }".to_owned(),
        failures: 2,
    };
    let marks = Marks {
        mark: 4,
        parts: vec![vec![MutationId::new("x").unwrap()]],
        last_failure: Some(LastFailure { cause: FailureCause::Network, up_to: 3 }),
        ..Marks::default()
    };
    let given_up = |id: &str| Write::Quarantine(Box::new(Quarantined { mutation: mutation(id), reason: Reason::Gone }));
    let resync = |complete| Write::Resync(feed("observation"), Some(Resync { mark: 4, complete }));
    vec![
        vec![
            Write::Replica(Replica { id: ReplicaId::new("n1").unwrap(), seq: Seq::FIRST, previous: None }),
            Write::Marks(marks),
            Write::Batch(Some(batch.clone())),
            Write::Cursor(feed("observation"), cursor()),
            Write::Cursor(feed("place"), None),
            Write::Cursor(feed("gone"), cursor()),
            resync(false),
            entry(2, "y"),
            entry(1, "x"),
            given_up("q"),
            conflict(1),
        ],
        vec![server("x", "observation", 3), server("y", "observation", 4), server("z", "place", 1)],
        vec![conflict(2), resync(true), Write::CursorGone(feed("gone")), entry(1, "z"), Write::EntryGone(2)],
        vec![
            server("v", "observation", 3),
            Write::Sweep { feeds: [feed("observation"), feed("gone")].into(), below: 4 },
        ],
        vec![Write::Batch(None), Write::Resync(feed("observation"), None)],
        vec![Write::QuarantineGone(named("q")), Write::ServerGone(named("z")), Write::ServerGone(named("nothing"))],
        vec![Write::Batch(Some(batch)), given_up("q"), given_up("q")],
    ]
}

/// All that a store tells.
fn told(store: &dyn DeviceStore) -> String {
    let records = store.records(&TypeName::new("observation").unwrap()).unwrap();
    let one = store.record(&named("x")).unwrap();
    format!("{:#?}\n{:#?}\n{:#?}\n{:#?}", store.load().unwrap(), records, one, store.conflicts().unwrap())
}

#[test]
fn both_stores_keep_the_same_and_the_file_outlives_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("device.sqlite");
    let memory = MemoryStore::default();
    let mut file = SqliteStore::open(&path).unwrap();
    for writes in writes() {
        memory.commit(&writes).unwrap();
        file.commit(&writes).unwrap();
        drop(file);
        file = SqliteStore::open(&path).unwrap();
        assert_eq!(told(&file), told(&memory), "after {writes:#?}");
    }
}

#[test]
fn a_commit_that_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("device.sqlite")).unwrap();
    store.connection().execute_batch("DROP TABLE cursors").unwrap();
    let cursor = Write::Cursor(FeedName::new("observation").unwrap(), None);
    assert!(store.commit(&[server("x", "observation", 0), cursor]).is_err());
    assert!(store.record(&named("x")).unwrap().is_none());
}

/// A store of the version before: what was shown of a record was stored beside the server's state.
fn older(path: &Path) {
    let store = Connection::open(path).unwrap();
    store
        .execute_batch(
            "CREATE TABLE outbox (place INTEGER PRIMARY KEY, entry TEXT NOT NULL);
             CREATE TABLE records (
                 type TEXT NOT NULL, id TEXT NOT NULL, feed TEXT, mark INTEGER, server TEXT, own TEXT,
                 PRIMARY KEY (type, id)) WITHOUT ROWID;",
        )
        .unwrap();
    let Write::Server(copy) = server("x", "observation", 3) else { unreachable!("it is one") };
    let values = params!["x", "observation", 3, json(&copy.record).unwrap(), r#"{"data":{"a":2}}"#];
    store.execute("INSERT INTO records VALUES ('observation', ?1, ?2, ?3, ?4, ?5)", values).unwrap();
    store.execute("INSERT INTO records VALUES ('observation', 'w', NULL, NULL, NULL, '\"deleted\"')", []).unwrap();
    let Write::Entry(entry) = entry(1, "w") else { unreachable!("it is one") };
    store.execute("INSERT INTO outbox VALUES (1, ?1)", [json(&entry).unwrap()]).unwrap();
}

#[test]
fn a_store_of_the_version_before_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("device.sqlite");
    older(&path);
    let before = MemoryStore::default();
    before.commit(&[server("x", "observation", 3), entry(1, "w")]).unwrap();
    for _ in 0..2 {
        let store = SqliteStore::open(&path).unwrap();
        assert_eq!(told(&store), told(&before), "what waits and what was pulled is there");
    }
}

#[test]
fn a_store_of_a_later_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("device.sqlite");
    drop(SqliteStore::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", VERSION + 1).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = SqliteStore::open(&path).unwrap_err().to_string();
    for part in
        [format!("of version {}", VERSION + 1), path.display().to_string(), "the program that made it".to_owned()]
    {
        assert!(error.contains(&part), "{error}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}
