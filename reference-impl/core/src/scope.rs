//! Scopes: the part of the data that a principal sees and writes, and how feeds stay gap-free while it changes.
//!
//! Chapter: scopes. A type may name the member that holds its location, a record of the reference type of places, which
//! lie within one another. A principal sees either everything, or the records at some places and at all places below
//! them. Every stored state carries a [`Label`]: the place that it is at, so that neither a tombstone nor a conflict
//! entry, whose data says nothing of a place, is seen by others than its record is.
//!
//! A feed is one row of places for everybody. What a principal sees of it are the rows with a label of the scope, and
//! *shifts*: rows of the principal's own, written in the transaction that moves the border between what is seen and what
//! is not. One comes with a record that entered the view unchanged, another with one that left it:
//!
//! - a grant writes an entering shift for each record at the places that were gained;
//! - a revocation writes a leaving shift for each record at the places that were lost;
//! - a record that moves writes a leaving shift for each principal who saw it where it was and does not where it is; who
//!   sees it now gets its new state at its own new place;
//! - the conflict entries of a record that moves do not change themselves, so they enter and leave by shifts.
//!
//! Shifts draw their places from the same row, in the same order of commits, as states do. So a cursor stays what it is,
//! a number, and means "everything up to here was seen" through every change of scope. A principal has at most one shift
//! of a record, the last; it counts where it says what is so now: a leaving one only while the record is not seen, an
//! entering one only while the record has not changed since. Its cost is that of the records that come or go, and a pull
//! costs what is seen, not what there is.

use crate::push::refuse;
use crate::store::State;
use fieldsync_schemas::conflict::CONFLICT_TYPE;
use fieldsync_schemas::id::{Principal, RecordId, TypeName};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::{MutationOp, Refusal};
use fieldsync_schemas::record::Record;
use fieldsync_schemas::registry::{Registry, TypeEntry};
use fieldsync_schemas::session::Role;
use fieldsync_schemas::telemetry::TELEMETRY_TYPE;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Who sees a state, other than everybody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// Those who see this place.
    At(RecordId),
    /// Only those who see everything: its type names a location, and the record has none.
    Nowhere,
    /// This principal, and those who look after all of them.
    Of(Principal),
}

/// No id of a record begins with it, so that no place is taken for a principal.
const OF: char = '~';

impl Label {
    /// As it is stored.
    pub fn to_text(&self) -> String {
        match self {
            Label::At(place) => place.to_string(),
            Label::Nowhere => String::new(),
            Label::Of(principal) => format!("{OF}{principal}"),
        }
    }

    /// From what was stored; nothing for what [`Label::to_text`] does not write.
    pub fn from_text(text: &str) -> Option<Self> {
        match text.strip_prefix(OF) {
            Some(principal) => Principal::new(principal).ok().map(Label::Of),
            None if text.is_empty() => Some(Label::Nowhere),
            None => RecordId::new(text).ok().map(Label::At),
        }
    }
}

/// The part of the data that a principal may write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    #[default]
    All,
    /// The records at these places.
    Places(HashSet<RecordId>),
}

impl Scope {
    /// Whether a state with this label is in it.
    pub fn holds(&self, label: Option<&Label>) -> bool {
        match (self, label) {
            (Scope::All, _) | (_, None) => true,
            (Scope::Places(places), Some(Label::At(place))) => places.contains(place),
            (Scope::Places(_), Some(Label::Nowhere | Label::Of(_))) => false,
        }
    }
}

/// What a principal sees of one feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Every row.
    Everything,
    /// The rows at the places of the scope, and the shifts.
    Scoped,
    /// The same, and the rows without a label: the conflict log, whose entries are about records of all types.
    ScopedLog,
    /// The rows of the principal.
    Own,
}

/// What a principal of this role sees of the feed of a type.
pub fn sight(entry: &TypeEntry, role: &Role, is_scoped: bool) -> Sight {
    if entry.name.as_str() == TELEMETRY_TYPE {
        return if *role == Role::Admin { Sight::Everything } else { Sight::Own };
    }
    match (is_scoped, &entry.location) {
        (true, Some(_)) => Sight::Scoped,
        (true, None) if entry.name.as_str() == CONFLICT_TYPE => Sight::ScopedLog,
        _ => Sight::Everything,
    }
}

/// These places and all places below them.
pub fn with_all_below(places: &[RecordId], around: &BTreeMap<RecordId, RecordId>) -> BTreeSet<RecordId> {
    let mut below: HashMap<&RecordId, Vec<&RecordId>> = HashMap::new();
    for (place, outer) in around {
        below.entry(outer).or_default().push(place);
    }
    let mut found = BTreeSet::new();
    let mut next: Vec<&RecordId> = places.iter().collect();
    while let Some(place) = next.pop() {
        // A place that lies within itself is met once.
        if found.insert(place.clone()) {
            next.extend(below.get(place).into_iter().flatten().copied());
        }
    }
    found
}

/// The records that a scope does not hold, of those with these labels.
pub fn unseen(scope: &Scope, labels: HashMap<RecordRef, Label>) -> HashSet<RecordRef> {
    let is_unseen = |(record, label): (RecordRef, Label)| (!scope.holds(Some(&label))).then_some(record);
    labels.into_iter().filter_map(is_unseen).collect()
}

/// The labels of the states that a batch touches, as they were before it.
pub type Known = HashMap<RecordRef, Option<Label>>;

