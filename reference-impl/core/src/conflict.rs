//! Conflict entries that the server writes: one for every value that it overrode, in the transaction that overrode it.
//!
//! Chapter: conflicts.

use crate::canonical;
use crate::data;
use crate::registry::conflict_entry;
use crate::store::State;
use fieldsync_schemas::conflict::{ConflictEntry, Writer};
use fieldsync_schemas::id::{RecordId, Rev};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::record::Record;
use fieldsync_schemas::time::Timestamp;
use serde_json::{Value, json};
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

/// Two values of which one stays.
pub struct Collision {
    /// Where: a JSON Pointer into the data; empty for the whole record.
    pub path: String,
    /// What stood there when both were made, where that is known.
    pub base: Option<Value>,
    /// What was overridden.
    pub lost: Side,
    /// What stayed.
    pub kept: Side,
}

impl Collision {
    /// Of two whole records.
    pub fn whole(base: Option<Value>, lost: Side, kept: Side) -> Self {
        Self { path: String::new(), base, lost, kept }
    }
}

/// The entry's record: its id is a hash of record, path and loser, so that whoever writes it writes the same one.
pub fn entry(record: &RecordRef, collision: Collision, rev: Rev, now: Timestamp) -> State {
    let Collision { path, base, lost, kept } = collision;
    let id = entry_id(record, &path, &lost.writer);
    let entry = ConflictEntry {
        record: record.clone(),
        path,
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

/// The id of an entry: the same for whoever writes it down, and whenever.
pub fn entry_id(record: &RecordRef, path: &str, loser: &Writer) -> RecordId {
    let hex: String =
        Sha256::digest(hashed(record, path, loser))[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    RecordId::new(format!("c-{hex}")).expect("hexadecimal is an id")
}

/// The text that the id is a hash of.
fn hashed(record: &RecordRef, path: &str, loser: &Writer) -> Vec<u8> {
    let mutation = loser.mutation_id.as_ref().map(|id| id.as_str());
    let rev = loser.rev.as_ref().map(|rev| rev.as_str());
    let mut text = Vec::new();
    canonical::write(
        &json!([record.type_name.as_str(), record.id.as_str(), path, mutation.or(rev).unwrap_or_default()]),
        &mut text,
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by a program in another language, from the chapter alone.
    const VECTORS: &str = include_str!("../../../fixtures/vectors/conflicts/ids.json");

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        title: String,
        record: RecordRef,
        path: String,
        lost_by: Writer,
        canonical: String,
        id: RecordId,
    }

    #[test]
    fn ids_are_as_the_chapter_says() {
        let cases: Vec<Case> = serde_json::from_str(VECTORS).unwrap();
        assert!(!cases.is_empty());
        for Case { title, record, path, lost_by, canonical, id } in cases {
            assert_eq!(String::from_utf8(hashed(&record, &path, &lost_by)).unwrap(), canonical, "{title}");
            assert_eq!(entry_id(&record, &path, &lost_by), id, "{title}");
        }
    }
}
