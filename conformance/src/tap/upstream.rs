//! The way to the server: connections that are kept and reused, bounds on what may come back, and a time for all of it.
//!
//! A request goes out once. It is sent again on another connection only where not a byte of it was written, so a server
//! never sees what the record does not show.

use super::connection::{Connection, Failed, Stream, UpstreamRequest};
use super::fault::Part;
use super::trouble::TapTrouble;
use super::{Settings, TapError, tls};
use bytes::Bytes;
use http::response;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use url::{Host, Url};

/// How long an unused connection is kept: shorter than servers keep theirs, so that none closes under a request.
const KEPT_IDLE: Duration = Duration::from_secs(1);
/// The most unused connections to one server.
const MOST_IDLE: usize = 64;

/// A server: scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    tls: bool,
    host: Host,
    port: u16,
}

impl Origin {
    /// The origin of an `http` or `https` URL.
    pub(super) fn of(url: &Url) -> Result<Self, TapError> {
        let unusable = || TapError::Base(url.to_string());
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(unusable()),
        };
        let host = url.host().ok_or_else(unusable)?.to_owned();
        let port = url.port_or_known_default().ok_or_else(unusable)?;
        Ok(Self { tls, host, port })
    }
}

/// As in the header `Host`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            80 if !self.tls => self.host.fmt(f),
            443 if self.tls => self.host.fmt(f),
            port => write!(f, "{}:{port}", self.host),
        }
    }
}

/// Asks servers, over connections that are kept.
pub(super) struct Client {
    timeout: Duration,
    body_limit: usize,
    roots: Vec<CertificateDer<'static>>,
    tls: OnceLock<Result<TlsConnector, String>>,
    idle: Mutex<HashMap<Origin, Vec<Idle>>>,
}

/// A connection that waits for a request.
struct Idle {
    connection: Connection,
    since: Instant,
}

impl Client {
    pub(super) fn new(settings: &Settings) -> Result<Self, TapError> {
        Ok(Self {
            timeout: settings.timeout,
            body_limit: settings.body_limit,
            roots: settings.ca_cert.as_deref().map(tls::certificates).transpose()?.unwrap_or_default(),
            tls: OnceLock::new(),
            idle: Mutex::new(HashMap::new()),
        })
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn call(
        &self,
        origin: &Origin,
        request: UpstreamRequest,
    ) -> Result<(response::Parts, Bytes), TapTrouble> {
        tokio::time::timeout(self.timeout, self.call_without_end(origin, request))
            .await
            .unwrap_or(Err(TapTrouble::Silent(self.timeout)))
    }

    async fn call_without_end(
        &self,
        origin: &Origin,
        mut request: UpstreamRequest,
    ) -> Result<(response::Parts, Bytes), TapTrouble> {
        loop {
            let (mut connection, is_new) = match self.take_idle(origin) {
                Some(connection) => (connection, false),
                None => (Connection::start(self.open(origin).await?).await?, true),
            };
            match connection.exchange(request, self.body_limit).await {
                Ok(answer) => {
                    self.keep(origin, connection);
                    return Ok(answer);
                }
                Err(Failed::Unsent(unsent)) if !is_new => request = *unsent,
                Err(Failed::Unsent(_)) => {
                    return Err(TapTrouble::Broken("the server closed a new connection at once".to_owned()));
                }
                Err(Failed::Trouble(trouble)) => return Err(trouble),
            }
        }
    }

    /// Sends the head and a part of the body, and closes the connection.
    pub(super) async fn send_part(
        &self,
        origin: &Origin,
        request: &http::request::Parts,
        body: &[u8],
        part: Part,
    ) -> Result<(), TapTrouble> {
        let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.uri).into_bytes();
        for (name, value) in &request.headers {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        match body.len() {
            // A request without a body is cut in its head: else it would be whole.
            0 => head.truncate(head.len() / 2),
            length => head.extend_from_slice(&body[..part.of(length)]),
        }
        let sent = async {
            let mut stream = self.open(origin).await?;
            let closed = async {
                stream.write_all(&head).await?;
                stream.shutdown().await
            };
            closed.await.map_err(|error| TapTrouble::Broken(error.to_string()))
        };
        tokio::time::timeout(self.timeout, sent).await.unwrap_or(Err(TapTrouble::Silent(self.timeout)))
    }

    /// Closes every unused connection, as after the end of a server's process.
    pub(super) fn forget(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn take_idle(&self, origin: &Origin) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.get_mut(origin)?;
        while let Some(Idle { mut connection, since }) = kept.pop() {
            if since.elapsed() > KEPT_IDLE {
                // The rest is older.
                kept.clear();
            } else if connection.is_alive() {
                return Some(connection);
            }
        }
        None
    }

    fn keep(&self, origin: &Origin, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = match idle.get_mut(origin) {
            Some(kept) => kept,
            None => idle.entry(origin.clone()).or_default(),
        };
        if kept.len() < MOST_IDLE {
            kept.push(Idle { connection, since: Instant::now() });
        }
    }

    async fn open(&self, origin: &Origin) -> Result<Box<dyn Stream>, TapTrouble> {
        let failed = |reason: String| TapTrouble::NoConnection { address: origin.to_string(), reason };
        let stream = match &origin.host {
            Host::Domain(name) => TcpStream::connect((name.as_str(), origin.port)).await,
            Host::Ipv4(address) => TcpStream::connect((*address, origin.port)).await,
            Host::Ipv6(address) => TcpStream::connect((*address, origin.port)).await,
        };
        let stream = stream.map_err(|error| failed(error.to_string()))?;
        stream.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
        if !origin.tls {
            return Ok(Box::new(stream));
        }
        let connector = self.tls.get_or_init(|| tls::connector(self.roots.clone()).map_err(|error| error.to_string()));
        let connector = connector.as_ref().map_err(|error| failed(error.clone()))?;
        let name = match &origin.host {
            Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|error| failed(error.to_string()))?,
            Host::Ipv4(address) => ServerName::from(std::net::IpAddr::from(*address)),
            Host::Ipv6(address) => ServerName::from(std::net::IpAddr::from(*address)),
        };
        let stream = connector.connect(name, stream).await.map_err(|error| failed(error.to_string()))?;
        Ok(Box::new(stream))
    }
}
