//! What the server keeps of files, in its database: uploads, whose each file is, and which records refer to it.
//!
//! The tables are made when the database is opened, so that one from before them gets them, too.

use super::commit::Places;
use super::{Failure, SqliteStore, rows};
use async_trait::async_trait;
use fieldsync_core::attachment::{AttachmentStore, Blob, RecordFiles, Upload, with_file};
use fieldsync_core::store::{DataSetName, StoreError};
use fieldsync_schemas::attachment::UploadProtocol;
use fieldsync_schemas::id::{AttachmentId, Principal, UploadId};
use fieldsync_schemas::record::AttachmentState;
use fieldsync_schemas::time::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashSet;

pub(super) const TABLES: &str = include_str!("attachments.sql");

#[async_trait]
impl AttachmentStore for SqliteStore {
    async fn open_to(
        &self,
        data_set: &DataSetName,
        principal: &Principal,
        id: &AttachmentId,
    ) -> Result<Option<Blob>, StoreError> {
        self.readers
            .few("look for a file", |connection| {
                let data_set = rows::data_set(connection, data_set)?;
                open_to(connection, data_set, principal, id)
            })
            .await
    }

    async fn put_upload(&self, data_set: &DataSetName, upload: &Upload) -> Result<(), StoreError> {
        let (data_set, upload) = (data_set.clone(), upload.clone());
        self.writer
            .run("begin an upload", move |connection| {
                let Upload { id, principal, attachment, protocol, expires_at } = &upload;
                connection.prepare_cached("INSERT INTO slots VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute((
                    rows::data_set(connection, &data_set)?,
                    id.as_str(),
                    principal.as_str(),
                    serde_json::to_string(attachment)?,
                    protocol.as_str(),
                    expires_at.as_millis(),
                ))?;
                Ok(())
            })
            .await
    }

    async fn upload(&self, data_set: &DataSetName, id: &UploadId) -> Result<Option<Upload>, StoreError> {
        self.readers
            .few("look for an upload", |connection| {
                let data_set = rows::data_set(connection, data_set)?;
                let mut statement = connection.prepare_cached(
                    "SELECT principal, attachment, protocol, expires_at FROM slots WHERE data_set = ?1 AND id = ?2",
                )?;
                let mut found = statement.query((data_set, id.as_str()))?;
                let Some(row) = found.next()? else { return Ok(None) };
                Ok(Some(Upload {
                    id: id.clone(),
                    principal: Principal::new(row.get::<_, String>(0)?)?,
                    attachment: serde_json::from_str(row.get_ref(1)?.as_str()?)?,
                    protocol: UploadProtocol::from(row.get_ref(2)?.as_str()?),
                    expires_at: Timestamp::from_millis(row.get(3)?),
                }))
            })
            .await
    }

    async fn arrive(
        &self,
        data_set: &DataSetName,
        principal: &Principal,
        id: &AttachmentId,
        blob: &Blob,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (data_set, principal, id, blob) = (data_set.clone(), principal.clone(), id.clone(), blob.clone());
        self.writer
            .run("take in a file", move |connection| {
                let data_set = rows::data_set(connection, &data_set)?;
                connection
                    .prepare_cached(
                        "INSERT INTO blobs VALUES (?1, ?2, ?3, ?4, ?5) \
                         ON CONFLICT DO UPDATE SET offered_at = MAX(offered_at, ?5)",
                    )?
                    .execute((data_set, id.as_str(), blob.bytes, &blob.media_type, now.as_millis()))?;
                connection.prepare_cached("INSERT OR IGNORE INTO owners VALUES (?1, ?2, ?3)")?.execute((
                    data_set,
                    id.as_str(),
                    principal.as_str(),
                ))?;
                connection.prepare_cached("DELETE FROM condemned WHERE id = ?1")?.execute([id.as_str()])?;
                publish_arrival(connection, data_set, &principal, &id)
            })
            .await
    }

    async fn collect(&self, data_set: &DataSetName, before: Timestamp) -> Result<Vec<AttachmentId>, StoreError> {
        let data_set = data_set.clone();
        self.writer
            .run("collect files that nothing refers to", move |connection| {
                let data_set = rows::data_set(connection, &data_set)?;
                let mut statement = connection.prepare_cached(
                    "SELECT id FROM blobs b WHERE data_set = ?1 AND offered_at < ?2 AND NOT EXISTS \
                     (SELECT 1 FROM file_links l WHERE l.data_set = ?1 AND l.id = b.id)",
                )?;
                let ids = statement.query_map((data_set, before.as_millis()), |row| row.get::<_, String>(0))?;
                for id in ids.collect::<Result<Vec<_>, _>>()? {
                    connection.execute("DELETE FROM blobs WHERE data_set = ?1 AND id = ?2", (data_set, &id))?;
                    connection.execute("DELETE FROM owners WHERE data_set = ?1 AND id = ?2", (data_set, &id))?;
                    connection.execute("INSERT OR IGNORE INTO condemned VALUES (?1)", [&id])?;
                }
                condemned(connection)
            })
            .await
    }

    async fn condemned(&self) -> Result<Vec<AttachmentId>, StoreError> {
        self.readers.few("look for files whose bytes are to be deleted", condemned).await
    }

    async fn buried(&self, ids: &[AttachmentId]) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        self.writer
            .run("note that the bytes of files are deleted", move |connection| {
                let mut bury = connection.prepare_cached("DELETE FROM condemned WHERE id = ?1")?;
                ids.iter().try_for_each(|id| bury.execute([id.as_str()]).map(drop).map_err(Failure::from))
            })
            .await
    }

    async fn expire(&self, data_set: &DataSetName, now: Timestamp) -> Result<Vec<UploadId>, StoreError> {
        let data_set = data_set.clone();
        self.writer
            .run("forget expired uploads", move |connection| {
                let data_set = rows::data_set(connection, &data_set)?;
                let mut statement = connection
                    .prepare_cached("DELETE FROM slots WHERE data_set = ?1 AND expires_at < ?2 RETURNING id")?;
                let ids = statement.query_map((data_set, now.as_millis()), |row| row.get::<_, String>(0))?;
                ids.map(|id| Ok(UploadId::new(id?)?)).collect()
            })
            .await
    }
}

