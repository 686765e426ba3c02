//! How a state and a data set stand in their rows.

use super::Failure;
use fieldsync_core::epoch::{Begun, Epochs};
use fieldsync_core::scope::Label;
use fieldsync_core::store::{DataSetName, DataSetRow, State};
use fieldsync_schemas::domain::Domain;
use fieldsync_schemas::id::{Epoch, FeedName, ReplicaId, Rev, TypeName, Version};
use fieldsync_schemas::problem::EpochCause;
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Params, Row};
use std::collections::HashMap;
use std::sync::Arc;

/// The columns that [`state`] reads, of `rows` or `history` joined with `feeds`.
pub(super) const STATE: &str = "feeds.name, s.type, s.id, s.rev, s.version, s.modified_at, s.accepted_at, s.replica, \
     s.deleted, s.content, s.json, s.label";

pub(super) fn state(row: &Row<'_>) -> Result<State, Failure> {
    Ok(State {
        feed: FeedName::new(row.get::<_, String>(0)?)?,
        record: RecordRef {
            type_name: TypeName::new(row.get::<_, String>(1)?)?,
            id: row.get::<_, String>(2)?.parse()?,
        },
        rev: Rev::new(row.get::<_, String>(3)?)?,
        version: Version::new(row.get(4)?)?,
        modified_at: Timestamp::from_millis(row.get(5)?),
        accepted_at: Timestamp::from_millis(row.get(6)?),
        replica: row.get::<_, Option<String>>(7)?.map(ReplicaId::new).transpose()?,
        deleted: row.get(8)?,
        content: row.get(9)?,
        json: text(row, 10)?,
        label: label(row, 11)?,
        about: None,
    })
}

pub(super) fn text(row: &Row<'_>, column: usize) -> Result<Arc<str>, Failure> {
    Ok(Arc::from(row.get_ref(column)?.as_str()?))
}

/// A label that the server wrote.
pub(super) fn label(row: &Row<'_>, column: usize) -> Result<Option<Label>, Failure> {
    let Some(text) = row.get_ref(column)?.as_str_or_null()? else { return Ok(None) };
    Label::from_text(text).map(Some).ok_or_else(|| format!("{text:?} is no label").into())
}

/// How the subject of an entry of the conflict log stands in its row.
pub(super) fn subject(record: &RecordRef) -> String {
    format!("{}/{}", record.type_name, record.id)
}

/// The key of a data set.
pub(super) fn data_set(connection: &Connection, name: &DataSetName) -> Result<i64, Failure> {
    connection
        .prepare_cached("SELECT id FROM data_sets WHERE name = ?1")?
        .query_row([&name.0], |row| row.get(0))
        .optional()?
        .ok_or_else(|| format!("there is no data set {:?}", name.0).into())
}

/// Every data set.
pub(super) fn data_sets(connection: &Connection) -> Result<Vec<DataSetRow>, Failure> {
    select(connection, "ORDER BY id", [])
}

/// One data set.
pub(super) fn data_set_row(connection: &Connection, name: &DataSetName) -> Result<DataSetRow, Failure> {
    let found = select(connection, "WHERE name = ?1", [&name.0])?.pop();
    found.ok_or_else(|| format!("there is no data set {:?}", name.0).into())
}

fn select(connection: &Connection, which: &str, values: impl Params) -> Result<Vec<DataSetRow>, Failure> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT name, domain, accepted_seq, backed_up_seq, clock_offset_ms, id FROM data_sets {which}"
    ))?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    // Many data sets may host one domain, which is read once.
    let mut domains: HashMap<String, Arc<Domain>> = HashMap::new();
    while let Some(row) = rows.next()? {
        let text = row.get_ref(1)?.as_str()?;
        let domain = match domains.get(text) {
            Some(domain) => domain.clone(),
            None => domains.entry(text.to_owned()).or_insert(Arc::new(serde_json::from_str(text)?)).clone(),
        };
        found.push(DataSetRow {
            name: DataSetName(row.get(0)?),
            domain,
            accepted_seq: row.get(2)?,
            backed_up_seq: row.get(3)?,
            clock_offset_ms: row.get(4)?,
            epochs: epochs(connection, row.get(5)?)?,
        });
    }
    Ok(found)
}

/// The present epoch of each data set, and the last batch of it that is in a backup.
pub(super) fn backed_up(connection: &Connection) -> Result<Vec<(DataSetName, Epoch, u64)>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT d.name, e.epoch, d.backed_up_seq, MAX(e.number) FROM data_sets d JOIN epochs e ON e.data_set = d.id \
         GROUP BY d.id",
    )?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((DataSetName(row.get(0)?), Epoch::new(row.get::<_, String>(1)?)?, row.get(2)?));
    }
    Ok(found)
}

/// The epochs of a data set.
fn epochs(connection: &Connection, data_set: i64) -> Result<Epochs, Failure> {
    let mut statement =
        connection.prepare_cached("SELECT epoch, cause FROM epochs WHERE data_set = ?1 ORDER BY number")?;
    let mut rows = statement.query([data_set])?;
    let mut begun = Vec::new();
    while let Some(row) = rows.next()? {
        let cause = row.get::<_, Option<String>>(1)?.map(|cause| EpochCause::from(cause.as_str()));
        begun.push(Begun { epoch: Epoch::new(row.get::<_, String>(0)?)?, cause });
    }
    Epochs::restore(begun).ok_or_else(|| "the data set has no epoch".into())
}

/// Stores the epochs of a data set in the place of those that it had.
pub(super) fn put_epochs(connection: &Connection, data_set: i64, epochs: &Epochs) -> Result<(), Failure> {
    connection.prepare_cached("DELETE FROM epochs WHERE data_set = ?1")?.execute([data_set])?;
    let mut insert = connection.prepare_cached("INSERT INTO epochs VALUES (?1, ?2, ?3, ?4)")?;
    for (number, begun) in (1..).zip(epochs.all()) {
        let cause = begun.cause.as_ref().map(EpochCause::as_str);
        insert.execute((data_set, number, begun.epoch.as_str(), cause))?;
    }
    Ok(())
}

/// The key of a feed, which is made where the feed is new.
pub(super) fn feed(connection: &Connection, data_set: i64, name: &FeedName) -> Result<i64, Failure> {
    let known = connection
        .prepare_cached("SELECT id FROM feeds WHERE data_set = ?1 AND name = ?2")?
        .query_row((data_set, name.as_str()), |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    connection
        .prepare_cached("INSERT INTO feeds (data_set, name, last, horizon) VALUES (?1, ?2, 0, 0)")?
        .execute((data_set, name.as_str()))?;
    Ok(connection.last_insert_rowid())
}
