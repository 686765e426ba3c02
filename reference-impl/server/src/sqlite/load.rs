//! Loads what a batch touches.

use super::rows::{self, STATE};
use super::{Failure, attachments, links, record_links, scope};
use fieldsync_core::store::{Decided, Loaded, ReplicaRow, Touched};
use fieldsync_schemas::id::{BatchToken, Seq};
use rusqlite::Connection;

/// To be called within a transaction, so that all is seen at one moment.
pub(super) fn load(connection: &Connection, touched: &[Touched]) -> Result<Vec<Loaded>, Failure> {
    touched.iter().map(|touched| load_one(connection, touched)).collect()
}

fn load_one(connection: &Connection, touched: &Touched) -> Result<Loaded, Failure> {
    let data_set = rows::data_set(connection, &touched.data_set)?;
    let principal = touched.principal.as_str();
    let mut loaded = Loaded {
        replica: replica(connection, data_set, touched)?,
        scope: scope::scope(connection, data_set, &touched.principal)?,
        ..Loaded::default()
    };
    let mut states = connection.prepare_cached(&format!(
        "SELECT {STATE} FROM rows s JOIN feeds ON feeds.id = s.feed WHERE s.data_set = ?1 AND s.type = ?2 AND s.id = ?3"
    ))?;
    for record in &touched.records {
        let mut found = states.query((data_set, record.type_name.as_str(), record.id.as_str()))?;
        if let Some(row) = found.next()? {
            loaded.states.insert(record.clone(), rows::state(row)?);
        }
    }
    let mut bases = connection.prepare_cached(&format!(
        "SELECT {STATE} FROM history s JOIN feeds ON feeds.id = s.feed WHERE s.data_set = ?1 AND s.rev = ?2"
    ))?;
    for rev in &touched.bases {
        let mut found = bases.query((data_set, rev.as_str()))?;
        if let Some(row) = found.next()? {
            loaded.bases.insert(rev.clone(), rows::state(row)?);
        }
    }
    let mut decided = connection.prepare_cached(
        "SELECT d.content, d.outcome, feeds.name FROM decided d LEFT JOIN feeds ON feeds.id = d.feed \
         WHERE d.data_set = ?1 AND d.principal = ?2 AND d.mutation_id = ?3",
    )?;
    for mutation_id in &touched.mutations {
        let mut found = decided.query((data_set, principal, mutation_id.as_str()))?;
        if let Some(row) = found.next()? {
            let decided = Decided {
                mutation_id: mutation_id.clone(),
                content: row.get(0)?,
                outcome: rows::text(row, 1)?,
                feed: row.get::<_, Option<String>>(2)?.map(|name| name.parse()).transpose()?,
            };
            loaded.decided.insert(mutation_id.clone(), decided);
        }
    }
    for id in &touched.attachments {
        if attachments::open_to(connection, data_set, &touched.principal, id)?.is_some() {
            loaded.open.insert(id.clone());
        }
    }
    let mut drawn =
        connection.prepare_cached("SELECT last FROM sequences WHERE data_set = ?1 AND type = ?2 AND member = ?3")?;
    for name in &touched.sequences {
        let mut found = drawn.query((data_set, name.type_name.as_str(), &name.member))?;
        if let Some(row) = found.next()? {
            loaded.drawn.insert(name.clone(), row.get(0)?);
        }
    }
    record_links::load(connection, data_set, touched, &mut loaded)?;
    links::load_parents(connection, data_set, &touched.parents, &mut loaded)?;
    links::load_families(connection, data_set, &touched.families, &mut loaded)?;
    Ok(loaded)
}

fn replica(connection: &Connection, data_set: i64, touched: &Touched) -> Result<Option<ReplicaRow>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, token, body, answer FROM replicas WHERE data_set = ?1 AND principal = ?2 AND replica = ?3",
    )?;
    let mut found = statement.query((data_set, touched.principal.as_str(), touched.replica.as_str()))?;
    let Some(row) = found.next()? else { return Ok(None) };
    Ok(Some(ReplicaRow {
        replica: touched.replica.clone(),
        seq: Seq::new(row.get(0)?)?,
        token: BatchToken::new(row.get::<_, String>(1)?)?,
        body: row.get(2)?,
        answer: rows::text(row, 3)?,
    }))
}
