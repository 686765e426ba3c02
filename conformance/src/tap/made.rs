//! The records that the pushes of a run made, for those who clean up after it.

use super::exchange::Answer;
use fieldsync_schemas::id::MutationId;
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::{MutationOp, OutcomeKind, PushAnswer, PushRequest};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use url::Url;

/// The records made, by the base URL of their data set. Its clones are the same list.
#[derive(Debug, Clone, Default)]
pub struct Made(Arc<Mutex<BTreeMap<Url, BTreeSet<RecordRef>>>>);

impl Made {
    /// The records made in the data set at this base URL.
    pub fn at(&self, base: &Url) -> BTreeSet<RecordRef> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(base).cloned().unwrap_or_default()
    }

    /// Notes what a push made. Without an answer it may have made all that it says.
    pub(super) fn note(&self, base: &Url, pushed: &[u8], answer: Option<&Answer>) {
        let Ok(push) = serde_json::from_slice::<PushRequest<Value>>(pushed) else { return };
        let taken: Option<BTreeSet<MutationId>> = answer.map(|answer| {
            let answer = serde_json::from_slice::<PushAnswer>(&answer.body.bytes);
            let outcomes = answer.map(|answer| answer.outcomes).unwrap_or_default();
            let became = |kind: &OutcomeKind| matches!(kind, OutcomeKind::Applied | OutcomeKind::Merged);
            outcomes.into_iter().filter(|one| became(&one.outcome)).map(|one| one.mutation_id).collect()
        });
        let text = |mutation: &Value, name: &str| mutation[name].as_str().map(str::to_owned);
        let made = push.mutations.iter().filter_map(|mutation| {
            if text(mutation, "op")? != MutationOp::Create.to_string() {
                return None;
            }
            let id: MutationId = text(mutation, "mutation_id")?.parse().ok()?;
            if taken.as_ref().is_some_and(|taken| !taken.contains(&id)) {
                return None;
            }
            Some(RecordRef {
                type_name: text(mutation, "type")?.parse().ok()?,
                id: text(mutation, "id")?.parse().ok()?,
            })
        });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(base.clone()).or_default().extend(made);
    }
}
