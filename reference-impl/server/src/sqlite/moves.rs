//! Records that left a feed for another one of their type, because the value changed by which the feeds are told apart.
//!
//! One row for each feed that a record was in and is not in now. It is given to whoever sees the record where it is; who
//! no longer sees it, but did, is told by it, too, unless the shift that says so is in the same feed.

use super::commit::Places;
use super::{Failure, rows, seen::View};
use fieldsync_core::cursor::Point;
use fieldsync_core::partition;
use fieldsync_core::store::{Place, Row, RowKind};
use fieldsync_schemas::domain::Domain;
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::record::Record;
use fieldsync_schemas::registry::TypeEntry;
use rusqlite::Connection;

/// A record is no longer in this feed, from this place on.
pub(super) fn leave(
    connection: &Connection,
    data_set: i64,
    feed: i64,
    record: &RecordRef,
    place: i64,
) -> Result<(), Failure> {
    connection.prepare_cached("INSERT OR REPLACE INTO moves VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
        place,
        data_set,
        feed,
        record.type_name.as_str(),
        record.id.as_str(),
    ))?;
    connection.prepare_cached("UPDATE feeds SET last = MAX(last, ?2) WHERE id = ?1")?.execute((feed, place))?;
    Ok(())
}

/// A record is in this feed again.
pub(super) fn come_back(connection: &Connection, data_set: i64, feed: i64, record: &RecordRef) -> Result<(), Failure> {
    connection
        .prepare_cached("DELETE FROM moves WHERE data_set = ?1 AND type = ?2 AND id = ?3 AND feed = ?4")?
        .execute((data_set, record.type_name.as_str(), record.id.as_str(), feed))?;
    Ok(())
}

/// Puts the records of types whose feeds are told apart in another way than before where they belong.
pub(super) fn feed_anew(
    connection: &Connection,
    data_set: i64,
    before: &Domain,
    after: &Domain,
    places: &mut Places,
) -> Result<(), Failure> {
    let is_as_before = |entry: &TypeEntry| {
        let known = before.types.iter().find(|known| known.name == entry.name);
        known.is_none_or(|known| (&known.feed, &known.partition) == (&entry.feed, &entry.partition))
    };
    for entry in after.types.iter().filter(|entry| !is_as_before(entry)) {
        let mut statement = connection
            .prepare_cached("SELECT place, feed, json FROM rows WHERE data_set = ?1 AND type = ?2 ORDER BY place")?;
        let rows = statement.query_map((data_set, entry.name.as_str()), |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
        })?;
        for (old_place, from, json) in rows.collect::<Result<Vec<_>, _>>()? {
            let record: Record = serde_json::from_str(&json)?;
            let to = rows::feed(connection, data_set, &partition::feed(entry, record.data.as_deref()))?;
            if to == from {
                continue;
            }
            let record = RecordRef { type_name: record.type_name, id: record.id };
            let place = places.next();
            connection
                .prepare_cached("UPDATE rows SET place = ?2, feed = ?3 WHERE place = ?1")?
                .execute((old_place, place, to))?;
            connection.prepare_cached("UPDATE feeds SET last = MAX(last, ?2) WHERE id = ?1")?.execute((to, place))?;
            leave(connection, data_set, from, &record, places.next())?;
            come_back(connection, data_set, to, &record)?;
        }
    }
    Ok(())
}

/// The next records that left a feed, after a point, at most `limit`.
pub(super) fn page(
    connection: &Connection,
    feed: i64,
    part: Option<&View>,
    after: Point,
    limit: u64,
) -> Result<Vec<Row>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT m.place, m.type, m.id, f.name, r.label, EXISTS (\
             SELECT 1 FROM shifts s WHERE s.data_set = m.data_set AND s.user = ?3 AND s.label = COALESCE(r.label, '') \
             AND s.type = m.type AND s.id = m.id AND s.leaves AND s.feed <> m.feed) \
         FROM moves m LEFT JOIN rows r ON r.data_set = m.data_set AND r.type = m.type AND r.id = m.id \
         LEFT JOIN feeds f ON f.id = r.feed WHERE m.feed = ?1 AND m.place > ?2 ORDER BY m.place",
    )?;
    let from = after.place.max(after.cleared);
    let mut found = statement.query((feed, from.0, part.map_or("", |view| view.user.as_str())))?;
    let mut page = Vec::new();
    while let Some(row) = found.next()?.filter(|_| (page.len() as u64) < limit) {
        let now: Option<String> = row.get(3)?;
        let label = row.get_ref(4)?.as_str_or_null()?;
        let is_seen = part.is_none_or(|view| now.is_some() && view.what.holds(label));
        let was_seen: bool = row.get(5)?;
        if !is_seen && !was_seen {
            continue;
        }
        let to = now.filter(|_| is_seen).map(|name| name.parse()).transpose()?;
        let record = RecordRef { type_name: row.get::<_, String>(1)?.parse()?, id: row.get::<_, String>(2)?.parse()? };
        let json = serde_json::to_string(&record)?.into();
        page.push(Row { place: Place(row.get(0)?), kind: RowKind::Remove, json, to });
    }
    Ok(page)
}

