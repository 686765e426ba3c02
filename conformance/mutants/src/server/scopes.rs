//! Faults against the chapter `scopes`.

use crate::Mutant;
use crate::seam::effects::{around_decide, change_outcomes};
use crate::seam::storage::{StorageFault, faulty};
use crate::seam::wire;
use async_trait::async_trait;
use fieldsync_core::pull::{Ground, PullError};
use fieldsync_core::push::{Decision, ReadMutation};
use fieldsync_core::scope::{Scope, Sight};
use fieldsync_core::store::{Commit, DataSetName, Loaded, Place, Rescope, Row, RowKind, Snapshot, Touched};
use fieldsync_schemas::conflict::CONFLICT_TYPE;
use fieldsync_schemas::id::{FeedName, MutationId, Principal, RecordId};
use fieldsync_schemas::problem::{EpochCause, ProblemCode};
use fieldsync_schemas::pull::{PullRequest, RecordRef};
use fieldsync_schemas::record::Record;
use fieldsync_schemas::time::Timestamp;
use fieldsync_server::{Parts, PullRule};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "a-scope-is-its-own-places-alone",
        "scopes.places.with-all-below",
        "A place within a place of the scope is not in it.",
        |parts| faulty(parts, PlacesAlone),
    ),
    Mutant::server(
        "a-restore-leaves-the-places-below-a-scope",
        "scopes.places.with-all-below",
        "After a restore a scope has the places that were below it before, wherever the backup has them.",
        |parts| faulty(parts, BelowAsBefore::default()),
    ),
    Mutant::server(
        "every-scope-is-called-all",
        "scopes.session.tag",
        "The session says that the principal sees everything, whatever the scope is.",
        |parts| wire::answers(parts, "/session", |body| body["scope"] = json!("all")),
    ),
    Mutant::server(
        "everybody-pulls-everything",
        "scopes.pull.nothing-outside",
        "A pull does not look at the scope.",
        |parts| faulty(parts, EverythingIsPulled),
    ),
    Mutant::server(
        "a-grant-brings-what-comes-from-now-on",
        "scopes.grant.old-records-come",
        "From a cursor only what was accepted since the last change of a scope is given.",
        |parts| faulty(parts, OnlyNewRecords::default()),
    ),
    Mutant::server(
        "a-revocation-is-silent",
        "scopes.revoke.records-are-removed",
        "What has left the scope comes no more, and nobody says that it left.",
        |parts| faulty(parts, Silent),
    ),
    Mutant::server(
        "what-left-is-told-as-deleted",
        "scopes.move.leaves",
        "A record that has left the scope comes as a tombstone.",
        |parts| faulty(parts, ToldAsDeleted),
    ),
    Mutant::server(
        "a-new-scope-ends-the-cursors",
        "scopes.cursor.stays-good",
        "A cursor is good for as long as the session stays what it was.",
        cursors_of_a_session,
    ),
    Mutant::server(
        "conflict-entries-are-everybodys",
        "scopes.conflicts.follow-the-record",
        "The conflict log comes to everybody, wherever the record is.",
        |parts| faulty(parts, OpenLog),
    ),
    Mutant::server(
        "a-scope-is-for-pulls",
        "scopes.push.outside-is-refused",
        "A push does not look at the scope.",
        |parts| faulty(parts, PushesEverywhere),
    ),
    Mutant::server(
        "a-refusal-tells-what-there-is",
        "scopes.push.unseen-is-unknown",
        "A change of a record outside the scope is refused in another way than one of a record that is not there.",
        a_refusal_tells,
    ),
    Mutant::server(
        "a-parent-is-there-for-everybody",
        "scopes.parents.unseen-is-missing",
        "What a record refers to is looked up without looking at the scope.",
        |parts| labels_kept_where(parts, |loaded, record| !loaded.parents.contains_key(record)),
    ),
    Mutant::server(
        "a-child-of-an-unseen-parent-waits",
        "scopes.parents.known-stays",
        "A parent outside the scope is missing, also to a record that has referred to it all along.",
        an_unseen_parent_is_none,
    ),
    Mutant::server(
        "a-delete-takes-unseen-children-along",
        "scopes.children.unseen-stay",
        "Children are deleted with their parent wherever they are, and given with the outcome.",
        |parts| labels_kept_where(parts, |loaded, record| loaded.parents.contains_key(record)),
    ),
    Mutant::server(
        "a-new-epoch-opens-every-scope",
        "scopes.epoch.stays",
        "After a restore and after a wipe everybody sees everything.",
        |parts| faulty(parts, OpenedByAnEpoch::default()),
    ),
];

fn labels_kept_where(parts: Parts, is_kept: fn(&Loaded, &RecordRef) -> bool) -> Parts {
    around_decide(parts, move |batch, mut loaded, ground, decide| {
        let labels = std::mem::take(&mut loaded.labels);
        loaded.labels = labels.into_iter().filter(|(record, _)| is_kept(&loaded, record)).collect();
        decide(batch, loaded, ground)
    })
}

fn an_unseen_parent_is_none(parts: Parts) -> Parts {
    around_decide(parts, |batch, mut loaded, ground, decide| {
        let Loaded { scope, labels, parents, .. } = &mut loaded;
        parents.retain(|record, _| scope.holds(labels.get(record)));
        decide(batch, loaded, ground)
    })
}

#[derive(Default)]
struct OpenedByAnEpoch(AtomicBool);

