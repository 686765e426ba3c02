//! A port: the place through which one device reaches the server, with its faults and its record.

use super::direct::Direct;
use super::exchange::{Answer, Caller, Delivered, SeenExchange};
use super::fault::{Fault, Faults, Struck};
use super::listener::Listener;
use super::route::Route;
use super::trouble::TapTrouble;
use super::upstream::Client;
use super::{Settings, Shared, Tap, TapError, Waited};
use fieldsync_client::{HttpTransport, Transport};
use fieldsync_schemas::scenario::CallKind;
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use url::Url;

/// What a port is, for those who serve it.
pub(super) struct Port {
    pub(super) name: String,
    pub(super) caller: Caller,
    pub(super) settings: Arc<Settings>,
    pub(super) client: Arc<Client>,
    pub(super) base: Url,
    waited: Waited,
    route: RwLock<Route>,
    faults: Mutex<Faults>,
    log: Mutex<Log>,
    holds: watch::Sender<Holds>,
    closed: watch::Sender<bool>,
    killer: Mutex<Option<Killer>>,
    /// How many kills are called for and have not struck yet.
    kills: watch::Sender<usize>,
    /// Counts exchanges that have ended.
    ended: watch::Sender<u64>,
}

/// Ends the process of a device.
pub type Killer = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// The end of a device's process, for which a request has called. The port counts it until it has struck, or until the
/// exchange is given up.
pub(super) struct Kill {
    port: Arc<Port>,
    delay: Duration,
}

impl Kill {
    pub(super) fn of(port: &Arc<Port>, delay: Duration) -> Self {
        port.kills.send_modify(|kills| *kills += 1);
        Self { port: port.clone(), delay }
    }

    /// Ends the process, once its time has come.
    pub(super) async fn strike(self) {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let killer = locked(&self.port.killer).clone();
        if let Some(killer) = killer {
            killer().await;
        }
    }
}

impl Drop for Kill {
    fn drop(&mut self) {
        self.port.kills.send_modify(|kills| *kills -= 1);
    }
}

#[derive(Default)]
struct Log {
    exchanges: Vec<SeenExchange>,
    mark: usize,
}

