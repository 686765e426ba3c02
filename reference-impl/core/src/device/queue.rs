//! The queue: what of the outbox can go now, and in which order.
//!
//! Chapter: parents. What a record refers to goes before it, and what refers to it is deleted before it is; beyond that
//! the older change goes first. What refers to a record that this device made and the server has not taken waits for
//! it. A group is one piece: all of it goes, in one batch, or nothing.
//!
//! A device may come back with thousands of changes. Their order is worked out once for all of them, not for each batch;
//! before a batch goes, only what is to be in it is looked at again.

use super::Step;
use super::outbox::Entry;
use super::state::State;
use super::store::StoreError;
use crate::data;
use crate::push::references;
use fieldsync_schemas::conflict::CONFLICT_TYPE;
use fieldsync_schemas::id::{GroupId, MutationId, TypeName};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::{Mutation, MutationOp};
use fieldsync_schemas::registry::Registry;
use serde_json::Value;
use serde_json::value::RawValue;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// What goes together: one mutation, or all of a group.
pub(super) type Piece = Vec<Entry>;

impl Step<'_> {
    /// The pieces of the next batch, which has room for so many mutations: a part that goes alone, or what the queue has
    /// in front. Nothing, once nothing can go.
    pub(super) fn next_pieces(&mut self, room: usize) -> Result<Vec<Piece>, StoreError> {
        while let Some(part) = self.machine.state.marks.parts.first().cloned() {
            self.mark(|marks| {
                marks.parts.remove(0);
            });
            let pieces = self.waiting(Some(&part))?;
            if !pieces.is_empty() {
                return Ok(pieces);
            }
        }
        while !self.run().queue.is_empty() {
            let queue = &mut self.run().queue;
            let count = fitting(queue.iter().map(Vec::len), room);
            let front: Vec<MutationId> = queue.drain(..count).flatten().collect();
            // What went before may have been refused, or put off.
            let pieces = self.waiting(Some(&front))?;
            if !pieces.is_empty() {
                return Ok(pieces);
            }
        }
        let mut pieces = self.waiting(None)?;
        let rest = pieces.split_off(fitting(pieces.iter().map(Vec::len), room));
        self.put_back(rest.into_iter());
        Ok(pieces)
    }

    /// The order of what waits is to be worked out anew.
    pub(super) fn forget_queue(&mut self) {
        if let Some(run) = &mut self.machine.run {
            run.queue.clear();
        }
    }

    /// These were in front of the queue, and are there again.
    pub(super) fn put_back(&mut self, pieces: impl DoubleEndedIterator<Item = Piece>) {
        let queue = &mut self.run().queue;
        for piece in pieces.rev() {
            queue.push_front(piece.iter().map(|entry| entry.mutation.mutation_id.clone()).collect());
        }
    }

    /// What can be sent now, of a part or of everything, in order: the first mutation of each record.
    fn waiting(&mut self, part: Option<&[MutationId]>) -> Result<Vec<Piece>, StoreError> {
        let left_out: HashSet<TypeName> = self.left_out().iter().cloned().collect();
        let run = self.machine.run.get_or_insert_default();
        let state = &self.machine.state;
        let can_go = |entry: &&Entry| {
            let id = &entry.mutation.mutation_id;
            let is_first = state.outbox.of(&entry.record()).next().is_some_and(|first| first.place == entry.place);
            is_first
                && !state.marks.forgotten.contains(id)
                && !run.suspects.contains(id)
                && !run.set_aside.contains(id)
                && !left_out.contains(&entry.mutation.type_name)
        };
        let entries: Vec<Entry> = match part {
            Some(ids) => ids.iter().filter_map(|id| state.outbox.get(id)).filter(can_go).cloned().collect(),
            None => state.outbox.iter().filter(can_go).cloned().collect(),
        };
        let Some(session) = &state.session else { return Ok(Vec::new()) };
        let registry = &session.registry;
        let mut changes = Vec::new();
        let mut deletes = Vec::new();
        for entry in entries {
            let is_delete = entry.mutation.op == MutationOp::Delete;
            let parents = if !is_delete {
                parents_of(registry, &entry.mutation.type_name, written(&entry.mutation))
            } else if is_in_a_circle(registry, &entry.mutation.type_name) {
                let server = self.context.store.record(&entry.record())?.map(|copy| copy.record);
                parents_of(
                    registry,
                    &entry.mutation.type_name,
                    server.as_ref().and_then(|record| record.data.as_deref()),
                )
            } else {
                Vec::new()
            };
            if is_delete { deletes.push((entry, parents)) } else { changes.push((entry, parents)) }
        }
        let mut pieces = Order::of(changes, registry, false).pieces(state);
        let mut last = Order::of(deletes, registry, true).pieces(state);
        last.reverse();
        pieces.extend(last);
        // What was overridden is told last: it is not what anybody waits for.
        pieces.sort_by_key(|piece| piece.iter().all(|entry| entry.mutation.type_name.as_str() == CONFLICT_TYPE));
        Ok(pieces)
    }

    /// Mutations in a row, those of a group in one piece.
    pub(super) fn pieces(&self, mutations: &[MutationId]) -> Vec<Vec<MutationId>> {
        let group = |id: &MutationId| self.machine.state.outbox.get(id).and_then(|entry| entry.mutation.group.clone());
        let is_one = |one: &MutationId, other: &MutationId| group(one).is_some() && group(one) == group(other);
        mutations.chunk_by(is_one).map(<[MutationId]>::to_vec).collect()
    }
}