impl StorageFault for OpenedByAnEpoch {
    fn begins(&self, _: &DataSetName, _: &EpochCause) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn rescope(&self, scopes: &mut Vec<Rescope>) {
        if self.0.load(Ordering::Relaxed) {
            for scope in scopes {
                *scope = Rescope { user: scope.user.clone(), places: None, seen: BTreeSet::new() };
            }
        }
    }
}

/// What each user saw last, and whether a backup was put back since.
#[derive(Default)]
struct BelowAsBefore {
    seen: Mutex<HashMap<String, BTreeSet<RecordId>>>,
    is_restored: AtomicBool,
}

impl StorageFault for BelowAsBefore {
    fn begins(&self, _: &DataSetName, _: &EpochCause) {
        self.is_restored.store(true, Ordering::Relaxed);
    }

    fn rescope(&self, scopes: &mut Vec<Rescope>) {
        let mut before = self.seen.lock().expect("nothing panics while it holds this");
        for scope in scopes {
            match before.get(&scope.user).filter(|_| self.is_restored.load(Ordering::Relaxed)) {
                Some(seen) => scope.seen = seen.clone(),
                None => drop(before.insert(scope.user.clone(), scope.seen.clone())),
            }
        }
    }
}

struct PlacesAlone;

impl StorageFault for PlacesAlone {
    fn rescope(&self, scopes: &mut Vec<Rescope>) {
        for scope in scopes {
            scope.seen = scope.places.iter().flatten().cloned().collect();
        }
    }
}

struct EverythingIsPulled;

impl StorageFault for EverythingIsPulled {
    fn sight(&self, _: &FeedName, sight: &mut Sight) {
        if matches!(sight, Sight::Scoped | Sight::ScopedLog) {
            *sight = Sight::Everything;
        }
    }
}

/// When the last scope was changed, and from where the page is read.
#[derive(Default)]
struct OnlyNewRecords {
    changed: AtomicI64,
    after: AtomicU64,
}

impl StorageFault for OnlyNewRecords {
    fn rescope(&self, _: &mut Vec<Rescope>) {
        self.changed.store(Timestamp::now().as_millis(), Ordering::Relaxed);
    }

    fn page(&self, _: &FeedName, after: &mut Place, _: &mut u64) {
        self.after.store(after.0, Ordering::Relaxed);
    }

    fn rows(&self, _: &FeedName, rows: &mut Vec<Row>) {
        let changed = self.changed.load(Ordering::Relaxed);
        if self.after.load(Ordering::Relaxed) > 0 {
            rows.retain(|row| {
                let record = serde_json::from_str::<Record>(&row.json);
                record.is_ok_and(|record| record.accepted_at.as_millis() > changed)
            });
        }
    }
}

struct Silent;

impl StorageFault for Silent {
    fn rows(&self, _: &FeedName, rows: &mut Vec<Row>) {
        rows.retain(|row| row.kind != RowKind::Remove);
    }
}

struct ToldAsDeleted;

impl StorageFault for ToldAsDeleted {
    fn rows(&self, _: &FeedName, rows: &mut Vec<Row>) {
        for row in rows.iter_mut().filter(|row| row.kind == RowKind::Remove) {
            let mut record: Value = serde_json::from_str(&row.json).expect("the server wrote it");
            let now = json!(Timestamp::now());
            for (member, value) in [
                ("rev", json!(format!("left-{}", row.place.0))),
                ("version", json!(9000)),
                ("modified_at", now.clone()),
                ("accepted_at", now),
                ("deleted", json!(true)),
            ] {
                record[member] = value;
            }
            row.kind = RowKind::Tombstone;
            row.json = Arc::from(record.to_string());
        }
    }
}

/// Binds cursors to the tag of the session.
pub(super) fn cursors_of_a_session(mut parts: Parts) -> Parts {
    parts.rules.pull = Arc::new(OfASession(parts.rules.pull));
    parts
}

struct OfASession(Arc<dyn PullRule>);

#[async_trait]
impl PullRule for OfASession {
    async fn answer(
        &self,
        request: &PullRequest,
        ground: Ground<'_>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Vec<u8>, PullError> {
        let bound = Principal::new(format!("{}/{}", ground.principal, ground.session)).expect("two visible texts");
        self.0.answer(request, Ground { principal: &bound, ..ground }, snapshot).await
    }
}

struct OpenLog;

impl StorageFault for OpenLog {
    fn commits(&self, commits: &mut Vec<Commit>) {
        for state in commits.iter_mut().flat_map(|commit| &mut commit.states) {
            if state.record.type_name.as_str() == CONFLICT_TYPE {
                state.label = None;
            }
        }
    }
}

struct PushesEverywhere;

impl StorageFault for PushesEverywhere {
    fn loaded(&self, _: &[Touched], loaded: &mut Vec<Loaded>) {
        for one in loaded {
            one.scope = Scope::All;
        }
    }
}

fn a_refusal_tells(parts: Parts) -> Parts {
    around_decide(parts, |batch, loaded, ground, decide| {
        let is_there =
            |read: &&ReadMutation| read.change().is_some_and(|asked| loaded.states.contains_key(&asked.record));
        let told: HashSet<MutationId> =
            batch.mutations.iter().filter(is_there).map(|read| read.mutation_id.clone()).collect();
        let mut decision = decide(batch, loaded, ground)?;
        if let Decision::Commit(commit) = &mut decision {
            change_outcomes(commit, |outcomes| {
                for outcome in outcomes.iter_mut().filter(|outcome| told.contains(&outcome.mutation_id)) {
                    if let Some(problem) = &mut outcome.problem
                        && problem.code == ProblemCode::UnknownRecord
                    {
                        problem.code = ProblemCode::OutOfScope;
                    }
                }
            });
        }
        Ok(decision)
    })
}
