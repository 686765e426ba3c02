//! A type's rules for merging, read once: a tree that follows the data.

use super::list::KeyedList;
use fieldsync_schemas::registry::{DeleteRule, FieldRule, FieldRuleKind, MergeRules};
use std::collections::BTreeMap;

/// The rules of one type, ready for merging.
#[derive(Debug, Clone)]
pub struct Rules {
    pub(super) deletes: DeleteRule,
    pub(super) record: Node,
}

/// Why rules cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the rule for {pointer:?} cannot be followed: {kind}")]
pub struct RulesError {
    /// Where the rule was to apply.
    pub pointer: String,
    /// What is wrong with it.
    pub kind: RulesErrorKind,
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesErrorKind {
    /// It is no JSON Pointer to a member.
    #[error("it names no member; write a JSON Pointer such as /address/street")]
    Pointer,
    /// The rule is a word that this version does not know.
    #[error("the rule {0} is not known")]
    Unknown(String),
    /// It lies within a member that has a rule of its own and so is one whole value.
    #[error("it lies within a member that is one whole value; take one of the two rules away")]
    WithinWhole,
    /// `*` stands elsewhere than right below a keyed list, or something else stands there.
    #[error("`*` stands for the items of a `keyed-set`, there and nowhere else")]
    Items,
}

/// What holds for one member; without a rule, an object is merged member by member and all else is one value.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    pub(super) rule: Option<Rule>,
    pub(super) members: BTreeMap<String, Node>,
}

/// The rule of a member.
#[derive(Debug, Clone)]
pub(super) enum Rule {
    ServerWins,
    ClientWins,
    Immutable,
    ServerSet,
    Max,
    Min,
    Keyed(KeyedList),
}

/// A member of which no rule speaks.
static FREE: Node = Node { rule: None, members: BTreeMap::new() };

impl Rules {
    /// Reads the rules of a type.
    pub fn compile(rules: &MergeRules) -> Result<Self, RulesError> {
        let mut record = Node::default();
        // In the order of the pointers, so that a list comes before what is said of its items.
        for (pointer, field) in &rules.fields {
            record.add(pointer, field).map_err(|kind| RulesError { pointer: pointer.clone(), kind })?;
        }
        Ok(Self { deletes: rules.deletes.unwrap_or(DeleteRule::DeleteWins), record })
    }
}

impl Node {
    /// The node of a member.
    pub(super) fn member(&self, name: &str) -> &Node {
        self.members.get(name).unwrap_or(&FREE)
    }

    fn add(&mut self, pointer: &str, field: &FieldRule) -> Result<(), RulesErrorKind> {
        let mut node = self;
        let mut is_item = false;
        for step in pointer.strip_prefix('/').ok_or(RulesErrorKind::Pointer)?.split('/') {
            let step = unescaped(step).ok_or(RulesErrorKind::Pointer)?;
            is_item = matches!(node.rule, Some(Rule::Keyed(_)));
            if is_item != (step == "*") {
                return Err(RulesErrorKind::Items);
            }
            node = match node.rule {
                None => node.members.entry(step).or_default(),
                Some(Rule::Keyed(ref mut list)) => &mut list.items,
                Some(_) => return Err(RulesErrorKind::WithinWhole),
            };
        }
        if is_item {
            return Err(RulesErrorKind::Items);
        }
        node.rule = Some(match &field.rule {
            FieldRuleKind::ServerWins | FieldRuleKind::Derived => Rule::ServerWins,
            FieldRuleKind::ClientWins => Rule::ClientWins,
            FieldRuleKind::Immutable => Rule::Immutable,
            FieldRuleKind::ServerSet => Rule::ServerSet,
            FieldRuleKind::Max => Rule::Max,
            FieldRuleKind::Min => Rule::Min,
            FieldRuleKind::KeyedSet => Rule::Keyed(KeyedList {
                key: field.key.clone().unwrap_or_else(|| "id".to_owned()),
                items: Box::default(),
            }),
            other => return Err(RulesErrorKind::Unknown(other.to_string())),
        });
        Ok(())
    }
}

/// A step of a JSON Pointer (RFC 6901) as the name that it stands for.
fn unescaped(step: &str) -> Option<String> {
    let well_formed = step.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    well_formed.then(|| step.replace("~1", "/").replace("~0", "~"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn compiled(fields: Value) -> Result<Rules, (String, RulesErrorKind)> {
        let rules: MergeRules = serde_json::from_value(json!({"policy": "field-merge", "fields": fields})).unwrap();
        Rules::compile(&rules).map_err(|error| (error.pointer, error.kind))
    }

    #[test]
    fn rules_are_read() {
        for fields in [
            json!({}),
            json!({"/a": {"rule": "max"}, "/a-b": {"rule": "min"}, "/o/a": {"rule": "derived", "inputs": ["/a"]}}),
            json!({"/l": {"rule": "keyed-set"}, "/l-m": {"rule": "max"}, "/l/*/a": {"rule": "immutable"}}),
            json!({"/l": {"rule": "keyed-set", "key": "no"}, "/l/*/m": {"rule": "keyed-set"}, "/l/*/m/*/a": {"rule": "max"}}),
            json!({"/~0~1": {"rule": "max"}, "/": {"rule": "max"}}),
        ] {
            compiled(fields.clone()).unwrap_or_else(|error| panic!("{fields}: {error:?}"));
        }
    }

    #[test]
    fn rules_that_cannot_be_followed_are_named() {
        use RulesErrorKind::*;
        for (fields, pointer, kind) in [
            (json!({"": {"rule": "max"}}), "", Pointer),
            (json!({"a": {"rule": "max"}}), "a", Pointer),
            (json!({"/a~2": {"rule": "max"}}), "/a~2", Pointer),
            (json!({"/a~": {"rule": "max"}}), "/a~", Pointer),
            (json!({"/a": {"rule": "newest"}}), "/a", Unknown("newest".to_owned())),
            (json!({"/a": {"rule": "server-wins"}, "/a/b": {"rule": "max"}}), "/a/b", WithinWhole),
            (json!({"/l/*/a": {"rule": "max"}}), "/l/*/a", Items),
            (json!({"/l": {"rule": "keyed-set"}, "/l/a": {"rule": "max"}}), "/l/a", Items),
            (json!({"/l": {"rule": "keyed-set"}, "/l/*": {"rule": "max"}}), "/l/*", Items),
        ] {
            assert_eq!(compiled(fields.clone()).unwrap_err(), (pointer.to_owned(), kind), "{fields}");
        }
    }
}
