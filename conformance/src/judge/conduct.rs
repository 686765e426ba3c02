//! What the requests of one device show together, and no single message can: that a batch goes again as it was, that a
//! batch has each record once, and that a login in between changes nothing.

use crate::tap::{Caller, Delivered, SeenExchange};
use fieldsync_schemas::id::{MutationId, ReplicaId};
use fieldsync_schemas::problem::{Problem, Retry};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::{Mutation, PushAnswer, PushRequest};
use fieldsync_schemas::scenario::CallKind;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const BYTE_FOR_BYTE: &str = "cycles.freeze.byte-for-byte";
const RECORD_ONCE: &str = "cycles.batch.record-once";
const LOGIN_GOES_ON: &str = "cycles.login.goes-on";

/// Something that a device must not do.
#[derive(Debug, Clone, PartialEq)]
pub struct Misconduct {
    /// The rule that it breaks.
    pub rule: &'static str,
    /// The request, as an index into the exchanges.
    pub exchange: u64,
    /// What was looked at.
    pub what: String,
    /// What was expected.
    pub expected: Value,
    /// What was seen.
    pub got: Value,
}

/// The first breach of each rule by each device.
pub fn examine(exchanges: &[SeenExchange]) -> Vec<Misconduct> {
    let mut devices: BTreeMap<&str, Conduct> = BTreeMap::new();
    for (index, seen) in exchanges.iter().enumerate() {
        if seen.caller == Caller::Device && !seen.copy {
            devices.entry(&seen.by).or_default().request(index as u64, seen);
        }
    }
    devices.into_values().flat_map(|conduct| conduct.found).collect()
}

/// What is known of one device so far.
#[derive(Default)]
struct Conduct {
    /// The batch without an answer: its replica and its body.
    unanswered: Option<(ReplicaId, Value)>,
    /// The request whose token was refused.
    refused: Option<(CallKind, Value)>,
    found: Vec<Misconduct>,
}

impl Conduct {
    fn request(&mut self, index: u64, seen: &SeenExchange) {
        if matches!(seen.kind, CallKind::Login | CallKind::Refresh | CallKind::Discovery) {
            return;
        }
        let body = json!(String::from_utf8_lossy(&seen.request_body.bytes));
        if let Some((kind, before)) = self.refused.take()
            && kind == seen.kind
            && before != body
        {
            self.add(LOGIN_GOES_ON, index, "the request after the login".to_owned(), before, body.clone());
        }
        if delivered_status(seen) == Some(401) {
            self.refused = Some((seen.kind, body.clone()));
        }
        if seen.kind == CallKind::Push {
            self.push(index, seen, body);
        }
    }

    fn push(&mut self, index: u64, seen: &SeenExchange, body: Value) {
        let Ok(request) = serde_json::from_slice::<PushRequest>(&seen.request_body.bytes) else { return };
        let mut records = BTreeSet::new();
        for Mutation { type_name, id, .. } in &request.mutations {
            let record = RecordRef { type_name: type_name.clone(), id: id.clone() };
            if !records.insert(record) {
                self.add(RECORD_ONCE, index, format!("the mutations of {id} in one batch"), json!(1), json!(2));
            }
        }
        if let Some((replica, before)) = self.unanswered.take()
            && replica == request.replica
            && before != body
        {
            let what = "the body of a batch that is sent again".to_owned();
            self.add(BYTE_FOR_BYTE, index, what, before, body.clone());
        }
        let ids: BTreeSet<MutationId> = request.mutations.into_iter().map(|one| one.mutation_id).collect();
        if !is_answered(seen, &ids) {
            self.unanswered = Some((request.replica, body));
        }
    }

    fn add(&mut self, rule: &'static str, exchange: u64, what: String, expected: Value, got: Value) {
        if self.found.iter().all(|other| other.rule != rule) {
            self.found.push(Misconduct { rule, exchange, what, expected, got });
        }
    }
}

fn delivered_status(seen: &SeenExchange) -> Option<u16> {
    match &seen.delivered {
        Delivered::Whole(answer) => Some(answer.status.as_u16()),
        _ => None,
    }
}

/// Whether the device got a whole answer to this batch, or a problem after which it need not go again as it was.
fn is_answered(seen: &SeenExchange, ids: &BTreeSet<MutationId>) -> bool {
    let Delivered::Whole(answer) = &seen.delivered else { return false };
    if answer.status.is_success() {
        return serde_json::from_slice::<PushAnswer>(&answer.body.bytes)
            .is_ok_and(|answer| answer.outcomes.iter().any(|outcome| ids.contains(&outcome.mutation_id)));
    }
    serde_json::from_slice::<Problem>(&answer.body.bytes)
        .is_ok_and(|problem| !matches!(problem.retry, Retry::Same | Retry::After | Retry::Login))
}
