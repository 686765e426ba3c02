//! `GET {base}` and `GET /.well-known/fieldsync` — before anybody logs in.
//!
//! Chapter: discovery.

use super::fault::Fault;
use super::{App, admission};
use axum::Json;
use axum::extract::{Path, State};
use fieldsync_schemas::PROTOCOL_VERSION;
use fieldsync_schemas::discovery::{AuthMethod, ContentCoding, Discovery, WellKnown};
use std::sync::Arc;

pub(super) async fn discover(
    State(app): State<Arc<App>>,
    Path(data_set): Path<String>,
) -> Result<Json<Discovery>, Fault> {
    let data_set = admission::data_set(&app, &data_set)?;
    Ok(Json(Discovery {
        versions: vec![PROTOCOL_VERSION.to_owned()],
        profile: data_set.profile().clone(),
        auth: vec![AuthMethod::Bearer, AuthMethod::Password],
        encodings: vec![ContentCoding::Gzip],
        software: Some(concat!("fieldsync-reference/", env!("CARGO_PKG_VERSION")).to_owned()),
    }))
}

pub(super) async fn well_known(State(app): State<Arc<App>>) -> Json<WellKnown> {
    Json(WellKnown { base: format!("/{}", app.default) })
}
