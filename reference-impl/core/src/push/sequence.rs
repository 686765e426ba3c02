//! Numbers from sequences: what the server gives to each record that is made, and to no other.
//!
//! Chapter: merge. A number is drawn when a create is applied, and stored with the state that has it, so that neither an
//! answer that is lost nor a batch that is refused draws another one.

use super::derive::member;
use crate::store::SequenceName;
use fieldsync_schemas::record::Data;
use fieldsync_schemas::registry::{FieldRuleKind, Sequence, TypeEntry};
use std::collections::HashMap;

/// The members of a type's records that are drawn, each from a sequence of its own.
pub(super) fn sequences(entry: &TypeEntry) -> impl Iterator<Item = (SequenceName, &Sequence)> {
    let drawn = entry.merge.fields.iter().filter(|(_, rule)| rule.rule == FieldRuleKind::ServerSet);
    drawn.filter_map(|(pointer, rule)| {
        let name = SequenceName { type_name: entry.name.clone(), member: member(pointer)?.to_owned() };
        Some((name, rule.value.as_ref()?.sequence.as_ref()?))
    })
}

/// Gives a record that is made its numbers; `last` are those that were drawn before.
pub(super) fn draw(entry: &TypeEntry, last: &mut HashMap<SequenceName, u64>, data: &mut Data) {
    for (name, Sequence { prefix }) in sequences(entry) {
        let member = name.member.clone();
        let last = last.entry(name).or_default();
        *last += 1;
        data.insert(member, format!("{prefix}{last}").into());
    }
}
