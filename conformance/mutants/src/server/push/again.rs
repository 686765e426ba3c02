//! Faults about what comes again: repetitions, known ids, and the row of batches.

use super::changed;
use crate::seam::effects::around_decide;
use crate::server::sequences::draw_again;
use fieldsync_core::conflict::{Collision, Side, entry};
use fieldsync_core::problem::Trouble;
use fieldsync_core::push::{Batch, Decision, Ground};
use fieldsync_core::store::{Commit, DataSetName, Decided, Loaded, ReplicaRow, State};
use fieldsync_schemas::id::{MutationId, ReplicaId, Rev, Seq};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::push::{OutcomeKind, PushAnswer};
use fieldsync_schemas::record::Record;
use fieldsync_server::Parts;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What the server would know of the replica if this batch were its next.
pub(super) fn before(batch: &Batch) -> Option<ReplicaRow> {
    Some(ReplicaRow {
        replica: batch.replica.clone(),
        seq: Seq::new(batch.seq.get() - 1).ok()?,
        token: batch.previous.clone()?,
        body: [0; 32],
        answer: Arc::from("{}"),
    })
}

/// Puts a commit of these states in the place of a repetition, with the same answer.
pub(super) fn repetitions(
    parts: Parts,
    states: impl Fn(&Loaded, Ground<'_>) -> Vec<State> + Send + Sync + 'static,
) -> Parts {
    around_decide(parts, move |batch, loaded, ground, decide| {
        let again = states(&loaded, ground);
        let row = loaded.replica.clone();
        Ok(match (decide(batch, loaded, ground)?, row) {
            (Decision::Replay(answer), Some(row)) => Decision::Commit(Commit {
                links: Vec::new(),
                data_set: ground.data_set.clone(),
                principal: ground.principal.clone(),
                at: ground.now,
                states: again,
                decided: Vec::new(),
                files: Vec::new(),
                linked: Vec::new(),
                drawn: HashMap::new(),
                accepted_seq: ground.accepted_seq,
                replica: ReplicaRow { answer, ..row },
            }),
            (decision, _) => decision,
        })
    })
}

pub(super) fn a_repetition_writes_again(parts: Parts) -> Parts {
    repetitions(parts, |loaded, ground| {
        let again = |record: &mut Record| {
            record.rev = Rev::new(ground.ids.unique()).expect("ids are visible ASCII");
            record.version = record.version.next();
        };
        loaded.states.values().map(|state| changed(state, again)).collect()
    })
}

pub(super) fn a_repetition_draws_again(parts: Parts) -> Parts {
    repetitions(parts, |loaded, _| loaded.states.values().map(|state| changed(state, draw_again)).collect())
}

pub(super) fn a_repetition_is_logged_as_a_conflict(parts: Parts) -> Parts {
    repetitions(parts, |loaded, ground| {
        let rev = || Rev::new(ground.ids.unique()).expect("ids are visible ASCII");
        let log = |state: &State| {
            entry(&state.record, Collision::whole(None, Side::of(state), Side::of(state)), rev(), ground.now)
        };
        loaded.states.values().map(log).collect()
    })
}

pub(super) fn a_repetition_says_duplicate(parts: Parts) -> Parts {
    around_decide(parts, |batch, loaded, ground, decide| {
        let decision = decide(batch, loaded, ground)?;
        let Decision::Replay(answer) = &decision else { return Ok(decision) };
        let mut answer: PushAnswer = serde_json::from_str(answer).expect("the core wrote it");
        for outcome in answer.outcomes.iter_mut().filter(|outcome| outcome.outcome == OutcomeKind::Applied) {
            outcome.outcome = OutcomeKind::Duplicate;
        }
        Ok(Decision::Replay(Arc::from(serde_json::to_string(&answer).expect("an answer is plain JSON"))))
    })
}

pub(super) fn the_second_copy_is_fenced(parts: Parts) -> Parts {
    around_decide(parts, |batch, loaded, ground, decide| {
        let fresh = loaded.states.values().any(|state| ground.now.as_millis() - state.accepted_at.as_millis() < 1000);
        match decide(batch, loaded, ground)? {
            Decision::Replay(_) if fresh => {
                Err(Trouble::new(ProblemCode::ReplicaFenced, "this batch is being worked on"))
            }
            decision => Ok(decision),
        }
    })
}

/// What the server remembers, without regard to who asks.
#[derive(Default)]
struct Shared {
    replicas: HashMap<(DataSetName, ReplicaId), ReplicaRow>,
    decided: HashMap<(DataSetName, MutationId), Decided>,
}

pub(super) fn ids_are_shared_by_all_accounts(parts: Parts) -> Parts {
    let shared = Mutex::new(Shared::default());
    around_decide(parts, move |batch, mut loaded, ground, decide| {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let data_set = || ground.data_set.clone();
        let replica = (data_set(), batch.replica.clone());
        loaded.replica = shared.replicas.get(&replica).cloned();
        for read in &batch.mutations {
            if let Some(decided) = shared.decided.get(&(data_set(), read.mutation_id.clone())) {
                loaded.decided.insert(read.mutation_id.clone(), decided.clone());
            }
        }
        let decision = decide(batch, loaded, ground)?;
        if let Decision::Commit(commit) = &decision {
            shared.replicas.insert(replica, commit.replica.clone());
            let decided = commit.decided.iter().map(|one| ((data_set(), one.mutation_id.clone()), one.clone()));
            shared.decided.extend(decided);
        }
        Ok(decision)
    })
}
