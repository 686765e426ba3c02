//! From a scenario and a subject to what happened.
//!
//! A [`Stage`] is what one scenario gets of a server: a base URL, accounts, and the verbs that move it. [`act`] plays the
//! steps on it and notes what was expected and not seen; a scenario ends at the first step that goes wrong.

mod act;
mod deed;
mod device_step;
pub(crate) mod names;
mod request_step;
mod taken;

pub use act::{ActError, Acted, Actors, act};
pub use deed::Deed;
pub use names::Names;
pub use taken::StepLog;

use crate::subject::control::Control;
use fieldsync_schemas::session::Session;
use std::collections::BTreeMap;
use url::Url;

/// An account as a scenario uses it.
#[derive(Debug, Clone)]
pub struct AccountAccess {
    /// Its name.
    pub user: String,
    /// Its password, where the suite knows it.
    pub password: Option<String>,
    /// An access token.
    pub token: String,
}

/// What one scenario gets of a server.
#[derive(Clone)]
pub struct Stage {
    /// The base URL of the data set.
    pub base: Url,
    /// The name by which control verbs address the data set.
    pub data_set: Option<String>,
    /// The accounts, by the names that scenarios use.
    pub accounts: BTreeMap<String, AccountAccess>,
    /// The session of `worker` before the scenario begins.
    pub session: Session,
    /// The control verbs, where the server offers any.
    pub control: Option<Control>,
    /// Ends the server's process and starts it again on the same data, where the suite owns it.
    pub restart: Option<std::sync::Arc<dyn Restart>>,
}

impl Stage {
    /// Whether other scenarios work on the same data set, now or before.
    pub fn is_shared(&self) -> bool {
        self.data_set.is_none()
    }
}

/// Ends a server's process at once and starts it again on the same data, at the same address.
#[async_trait::async_trait]
pub trait Restart: Send + Sync {
    /// Does so, and returns once the server is ready.
    async fn restart(&self) -> Result<(), String>;
}