/// What is condemned and in no data set. A file that another data set has stays.
fn condemned(connection: &Connection) -> Result<Vec<AttachmentId>, Failure> {
    let mut statement = connection
        .prepare_cached("SELECT id FROM condemned c WHERE NOT EXISTS (SELECT 1 FROM blobs b WHERE b.id = c.id)")?;
    let ids = statement.query_map([], |row| row.get::<_, String>(0))?;
    ids.map(|id| Ok(AttachmentId::new(id?)?)).collect()
}

/// The file, where it is there and open to the principal: who uploaded it, or sees a record that refers to it.
pub(super) fn open_to(
    connection: &Connection,
    data_set: i64,
    principal: &Principal,
    id: &AttachmentId,
) -> Result<Option<Blob>, Failure> {
    let found = connection
        .prepare_cached(
            "SELECT bytes, media_type FROM blobs b WHERE data_set = ?1 AND id = ?2 AND (\
             EXISTS (SELECT 1 FROM owners o WHERE o.data_set = ?1 AND o.id = ?2 AND o.principal = ?3) OR \
             EXISTS (SELECT 1 FROM file_links l JOIN rows r USING (data_set, type) \
                     WHERE l.data_set = ?1 AND l.id = ?2 AND l.stored = 1 AND r.id = l.record AND (r.label IS NULL OR \
                     NOT EXISTS (SELECT 1 FROM scopes WHERE data_set = ?1 AND user = ?3 AND places IS NOT NULL) OR \
                     EXISTS (SELECT 1 FROM seen WHERE data_set = ?1 AND user = ?3 AND label = r.label))))",
        )?
        .query_row((data_set, id.as_str(), principal.as_str()), |row| {
            Ok(Blob { bytes: row.get(0)?, media_type: row.get(1)? })
        })
        .optional()?;
    Ok(found)
}

