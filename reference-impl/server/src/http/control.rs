//! `GET /control` and `POST /control/{verb}` — what a test may ask; offered only where it was asked for.
//!
//! Chapter: control.

use super::fault::Fault;
use super::{App, body};
use crate::data_set::{DataSet, Hosted};
use crate::purge::CollectError;
use crate::scope;
use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use fieldsync_core::store::{DataSetName, DataSetRow, Grant, StoreError};
use fieldsync_schemas::control::{
    Accounts, ClockShift, ControlDescription, DataSetRef, Done, NewDataSet, NewDataSetAnswer, Reach, ReferenceChange,
    RefetchRequest, ScopeGrant, Verb, VerbDescription,
};
use fieldsync_schemas::id::{Epoch, Principal, RefetchId, Rev};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::session::RefetchOrder;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Far above any list of accounts and grants.
const BODY: u64 = 1 << 20;

/// What the verbs need besides the app.
pub(crate) struct Control {
    /// The configured domains, which new data sets copy.
    hosted: Vec<Hosted>,
    kill: Arc<dyn Fn() + Send + Sync>,
    made: AtomicU64,
}

impl Control {
    pub(crate) fn new(hosted: Vec<Hosted>, kill: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { hosted, kill, made: AtomicU64::new(0) }
    }
}

pub(super) async fn describe(State(app): State<Arc<App>>) -> Json<ControlDescription> {
    let describe = |verb: &Verb| VerbDescription {
        verb: verb.clone(),
        reach: if *verb == Verb::Kill { Reach::Server } else { Reach::DataSet },
    };
    let hosted = app.control.iter().flat_map(|control| &control.hosted);
    Json(ControlDescription {
        verbs: Verb::KNOWN.iter().map(describe).collect(),
        profiles: hosted.map(|hosted| hosted.domain.profile.clone()).collect(),
    })
}

pub(super) async fn verb(
    State(app): State<Arc<App>>,
    Path(verb): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    let Some(control) = &app.control else { return Err(Fault::new(ProblemCode::NotFound, "control is not offered")) };
    match Verb::from(verb.as_str()) {
        Verb::NewDataSet => Ok(Json(new_data_set(&app, control, read(request).await?).await?).into_response()),
        Verb::Accounts => accounts(&app, read(request).await?).await,
        Verb::Clock => clock(&app, read(request).await?).await,
        Verb::Horizon => horizon(&app, read(request).await?).await,
        Verb::HoldCommit => {
            let data_set = named(&app, read::<DataSetRef>(request).await?.data_set)?;
            app.writer.hold(data_set.name.clone()).await?;
            done()
        }
        Verb::ReleaseCommit => {
            let data_set = named(&app, read::<DataSetRef>(request).await?.data_set)?;
            app.writer.release(data_set.name.clone()).await?;
            done()
        }
        Verb::Scope => {
            let asked: ScopeGrant = read(request).await?;
            let data_set = named(&app, asked.data_set)?;
            scope::give(&app.parts.store, &data_set, asked.user, asked.places).await?;
            done()
        }
        Verb::Reference => {
            let asked: ReferenceChange = read(request).await?;
            let data_set = named(&app, asked.data_set)?;
            let record = RecordRef { type_name: asked.type_name, id: asked.id };
            let rev = Rev::new(app.parts.ids.unique()).expect("ids are visible ASCII");
            scope::change(&app.parts.store, &data_set, record, rev, asked.data).await?;
            done()
        }
        Verb::Refetch => {
            let asked: RefetchRequest = read(request).await?;
            let data_set = named(&app, asked.data_set)?;
            let id = RefetchId::new(app.parts.ids.unique()).expect("ids have the form of an order's id");
            let order = RefetchOrder { id, types: asked.types };
            scope::order(&app.parts.store, &data_set, &asked.user, order).await?;
            done()
        }
        Verb::Backup => backup(&app, read(request).await?).await,
        Verb::Restore => restore(&app, read(request).await?).await,
        Verb::Wipe => wipe(&app, read(request).await?).await,
        Verb::Kill => {
            (control.kill)();
            // Nobody answers any more; this request dies with the server.
            std::future::pending().await
        }
        Verb::Other(_) => Err(Fault::new(ProblemCode::NotFound, "there is no such verb; GET /control lists them")),
    }
}

impl From<CollectError> for Fault {
    fn from(error: CollectError) -> Self {
        Self::internal(&error)
    }
}

fn done() -> Result<Response, Fault> {
    Ok(Json(Done { done: true }).into_response())
}

async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Fault> {
    let (parts, mut body) = request.into_parts();
    let read = body::json(&parts.headers, &mut body, BODY).await?;
    serde_json::from_slice(&read)
        .map_err(|error| Fault::new(ProblemCode::Malformed, format!("the body does not fit the verb: {error}")))
}

