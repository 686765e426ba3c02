//! The data sets that are served, in memory: what a request needs to know before it touches storage.

use crate::domain::{self, DomainFileError};
use fieldsync_core::clock::{Clock, Ids};
use fieldsync_core::policy::PolicyTable;
use fieldsync_core::session;
use fieldsync_core::store::{Assignment, DataSetName, DataSetRow, State};
use fieldsync_schemas::domain::Domain;
use fieldsync_schemas::id::{Capability, Epoch, Principal, Rev, SessionTag};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::registry::{Profile, Registry};
use fieldsync_schemas::session::{Limits, Role, Session};
use fieldsync_schemas::time::Timestamp;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// What this server can do besides the core.
const CAPABILITIES: &[&str] =
    &["password-login", "token-refresh", "roles", "horizon", "scopes", "refetch", "telemetry"];

/// A domain with all that is made from it; shared by the data sets that host it.
#[derive(Clone)]
pub(crate) struct Hosted {
    pub(crate) domain: Arc<Domain>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) limits: Limits,
}

impl Hosted {
    pub(crate) fn new(domain: Domain, policies: &PolicyTable) -> Result<Self, DomainFileError> {
        let registry = Arc::new(domain::registry(&domain, policies)?);
        Ok(Self { limits: domain.limits.unwrap_or_default(), domain: Arc::new(domain), registry })
    }

    /// The states with which a data set of this domain begins.
    pub(crate) fn seeds(&self, ids: &dyn Ids, now: Timestamp) -> Vec<State> {
        let seeds = self.domain.records.iter().filter_map(|seed| {
            let feed = self.registry.entry(&seed.type_name)?.feed_name();
            let record = RecordRef { type_name: seed.type_name.clone(), id: seed.id.clone() };
            let data = serde_json::value::to_raw_value(&seed.data).expect("a tree is plain JSON");
            let rev = Rev::new(ids.unique()).expect("ids are visible ASCII");
            Some(State::by_server(record, feed, rev, data, now))
        });
        seeds.collect()
    }
}

/// A data set that is served.
pub(crate) struct DataSet {
    pub(crate) name: DataSetName,
    pub(crate) hosted: Hosted,
    pub(crate) epoch: Epoch,
    clock: Arc<dyn Clock>,
    clock_offset_ms: AtomicI64,
    /// A session's tag depends on nothing but these and what never changes here.
    tags: Mutex<HashMap<(Principal, Role), (Assignment, SessionTag)>>,
}

impl DataSet {
    pub(crate) fn new(row: &DataSetRow, hosted: Hosted, clock: Arc<dyn Clock>) -> Self {
        Self {
            name: row.name.clone(),
            hosted,
            epoch: row.epoch.clone(),
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

    pub(crate) fn profile(&self) -> &Profile {
        &self.hosted.domain.profile
    }

    pub(crate) fn session(&self, principal: &Principal, role: &Role, assignment: &Assignment) -> Session {
        let capabilities: Vec<Capability> =
            CAPABILITIES.iter().map(|name| Capability::new(*name).expect("a constant that is a capability")).collect();
        session::session(
            principal,
            role,
            &self.epoch,
            self.profile(),
            &capabilities,
            self.hosted.limits,
            &self.hosted.registry,
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
        let tag = self.session(principal, role, assignment).tag;
        self.tags.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (assignment.clone(), tag.clone()));
        tag
    }

    /// As it is stored.
    pub(crate) fn row(&self) -> DataSetRow {
        DataSetRow {
            name: self.name.clone(),
            domain: (*self.hosted.domain).clone(),
            epoch: self.epoch.clone(),
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
