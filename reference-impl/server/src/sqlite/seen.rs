//! A page for a principal who does not see everything.
//!
//! Each place of the scope is a stream of rows, in order, through the index of labels; the shifts of the principal are one
//! more. They are merged, and read no further than the page needs: what is not seen is not read.

use super::{Failure, rows};
use fieldsync_core::cursor::Point;
use fieldsync_core::store::{Place, Row, RowKind};
use fieldsync_schemas::pull::RecordRef;
use rusqlite::{CachedStatement, Connection, Rows};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

/// Whose view it is, and of what.
#[derive(Clone)]
pub(super) struct View {
    pub(super) data_set: i64,
    pub(super) feed: i64,
    pub(super) user: String,
    pub(super) what: What,
}

/// The rows of a view.
#[derive(Clone)]
pub(super) enum What {
    /// All of them, and the shifts from when it was less.
    Everything,
    /// Those at these places, and the shifts.
    Places(Arc<BTreeSet<String>>),
    /// The same, and those that everybody sees: they are looked for one by one, so the feed is to be a short one.
    PlacesAndOpen(Arc<BTreeSet<String>>),
    /// Those of the user, without shifts.
    Own(String),
}

impl What {
    /// Whether a row with this label is seen.
    pub(super) fn holds(&self, label: Option<&str>) -> bool {
        match (self, label) {
            (What::Everything, _) => true,
            (What::Places(places) | What::PlacesAndOpen(places), Some(label)) => places.contains(label),
            (What::Places(_), None) => false,
            (What::PlacesAndOpen(_), None) => true,
            (What::Own(own), label) => label == Some(own),
        }
    }
}

/// The next rows after a point, at most `limit`.
pub(super) fn page(connection: &Connection, view: &View, after: Point, limit: u64) -> Result<Vec<Row>, Failure> {
    let mut statements = Vec::new();
    match &view.what {
        What::Everything => statements.push((places(connection, "")?, None)),
        What::Own(own) => statements.push((places(connection, "AND label = ?3")?, Some(own))),
        What::Places(labels) | What::PlacesAndOpen(labels) => {
            if matches!(view.what, What::PlacesAndOpen(_)) {
                statements.push((places(connection, "AND label IS NULL")?, None));
            }
            for label in labels.iter() {
                statements.push((places(connection, "AND label = ?3")?, Some(label)));
            }
        }
    }
    let mut streams: Vec<Rows<'_>> = Vec::with_capacity(statements.len());
    for (statement, label) in &mut statements {
        streams.push(match label {
            Some(label) => statement.query((view.feed, after.place.0, label.as_str()))?,
            None => statement.query((view.feed, after.place.0))?,
        });
    }
    let mut heads: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    for (index, stream) in streams.iter_mut().enumerate() {
        heads.extend(head(stream, index)?);
    }
    let mut shifts = Shifts { connection, view, cleared: after.cleared, reached: after.place, next: None };
    shifts.advance()?;
    let mut row_at = connection.prepare_cached("SELECT type, id, deleted, json, label FROM rows WHERE place = ?1")?;
    let mut page = Vec::new();
    while (page.len() as u64) < limit {
        let next = heads.peek().map(|Reverse((place, _))| Place(*place));
        if let Some(row) = shifts.next.take_if(|row| next.is_none_or(|next| row.place < next)) {
            page.push(row);
            shifts.advance()?;
            continue;
        }
        let Some(Reverse((place, index))) = heads.pop() else { break };
        heads.extend(head(&mut streams[index], index)?);
        let mut found = row_at.query([place])?;
        let Some(row) = found.next()? else { continue };
        let label = row.get_ref(4)?.as_str_or_null()?.unwrap_or_default();
        if !shifts.brings_later(label, (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?), Place(place))? {
            let kind = if row.get(2)? { RowKind::Tombstone } else { RowKind::Put };
            page.push(Row { place: Place(place), kind, json: rows::text(row, 3)?, to: None });
        }
    }
    Ok(page)
}

/// The places of a stream: nothing but the index is read for them.
fn places<'a>(connection: &'a Connection, which: &str) -> Result<CachedStatement<'a>, Failure> {
    let text = format!("SELECT place FROM rows WHERE feed = ?1 AND place > ?2 {which} ORDER BY place");
    Ok(connection.prepare_cached(&text)?)
}

fn head(stream: &mut Rows<'_>, index: usize) -> Result<Option<Reverse<(u64, usize)>>, Failure> {
    let Some(row) = stream.next()? else { return Ok(None) };
    Ok(Some(Reverse((row.get(0)?, index))))
}

/// The shifts of a user that say what is so now, in order.
struct Shifts<'a> {
    connection: &'a Connection,
    view: &'a View,
    cleared: Place,
    reached: Place,
    next: Option<Row>,
}

impl Shifts<'_> {
    /// Finds the next one.
    fn advance(&mut self) -> Result<(), Failure> {
        if matches!(self.view.what, What::Own(_)) {
            return Ok(());
        }
        let mut statement = self.connection.prepare_cached(
            "SELECT s.place, s.leaves, s.type, s.id, r.place, r.deleted, r.label, r.json FROM shifts s \
             LEFT JOIN rows r ON r.data_set = s.data_set AND r.type = s.type AND r.id = s.id \
             WHERE s.feed = ?1 AND s.user = ?2 AND s.place > ?3 ORDER BY s.place",
        )?;
        let mut found = statement.query((self.view.feed, &self.view.user, self.reached.0))?;
        while let Some(row) = found.next()? {
            let place = Place(row.get(0)?);
            self.reached = place;
            let leaves: bool = row.get(1)?;
            let current: Option<u64> = row.get(4)?;
            let is_seen = current.is_some() && self.view.what.holds(row.get_ref(6)?.as_str_or_null()?);
            if leaves && !is_seen && place > self.cleared {
                let record =
                    RecordRef { type_name: row.get::<_, String>(2)?.parse()?, id: row.get::<_, String>(3)?.parse()? };
                let json = Arc::from(serde_json::to_string(&record)?);
                self.next = Some(Row { place, kind: RowKind::Remove, json, to: None });
                return Ok(());
            }
            if !leaves && is_seen && current < Some(place.0) {
                let kind = if row.get(5)? { RowKind::Tombstone } else { RowKind::Put };
                self.next = Some(Row { place, kind, json: rows::text(row, 7)?, to: None });
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether a record that has not changed since this place comes by a shift further on, so not here.
    fn brings_later(&self, label: &str, (type_name, id): (&str, &str), place: Place) -> Result<bool, Failure> {
        if matches!(self.view.what, What::Own(_)) {
            return Ok(false);
        }
        Ok(self
            .connection
            .prepare_cached(
                "SELECT 1 FROM shifts WHERE data_set = ?1 AND user = ?2 AND label = ?3 AND type = ?4 AND id = ?5 \
                 AND place > ?6 AND NOT leaves",
            )?
            .exists((self.view.data_set, &self.view.user, label, type_name, id, place.0))?)
    }
}
