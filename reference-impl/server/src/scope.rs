//! Scopes, the places that they are made of, and refetch orders, as whoever runs the server changes them.

use crate::data_set::DataSet;
use fieldsync_core::cursor::Point;
use fieldsync_core::data;
use fieldsync_core::partition;
use fieldsync_core::problem::Trouble;
use fieldsync_core::scope::{Sight, with_all_below};
use fieldsync_core::store::{Families, Loaded, Place, Rescope, State, Store, StoreError, Touched};
use fieldsync_schemas::id::{Principal, RecordId, ReplicaId, Rev};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::record::{Data, Record};
use fieldsync_schemas::registry::TypeClass;
use fieldsync_schemas::session::RefetchOrder;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many places are named to whoever names one that is not there.
const NAMED: usize = 10;

/// Why something was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// It makes no sense.
    #[error(transparent)]
    Trouble(Box<Trouble>),
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Trouble> for ChangeError {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(Box::new(trouble))
    }
}

/// The name under which the server itself looks at its data; no principal can have it.
fn server() -> Principal {
    Principal::new("(server)").expect("a constant that is a principal")
}

/// Gives a user a scope: these places and all below them, or everything.
pub(crate) async fn give(
    store: &Arc<dyn Store>,
    data_set: &DataSet,
    user: String,
    places: Option<Vec<RecordId>>,
) -> Result<(), ChangeError> {
    is_granted(store, data_set, &user).await?;
    let _gate = data_set.gate.write().await;
    let there = all_places(store, data_set).await?;
    if let Some(unknown) = places.iter().flatten().find(|place| !there.ids.contains(*place)) {
        let known: Vec<&str> = there.ids.iter().take(NAMED).map(RecordId::as_str).collect();
        let named = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let more = if there.ids.len() > NAMED { ", and others" } else { "" };
        let detail = format!("{} has no place {unknown}; there is {named}{more}", data_set.name.0);
        return Err(Trouble::new(ProblemCode::NotFound, detail).into());
    }
    let seen = with_all_below(places.as_deref().unwrap_or_default(), &there.around);
    store.rescope(&data_set.name, Vec::new(), vec![Rescope { user, places, seen }]).await?;
    Ok(())
}

/// Changes a reference record, or makes it. Where it is a place, the scopes that it lies in change with it.
pub(crate) async fn change(
    store: &Arc<dyn Store>,
    data_set: &DataSet,
    record: RecordRef,
    rev: Rev,
    data: Data,
) -> Result<(), ChangeError> {
    let registry = &data_set.hosted.registry;
    let Some(entry) = registry.entry(&record.type_name).filter(|entry| entry.class == TypeClass::Reference) else {
        return Err(Trouble::new(ProblemCode::NotFound, format!("{} is no reference type", record.type_name)).into());
    };
    let _gate = data_set.gate.write().await;
    let mut around = all_places(store, data_set).await?.around;
    let mut scopes = Vec::new();
    if let Some(locations) = registry.locations.as_ref().filter(|one| one.type_name == record.type_name) {
        around.remove(&record.id);
        around.extend(outer(&data, &locations.within).map(|outer| (record.id.clone(), outer)));
        for (user, places) in store.scopes(&data_set.name).await? {
            let seen = with_all_below(&places, &around);
            scopes.push(Rescope { user, places: Some(places), seen });
        }
    }
    let before = current(store, data_set, &record).await?;
    let raw = serde_json::value::to_raw_value(&data).expect("a tree is plain JSON");
    let now = data_set.now();
    let feed = partition::feed(entry, Some(&raw));
    let mut state = State::by_server(record, feed, rev, raw, now);
    if let Some(before) = before {
        let mut published: Record = serde_json::from_str(&state.json).expect("the server wrote it");
        published.version = before.version.next();
        let content = data::content_hash(published.data.as_deref(), &published.attachments);
        state = State::published(state.feed, content, published);
    }
    store.rescope(&data_set.name, vec![state], scopes).await?;
    Ok(())
}

