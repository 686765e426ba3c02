//! Stores what was decided: states at new places, outcomes, and the replica's answer, in one transaction.

use super::{Failure, attachments, links, moves, record_links, rows, scope};
use fieldsync_core::scope::Label;
use fieldsync_core::store::{Commit, DataSetName, DataSetRow, Decided, Rescope, SequenceName, State};
use fieldsync_schemas::id::{FeedName, ReplicaId};
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashMap;

pub(super) fn commit(connection: &Connection, commits: &[Commit]) -> Result<(), Failure> {
    let mut places = Places::take_up(connection)?;
    for commit in commits {
        let data_set = rows::data_set(connection, &commit.data_set)?;
        let mut feeds = Feeds { connection, data_set, known: HashMap::new() };
        put_states(connection, data_set, &mut feeds, &mut places, &commit.states)?;
        for link in &commit.linked {
            record_links::put(connection, data_set, link)?;
            if let Some(state) = &link.state {
                let place = places.next();
                feeds.entry(&state.feed)?.1 = Some(place);
                record_links::publish(connection, data_set, state, place)?;
            }
        }
        feeds.move_heads()?;
        links::put(connection, data_set, &commit.links)?;
        put_decided(connection, data_set, &mut feeds, commit)?;
        for files in &commit.files {
            attachments::put_links(connection, data_set, &commit.principal, files, commit.at)?;
        }
        put_drawn(connection, data_set, &commit.drawn)?;
        put_replica(connection, data_set, commit)?;
        connection
            .prepare_cached("UPDATE data_sets SET accepted_seq = ?2 WHERE id = ?1")?
            .execute((data_set, commit.accepted_seq))?;
    }
    places.lay_down(connection)
}