/// What is held, and how often everything held was let go.
#[derive(Default)]
struct Holds {
    held: usize,
    released: u64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Port {
    /// Where the port leads now.
    pub(super) fn route(&self) -> Route {
        self.route.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns once the port is given back.
    pub(super) async fn closed(&self) {
        let mut closed = self.closed.subscribe();
        _ = closed.wait_for(|closed| *closed).await;
    }

    /// Waits until the server may be asked.
    pub(super) async fn turn(&self) {
        if let Some(pace) = &self.settings.pace {
            self.waited.fetch_add(pace.turn().await.as_micros() as u64, Ordering::Relaxed);
        }
    }

    /// What strikes a request of this kind with this body.
    pub(super) fn strike(&self, kind: CallKind, body: &[u8]) -> Struck {
        locked(&self.faults).strike(kind, body)
    }

    /// Waits until it is released.
    pub(super) async fn hold(&self) {
        let mut holds = self.holds.subscribe();
        let mut before = 0;
        self.holds.send_modify(|holds| {
            holds.held += 1;
            before = holds.released;
        });
        _ = holds.wait_for(|holds| holds.released > before).await;
    }

    /// Records a request, under a number of its own.
    pub(super) fn begin(&self, seen: SeenExchange) -> usize {
        let mut log = locked(&self.log);
        log.exchanges.push(seen);
        log.exchanges.len() - 1
    }

    /// Records the faults that strike a request.
    pub(super) fn struck(&self, number: usize, fault: &Option<String>) {
        locked(&self.log).exchanges[number].fault.clone_from(fault);
    }

    /// Records what the server answered.
    pub(super) fn answered(&self, number: usize, answer: Result<&Arc<Answer>, &TapTrouble>) {
        let mut log = locked(&self.log);
        match answer {
            Ok(answer) => log.exchanges[number].upstream = Some(answer.clone()),
            Err(trouble) => log.exchanges[number].trouble = Some(trouble.clone()),
        }
    }

    /// Records what the device gets, which is the end of the exchange.
    pub(super) fn end(&self, number: usize, delivered: Delivered) {
        let mut log = locked(&self.log);
        let seen = &mut log.exchanges[number];
        seen.delivered = delivered;
        seen.ended = Some(Instant::now());
        seen.bound(self.settings.forms);
        drop(log);
        self.ended.send_modify(|ended| *ended += 1);
    }

    /// What passed since so many exchanges had begun.
    pub(super) fn exchanges(&self, first: usize) -> Vec<SeenExchange> {
        locked(&self.log).exchanges.get(first..).unwrap_or_default().to_vec()
    }

    /// The last whole answer of the server to a request of this kind before this one.
    pub(super) fn earlier_answer(&self, kind: CallKind, number: usize) -> Option<Arc<Answer>> {
        let log = locked(&self.log);
        let mut earlier = log.exchanges[..number].iter().rev().filter(|seen| seen.kind == kind && !seen.copy);
        earlier.find_map(|seen| seen.upstream.clone()).filter(|answer| !answer.body.is_cut())
    }
}

/// The place through which one device, or the suite itself, reaches the server. Given back when it is dropped: what is
/// under way ends, and connections are closed.
pub struct TapPort {
    port: Arc<Port>,
    listener: Option<Listener>,
    base_url: Url,
    shared: Arc<Shared>,
}

impl TapPort {
    pub(super) fn open(tap: &Tap, name: &str, caller: Caller, base: &Url) -> Result<Self, TapError> {
        let shared = &tap.shared;
        let route = Route::to(base)?;
        let idle = locked(&shared.listeners).pop();
        let listener = match idle {
            Some(listener) => listener,
            None => Listener::open().map_err(|source| TapError::Listen { source })?,
        };
        let mut base_url = base.clone();
        let moved = base_url.set_scheme("http").is_ok()
            && base_url.set_ip_host(listener.address.ip()).is_ok()
            && base_url.set_port(Some(listener.address.port())).is_ok();
        if !moved {
            return Err(TapError::Base(base.to_string()));
        }
        let port = Arc::new(Port {
            name: name.to_owned(),
            caller,
            settings: shared.settings.clone(),
            client: shared.client.clone(),
            base: base.clone(),
            waited: tap.waited.clone(),
            route: RwLock::new(route),
            faults: Mutex::default(),
            log: Mutex::default(),
            holds: watch::Sender::default(),
            closed: watch::Sender::new(false),
            killer: Mutex::default(),
            kills: watch::Sender::default(),
            ended: watch::Sender::default(),
        });
        listener.serve(Some(port.clone()));
        if let Some(opened) = &tap.opened {
            locked(opened).push(port.clone());
        }
        Ok(Self { port, listener: Some(listener), base_url, shared: shared.clone() })
    }

    /// The base URL that the device is configured with.
    pub fn base_url(&self) -> &Url {
        &self.base_url
    }

    /// The way in for a device in this process, without a connection.
    pub fn direct(&self, http: &reqwest::Client) -> Arc<dyn Transport> {
        let requests = HttpTransport::new(http.clone(), self.base_url.clone(), self.port.settings.timeout);
        Arc::new(Direct { requests, port: self.port.clone() })
    }

    /// Leads to the server at another base URL from now on, as after a restart on another port.
    pub fn set_base(&self, base: &Url) -> Result<(), TapError> {
        let moved = self.port.route().moved(base)?;
        *self.port.route.write().unwrap_or_else(PoisonError::into_inner) = moved;
        Ok(())
    }

    /// Puts in a fault. Of several that match a request the first strikes; a hold strikes besides.
    pub fn inject(&self, fault: Fault) {
        locked(&self.port.faults).add(fault);
    }

    /// Names what ends the device's process, for faults that do.
    pub fn on_kill(&self, killer: Killer) {
        *locked(&self.port.killer) = Some(killer);
    }

    /// Returns once every kill that a request has called for has struck.
    pub async fn wait_kills(&self) {
        let mut kills = self.port.kills.subscribe();
        _ = kills.wait_for(|kills| *kills == 0).await;
    }

    /// Lets everything that is held go, and ends the holds.
    pub fn release(&self) {
        locked(&self.port.faults).end_holds();
        self.port.holds.send_modify(|holds| {
            holds.held = 0;
            holds.released += 1;
        });
    }

    /// Returns once a request or an answer is held; at once where one is.
    pub async fn wait_held(&self) {
        let mut holds = self.port.holds.subscribe();
        _ = holds.wait_for(|holds| holds.held > 0).await;
    }

    /// A sync of the device has ended: so have the faults that struck it.
    pub fn sync_ended(&self) {
        locked(&self.port.faults).end();
    }

    /// The faults that have not struck anything yet, in words.
    pub fn unstruck(&self) -> Vec<String> {
        locked(&self.port.faults).unstruck()
    }

    /// Everything that passed since the port was opened, in the order in which it was sent.
    pub fn exchanges(&self) -> Vec<SeenExchange> {
        self.exchanges_from(0)
    }

    /// What passed since so many exchanges had begun.
    pub fn exchanges_from(&self, first: usize) -> Vec<SeenExchange> {
        self.port.exchanges(first)
    }

    /// How many exchanges have begun.
    pub fn begun(&self) -> usize {
        locked(&self.port.log).exchanges.len()
    }

    /// How many of them may have changed something on the server.
    pub fn writes(&self) -> usize {
        let reads = |kind| {
            use CallKind::{Bucket, Digest, Discovery, Download, Login, Offset, Pull, Refresh, Session};
            matches!(kind, Discovery | Login | Refresh | Session | Pull | Digest | Bucket | Offset | Download)
        };
        locked(&self.port.log).exchanges.iter().filter(|seen| !reads(seen.kind)).count()
    }

    /// Counts requests from here on.
    pub fn mark(&self) {
        let mut log = locked(&self.port.log);
        log.mark = log.exchanges.len();
    }

    /// Returns once the device has got a whole answer to a request of this kind since the mark.
    pub async fn wait_answered(&self, kind: CallKind) {
        let mut ended = self.port.ended.subscribe();
        let is_there = |_: &u64| {
            let log = locked(&self.port.log);
            log.exchanges[log.mark..].iter().any(|seen| {
                (seen.kind == kind || kind == CallKind::Any) && matches!(seen.delivered, Delivered::Whole(_))
            })
        };
        _ = ended.wait_for(is_there).await;
    }

    /// The requests that the device sent since the mark, by kind. Copies that a fault made are not among them.
    pub fn calls_since_mark(&self) -> BTreeMap<CallKind, u64> {
        let log = locked(&self.port.log);
        let mut calls = BTreeMap::new();
        for seen in log.exchanges[log.mark..].iter().filter(|seen| !seen.copy) {
            *calls.entry(seen.kind).or_default() += 1;
        }
        calls
    }
}

impl Drop for TapPort {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.serve(None);
            self.port.closed.send_replace(true);
            locked(&self.shared.listeners).push(listener);
        }
    }
}
