//! The data sets that are served, in memory: what a request needs to know before it touches storage.

use crate::domain::{self, DomainFileError};
use fieldsync_core::clock::{Clock, Ids};
use fieldsync_core::epoch::Epochs;
use fieldsync_core::partition;
use fieldsync_core::policy::PolicyTable;
use fieldsync_core::session;
use fieldsync_core::store::{Assignment, DataSetName, DataSetRow, State};
use fieldsync_schemas::domain::Domain;
use fieldsync_schemas::id::{Capability, Principal, Rev, SessionTag};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::registry::{Profile, Registry};
use fieldsync_schemas::session::{Limits, Role, Session};
use fieldsync_schemas::time::Timestamp;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// What this server can do besides the core.
const CAPABILITIES: &[&str] = &[
    "password-login",
    "token-refresh",
    "roles",
    "parents",
    "groups",
    "partitions",
    "horizon",
    "scopes",
    "refetch",
    "restore",
    "derived-fields",
    "on-stale-merge",
    "telemetry",
    "digest",
    "attachments-proxied",
    "link",
];

/// What it can do besides, where its files are in an object storage.
const DIRECT: &str = "attachments-direct";

/// A domain with all that is made from it; shared by the data sets that host it.
#[derive(Clone)]
pub(crate) struct Hosted {
    pub(crate) domain: Arc<Domain>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) limits: Limits,
    /// Whether files can go straight into an object storage.
    pub(crate) takes_direct: bool,
}

impl Hosted {
    pub(crate) fn new(domain: impl Into<Arc<Domain>>, policies: &PolicyTable) -> Result<Self, DomainFileError> {
        let domain = domain.into();
        let registry = Arc::new(domain::registry(&domain, policies)?);
        let limits = domain.limits.unwrap_or_default();
        Ok(Self { limits, domain, registry, takes_direct: false })
    }

    /// The same on a server whose files can go straight into an object storage.
    pub(crate) fn taking_direct(self, takes_direct: bool) -> Self {
        Self { takes_direct, ..self }
    }

    /// The states with which a data set of this domain begins.
    pub(crate) fn seeds(&self, ids: &dyn Ids, now: Timestamp) -> Vec<State> {
        let seeds = self.domain.records.iter().filter_map(|seed| {
            let entry = self.registry.entry(&seed.type_name)?;
            let record = RecordRef { type_name: seed.type_name.clone(), id: seed.id.clone() };
            let data = serde_json::value::to_raw_value(&seed.data).expect("a tree is plain JSON");
            let rev = Rev::new(ids.unique()).expect("ids are visible ASCII");
            let feed = partition::feed(entry, Some(&data));
            Some(State::by_server(record, feed, rev, data, now))
        });
        seeds.collect()
    }
}

/// A data set that is served.
pub(crate) struct DataSet {
    pub(crate) name: DataSetName,
    pub(crate) hosted: Hosted,
    /// Held for reading while something is decided or read under the present epoch, and for writing while another begins.
    pub(crate) gate: tokio::sync::RwLock<()>,
    epochs: RwLock<Arc<Epochs>>,
    accepted_seq: AtomicU64,
    backed_up_seq: AtomicU64,
    clock: Arc<dyn Clock>,
    clock_offset_ms: AtomicI64,
    /// A session's tag depends on nothing but these and what seldom changes here, when they are forgotten.
    tags: Mutex<HashMap<(Principal, Role), (Assignment, SessionTag)>>,
}

impl DataSet {
    pub(crate) fn new(row: &DataSetRow, hosted: Hosted, clock: Arc<dyn Clock>) -> Self {
        Self {
            name: row.name.clone(),
            hosted,
            gate: tokio::sync::RwLock::default(),
            epochs: RwLock::new(Arc::new(row.epochs.clone())),
            accepted_seq: AtomicU64::new(row.accepted_seq),
            backed_up_seq: AtomicU64::new(row.backed_up_seq),
            clock,
            clock_offset_ms: AtomicI64::new(row.clock_offset_ms),
            tags: Mutex::default(),
        }
    }

