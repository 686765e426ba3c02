//! One exchange as the tap saw it: what the device sent, what the server answered, what the device got of it.
//!
//! Memory is bounded: bodies are kept decoded, and above [`KEPT`] bytes only their head. Such an exchange is
//! [examined](super::wire) before its bodies are cut.

use super::trouble::TapTrouble;
use super::wire::{Forms, WireFinding};
use bytes::Bytes;
use fieldsync_schemas::scenario::CallKind;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// The bytes of a body that are kept.
pub const KEPT: usize = 1 << 20;
/// The longest body that is copied for the record.
const COPIED: usize = 32 << 10;

/// Who sends the requests of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A device: its requests must be valid.
    Device,
    /// The suite itself, with requests that may be wrong on purpose.
    Raw,
}

/// One request and what became of it.
#[derive(Debug, Clone)]
pub struct SeenExchange {
    /// The name of the port: a device of the scenario, or the suite.
    pub by: String,
    /// Who that is.
    pub caller: Caller,
    /// What kind of request it is, by method and path.
    pub kind: CallKind,
    /// The method.
    pub method: Method,
    /// The path below the base URL, with the query; the whole path where it is not below the base.
    pub path: String,
    /// Whether the path is below the base URL.
    pub below_base: bool,
    /// The headers that the device sent. `Authorization` is marked as sensitive.
    pub request_headers: HeaderMap,
    /// The body that the device sent.
    pub request_body: Body,
    /// What the server answered; absent where it was not asked, or gave no answer.
    pub upstream: Option<Arc<Answer>>,
    /// What the device got.
    pub delivered: Delivered,
    /// The faults that struck, in words.
    pub fault: Option<String>,
    /// What went wrong apart from faults.
    pub trouble: Option<TapTrouble>,
    /// Whether this is the second copy of a duplicated request, which the device did not send itself.
    pub copy: bool,
    /// When the request had arrived.
    pub started: Instant,
    /// When it was clear what the device gets; absent while it is under way.
    pub ended: Option<Instant>,
    /// What is wrong with the messages, where they had to be examined before their bodies were cut.
    pub(super) examined: Option<Vec<WireFinding>>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers, as they came.
    pub headers: HeaderMap,
    /// The body, decoded.
    pub body: Body,
}

/// A body, decoded.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// Its bytes, or its head.
    pub bytes: Bytes,
    /// Its length before it was cut.
    pub length: u64,
    /// Why it could not be decoded; then `bytes` are as they came.
    pub undecoded: Option<String>,
    /// What the bytes say, read once, for whoever looks at it.
    pub(super) json: Arc<OnceLock<Result<Value, String>>>,
}

/// What the device got.
#[derive(Debug, Clone)]
pub enum Delivered {
    /// Nothing yet.
    Pending,
    /// An answer, whole.
    Whole(Arc<Answer>),
    /// Status, headers and this many bytes of the body; then the connection was closed.
    Half {
        /// The status.
        status: StatusCode,
        /// The bytes of the body, encoded as they came.
        bytes: usize,
    },
    /// The connection was closed without a byte.
    Closed,
    /// Nothing, because this is the copy of a duplicated request.
    Nothing,
}

impl Body {
    /// A body whose bytes are what it says.
    pub(crate) fn plain(bytes: Bytes) -> Self {
        Self { length: bytes.len() as u64, bytes, undecoded: None, json: Arc::default() }
    }

    /// What the body says in JSON, or why it says nothing.
    pub fn json(&self) -> Result<&Value, &str> {
        let read = || serde_json::from_slice(&self.bytes).map_err(|error| error.to_string());
        self.json.get_or_init(read).as_ref().map_err(String::as_str)
    }

    /// A body for the record. A short one is copied: as it came it is a slice of a read buffer, and would keep all of it.
    pub(super) fn recorded(bytes: &Bytes) -> Self {
        match bytes.len() <= COPIED {
            true => Self::plain(Bytes::copy_from_slice(bytes)),
            false => Self::plain(bytes.clone()),
        }
    }

    /// Whether only its head was kept.
    pub fn is_cut(&self) -> bool {
        self.length > self.bytes.len() as u64
    }

    fn cut(&self) -> Self {
        match self.bytes.len() > KEPT {
            true => Self { bytes: Bytes::copy_from_slice(&self.bytes[..KEPT]), json: Arc::default(), ..self.clone() },
            false => self.clone(),
        }
    }
}

impl Answer {
    fn cut(&self) -> Self {
        Self { body: self.body.cut(), ..self.clone() }
    }
}

impl SeenExchange {
    /// The status that the device got, or the one that the server answered where the device got none.
    pub fn status(&self) -> Option<StatusCode> {
        match &self.delivered {
            Delivered::Whole(answer) => Some(answer.status),
            Delivered::Half { status, .. } => Some(*status),
            _ => self.upstream.as_ref().map(|answer| answer.status),
        }
    }

    /// Keeps no more than the head of long bodies, after a look at the whole.
    pub(super) fn bound(&mut self, forms: Forms) {
        let delivered = match &self.delivered {
            Delivered::Whole(answer) => answer.body.bytes.len(),
            _ => 0,
        };
        let upstream = self.upstream.as_ref().map_or(0, |answer| answer.body.bytes.len());
        if self.request_body.bytes.len().max(upstream).max(delivered) <= KEPT {
            return;
        }
        self.examined = Some(super::wire::examine_one(self, forms));
        self.request_body = self.request_body.cut();
        self.upstream = self.upstream.as_ref().map(|answer| Arc::new(answer.cut()));
        if let Delivered::Whole(answer) = &self.delivered {
            self.delivered = Delivered::Whole(Arc::new(answer.cut()));
        }
    }
}
