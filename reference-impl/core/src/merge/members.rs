//! Objects, member by member, and values that are one whole.

use super::equal::{equal, present};
use super::rules::{Node, Rule};
use super::{Merging, Path, Side};
use crate::data::drop_null_members;
use fieldsync_schemas::record::Data;
use serde_json::Value;
use serde_json::map::IterMut;
use std::cmp::Ordering;
use std::iter::Peekable;
use std::mem;

impl Merging {
    /// Merges the members of an object that is there on all sides into the server's.
    pub(super) fn members(&mut self, base: &Data, local: Data, server: &mut Data, node: &Node, at: &Path) {
        // All three are in the order of their names. What is unchanged here is the server's already.
        let mut before = present(base).peekable();
        let mut there = There { members: server.iter_mut().peekable(), made: Vec::new(), some_are_gone: false };
        for (name, mut value) in local {
            if value.is_null() {
                continue;
            }
            while let Some((name, gone)) = before.next_if(|(other, _)| **other < name) {
                self.member(name, Some(gone), None, &mut there, node, at);
            }
            let before = before.next_if(|(other, _)| **other == name).map(|(_, before)| before);
            if !before.is_some_and(|before| equal(before, &value)) {
                drop_null_members(&mut value);
                self.member(&name, before, Some(value), &mut there, node, at);
            }
        }
        for (name, gone) in before {
            self.member(name, Some(gone), None, &mut there, node, at);
        }
        let There { made, some_are_gone, .. } = there;
        if some_are_gone {
            server.retain(|_, value| !value.is_null());
        }
        server.extend(made);
    }

    /// Merges a member that was changed here.
    fn member(
        &mut self,
        name: &str,
        base: Option<&Value>,
        local: Option<Value>,
        there: &mut There<'_>,
        within: &Node,
        at: &Path,
    ) {
        let (node, at) = (within.member(name), Path::In(at, name));
        match (&node.rule, base, local, there.member(name)) {
            (Some(Rule::ServerSet), ..) => {}
            (None, Some(Value::Object(base)), Some(Value::Object(local)), Some(Value::Object(server))) => {
                self.members(base, local, server, node, &at);
            }
            (_, base, local, Some(slot)) => match self.value(base, local, Some(mem::take(slot)), node, &at) {
                Some(value) => *slot = value,
                // Null is left in its place.
                None => there.some_are_gone = true,
            },
            (_, base, local, None) => {
                let value = self.value(base, local, None, node, &at);
                there.made.extend(value.map(|value| (name.to_owned(), value)));
            }
        }
    }

    /// Merges a list, or a value that is one whole.
    fn value(
        &mut self,
        base: Option<&Value>,
        mut local: Option<Value>,
        mut server: Option<Value>,
        node: &Node,
        at: &Path,
    ) -> Option<Value> {
        if let Some(Rule::Keyed(list)) = &node.rule
            && self.list(list, base, &mut local, &mut server, at)
        {
            return server;
        }
        let (here, there) = (local.as_ref(), server.as_ref());
        if node.same(here, base) || node.same(here, there) {
            return server;
        }
        let stays = match node.rule {
            Some(Rule::Immutable) => Side::Server,
            _ if node.same(there, base) => return local,
            Some(Rule::ClientWins) => Side::Local,
            Some(Rule::Max) => further(Ordering::Greater, here, there),
            Some(Rule::Min) => further(Ordering::Less, here, there),
            _ => Side::Server,
        };
        self.conflict(stays, at, base.cloned(), local, server)
    }
}

/// The server's members while they are walked through, and what comes of the walk.
struct There<'a> {
    members: Peekable<IterMut<'a>>,
    /// Those that were not there.
    made: Vec<(String, Value)>,
    /// Whether some are null now, and so no longer there.
    some_are_gone: bool,
}

impl<'a> There<'a> {
    /// The member with this name, which comes after those that were asked for before.
    fn member(&mut self, name: &str) -> Option<&'a mut Value> {
        while self.members.next_if(|(other, _)| other.as_str() < name).is_some() {}
        self.members.next_if(|(other, _)| *other == name).map(|(_, value)| value)
    }
}

/// The side whose number lies further in a direction; the server's where they are not two numbers.
fn further(direction: Ordering, local: Option<&Value>, server: Option<&Value>) -> Side {
    let number = |value: Option<&Value>| value.and_then(Value::as_f64);
    let order = number(local).zip(number(server)).and_then(|(local, server)| local.partial_cmp(&server));
    if order == Some(direction) { Side::Local } else { Side::Server }
}