    /// The data set's clock: the machine's, moved.
    pub(crate) fn now(&self) -> Timestamp {
        let offset = self.clock_offset_ms.load(Ordering::Relaxed);
        Timestamp::from_millis(self.clock.now().as_millis().saturating_add(offset))
    }

    pub(crate) fn move_clock(&self, offset_ms: i64) {
        self.clock_offset_ms.store(offset_ms, Ordering::Relaxed);
    }

    /// The epochs until now.
    pub(crate) fn epochs(&self) -> Arc<Epochs> {
        self.epochs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The place of the last batch that was taken in.
    pub(crate) fn accepted_seq(&self) -> u64 {
        self.accepted_seq.load(Ordering::Relaxed)
    }

    /// A batch takes this place. Only the one task that decides batches says so.
    pub(crate) fn accepted(&self, seq: u64) {
        self.accepted_seq.store(seq, Ordering::Relaxed);
    }

    /// A backup has every batch up to this one. Within an epoch that only grows, whatever was read earlier.
    pub(crate) fn backed_up(&self, seq: u64) {
        if self.backed_up_seq.fetch_max(seq, Ordering::Relaxed) < seq {
            self.forget_tags();
        }
    }

    /// Goes on as the storage has it now; the gate is held for writing.
    pub(crate) fn begin_epoch(&self, row: &DataSetRow) {
        *self.epochs.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(row.epochs.clone());
        self.accepted_seq.store(row.accepted_seq, Ordering::Relaxed);
        self.backed_up_seq.store(row.backed_up_seq, Ordering::Relaxed);
        self.forget_tags();
    }

    fn forget_tags(&self) {
        self.tags.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn profile(&self) -> &Profile {
        &self.hosted.domain.profile
    }

    pub(crate) fn session(&self, principal: &Principal, role: &Role, assignment: &Assignment) -> Session {
        let direct = self.hosted.takes_direct.then_some(&DIRECT);
        let capabilities: Vec<Capability> = CAPABILITIES
            .iter()
            .chain(direct)
            .map(|name| Capability::new(*name).expect("a constant that is a capability"))
            .collect();
        session::session(
            principal,
            role,
            self.epochs().current(),
            self.profile(),
            &capabilities,
            self.hosted.limits,
            &self.hosted.registry,
            Some(self.backed_up_seq.load(Ordering::Relaxed)),
            assignment,
            self.now(),
        )
    }

    pub(crate) fn session_tag(&self, principal: &Principal, role: &Role, assignment: &Assignment) -> SessionTag {
        let key = (principal.clone(), role.clone());
        if let Some((of, tag)) = self.tags.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
            && of == assignment
        {
            return tag.clone();
        }
        // Made under the lock, so that what is forgotten meanwhile is not kept.
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        let tag = self.session(principal, role, assignment).tag;
        tags.insert(key, (assignment.clone(), tag.clone()));
        tag
    }

    /// As it is stored.
    pub(crate) fn row(&self) -> DataSetRow {
        DataSetRow {
            name: self.name.clone(),
            domain: self.hosted.domain.clone(),
            epochs: (*self.epochs()).clone(),
            accepted_seq: self.accepted_seq(),
            backed_up_seq: self.backed_up_seq.load(Ordering::Relaxed),
            clock_offset_ms: self.clock_offset_ms.load(Ordering::Relaxed),
        }
    }
}

/// All data sets that are served, by name.
#[derive(Default)]
pub(crate) struct DataSets(RwLock<HashMap<String, Arc<DataSet>>>);

impl DataSets {
    pub(crate) fn get(&self, name: &str) -> Option<Arc<DataSet>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(crate) fn insert(&self, data_set: DataSet) -> Arc<DataSet> {
        let data_set = Arc::new(data_set);
        let mut sets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        sets.insert(data_set.name.0.clone(), data_set.clone());
        data_set
    }

    pub(crate) fn all(&self) -> Vec<Arc<DataSet>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
