//! `POST {base}/login` and `POST {base}/refresh`.
//!
//! Chapter: session.

use super::fault::Fault;
use super::{App, admission};
use axum::Json;
use axum::extract::{Path, Request, State};
use fieldsync_schemas::login::{LoginRequest, RefreshRequest, TokenAnswer};
use fieldsync_schemas::problem::ProblemCode;
use serde::de::DeserializeOwned;
use std::sync::Arc;

pub(super) async fn login(
    State(app): State<Arc<App>>,
    Path(data_set): Path<String>,
    request: Request,
) -> Result<Json<TokenAnswer>, Fault> {
    let (data_set, body) = admission::stranger_with_body(&app, &data_set, request).await?;
    let login: LoginRequest = read(&body, "login")?;
    if !(1..=128).contains(&login.user.chars().count()) || !(1..=1024).contains(&login.password.chars().count()) {
        return Err(Fault::new(ProblemCode::Malformed, "a user has 1 to 128 characters, a password 1 to 1024"));
    }
    let principal = app
        .auth
        .login(&login.user, &login.password)
        .await?
        .ok_or_else(|| Fault::new(ProblemCode::Unauthenticated, "user and password do not match"))?;
    Ok(Json(app.auth.tokens(&principal, data_set.now())?))
}

pub(super) async fn refresh(
    State(app): State<Arc<App>>,
    Path(data_set): Path<String>,
    request: Request,
) -> Result<Json<TokenAnswer>, Fault> {
    use crate::auth::TokenUse::Refresh;
    let (data_set, body) = admission::stranger_with_body(&app, &data_set, request).await?;
    let refresh: RefreshRequest = read(&body, "refresh")?;
    if !(1..=4096).contains(&refresh.refresh_token.chars().count()) {
        return Err(Fault::new(ProblemCode::Malformed, "a refresh token has 1 to 4096 characters"));
    }
    let refused =
        || Fault::new(ProblemCode::Unauthenticated, "the refresh token is not valid; log in with the password");
    let principal = app.auth.principal(&refresh.refresh_token, Refresh, data_set.now()).ok_or_else(refused)?;
    if !app.auth.exists(&principal).await? {
        return Err(refused());
    }
    Ok(Json(app.auth.tokens(&principal, data_set.now())?))
}

/// What went wrong is said without the text, which holds a secret.
fn read<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Fault::new(ProblemCode::Malformed, format!("the body is no {what}; look at {place}"))
    })
}
