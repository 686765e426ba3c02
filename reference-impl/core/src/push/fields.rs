//! Fields: what a mutation makes of the current state, by the rules for single members of its type.
//!
//! Chapter: merge. A patch is applied, `server-set` members stay the server's, `derived` ones are computed, and an
//! `immutable` one cannot be changed. Nothing of this looks at who was first: that is the policy's.

use super::derive::derive;
use super::{Asked, refuse};
use crate::data;
use crate::merge::{self, Rules};
use crate::store::{Hash, State};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::push::{MutationOp, Refusal};
use fieldsync_schemas::record::{Attachment, Data, Record};
use fieldsync_schemas::registry::{MergePolicy, TypeEntry};
use fieldsync_schemas::session::Limits;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;

/// The content that a mutation asks for.
pub(super) struct Pushed<'a> {
    /// The whole record; none for a delete.
    pub(super) data: Option<Cow<'a, RawValue>>,
    /// The hash of the record's content.
    pub(super) content: Hash,
}

/// What a mutation asks for, given the current state.
pub(super) fn pushed<'a>(
    asked: &'a Asked,
    entry: &TypeEntry,
    current: Option<&State>,
    base_is_current: bool,
    limits: &Limits,
) -> Result<Pushed<'a>, Refusal> {
    let as_asked = || Pushed { data: asked.data.as_deref().map(Cow::Borrowed), content: asked.content };
    let has_rules = !entry.merge.fields.is_empty() && asked.op != MutationOp::Delete;
    if asked.patch.is_none() && !has_rules {
        return Ok(as_asked());
    }
    let before = current.filter(|state| !state.deleted).map(tree);
    let mut tree = match (&asked.patch, &before) {
        (None, _) => asked.data.as_deref().map(data::tree).unwrap_or_default(),
        // What a patch of another state comes to is nobody's wish.
        (Some(_), _) if !base_is_current => return Ok(as_asked()),
        (Some(patch), Some(before)) => {
            let mut tree = before.clone();
            merge::apply(&mut tree, patch.clone());
            tree
        }
        (Some(_), None) => {
            let detail = "a record that is deleted, or not there, cannot be patched; send the whole record as `data`";
            return Err(refuse(ProblemCode::Malformed, detail.to_owned()));
        }
    };
    if has_rules {
        let rules = Rules::compile(&entry.merge).expect("the domain was checked for rules that can be followed");
        rules.keep_server_set(before.as_ref(), &mut tree);
        derive(entry, before.as_ref(), &mut tree);
        let change = before.as_ref().and_then(|before| rules.immutable_change(before, &tree));
        if let Some(path) = change.filter(|_| base_is_current && entry.merge.policy == MergePolicy::FieldMerge) {
            let detail = format!("{path} was set when the record was made, and is never changed");
            return Err(refuse(ProblemCode::ImmutableField, detail));
        }
    }
    if asked.patch.is_none() {
        return Ok(Pushed::of(tree, &asked.attachments));
    }
    within(tree, &asked.attachments, limits)
}

impl Pushed<'_> {
    /// What the server itself made of a record.
    pub(super) fn of(tree: Data, attachments: &[Attachment]) -> Pushed<'static> {
        let raw = to_raw_value(&tree).expect("a tree is plain JSON");
        let content = data::content_hash_of_tree(Some(Value::Object(tree)), attachments);
        Pushed { data: Some(Cow::Owned(raw)), content }
    }
}

/// A record that came of more than what was pushed, if it keeps the limits.
pub(super) fn within(tree: Data, attachments: &[Attachment], limits: &Limits) -> Result<Pushed<'static>, Refusal> {
    let raw = to_raw_value(&tree).expect("a tree is plain JSON");
    let raw = data::check(&raw, limits)?.text;
    Ok(Pushed { data: Some(Cow::Owned(raw)), ..Pushed::of(tree, attachments) })
}

/// What a state says.
pub(super) fn tree(state: &State) -> Data {
    let record: Record = serde_json::from_str(&state.json).expect("the server wrote it");
    record.data_tree()
}
