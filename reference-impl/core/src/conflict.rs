//! Conflict entries that the server writes: one for every value that it overrode, in the transaction that overrode it.
//!
//! Chapter: conflicts.

use crate::data;
use crate::registry::conflict_entry;
use crate::store::State;
use fieldsync_schemas::conflict::{ConflictEntry, Writer};
use fieldsync_schemas::id::{RecordId, Rev};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::record::Record;
use fieldsync_schemas::time::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A value on one side of a conflict.
pub struct Side {
    /// Its data; none where it is a delete.
    pub data: Option<Value>,
    /// Who wrote it.
    pub writer: Writer,
}

impl Side {
    /// A state that the record had.
    pub fn of(state: &State) -> Self {
        Self {
            data: data_of(state),
            writer: Writer { replica: state.replica.clone(), mutation_id: None, rev: Some(state.rev.clone()) },
        }
    }
}

/// The data of a stored state; none for a tombstone.
pub fn data_of(state: &State) -> Option<Value> {
    let record: Record = serde_json::from_str(&state.json).expect("the server wrote it");
    record.data.map(|raw| Value::Object(data::tree(&raw)))
}

/// The entry's record: its id is a hash of record, path and loser, so that whoever writes it writes the same one.
pub fn entry(record: &RecordRef, base: Option<Value>, lost: Side, kept: Side, rev: Rev, now: Timestamp) -> State {
    let id = entry_id(record, "", &lost.writer);
    let entry = ConflictEntry {
        record: record.clone(),
        path: String::new(),
        base,
        lost: lost.data,
        kept: kept.data,
        lost_by: lost.writer,
        kept_by: kept.writer,
        time: now,
    };
    let raw = serde_json::value::to_raw_value(&entry).expect("an entry is plain JSON");
    let kind = conflict_entry();
    State::by_server(RecordRef { type_name: kind.name.clone(), id }, kind.feed_name(), rev, raw, now)
}

/// The id of an entry.
pub fn entry_id(record: &RecordRef, path: &str, loser: &Writer) -> RecordId {
    let mut hash = Sha256::new();
    let mutation = loser.mutation_id.as_ref().map(|id| id.as_str());
    let rev = loser.rev.as_ref().map(|rev| rev.as_str());
    for part in [record.type_name.as_str(), record.id.as_str(), path, mutation.or(rev).unwrap_or("")] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let hex: String = hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    RecordId::new(format!("c-{hex}")).expect("hexadecimal is an id")
}
