//! The object storage, seen from devices: an address for which a server signs its URLs.
//!
//! A storage is one for all devices, and its requests carry no token. Whose they are is known by their path: the answer
//! that gave it out went to one port, and what is sent there is struck by that port's faults, and stands in its record.
//! The host goes on as it came, because it is signed.

use super::TapError;
use super::forward::Goal;
use super::listener::{self, Serves};
use super::port::Port;
use super::upstream::Origin;
use fieldsync_schemas::attachment::SlotAnswer;
use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use url::Url;

/// The tap before an object storage. Its clones are the same one; it listens until the last of them is dropped.
#[derive(Clone)]
pub struct StorageTap(Arc<Listening>);

struct Listening {
    address: SocketAddr,
    places: Arc<Places>,
    accepting: AbortHandle,
}

/// Which path belongs to which port.
struct Places {
    storage: Origin,
    ports: Mutex<HashMap<String, Weak<Port>>>,
}

impl StorageTap {
    /// Starts a tap before the storage at this URL, inside a Tokio runtime.
    pub fn start(storage: &Url) -> Result<Self, TapError> {
        let failed = |source| TapError::Listen { source };
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        let places = Arc::new(Places { storage: Origin::of(storage)?, ports: Mutex::default() });
        let accepting = tokio::spawn(listener::accept(listener, places.clone())).abort_handle();
        Ok(Self(Arc::new(Listening { address, places, accepting })))
    }

    /// The URL for which a server is to sign, without a slash at the end.
    pub fn address(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// A slot was given to whoever sends by this port.
    pub(super) fn learn(&self, answer: &[u8], port: &Arc<Port>) {
        let Ok(slot) = serde_json::from_slice::<SlotAnswer>(answer) else { return };
        let Some(url) = slot.upload.and_then(|upload| Url::parse(&upload.url).ok()) else { return };
        if url.port() == Some(self.0.address.port()) {
            let mut ports = self.0.places.ports.lock().unwrap_or_else(PoisonError::into_inner);
            ports.retain(|_, port| port.strong_count() > 0);
            ports.insert(url.path().to_owned(), Arc::downgrade(port));
        }
    }
}

impl Serves for Places {
    fn is_open(&self) -> bool {
        true
    }

    fn port(&self, path: &str) -> Option<(Arc<Port>, Goal)> {
        let ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        Some((ports.get(path)?.upgrade()?, Goal::Storage(self.storage.clone())))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl fmt::Debug for StorageTap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StorageTap").field(&self.0.address).finish()
    }
}