/// Adds a data set with its first states, or changes the domain and clock of one that is known.
pub(super) fn put_data_set(connection: &Connection, row: &DataSetRow, seeds: &[State]) -> Result<(), Failure> {
    let known: Option<(i64, String)> = connection
        .prepare_cached("SELECT id, domain FROM data_sets WHERE name = ?1")?
        .query_row([&row.name.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let domain = serde_json::to_string(&*row.domain)?;
    if let Some((id, before)) = known {
        if before != domain {
            links::rebuild(connection, id, &row.domain)?;
            let mut places = Places::take_up(connection)?;
            moves::feed_anew(connection, id, &serde_json::from_str(&before)?, &row.domain, &mut places)?;
            places.lay_down(connection)?;
        }
        connection
            .prepare_cached("UPDATE data_sets SET domain = ?2, clock_offset_ms = ?3 WHERE id = ?1")?
            .execute((id, domain, row.clock_offset_ms))?;
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT INTO data_sets (name, domain, accepted_seq, backed_up_seq, clock_offset_ms) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((&row.name.0, domain, row.accepted_seq, row.backed_up_seq, row.clock_offset_ms))?;
    let data_set = connection.last_insert_rowid();
    rows::put_epochs(connection, data_set, &row.epochs)?;
    put_seeds(connection, data_set, seeds)
}

/// Stores states that no batch brought.
pub(super) fn put_seeds(connection: &Connection, data_set: i64, seeds: &[State]) -> Result<(), Failure> {
    let mut places = Places::take_up(connection)?;
    let mut feeds = Feeds { connection, data_set, known: HashMap::new() };
    put_states(connection, data_set, &mut feeds, &mut places, seeds)?;
    feeds.move_heads()?;
    places.lay_down(connection)
}

/// Stores these states of reference records, and then these scopes.
pub(super) fn rescope(
    connection: &Connection,
    data_set: &DataSetName,
    states: &[State],
    scopes: &[Rescope],
) -> Result<(), Failure> {
    let data_set = rows::data_set(connection, data_set)?;
    let mut places = Places::take_up(connection)?;
    let mut feeds = Feeds { connection, data_set, known: HashMap::new() };
    put_states(connection, data_set, &mut feeds, &mut places, states)?;
    feeds.move_heads()?;
    for change in scopes {
        scope::rescope(connection, data_set, change, &mut places)?;
    }
    places.lay_down(connection)
}

/// The row of places: counted up, and never given twice, even where the row at the last one is gone.
pub(super) struct Places {
    pub(super) last: i64,
}

impl Places {
    pub(super) fn take_up(connection: &Connection) -> Result<Self, Failure> {
        let last = connection.prepare_cached("SELECT last FROM places")?.query_row([], |row| row.get(0))?;
        Ok(Self { last })
    }

    pub(super) fn next(&mut self) -> i64 {
        self.last += 1;
        self.last
    }

    pub(super) fn lay_down(self, connection: &Connection) -> Result<(), Failure> {
        connection.prepare_cached("UPDATE places SET last = ?1")?.execute([self.last])?;
        Ok(())
    }
}

/// The feeds of one data set that a commit touches: the key of each, and its new last place.
struct Feeds<'a> {
    connection: &'a Connection,
    data_set: i64,
    known: HashMap<FeedName, (i64, Option<i64>)>,
}

impl Feeds<'_> {
    fn entry(&mut self, name: &FeedName) -> Result<&mut (i64, Option<i64>), Failure> {
        if !self.known.contains_key(name) {
            let id = rows::feed(self.connection, self.data_set, name)?;
            self.known.insert(name.clone(), (id, None));
        }
        Ok(self.known.get_mut(name).expect("it was put there a moment ago"))
    }

    fn move_heads(&mut self) -> Result<(), Failure> {
        let mut statement = self.connection.prepare_cached("UPDATE feeds SET last = MAX(last, ?2) WHERE id = ?1")?;
        for (id, last) in self.known.values() {
            if let Some(last) = last {
                statement.execute((id, last))?;
            }
        }
        Ok(())
    }
}

fn put_states(
    connection: &Connection,
    data_set: i64,
    feeds: &mut Feeds<'_>,
    places: &mut Places,
    states: &[State],
) -> Result<(), Failure> {
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO rows VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?;
    let mut keep = connection.prepare_cached(
        "INSERT OR REPLACE INTO history SELECT data_set, feed, type, id, rev, version, modified_at, accepted_at, \
         replica, deleted, content, json, label FROM rows WHERE data_set = ?1 AND type = ?2 AND id = ?3",
    )?;
    let mut before =
        connection.prepare_cached("SELECT feed, label FROM rows WHERE data_set = ?1 AND type = ?2 AND id = ?3")?;
    let mut delete = connection.prepare_cached("DELETE FROM rows WHERE data_set = ?1 AND type = ?2 AND id = ?3")?;
    for state in states {
        let place = places.next();
        let (feed, last) = feeds.entry(&state.feed)?;
        *last = Some(place);
        let feed = *feed;
        let record = (data_set, state.record.type_name.as_str(), state.record.id.as_str());
        let label = state.label.as_ref().map(Label::to_text);
        let subject = state.about.as_ref().map(rows::subject);
        let row = (
            place,
            record.0,
            feed,
            record.1,
            record.2,
            state.rev.as_str(),
            state.version.get(),
            state.modified_at.as_millis(),
            state.accepted_at.as_millis(),
            state.replica.as_ref().map(ReplicaId::as_str),
            state.deleted,
            state.content,
            &*state.json,
            label.as_deref(),
            subject.as_deref(),
        );
        if insert.execute(row)? == 0 {
            // The record has a state already, which is kept by its rev.
            let (feed_before, label_before): (i64, Option<String>) =
                before.query_row(record, |row| Ok((row.get(0)?, row.get(1)?)))?;
            keep.execute(record)?;
            delete.execute(record)?;
            if insert.execute(row)? == 0 {
                return Err(format!("the state of {} does not fit the table", state.record).into());
            }
            if feed_before != feed {
                moves::leave(connection, data_set, feed_before, &state.record, places.next())?;
                moves::come_back(connection, data_set, feed, &state.record)?;
            }
            if label_before != label {
                let record = &state.record;
                let (from, to) = (label_before.as_deref().unwrap_or_default(), label.as_deref().unwrap_or_default());
                let moved = scope::Move { data_set, feed, record, from, to };
                if label_before.is_some() && label.is_some() {
                    scope::moves(connection, &moved, places)?;
                } else {
                    // Everybody sees it, or did.
                    scope::relabel(connection, &moved)?;
                }
            }
        }
    }
    Ok(())
}

fn put_decided(connection: &Connection, data_set: i64, feeds: &mut Feeds<'_>, commit: &Commit) -> Result<(), Failure> {
    let mut statement =
        connection.prepare_cached("INSERT OR REPLACE INTO decided VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for Decided { mutation_id, feed, content, outcome } in &commit.decided {
        let feed = match feed {
            Some(name) => feeds.entry(name)?.0,
            None => 0,
        };
        let principal = commit.principal.as_str();
        let at = commit.at.as_millis();
        statement.execute((data_set, principal, mutation_id.as_str(), feed, at, content, &**outcome))?;
    }
    Ok(())
}

fn put_drawn(connection: &Connection, data_set: i64, drawn: &HashMap<SequenceName, u64>) -> Result<(), Failure> {
    let mut statement = connection.prepare_cached("INSERT OR REPLACE INTO sequences VALUES (?1, ?2, ?3, ?4)")?;
    for (name, last) in drawn {
        statement.execute((data_set, name.type_name.as_str(), &name.member, last))?;
    }
    Ok(())
}

fn put_replica(connection: &Connection, data_set: i64, commit: &Commit) -> Result<(), Failure> {
    let row = &commit.replica;
    connection.prepare_cached("INSERT OR REPLACE INTO replicas VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute((
        data_set,
        commit.principal.as_str(),
        row.replica.as_str(),
        row.seq.get(),
        row.token.as_str(),
        row.body,
        &*row.answer,
    ))?;
    Ok(())
}
