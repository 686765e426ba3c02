//! `POST {base}/digest` and `POST {base}/bucket`.
//!
//! Chapter: digest.

use super::admission::{Caller, Needs};
use super::fault::Fault;
use super::{App, admission};
use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use fieldsync_core::digest;
use fieldsync_core::epoch::Epochs;
use fieldsync_core::pull::Ground;
use fieldsync_core::store::Snapshot;
use fieldsync_schemas::id::SessionTag;
use fieldsync_schemas::problem::ProblemCode;
use serde::de::DeserializeOwned;
use std::sync::Arc;

pub(super) async fn digest(
    State(app): State<Arc<App>>,
    Path(data_set): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    let asked = Asked::read(&app, &data_set, request).await?;
    let (request, view) = (asked.body, asked.view);
    let mut snapshot = view.snapshot;
    let answer = digest::answer(request, view.of.ground(&app), &mut *snapshot).await?;
    Ok(Json(answer).into_response())
}

pub(super) async fn bucket(
    State(app): State<Arc<App>>,
    Path(data_set): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    let asked = Asked::read(&app, &data_set, request).await?;
    let (request, view) = (asked.body, asked.view);
    let mut snapshot = view.snapshot;
    let answer = digest::bucket(request, view.of.ground(&app), &mut *snapshot).await?;
    Ok(Json(answer).into_response())
}

/// A request that was read, and the view from which it is answered.
struct Asked<T> {
    body: T,
    view: View,
}

struct View {
    of: Of,
    snapshot: Box<dyn Snapshot>,
}

/// Whose view it is, and of what.
struct Of {
    caller: Caller,
    epochs: Arc<Epochs>,
    session: SessionTag,
}

impl<T: DeserializeOwned> Asked<T> {
    async fn read(app: &App, data_set: &str, request: Request) -> Result<Self, Fault> {
        let (caller, body) = admission::caller_with_body(app, data_set, request, Needs::Read).await?;
        let body = serde_json::from_slice(&body)
            .map_err(|error| Fault::new(ProblemCode::Malformed, format!("the body does not fit the path: {error}")))?;
        let gate = caller.data_set.gate.read().await;
        let (epochs, session) = (caller.data_set.epochs(), caller.session_tag());
        let snapshot = app.parts.store.snapshot(&caller.data_set.name, &caller.principal).await?;
        drop(gate);
        Ok(Self { body, view: View { of: Of { caller, epochs, session }, snapshot } })
    }
}

impl Of {
    fn ground<'a>(&'a self, app: &'a App) -> Ground<'a> {
        let data_set = &self.caller.data_set;
        Ground {
            data_set: &data_set.name,
            epochs: &self.epochs,
            principal: &self.caller.principal,
            role: &self.caller.role,
            session: &self.session,
            registry: &data_set.hosted.registry,
            profile: data_set.profile(),
            limits: &data_set.hosted.limits,
            cursors: &app.cursors,
            now: data_set.now(),
        }
    }
}