/// The keys of a feed and of the parts of it.
pub(super) fn family(connection: &Connection, data_set: i64, name: &str) -> Result<Vec<i64>, Failure> {
    let mut statement = connection
        .prepare_cached("SELECT id FROM feeds WHERE data_set = ?1 AND name >= ?2 || '/' AND name < ?2 || '0'")?;
    let parts = statement.query_map((data_set, name), |row| row.get(0))?;
    let mut family: Vec<i64> = parts.collect::<Result<_, _>>()?;
    family.push(rows::feed(connection, data_set, &name.parse()?)?);
    Ok(family)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::domain_from_yaml;
    use crate::sqlite::SqliteStore;
    use fieldsync_core::scope::Sight;
    use fieldsync_core::store::{DataSetName, DataSetRow, State, Store};
    use fieldsync_schemas::id::{Epoch, FeedName};
    use serde_json::json;

    const BEFORE: &str = "name: d\nprofile: entity-queue\ntypes:\n  - {name: encounter, class: transactional, merge: {policy: arrival-wins}}\n";

    #[tokio::test]
    async fn a_type_that_is_partitioned_later_has_its_records_in_their_feeds() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path()).unwrap();
        let name = DataSetName("d".to_owned());
        let domain = domain_from_yaml(BEFORE).unwrap();
        let states = [("first", json!({"kind": "anc"})), ("bare", json!({"days": 1}))].map(|(id, data)| {
            let record = RecordRef { type_name: "encounter".parse().unwrap(), id: id.parse().unwrap() };
            let data = serde_json::value::to_raw_value(&data).unwrap();
            State::by_server(record, "encounter".parse().unwrap(), format!("r-{id}").parse().unwrap(), data, now())
        });
        let row = DataSetRow::new(name.clone(), domain, Epoch::new("e-1").unwrap());
        store.put_data_set(&row, states.to_vec()).await.unwrap();

        let after = BEFORE.replace("merge", "partition: kind, requires: [partitions], merge");
        let row = DataSetRow { domain: domain_from_yaml(&after).unwrap().into(), ..row };
        store.put_data_set(&row, Vec::new()).await.unwrap();

        let mut snapshot = store.snapshot(&name, &"amina".parse().unwrap()).await.unwrap();
        let begin = Point { place: Place(0), cleared: Place(0) };
        let mut found: Vec<Vec<String>> = Vec::new();
        for feed in ["encounter", "encounter/anc"] {
            let feed: FeedName = feed.parse().unwrap();
            let rows = snapshot.page(&feed, Sight::Everything, begin, 10).await.unwrap();
            found.push(
                rows.iter().map(|row| serde_json::from_str::<Record>(&row.json).unwrap().id.to_string()).collect(),
            );
        }
        assert_eq!(found, [vec!["bare".to_owned()], vec!["first".to_owned()]]);
        let moved = snapshot.moved(&"encounter".parse().unwrap(), Sight::Everything, begin, 10).await.unwrap();
        assert_eq!(
            moved.iter().map(|row| row.to.clone()).collect::<Vec<_>>(),
            [Some("encounter/anc".parse().unwrap())]
        );

        let place = moved[0].place;
        drop(snapshot);
        let mut deleted = states[0].clone();
        (deleted.deleted, deleted.feed, deleted.rev) = (true, "encounter/anc".parse().unwrap(), "r-2".parse().unwrap());
        store.rescope(&name, vec![deleted], Vec::new()).await.unwrap();
        let later = fieldsync_schemas::time::Timestamp::from_millis(1);
        store.forget(&name, &"encounter".parse().unwrap(), later).await.unwrap();
        let mut snapshot = store.snapshot(&name, &"amina".parse().unwrap()).await.unwrap();
        let left: FeedName = "encounter".parse().unwrap();
        assert_eq!(snapshot.heads().await.unwrap()[&left].horizon, place);
        assert!(
            snapshot.moved(&left, Sight::Everything, begin, 10).await.unwrap().is_empty(),
            "a purged record is not said to have left"
        );
    }

    fn now() -> fieldsync_schemas::time::Timestamp {
        fieldsync_schemas::time::Timestamp::from_millis(0)
    }
}