/// How many pieces of these sizes fit into a batch. One that is larger than any batch goes alone.
fn fitting(sizes: impl Iterator<Item = usize>, room: usize) -> usize {
    let mut taken = 0;
    let fit = sizes.take_while(|size| {
        taken += size;
        taken <= room || taken == *size
    });
    fit.count()
}

/// What a mutation writes: the whole record, or the members that changed.
fn written(mutation: &Mutation) -> Option<&RawValue> {
    mutation.data.as_deref().or(mutation.patch.as_deref())
}

fn parents_of(registry: &Registry, type_name: &TypeName, data: Option<&RawValue>) -> Vec<RecordRef> {
    let Some(entry) = registry.entry(type_name).filter(|entry| !entry.parents.is_empty()) else { return Vec::new() };
    let Some(data) = data else { return Vec::new() };
    let tree = Value::Object(data::tree(data));
    references(entry, &tree).unwrap_or_default().into_iter().map(|reference| reference.parent).collect()
}

fn is_in_a_circle(registry: &Registry, type_name: &TypeName) -> bool {
    registry.cycles.iter().any(|cycle| cycle.contains(type_name))
}

/// Pieces being brought into order.
struct Order {
    pieces: Vec<Vec<(Entry, Vec<RecordRef>)>>,
    /// The piece that a record's mutation is in.
    of_record: HashMap<RecordRef, usize>,
}

/// How far a piece got.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    Fresh,
    Begun,
    Goes,
    Waits,
}

impl Order {
    /// Types in the order of the registry, then the older change first (of deletes, which are turned round, the newer).
    fn of(mut entries: Vec<(Entry, Vec<RecordRef>)>, registry: &Registry, newest_first: bool) -> Self {
        let types: HashMap<&TypeName, usize> =
            registry.types.iter().zip(0..).map(|(entry, index)| (&entry.name, index)).collect();
        let index = |entry: &Entry| types.get(&entry.mutation.type_name).copied().unwrap_or(usize::MAX);
        if newest_first {
            entries.sort_by_key(|(entry, _)| (index(entry), Reverse(entry.place)));
        } else {
            entries.sort_by_key(|(entry, _)| (index(entry), entry.place));
        }
        let mut pieces: Vec<Vec<(Entry, Vec<RecordRef>)>> = Vec::new();
        let mut of_record = HashMap::new();
        let mut of_group: HashMap<GroupId, usize> = HashMap::new();
        for (entry, parents) in entries {
            let fresh = pieces.len();
            let piece = entry.mutation.group.clone().map_or(fresh, |group| *of_group.entry(group).or_insert(fresh));
            if piece == fresh {
                pieces.push(Vec::new());
            }
            of_record.insert(entry.record(), piece);
            pieces[piece].push((entry, parents));
        }
        Self { pieces, of_record }
    }

    /// Each piece that can go, after those that it refers to.
    fn pieces(self, state: &State) -> Vec<Piece> {
        let refused = state.quarantine.values().filter_map(|one| one.mutation.group.as_ref()).collect();
        let mut marks = vec![Mark::Fresh; self.pieces.len()];
        let mut order = Vec::new();
        // Records may refer to one another in a chain of any length, so the way through it is no recursion.
        let mut path: Vec<usize> = (0..self.pieces.len()).rev().collect();
        while let Some(&piece) = path.last() {
            match marks[piece] {
                Mark::Fresh => {
                    marks[piece] = Mark::Begun;
                    let referred = self.references(piece).filter_map(|parent| self.of_record.get(parent).copied());
                    let first: Vec<usize> = referred.filter(|other| marks[*other] == Mark::Fresh).collect();
                    path.extend(first.into_iter().rev());
                }
                Mark::Begun => {
                    path.pop();
                    let goes = is_whole(&self.pieces[piece], state, &refused) && self.goes(piece, state, &marks);
                    marks[piece] = if goes { Mark::Goes } else { Mark::Waits };
                    order.extend(goes.then_some(piece));
                }
                Mark::Goes | Mark::Waits => _ = path.pop(),
            }
        }
        let mut pieces: Vec<Option<Piece>> =
            self.pieces.into_iter().map(|piece| Some(piece.into_iter().map(|(entry, _)| entry).collect())).collect();
        order.into_iter().filter_map(|piece| pieces[piece].take()).collect()
    }

    fn references(&self, piece: usize) -> impl Iterator<Item = &RecordRef> {
        self.pieces[piece].iter().flat_map(|(_, parents)| parents)
    }

    /// Whether all that the piece refers to is there or goes with it, once that is known. In a circle outside a group
    /// nothing can be first, so it goes as it stands.
    fn goes(&self, piece: usize, state: &State, marks: &[Mark]) -> bool {
        let is_there = |parent: &RecordRef| {
            let goes_too = self.of_record.get(parent).is_some_and(|other| marks[*other] != Mark::Waits);
            goes_too || !is_unmade(parent, state)
        };
        self.references(piece).all(is_there)
    }
}

/// Whether no mutation of the same group stays behind: in the outbox, or because it was refused.
fn is_whole(piece: &[(Entry, Vec<RecordRef>)], state: &State, refused: &HashSet<&GroupId>) -> bool {
    let group = piece.first().and_then(|(entry, _)| entry.mutation.group.as_ref());
    group.is_none_or(|group| state.outbox.in_group(group) == piece.len() && !refused.contains(group))
}

/// Whether this device made the record and the server has not taken it.
fn is_unmade(record: &RecordRef, state: &State) -> bool {
    let first = state.outbox.of(record).next().map(|entry| &entry.mutation);
    let refused = state.quarantine.get(record).map(|one| &one.mutation);
    first.or(refused).is_some_and(|mutation| mutation.op == MutationOp::Create)
}
