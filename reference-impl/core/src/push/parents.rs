//! Parents and children: what a record refers to has to be there, and what is referred to does not go alone.
//!
//! Chapter: parents. Only the records that a batch names are looked at, what they refer to, and the children of those
//! that it deletes; a type without parents costs nothing.
//!
//! Who pushes may not see all of them. A record that is not seen is none that something new could refer to, so that
//! nobody finds out by trying which ones there are; and no delete takes it along.

use super::refuse;
use crate::data;
use crate::store::{Families, Link, Standing, State};
use fieldsync_schemas::id::{MutationId, RecordId, TypeName};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::Refusal;
use fieldsync_schemas::record::Record;
use fieldsync_schemas::registry::{OnDelete, OnMissing, Registry, TypeEntry};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// The most records that one delete takes along.
pub const TAKEN_ALONG: usize = 1_000;

/// One record that a pushed state refers to.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// The record.
    pub parent: RecordRef,
    /// The member of `data` that names it.
    pub field: String,
    /// What happens where the server lacks it.
    pub on_missing: OnMissing,
}

/// What `data` refers to, by the parents of its type.
pub fn references(entry: &TypeEntry, data: &Value) -> Result<Vec<Reference>, Refusal> {
    let mut found = Vec::new();
    for parent in &entry.parents {
        let Some(value) = data.get(&parent.field) else { continue };
        let Some(id) = value.as_str().and_then(|id| RecordId::new(id).ok()) else {
            return Err(Refusal {
                pointer: Some(pointer(&parent.field)),
                ..refuse(
                    ProblemCode::Malformed,
                    format!("{} names a {} by its id; {value} is none", parent.field, parent.type_name),
                )
            });
        };
        found.push(Reference {
            parent: RecordRef { type_name: parent.type_name.clone(), id },
            field: parent.field.clone(),
            on_missing: parent.on_missing,
        });
    }
    Ok(found)
}

fn pointer(field: &str) -> String {
    format!("/data/{}", field.replace('~', "~0").replace('/', "~1"))
}

/// The records to which a stored state refers; none for a tombstone.
fn parents_of(entry: &TypeEntry, state: &State) -> HashSet<RecordRef> {
    if entry.parents.is_empty() || state.deleted {
        return HashSet::new();
    }
    let record: Record = serde_json::from_str(&state.json).expect("the server wrote it");
    let data = record.data.map(|raw| Value::Object(data::tree(&raw))).unwrap_or_default();
    // What refers to itself holds itself up, and nobody else.
    let parents = references(entry, &data).unwrap_or_default().into_iter().map(|reference| reference.parent);
    parents.filter(|parent| *parent != state.record).collect()
}

/// What has to be known of the children of these records, which are to be deleted.
pub(super) fn families<'a>(
    registry: &Registry,
    deleted: impl Iterator<Item = &'a RecordRef>,
    mutations: usize,
) -> Families {
    let parents: HashSet<&TypeName> =
        registry.types.iter().flat_map(|entry| &entry.parents).map(|parent| &parent.type_name).collect();
    let heads: Vec<RecordRef> = deleted.filter(|record| parents.contains(&record.type_name)).cloned().collect();
    if heads.is_empty() {
        return Families::default();
    }
    let takes_along = |entry: &&TypeEntry| entry.on_delete == OnDelete::Cascade;
    Families {
        heads,
        takes_along: registry.types.iter().filter(takes_along).map(|entry| entry.name.clone()).collect(),
        // The batch itself may delete or move as many as it has mutations.
        most: TAKEN_ALONG + mutations + 1,
    }
}

/// Why a mutation cannot be applied now.
#[derive(Debug)]
pub(super) enum Missing {
    /// For good.
    Refused(Refusal),
    /// It waits for its parent.
    Held(Refusal),
    /// It waits for what becomes of another mutation of the batch.
    Skipped(Refusal),
}

/// How the records stand that this batch is about, and refers to, while it is decided.
#[derive(Debug, Clone, Default)]
pub(super) struct Kin {
    standing: HashMap<RecordRef, Standing>,
    children: HashMap<RecordRef, Vec<RecordRef>>,
    links: Vec<Link>,
    /// Those of them that whoever pushes does not see.
    unseen: HashSet<RecordRef>,
    /// The records that a mutation of this batch was to create, and that it was not.
    untaken: HashMap<RecordRef, MutationId>,
}

impl Kin {
    pub(super) fn new(
        standing: HashMap<RecordRef, Standing>,
        children: HashMap<RecordRef, Vec<RecordRef>>,
        unseen: HashSet<RecordRef>,
    ) -> Self {
        Self { standing, children, unseen, ..Self::default() }
    }

    /// What changed in who refers to whom.
    pub(super) fn into_links(self) -> Vec<Link> {
        self.links
    }

    /// This record is about to be created, unless the server has it or had it.
    pub(super) fn promise(&mut self, record: &RecordRef) {
        if self.unseen.remove(record) {
            self.standing.remove(record);
        }
        self.standing.entry(record.clone()).or_insert(Standing::Live);
    }

