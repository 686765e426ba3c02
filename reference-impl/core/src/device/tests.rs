//! The machine without a network: what a device sends, and what answers do to it.

mod edits;
mod order;
mod pulls;
mod pushes;
mod telling;
mod trouble;

use super::memory::MemoryStore;
use super::store::ShownCopy;
use super::{
    Answer, Call, Context, Credentials, DeviceError, DeviceStore, Event, LocalChange, Machine, Next, Settings,
    SyncOutcome, SyncReport,
};
use crate::clock::Ids;
use crate::merge;
use fieldsync_schemas::id::{RecordId, TypeName};
use fieldsync_schemas::problem::PROBLEM_MEDIA_TYPE;
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::scenario::{CallKind, FailureCause, Status};
use fieldsync_schemas::time::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// `n1`, `n2`, and so on.
#[derive(Default)]
struct Counted(AtomicU64);

impl Ids for Counted {
    fn unique(&self) -> String {
        format!("n{}", self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// A device whose network is the test.
struct Desk {
    machine: Machine,
    store: Arc<MemoryStore>,
    ids: Arc<Counted>,
}

impl Desk {
    /// A device with a session, whose first sync found nothing.
    fn synced() -> Self {
        Self::synced_as(session())
    }

    /// The same, with this session.
    fn synced_as(session: Value) -> Self {
        let mut desk = Self::on(Arc::default(), Arc::default());
        desk.expect(Event::Begin, CallKind::Session);
        desk.expect(answer(session), CallKind::Pull);
        desk.ends_well(answer(pulled(&[page(Value::Null, &[], "c0")])));
        desk
    }

    fn on(store: Arc<MemoryStore>, ids: Arc<Counted>) -> Self {
        let saved = store.load().unwrap();
        let credentials = Credentials { token: Some("t".to_owned()), password: None };
        let machine = Machine::restore(saved, Settings::default(), credentials);
        let mut desk = Self { machine, store, ids };
        assert_eq!(desk.next(Event::Open { replica: None }), Next::Idle);
        desk
    }

    /// The device after its process ended.
    fn restarted(self) -> Self {
        Self::on(self.store, self.ids)
    }

    fn handle(&mut self, event: Event) -> Result<Next, DeviceError> {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let context = Context { now, ids: self.ids.as_ref(), store: self.store.as_ref(), merge: merge::merge };
        let reaction = self.machine.handle(event, &context)?;
        self.store.commit(&reaction.writes)?;
        Ok(reaction.next)
    }

    /// What comes of an event, waits and stored steps left out.
    fn next(&mut self, event: Event) -> Next {
        let mut next = self.handle(event).unwrap();
        loop {
            next = match next {
                Next::Proceed => self.handle(Event::Stored).unwrap(),
                Next::Wait(_) => self.handle(Event::Waited).unwrap(),
                other => return other,
            };
        }
    }

    /// The body of the call that comes of an event.
    fn expect(&mut self, event: Event, kind: CallKind) -> Value {
        let call = self.call(event, kind);
        serde_json::from_str(call.body.as_deref().unwrap_or("null")).unwrap()
    }

    fn call(&mut self, event: Event, kind: CallKind) -> Call {
        match self.next(event) {
            Next::Send(call) if call.kind == kind => call,
            other => panic!("expected a {kind:?}, got {other:?}"),
        }
    }

    fn finishes(&mut self, event: Event) -> SyncReport {
        match self.next(event) {
            Next::Finished(report) => report,
            other => panic!("expected the end of the sync, got {other:?}"),
        }
    }

    fn ends_well(&mut self, event: Event) {
        let report = self.finishes(event);
        assert_eq!(report.outcome, SyncOutcome::Ok);
    }

    fn fails(&mut self, event: Event) -> FailureCause {
        match self.finishes(event).outcome {
            SyncOutcome::Failed(failure) => failure.cause,
            SyncOutcome::Ok => panic!("the sync ended well"),
        }
    }

    fn create(&mut self, id: &str, data: Value) {
        let Value::Object(data) = data else { panic!("data is an object") };
        self.local(LocalChange::Create { record: named(id), data, group: None });
    }

    fn edit(&mut self, id: &str, changes: Value) {
        let Value::Object(changes) = changes else { panic!("changes are an object") };
        self.local(LocalChange::Edit { record: named(id), changes });
    }

    fn delete(&mut self, id: &str) {
        self.local(LocalChange::Delete { record: named(id) });
    }

    fn local(&mut self, change: LocalChange) {
        assert_eq!(self.next(Event::Local(change)), Next::Idle);
    }

    /// What is shown of a record: its data, `"deleted"`, or null.
    fn shown(&self, id: &str) -> Value {
        let server = self.store.record(&named(id)).unwrap();
        match self.machine.state().shown(&named(id), server.as_ref()) {
            Some(ShownCopy::Data(data)) => Value::Object(data),
            Some(ShownCopy::Deleted) => json!("deleted"),
            None => Value::Null,
        }
    }

    fn status(&self, id: &str) -> Status {
        self.machine.status(&named(id))
    }

    fn outbox(&self) -> usize {
        self.machine.state().outbox.len()
    }

    /// The given-up records, each with its reason's code.
    fn quarantine(&self) -> BTreeMap<String, String> {
        let given_up = self.machine.state().quarantine.iter();
        given_up.map(|(record, one)| (record.id.to_string(), one.reason.code().to_owned())).collect()
    }
}

fn named(id: &str) -> RecordRef {
    RecordRef { type_name: TypeName::new("observation").unwrap(), id: RecordId::new(id).unwrap() }
}

fn answer(body: Value) -> Event {
    let media_type = Some("application/json".to_owned());
    Event::Answered(Answer::new(200, media_type, body.to_string().into_bytes()))
}

fn problem(status: u16, code: &str, retry: &str, more: Value) -> Event {
    let mut body =
        json!({"title": "T", "status": status, "detail": "d", "code": code, "retry": retry, "request_id": "q"});
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let media_type = Some(PROBLEM_MEDIA_TYPE.to_owned());
    Event::Answered(Answer::new(status, media_type, body.to_string().into_bytes()))
}

fn failed(status: u16) -> Event {
    Event::Answered(Answer::new(status, Some("text/html".to_owned()), Vec::new()))
}

fn session() -> Value {
    json!({
        "tag": "s1", "principal": "p", "role": "read-write", "scope": "all", "epoch": "e1",
        "server_time": "2026-12-01T08:00:00.000Z", "profile": "version-wins",
        "limits": {"body_bytes": 8388608, "batch_mutations": 500, "page_changes": 1000, "record_bytes": 262144,
            "string_bytes": 65536, "nesting": 32},
        "registry": {"types": [
            {"name": "observation", "class": "transactional", "merge": {"policy": "version-wins"}}]},
    })
}

fn record(id: &str, rev: &str, version: u64, data: Value) -> Value {
    json!({"type": "observation", "id": id, "rev": rev, "version": version, "modified_at": "2026-12-01T08:00:00.000Z",
        "accepted_at": "2026-12-01T08:00:00.000Z", "data": data})
}

fn put(id: &str, rev: &str, version: u64, data: Value) -> Value {
    json!({"op": "put", "record": record(id, rev, version, data)})
}

fn page(from: Value, changes: &[Value], cursor: &str) -> Value {
    json!({"feed": "observation", "from": from, "changes": changes, "cursor": cursor})
}

fn pulled(pages: &[Value]) -> Value {
    json!({"epoch": "e1", "session": "s1", "server_time": "2026-12-01T08:00:00.000Z", "feeds": pages})
}

/// Every mutation of a batch gets this outcome.
fn outcomes(batch: &Value, outcome: Value) -> Event {
    let all = mutations(batch).into_iter().map(|mutation| {
        let mut outcome = outcome.clone();
        outcome["mutation_id"] = mutation["mutation_id"].clone();
        outcome
    });
    told(all.collect())
}

fn told(outcomes: Vec<Value>) -> Event {
    answer(json!({"token": "b", "epoch": "e1", "session": "s1", "outcomes": outcomes}))
}

fn mutations(batch: &Value) -> Vec<Value> {
    batch["mutations"].as_array().unwrap().clone()
}

/// The ids of the records of a batch, in order.
fn ids(batch: &Value) -> Vec<String> {
    mutations(batch).iter().map(|mutation| mutation["id"].as_str().unwrap().to_owned()).collect()
}

fn nothing_new() -> Event {
    answer(pulled(&[]))
}
