//! One connection to a server, driven by whoever uses it: no task of its own, so that an exchange wakes no other thread.

use super::trouble::TapTrouble;
use bytes::{Bytes, BytesMut};
use http::{Request, response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite};

/// The most headers of an answer.
const MOST_HEADERS: usize = 200;
/// The longest head of an answer.
const LONGEST_HEAD: usize = 256 << 10;

/// A stream to a server, with or without TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A request for the server, whole.
pub(super) type UpstreamRequest = Request<Full<Bytes>>;

type Driver = http1::Connection<TokioIo<Box<dyn Stream>>, Full<Bytes>>;

/// A connection that carries one exchange after another.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Pin<Box<Driver>>,
    over: bool,
}

/// Why an exchange came to nothing.
pub(super) enum Failed {
    /// Not a byte of the request was written: it may go out on another connection.
    Unsent(Box<UpstreamRequest>),
    /// The server may have seen the request.
    Trouble(TapTrouble),
}

impl Connection {
    pub(super) async fn start(stream: Box<dyn Stream>) -> Result<Self, TapTrouble> {
        let (sender, driver) = http1::Builder::new()
            .max_headers(MOST_HEADERS)
            .max_buf_size(LONGEST_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(trouble)?;
        Ok(Self { sender, driver: Box::pin(driver), over: false })
    }

    /// Whether it can carry another exchange, as far as can be told without one.
    pub(super) fn is_alive(&mut self) -> bool {
        self.over = self.over || self.driver.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        !self.over && !self.sender.is_closed()
    }

    /// Sends a request and reads the whole answer, up to so many bytes of its body.
    pub(super) async fn exchange(
        &mut self,
        request: UpstreamRequest,
        body_limit: usize,
    ) -> Result<(response::Parts, Bytes), Failed> {
        let Self { sender, driver, over } = self;
        let mut exchange = pin!(async {
            if sender.ready().await.is_err() {
                return Err(Failed::Unsent(Box::new(request)));
            }
            let response = sender.try_send_request(request).await.map_err(|mut error| match error.take_message() {
                Some(unsent) => Failed::Unsent(Box::new(unsent)),
                None => Failed::Trouble(trouble(error.into_error())),
            })?;
            let (head, body) = response.into_parts();
            Ok((head, read(body, body_limit).await.map_err(Failed::Trouble)?))
        });
        std::future::poll_fn(|context| {
            if let Poll::Ready(done) = exchange.as_mut().poll(context) {
                return Poll::Ready(done);
            }
            // How the driver ends is told to the exchange.
            *over = *over || driver.as_mut().poll(context).is_ready();
            exchange.as_mut().poll(context)
        })
        .await
    }
}

/// Reads a body to its end, or to the limit.
async fn read(mut body: Incoming, limit: usize) -> Result<Bytes, TapTrouble> {
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(trouble)?.into_data() else { continue };
        if first.len() + more.len() + data.len() > limit {
            return Err(TapTrouble::BodyTooLarge(limit));
        }
        if first.is_empty() && more.is_empty() {
            first = data;
            continue;
        }
        more.extend_from_slice(&std::mem::take(&mut first));
        more.extend_from_slice(&data);
    }
    Ok(if more.is_empty() { first } else { more.freeze() })
}

fn trouble(error: hyper::Error) -> TapTrouble {
    let mut reason = error.to_string();
    if let Some(source) = std::error::Error::source(&error) {
        reason = format!("{reason}: {source}");
    }
    if error.is_parse_too_large() {
        TapTrouble::HeadTooLarge { headers: MOST_HEADERS, kib: LONGEST_HEAD >> 10 }
    } else if error.is_parse() {
        TapTrouble::NotHttp(reason)
    } else {
        TapTrouble::Broken(reason)
    }
}
