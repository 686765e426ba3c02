//! Outcomes, as they are written.

use crate::store::State;
use fieldsync_schemas::id::MutationId;
use fieldsync_schemas::push::{Outcome, OutcomeKind, Refusal};
use serde_json::value::RawValue;

pub(super) fn empty(mutation_id: &MutationId, outcome: OutcomeKind) -> Outcome {
    Outcome {
        mutation_id: mutation_id.clone(),
        outcome,
        rev: None,
        version: None,
        record: None,
        conflicts: Vec::new(),
        problem: None,
    }
}

pub(super) fn settled(mutation_id: &MutationId, outcome: OutcomeKind, state: &State) -> Outcome {
    Outcome { rev: Some(state.rev.clone()), version: Some(state.version), ..empty(mutation_id, outcome) }
}

pub(super) fn waiting(mutation_id: &MutationId, outcome: OutcomeKind, why: Refusal) -> Outcome {
    Outcome { problem: Some(why), ..empty(mutation_id, outcome) }
}

pub(super) fn rejected(mutation_id: &MutationId, refusal: Refusal) -> Outcome {
    Outcome { problem: Some(refusal), ..empty(mutation_id, OutcomeKind::Rejected) }
}

pub(super) fn raw(outcome: &Outcome) -> Box<RawValue> {
    serde_json::value::to_raw_value(outcome).expect("an outcome is plain JSON")
}