    /// A mutation that was to create this record was not taken.
    pub(super) fn not_taken(&mut self, record: RecordRef, mutation_id: MutationId) {
        self.untaken.insert(record, mutation_id);
    }

    /// Whether everything that a record refers to is there. What it refers to already is no news to who sees it.
    pub(super) fn check(
        &self,
        entry: &TypeEntry,
        record: &RecordRef,
        references: &[Reference],
        current: Option<&State>,
    ) -> Result<(), Missing> {
        for Reference { parent, field, on_missing } in references.iter().filter(|one| one.parent != *record) {
            let about = |code, detail: String| Refusal { pointer: Some(pointer(field)), ..refuse(code, detail) };
            let is_hidden =
                self.unseen.contains(parent) && !current.is_some_and(|state| parents_of(entry, state).contains(parent));
            let standing = self.standing.get(parent).filter(|_| !is_hidden);
            match (standing, self.untaken.get(parent), on_missing) {
                (Some(Standing::Live), ..) => {}
                (Some(Standing::Deleted), ..) => {
                    let detail = format!("{parent}, which {field} names, was deleted");
                    return Err(Missing::Refused(about(ProblemCode::MissingParent, detail)));
                }
                (None, Some(cause), _) => {
                    let detail = format!("{parent}, which {field} names, was not taken; this can follow it");
                    let refusal = about(ProblemCode::DependencyFailed, detail);
                    return Err(Missing::Skipped(Refusal { cause: Some(cause.clone()), ..refusal }));
                }
                (None, None, OnMissing::Hold) => {
                    let detail =
                        format!("the server does not have {parent}, which {field} names; send this again later");
                    return Err(Missing::Held(about(ProblemCode::MissingParent, detail)));
                }
                (None, None, OnMissing::Reject) => {
                    let detail = format!("the server does not have {parent}, which {field} names");
                    return Err(Missing::Refused(about(ProblemCode::MissingParent, detail)));
                }
            }
        }
        Ok(())
    }

    /// The records that go with this one when it is deleted, children first.
    pub(super) fn taken_along(&self, registry: &Registry, record: &RecordRef) -> Result<Vec<RecordRef>, Refusal> {
        let children_of = |parent| self.children.get(parent).map(Vec::as_slice).unwrap_or_default().iter();
        let mut order = Vec::new();
        let mut seen = HashSet::from([record]);
        // Families are as deep as somebody made them, so the way down is no recursion.
        let mut path = vec![(record, children_of(record))];
        while let Some((parent, children)) = path.last_mut() {
            match children.next() {
                Some(child) => {
                    self.goes_along(registry, parent, child)?;
                    if seen.insert(child) {
                        path.push((child, children_of(child)));
                    }
                }
                None => {
                    order.extend((*parent != record).then(|| parent.clone()));
                    path.pop();
                }
            }
        }
        if order.len() > TAKEN_ALONG {
            return Err(refuse(
                ProblemCode::HasChildren,
                format!("more than {TAKEN_ALONG} records would go with {record}; delete some of them first"),
            ));
        }
        Ok(order)
    }

    /// Whether a record can go with the one that it refers to.
    fn goes_along(&self, registry: &Registry, parent: &RecordRef, child: &RecordRef) -> Result<(), Refusal> {
        if self.unseen.contains(child) {
            return Err(refuse(
                ProblemCode::HasChildren,
                format!("a record that you do not see refers to {parent}; somebody who does has to delete it first"),
            ));
        }
        if !registry.entry(&parent.type_name).is_some_and(|entry| entry.on_delete == OnDelete::Cascade) {
            return Err(refuse(
                ProblemCode::HasChildren,
                format!("{child} refers to {parent}; delete it first, or let it refer to another"),
            ));
        }
        Ok(())
    }

