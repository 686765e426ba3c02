//! Faults against the chapter `epoch`.

use crate::Mutant;
use crate::seam::storage::{self, StorageFault};
use crate::seam::wire;
use async_trait::async_trait;
use fieldsync_core::pull::{Ground, PullError};
use fieldsync_core::store::{Commit, DataSetName, Decided, Loaded, Snapshot, Touched};
use fieldsync_schemas::id::{MutationId, Principal};
use fieldsync_schemas::problem::{EpochCause, ProblemCode};
use fieldsync_schemas::pull::PullRequest;
use fieldsync_server::{Parts, PullRule};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "the-epoch-is-not-looked-at",
        "epoch.mismatch.announced",
        "The epoch that a request names is read and not compared.",
        |parts| {
            let without = |body: &mut Value| drop(body.as_object_mut().and_then(|body| body.remove("epoch")));
            wire::requests(wire::requests(parts, "/push", without), "/pull", without)
        },
    ),
    Mutant::server(
        "a-push-of-another-epoch-is-taken",
        "epoch.mismatch.announced",
        "Only pulls are compared with the present epoch.",
        |parts| wire::requests(parts, "/push", |body| drop(body.as_object_mut().and_then(|body| body.remove("epoch")))),
    ),
    Mutant::server(
        "every-new-epoch-is-a-restore",
        "epoch.mismatch.cause",
        "That the data were emptied on purpose is not remembered.",
        |parts| caused(parts, "restored"),
    ),
    Mutant::server("every-new-epoch-is-a-wipe", "epoch.mismatch.cause", "A restore is told as a wipe.", |parts| {
        caused(parts, "wiped")
    }),
    Mutant::server(
        "who-names-no-epoch-is-out-of-date",
        "epoch.absent.is-taken",
        "A request without an epoch counts as one of the first.",
        |parts| {
            let first = |body: &mut Value| {
                if body["epoch"].is_null() {
                    body["epoch"] = json!("e-1");
                }
            };
            wire::requests(wire::requests(parts, "/push", first), "/pull", first)
        },
    ),
    Mutant::server(
        "a-cursor-of-another-epoch-begins-anew",
        "epoch.cursor.ends",
        "A cursor that cannot be read is taken for none.",
        |mut parts| {
            parts.rules.pull = Arc::new(BeginsAnew { inner: parts.rules.pull.clone() });
            parts
        },
    ),
    Mutant::server(
        "a-restore-gives-new-revs",
        "epoch.restore.as-backed-up",
        "The records of a backup are written as if they were new.",
        a_restore_gives_new_revs,
    ),
    Mutant::server(
        "outcomes-are-not-in-the-backup",
        "epoch.restore.keeps-outcomes",
        "A backup has the records, and not what was decided.",
        |parts| storage::faulty(parts, OutcomesAreLost::default()),
    ),
    Mutant::server(
        "outcomes-outlive-a-restore",
        "epoch.restore.later-is-new",
        "What was decided is kept beside the data, and a restore does not touch it.",
        |parts| storage::faulty(parts, OutcomesLiveOn::over(EpochCause::Restored)),
    ),
    Mutant::server(
        "outcomes-outlive-a-wipe",
        "epoch.wipe.empties",
        "A wipe empties the records, and not what was decided.",
        |parts| storage::faulty(parts, OutcomesLiveOn::over(EpochCause::Wiped)),
    ),
    Mutant::server(
        "a-backup-is-said-to-have-what-comes",
        "epoch.backup.lacks-none",
        "What is said to be in the backup goes by the time of the next one.",
        |parts| storage::faulty(parts, Announced(|covered| covered + 1000)),
    ),
    Mutant::server(
        "a-backup-is-not-announced",
        "epoch.backup.is-announced",
        "Devices are not told what is in the backup.",
        |parts| storage::faulty(parts, Announced(|_| 0)),
    ),
];

fn caused(parts: Parts, cause: &'static str) -> Parts {
    let change = move |body: &mut Value| {
        if body["code"] == "epoch-mismatch" {
            body["cause"] = json!(cause);
        }
    };
    wire::answers(wire::answers(parts, "/push", change), "/pull", change)
}

struct BeginsAnew {
    inner: Arc<dyn PullRule>,
}

#[async_trait]
impl PullRule for BeginsAnew {
    async fn answer(
        &self,
        request: &PullRequest,
        ground: Ground<'_>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Vec<u8>, PullError> {
        match self.inner.answer(request, ground, snapshot).await {
            Err(PullError::Trouble(trouble)) if trouble.code == ProblemCode::InvalidCursor => {
                let mut request = request.clone();
                for feed in trouble.feeds {
                    request.feeds.insert(feed, None);
                }
                self.inner.answer(&request, ground, snapshot).await
            }
            answer => answer,
        }
    }
}

