//! Merging on the server: what a change on an old base and the current state come to, where its type asks for that.
//!
//! Chapter: merge. It is the merge that a device does, with the state that the mutation names as the base, and what the
//! mutation makes of that as the local state.

use super::Asked;
use super::derive::derive;
use super::fields::{self, Pushed};
use super::parents::{Reference, references};
use crate::conflict::{Collision, Side};
use crate::data;
use crate::merge::{self, Merged, Overridden, Rules};
use crate::store::State;
use fieldsync_schemas::conflict::Writer;
use fieldsync_schemas::id::{Rev, Version};
use fieldsync_schemas::push::{MutationOp, Refusal};
use fieldsync_schemas::registry::{OnStale, TypeEntry};
use fieldsync_schemas::session::Limits;
use serde_json::Value;
use std::collections::HashMap;

/// A merge that the server did.
pub(super) struct Meeting {
    /// The version of what came of it, where that is a new state.
    pub(super) version: Version,
    /// What that refers to.
    pub(super) references: Vec<Reference>,
    overridden: Vec<Overridden>,
}

/// Merges a change on an old base with the current state; nothing, where the type leaves that to the device, or where the
/// base is no state that the server still has.
pub(super) fn meet(
    asked: &Asked,
    entry: &TypeEntry,
    current: &State,
    bases: &HashMap<Rev, State>,
    limits: &Limits,
) -> Result<Option<(Pushed<'static>, Meeting)>, Refusal> {
    let base = asked.base.as_ref().and_then(|rev| bases.get(rev)).filter(|base| base.record == asked.record);
    let (Some(base), Some(OnStale::Merge)) = (base, entry.merge.on_stale) else { return Ok(None) };
    let live = |state: &State| (!state.deleted).then(|| fields::tree(state));
    let (base, server) = (live(base), live(current));
    let local = match (&asked.op, &asked.patch, &base) {
        (MutationOp::Delete, ..) => None,
        (_, None, _) => asked.data.as_deref().map(data::tree),
        // Half a record is none.
        (_, Some(_), None) => return Ok(None),
        (_, Some(patch), Some(base)) => {
            let mut tree = base.clone();
            merge::apply(&mut tree, patch.clone());
            Some(tree)
        }
    };
    let rules = Rules::compile(&entry.merge).expect("the domain was checked for rules that can be followed");
    let Merged { data, overridden } = merge::merge(base.as_ref(), local, server.clone(), &rules);
    let (pushed, references) = match data {
        None => (Pushed { data: None, content: data::content_hash(None, &[]) }, Vec::new()),
        Some(mut tree) => {
            derive(entry, server.as_ref(), &mut tree);
            let found = references(entry, &Value::Object(tree.clone()))?;
            (fields::within(tree, &[], limits)?, found)
        }
    };
    let version = asked.version.max(current.version.next());
    Ok(Some((pushed, Meeting { version, references, overridden })))
}

impl Meeting {
    /// The values that were overridden, where `pushed` wrote the local ones; `made` is the state that came of it, where
    /// that is not the current one.
    pub(super) fn collisions<'m>(
        &'m self,
        pushed: &'m Writer,
        current: Option<&'m State>,
        made: Option<&'m State>,
    ) -> impl Iterator<Item = Collision> + 'm {
        let of = |state: Option<&State>| state.map_or_else(|| pushed.clone(), |state| Side::of(state).writer);
        self.overridden.iter().cloned().map(move |one| {
            let (lost_by, kept_by) = match one.lost_side {
                merge::Side::Local => (pushed.clone(), of(current)),
                merge::Side::Server => (of(current), of(made)),
            };
            Collision {
                path: one.path,
                base: one.base,
                lost: Side { data: one.lost, writer: lost_by },
                kept: Side { data: one.kept, writer: kept_by },
            }
        })
    }
}