fn named(app: &App, data_set: String) -> Result<Arc<DataSet>, Fault> {
    app.data_sets
        .get(&data_set)
        .ok_or_else(|| Fault::new(ProblemCode::NotFound, "this server hosts no data set of this name"))
}

async fn new_data_set(app: &App, control: &Control, asked: NewDataSet) -> Result<NewDataSetAnswer, Fault> {
    let hosted = control.hosted.iter().find(|hosted| hosted.domain.profile == asked.profile).ok_or_else(|| {
        Fault::new(ProblemCode::NotFound, format!("this server hosts no domain of the profile {}", asked.profile))
    })?;
    let parts = &app.parts;
    let name = loop {
        let number = control.made.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", hosted.domain.name);
        // Those of an earlier run on the same storage keep their names.
        if app.data_sets.get(&name).is_none() {
            break DataSetName(name);
        }
    };
    let row = DataSetRow::new(name.clone(), hosted.domain.clone(), new_epoch(app));
    let seeds = hosted.seeds(&*parts.ids, parts.clock.now());
    let grants = asked.grants.into_iter();
    let grants = grants.map(|grant| Grant { data_set: name.clone(), user: grant.user, role: grant.role }).collect();
    // Both at once, so that they share one wait for the disk.
    tokio::try_join!(parts.store.put_data_set(&row, seeds), parts.store.put_grants(grants))?;
    app.data_sets.insert(DataSet::new(&row, hosted.clone(), parts.clock.clone()));
    Ok(NewDataSetAnswer { base: format!("/{}", name.0), data_set: name.0 })
}

fn new_epoch(app: &App) -> Epoch {
    Epoch::new(app.parts.ids.unique()).expect("ids are visible ASCII")
}

async fn backup(app: &App, asked: DataSetRef) -> Result<Response, Fault> {
    let data_set = named(app, asked.data_set)?;
    data_set.backed_up(app.parts.store.back_up(&data_set.name).await?);
    done()
}

async fn restore(app: &App, asked: DataSetRef) -> Result<Response, Fault> {
    let data_set = named(app, asked.data_set)?;
    let _gate = data_set.gate.write().await;
    let Some(restored) = app.parts.store.restore(&data_set.name, &new_epoch(app)).await? else {
        let detail = format!("there is no backup of {}; the verb `backup` makes one", data_set.name.0);
        return Err(Fault::new(ProblemCode::NotFound, detail));
    };
    data_set.begin_epoch(&restored);
    scope::work_out(&app.parts.store, &data_set).await?;
    done()
}

async fn wipe(app: &App, asked: DataSetRef) -> Result<Response, Fault> {
    let data_set = named(app, asked.data_set)?;
    let _gate = data_set.gate.write().await;
    let seeds = data_set.hosted.seeds(&*app.parts.ids, data_set.now());
    data_set.begin_epoch(&app.parts.store.wipe(&data_set.name, &new_epoch(app), seeds).await?);
    scope::work_out(&app.parts.store, &data_set).await?;
    done()
}

async fn accounts(app: &App, asked: Accounts) -> Result<Response, Fault> {
    for account in &asked.accounts {
        let fits = Principal::new(account.user.as_str()).is_ok() && (1..=1024).contains(&account.password.len());
        if !fits {
            return Err(Fault::new(
                ProblemCode::Malformed,
                "a user has 1 to 128 visible ASCII characters, a password 1 to 1024 bytes",
            ));
        }
    }
    for account in &asked.accounts {
        app.auth.put_account(&account.user, &account.password).await?;
    }
    done()
}

async fn clock(app: &App, asked: ClockShift) -> Result<Response, Fault> {
    let data_set = named(app, asked.data_set)?;
    data_set.move_clock(asked.offset_ms);
    app.parts.store.put_data_set(&data_set.row(), Vec::new()).await?;
    done()
}

async fn horizon(app: &App, asked: DataSetRef) -> Result<Response, Fault> {
    let data_set = named(app, asked.data_set)?;
    // What was accepted in this very millisecond is purged, too.
    let before = data_set.now().plus(Duration::from_millis(1));
    // All at once, so that they share one wait for the disk.
    let mut writes: JoinSet<Result<(), StoreError>> = JoinSet::new();
    for entry in &data_set.hosted.registry.types {
        let (store, name, feed) = (app.parts.store.clone(), data_set.name.clone(), entry.feed_name());
        writes.spawn(async move { store.forget(&name, &feed, before).await });
    }
    while let Some(write) = writes.join_next().await {
        write.map_err(|error| StoreError { doing: "purge tombstones", source: error.into() })??;
    }
    app.collector.collect(&data_set).await?;
    done()
}
