//! The rules that a server goes by: those of the core, unless something is put around them.

use async_trait::async_trait;
use fieldsync_core::problem::Trouble;
use fieldsync_core::pull::{self, PullError};
use fieldsync_core::push::{self, Batch, Decision};
use fieldsync_core::store::{Loaded, Snapshot};
use fieldsync_schemas::pull::PullRequest;
use fieldsync_schemas::registry::Registry;
use fieldsync_schemas::session::Limits;
use std::sync::Arc;

/// Reads the body of a push, as [`push::read`] does.
pub type ReadPushRule = dyn Fn(&[u8], &Limits, &Registry) -> Result<Batch, Trouble> + Send + Sync;
/// Decides a batch, as [`push::decide`] does.
pub type DecideRule = dyn Fn(&Batch, Loaded, push::Ground<'_>) -> Result<Decision, Trouble> + Send + Sync;

/// Answers a pull, as [`pull::answer`] does.
#[async_trait]
pub trait PullRule: Send + Sync {
    /// The answer, as JSON.
    async fn answer(
        &self,
        request: &PullRequest,
        ground: pull::Ground<'_>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Vec<u8>, PullError>;
}

/// The core's own way to answer a pull.
#[derive(Debug, Clone, Copy, Default)]
pub struct CoreRules;

#[async_trait]
impl PullRule for CoreRules {
    async fn answer(
        &self,
        request: &PullRequest,
        ground: pull::Ground<'_>,
        snapshot: &mut dyn Snapshot,
    ) -> Result<Vec<u8>, PullError> {
        pull::answer(request, ground, snapshot).await
    }
}

/// The rules of a server.
#[derive(Clone)]
pub struct Rules {
    /// Reads a push.
    pub read_push: Arc<ReadPushRule>,
    /// Decides a batch.
    pub decide: Arc<DecideRule>,
    /// Answers a pull.
    pub pull: Arc<dyn PullRule>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { read_push: Arc::new(push::read), decide: Arc::new(push::decide), pull: Arc::new(CoreRules) }
    }
}
