//! Who may come in: the data set, the version, the token, the grant, in this order.

use super::App;
use super::body;
use super::edge::Asker;
use super::fault::Fault;
use crate::auth::TokenUse;
use crate::data_set::DataSet;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use bytes::Bytes;
use fieldsync_core::problem::Trouble;
use fieldsync_core::store::Assignment;
use fieldsync_schemas::id::{Principal, SessionTag};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::session::Role;
use fieldsync_schemas::{PROTOCOL_VERSION, VERSION_HEADER};
use std::sync::Arc;

/// Who is in, and where.
pub(super) struct Caller {
    pub(super) data_set: Arc<DataSet>,
    pub(super) principal: Principal,
    pub(super) role: Role,
    pub(super) assignment: Assignment,
}

impl Caller {
    pub(super) fn session_tag(&self) -> SessionTag {
        self.data_set.session_tag(&self.principal, &self.role, &self.assignment)
    }
}

/// What a route asks of a role.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Read,
    Write,
}

/// The data set of this name.
pub(super) fn data_set(app: &App, name: &str) -> Result<Arc<DataSet>, Fault> {
    app.data_sets
        .get(name)
        .ok_or_else(|| Fault::new(ProblemCode::NotFound, "this server hosts no data set at this path"))
}

/// Checks that the request names the version that is spoken here.
pub(super) fn version(headers: &HeaderMap) -> Result<(), Fault> {
    let mut values = headers.get_all(VERSION_HEADER).iter();
    let named = values.next();
    if named.is_some_and(|value| value.as_bytes() == PROTOCOL_VERSION.as_bytes()) && values.next().is_none() {
        return Ok(());
    }
    let found =
        if named.is_none() { "the request names no version" } else { "the request's version is not spoken here" };
    let mut trouble = Trouble::new(
        ProblemCode::UnsupportedVersion,
        format!("{found}; send the header Fieldsync-Version: {PROTOCOL_VERSION}"),
    );
    trouble.supported = vec![PROTOCOL_VERSION.to_owned()];
    Err(trouble.into())
}

/// Lets a logged-in principal in.
pub(super) async fn caller(app: &App, name: &str, parts: &Parts, needs: Needs) -> Result<Caller, Fault> {
    data_set(app, name)?;
    version(&parts.headers)?;
    known_caller(app, name, parts, needs).await
}

/// The same, for what another protocol's version names.
pub(super) async fn known_caller(app: &App, name: &str, parts: &Parts, needs: Needs) -> Result<Caller, Fault> {
    let data_set = data_set(app, name)?;
    let principal = bearer(&parts.headers)
        .and_then(|token| app.auth.principal(token, TokenUse::Access, data_set.now()))
        .ok_or_else(|| {
            Fault::new(ProblemCode::Unauthenticated, "there is no valid access token; log in, or refresh it")
        })?;
    if let Some(asker) = parts.extensions.get::<Asker>() {
        // Only the first one tells the log.
        let _ = asker.set(principal.clone());
    }
    let role = app
        .parts
        .store
        .grant(&data_set.name, principal.as_str())
        .await?
        .ok_or_else(|| Fault::new(ProblemCode::Forbidden, format!("{principal} has no grant in this data set")))?;
    if needs == Needs::Write && !matches!(role, Role::ReadWrite | Role::Admin) {
        return Err(Fault::new(
            ProblemCode::Forbidden,
            format!("the role {role} of {principal} does not allow to push"),
        ));
    }
    let assignment = app.parts.store.assignment(&data_set.name, principal.as_str()).await?;
    Ok(Caller { data_set, principal, role, assignment })
}

/// Lets a logged-in principal in and reads what they bring.
pub(super) async fn caller_with_body(
    app: &App,
    name: &str,
    request: Request,
    needs: Needs,
) -> Result<(Caller, Bytes), Fault> {
    let (parts, mut body) = request.into_parts();
    let admitted = async {
        let caller = caller(app, name, &parts, needs).await?;
        let read = body::json(&parts.headers, &mut body, caller.data_set.hosted.limits.body_bytes).await?;
        Ok((caller, read))
    };
    let admitted = admitted.await;
    if admitted.is_err() {
        body::discard(body).await;
    }
    admitted
}

/// Reads a body that comes before any login.
pub(super) async fn stranger_with_body(
    app: &App,
    name: &str,
    request: Request,
) -> Result<(Arc<DataSet>, Bytes), Fault> {
    let (parts, mut body) = request.into_parts();
    let admitted = async {
        let data_set = data_set(app, name)?;
        version(&parts.headers)?;
        let read = body::json(&parts.headers, &mut body, data_set.hosted.limits.body_bytes).await?;
        Ok((data_set, read))
    };
    let admitted = admitted.await;
    if admitted.is_err() {
        body::discard(body).await;
    }
    admitted
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (scheme, token) = values.next()?.to_str().ok()?.split_once(' ')?;
    (values.next().is_none() && scheme.eq_ignore_ascii_case("bearer")).then(|| token.trim())
}
