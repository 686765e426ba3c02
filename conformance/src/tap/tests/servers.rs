//! Servers for the tests of the tap: one that answers as HTTP does, and one that sends whatever bytes it is told.

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use url::Url;

/// A request as a server got it.
#[derive(Clone, Debug)]
pub(super) struct Got {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

/// A server that counts requests and connections, and answers `{"n": 1, "list": [1, 2, 3], "pad": "..."}`.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) base: Url,
    pub(super) connections: Arc<AtomicUsize>,
    got: Arc<Mutex<Vec<Got>>>,
    /// Requests are answered while this is true.
    pub(super) open: Arc<watch::Sender<bool>>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}/ds/a", listener.local_addr().unwrap())).unwrap();
        let server =
            Self { base, connections: Arc::default(), got: Arc::default(), open: Arc::new(watch::Sender::new(true)) };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepting.connections.fetch_add(1, Ordering::SeqCst);
                let server = accepting.clone();
                let service = service_fn(move |request| server.clone().answer(request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        server
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return Ok(Response::new(Full::default())) };
        let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        let number = {
            let mut got = self.got.lock().unwrap();
            got.push(Got { path: head.uri.path().to_owned(), headers: head.headers, body });
            got.len()
        };
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
        let answer = format!(r#"{{"n": {number}, "list": [1, 2, 3], "pad": "{}"}}"#, "x".repeat(500));
        let response = Response::builder().header("content-type", "application/json").header("x-server", "yes");
        Ok(response.body(Full::from(answer)).unwrap())
    }

    /// What the server got so far.
    pub(super) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

/// A server that reads until it has the request, sends these bytes, and then either closes or sends more of them for
/// ever. The channel tells what it read until the end of the connection.
pub(super) async fn rogue(
    answer: &'static [u8],
    endless: &'static [u8],
) -> (Url, tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let (read, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let read = read.clone();
            tokio::spawn(async move {
                let mut bytes = vec![0; 4096];
                if answer.is_empty() && endless.is_empty() {
                    let mut all = Vec::new();
                    _ = stream.read_to_end(&mut all).await;
                    _ = read.send(all);
                    return;
                }
                let count = stream.read(&mut bytes).await.unwrap_or(0);
                _ = read.send(bytes[..count].to_vec());
                let mut sent = stream.write_all(answer).await;
                while sent.is_ok() && !endless.is_empty() {
                    sent = stream.write_all(endless).await;
                }
            });
        }
    });
    (base, receiver)
}