/// Works the scopes out anew, after all records became others at once. Called under the data set's gate.
pub(crate) async fn work_out(store: &Arc<dyn Store>, data_set: &DataSet) -> Result<(), ChangeError> {
    let around = all_places(store, data_set).await?.around;
    let mut scopes = Vec::new();
    for (user, places) in store.scopes(&data_set.name).await? {
        let seen = with_all_below(&places, &around);
        scopes.push(Rescope { user, places: Some(places), seen });
    }
    if !scopes.is_empty() {
        store.rescope(&data_set.name, Vec::new(), scopes).await?;
    }
    Ok(())
}

/// The record as it is.
async fn current(store: &Arc<dyn Store>, data_set: &DataSet, record: &RecordRef) -> Result<Option<State>, StoreError> {
    let touched = Touched {
        data_set: data_set.name.clone(),
        principal: server(),
        replica: ReplicaId::new("server").expect("a constant that is a replica id"),
        mutations: Vec::new(),
        records: vec![record.clone()],
        linked: Vec::new(),
        bases: Vec::new(),
        attachments: Vec::new(),
        parents: Vec::new(),
        sequences: BTreeSet::new(),
        families: Families::default(),
    };
    let loaded = store.load(&[touched]).await?.into_iter().next();
    Ok(loaded.and_then(|Loaded { mut states, .. }| states.remove(record)))
}

/// Orders the devices of a user to pull these types once more; all where there are none.
pub(crate) async fn order(
    store: &Arc<dyn Store>,
    data_set: &DataSet,
    user: &str,
    order: RefetchOrder,
) -> Result<(), ChangeError> {
    is_granted(store, data_set, user).await?;
    let registry = &data_set.hosted.registry;
    if let Some(unknown) = order.types.iter().find(|name| registry.entry(name).is_none()) {
        let known: Vec<&str> = registry.types.iter().map(|entry| entry.name.as_str()).collect();
        let detail = format!("{} has no type {unknown}; it has {}", data_set.name.0, known.join(", "));
        return Err(Trouble::new(ProblemCode::NotFound, detail).into());
    }
    Ok(store.put_refetch(&data_set.name, user, &order).await?)
}

/// Whether a user may do anything in a data set: a name that was mistyped gets nothing.
async fn is_granted(store: &Arc<dyn Store>, data_set: &DataSet, user: &str) -> Result<(), ChangeError> {
    match store.grant(&data_set.name, user).await? {
        Some(_) => Ok(()),
        None => {
            let detail = format!("{user} has no grant in {}; `fieldsync user add` gives one", data_set.name.0);
            Err(Trouble::new(ProblemCode::NotFound, detail).into())
        }
    }
}

/// The places of a data set.
#[derive(Default)]
struct AllPlaces {
    ids: BTreeSet<RecordId>,
    /// The place around each place that lies in one.
    around: BTreeMap<RecordId, RecordId>,
}

async fn all_places(store: &Arc<dyn Store>, data_set: &DataSet) -> Result<AllPlaces, StoreError> {
    let registry = &data_set.hosted.registry;
    let Some(locations) = &registry.locations else { return Ok(AllPlaces::default()) };
    let Some(entry) = registry.entry(&locations.type_name) else { return Ok(AllPlaces::default()) };
    let mut snapshot = store.snapshot(&data_set.name, &server()).await?;
    let begin = Point { place: Place(0), cleared: Place(0) };
    let rows = snapshot.page(&entry.feed_name(), Sight::Everything, begin, u64::MAX).await?;
    let mut places = AllPlaces::default();
    for row in rows {
        let place: Record = serde_json::from_str(&row.json).expect("the server wrote it");
        places.around.extend(outer(&place.data_tree(), &locations.within).map(|outer| (place.id.clone(), outer)));
        places.ids.insert(place.id);
    }
    Ok(places)
}

fn outer(place: &Data, within: &str) -> Option<RecordId> {
    place.get(within).and_then(Value::as_str).and_then(|outer| RecordId::new(outer).ok())
}
