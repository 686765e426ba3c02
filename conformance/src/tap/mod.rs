//! What passes on the wire: a reverse proxy on loopback, the one place through which all traffic between devices and
//! server goes.
//!
//! Every device has a [port](TapPort) of its own, lent from a pool of listeners. A request that arrives is
//! [recorded](SeenExchange), struck by the [faults](Fault) of the scenario, forwarded over a connection to the server that
//! is kept, and answered with what is left of the answer. Whatever a server does wrong below the messages is a
//! [trouble](TapTrouble) with a name, bounded in memory and time. Afterwards the record is [examined](wire) against the
//! schemas, and [redacted](redact) for reports. What devices put into an object storage passes here, too
//! ([`StorageTap`]), and belongs to the port of the device that was given the place.

mod alter;
mod coding;
mod connection;
mod cut;
mod direct;
mod exchange;
mod fault;
mod forward;
mod in_process;
mod listener;
mod made;
mod port;
pub mod recorded;
pub mod redact;
mod route;
mod storage;
pub(crate) mod tls;
mod trouble;
mod upstream;
pub mod wire;

pub(crate) use coding::gzip;
pub use exchange::{Answer, Body, Caller, Delivered, KEPT, SeenExchange};
pub use fault::{Fault, FaultAction, InvalidFault, KillPlace, Part};
pub use in_process::InProcess;
pub use made::Made;
pub use port::{Killer, TapPort};
pub use storage::StorageTap;
pub use trouble::TapTrouble;

use crate::pace::Pace;
use http::HeaderMap;
use listener::Listener;
use port::Port;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use upstream::Client;
use url::Url;

/// How servers are asked.
#[derive(Clone)]
pub struct Settings {
    /// Goes with every request to a server, in place of a header of the same name; not recorded.
    pub headers: HeaderMap,
    /// Certificates in PEM that are trusted besides those of the platform.
    pub ca_cert: Option<Vec<u8>>,
    /// How long a whole answer may take.
    pub timeout: Duration,
    /// The longest body, as it comes and decoded.
    pub body_limit: usize,
    /// How strictly each side's messages are examined.
    pub forms: wire::Forms,
    /// How many requests a second a server gets; as many as come where absent.
    pub pace: Option<Pace>,
    /// Notes the records that pushes make.
    pub made: Option<Made>,
    /// The object storage into which devices put files, where there is one.
    pub storage: Option<StorageTap>,
    /// The server, where it is asked without a connection.
    pub in_process: Option<Arc<dyn InProcess>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            headers: HeaderMap::new(),
            ca_cert: None,
            timeout: Duration::from_secs(10),
            body_limit: 64 << 20,
            forms: wire::Forms::default(),
            pace: None,
            made: None,
            storage: None,
            in_process: None,
        }
    }
}

/// Why the tap cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// No listener could be opened.
    #[error("cannot listen on 127.0.0.1: allow more open files, or run fewer jobs")]
    Listen {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The base URL leads nowhere.
    #[error("{0:?} is no base URL: write http://host:port/path, or https")]
    Base(String),
    /// The certificates cannot be read.
    #[error("cannot read the certificates of --ca-cert, give a file in PEM: {0}")]
    Certificates(String),
}

/// The tap of a run: its listeners, and its connections to servers.
#[derive(Clone)]
pub struct Tap {
    shared: Arc<Shared>,
    waited: Waited,
    /// The ports of a scenario, for its record; a run as a whole keeps none.
    opened: Option<Arc<Mutex<Vec<Arc<Port>>>>>,
}

/// How long requests have waited for their turn, in microseconds.
type Waited = Arc<AtomicU64>;

struct Shared {
    settings: Arc<Settings>,
    client: Arc<Client>,
    listeners: Mutex<Vec<Listener>>,
}

impl Tap {
    /// Starts a tap. Its ports must be opened inside a Tokio runtime.
    pub fn start(settings: Settings) -> Result<Self, TapError> {
        let client = Arc::new(Client::new(&settings)?);
        let shared = Shared { settings: Arc::new(settings), client, listeners: Mutex::default() };
        Ok(Self { shared: Arc::new(shared), waited: Waited::default(), opened: None })
    }

    /// The same tap for one scenario, which has a count of its own of the time for which its requests wait, and a record
    /// of its own.
    pub fn for_scenario(&self) -> Self {
        Self { shared: self.shared.clone(), waited: Waited::default(), opened: Some(Arc::default()) }
    }

    /// What has passed so far in this scenario, in the order in which it was sent, apart from what these ports sent. Ports
    /// that were given back are asked, too.
    pub fn exchanges(&self, but: &[&str]) -> Vec<SeenExchange> {
        let Some(opened) = &self.opened else { return Vec::new() };
        let opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<SeenExchange> = opened
            .iter()
            .filter(|port| !but.contains(&port.name.as_str()))
            .flat_map(|port| port.exchanges(0))
            .collect();
        all.sort_by_key(|seen| seen.started);
        all
    }

    /// How long the requests of this scenario have waited for their turn, all together.
    pub fn waited(&self) -> Duration {
        Duration::from_micros(self.waited.load(Ordering::Relaxed))
    }

    /// Opens a port for a device that is to reach the data set at this base URL.
    pub fn port(&self, name: &str, base: &Url) -> Result<TapPort, TapError> {
        TapPort::open(self, name, Caller::Device, base)
    }

    /// Opens a port for requests of the suite itself, which may be wrong on purpose.
    pub fn raw_port(&self, name: &str, base: &Url) -> Result<TapPort, TapError> {
        TapPort::open(self, name, Caller::Raw, base)
    }

    /// Closes the unused connections to servers, as after the end of a server's process.
    pub fn forget_connections(&self) {
        self.shared.client.forget();
    }

    /// How many listeners wait for a port.
    pub fn idle_listeners(&self) -> usize {
        self.shared.listeners.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
mod tests;