    /// A record has a new state.
    pub(super) fn became(&mut self, entry: &TypeEntry, before: Option<&State>, after: &State) {
        let standing = if after.deleted { Standing::Deleted } else { Standing::Live };
        self.standing.insert(after.record.clone(), standing);
        let old = before.map(|state| parents_of(entry, state)).unwrap_or_default();
        let new = parents_of(entry, after);
        for parent in old.difference(&new) {
            if let Some(children) = self.children.get_mut(parent) {
                children.retain(|child| *child != after.record);
            }
            self.links.push(Link { parent: parent.clone(), child: after.record.clone(), is_there: false });
        }
        for parent in new.difference(&old) {
            self.children.entry(parent.clone()).or_default().push(after.record.clone());
            self.links.push(Link { parent: parent.clone(), child: after.record.clone(), is_there: true });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Campaigns take their doses along, doses their reactions; reactions keep their notes.
    fn registry() -> Registry {
        let entry = |name: &str, parent: Option<&str>, on_delete: &str| {
            let parents: Vec<Value> =
                parent.map(|parent| json!({"type": parent, "field": parent})).into_iter().collect();
            json!({"name": name, "class": "transactional", "parents": parents, "merge": {"policy": "arrival-wins"},
                "on_delete": on_delete})
        };
        let types = [
            entry("campaign", None, "cascade"),
            entry("dose", Some("campaign"), "cascade"),
            entry("reaction", Some("dose"), "reject"),
            entry("note", Some("reaction"), "reject"),
        ];
        serde_json::from_value(json!({ "types": types })).unwrap()
    }

    fn named(text: &str) -> RecordRef {
        let (type_name, id) = text.split_once('/').unwrap();
        RecordRef { type_name: type_name.parse().unwrap(), id: id.parse().unwrap() }
    }

    fn kin(families: &[(&str, &[&str])]) -> Kin {
        let children = families
            .iter()
            .map(|(parent, children)| (named(parent), children.iter().map(|child| named(child)).collect()))
            .collect();
        Kin::new(HashMap::new(), children, HashSet::new())
    }

    #[test]
    fn what_goes_along_goes_children_first() {
        let kin = kin(&[("campaign/a", &["dose/1", "dose/2"]), ("dose/1", &["reaction/x"])]);
        let along = kin.taken_along(&registry(), &named("campaign/a")).unwrap();
        assert_eq!(along, [named("reaction/x"), named("dose/1"), named("dose/2")]);
    }

    #[test]
    fn a_chain_of_any_length_goes_from_its_end() {
        const LENGTH: usize = 20_000;
        let children = (0..LENGTH).map(|at| (named(&format!("dose/{at}")), vec![named(&format!("dose/{}", at + 1))]));
        let kin = Kin::new(HashMap::new(), children.collect(), HashSet::new());
        let refusal = kin.taken_along(&registry(), &named("dose/0")).unwrap_err();
        assert!(refusal.detail.starts_with("more than 1000 records"), "{}", refusal.detail);
        let along = kin.taken_along(&registry(), &named("dose/19998")).unwrap();
        assert_eq!(along, [named("dose/20000"), named("dose/19999")]);
    }

    #[test]
    fn a_child_that_is_kept_by_its_own_children_keeps_the_family() {
        let kin = kin(&[("campaign/a", &["dose/1"]), ("dose/1", &["reaction/x"]), ("reaction/x", &["note/n"])]);
        let refusal = kin.taken_along(&registry(), &named("campaign/a")).unwrap_err();
        assert_eq!(refusal.code, ProblemCode::HasChildren);
        assert!(refusal.detail.starts_with("note n refers to reaction x"), "{}", refusal.detail);
    }

    #[test]
    fn one_delete_takes_only_so_many_along() {
        let doses: Vec<String> = (0..=TAKEN_ALONG).map(|number| format!("dose/{number}")).collect();
        let doses: Vec<&str> = doses.iter().map(String::as_str).collect();
        let all = kin(&[("campaign/a", &doses)]).taken_along(&registry(), &named("campaign/a"));
        assert_eq!(all.unwrap_err().code, ProblemCode::HasChildren);
        let fewer = kin(&[("campaign/a", &doses[1..])]).taken_along(&registry(), &named("campaign/a"));
        assert_eq!(fewer.unwrap().len(), TAKEN_ALONG);
    }

    #[test]
    fn a_batch_sees_its_own_creates_and_what_it_failed_to_create() {
        let mut kin = kin(&[]);
        let reference =
            |on_missing| [Reference { parent: named("campaign/a"), field: "campaign".to_owned(), on_missing }];
        let (registry, dose) = (registry(), named("dose/1"));
        let entry = registry.entry(&dose.type_name).unwrap();
        let check = |kin: &Kin, on_missing| kin.check(entry, &dose, &reference(on_missing), None);
        assert!(matches!(check(&kin, OnMissing::Hold), Err(Missing::Held(_))));
        assert!(matches!(check(&kin, OnMissing::Reject), Err(Missing::Refused(_))));
        kin.not_taken(named("campaign/a"), MutationId::new("m").unwrap());
        assert!(matches!(check(&kin, OnMissing::Reject), Err(Missing::Skipped(_))));
        kin.promise(&named("campaign/a"));
        assert!(check(&kin, OnMissing::Hold).is_ok());
    }

    #[test]
    fn what_is_not_seen_is_no_parent_and_holds_up_its_own() {
        let campaign = named("campaign/a");
        let reference = [Reference { parent: campaign.clone(), field: "campaign".into(), on_missing: OnMissing::Hold }];
        let (registry, dose) = (registry(), named("dose/1"));
        let entry = registry.entry(&dose.type_name).unwrap();
        for standing in [Standing::Live, Standing::Deleted] {
            let standing = HashMap::from([(campaign.clone(), standing)]);
            let mut kin = Kin::new(standing, HashMap::new(), HashSet::from([campaign.clone()]));
            assert!(matches!(kin.check(entry, &dose, &reference, None), Err(Missing::Held(_))));
            kin.promise(&campaign);
            assert!(kin.check(entry, &dose, &reference, None).is_ok(), "as if it had never been there");
        }
        let children = HashMap::from([(campaign.clone(), vec![dose.clone()])]);
        let kin = Kin::new(HashMap::new(), children, HashSet::from([dose.clone()]));
        let refusal = kin.taken_along(&registry, &campaign).unwrap_err();
        assert_eq!(refusal.code, ProblemCode::HasChildren);
        assert!(!refusal.detail.contains("dose"), "{}", refusal.detail);
    }
}
