//! Connections: accepted, served, and ended in good order or at once.

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::pin::pin;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt;

/// How long a client may take for the head of a request.
const HEAD: Duration = Duration::from_secs(30);
/// How long to wait when no connection can be taken, such as for want of file handles.
const BREATH: Duration = Duration::from_millis(50);

/// How far a server has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It serves.
    Serving,
    /// It answers what it has begun and takes nothing new.
    Stopping,
    /// It is over; what was begun dies.
    Killed,
}

/// Serves until the phase says otherwise; `grace` is how long a stop waits for answers.
pub(crate) async fn serve(listener: TcpListener, router: Router, mut phase: watch::Receiver<Phase>, grace: Duration) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, router.clone(), phase.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(BREATH).await;
                }
            },
            Some(_) = connections.join_next() => {}
            changed = phase.changed() => if changed.is_err() || *phase.borrow() != Phase::Serving { break },
        }
    }
    drop(listener);
    let all_done = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        _ = tokio::time::timeout(grace, all_done) => {}
        _ = phase.wait_for(|phase| *phase == Phase::Killed) => {}
    }
    // Dropping the set ends every connection that is left.
}

async fn connection(stream: TcpStream, router: Router, mut phase: watch::Receiver<Phase>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection was gone at once");
        return;
    }
    let service =
        service_fn(move |request: http::Request<hyper::body::Incoming>| router.clone().oneshot(request.map(Body::new)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let over = async {
        // The guard that comes back must not be held across the next wait.
        let _ = phase.wait_for(|phase| *phase != Phase::Serving).await.map(drop);
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = over => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
