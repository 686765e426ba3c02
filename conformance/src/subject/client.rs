//! A client under test: what makes the devices of a scenario.

use crate::subject::device::{DeviceError, Devices};
use async_trait::async_trait;
use fieldsync_schemas::adapter::AdapterCapability;
use fieldsync_schemas::registry::Profile;
use std::sync::Arc;

/// A client under test.
#[async_trait]
pub trait Client: Send + Sync {
    /// Its name for people.
    fn name(&self) -> String;
    /// The profiles that it can sync.
    fn profiles(&self) -> Vec<Profile>;
    /// The capabilities that it claims.
    fn capabilities(&self) -> Vec<AdapterCapability>;
    /// What makes the devices of one scenario. They end when it is dropped with all of them.
    async fn devices(&self) -> Result<Arc<dyn Devices>, DeviceError>;
}