/// Every rev of a page is another one, once an epoch of the data set began.
fn a_restore_gives_new_revs(parts: Parts) -> Parts {
    let begun = Arc::new(Mutex::new(HashSet::<DataSetName>::new()));
    let parts = storage::faulty(parts, Begins(begun.clone()));
    let inner = parts.rules.pull.clone();
    Parts { rules: fieldsync_server::Rules { pull: Arc::new(NewRevs { inner, begun }), ..parts.rules }, ..parts }
}

struct Begins(Arc<Mutex<HashSet<DataSetName>>>);

impl StorageFault for Begins {
    fn begins(&self, data_set: &DataSetName, _cause: &EpochCause) {
        self.0.lock().expect("nobody panics with it").insert(data_set.clone());
    }
}

struct NewRevs {
    inner: Arc<dyn PullRule>,
    begun: Arc<Mutex<HashSet<DataSetName>>>,
}

#[async_trait]
impl PullRule for NewRevs {
    async fn answer(
        &self,
        request: &PullRequest,
        ground: Ground<'_>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Vec<u8>, PullError> {
        let answer = self.inner.answer(request, ground, snapshot).await?;
        if !self.begun.lock().expect("nobody panics with it").contains(ground.data_set) {
            return Ok(answer);
        }
        let mut tree: Value = serde_json::from_slice(&answer).expect("the core wrote it");
        for page in tree["feeds"].as_array_mut().into_iter().flatten() {
            for change in page["changes"].as_array_mut().into_iter().flatten() {
                let rev = change["record"]["rev"].as_str().unwrap_or_default();
                change["record"]["rev"] = json!(format!("again-{}", &rev[..rev.len().min(40)]));
            }
        }
        Ok(serde_json::to_vec(&tree).expect("a tree is plain JSON"))
    }
}

/// What was decided before the last restore of its data set is not found.
#[derive(Default)]
struct OutcomesAreLost {
    since: Mutex<HashMap<DataSetName, HashSet<MutationId>>>,
}

impl StorageFault for OutcomesAreLost {
    fn begins(&self, data_set: &DataSetName, _cause: &EpochCause) {
        self.since.lock().expect("nobody panics with it").insert(data_set.clone(), HashSet::new());
    }

    fn commits(&self, commits: &mut Vec<Commit>) {
        let mut since = self.since.lock().expect("nobody panics with it");
        for commit in commits {
            if let Some(since) = since.get_mut(&commit.data_set) {
                since.extend(commit.decided.iter().map(|decided| decided.mutation_id.clone()));
            }
        }
    }

    fn loaded(&self, touched: &[Touched], loaded: &mut Vec<Loaded>) {
        let since = self.since.lock().expect("nobody panics with it");
        for (touched, loaded) in touched.iter().zip(loaded) {
            if let Some(since) = since.get(&touched.data_set) {
                loaded.decided.retain(|id, _| since.contains(id));
            }
        }
    }
}

/// What was decided is still found after the last epoch of its data set began for this cause.
struct OutcomesLiveOn {
    cause: EpochCause,
    begun: Mutex<HashSet<DataSetName>>,
    decided: Mutex<HashMap<(DataSetName, Principal, MutationId), Decided>>,
}

impl OutcomesLiveOn {
    fn over(cause: EpochCause) -> Self {
        Self { cause, begun: Mutex::default(), decided: Mutex::default() }
    }
}

impl StorageFault for OutcomesLiveOn {
    fn begins(&self, data_set: &DataSetName, cause: &EpochCause) {
        if *cause == self.cause {
            self.begun.lock().expect("nobody panics with it").insert(data_set.clone());
        }
    }

    fn commits(&self, commits: &mut Vec<Commit>) {
        let mut all = self.decided.lock().expect("nobody panics with it");
        for commit in commits {
            for decided in &commit.decided {
                let of = (commit.data_set.clone(), commit.principal.clone(), decided.mutation_id.clone());
                all.entry(of).or_insert_with(|| decided.clone());
            }
        }
    }

    fn loaded(&self, touched: &[Touched], loaded: &mut Vec<Loaded>) {
        let (begun, all) = (self.begun.lock().expect("nobody panics with it"), self.decided.lock());
        let all = all.expect("nobody panics with it");
        for (touched, loaded) in touched.iter().zip(loaded).filter(|(touched, _)| begun.contains(&touched.data_set)) {
            for id in &touched.mutations {
                let of = (touched.data_set.clone(), touched.principal.clone(), id.clone());
                if let Some(decided) = all.get(&of) {
                    loaded.decided.insert(id.clone(), decided.clone());
                }
            }
        }
    }
}

struct Announced(fn(u64) -> u64);

impl StorageFault for Announced {
    fn backed_up(&self, covered: &mut u64) {
        *covered = self.0(*covered);
    }
}
