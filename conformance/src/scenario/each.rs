//! `each` — one file, several scenarios: every combination of the listed values, written `${name}` in title, devices and
//! steps.
//!
//! A text that is exactly `${name}` becomes the value with its type; elsewhere the value stands as text. Every other
//! `${...}` is a variable of a raw request and stays.

use super::error::LoadError;
use super::yaml::{Document, Member, Node, Path, Tree};
use serde_json::Value;
use std::collections::BTreeSet;

/// A document of one combination, and what is added to the scenario's id: `[page=1]`, or nothing.
pub(super) struct Expanded {
    pub(super) suffix: String,
    pub(super) document: Document,
}

/// Makes a document for each combination; the document itself where it has no `each`.
pub(super) fn expand(document: Document) -> Result<Vec<Expanded>, LoadError> {
    let lists = lists(&document)?;
    if lists.is_empty() {
        return Ok(vec![Expanded { suffix: String::new(), document }]);
    }
    let mut all = Vec::new();
    let mut used = BTreeSet::new();
    for combination in combinations(&lists) {
        let mut expanded = document.clone();
        if let Tree::Members(members) = &mut expanded.root.tree {
            for member in
                members.iter_mut().filter(|member| ["title", "devices", "steps"].contains(&member.key.as_str()))
            {
                replace(&mut member.node, &combination, &mut used);
            }
        }
        let parts: Vec<String> = combination.iter().map(|(name, value)| format!("{name}={}", as_text(value))).collect();
        all.push(Expanded { suffix: format!("[{}]", parts.join(",")), document: expanded });
    }
    let path = Path::default().key("each");
    for (name, _) in &lists {
        if !used.contains(*name) {
            return Err(document
                .nonsense(&path.key(*name), format!("no step says ${{{name}}}: use it, or take it out of each")));
        }
    }
    let suffixes: BTreeSet<&str> = all.iter().map(|one| one.suffix.as_str()).collect();
    if suffixes.len() < all.len() {
        return Err(document.nonsense(&path, "a value is listed twice: each scenario needs its own"));
    }
    Ok(all)
}

/// The names and their values, checked for being lists with something in them.
fn lists(document: &Document) -> Result<Vec<(&str, &[Node])>, LoadError> {
    let Some(each) = document.root.member("each") else { return Ok(Vec::new()) };
    let path = Path::default().key("each");
    if !matches!(each.tree, Tree::Members(_)) {
        return Err(document
            .nonsense(&path, "each is a mapping of names to lists of values, such as `each: {page: [1, 2, 3]}`"));
    }
    let mut lists = Vec::new();
    for member in each.members() {
        if member.node.items().is_empty() {
            return Err(
                document.nonsense(&path.key(&member.key), "lists no value: write at least one, as in [1, 2, 3]")
            );
        }
        lists.push((member.key.as_str(), member.node.items()));
    }
    Ok(lists)
}

type Combination<'a> = Vec<(&'a str, &'a Node)>;

fn combinations<'a>(lists: &[(&'a str, &'a [Node])]) -> Vec<Combination<'a>> {
    let mut all: Vec<Combination<'a>> = vec![Vec::new()];
    for (name, values) in lists {
        all = all
            .iter()
            .flat_map(|so_far| values.iter().map(|value| so_far.iter().copied().chain([(*name, value)]).collect()))
            .collect();
    }
    all
}

fn replace(node: &mut Node, combination: &Combination<'_>, used: &mut BTreeSet<String>) {
    match &mut node.tree {
        Tree::Scalar(Value::String(text)) => {
            if let Some((name, value)) = combination.iter().find(|(name, _)| *text == placeholder(name)) {
                used.insert((*name).to_owned());
                node.tree = value.tree.clone();
            } else {
                replace_in_text(text, combination, used);
            }
        }
        Tree::Scalar(_) => {}
        Tree::List(items) => items.iter_mut().for_each(|item| replace(item, combination, used)),
        Tree::Members(members) => {
            for Member { key, node, .. } in members {
                replace_in_text(key, combination, used);
                replace(node, combination, used);
            }
        }
    }
}

fn replace_in_text(text: &mut String, combination: &Combination<'_>, used: &mut BTreeSet<String>) {
    for (name, value) in combination {
        let placeholder = placeholder(name);
        if text.contains(&placeholder) {
            used.insert((*name).to_owned());
            *text = text.replace(&placeholder, &as_text(value));
        }
    }
}

fn placeholder(name: &str) -> String {
    format!("${{{name}}}")
}

/// A string as it is, anything else as JSON.
fn as_text(node: &Node) -> String {
    match node.value() {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
