//! A client behind an adapter, as a subject: a pool of processes, each lent to one scenario at a time.

use super::lease::Lease;
use super::process::AdapterProcess;
use crate::subject::client::Client;
use crate::subject::device::{DeviceError, Devices};
use async_trait::async_trait;
use fieldsync_schemas::PROTOCOL_VERSION;
use fieldsync_schemas::adapter::{AdapterCapability, AdapterDescription, AdapterError, AdapterRequest, Hello};
use fieldsync_schemas::registry::Profile;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Why an adapter could not be used at all.
#[derive(Debug, thiserror::Error)]
pub enum AdapterStartError {
    /// There is no place for the stores.
    #[error("failed to make a folder for the stores of the devices: {0}")]
    Folder(#[source] std::io::Error),
    /// It did not start.
    #[error("failed to start `{command}`: {source}")]
    Start {
        /// The command.
        command: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It did not say what it is.
    #[error("`{command}`: {reason}{said}")]
    Hello {
        /// The command.
        command: String,
        /// What was wrong.
        reason: String,
        /// The end of its standard error.
        said: String,
    },
}

/// A client behind an adapter.
pub struct AdapterClient {
    description: AdapterDescription,
    pool: Arc<Pool>,
}

/// Processes that wait for a scenario, and what makes more of them.
pub(super) struct Pool {
    command: String,
    patience: Duration,
    idle: Mutex<Vec<AdapterProcess>>,
    stores: tempfile::TempDir,
    next_store: AtomicU64,
}

impl AdapterClient {
    /// Starts the command and asks what it is. A request that is not answered within `patience` is given up.
    pub async fn start(command: &str, patience: Duration) -> Result<Self, AdapterStartError> {
        let pool = Pool {
            command: command.to_owned(),
            patience,
            idle: Mutex::default(),
            stores: tempfile::tempdir().map_err(AdapterStartError::Folder)?,
            next_store: AtomicU64::new(1),
        };
        let (process, description) = pool.launch().await?;
        pool.take_back(process);
        Ok(Self { description, pool: Arc::new(pool) })
    }

    /// The process that the next scenario has, for a debugger.
    pub fn pid(&self) -> Option<u32> {
        let idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.last().and_then(AdapterProcess::pid)
    }

    /// The folder in which the devices have their stores.
    pub fn folder(&self) -> &Path {
        self.pool.stores.path()
    }

    /// How the adapter refuses a verb that there is not.
    pub(super) async fn refusal(&self, verb: &str) -> Result<AdapterError, DeviceError> {
        let process = self.pool.lend().await?;
        let refusal = process.refusal(verb).await;
        self.pool.take_back(process);
        refusal
    }

    /// What the adapter said of its client.
    pub fn description(&self) -> &AdapterDescription {
        &self.description
    }
}

impl Pool {
    /// Starts a process, which says what it is.
    async fn launch(&self) -> Result<(AdapterProcess, AdapterDescription), AdapterStartError> {
        let command = self.command.clone();
        let process = AdapterProcess::start(&self.command, self.patience)
            .map_err(|source| AdapterStartError::Start { command: command.clone(), source })?;
        let hello = |id| AdapterRequest::Hello(Hello { id, protocol: PROTOCOL_VERSION.to_owned() });
        match process.ask("hello", hello).await {
            Ok(description) => Ok((process, description)),
            Err(DeviceError(reason)) => {
                let said = process
                    .take_log()
                    .map_or(String::new(), |log| format!("\nits standard error ends with\n{}", log.trim_end()));
                Err(AdapterStartError::Hello { command, reason, said })
            }
        }
    }

    /// A process for one scenario.
    pub(super) async fn lend(&self) -> Result<AdapterProcess, DeviceError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(process) => {
                process.take_log();
                Ok(process)
            }
            None => self.launch().await.map(|(process, _)| process).map_err(|error| DeviceError(error.to_string())),
        }
    }

    /// Takes a process back that has nothing more to say.
    pub(super) fn take_back(&self, process: AdapterProcess) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(process);
    }

    /// A number that no store and no device of the run has had.
    pub(super) fn number(&self) -> u64 {
        self.next_store.fetch_add(1, Ordering::Relaxed)
    }

    /// The folder of a new store.
    pub(super) fn new_store(&self) -> Result<PathBuf, DeviceError> {
        let path = self.stores.path().join(self.number().to_string());
        std::fs::create_dir(&path).map_err(|error| DeviceError(format!("no folder for a store: {error}")))?;
        Ok(path)
    }
}

#[async_trait]
impl Client for AdapterClient {
    fn name(&self) -> String {
        format!("{} {}", self.description.name, self.description.version)
    }

    fn profiles(&self) -> Vec<Profile> {
        self.description.profiles.clone()
    }

    fn capabilities(&self) -> Vec<AdapterCapability> {
        self.description.capabilities.clone()
    }

    async fn devices(&self) -> Result<Arc<dyn Devices>, DeviceError> {
        let process = self.pool.lend().await?;
        Ok(Arc::new(Lease::new(self.pool.clone(), process)))
    }
}
