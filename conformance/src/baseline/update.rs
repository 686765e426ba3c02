//! A baseline, kept up to date by what a run shows: new failures come in, what does not fail any more goes out. The file
//! stays the people's: their comments, order and words are kept.

use super::apply::{Suite, failure_counts, forget, inspect, is_about, is_of, is_stale, scenarios};
use super::{Baseline, Entry};
use fieldsync_schemas::baseline::{Baseline as Typed, Day, KnownEntry, KnownKind};
use fieldsync_schemas::event::{Event, ScenarioEnded, ScenarioKey, Verdict};
use fieldsync_schemas::id::RuleId;
use std::collections::{BTreeMap, BTreeSet};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

/// What is said of failures that come in.
#[derive(Debug, Clone)]
pub struct Why {
    /// Why it fails.
    pub reason: String,
    /// Where that is followed up.
    pub issue: String,
    /// The last day on which it may.
    pub expires: Day,
}

/// A baseline that was brought up to date.
#[derive(Debug, Clone, PartialEq)]
pub struct Updated {
    /// The text of its file.
    pub text: String,
    /// The entries that came in.
    pub added: Vec<KnownEntry>,
    /// The entries that went out.
    pub removed: Vec<KnownEntry>,
    /// The entries that had expired, still fail, and have the new day.
    pub prolonged: Vec<KnownEntry>,
}

/// Why a baseline cannot be brought up to date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// Its entries are written in one line.
    #[error("{0}: its entries stand in a list; write each under a heading `[[known]]`, so that it can have comments")]
    List(String),
    /// It cannot be written.
    #[error("{0}")]
    Text(String),
}

/// Brings a baseline up to date with a run.
pub fn update(baseline: &Baseline, events: &[Event], suite: Suite<'_>, why: &Why) -> Result<Updated, UpdateError> {
    let mut events = events.to_vec();
    forget(&mut events);
    let today = Day::today();
    let mut document: DocumentMut =
        baseline.text.parse().map_err(|error: toml_edit::TomlError| UpdateError::Text(error.to_string()))?;
    let mut trailing = document.trailing().as_str().unwrap_or_default().to_owned();
    let tables = document.entry("known").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let Some(tables) = tables.as_array_of_tables_mut() else { return Err(UpdateError::List(baseline.file.clone())) };
    let unknown_names: BTreeSet<u32> = {
        // What has expired names something all the same.
        let problems = inspect(baseline, suite, Day::today());
        problems.iter().filter(|one| one.problem.starts_with("unmatched")).map(|one| one.line).collect()
    };
    let (mut removed, mut prolonged, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    let mut orphaned = String::new();
    for entry in &baseline.entries {
        let place = kept.len();
        if unknown_names.contains(&entry.line) || is_stale(entry, &events, suite) {
            let comments = comments_of_file(&tables.remove(place));
            match tables.get_mut(place) {
                Some(next) => put_before(next, &comments),
                None => orphaned += &comments,
            }
            removed.push(entry.known.clone());
            continue;
        }
        let mut entry = entry.clone();
        if entry.is_expired(today)
            && fails_as(&entry, &events)
            && let Some(table) = tables.get_mut(place)
        {
            entry.known.expires = why.expires;
            table["expires"] = value(why.expires.to_string());
            prolonged.push(entry.known.clone());
        }
        kept.push(entry);
    }
    let added = missing(&kept, &events, suite, why);
    for known in &added {
        tables.push(table(known).map_err(|error| UpdateError::Text(error.to_string()))?);
    }
    trailing.insert_str(0, &orphaned);
    // Comments without an entry stay at the head of the file.
    if let Some(first) = tables.get_mut(0).filter(|_| kept.is_empty() && !trailing.trim().is_empty()) {
        put_before(first, &format!("{}\n\n", trailing.trim_end()));
        trailing.clear();
    }
    document.set_trailing(trailing);
    let text = document.to_string();
    Ok(Updated { text: text.trim_start_matches('\n').to_owned(), added, removed, prolonged })
}

fn fails_as(entry: &Entry, events: &[Event]) -> bool {
    let mut of_entry = scenarios(events).filter(|ended| is_of(entry, ended));
    of_entry.any(|ended| ended.failures.iter().any(|failure| is_about(entry, failure)))
}

/// Entries for the failures that no entry speaks of: one a scenario and rule; where it fails only under some profiles or
/// in some parts, one for each.
fn missing(kept: &[Entry], events: &[Event], suite: Suite<'_>, why: &Why) -> Vec<KnownEntry> {
    let mut failing: BTreeMap<(&str, &RuleId), BTreeSet<ScenarioKey>> = BTreeMap::new();
    for ended in scenarios(events).filter(|ended| ended.verdict == Verdict::Fail) {
        let of_ended: Vec<&Entry> = kept.iter().filter(|entry| is_of(entry, ended)).collect();
        for failure in ended.failures.iter().filter(|failure| failure_counts(failure, suite.spec)) {
            if !of_ended.iter().any(|entry| is_about(entry, failure)) {
                failing.entry((&ended.id, &failure.rule)).or_default().insert(ended.key());
            }
        }
    }
    let mut missing = Vec::new();
    for ((id, rule), keys) in failing {
        let of_id = |ended: &&ScenarioEnded| ended.id == id && ended.verdict.has_run();
        let ran: BTreeSet<ScenarioKey> = scenarios(events).filter(of_id).map(ScenarioEnded::key).collect();
        let everywhere = KnownEntry {
            scenario: Some(id.to_owned()),
            rule: Some(rule.clone()),
            profile: None,
            roles: None,
            kind: KnownKind::Failure,
            reason: why.reason.clone(),
            issue: why.issue.clone(),
            expires: why.expires,
        };
        if ran == keys {
            missing.push(everywhere);
            continue;
        }
        missing.extend(keys.into_iter().map(|key| KnownEntry {
            profile: Some(key.profile),
            roles: key.roles,
            ..everywhere.clone()
        }));
    }
    missing
}

fn table(known: &KnownEntry) -> Result<Table, toml_edit::ser::Error> {
    let document = toml_edit::ser::to_document(&Typed { known: vec![known.clone()] })?;
    let entry = match document.get("known") {
        Some(Item::ArrayOfTables(tables)) => tables.get(0).cloned(),
        Some(item) => item.as_array().and_then(|all| all.get(0)?.as_inline_table()).map(|one| one.clone().into_table()),
        None => None,
    };
    let mut table = entry.unwrap_or_default();
    if known.kind == KnownKind::default() {
        table.remove("kind");
    }
    table.set_position(None);
    table.decor_mut().set_prefix("\n");
    Ok(table)
}

/// The comments above an entry that an empty line sets apart from it: they are of the file.
fn comments_of_file(table: &Table) -> String {
    let above = table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
    above.rfind("\n\n").map_or_else(String::new, |end| above[..end + 2].to_owned())
}

fn put_before(table: &mut Table, comments: &str) {
    let own = table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned();
    let own = if comments.is_empty() { own } else { own.trim_start_matches('\n').to_owned() };
    table.decor_mut().set_prefix(format!("{comments}{own}"));
}
