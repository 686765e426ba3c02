//! Faults about how a batch is read.

use fieldsync_core::problem::Trouble;
use fieldsync_core::push::ReadMutation;
use fieldsync_schemas::id::MutationId;
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::push::MutationOp;
use fieldsync_schemas::session::Limits;
use fieldsync_server::Parts;
use serde_json::Value;
use std::sync::Arc;

pub(super) fn an_unreadable_mutation_refuses_the_batch(mut parts: Parts) -> Parts {
    let read = parts.rules.read_push.clone();
    parts.rules.read_push = Arc::new(move |body, limits, registry| {
        let batch = read(body, limits, registry)?;
        for refusal in batch.mutations.iter().filter_map(|read| read.asked.as_ref().err()) {
            if refusal.code == ProblemCode::Malformed {
                return Err(Trouble::new(ProblemCode::Malformed, refusal.detail.clone()));
            }
        }
        Ok(batch)
    });
    parts
}

pub(super) fn a_large_batch_is_cut(mut parts: Parts) -> Parts {
    let read = parts.rules.read_push.clone();
    parts.rules.read_push = Arc::new(move |body, limits, registry| {
        let mut batch = read(body, &Limits { batch_mutations: u32::MAX, ..*limits }, registry)?;
        batch.mutations.truncate(limits.batch_mutations as usize);
        Ok(batch)
    });
    parts
}

pub(super) fn nameless_mutations_are_passed_over(mut parts: Parts) -> Parts {
    let read = parts.rules.read_push.clone();
    parts.rules.read_push = Arc::new(move |body, limits, registry| {
        read(body, limits, registry).or_else(|trouble| {
            let Ok(mut tree) = serde_json::from_slice::<Value>(body) else { return Err(trouble) };
            let Some(mutations) = tree.get_mut("mutations").and_then(Value::as_array_mut) else { return Err(trouble) };
            mutations.retain(|mutation| mutation["mutation_id"].as_str().is_some_and(|id| MutationId::new(id).is_ok()));
            read(tree.to_string().as_bytes(), limits, registry)
        })
    });
    parts
}

pub(super) fn an_update_makes_the_record(mut parts: Parts) -> Parts {
    let read = parts.rules.read_push.clone();
    parts.rules.read_push = Arc::new(move |body, limits, registry| {
        let mut batch = read(body, limits, registry)?;
        for asked in batch.mutations.iter_mut().filter_map(ReadMutation::change_mut) {
            if asked.op == MutationOp::Update {
                asked.op = MutationOp::Create;
            }
        }
        Ok(batch)
    });
    parts
}
