//! The fence: a replica's batches come in their order, and one that comes twice is answered twice.
//!
//! Chapter: push.

use super::Batch;
use crate::problem::Trouble;
use crate::store::ReplicaRow;
use fieldsync_schemas::id::Seq;
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::push::PushAnswer;
use serde_json::value::RawValue;
use std::sync::Arc;

/// The stored answer, where the batch is the replica's last one; nothing, where it is the next; else trouble.
pub(super) fn fence(batch: &Batch, known: Option<&ReplicaRow>) -> Result<Option<Arc<str>>, Trouble> {
    match known {
        None if batch.seq == Seq::FIRST && batch.previous.is_none() => Ok(None),
        None if batch.seq > Seq::FIRST => Err(Trouble::new(
            ProblemCode::OutcomeExpired,
            format!(
                "the server does not know the replica {}; resync, settle what is found, and begin as a new replica",
                batch.replica
            ),
        )),
        Some(row) if batch.seq == row.seq && batch.body == row.body => {
            let stored: PushAnswer<Box<RawValue>> = serde_json::from_str(&row.answer).expect("the server wrote it");
            let again = PushAnswer { replayed: true, ..stored };
            Ok(Some(Arc::from(serde_json::to_string(&again).expect("an answer is plain JSON"))))
        }
        Some(row) if batch.seq == row.seq.next() && batch.previous.as_ref() == Some(&row.token) => Ok(None),
        _ => Err(Trouble::new(
            ProblemCode::ReplicaFenced,
            format!(
                "batch {} is not what the server expects of replica {}: another device may use this id; take a new one and keep the outbox",
                batch.seq, batch.replica
            ),
        )),
    }
}
