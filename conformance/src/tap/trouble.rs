//! What can go wrong on the wire without a fault: every way in which a server fails to answer in HTTP, each with a name.

use fieldsync_schemas::event::Actor;
use http::StatusCode;
use std::time::Duration;

/// Why an exchange failed. The device saw a closed connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TapTrouble {
    /// The server cannot be reached.
    #[error("cannot connect to {address}: {reason}")]
    NoConnection {
        /// The server.
        address: String,
        /// What the system or TLS said.
        reason: String,
    },
    /// The server did not answer in time, or not to the end.
    #[error("no whole answer within {} s", .0.as_secs_f64())]
    Silent(Duration),
    /// The server closed the connection before its answer was whole.
    #[error("the connection was closed before the answer was whole: {0}")]
    Broken(String),
    /// What came is no HTTP/1.1.
    #[error("the answer is no HTTP/1.1: {0}")]
    NotHttp(String),
    /// The answer has too many headers, or too long ones.
    #[error("the answer has more than {headers} headers, or a head of more than {kib} KiB")]
    HeadTooLarge {
        /// The most headers that are taken.
        headers: usize,
        /// The longest head that is taken.
        kib: usize,
    },
    /// The body is too long, or never ends.
    #[error("the body has more than {0} bytes")]
    BodyTooLarge(usize),
    /// The body is not what `Content-Encoding` says, or is too long once decoded.
    #[error("the body cannot be decoded: {0}")]
    Undecodable(String),
    /// The server sent the device elsewhere.
    #[error("answered {status}, a redirect to {location:?}: a redirect is never followed")]
    Redirect {
        /// The status.
        status: StatusCode,
        /// The header `Location`.
        location: String,
    },
    /// The device did not send its request to the end.
    #[error("the request was not sent to its end: {0}")]
    RequestBroken(String),
    /// The device's request is too long.
    #[error("the request has more than {0} bytes")]
    RequestTooLarge(usize),
    /// There is no answer to give again.
    #[error("there is no whole answer to an earlier request of this kind: nothing to replay")]
    NothingToReplay,
    /// The answer could not be changed as the scenario says.
    #[error("the answer could not be altered: {0}")]
    NotAltered(String),
}

impl TapTrouble {
    /// Whose doing it is; no one's where the scenario asked for something that the exchange does not have.
    pub fn blame(&self) -> Option<Actor> {
        match self {
            Self::RequestBroken(_) | Self::RequestTooLarge(_) => Some(Actor::Device),
            Self::NothingToReplay | Self::NotAltered(_) => None,
            _ => Some(Actor::Server),
        }
    }

    /// Whether the server sent something, and it is no message.
    pub fn is_invalid_answer(&self) -> bool {
        matches!(
            self,
            Self::NotHttp(_)
                | Self::HeadTooLarge { .. }
                | Self::BodyTooLarge(_)
                | Self::Undecodable(_)
                | Self::Redirect { .. }
        )
    }
}