/// The records into which the principal put the file, and which wait for it, at new places of their feeds.
fn publish_arrival(
    connection: &Connection,
    data_set: i64,
    principal: &Principal,
    id: &AttachmentId,
) -> Result<(), Failure> {
    let mut statement = connection.prepare_cached(
        "UPDATE file_links SET stored = 1 WHERE data_set = ?1 AND id = ?2 AND principal = ?3 AND stored = 0 \
         RETURNING type, record",
    )?;
    let waiting = statement.query_map((data_set, id.as_str(), principal.as_str()), |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    let waiting = waiting.collect::<Result<Vec<_>, _>>()?;
    if waiting.is_empty() {
        return Ok(());
    }
    let mut places = Places::take_up(connection)?;
    for (type_name, record) in waiting {
        let found: Option<(i64, i64, String)> = connection
            .prepare_cached("SELECT place, feed, json FROM rows WHERE data_set = ?1 AND type = ?2 AND id = ?3")?
            .query_row((data_set, &type_name, &record), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((place, feed, json)) = found else { continue };
        let Some(json) = with_file(&json, id, AttachmentState::Stored) else { continue };
        let next = places.next();
        connection
            .prepare_cached("UPDATE rows SET place = ?2, json = ?3 WHERE place = ?1")?
            .execute((place, next, json))?;
        connection.prepare_cached("UPDATE feeds SET last = ?2 WHERE id = ?1")?.execute((feed, next))?;
    }
    places.lay_down(connection)
}

/// Lets the files of records stand as they are there, after the records came out of a backup: bytes are in none. A file
/// that came since then is there, one that is lost is awaited again.
pub(super) fn stand_anew(connection: &Connection, data_set: i64) -> Result<(), Failure> {
    let mut statement = connection.prepare(
        "SELECT type, record, id, stored, EXISTS (SELECT 1 FROM blobs b WHERE b.data_set = ?1 AND b.id = l.id), \
         EXISTS (SELECT 1 FROM owners o WHERE o.data_set = ?1 AND o.id = l.id AND o.principal = l.principal) \
         FROM file_links l WHERE data_set = ?1",
    )?;
    let mut found = statement.query([data_set])?;
    while let Some(row) = found.next()? {
        let (type_name, record, id): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (stood, is_there, is_the_writers): (bool, bool, bool) = (row.get(3)?, row.get(4)?, row.get(5)?);
        let stands = is_there && (stood || is_the_writers);
        if stands == stood {
            continue;
        }
        connection
            .prepare_cached(
                "UPDATE file_links SET stored = ?5 WHERE data_set = ?1 AND id = ?2 AND type = ?3 AND record = ?4",
            )?
            .execute((data_set, &id, &type_name, &record, stands))?;
        let row: Option<(i64, String)> = connection
            .prepare_cached("SELECT place, json FROM rows WHERE data_set = ?1 AND type = ?2 AND id = ?3")?
            .query_row((data_set, &type_name, &record), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let state = if stands { AttachmentState::Stored } else { AttachmentState::Awaiting };
        let changed = row.and_then(|(place, json)| Some((place, with_file(&json, &id.parse().ok()?, state)?)));
        if let Some((place, json)) = changed {
            connection.prepare_cached("UPDATE rows SET json = ?2 WHERE place = ?1")?.execute((place, json))?;
        }
    }
    Ok(())
}

/// The grace of all files that records of the data set refer to counts from now.
pub(super) fn let_go(connection: &Connection, data_set: i64, now: Timestamp) -> Result<(), Failure> {
    connection.execute(
        "UPDATE blobs SET offered_at = MAX(offered_at, ?2) WHERE data_set = ?1 AND EXISTS \
         (SELECT 1 FROM file_links l WHERE l.data_set = ?1 AND l.id = blobs.id)",
        (data_set, now.as_millis()),
    )?;
    Ok(())
}

/// Which files a record refers to now. Who put one there stays the same as long as it is there.
pub(super) fn put_links(
    connection: &Connection,
    data_set: i64,
    principal: &Principal,
    links: &RecordFiles,
    now: Timestamp,
) -> Result<(), Failure> {
    let (type_name, record) = (links.record.type_name.as_str(), links.record.id.as_str());
    let wanted: HashSet<&str> = links.attachments.iter().map(|attachment| attachment.id.as_str()).collect();
    let mut statement =
        connection.prepare_cached("SELECT id FROM file_links WHERE data_set = ?1 AND type = ?2 AND record = ?3")?;
    let known = statement.query_map((data_set, type_name, record), |row| row.get::<_, String>(0))?;
    for id in known.collect::<Result<Vec<_>, _>>()?.iter().filter(|id| !wanted.contains(id.as_str())) {
        connection
            .prepare_cached("DELETE FROM file_links WHERE data_set = ?1 AND id = ?2 AND type = ?3 AND record = ?4")?
            .execute((data_set, id, type_name, record))?;
        // The grace counts from here.
        connection
            .prepare_cached("UPDATE blobs SET offered_at = MAX(offered_at, ?3) WHERE data_set = ?1 AND id = ?2")?
            .execute((data_set, id, now.as_millis()))?;
    }
    let mut insert = connection.prepare_cached("INSERT OR IGNORE INTO file_links VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for attachment in &links.attachments {
        let stored = attachment.state == Some(AttachmentState::Stored);
        insert.execute((data_set, attachment.id.as_str(), type_name, record, principal.as_str(), stored))?;
    }
    Ok(())
}
