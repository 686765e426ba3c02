//! Links: where the files of records are, and records that are published with it once more.
//!
//! Chapter: links.

use super::Failure;
use fieldsync_core::store::{Loaded, RecordLink, State, Touched};
use fieldsync_schemas::id::AttachmentId;
use rusqlite::Connection;

/// Where the files of these records are.
pub(super) fn load(
    connection: &Connection,
    data_set: i64,
    touched: &Touched,
    loaded: &mut Loaded,
) -> Result<(), Failure> {
    let mut known = connection
        .prepare_cached("SELECT id, url FROM record_links WHERE data_set = ?1 AND type = ?2 AND record = ?3")?;
    for record in &touched.linked {
        let mut found = known.query((data_set, record.type_name.as_str(), record.id.as_str()))?;
        while let Some(row) = found.next()? {
            let id = AttachmentId::new(row.get::<_, String>(0)?)?;
            loaded.links.entry(record.clone()).or_default().insert(id, row.get(1)?);
        }
    }
    Ok(())
}

pub(super) fn put(connection: &Connection, data_set: i64, link: &RecordLink) -> Result<(), Failure> {
    let RecordLink { record, attachment, url, .. } = link;
    connection.prepare_cached("INSERT OR REPLACE INTO record_links VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
        data_set,
        record.type_name.as_str(),
        record.id.as_str(),
        attachment.as_str(),
        url,
    ))?;
    Ok(())
}

/// The same state of a record, at a new place of its feed.
pub(super) fn publish(connection: &Connection, data_set: i64, state: &State, place: i64) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "UPDATE rows SET place = ?4, json = ?5, content = ?6 WHERE data_set = ?1 AND type = ?2 AND id = ?3",
        )?
        .execute((
            data_set,
            state.record.type_name.as_str(),
            state.record.id.as_str(),
            place,
            &*state.json,
            state.content,
        ))?;
    Ok(())
}

/// What is known of records that are no longer there goes.
pub(super) fn forget(connection: &Connection, data_set: i64) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "DELETE FROM record_links AS l WHERE data_set = ?1 AND NOT EXISTS \
             (SELECT 1 FROM rows r WHERE r.data_set = ?1 AND r.type = l.type AND r.id = l.record)",
        )?
        .execute([data_set])?;
    Ok(())
}
