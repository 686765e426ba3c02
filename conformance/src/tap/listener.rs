//! The listeners on loopback: opened once, lent to one port after another, so that a device of a scenario costs no
//! system call of its own.

use super::cut::{Cut, CutStream};
use super::forward::{self, Deliver, Goal};
use super::port::Port;
use super::trouble::TapTrouble;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// Whom a listener serves.
pub(super) trait Serves: Send + Sync + 'static {
    /// Whether it serves anybody now.
    fn is_open(&self) -> bool;
    /// Whose a request for this path is, and where it leads.
    fn port(&self, path: &str) -> Option<(Arc<Port>, Goal)>;
}

/// The port that a listener serves now.
type Current = Mutex<Option<Arc<Port>>>;

impl Serves for Current {
    fn is_open(&self) -> bool {
        self.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn port(&self, _: &str) -> Option<(Arc<Port>, Goal)> {
        Some((self.lock().unwrap_or_else(PoisonError::into_inner).clone()?, Goal::Server))
    }
}

/// A listener, and the port that it serves now.
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    current: Arc<Current>,
    accepting: AbortHandle,
}

impl Listener {
    /// Opens a listener on a free port of this machine.
    pub(super) fn open() -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let current: Arc<Current> = Arc::default();
        let accepting = tokio::spawn(accept(listener, current.clone())).abort_handle();
        Ok(Self { address, current, accepting })
    }

    /// Serves this port from now on, or none.
    pub(super) fn serve(&self, port: Option<Arc<Port>>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = port;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Takes connections for ever.
pub(super) async fn accept(listener: TcpListener, serves: Arc<impl Serves>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: others must get on before this can.
            tokio::task::yield_now().await;
            continue;
        };
        // A connection that nobody serves any more is closed.
        if serves.is_open() {
            tokio::spawn(connection(stream, serves.clone()));
        }
    }
}

/// Serves one connection until the device closes it. It outlives the port for which it was opened: clients keep
/// connections for later, and one that was closed under their hands would look like a fault of the network.
async fn connection(stream: TcpStream, serves: Arc<impl Serves>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let cut = Cut::default();
    let io = TokioIo::new(CutStream { stream, cut: cut.clone() });
    let service = service_fn(|request: Request<Incoming>| {
        let (port, cut) = (serves.port(request.uri().path()), cut.clone());
        async move {
            match port {
                Some((port, goal)) => answer(request, port, goal, cut).await,
                None => Err(Closed),
            }
        }
    });
    // That a device closes its connection, or finds it closed, is what happens on networks.
    _ = http1::Builder::new().auto_date_header(false).serve_connection(io, service).await;
}

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed on purpose")]
struct Closed;

async fn answer(
    request: Request<Incoming>,
    port: Arc<Port>,
    goal: Goal,
    cut: Cut,
) -> Result<http::Response<Full<Bytes>>, Closed> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, port.settings.body_limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(TapTrouble::RequestTooLarge(port.settings.body_limit)),
        Err(error) => Err(TapTrouble::RequestBroken(error.to_string())),
    };
    let passing = Onward::new(async move {
        tokio::select! {
            biased;
            () = port.closed() => Deliver::Nothing,
            deliver = forward::pass(&port, &goal, head, body) => deliver,
        }
    });
    match passing.await {
        Deliver::Whole(response, None) => Ok(response),
        Deliver::Whole(response, Some(kill)) => {
            let bytes = response.body().size_hint().exact().unwrap_or_default();
            cut.kill_after(bytes as usize, kill);
            Ok(response)
        }
        Deliver::Half(response, bytes, kill) => {
            cut.after(bytes, kill);
            Ok(response)
        }
        Deliver::Nothing => Err(Closed),
    }
}

/// What was sent is sent: when the device gives up waiting, the exchange goes on in a task of its own, and is recorded.
struct Onward(Option<Pin<Box<dyn Future<Output = Deliver> + Send>>>);

impl Onward {
    fn new(passing: impl Future<Output = Deliver> + Send + 'static) -> Self {
        Self(Some(Box::pin(passing)))
    }
}

impl Future for Onward {
    type Output = Deliver;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Deliver> {
        let Some(passing) = &mut self.0 else { return Poll::Ready(Deliver::Nothing) };
        let deliver = std::task::ready!(passing.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(deliver)
    }
}

impl Drop for Onward {
    fn drop(&mut self) {
        // Outside a runtime everything is at its end.
        if let (Some(passing), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(passing);
        }
    }
}
