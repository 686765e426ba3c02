//! Who refers to whom: an index over the live records of types with parents.

use super::Failure;
use super::rows::{self, STATE};
use fieldsync_core::store::{Families, Link, Loaded, Standing};
use fieldsync_schemas::domain::Domain;
use fieldsync_schemas::id::{RecordId, TypeName};
use fieldsync_schemas::pull::RecordRef;
use rusqlite::Connection;

/// How these records stand.
pub(super) fn load_parents(
    connection: &Connection,
    data_set: i64,
    parents: &[RecordRef],
    loaded: &mut Loaded,
) -> Result<(), Failure> {
    let mut statement =
        connection.prepare_cached("SELECT deleted, label FROM rows WHERE data_set = ?1 AND type = ?2 AND id = ?3")?;
    for parent in parents {
        if loaded.parents.contains_key(parent) {
            continue;
        }
        let mut found = statement.query((data_set, parent.type_name.as_str(), parent.id.as_str()))?;
        if let Some(row) = found.next()? {
            let standing = if row.get(0)? { Standing::Deleted } else { Standing::Live };
            loaded.parents.insert(parent.clone(), standing);
            loaded.labels.extend(rows::label(row, 1)?.map(|label| (parent.clone(), label)));
        }
    }
    Ok(())
}

/// The children of the heads, and below those that take their children along all that would go with them.
pub(super) fn load_families(
    connection: &Connection,
    data_set: i64,
    families: &Families,
    loaded: &mut Loaded,
) -> Result<(), Failure> {
    for head in &families.heads {
        let mut room = families.most;
        let mut waiting = vec![head.clone()];
        while let Some(parent) = waiting.pop() {
            if room == 0 || loaded.children.contains_key(&parent) {
                continue;
            }
            let children = children(connection, data_set, &parent, room, loaded)?;
            room -= children.len();
            if families.takes_along.contains(&parent.type_name) {
                for child in &children {
                    load_state(connection, data_set, child, loaded)?;
                }
                waiting.extend(children.iter().cloned());
            }
            loaded.children.insert(parent, children);
        }
    }
    Ok(())
}

fn children(
    connection: &Connection,
    data_set: i64,
    parent: &RecordRef,
    most: usize,
    loaded: &mut Loaded,
) -> Result<Vec<RecordRef>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT l.type, l.id, r.label FROM links l \
         JOIN rows r ON r.data_set = l.data_set AND r.type = l.type AND r.id = l.id \
         WHERE l.data_set = ?1 AND l.parent_type = ?2 AND l.parent = ?3 LIMIT ?4",
    )?;
    let mut found = statement.query((data_set, parent.type_name.as_str(), parent.id.as_str(), most))?;
    let mut children = Vec::new();
    while let Some(row) = found.next()? {
        let child = RecordRef {
            type_name: TypeName::new(row.get::<_, String>(0)?)?,
            id: RecordId::new(row.get::<_, String>(1)?)?,
        };
        loaded.labels.extend(rows::label(row, 2)?.map(|label| (child.clone(), label)));
        children.push(child);
    }
    Ok(children)
}

fn load_state(connection: &Connection, data_set: i64, record: &RecordRef, loaded: &mut Loaded) -> Result<(), Failure> {
    if loaded.states.contains_key(record) {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {STATE} FROM rows s JOIN feeds ON feeds.id = s.feed WHERE s.data_set = ?1 AND s.type = ?2 AND s.id = ?3"
    ))?;
    let mut found = statement.query((data_set, record.type_name.as_str(), record.id.as_str()))?;
    if let Some(row) = found.next()? {
        loaded.states.insert(record.clone(), rows::state(row)?);
    }
    Ok(())
}

pub(super) fn put(connection: &Connection, data_set: i64, links: &[Link]) -> Result<(), Failure> {
    if links.is_empty() {
        return Ok(());
    }
    let mut add = connection.prepare_cached("INSERT OR IGNORE INTO links VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let mut remove = connection.prepare_cached(
        "DELETE FROM links WHERE data_set = ?1 AND parent_type = ?2 AND parent = ?3 AND type = ?4 AND id = ?5",
    )?;
    for Link { parent, child, is_there } in links {
        let statement = if *is_there { &mut add } else { &mut remove };
        let (parent_type, parent) = (parent.type_name.as_str(), parent.id.as_str());
        statement.execute((data_set, parent_type, parent, child.type_name.as_str(), child.id.as_str()))?;
    }
    Ok(())
}

/// Makes the index anew, for a data set whose types refer to others than before.
pub(super) fn rebuild(connection: &Connection, data_set: i64, domain: &Domain) -> Result<(), Failure> {
    connection.execute("DELETE FROM links WHERE data_set = ?1", [data_set])?;
    for entry in &domain.types {
        for parent in &entry.parents {
            let path = format!("$.data.{}", serde_json::to_string(&parent.field)?);
            connection.execute(
                "INSERT OR IGNORE INTO links SELECT data_set, ?3, json_extract(json, ?4), type, id FROM rows \
                 WHERE data_set = ?1 AND type = ?2 AND deleted = 0 AND json_type(json, ?4) = 'text'",
                (data_set, entry.name.as_str(), parent.type_name.as_str(), path),
            )?;
        }
    }
    Ok(())
}
