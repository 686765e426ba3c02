//! Objects, member by member, and values that are one whole.

use super::equal::{equal, present};
use super::rules::{Node, Rule};
use super::{Merging, Path, Side};
use crate::data::drop_null_members;
use fieldsync_schemas::record::Data;
use serde_json::Value;
use std::cmp::Ordering;
use std::mem;

impl Merging {
    /// Merges the members of an object that is there on all sides into the server's.
    pub(super) fn members(&mut self, base: &Data, local: Data, server: &mut Data, node: &Node, at: &Path) {
        // Both are in the order of their names. What is unchanged here is the server's already.
        let mut before = present(base).peekable();
        for (name, mut value) in local {
            if value.is_null() {
                continue;
            }
            while let Some((name, gone)) = before.next_if(|(other, _)| **other < name) {
                self.member(name, Some(gone), None, server, node.member(name), at);
            }
            let before = before.next_if(|(other, _)| **other == name).map(|(_, before)| before);
            if !before.is_some_and(|before| equal(before, &value)) {
                drop_null_members(&mut value);
                self.member(&name, before, Some(value), server, node.member(&name), at);
            }
        }
        for (name, gone) in before {
            self.member(name, Some(gone), None, server, node.member(name), at);
        }
    }

    /// Merges a member that was changed here.
    fn member(
        &mut self,
        name: &str,
        base: Option<&Value>,
        local: Option<Value>,
        server: &mut Data,
        node: &Node,
        within: &Path,
    ) {
        let at = Path::In(within, name);
        match (&node.rule, base, local, server.get_mut(name)) {
            (Some(Rule::ServerSet), ..) => {}
            (None, Some(Value::Object(base)), Some(Value::Object(local)), Some(Value::Object(server))) => {
                self.members(base, local, server, node, &at);
            }
            (_, base, local, slot) => {
                let there = slot.map(mem::take);
                match (self.value(base, local, there, node, &at), server.get_mut(name)) {
                    (Some(value), Some(slot)) => *slot = value,
                    (Some(value), None) => drop(server.insert(name.to_owned(), value)),
                    (None, Some(_)) => drop(server.remove(name)),
                    (None, None) => {}
                }
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

/// The side whose number lies further in a direction; the server's where they are not two numbers.
fn further(direction: Ordering, local: Option<&Value>, server: Option<&Value>) -> Side {
    let number = |value: Option<&Value>| value.and_then(Value::as_f64);
    let order = number(local).zip(number(server)).and_then(|(local, server)| local.partial_cmp(&server));
    if order == Some(direction) { Side::Local } else { Side::Server }
}
