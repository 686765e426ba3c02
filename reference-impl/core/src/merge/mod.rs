//! The policy `field-merge`: what two writers made of one record, brought together member by member.
//!
//! Chapter: merge. [`merge`] is a pure function of three states: the base, on which both were made, the local one and
//! the server's. A device calls it when it learns of a state of the server's that its unsent work was not made on; a
//! server that merges calls it with the pushed state as the local one. What the function promises:
//!
//! - **Nothing is lost in silence.** A change of either side that is not in the result is in the list of overridden
//!   values, with the base and the value that stayed. (A change of a `server-set` member is no change.)
//! - **Nothing else changes.** What no side changed is as it was; what one side changed is as that side has it.
//! - **Equal values never conflict**, however they are spelled.
//! - **It can be repeated.** The result, merged once more with the server's state it was made for, as base and as
//!   server's, is itself, and nothing is overridden.
//! - **No list item is doubled, and none is there by half.** A key stands once, and an item that comes back comes back
//!   whole.
//! - **With nothing changed here** the result is the server's state; **with nothing changed there**, the local one.
//! - **The order of arrival does not part the devices.** Whoever pushes first, once the other has merged and pushed, all
//!   hold the same; and which values conflict does not depend on who was first.
//!
//! Trees are taken to hold their members in the order of the names, as `serde_json` has them.

#[cfg(test)]
mod arrival;
mod equal;
mod files;
#[cfg(test)]
mod laws;
mod list;
mod members;
mod patch;
mod push;
mod rules;
#[cfg(test)]
mod vectors;

pub use equal::{equal, equal_data};
pub use files::{merge_files, same_files};
pub use patch::{apply, difference};
pub use rules::{Rules, RulesError, RulesErrorKind};

use crate::data::drop_null_members;
use fieldsync_schemas::record::Data;
use fieldsync_schemas::registry::DeleteRule;
use serde_json::Value;

/// What became of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// The merged data; none where the record is deleted.
    pub data: Option<Data>,
    /// What was overridden, in the order of the paths.
    pub overridden: Vec<Overridden>,
}

/// One overridden value.
#[derive(Debug, Clone, PartialEq)]
pub struct Overridden {
    /// Where, as a JSON Pointer into `data`, in which an item of a keyed list is named by its key; empty for the whole
    /// record.
    pub path: String,
    /// What stood there before both changes; none where nothing did.
    pub base: Option<Value>,
    /// The value that was overridden; none where a removal was.
    pub lost: Option<Value>,
    /// The value that stayed; none where a removal stayed.
    pub kept: Option<Value>,
    /// Whose value was overridden.
    pub lost_side: Side,
}

/// One of the two sides that meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The device's, or the pushed one.
    Local,
    /// The server's current one.
    Server,
}

/// Merges what became of `base` here and on the server. None is a record that is deleted, or, as the base, one that was
/// not there.
///
/// A null member counts as absent; the result has none.
pub fn merge(base: Option<&Data>, local: Option<Data>, server: Option<Data>, rules: &Rules) -> Merged {
    let mut merging = Merging { late: false, overridden: Vec::new() };
    let data = merging.record(base, local, server.map(without_nulls), rules);
    merging.overridden.sort_by(|one, other| one.path.cmp(&other.path));
    Merged { data, overridden: merging.overridden }
}

/// Brings the local state onto `late`, which is the base with values that the server set or computed afterwards. Nothing
/// that a person wrote meets: what was changed here stays, apart from `server-set` members, and there is no conflict.
pub fn reapply(base: &Data, local: Option<Data>, late: Data, rules: &Rules) -> Option<Data> {
    let mut merging = Merging { late: true, overridden: Vec::new() };
    merging.record(Some(base), local, Some(without_nulls(late)), rules)
}

/// Leaves null members out. There seldom are any: what the server sends has none.
fn without_nulls(mut data: Data) -> Data {
    if data.values().any(|value| value.is_null() || has_null_member(value)) {
        data.retain(|_, value| !value.is_null());
        data.values_mut().for_each(drop_null_members);
    }
    data
}

fn has_null_member(tree: &Value) -> bool {
    match tree {
        Value::Object(members) => members.values().any(|value| value.is_null() || has_null_member(value)),
        Value::Array(items) => items.iter().any(has_null_member),
        _ => false,
    }
}

/// One merge while it goes on.
struct Merging {
    /// Whether the server's state is a late form of the base, so that the local changes stay.
    late: bool,
    overridden: Vec<Overridden>,
}

/// The way from the record to a value.
enum Path<'a> {
    Record,
    In(&'a Path<'a>, &'a str),
}

impl Path<'_> {
    fn pointer(&self) -> String {
        match self {
            Path::Record => String::new(),
            Path::In(outer, step) => format!("{}/{}", outer.pointer(), step.replace('~', "~0").replace('/', "~1")),
        }
    }
}

impl Merging {
    fn record(
        &mut self,
        base: Option<&Data>,
        local: Option<Data>,
        server: Option<Data>,
        rules: &Rules,
    ) -> Option<Data> {
        let same = |one: Option<&Data>, other: Option<&Data>| match (one, other) {
            (Some(one), Some(other)) => rules.record.same_data(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        let stays = match (base, &local, &server) {
            (Some(base), Some(_), Some(_)) => {
                let mut server = server?;
                self.members(base, local?, &mut server, &rules.record, &Path::Record);
                return Some(server);
            }
            _ if same(local.as_ref(), base) => return server,
            _ if same(server.as_ref(), base) => return local.map(without_nulls),
            _ if same(local.as_ref(), server.as_ref()) => return server,
            (_, Some(_), Some(_)) => Side::Server,
            (_, here, _) => match (rules.deletes, here) {
                (DeleteRule::DeleteWins, None) | (DeleteRule::EditWins, Some(_)) => Side::Local,
                (DeleteRule::DeleteWins, Some(_)) | (DeleteRule::EditWins, None) => Side::Server,
            },
        };
        let base = base.cloned().map(Value::Object);
        let local = local.map(without_nulls).map(Value::Object);
        let kept = self.conflict(stays, &Path::Record, base, local, server.map(Value::Object));
        match kept {
            Some(Value::Object(data)) => Some(data),
            _ => None,
        }
    }

    /// Two different changes of one value: keeps one and notes the other.
    fn conflict(
        &mut self,
        stays: Side,
        at: &Path,
        base: Option<Value>,
        local: Option<Value>,
        server: Option<Value>,
    ) -> Option<Value> {
        if self.late {
            return local;
        }
        let (kept, lost, lost_side) = match stays {
            Side::Local => (local, server, Side::Server),
            Side::Server => (server, local, Side::Local),
        };
        let mut base = base;
        base.iter_mut().for_each(drop_null_members);
        self.overridden.push(Overridden { path: at.pointer(), base, lost, kept: kept.clone(), lost_side });
        kept
    }
}