/// What a batch touches, with its labels.
pub fn known(states: &HashMap<RecordRef, State>) -> Known {
    states.iter().map(|(record, state)| (record.clone(), state.label.clone())).collect()
}

/// The label of a state that is about to be stored. A tombstone stays where its record was, and an entry of the conflict
/// log is where its record is.
pub fn label(state: &State, entry: &TypeEntry, known: &Known, principal: &Principal) -> Option<Label> {
    if entry.name.as_str() == TELEMETRY_TYPE {
        return Some(Label::Of(principal.clone()));
    }
    if entry.name.as_str() == CONFLICT_TYPE {
        return known.get(&about(state)?).cloned().flatten();
    }
    let member = entry.location.as_deref()?;
    if state.deleted {
        return Some(known.get(&state.record).cloned().flatten().unwrap_or(Label::Nowhere));
    }
    let place = match member_of(state, member) {
        Some(Value::String(place)) => RecordId::new(place).ok(),
        _ => None,
    };
    Some(place.map_or(Label::Nowhere, Label::At))
}

/// The record that an entry of the conflict log is about.
pub fn about(entry: &State) -> Option<RecordRef> {
    serde_json::from_value(member_of(entry, "record")?).ok()
}

fn member_of(state: &State, member: &str) -> Option<Value> {
    let record: Record = serde_json::from_str(&state.json).expect("the server wrote it");
    record.data_tree().remove(member)
}

/// Puts labels on the states that a batch makes, those of entries after those of the records that they are about.
pub fn place(states: &mut [State], mut known: Known, registry: &Registry, principal: &Principal) {
    let is_entry = |state: &State| state.record.type_name.as_str() == CONFLICT_TYPE;
    for of_entries in [false, true] {
        for state in states.iter_mut().filter(|state| is_entry(state) == of_entries) {
            let Some(entry) = registry.entry(&state.record.type_name) else { continue };
            if of_entries && registry.locations.is_none() {
                continue;
            }
            state.label = label(state, entry, &known, principal);
            if of_entries {
                state.about = about(state);
            } else if state.label.is_some() {
                known.insert(state.record.clone(), state.label.clone());
            }
        }
    }
}

/// Whether a principal may do this to the record as it is. One that is not seen is as good as unknown.
pub fn admits(scope: &Scope, op: &MutationOp, record: &RecordRef, current: Option<&State>) -> Result<(), Refusal> {
    match current {
        Some(state) if !scope.holds(state.label.as_ref()) => Err(match op {
            MutationOp::Create => outside(record),
            _ => unknown(record),
        }),
        _ => Ok(()),
    }
}

/// Whether a principal may leave the record as this state.
pub fn admits_state(
    scope: &Scope,
    state: &State,
    entry: &TypeEntry,
    known: &Known,
    principal: &Principal,
) -> Result<(), Refusal> {
    if entry.name.as_str() == TELEMETRY_TYPE && member_of(state, "user") != Some(Value::from(principal.as_str())) {
        let detail = format!("telemetry is pushed by its own user; this is not that of {principal}");
        return Err(refuse(ProblemCode::Forbidden, detail));
    }
    if *scope == Scope::All || entry.location.is_none() && entry.name.as_str() != CONFLICT_TYPE {
        return Ok(());
    }
    match scope.holds(label(state, entry, known, principal).as_ref()) {
        true => Ok(()),
        false => Err(outside(&state.record)),
    }
}

/// What is said of a record that the server does not have, or that is not shown to who asks.
pub fn unknown(record: &RecordRef) -> Refusal {
    refuse(ProblemCode::UnknownRecord, format!("the server never had {record}"))
}

fn outside(record: &RecordRef) -> Refusal {
    refuse(ProblemCode::OutOfScope, format!("{record} is not at a place that you may see"))
}

/// The names of the types whose records are at places.
pub fn located(registry: &Registry) -> impl Iterator<Item = &TypeName> {
    registry.types.iter().filter(|entry| entry.location.is_some()).map(|entry| &entry.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> RecordId {
        text.parse().unwrap()
    }

    #[test]
    fn a_scope_is_its_places_and_all_below_them_even_in_a_circle() {
        let around: BTreeMap<RecordId, RecordId> =
            [("hill", "north"), ("hut", "hill"), ("shore", "south"), ("a", "b"), ("b", "a")]
                .map(|(place, outer)| (id(place), id(outer)))
                .into();
        assert_eq!(with_all_below(&[id("north")], &around), ["north", "hill", "hut"].map(id).into());
        assert_eq!(with_all_below(&[id("a"), id("shore")], &around), ["a", "b", "shore"].map(id).into());
        assert_eq!(with_all_below(&[], &around), BTreeSet::new());
    }

    #[test]
    fn what_is_nowhere_is_seen_by_those_who_see_everything() {
        let some = Scope::Places([id("north")].into());
        assert!(some.holds(Some(&Label::At(id("north")))) && some.holds(None));
        assert!(!some.holds(Some(&Label::At(id("south")))) && !some.holds(Some(&Label::Nowhere)));
        assert!(Scope::All.holds(Some(&Label::Nowhere)));
    }

    #[test]
    fn a_label_is_read_as_it_was_written() {
        for label in [Label::At(id("north")), Label::Nowhere, Label::Of("amina".parse().unwrap())] {
            assert_eq!(Label::from_text(&label.to_text()), Some(label));
        }
    }
}
